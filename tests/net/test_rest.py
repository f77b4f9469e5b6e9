"""REST against a real aiohttp server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from collector.net.budget import Budget
from collector.net.rest import Reply, RestCall, RestClient, RestLimits, Throttled
from collector.net.session import open_session
from tests.net.fakes import FakeClock, Handler, authority, serving


class Asked:
    """A server that answers in turn from a list, and what it was asked."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []

    async def handler(self, request: web.Request) -> web.Response:
        self.paths.append(request.path_qs)
        return self.answers.pop(0) if self.answers else web.Response(body=b"{}")


def budget(clock: FakeClock, limit: int = 100) -> Budget:
    return Budget("test", limit, 60.0, clock, sleep=clock.sleep)


async def ask(
    handler: Handler,
    *,
    limits: RestLimits | None = None,
    throttled: Throttled | None = None,
    times: int = 1,
) -> tuple[list[Reply], list[RestCall], Budget, FakeClock]:
    """GET /depth some times, one after the other."""
    clock, calls = FakeClock(), list[RestCall]()
    pool = budget(clock)
    async with serving(handler) as host, open_session() as session:
        client = RestClient(
            session,
            f"http://{host}/prefix/",
            pool,
            clock,
            used_header="X-Used",
            throttled=throttled,
            on_call=calls.append,
            limits=limits,
        )
        replies = [
            await client.get("depth", "/depth", (("symbol", "BTCUSDT"), ("limit", "5")), weight=5) for _ in range(times)
        ]
    return replies, calls, pool, clock


async def test_a_get_gives_the_status_the_body_and_the_url_that_was_asked() -> None:
    server = Asked(web.Response(status=200, body=b'{"bids":[]}'))
    (reply,), (call,), pool, _ = await ask(server.handler)
    assert (reply.status, reply.body, reply.failure) == (200, b'{"bids":[]}', None)
    assert reply.request.endswith("/prefix/depth?symbol=BTCUSDT&limit=5")
    assert server.paths == ["/prefix/depth?symbol=BTCUSDT&limit=5"]
    assert (call.endpoint, call.host, call.status, call.failure, call.paused_s) == (
        "depth",
        "127.0.0.1",
        200,
        None,
        0.0,
    )
    assert pool.used == 5


@pytest.mark.parametrize("status", [301, 403, 404, 451, 500, 503])
async def test_every_other_status_is_reported_with_its_body_and_stops_nothing(status: int) -> None:
    server = Asked(web.Response(status=status, body=b"why", headers={"Location": "/elsewhere", "Retry-After": "9"}))
    (reply,), _, pool, _ = await ask(server.handler)
    assert (reply.status, reply.body, pool.paused_s, len(server.paths)) == (status, b"why", 0.0, 1)


@pytest.mark.parametrize(
    ("status", "headers", "pause_s"),
    [(429, {"Retry-After": "30"}, 30), (429, {}, 60), (418, {}, 120), (418, {"Retry-After": "99999999"}, 259_200)],
)
async def test_429_and_418_stop_the_whole_pool(status: int, headers: dict[str, str], pause_s: float) -> None:
    server = Asked(web.Response(status=status, headers=headers))
    (first, second), calls, pool, _ = await ask(server.handler, times=2)
    assert (first.status, second.status, second.failure) == (status, 0, "budget")
    assert second.text == f"the pool test is closed by the venue; it opens in {pause_s} s"
    assert len(server.paths) == 1, "nothing may be sent while the pool is closed"
    assert [call.paused_s for call in calls] == [pause_s, 0.0]
    assert pool.paused_s == pause_s


@pytest.mark.parametrize(("headers", "pause_s"), [({}, 2.0), ({"Retry-After": "30"}, 30.0)])
async def test_429_without_a_time_stops_the_pool_for_as_long_as_the_venue_is_known_to_mean(
    headers: dict[str, str], pause_s: float
) -> None:
    def throttled(status: int, _: Mapping[str, str], __: bytes) -> float | None:
        return 2.0 if status == 429 else None

    server = Asked(web.Response(status=429, headers=headers))
    _, (call,), pool, _ = await ask(server.handler, throttled=throttled)
    assert (call.paused_s, pool.paused_s) == (pause_s, pause_s)


