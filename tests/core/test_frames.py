"""Frames into slots in one call: symbols by name, all or nothing, counted by reason."""

import math
import random
from types import SimpleNamespace

import pytest
from spreadcore.errors import CoreError
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED, FALLBACK
from spreadcore.wire.decoder import FrameDecoder

SOURCE = 1
NAMES = ["BTC-USDT", "ETH-USDT", "X", "1000000MOG-USDT-SWAP-24B", "A-NAME-OF-25-BYTES-IN-ALL"]


def schema(**changes):
    """A schema of a made-up venue: a list of quotes, each with a symbol, prices, an id."""
    return SimpleNamespace(
        **{
            "wire": "json", "match": (), "roots": ("data.*",), "symbol": ".s",
            "symbol_prefix": "", "qty_text": False, "bid_px": ".b.0", "bid_qty": ".b.1",
            "ask_px": ".a.0", "ask_qty": ".a.1", "delta": None,
            "venue_ms": (), "update_id": (".u",), **changes,
        }
    )  # fmt: skip


def quote(name, update_id, bid="1", ask="2"):
    return f'{{"s":"{name}","b":["{bid}","3"],"a":["{ask}","4"],"u":{update_id}}}'


def frame(*quotes):
    return f'{{"data":[{",".join(quotes)}]}}'.encode()


class Feed:
    def __init__(self, instance, **options):
        self.instance = instance
        sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
        self.intake = SourceIntake(*sections, SOURCE, **options)
        for symbol, name in enumerate(NAMES):
            self.intake.add_symbol(symbol, name=name)
        self.decoder = FrameDecoder(schema())
        self.frames = LinkIntake(self.intake, self.decoder, 7)

    def quote(self, symbol):
        return self.instance.quotes.read(SOURCE, symbol)

    @property
    def counters(self):
        found = self.instance.health.counters(SOURCE)
        return {name: value for name, value in found.items() if value}


@pytest.fixture
def feed(make_instance):
    return Feed(make_instance(n_sources=3, n_symbols=64, n_edges=64))


def fallback(reason):
    return -1 - FALLBACK.index(reason)


def test_a_frame_of_several_quotes_goes_into_their_slots(feed):
    taken = feed.frames.take(frame(quote("BTC-USDT", 1), quote("ETH-USDT", 1, "8", "9")), 5)
    assert 2 == taken
    assert (1.0, 2.0, 3.0, 4.0, 0, 5, 7) == feed.quote(0)
    assert (8.0, 9.0, 3.0, 4.0, 0, 5, 7) == feed.quote(1)
    assert [0, 1] == list(feed.instance.dirty.take(SOURCE))
    assert (1, 2, 5, 5) == (
        feed.frames.frames, feed.frames.valid, feed.frames.last_recv_ns, feed.frames.last_quote_ns,
    )  # fmt: skip
    assert {"quotes": 2} == feed.counters


def test_an_unknown_symbol_leaves_the_whole_frame(feed):
    both = frame(quote("BTC-USDT", 1), quote("NOBODY", 1))
    assert fallback("symbol") == feed.frames.take(both, 5)
    assert 0 == feed.quote(0).recv_ns
    assert [] == list(feed.instance.dirty.take(SOURCE))
    assert {"fallback_symbol": 1} == feed.counters
    assert (0, 0, 0) == (feed.frames.frames, feed.frames.valid, feed.frames.last_recv_ns)


def test_what_the_gate_refuses_is_taken_and_declined(feed):
    feed.frames.take(frame(quote("BTC-USDT", 9)), 5)
    assert 0 == feed.frames.take(frame(quote("BTC-USDT", 8)), 6)
    assert 0 == feed.frames.take(frame(quote("BTC-USDT", 10, "3", "2")), 7)
    assert (3, 1, 7, 5) == (
        feed.frames.frames, feed.frames.valid, feed.frames.last_recv_ns, feed.frames.last_quote_ns,
    )  # fmt: skip
    expected = {"quotes": 1, "declined_old_id": 1, "declined_crossed": 1, "emptied": 1}
    assert expected == feed.counters


