"""The process's event loop and threads: how they begin, and how they end in bounded time although a disk or a name
server hangs.

It owns nothing that lasts. asyncio's own ways wait for every thread without a limit, which a collector that must end
within 10 s cannot do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from collector.journal import Journal

WORKERS = "collector-worker"
MAX_WORKERS = 16
"""Without uvloop a name server that hangs takes one for each connection, and the journal's syncs need one too."""
WORKERS_STOP_S = 2.0
JOURNAL_STOP_S = 3.0


def drive(main: Coroutine[None, None, int]) -> int:
    """Run on uvloop where it exists. Threads that hang on a disk or a name server do not hold the exit back."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ModuleNotFoundError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        code = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    if workers():
        sys.stdout.flush()
        os._exit(code)  # the interpreter would wait for them for ever
    return code


def workers() -> list[threading.Thread]:
    """Threads of the default executor that still live."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(WORKERS)]


def make_workers() -> ThreadPoolExecutor:
    """Make the loop's default executor."""
    return ThreadPoolExecutor(max_workers=MAX_WORKERS, thread_name_prefix=WORKERS)


async def end_workers(executor: ThreadPoolExecutor) -> None:
    """End its threads, or leave them after a while: a sync in one of them must be done before its file is closed."""
    executor.shutdown(wait=False, cancel_futures=True)
    deadline = time.monotonic() + WORKERS_STOP_S
    while workers() and time.monotonic() < deadline:  # noqa: ASYNC110 - threads set no Event when they end
        await asyncio.sleep(0.01)


async def close_journal(journal: Journal) -> int:
    """Sync and close, in a thread of its own because a disk can hang; give the records that are not durable."""
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()

    def close() -> None:
        try:
            journal.close()
        finally:
            with contextlib.suppress(RuntimeError):  # it came too late: the loop is closed
                loop.call_soon_threadsafe(closed.set_result, None)

    threading.Thread(target=close, name="journal close", daemon=True).start()
    await asyncio.wait({closed}, timeout=JOURNAL_STOP_S)
    return journal.accepted - journal.durable
