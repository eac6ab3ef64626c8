"""The layout as facts: fields tile their structs, sizes add up, names match their counters."""

from itertools import groupby

import pytest
from spreadcore import layout


def structs():
    return {
        name: [(field, offset, size) for _, field, offset, size in rows]
        for name, rows in groupby(layout.FIELDS, key=lambda row: row[0])
    }


def test_fields_rise_and_never_overlap():
    for name, rows in structs().items():
        end = 0
        for field, offset, size in rows:
            assert end <= offset, f"{name}.{field} overlaps"
            assert 0 == offset % min(size, 8), f"{name}.{field} is not aligned"
            end = offset + size


@pytest.mark.parametrize(
    ("struct", "first", "second"),
    [
        ("WakeLines", "wake", "sleeping"),
        ("RingLines", "head", "tail"),
        ("ControlWords", "pause", "kill"),
        ("ControlWords", "reload_generation", "stop"),
    ],
)
def test_words_of_different_owners_are_on_different_lines(struct, first, second):
    offsets = {field: offset for field, offset, _ in structs()[struct]}
    assert offsets[first] // 64 != offsets[second] // 64


def test_a_quote_slot_is_one_line():
    rows = structs()["QuoteSlot"]
    assert ("seq", 0, 8) == rows[0]
    assert 64 == sum(size for _, _, size in rows)
    assert 64 == layout.section_bytes("quotes", 1, 1, 1, 1) - 64


@pytest.mark.parametrize(
    ("section", "capacity", "expected"),
    [
        ("quotes", (8, 1024, 12, 9), 64 + 64 * 8 * 1024),
        ("dirty", (8, 1024, 12, 9), 64 + 128 + 8 * (64 + 128)),
        ("dirty", (1, 1, 1, 9), 64 + 128 + 64 + 64),
        ("dirty", (64, 16384, 1, 9), 64 + 128 + 64 * (64 + 2048)),
        ("signals", (8, 1024, 12_000, 9), 64 + 128 + 64 * 16384),
        ("signals", (1, 1, 1, 9), 64 + 128 + 64),
        ("active", (8, 1024, 12_000, 9), 64 + 12_000),
        ("control", (8, 1024, 12, 9), 64 + 4 * 64),
        ("funding", (8, 1024, 12, 9), 64 + 32 * 8 * 1024),
        ("engine_stream", (8, 1024, 12, 9), 64 + 128 + 64 + 128 * 4096),
        ("tracks", (8, 1024, 12, 9), 64 + 128 * 9),
        ("pauses", (8, 1024, 12, 9), 64 + 8 * (8 + 8192 + 12)),
        ("oms", (8, 1024, 12, 9), 64 + 4096),
    ],
)
def test_section_bytes(section, capacity, expected):
    assert expected == layout.section_bytes(section, *capacity)


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="'kwotes', expected one of quotes, dirty"):
        layout.section_bytes("kwotes", 1, 1, 1, 1)


@pytest.mark.parametrize(
    "names",
    [*layout.COUNTERS.values(), layout.DECLINED],
)
def test_counters_are_distinct_and_fit_a_slot(names):
    assert len(names) == len(set(names))
    assert len(names) <= 64


def test_every_reason_has_its_counter_in_order():
    first = layout.SOURCE_COUNTERS.index("declined_" + layout.DECLINED[0])
    found = layout.SOURCE_COUNTERS[first : first + len(layout.DECLINED)]
    assert tuple(f"declined_{reason}" for reason in layout.DECLINED) == found
