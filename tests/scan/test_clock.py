"""BOOTTIME for intervals, UTC by an offset that is at most a minute old."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spreadscan import clock
from spreadscan.clock import UtcClock, iso_utc, now_ns

MINUTE_NS = 60_000_000_000


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


def test_a_step_of_the_wall_clock_is_followed_after_a_minute(clocks: Clocks) -> None:
    utc = UtcClock()
    first = utc.offset_ns()
    clocks.unix_ns += 3_600_000_000_000  # an hour's step
    clocks.boot_ns += MINUTE_NS - 1
    assert first == utc.offset_ns()
    clocks.boot_ns += 1
    assert first + 3_600_000_000_000 - MINUTE_NS == utc.offset_ns()


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
