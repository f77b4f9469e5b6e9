"""What the tests of the real stack share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import build, programs
from tools.components import Ports
from tools.go import toolchain
from tools.stack import Stack


@pytest.fixture(scope="session")
def built() -> list[Path]:
    """The programs of the stack: from the cache, or minutes of building."""
    needed = (programs.OTELCOL, programs.PROMETHEUS, programs.JAEGER)
    return [build.ensure(program, lambda: toolchain(build.say)) for program in needed]


@pytest.fixture(scope="module")
def stack(built: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The real stack on ports of its own."""
    assert all(built)
    with Stack(ports=Ports.free(), data=tmp_path_factory.mktemp("stack")) as running:
        yield running
