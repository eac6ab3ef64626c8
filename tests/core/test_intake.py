"""The intake: what passes the gate, in which units, under which id and link rules."""

import math
import os
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore import Instance, region
from spreadcore.errors import CoreError, TableFull
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED
from spreadcore.quotes import QuoteTuple

SOURCE = 1
SYMBOL = 5
T = 10**12
S = 10**9
NAN = math.nan
INF = math.inf
ACCEPTED, REFRESHED = 0, 1


def reason(name):
    """The return code of accept() for a reason."""
    return -1 - DECLINED.index(name)


class Feed:
    """An intake with the table around it, and one call with defaults."""

    def __init__(self, instance, id_reset="never", **options):
        self.instance = instance
        self.intake = SourceIntake(
            *(instance.region(name) for name in ("quotes", "dirty", "health")), SOURCE, id_reset,
            **options,
        )  # fmt: skip
        self.intake.add_symbol(SYMBOL)

    def __call__(
        self, *, symbol=SYMBOL, link=1, bid=100.0, bid_qty=3.0, ask=100.5, ask_qty=4.0,
        venue_ns=7, update_id=-1, id_kind=0, at=T,
    ):  # fmt: skip
        return self.intake.accept(
            symbol, link, bid, bid_qty, ask, ask_qty, venue_ns, update_id, id_kind, at
        )

    def quote(self, symbol=SYMBOL):
        return self.instance.quotes.read(SOURCE, symbol)

    def dirty(self):
        return self.instance.dirty.take(SOURCE)

    @property
    def counters(self):
        """Counters that are not zero."""
        found = self.instance.health.counters(SOURCE)
        return {name: value for name, value in found.items() if value}

    @property
    def is_empty(self):
        found = self.quote()
        return found.recv_ns == 0 and all(math.isnan(value) for value in found[:4])


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=3, n_symbols=64, n_edges=64)


@pytest.fixture
def feed(instance):
    return Feed(instance)


# -- the gate


def test_a_good_top_reaches_its_slot_and_its_bit(feed):
    assert ACCEPTED == feed(link=9)
    assert QuoteTuple(100.0, 100.5, 3.0, 4.0, 7, T, 9) == feed.quote()
    assert [SYMBOL] == feed.dirty()
    assert {"quotes": 1} == feed.counters
    assert T == feed.intake.last_recv_ns(SYMBOL)


@pytest.mark.parametrize("symbol", [6, 63, 64, 2**40])
def test_an_unknown_symbol_touches_nothing(feed, symbol):
    assert reason("unknown_symbol") == feed(symbol=symbol)
    assert [] == feed.dirty()
    assert {"declined_unknown_symbol": 1} == feed.counters


BAD = [
    ("one_sided", {"bid": NAN}),
    ("one_sided", {"ask": NAN, "ask_qty": NAN}),
    ("one_sided", {"bid_qty": NAN}),
    ("one_sided", {"ask_qty": NAN}),
    ("one_sided", {"bid": NAN, "ask": -1.0}),
    ("bad_price", {"bid": 0.0}),
    ("bad_price", {"ask": 0.0}),
    ("bad_price", {"bid": -0.0}),
    ("bad_price", {"bid": -1.0}),
    ("bad_price", {"ask": INF}),
    ("bad_price", {"bid": -INF}),
    ("bad_price", {"bid_qty": 0.0}),
    ("bad_price", {"ask_qty": 0.0}),
    ("bad_price", {"ask_qty": -4.0}),
    ("bad_price", {"bid_qty": INF}),
    ("crossed", {"bid": 100.6}),
    ("crossed", {"bid": math.nextafter(100.5, INF)}),
]


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_a_bad_top_empties_the_slot(feed, name, fields):
    """The old top is gone, whatever the new one is."""
    feed()
    feed.dirty()
    assert reason(name) == feed(**fields, link=3, at=T + 1)
    assert feed.is_empty
    assert 3 == feed.quote().flags
    assert [SYMBOL] == feed.dirty()
    assert {"quotes": 1, "emptied": 1, f"declined_{name}": 1} == feed.counters
    assert T == feed.intake.last_recv_ns(SYMBOL)


def test_a_locked_book_is_good(feed):
    assert ACCEPTED == feed(bid=100.5)


