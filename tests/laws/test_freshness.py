"""Which quotes are true, against a plain model: random ages, limits, validities, confirmations.

The engine's signals and PairWatch (which the tracker goes by) have to say the same of each case.
"""

import random
from dataclasses import dataclass

import pytest
from spreadcore.active import FREE, SIGNALLED
from spreadcore.engine import Engine
from spreadcore.watch import PairWatch

from flags import flags_of
from pairs import Pairs

S, MS = 10**9, 10**6
T = 10**13
BUY, SELL, N_ROWS = 0, 1, 64
BEAT_S = 2.0
CASES = 3_000


@dataclass
class Case:
    """A quote and what is known of it; times in ns back from now, None: never."""

    age: int
    source: int  # limit of its source
    valid: int  # its own; 0: it says nothing
    learnt: int  # of its pair; 0: nothing is
    confirmed: int | None
    within: int  # a confirmation holds for so long
    round: int  # of the audit
    beat: int

    def is_true(self) -> bool:
        if self.beat >= BEAT_S * S:
            return False
        if self.valid and self.age > self.valid:
            return False
        limit = min(self.source, self.within) if self.round <= self.within else self.source
        if self.age <= limit and (not self.learnt or self.age <= self.learnt):
            return True
        return self.confirmed is not None and self.confirmed <= self.within


def cases() -> list[Case]:
    rng = random.Random(14)

    def near(*marks: int) -> int:
        """At a limit, a ns beside it, or anywhere."""
        of = rng.choice([mark for mark in marks if mark] or [S])
        return max(0, rng.choice([of - 1, of, of + 1, of // 2, 2 * of, rng.randrange(90 * S)]))

    found = []
    for _ in range(CASES):
        own = rng.choice(["valid", "valid", "learnt", "none"])
        source = rng.choice([1, 10, 75]) * S
        valid = rng.choice([1, 300, 2_000, 65_536, 600_000]) * MS if own == "valid" else 0
        learnt = rng.choice([10, 12_040, 120_000]) * MS if own == "learnt" else 0
        within = rng.choice([5, 60]) * S
        found.append(
            Case(
                near(source, valid, learnt, within),
                source,
                valid,
                learnt,
                rng.choice([None, near(within)]),
                within,
                near(within),
                rng.choice([0, 1, int(BEAT_S * S) - 1, int(BEAT_S * S)]),
            )  # fmt: skip
        )
    return found


class Judges:
    """A spread of which one leg is the case's quote, and the other always true."""

    def __init__(self, instance) -> None:
        self.instance = instance
        index = Pairs(2, N_ROWS, [(0, BUY, SELL)])
        for row in range(N_ROWS):
            index.compare(0, row)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, beat_limit_s=BEAT_S, sweep_s=0.0, audit=instance.audit,
            questions=instance.questions, answers=instance.answers,
        )  # fmt: skip
        self.engine.set_rule(0, 0.0, 50.0, 10.0)

    def __call__(self, case: Case, row: int, leg: int) -> tuple[bool, bool]:
        """Return whether the engine signals on it, and whether PairWatch shows it tradable."""
        at, other, instance = T - case.age, 1 - leg, self.instance
        flags = flags_of(7, limit_s=case.learnt / S, valid_ms=case.valid // MS, average=row % 2)
        for source, recv_ns, word in ((leg, at, flags), (other, T, 0)):
            px = (99.9, 100.0) if source == BUY else (101.0, 101.1)
            instance.quotes.write(source, row, *px, 10.0, 10.0, 0, recv_ns, word)
        instance.health.beat(leg, T - case.beat)
        instance.health.beat(other, T)
        instance.audit.set(leg, "round_ns", T - case.round)
        confirmed = case.confirmed is not None
        instance.audit.confirm(leg, row, at if confirmed else at - 1, T - (case.confirmed or 0))
        self.engine.set_stale(leg, case.source / S)
        self.engine.set_audit(leg, case.within / S)
        watch = PairWatch(
            instance.quotes, instance.health, beat_limit_s=BEAT_S,
            stale_after_s={leg: case.source / S}, audit=instance.audit,
            confirm_within_s={leg: case.within / S},
        )  # fmt: skip
        watch.refresh(T)
        instance.dirty.mark(leg, row)
        self.engine.turn(T)
        signals = instance.ring.peek() is not None
        if signals:
            instance.ring.advance()
            instance.active.move(row, SIGNALLED, FREE)
        return signals, watch.read(BUY, row, SELL, row, T).tradable


@pytest.fixture
def judges(make_instance):
    return Judges(make_instance(n_sources=2, n_symbols=N_ROWS, n_edges=N_ROWS))


def test_engine_and_watch_take_for_true_what_the_model_does(judges):
    seen = set()
    for n, case in enumerate(cases()):
        expected = case.is_true()
        assert (expected, expected) == judges(case, n % N_ROWS, n % 2), case
        seen.add((bool(case.valid), bool(case.learnt), expected, case.confirmed is not None))
    assert 12 == len(seen)


@pytest.mark.parametrize(
    "mistake",
    [
        {"valid": 0},  # its own validity is not looked at
        {"source": 600 * S, "round": 600 * S},  # it stands in place of the source's limit
        {"learnt": 0},
    ],
)
def test_the_cases_tell_a_wrong_rule(mistake):
    wrong = [Case(**vars(case) | mistake) for case in cases()]
    assert 50 < sum(a.is_true() != b.is_true() for a, b in zip(cases(), wrong, strict=True))
    extended = [Case(**vars(c) | {"valid": 0, "learnt": c.valid}) for c in cases() if c.valid]
    plain = [case for case in cases() if case.valid]
    assert 50 < sum(a.is_true() != b.is_true() for a, b in zip(plain, extended, strict=True))
