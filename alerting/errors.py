"""What can go wrong in a command of this package, told to a person in one sentence.

It owns the root of the errors: `AlertingError`, with `settings.SettingsError` (the environment is wrong), `client`'s
errors (Alertmanager or the bridge does not answer as it should) and the commands' own below it. The command line ends
with exit code 2 on any of them.
"""


class AlertingError(Exception):
    """It cannot be done as asked; the message is for the user."""