@pytest.mark.parametrize("tiny", [5e-324, 1e-12])
def test_tiny_and_huge_are_good(feed, tiny):
    assert ACCEPTED == feed(bid=tiny, ask=tiny, bid_qty=1e18, ask_qty=1e300)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(*[st.floats(width=64)] * 4),
    st.floats(1e-9, 1e9),
    st.floats(1e-300, 1e300),
)
def test_a_slot_is_empty_or_holds_a_tradable_top(law_feed, fields, multiplier, qty_scale):
    """Whatever comes: never a NaN, an infinity, a zero or a crossed book beside a receive time."""
    feed = law_feed
    feed.intake.add_symbol(SYMBOL, multiplier, qty_scale)
    bid, bid_qty, ask, ask_qty = fields
    code = feed(bid=bid, bid_qty=bid_qty, ask=ask, ask_qty=ask_qty)
    found = feed.quote()
    if code >= 0:
        assert T == found.recv_ns
        assert all(0 < value < INF for value in found[:4])
        assert found.bid_px <= found.ask_px
    else:
        assert feed.is_empty


@pytest.fixture(scope="module")
def law_feed():
    """One feed for all examples of a law."""
    name = f"test-law-{os.getpid()}"
    region.create(name, n_sources=3, n_symbols=64, n_edges=64, force=True)
    yield Feed(Instance(name, writable=("quotes", "dirty", "health")))
    region.unlink(name)


# -- units


def test_prices_are_per_coin_and_sizes_in_coins(feed):
    """1000PEPE in contracts of 10: one contract is 10,000 coins."""
    feed.intake.add_symbol(SYMBOL, 1000.0, 10_000.0)
    feed(bid=0.008, ask=0.009, bid_qty=5.0, ask_qty=7.0)
    found = feed.quote()
    assert (0.008 / 1000.0, 0.009 / 1000.0, 50_000.0, 70_000.0) == found[:4]


def test_an_unknown_contract_size_is_declined_and_writes_nothing(feed):
    feed.intake.add_symbol(SYMBOL, 1.0, NAN)
    assert reason("no_contract_size") == feed()
    assert feed.is_empty
    assert [] == feed.dirty()
    assert {"declined_no_contract_size": 1} == feed.counters


@pytest.mark.parametrize(
    ("multiplier", "qty_scale", "fields"),
    [(1e-300, 1.0, {"ask": 1e300}), (1e300, 1.0, {"bid": 1e-300}), (1.0, 1e300, {"bid_qty": 1e300}),
     (1.0, 1e-300, {"ask_qty": 1e-300})],
)  # fmt: skip
def test_what_leaves_the_range_in_our_units_is_a_bad_price(feed, multiplier, qty_scale, fields):
    feed.intake.add_symbol(SYMBOL, multiplier, qty_scale)
    assert reason("bad_price") == feed(**fields)
    assert feed.is_empty


@pytest.mark.parametrize("multiplier", [0.0, -1.0, INF, NAN])
def test_a_multiplier_is_above_zero(feed, multiplier):
    with pytest.raises(CoreError, match="multiplier .*, expected above 0"):
        feed.intake.add_symbol(7, multiplier)
    assert reason("unknown_symbol") == feed(symbol=7)


@pytest.mark.parametrize("qty_scale", [0.0, -1.0, INF])
def test_a_size_scale_is_above_zero_or_not_known(feed, qty_scale):
    with pytest.raises(CoreError, match="qty_scale .*, expected above 0 or NaN"):
        feed.intake.add_symbol(7, 1.0, qty_scale)


# -- update ids


def test_an_older_id_is_declined_and_leaves_the_quote(feed):
    feed(update_id=10)
    feed.dirty()
    assert reason("old_id") == feed(update_id=9, bid=50.0, at=T + 1)
    assert (100.0, T) == (feed.quote().bid_px, feed.quote().recv_ns)
    assert [] == feed.dirty()
    assert {"quotes": 1, "declined_old_id": 1} == feed.counters


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_an_older_id_that_is_bad_too_does_not_empty(feed, name, fields):
    feed(update_id=10)
    assert reason("old_id") == feed(update_id=9, **fields)
    assert 100.0 == feed.quote().bid_px


