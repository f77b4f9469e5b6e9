"""Brings the states of alert groups to one robot: waits for its budget, merges what waits, tells who asked what came.

It owns the open deliveries of one robot, and nothing that outlives them: a delivery waits only as long as its request
does, because only Alertmanager knows whether it is still true. So nothing is acknowledged before the robot's errcode
is 0, and nothing is told that nobody waits for. What was told already is answered at once; the same asked twice at a
time is told once. A message takes as many waiting deliveries as fit without leaving an alert out, P1 first; one that
alone is too large says how many it leaves out.

A merged message whose words the robot rejects is halved until the bad delivery is alone, so that it does not hold up
the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from alerting.bridge.memory import Memory
from alerting.bridge.message import Message, compose
from alerting.bridge.pace import Pace
from alerting.bridge.robots import Robot, Verdict
from alerting.bridge.webhook import Delivery, State
from telemetry.tracing import NO_SPAN, SpanRef

Send = Callable[[Robot, bytes, float], Awaitable[Verdict]]
HOLD_S = 120.0
"""The longest wait of one request. Alertmanager itself gives up after its group interval, and asks again."""


class Clocks(Protocol):
    """The two times that are needed, in seconds, and waiting."""

    def mono(self) -> float:
        """A time that never jumps."""

    def wall(self) -> float:
        """Seconds since 1970."""

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for the event, at most so long."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message and what became of it, for those who count. `seconds`: until the robot's answer."""

    robot: Robot
    message: Message
    size: int
    deliveries: tuple[Delivery, ...]
    links: tuple[SpanRef, ...]
    verdict: Verdict
    began_wall_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a delivery is answered with."""

    outcome: Literal["delivered", "duplicate", "rejected", "unavailable"]
    reason: str


@dataclass(eq=False, slots=True)
class _Waiting:
    """A delivery, and how many requests wait for it. `most`: as many may share its message; 0 is any number."""

    delivery: Delivery
    ref: SpanRef
    answer: asyncio.Future[Answer]
    requests: int = 0
    most: int = 0
    key: tuple[str, State] = field(init=False)

    def __post_init__(self) -> None:
        self.key = (self.delivery.group_key, self.delivery.state)


class Outbox:
    """The deliveries to one robot. `on_sent` hears of every message."""

    def __init__(
        self, robot: Robot, pace: Pace, memory: Memory, clocks: Clocks, send: Send, on_sent: Callable[[Sent], None]
    ) -> None:
        self.robot = robot
        self._pace = pace
        self._memory = memory
        self._clocks = clocks
        self._send = send
        self._on_sent = on_sent
        self._open: dict[tuple[str, State], _Waiting] = {}
        self._queue: list[_Waiting] = []
        self._news = asyncio.Event()
        self._throttled = ""
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many deliveries wait."""
        return len(self._open)

    async def deliver(self, delivery: Delivery, ref: SpanRef = NO_SPAN, hold_s: float = HOLD_S) -> Answer:
        """Wait until the robot took it, or said why not. Cancelling it takes the delivery back."""
        if self._memory.knows(self.robot.channel, delivery, self._clocks.wall()):
            return Answer("duplicate", "the channel has it already")
        if self._closing:
            return Answer("unavailable", "the bridge stops")
        if (paused := self._pace.paused(self._clocks.mono())) > 0:
            return Answer("unavailable", f"{self._throttled}; the next try is in {paused:.0f} s")
        waiting = self._open.get((delivery.group_key, delivery.state))
        if waiting is None:
            waiting = _Waiting(delivery, ref, asyncio.get_running_loop().create_future())
            self._open[waiting.key] = waiting
            self._queue.append(waiting)
            self._news.set()
        waiting.requests += 1
        try:
            async with asyncio.timeout(hold_s):
                return await asyncio.shield(waiting.answer)
        except TimeoutError:
            return Answer("unavailable", f"the robot's budget left no room within {hold_s:g} s")
        finally:
            waiting.requests -= 1
            if not waiting.requests and waiting in self._queue:
                self._queue.remove(waiting)
                self._settle(waiting, Answer("unavailable", "nobody waits for it"))

    async def run(self) -> None:
        """Send until closed. What is on its way then still gets its answer."""
        while not self._closing:
            self._news.clear()
            if not self._queue:
                await self._news.wait()
                continue
            urgent = any(waiting.delivery.urgent for waiting in self._queue)
            delay = self._pace.delay(self._clocks.mono(), urgent=urgent)
            if delay > 0:
                await self._clocks.wait(self._news, delay)  # something urgent may come
                continue
            await self._send_some()

    def close(self) -> None:
        """Begin no other message."""
        self._closing = True
        self._news.set()

    def stop(self) -> int:
        """Answer all that wait, when `run` has ended; how many there were."""
        left = list(self._open.values())
        for waiting in left:
            self._settle(waiting, Answer("unavailable", "the bridge stops"))
        self._queue.clear()
        return len(left)

    async def _send_some(self) -> None:
        batch, message = self._batch()
        for waiting in batch:
            self._queue.remove(waiting)
        body = self.robot.body(message)
        began, wall = self._clocks.mono(), self._clocks.wall()
        self._pace.sent(began)
        self._memory.sent(self.robot.channel, wall)
        verdict = await self._send(self.robot, body, wall)
        deliveries = tuple(waiting.delivery for waiting in batch)
        links = tuple(waiting.ref for waiting in batch)
        seconds = self._clocks.mono() - began
        if verdict.outcome == "accepted":
            self._memory.tell(self.robot.channel, deliveries, self._clocks.wall())
        self._on_sent(Sent(self.robot, message, len(body), deliveries, links, verdict, wall, seconds))
        self._judge(batch, verdict)

    def _judge(self, batch: list[_Waiting], verdict: Verdict) -> None:
        if verdict.outcome == "accepted":
            for waiting in batch:
                self._settle(waiting, Answer("delivered", verdict.reason))
        elif verdict.words and len(batch) > 1:
            for waiting in batch:
                waiting.most = len(batch) // 2
            self._queue[:0] = [waiting for waiting in batch if self._wanted(waiting)]
        elif verdict.outcome == "rejected":
            for waiting in batch:
                self._settle(waiting, Answer("rejected", verdict.reason))
        else:
            if verdict.pause_s:
                self._throttled = verdict.reason
                self._pace.pause(self._clocks.mono(), verdict.pause_s)
                batch, self._queue = [*batch, *self._queue], []
            for waiting in batch:
                self._settle(waiting, Answer("unavailable", verdict.reason))

    def _wanted(self, waiting: _Waiting) -> bool:
        if waiting.requests:
            return True
        self._settle(waiting, Answer("unavailable", "nobody waits for it"))
        return False

    def _batch(self) -> tuple[list[_Waiting], Message]:
        """The deliveries of the next message: as many as fit whole, those with a P1 first, else as they came."""
        # A group's states are told in their order, so an urgent one takes the earlier ones of its group along.
        urgent = {waiting.delivery.group_key for waiting in self._queue if waiting.delivery.urgent}
        waiting = sorted(self._queue, key=lambda one: one.delivery.group_key not in urgent)
        most = waiting[0].most
        waiting = [one for one in waiting if one.most == most][: most or len(waiting)]
        low, message = 1, self._compose(waiting[:1])
        high = len(waiting)
        while low < high:
            middle = (low + high + 1) // 2
            tried = self._compose(waiting[:middle])
            if self._leaves_out_none(tried, waiting[:middle]):
                low, message = middle, tried
            else:
                high = middle - 1
        return waiting[:low], message

    def _compose(self, batch: list[_Waiting]) -> Message:
        deliveries = [waiting.delivery for waiting in batch]
        return compose(deliveries, self.robot.settings.language, self.robot.look, self.robot.fits)

    def _leaves_out_none(self, message: Message, batch: list[_Waiting]) -> bool:
        return message.cut == sum(waiting.delivery.truncated_alerts for waiting in batch) and self.robot.fits(message)

    def _settle(self, waiting: _Waiting, answer: Answer) -> None:
        if self._open.get(waiting.key) is waiting:
            del self._open[waiting.key]
        if not waiting.answer.done():
            waiting.answer.set_result(answer)
