"""Turns the configuration into feeds: which streams go on which connection, and what the connections of a venue share.

It owns the wiring and no behaviour: budgets belong to the venue (its facts say how large), every connection has its
own core, and all instruments of a venue stay on one connection as long as the venue takes that many streams on it.
"""

from __future__ import annotations

import dataclasses
import time
from random import Random
from typing import TYPE_CHECKING

from collector.clock import system_clock
from collector.config.model import Binance
from collector.feed.journeys import Journeys, Sampler
from collector.feed.live import LiveFeed, Network
from collector.feed.observe_net import PoolObserver
from collector.feed.spans import FeedSpans
from collector.net.budget import Budget
from collector.net.connects import ConnectBudget
from collector.net.rest import RestClient
from collector.net.websocket import WebSocketOptions
from collector.service.collection import Note, Placed
from collector.service.noting import NotingObserver
from collector.venues.protocol import WHOLE_VENUE, CoreSettings, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import aiohttp

    from collector.clock import Clock
    from collector.config import Config
    from collector.config.model import Venue as VenueConfig
    from collector.feed.deadletters import DeadLetters
    from collector.feed.journeys import Publish
    from collector.service.tape_guard import GuardedTape
    from collector.venues import Venue
    from collector.venues.protocol import Channel, Facts
    from telemetry.cells import Metrics
    from telemetry.tracing import Tracer


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What all feeds are made with."""

    config: Config
    venues: Mapping[str, Venue]
    session: aiohttp.ClientSession
    metrics: Metrics
    dead_letters: DeadLetters | None
    tape: GuardedTape | None
    publish: Publish
    clock: Clock
    rng: Random
    tracer: Tracer


@dataclasses.dataclass(frozen=True, slots=True)
class _Shared:
    """What everything of one pool shares, also two markets of a venue: they count against the same address."""

    budget: Budget
    connects: ConnectBudget
    pool: PoolObserver


def build_feeds(parts: Parts) -> list[Placed]:
    """One feed per connection, for every venue that is enabled."""
    pools: dict[str, _Shared] = {}
    placed: list[Placed] = []
    for name, settings in parts.config.enabled_venues().items():
        venue = parts.venues[name]
        facts = facts_of(venue, settings)
        shared = pools.get(facts.pool.name) or _shared(parts, facts)
        pools[facts.pool.name] = shared
        placed += _venue_feeds(parts, venue, settings, facts, shared)
    return placed


def _shared(parts: Parts, facts: Facts) -> _Shared:
    budget = Budget(facts.pool.name, facts.pool.limit, facts.pool.interval_s, parts.clock)
    pool = PoolObserver(parts.metrics, facts.venue, budget, lambda: parts.clock().mono_ns, parts.tracer)
    return _Shared(budget, ConnectBudget(*facts.connects, parts.clock), pool)


def wanted_of(
    config: Config, venue: VenueConfig, served: Sequence[Channel], canonical: Callable[[str], str] = str
) -> list[list[Wanted]]:
    """What to collect of the channels that an endpoint serves: of the venue itself, and of each instrument, once: two
    names of one (`canonical`) could else come to two connections.
    """
    instruments = dict.fromkeys(map(canonical, venue.instruments or config.instruments))
    channels = [channel for channel in venue.channels or config.channels if channel in served]
    whole = [[Wanted(WHOLE_VENUE, channel)] for channel in channels if channel == "status"]
    each = [channel for channel in channels if channel != "status"]
    return whole + [[Wanted(instrument, channel) for channel in each] for instrument in instruments if each]


def shares(wanted: Sequence[Sequence[Wanted]], streams: int, instruments: int) -> Iterator[list[Wanted]]:
    """Split over connections of at most so many streams and instruments; an instrument's streams stay together."""
    share: list[Wanted] = []
    count = 0
    for of_instrument in wanted:
        if share and (len(share) + len(of_instrument) > streams or count == instruments):
            yield share
            share, count = [], 0
        share.extend(of_instrument)
        count += of_instrument[0].instrument != WHOLE_VENUE
    if share:
        yield share


def facts_of(venue: Venue, settings: VenueConfig) -> Facts:
    """The venue's facts, with other addresses where the configuration has some."""
    facts = venue.facts
    if settings.ws_url is not None:
        facts = dataclasses.replace(facts, ws_urls=(settings.ws_url,))
    if settings.rest_url is not None:
        facts = dataclasses.replace(facts, rest_urls=(settings.rest_url,))
    return facts


def options_of(facts: Facts) -> WebSocketOptions:
    """How the venue's sockets are opened and watched."""
    return WebSocketOptions(max_frame_bytes=facts.max_frame_bytes, silent_s=facts.silent_s)


def _venue_feeds(parts: Parts, venue: Venue, settings: VenueConfig, facts: Facts, shared: _Shared) -> Iterator[Placed]:
    by_name = frozenset(map(venue.canonical, settings.instruments or ()))
    split = [
        (endpoint.path, share)
        for endpoint in facts.endpoints
        for share in shares(
            wanted_of(parts.config, settings, endpoint.channels, venue.canonical),
            facts.streams_per_connection,
            facts.instruments_per_connection,
        )
    ]
    sampler = Sampler({want.channel for _, share in split for want in share})
    for index, (path, share) in enumerate(split):
        name = str(index)
        core_settings = CoreSettings(
            depth=settings.depth,
            trade_stream=settings.trade_stream if isinstance(settings, Binance) else "trade",
            candle_interval=settings.candle_interval,
            seed=parts.rng.getrandbits(32),
        )
        core = venue.make_core(share, core_settings, facts)
        note = Note(since_us=parts.clock().wall_us)
        run_name = f"{facts.venue}-{facts.market}-{name}"
        observer = NotingObserver(
            parts.metrics,
            facts,
            name,
            lambda: parts.clock().mono_ns,
            dead_letters=parts.dead_letters,
            run=run_name,
            spans=FeedSpans(parts.tracer, facts, name, parts.clock),
        )
        observer.note = note
        rest = RestClient(
            parts.session,
            facts.rest_urls[0],
            shared.budget,
            parts.clock,
            used_header=facts.pool.used_header,
            throttled=venue.throttle_seconds,
            on_call=shared.pool.call,
        )
        network = Network(
            parts.session,
            facts.ws_urls[0] + path,
            rest,
            shared.connects,
            options_of(facts),
        )
        journeys = None
        if parts.tracer.on:
            mono_ns = time.monotonic_ns if parts.clock is system_clock else lambda: parts.clock().mono_ns  # the quicker
            journeys = Journeys(parts.tracer, sampler, parts.metrics, facts, name, mono_ns, observer.traced)
        tape = parts.tape
        run = None if tape is None else tape.run(run_name, facts, share, core_settings, parts.clock())
        feed = LiveFeed(
            name,
            core,
            network,
            parts.publish,
            observer,
            rng=Random(parts.rng.getrandbits(64)),
            clock=parts.clock,
            tape=run,
            journeys=journeys,
        )
        yield Placed(feed, note, by_name)