def test_an_equal_id_is_a_refresh(feed):
    """Bybit repeats an unchanged top every 3 s: its age begins anew."""
    assert ACCEPTED == feed(update_id=10)
    assert REFRESHED == feed(update_id=10, at=T + 3 * S)
    assert T + 3 * S == feed.quote().recv_ns
    assert {"quotes": 2, "refreshes": 1} == feed.counters


def test_ids_may_jump_ahead(feed):
    assert [ACCEPTED] * 3 == [feed(update_id=n) for n in (1, 2**40, 2**63 - 1)]


def test_without_ids_everything_is_new(feed):
    assert [ACCEPTED] * 3 == [feed(update_id=-1) for _ in range(3)]
    assert ACCEPTED == feed(update_id=10)
    assert ACCEPTED == feed(update_id=-1)  # a frame without one: nothing to compare
    assert ACCEPTED == feed(update_id=3)


def test_ids_of_another_kind_are_not_compared(feed):
    assert ACCEPTED == feed(update_id=10, id_kind=0)
    assert ACCEPTED == feed(update_id=3, id_kind=1)
    assert reason("old_id") == feed(update_id=2, id_kind=1)
    assert ACCEPTED == feed(update_id=3, id_kind=0)
    assert ACCEPTED == feed(update_id=3, id_kind=255)  # equal, but of another kind: no refresh
    with pytest.raises(OverflowError):
        feed(id_kind=256)


def test_a_bad_frame_counts_as_the_newest(feed):
    """It said what the book is now: an older good one must not bring the old top back."""
    feed(update_id=10)
    feed(update_id=12, bid=NAN)
    assert reason("old_id") == feed(update_id=11)
    assert feed.is_empty


def test_reset_never(instance):
    feed = Feed(instance, "never")
    feed(update_id=100, venue_ns=7)
    assert reason("old_id") == feed(update_id=1, venue_ns=8)
    assert reason("old_id") == feed(update_id=50, venue_ns=8)


def test_reset_is_one(instance):
    feed = Feed(instance, "is_one")
    feed(update_id=100)
    assert reason("old_id") == feed(update_id=2, venue_ns=8)
    assert reason("old_id") == feed(update_id=0, venue_ns=8)
    assert ACCEPTED == feed(update_id=1)
    assert ACCEPTED == feed(update_id=2)
    assert reason("old_id") == feed(update_id=0)


def test_reset_newer_time(instance):
    feed = Feed(instance, "newer_time")
    feed(update_id=100, venue_ns=1000)
    assert reason("old_id") == feed(update_id=99, venue_ns=999)
    assert reason("old_id") == feed(update_id=99, venue_ns=1000)
    assert ACCEPTED == feed(update_id=3, venue_ns=1001)
    assert reason("old_id") == feed(update_id=2, venue_ns=1001)
    assert ACCEPTED == feed(update_id=4, venue_ns=1)  # a higher id is newer, whatever its time


def test_an_unknown_reset_rule_is_refused(instance):
    with pytest.raises(CoreError, match="'sometimes', expected one of never, is_one, newer_time"):
        Feed(instance, "sometimes")


# -- ids that begin anew


@pytest.mark.parametrize("reset", ["never", "is_one", "newer_time"])
def test_three_lower_ids_that_rise_are_a_new_sequence(instance, reset):
    feed = Feed(instance, reset)
    feed(update_id=1000)
    assert [reason("old_id")] * 2 == [feed(update_id=n, bid=99.0) for n in (10, 11)]
    assert 100.0 == feed.quote().bid_px
    assert ACCEPTED == feed(update_id=12, bid=99.0)
    assert 99.0 == feed.quote().bid_px
    assert [ACCEPTED] * 3 == [feed(update_id=n) for n in (13, 14, 15)]
    assert {SYMBOL: 1} == feed.intake.id_restarts()
    assert 1 == feed.counters["id_restarts"]


def test_single_old_ids_between_good_ones_stay_refused(feed):
    for n in range(100):
        assert ACCEPTED == feed(update_id=1000 + n, at=T + n * S)
        assert [reason("old_id")] * 2 == [feed(update_id=10 + 2 * n + i) for i in (0, 1)]
    assert {} == feed.intake.id_restarts()


def test_old_ids_that_fall_or_repeat_are_no_sequence(feed):
    feed(update_id=1000)
    ids = (30, 29, 28, 28, 28, 29, 27, 28)
    assert [reason("old_id")] * 8 == [feed(update_id=n, at=T + n) for n in ids]


