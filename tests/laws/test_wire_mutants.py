"""The compiled decoders say what the reference says, or nothing: on 700,000 frames gone wrong.

Each mutant goes through the general scanner and through a decoder that has just seen the frame
it was made of, so that the shape of that one is tried first. A minimum of accepted frames is part
of every test: a decoder that declines all of them would keep the law, too.
"""

from collections import Counter
from random import Random

import pytest

from fuzz import bytewise, messages, trees
from fuzz.judge import Judge
from fuzz.seeds import seeds_of
from spreadscan.types import Book
from spreadscan.venues import VENUES

N_BYTEWISE = 15_000
N_GRAMMAR = 15_000
assert len(VENUES) * (N_BYTEWISE + N_GRAMMAR) >= 200_000


@pytest.fixture(params=VENUES)
def source(request):
    return request.param


@pytest.fixture
def judge(source):
    return Judge(VENUES[source].schema)


def is_binary(source):
    return VENUES[source].schema.wire == "protobuf"


def quotes_of(source):
    judge = Judge(VENUES[source].schema)
    return [f for f in seeds_of(source) if judge.look(f)]


def test_bytewise_mutants(source, judge):
    """Scenario 33 in JSON, Scenario 34 in protobuf."""
    rng, seeds = Random(f"bytes {source}"), seeds_of(source)
    scraps = bytewise.PROTO_SCRAPS if is_binary(source) else bytewise.JSON_SCRAPS
    accepted = 0
    for _ in range(N_BYTEWISE):
        parent = rng.choice(seeds)
        frame = bytewise.mutant(rng, parent, rng.choice(seeds), scraps)
        accepted += judge.look(frame, parent) is not None
    assert N_BYTEWISE * 0.1 < accepted


def test_mutants_that_stay_in_the_grammar(source, judge):
    """Of those that are quotes to the reference, most are accepted, the others for a reason."""
    rng = Random(f"grammar {source}")
    seeds = [f for f in seeds_of(source) if f[:1] == (b"\x0a" if is_binary(source) else b"{")]
    mutate = messages.mutant if is_binary(source) else trees.mutant
    accepted, passed_on = 0, Counter()
    for _ in range(N_GRAMMAR):
        parent = rng.choice(seeds)
        frame = mutate(rng, parent)
        if judge.look(frame, parent) is not None:
            accepted += 1
        elif all(type(item) is Book for item in judge.expected(frame) or [None]):
            passed_on[judge.general.declined] += 1
    assert N_GRAMMAR * 0.2 < accepted
    assert accepted * 0.6 > passed_on.total(), passed_on
    assert {"duplicate", "text", "field", "number", "limit", "syntax"} >= set(passed_on)


def test_every_byte_of_a_quote_in_turn_is_every_other(source, judge):
    parent = sorted(quotes_of(source), key=len)[-20]
    accepted = 0
    for at in range(len(parent)):
        for byte in range(256):
            frame = parent[:at] + bytes((byte,)) + parent[at + 1 :]
            accepted += judge.look(frame, parent) is not None
    assert len(parent) * 5 < accepted


def test_quotes_cut_at_every_offset(source, judge):
    for parent in quotes_of(source)[::5]:
        for at in range(len(parent)):
            found = judge.look(parent[:at], parent)
            assert found is None or is_binary(source), parent[:at]
            judge.look(parent[at + 1 :], parent)
            judge.look(parent[:at] + parent[at + 1 :], parent)


DEEP = b"[" * 100_000
GIANTS = (
    DEEP,
    DEEP + b"]" * 100_000,
    b'{"data":' * 100_000,
    b'{"data":' * 100_000 + b"1" + b"}" * 100_000,
    b"9" * 10_000_000,
    b'"' + b"x" * 10_000_000 + b'"',
    b" " * 10_000_000,
    b"{" + b'"data":1,' * 200_000 + b'"x":1}',
    b"\xff" * 1_000_000,
    b"\x0a\xff\xff\xff\xff\x0f" + b"x" * 1_000_000,
    b"\xda\x13\x00" * 300_000,
    b"\x30\x01" * 500_000,
)


def test_giants(source, judge):
    """Alone, in place of each value in turn, and at the end of a quote."""
    quotes = quotes_of(source)[:2]
    for giant in GIANTS:
        assert judge.look(giant) is None
        for quote in quotes:
            at = quote.rindex(b"5") if b"5" in quote else len(quote) // 2
            for frame in (quote + giant, giant + quote, quote[:at] + giant + quote[at:]):
                judge.look(frame, quote)
    for quote in quotes:
        assert judge.look(quote) is not None
    if not is_binary(source):
        assert judge.look(quotes[0] + b" " * 1_000_000) is not None
        assert judge.look(quotes[0] + b" " * 10_000_000) is None
