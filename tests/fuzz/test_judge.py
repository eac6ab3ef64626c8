"""The judge catches what it is there to catch, and the mutators make what they say."""

import math
from random import Random

import orjson
import pytest
from spreadcore.wire.decoder import FrameDecoder

from fuzz import messages, trees
from fuzz.judge import Disagreement, Judge, same
from fuzz.seeds import seeds_of
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.values import json_object

SCHEMA = VENUES["binance-spot"].schema
FRAME = b'{"s":"X","b":"1.5","B":"2","a":"1.6","A":"3","u":5}'
BOOK = Book("X", 1.5, 2.0, 1.6, 3.0, 0, 5, 0)


def lies(answer, only_learnt=False):
    """A decode function that says something else."""

    def decode(decoder, frame):
        right = FrameDecoder.decode(decoder, frame)
        return right if only_learnt and decoder is judge.general else answer

    judge = Judge(SCHEMA, decode)
    return judge


@pytest.mark.parametrize(
    "answer",
    [
        [BOOK._replace(bid_px=math.nextafter(1.5, 2))],
        [BOOK._replace(ask_px=math.nan)],
        [BOOK._replace(bid_qty=-2.0)],
        [BOOK._replace(update_id=6)],
        [BOOK._replace(id_kind=1)],
        [BOOK._replace(symbol="Y")],
        [BOOK, BOOK],
        [],
        None,
    ],
)
def test_every_lie_is_a_disagreement(answer):
    assert 1 == Judge(SCHEMA).look(FRAME)
    with pytest.raises(Disagreement):
        lies(answer, only_learnt=True).look(FRAME)
    if answer is not None:  # to decline is allowed, if both do
        with pytest.raises(Disagreement):
            lies(answer).look(FRAME)


@pytest.mark.parametrize("frame", [b"{}", b"x", b'{"s":"X"}', b'{"s":"","b":1,"B":1,"a":1,"A":1}'])
def test_a_quote_where_the_reference_has_none(frame):
    assert Judge(SCHEMA).look(frame) is None
    with pytest.raises(Disagreement):
        lies([BOOK]).look(frame)


def test_a_delta_is_no_quote():
    (frame,) = [f for f in seeds_of("bybit-spot") if b'"delta","ts":7' in f]
    schema = VENUES["bybit-spot"].schema
    assert Judge(schema).look(frame) is None
    with pytest.raises(Disagreement):
        Judge(schema, lambda decoder, frame: [BOOK]).look(frame)


def test_the_same_is_the_same_bits():
    assert same([BOOK], [tuple(BOOK)])
    assert same([BOOK._replace(ask_px=math.nan)], [BOOK._replace(ask_px=math.nan)])
    assert not same([BOOK._replace(bid_px=0.0)], [BOOK._replace(bid_px=-0.0)])
    assert not same([BOOK], [])


def test_trees_are_written_as_they_were_read():
    rng = Random(1)
    frames = [f for f in seeds_of("mexc-futures") + seeds_of("okx-spot") if f[:1] == b"{"]
    plain = 0
    for frame in frames:
        written = [trees.write(rng, trees.tree_of(frame)) for _ in range(20)]
        assert all(orjson.loads(frame) == orjson.loads(w) for w in written)
        plain += frame in written
    assert plain > len(frames) // 2  # others came with blanks or escapes


def test_mutants_of_trees_are_others_and_nearly_all_json():
    rng = Random(2)
    frames = [f for f in seeds_of("binance-futures") if f[:1] == b"{"]
    changed = sound = 0
    for _ in range(2000):
        parent = rng.choice(frames)
        mutant = trees.mutant(rng, parent)
        changed += mutant != parent
        sound += json_object(mutant) is not None
    assert changed > 1500
    assert sound > 1700


def test_messages_are_written_as_they_were_read():
    rng = Random(3)
    frames = [f for f in seeds_of("mexc-spot") if f[:1] == b"\x0a"]
    assert len(frames) >= 60
    for frame in frames:
        assert frame == messages.write(rng, messages.fields_of(frame, (315,)))
