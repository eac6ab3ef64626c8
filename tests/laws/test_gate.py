"""The gate's memory of a pair, against a plain model: which ids pass, how much silence is usual.

Seeded stories of one pair on two sockets: quotes after all kinds of pauses, ids that rise, fall and
begin anew, books with one side or none, sockets that close, hand over and subscribe anew.
"""

import math
import random
from dataclasses import dataclass, field

import pytest
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED

from flags import flags_of

SOURCE, SYMBOL = 1, 5
T = 10**12
S = 10**9
OLD_ID = -1 - DECLINED.index("old_id")
ONE_SIDED = -1 - DECLINED.index("one_sided")


@dataclass
class Plain:
    """What the gate should remember, kept as whole lists."""

    cap_s: int
    owner: int = 0  # socket that has the slot
    last: int | None = None  # id
    last_by: int = 0  # socket that wrote it
    last_at: int = 0
    lower: list[int] = field(default_factory=list)  # since an id passed, from its socket
    heard: int | None = None  # where the pause began that lasts
    bucket: list[int] = field(default_factory=list)  # pauses in 10 ms, rounded up
    before: list[int] = field(default_factory=list)
    bucket_ends: int = 0
    n_before: int = 0  # buckets that are over
    flags: int = 0
    restarts: int = 0

    def quote(self, link: int, update_id: int, good: bool, at: int) -> int:
        again = update_id == self.last
        if (
            self.last is not None
            and update_id < self.last
            and not self._begins_anew(link, update_id, at)
        ):
            return OLD_ID
        if self.owner != link:
            self.heard = None
        self.owner = self.last_by = link
        self.last, self.last_at, self.lower = update_id, at, []
        if not good:
            self.heard, self.flags = None, link
            return ONE_SIDED
        if self.cap_s:
            self._learn(at)
        learnt = {"limit_s": self._limit() / 100, "pause_s": self._usual() / 100}
        self.flags = flags_of(link, **learnt if self.cap_s else {})
        return int(again)

    def no_book(self, link: int) -> None:
        """Both sides missing under id 0: the pair has no book now, and ids are as they were."""
        if self.owner != link:
            self.last_by = 0
        self.owner, self.heard, self.flags = link, None, link

    def _begins_anew(self, link: int, update_id: int, at: int) -> bool:
        if at - self.last_at < 5 * S:
            if link != self.owner or link != self.last_by:
                return False
            self.lower.append(update_id)
            run = self.lower[-3:]
            if len(run) < 3 or not run[0] < run[1] < run[2]:
                return False
        self.restarts += 1
        return True

    def _learn(self, at: int) -> None:
        since, self.heard = self.heard, at
        if since is None:
            return
        if not self.bucket and not self.n_before:
            self.bucket_ends = at + 600 * S
        self.bucket.append(min(65_535, -(-(at - since) // 10_000_000)))
        if len(self.bucket) >= 16 and at >= self.bucket_ends:
            self.before, self.bucket = self.bucket, []
            self.n_before += 1
            self.bucket_ends = at + 600 * S

    def _usual(self) -> int:
        if not self.n_before and len(self.bucket) < 4:
            return 200
        longest = [sorted(pauses)[-2:] for pauses in (self.bucket, self.before)]
        both = sorted([0, 0, *longest[0], *longest[1]])
        return both[-2]

    def _limit(self) -> int:
        known = self.n_before or len(self.bucket) >= 16
        limit = max(1_000, 4 * self._usual()) if known else 12_000
        return min(limit, self.cap_s * 100)


def story(seed: int) -> list[tuple]:
    """Steps: what happens, and the seconds since the step before."""
    rng = random.Random(seed)
    steps: list[tuple] = []
    newest, pace = 1000, rng.choice([0.002, 0.3, 4.0, 40.0])
    link = 1
    for _ in range(rng.choice([60, 400])):
        kind = rng.random()
        wait = rng.expovariate(1 / pace) * rng.choice([1, 1, 1, 0, 10])
        if kind < 0.80:
            newest += rng.choice([0, 1, 1, 1, 7])
            steps.append(("quote", link, newest, rng.random() > 0.03, wait))
        elif kind < 0.88:  # stray old ids, a few in a row
            low = max(0, newest - rng.randint(1, 900))
            for n in range(rng.choice([1, 2, 5])):
                stray = max(0, low + rng.choice([0, n, -n]))
                steps.append(("quote", rng.choice([link, link, 3 - link]), stray, True, wait))
        elif kind < 0.90:
            newest -= rng.randint(0, newest)
        elif kind < 0.91:
            steps.append(("no book", rng.choice([link, link, 3 - link]), wait))
        elif kind < 0.92:
            newest += 10**6
            steps.append(("quote", link, newest, True, wait))
            newest -= 10**6
        elif kind < 0.95:
            steps.append(("anew", rng.choice([link, 3 - link]), wait))
        elif kind < 0.97:
            steps.append(("over", link, 3 - link, wait))
            link = 3 - link
        elif kind < 0.98:
            steps.append(("closed", rng.choice([link, 3 - link]), wait))
        else:
            pace = rng.choice([0.002, 0.3, 4.0, 40.0])
    return steps


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=2, n_symbols=8, n_edges=8)


def test_the_gate_remembers_what_the_model_does(instance):
    sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
    restarts, limits = 0, set()
    for seed in range(400):
        cap_s = random.Random(-seed).choice([0, 5, 600])
        intake = SourceIntake(*sections, SOURCE, "never", learn_to_s=float(cap_s))
        intake.add_symbol(SYMBOL)
        plain, at = Plain(cap_s), T
        for n, step in enumerate(story(seed)):
            at += round(step[-1] * S)
            where = (seed, n, step)
            if step[0] == "quote":
                _, link, update_id, good, _ = step
                expected = plain.quote(link, update_id, good, at)
                bid = 100.0 if good else math.nan
                found = intake.accept(SYMBOL, link, bid, 1.0, 101.0, 1.0, 0, update_id, 0, at)
                assert expected == found, where
                if found != OLD_ID:
                    quote = instance.quotes.read(SOURCE, SYMBOL)
                    assert plain.flags == quote.flags, where
                    assert (at if good else 0) == quote.recv_ns
                    limits.add(quote.limit_s)
            elif step[0] == "no book":
                plain.no_book(step[1])
                nan = math.nan
                found = intake.accept(SYMBOL, step[1], nan, nan, nan, nan, 0, 0, 0, at)
                assert ONE_SIDED == found, where
                quote = instance.quotes.read(SOURCE, SYMBOL)
                assert (0, step[1]) == (quote.recv_ns, quote.flags), where
            elif step[0] == "anew":
                if plain.owner == step[1]:
                    plain.last = None
                    plain.heard = plain.heard and at
                intake.subscribed_anew(step[1], [SYMBOL], at)
            elif step[0] == "over":
                if plain.owner == step[1]:
                    plain.owner, plain.last_by = step[2], 0
                intake.hand_over(step[1], step[2], [SYMBOL])
            elif plain.owner == step[1]:
                plain.owner, plain.last, plain.heard = 0, None, None
                intake.empty_link(step[1], True)
            else:
                intake.empty_link(step[1], True)
        assert plain.restarts == intake.id_restarts().get(SYMBOL, 0), seed
        restarts += plain.restarts
    # the stories tell of all of it
    assert restarts > 1000
    assert {0.0, 5.0, 10.0, 120.0, 600.0} < limits
    assert len(limits) > 500
