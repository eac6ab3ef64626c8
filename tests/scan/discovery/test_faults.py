"""Discovery against venues whose REST side fails by script; numbers are those of docs/faults.md."""

from pathlib import Path

import pytest

from scan.discovery.kit import config_for, run, simulated
from spreadscan.config import BY_DEFAULT
from spreadscan.discovery.discover import Result, discover
from spreadscan.sim import Market
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault

NAME = "bybit-futures"


async def found(market: Market, folder: Path, *faults: Fault) -> Result:
    async with simulated(market, faults=faults) as server:
        config = config_for(folder, server, include=("BTC-*",), rest_timeout_s=1.5, tries=2)
        return await discover(config)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (script.Status(source=NAME, status=403, html=True), "403"),
        (script.Status(source=NAME, status=451), "451"),
        (script.Status(source=NAME, status=503), "503"),
    ],
    ids=["403 for people", "451", "503"],
)
def test_43_a_source_that_says_no_is_named_and_the_others_go_on(
    moving: Market, tmp_path: Path, fault: Fault, said: str
) -> None:
    result = run(found(moving, tmp_path, fault))
    assert said in result.sources[NAME].error
    assert all(not result.sources[name].error for name in BY_DEFAULT if name != NAME)


def test_43_retry_after_is_obeyed_and_then_it_lists(moving: Market, tmp_path: Path) -> None:
    fault = script.Status(source=NAME, status=429, retry_after_s=1, requests=(1,))
    result = run(found(moving, tmp_path, fault))
    assert not result.sources[NAME].error
    assert result.sources[NAME].total_pairs == 1


@pytest.mark.parametrize(
    "fault",
    [
        script.Hang(source=NAME),
        script.PartialPage(source=NAME),
        script.MissingPage(source=NAME),
    ],
    ids=["hangs", "half a page", "no second page"],
)
def test_46_a_list_that_is_not_whole_is_no_list(
    moving: Market, tmp_path: Path, fault: Fault
) -> None:
    result = run(found(moving, tmp_path, fault))
    assert result.sources[NAME].error
    assert result.sources[NAME].total_pairs == 0
    assert all(not result.sources[name].error for name in BY_DEFAULT if name != NAME)
