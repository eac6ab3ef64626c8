"""Control words: set by one, seen by all."""

import pytest
from spreadcore.control import Control
from spreadcore.errors import CoreError
from spreadcore.region import Region

WORDS = ("pause", "kill", "stop")


@pytest.fixture
def control(make_instance):
    return make_instance(n_sources=1, n_symbols=1, n_edges=1).control


def test_nothing_is_asked_for_at_first(control):
    assert [False] * 3 == [getattr(control, word) for word in WORDS]
    assert 0 == control.reload_generation


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_set_alone_and_taken_back(control, word):
    setattr(control, word, True)
    assert {word} == {other for other in WORDS if getattr(control, other)}
    setattr(control, word, False)
    assert not getattr(control, word)


def test_the_reload_generation_is_64_bits_wide(control):
    control.reload_generation = 2**64 - 1
    assert 2**64 - 1 == control.reload_generation
    with pytest.raises(OverflowError):
        control.reload_generation = -1


def test_a_read_only_mapping_sees_but_may_not_set(control):
    reader = Control(Region(control.region.path.rpartition("/")[0], "control"))
    control.stop = True
    assert reader.stop is True
    for word, value in [*((word, True) for word in WORDS), ("reload_generation", 1)]:
        with pytest.raises(CoreError, match="mapped read-only"):
            setattr(reader, word, value)
