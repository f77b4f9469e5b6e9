"""The model of the configuration in words: the file that `marketprism init` writes, and docs/configuration.md.

Both are made from `model`, so they cannot promise a key that does not exist. The file loads to exactly the defaults: a
default that depends on the machine stands as `null`, with words beside it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from collector.config.load import options
from collector.config.model import Config, Option
from collector.config.source import CONFIG_VARIABLE, variable

_WIDTH = 120
_HEAD = f"""\
MarketPrism's configuration: every key with its default.

A key that is left out, or null, has its default. Sizes are bytes or text (64MiB), durations seconds or text (500ms,
1h, 7d). Each key can be set by a variable of the environment too, which wins over this file: journal.directory is
{variable("journal.directory")}, and a list is written A,B. Use this file with `marketprism run --config FILE` or
{CONFIG_VARIABLE}=FILE.
"""


def default_file() -> str:
    """A commented configuration that loads to the defaults."""
    lines = [*_comment(_HEAD, ""), ""]
    for path, option, default in options(Config):
        depth = path.count(".")
        indent, key = "  " * depth, path.rpartition(".")[2]
        if isinstance(option, Option):
            lines += [*_comment(_sentence(option), indent), f"{indent}{key}: {_shown(option, default)}"]
        else:
            lines += ["", *_comment(_first_paragraph(option), indent), f"{indent}{key}:"]
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/configuration.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Configuration\n"
    yield "Made from the code by `make docs`; do not edit.\n"
    yield "One YAML file and the environment. The file is named by `--config` or `MARKETPRISM_CONFIG`; without one the"
    yield "defaults below hold. `marketprism init` writes a commented file with every default.\n"
    yield "- A key that is left out, or `null`, has its default."
    yield "- Sizes are bytes or text (`64MiB`, `20GiB`), durations seconds or text (`500ms`, `30s`, `1h`, `7d`)."
    yield "- Each key has a variable, which wins over the file; a list is written `A,B`:"
    yield f"  `journal.directory` is `{variable('journal.directory')}`."
    yield "- All is checked at start. Every mistake is told with its place, what was expected and the nearest valid"
    yield "  name; the exit code is 2."
    yield "- No secret has a default, and a placeholder (`changeme`, `your-…`) is refused. Plain `ws://` and `http://`"
    yield "  are taken for loopback only.\n"
    entries = [("", Config, None), *options(Config)]
    for (path, option, default), (following, _, _) in pairwise([*entries, ("", Config, None)]):
        if isinstance(option, Option):
            yield f"| `{path}` | {option.kind.expected} | {_default(option, default)} | {option.doc} |"
            continue
        if path:
            yield f"\n## {path}\n"
            yield _first_paragraph(option) + "\n"
        if following.startswith(f"{path}." if path else "instance_id") and following != "venues.binance":
            yield "| key | expected | default | meaning |\n|---|---|---|---|"


def _default(option: Option, default: object) -> str:
    return option.default_text or f"`{_shown(option, default)}`"


def _shown(option: Option, default: object) -> str:
    return "null" if option.default_text is not None or default is None else option.kind.render(default)


def _sentence(option: Option) -> str:
    expected = option.kind.expected.partition(", such as")[0]
    default = f" Default: {option.default_text.replace('`', '')}." if option.default_text else ""
    return f"{option.doc} [{expected}]{default}"


def _first_paragraph(cls: type[Struct]) -> str:
    return (cls.__doc__ or "").split("\n\n")[0]


def _comment(text: str, indent: str) -> list[str]:
    lines = []
    for paragraph in text.strip().split("\n\n"):
        wrapped = textwrap.wrap(" ".join(paragraph.split()), _WIDTH - len(indent) - 2)
        lines += [f"{indent}# {line}" for line in wrapped] + [f"{indent}#"]
    return lines[:-1]