def test_names_up_to_24_bytes_are_found_and_longer_ones_left(feed):
    assert [24, 25] == [len(name) for name in NAMES[3:]]
    assert 1 == feed.frames.take(frame(quote(NAMES[3], 1)), 5)
    assert fallback("symbol") == feed.frames.take(frame(quote(NAMES[4], 1)), 5)
    assert fallback("symbol") == feed.frames.take(frame(quote(NAMES[3][:-1], 1)), 5)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "syntax"),
        (b"pong", "syntax"),
        (b"{}", "no_match"),
        (b'{"data":{"s":"X"}}', "no_match"),
        (frame(quote("X", 1, "\\u0031")), "text"),
        (frame(quote("X", 1, "-1")), "field"),
        (frame(quote("X", -1)), "number"),
        (frame(quote("X", 1).replace("}", ',"u":2}')), "duplicate"),
        (frame(*[quote("X", 1)] * 9), "limit"),
        (b'{"data":' + b"[" * 100_000, "syntax"),
        (b'{"more":' + b"[" * 100_000, "limit"),
        (frame(quote("X", 1)) + b" " * (1 << 20), "limit"),
    ],
)
def test_what_is_left_to_the_reference_is_counted_by_reason(feed, payload, reason):
    assert fallback(reason) == feed.frames.take(payload, 5)
    assert {f"fallback_{reason}": 1} == feed.counters


def test_many_names_are_told_apart(make_instance):
    """Names of one length that differ anywhere: the hash has 4,096 of them."""
    instance = make_instance(n_sources=3, n_symbols=4096, n_edges=4096)
    feed = Feed(instance)
    rng = random.Random(1)
    names = list({f"{rng.choice('ABC')}{rng.randrange(10**9):09d}USDT" for _ in range(4000)})
    for symbol, name in enumerate(names, len(NAMES)):
        feed.intake.add_symbol(symbol, name=name)
    for symbol, name in enumerate(names, len(NAMES)):
        assert 1 == feed.frames.take(frame(quote(name, symbol, "1", str(symbol))), 5)
        assert symbol == feed.quote(symbol).ask_px
    feed.intake.add_symbol(60, name=names[0])  # the name goes to another id
    assert 1 == feed.frames.take(frame(quote(names[0], 10**6, "0.5", "0.75")), 6)
    assert 0.75 == feed.quote(60).ask_px


def test_a_removed_symbol_is_declined_until_it_is_added_again(feed):
    feed.intake.remove_symbol(0)
    assert fallback("symbol") == feed.frames.take(frame(quote("BTC-USDT", 1)), 5)
    assert 1 == feed.frames.take(frame(quote("ETH-USDT", 1)), 5)
    feed.intake.add_symbol(0, name="BTC-USDT")
    assert 1 == feed.frames.take(frame(quote("BTC-USDT", 1)), 6)


class TestTop:
    @pytest.fixture
    def feed(self, make_instance):
        return Feed(make_instance(n_sources=3, n_symbols=64, n_edges=64), keep_tops=True)

    def test_the_last_top_in_wire_units_whoever_decoded_it(self, feed):
        feed.intake.add_symbol(0, 1000.0, 0.01, "BTC-USDT")
        assert feed.frames.top("BTC-USDT") is None
        feed.frames.take(frame(quote("BTC-USDT", 1)), 5)
        assert (1.0, 3.0, 2.0, 4.0, 0, 1, 0) == feed.frames.top("BTC-USDT")
        feed.intake.accept(0, 7, 5.0, 1.0, 6.0, 1.0, 77, 2, 0, 6)
        assert (5.0, 1.0, 6.0, 1.0, 77, 2, 0) == feed.frames.top("BTC-USDT")

    def test_a_missing_side_is_nan(self, feed):
        feed.frames.take(frame(quote("BTC-USDT", 1).replace('["1","3"]', "[]")), 5)
        top = feed.frames.top("BTC-USDT")
        assert math.isnan(top[0])
        assert math.isnan(top[1])
        assert (2.0, 4.0) == top[2:4]

    def test_nothing_is_known_after_the_socket_closed(self, feed):
        feed.frames.take(frame(quote("BTC-USDT", 1)), 5)
        feed.intake.empty_link(7, True)
        assert feed.frames.top("BTC-USDT") is None

    def test_an_unknown_name_has_none(self, feed):
        assert feed.frames.top("NOBODY") is None

    def test_without_keeping_there_is_none(self, make_instance):
        feed = Feed(make_instance(n_sources=3, n_symbols=64, n_edges=64, force=True))
        feed.frames.take(frame(quote("BTC-USDT", 1)), 5)
        assert feed.intake.top(0) is None


def test_reasons_have_counters_of_their_own(feed):
    names = feed.instance.health.counters(SOURCE)
    assert {f"fallback_{reason}" for reason in FALLBACK} <= set(names)
    assert {f"declined_{reason}" for reason in DECLINED} <= set(names)


def test_a_schema_that_cannot_be_held_is_refused():
    with pytest.raises(CoreError, match=r"5 parts of the pattern '\*a\*b\*c\*d\*e\*'"):
        FrameDecoder(
            schema(match=(SimpleNamespace(path="x", pattern="*a*b*c*d*e*", required=True),))
        )
    with pytest.raises(CoreError, match=r"5 fall-backs of update_id, expected at most 4"):
        FrameDecoder(schema(update_id=(".u", ".v", ".w", ".x", ".y")))
