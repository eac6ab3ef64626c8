"""A source that fails keeps its pairs and directions of the set before, for a day, and is told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
import pytest

from known import SOURCE_BY_NAME
from scan.discovery.kit import (
    NOBODY,
    Reply,
    Rest,
    config_for,
    listed,
    run,
    simulated,
    with_listings,
    without,
)
from spreadscan.config import Config, Discovery, Universe, VenueSettings
from spreadscan.discovery import Result, discover
from spreadscan.discovery.keep import halted, kept_lists, known_pairs
from spreadscan.discovery.normalise import normalise
from spreadscan.discovery.units import NOTHING, literal
from spreadscan.errors import VenueDown
from spreadscan.lists import Failure, Listing, Lists, SourceList, load
from spreadscan.sim import Market

FEW = ("BTC-*", "ETH-*", "*PEPE-*")
LOST = "bybit-futures"
WHEN = "2026-11-20T12:00:00.000000Z"
WHEN_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
WRONG = {
    "10006": Reply(b'{"retCode": 10006, "retMsg": "Too many visits", "result": {}}'),
    "429": Reply(status="429 Slow", headers=("Retry-After: 60",)),
    "403": Reply(status="403 No", body=b"{}"),
    "451": Reply(status="451 No"),
    "503": Reply(status="503 Busy"),
    "html": Reply(kind="text/html", body=b"<html>just a moment"),
    "cut": Reply(b'{"retCode": 0, "result": {"li'),
    "empty": Reply(b""),
    "{}": Reply(b"{}"),
    "mute": Reply(hang=True),
}


def a_set(written: str = WHEN, **failed: Failure) -> Lists:
    rows = [listed("1000PEPE"), listed("BTC")]
    symbols = tuple(
        Listing(symbol_id=i, symbol=row.symbol, state="valid", instrument=row)
        for i, row in enumerate(rows)
    )
    return Lists(
        generation=1,
        names=("PEPE-USDT", "BTC-USDT"),
        retired=frozenset(),
        pairs={},
        sources={LOST: SourceList(source=LOST, symbols=symbols)},
        written=written,
        failed={name.replace("_", "-"): why for name, why in failed.items()},
    )


@pytest.mark.parametrize(
    ("previous", "age_h", "is_kept"),
    [
        (a_set(), 0.0, True),
        (a_set(), 23.9, True),
        (a_set(), 24.1, False),
        (a_set(), -1.0, True),  # our clock was put back
        (a_set(bybit_futures=Failure(why="x", list_written="2026-11-20T00:00:00Z")), 11.9, True),
        (a_set(bybit_futures=Failure(why="x", list_written="2026-11-20T00:00:00Z")), 12.1, False),
        (a_set(okx_spot=Failure(why="x", list_written="2026-11-01T00:00:00Z")), 1.0, True),
        (a_set(written=""), 0.0, False),
        (None, 0.0, False),
    ],
)
def test_a_list_is_kept_for_a_day_after_it_came(
    previous: Lists | None, age_h: float, is_kept: bool
) -> None:
    kept = kept_lists(Config(), [LOST, "okx-spot"], previous, WHEN_S + 3600 * age_h)
    assert ({LOST} if is_kept else set()) == set(kept)


def test_how_long_is_a_setting() -> None:
    for keep_h, is_kept in ((0.0, False), (1.5, True), (0.5, False)):
        config = Config(discovery=Discovery(keep_h=keep_h))
        assert is_kept == bool(kept_lists(config, [LOST], a_set(), WHEN_S + 3600))


def test_names_are_read_anew_from_what_was_listed() -> None:
    new = listed("1000PEPE")
    old = literal(new)
    row = Listing(symbol_id=0, symbol=old.symbol, state="valid", instrument=old)
    previous = Lists(
        generation=1,
        names=("1000PEPE-USDT",),
        retired=frozenset(),
        pairs={},
        sources={LOST: SourceList(source=LOST, symbols=(row,))},
        written=WHEN,
    )
    assert {LOST: [new]} == kept_lists(Config(), [LOST], previous, WHEN_S)


# -- against simulated sources


def states(lists: Lists, source: str) -> dict[str, tuple[str, int]]:
    return {row.symbol: (row.state, row.silent_runs) for row in lists.sources[source].symbols}


async def again(
    market: Market, folder: Path, broken: Mapping[str, Reply], **options: Any
) -> Result:
    async with simulated(market) as server:
        servers = {name: Rest(reply) for name, reply in broken.items()}
        venues = {}
        for name, rest in servers.items():
            await rest.__aenter__()
            ws_url = server.endpoints()[name][1]
            venues[name] = VenueSettings(rest_url=rest.url, ws_url=ws_url)
        try:
            limit_s = 1.0 if any(reply.hang for reply in broken.values()) else 5.0
            options = {"include": FEW, "rest_timeout_s": limit_s, "no_new_s": 0.5} | options
            return await discover(config_for(folder, server, venues=venues, **options))
        finally:
            for rest in servers.values():
                await rest.__aexit__()


@pytest.mark.parametrize("how", WRONG)
def test_whatever_takes_a_list_away_its_pairs_stay(
    moving: Market, tmp_path: Path, how: str
) -> None:
    first = run(again(moving, tmp_path, {}))
    before = load(tmp_path / "generated")
    result = run(again(moving, tmp_path, {LOST: WRONG[how]}))
    lists = load(tmp_path / "generated")
    assert first.directions == result.directions
    assert (before.names, before.pairs, before.retired) == (lists.names, lists.pairs, lists.retired)
    assert before.sources[LOST] == lists.sources[LOST]
    assert {
        LOST: Failure(why=result.sources[LOST].error, list_written=before.written)
    } == lists.failed
    assert result.failed == lists.failed
    assert before.n_listed == lists.n_listed
    report = (tmp_path / "generated" / "validation_report.txt").read_text()
    assert f"{LOST}    {lists.failed[LOST]}" in report
    # a second failure does not make the list younger, and a good answer ends it
    run(again(moving, tmp_path, {LOST: WRONG[how]}))
    assert before.written == load(tmp_path / "generated").failed[LOST].list_written
    run(again(moving, tmp_path, {}))
    assert {} == load(tmp_path / "generated").failed


def test_two_are_kept_three_are_refused(moving: Market, tmp_path: Path) -> None:
    first = run(again(moving, tmp_path, {}))
    two = {LOST: WRONG["503"], "okx-spot": WRONG["html"]}
    result = run(again(moving, tmp_path, two))
    assert (first.directions, set(two)) == (result.directions, set(result.failed))
    with pytest.raises(VenueDown, match="5 of 8 sources list their pairs, expected at least 6"):
        run(again(moving, tmp_path, two | {"mexc-spot": WRONG["cut"]}))
    assert 2 == load(tmp_path / "generated").generation


def test_a_list_and_the_sockets_of_two_others_are_three(moving: Market, tmp_path: Path) -> None:
    run(again(moving, tmp_path, {}))

    async def main() -> None:
        async with simulated(moving) as server, Rest(WRONG["503"]) as rest:
            urls = server.endpoints()
            venues = {LOST: VenueSettings(rest_url=rest.url, ws_url=urls[LOST][1])} | {
                name: VenueSettings(rest_url=urls[name][0], ws_url=f"ws://{NOBODY}/{name}")
                for name in ("okx-spot", "mexc-spot")
            }
            config = config_for(tmp_path, server, include=FEW, venues=venues, batch_limit_s=0.5)
            with pytest.raises(VenueDown, match="5 of 8 sources quote"):
                await discover(config)

    run(main())


def test_a_list_too_old_goes_out_of_the_directions(moving: Market, tmp_path: Path) -> None:
    run(again(moving, tmp_path, {}))
    result = run(again(moving, tmp_path, {LOST: WRONG["503"]}, keep_h=0.0))
    assert (0, "") == (result.directions["okx->bybit"], result.sources[LOST].list_written)
    assert LOST not in load(tmp_path / "generated").sources
    assert "" == load(tmp_path / "generated").failed[LOST].list_written


def test_ids_given_anew_keep_no_list(moving: Market, tmp_path: Path) -> None:
    run(again(moving, tmp_path, {}))

    async def main() -> Result:
        async with simulated(moving) as server:
            venues = {LOST: VenueSettings(rest_url=f"http://{NOBODY}")}
            config = config_for(tmp_path, server, include=FEW, venues=venues)
            return await discover(config, fresh=True)

    assert 0 == run(main()).directions["okx->bybit"]


def test_a_kept_list_is_still_a_witness_of_names(moving: Market, tmp_path: Path) -> None:
    """Bare PEPE is on the spot lists; one of them is lost, and 1000PEPE is still PEPE."""
    sources = ("binance-spot", "binance-futures", LOST)
    options = {"sources": sources, "include": ("BTC-*", "*PEPE-*")}
    run(again(moving, tmp_path, {}, **options))
    before = load(tmp_path / "generated")
    for name in ("binance-futures", LOST):
        run(again(moving, tmp_path, {name: WRONG["503"]}, **options))
        lists = load(tmp_path / "generated")
        assert (before.names, before.pairs) == (lists.names, lists.pairs)


def test_a_narrower_universe_holds_for_kept_lists_too(moving: Market, tmp_path: Path) -> None:
    run(again(moving, tmp_path, {}))
    result = run(again(moving, tmp_path, {LOST: WRONG["503"]}, include=("BTC-*",)))
    assert 1 == result.sources[LOST].total_pairs
    assert {1} == set(result.directions.values())


def test_a_source_of_which_no_pair_quotes_has_failed(moving: Market, tmp_path: Path) -> None:
    """It lists, and acknowledges, and says nothing: that is no silence of its pairs."""
    coins = tuple(f"{i.base}-*" for i in moving.instruments[7][:16])
    first = run(again(moving, tmp_path, {}, include=coins))
    before = load(tmp_path / "generated")

    async def main() -> Result:
        async with simulated(moving) as server:
            exchange = server.exchanges[LOST]
            exchange._push = lambda *arguments, **more: None
            config = config_for(tmp_path, server, include=coins, no_new_s=0.5)
            return await discover(config)

    for _ in range(3):
        result = run(main())
        assert "pairs: it says nothing" in result.sources[LOST].error
        assert first.directions == result.directions
    assert states(before, LOST) == states(load(tmp_path / "generated"), LOST)


def test_a_halted_major_keeps_the_list_of_before(moving: Market, tmp_path: Path) -> None:
    first = run(again(moving, tmp_path, {}))
    halted = with_listings(moving, {LOST: without("XRP")})
    result = run(again(halted, tmp_path, {}))
    assert "but not XRP" in result.sources[LOST].error
    assert first.directions == result.directions


# -- pairs that halt


def test_which_rows_left_out_are_halts() -> None:
    left_out = {
        "A": "not_trading", "B": "hidden", "C": "other_quote", "D": "missing_field: tick",
        "E": "delisted", "F": "tradfi", "G": "pre_market", "H": "duplicate", "I": "not_trading",
    }  # fmt: skip
    assert set("ABCDFG") == set(halted(left_out, set("ABCDEFGH")))
    assert "listed as missing_field" == halted(left_out, "D")["D"]


@pytest.mark.parametrize(
    ("traded", "age_h", "is_kept"),
    [
        ("", 0.0, True),
        ("", 23.9, True),
        ("", 24.1, False),
        ("2026-11-20T00:00:00Z", 11.9, True),
        ("2026-11-20T00:00:00Z", 12.1, False),
        ("what", 0.0, False),
    ],
)
def test_a_pair_is_kept_for_a_day_after_it_was_listed_as_trading(
    traded: str, age_h: float, is_kept: bool
) -> None:
    previous = a_set()
    one, other = previous.sources[LOST].symbols
    one = msgspec.structs.replace(one, traded=traded)
    sources = {LOST: SourceList(source=LOST, symbols=(one, other))}
    previous = msgspec.structs.replace(previous, sources=sources)
    known = known_pairs(Config(), previous, WHEN_S + 3600 * age_h)
    assert is_kept == (one.instrument.venue_symbol in known[LOST])
    assert {} == known_pairs(Config(), None, WHEN_S)


HALTED = "binance-futures"


async def with_halted(
    market: Market,
    folder: Path,
    coins: Sequence[str],
    status: str | None,
    key: str = "status",
    **options: Any,
) -> Result:
    """Discover while binance-futures lists these coins with a status, or another value so."""
    async with simulated(market) as server:
        async with aiohttp.ClientSession() as session:
            urls = server.endpoints()
            async with session.get(urls[HALTED][0] + "/fapi/v1/exchangeInfo") as answer:
                page = await answer.json()
        for row in page["symbols"]:
            if row["baseAsset"] in coins:
                row[key] = status
        async with Rest(Reply(orjson.dumps(page))) as rest:
            venues = {HALTED: VenueSettings(rest_url=rest.url, ws_url=urls[HALTED][1])}
            options = {"include": FEW, "no_new_s": 0.5} | options
            return await discover(config_for(folder, server, venues=venues, **options))


@pytest.mark.parametrize("coins", [("1000PEPE",), ("BTC",), ("BTC", "ETH", "1000PEPE")])
def test_halted_pairs_keep_what_they_had(
    moving: Market, tmp_path: Path, coins: tuple[str, ...]
) -> None:
    """A major, too; and however many: a halt is no list that shrank."""
    first = run(again(moving, tmp_path, {}))
    before = load(tmp_path / "generated")
    for _ in range(4):  # it was asked for nothing, so its silence is not counted
        result = run(with_halted(moving, tmp_path, coins, "SETTLING"))
        assert (first.directions, {}) == (result.directions, result.failed)
        lists = load(tmp_path / "generated")
        assert (before.names, before.pairs) == (lists.names, lists.pairs)
        rows = {row.instrument.listed_base: row for row in lists.sources[HALTED].symbols}
        assert {"quiet"} == {rows[coin].state for coin in coins}
        assert {before.written} == {rows[coin].traded for coin in coins}
    run(again(moving, tmp_path, {HALTED: WRONG["503"]}))  # nor does it get younger by that
    rows = {
        row.instrument.listed_base: row
        for row in load(tmp_path / "generated").sources[HALTED].symbols
    }
    assert {before.written} == {rows[coin].traded for coin in coins}


def test_a_halt_is_no_shrunk_list(moving: Market, tmp_path: Path) -> None:
    """Half of a venue's pairs are halted at once."""
    options = {"include": ("*",), "sources": (HALTED, "binance-spot", "okx-spot")}
    run(again(moving, tmp_path, {}, **options))
    before = load(tmp_path / "generated")
    coins = [row.instrument.listed_base for row in before.sources[HALTED].symbols][::2]
    result = run(with_halted(moving, tmp_path, coins, "BREAK", **options))
    assert {} == result.failed
    now = load(tmp_path / "generated")
    assert before.n_listed[HALTED]["USDT"] - len(coins) == now.n_listed[HALTED]["USDT"]
    assert before.n_halted[HALTED].get("USDT", 0) + len(coins) == now.n_halted[HALTED]["USDT"]
    for status in ("BREAK", "TRADING"):  # as many are halted again, or none any more
        assert {} == run(with_halted(moving, tmp_path, coins, status, **options)).failed


