"""One YAML file and the environment become one typed, wholly validated `Config`, or a list of every mistake.

This package owns the names, defaults, units and limits of all settings. It never acts on them (opens no journal, no
socket) and writes nothing: a wrong configuration must end the process before it has touched anything. `model` holds
the settings, `kinds` how a value is read and written, `source` where values come from, `load` puts them together,
`describe` turns the model into a commented file and a page.
"""

from collector.config.load import ConfigError, load
from collector.config.model import Config

__all__ = ["Config", "ConfigError", "load"]
