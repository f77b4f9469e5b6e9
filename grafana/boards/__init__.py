"""The dashboards, in the order of their menu. A new one is a file here and a line below."""

from __future__ import annotations

from typing import Final

from grafana.boards.alerts import ALERTS
from grafana.boards.instrument import INSTRUMENT
from grafana.boards.overview import OVERVIEW
from grafana.boards.pipeline import PIPELINE
from grafana.boards.telemetry import TELEMETRY
from grafana.boards.venue import VENUE
from grafana.model import Board

BOARDS: Final[tuple[Board, ...]] = (OVERVIEW, VENUE, INSTRUMENT, PIPELINE, TELEMETRY, ALERTS)