async def test_429_stops_those_who_already_wait_and_other_clients_of_the_pool() -> None:
    clock, asked, somebody_waits, told = FakeClock(), asyncio.Event(), asyncio.Event(), asyncio.Event()
    at = []

    async def handler(_: web.Request) -> web.Response:
        at.append(clock.ns // 10**9 - 1_000)
        if asked.is_set():
            return web.Response()
        asked.set()
        await somebody_waits.wait()
        return web.Response(status=429, headers={"Retry-After": "100"})

    async def sleep(seconds: float) -> None:
        somebody_waits.set()
        await told.wait()
        clock.advance(seconds)

    pool = Budget("test", 10, 60.0, clock, sleep=sleep)
    limits = RestLimits(max_wait_s=150)
    async with serving(handler) as host, open_session() as session:
        one = RestClient(session, f"http://{host}", pool, clock, limits=limits, on_call=lambda _: told.set())
        other = RestClient(session, f"http://{host}", pool, clock, limits=limits)
        first = asyncio.create_task(one.get("depth", "/a", weight=10))
        await asked.wait()
        replies = await asyncio.gather(*(client.get("depth", "/b", weight=1) for client in (one, other)))
    assert (await first).status == 429
    assert [reply.status for reply in replies] == [200, 200]
    assert at == [0, 100, 100]


async def test_limits_inside_a_body_stop_the_pool_when_the_venue_says_how_to_see_them() -> None:
    def throttled(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
        assert headers["Content-Type"] == "application/octet-stream"
        return 15.0 if status == 200 and b"EAPI:Rate limit exceeded" in body else None

    server = Asked(web.Response(body=b'{"error":["EAPI:Rate limit exceeded"]}'))
    (reply,), (call,), pool, _ = await ask(server.handler, throttled=throttled)
    assert (reply.status, call.paused_s, pool.paused_s) == (200, 15.0, 15.0)


@pytest.mark.parametrize(("header", "used"), [("80", 80), ("1", 5), ("-4", 5), ("many", 5), ("9" * 30, 5)])
async def test_the_venues_own_count_is_taken_from_its_header(header: str, used: int) -> None:
    _, _, pool, _ = await ask(Asked(web.Response(headers={"X-Used": header})).handler)
    assert pool.used == used


async def test_when_the_budget_is_used_up_nothing_is_sent_and_the_answer_says_so() -> None:
    server = Asked(web.Response(headers={"X-Used": "100"}))
    (_, second), calls, _, _ = await ask(server.handler, times=2)
    assert (second.failure, second.text) == ("budget", "the pool test is used up; it opens in 60 s")
    assert (len(server.paths), calls[1].seconds) == (1, 0.0)


async def test_a_body_beyond_the_bound_is_dropped_by_name_even_when_it_was_compressed() -> None:
    async def bomb(_: web.Request) -> web.Response:
        response = web.Response(body=b"x" * 100_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    (reply,), (call,), _, _ = await ask(bomb, limits=RestLimits(max_body=50_000))
    assert (reply.status, reply.failure, reply.text) == (0, "too_big", "the answer is longer than 50000 bytes")
    assert call.failure == "too_big"


async def test_a_server_that_never_answers_is_a_timeout() -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    (reply,), _, _, _ = await ask(hang, limits=RestLimits(total_s=0.05))
    assert (reply.status, reply.failure) == (0, "timeout")
    assert reply.text


async def test_a_connection_that_breaks_in_the_middle_of_the_body_is_reset() -> None:
    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport is not None
        request.transport.abort()
        return response

    (reply,), _, _, _ = await ask(torn)
    assert (reply.status, reply.failure) == (0, "reset")


async def test_nobody_listening_and_no_such_name_and_an_unknown_authority_have_names(tmp_path: Path) -> None:
    clock = FakeClock()
    _, context = authority(tmp_path)
    async with serving(Asked().handler, context) as host, open_session() as session:
        replies = [
            await RestClient(session, base, budget(clock), clock).get("depth", "/x")
            for base in ("http://127.0.0.1:1", "http://nowhere.invalid", f"https://{host}")
        ]
    assert [reply.failure for reply in replies] == ["refused", "dns", "tls"]


async def test_a_secret_in_the_base_url_is_in_no_text() -> None:
    clock, calls = FakeClock(), list[RestCall]()
    async with open_session() as session:
        client = RestClient(
            session, "http://user:hunter2secret@127.0.0.1:1", budget(clock), clock, on_call=calls.append
        )
        reply = await client.get("depth", "/x", (("signature", "deadbeefdeadbeef"),))
    assert "hunter2secret" not in repr((reply, calls))
    assert "deadbeefdeadbeef" not in repr((reply, calls))


async def test_a_cancelled_request_leaves_no_connection_and_no_task_behind() -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    clock = FakeClock()
    async with serving(hang) as host, open_session() as session:
        client = RestClient(session, f"http://{host}", budget(clock), clock)
        task = asyncio.create_task(client.get("depth", "/x"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        release.set()