def test_after_five_seconds_without_an_id_a_lower_one_is_a_new_sequence(feed):
    feed(update_id=1000)
    assert reason("old_id") == feed(update_id=10, at=T + 5 * S - 1)
    assert ACCEPTED == feed(update_id=10, at=T + 5 * S)
    assert reason("old_id") == feed(update_id=9, at=T + 6 * S)


def test_a_bad_frame_is_an_id_too(feed):
    """A book that is one-sided for a while is not without ids."""
    feed(update_id=1000)
    feed(update_id=1001, bid=NAN, at=T + 4 * S)
    assert reason("old_id") == feed(update_id=10, at=T + 6 * S)


def test_a_socket_beside_the_owner_may_lag_by_a_burst(feed):
    feed(link=2, update_id=1000)
    assert [reason("old_id")] * 9 == [feed(link=1, update_id=n) for n in range(10, 19)]
    assert reason("old_id") == feed(link=1, update_id=20, at=T + 5 * S - 1)
    assert ACCEPTED == feed(link=1, update_id=21, at=T + 5 * S)


def test_a_successor_that_was_handed_the_pair_may_lag_too(feed):
    feed(link=1, update_id=1000)
    feed.intake.hand_over(1, 2, [SYMBOL])
    assert [reason("old_id")] * 9 == [feed(link=2, update_id=990 + n) for n in range(9)]
    assert ACCEPTED == feed(link=2, update_id=1001)
    assert [reason("old_id")] * 2 == [feed(link=2, update_id=n) for n in (10, 11)]
    assert ACCEPTED == feed(link=2, update_id=12)  # its own ids, by now


def test_an_id_from_the_future_is_got_over(feed):
    """Such as a send time in another unit, where that is the id (MEXC before its versions)."""
    feed(update_id=1_700_000_000_000)
    feed(update_id=1_700_000_000_000_000, at=T + 1)
    codes = [feed(update_id=1_700_000_000_001 + n, at=T + 2 + n) for n in range(4)]
    assert [reason("old_id")] * 2 + [ACCEPTED] * 2 == codes


def test_a_venue_time_from_the_future_is_got_over(instance):
    """OKX: a lower id needs a later time, and one book came from next year."""
    feed = Feed(instance, "newer_time")
    feed(update_id=100, venue_ns=10**18)
    codes = [feed(update_id=3 + n, venue_ns=1000 + n) for n in range(4)]
    assert [reason("old_id")] * 2 + [ACCEPTED] * 2 == codes


def test_a_new_subscription_of_the_owner_forgets_its_ids(feed):
    feed.intake.add_symbol(6)
    for symbol in (SYMBOL, 6):
        feed(symbol=symbol, link=1, update_id=1000)
    feed.intake.subscribed_anew(2, [SYMBOL], T)  # of another socket: it owns none of them
    assert reason("old_id") == feed(link=1, update_id=10)
    feed.intake.subscribed_anew(1, [SYMBOL], T)
    assert ACCEPTED == feed(link=1, update_id=10)
    assert reason("old_id") == feed(symbol=6, link=1, update_id=10)
    assert {} == feed.intake.id_restarts()  # as told, not found out


def test_a_symbol_that_comes_back_has_had_no_restarts(feed):
    feed(update_id=1000)
    for n in range(3):
        feed(update_id=n)
    assert {SYMBOL: 1} == feed.intake.id_restarts()
    feed.intake.remove_symbol(SYMBOL)
    assert {} == feed.intake.id_restarts()
    feed.intake.add_symbol(SYMBOL)
    assert {} == feed.intake.id_restarts()


# -- links


def test_two_links_side_by_side_share_one_sequence(feed):
    """The overlap of a reconnect: whichever is ahead writes, the one behind is declined."""
    assert ACCEPTED == feed(link=1, update_id=10)
    assert ACCEPTED == feed(link=2, update_id=11)
    assert reason("old_id") == feed(link=1, update_id=10)
    assert REFRESHED == feed(link=1, update_id=11)
    assert 1 == feed.quote().flags
    assert ACCEPTED == feed(link=2, update_id=12)
    assert 2 == feed.quote().flags


