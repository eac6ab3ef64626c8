"""Edge statistics against the same sums in plain Python."""

import math
import os
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spreadcore import Instance, region
from spreadcore.edgestats import EdgeStats
from spreadcore.engine import Engine
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import SECTIONS

from pairs import Pairs

S = 10**9
LIMITS = [-5.0, 0.0, 10.0]


class Bench:
    """One pair whose buy leg stands at 100 and whose sell leg is moved."""

    def __init__(self, instance, limits):
        self.instance = instance
        index = Pairs(2, 4, [(0, 0, 1)])
        index.compare(0, 3)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, sweep_s=0.0,
        )  # fmt: skip
        self.engine.set_rule(0, 0.0, math.inf, 0.0)
        self.stats = EdgeStats(4, limits)
        self.engine.observe(self.stats)
        instance.quotes.write(0, 3, 99.0, 100.0, 1.0, 1.0, 0, 1)

    def update(self, bid, at):
        self.instance.quotes.write(1, 3, bid, bid + 1.0, 1.0, 1.0, 0, at)
        self.instance.dirty.mark(1, 3)
        self.engine.turn(at)

    def result(self):
        return self.stats.result(3)


@pytest.fixture
def bench(make_instance):
    return Bench(make_instance(n_sources=2, n_symbols=4, n_edges=4), LIMITS)


def expected_above(limit, edges):
    """Updates, episodes, total and longest seconds above a limit: the definition, spelled out."""
    spans, since = [], None
    for at, gross in edges:
        if gross > limit and since is None:
            since = at
        elif not gross > limit and since is not None:
            spans.append(at - since)
            since = None
    if since is not None:
        spans.append(edges[-1][0] - since)
    return {
        "bps": limit,
        "updates": sum(gross > limit for _, gross in edges),
        "episodes": len(spans),
        "total_s": sum(spans) / 1e9,
        "longest_s": max(spans, default=0) / 1e9,
    }


def test_nothing_seen(bench):
    assert {"updates": 0} == bench.result()


def test_an_episode_ends_at_the_first_update_that_is_not_above(bench):
    for at, bid in [(1, 101.0), (3, 102.0), (4, 100.0), (7, 103.0)]:
        bench.update(bid, at * S)
    bench.stats.finish(10 * S)
    found = bench.result()
    assert (4, 7 * S, 100.0, 103.0) == tuple(
        found[key] for key in ("updates", "max_ns", "max_buy_px", "max_sell_px")
    )
    below, zero, ten = found["above"]
    assert {"bps": -5.0, "updates": 4, "episodes": 1, "total_s": 9.0, "longest_s": 9.0} == below
    assert {"bps": 0.0, "updates": 3, "episodes": 2, "total_s": 6.0, "longest_s": 3.0} == zero
    assert {"bps": 10.0, "updates": 3, "episodes": 2, "total_s": 6.0, "longest_s": 3.0} == ten


def test_the_first_of_equal_maxima_counts(bench):
    for at in (1, 2, 3):
        bench.update(102.0, at * S)
    assert S == bench.result()["max_ns"]


bids = st.sampled_from([99.9, 99.95, 100.0, 100.1, 100.11, 101.0])


@given(st.lists(st.tuples(st.integers(1, 10**6), bids), min_size=1, max_size=40))
def test_statistics_are_the_plain_sums(law_instance, steps):
    bench = Bench(law_instance, LIMITS)
    at, edges = 0, []
    for gap, bid in steps:
        at += gap * 1000
        bench.update(bid, at)
        edges.append((at, (Fraction(str(bid)) - 100) * 100))
    bench.stats.finish(at)
    found = bench.result()
    grosses = [float(gross) for _, gross in edges]
    assert len(edges) == found["updates"]
    assert sum(grosses) / len(grosses) == pytest.approx(found["mean_bps"], abs=1e-9)
    assert max(grosses) == pytest.approx(found["max_bps"], abs=1e-9)
    assert [expected_above(limit, edges) for limit in LIMITS] == found["above"]


@pytest.fixture(scope="module")
def law_instance():
    name = f"test-edges-{os.getpid()}"
    region.create(name, n_sources=2, n_symbols=4, n_edges=4, force=True)
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


def test_updates_of_either_leg_count_and_sweeps_do_not(make_instance):
    instance = make_instance(n_sources=2, n_symbols=4, n_edges=4)
    index = Pairs(2, 4, [(0, 0, 1)])
    index.compare(0, 3)
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index, sweep_s=0.001,
    )  # fmt: skip
    stats = EdgeStats(4, [])
    engine.observe(stats)
    instance.quotes.write(0, 3, 99.0, 100.0, 1.0, 1.0, 0, 1)
    instance.dirty.mark(0, 3)
    engine.turn(S)
    assert {"updates": 0} == stats.result(3)  # one leg is empty
    instance.quotes.write(1, 3, 101.0, 102.0, 1.0, 1.0, 0, 1)
    instance.dirty.mark(1, 3)
    engine.turn(2 * S)
    instance.dirty.mark(0, 3)
    engine.turn(3 * S)
    engine.turn(4 * S)
    assert 2 == stats.result(3)["updates"]
    assert [] == stats.result(3)["above"]


def test_ids_limits_and_sizes_are_checked(bench):
    with pytest.raises(TableFull, match="edge 4: expected below 4"):
        bench.stats.result(4)
    with pytest.raises(CoreError, match="limit 1: NaN"):
        EdgeStats(1, [0.0, math.nan])
    with pytest.raises(CoreError, match="edge statistics: 3 edges, expected 4"):
        bench.engine.observe(EdgeStats(3, []))
