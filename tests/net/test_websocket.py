"""The receive path against a real aiohttp server on loopback."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from collector.clock import Clock, Now, system_clock
from collector.net.session import open_session, tls_context
from collector.net.websocket import MAX_BURST, ConnectError, End, WebSocket, WebSocketOptions, connect
from tests.net.fakes import FakeClock, Handler, KeepingSink, authority, serving, text_frame

Script = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]
OPTIONS = WebSocketOptions(max_frame_bytes=1 << 20, close_s=0.1)


def talking(script: Script, *, compress: bool = False) -> Handler:
    """A server that runs `script` on each connection, then waits for the client to go."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=compress, timeout=0.1, autoping=False)
        await ws.prepare(request)
        await script(ws, request)
        return ws

    return handler


def write(request: web.Request, data: bytes) -> None:
    assert request.transport is not None
    request.transport.write(data)


async def exchange(
    script: Script,
    sink: KeepingSink,
    *,
    options: WebSocketOptions = OPTIONS,
    clock: Clock = system_clock,
    compress: bool = False,
    during: Callable[[WebSocket], None] = lambda _: None,
) -> End:
    """Connect to a server that runs `script`, and pump until the end."""
    async with serving(talking(script, compress=compress)) as host, open_session() as session:
        ws = await connect(session, f"ws://{host}/", options, clock)
        during(ws)
        try:
            return await ws.pump(sink)
        finally:
            await ws.close()


async def test_the_frames_of_one_tcp_write_are_one_burst_with_one_now() -> None:
    sink, readings = KeepingSink(), 0

    def clock() -> Now:
        nonlocal readings
        readings += 1
        return system_clock()

    go_on = asyncio.Event()
    sink.on_burst = go_on.set

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, b"".join(text_frame(b"%d" % n) for n in range(10)))
        await go_on.wait()
        go_on.clear()
        write(request, text_frame(b"next"))
        await go_on.wait()
        await ws.close()

    end = await exchange(script, sink, clock=clock)
    assert [[data for data, _ in burst] for burst in sink.bursts if burst] == [
        [b"%d" % n for n in range(10)],
        [b"next"],
    ]
    # One reading at the start, one for the guard, one a burst (the Close frame is one too): none a message.
    assert readings == 5
    assert end == End("normal", 1000)


def test_one_tcp_write_is_one_burst_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_the_frames_of_one_tcp_write_are_one_burst_with_one_now())


async def test_what_waits_for_us_is_bounded_and_the_peer_is_held_back() -> None:
    sink = KeepingSink()

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, text_frame(b"x" * 50_000) * 400)  # 20 MB
        await ws.close()

    async with serving(talking(script)) as host, open_session() as session:
        ws = await connect(session, f"ws://{host}/", OPTIONS, system_clock)
        for _ in range(1_000):  # turns of the loop: the peer would send all of it, if it could
            await asyncio.sleep(0)
        assert ws._socket._reader._protocol._reading_paused
        assert ws._socket._reader._size < 2 << 20
        await ws.pump(sink)
        await ws.close()
    assert len(sink.frames) == 400


async def test_a_long_burst_is_cut_and_reads_the_clock_anew() -> None:
    sink = KeepingSink()

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, text_frame(b"x") * (2 * MAX_BURST + 5))
        await ws.close()

    await exchange(script, sink)
    assert len(sink.frames) == 2 * MAX_BURST + 5
    assert max(len(burst) for burst in sink.bursts) == MAX_BURST
    assert sink.bursts[0][0][1] != sink.bursts[1][0][1]


async def test_others_get_their_turn_within_a_flood() -> None:
    sink, turns = KeepingSink(), []

    def take_turn() -> None:
        turns.append(len(sink.bursts))
        if len(sink.bursts) < 8:
            asyncio.get_running_loop().call_soon(take_turn)

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, text_frame(b"x") * (8 * MAX_BURST))
        await ws.close()

    sink.on_burst = lambda: take_turn() if len(sink.bursts) == 1 else None
    await exchange(script, sink)
    assert {1, 2, 3, 4} <= set(turns)


