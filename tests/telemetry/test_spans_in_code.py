"""The code makes only spans that the schema declares, and each that it declares; likewise every event is logged."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.registry import load_registry

ROOT = Path(__file__).parents[2]
REGISTRY = load_registry()
PATHS = [path for package in ("collector", "telemetry", "alerting") for path in (ROOT / package).rglob("*.py")]
SOURCES = {path: path.read_text("utf-8") for path in PATHS}


def span_calls(source: str) -> Iterator[tuple[int, ast.expr | None]]:
    """Line and first argument of each call of `span`, `begin` or `new_ref` on something named tracer."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            if call.func.attr not in {"span", "begin", "new_ref"}:
                continue
            on = call.func.value
            name = on.id if isinstance(on, ast.Name) else on.attr if isinstance(on, ast.Attribute) else ""
            if name.lstrip("_") == "tracer":
                yield call.lineno, call.args[0] if call.args else None


def complaints(source: str, where: str) -> Iterator[str]:
    for line, name in span_calls(source):
        if isinstance(name, ast.Name | ast.Attribute):
            continue  # handed on: where it comes from is a call of its own, and the tracer checks it
        if not (isinstance(name, ast.Constant) and name.value in REGISTRY.spans):
            said = ast.unparse(name) if name else "nothing"
            yield f"{where}:{line}: {said} is no span of telemetry/schema/spans.yaml"


def constants() -> set[str]:
    """Every text in the code."""
    trees = (ast.parse(source) for source in SOURCES.values())
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_code_makes_only_declared_spans() -> None:
    assert [line for path, source in SOURCES.items() for line in complaints(source, str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('tracer.span("marketprism.gap", 1, 2, {})', ""),
        ('self._tracer.begin("marketprism.gapp", 1, {})', "'marketprism.gapp' is no span"),
        ('parts.tracer.new_ref(f"x{y}")', "is no span"),
        ("tracer.span()", "nothing is no span"),
        ('match.span("x")', ""),
    ],
)
def test_the_check_itself_sees_what_is_not_declared(call: str, expected: str) -> None:
    found = "\n".join(complaints(call, "x.py"))
    assert (expected in found) if expected else not found


def test_the_schema_promises_no_span_and_no_event_that_nothing_makes() -> None:
    said = constants()
    assert [name for name in REGISTRY.spans if name not in said] == []
    assert [name for name in REGISTRY.events if name not in said] == []
