"""Reads the telemetry schema, `schema/*.yaml`, and checks it as a whole.

It owns the format of the files; it must never guess: whatever is wrong, missing or there twice is named with its
file. The files are in the format of OpenTelemetry's weaver, so that its tools can read them too; what weaver has no
words for (bounds, buckets, codes, severities, the name of a span) stands in `annotations.marketprism`.

Syntax: https://github.com/open-telemetry/weaver/blob/main/schemas/semconv-syntax.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from telemetry.model import (
    PREFIX,
    UNITS,
    Attribute,
    AttributeUse,
    Emitter,
    Entity,
    Event,
    Instrument,
    Metric,
    Registry,
    SchemaError,
    Severity,
    Span,
    SpanKind,
    ValueType,
    nearest,
    prometheus_name,
)

SCHEMA_DIR = Path(__file__).parent / "schema"
DEFAULT_SERIES_BOUND = 2000
"""Series that a metric may have where the schema does not say: the OpenTelemetry SDK's own limit."""

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C where it was built: it reads the registry ten times as fast."""
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


def load_registry(directory: Path = SCHEMA_DIR) -> Registry:
    """Read and check every `*.yaml` of the folder. SchemaError names the file and the place."""
    groups: list[tuple[Path, _Group]] = []
    for path in sorted(directory.glob("*.yaml")):
        if path.name == "registry_manifest.yaml":
            continue
        try:
            tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is the safe one
            file = msgspec.convert(tree, _File)
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise SchemaError(f"{path}: {error}") from error
        groups += [(path, group) for group in file.groups]
    if not groups:
        raise SchemaError(f"{directory}: no schema files (*.yaml) there")
    return _build(groups)


# The files as they are written ------------------------------------------------------------


class _Wire(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    brief: str = ""
    note: str = ""
    stability: str = ""


class _Member(_Wire, frozen=True, kw_only=True):
    id: str
    value: str


class _Members(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    members: list[_Member]


class _Notes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """annotations.marketprism: each key is for one kind of definition, as `_build` checks."""

    bound: int | None = None
    buckets: list[float] = []
    codes: dict[str, int] = {}
    severity: Severity | None = None
    emitter: Emitter | None = None
    name: str | None = None


class _Annotations(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    marketprism: _Notes = _Notes()


class _Ref(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    ref: str
    requirement_level: str | dict[str, str] = "recommended"


class _Definition(_Wire, frozen=True, kw_only=True):
    id: str
    type: ValueType | _Members
    examples: list[str | int | float] = []
    annotations: _Annotations = _Annotations()


class _AttributeGroup(_Wire, tag_field="type", tag="attribute_group", frozen=True, kw_only=True):
    id: str
    attributes: list[_Definition]


class _MetricGroup(_Wire, tag_field="type", tag="metric", frozen=True, kw_only=True):
    id: str
    metric_name: str
    instrument: Instrument
    unit: str
    attributes: list[_Ref] = []
    annotations: _Annotations = _Annotations()


class _EventGroup(_Wire, tag_field="type", tag="event", frozen=True, kw_only=True):
    id: str
    name: str
    attributes: list[_Ref] = []
    annotations: _Annotations = _Annotations()


class _SpanGroup(_Wire, tag_field="type", tag="span", frozen=True, kw_only=True):
    id: str
    span_kind: SpanKind
    attributes: list[_Ref]
    annotations: _Annotations = _Annotations()


class _EntityGroup(_Wire, tag_field="type", tag="entity", frozen=True, kw_only=True):
    id: str
    name: str
    attributes: list[_Ref]


_Group = _AttributeGroup | _MetricGroup | _EventGroup | _SpanGroup | _EntityGroup


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    groups: list[_Group]


# From the files to the registry ------------------------------------------------------------


def _build(groups: list[tuple[Path, _Group]]) -> Registry:
    attributes: dict[str, Attribute] = {}
    for path, group in groups:
        if isinstance(group, _AttributeGroup):
            for definition in group.attributes:
                _add(path, attributes, _attribute(path, definition))
    _check_attribute_names(attributes)
    metrics: dict[str, Metric] = {}
    events: dict[str, Event] = {}
    entities: dict[str, Entity] = {}
    spans: dict[str, Span] = {}
    for path, group in groups:
        if isinstance(group, _MetricGroup):
            _add(path, metrics, _metric(path, group, attributes))
        elif isinstance(group, _EventGroup):
            _add(path, events, _event(path, group, attributes))
        elif isinstance(group, _SpanGroup):
            _add(path, spans, _span(path, group, attributes))
        elif isinstance(group, _EntityGroup):
            found = tuple(use.attribute for use in _uses(path, group.name, group.attributes, attributes))
            _add(path, entities, Entity(group.name, group.brief.strip(), found))
    names: dict[str, str] = {}
    for metric in metrics.values():
        for sample in metric.samples:
            if sample in names:
                raise SchemaError(f"{metric.name} and {names[sample]} are both {sample} in Prometheus")
            names[sample] = metric.name
    return Registry(attributes, metrics, events, entities, spans)


_Named = TypeVar("_Named", Attribute, Metric, Event, Entity, Span)


def _add(path: Path, known: dict[str, _Named], new: _Named) -> None:
    if new.name in known:
        raise SchemaError(f"{path}: {new.name} is defined twice")
    if not new.brief:
        raise SchemaError(f"{path}: {new.name}: brief: expected a sentence that says what it is")
    known[new.name] = new


def _attribute(path: Path, definition: _Definition) -> Attribute:
    name = definition.id
    _check_name(path, name)
    notes = _only(path, name, definition.annotations, "bound")
    if isinstance(definition.type, _Members):
        members = {member.value: member.brief for member in definition.type.members}
        if notes.bound is not None:
            raise SchemaError(f"{path}: {name}: bound: its members are its bound")
        if len(members) != len(definition.type.members):
            raise SchemaError(f"{path}: {name}: a member is there twice")
        kind: ValueType = "string"
        bound: int | None = len(members)
    else:
        members, kind, bound = {}, definition.type, notes.bound
    key = name.removeprefix(PREFIX).replace(".", "_")
    return Attribute(name, key, kind, definition.brief.strip(), members, bound, tuple(definition.examples))


def _metric(path: Path, group: _MetricGroup, attributes: Mapping[str, Attribute]) -> Metric:
    name = group.metric_name
    _check_name(path, name)
    _check_id(path, group.id, f"metric.{name}")
    if group.unit not in UNITS and not re.fullmatch(r"\{[a-z_]+\}", group.unit):
        raise SchemaError(f"{path}: {name}: unit: expected s, By, 1 or {{thing}}, found {group.unit!r}")
    own = "buckets" if group.instrument == "histogram" else "codes"
    notes = _only(path, name, group.annotations, "bound", own, "emitter")
    if group.instrument == "histogram" and not (notes.buckets and all(a < b for a, b in pairwise(notes.buckets))):
        raise SchemaError(
            f"{path}: {name}: annotations.marketprism.buckets: expected rising bounds, found {notes.buckets}"
        )
    uses = tuple(_uses(path, name, group.attributes, attributes))
    for use in uses:
        if use.attribute.bound is None:
            raise SchemaError(
                f"{path}: {name}: {use.attribute.name} has no annotations.marketprism.bound: no metric may carry it"
            )
    return Metric(
        name=name,
        prometheus=prometheus_name(name, group.unit, group.instrument),
        instrument=group.instrument,
        unit=group.unit,
        brief=group.brief.strip(),
        attributes=uses,
        buckets=tuple(float(bound) for bound in notes.buckets),
        codes=notes.codes,
        bound=DEFAULT_SERIES_BOUND if notes.bound is None else notes.bound,
        emitter=notes.emitter or "cells",
    )


def _event(path: Path, group: _EventGroup, attributes: Mapping[str, Attribute]) -> Event:
    _check_name(path, group.name)
    _check_id(path, group.id, f"event.{group.name}")
    notes = _only(path, group.name, group.annotations, "severity")
    if notes.severity is None:
        raise SchemaError(
            f"{path}: {group.name}: annotations.marketprism.severity: expected debug, info, warning, error or critical"
        )
    found = tuple(use.attribute for use in _uses(path, group.name, group.attributes, attributes))
    return Event(group.name, notes.severity, group.brief.strip(), found)


def _span(path: Path, group: _SpanGroup, attributes: Mapping[str, Attribute]) -> Span:
    name = group.id.removeprefix("span.")
    _check_id(path, group.id, f"span.{name}")
    _check_name(path, name)
    notes = _only(path, name, group.annotations, "name")
    uses = tuple(_uses(path, name, group.attributes, attributes))
    return Span(notes.name or name, group.span_kind, group.brief.strip(), uses)


def _uses(path: Path, owner: str, refs: list[_Ref], attributes: Mapping[str, Attribute]) -> Iterator[AttributeUse]:
    seen: set[str] = set()
    for ref in refs:
        if ref.ref not in attributes:
            raise SchemaError(f"{path}: {owner}: {ref.ref}: no such attribute{nearest(ref.ref, attributes)}")
        if ref.ref in seen:
            raise SchemaError(f"{path}: {owner}: {ref.ref} is there twice")
        seen.add(ref.ref)
        yield AttributeUse(attributes[ref.ref], required=ref.requirement_level == "required")


def _only(path: Path, name: str, annotations: _Annotations, *allowed: str) -> _Notes:
    """Our annotations, when they are of the kind that this definition may have."""
    notes = annotations.marketprism
    for field in _Notes.__struct_fields__:
        if getattr(notes, field) not in (None, [], {}) and field not in allowed:
            raise SchemaError(f"{path}: {name}: annotations.marketprism.{field}: expected only {', '.join(allowed)}")
    return notes


def _check_name(path: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SchemaError(f"{path}: {name}: expected lower-case words joined by dots, as in marketprism.gap.cause")


def _check_id(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise SchemaError(f"{path}: id: expected {expected}, found {found}")


def _check_attribute_names(attributes: Mapping[str, Attribute]) -> None:
    """A key or label means one attribute, and no name begins another (OpenTelemetry's naming rules)."""
    keys: dict[str, str] = {}
    for attribute in attributes.values():
        for short in {attribute.key, attribute.label}:
            if short in keys:
                raise SchemaError(f"{attribute.name} and {keys[short]} are both {short}")
            keys[short] = attribute.name
        for other in attributes:
            if other.startswith(attribute.name + "."):
                raise SchemaError(f"{attribute.name} is also the namespace of {other}")
