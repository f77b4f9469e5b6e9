"""The live driver with a fake core against a real aiohttp server on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest
from aiohttp import web

from collector.clock import SECOND_NS, Now, system_clock
from collector.feed.live import LiveFeed, Network
from collector.net.budget import Budget
from collector.net.connects import Backoff, ConnectBudget
from collector.net.rest import RestClient
from collector.net.session import open_session
from collector.net.websocket import WebSocketOptions
from collector.records import Record, Trade
from collector.venues.protocol import (
    Answer,
    FrameKind,
    Reconnect,
    Send,
)
from tests.feed.livekit import FACTS, FETCH, FakeCore, Notes, Stage, Taped, playing, stay, trade, until
from tests.net.fakes import serving, text_frame


async def test_the_records_of_one_socket_read_are_published_together_in_order() -> None:
    async def script(ws: web.WebSocketResponse, request: web.Request, _: int) -> None:
        assert request.transport is not None
        request.transport.write(b"".join(text_frame(b"%d" % n) for n in range(5)))
        await stay(ws, request, 1)

    async with playing(script) as stage:
        await until(lambda: len(stage.ids()) == 5, "five records")
        assert [len(records) for records in stage.published] == [5]
        assert stage.ids() == list("01234")
        assert (stage.notes.frames, stage.notes.bursts) == (5, 1)


async def test_never_more_than_256_records_are_published_together() -> None:
    core = FakeCore()

    def many(_: bytes) -> FrameKind:
        core.out.records.extend(trade(str(n)) for n in range(100))
        return "trades"

    core.on_frame = many

    async def script(ws: web.WebSocketResponse, request: web.Request, _: int) -> None:
        assert request.transport is not None
        request.transport.write(text_frame(b"x") * 7)
        await stay(ws, request, 1)

    async with playing(script, core) as stage:
        await until(lambda: len(stage.ids()) == 700, "all records")
        assert [len(records) for records in stage.published] == [300, 300, 100], "whole messages, cut at 256"


async def test_subscriptions_go_out_in_order_and_are_noted() -> None:
    core, seen = FakeCore(), list[str]()
    core.on_connected = lambda: core.out.commands.extend(Send(text, "subscribe") for text in "abc")

    async def script(ws: web.WebSocketResponse, _: web.Request, __: int) -> None:
        async for message in ws:
            seen.append(message.data)

    async with playing(script, core) as stage:
        await until(lambda: len(seen) == 3, "three frames")
    assert seen == stage.notes.sends == list("abc")


async def test_a_fetch_is_answered_with_status_body_and_request() -> None:
    core = FakeCore()
    core.on_connected = lambda: core.out.commands.append(FETCH)

    async def rest(request: web.Request) -> web.Response:
        return web.Response(status=404, body=request.path_qs.encode())

    async with playing(stay, core, rest=rest) as stage:
        await until(lambda: "reply" in core.names(), "a reply")
    assert stage.notes.fetching_of == [FETCH]
    _, fetch, answer, _ = next(event for event in core.inputs if event[0] == "reply")
    assert isinstance(answer, Answer)
    assert (fetch, answer.status, answer.body, answer.error) == (FETCH, 404, b"/depth?symbol=BTCUSDT", "")
    assert answer.request.endswith("/depth?symbol=BTCUSDT")


async def test_a_failed_fetch_is_an_answer_with_status_0_and_its_reason() -> None:
    core = FakeCore()
    core.on_connected = lambda: core.out.commands.append(FETCH)

    async def rest(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with playing(stay, core, rest=rest):
        await until(lambda: "reply" in core.names(), "a reply")
    answer = next(event[2] for event in core.inputs if event[0] == "reply")
    assert isinstance(answer, Answer)
    assert (answer.status, answer.error.split(":")[0]) == (0, "reset")


async def test_a_check_may_not_use_what_is_kept_for_snapshots() -> None:
    core = FakeCore()

    def connected() -> None:
        stages[0].feed._network.rest.budget.told(80)
        core.out.commands.extend([replace(FETCH, id=2, endpoint="check"), FETCH])

    core.on_connected = connected
    stages = list[Stage]()
    async with playing(stay, core) as stage:
        stages.append(stage)
        await until(lambda: core.names().count("reply") == 2, "two replies")
    answers = {event[1].endpoint: event[2] for event in core.inputs if event[0] == "reply"}  # type: ignore[attr-defined]
    assert (answers["depth"].status, answers["check"].status) == (200, 0)  # type: ignore[attr-defined]
    assert answers["check"].error == "budget: the pool test is used up; it opens in 60 s"  # type: ignore[attr-defined]


async def test_the_core_is_woken_when_its_deadline_has_passed_also_when_that_moved_forward() -> None:
    core = FakeCore()

    def connected() -> None:
        core.deadline = system_clock().mono_ns + 20 * 10**6
        woken.append(core.deadline)

    def wake(now: Now) -> None:
        assert now.mono_ns >= woken[-1]
        woken.append(now.mono_ns + 5 * 10**6)
        core.deadline = woken[-1] if len(woken) < 4 else 2**62

    woken = list[int]()
    core.on_connected, core.on_wake = connected, wake
    async with playing(stay, core) as stage:
        await until(lambda: core.names().count("wake") == 3, "three wakes")
        assert stage.notes.statuses == 1, "the gauges are set once a second at most"


async def test_a_closed_connection_is_opened_again_for_ever() -> None:
    async def script(ws: web.WebSocketResponse, _: web.Request, count: int) -> None:
        await ws.send_str(str(count))
        await ws.close(code=1001)

    async with playing(script) as stage:
        await until(lambda: len(stage.ids()) >= 20, "twenty connections")
    assert stage.ids()[:20] == [str(n) for n in range(1, 21)]
    assert stage.core.names()[:6] == ["connected", "frame", "disconnected"] * 2
    assert set(stage.notes.ends[:19]) == {"going_away"}
    assert stage.notes.delays[:19] != sorted(stage.notes.delays[:19]), "jittered"
    assert max(stage.notes.delays) <= 30


@pytest.mark.parametrize(("kind", "failures"), [("trades", 1), ("control", 6)])
async def test_only_application_data_makes_a_connection_healthy(kind: FrameKind, failures: int) -> None:
    core = FakeCore()
    core.on_frame = lambda _: kind

    async def script(ws: web.WebSocketResponse, _: web.Request, __: int) -> None:
        for _turn in range(2):
            seen = len(core.inputs)
            await ws.send_str("x")
            await until(lambda: len(core.inputs) > seen, "the message")  # noqa: B023 (awaited in this turn)
        await ws.close()

    async with playing(script, core) as stage:
        stage.feed._backoff = Backoff(Random(1), healthy_after_s=0.0)
        await until(lambda: len(stage.notes.ends) == 6, "six connections")
        assert stage.feed._backoff.failures == failures


async def test_a_venue_that_asks_us_to_stay_away_at_the_handshake_is_obeyed() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "77"})

    async def wait(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 60))

    notes = Notes()
    async with serving(refuse) as host, open_session() as session:
        network = Network(
            session,
            f"ws://{host}/",
            RestClient(session, f"http://{host}", Budget("test", 1, 1.0, system_clock), system_clock),
            ConnectBudget(10, 1.0, system_clock),
            WebSocketOptions(1000),
        )
        feed = LiveFeed("x", FakeCore(), network, lambda _: None, notes, rng=Random(1), sleep=wait)
        task = asyncio.create_task(feed.run())
        await until(lambda: bool(notes.delays), "an attempt")
        await feed.stop()
        await task
    assert (notes.failures, notes.delays) == (["http"], [77.0])


async def test_a_refused_connection_is_tried_again_for_ever() -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    core, notes = FakeCore(), Notes()
    async with open_session() as session:
        network = Network(
            session,
            "ws://127.0.0.1:1/",
            RestClient(session, "http://127.0.0.1:1", Budget("test", 1, 1.0, system_clock), system_clock),
            ConnectBudget(1000, 0.001, system_clock, sleep),
            WebSocketOptions(1000),
        )
        feed = LiveFeed("x", core, network, lambda _: None, notes, rng=Random(1), sleep=sleep)
        task = asyncio.create_task(feed.run())
        await until(lambda: len(notes.failures) > 30, "thirty attempts")
        await feed.stop()
        await task
    assert set(notes.failures) == {"refused"}
    assert core.inputs == []
    assert 15 < max(slept) <= 30


async def test_every_attempt_takes_from_the_connect_budget_also_a_planned_one() -> None:
    core, waits = FakeCore(), list[float]()
    core.on_connected = lambda: core.out.commands.append(Reconnect("venue_restart", planned=True))

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.Event().wait() if seconds > 100 else await asyncio.sleep(0)

    async with playing(stay, core, connects=(3, 1000.0), sleep=sleep) as stage:
        await until(lambda: any(seconds > 100 for seconds in waits), "the budget is used up")
        assert core.names().count("connected") == 3
        assert stage.notes.delays[0] == 0, "the first planned reconnect goes at once"
        assert stage.notes.ends == ["venue_restart"] * 3


async def test_a_connection_is_left_in_good_time_before_the_venue_ends_it() -> None:
    core = FakeCore(replace(FACTS, lifetime_s=0.08))
    async with playing(stay, core) as stage:
        await asyncio.wait_for(stage.notes.closed_once.wait(), 5)
        assert stage.notes.ends[0] == "lifetime"
        times = [event[-1].mono_ns for event in core.inputs[:2]]  # type: ignore[attr-defined]
        assert times[1] - times[0] >= 0.06 * SECOND_NS


async def test_what_comes_in_one_burst_with_a_reconnect_still_reaches_the_core() -> None:
    core = FakeCore()

    def on_frame(data: bytes) -> None:
        if data == b"0":
            core.out.commands.append(Reconnect("all_silent"))

    core.on_frame = on_frame

    async def script(ws: web.WebSocketResponse, request: web.Request, count: int) -> None:
        assert request.transport is not None
        if count == 1:
            request.transport.write(b"".join(text_frame(b"%d" % n) for n in range(3)))
        await stay(ws, request, count)

    async with playing(script, core) as stage:
        await until(lambda: core.names().count("connected") == 2, "a second connection")
        assert stage.ids() == ["0", "1", "2"]
        assert core.inputs[4][:2] == ("disconnected", "all_silent")


async def test_the_tape_gets_the_very_inputs_of_the_core_in_their_order() -> None:
    core, tape = FakeCore(), Taped()
    core.on_connected = lambda: core.out.commands.append(FETCH)
    core.on_frame = lambda data: setattr(core, "deadline", 0) if data == b"b" else None

    async def script(ws: web.WebSocketResponse, request: web.Request, count: int) -> None:
        await ws.send_str("a")
        await ws.send_bytes(b"\x00")
        await ws.send_str("b")
        if count == 1:
            await until(lambda: {"wake", "reply"} <= set(core.names()), "a wake and a reply")
            await ws.close()
        await stay(ws, request, count)

    async with playing(script, core, tape=tape):
        await until(lambda: core.names().count("binary") == 2, "a second connection")
    assert tape.lines == core.inputs
    assert {"connected", "frame", "binary", "reply", "wake", "disconnected"} == set(core.names())
    assert core.inputs[-1][:2] == ("disconnected", "shutdown")


async def test_publish_may_flush_the_feed_that_is_publishing() -> None:
    published = list[list[str]]()

    def publish(records: list[Record]) -> None:
        stages[0].feed.flush()
        published.append([record.id for record in records if isinstance(record, Trade)])
        published.append(
            [record.id for record in stages[0].feed.snapshots(system_clock()) if isinstance(record, Trade)]
        )

    async def script(ws: web.WebSocketResponse, request: web.Request, _: int) -> None:
        await ws.send_str("a")
        await stay(ws, request, 1)

    stages = list[Stage]()
    async with playing(script, publish=publish) as stage:
        stages.append(stage)
        await until(lambda: bool(published), "a record")
    assert published == [["a"], ["snapshot"]]


@pytest.mark.parametrize("where", ["frame", "publish", "wake", "fetch", "disconnected"])
async def test_a_defect_is_told_and_costs_its_connection_only(where: str) -> None:
    core, broken, published = FakeCore(), RuntimeError("a defect"), list[Record]()

    def raise_once(place: str) -> None:
        nonlocal where
        if where == place:
            where = ""
            raise broken

    def publish(records: list[Record]) -> None:
        raise_once("publish")
        published.extend(records)

    def disconnected(now: Now, cause: str) -> None:
        FakeCore.disconnected(core, now, cause)
        raise_once("disconnected")

    core.on_frame = lambda _: raise_once("frame")
    core.on_wake = lambda _: raise_once("wake")

    def connected() -> None:
        core.deadline = 0
        core.out.commands.append(FETCH)

    core.on_connected = connected
    core.disconnected = disconnected  # type: ignore[method-assign]

    async def script(ws: web.WebSocketResponse, request: web.Request, count: int) -> None:
        if count == 1:
            await ws.send_str("first")
            await until(lambda: "wake" in core.names(), "a wake")
            if where == "disconnected":
                await ws.close()
        else:
            await ws.send_str("second")
        await stay(ws, request, count)

    async with playing(script, core, publish=publish, throttled=lambda *_: raise_once("fetch")) as stage:
        await until(lambda: any(getattr(record, "id", "") == "second" for record in published), "the next connection")
        assert stage.notes.defects == [broken]
        assert len(stage.notes.ends) == 1
        assert core.names().count("disconnected") == 1
        if where != "disconnected":
            assert stage.notes.ends[0] in ("internal_error", "normal")
