"""Where alerts go: Alertmanager's configuration from the table of rules and from what is configured.

`settings` reads which channels there are, `routing` makes routes, receivers and inhibitions, `templates` the words of
Slack and e-mail. `python -m alerting.alertmanager` writes the committed sample, with every channel; `--into DIR` the
configuration for this environment.
"""
