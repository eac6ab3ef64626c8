"""Health slots: who runs, what it counted, how fast it was."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spreadcore.errors import CoreError, TableFull
from spreadcore.health import Health, bucket_index, bucket_upper_ns
from spreadcore.layout import (
    COUNTERS,
    ENGINE_COUNTERS,
    FIELDS,
    OTHER_ROLES,
    SOURCE_COUNTERS,
    STATES,
    TRACKER_COUNTERS,
)
from spreadcore.region import Region

NOW = 10**12


@pytest.fixture
def health(make_instance):
    return make_instance(n_sources=3, n_symbols=1, n_edges=1).health


def test_roles_stand_after_the_sources(health):
    assert [3 + i for i in range(len(OTHER_ROLES))] == [health.role(r) for r in OTHER_ROLES]
    with pytest.raises(CoreError, match="'cook', expected one of engine, tracker"):
        health.role("cook")


def test_each_slot_has_a_kind_and_there_is_room_for_32_others(health):
    kinds = [health.kind(role) for role in range(health.n_slots)]
    n_free = 32 - len(OTHER_ROLES)
    assert [*["source"] * 3, *OTHER_ROLES, *[""] * n_free] == kinds
    assert 3 + len(OTHER_ROLES) == health.n_roles
    assert set(COUNTERS) <= set(kinds)
    assert {"pools", "quoting", "oms", "api", "relay", "alerts"} <= set(kinds)


def test_a_start_names_the_process(health):
    health.start(1, NOW)
    expected = {
        "pid": os.getpid(), "start_ns": NOW, "beat_ns": NOW, "state": "starting",
        "acked_generation": 0, "restarts": 0,
    }  # fmt: skip
    assert expected == health.info(1)
    assert 0 == health.info(0)["pid"]


def test_the_boot_id_is_the_kernels(health):
    health.start(0, NOW)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:16]
    with health.region.buffer() as raw:
        assert int(boot, 16) == int.from_bytes(raw[64 + 8 : 64 + 16], "little")


@pytest.mark.parametrize("state", STATES)
def test_a_beat_says_when_and_how(health, state):
    health.beat(2, NOW + 5, state)
    assert (NOW + 5, state) == (health.info(2)["beat_ns"], health.info(2)["state"])


def test_an_unknown_state_is_refused(health):
    with pytest.raises(ValueError, match="tuple"):
        health.beat(0, NOW, "dreaming")
    assert "off" == health.info(0)["state"]


def test_generation_and_restarts(health):
    health.acknowledge(0, 2**40)
    health.restarted(0)
    health.restarted(0)
    assert (2**40, 2) == (health.info(0)["acked_generation"], health.info(0)["restarts"])


def test_counters_go_on_over_a_restart(health):
    health.add(0, 0, 5)
    health.start(0, NOW)
    health.add(0, 0)
    assert 6 == health.counters(0)[SOURCE_COUNTERS[0]]


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (0, SOURCE_COUNTERS), (2, SOURCE_COUNTERS), (3, ENGINE_COUNTERS), (4, TRACKER_COUNTERS),
        (5, ()), (8, ()), (3 + 31, ()),
    ],
)  # fmt: skip
def test_counters_have_the_names_of_their_role(health, role, names):
    for counter in range(len(names)):
        health.set(role, counter, 100 + counter)
    assert {name: 100 + i for i, name in enumerate(names)} == health.counters(role)


def test_a_counter_may_wrap(health):
    health.set(0, 1, 2**64 - 1)
    health.add(0, 1, 2)
    assert 1 == health.counters(0)[SOURCE_COUNTERS[1]]


@pytest.mark.parametrize(("role", "counter"), [(3 + 32, 0), (0, 64)])
def test_ids_beyond_the_slots_are_refused(health, role, counter):
    with pytest.raises(TableFull):
        health.add(role, counter)
    with pytest.raises(TableFull):
        health.set(role, counter, 1)


def test_a_role_beyond_the_slots_is_refused_everywhere(health):
    for call in (health.info, health.counters, health.restarted, lambda r: health.start(r, NOW),
                 lambda r: health.beat(r, NOW), lambda r: health.latency(r, 1),
                 lambda r: health.acknowledge(r, 1), lambda r: health.quantiles([r])):  # fmt: skip
        with pytest.raises(TableFull, match="health role: 35, expected below 35"):
            call(35)


def test_a_read_only_mapping_may_look_and_no_more(health):
    health.start(0, NOW)
    reader = Health(Region(health.region.path.rpartition("/")[0], "health"))
    assert health.info(0) == reader.info(0)
    for call in (lambda: reader.start(0, 1), lambda: reader.beat(0, 1), lambda: reader.add(0, 0),
                 lambda: reader.set(0, 0, 1), lambda: reader.latency(0, 1),
                 lambda: reader.restarted(0), lambda: reader.acknowledge(0, 1)):  # fmt: skip
        with pytest.raises(CoreError, match="mapped read-only"):
            call()


# -- latency


def test_quantiles_of_nothing(health):
    assert [None, None] == health.quantiles([0, 1, 2])


def test_quantiles_give_the_upper_end_of_a_bucket(health):
    health.latency(0, 1_000, 99)
    health.latency(0, 1_000_000)
    p50, p99, p100 = health.quantiles([0], (0.5, 0.99, 1.0))
    assert bucket_upper_ns(bucket_index(1_000)) == p50 == p99
    assert bucket_upper_ns(bucket_index(1_000_000)) == p100
    assert 1_000 <= p50 <= 1_125
    assert 1_000_000 <= p100 <= 1_125_000


def test_quantiles_over_several_roles(health):
    health.latency(0, 10, 50)
    health.latency(2, 5_000, 50)
    assert [bucket_upper_ns(bucket_index(10)), bucket_upper_ns(bucket_index(5_000))] == (
        health.quantiles([0, 2], (0.5, 0.51))
    )
    assert [bucket_upper_ns(bucket_index(10))] == health.quantiles([0], (1.0,))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_value_is_in_its_bucket_and_above_the_one_before(ns):
    bucket = bucket_index(ns)
    assert 0 <= bucket < 320
    clamped = min(max(ns, 0), 2**42 - 1)
    assert clamped <= bucket_upper_ns(bucket)
    if bucket:
        assert bucket_upper_ns(bucket - 1) < clamped


# -- since when


S = 1_000_000_000
QUOTES = SOURCE_COUNTERS.index("quotes")
SOCKETS = SOURCE_COUNTERS.index("sockets")


def minutes(health, now, role=0):
    """(seconds back to where the last minute is counted from, quotes in it)."""
    quotes = health.counters(role, "minute", now)["quotes"]
    return (now - health.since_ns(role, "minute", now)) / S, quotes


def live(health, since_s, until_s, role=0):
    """Beat four times a second and count one quote a second, from one second to another."""
    for quarter in range(since_s * 4, until_s * 4):
        if quarter % 4 == 0:
            health.add(role, QUOTES)
            health.latency(role, 1_000)
        health.beat(role, NOW + quarter * S // 4)


def test_before_any_run_everything_is_since_creation(health):
    health.add(0, QUOTES, 5)
    created = health.since_ns(0, "creation", NOW)
    assert 0 < created == health.since_ns(0, "run", NOW)
    assert 5 == health.counters(0, "run", NOW)["quotes"]


def test_a_run_counts_its_own(health):
    health.add(0, QUOTES, 5)
    health.set(0, SOCKETS, 3)
    health.latency(0, 1_000_000, 9)
    health.restarted(0)
    health.begin_run([0], NOW)
    health.beat(0, NOW)
    health.add(0, QUOTES, 2)
    health.latency(0, 1_000)
    for since in ("run", "minute"):
        found = health.counters(0, since, NOW + S)
        assert (2, 3) == (found["quotes"], found["sockets"])  # sockets are a level
        assert NOW == health.since_ns(0, since, NOW + S)
        assert bucket_upper_ns(bucket_index(1_000)) == health.quantiles([0], [1.0], since, NOW)[0]
    assert 7 == health.counters(0)["quotes"]
    assert bucket_upper_ns(bucket_index(1_000_000)) == health.quantiles([0], [1.0])[0]
    assert 0 == health.info(0)["restarts"]
    health.begin_run([0], NOW + 2 * S)
    assert 0 == health.counters(0, "run", NOW + 3 * S)["quotes"]


def test_the_last_minute_is_of_60_to_70_s(health):
    health.begin_run([0], NOW)
    for second in range(1, 200):
        live(health, second - 1, second)
        now = NOW + second * S
        back_s, quotes = minutes(health, now)
        assert (60 <= back_s <= 70) if second >= 60 else (back_s == second)
        assert abs(quotes - back_s) <= 1
    assert 199 == health.counters(0, "run", now)["quotes"]


def test_a_minute_never_reaches_into_the_run_before(health):
    health.begin_run([0], NOW)
    live(health, 0, 100)
    health.begin_run([0], NOW + 100 * S)
    live(health, 100, 130)
    assert (30, 30) == minutes(health, NOW + 130 * S)


def test_a_restart_within_a_run_breaks_nothing(health):
    health.begin_run([0], NOW)
    live(health, 0, 70)
    health.start(0, NOW + 75 * S)
    live(health, 76, 90)
    back_s, quotes = minutes(health, NOW + 90 * S)
    assert 60 <= back_s <= 70
    assert quotes == pytest.approx(back_s - 6, abs=1)


def test_who_is_silent_for_longer_has_counted_nothing(health):
    health.begin_run([0], NOW)
    live(health, 0, 100)
    assert (60, 0) == minutes(health, NOW + 161 * S)
    assert [None] == health.quantiles([0], [0.5], "minute", NOW + 161 * S)
    back_s, quotes = minutes(health, NOW + 150 * S)  # what it counted before it fell silent
    assert back_s - 50 == pytest.approx(quotes, abs=1)


def test_an_unknown_since_is_refused(health):
    with pytest.raises(CoreError, match="since: 'hour', expected creation, run or minute"):
        health.counters(0, "hour")


def test_a_mark_whose_writer_was_killed_is_passed_over(health):
    """Half-written marks have an odd sequence."""
    health.begin_run([0], NOW)
    live(health, 0, 100)
    whole = minutes(health, NOW + 100 * S)
    first = next(offset for s, name, offset, _ in FIELDS if (s, name) == ("HealthSlot", "marks"))
    size = 64 + 8 * 64 + 8 * 320
    with health.region.buffer() as raw:
        for mark in range(1, 8):
            raw[64 + first + mark * size] |= 1
    assert (100, 100) == minutes(health, NOW + 100 * S)  # of the run: there is nothing nearer
    live(health, 100, 200)  # writers heal them
    assert whole == minutes(health, NOW + 200 * S)
