"""The deeper levels of a side, run over unread: JSON's grammar or nothing."""

import json
import re
from random import Random

import pytest

TAIL = ',"version":41770922520},"channel":"push.depth.full","ts":1795132799893,"and":"more text"}'
number = re.compile(r"[0-9.]+")


def price(rng):
    digits = str(rng.randrange(1, 10 ** rng.randrange(1, 12)))
    return digits if rng.random() < 0.5 else f"{digits}.{rng.randrange(10**5)}"


def rest_of_side(rng):
    """`,n],[px,qty,n]` and so on, up to the bracket that closes the side."""
    level = [
        ",".join(price(rng) for _ in range(rng.randrange(1, 4))) for _ in range(rng.randrange(9))
    ]
    return "," + price(rng) + "]" + "".join(f",[{text}]" for text in level)


def holds(loops, text):
    """Whether levels were found; if so, json has the same end and finds no fault."""
    end = loops.levels(text.encode("latin-1"))
    if end is None:
        return False
    assert text[end] == "]"
    assert isinstance(json.loads("[[0" + text[: end + 1]), list)
    assert all(len(found) <= 20 for found in number.findall(text[:end]))
    return True


def test_levels_end_at_the_bracket_of_the_side(loops):
    rng = Random(1)
    for _ in range(20_000):
        levels = rest_of_side(rng)
        assert loops.levels((levels + "]" + TAIL).encode()) == len(levels), levels


def test_spoilt_levels_are_json_or_passed_on(loops):
    rng = Random(2)
    found = 0
    for _ in range(60_000):
        text = list(rest_of_side(rng))
        for _ in range(rng.randrange(1, 3)):
            at, byte = rng.randrange(len(text)), rng.choice('0123456789.,[],[]eE+- "{}\x00\xe9')
            text[at : at + rng.randrange(2)] = byte
        found += holds(loops, "".join(text) + "]" + TAIL)
    assert 60_000 * 0.05 < found < 60_000 * 0.6


def test_texts_of_its_own_letters_are_json_or_passed_on(loops):
    rng = Random(3)
    pieces = (",", "[", "]", "],[", "0", "1", "9.5", "00", ".", "77", ",[")
    found = 0
    for _ in range(60_000):
        text = ",1" + "".join(rng.choice(pieces) for _ in range(rng.randrange(8)))
        found += holds(loops, text + "]]" + TAIL)
    assert 60_000 * 0.02 < found


@pytest.mark.parametrize(
    "text",
    [",1]]", ",1],[2,3]]", ",1],[0.5,10]]", ",0],[0,0]]", ",1234567890123456789]]", ",1,2,3],[4]]"],
)
def test_found(loops, text):
    assert loops.levels((text + TAIL).encode()) == len(text) - 1


@pytest.mark.parametrize(
    "text",
    [
        *(",]]", ",01]]", ",00]]", ",1.]]", ",.5]]", ",1..5]]", ",1.2.3]]", ",-1]]", ",1e5]]"),
        *(",1,]]", ",,1]]", ",1],]", ",1],5]", ",1],[]]", ",1],[[2]]]", ",1],[2", ",1][2]]"),
        *(",1],[2],]", ",1] ]", ',"1"]]', ",null]]", ",1],{}]", ",12345678901234567890]]"),
        *(",1.1234567890123456789]]", "]]", "1]]", f",{'1' * 62}]]", ",1]", ",1],[2]"),
    ],
)
def test_passed_on(loops, text):
    assert loops.levels((text + TAIL).encode()) is None


def test_nothing_is_read_behind_the_end(loops):
    text = ",1],[2,3]]" + "x" * 60
    assert loops.levels(text[:64].encode()) == 9
    assert loops.levels(text[:63].encode()) is None


def test_masks_are_the_plain_ones(loops):
    rng = Random(4)
    for _ in range(20_000):
        near = rng.choice((b"0123456789.,[]", b'\x1f !"#[\\]~\x7f\x80\xff', bytes(range(256))))
        text = bytes(rng.choices(near, k=16))
        here, plain = loops.masks(text, rng.choice(b".,[]0"))
        assert here == plain, text
