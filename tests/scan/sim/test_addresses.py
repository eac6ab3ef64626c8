"""The config that simulators leave: their addresses, and no other market beside them."""

from pathlib import Path

import pytest

from spreadscan.cli.sim import write_addresses
from spreadscan.config import BY_DEFAULT, load


@pytest.mark.parametrize("names", [BY_DEFAULT, ("okx-spot", "bybit-futures")])
def test_sources_that_are_not_simulated_are_not_scanned(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Their hosts would be the real ones."""
    urls = {"rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1/ws"}
    write_addresses(tmp_path / "sim.toml", ["# made up"], {"sources": dict.fromkeys(names, urls)})
    config = load([tmp_path / "sim.toml"], {}, {}).config
    assert names == config.sources
    assert set(names) == set(config.venues)
