"""Decimal text to double: the same bits as Python's float(), or passed on."""

import math
import re
from fractions import Fraction
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

is_decimal = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch


@pytest.fixture(scope="module")
def decimal(loops):
    """A function that reads a text, which comes out the same whatever follows it."""

    def decimal(text):
        raw = text.encode()
        alone = loops.decimal(raw, len(raw))
        for behind in (b'","B":"123456789', b"12345678.90123456", b".5e10,.5e10,.5e10"):
            assert loops.decimal(raw + behind, len(raw)) == alone, (text, behind)
        return alone

    return decimal


@pytest.fixture(scope="module")
def read(decimal):
    """A function that reads a text, holds the law, and returns whether it was accepted."""

    def read(text):
        got = decimal(text)
        if got is None:
            return False
        assert is_decimal(text), f"{text!r} is no decimal, read as {got!r}"
        assert float(text).hex() == got.hex(), text
        return True

    return read


def test_every_length_on_both_sides_of_the_point(read):
    """Up to eight digits a side are read at once; the next one is not lost."""
    for before in range(1, 11):
        for behind in range(10):
            for digit in "1905":
                text = digit * before + ("." + digit * behind if behind else "")
                assert read(text), text


def test_any_digits_with_points_zeros_and_exponents(read):
    rng = Random(1)
    accepted = 0
    for _ in range(80_000):
        n = rng.randrange(1, 41) if rng.random() < 0.5 else rng.randrange(1, 21)
        text = "0" * (rng.random() < 0.2) * rng.randrange(1, 9) + str(rng.randrange(10**n))
        if rng.random() < 0.6:
            text += "." + str(rng.randrange(10 ** rng.randrange(1, 20))).zfill(rng.randrange(1, 20))
        text += "0" * (rng.random() < 0.2) * rng.randrange(1, 12)
        if rng.random() < 0.3:
            text += rng.choice(("e", "E")) + rng.choice(("", "+", "-")) + str(rng.randrange(40))
        accepted += read(text)
    assert 80_000 * 0.3 < accepted


def test_every_plain_price_of_up_to_19_digits_is_accepted(read):
    """The point at any place, zeros in front or behind."""
    rng = Random(2)
    for _ in range(80_000):
        digits = str(rng.randrange(10 ** rng.randrange(1, 20)))
        at = rng.randrange(1, len(digits) + 1)
        text = digits[:at] + ("." + digits[at:] if at < len(digits) else "")
        if rng.random() < 0.2:
            text = "0." + "0" * rng.randrange(19 - len(digits) + 1) + digits
        assert read(text), text


def test_halfway_between_two_doubles_and_next_to_it(read):
    """Ties go to the even one; a unit of the last digit beside them decides otherwise."""
    rng = Random(3)
    ties = 0
    for _ in range(12_000):
        k = rng.randrange(5)  # 2^53 * 5^5 has more than nineteen digits
        odd = rng.randrange(1 << 53, 1 << 54) | 1
        w = odd * 5**k
        if w >= 10**19:
            continue
        ties += 1
        for near in (w - 1, w, w + 1):
            assert read(shifted(near, k)), (near, k)
    assert 8_000 < ties


def test_nearest_19_digits_to_a_halfway_point(read):
    """Never a tie for many places, but so near to one that the remainder decides."""
    rng = Random(4)
    tried = 0
    for _ in range(20_000):
        k = rng.randrange(1, 20)
        odd = rng.randrange(1 << 53, 1 << 54) | 1
        size = math.log2(rng.randrange(10**18, 10**19)) - math.log2(10) * k
        w = round(Fraction(odd * 10**k) * Fraction(2) ** (math.floor(size) - 53))
        if not 10**17 < w < 10**19:
            continue
        tried += 1
        for near in (w - 1, w, w + 1):
            assert read(shifted(near, k)), (near, k)
    assert 15_000 < tried


def test_whole_numbers_at_the_edges_of_53_and_64_bits(read):
    rng = Random(5)
    for bits in range(50, 65):
        for _ in range(400):
            w = (1 << bits) + rng.randrange(-3000, 3000)
            assert read(str(w)) == (w < 10**19)
    for w in (10**18, 10**19, 1 << 53, 1 << 63, 1 << 64):
        for near in range(w - 20, w + 20):
            assert read(str(near)) == (near < 10**19)


def shifted(w, k):
    """Return the text of w / 10^k."""
    digits = str(w).zfill(k + 1)
    return f"{digits[:-k]}.{digits[-k:]}" if k else digits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("0.0", 0.0),
        ("0" * 60, 0.0),
        ("0e9999", 0.0),
        ("007.50", 7.5),
        ("0.1", 0.1),
        ("1e22", 1e22),
        ("1e-22", 1e-22),
        ("7.548E+4", 75480.0),
        ("9007199254740993", 9007199254740992.0),
        ("9007199254740993.0", 9007199254740992.0),
        ("9007199254740995", 9007199254740996.0),
        ("9999999999999999999", 1e19),
        ("0.9999999999999999999", 1.0),
        ("1234567890.1234567890000000000000", 1234567890.123456789),
        ("2850903964.83785549", 2850903964.83785549),
        ("0" * 500 + "1.5", 1.5),
    ],
)
def test_read(decimal, text, expected):
    assert expected.hex() == decimal(text).hex()


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", " 1", "1 ", "+1", "-1", "-0", ".5", "1.", "1..2", "1.2.3", "1e", "1e+", "e5"),
        *("1e5.0", "1_0", "0x10", "nan", "inf", "Infinity", "1,5", "1\x00", "\x001", "١", "1f"),
        "18446744073709551616",
        "10000000000000000000",
        "1" * 40,
        "0." + "3" * 40,
        "1e23",
        "1e-23",
        "1e400",
        "9007199254740993e1",
        "1e99999",
        "1e" + "9" * 5000,
        "0." + "0" * 5000 + "1",
    ],
)
def test_passed_on(decimal, text):
    assert decimal(text) is None


def test_bytes_that_spoil_a_number(read):
    rng = Random(6)
    accepted = 0
    for _ in range(40_000):
        text = list(shifted(rng.randrange(10 ** rng.randrange(1, 20)), rng.randrange(12)))
        for _ in range(rng.randrange(1, 3)):
            text.insert(rng.randrange(len(text) + 1), rng.choice("0123456789.eE+-/: _x\x00\x7f"))
        accepted += read("".join(text))
    assert 40_000 * 0.2 < accepted


@settings(max_examples=500, deadline=None, database=None, derandomize=True)
@given(
    text=st.from_regex(is_decimal.__self__, fullmatch=True)
    | st.floats(0, 1e30).map(repr)
    | st.decimals(0, 10**20, allow_nan=False, places=8).map(str)
    | st.text("0123456789.eE+-", max_size=30)
)
@example(text="5e-324")
@example(text="1.7976931348623157e308")
def test_as_float_or_not_at_all(read, text):
    read(text)
