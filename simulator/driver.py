"""What moves the markets: the rate, single steps, or a tape.

It owns when a step happens and which market takes it (in turn, so that the order is the same in every run). It must
never decide what a step holds. When the machine cannot keep up, steps are left out and counted rather than piled up.
"""

import asyncio
from itertools import cycle

from simulator.markets import World
from simulator.tape import TapeVenue
from simulator.venue import Venue

TICK = 0.01
_BURST = 100  # steps between two looks at the sockets
_MOST_BEHIND = 0.5  # seconds of steps that may be made up for
_DRAIN_SECONDS = 10.0
_TAPE_DELAY = 0.5  # after the first subscription, so that the others of the same client arrive


class Driver:
    """Moves the markets of all venues on. `rate` is steps a second over all of them."""

    def __init__(self, world: World, venues: dict[str, Venue], rate: float, speed: float) -> None:
        self._world = world
        self._venues = venues
        self._markets: list[tuple[Venue, str]] = []
        self._turn = 0
        self.refresh()
        self.rate = rate
        self._speed = speed
        self._owed = 0.0
        self.steps = 0
        self.skipped = 0

    def refresh(self) -> None:
        """Take in markets that were listed since."""
        self._markets = [(one, symbol) for one in self._venues.values() if one.tape is None for symbol in one.markets]

    def _next(self) -> tuple[Venue, str]:
        self._turn += 1
        return self._markets[(self._turn - 1) % len(self._markets)]

    async def run(self) -> None:
        """Drive until cancelled."""
        clock = self._world.clock
        last = clock.mono()
        while True:
            await asyncio.sleep(TICK)
            now = clock.mono()
            elapsed, last = now - last, now
            if not self._world.running or not self._markets:
                self._owed = 0.0
                continue
            self._owed += elapsed * self.rate
            most = max(self.rate * _MOST_BEHIND, 1.0)
            if self._owed > most:
                self.skipped += int(self._owed - most)
                self._owed = most
            await self._advance(int(self._owed))
            self._owed %= 1.0
            for venue in self._venues.values():
                venue.flush(clock.mono())

    async def _advance(self, count: int) -> None:
        for number in range(1, count + 1):
            if not self._world.running:  # stopped while the sockets had their turn
                return
            venue, symbol = self._next()
            venue.advance(symbol)
            self.steps += 1
            if number % _BURST == 0:
                await asyncio.sleep(0)

    async def step(self, count: int, venue: str | None, symbol: str | None) -> dict[str, int]:
        """Take `count` steps in turn over the chosen markets, or play as many lines, and wait until all was sent.

        Raises:
            ValueError: the markets run by themselves, or there is no such market.
        """
        if self._world.running:
            raise ValueError("the markets are running: POST /control/market with running=false first")
        if any(one.tape is not None for one in self._venues.values()):
            played = sum([await self._play(one, count) for name, one in self._venues.items() if venue in (None, name)])
            return {"steps": played, "undelivered": await self.drain()}
        chosen = [(v, s) for v, s in self._markets if venue in (None, v.name) and symbol in (None, s)]
        if not chosen:
            raise ValueError(f"no market of venue {venue!r} and symbol {symbol!r}")
        in_turn = cycle(chosen)
        for number in range(1, count + 1):
            one, market = self._next() if (venue, symbol) == (None, None) else next(in_turn)
            one.advance(market)
            one.flush(None)
            self.steps += 1
            if number % _BURST == 0:
                await asyncio.sleep(0)
        return {"steps": count, "undelivered": await self.drain()}

    async def drain(self) -> int:
        """Wait until the sockets took everything; how many had not after ten seconds."""
        waiting = [
            asyncio.create_task(connection.drained())
            for venue in self._venues.values()
            for connection in list(venue.connections.values())
        ]
        if not waiting:
            return 0
        _, late = await asyncio.wait(waiting, timeout=_DRAIN_SECONDS)
        for task in late:
            task.cancel()
        return len(late)

    async def _play(self, venue: Venue, count: int) -> int:
        for number in range(count):
            line = venue.tape.next() if venue.tape is not None else None
            if line is None:
                return number
            if line.transport == "ws":
                venue.play(line)
        return count

    async def play(self, venue: Venue, tape: TapeVenue) -> None:
        """Play a venue's tape once somebody has subscribed: by its own times, `speed` times as fast (0: at once)."""
        clock = self._world.clock
        await venue.subscribed.wait()
        await asyncio.sleep(_TAPE_DELAY)
        started, first = clock.mono(), tape.due()
        timed, number = tape.timed(), 0
        while (line := tape.next()) is not None:
            if self._speed > 0 and timed and first is not None and line.at is not None:
                due = started + (line.at - first) / self._speed
            else:
                due = started + number / self.rate if self._speed > 0 else started
            number += 1
            if (wait := due - clock.mono()) > 0:
                await asyncio.sleep(wait)
            elif number % _BURST == 0:
                await self.drain()
            if line.transport == "ws":
                venue.play(line)
