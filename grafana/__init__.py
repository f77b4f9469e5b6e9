"""The dashboards: written here as values, generated into grafana/dashboards with Grafana's foundation SDK.

`boards/` says what is shown, one file a dashboard; `render.py` alone knows Grafana's JSON. What is measured comes from
the telemetry schema, the numbers drawn as limits from the table of alerts; of the collector it knows nothing.
"""
