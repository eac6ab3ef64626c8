"""Protobuf frames written by hand: each is read, or declined with its reason."""

import math

import pytest

QUOTE = ("X", 1.0, 2.0, 3.0, 4.0, 0, -1, 0)
NAN = math.nan


def proto(text=None, raw=b""):
    """Return a message of the texts 1 to 5 that a quote has, some of them changed, then `raw`."""
    text = {1: "1", 2: "2", 3: "3", 4: "4", 5: "X"} | (text or {})
    fields = ((bytes([n << 3 | 2]), value.encode()) for n, value in text.items())
    return b"".join(key + bytes([len(value)]) + value for key, value in fields) + raw


def test_a_protobuf_quote(read):
    assert [QUOTE] == read(proto(), wire="protobuf")
    nan = ("X", NAN, NAN, 3.0, 4.0, 0, -1, 0)
    for left_out in (1, 2):
        assert repr([nan]) == repr(read(proto({left_out: ""}), wire="protobuf"))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x31" + bytes(8) + b"\x35" + bytes(4), None),
        (b"\x30" + b"\xff" * 8 + b"\x7f", None),
        (b"\x30" + b"\xff" * 9 + b"\x01", "syntax"),
        (b"\x30" + b"\x80" * 8 + b"\x00", None),
        (b"\x30" + b"\xff" * 11, "syntax"),
        (b"\x30", "syntax"),
        (b"\x32\x05abcd", "syntax"),
        (b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "syntax"),
        (b"\x31" + bytes(7), "syntax"),
        (b"\x35" + bytes(3), "syntax"),
        (b"\x33", "syntax"),
        (b"\x34", "syntax"),
        (b"\x36", "syntax"),
        (b"\x37", "syntax"),
        (b"\x00\x00", "syntax"),
        (b"\xf8\xff\xff\xff\x0f\x01", None),
        (b"\x80\x80\x80\x80\x10\x01", "syntax"),
        (b"\x2a\x01Y", "duplicate"),
        (b"\x28\x05", "duplicate"),
    ],
)
def test_protobuf_fields_that_nobody_wants(read, raw, reason):
    assert (reason or [QUOTE]) == read(proto(raw=raw), wire="protobuf")


def test_protobuf_values_of_other_types(read):
    def without(n):
        return proto({n: ""}).replace(bytes([n << 3 | 2, 0]), b"")

    assert "field" == read(without(5) + b"\x28\x05", wire="protobuf")
    assert "field" == read(without(1) + b"\x08\x05", wire="protobuf")
    assert "text" == read(proto({5: "币"}), wire="protobuf")
    assert "field" == read(proto({1: "1e"}), wire="protobuf")


def test_protobuf_ids_and_times(read):
    for raw, expected in {
        b"\x30\x05\x3a\x0219": (5_000_000, 19),
        b"\x30\x00": (0, -1),
        b"\x32\x00\x38\x00": (0, -1),
        b"\x32\x01x": (0, -1),  # no time: none
    }.items():
        (quote,) = read(proto(raw=raw), wire="protobuf", venue_ms=("6",), update_id=("7",))
        assert expected == quote[5:7]
    assert "field" == read(proto(raw=b"\x3a\x01x"), wire="protobuf", update_id=("7",))
    (quote,) = read(proto(raw=b"\x32\x01x"), wire="protobuf", venue_ms=("6",), update_id=("6",))
    assert (0, -1) == quote[5:7]


def test_protobuf_roots(read):
    body = proto()
    inside = bytes([7 << 3 | 2, len(body)]) + body
    assert [QUOTE] == read(inside, wire="protobuf", roots=("7", ""))
    assert [QUOTE] == read(body, wire="protobuf", roots=("7", ""))
    assert [QUOTE] == read(body + b"\x38\x01", wire="protobuf", roots=("7", ""))
    assert "no_match" == read(body, wire="protobuf", roots=("7",))
    assert "syntax" == read(b"\x3a\x02\x0a\x05" + body, wire="protobuf", roots=("7", ""))


def test_a_number_may_be_what_makes_a_delta(read):
    """The reference compares its digits, which the scanner does not."""
    assert "delta" == read(proto(raw=b"\x48\x0b"), wire="protobuf", delta="9=*")
    assert [QUOTE] == read(proto(raw=b"\x48\x00"), wire="protobuf", delta="9=*")
