"""A stream under load: its readers get every record, in order and whole, or know how many not.

One producer that waits for nobody and four readers: one steady, one stopped for most of the run,
one killed, one too slow to keep up. Every word of a record follows from its sequence.
"""

import os
import signal
import time

import pytest

pytestmark = pytest.mark.stress

WATCHDOG_S = 300
RECORDS = {"two_cores": 2_000_000, "one_core": 2_000_000, "free": 2_000_000}


def wait_for(stream, n):
    end = time.monotonic() + WATCHDOG_S
    while stream.published < n:
        assert time.monotonic() < end, f"{stream.published} of {n} published"
        time.sleep(0.001)


def run(loops, children, make_instance, cores, n, gap):
    stream = make_instance(n_sources=1, n_symbols=1, n_edges=1).engine_stream
    stream.writer()
    start = {"steady": {}, "stopped": {}, "killed": {}, "slow": {"slow_every": 64, "slow": 5000}}
    pids = {
        name: children.start(name, loops.follow, stream, n, cpus=cores[1], **options)
        for name, options in start.items()
    }
    children.start("producer", loops.publish_many, stream, n, gap=gap, cpus=cores[0])
    wait_for(stream, n // 8)
    os.kill(pids["stopped"], signal.SIGSTOP)
    children.kill_one(pids["killed"])
    wait_for(stream, n)  # whatever became of the readers
    os.kill(pids["stopped"], signal.SIGCONT)
    found = children.results(WATCHDOG_S)
    assert 0 == found.pop("producer")  # nobody parked, so nobody was woken
    assert {"steady", "stopped", "slow"} == set(found)
    for seen in found.values():
        assert (0, n) == (seen["bad"], seen["good"] + seen["lost"])
        assert seen["lost"] == seen["between"]
    return stream, found


def check(loops, children, make_instance, pinning, n, record_property):
    name, cores = pinning
    stream, found = run(loops, children, make_instance, cores, n, gap=16)
    for reader, seen in found.items():
        record_property(f"{reader}_share", round(seen["good"] / n, 3))
        record_property(f"{reader}_times_lost", seen["times_lost"])
    assert found["stopped"]["lost"] > n // 4
    assert found["slow"]["times_lost"] > 0
    assert found["steady"]["good"] > stream.capacity, "they hardly met: this run shows nothing"


def test_in_order_and_whole_or_counted(loops, children, make_instance, pinning, record_property):
    check(loops, children, make_instance, pinning, RECORDS[pinning[0]], record_property)


@pytest.mark.soak
def test_a_hundred_million_records(loops, children, make_instance, two_cores, record_property):
    check(loops, children, make_instance, ("two_cores", two_cores), 10**8, record_property)


def test_parked_readers_sleep_through_nothing(loops, children, make_instance, pinning):
    """Without a time-out: one lost wake hangs a reader, and the watchdog ends it."""
    stream = make_instance(n_sources=1, n_symbols=1, n_edges=1).engine_stream
    stream.writer()
    _, cores = pinning
    n = 100_000
    for name in "abcd":
        children.start(name, loops.follow, stream, n, parks=True, cpus=cores[1])
    children.start("producer", loops.publish_many, stream, n, gap=64, wake_every=1, cpus=cores[0])
    found = children.results(WATCHDOG_S)
    assert found.pop("producer") > 0
    for seen in found.values():
        assert (0, n) == (seen["bad"], seen["good"] + seen["lost"])


@pytest.mark.parametrize("blindly", [False, True])
def test_control_no_second_look_sleeps_through_a_record(
    loops, children, make_instance, board, two_cores, blindly
):
    """Two readers that differ in nothing but the look between `sleeping` and the sleep.

    Each record comes as the reader of the one before it is about to sleep.
    """
    stream = make_instance(n_sources=1, n_symbols=1, n_edges=1).engine_stream
    stream.writer()
    n = 5_000
    children.start(
        "reader", loops.follow, stream, n, parks=True, blindly=blindly, board=board,
        park_s=0.002 if blindly else 5.0, cpus=two_cores[1],
    )  # fmt: skip
    children.start(
        "producer", loops.publish_many, stream, n, gap=64, wake_every=1, board=board,
        cpus=two_cores[0],
    )  # fmt: skip
    seen = children.results(WATCHDOG_S)["reader"]
    assert blindly == (seen["late"] > 0)


@pytest.mark.parametrize("early", [False, True])
def test_control_a_record_said_to_be_whole_too_early_is_caught(
    loops, children, make_instance, two_cores, early
):
    """Two producers that differ in nothing but when they say that the record is there."""
    stream = make_instance(n_sources=1, n_symbols=1, n_edges=1).engine_stream
    stream.writer()
    n = 1_000_000
    children.start("reader", loops.follow, stream, n, cpus=two_cores[1])
    children.start(
        "producer", loops.publish_many, stream, n, gap=16, early=early, cpus=two_cores[0]
    )
    seen = children.results(WATCHDOG_S)["reader"]
    assert early == (seen["bad"] > 0)
    assert seen["good"] > 0
