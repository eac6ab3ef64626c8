"""Text to tables: every whole row with its exact values, and what is told of the others."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scan.export import made
from spreadscan.errors import BadData
from spreadscan.export import rows as reading
from spreadscan.export.folder import find
from spreadscan.export.rows import Damage, read
from spreadscan.export.schema import arrow_type
from spreadscan.tracker import SIGNALS, SNAPSHOTS

NAME = "snapshots-20261120-12.csv"
FIRST = 3  # line of the first row


def row(n, **values):
    given = {"track_id": f"id-{n:05d}", "time": "2026-11-20T12:00:00.000001Z", "tradable": "1"}
    return SNAPSHOTS.row(given | values)


def file_of(folder, *lines):
    (folder / NAME).write_bytes(
        SNAPSHOTS.header + "".join(lines).encode("utf-8", "surrogateescape")
    )
    return folder


def tables(folder):
    """All rows of the folder's first input, and its damage."""
    damage = Damage()
    (source, *_) = find(folder)
    found = list(read(source, damage))
    return (pa.concat_tables(found).to_pylist() if found else []), damage


def test_the_real_trackers_rows_come_back_value_by_value(market):
    tracker = market.started()
    market.signal(3, 40.0)
    market.step(tracker, 3)
    market.instance.quotes.write_empty(5, 3)
    market.step(tracker, 40)
    tracker.close(market.now)
    for source, expected in zip(
        find(market.folder), [market.events(), market.snapshots()], strict=True
    ):
        found = [row for table in read(source, Damage()) for row in table.to_pylist()]
        assert len(expected) == len(found) > 1
        for text, value in zip(expected, found, strict=True):
            for column in source.kind.columns:
                assert parsed(column, text[column.name]) == value[column.name], column


def parsed(column, text):
    kind = arrow_type(column)
    if text == "":
        return None
    if kind == pa.string():
        return text
    if kind == pa.bool_():
        return text == "1"
    if kind == pa.int64():
        return int(text)
    return float(text) if kind == pa.float64() else datetime.fromisoformat(text).astimezone(UTC)


def test_a_torn_last_line_is_left_out_and_counted(tmp_path):
    rows, damage = tables(file_of(tmp_path, row(1), row(2)[:-1]))
    assert (["id-00001"], 1, []) == ([r["track_id"] for r in rows], damage.torn_lines,
                                     damage.sentences())  # fmt: skip


@pytest.mark.parametrize("header", [b"", SNAPSHOTS.header[:-1], SNAPSHOTS.header[:30]])
def test_a_torn_header_has_no_rows(tmp_path, header):
    (tmp_path / NAME).write_bytes(header)
    rows, damage = tables(tmp_path)
    assert ([], bool(header), []) == (rows, damage.torn_lines, damage.sentences())


BROKEN = {
    "too few fields": ("a,b\n", "2 fields, expected"),
    "too many fields": (row(2, track_id="a,b"), "18 fields, expected 17"),
    "empty line": ("\n", "1 fields, expected"),
    "no number": (row(2, buy_bid="12x"), "buy_bid|CSV column #2.*12x"),
    "no time": (row(2, time="yesterday"), "yesterday"),
    "time without zone": (row(2, time="2026-11-20T12:00:00"), "zone"),
    "no truth": (row(2, tradable="yes"), "yes"),
    "no track": (row(2, track_id=""), "no track_id, expected one"),
    "empty time": (row(2, time=""), "no time, expected one"),
    "not UTF-8": (row(2, track_id="\udcff"), "UTF8"),
    "a carriage return": (row(2, track_id="a\rb"), "."),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("at", [0, 1, 700, 999])
def test_a_broken_line_is_left_out_and_named(tmp_path, kind, at):
    import re

    line, fault = BROKEN[kind]
    lines = [row(n) for n in range(1000)]
    lines[at] = line
    rows, damage = tables(file_of(tmp_path, *lines))
    assert [f"id-{n:05d}" for n in range(1000) if n != at] == [r["track_id"] for r in rows]
    (told,) = damage.sentences()
    assert told.startswith(f"{tmp_path / NAME}: line {FIRST + at}: ")
    assert re.search(fault, told)
    assert 1 == damage.broken_lines


def test_two_faults_that_make_up_for_each_other_are_both_found(tmp_path):
    short, long = row(1).replace(",", "", 1), row(2, track_id="a,b")
    rows, damage = tables(file_of(tmp_path, row(0), short, long, row(3)))
    assert (["id-00000", "id-00003"], 2) == ([r["track_id"] for r in rows], damage.broken_lines)


def test_lines_are_counted_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_BLOCK", 100)
    lines = [row(n) for n in range(30_000)]  # more than a block of the file's reader
    lines[29_000] = "broken\n"
    rows, damage = tables(file_of(tmp_path, *lines))
    assert 29_999 == len(rows)
    assert f"line {FIRST + 29_000}: " in damage.sentences()[0]


def test_only_the_first_broken_lines_are_named(tmp_path):
    rows, damage = tables(file_of(tmp_path, *["x\n"] * 40, row(1)))
    assert (1, 40) == (len(rows), damage.broken_lines)
    assert [f"line {FIRST + n}:" for n in range(5)] == [
        told.split(": ")[1] + ":" for told in damage.sentences()[:5]
    ]
    assert "and 35 more broken lines" == damage.sentences()[5]


def test_a_file_of_rubbish_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"more than 1,000 broken lines up to line 1003"):
        tables(file_of(tmp_path, *["x\n"] * 3000))


