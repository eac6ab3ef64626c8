"""No scanner reads outside of a frame: frames end where the next page may not be touched.

In a process of its own: what is looked for ends it.
"""

import ctypes
import faulthandler
from random import Random

import pytest
from spreadcore.wire.decoder import FrameDecoder

from fuzz import bytewise
from fuzz.guarded import Guarded
from fuzz.judge import Judge
from fuzz.seeds import seeds_of
from spreadscan.venues import VENUES

WITHIN_S = 60


def run(children, call, *args):
    children.start("reader", call, *args)
    got = children.results(within_s=WITHIN_S)["reader"]
    assert got is not None, "the reader was killed: it read outside of a frame"
    return got


def read_byte(loops, which, offset):
    faulthandler.disable()  # what happens here is wanted
    return ctypes.string_at(Guarded(loops).guards[which] + offset, 1)


@pytest.mark.parametrize(("which", "offset"), [(0, 4095), (1, 0)])
def test_the_guards_are_guards(loops, children, which, offset):
    children.start("reader", read_byte, loops, which, offset)
    assert {"reader": None} == children.results(within_s=WITHIN_S)


def read_cuts(loops, source):
    """Every cut of some quotes, for a decoder that knows their shapes and for one that has none."""
    page = Guarded(loops)
    judge = Judge(VENUES[source].schema, page.decode_twice)
    quotes = [f for f in seeds_of(source, n_rendered=12) if judge.look(f)][:16]
    looks = 0
    for frame in quotes:
        for at in range(len(frame)):
            judge.look(frame[:at], frame)
            judge.look(frame[at:], frame)
            looks += 2
    return len(quotes), looks


@pytest.mark.parametrize("source", VENUES)
def test_frames_cut_at_every_offset(loops, children, source):
    quotes, looks = run(children, read_cuts, loops, source)
    assert quotes >= 12
    assert looks >= 12 * 100


def read_mutants(loops, source, n):
    page = Guarded(loops)
    judge = Judge(VENUES[source].schema, page.decode)
    rng, seeds = Random(f"bounds {source}"), seeds_of(source)
    binary = VENUES[source].schema.wire == "protobuf"
    scraps = bytewise.PROTO_SCRAPS if binary else bytewise.JSON_SCRAPS
    accepted = 0
    for _ in range(n):
        parent = rng.choice(seeds)
        frame = bytewise.mutant(rng, parent, rng.choice(seeds), scraps)[:60_000]
        accepted += judge.look(frame, parent) is not None
    return accepted


@pytest.mark.parametrize("source", VENUES)
def test_mutants(loops, children, source):
    assert run(children, read_mutants, loops, source, 8_000) > 500


def read_texts(loops):
    """Decimals and scraps of JSON that break off where the page does."""
    page = Guarded(loops)
    texts = [b"0.1e+10"[:n] for n in range(8)] + [b"1" * n for n in range(1, 30)]
    texts += [b"1." + b"5" * n for n in range(30)]
    for text in texts:
        assert loops.decimal(text, len(text)) == loops.decimal_at(page.last(text), len(text))
    return len(texts)


def test_decimals(loops, children):
    assert run(children, read_texts, loops) > 60


def read_keys(loops, schema):
    """Keys and words of every length up to two words, broken off anywhere."""
    page = Guarded(loops)
    decoder = FrameDecoder(schema)
    looks = 0
    for word in (b'"abcdefghijklmnopq"', b"true", b"false", b"null", b"-1.5e-10", b"[[]]"):
        for frame in (b'{"z":%s}' % word, b"{%s:1}" % word, b'{"s":%s,"b":[1' % word):
            for at in range(len(frame) + 1):
                assert page.decode(decoder, frame[:at]) is None
                looks += 1
    return looks


def test_keys_and_words(loops, children, make_schema):
    assert run(children, read_keys, loops, make_schema()) > 200
