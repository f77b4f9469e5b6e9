"""The bridge from Alertmanager's webhook to group robots: DingTalk, WeCom, and a log.

`webhook` reads what Alertmanager posts, `message` puts it into words, `robots` speaks each robot's protocol, `pace`
keeps its budget, `memory` knows what was told, `outbox` brings these together, `server` answers. `app` wires them.
"""
