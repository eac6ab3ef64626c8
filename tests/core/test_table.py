"""The notebook face: live read-only views, torn-free snapshots, nothing heavy at import."""

import subprocess
import sys
import time

import numpy as np
import pytest
import spreadcore
from spreadcore import region
from spreadcore.errors import CoreError, LayoutMismatch, RegionMissing
from spreadcore.table import is_average, valid_ms

from flags import flags_of

FLOATS = ("bid_px", "ask_px", "bid_qty", "ask_qty")
KINDS = {name: "float64" for name in FLOATS} | {
    "venue_ns": "int64", "recv_ns": "int64", "seq": "uint64", "flags": "uint64",
}  # fmt: skip
QUOTE = (100.0, 100.5, 3.0, 4.0, 7, 10**12, 9)


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=8, n_symbols=16, n_edges=16)


@pytest.fixture
def table(instance):
    with spreadcore.attach(instance.name) as attached:
        yield attached


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_column_is_a_live_read_only_view(table, instance, name, kind):
    column = getattr(table, name)
    assert ((16, 8), kind) == (column.shape, column.dtype.name)
    assert not column.flags.writeable
    assert not column.flags.owndata
    assert column.flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        column[0, 0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        column.flags.writeable = True
    before = column[3, 6].item()
    instance.quotes.write(6, 3, *QUOTE)
    assert before != column[3, 6]
    assert dict(zip((*FLOATS, "venue_ns", "recv_ns", "flags", "seq"), (*QUOTE, 2), strict=True))[
        name
    ] == column[3, 6]  # fmt: skip


def test_empty_is_nan(table):
    assert np.isnan(table.bid_px).all()
    assert (table.recv_ns == 0).all()


def test_columns_stand_for_symbol_and_source(table, instance):
    for source in range(8):
        for symbol in range(16):
            instance.quotes.write(source, symbol, *QUOTE[:5], 100 * symbol + source + 1)
    expected = 100 * np.arange(16)[:, None] + np.arange(8)[None, :] + 1
    assert (expected == table.recv_ns).all()
    assert (expected == table.snapshot()["recv_ns"]).all()


def test_a_column_that_is_none(table):
    with pytest.raises(AttributeError, match="'Table' object has no attribute 'mid_px'|mid_px"):
        _ = table.mid_px
    assert set(KINDS) <= set(dir(table))


def test_what_a_quote_says_of_itself(table, instance):
    words = {(6, 3): flags_of(9, valid_ms=300, average=True), (5, 2): flags_of(9, limit_s=20.0)}
    for (source, symbol), word in words.items():
        instance.quotes.write(source, symbol, *QUOTE[:6], word)
    valid, average = np.zeros((16, 8)), np.zeros((16, 8), dtype=bool)
    valid[3, 6], average[3, 6] = 300, True
    taken = table.snapshot()["flags"]
    for found in (table.valid_ms, valid_ms(taken)):
        assert (valid == found).all()
    for found in (table.average, is_average(taken)):
        assert (average == found).all()
    quote = instance.quotes.read(6, 3)
    assert (9, 300, True, 0.0, 0.0) == (
        quote.link, quote.valid_ms, quote.average, quote.limit_s, quote.pause_s)  # fmt: skip
    quote = instance.quotes.read(5, 2)
    assert (9, 0, False, 20.0) == (quote.link, quote.valid_ms, quote.average, quote.limit_s)


def test_a_snapshot_is_a_copy_with_the_same_columns(table, instance):
    instance.quotes.write(6, 3, *QUOTE)
    taken = table.snapshot()
    assert (16, 8) == taken.shape == table.shape
    assert KINDS == {name: taken.dtype[name].name for name in taken.dtype.names}
    assert taken.flags.owndata
    assert taken.flags.writeable
    instance.quotes.write_empty(6, 3)
    assert QUOTE == tuple(taken[3, 6])[1:]
    assert 2 == taken["seq"][3, 6]


def test_a_snapshot_of_a_slot_left_half_way_is_empty_and_odd(table, instance):
    instance.quotes.write(6, 3, *QUOTE)
    with instance.region("quotes").buffer() as raw:
        raw[64 + 64 * (3 * 8 + 6)] |= 1
    row = table.snapshot()[3, 6]
    assert (3, 0) == (row["seq"], row["recv_ns"])
    assert all(np.isnan(row[name]) for name in FLOATS)


def test_funding_is_a_copy_of_what_is_known_now(table, instance):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    instance.funding.write(6, 3, 0.0001, 77, now + 10**12)
    instance.funding.write(5, 3, 0.0002, 77, now)
    found = table.funding()
    assert (16, 8) == found.shape == table.shape
    assert {"seq": "uint64", "rate": "float64", "next_ns": "int64", "until_ns": "int64"} == {
        name: found.dtype[name].name for name in found.dtype.names
    }
    assert [(3, 6)] == list(zip(*(~np.isnan(found["rate"])).nonzero(), strict=True))
    assert (2, 0.0001, 77, now + 10**12) == tuple(found[3, 6])
    assert (0, 0) == (found["next_ns"][3, 5], found["until_ns"][3, 5])
    assert found.flags.owndata


def test_funding_of_a_replaced_instance_is_refused(table, instance):
    region.create(instance.name, n_sources=2, n_symbols=2, n_edges=2, force=True)
    with pytest.raises(LayoutMismatch, match="attach again"):
        table.funding()


def test_closing_with_live_views_is_refused(instance):
    table = spreadcore.attach(instance.name)
    view = table.bid_px
    part = view[3:5, 1]
    del view
    with pytest.raises(BufferError, match="NumPy views are alive"):
        table.close()
    assert np.isnan(part).all()  # refused means still mapped
    assert (16, 8) == table.bid_px.shape
    del part
    table.close()
    table.close()
    with pytest.raises(CoreError, match="closed, expected an attached section"):
        _ = table.bid_px
    with pytest.raises(CoreError, match="closed"):
        table.snapshot()


def test_a_replaced_instance_tells(table, instance):
    assert not table.superseded
    instance.quotes.write(6, 3, *QUOTE)
    region.create(instance.name, n_sources=2, n_symbols=2, n_edges=2, force=True)
    assert table.superseded
    assert 100.0 == table.bid_px[3, 6]
    with spreadcore.attach(instance.name) as newer:
        assert (2, 2) == newer.shape
        assert not newer.superseded


def test_no_instance_is_named(instance_name):
    with pytest.raises(RegionMissing, match=f"spreadscan-{instance_name}: missing"):
        spreadcore.attach(instance_name)


def run_python(code, env):
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["spreadcore", "spreadcore.engine, spreadcore.intake"])
def test_importing_it_pulls_in_nothing_heavy(python_env, module):
    code = (
        f"import sys, {module}\n"
        "print([m for m in ('numpy', 'picows', 'asyncio', 'aiohttp', 'spreadscan')"
        " if m in sys.modules])"
    )
    assert "[]" == run_python(code, python_env)


def test_numpy_comes_with_the_first_view_only(python_env, instance):
    code = (
        "import sys, spreadcore\n"
        f"table = spreadcore.attach({instance.name!r})\n"
        "table.shape, table.superseded, dir(table)\n"
        "before = 'numpy' in sys.modules\n"
        "table.bid_px\n"
        "print(before, 'numpy' in sys.modules)"
    )
    assert "False True" == run_python(code, python_env)


def test_the_header_is_where_it_is_said_to_be():
    from pathlib import Path

    assert (Path(spreadcore.get_include()) / "atomics.h").is_file()
    assert (Path(spreadcore.get_include()) / "quotes.pxd").is_file()
