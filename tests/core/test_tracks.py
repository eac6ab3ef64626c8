"""Every open track in one pass: ends, statistics and rows, beside a slow model in Python."""

import csv
import math
import random
from dataclasses import dataclass, field

import pytest
from spreadcore import Instance, region
from spreadcore.errors import CoreError, LayoutMismatch, TableFull
from spreadcore.funding import FundingRates
from spreadcore.opentracks import OpenTuple
from spreadcore.spread import edge_gross_bps
from spreadcore.tracks import CONVERGED, EXPIRED, LOST, NOT_TRADING, UNPROVEN, TrackTable
from spreadcore.trackstats import StatsReader, StatsTuple
from spreadcore.watch import PairWatch

from flags import flags_of
from spreadscan.clock import iso_utc
from spreadscan.tracker import SNAPSHOTS

S = 1_000_000_000
T = 1_000 * S
GRID = S // 5
GAP = 5 * S
EXPIRE, LOSE = 60 * S, 2 * S
SHIFT = 1_795_176_000 * S  # Unix time minus T's clock: whole microseconds
FEES, CONVERGE = 10.0, 2.0
TIE = 1e-11  # what is nearer is equal: tests/laws/test_limits.py
SPOT, PERP = 0, 1
NAN = math.nan


def time_text(now_ns: int) -> bytes:
    return iso_utc(now_ns + SHIFT).encode()


class Market:
    """Two sources of an instance, and a table of tracks on them."""

    def __init__(self, instance, tracks=None):
        self.instance = instance
        self.watch = PairWatch(instance.quotes, instance.health, stale_after_s={PERP: 30.0})
        self.table = TrackTable(
            self.watch, FundingRates(instance.region("funding"), 1 << PERP), grid_ns=GRID,
            gap_ns=GAP, expire_after_ns=EXPIRE, lost_after_ns=LOSE, tracks=tracks,
        )  # fmt: skip

    def beat(self, now_ns):
        for source in (SPOT, PERP):
            self.instance.health.beat(source, now_ns)

    def spread(self, symbol, gross_bps, now_ns, buy_qty=4.0, sell_qty=3.0, px=100.0):
        self.instance.quotes.write(SPOT, symbol, px * 0.999, px, 1.0, buy_qty, 0, now_ns)
        bid = px * (1 + gross_bps / 1e4)
        self.instance.quotes.write(PERP, symbol, bid, bid * 1.001, sell_qty, 2.0, 0, now_ns)

    def hold(self, source, symbol):
        with self.instance.region("quotes").buffer() as raw:
            raw[64 + 64 * (symbol * 3 + source)] |= 1

    def add(self, symbol, now_ns, name=None, fees=FEES, net=30.0, seen=None):
        return self.table.add(
            name or b"track-%05d" % symbol, (SPOT, symbol, PERP, symbol), fees_bps=fees,
            converge_bps=CONVERGE, opened_ns=now_ns, looked_ns=now_ns,
            stats=StatsTuple(net, now_ns, 300.0), seen=seen,
        )  # fmt: skip

    def sample(self, now_ns, **kwargs):
        return self.table.sample(now_ns, time_text(now_ns), **kwargs)


@pytest.fixture
def market(make_instance):
    market = Market(make_instance(n_sources=3, n_symbols=128, n_edges=128))
    market.beat(T)
    return market


def ends(market, script):
    """Play (second, gross or None for an empty leg or 'hold') on a new track; return its ends."""
    market.spread(7, 40.0, T)
    slot = market.add(7, T)
    found = []
    for second, gross in script:
        now = T + int(second * S)
        market.beat(now)
        if gross == "hold":
            market.hold(PERP, 7)
        elif gross is None:
            market.instance.quotes.write_empty(PERP, 7)
        else:
            market.spread(7, gross, now)
        found += [(second, reason) for s, reason, _ in market.sample(now).ended if s == slot]
    return found


