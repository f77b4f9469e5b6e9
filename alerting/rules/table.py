"""The table: every alert, in the order in which people read it."""

from __future__ import annotations

from typing import Final

from alerting.rules.core import CORE
from alerting.rules.data import DATA
from alerting.rules.model import Rule
from alerting.rules.slo import OBJECTIVES, alerts
from alerting.rules.watching import WATCHING, metric_missing

OF_OBJECTIVES: Final = tuple(rule for objective in OBJECTIVES for rule in alerts(objective))
PLAIN: Final = (*CORE, *DATA, *WATCHING)
RULES: Final[tuple[Rule, ...]] = (*PLAIN, metric_missing(PLAIN), *OF_OBJECTIVES)