def test_closing_the_link_that_owns_nothing_empties_nothing(feed):
    feed(link=1, update_id=10)
    feed(link=2, update_id=11)
    feed.dirty()
    assert 0 == feed.intake.empty_link(1, True)
    assert 100.0 == feed.quote().bid_px
    assert [] == feed.dirty()
    assert reason("old_id") == feed(link=3, update_id=10)  # link 2's ids still count


def test_a_cold_close_empties_and_forgets(feed):
    feed(link=1, update_id=10)
    feed.dirty()
    assert 1 == feed.intake.empty_link(1, True)
    assert feed.is_empty
    assert [SYMBOL] == feed.dirty()
    assert ACCEPTED == feed(link=2, update_id=3)
    assert 0 == feed.intake.empty_link(1, True)


def test_a_silent_link_is_emptied_but_its_ids_count(feed):
    feed(link=1, update_id=10)
    assert 1 == feed.intake.empty_link(1, False)
    assert feed.is_empty
    assert reason("old_id") == feed(link=1, update_id=9)
    assert REFRESHED == feed(link=1, update_id=10)


def test_a_link_loses_only_what_it_still_owns(feed):
    for symbol in (6, 7, 8):
        feed.intake.add_symbol(symbol)
    for symbol, link in [(5, 1), (6, 1), (7, 2), (6, 2)]:
        feed(symbol=symbol, link=link, update_id=1)
    assert 1 == feed.intake.empty_link(1, True)  # 5; 6 is link 2's by now
    held = {s for s in (5, 6, 7, 8) if feed.quote(s).recv_ns}
    assert {6, 7} == held


def test_a_bad_frame_takes_ownership_too(feed):
    feed(link=1, update_id=10)
    feed(link=2, update_id=11, bid=NAN)
    assert 0 == feed.intake.empty_link(1, True)
    assert 1 == feed.intake.empty_link(2, True)


# -- symbols that come and go


def test_a_removed_symbol_is_emptied_and_declined(feed):
    feed(update_id=10)
    feed.dirty()
    feed.intake.remove_symbol(SYMBOL)
    assert feed.is_empty
    assert [SYMBOL] == feed.dirty()
    assert reason("unknown_symbol") == feed(update_id=11)
    feed.intake.remove_symbol(SYMBOL)  # nothing to do
    assert [] == feed.dirty()


def test_a_symbol_that_comes_back_starts_anew(feed):
    feed(update_id=10, link=4)
    feed.intake.remove_symbol(SYMBOL)
    feed.intake.add_symbol(SYMBOL)
    assert 0 == feed.intake.last_recv_ns(SYMBOL)
    assert [] == feed.intake.silent(2 * T, 1.0)
    assert ACCEPTED == feed(update_id=3)


def test_empty_all_empties_what_holds_a_quote_or_is_half_written(feed, instance):
    feed.intake.add_symbol(6)
    feed()
    feed(symbol=6)
    instance.quotes.write(SOURCE, 40, 1.0, 2.0, 3.0, 4.0, 0, T)  # of an earlier run
    instance.quotes.write(0, 41, 1.0, 2.0, 3.0, 4.0, 0, T)  # of another source
    with instance.region("quotes").buffer() as raw:
        at = 64 + 64 * (50 * 3 + SOURCE)
        raw[at] = 1  # seq: its writer was killed inside
    feed.dirty()
    assert 4 == feed.intake.empty_all()
    assert [5, 6, 40, 50] == feed.dirty()
    for symbol in (5, 6, 40, 50):
        assert 0 == feed.quote(symbol).recv_ns
    assert T == instance.quotes.read(0, 41).recv_ns
    assert 0 == feed.intake.empty_all()


# -- silence


def test_silent_names_what_has_not_ticked_for_so_long(feed):
    feed.intake.add_symbol(6)
    feed.intake.add_symbol(7)
    feed(at=T)
    feed(symbol=6, at=T + 5 * S, link=2)
    assert [] == feed.intake.silent(T + 10 * S, 10.0)  # 7 never had one
    assert [5] == feed.intake.silent(T + 10 * S + 1, 10.0)
    assert [5, 6] == feed.intake.silent(T + 19 * S, 10.0)
    feed.intake.empty_link(2, True)
    assert [5] == feed.intake.silent(T + 19 * S, 10.0)  # 6: its socket has closed


