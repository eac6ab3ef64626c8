"""The tracker's loop: OPEN rows within some 20 ms, looks on the grid."""

import asyncio
from collections.abc import Callable

from spreadscan.clock import now_ns
from spreadscan.tracker.tracker import Tracker
from spreadscan.workers.role import Role

_POLL_NS = 20_000_000
_BEAT_NS = 200_000_000
_SHORTEST_S = 0.001  # uvloop rounds to ms; a shorter sleep would spin until the deadline


async def run(
    tracker: Tracker, stop: Callable[[], bool], on_beat: Callable[[], None] = lambda: None
) -> None:
    """Run a recovered tracker until stop() is true; the caller holds the lease and closes it.

    on_beat: called between ticks, about five times a second.
    Deadlines are absolute, so ticks never drift; late ones are skipped, not replayed. RegionLost
    once the instance is not whole any more, or another. The archive works beside it, and so does
    the sync of what was written: one at a time, the next one takes what came meanwhile.
    """
    tracker.archive.start()
    try:
        await _loop(tracker, stop, on_beat)
    finally:
        tracker.archive.stop()


async def _loop(tracker: Tracker, stop: Callable[[], bool], on_beat: Callable[[], None]) -> None:
    role = Role(tracker.instance, tracker.role)
    role.begin()
    due_ns = tracker.next_tick_ns(now_ns())
    beat_ns = 0
    syncing: asyncio.Task[None] | None = None
    while not stop():
        now = now_ns()
        if now >= due_ns:
            tracker.tick(now)
            due_ns = tracker.next_tick_ns(now)
        else:
            tracker.poll(now)
        if now - beat_ns >= _BEAT_NS:
            beat_ns = now
            role.beat("degraded" if tracker.failing else "running")
            on_beat()
        if syncing and syncing.done():
            syncing.result()  # an error that is not the disk's ends the tracker
            syncing = None
        if syncing is None and tracker.unsynced:
            syncing = asyncio.create_task(asyncio.to_thread(tracker.sync))
        wake_ns = min(due_ns, now + _POLL_NS)
        await asyncio.sleep(max((wake_ns - now_ns()) / 1e9, _SHORTEST_S))
    if syncing:
        await syncing
    role.end()
