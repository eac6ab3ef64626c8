"""The market is a pure function: same seed, same quotes, whoever asks and in which order."""

import random
from collections import defaultdict
from decimal import Decimal

import pytest

from known import DIRECTIONS, LATER, SOURCE_BY_NAME, SOURCES
from spreadscan.sim.dislocations import CHANCE, Dislocation
from spreadscan.sim.market import EPOCH_UNIX_NS, Market
from spreadscan.sim.universe import PAIRS
from spreadscan.venues.base import split_multiplier

S = 1_000_000_000


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, also=LATER)


@pytest.fixture(scope="module")
def times(market: Market) -> dict[tuple[int, int], list[int]]:
    """Return all tick times in (0 s, 25 s] by (source, index)."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for t_ns, source_id, index in market.ticks(0, 25 * S):
        found[source_id, index].append(t_ns)
    return found


def edges(market: Market, t_ns: int) -> dict[tuple[int, str], float]:
    """Return the gross edge in bps of every (direction, coin) at one time, suspects left out."""
    touch = {}
    for source in SOURCES:
        for index, unit in enumerate(market.instruments[source.id]):
            if (source.id, index) not in market.suspects:
                touch[source.id, unit.base] = market.touch(source.id, index, t_ns)
    out = {}
    for direction in DIRECTIONS:
        for unit in market.instruments[direction.buy.id]:
            buy = touch.get((direction.buy.id, unit.base))
            sell = touch.get((direction.sell.id, unit.base))
            if buy and sell:
                out[direction.id, unit.base] = (sell.bid_px / buy.ask_px - 1.0) * 1e4
    return out


def test_listings_have_the_counts_of_the_venues(market: Market) -> None:
    assert [len(rows) for rows in market.instruments] == [PAIRS[s.name] for s in SOURCES]
    assert [len(rows) for rows in market.instruments] == [
        460, 528, 394, 394, 547, 579, 278, 252, 420, 380,
    ]  # fmt: skip
    coins = {unit.base for rows in market.instruments for unit in rows}
    assert len(coins) == 680
    assert {"BTC", "ETH", "SOL", "XRP", "DOGE", "PEPE", "SHIB", "1INCH"} <= coins


def test_majors_are_everywhere_and_symbols_are_unique(market: Market) -> None:
    for rows in market.instruments:
        bases = [unit.base for unit in rows]
        assert len(bases) == len(set(bases))
        assert {"BTC", "ETH", "SOL", "1INCH", "PEPE"} <= set(bases)
        assert all(unit.symbol == f"{unit.base}-USDT" for unit in rows)


def test_multipliers_read_by_name_are_those_of_the_prices(market: Market) -> None:
    names = set()
    for rows in market.instruments:
        for unit in rows:
            if unit.listed_base != "MBABYDOGE":  # Gate alone writes a million so
                assert split_multiplier(unit.listed_base) == (unit.base, unit.multiplier)
            if unit.multiplier != 1.0:
                names.add(unit.listed_base)
    assert {
        "MBABYDOGE",
        "1000PEPE",
        "1000SHIB",
        "SHIB1000",
        "1000BONK",
        "1000FLOKI",
        "1000SATS",
    } <= names


def test_contracts_of_the_two_sources_that_count_them(market: Market) -> None:
    size = {
        (source_id, unit.base): unit.contract_size
        for source_id in (5, 7)
        for unit in market.instruments[source_id]
    }
    assert (1e-4, 0.01) == (size[5, "BTC"], size[7, "BTC"])
    assert 1e7 == size[7, "PEPE"]


def test_every_direction_has_many_pairs(market: Market) -> None:
    for direction in DIRECTIONS:
        spot = {unit.base for unit in market.instruments[direction.buy.id]}
        futures = {unit.base for unit in market.instruments[direction.sell.id]}
        assert len(spot & futures) > 150, direction.name


def test_quote_is_what_ticks_publish_in_any_order(market: Market) -> None:
    published = [(t, s, market.book(s, k, t, 0)) for t, s, k in market.due(-S, 2 * S)]
    again = Market(seed=1, also=LATER)
    random.Random(5).shuffle(published)
    for t_ns, series, book in published:
        quote = again.quote(series.source_id, series.index, t_ns)
        assert quote is not None
        assert book == quote._replace(venue_ns=book.venue_ns)


def test_another_seed_is_another_market(market: Market) -> None:
    other = Market(seed=2, also=LATER)
    assert market.quote(0, 0, 0) != other.quote(0, 0, 0)
    assert {i.base for i in market.instruments[0]} != {i.base for i in other.instruments[0]}


def test_a_quote_stands_until_the_next_tick(
    market: Market, times: dict[tuple[int, int], list[int]]
) -> None:
    for key in random.Random(3).sample(sorted(times), 60):
        for before, after in zip(times[key], times[key][1:], strict=False):
            first = market.quote(*key, before)
            assert first == market.quote(*key, after - 1)
            second = market.quote(*key, after)
            assert first is not None
            assert second is not None
            assert first.update_id < second.update_id


def test_live_symbols_tick_within_6_s_and_dead_ones_never(
    market: Market, times: dict[tuple[int, int], list[int]]
) -> None:
    n_listed = sum(len(rows) for rows in market.instruments)
    assert 0.01 * n_listed < len(market.dead) < 0.02 * n_listed
    for source in SOURCES:
        for index in range(len(market.instruments[source.id])):
            key = (source.id, index)
            if key in market.dead:
                assert key not in times
                assert market.quote(*key, 10 * S) is None
                assert market.touch(*key, 10 * S) is None
            else:
                line = [0, *times[key], 25 * S]
                gaps = [b - a for a, b in zip(line, line[1:], strict=False)]
                assert max(gaps) < 6 * S
    bitcoin = len(times[0, 0])
    assert bitcoin > 4 * sorted(len(ts) for ts in times.values())[len(times) // 2]


def test_ticks_are_in_order_and_do_not_depend_on_the_cut(market: Market) -> None:
    whole = list(market.ticks(9 * S, 11 * S))
    assert whole == sorted(whole, key=lambda tick: tick[0])
    cuts = range(9 * S, 11 * S, 37_000_000)
    pieces = [tick for a in cuts for tick in market.ticks(a, min(a + 37_000_000, 11 * S))]
    assert whole == pieces
    index = whole[0][2]
    own = [t for t, s, i in whole if (s, i) == (whole[0][1], index)]
    assert own == market.tick_times(whole[0][1], index, 9 * S, 11 * S)


@pytest.mark.parametrize("rate", [1_200.0, 2_000.0, 10_000.0, 30_000.0])
def test_rate_is_what_was_asked_for(rate: float) -> None:
    market = Market(seed=3, rate=rate, also=LATER)
    assert rate == pytest.approx(market.rate, rel=0.005)
    assert not market.rate_raised
    n = sum(1 for _ in market.ticks(0, 10 * S))
    assert rate * 10 == pytest.approx(n, rel=0.01)


def test_a_rate_that_would_let_symbols_fall_silent_is_raised() -> None:
    market = Market(seed=3, rate=50.0, also=LATER)
    assert market.rate_raised
    assert 600.0 < market.rate < 1_200.0


def test_nothing_ticks_after_the_freeze() -> None:
    market = Market(seed=1, freeze_after_s=2.0, also=LATER)
    assert list(market.ticks(0, 2 * S)) == list(Market(seed=1, also=LATER).ticks(0, 2 * S))
    assert [] == list(market.ticks(2 * S, 60 * S))
    assert market.quote(1, 0, 2 * S) == market.quote(1, 0, 100 * S)


def test_books_are_positive_uncrossed_and_on_the_grid(market: Market) -> None:
    for source in SOURCES:
        for index, unit in enumerate(market.instruments[source.id]):
            book = market.quote(source.id, index, 7 * S)
            if book is None:
                continue
            assert book.symbol == unit.venue_symbol
            assert 0.0 < book.bid_px < book.ask_px
            for px in (book.bid_px, book.ask_px):
                assert Decimal(repr(px)) % Decimal(repr(unit.tick)) == 0
            for qty in (book.bid_qty, book.ask_qty):
                assert qty >= unit.lot_step
                assert Decimal(repr(qty)) % Decimal(repr(unit.lot_step)) == 0
            worth = book.bid_px * book.bid_qty * unit.contract_size
            assert 1_000.0 < worth < 2_000_000.0


def test_venue_clocks_have_the_grain_of_the_venue(market: Market) -> None:
    for source in SOURCES:
        book = market.quote(source.id, 0, 7 * S)
        assert book is not None
        grain = 10_000_000 if source.exchange == "okx" else 1_000_000
        assert 0 == book.venue_ns % grain
        assert (source.name == "binance-spot") == (book.venue_ns == 0)


def test_no_edges_but_dislocations() -> None:
    calm = Market(seed=4, dislocation_chance=0.0, also=LATER)
    highest = max(max(edges(calm, t * S // 2).values()) for t in range(0, 300, 15))
    assert -5.0 < highest < 12.0


def test_dislocations_open_spreads_that_converge_and_that_outlive(market: Market) -> None:
    planned = [d for s in market.series for d in s.schedule.between(0, 120 * S)]
    lives = [(d.end_ns - d.start_ns) / S for d in planned]
    assert 1.0 <= min(lives) < 2.0
    assert 50.0 < max(lives) <= 60.0
    assert 0.2 < sum(life > 15.0 for life in lives) / len(lives) < 0.6
    assert all(60.0 <= abs(d.peak_bps) <= 200.0 for d in planned)
    assert any(d.start_ns < 0 < d.end_ns for d in planned)


def test_new_spreads_come_at_a_steady_pace(market: Market) -> None:
    above: set[tuple[int, str]] = set()
    opened = [0] * 3
    seen: list[float] = []
    for step in range(-12, 60):
        now = edges(market, step * S // 2)
        seen += now.values()
        rise = {key for key, edge in now.items() if edge >= 20.0}
        above = {key for key in above if now.get(key, 0.0) > 10.0}
        if step >= 0:
            opened[step // 20] += len(rise - above)
        above |= rise
    assert all(4 <= n <= 45 for n in opened), opened
    assert 10 <= sum(opened) / len(opened) <= 40
    near = sum(12.0 < edge < 35.0 for edge in seen)
    assert near < 0.12 * sum(edge >= 35.0 for edge in seen)


def test_dislocation_rises_peaks_and_falls() -> None:
    d = Dislocation(10 * S, 20 * S, S, 2 * S, 100.0)
    assert [0.0, 0.0, 0.0, 0.0] == [d.at(t) for t in (0, 10 * S, 20 * S, 30 * S)]
    assert 100.0 == d.at(15 * S)
    assert d.at(10 * S + S // 2) < d.at(11 * S) < d.at(15 * S) > d.at(18 * S) > d.at(19 * S)


def test_dislocations_are_those_that_prices_show(market: Market) -> None:
    shown = 0
    for source_id, index in random.Random(8).sample(
        [(s.source_id, s.index) for s in market.series], 800
    ):
        for d in market.dislocations(source_id, index, 0, 60 * S):
            series = market.at(source_id, index)
            assert d.at(d.start_ns + 1) == series.schedule.offset_bps(d.start_ns + 1)
            assert 0.0 == series.schedule.offset_bps(d.end_ns)
            shown += 1
    assert shown > 10 * CHANCE


def test_suspects_are_far_off_for_ever(market: Market) -> None:
    assert len(market.suspects) == 2
    for source_id, index in market.suspects:
        base = market.instruments[source_id][index].base
        for t_ns in (0, 500 * S):
            own = market.touch(source_id, index, t_ns)
            assert own is not None
            others = [
                touch.bid_px
                for source in SOURCES
                for i, unit in enumerate(market.instruments[source.id])
                if unit.base == base and source.id != source_id
                for touch in [market.touch(source.id, i, t_ns)]
                if touch is not None
            ]
            usual = sorted(others)[len(others) // 2]
            assert not 0.7 < own.bid_px / usual < 1.35


# -- funding


def test_funding_is_paid_on_the_hour_and_moves_by_the_minute(market: Market) -> None:
    source_id = SOURCE_BY_NAME["okx-futures"].id
    unix_ns = EPOCH_UNIX_NS + 77 * 10**9
    hour_ns = 3_600 * 10**9
    seen, periods = set(), set()
    for index in range(len(market.listings[source_id])):
        rate = market.funding(source_id, index, unix_ns)
        assert rate == market.funding(source_id, index, unix_ns)
        assert -0.0004 < rate.rate < 0.0006
        assert 0 < rate.next_ns - unix_ns <= 8 * hour_ns
        assert rate.next_ns % (4 * hour_ns) == 0
        after = market.funding(source_id, index, rate.next_ns)
        periods.add((after.next_ns - rate.next_ns) // hour_ns)
        later = market.funding(source_id, index, unix_ns + 60 * 10**9)
        assert abs(later.rate - rate.rate) < 0.00003
        seen.add(rate.rate)
    assert {4, 8} == periods
    assert len(seen) > 200
    assert min(seen) < 0 < max(seen)
