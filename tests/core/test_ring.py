"""The signal ring: in order, whole, never over what is unread; indices may wrap."""

import pytest
from spreadcore.errors import CoreError, RingFull, TableFull
from spreadcore.region import Region
from spreadcore.ring import SignalRing, SignalTuple

NEAR_WRAP = 2**64 - 3


@pytest.fixture
def ring(make_instance):
    return make_instance(n_sources=2, n_symbols=4, n_edges=8).ring


def push(ring, n, **other):
    fields = {
        "edge": n % 8, "at_ns": n,
        "buy_recv_ns": n - 3_000_000, "sell_recv_ns": n + 1,
        "buy_px": n + 0.5, "sell_px": n + 0.25, "buy_qty": 2.0 * n, "sell_qty": 3.0 * n,
    }  # fmt: skip
    return ring.push(**(fields | other))


def record(sequence, n):
    return SignalTuple(sequence, n, n + 1, n + 0.5, n + 0.25, 2.0 * n, 3.0 * n, n % 8, 3, 0)


def accounts(ring):
    return ring.produced, ring.read, ring.queued


@pytest.mark.parametrize(
    ("n_edges", "expected"), [(12_288, 16_384), (1, 1), (3, 4), (8, 8), (100_000, 131_072)]
)
def test_capacity_covers_every_edge(make_instance, n_edges, expected):
    made = make_instance(n_sources=1, n_symbols=1, n_edges=n_edges)
    assert expected == made.ring.capacity


def test_records_come_out_whole_and_in_order(ring):
    for n in range(5):
        assert n == push(ring, n)
    for n in range(5):
        assert record(n, n) == ring.peek()
        ring.advance()
    assert ring.peek() is None


def test_a_record_stays_until_it_is_let_go(ring):
    push(ring, 1)
    push(ring, 2)
    assert record(0, 1) == ring.peek() == ring.peek()
    assert (2, 0, 2) == accounts(ring)
    ring.advance()
    assert record(1, 2) == ring.peek()


def test_produced_is_read_and_queued_at_every_point(ring):
    expected = [0, 0]
    for k in range(100):
        if k % 3 and ring.queued:
            ring.advance()
            expected[1] += 1
        elif ring.queued < ring.capacity:
            push(ring, k)
            expected[0] += 1
        assert (*expected, expected[0] - expected[1]) == accounts(ring)


def test_a_full_ring_refuses_and_loses_nothing(ring):
    for n in range(ring.capacity):
        push(ring, n)
    with pytest.raises(RingFull, match="8 signals unread, expected a live consumer"):
        push(ring, 99)
    assert (8, 0, 8) == accounts(ring)
    ring.advance()
    assert 8 == push(ring, 8)
    with pytest.raises(RingFull):
        push(ring, 99)
    for n in range(1, 9):
        assert record(n, n) == ring.peek()
        ring.advance()


def test_advance_on_an_empty_ring_is_refused(ring):
    with pytest.raises(CoreError, match="advance on an empty ring"):
        ring.advance()
    assert (0, 0, 0) == accounts(ring)


def test_indices_may_wrap_at_two_to_the_64(ring):
    """Scenario 52."""
    ring._start_at(NEAR_WRAP)
    for k in range(20):
        assert (NEAR_WRAP + k) % 2**64 == push(ring, k)
        assert record((NEAR_WRAP + k) % 2**64, k) == ring.peek()
        ring.advance()
        assert 0 == ring.queued
    ring._start_at(NEAR_WRAP)
    for k in range(ring.capacity):
        push(ring, k)
    assert (5, NEAR_WRAP, 8) == accounts(ring)
    with pytest.raises(RingFull):
        push(ring, 99)


def test_a_capacity_of_one(make_instance):
    ring = make_instance(n_sources=1, n_symbols=1, n_edges=1).ring
    for n in range(5):
        push(ring, n, edge=0)
        with pytest.raises(RingFull):
            push(ring, n, edge=0)
        assert n == ring.peek().sequence
        ring.advance()
        assert ring.peek() is None


def test_another_face_of_the_ring_sees_the_same(ring):
    other = SignalRing(ring.region)
    push(ring, 1)
    assert record(0, 1) == other.peek()
    other.advance()
    assert ring.peek() is None


def test_a_face_that_slept_through_others_reads_reads_no_rubbish(ring):
    """A consumer forked early and used late: its copy of head is behind the tail."""
    late = SignalRing(ring.region)
    for n in range(3):
        push(ring, n)
        ring.advance()
    assert late.peek() is None
    push(ring, 7)
    assert record(3, 7) == late.peek()


def test_a_producer_restarted_on_a_full_ring_waits_for_the_tail(ring):
    for n in range(ring.capacity):
        push(ring, n)
    restarted = SignalRing(ring.region)
    with pytest.raises(RingFull):
        push(restarted, 99)
    ring.advance()
    assert 8 == push(restarted, 8)


@pytest.mark.parametrize("edge", [8, 1 << 32])
def test_ids_beyond_the_table_are_refused_not_cut(ring, edge):
    with pytest.raises(TableFull, match=f"signal: edge {edge}, expected below 8"):
        push(ring, 0, edge=edge)
    assert (0, 0, 0) == accounts(ring)


def test_a_read_only_mapping_may_look_and_no_more(ring):
    push(ring, 1)
    reader = SignalRing(Region(ring.region.path.rpartition("/")[0], "signals"))
    assert record(0, 1) == reader.peek()
    assert ring.ring_id == reader.ring_id != 0
    for call in (reader.advance, lambda: push(reader, 1), lambda: reader._start_at(0)):
        with pytest.raises(CoreError, match="mapped read-only"):
            call()


def test_records_cross_processes(ring, children):
    children.start("engine", lambda: [push(ring, n) for n in range(6)])
    assert {"engine": [0, 1, 2, 3, 4, 5]} == children.results(20)
    assert [record(n, n) for n in range(6)] == [(ring.peek(), ring.advance())[0] for _ in range(6)]
