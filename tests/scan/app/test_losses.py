"""Sources that are lost one after the other and come back: what that leaves, told once."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from spreadcore import Instance

from known import EIGHT_BY_NAME, TWELVE
from scan.feeds.kit import row
from spreadscan.app.losses import Losses
from spreadscan.app.status import status
from spreadscan.config import Audit, Config, Paths
from spreadscan.inuse import lost_sources
from spreadscan.lists import Lists, SourceList

S = 10**9
T = 10**13
N = 20
NAMES = tuple(EIGHT_BY_NAME)
# how many directions are left, by how many spot and perpetual sources are gone, of the same
# exchanges each: each of four buys at one exchange and sells at another
LEFT = {0: 12, 1: 9, 2: 6, 3: 3, 4: 0}


class Day:
    """Sources that beat and quote once a second but for those that are gone; made-up time."""

    def __init__(self, instance: Instance, config: Config) -> None:
        self.instance = instance
        self.config = config
        self.now = T
        self.gone: set[str] = set()
        self.told: list[str] = []
        self.lists = lists()
        self.begin()

    def begin(self) -> None:
        """As a tracker that starts."""
        self.losses = Losses(self.instance, self.config, lambda text, _: self.told.append(text))

    def pass_s(self, seconds: int, gone: set[str] | None = None) -> None:
        self.gone = self.gone if gone is None else gone
        for _ in range(seconds):
            self.now += S
            for name, source in EIGHT_BY_NAME.items():
                if name not in self.gone:
                    self.quote(source.id, N)
            self.losses.look(self.lists, self.now)

    def quote(self, source: int, n: int) -> None:
        self.instance.health.beat(source, self.now)
        for symbol in range(n):
            self.instance.quotes.write(source, symbol, 99.9, 100.0, 3.0, 3.0, 0, self.now)

    def lost(self) -> set[str]:
        return {lost.source for lost in lost_sources(self.instance)}


def lists(*without: str) -> Lists:
    listed = {
        name: SourceList(source=name, symbols=tuple(row(i, f"A{i}USDT") for i in range(N)))
        for name in NAMES
        if name not in without
    }
    return Lists(
        names=(), retired=frozenset(), pairs={}, sources=listed, generation=len(without) + 1
    )


@pytest.fixture
def day(make_instance: Callable[..., Instance], tmp_path: Path) -> Day:
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    paths = Paths(generated=str(tmp_path), data=str(tmp_path))
    config = Config(instance=instance.name, paths=paths, audit=Audit(enabled=False))
    made = Day(instance, config)
    made.pass_s(3)
    return made


def directions_without(gone: set[str]) -> int:
    return sum(not {d.buy.name, d.sell.name} & gone for d in TWELVE)


@pytest.mark.parametrize("seed", range(3))
def test_eight_to_none_and_back(day: Day, seed: int) -> None:
    """Scenario 17: each lost source costs exactly its directions, and gives them back."""
    lease = day.instance.lease("tracker")
    order = random.Random(seed).sample(NAMES, len(NAMES))
    print("seed", seed, order)
    for verb, steps in (("LOST", order), ("BACK", order[::-1])):
        for name in steps:
            gone = day.gone ^ {name}
            before = len(day.told)
            day.pass_s(12 if verb == "LOST" else 6, gone)
            (text,) = day.told[before:]
            left = directions_without(gone)
            assert text.startswith(f"{verb} {name}: ")
            assert text.endswith(f"; {left} of 12 directions left")
            found = status(day.instance, day.config)["directions"]
            assert (12, left, gone) == (found["enabled"], found["left"], set(found["lost"]))
            off = {d.name for d in TWELVE if {d.buy.name, d.sell.name} & gone}
            assert off == set(found["off"])
    assert not day.gone
    lease.close()


@pytest.mark.parametrize("kind", ["spot", "futures"])
def test_the_table_of_directions(day: Day, kind: str) -> None:
    sources = [name for name in NAMES if name.endswith(kind)]
    assert [12, 9, 6, 3, 0] == [LEFT[n] for n in range(5)]
    for n in range(1, 5):
        day.pass_s(12, set(sources[:n]))
        assert day.told[-1].endswith(f"; {LEFT[n]} of 12 directions left")


def test_it_says_since_when_and_for_how_long(day: Day) -> None:
    day.pass_s(60, {"okx-spot"})
    (lost,) = lost_sources(day.instance)
    # its beat is 2 s old then: from the first look on that found nothing, not the fifth
    assert ("okx-spot", T + (3 + 2) * S, "does not run") == (
        lost.source, lost.since_ns, lost.why
    )  # fmt: skip
    day.pass_s(10, set())
    assert day.told[1].startswith("BACK okx-spot: after 59.0 s; 12 of 12")
    lease = day.instance.lease("okx-spot")
    day.pass_s(12, {"okx-spot"})
    assert "; mute; 9 of 12 directions left" in day.told[2]
    lease.close()


def test_a_short_silence_is_none_and_a_short_return_no_return(day: Day) -> None:
    """As on a machine that is too busy: beats and quotes come late, by seconds."""
    rng = random.Random(7)
    for _ in range(100):
        day.pass_s(rng.randint(1, 5), {"okx-spot"})  # of which the first is not noticed
        day.pass_s(1, set())
    assert [] == day.told
    day.pass_s(12, {"okx-spot"})
    for _ in range(100):
        day.pass_s(rng.randint(1, 3), set())  # and a look more, while the beat is young
        day.pass_s(3, {"okx-spot"})
    assert 1 == len(day.told)


def test_between_the_two_shares_nothing_changes(day: Day) -> None:
    def some(n: int) -> None:
        """So many of its pairs are fresh, for ten seconds."""
        okx = EIGHT_BY_NAME["okx-spot"].id
        for symbol in range(N):
            day.instance.quotes.write_empty(okx, symbol)
        for _ in range(10):
            day.quote(okx, n)
            day.pass_s(1, {"okx-spot"})

    some(2)
    assert set() == day.lost()
    some(1)
    assert {"okx-spot"} == day.lost()
    some(3)
    assert {"okx-spot"} == day.lost()
    some(4)
    assert set() == day.lost()


def test_a_tracker_that_is_restarted_tells_nothing_twice(day: Day) -> None:
    day.pass_s(12, {"okx-spot"})
    day.begin()
    day.pass_s(60)
    assert 1 == len(day.told)
    day.pass_s(6, set())
    assert ["LOST", "BACK"] == [text.split()[0] for text in day.told]


def test_one_that_never_came_has_half_a_minute(day: Day) -> None:
    for source in EIGHT_BY_NAME.values():
        day.instance.health.beat(source.id, 1)
    day.begin()
    day.pass_s(29, set(NAMES))
    assert [] == day.told
    day.pass_s(1)
    assert 8 == len(day.told)
    assert day.told[-1].endswith("; 0 of 12 directions left")


def test_a_source_without_pairs_is_not_waited_for(day: Day) -> None:
    day.pass_s(12, {"okx-spot"})
    day.lists = lists("okx-spot")
    day.pass_s(2)
    assert set() == day.lost()
    day.pass_s(60)
    assert 1 == len(day.told)