@pytest.mark.parametrize(("script", "expected"), [
    ([(1, 12.0001), (2, 11.9999), (3, 0.0)], [(2, CONVERGED)]),
    ([(59.999, 40.0), (60, 40.0)], [(60, EXPIRED)]),
    ([(70, 0.0)], [(70, CONVERGED)]),  # says more than EXPIRED
    ([(10, None), (11.999, None), (12, None)], [(12, LOST)]),
    ([(10, None), (11, 40.0), (12, None), (13.999, None)], []),
    ([(1, 40.0), (50, None)], []),  # nobody looked for long: one bad look is not a lost pair
    ([(10, "hold"), (11.999, "hold"), (12, "hold")], [(12, LOST)]),
    ([(10, None), (11, "hold"), (12, None)], [(12, LOST)]),
    ([(59, 40.0), (60, "hold")], [(60, EXPIRED)]),
])  # fmt: skip
def test_when_a_track_ends(market, script, expected):
    assert expected == ends(market, script)


def test_a_price_that_is_not_tradable_ends_nothing(market):
    market.spread(7, -50.0, T)
    market.add(7, T)
    assert [] == market.sample(T + 31 * S).ended  # stale from 30 s on, and no beat
    assert 0 == market.table.stats(0).tradable_looks


def test_a_leg_past_its_own_validity_is_not_followed(market):
    """A pool's quote: true for 300 ms, whatever its source allows; then the track is lost."""
    market.spread(7, 40.0, T)
    market.instance.quotes.write(SPOT, 7, NAN, 100.0, NAN, 4.0, 0, T, flags_of(valid_ms=300))
    market.add(7, T)
    found = []
    for ms in (300, 301, 2_300, 2_301):
        market.beat(T + ms * S // 1000)
        found += [(ms, e[1]) for e in market.sample(T + ms * S // 1000).ended]
        assert 1 == market.table.stats(0).tradable_looks
    assert [(2_301, LOST)] == found


def test_unknown_fees_never_converge(market):
    market.spread(7, -50.0, T)
    market.add(7, T, fees=NAN, net=NAN)
    assert [] == market.sample(T + S).ended
    market.beat(T + 60 * S)
    ((_, reason, pair),) = market.sample(T + 60 * S).ended
    assert (EXPIRED, -50.0) == (reason, round(pair.gross_bps, 9))


# -- the model


@dataclass
class Slow:
    """A track as a few lines of Python have it."""

    opened: int
    looked: int
    peak: tuple[float, int, float]
    nets: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    profit: int = 0
    looks: int = 0
    skipped: int = 0
    bad_since: int | None = None
    worst: tuple[int, int] = (-1, -1)

    def look(self, pair, now, unseen=0):
        """Return why the track ends; unseen: how long nobody looked at any, if for long."""
        if self.bad_since is not None:
            self.bad_since += unseen
        if pair is not None:
            passed = now - self.looked
            self.skipped += max(0, now // GRID - self.looked // GRID - 1)
            self.looked, self.looks = now, self.looks + 1
            ages = pair.buy_age_ns, pair.sell_age_ns
            self.worst = tuple(
                max(worst, -1 if age == -1 else max(age, 0) // 10**6)
                for worst, age in zip(self.worst, ages, strict=True)
            )
        if pair is not None and pair.tradable:
            self.bad_since = None
            net = pair.gross_bps - FEES
            size = min(pair.buy_ask * pair.buy_ask_qty, pair.sell_bid * pair.sell_bid_qty)
            if net > self.peak[0] + TIE:
                self.peak = net, now, size
            self.profit += min(passed, GRID) if net > TIE else 0
            self.nets.append(net)
            self.sizes.append(size)
            if net < CONVERGE - TIE:
                return CONVERGED
        elif self.bad_since is None:
            self.bad_since = now
        if now - self.opened >= EXPIRE:
            return EXPIRED
        lost = self.bad_since is not None and now - self.bad_since >= LOSE
        return LOST if lost else None

    def stats(self):
        n = len(self.nets)
        return StatsTuple(
            *self.peak, self.profit, math.fsum(self.nets) / n if n else NAN,
            math.fsum(self.sizes) / n if n else NAN, min(self.sizes, default=NAN), n,
            self.looks, self.skipped, *self.worst,
        )  # fmt: skip


def same(expected, found):
    return found == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_look_is_what_the_model_does_and_its_rows_say_it_again(market, seed):
    rng = random.Random(seed)
    slow, slots, names, over = {}, {}, {}, {}
    openings, rows, reasons, now, last = [], [], set(), T, 0
    for tick in range(800):
        now = (now // GRID + 1 + (rng.random() < 0.03) * rng.randrange(40)) * GRID
        now += rng.randrange(150) * 1_000_000
        unseen = now - last if last and now - last >= GAP else 0
        last = now
        if rng.random() < 0.9:
            market.beat(now)
        for symbol in range(40):
            fate = rng.random()
            if fate < 0.02:
                market.hold(rng.choice([SPOT, PERP]), symbol)
            elif fate < (0.025 if symbol < 8 else 0.05):
                market.instance.quotes.write_empty(rng.choice([SPOT, PERP]), symbol)
            elif fate < 0.6 or tick == 0:
                gross = (
                    rng.choice([rng.uniform(12, 90), 12.5, 60.0])
                    if fate < 0.59 or symbol < 8
                    else 5.0
                )
                market.spread(
                    symbol, gross, now, rng.uniform(0.1, 9), rng.uniform(0.1, 9),
                    px=round(rng.lognormvariate(0, 4), 6) + 1e-6,
                )  # fmt: skip
            if symbol not in slots and rng.random() < 0.3:
                opened = now - rng.randrange(GRID // 1000) * 1000
                name = names[symbol] = b"%02d-%05d" % (symbol, tick)
                slots[symbol] = market.add(symbol, opened, name)
                slow[symbol] = Slow(opened, opened, (30.0, opened, 300.0))
                first = StatsTuple(30.0, opened, 300.0)
                openings.append((name, FEES, first, opened + SHIFT, SHIFT))
        market.watch.refresh(now)
        pairs = {symbol: market.watch.read(SPOT, symbol, PERP, symbol, now) for symbol in slots}
        expected = {
            slots[s]: (end, pairs[s]) for s in slots if (end := slow[s].look(pairs[s], now, unseen))
        }
        found = market.sample(now)
        rows.append(found.rows)
        reasons |= {why for _, why, _ in found.ended}
        assert sum(pair is not None for pair in pairs.values()) == found.n_rows
        assert repr(dict(sorted(expected.items()))) == repr(
            {s: (why, pair) for s, why, pair in sorted(found.ended)}
        )
        for symbol in [s for s, slot in slots.items() if slot in expected]:
            name, model, slot = names.pop(symbol), slow.pop(symbol), slots.pop(symbol)
            over[name] = model
            assert same(model.stats(), market.table.stats(slot)), (name, tick)
            market.table.remove(slot)
        assert len(slots) == len(market.table)
    reader = StatsReader(openings, grid_ns=GRID)
    assert 0 == sum(reader.read(block) for block in rows)
    for name, model in over.items():  # the rows say it all again
        stats, looked = reader.result(name)
        assert model.looked == looked
        assert same(model.stats(), stats), name
    assert len(over) > 200
    assert {CONVERGED, EXPIRED, LOST} == reasons


# -- rows


def test_a_row_has_its_values_in_the_order_of_the_columns(market):
    market.spread(7, 40.0, T - 1_999_999)
    market.add(7, T, b"id")
    (row,) = csv.DictReader([",".join(SNAPSHOTS.names), market.sample(T).rows.decode()])
    bid = 100.0 * (1 + 40 / 1e4)
    assert {
        "track_id": "id", "time": time_text(T).decode(), "buy_bid": "99.9", "buy_bid_qty": "1.0",
        "buy_ask": "100.0", "buy_ask_qty": "4.0", "sell_bid": repr(bid), "sell_bid_qty": "3.0",
        "sell_ask": repr(bid * 1.001), "sell_ask_qty": "2.0", "buy_age_ms": "1",
        "sell_age_ms": "1", "gross_bps": "40.00", "net_bps": "30.00",
        "exit_bps": f"{edge_gross_bps(99.9, bid * 1.001):.2f}", "funding_bps": "", "tradable": "1",
    } == row  # fmt: skip


@pytest.mark.parametrize(("empty", "expected"), [
    ({PERP}, "id,%s,99.9,1.0,100.0,4.0,,,,,0,,,,,,0\n"), ({SPOT, PERP}, "id,%s,,,,,,,,,,,,,,,0\n"),
])  # fmt: skip
def test_an_empty_leg_leaves_its_fields_empty(market, empty, expected):
    market.spread(7, 40.0, T)
    for source in empty:
        market.instance.quotes.write_empty(source, 7)
    market.add(7, T, b"id")
    assert expected % time_text(T).decode() == market.sample(T).rows.decode()


def test_a_quote_newer_than_the_look_has_age_0(market):
    market.spread(7, 40.0, T + 5 * S)
    market.add(7, T, b"id")
    assert ["0", "0"] == market.sample(T).rows.decode().split(",")[10:12]


def test_funding_stands_beside_net(market):
    market.spread(7, 40.0, T)
    market.add(7, T, b"id")
    market.instance.funding.write(SPOT, 7, 0.5, 1, 2 * T)
    market.instance.funding.write(PERP, 7, 0.000125, 1, T + S)
    for at, expected in ((T, "1.25"), (T + S - 1, "1.25"), (T + S, "")):
        fields = market.sample(at).rows.decode().split(",")
        assert ("30.00", expected) == (fields[13], fields[15])


def test_funding_of_another_instance_is_refused(market):
    region.create(market.instance.name, n_sources=3, n_symbols=128, n_edges=128, force=True)
    other = Instance(market.instance.name)
    with pytest.raises(LayoutMismatch, match="attach again"):
        TrackTable(
            market.watch, other.funding, grid_ns=GRID, gap_ns=GAP, expire_after_ns=EXPIRE,
            lost_after_ns=LOSE,
        )  # fmt: skip


def test_without_rows_it_still_looks_and_tells_of_the_time_without(market):
    market.spread(7, 40.0, T)
    market.add(7, T)
    for second in range(1, 7):
        market.beat(T + second * S)
        found = market.sample(T + second * S, rows=False)
        assert (b"", 0, []) == found[:3]
    found = market.sample(T + 7 * S)
    ((slot, gap_ns, stats),) = found.late
    assert (0, 7 * S, 7, 1) == (slot, gap_ns, stats.looks, found.n_rows)
    assert stats == market.table.stats(0)


# -- slots


def test_ten_thousand_tracks_and_their_slots_again(make_instance):
    market = Market(make_instance(n_sources=3, n_symbols=1024, n_edges=1024))
    for symbol in range(1024):
        market.spread(symbol, 40.0, T)
    market.beat(T)
    slots = [market.add(n % 1024, T, b"%05d" % n) for n in range(10_000)]
    assert list(range(10_000)) == slots
    lines = market.sample(T).rows.split(b"\n")[:-1]
    assert [b"%05d" % n for n in range(10_000)] == [line[:5] for line in lines]
    for slot in range(0, 10_000, 3):
        market.table.remove(slot)
    assert 6_666 == market.sample(T + GRID).n_rows == len(market.table)
    assert {market.add(1, T) for _ in range(3_334)} == set(range(0, 10_000, 3))


@pytest.mark.parametrize("name", [b"", b"x" * 33, b"a,b", b"a\nb", b'a"b'])
def test_a_name_that_breaks_a_row_is_refused(market, name):
    with pytest.raises(CoreError, match="track id: .*, expected 1 to 32 bytes"):
        market.table.add(name, (0, 2, 1, 2), fees_bps=0, converge_bps=0, opened_ns=T, looked_ns=T,
                         stats=StatsTuple(NAN, T, NAN))  # fmt: skip
    assert 0 == len(market.table)


@pytest.mark.parametrize("pair", [(3, 0, 1, 0), (0, 0, 3, 0), (0, 128, 1, 0), (0, 0, 1, 128)])
def test_a_pair_beyond_the_quote_table_is_refused(market, pair):
    with pytest.raises(TableFull):
        market.table.add(b"x", pair, fees_bps=0, converge_bps=0, opened_ns=T, looked_ns=T,
                         stats=StatsTuple(NAN, T, NAN))  # fmt: skip


def test_a_slot_that_is_nobody_s_is_refused(market):
    for call in (market.table.stats, market.table.remove):
        with pytest.raises(TableFull, match="track slot: 0, expected one of 0 in use"):
            call(0)
    with pytest.raises(CoreError, match="time: b'noon', expected as 2026"):
        market.table.sample(T, b"noon")


# -- reading rows again


def test_rows_of_others_and_older_ones_are_passed_over(market):
    market.spread(7, 40.0, T)
    market.add(7, T, b"id")
    rows = [market.sample(T + n * GRID).rows for n in range(1, 6)]
    reader = StatsReader(
        [(b"id", FEES, StatsTuple(30.0, T, 300.0), T + 3 * GRID + SHIFT, SHIFT)], grid_ns=GRID
    )
    assert 0 == reader.read(b"".join(rows).replace(b"id,", b"ie,"))
    assert 0 == reader.read(b"".join([*rows, *rows]))
    stats, looked = reader.result(b"id")
    assert (2, T + 5 * GRID) == (stats.looks, looked)
    with pytest.raises(KeyError):
        reader.result(b"ie")


def test_a_row_that_makes_no_sense_is_counted_and_left_out(market):
    market.spread(7, 40.0, T)
    market.add(7, T, b"id")
    good = market.sample(T + GRID).rows
    start = StatsTuple(30.0, T, 300.0)
    rng = random.Random(3)
    counts = {0: 0, 1: 0}
    for _ in range(3_000):
        row = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            row[rng.randrange(3, len(row) - 1)] = rng.choice(b",.0-eZ\x00\xff:")
        reader = StatsReader([(b"id", FEES, start, T + SHIFT, SHIFT)], grid_ns=GRID)
        broken = reader.read(bytes(row))
        counts[broken] += 1
        assert broken + reader.result(b"id")[0].looks <= 1
    assert min(counts.values()) > 100
    for row in (b"id,\n", b"id," + b"," * 15 + b"\n", good.replace(b",1\n", b",2\n"),
                good.replace(b",100.0,", b",,")):  # fmt: skip
        assert 1 == StatsReader([(b"id", FEES, start, T, 0)], grid_ns=GRID).read(row)


# -- ends by the audit


def audited(instance):
    watch = PairWatch(
        instance.quotes, instance.health, audit=instance.audit,
        confirm_within_s={SPOT: 60.0, PERP: 60.0},
    )  # fmt: skip
    table = TrackTable(
        watch, instance.funding, grid_ns=GRID, gap_ns=GAP, expire_after_ns=10 * EXPIRE,
        lost_after_ns=LOSE,
    )  # fmt: skip
    market = Market(instance)
    market.watch, market.table = watch, table
    market.beat(T)
    return market


@pytest.mark.parametrize("leg", [SPOT, PERP])
@pytest.mark.parametrize(("verdict", "reason"), [
    (("halt", T + S), NOT_TRADING),
    (("find_wrong", T, T + S), UNPROVEN),  # the quote of the opening, still there a second later
    (("find_wrong", T - S, T + S), UNPROVEN),
    (("find_wrong", T - S, T - 1), None),  # of before: another quote stood there by then
    (("find_wrong", T + 1, T + S), None),  # came later: the opening was on another one
    (("accuse", T, T + S), None),
    (("confirm", T, T + S), None),
])  # fmt: skip
def test_the_audit_ends_a_track(make_instance, leg, verdict, reason):
    market = audited(make_instance(n_sources=3, n_symbols=128, n_edges=128))
    market.spread(7, 40.0, T)
    market.add(7, T)
    kind, *facts = verdict
    getattr(market.instance.audit, kind)(leg, 7, *facts)
    found = market.sample(T + S).ended
    assert ([reason] if reason else []) == [why for _, why, _ in found]


@pytest.mark.parametrize("leg", [SPOT, PERP])
@pytest.mark.parametrize(
    ("confirmed_ns", "proven"), [(T, True), (T + 45 * S, True), (T - 1, False)]
)
def test_an_opening_that_was_confirmed_is_not_unproven_by_what_froze_later(
    make_instance, leg, confirmed_ns, proven
):
    market = audited(make_instance(n_sources=3, n_symbols=128, n_edges=128))
    market.spread(7, 40.0, T)
    market.add(7, T)
    market.instance.audit.confirm(leg, 7, T - S, confirmed_ns)
    assert [] == market.sample(T + 46 * S).ended
    market.instance.audit.find_wrong(leg, 7, T - S, T + 55 * S)
    assert proven != (UNPROVEN in [why for _, why, _ in market.sample(T + 55 * S).ended])


def test_a_track_that_has_stood_for_minutes_is_ended_by_a_halt_once_its_leg_is_gone(make_instance):
    market = audited(make_instance(n_sources=3, n_symbols=128, n_edges=128))
    market.spread(7, 40.0, T)
    market.add(7, T - 121 * S)
    market.instance.audit.halt(SPOT, 7, T)
    assert [] == market.sample(T).ended  # the feed has not heard of it yet
    market.instance.quotes.write_empty(SPOT, 7)
    assert [NOT_TRADING] == [why for _, why, _ in market.sample(T + GRID).ended]


# -- what others see


def seen(n):
    return OpenTuple(
        n, n, n, "open", T, T, 100.0, 100.4, 4.0, 3.0, 1, 2, 40.0, 30.0, NAN, NAN, 30.0, True,
        n == 1,
    )  # fmt: skip


def test_others_see_what_the_rows_say(make_instance):
    """As many as there are slots for; a new one takes the lowest that is free."""
    instance = make_instance(n_sources=3, n_symbols=16, n_edges=16, n_tracks=2)
    instance.tracks.put(1, seen(9))  # of a tracker that is gone
    market = Market(instance, instance.tracks)
    assert [] == instance.tracks.all()
    market.beat(T)
    slots = [market.add(symbol, T, seen=seen(symbol)) for symbol in range(3)]
    assert [0, 1, 2] == slots
    assert ["open"] * 2 == [row.state for row in instance.tracks.all()]
    assert [False, True] == [row.unproven for row in instance.tracks.all()]
    for symbol in range(3):
        market.spread(symbol, 40.0 + symbol, T + 7_000_000)
    now = T + GRID
    rows = list(csv.DictReader(market.sample(now).rows.decode().splitlines(), SNAPSHOTS.names))
    assert 3 == len(rows)
    for row, open_ in zip(rows, instance.tracks.all(), strict=False):
        assert (T, now, "open") == (open_.opened_ns, open_.looked_ns, open_.state)
        pairs = {
            "buy_ask": open_.buy_px, "sell_bid": open_.sell_px, "buy_ask_qty": open_.buy_qty,
            "sell_bid_qty": open_.sell_qty,
        }  # fmt: skip
        assert pairs == {name: float(row[name]) for name in pairs}
        for name in ("gross_bps", "net_bps", "exit_bps"):
            assert float(row[name]) == round(getattr(open_, name), 2)
        assert (row["buy_age_ms"], row["tradable"]) == ("193", "1")
        assert (193, 193, True) == (open_.buy_age_ms, open_.sell_age_ms, open_.tradable)
        assert open_.peak_net_bps == market.table.stats(open_.track).peak_net_bps
        assert math.isnan(open_.funding_bps)
    market.hold(SPOT, 0)
    market.sample(now + GRID)
    assert [now, now + GRID] == [row.looked_ns for row in instance.tracks.all()]  # 0 was held
    market.table.end(slots[1])
    assert ["open", "ended"] == [row.state for row in instance.tracks.all()]
    market.table.remove(slots[0])
    assert [1] == [row.track for row in instance.tracks.all()]
    assert slots[0] == market.add(5, T, seen=seen(5))
    assert [1, 5] == [row.track for row in instance.tracks.all()]
