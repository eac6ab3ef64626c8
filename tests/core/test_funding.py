"""Funding slots: whole or nothing, and nothing once their time is over."""

import math
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore import Instance, region
from spreadcore.errors import CoreError, TableFull
from spreadcore.funding import FundingRates, FundingTuple

ROOM = {"n_sources": 4, "n_symbols": 64, "n_edges": 64}
NEXT = 1_795_161_600_000_000_000
FUNDING = FundingTuple(0.000125, NEXT, 10**12)


@pytest.fixture
def rates(make_instance):
    return make_instance(**ROOM).funding


def leave_half_way(rates, source, symbol):
    """Make the sequence odd, as a writer killed inside leaves it."""
    with rates.region.buffer() as raw:
        raw[64 + 32 * (symbol * ROOM["n_sources"] + source)] |= 1


def test_what_is_written_is_read_until_its_time_is_over(rates):
    rates.write(3, 5, *FUNDING)
    assert FUNDING == rates.read(3, 5, 10**12 - 1)
    assert rates.read(3, 5, 10**12) is None
    assert 1.25 == rates.bps(3, 5, 10**12 - 1)
    assert math.isnan(rates.bps(3, 5, 10**12))


def test_a_seller_pays_where_the_rate_is_below_zero(rates):
    rates.write(1, 0, -0.0003, NEXT, 2)
    assert pytest.approx(-3.0, rel=1e-15) == rates.bps(1, 0, 1)


def test_an_edge_receives_what_its_short_leg_does_less_what_its_long_leg_pays(rates):
    rates.write(1, 5, 0.0001, NEXT, 10)
    rates.write(3, 5, -0.0002, NEXT, 20)
    paying = FundingRates(rates.region, 0b1010)
    assert pytest.approx(-3.0) == paying.edge_bps(1, 5, 3, 5, 1)
    assert pytest.approx(3.0) == paying.edge_bps(3, 5, 1, 5, 1)
    assert -2.0 == paying.edge_bps(0, 5, 3, 5, 1)  # spot pays nothing, known or not
    assert -1.0 == paying.edge_bps(1, 5, 2, 5, 1)
    assert 0.0 == paying.edge_bps(0, 5, 2, 5, 1)
    assert math.isnan(paying.edge_bps(1, 5, 3, 5, 10))  # one is known no more
    assert math.isnan(paying.edge_bps(1, 5, 3, 6, 1))
    assert math.isnan(rates.edge_bps(0, 5, 3, 5, 1))  # who does not say what source 0 is
    with pytest.raises(TableFull, match="source 4, symbol 5, expected below 4 and 64"):
        paying.edge_bps(1, 5, 4, 5, 1)


def test_a_new_table_knows_nothing(rates):
    assert rates.read(0, 0, 0) is None
    assert math.isnan(rates.bps(3, 63, 0))


def test_neighbours_are_left_alone(rates):
    rates.write(1, 5, *FUNDING)
    known = {
        (source, symbol)
        for source in range(ROOM["n_sources"])
        for symbol in range(ROOM["n_symbols"])
        if rates.read(source, symbol, 1)
    }
    assert {(1, 5)} == known


def test_a_slot_left_half_way_is_unknown_and_healed_by_the_next_write(rates):
    rates.write(2, 7, *FUNDING)
    leave_half_way(rates, 2, 7)
    assert rates.read(2, 7, 1) is None
    assert math.isnan(rates.bps(2, 7, 1))
    rates.write(2, 7, *FUNDING)
    assert FUNDING == rates.read(2, 7, 1)


def test_another_process_sees_the_write(rates, children):
    children.start("writer", rates.write, 3, 9, *FUNDING)
    children.results(20)
    assert FUNDING == rates.read(3, 9, 1)


def test_a_snapshot_says_what_is_known_now(rates):
    rates.write(1, 2, *FUNDING)
    rates.write(3, 2, 0.5, NEXT, 7)
    rates.write(0, 3, *FUNDING)
    leave_half_way(rates, 0, 3)
    out = bytearray(32 * 4 * 64)
    assert 1 == rates.snapshot_into(out, 7)
    assert (2, *FUNDING) == struct.unpack_from("=Qdqq", out, 32 * (2 * 4 + 1))
    for slot, seq in ((2 * 4 + 3, 2), (3 * 4 + 0, 3), (0, 0)):
        found, rate, next_ns, until_ns = struct.unpack_from("=Qdqq", out, 32 * slot)
        assert (seq, 0, 0) == (found, next_ns, until_ns)
        assert math.isnan(rate)


@pytest.mark.parametrize("size", [0, 32, 32 * 4 * 64 - 1, 32 * 4 * 64 + 1])
def test_a_snapshot_into_a_buffer_of_another_size_is_refused(rates, size):
    with pytest.raises(CoreError, match=f"buffer of {size} bytes, expected {32 * 4 * 64}"):
        rates.snapshot_into(bytearray(size), 0)


@pytest.mark.parametrize(("source", "symbol"), [(4, 0), (0, 64), (255, 65535)])
def test_ids_beyond_the_table_are_refused(rates, source, symbol):
    for call in (rates.read, rates.bps):
        with pytest.raises(TableFull, match=f"source {source}, symbol {symbol}, expected below"):
            call(source, symbol, 0)
    with pytest.raises(TableFull):
        rates.write(source, symbol, *FUNDING)


def test_a_read_only_mapping_refuses_to_write(rates):
    reader = FundingRates(region.Region(rates.region.path.rpartition("/")[0], "funding"))
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.write(0, 0, *FUNDING)


def test_another_section_is_refused(make_instance):
    with pytest.raises(CoreError, match="section 'quotes', expected 'funding'"):
        FundingRates(make_instance(**ROOM).region("quotes"))


@pytest.fixture(scope="module")
def slot():
    """A single slot for properties; made once, since instances cost milliseconds."""
    name = f"test-funding-{os.getpid()}"
    region.create(name, n_sources=1, n_symbols=1, n_edges=1, force=True)
    yield Instance(name, writable=("funding",)).funding
    region.unlink(name)


int64s = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None)
@given(st.floats(allow_nan=False), int64s, st.integers(1, 2**63 - 1))
def test_every_bit_pattern_passes(slot, rate, next_ns, until_ns):
    slot.write(0, 0, rate, next_ns, until_ns)
    assert (rate, next_ns, until_ns) == slot.read(0, 0, until_ns - 1)
    assert slot.read(0, 0, until_ns) is None
