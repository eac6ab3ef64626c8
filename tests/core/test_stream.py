"""Broadcast streams: every reader gets all, in order, or is told exactly how many it lost."""

import time

import pytest
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import REASONS, RECORD_KINDS
from spreadcore.region import Region
from spreadcore.stream import Broadcast, RecordTuple

SYMBOLS, DIRECTIONS = 4, 2
CAPACITY, ROOM = 4096, 512  # where a lapped reader goes on: so many after the oldest
WITHIN_S = 20


@pytest.fixture
def stream(make_instance):
    return make_instance(n_sources=2, n_symbols=SYMBOLS, n_edges=SYMBOLS * DIRECTIONS).engine_stream


def publish(writer, n, **other):
    fields = {
        "edge": n % (SYMBOLS * DIRECTIONS), "symbol_id": n % SYMBOLS, "track": n + 7, "at_ns": n,
        "buy_px": n + 0.5, "sell_px": n + 0.25, "buy_qty": 2.0 * n, "sell_qty": 3.0 * n,
        "gross_bps": -n, "net_bps": n / 8, "peak_net_bps": n / 4, "recv_ns": n - 1,
        "opened_ns": n - 2, "buy_age_ms": n % 3 - 1, "sell_age_ms": 2**40, "unproven": n % 2,
        "conversion_px": n / 16,
    }  # fmt: skip
    return writer.publish(
        **({"kind": kind(n), "reason": REASONS[n % len(REASONS)]} | fields | other)
    )


def kind(n):
    return RECORD_KINDS[1 + n % (len(RECORD_KINDS) - 1)]


def record(sequence, n, generation=1):
    return RecordTuple(
        sequence, kind(n), REASONS[n % len(REASONS)], n + 7, n % (SYMBOLS * DIRECTIONS),
        n % SYMBOLS, n, n - 1, n - 2, n + 0.5, n + 0.25, 2.0 * n, 3.0 * n, n % 3 - 1, 2**32 - 2,
        float(-n), n / 8, n / 4, n / 16, generation, bool(n % 2),
    )  # fmt: skip


def sequences(found):
    return [row.sequence for row in found]


def test_every_reader_gets_every_record_whole_at_its_own_pace(stream):
    writer = stream.writer()
    one, other = stream.reader(), stream.reader()
    assert ([], 0) == one.read(10)
    for n in range(50):
        assert n == publish(writer, n)
        assert ([record(n, n)], 0) == one.read(10)
    assert ([record(n, n) for n in range(30)], 0) == other.read(30)
    assert ([record(n, n) for n in range(30, 50)], 0) == other.read(30)
    assert (50, 50, 50) == (stream.published, one.next, other.next)


def test_a_reader_begins_with_what_comes_or_where_it_says(stream):
    writer = stream.writer()
    for n in range(5):
        publish(writer, n)
    assert ([], 0) == stream.reader().read(9)
    assert [0, 1, 2, 3, 4] == sequences(stream.reader(stream.oldest).read(9)[0])
    assert [3, 4] == sequences(stream.reader(3).read(9)[0])
    for start in (-1, 6):
        with pytest.raises(CoreError, match=f"start {start}, expected 0 to 5"):
            stream.reader(start)


@pytest.mark.parametrize("more", [0, 1, 5, CAPACITY, 3 * CAPACITY + 17])
def test_a_lapped_reader_is_told_exactly_how_many_it_lost(stream, more):
    writer = stream.writer()
    reader = stream.reader()
    for n in range(CAPACITY + more):
        publish(writer, n)
    found, lost = reader.read(10**6)
    expected = more + ROOM if more else 0
    assert expected == lost == reader.lost
    assert list(range(expected, CAPACITY + more)) == sequences(found)
    assert record(expected, expected) == found[0]
    assert CAPACITY + more == reader.next == len(found) + reader.lost
    publish(writer, 1)
    assert ([record(CAPACITY + more, 1)], 0) == reader.read(9)


