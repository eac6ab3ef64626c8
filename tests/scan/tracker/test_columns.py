"""The spelling of numbers and rows, and the page that explains them."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spreadscan.tracker.columns import (
    AUDIT,
    SIGNALS,
    SNAPSHOTS,
    Format,
    bps,
    number,
    safe_text,
)

DOCS = Path(__file__).parents[3] / "docs" / "data-files.md"
NAN = math.nan


@given(st.floats(allow_nan=False))
def test_a_number_reads_back_as_the_same_double(value):
    assert value == float(number(value))


def test_nan_is_an_empty_field():
    assert "" == number(NAN)
    assert "" == bps(NAN)


def test_bps_have_four_decimals():
    assert "12.3457" == bps(12.34567)


@pytest.mark.parametrize(
    "hostile", ["A,B", 'A"B', "A\nB", "A\rB", "A#B", "A\x00B", "A\u2028B", "A\x1bB", "A\u202eB"]
)
def test_no_name_breaks_a_line(hostile):
    assert "A_B" == safe_text(hostile)


@pytest.mark.parametrize("first", "=+-@")
def test_no_name_is_a_formula(first):
    assert "_HYPERLINK(1)-USDT" == safe_text(f"{first}HYPERLINK(1)-USDT")


def test_other_names_stay_as_they_are():
    assert "币安人生-USDT" == safe_text("币安人生-USDT")
    assert "okx->mexc" == safe_text("okx->mexc")


@pytest.mark.parametrize("kind", [SIGNALS, SNAPSHOTS, AUDIT], ids=lambda k: k.name)
def test_the_header_is_a_comment_and_the_names(kind):
    comment, names, rest = kind.header.decode().split("\n")
    assert comment.startswith(f"# spreadscan {kind.name} v{kind.version}; ")
    assert "#" not in comment[1:]
    assert "," not in comment
    assert list(kind.names) == names.split(",")
    assert len(set(kind.names)) == len(kind.names)
    assert "" == rest


def test_a_row_keeps_the_order_and_leaves_out_nothing():
    row = SIGNALS.row({"event": "GAP", "config_hash": "x"})
    assert len(SIGNALS.names) - 1 == row.count(",")
    assert row.startswith(",GAP,")
    assert row.endswith(",x\n")


def table(kind: Format) -> str:
    rows = ["| column | unit | meaning |", "|---|---|---|"]
    return "\n".join([*rows, *[f"| `{c.name}` | {c.unit} | {c.meaning} |" for c in kind.columns]])


@pytest.mark.parametrize("kind", [SIGNALS, SNAPSHOTS, AUDIT], ids=lambda k: k.name)
def test_the_docs_have_every_column(kind):
    page = DOCS.read_text("utf-8")
    assert table(kind) in page, f"{DOCS}: expected this table:\n{table(kind)}"
    assert kind.header.decode().splitlines()[0] in page