def test_a_refresh_ends_silence_and_a_bad_frame_does_not(feed):
    feed(update_id=1, at=T)
    feed(update_id=1, at=T + S)
    assert [] == feed.intake.silent(T + 2 * S, 1.0)
    feed(update_id=2, bid=NAN, at=T + 2 * S)
    assert [SYMBOL] == feed.intake.silent(T + 2 * S + 1, 1.0)


# -- quotes that say something of themselves (for how long that holds is in laws/test_freshness.py)


def put(feed, *, bid=(100.0, 3.0), ask=(100.5, 4.0), link=1, update_id=-1, at=T, **own):
    return feed.intake.put(SYMBOL, link, *bid, *ask, 7, update_id, at, **own)


@pytest.mark.parametrize("valid_ms", [0, 1, 300, 65_536, 600_000])
@pytest.mark.parametrize("average", [False, True])
def test_a_quote_says_for_how_long_it_is_true_and_what_its_price_is(feed, valid_ms, average):
    assert ACCEPTED == put(feed, link=9, valid_ms=valid_ms, average=average)
    found = feed.quote()
    assert (100.0, 100.5, 3.0, 4.0, 7, T) == found[:6]
    assert (9, valid_ms, average, 0.0) == (found.link, found.valid_ms, found.average, found.limit_s)
    assert [SYMBOL] == feed.dirty()
    feed(at=T + 1)  # the next one says nothing
    assert (0, False) == (feed.quote().valid_ms, feed.quote().average)


@pytest.mark.parametrize("valid_ms", [-1, 600_001, 2**64, 300.5, NAN, True, "300", None])
def test_a_validity_is_whole_ms_up_to_ten_minutes(feed, valid_ms):
    said = f"symbol 5: valid_ms {valid_ms}, expected whole ms from 0 to 600000"
    with pytest.raises(CoreError, match=f"^{re.escape(said)}$"):
        put(feed, valid_ms=valid_ms)
    assert feed.is_empty


def test_a_quote_of_one_side_leaves_the_other_empty(feed):
    none = (NAN, NAN)
    feed.intake.add_symbol(SYMBOL, 10.0, 2.0)
    assert ACCEPTED == put(feed, bid=none)
    assert [10.05, 8.0] == [feed.quote().ask_px, feed.quote().ask_qty]
    assert math.isnan(feed.quote().bid_px)
    assert math.isnan(feed.quote().bid_qty)
    assert ACCEPTED == put(feed, ask=none)
    assert [10.0, 6.0] == [feed.quote().bid_px, feed.quote().bid_qty]
    assert math.isnan(feed.quote().ask_px)
    assert math.isnan(feed.quote().ask_qty)


@pytest.mark.parametrize(("name", "bid", "ask"), [
    ("one_sided", (NAN, NAN), (NAN, NAN)),
    ("one_sided", (NAN, 3.0), (100.5, 4.0)),
    ("bad_price", (100.0, NAN), (NAN, NAN)),
    ("bad_price", (NAN, NAN), (0.0, 4.0)),
    ("bad_price", (NAN, NAN), (100.5, INF)),
    ("bad_price", (1e308, 3.0), (NAN, NAN)),
    ("bad_price", (100.0, 3.0), (INF, 4.0)),
    ("crossed", (100.6, 3.0), (100.5, 4.0)),
])  # fmt: skip
def test_a_bad_quote_that_says_something_of_itself_empties_the_slot(feed, name, bid, ask):
    feed.intake.add_symbol(SYMBOL, 0.1, 1.0)
    put(feed, link=1)
    assert reason(name) == put(feed, bid=bid, ask=ask, link=3, valid_ms=300, average=True)
    assert feed.is_empty
    assert 3 == feed.quote().flags


def test_ids_of_such_quotes_pass_the_same_gate(feed):
    assert ACCEPTED == put(feed, update_id=5, valid_ms=300)
    assert reason("old_id") == put(feed, update_id=4, valid_ms=300)
    assert REFRESHED == put(feed, update_id=5, at=T + 1, valid_ms=400)
    assert (T + 1, 400) == (feed.quote().recv_ns, feed.quote().valid_ms)


