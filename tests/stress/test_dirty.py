"""No lost update and no lost wake: feeds mark, an engine takes, observes, and sleeps.

A million sleeps with the time-out off: an engine that misses one wake sleeps for ever, its feeds
give up after PATIENCE_S, and the watchdog ends what is left.
"""

import os

import pytest

pytestmark = pytest.mark.stress

WATCHDOG_S = 240
PATIENCE_S = 20.0
DELAY = 16  # spins: the next mark falls anywhere between the last look and the sleep
SLEEPS = {"two_cores": 300_000, "one_core": 500_000, "free": 200_000}
FEEDS = {"two_cores": 1, "one_core": 1, "free": 2}


def run(loops, children, make_instance, board, cores, *, n_feeds, n_sleeps, patience_s, **engine):
    """Return (what the engine side saw, [(updates, lost, asleep with work) per feed])."""
    instance = make_instance(n_sources=2, n_symbols=loops.SYMBOLS, n_edges=loops.SYMBOLS)
    quotes, dirty = instance.quotes, instance.dirty
    children.start(
        "engine", loops.take_and_sleep, quotes, dirty, board, n_feeds, n_sleeps,
        cpus=cores[0], **engine,
    )  # fmt: skip
    for source in range(n_feeds):
        children.start(
            f"feed {source}", loops.feed_and_wait, quotes, dirty, board, source, source + 1,
            max_delay=DELAY, patience_s=patience_s, cpus=cores[1],
        )  # fmt: skip
    found = children.results(WATCHDOG_S)
    return found.pop("engine"), list(found.values())


def test_a_million_sleeps_without_a_time_out(
    loops, children, make_instance, board, pinning, record_property
):
    name, cores = pinning
    engine, feeds = run(
        loops, children, make_instance, board, cores,
        n_feeds=FEEDS[name], n_sleeps=SLEEPS[name], patience_s=PATIENCE_S,
    )  # fmt: skip
    for fact, value in engine.items():
        record_property(fact, value)
    assert [(0, False)] * FEEDS[name] == [(lost, asleep) for _, lost, asleep in feeds]
    assert (0, 0) == (engine["torn"], engine["back"])
    assert engine["sleeps"] >= SLEEPS[name]
    assert sum(SLEEPS.values()) >= 1_000_000


def test_every_burst_is_seen_by_the_next_take(loops, children, make_instance, board, two_cores):
    """By counting takes, not by waiting: what no take after the mark saw is lost."""
    instance = make_instance(n_sources=2, n_symbols=16, n_edges=16)
    children.start(
        "engine", loops.take_in_rounds, instance.quotes, instance.dirty, board, cpus=two_cores[0]
    )
    children.start(
        "feed", loops.feed_in_bursts, instance.quotes, instance.dirty, board, 1_000_000,
        skip_if_set=False, for_s=WATCHDOG_S / 2, cpus=two_cores[1],
    )  # fmt: skip
    assert (1_000_000, 0) == children.results(WATCHDOG_S)["feed"]


def test_control_skip_if_already_set_loses_an_update(
    loops, children, make_instance, board, two_cores
):
    """The same feed, but what seems marked is not marked again."""
    instance = make_instance(n_sources=2, n_symbols=16, n_edges=16)
    children.start(
        "engine", loops.take_in_rounds, instance.quotes, instance.dirty, board, cpus=two_cores[0]
    )
    children.start(
        "feed", loops.feed_in_bursts, instance.quotes, instance.dirty, board, 10**9,
        skip_if_set=True, for_s=10, cpus=two_cores[1],
    )  # fmt: skip
    rounds, lost = children.results(WATCHDOG_S)["feed"]
    assert lost > 0, f"not caught in {rounds} rounds"


@pytest.mark.parametrize("look_again", [True, False])
def test_control_no_second_look_loses_a_wake(
    loops, children, make_instance, board, two_cores, look_again
):
    """Two parkers that differ in nothing but the look between `sleeping` and the sleep."""
    engine, [(updates, lost, asleep)] = run(
        loops, children, make_instance, board, two_cores, n_feeds=1,
        n_sleeps=20_000 if look_again else 10**9, patience_s=10.0 if look_again else 1.0,
        slowly=True, pause=4, look_again=look_again,
    )  # fmt: skip
    if look_again:
        assert (0, False) == (lost, asleep)
    else:
        assert lost > 0, f"not caught in {engine['parks']} parks"
        assert asleep, "an update was late, but the engine was not asleep on it"


def test_the_watchdog_ends_an_engine_that_nobody_wakes(loops, make_instance, board, children):
    instance = make_instance(n_sources=2, n_symbols=loops.SYMBOLS, n_edges=loops.SYMBOLS)
    pid = children.start(
        "engine", loops.take_and_sleep, instance.quotes, instance.dirty, board, 1, 1
    )
    with pytest.raises(AssertionError, match="engine: not done within 0.5 s"):
        children.results(0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
