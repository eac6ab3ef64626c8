"""The tracker dies before, after and in the middle of each thing it does; then comes back."""

from collections import Counter

import pytest

from scan.tracker.story import Killed, Story, World

MODES = {"before": "kill", "half": ("kill", 0.5), "nearly": ("kill", 0.999), "after": ("kill", 1)}


@pytest.fixture
def make_story(make_instance, tmp_path):
    n = 0

    def make():
        nonlocal n
        n += 1
        instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
        return Story(instance, tmp_path / str(n))

    return make


def told_once(make_story, monkeypatch):
    story, world = make_story(), World(monkeypatch, lambda n, name: None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    story.tell(tracker)
    story.check_end()
    return story, world


def test_the_story_has_every_end_and_every_effect(make_story, monkeypatch):
    story, world = told_once(make_story, monkeypatch)
    ends = Counter((e["symbol_id"], e["reason"]) for e in story.market.events() if e["reason"])
    assert {("0", "CONVERGED"): 8, ("1", "EXPIRED"): 2, ("2", "LOST"): 1, ("2", "EXPIRED"): 1,
            ("3", "EXPIRED"): 1} == ends  # fmt: skip
    assert {"write", "move", "advance", "mark", "wake", "publish"} == set(world.names)
    told = Counter(record.kind for record in story.market.records())
    assert {"open": sum(ends.values()), "close": sum(ends.values())} == told


def test_rows_come_before_bytes_and_bytes_before_what_others_may_do(make_story, monkeypatch):
    story = make_story()
    world = World(monkeypatch, lambda n, name: None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    story.prices()
    tracker.poll(story.market.now)
    assert ["write", "move", "advance", "publish"] * 4 == world.names
    world.names.clear()
    story.at = 60  # everything falls
    story.prices()
    tracker.tick(story.market.now)
    assert ["write", *["move", "mark", "publish"] * 4, "wake", "write"] == world.names


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("down_steps", [0, 6])
def test_a_kill_anywhere_loses_and_doubles_nothing(make_story, monkeypatch, mode, down_steps):
    """down_steps: how long the market and the engine go on without a tracker."""
    _, whole = told_once(make_story, monkeypatch)
    for k, name in enumerate(whole.names):
        if name != "write" and mode != "before":
            continue
        story = make_story()
        world = World(monkeypatch, lambda n, name, k=k: MODES[mode] if n == k else None)
        tracker = story.tracker(world)
        tracker.recover(story.market.now)
        with pytest.raises(Killed):
            story.tell(tracker)
        ring, opened = story.market.instance.ring, story.opened()
        assert list(range(len(opened))) == opened, (k, name)
        assert len(opened) - ring.read in (0, 1), (k, name)
        for _ in range(down_steps):
            story.prices()
        tracker = story.tracker(world)
        tracker.recover(story.market.now)
        story.tell(tracker)
        story.check_end()
        gone = sum(e["event"] == "GAP" for e in story.market.events())
        assert story.market.counters()["recovered"] == gone, (k, name)


def test_a_tracker_that_dies_at_every_tenth_effect_gets_there(make_story, monkeypatch):
    story = make_story()
    world = World(monkeypatch, lambda n, name: "kill" if n % 10 == 9 else None)
    deaths = 0
    while True:
        tracker = story.tracker(world)
        try:
            tracker.recover(story.market.now)
            story.tell(tracker)
            break
        except Killed:
            deaths += 1
    assert deaths > 10
    world.plan = lambda n, name: None
    for _ in range(12):  # orphans of the last death
        story.prices()
        tracker.tick(story.market.now)
    story.check_end()
