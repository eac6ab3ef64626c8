"""How old an answer is, by pairs that move."""

import random

import pytest

from spreadscan.audit.evidence import Held, Lag, Pair
from spreadscan.audit.witnesses import AT_LEAST, Witnesses, lag_of
from spreadscan.venues.base import Ticker

S = 10**9
T0 = 10_000 * S


class Market:
    """Pairs that walk at random, some steps a second; what they were stays known."""

    def __init__(self, n: int, seed: int, steps_per_s: float = 3.0) -> None:
        rng = random.Random(seed)
        self.pairs = {i: Pair(i, f"P{i}", 1.0, 0.01, False) for i in range(n)}
        self.path: dict[int, list[tuple[int, float]]] = {}
        for i in range(n):
            at, px, path = T0 - 100 * S, 100.0, []
            while at < T0 + 200 * S:
                path.append((at, px))
                at += int(rng.expovariate(steps_per_s) * S)
                px += rng.choice([-0.05, 0.05])
            self.path[i] = path

    def held(self, i: int, at_ns: int) -> Held:
        recv_ns, px = max(step for step in self.path[i] if step[0] <= at_ns)
        return Held(recv_ns, px, px + 0.02, 0)

    def table(self, at_ns: int) -> dict[int, Held]:
        return {i: self.held(i, at_ns) for i in self.pairs}

    def rows(self, at_ns: int) -> dict[str, Ticker]:
        return {
            f"P{i}": Ticker(f"P{i}", held.bid_px, held.ask_px)
            for i, held in self.table(at_ns).items()
        }


def watched(market: Market, seconds: int = 75) -> Witnesses:
    """Return witnesses that have watched a market for so long, with a round each 15 s."""
    witnesses = Witnesses(5 * S)
    for second in range(seconds):
        at_ns = T0 + second * S
        if second % 15 == 0:
            witnesses.choose(market.table(at_ns))
        witnesses.observe(market.table(at_ns), at_ns)
    return witnesses


