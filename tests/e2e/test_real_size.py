"""The README's first command for real exchanges, on lists as long and as odd as the venues' own."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spreadcore import Instance
from spreadcore.region import exists, unlink

from e2e.conftest import Simulators, spreadscan
from known import EIGHT as SOURCES
from known import TWELVE as DIRECTIONS
from spreadscan.config import Config
from spreadscan.discovery.normalise import direction_pairs, normalise
from spreadscan.disk.files import data_files, read_rows
from spreadscan.lists import load
from spreadscan.sim import Market
from spreadscan.sim.universe import REAL
from spreadscan.tracker.columns import SIGNALS

pytestmark = pytest.mark.e2e

SEED, RATE = 3, 2_000.0
SCAN_S = 5


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    yield name
    if exists(name):
        unlink(name)


def usable(market: Market) -> dict[int, set[str]]:
    """Pairs per direction, by the lists."""
    listed = {source.name: market.instruments[source.id] for source in SOURCES}
    kept, _ = normalise(listed, Config().universe)
    return {d: set(pairs) for d, pairs in direction_pairs(Config(), kept).items()}


def test_a_run_with_default_settings_finds_and_follows_the_real_market(
    tmp_path: Path, name: str, simulators: Callable[..., Simulators]
) -> None:
    sim = simulators("--universe", "real", seed=SEED, rate=RATE)
    done = spreadscan(
        "run", "-c", str(sim.config), "--instance", name, "--seconds", str(SCAN_S), cwd=tmp_path
    )
    assert 0 == done.returncode, done.stderr
    market = Market(SEED, RATE, shape=REAL)
    for source in SOURCES:
        assert f"{source.name}: {REAL.pairs[source.name]} pairs listed" in done.stderr

    expected = usable(market)
    lists = load(tmp_path / "generated")
    assert set().union(*expected.values()) == set(lists.names)
    assert not lists.retired
    assert 4_096 == Instance(name).region("control").n_symbols
    for source in SOURCES:
        listed = {i.symbol for i in market.instruments[source.id]}
        rows = lists.sources[source.name].symbols
        assert listed.intersection(lists.names) == {row.symbol for row in rows}
        # all but those that never tick, and coins under the ticker of another one
        valid = sum(row.state == "valid" for row in rows)
        assert valid >= 0.94 * len(rows), source.name
    found = {d: {lists.names[i] for i in ids} for d, ids in lists.pairs.items()}
    strangers = {market.instruments[s][i].symbol for s, i in market.suspects}
    for direction in DIRECTIONS:
        missing = expected[direction.id] - found[direction.id]
        assert found[direction.id] <= expected[direction.id]
        assert len(missing - strangers) <= 0.02 * len(expected[direction.id]), direction.name

    n_sockets = -(-len(lists.sources["mexc-spot"].symbols) // 30)
    closed = (tmp_path / "logs" / "mexc-spot.log").read_text().count("feed socket closed")
    assert 20 < n_sockets <= closed < 2 * n_sockets  # 62 for the whole list; a few may be lost
    events = [
        row for f in data_files(tmp_path / "data", SIGNALS) for row in read_rows(f.path, SIGNALS)
    ]
    assert {"OPEN"} <= {row["event"] for row in events}
    assert {row["symbol"] for row in events} <= set(lists.names)
