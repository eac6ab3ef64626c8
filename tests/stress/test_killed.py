"""A process killed at any instruction: what the others then see, as a table of outcomes.

A child offers itself to our tracer, which lets it do 0, 1, 2, ... instructions of one operation
and kills it there. Skipped where the kernel does not let us trace.
"""

import math
import os
import signal
from collections import Counter

import pytest
from spreadcore.active import FREE, SIGNALLED
from spreadcore.engine import Engine
from spreadcore.opentracks import OpenTuple
from spreadcore.ring import SignalRing

from pairs import Pairs

pytestmark = pytest.mark.stress

WATCHDOG_S = 30
LONGEST = 100_000  # instructions; an operation is far shorter, this only ends the search
NOW = 10**12
S = 10**9


@pytest.fixture(autouse=True)
def on_one_core():
    """Tracer and traced take turns, which is several times faster on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


def kill_after(loops, children, n_steps, call, *args):
    """Run call(*args) traced, kill it after n_steps; False when it had ended before."""
    pid = children.start("victim", call, *args)
    try:
        done = loops.step(pid, n_steps)
    except OSError as error:
        pytest.skip(str(error))
    os.kill(pid, signal.SIGKILL)
    children.results(WATCHDOG_S)
    return done == n_steps


def kill_points(loops, children, call, *args, stride=1):
    """Yield each number of steps after which call(*args) has just been killed."""
    for n_steps in range(0, LONGEST, stride):
        if not kill_after(loops, children, n_steps, call, *args):
            return
        yield n_steps
    raise AssertionError(f"not at its end after {LONGEST} instructions")


def spread_instance(make_instance):
    """An instance whose source 0 asks 100 and whose source 1 bids 101 once updated."""
    instance = make_instance(n_sources=2, n_symbols=8, n_edges=8, force=True)
    for source in (0, 1):
        instance.health.start(source, NOW)
    instance.quotes.write(1, 3, 101.0, 101.1, 5.0, 5.0, 0, NOW)
    return instance


def engine_of(instance):
    index = Pairs(2, 8, [(0, 0, 1)])
    index.compare(0, 3)
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index, sweep_s=1.0,
    )  # fmt: skip
    engine.set_rule(0, 0.0, 50.0, 0.0)
    return engine


def test_feed_killed_anywhere_between_slot_and_wake(loops, children, make_instance):
    """Scenario 01, Scenario 02, Scenario 03.

    Old, new or busy, never a mixture; what is new in the slot is signalled, bit or no bit.
    """
    instance = spread_instance(make_instance)
    quotes, dirty, ring = instance.quotes, instance.dirty, instance.ring
    old = (98.0, 103.0, 7.0, 7.0, 0, NOW - S, 1)  # no spread in it
    new = (99.9, 100.0, 6.0, 6.0, 0, NOW, 1)
    engine = engine_of(instance)
    outcomes = Counter()

    def restart_feed(now):
        quotes.write(0, 3, *old)
        assert old == quotes.read(0, 3)  # healed, whatever was left there
        assert 0 == quotes.sequence(0, 3) % 2
        for source in (0, 1):
            instance.health.beat(source, now)
        engine.turn(now)

    now = NOW
    restart_feed(now)
    for _ in kill_points(
        loops, children, loops.update_traced, quotes, dirty, 0, 3, 99.9, 100.0, 6.0, NOW
    ):
        seen, bit = quotes.read(0, 3), dirty.pending()
        assert seen in (None, old, new)
        outcomes["busy" if seen is None else "old" if seen == old else "new", bit] += 1
        engine.turn(now)
        assert int(bit) == ring.queued  # no sweep is due: the bit it is, or nothing
        engine.turn(now + S)  # a sweep later
        assert int(seen == new) == ring.queued
        if seen == new:
            ring.advance()
            assert instance.active.move(3, SIGNALLED, FREE)
        now += 2 * S
        restart_feed(now)
    assert {("old", False), ("busy", False), ("new", False), ("new", True)} == set(outcomes)


def test_engine_killed_anywhere_in_a_push(loops, children, make_instance):
    """Scenario 07.

    The consumer reads a whole record or none, and the next producer goes on from there.
    """
    instance = make_instance(n_sources=2, n_symbols=4, n_edges=4)
    ring = instance.ring
    ring._start_at(2**64 - 3)
    outcomes = Counter()
    for _ in kill_points(loops, children, loops.push_traced, ring, 2**64 - 3):
        whole = loops.peek_is(ring, 2**64 - 3)
        assert whole in (None, True)
        outcomes[whole] += 1
        assert (0 if whole is None else 1) == ring.queued
        again = SignalRing(ring.region)
        sequence = again.push(1, 1, 1, 1, 1.0, 1.0, 1.0, 1.0)
        assert (2**64 - 3 if whole is None else 2**64 - 2) == sequence
        ring._start_at(2**64 - 3)
    assert outcomes[None] > 0
    assert outcomes[True] > 0


def test_producer_killed_anywhere_in_a_publish(loops, children, make_instance):
    """Readers see the record whole or not at all; a successor goes on and tells nothing twice."""
    stream = make_instance(n_sources=1, n_symbols=2, n_edges=2).engine_stream
    stream.writer()
    sleeper = stream.reader(0)
    loops.publish_many(stream, stream.capacity)  # so that each publish costs an old record
    outcomes = Counter()
    n = number = stream.published
    for _ in kill_points(loops, children, loops.publish_traced, stream, number):
        before, generation = wake_word(stream), stream.generation
        new = loops.read_is(stream, n, number, generation)
        old = loops.read_is(stream, n - stream.capacity, n - stream.capacity, generation)
        outcomes[new, stream.published - n, old] += 1
        later = n + 1 if new else n
        waiting = stream.reader(min(n, stream.published))
        stream.writer()
        assert wake_word(stream) > before  # whoever the dead one left asleep
        assert later == stream.published
        loops.publish_many(stream, 1)
        found, lost = waiting.read(9)
        assert (list(range(n, later + 1)), 0) == ([row.sequence for row in found], lost)
        # a lap later, so that the next kill meets records that are all of one generation
        stream.writer()
        loops.publish_many(stream, stream.capacity)
        assert "work" == sleeper.park(-1)  # it leaves the flag behind, so the next publish wakes
        n = stream.published
    assert {(None, 0, True), (None, 0, False), (True, 0, False), (True, 1, False)} == set(outcomes)


def wake_word(stream):
    return int.from_bytes(stream.region.buffer()[64:68], "little")


def test_tracker_killed_anywhere_in_a_slot_of_its_tracks(loops, children, make_instance):
    """Readers see the old track, the new one or none; the next writer heals the slot."""
    tracks = make_instance(n_sources=1, n_symbols=2, n_edges=2, n_tracks=1).tracks
    old, new = (
        OpenTuple(n, 0, 0, "open", n, n, *[float(n)] * 4, n, n, *[float(n)] * 5, True, False)
        for n in (1, 2)
    )
    tracks.put(0, old)
    outcomes = Counter()
    for _ in kill_points(loops, children, loops.track_traced, tracks, 0, new):
        seen = tracks.read(0)
        outcomes["none" if seen is None else seen.track] += 1
        assert seen in (None, old, new)
        tracks.put(0, old)
        assert old == tracks.read(0)
    assert {"none", 1, 2} == set(outcomes)


def test_engine_killed_anywhere_in_a_turn_signals_once(loops, children, make_instance):
    """Scenario 04.

    After the restart there is one record of the pair, or a byte that the tracker can free.
    """
    instance = spread_instance(make_instance)
    instance.quotes.write(0, 3, 99.9, 100.0, 6.0, 6.0, 0, NOW)
    outcomes = Counter()
    instance.dirty.mark(0, 3)
    for _ in kill_points(loops, children, loops.turn_traced, engine_of(instance), NOW, stride=9):
        ring = SignalRing(instance.ring.region)
        assert ring.produced == ring.read + ring.queued
        outcomes[instance.active.state(3), ring.queued] += 1
        restarted = engine_of(instance)
        restarted.scan(NOW)
        if instance.active.state(3) == SIGNALLED and ring.queued == 0:
            assert instance.active.move(3, SIGNALLED, FREE)  # as the tracker does
            restarted.turn(NOW)
            restarted.scan(NOW)
        restarted.turn(NOW + S // 2)
        assert (1, SIGNALLED) == (ring.queued, instance.active.state(3))
        assert 100.0 == ring.peek().buy_px
        ring.advance()
        assert instance.active.move(3, SIGNALLED, FREE)
        instance.dirty.mark(0, 3)
    assert {(FREE, 0), (SIGNALLED, 0), (SIGNALLED, 1)} == set(outcomes)


def test_a_quote_is_never_half_new_for_numpy_snapshots(loops, children, make_instance):
    """A slot that its writer left half-way is empty in a snapshot, and odd."""
    import spreadcore

    instance = make_instance(n_sources=2, n_symbols=2, n_edges=2)
    instance.quotes.write(0, 1, 1.0, 2.0, 3.0, 4.0, 0, NOW)
    with spreadcore.attach(instance.name) as table:
        for _ in kill_points(
            loops, children, loops.update_traced, instance.quotes, instance.dirty, 0, 1,
            5.0, 6.0, 7.0, NOW + 1,
        ):  # fmt: skip
            row = table.snapshot()[1, 0]
            if row["seq"] % 2:
                assert math.isnan(row["bid_px"])
                assert 0 == row["recv_ns"]
            else:
                assert (row["bid_px"], row["recv_ns"]) in ((1.0, NOW), (5.0, NOW + 1))
            instance.quotes.write(0, 1, 1.0, 2.0, 3.0, 4.0, 0, NOW)
