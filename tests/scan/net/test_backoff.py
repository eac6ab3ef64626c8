"""Delays grow to a cap, never leave their band, and start again only on reset."""

import random

from hypothesis import given
from hypothesis import strategies as st

from spreadscan.net.backoff import Backoff

BASE = st.floats(0.001, 10.0)
FACTOR = st.floats(1.0, 1_000.0)


class Highest(random.Random):
    """A source of chance that always gives the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 30.0, Highest())
    assert [0.5, 1, 2, 4, 8, 16, 30, 30] == [backoff.next_s() for _ in range(8)]


@given(BASE, FACTOR, st.integers(0, 200), st.integers())
def test_every_delay_is_between_half_and_all_of_its_step(
    base_s: float, factor: float, tries: int, seed: int
) -> None:
    cap_s = base_s * factor
    backoff = Backoff(base_s, cap_s, random.Random(seed))
    for i in range(tries):
        whole = min(cap_s, base_s * 2**i)
        assert whole / 2 <= backoff.next_s() <= whole
        assert i + 1 == backoff.failures


@given(BASE, FACTOR, st.integers(1, 50))
def test_reset_starts_again(base_s: float, factor: float, tries: int) -> None:
    backoff = Backoff(base_s, base_s * factor, Highest())
    first = [backoff.next_s() for _ in range(tries)]
    backoff.reset()
    assert 0 == backoff.failures
    assert first == [backoff.next_s() for _ in range(tries)]


def test_a_cap_below_the_base_holds() -> None:
    backoff = Backoff(5.0, 1.0, Highest())
    assert [1.0, 1.0] == [backoff.next_s() for _ in range(2)]


def test_years_of_failures_do_not_overflow() -> None:
    backoff = Backoff(0.5, 30.0)
    backoff.failures = 10_000_000
    assert 15.0 <= backoff.next_s() <= 30.0


def test_two_of_them_do_not_march_in_step() -> None:
    one, other = Backoff(0.5, 30.0), Backoff(0.5, 30.0)
    assert [one.next_s() for _ in range(8)] != [other.next_s() for _ in range(8)]
