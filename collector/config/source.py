"""Where settings come from: a YAML file, `MARKETPRISM_…` variables, command-line options. All become one tree of
located values.

Each value keeps its origin (`config.yaml:12`, a variable's name), so that a mistake can say where it is. YAML is read
as version 1.2's core schema (`on`, `1:30`, `2020-01-01` are text), without anchors, and a key given twice is a
mistake: what PyYAML does by default would change a value silently. Nothing here knows which keys exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PREFIX = "MARKETPRISM_"
CONFIG_VARIABLE = "MARKETPRISM_CONFIG"
_ALERTING = ("MARKETPRISM_BRIDGE_", "MARKETPRISM_ALERT_")
"""How settings of the alerting begin, which reads them itself."""
# Kubernetes puts these beside a Service that is called marketprism; they are nobody's mistake
_SERVICE_LINKS = re.compile(r"MARKETPRISM_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")


@dataclass(slots=True)
class Located:
    """A value with its origin. A dict is a section. `is_text`: it came as text, whatever it means."""

    value: object
    origin: str
    path: str
    is_text: bool = False

    def where(self, suffix: str = "") -> str:
        """How a message begins: `config.yaml:3: journal.directory`, or a variable's name, which says the key."""
        return self.origin + suffix if self.is_text else f"{self.origin}: {self.path}{suffix}"


Section = dict[str, Located]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema scalars only."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own way of saying it


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(0|[1-9][0-9]*)\.[0-9]+", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Refused(Exception):  # noqa: N818 - an early end of reading, never seen outside
    """The file as a whole cannot be used."""


def read_yaml(file: Path) -> tuple[Section, list[str]]:
    """A file's sections and values, and what is wrong with it as YAML."""
    mistakes: list[str] = []
    try:
        text = file.read_bytes().decode()
        return _compose(text, str(file), mistakes), mistakes
    except OSError as error:
        problem = f": cannot be read: {error.strerror or error}"
    except UnicodeDecodeError:
        problem = ": is not text; expected YAML in UTF-8"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f":{_line(mark)}: is not valid YAML: {error.problem}"
    except yaml.YAMLError:
        problem = ": is not valid YAML: it holds characters that text does not"
    except RecursionError:
        problem = ": is nested too deep"
    except _Refused as error:
        problem = str(error)
    return {}, [f"{file}{problem}"]


def _compose(text: str, name: str, mistakes: list[str]) -> Section:
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(
                f":{_line(event.start_mark)}: aliases (*{event.anchor}) are not used here; write the value out"
            )
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise _Refused(f":{_line(node.start_mark)}: expected keys with values (key: value)")
        return _section(node, name, "", loader, mistakes)
    finally:
        loader.dispose()


def _line(mark: Any) -> int:  # noqa: ANN401 - PyYAML has two unrelated Mark types, in C and in Python
    return int(mark.line) + 1 if mark is not None else 1


def _section(node: yaml.MappingNode, name: str, prefix: str, loader: _Loader, mistakes: list[str]) -> Section:
    section: Section = {}
    for key_node, value_node in node.value:
        origin = f"{name}:{_line(key_node.start_mark)}"
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else f"({key_node.id})"
        path = prefix + key
        if key in section:
            mistakes.append(f"{origin}: {path}: is given twice (first at {section[key].origin})")
            continue
        if isinstance(value_node, yaml.MappingNode):
            section[key] = Located(_section(value_node, name, path + ".", loader, mistakes), origin, path)
            continue
        try:
            section[key] = Located(loader.construct_object(value_node, deep=True), origin, path)
        except (ValueError, KeyError, AttributeError):  # PyYAML's own, for `!!int abc` or a number without end
            mistakes.append(f"{origin}: {path}: cannot be read as {value_node.tag.rpartition(':')[2]}")
    return section


def overlay_environ(section: Section, environ: Mapping[str, str], mistakes: list[str]) -> None:
    """Put every `MARKETPRISM_A__B` variable at `a.b`, over what the file says."""
    for name in sorted(environ):
        ours = name.startswith(PREFIX) and not name.startswith(_ALERTING)
        if ours and name != CONFIG_VARIABLE and not _is_service_link(name, environ[name]):
            overlay(section, name.removeprefix(PREFIX).lower().split("__"), environ[name], name, mistakes)


def _is_service_link(name: str, text: str) -> bool:
    """Whether Kubernetes made it. Its `_PORT` is an address (tcp://…); a number there is somebody's slip."""
    return _SERVICE_LINKS.fullmatch(name) is not None and (name != f"{PREFIX}PORT" or "://" in text)


def overlay(section: Section, keys: list[str], text: str, origin: str, mistakes: list[str]) -> None:
    """Put `text` at the path `keys`; sections that the file lacks are made, and none takes a value's place unsaid."""
    path = ".".join(keys)
    for key in keys[:-1]:
        below = section.get(key)
        if below is not None and below.value is not None and not isinstance(below.value, dict):
            mistakes.append(f"{below.where()}: expected a section, because {origin} sets a key of it")
        if below is None or not isinstance(below.value, dict):
            below = section[key] = Located({}, origin, path, is_text=True)
        section = below.value  # type: ignore[assignment]
    section[keys[-1]] = Located(text, origin, path, is_text=True)


def variable(path: str) -> str:
    """The environment variable of a key."""
    return PREFIX + path.upper().replace(".", "__")
