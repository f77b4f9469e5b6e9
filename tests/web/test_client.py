"""Asking a collector that is in trouble: whatever it answers is a status or one line, never a traceback."""

from __future__ import annotations

import socket
import threading

import pytest

from collector.web import client
from collector.web.client import UnreachableError


def test_a_failing_collectors_report_that_hangs_is_told_as_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 0.3)
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n{"sta')
                asked.wait(10)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UnreachableError, match="cannot be reached"):
            client.ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        asked.set()
        thread.join()


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(UnreachableError, match="expected a URL"):
        client.ask("http://[::1")