def test_a_validity_stands_in_place_of_what_is_learnt(instance):
    feed = Feed(instance, learn_to_s=600.0)
    put(feed, valid_ms=300)
    assert (300, 0.0, 0.0) == (feed.quote().valid_ms, feed.quote().limit_s, feed.quote().pause_s)
    put(feed, average=True)
    assert (0, 120.0, True) == (feed.quote().valid_ms, feed.quote().limit_s, feed.quote().average)


def test_a_number_of_a_socket_beyond_its_bits_says_nothing_of_the_quote(feed):
    """A recording may have any; whose the slot is goes by the whole number."""
    feed(link=2**32 - 1)
    assert (2**26 - 1, 0, False) == (
        feed.quote().link, feed.quote().valid_ms, feed.quote().average)  # fmt: skip
    feed(link=2**32 - 1, bid=NAN)
    assert 2**26 - 1 == feed.quote().flags
    feed(link=2**32 - 1)
    assert 0 == feed.intake.empty_link(2**26 - 1, True)
    assert 1 == feed.intake.empty_link(2**32 - 1, True)


# -- how much silence is health, learnt (the law is in laws/test_gate.py)


def test_a_source_that_repeats_itself_learns_nothing(feed):
    for n in range(100):
        feed(link=7, at=T + n * S)
    assert 7 == feed.quote().flags
    assert 0.0 == feed.intake.limit_s(SYMBOL)


def test_a_pair_may_be_silent_for_four_of_its_usual_pauses(instance):
    feed = Feed(instance, learn_to_s=600.0)
    assert 120.0 == feed.intake.limit_s(SYMBOL)  # nothing is known yet
    feed(link=7)
    assert (7, 120.0, 2.0) == (feed.quote().link, feed.quote().limit_s, feed.quote().pause_s)
    at = T
    for n in range(1, 17):
        at += 5 * S
        feed(link=7, at=at)
        usual_s = 2.0 if n < 4 else 5.0
        assert usual_s == feed.quote().pause_s
        assert (120.0 if n < 16 else 20.0) == feed.quote().limit_s
    assert [] == feed.intake.silent(at + 20 * S, 600.0)
    assert [SYMBOL] == feed.intake.silent(at + 20 * S + 1, 600.0)
    feed(link=7, at=(at := at + 100 * S))
    assert 20.0 == feed.quote().limit_s  # one long pause is not usual
    feed(link=7, at=(at := at + 90 * S))
    assert (360.0, 90.0) == (feed.quote().limit_s, feed.quote().pause_s)


@pytest.mark.parametrize(("pause_s", "cap_s", "limit_s"), [
    (0.1, 600.0, 10.0), (2.5, 600.0, 10.0), (2.51, 600.0, 10.04), (149.0, 600.0, 596.0),
    (151.0, 600.0, 600.0), (700.0, 600.0, 600.0), (0.1, 5.0, 5.0), (60.0, 100.0, 100.0),
])  # fmt: skip
def test_limits_lie_between_ten_seconds_and_the_sources(instance, pause_s, cap_s, limit_s):
    feed = Feed(instance, learn_to_s=cap_s)
    for n in range(40):
        feed(at=T + round(n * pause_s * S))
    assert limit_s == feed.quote().limit_s


def test_of_a_source_that_repeats_itself_only_the_usual_pause_is_learnt(instance):
    """Its limit stands from the first quote on, whatever is learnt."""
    feed = Feed(instance, learn_to_s=75.0, learn_from_s=75.0)
    for n in range(40):
        feed(at=T + n * S)
        assert (75.0, 2.0 if n < 4 else 1.0) == (feed.quote().limit_s, feed.quote().pause_s)
    assert [] == feed.intake.silent(T + (39 + 75) * S, 75.0)
    assert [SYMBOL] == feed.intake.silent(T + (39 + 75) * S + 1, 75.0)


def test_an_age_limit_to_learn_up_to_is_one(instance):
    for seconds in (-1.0, 601.0, NAN, INF):
        with pytest.raises(CoreError, match="age limit: .* s, expected above 0 to 600"):
            Feed(instance, learn_to_s=seconds)
        with pytest.raises(CoreError, match="age limit: .* s, expected above 0 to 600"):
            Feed(instance, learn_to_s=600.0, learn_from_s=seconds)


