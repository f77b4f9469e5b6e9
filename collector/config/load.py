"""Put a file, the environment and options together into a `Config`, or tell every mistake at once.

The model's structs are walked key by key: msgspec's own conversion would stop at the first mistake. What one key
cannot know (limits that depend on each other) is checked at the end, when all keys are right by themselves. Nothing is
written or opened here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from collector.config import kinds
from collector.config.kinds import Mistake
from collector.config.model import Config, Environ, Option, default_instance_id
from collector.config.source import Located, Section, overlay, overlay_environ, read_yaml, variable

S = TypeVar("S", bound=Struct)


class ConfigError(Exception):
    """The configuration is wrong; `mistakes` holds one line each, in the order of the keys."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load(file: Path | None, environ: Environ, overrides: Mapping[str, tuple[str, str]] | None = None) -> Config:
    """Read and check everything. `overrides`: key path → (text, the option that gave it), which win over all else.

    Raises ConfigError.
    """
    section, mistakes = read_yaml(file) if file is not None else ({}, [])
    overlay_environ(section, environ, mistakes)
    for path, (text, option) in (overrides or {}).items():
        overlay(section, path.split("."), text, option, mistakes)
    config = _Walk(environ, mistakes).struct(Config, section, "")
    if not mistakes:
        config = msgspec.structs.replace(
            config, instance_id=config.instance_id or default_instance_id(config.journal.directory)
        )
        mistakes += _together(config, section)
    if mistakes:
        raise ConfigError(mistakes)
    return config


def options(cls: type[Struct], prefix: str = "") -> Iterator[tuple[str, Option | type[Struct], object]]:
    """Every key below `cls` in order: (path, its option or the section's struct, the plain default)."""
    hints = get_type_hints(cls, include_extras=True)
    for field in msgspec.structs.fields(cls):
        path = prefix + field.name
        option = option_of(hints[field.name])
        if option is None:
            yield path, hints[field.name], None
            yield from options(hints[field.name], path + ".")
        else:
            yield path, option, None if field.default is NODEFAULT else field.default


def option_of(hint: object) -> Option | None:
    """The Option of an annotated type; None for a section."""
    return next((arg for arg in get_args(hint) if isinstance(arg, Option)), None)


class _Walk:
    """One reading of a tree against the structs."""

    def __init__(self, environ: Environ, mistakes: list[str]) -> None:
        self.environ = environ
        self.mistakes = mistakes

    def struct(self, cls: type[S], section: Section, prefix: str) -> S:
        hints = get_type_hints(cls, include_extras=True)
        for key, located in section.items():
            if key not in hints:
                self.mistakes.append(
                    f"{located.where()}: {_unknown(key, tuple(hints), prefix, is_text=located.is_text)}"
                )
        values = {}
        for field in msgspec.structs.fields(cls):
            hint, located_ = hints[field.name], section.get(field.name)
            option = option_of(hint)
            if option is None:
                values[field.name] = self.struct(hint, self._subsection(located_, hint), f"{prefix}{field.name}.")
            else:
                values[field.name] = self._value(option, located_, field.default)
        return cls(**values)

    def _subsection(self, located: Located | None, cls: type[Struct]) -> Section:
        if located is None or located.value is None:
            return {}
        if isinstance(located.value, dict):
            return located.value
        example = f"{located.path}.{cls.__struct_fields__[0]}"
        example = variable(example) if located.is_text else example
        self.mistakes.append(f"{located.where()}: is a section; set its keys, for example {example}")
        return {}

    def _value(self, option: Option, located: Located | None, default: object) -> object:
        if located is not None and isinstance(located.value, dict):
            self.mistakes.append(f"{located.where()}: expected {option.kind.expected}, got a section")
        elif located is not None:
            value = located.value
            if located.is_text and isinstance(value, str):
                value = None if value.strip().lower() in {"", "null"} else option.kind.from_text(value.strip())
            if value is not None:
                try:
                    return option.kind.parse(value)
                except Mistake as mistake:
                    self.mistakes += [f"{located.where(suffix)}: {note}" for suffix, note in mistake.notes]
        return option.default_from(self.environ) if option.default_from is not None else default


def _unknown(key: str, valid: tuple[str, ...], prefix: str, *, is_text: bool) -> str:
    """What to say of a key that does not exist: the nearest here, else one of that name elsewhere, else the list."""
    noun = "venue" if prefix == "venues." else "key"
    close = kinds.nearest(key, valid)
    if close is None:
        every = {path.rpartition(".")[2]: path for path, option, _ in options(Config) if isinstance(option, Option)}
        elsewhere = kinds.nearest(key, every)
        close = every[elsewhere] if elsewhere else None
        prefix = "" if close else prefix
    if close is None:
        return f"unknown {noun}; expected one of {', '.join(valid)}"
    return (
        f"unknown {noun}; did you mean {variable(prefix + close if close in valid else close) if is_text else close}?"
    )


def _together(config: Config, section: Section) -> list[str]:
    """Mistakes that only several keys together show."""

    def where(*keys: str) -> str:
        found: Located | None = None
        below: object = section
        for key in keys:
            found = below.get(key) if isinstance(below, dict) else None
            below = found.value if found is not None else None
        return found.where() if found is not None else ".".join(keys)

    journal, mistakes = config.journal, []
    if journal.retain_bytes < 2 * journal.segment_bytes:
        mistakes.append(
            f"{where('journal', 'retain_bytes')}: expected at least two segments "
            f"({kinds.render_size(2 * journal.segment_bytes)}), got {kinds.render_size(journal.retain_bytes)}"
        )
    if not config.enabled_venues():
        mistakes.append(
            f"{where('venues')}: every venue is disabled; enable one of {', '.join(config.venues.__struct_fields__)}"
        )
    tape = config.record.tape
    if tape is not None and not tape.parent.is_dir():
        mistakes.append(f"{where('record', 'tape')}: {tape}: the directory does not exist")
    elif tape is not None and tape.exists():
        mistakes.append(f"{where('record', 'tape')}: {tape} exists; a tape is never overwritten")
    elif tape is not None and tape == config.dead_letters_file():
        mistakes.append(f"{where('record', 'tape')}: {tape}: is the dead letters' file; expected one of its own")
    return mistakes
