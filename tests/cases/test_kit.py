"""The kit itself: eight good exchanges on a good day."""

import json
from pathlib import Path

import pytest

from cases.kit import COINS, TRANSPORTS, Fake, case, until
from known import EIGHT as SOURCES


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_good_day(tmp_path: Path, transport: str) -> None:
    """Every pair of eight exchanges is proven and quoted; one that moves away gives a signal."""
    fakes = [Fake(source.name) for source in SOURCES]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0'
    with case(tmp_path, *fakes, extra=extra) as it:
        found = it.run("discover", "--json")
        assert 0 == found.returncode, found.stderr
        sources = json.loads(found.stdout)["sources"]
        assert {s.name: len(COINS) for s in SOURCES} == {
            name: source["valid_pairs"] for name, source in sources.items()
        }
        with it.scanning("--no-discover"):
            until(lambda: sum(f.counters.subscriptions for f in fakes) == 8 * len(COINS), "quotes")
            fakes[0].px["DOGEUSDT"] *= 0.98
            until(lambda: any("DOGE-USDT" in row for row in it.opens()), "a signal")
