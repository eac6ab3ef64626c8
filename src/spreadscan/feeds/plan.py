"""How many sockets and requests a source's pairs take, and how long by the venue's own limits.

Nothing is worked out anew: the feeds' shards and requests are made, and their rate limits are run
on a clock that only they move.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from spreadscan.feeds.shards import requests
from spreadscan.net.ratelimit import RateLimit, per_second
from spreadscan.venues.base import Venue
from spreadscan.workers.connects import connect_windows


class SocketPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What opening the sockets for some pairs takes. seconds: at least; answers come on top."""

    sockets: int  # each is one connect
    topics_per_socket: int  # on the fullest one
    frames: int  # subscribe requests
    bytes: int  # of all of them
    bytes_longest: int
    seconds: float  # from the first connect to the last request


async def plan(venue: Venue, groups: Sequence[Sequence[str]]) -> SocketPlan:
    """Return the plan of one socket per group of venue symbols."""
    clock = _Clock()
    windows = connect_windows(venue.spec)
    connects = RateLimit(*windows, clock_ns=clock.now_ns, sleep=clock.sleep)
    frames: list[int] = []
    last_s = 0.0
    for group in groups:
        await connects.take()
        own = _Clock(clock.ns)  # a socket's requests are paced beside the other connects
        pace = per_second(venue.spec.frames_per_s, clock_ns=own.now_ns, sleep=own.sleep)
        frames += await _send(venue, group, pace)
        last_s = max(last_s, own.ns / 1e9)
    return SocketPlan(
        sockets=len(groups),
        topics_per_socket=max(map(len, groups), default=0),
        frames=len(frames),
        bytes=sum(frames),
        bytes_longest=max(frames, default=0),
        seconds=round(last_s, 3),
    )


async def _send(venue: Venue, symbols: Sequence[str], pace: RateLimit) -> list[int]:
    sizes = []
    for request_id, batch in enumerate(requests(venue, symbols), 1):
        await pace.take()
        sizes.append(len(venue.subscribe(batch, request_id).encode()))
    return sizes


class _Clock:
    """Time that passes by sleeping only."""

    def __init__(self, ns: int = 0) -> None:
        self.ns = ns

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
        await asyncio.sleep(0)
