"""Boards as Grafana's JSON, by its foundation SDK. The one module that knows either.

It owns the grid, the variables, the annotations and every default that the SDK leaves empty; it must never know a
metric but theirs. Every panel gets thresholds, a unit and its data source by variable, since what is left out is not
empty in Grafana but a default: a red line at 80.
JSON: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

from alerting.rules.model import SERIES
from grafana import queries as q
from grafana.model import COLUMNS, Board, Kind, Panel, Query, Variable

with warnings.catch_warnings():
    # It prefers a newer layout of dashboards, which only the newest Grafana reads, and says so as it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        common,
        dashboard,
        logs,
        loki,
        prometheus,
        stat,
        statetimeline,
        table,
        timeseries,
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as kinds
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TAG: Final = "marketprism"
METRICS: Final = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")
LOGS: Final = kinds.DataSourceRef(type_val="loki", uid="${logs}")
SOURCES: Final = (("datasource", "prometheus", "Metrics"), ("traces", "jaeger", "Traces"), ("logs", "loki", "Logs"))
"""The variables of data sources: name, type, label."""
STEP_S: Final = 15
ANNOTATIONS: Final = (
    (
        "Gaps",
        "red",
        Query(
            text=(
                "sum by (marketprism_venue, marketprism_market, marketprism_channel) "
                f"(increase(marketprism_gaps_total{q.where('instance')}[{STEP_S}s])) > 0"
            ),
            legend="gap in {{marketprism_venue}} {{marketprism_market}} {{marketprism_channel}}",
            fault="messages of a book are lost",
        ),
    ),
    (
        "Resyncs",
        "orange",
        Query(
            text=(
                "sum by (marketprism_venue, marketprism_market) "
                f"(increase(marketprism_book_syncs_total{q.where('instance')}[{STEP_S}s])) > 0"
            ),
            legend="books of {{marketprism_venue}} {{marketprism_market}} synced",
            fault="messages of a book are lost",
        ),
    ),
    (
        "Restarts",
        "purple",
        Query(
            text=f"sum by (instance) (resets(process_cpu_time_seconds_total{q.where('instance')}[{2 * STEP_S}s])) > 0",
            legend="{{instance}} was restarted",
            fault="the collector is restarted",
        ),
    ),
)
"""What is drawn on every dashboard: name, colour, query."""


def text(board: Board) -> str:
    """The dashboard as it is committed."""
    tree = json.loads(json.dumps(build(board), cls=JSONEncoder))
    for shown in (*tree["links"], *tree["annotations"]["list"]):
        del shown["placement"]  # the SDK knows one place, a menu that nobody opens
    return json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def build(board: Board) -> model.Dashboard:
    """The dashboard. Panels are numbered in the order of reading, so that a link to one stays."""
    built = (
        dashboard.Dashboard(f"MarketPrism: {board.title}")
        .uid(board.uid)
        .description(board.says)
        .tags([TAG])
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh("5s")
        .time(board.since, "now")
        .editable()
        .link(
            dashboard.DashboardLink("Dashboards")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)  # noqa: FBT003 - the SDK's own way
            .keep_time(True)  # noqa: FBT003
        )
    )
    for name, kind, label in SOURCES:
        built = built.with_variable(dashboard.DatasourceVariable(name).label(label).type(kind))
    for number, variable in enumerate(board.variables):
        built = built.with_variable(_variable(variable, board.variables[:number], one=board.one))
    for name, color, query in ANNOTATIONS:
        built = built.annotation(_annotation(name, color, query))
    y = number = 0
    for row in board.rows:
        number += 1
        heading = dashboard.Row(row.title).id(number).grid_pos(model.GridPos(h=1, w=COLUMNS, x=0, y=y))
        built = built.with_row(heading)
        y, x = y + 1, 0
        for panel in row.panels:
            number += 1
            place = model.GridPos(h=row.height, w=panel.width, x=x, y=y)
            built = built.with_panel(_panel(panel).id(number).grid_pos(place))
            x += panel.width
            if x >= COLUMNS:
                x, y = 0, y + row.height
    return built.build()


def _variable(name: Variable, before: tuple[Variable, ...], *, one: bool) -> dashboard.QueryVariable:
    """The values of a label, of the series that fit the variables before it."""
    several = not one or name == "channel"
    metric = "marketprism_up" if name == "instance" else "marketprism_verdict"
    matchers = q.where(*before, one=one) if before else ""
    variable = (
        dashboard.QueryVariable(name)
        .label({"instance": "Collector"}.get(name, name.capitalize()))
        .datasource(METRICS)
        .query({"query": f"label_values({metric}{matchers}, {SERIES[name]})", "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    return variable.current(model.VariableOption(text=["All"], value=["$__all"])) if several else variable


def _annotation(name: str, color: str, query: Query) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(METRICS)
        .enable(True)  # noqa: FBT003
        .icon_color(color)
        .expr(query.text)
        .step(f"{STEP_S}s")
        .title_format(query.legend)
        .target(_metrics(query, "Anno", at_once=False))
    )


def _metrics(query: Query, name: str, *, at_once: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.text).ref_id(name).legend_format(query.legend or "__auto")
    target = target.datasource(METRICS).exemplar(query.exemplars)
    return target.instant() if at_once else target.range()


def _panel(panel: Panel) -> Any:  # noqa: ANN401 - the SDK's builders have no type in common
    built = (
        _KINDS[panel.kind](panel)
        .title(panel.title)
        .description(panel.says)
        .datasource(LOGS if panel.kind == "logs" else METRICS)
        .unit(panel.unit)
        .no_value(panel.empty)
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(model.ThresholdsMode.ABSOLUTE)
            .steps([model.Threshold(value=value, color=color) for value, color in panel.steps])
        )
        .data_links([dashboard.DashboardLink(link.title).url(link.url) for link in panel.links])
    )
    if panel.names:
        results = {
            str(code): model.ValueMappingResult(text=text, color=color, index=index)
            for index, (code, (text, color)) in enumerate(panel.names.items())
        }
        built = built.mappings([model.ValueMap(options=results)])
    if panel.decimals is not None:
        built = built.decimals(panel.decimals)
    for number, query in enumerate(panel.queries):
        name = chr(ord("A") + number)
        if panel.kind == "logs":
            target = loki.Dataquery().expr(query.text).ref_id(name).query_type("range").datasource(LOGS)
            built = built.with_target(target)
        elif panel.kind == "table":
            found = _metrics(query, name, at_once=True).format(PromQueryFormat.TABLE)
            built = built.with_target(found)
        else:
            built = built.with_target(_metrics(query, name, at_once=panel.kind == "stat"))
    return built


def _stat(panel: Panel) -> stat.Panel:
    several = bool(panel.queries[0].legend)
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003
        .color_mode(kinds.BigValueColorMode.BACKGROUND)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if several else kinds.BigValueTextMode.VALUE)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    )


def _graph(panel: Panel) -> timeseries.Panel:
    limited = len(panel.steps) > 1
    style = kinds.GraphThresholdsStyleMode.DASHED if limited else kinds.GraphThresholdsStyleMode.OFF
    built = (
        timeseries.Panel()
        .draw_style(kinds.GraphDrawStyle.LINE)
        .fill_opacity(30 if panel.kind == "stack" else 0)
        .line_width(1)
        .show_points(kinds.VisibilityMode.AUTO)
        .span_nulls(False)  # noqa: FBT003 - where nothing was measured, nothing is drawn
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(_legend())
        .tooltip(_tooltip())
    )
    return built.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL)) if panel.kind == "stack" else built


def _timeline(_: Panel) -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .show_value(kinds.VisibilityMode.NEVER)
        .row_height(0.8)
        .merge_values(True)  # noqa: FBT003
        .fill_opacity(80)
        .line_width(0)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .legend(_legend())
        .tooltip(_tooltip())
    )


def _table(panel: Panel) -> table.Panel:
    order = {label: number for number, label in enumerate(panel.columns)} | {"Value": len(panel.columns)}
    organized = {
        "excludeByName": {"Time": True},
        "indexByName": order,
        "renameByName": {**panel.columns, "Value": panel.value},
    }
    return (
        table.Panel()
        .show_header(True)  # noqa: FBT003
        .cell_height(kinds.TableCellHeight.SM)
        .filterable(True)  # noqa: FBT003
        .cell_options(kinds.TableColorTextCellOptions())
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .sort_by([common.TableSortByFieldState().display_name(panel.value).desc(True)])  # noqa: FBT003
        .with_transformation(model.DataTransformerConfig(id_val="organize", options=organized))
    )


def _logs(_: Panel) -> logs.Panel:
    return logs.Panel().show_time(True).enable_log_details(True).wrap_log_message(True)  # noqa: FBT003


_KINDS: Final[Mapping[Kind, Callable[[Panel], Any]]] = {
    "stat": _stat,
    "graph": _graph,
    "stack": _graph,
    "timeline": _timeline,
    "table": _table,
    "logs": _logs,
}


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)  # noqa: FBT003
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
