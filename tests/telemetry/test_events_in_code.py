"""The code logs only what the schema declares: name, level and fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.model import Registry
from telemetry.registry import load_registry

ROOT = Path(__file__).parents[2]
PACKAGES = ("collector", "telemetry", "alerting")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ALWAYS = {"exc_info", "suppressed"}
REGISTRY = load_registry()


def log_calls(tree: ast.Module) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Calls of a method of something named log, or of get_logger(), each with the function that it stands in."""
    inside: dict[ast.AST, ast.AST] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(dict.fromkeys(ast.walk(function), function))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            on = call.func.value.func if isinstance(call.func.value, ast.Call) else call.func.value
            name = on.id if isinstance(on, ast.Name) else on.attr if isinstance(on, ast.Attribute) else ""
            if name.lstrip("_") in {"log", "logger", "get_logger"}:
                yield call, inside.get(call, tree)


def fields_of(call: ast.Call, function: ast.AST) -> Iterator[str]:
    """The names of a call's keywords; behind `**fields` every key that the function puts into `fields`."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
            continue
        name, found = ast.unparse(keyword.value), False
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) or node.value is None:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if ast.unparse(target) == name:
                    found = True
                    dicts = [part for part in ast.walk(node.value) if isinstance(part, ast.Dict)]
                    yield from (ast.literal_eval(key) for part in dicts for key in part.keys if key is not None)
                elif isinstance(target, ast.Subscript) and ast.unparse(target.value) == name:
                    yield ast.literal_eval(target.slice)
        if not found:
            yield f"**{name}"


def complaints(source: str, where: str, registry: Registry = REGISTRY) -> Iterator[str]:
    """What is wrong with the log calls of a source text."""
    keys = {attribute.key for attribute in registry.attributes.values()}
    for call, function in log_calls(ast.parse(source)):
        assert isinstance(call.func, ast.Attribute)
        place = f"{where}:{call.lineno}"
        method = call.func.attr
        if method == "bind":
            yield from (f"{place}: bind: no attribute {key}" for key in fields_of(call, function) if key not in keys)
        if method not in LEVELS:
            continue
        event = call.args[0] if call.args else None
        if not (isinstance(event, ast.Constant) and isinstance(event.value, str) and event.value in registry.events):
            yield f"{place}: {ast.unparse(event) if event else 'nothing'} is no event of telemetry/schema/events.yaml"
            continue
        declared = registry.events[event.value]
        level = method.replace("exception", "error")
        if level != declared.severity:
            yield f"{place}: {declared.name} is logged as {level}, the schema says {declared.severity}"
        allowed = ALWAYS | {attribute.key for attribute in declared.attributes}
        for name in fields_of(call, function):
            if name not in allowed:
                yield f"{place}: {declared.name} has no field {name}"


def test_the_code_logs_only_declared_events_and_fields() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert files
    found = [line for path in files for line in complaints(path.read_text("utf-8"), str(path.relative_to(ROOT)))]
    assert found == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('log.info("marketprism.book.synced", venue="kraken", suppressed=1)', ""),
        ('self._log.warning("marketprism.book.gap", gap_first="1")', ""),
        ('print.info("anything")', ""),
        ('log.info("book synced")', "'book synced' is no event"),
        ('log.info(f"marketprism.{x}")', "is no event"),
        ("self._log.info()", "nothing is no event"),
        ('log.error("marketprism.book.synced")', "is logged as error, the schema says info"),
        ('log.info("marketprism.book.synced", vanue="kraken")', "has no field vanue"),
        ('log.info("marketprism.book.synced", **more)', "has no field **more"),
        ('def f():\n more = {"depth": 1}\n more["venue"] = 2\n log.info("marketprism.book.synced", **more)', ""),
        ('def f():\n more = {} if x else {"size": 1}\n log.info("marketprism.book.synced", **more)', "no field size"),
        ('def f():\n more = {}\n more["size"] = 1\n log.info("marketprism.book.synced", **more)', "no field size"),
        ('log = get_logger(__name__).bind(venue="kraken", vanue="kraken")', "bind: no attribute vanue"),
        ('get_logger(__name__).info("synced")', "'synced' is no event"),
    ],
)
def test_the_check_itself_sees_what_is_not_declared(call: str, expected: str) -> None:
    found = "\n".join(complaints(call, "x.py"))
    assert (expected in found) if expected else not found