def test_halts_of_pairs_that_the_universe_leaves_out_are_no_shrunk_list(
    moving: Market, tmp_path: Path
) -> None:
    options = {"sources": (HALTED, "binance-spot", "okx-spot")}
    run(again(moving, tmp_path, {}, **options))
    listed_bases = [i.listed_base for i in moving.instruments[SOURCE_BY_NAME[HALTED].id]]
    coins = [base for base in listed_bases if base not in Discovery().majors][5::2]
    assert {} == run(with_halted(moving, tmp_path, coins, "BREAK", **options)).failed


@pytest.mark.parametrize("key", ["marginAsset", "contractType", "underlyingType", "status"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_row_that_lacks_a_field_for_once_keeps_its_pair(
    moving: Market, tmp_path: Path, key: str, value: str | None
) -> None:
    """Whatever the row is then taken for."""
    first = run(again(moving, tmp_path, {}))
    result = run(with_halted(moving, tmp_path, ["1000PEPE"], value, key=key))
    assert (first.directions, {}) == (result.directions, result.failed)


def test_a_row_without_its_name_keeps_whoever_is_not_listed(moving: Market, tmp_path: Path) -> None:
    first = run(again(moving, tmp_path, {}))
    result = run(with_halted(moving, tmp_path, ["1000PEPE"], "", key="symbol"))
    assert (first.directions, {}) == (result.directions, result.failed)


def test_a_pair_that_was_quiet_says_that_it_is_halted(moving: Market, tmp_path: Path) -> None:
    run(again(moving, tmp_path, {}))
    for _ in range(2):
        run(with_halted(moving, tmp_path, ["1000PEPE"], "SETTLING"))
        rows = load(tmp_path / "generated").sources[HALTED].symbols
        [row] = [row for row in rows if row.instrument.listed_base == "1000PEPE"]
        assert ("quiet", "listed as not_trading") == (row.state, row.reason)


def test_a_pair_that_is_delisted_or_halted_for_too_long_goes(
    moving: Market, tmp_path: Path
) -> None:
    run(again(moving, tmp_path, {}))
    for status, keep_h in (("CLOSE", 24.0), ("SETTLING", 0.0)):
        run(with_halted(moving, tmp_path, ["1000PEPE"], status, keep_h=keep_h))
        rows = load(tmp_path / "generated").sources[HALTED].symbols
        assert "1000PEPE" not in {row.instrument.listed_base for row in rows}
        run(again(moving, tmp_path, {}))


def test_what_trades_goes_before_what_is_halted() -> None:
    """A contract that is replaced by another one of the same coin."""
    old, new = listed("PEPE"), listed("1000PEPE")
    rows = {"a": [old, new], "b": [listed("PEPE")]}
    for last, stays in (({}, old), ({"a": {old.venue_symbol}}, new)):
        kept, dropped = normalise(rows, Universe(include=("*",)), NOTHING, last)
        assert stays == kept["a"]["PEPE-USDT"]
        assert {"duplicate": 1} == dropped["a"]
