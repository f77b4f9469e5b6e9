"""Work for a collector, more than its core can do."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator


def first(thread: int) -> None:
    """Before the machine's other work, where we may."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, thread, -15)


@contextlib.contextmanager
def asked_without_a_pause(port: int) -> Iterator[None]:
    """Everybody wants /metrics all the time."""
    over = threading.Event()
    ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: %s\r\n\r\n"

    def asker() -> None:
        first(threading.get_native_id())
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as asking:
                asking.sendall((ask % b"keep-alive") * 100 + ask % b"close")
                while asking.recv(1 << 20):
                    pass

    threads = [threading.Thread(target=asker) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
