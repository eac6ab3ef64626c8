"""The disk is full at each write, for a while or in the middle of it: wait, then go on."""

from collections import defaultdict

import pytest

from scan.tracker.conftest import unix_ns
from scan.tracker.story import Story, World
from spreadscan.tracker import tracker as tracker_module

GRID_NS = 200_000_000
WAYS = {"fail": ("fail", 0), "no room": ("full", 0.0), "half": ("full", 0.5),
        "nearly": ("full", 0.999)}  # fmt: skip


@pytest.fixture
def make_story(make_instance, tmp_path):
    n = 0

    def make():
        nonlocal n
        n += 1
        instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
        return Story(instance, tmp_path / str(n))

    return make


def tell(story, world):
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    story.tell(tracker)
    for _ in range(50):
        story.prices()
        tracker.tick(story.market.now)
    return tracker


def check_no_look_missing(story):
    """Every tick from a track's first snapshot to its CLOSE is there, once and in order."""
    looks = defaultdict(list)
    for snapshot in story.market.snapshots():
        looks[snapshot["track_id"]].append(unix_ns(snapshot["time"]))
    for event in story.market.events():
        if event["event"] == "CLOSE":
            found = looks.pop(event["track_id"])
            assert list(range(found[0], unix_ns(event["time"]) + 1, GRID_NS)) == found
    assert not looks


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("times", [1, 9])
def test_a_full_disk_at_any_write_loses_and_doubles_nothing(make_story, monkeypatch, way, times):
    story = make_story()
    world = World(monkeypatch, lambda n, name: None)
    tell(story, world)
    n_writes = world.names.count("write")
    assert n_writes > 70
    for k in range(n_writes):
        story, writes = make_story(), []

        def plan(n, name, k=k, writes=writes):
            writes += [n] * (name == "write")
            return WAYS[way] if name == "write" and k < len(writes) <= k + times else None

        tracker = tell(story, World(monkeypatch, plan))
        story.check_end()
        check_no_look_missing(story)
        assert not tracker.failing
        assert times == story.market.counters()["write_errors"]


def test_while_the_disk_refuses_nothing_moves(make_story, monkeypatch):
    story = make_story()
    world = World(monkeypatch, lambda n, name: ("fail", 0) if name == "write" else None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    for _ in range(10):
        story.prices()
        tracker.tick(story.market.now)
        tracker.poll(story.market.now)
    instance = story.market.instance
    assert (0, 4) == (instance.ring.read, instance.ring.queued)
    assert {1} == {state for _, state in instance.active.not_free()}  # SIGNALLED
    assert tracker.failing
    assert {"write"} == set(world.names)
    assert 10 == len(world.names)  # poll() does not hammer


def test_a_track_that_ends_on_a_full_disk_keeps_its_pair(make_story, monkeypatch):
    story = make_story()
    world = World(monkeypatch, lambda n, name: None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    for _ in range(5):
        story.prices()
        tracker.tick(story.market.now)
    world.plan = lambda n, name: ("fail", 0) if name == "write" else None
    world.names.clear()
    story.market.signal(10)
    for _ in range(20):  # pair 0 converges; longer than two looks for orphans
        story.prices()
        tracker.tick(story.market.now)
    assert ["write"] * 40 == world.names  # a try per file and tick
    instance = story.market.instance
    assert (5, 1) == (instance.ring.produced, instance.ring.queued)
    assert 2 == instance.active.state(0)
    world.plan = lambda n, name: None
    story.prices()
    tracker.tick(story.market.now)
    assert 0 == instance.ring.queued
    assert ["OPEN"] * 4 + ["CLOSE"] == [e["event"] for e in story.market.events()][:5]
    close = next(e for e in story.market.events() if e["event"] == "CLOSE")
    assert ("0", "CONVERGED", "1.000000") == tuple(
        close[c] for c in ("symbol_id", "reason", "duration_s"))  # fmt: skip


def test_snapshots_of_a_long_failure_are_bounded_and_their_lack_is_told(make_story, monkeypatch):
    monkeypatch.setattr(tracker_module, "_MAX_WAITING", 12)
    story = make_story()
    story.market.settings["tracker.expire_after_s"] = 1000.0
    world = World(monkeypatch, lambda n, name: None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    for _ in range(2):
        story.prices()
        tracker.tick(story.market.now)
    full = {"snapshots"}
    world.plan = lambda n, name: ("fail", 0) if full and name == "write" else None
    for _ in range(40):
        story.prices()
        tracker.tick(story.market.now)
    assert 12 <= sum(n for _, _, n in tracker._waiting) < 16
    full.clear()
    for _ in range(2):
        story.prices()
        tracker.tick(story.market.now)
    assert [] == tracker._waiting
    # rows of 3 ticks waited; then none were made until the disk took rows again, by when all
    # tracks but one had ended
    (gap,) = [e for e in story.market.events() if e["event"] == "GAP"]
    assert ("3", "LATE") == (gap["symbol_id"], gap["reason"])
    looks = [unix_ns(s["time"]) for s in story.market.snapshots()
             if s["track_id"] == gap["track_id"]]  # fmt: skip
    holes = [(b - a) / 1e9 for a, b in zip(looks, looks[1:], strict=False) if b - a > GRID_NS]
    assert [float(gap["gap_s"])] == holes
