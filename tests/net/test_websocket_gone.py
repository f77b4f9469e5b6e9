"""A peer that goes while we speak to it."""

from __future__ import annotations

from aiohttp import web

from collector.net.websocket import End
from tests.net.fakes import KeepingSink, text_frame
from tests.net.test_websocket import exchange, write


async def test_a_ping_of_a_peer_that_has_gone_since_hides_neither_its_messages_nor_how_it_ended() -> None:
    sink = KeepingSink()

    async def script(_: web.WebSocketResponse, request: web.Request) -> None:
        write(request, b"\x89\x00" + text_frame(b"the last word"))
        assert request.transport is not None
        request.transport.close()

    assert await exchange(script, sink) == End("lost")
    assert sink.frames == [b"the last word"]