async def test_text_arrives_as_the_bytes_that_were_sent_even_if_they_are_no_utf8() -> None:
    sink = KeepingSink()

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, text_frame(b'"\xff\xfe"') + text_frame("“ü”".encode()))
        await ws.close()

    await exchange(script, sink)
    assert sink.frames == [b'"\xff\xfe"', "“ü”".encode()]
    assert all(type(data) is bytes for data in sink.frames)


async def test_binary_messages_are_told_apart() -> None:
    sink = KeepingSink()

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.send_str("text")
        await ws.send_bytes(b"\x00\x01")
        await ws.close()

    await exchange(script, sink)
    assert (sink.frames, sink.binary) == ([b"text", b"\x00\x01"], [b"\x00\x01"])


async def test_deflate_is_agreed_on_and_inflated() -> None:
    sink, agreed = KeepingSink(), []
    message = "same text " * 1000

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.send_str(message)
        await ws.close()

    await exchange(script, sink, compress=True, during=lambda ws: agreed.append(ws.compressed))
    assert agreed == [True]
    assert sink.frames == [message.encode()]


async def test_a_ping_is_answered_with_its_payload_and_is_no_message() -> None:
    sink, answers = KeepingSink(), []

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.ping(b"are you there")
        answers.append(await ws.receive(timeout=5))
        await ws.close()

    await exchange(script, sink)
    assert [(answer.type, answer.data) for answer in answers] == [(WSMsgType.PONG, b"are you there")]
    assert sink.frames == []


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (1000, "normal"),
        (1001, "going_away"),
        (1008, "policy"),
        (1011, "server_error"),
        (1012, "restart"),
        (1013, "try_later"),
        (4001, "other_code"),
    ],
)
async def test_a_close_code_has_a_name(code: int, cause: str) -> None:
    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.close(code=code, message=b"why")

    assert await exchange(script, KeepingSink()) == End(cause, code, "why")


@pytest.mark.parametrize("reset", [False, True])
async def test_tcp_that_ends_without_a_close_frame_is_lost(reset: bool) -> None:  # noqa: FBT001
    async def script(_: web.WebSocketResponse, request: web.Request) -> None:
        assert request.transport is not None
        if reset:
            linger_0 = struct.pack("ii", 1, 0)
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_0)
        request.transport.abort()

    assert await exchange(script, KeepingSink()) == End("lost")


@pytest.mark.parametrize("compress", [False, True])
async def test_an_oversized_frame_is_refused_by_name_after_what_came_before_it(compress: bool) -> None:  # noqa: FBT001
    sink = KeepingSink()

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.send_str("before")
        await ws.send_str("x" * 5000)
        await ws.receive(timeout=5)

    end = await exchange(script, sink, options=WebSocketOptions(1000, close_s=0.1), compress=compress)
    assert (end.cause, end.code) == ("too_big", WSCloseCode.MESSAGE_TOO_BIG)
    assert "1000" in end.text
    assert sink.frames == [b"before"]


async def test_a_broken_frame_is_a_protocol_error() -> None:
    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, b"\xf1\x00")  # reserved bits
        await ws.receive(timeout=5)

    assert (await exchange(script, KeepingSink())).cause == "protocol_error"


async def test_a_socket_without_a_byte_is_given_up_and_pings_count_as_bytes() -> None:
    clock, pinged = FakeClock(), asyncio.Event()

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.ping()
        await ws.receive(timeout=5)
        pinged.set()
        await ws.receive(timeout=5)

    async with serving(talking(script)) as host, open_session() as session:
        ws = await connect(session, f"ws://{host}/", OPTIONS, clock)
        clock.advance(59)
        pump = asyncio.create_task(ws.pump(KeepingSink()))
        await pinged.wait()
        clock.advance(59)
        ws._watch()
        assert not pump.done()
        clock.advance(1)
        ws._watch()
        end = await pump
        await ws.close()
    assert end == End("silent_socket", text="not a byte for 60 s")


async def test_the_silence_guard_rings_by_itself() -> None:
    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.receive(timeout=5)

    options = WebSocketOptions(1000, silent_s=0.05, close_s=0.1)
    assert (await exchange(script, KeepingSink(), options=options)).cause == "silent_socket"