def measured(market: Market, witnesses: Witnesses, lag_s: float, after_s: float = 0.1) -> Lag:
    sent_ns = T0 + int(75.3 * S)
    return witnesses.lag(
        market.pairs,
        market.rows(sent_ns - int(lag_s * S)),
        market.table(sent_ns + int(after_s * S)),
        sent_ns,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lag_s", [0.0, 3.0, 8.0, 20.0, 40.0])
def test_the_lag_of_an_answer_is_found(lag_s: float, seed: int) -> None:
    """Not far from it: a walk that crosses an old price makes an answer look younger."""
    market = Market(40, seed)
    lag = measured(market, watched(market), lag_s)
    assert not lag.bad
    assert lag.ns is not None
    assert 0.6 * lag_s - 0.5 <= lag.ns / 1e9 <= lag_s + 1.1


def test_an_answer_from_before_anything_that_is_remembered_is_bad() -> None:
    market = Market(40, 7)
    elsewhere = {
        symbol: row._replace(bid_px=row.bid_px + 50, ask_px=row.ask_px + 50)
        for symbol, row in market.rows(T0 + 75 * S).items()
    }
    witnesses = watched(market)
    sent_ns = T0 + 75 * S
    assert Lag(None, bad=True) == witnesses.lag(
        market.pairs, elsewhere, market.table(sent_ns), sent_ns
    )


def test_an_answer_that_is_newer_than_its_request_is_not_old() -> None:
    market = Market(40, 5)
    lag = measured(market, watched(market), -0.2, after_s=0.3)
    assert lag.ns is not None
    assert lag.ns <= 1.1 * S


def test_quiet_pairs_bear_no_witness() -> None:
    market = Market(40, 3, steps_per_s=0.0001)
    assert Lag(None) == measured(market, watched(market), 0.0)


@pytest.mark.parametrize(("n", "known"), [(AT_LEAST - 1, False), (AT_LEAST + 4, True)])
def test_a_few_prove_nothing(n: int, known: bool) -> None:
    market = Market(n, 2, steps_per_s=6.0)
    assert known == (measured(market, watched(market), 1.0).ns is not None)


def test_the_first_rounds_have_witnesses_too() -> None:
    """Or a host that is half a minute behind could prove a quote wrong before it is known to be."""
    market = Market(200, 6, steps_per_s=0.4)
    witnesses = watched(market, seconds=20)
    sent_ns = T0 + 20 * S
    rows = market.rows(sent_ns - 30 * S)
    lag = witnesses.lag(market.pairs, rows, market.table(sent_ns), sent_ns)
    assert lag.bad or (lag.ns or 0) > 5 * S


def test_who_stops_moving_is_replaced() -> None:
    market, witnesses = Market(100, 9), Witnesses(5 * S)
    stopped = T0 + 20 * S

    def held(i: int, at_ns: int) -> Held:
        return market.held(i, min(at_ns, stopped) if i < 70 else at_ns)

    for second in range(150):
        at_ns = T0 + second * S
        if second % 15 == 0:
            witnesses.choose({i: held(i, at_ns) for i in market.pairs})
        witnesses.observe({i: held(i, at_ns) for i in market.pairs}, at_ns)
    assert set(range(70, 100)) <= set(witnesses.ids)


def test_a_row_without_a_book_and_a_pair_without_a_row_bear_none() -> None:
    market = Market(20, 4)
    witnesses = watched(market)
    sent_ns = T0 + 75 * S
    rows = {s: r._replace(ask_px=0.0) for s, r in market.rows(sent_ns).items()}
    assert Lag(None) == witnesses.lag(market.pairs, rows, market.table(sent_ns), sent_ns)
    assert Lag(None) == witnesses.lag(market.pairs, {}, market.table(sent_ns), sent_ns)


@pytest.mark.parametrize("ticks", [1, 10])
def test_a_price_that_flips_between_two_levels_bears_no_witness(ticks: int) -> None:
    """An answer of any age agrees with one of them."""
    pairs = {i: Pair(i, f"P{i}", 1.0, 0.1, i == 1) for i in range(40)}

    def table(second: int) -> dict[int, Held]:
        px = [100.0 + 0.1 * ticks * ((second + i) % 2) for i in pairs]
        return {i: Held(T0 + second * S, px[i], px[i] + 1.0, 0) for i in pairs}

    witnesses = Witnesses(5 * S)
    for second in range(76):
        if second % 15 == 0:
            witnesses.choose(table(second))
        witnesses.observe(table(second), T0 + second * S)
    rows = {f"P{i}": Ticker(f"P{i}", h.bid_px, h.ask_px, 0) for i, h in table(75 - 45).items()}
    lag = witnesses.lag(pairs, rows, table(75), T0 + 75 * S)
    assert lag.ns is None


def test_those_who_are_asked_about_would_bear_witness() -> None:
    """Not what stands still, flips between two levels or is no pair of ours any more."""
    market = Market(30, 8)
    still, flipping, gone = range(10), range(10, 15), 29

    def table(second: int) -> dict[int, Held]:
        found = market.table(T0 + second * S)
        found |= {i: market.held(i, T0) for i in still}
        px = 100.0 + second % 2
        return found | {i: Held(T0 + second * S, px, px + 0.5, 0) for i in flipping}

    witnesses = Witnesses(5 * S)
    for second in range(60):
        if second % 15 == 0:
            witnesses.choose(table(second))
        witnesses.observe(table(second), T0 + second * S)
    pairs = {i: pair for i, pair in market.pairs.items() if i != gone}
    found = witnesses.moving(pairs, T0 + 60 * S, 30)
    assert len(found) > 5
    assert set(found) <= set(range(15, 29))
    assert 3 == len(witnesses.moving(pairs, T0 + 60 * S, 3))


@pytest.mark.parametrize(
    ("ages", "share", "lag"),
    [
        ([0] * 12 + [40 * S] * 4, 0.8, Lag(40 * S)),  # a quarter comes from a cache
        ([0] * 15 + [None], 0.8, Lag(0)),
        ([0] * 12 + [None] * 4, 0.8, Lag(None, bad=True)),  # one of before all that is remembered
        ([None, None, 0, 0, 0, 0], 1.0, Lag(None, bad=True)),
        ([3, 1, 2, 0], 1.0, Lag(3)),
        ([0, 0, 0], 1.0, Lag(None)),
    ],
)
def test_the_age_of_an_answer_is_one_that_most_rows_are_below(
    ages: list[int | None], share: float, lag: Lag
) -> None:
    assert lag == lag_of(ages, share)


def test_between_two_notes_a_price_may_have_been_anywhere_between_them() -> None:
    witnesses, pairs = Witnesses(5 * S), {0: Pair(0, "P0", 1.0, 0.01, False)}
    for at, px in enumerate((100.0, 102.0, 104.0)):
        table = {0: Held(T0 + at * S, px, px + 0.5, 0)}
        if not at:
            witnesses.choose(table)
        witnesses.observe(table, T0 + at * S)

    def age(px: float) -> list[int | None]:
        row = {"P0": Ticker("P0", px, px + 0.5)}
        return witnesses.ages(pairs, row, table, T0 + 3 * S)

    assert ([S], [2 * S], [None]) == (age(103.0), age(101.0), age(99.0))


def test_those_who_are_preferred_are_asked_about_first() -> None:
    market = Market(30, 8)
    witnesses = watched(market, 60)
    able = set(witnesses.moving(market.pairs, T0 + 60 * S, 30))
    for preferred in ({*list(able)[:4]}, {*list(able)[4:8]}):
        found = witnesses.moving(
            market.pairs, T0 + 60 * S, 4, lambda ids, at_ns, p=preferred: p.intersection(ids)
        )
        assert preferred == set(found)
