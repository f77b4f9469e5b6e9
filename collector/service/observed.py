"""The telemetry of a service, from before its first log line to after its last.

It owns the order: secrets are known before anything is said, and telemetry ends last, so that it carries how the rest
ended. What was left of it is logged. It decides nothing about data.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from telemetry.logs import configure_logs, get_logger
from telemetry.process import watch_process
from telemetry.redaction import register_secret
from telemetry.setup import start_telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collector.config import Config
    from telemetry.cells import Metrics
    from telemetry.setup import Telemetry

log = get_logger("collector.service")


@contextlib.asynccontextmanager
async def observed(config: Config, metrics: Metrics, version: str) -> AsyncIterator[Telemetry]:
    """Logs, metrics of the process, and whatever the environment wants exported. TelemetryError if that is wrong."""
    for secret in _secrets(config):
        register_secret(secret)
    telemetry = start_telemetry(
        metrics, service_version=version, instance_id=config.instance_id, loop=asyncio.get_running_loop()
    )
    configure_logs(config.log.level, config.log.style, metrics=metrics, export=telemetry.log)
    watch_process(metrics, version)
    metrics.gauge("marketprism.up").cell().n = 1
    try:
        yield telemetry
    finally:
        for signal, left in (await telemetry.shutdown()).items():
            if left:
                log.warning("marketprism.telemetry.left", telemetry_signal=signal, left=left)


def _secrets(config: Config) -> set[str]:
    """Passwords in addresses, as they stand and decoded."""
    urls = [url for venue in config.enabled_venues().values() for url in (venue.ws_url, venue.rest_url) if url]
    passwords = {password for url in urls if (password := urlsplit(url).password)}
    return passwords | {unquote(password) for password in passwords}
