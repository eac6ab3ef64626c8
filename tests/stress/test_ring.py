"""The ring keeps order and loses nothing, over many rounds and over the wrap of its indices."""

import pytest

pytestmark = pytest.mark.stress

WATCHDOG_S = 120
FIRST = 2**64 - 1_000  # the indices wrap after a thousand records
RECORDS = {"two_cores": 10_000_000, "one_core": 2_000_000, "free": 5_000_000}


@pytest.mark.parametrize("capacity", [2, 16, 1024])
def test_order_and_nothing_lost(loops, children, make_instance, pinning, capacity):
    name, cores = pinning
    n = RECORDS[name] // {2: 10, 16: 2, 1024: 1}[capacity]
    ring = make_instance(n_sources=2, n_symbols=capacity, n_edges=capacity).ring
    assert capacity == ring.capacity
    ring._start_at(FIRST)
    children.start("producer", loops.produce, ring, FIRST, n, cpus=cores[0])
    children.start("consumer", loops.consume, ring, FIRST, n, cpus=cores[1])
    assert n == children.results(WATCHDOG_S)["consumer"], "of these came in order and whole"
    assert ((FIRST + n) % 2**64,) * 2 == (ring.produced, ring.read)
    assert 0 == ring.queued
