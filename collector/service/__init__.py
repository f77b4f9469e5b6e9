"""The running collector: builds everything from the configuration, keeps it going, ends it in order.

`app` owns start, signals and shutdown; `building` the wiring of feeds; `collection` the way of the records; the rest
are single duties. Only this package knows both the data path and telemetry of the process; nothing below it imports
it.
"""

from collector.service.app import ServiceError, record, run

__all__ = ["ServiceError", "record", "run"]