def test_what_another_socket_or_a_lost_one_leaves_out_is_no_pause(instance):
    feed = Feed(instance, learn_to_s=600.0)
    for n in range(17):
        feed(link=1, at=T + n * S)
    assert 10.0 == feed.quote().limit_s
    for n in range(1, 9):  # each time a minute without a socket
        feed.intake.empty_link(n, True)
        feed(link=n + 1, at=T + n * 60 * S)
    assert 10.0 == feed.quote().limit_s


def test_a_new_subscription_begins_a_new_pause(instance):
    """What came back by asking does not teach its silence; what stayed silent teaches the rest."""
    feed = Feed(instance, learn_to_s=600.0)
    for n in range(17):
        feed(at=T + n * S)
    for n in range(1, 5):
        at = T + n * 1000 * S
        feed.intake.subscribed_anew(1, [SYMBOL], at)
        feed(at=at + S)
    assert 10.0 == feed.quote().limit_s
    for n in range(5, 7):
        at = T + n * 1000 * S
        feed.intake.subscribed_anew(1, [SYMBOL], at)
        feed(at=at + 50 * S)
    assert 200.0 == feed.quote().limit_s


# -- flush


def park_in_child(children, instance):
    children.start("engine", instance.dirty.park, -1)
    with instance.region("dirty").buffer() as raw:
        while raw[64 + 64] == 0:
            time.sleep(0.0005)
    time.sleep(0.02)


def test_flush_wakes_once_and_times_every_quote(feed, instance, children):
    park_in_child(children, instance)
    for n in range(3):
        feed(update_id=n, at=T + 400 * n)
    feed.intake.flush(T + 1_000)  # the oldest of them counts, for all
    assert {"engine": "woken"} == children.results(20)
    assert {"quotes": 3, "wakes": 1} == feed.counters
    assert [1_023, 1_023] == instance.health.quantiles([SOURCE], (0.0, 1.0))
    feed.intake.flush(T + 9_000)  # nothing since: nothing to wake for, nothing to time
    assert {"quotes": 3, "wakes": 1} == feed.counters
    assert [1_023] == instance.health.quantiles([SOURCE], (1.0,))


def test_flush_wakes_nobody_who_is_awake(feed):
    feed()
    feed.intake.flush(T)
    assert {"quotes": 1} == feed.counters


def test_flush_after_declined_frames_only(feed, instance):
    feed(symbol=9)
    feed.intake.flush(T + 5)
    assert [None] == instance.health.quantiles([SOURCE], (0.5,))


@pytest.mark.parametrize("how", ["empty_all", "empty_link", "remove_symbol"])
def test_emptying_wakes_the_engine_itself(feed, instance, children, how):
    feed(link=1)
    feed.dirty()
    park_in_child(children, instance)
    args = {"empty_all": (), "empty_link": (1, True), "remove_symbol": (SYMBOL,)}[how]
    getattr(feed.intake, how)(*args)
    assert {"engine": "woken"} == children.results(20)


# -- what callers decline, and who may have an intake


@pytest.mark.parametrize("name", DECLINED)
def test_callers_count_by_the_same_reasons(feed, name):
    feed.intake.decline(DECLINED.index(name))
    feed.intake.decline(DECLINED.index(name), 4)
    assert {f"declined_{name}": 5} == feed.counters


@pytest.mark.parametrize("bad", [-1, len(DECLINED)])
def test_an_unknown_reason_is_refused(feed, bad):
    with pytest.raises(CoreError, match=f"reason: {bad}, expected 0 to {len(DECLINED) - 1}"):
        feed.intake.decline(bad)


def test_ids_beyond_the_table_are_refused(feed, instance):
    for call in (feed.intake.add_symbol, feed.intake.remove_symbol, feed.intake.last_recv_ns):
        with pytest.raises(TableFull, match="symbol id: 64, expected below 64"):
            call(64)
    with pytest.raises(TableFull, match="source id: 3, expected below 3"):
        SourceIntake(*(instance.region(name) for name in ("quotes", "dirty", "health")), 3)


def test_an_intake_needs_writable_sections(instance_name, instance):
    reader = Instance(instance_name, writable=("quotes", "dirty"))
    with pytest.raises(CoreError, match="health: mapped read-only"):
        SourceIntake(*(reader.region(name) for name in ("quotes", "dirty", "health")), 0)
    reader.close()
