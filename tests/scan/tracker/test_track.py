"""Names of tracks; when they end is in tests/core/test_tracks.py."""

from spreadscan.tracker.track import track_id


def test_ids_sort_by_age_and_differ_by_ring():
    ids = [track_id(5, n) for n in (0, 9, 10, 9_999, 99_999)]
    assert sorted(ids) == ids
    assert track_id(5, 1) != track_id(6, 1)
    assert "0000000a-00017" == track_id(10, 17)
    assert "vvvvvvvv-123456" == track_id((1 << 63) - 1, 123_456)
