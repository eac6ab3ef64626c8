"""Numbers as text: repr's own spelling, and back to the very double."""

import math
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spreadcore.digits import fixed_text, number_of, number_text, time_of
from spreadcore.errors import CoreError

decimals = st.builds(
    lambda n, k, sign: sign * (n / 10**k),
    st.integers(0, 10**16),
    st.integers(0, 22),
    st.sampled_from([1, -1]),
)
doubles = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("d", struct.pack("Q", n))[0])


@given(st.floats() | decimals | doubles)
@example(1e15)
@example(999999999999999.0)
@example(9999999999999998.0)
@example(1e16)
@example(1e-4)
@example(9.999e-5)
@example(1e-22)
@example(1.5e-10)
@example(5e-324)
@example(1.7976931348623157e308)
@example(0.0)
@example(-0.0)
@example(0.1 + 0.2)
@example(123456.0 / 1000)
@example(math.inf)
def test_a_number_is_spelled_as_by_repr(x):
    assert (b"" if math.isnan(x) else repr(x).encode()) == number_text(x)


@given(st.floats(allow_nan=False) | decimals)
def test_what_was_written_reads_back_as_the_same_double(x):
    assert x == number_of(number_text(x))


@given(st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,25})?(e-?[0-9]{1,3})?", fullmatch=True))
@example("99999999999999.999")
@example("100000000000000.5")
@example("5.")
@example("0.00000000000000000000001")
def test_reading_is_python_s_reading(text):
    if len(text) <= 32:
        assert float(text) == number_of(text.encode())


@pytest.mark.parametrize("text", [b"-", b"1,5", b"1.2.3", b" 1", b"1 ", b".", b"0x1", b"1" * 33,
                                  b"\xff", b"1\x00"])  # fmt: skip
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="expected as 12.5 or 1e-05"):
        number_of(text)


def test_no_text_is_nan_and_nan_is_no_text():
    assert math.isnan(number_of(b""))
    assert b"" == number_text(math.nan) == fixed_text(math.nan, 4)


@given(st.floats(-1e9, 1e9, exclude_min=True, exclude_max=True), st.integers(0, 6))
@example(0.00004999, 4)
@example(0.99995, 4)
@example(-0.00001, 4)
@example(-12.3456, 4)
@example(0.0, 0)
@example(7.5, 0)
def test_so_many_decimals_are_as_near_as_they_can_be(x, n):
    text = fixed_text(x, n).decode()
    assert n == len(text.partition(".")[2])
    assert abs(float(text) - x) <= 0.5 * 10**-n * (1 + 1e-6) + abs(x) * 1e-15
    assert not (text.startswith("-") and float(text) == 0)
    assert text == f"{float(text):.{n}f}"


def test_above_a_billion_all_digits_are_written():
    assert b"1234567890.5" == fixed_text(1234567890.5, 4)
    assert b"-inf" == fixed_text(-math.inf, 2)
    with pytest.raises(CoreError, match="decimals: 10, expected 0 to 9"):
        fixed_text(1.0, 10)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)))
@example(datetime(2000, 2, 29, 23, 59, 59, 999_999))
@example(datetime(2100, 3, 1))
def test_a_time_reads_back(when):
    ns = (when.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
    assert ns == time_of(f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}Z".encode())


@pytest.mark.parametrize("text", [
    b"", b"2026-11-20T12:00:00Z", b"2026-13-20T12:00:00.000000Z", b"2026-11-00T12:00:00.000000Z",
    b"2026-11-20T24:00:00.000000Z", b"2026-11-20T12:60:00.000000Z", b"2026-11-20 12:00:00.000000Z",
    b"2026-11-20T12:00:00.00000xZ", b"1969-11-20T12:00:00.000000Z", b"2026-11-20T12:00:60.000000Z",
    b"2200-01-01T00:00:00.000000Z",
])  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="expected as 2026-11-20"):
        time_of(text)
