"""Slots of open tracks: read whole by anybody, written by one, free once they are cleared."""

import math

import pytest
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import TRACK_STATES
from spreadcore.opentracks import OpenTracks, OpenTuple
from spreadcore.region import Region

SLOTS = 5


@pytest.fixture
def tracks(make_instance):
    return make_instance(n_sources=2, n_symbols=4, n_edges=8, n_tracks=SLOTS).tracks


def track(n, state="open", **other):
    found = OpenTuple(
        n, n % 8, n % 4, state, 1000 - n, 2000 + n, n + 0.5, n + 0.25, 2.0 * n, 3.0 * n, n % 3 - 1,
        2**40, -n / 2, n / 4, n / 8, n / 16, n / 32, bool(n % 2), bool(n % 3),
    )  # fmt: skip
    return found._replace(**other)


def shown(n, state="open", **other):
    return track(n, state, **{"sell_age_ms": 2**32 - 2, **other})


def test_what_is_put_is_read_until_it_is_cleared(tracks):
    assert (SLOTS, [], None) == (tracks.capacity, tracks.all(), tracks.read(0))
    for slot in range(SLOTS):
        tracks.put(slot, track(slot))
    assert [shown(n) for n in (4, 3, 2, 1, 0)] == tracks.all()  # oldest first
    tracks.put(2, track(9, "ended"))
    tracks.clear(3)
    assert [shown(9, "ended"), None] == [tracks.read(2), tracks.read(3)]
    assert [9, 4, 1, 0] == [row.track for row in tracks.all()]


def test_arrays_say_what_tuples_say(tracks):
    assert 0 == len(tracks.array())
    tracks.put(1, track(1, funding_bps=math.nan))
    tracks.put(4, track(4, "ended"))
    found = tracks.array()
    rows = [tracks.read(1), tracks.read(4)]
    for name in ("track", "edge", "symbol_id", "opened_ns", "buy_px", "net_bps", "peak_net_bps"):
        assert [getattr(row, name) for row in rows] == found[name].tolist()
    assert [row.state for row in rows] == [TRACK_STATES[n] for n in found["state"]]
    flags = [(row.unproven, row.tradable) for row in rows]
    assert flags == [(bool(n & 1), bool(n & 2)) for n in found["flags"]]
    assert math.isnan(found["funding_bps"][0])


def test_a_reader_of_another_mapping_sees_the_same_and_writes_nothing(tracks):
    theirs = OpenTracks(Region(tracks.region.path.rpartition("/")[0], "tracks"))
    tracks.put(0, track(7))
    assert [shown(7)] == theirs.all()
    for call in (lambda: theirs.put(0, track(1)), lambda: theirs.clear(0)):
        with pytest.raises(CoreError, match="mapped read-only, expected a writable mapping"):
            call()


def test_what_does_not_fit_is_refused(tracks):
    for call in (tracks.read, tracks.clear, lambda slot: tracks.put(slot, track(1))):
        with pytest.raises(TableFull, match="track slot: 5, expected below 5"):
            call(SLOTS)
    with pytest.raises(CoreError, match="state 'lost', expected one of free, open, ended"):
        tracks.put(0, track(1, "lost"))
    with pytest.raises(CoreError, match="section 'signals', expected 'tracks'"):
        OpenTracks(Region(tracks.region.path.rpartition("/")[0], "signals"))
    assert [] == tracks.all()
