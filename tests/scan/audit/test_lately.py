"""Whether pages about pairs that were asked about lately may be those of then."""

import pytest

from spreadscan.audit.evidence import Answer, Held, Lag, Pair
from spreadscan.audit.lately import MEMORY_NS, Lately
from spreadscan.venues.base import Ticker

S = 10**9
T0 = 10_000 * S
P = 0  # the pair in question
MOVERS = {i: Pair(i, f"P{i}", 1.0, 0.1, False) for i in (7, 8, 9, 10)}


def shown(lately: Lately, at_s: int, **px: float) -> None:
    """Ask about pairs that move and hold 100 + at_s now; px: what their rows show."""
    rows = {name: Ticker(name, bid, bid + 1.0) for name, bid in px.items()}
    answer = Answer(T0 + at_s * S, 0, rows, Lag(None))
    held = {i: Held(1, 100.0 + at_s, 101.0 + at_s, 0) for i in MOVERS}
    lately.compare(MOVERS, answer, held)


def asked_twice(lately: Lately) -> int:
    """Return how many seconds after its first question the page of P's second may be made."""
    lately.ask([P], T0)
    lately.ask([P], T0 + 30 * S)
    return (lately.made_ns(P, T0 + 30 * S) - T0) // S


def test_a_page_may_be_that_of_the_first_question_within_the_memory() -> None:
    assert 0 == asked_twice(Lately())
    lately = Lately()
    assert T0 == lately.made_ns(P, T0)
    for at_ns in (T0, T0 + S, T0 + MEMORY_NS, T0 + MEMORY_NS + 2 * S):
        lately.ask([P], at_ns)
    assert T0 + MEMORY_NS == lately.made_ns(P, T0 + MEMORY_NS + 2 * S)


@pytest.mark.parametrize(
    ("second", "made_s"),
    [
        ({"P7": 120.0, "P8": 119.9}, 30),  # other rows than before
        ({"P7": 120.0}, 0),  # one tells nothing
        ({"P7": 100.0, "P8": 120.0}, 0),  # the row of before, though its pair has moved
        ({"P7": 100.0, "P8": 120.0, "P9": 120.0, "P10": 120.0}, 30),  # it moved just now
    ],
)
def test_pairs_that_move_show_whether_pages_are_made_anew(
    second: dict[str, float], made_s: int
) -> None:
    lately = Lately()
    shown(lately, 0, **dict.fromkeys(second, 100.0))
    shown(lately, 20, **second)
    assert made_s == asked_twice(lately)


def test_what_stood_still_or_was_long_ago_shows_nothing() -> None:
    lately = Lately()
    for at_s, px in ((0, 100.0), (0, 99.0), (MEMORY_NS // S + 1, 98.0)):
        shown(lately, at_s, P7=px, P8=px)
        assert 0 == asked_twice(lately)
    lately = Lately()
    shown(lately, -200, P7=100.0, P8=100.0)
    shown(lately, -71, P7=101.0, P8=101.0)  # pages may be cached since
    assert 0 == asked_twice(lately)