@pytest.mark.parametrize(
    "header",
    [
        SNAPSHOTS.header.replace(b" v4;", b" v1;"),
        SNAPSHOTS.header.replace(b" v4;", b" v5;"),
        SIGNALS.header,
        b"time,price\n1,2\n",
    ],
)
def test_a_foreign_file_is_refused_by_name(tmp_path, header):
    (tmp_path / NAME).write_bytes(header + b"1,2\n")
    with pytest.raises(BadData, match=rf"{NAME}: begins .* expected '# spreadscan snapshots v4'"):
        tables(tmp_path)


def test_a_compressed_file_gives_the_same(tmp_path):
    made.write(tmp_path / "plain", made.spreads(3, seed=1), grid_s=5.0)
    (tmp_path / "zst").mkdir()
    for path in (tmp_path / "plain").iterdir():
        (tmp_path / "zst" / f"{path.name}.zst").write_bytes(zstandard.compress(path.read_bytes()))
    for plain, compressed in zip(find(tmp_path / "plain"), find(tmp_path / "zst"), strict=True):
        assert [t.to_pylist() for t in read(plain, Damage())] == [
            t.to_pylist() for t in read(compressed, Damage())
        ]


def test_of_a_cut_compressed_file_the_part_before_is_used(tmp_path):
    from random import Random

    random = Random(5)
    lines = [row(n, buy_bid=repr(random.random())) for n in range(60_000)]
    content = zstandard.compress(SNAPSHOTS.header + "".join(lines).encode())
    (tmp_path / f"{NAME}.zst").write_bytes(content[: len(content) * 2 // 3])
    rows, damage = tables(tmp_path)
    assert 10_000 < len(rows) < 60_000
    assert [f"id-{n:05d}" for n in range(len(rows))] == [r["track_id"] for r in rows]
    assert [f"{tmp_path / NAME}.zst: damaged or cut short, expected a whole file; what comes "
            "before is used"] == damage.sentences()  # fmt: skip


def test_columns_that_are_not_asked_for_are_not_there(tmp_path):
    (source,) = find(file_of(tmp_path, row(1, net_bps="3.5")))
    (table,) = read(source, Damage(), columns=["net_bps"])
    assert [{"net_bps": 3.5}] == table.to_pylist()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40), st.integers(0, 10_000), st.sampled_from(list(",\nx\r\x00#\" 1")),
    st.booleans(),
)  # fmt: skip
@example(0, 398, "1", False)
def test_one_changed_byte_harms_no_other_line(tmp_path_factory, at, where, new, insert):
    lines = [row(n, net_bps=str(n / 4)) for n in range(41)]
    old = lines[at]
    where %= len(old)
    lines[at] = old[:where] + new + old[where + (not insert) :]
    rows, damage = tables(file_of(tmp_path_factory.mktemp("one"), *lines))
    ids = [r["track_id"] for r in rows]
    others = [f"id-{n:05d}" for n in range(41) if n != at]
    if where == len(old) - 1 and not insert and new != "\n":  # two lines became one
        others = [name for name in others if name != f"id-{at + 1:05d}"]
    if ids[at : at + 1] and ids.count(ids[at]) == 2:  # the changed byte spelt another's name
        del ids[at]
    assert [name for name in ids if name in set(others)] == others
    n_lines = "".join(lines).count("\n")
    assert n_lines == len(rows) + damage.broken_lines
