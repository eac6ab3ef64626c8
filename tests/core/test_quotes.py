"""Quote slots: whole or empty, healed by the next writer, never waited for."""

import math
import struct

import pytest
from spreadcore.errors import CoreError, TableFull
from spreadcore.quotes import Quotes, QuoteTuple
from spreadcore.region import Region

ROOM = {"n_sources": 4, "n_symbols": 64, "n_edges": 64}
QUOTE = QuoteTuple(100.0, 100.5, 3.0, 4.0, 1_700_000_000_000_000_000, 10**12, 7)


@pytest.fixture
def quotes(make_instance):
    return make_instance(**ROOM).quotes


def set_sequence(quotes, source, symbol, value):
    """Write the raw sequence word, as a writer killed at that point leaves it."""
    with quotes.region.buffer() as raw:
        at = 64 + 64 * (symbol * ROOM["n_sources"] + source)
        struct.pack_into("=Q", raw, at, value)


def test_what_is_written_is_read(quotes):
    quotes.write(2, 5, *QUOTE)
    assert QUOTE == quotes.read(2, 5)


def test_neighbours_are_left_alone(quotes):
    quotes.write(1, 5, *QUOTE)
    for source in range(ROOM["n_sources"]):
        for symbol in range(ROOM["n_symbols"]):
            assert (QUOTE.recv_ns if (source, symbol) == (1, 5) else 0) == (
                quotes.read(source, symbol).recv_ns
            )


@pytest.mark.parametrize(
    "extremes",
    [
        (5e-324, 1.7976931348623157e308, 1e-12, 1e18, -(2**63), 2**63 - 1, 2**64 - 1),
        (math.inf, -math.inf, -0.0, 0.0, 0, 1, 0),
    ],
)
def test_every_bit_pattern_passes(quotes, extremes):
    quotes.write(0, 0, *extremes)
    assert extremes == tuple(quotes.read(0, 0))


def test_the_empty_quote(quotes):
    quotes.write(0, 3, *QUOTE)
    quotes.write_empty(0, 3)
    found = quotes.read(0, 3)
    assert all(math.isnan(value) for value in found[:4])
    assert (0, 0, 0) == found[4:]


def test_a_write_moves_the_sequence_by_two(quotes):
    assert 0 == quotes.sequence(0, 0)
    for n in range(1, 4):
        quotes.write(0, 0, *QUOTE)
        assert 2 * n == quotes.sequence(0, 0)


@pytest.mark.parametrize("left", [1, 7, 2**63 + 1])
def test_the_next_write_heals_a_slot_left_half_way(quotes, left):
    """From `seq | 1`: a plain seq + 1 would turn the parity round for ever."""
    quotes.write(0, 0, *QUOTE)
    set_sequence(quotes, 0, 0, left)
    assert quotes.read(0, 0) is None
    for n in range(1, 4):
        quotes.write(0, 0, *QUOTE)
        assert left + 2 * n - 1 == quotes.sequence(0, 0)
        assert QUOTE == quotes.read(0, 0)


def test_the_sequence_may_wrap(quotes):
    set_sequence(quotes, 0, 0, 2**64 - 1)
    quotes.write(0, 0, *QUOTE)
    assert 0 == quotes.sequence(0, 0)
    assert QUOTE == quotes.read(0, 0)


def test_a_reader_never_waits_for_a_dead_writer(quotes, children):
    """In a child under a watchdog: a read that waits would wait for ever."""
    set_sequence(quotes, 0, 0, 5)
    children.start("reader", lambda: [quotes.read(0, 0) for _ in range(1_000)])
    assert {"reader": [None] * 1_000} == children.results(20)


def test_another_process_sees_the_write(quotes, children):
    children.start("writer", quotes.write, 3, 9, *QUOTE)
    children.results(20)
    assert QUOTE == quotes.read(3, 9)


@pytest.mark.parametrize(("source", "symbol"), [(4, 0), (0, 64), (255, 65535)])
def test_ids_beyond_the_table_are_refused(quotes, source, symbol):
    for call in (quotes.read, quotes.sequence, quotes.write_empty):
        with pytest.raises(TableFull, match=f"source {source}, symbol {symbol}, expected below"):
            call(source, symbol)
    with pytest.raises(TableFull):
        quotes.write(source, symbol, *QUOTE)


@pytest.mark.parametrize(("source", "symbol"), [(-1, 0), (0, -1), (2**64, 0)])
def test_ids_that_are_no_ids_are_refused(quotes, source, symbol):
    with pytest.raises(OverflowError):
        quotes.read(source, symbol)


def test_a_read_only_mapping_refuses_to_write(quotes):
    reader = Quotes(Region(quotes.region.path.rpartition("/")[0], "quotes"))
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.write(0, 0, *QUOTE)
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.write_empty(0, 0)


def test_a_survey_counts_what_holds_a_quote(quotes):
    assert (0, 0) == quotes.survey(1)
    quotes.write(1, 3, *QUOTE)
    quotes.write(1, 4, *QUOTE[:5], QUOTE.recv_ns + 5)
    quotes.write(2, 4, *QUOTE[:5], QUOTE.recv_ns + 9)
    quotes.write_empty(1, 5)
    assert (2, QUOTE.recv_ns + 5) == quotes.survey(1)
    set_sequence(quotes, 1, 4, 3)
    assert (1, QUOTE.recv_ns) == quotes.survey(1)
    with pytest.raises(TableFull):
        quotes.survey(4)


def test_a_snapshot_gives_each_quote_under_its_own_sequence(quotes):
    quotes.write(1, 2, *QUOTE)
    quotes.write(1, 2, *QUOTE)
    quotes.write(3, 2, *QUOTE)
    set_sequence(quotes, 3, 2, 9)
    out = bytearray(64 * 4 * 64)
    assert 1 == quotes.snapshot_into(out)
    at = 64 * (2 * 4 + 1)
    assert (4, *QUOTE) == struct.unpack_from("=QddddqqQ", out, at)
    seq, bid_px, *_, recv_ns, _ = struct.unpack_from("=QddddqqQ", out, 64 * (2 * 4 + 3))
    assert (9, 0) == (seq, recv_ns)
    assert math.isnan(bid_px)


@pytest.mark.parametrize("size", [0, 64, 64 * 4 * 64 - 1, 64 * 4 * 64 + 1])
def test_a_snapshot_into_a_buffer_of_another_size_is_refused(quotes, size):
    with pytest.raises(CoreError, match=f"buffer of {size} bytes, expected {64 * 4 * 64}"):
        quotes.snapshot_into(bytearray(size))
