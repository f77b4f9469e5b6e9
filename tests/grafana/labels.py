"""Which labels the series of an expression have: what a legend or a link may name."""

from __future__ import annotations

import re
from typing import Any

import promql_parser as promql

from tests.promql import EVERYWHERE, OTHERS, OURS, RECORDED


def labels(expression: str) -> set[str]:
    """The labels that its series can have."""
    return _of(promql.parse(expression))


def _of(node: Any) -> set[str]:
    found: set[str] = set()
    match node:
        case promql.VectorSelector():
            found = _of_metric(node.name or "")
        case promql.MatrixSelector():
            found = _of(node.vector_selector)
        case promql.AggregateExpr():
            kept = _of(node.expr)
            if node.modifier is not None and node.modifier.type == promql.AggModifierType.By:
                found = kept & set(node.modifier.labels)
            elif node.modifier is not None:
                found = kept - set(node.modifier.labels)
        case promql.BinaryExpr():
            left, right = _of(node.lhs), _of(node.rhs)
            found = left | right if str(node.op) == "or" else left or right  # a number has no labels
        case promql.Call():
            found = set().union(*(_of(argument) for argument in node.args))
            if node.func.name == "label_replace":
                found |= {node.args[1].val}
            elif node.func.name == "histogram_quantile":
                found -= {"le"}
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            found = _of(node.expr)
    return found


def _of_metric(name: str) -> set[str]:
    if name in OURS:
        bound = {"le"} if name.endswith("_bucket") else set()
        return EVERYWHERE | {use.attribute.label for use in OURS[name].attributes} | bound
    if name in OTHERS:
        return EVERYWHERE | OTHERS[name]
    if not name:  # whatever has a certain label
        return EVERYWHERE
    assert name in RECORDED, name
    return {"slo"}


def named(text: str) -> set[str]:
    """The labels that a legend, or a link, fills in."""
    found = re.findall(r"\{\{(\w+)\}\}|\$\{(?:__field\.labels|__data\.fields)\.(\w+)\}", text)
    return {one or other for one, other in found}
