"""BOOTTIME for intervals, UTC by an offset that is at most a minute old."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spreadscan import clock
from spreadscan.clock import UtcClock, iso_utc, now_ns


def test_now_is_boottime_and_never_falls() -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    stamps = [now_ns() for _ in range(1_000)]
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert sorted([before, *stamps, after]) == [before, *stamps, after]


class Clocks:
    """Both clocks of this machine, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot_ns, self.unix_ns = 5_000, 1_800_000_000_000_000_000
        monkeypatch.setattr(clock, "now_ns", lambda: self.boot_ns)
        monkeypatch.setattr(clock.time, "time_ns", lambda: self.unix_ns)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_utc_is_boottime_and_an_offset(clocks: Clocks) -> None:
    utc = UtcClock()
    assert 1_800_000_000_000_000_000 == utc.utc_ns(5_000)
    assert 1_800_000_000_000_000_000 - 4_000 == utc.utc_ns(1_000)


HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS, 501_000_000])
def test_a_step_of_the_wall_clock_is_followed_within_a_second(clocks: Clocks, step_ns: int) -> None:
    utc = UtcClock()
    first = utc.offset_ns()
    assert 0 == utc.take_step_ns()
    clocks.unix_ns += step_ns + SECOND_NS
    clocks.boot_ns += SECOND_NS - 1
    assert first == utc.offset_ns()
    clocks.boot_ns += 1
    assert first + step_ns == utc.offset_ns()
    assert (step_ns, 0) == (utc.take_step_ns(), utc.take_step_ns())


def test_a_clock_that_is_slewed_is_followed_after_a_minute(clocks: Clocks) -> None:
    utc = UtcClock()
    first = utc.offset_ns()
    for _ in range(59):
        clocks.boot_ns += SECOND_NS
        clocks.unix_ns += SECOND_NS + 500_000  # the most that NTP slews by
        assert first == utc.offset_ns()
    clocks.boot_ns += SECOND_NS
    clocks.unix_ns += SECOND_NS + 500_000
    assert first + 60 * 500_000 == utc.offset_ns()
    assert 0 == utc.take_step_ns()


def test_a_process_that_was_held_up_between_the_clocks_sees_no_step(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    utc = UtcClock()
    first = utc.offset_ns()

    def unix_ns() -> int:
        clocks.boot_ns += held_ns
        clocks.unix_ns += held_ns
        return clocks.unix_ns

    monkeypatch.setattr(clock.time, "time_ns", unix_ns)
    clocks.boot_ns += SECOND_NS
    clocks.unix_ns += SECOND_NS
    held_ns = HOUR_NS
    assert (first, 0) == (utc.offset_ns(), utc.take_step_ns())
    held_ns = 0
    assert (first, 0) == (utc.offset_ns(), utc.take_step_ns())


def test_a_suspended_machine_is_no_step(clocks: Clocks) -> None:
    utc = UtcClock()
    first = utc.offset_ns()
    clocks.boot_ns += HOUR_NS
    clocks.unix_ns += HOUR_NS
    assert (first, 0) == (utc.offset_ns(), utc.take_step_ns())


def test_the_offset_is_read_at_once_on_a_machine_just_started(clocks: Clocks) -> None:
    clocks.boot_ns = 0
    assert 1_800_000_000_000_000_000 == UtcClock().offset_ns()


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_132_800_123_456_999, "2026-11-20T00:00:00.123456Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (-1_000, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_utc_text(unix_ns: int, text: str) -> None:
    assert text == iso_utc(unix_ns)


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_utc_text_reads_back_to_the_microsecond(unix_ns: int) -> None:
    read = datetime.fromisoformat(iso_utc(unix_ns))
    since = read - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    assert unix_ns // 1_000 == micros
