"""When open spreads began, as the tables show it: from the signals files, however they are kept."""

import pytest

from scan.tracker.conftest import S, compressed, market  # noqa: F401 -- a fixture
from spreadscan.app.status import Opened, OpenTimes
from spreadscan.tracker import SIGNALS

UNIX_S = 1_795_176_000  # of START_NS


@pytest.fixture
def opened(market):  # noqa: F811
    return OpenTimes(market.instance, str(market.folder))


def test_they_follow_the_files_over_midnight_and_into_compressed_ones(market, opened):  # noqa: F811
    assert {} == opened.read()
    market.now += 12 * 3600 * S - S
    tracker = market.started()
    for symbol in (0, 1):
        market.signal(symbol, 40.0)
    market.step(tracker)
    begun = Opened(UNIX_S + 12 * 3600 - 1, proven=True)
    assert {(0, 0): begun, (0, 1): begun} == opened.read()
    market.step(tracker, 5)
    market.spread(0, 0.0)
    market.signal(2, 40.0)
    market.step(tracker)
    expected = {(0, 1): begun, (0, 2): begun._replace(at_s=begun.at_s + 1.2)}
    assert expected == opened.read()
    first, second = sorted(market.folder.glob("signals-*"))
    (first.parent / f"{first.name}.zst").write_bytes(compressed(first.read_bytes()))
    assert expected == opened.read() == OpenTimes(market.instance, str(market.folder)).read()
    first.unlink()
    assert expected == opened.read() == OpenTimes(market.instance, str(market.folder)).read()
    second.write_text(second.read_text() + "torn,CLOSE")
    assert expected == opened.read()


def test_a_signal_without_an_answer_is_known_by_its_row(market, opened):  # noqa: F811
    fixed = {"event": "OPEN", "ring_id": str(market.instance.ring.ring_id), "direction_id": "3"}
    rows = [
        fixed | {"symbol_id": str(n), "time": "2026-11-20T12:00:00Z", "reason": reason}
        for n, reason in enumerate(("", "UNPROVEN"))
    ]
    text = SIGNALS.header + "".join(map(SIGNALS.row, rows)).encode()
    market.folder.mkdir()
    (market.folder / "signals-20261120.csv").write_bytes(text)
    assert {(3, 0): True, (3, 1): False} == {k: row.proven for k, row in opened.read().items()}