async def test_end_delivers_the_burst_that_is_going_on_and_names_the_first_cause() -> None:
    sink = KeepingSink()
    sockets: list[WebSocket] = []

    async def script(ws: web.WebSocketResponse, request: web.Request) -> None:
        write(request, text_frame(b"a") + text_frame(b"b"))
        await ws.receive(timeout=5)

    def on_burst() -> None:
        sockets[0].end("lifetime")
        sockets[0].end("too late")

    sink.on_burst = on_burst
    end = await exchange(script, sink, during=sockets.append)
    assert end.cause == "lifetime"
    assert sink.frames == [b"a", b"b"]


async def test_what_the_sink_raises_ends_the_pump_and_comes_out_of_it() -> None:
    class Broken(KeepingSink):
        def on_frame(self, data: bytes, now: Now) -> None:
            raise RuntimeError(f"broken by {data!r} at {now}")

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.send_str("x")
        await ws.receive(timeout=5)

    with pytest.raises(RuntimeError, match="broken by"):
        await exchange(script, Broken())


async def test_closing_is_over_soon_when_the_peer_hangs() -> None:
    release = asyncio.Event()

    async def script(_: web.WebSocketResponse, __: web.Request) -> None:
        await release.wait()

    async with serving(talking(script)) as host, open_session() as session:
        ws = await connect(session, f"ws://{host}/", OPTIONS, system_clock)
        async with asyncio.timeout(1):
            await ws.close()
        release.set()


async def test_a_refused_connection_and_a_wrong_host_name_have_names() -> None:
    async with open_session() as session:
        with pytest.raises(ConnectError) as caught:
            await connect(session, "ws://127.0.0.1:1/", OPTIONS, system_clock)
        assert caught.value.outcome == "refused"
        with pytest.raises(ConnectError) as caught:
            await connect(session, "ws://nowhere.invalid/", OPTIONS, system_clock)
        assert caught.value.outcome == "dns"


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [(503, {}, 0.0), (451, {}, 0.0), (429, {"Retry-After": "7"}, 7.0), (429, {}, 60.0), (418, {}, 120.0)],
)
async def test_a_refused_handshake_tells_the_status_and_how_long_to_stay_away(
    status: int, headers: dict[str, str], wait_s: float
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async with serving(refuse) as host, open_session() as session:
        with pytest.raises(ConnectError) as caught:
            await connect(session, f"ws://{host}/", OPTIONS, system_clock)
    assert (caught.value.outcome, caught.value.status, caught.value.wait_s) == ("http", status, wait_s)


async def test_a_handshake_that_hangs_is_a_timeout() -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(hang) as host, open_session() as session:
        start = time.monotonic()
        with pytest.raises(ConnectError, match=r"no answer within 0\.05 s") as caught:
            await connect(session, f"ws://{host}/", WebSocketOptions(1000, connect_s=0.05), system_clock)
        assert time.monotonic() - start < 5
        release.set()
    assert caught.value.outcome == "timeout"


async def test_tls_is_refused_for_an_unknown_authority_and_accepted_for_a_trusted_one(tmp_path: Path) -> None:
    ca_file, context = authority(tmp_path)

    async def script(ws: web.WebSocketResponse, _: web.Request) -> None:
        await ws.close()

    async with serving(talking(script), context) as host:
        async with open_session() as session:
            with pytest.raises(ConnectError) as caught:
                await connect(session, f"wss://{host}/", OPTIONS, system_clock)
            assert caught.value.outcome == "tls"
        async with open_session(tls_context(ca_file)) as session:
            ws = await connect(session, f"wss://{host}/", OPTIONS, system_clock)
            assert (await ws.pump(KeepingSink())).cause == "normal"
            await ws.close()
            options = WebSocketOptions(1000, server_hostname="another.example")
            with pytest.raises(ConnectError) as caught:
                await connect(session, f"wss://{host}/", options, system_clock)
            assert caught.value.outcome == "tls"


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match=r"ca\.pem: expected a file with PEM certificates: found none"):
        tls_context(tmp_path / "ca.pem")
    with pytest.raises(ValueError, match=r"none\.pem: .*: No such file or directory"):
        tls_context(tmp_path / "none.pem")
