"""Below the reserve nothing new is begun: signals wait in the ring, tracks go on."""

from spreadcore import active

from scan.disk.test_reserve import MB, disk  # noqa: F401


def test_signals_wait_for_room_and_tracks_go_on(market, disk, caplog):  # noqa: F811
    tracker = market.started(tracker__reserve_mb=200.0)
    market.signal(0, 40.0)
    market.step(tracker)
    disk.free = 199 * MB
    market.step(tracker, 5)
    assert tracker.failing  # told before there is anything to wait
    for symbol in (1, 2):
        market.signal(symbol, 40.0)
    market.step(tracker, 10)
    ring = market.instance.ring
    assert [("OPEN", "0", "")] == market.kinds()
    assert 16 == len(market.snapshots())
    assert (3, 1, 2) == (ring.produced, ring.read, ring.queued)
    assert [active.SIGNALLED] * 2 == [market.state(1), market.state(2)]
    assert tracker.failing
    market.spread(0, 0.0)
    market.step(tracker)  # what is followed ends as ever
    assert ("CLOSE", "0", "CONVERGED") == market.kinds()[-1]
    disk.free = 300 * MB
    market.step(tracker, 6)
    assert [("OPEN", "1", ""), ("OPEN", "2", "")] == market.kinds()[2:]
    assert 0 == ring.queued
    assert not tracker.failing
    told = [r.message for r in caplog.records]
    assert ["disk nearly full, no new tracks", "room again: new tracks"] == told
    assert {"folder": str(market.folder), "free_mb": 199, "reserve_mb": 200} == (
        caplog.records[0].facts
    )


def test_a_signal_that_has_its_row_needs_no_room(market, disk):  # noqa: F811
    """Killed between the OPEN row and the ring's tail, and the disk filled meanwhile."""
    market.signal(0, 40.0)
    market.started().poll(market.now)
    market.instance.ring._start_at(0)
    market.instance.ring.push(0, market.now, market.now, market.now, 100.0, 100.4, 4.0, 3.0)
    disk.free = 0
    tracker = market.started()
    market.step(tracker)
    assert 0 == market.instance.ring.queued
    assert ["OPEN", "GAP"] == [e["event"] for e in market.events()]