def test_one_call_may_find_records_before_and_after_the_lost_ones(stream):
    writer = stream.writer()
    late, start = stream.reader(), stream.reader(0)
    for n in range(CAPACITY):
        publish(writer, n)
    assert 100 == len(late.read(100)[0])
    for n in range(CAPACITY, CAPACITY + 101):
        publish(writer, n)
    found, lost = late.read(2)
    assert (1 + ROOM, [101 + ROOM, 102 + ROOM]) == (lost, sequences(found))
    assert 101 + ROOM == start.read(1)[1]


def test_arrays_say_what_tuples_say(stream):
    writer = stream.writer()
    tuples, arrays = stream.reader(), stream.reader()
    for n in range(CAPACITY + 40):
        publish(writer, n)
    rows, lost = tuples.read(10**6)
    found, lost_too = arrays.array(10**6)
    assert lost == lost_too > 0
    assert [row[:1] for row in rows] == [(int(n),) for n in found["sequence"]]
    for name in ("track", "edge", "symbol_id", "at_ns", "buy_px", "net_bps", "generation"):
        assert [getattr(row, name) for row in rows] == found[name].tolist()
    assert [RECORD_KINDS.index(row.kind) for row in rows] == found["kind"].tolist()
    assert [row.unproven for row in rows] == (found["flags"] & 1).astype(bool).tolist()
    assert (0, 0) == (len(arrays.array(5)[0]), len(arrays.array(0)[0]))


def test_a_reader_of_another_mapping_sees_the_same_and_writes_nothing(stream):
    writer = stream.writer()
    region = Region(stream.region.path.rpartition("/")[0], "engine_stream")
    theirs = Broadcast(region)
    reader = theirs.reader()
    publish(writer, 3)
    before = bytes(stream.region.buffer())
    assert ([record(0, 3)], 0) == reader.read(9)
    assert before == bytes(stream.region.buffer())
    for call in (theirs.writer, lambda: reader.park(0)):
        with pytest.raises(CoreError, match="mapped read-only, expected a writable mapping"):
            call()


def test_a_successor_goes_on_behind_what_was_published(stream):
    first = stream.writer()
    reader = stream.reader()
    publish(first, 0)
    second = stream.writer()
    assert 1 == publish(second, 1)
    assert ([record(0, 0, 1), record(1, 1, 2)], 0) == reader.read(9)
    assert 2 == stream.generation


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "none"},
        {"kind": "sgnal"},
        {"reason": "LATE"},
        {"symbol_id": 4},
        {"edge": 8},
        {"edge": -2},
    ],
)
def test_what_is_not_of_this_instance_is_refused_and_not_published(stream, wrong):
    writer = stream.writer()
    with pytest.raises((CoreError, TableFull), match="record: .*, expected "):
        publish(writer, 0, **wrong)
    assert 0 == stream.published


def test_what_is_of_no_pair_says_so(stream):
    writer, reader = stream.writer(), stream.reader()
    publish(writer, 0, kind="kill", edge=-1, symbol_id=-1, track=-1)
    [found], _ = reader.read(1)
    assert ("kill", -1, -1, -1) == (found.kind, found.edge, found.symbol_id, found.track)


def test_only_a_stream_is_one(make_instance):
    made = make_instance(n_sources=1, n_symbols=1, n_edges=1)
    with pytest.raises(CoreError, match="section 'signals', expected one of engine_stream"):
        Broadcast(made.region("signals"))


def test_a_parked_reader_is_woken_and_nobody_else_costs_a_wake(stream, children):
    writer, reader = stream.writer(), stream.reader()
    publish(writer, 0)
    assert not writer.wake()
    assert "work" == reader.park(-1)
    assert "timeout" == stream.reader().park(1_000_000)
    assert writer.wake()  # of who was there: nobody takes it back
    assert not writer.wake()

    start = stream.published

    def sleep():
        own = stream.reader(start)
        while not own.read(1)[0]:
            own.park(-1)
        return True

    for name in "abcd":
        children.start(name, sleep)
    time.sleep(0.1)  # asleep by now; one that is not yet must not be lost either
    publish(writer, 1)
    writer.wake()
    assert dict.fromkeys("abcd", True) == children.results(WITHIN_S)
