"""What each channel was told, kept over a restart: so that an identical delivery is not told twice.

It owns one small SQLite file and a copy of it in memory: questions are answered from memory, so a disk that fails
costs nothing but the protection against a repetition after a restart, and that is told (`trouble`). What is older
than the window is forgotten, for then the same again is a reminder; that bounds both. When messages were sent is kept
likewise, so that a restart does not spend a robot's minute twice.

Times are seconds since 1970, for they outlive the process.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from alerting.bridge.webhook import Delivery
from alerting.errors import AlertingError
from telemetry.logs import get_logger

log = get_logger("alerting.bridge")

FILE = "delivered.sqlite3"
SENT_S = 120.0
"""How long it is kept when messages were sent: longer than any robot counts."""
_TABLES = """
CREATE TABLE IF NOT EXISTS told (channel TEXT, grp TEXT, fingerprint TEXT, state TEXT, at REAL,
                                 PRIMARY KEY (channel, grp, fingerprint)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (channel TEXT, at REAL);
CREATE INDEX IF NOT EXISTS told_at ON told (at);
"""


class MemoryUnusableError(AlertingError):
    """The directory cannot be written."""


class Memory:
    """What was told, per channel, group and alert; the last `window_s` seconds of it."""

    def __init__(self, directory: Path, window_s: float, now: float) -> None:
        """Raises MemoryUnusableError when there is no place to remember."""
        self.path = directory / FILE
        self.trouble = ""
        self._window_s = window_s
        self._told: dict[tuple[str, str], dict[str, tuple[str, float]]] = {}
        self._sent: list[tuple[str, float]] = []
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._database = self._open(now)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                # Alerts matter more than a possible repetition: what is broken is kept aside, and a new one begun.
                self._say(f"was not readable ({error}) and is kept as {FILE}.broken")
                for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        (directory / name).replace(directory / f"{name}.broken")
                self._database = self._open(now)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise MemoryUnusableError(f"MARKETPRISM_BRIDGE_DATA: {directory}: cannot be written: {reason}") from error

    def _open(self, now: float) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None, timeout=1.0)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.executescript(_TABLES)
            self._forget(database, now)
            for channel, group, fingerprint, state, at in database.execute("SELECT * FROM told"):
                self._told.setdefault((channel, group), {})[fingerprint] = (state, at)
            self._sent = list(database.execute("SELECT channel, at FROM sent"))
        except BaseException:
            database.close()
            raise
        return database

    def knows(self, channel: str, delivery: Delivery, now: float) -> bool:
        """Whether the channel was told all of this within the window, and nothing else of these alerts since."""
        told = self._told.get((channel, delivery.group_key), {})
        return all(
            fingerprint in told and told[fingerprint][0] == state and 0 <= now - told[fingerprint][1] < self._window_s
            for fingerprint, state in delivery.state
        )

    def tell(self, channel: str, deliveries: Iterable[Delivery], now: float) -> None:
        """The channel was told of these."""
        rows = [
            (channel, delivery.group_key, fingerprint, state, now)
            for delivery in deliveries
            for fingerprint, state in sorted(delivery.state)
        ]
        for _, group, fingerprint, state, at in rows:
            self._told.setdefault((channel, group), {})[fingerprint] = (state, at)
        for key, told in list(self._told.items()):
            kept = {name: known for name, known in told.items() if now - known[1] < self._window_s}
            if kept:
                self._told[key] = kept
            else:
                del self._told[key]

        def write(database: sqlite3.Connection) -> None:
            self._forget(database, now)
            database.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?)", rows)

        self._write(write)

    def sent(self, channel: str, now: float) -> None:
        """A message to the channel goes out now."""
        self._write(lambda database: database.execute("INSERT INTO sent VALUES (?, ?)", (channel, now)))

    def sent_before(self, channel: str) -> list[float]:
        """When messages to the channel went out before this process began."""
        return [at for name, at in self._sent if name == channel]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _forget(self, database: sqlite3.Connection, now: float) -> None:
        database.execute("DELETE FROM told WHERE at <= ?", (now - self._window_s,))
        database.execute("DELETE FROM sent WHERE at <= ?", (now - SENT_S,))

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do it in one transaction. That it failed is told, and no reason to deliver again now."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                work(self._database)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._say(str(error))
        else:
            self.trouble = ""

    def _say(self, text: str) -> None:
        if text != self.trouble:
            log.error("marketprism.bridge.memory.failed", path=str(self.path), error_message=text)
        self.trouble = text
