"""Control words: set by one, seen by all."""

import time

import pytest
from spreadcore.control import Control, PauseTable
from spreadcore.errors import CoreError, TableFull
from spreadcore.region import Region

WORDS = ("pause", "stop")


@pytest.fixture
def control(make_instance):
    return make_instance(n_sources=1, n_symbols=1, n_edges=1).control


def reader_of(control):
    return Control(Region(control.region.path.rpartition("/")[0], "control"))


def test_nothing_is_asked_for_at_first(control):
    assert [False] * 2 == [getattr(control, word) for word in WORDS]
    assert (False, 0, "") == (control.kill, control.kill_at_ns, control.kill_reason)
    assert 0 == control.reload_generation


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_set_alone_and_taken_back(control, word):
    setattr(control, word, True)
    assert {word} == {other for other in WORDS if getattr(control, other)}
    assert not control.kill
    setattr(control, word, False)
    assert not getattr(control, word)


def test_a_kill_keeps_its_first_moment_and_reason_until_it_is_cleared(control):
    reader = reader_of(control)
    assert control.throw_kill(5, "a wrong fee") is True
    assert control.throw_kill(9, "another") is False
    assert (True, 5, "a wrong fee") == (reader.kill, reader.kill_at_ns, reader.kill_reason)
    control.clear_kill("mended")
    assert (False, 5, "mended") == (reader.kill, reader.kill_at_ns, reader.kill_reason)
    assert control.throw_kill(9, "") is True
    assert (True, 9, "") == (reader.kill, reader.kill_at_ns, reader.kill_reason)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("x" * 60, "x" * 48), ("ü" * 30, "ü" * 24), ("x" + "ü" * 30, "x" + "ü" * 23)],
)
def test_a_long_reason_is_cut_between_two_characters(control, reason, kept):
    control.throw_kill(1, reason)
    assert kept == control.kill_reason


def test_a_killer_that_dies_half_way_leaves_a_thrown_switch_without_a_reason(control):
    control.throw_kill(5, "before")
    control.clear_kill("and mended")
    with control.region.buffer() as raw:
        raw[64 + 64] = 1  # ControlWords.kill, before moment and reason
    assert (True, "") == (control.kill, control.kill_reason)
    assert control.throw_kill(9, "again") is False
    control.clear_kill("over")
    assert not control.kill


def test_the_reload_generation_is_64_bits_wide(control):
    control.reload_generation = 2**64 - 1
    assert 2**64 - 1 == control.reload_generation
    with pytest.raises(OverflowError):
        control.reload_generation = -1


def test_a_read_only_mapping_sees_but_may_not_set(control):
    reader = reader_of(control)
    control.stop = True
    assert reader.stop is True
    for word, value in [*((word, True) for word in WORDS), ("reload_generation", 1)]:
        with pytest.raises(CoreError, match="mapped read-only"):
            setattr(reader, word, value)
    for call in (lambda: reader.throw_kill(1, ""), lambda: reader.clear_kill("")):
        with pytest.raises(CoreError, match="mapped read-only"):
            call()


def test_a_pause_ends_by_itself(control):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    control.pause_until(now + 10**12)
    assert (True, now + 10**12) == (control.pause, control.pause_until_ns)
    control.pause_until(now)
    assert control.pause is False
    control.pause = True  # until it is ended, whatever was said before
    assert (True, 0) == (control.pause, control.pause_until_ns)


KINDS = {"source": 3, "class": 8192, "edge": 5}


@pytest.fixture
def pauses(make_instance):
    return make_instance(n_sources=3, n_symbols=1, n_edges=5).pauses


def words_of(pauses):
    """Every word that is not 0, as kind, number and time."""
    return {
        (k, n, t) for k, room in KINDS.items() for n in range(room) if (t := pauses.until(k, n))
    }


def test_pauses_of_all_kinds_stand_apart(pauses):
    ends = {(kind, n, 7 + n) for kind, room in KINDS.items() for n in (0, room - 1)}
    for kind, number, until_ns in ends:
        pauses.pause(kind, number, until_ns)
    assert ends == words_of(pauses)
    pauses.set_all("edge", {1: 3, 4: 11})
    pauses.set_all("class", {})
    assert {("source", 0, 7), ("source", 2, 9), ("edge", 1, 3), ("edge", 4, 11)} == words_of(pauses)


def test_what_there_is_not_is_not_paused(pauses):
    for kind, room in KINDS.items():
        with pytest.raises(TableFull, match=f"{kind}: {room}, expected below {room}"):
            pauses.pause(kind, room, 1)
    with pytest.raises(CoreError, match="of kind 'pair', expected one of source, class, edge"):
        pauses.until("pair", 0)
    reader = PauseTable(Region(pauses.region.path.rpartition("/")[0], "pauses"))
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.pause("edge", 0, 1)
    with pytest.raises(CoreError, match="section 'active', expected 'pauses'"):
        PauseTable(Region(pauses.region.path.rpartition("/")[0], "active"))
