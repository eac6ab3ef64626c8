"""The stages together, against the simulated exchanges: what is found, kept, refused, written."""

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from spreadcore import Instance

from known import EIGHT, SOURCE_BY_NAME, TWELVE
from scan.discovery.kit import (
    FEW,
    NOBODY,
    Reply,
    Rest,
    but_hosts,
    bytes_of,
    config_for,
    instrument,
    run,
    simulated,
    with_listings,
    without,
)
from spreadscan.config import BY_DEFAULT, VenueSettings, with_absolute_paths
from spreadscan.discovery import Result, discover, ids
from spreadscan.disk import whole
from spreadscan.errors import BadGenerated, ConfigError, VenueDown
from spreadscan.inuse import leave_lists, leave_settings
from spreadscan.lists import load, read_metadata
from spreadscan.locks import DISCOVERY, FolderLock
from spreadscan.sim import Market, SimServer
from spreadscan.types import Book, Instrument

NAMES = ("1INCH-USDT", "BTC-USDT", "ETH-USDT", "PEPE-USDT", "SATS-USDT", "SHIB-USDT")
CHANGES = {"metadata.json", "validation_report.txt"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def generated(folder: Path) -> Path:
    return folder / "generated"


def discovered(
    market: Market,
    folder: Path,
    *,
    fresh: bool = False,
    accept_shrink: bool = False,
    **options: Any,
) -> Result:
    """Run discovery once against a fresh server of the market."""

    async def main() -> Result:
        async with simulated(market) as server:
            config = config_for(folder, server, **options)
            return await discover(config, fresh=fresh, accept_shrink=accept_shrink)

    result: Result = run(main())
    return result


class Told:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.fetches: dict[str, tuple[int, str]] = {}
        self.matches: list[tuple[int, dict[str, int], int]] = []
        self.steps: dict[str, list[tuple[int, int]]] = {}

    def waiting(self, holder: str) -> None:
        self.waits.append(holder)

    def fetched(self, source: str, pairs: int, error: str) -> None:
        self.fetches[source] = pairs, error

    def matched(self, symbols: int, directions: Mapping[str, int], left_out: int) -> None:
        self.matches.append((symbols, dict(directions), left_out))

    def validating(self, source: str, done: int, total: int) -> None:
        self.steps.setdefault(source, []).append((done, total))


# -- a run


def test_a_run_writes_a_set_that_is_all_of_the_market(moving: Market, folder: Path) -> None:
    told = Told()

    async def main() -> Result:
        async with simulated(moving) as server:
            return await discover(config_for(folder, server), told)

    result = run(main())
    lists = load(generated(folder))
    assert (1, NAMES, frozenset()) == (lists.generation, lists.names, lists.retired)
    assert {d.id: (0, 1, 2, 3, 4, 5) for d in TWELVE} == lists.pairs
    assert list(BY_DEFAULT) == list(lists.sources)
    for source in EIGHT:
        rows = {row.symbol: row for row in lists.sources[source.name].symbols}
        assert NAMES == tuple(rows)
        listed = {i.symbol: i for i in moving.instruments[source.id] if i.symbol in NAMES}
        for name in NAMES:
            expected, found = listed[name], rows[name].instrument
            assert ("valid", "") == (rows[name].state, rows[name].reason)
            same = "venue_symbol", "base", "listed_base", "multiplier", "contract_size", "lot_step"
            for field in same:
                assert getattr(expected, field) == pytest.approx(getattr(found, field)), field
    assert (1, 6, str(generated(folder))) == (result.generation, result.symbols, result.folder)
    assert {d.name: 6 for d in TWELVE} == result.directions
    for name, found in result.sources.items():
        assert (6, 6, {}, {}) == (
            found.total_pairs,
            found.valid_pairs,
            found.quiet_pairs,
            found.invalid_pairs,
        )
        assert 10.0 == found.timeout_sec
        assert (
            len(moving.instruments[SOURCE_BY_NAME[name].id]) - 6
            == (found.skipped["not_in_universe"])
        )
    assert {s.name: (len(moving.instruments[s.id]), "") for s in EIGHT} == told.fetches
    assert [(6, {d.name: 6 for d in TWELVE}, 0)] == told.matches
    assert {name: ((0, 6), (6, 6)) for name in BY_DEFAULT} == {
        name: (steps[0], steps[-1]) for name, steps in told.steps.items()
    }


def test_the_same_market_gives_the_same_bytes(moving: Market, folder: Path) -> None:
    discovered(moving, folder)
    first = bytes_of(generated(folder))
    discovered(moving, folder)
    second = bytes_of(generated(folder))
    assert set(first) == set(second)
    assert CHANGES == {name for name in first if first[name] != second[name]}
    assert 2 == load(generated(folder)).generation
    assert 1 == msgspec.json.decode(first["metadata.json"])["generation"]
    assert (
        read_metadata(generated(folder)).hashes
        == (msgspec.json.decode(first["metadata.json"])["hashes"])
    )


def test_ids_stay_new_ones_follow_missing_ones_retire_and_come_back(
    moving: Market, folder: Path
) -> None:
    base = ("ETH-*", "PEPE-*")
    everywhere = dict.fromkeys(BY_DEFAULT, without("PEPE"))
    discovered(moving, folder, include=base)
    assert ("ETH-USDT", "PEPE-USDT") == load(generated(folder)).names

    discovered(with_listings(moving, everywhere), folder, include=("BTC-*", "AAVE-*", *base))
    lists = load(generated(folder))
    assert (("ETH-USDT", "PEPE-USDT", "AAVE-USDT", "BTC-USDT"), {1}) == (lists.names, lists.retired)
    assert {(0, 2, 3)} == set(lists.pairs.values())
    assert 3 == read_metadata(generated(folder)).symbols
    assert "1\tPEPE-USDT\tretired" in (generated(folder) / "symbols.txt").read_text()

    discovered(moving, folder, include=("BTC-*", "AAVE-*", *base))
    lists = load(generated(folder))
    assert (("ETH-USDT", "PEPE-USDT", "AAVE-USDT", "BTC-USDT"), set()) == (
        lists.names,
        lists.retired,
    )
    assert 3 == lists.generation

    discovered(moving, folder, include=("BTC-*", "AAVE-*", *base), fresh=True)
    lists = load(generated(folder))
    assert (("AAVE-USDT", "BTC-USDT", "ETH-USDT", "PEPE-USDT"), 4) == (
        lists.names,
        lists.generation,
    )


def test_names_that_only_look_multiplied_and_units(moving: Market, folder: Path) -> None:
    """1000ODD is nobody's thousand ODD; 1000CAT and CAT are one coin."""

    def odd(rows: list[Instrument]) -> list[Instrument]:
        return [*rows, instrument("1000ODDUSDT", "1000ODD")]

    market = with_listings(moving, {"binance-spot": odd, "bybit-futures": odd})
    told = Told()

    async def main() -> None:
        async with simulated(market) as server:
            config = config_for(folder, server, include=("*ODD-*", "CAT-*"), no_new_s=0.3)
            await discover(config, told)

    run(main())
    assert 2 == told.matches[0][1]["binance->bybit"]
    lists = load(generated(folder))
    assert ("1000ODD-USDT", "CAT-USDT") == lists.names
    for source in ("binance-spot", "bybit-futures"):
        found = lists.sources[source].symbols[0].instrument
        assert ("1000ODD", 1.0) == (found.base, found.multiplier)
    multipliers = {
        source: [r.instrument.multiplier for r in found.symbols if r.symbol == "CAT-USDT"]
        for source, found in lists.sources.items()
    }
    assert [1_000.0] == multipliers["binance-spot"] == multipliers["bybit-futures"]
    assert [1.0] == multipliers["okx-spot"] == multipliers["mexc-futures"]


# -- what becomes of a pair


def serve_other_books(server: SimServer, name: str, change: Callable[[Book], Book]) -> None:
    """Let a simulated source send other books than the market's."""
    exchange = server.exchanges[name]
    render = exchange._render
    exchange._render = lambda book: render(change(book))


def test_quiet_invalid_and_refused_pairs_say_why(moving: Market, folder: Path) -> None:
    def add(symbol: str) -> Callable[[list[Any]], list[Any]]:
        return lambda rows: [*rows, instrument(symbol, "ZZTOP")]

    # the lists name a pair that the sockets do not have
    listings = {"bybit-spot": add("ZZTOPUSDT"), "binance-futures": add("ZZTOPUSDT")}

    def crossed(book: Book) -> Book:
        return book._replace(bid_px=book.ask_px * 2) if "ETH" in book.symbol else book

    async def main() -> Result:
        async with simulated(with_listings(moving, listings)) as server:
            serve_other_books(server, "okx-futures", crossed)
            config = config_for(folder, server, include=("BTC-*", "ETH-*", "ZZTOP-*"), no_new_s=0.5)
            return await discover(config)

    result = run(main())
    bybit, binance, okx = (
        result.sources[name] for name in ("bybit-spot", "binance-futures", "okx-futures")
    )
    assert {"ZZTOP-USDT": "refused: Invalid symbol :[orderbook.1.ZZTOPUSDT]"} == bybit.invalid_pairs
    assert {"ZZTOP-USDT": "no update"} == binance.quiet_pairs  # it acknowledges any name
    assert {"ETH-USDT": "no good quote yet: crossed"} == okx.quiet_pairs
    for source, total in ((bybit, 3), (binance, 3), (okx, 2)):
        assert (total, total - 1) == (source.total_pairs, source.valid_pairs)
    lists = load(generated(folder))
    names = {name: i for i, name in enumerate(lists.names)}
    # a quiet pair keeps its directions, an invalid one has none
    assert {d.name: 2 for d in TWELVE} == result.directions
    assert names["ZZTOP-USDT"] not in lists.pairs[8]  # bybit->binance
    assert not lists.retired
    report = (generated(folder) / "validation_report.txt").read_text()
    assert "okx-futures      ETH-USDT             no good quote yet: crossed" in report
    assert "bybit-spot       ZZTOP-USDT           refused: Invalid symbol" in report
    assert "binance-futures  ZZTOP-USDT           no update" in report


# -- sources that fail


def break_rest(how: str, url: str) -> VenueSettings:
    return VenueSettings(rest_url=f"http://{NOBODY}" if how == "down" else url)


BROKEN = {
    "down": Reply(),
    "500": Reply(status="500 Oops"),
    "html": Reply(kind="text/html", body=b"<html>just a moment"),
    "429": Reply(status="429 Slow", headers=("Retry-After: 60",)),
    "451": Reply(status="451 No"),
    "error body": Reply(b'{"code": "50011", "msg": "Too Many Requests"}'),
    "no json": Reply(b"what?"),
    "empty": Reply(b'{"code": "0", "symbols": [], "data": [], "result": {"list": []}}'),
    "mute": Reply(hang=True),
}


@pytest.mark.parametrize("kinds", [("down", "500"), ("html", "429"), ("empty", "mute")])
def test_two_sources_may_fail_to_list(moving: Market, folder: Path, kinds: tuple[str, str]) -> None:
    broken = ("okx-spot", "bybit-futures")

    async def main() -> Result:
        async with (
            simulated(moving) as server,
            Rest(BROKEN[kinds[0]]) as one,
            Rest(BROKEN[kinds[1]]) as two,
        ):
            venues = {
                name: msgspec.structs.replace(
                    VenueSettings(ws_url=server.endpoints()[name][1]),
                    rest_url=break_rest(kind, rest.url).rest_url,
                )
                for name, kind, rest in zip(broken, kinds, (one, two), strict=True)
            }
            config = config_for(folder, server, venues=venues, include=("BTC-*",), rest_timeout_s=1)
            return await discover(config)

    result = run(main())
    lists = load(generated(folder))
    assert set(BY_DEFAULT) - set(broken) == set(lists.sources)
    for name in broken:
        assert (0, True) == (result.sources[name].total_pairs, bool(result.sources[name].error))
    # nothing to buy on okx, nothing to sell on bybit
    assert {d.name: int("okx->" not in d.name and "->bybit" not in d.name) for d in TWELVE} == (
        result.directions
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_three_sources_that_fail_to_list_write_nothing(
    moving: Market, folder: Path, kind: str
) -> None:
    broken = ("okx-spot", "bybit-futures", "mexc-spot")

    async def main() -> None:
        async with (
            simulated(moving, sources=[n for n in BY_DEFAULT if n not in broken]) as server,
            Rest(BROKEN[kind]) as rest,
        ):
            venues = {name: break_rest(kind, rest.url) for name in broken}
            config = config_for(folder, server, venues=venues, rest_timeout_s=2.0)
            with pytest.raises(VenueDown) as caught:
                await discover(config)
            said = str(caught.value)
            assert "5 of 8 sources list their pairs, expected at least 6" in said
            assert "nothing was written" in said
            assert all(f"{name}: " in said for name in broken)
            assert "binance" not in said

    run(main())
    assert not generated(folder).exists()


@pytest.mark.parametrize("n_broken", [2, 3])
def test_sources_that_list_but_do_not_quote(moving: Market, folder: Path, n_broken: int) -> None:
    # hosts of their own: a venue's limit is kept by host
    broken = {
        name: f"ws://127.0.0.1:{port}/"
        for port, name in enumerate(("okx-spot", "bybit-futures", "mexc-spot")[:n_broken], 1)
    }
    before: dict[str, bytes] = {}

    async def main() -> Result:
        async with simulated(moving) as server:
            venues = {
                name: VenueSettings(rest_url=server.endpoints()[name][0], ws_url=url)
                for name, url in broken.items()
            }
            await discover(config_for(folder, server, include=("BTC-*",)))
            before.update(but_hosts(generated(folder)))
            config = config_for(
                folder, server, include=("BTC-*",), venues=venues, batch_limit_s=0.5
            )
            return await discover(config)

    if n_broken == 3:
        with pytest.raises(VenueDown, match="5 of 8 sources quote, expected at least 6") as caught:
            run(main())
        assert f"mexc-spot: {broken['mexc-spot']}" in str(caught.value)
        assert before == but_hosts(generated(folder))
        return
    result = run(main())
    for name, url in broken.items():
        assert f"no quote of 1 pairs: {url}" in result.sources[name].error
        assert 1 == result.sources[name].valid_pairs  # as before
        assert (
            load(generated(folder)).written == result.sources[name].list_written
        )  # the list is new
    assert set(broken) == set(result.failed) == set(load(generated(folder)).failed)
    # listed, so they keep their directions: the feed will try for ever
    assert {1} == set(result.directions.values())


@pytest.mark.parametrize(
    ("sources", "broken", "works"),
    [
        (("okx-spot", "mexc-futures"), (), True),
        (("okx-spot", "mexc-futures"), ("mexc-futures",), False),
        (("okx-spot", "mexc-futures", "bybit-futures"), ("bybit-futures",), True),
        (("okx-spot", "bybit-spot", "mexc-futures"), ("mexc-futures",), False),  # spot alone
    ],
)
def test_of_few_sources_a_spot_and_a_perpetual_are_needed(
    moving: Market, folder: Path, sources: tuple[str, ...], broken: tuple[str, ...], works: bool
) -> None:
    async def main() -> Result:
        async with simulated(moving, sources=sources) as server:
            venues = {name: VenueSettings(rest_url=f"http://{NOBODY}") for name in broken}
            config = config_for(folder, server, sources=sources, venues=venues, include=("BTC-*",))
            return await discover(config)

    if works:
        result = run(main())
        assert set(sources) == set(result.sources)
        assert set(sources) - set(broken) == set(load(generated(folder)).sources)
    else:
        with pytest.raises(VenueDown, match="at least 2 of the kinds that a direction compares"):
            run(main())


# -- lists that lost their pairs


def first_of(share: float) -> Callable[[list[Instrument]], list[Instrument]]:
    """Return a change that leaves the first so many of a list: the most traded coins."""
    return lambda rows: rows[: round(len(rows) * share)]


def test_a_list_that_shrank_is_refused_until_it_is_accepted(moving: Market, folder: Path) -> None:
    """Scenario 46: 60 % fewer of okx-spot; the pairs of the universe are all there still."""
    discovered(moving, folder, include=("BTC-*",))
    before = but_hosts(generated(folder))
    market = with_listings(moving, {"okx-spot": first_of(0.4)})
    for fresh in (False, True):
        with pytest.raises(VenueDown) as caught:
            discovered(market, folder, include=("BTC-*",), fresh=fresh)
        assert (
            "discovery: okx-spot lists 111 USDT pairs, expected at least 195 of 278 up to "
            "generation 1; nothing was written" in str(caught.value)
        )
        assert "discover --accept-shrink" in str(caught.value)
        assert before == but_hosts(generated(folder))
    discovered(market, folder, include=("BTC-*",), accept_shrink=True)
    assert {"USDT": 111} == load(generated(folder)).n_listed["okx-spot"]
    discovered(market, folder, include=("BTC-*",))  # the next one is held against this
    assert 3 == load(generated(folder)).generation


def test_a_third_fewer_is_named_for_each_source_and_a_little_less_is_taken(
    moving: Market, folder: Path
) -> None:
    discovered(moving, folder, include=("BTC-*",))
    names = ("bybit-spot", "mexc-futures")
    with pytest.raises(VenueDown) as caught:
        discovered(
            with_listings(moving, dict.fromkeys(names, first_of(0.69))), folder, include=("BTC-*",)
        )
    assert "bybit-spot lists 272 USDT pairs, expected at least 276 of 394; mexc-futures lists" in (
        str(caught.value)
    )
    assert "okx" not in str(caught.value)
    market = with_listings(moving, dict.fromkeys(names, first_of(0.71)))
    assert 2 == discovered(market, folder, include=("BTC-*",)).generation


def test_a_hanging_source_beside_a_shrunk_one(moving: Market, folder: Path) -> None:
    """The one that hangs is one of the two that may fail; the other one is named, and refused."""
    discovered(moving, folder, include=("BTC-*",))
    before = bytes_of(generated(folder))
    market = with_listings(moving, {"okx-spot": first_of(0.4)})

    async def main() -> None:
        async with simulated(market) as server, Rest(Reply(hang=True)) as hangs:
            ws_url = server.endpoints()["bybit-futures"][1]
            venues = {"bybit-futures": VenueSettings(rest_url=hangs.url, ws_url=ws_url)}
            config = config_for(folder, server, include=("BTC-*",), venues=venues, list_limit_s=3.0)
            with pytest.raises(VenueDown, match="okx-spot lists 111 USDT pairs") as caught:
                await discover(config)
            assert "bybit" not in str(caught.value)
            result = await discover(config, accept_shrink=True)
            why = "bybit-futures: no whole list within 3 s"
            assert why == result.sources["bybit-futures"].error
            assert 1 == result.directions["okx->bybit"]  # as it listed before

    run(main())
    assert before != bytes_of(generated(folder))


def test_a_smaller_universe_is_no_shrunk_list(moving: Market, folder: Path) -> None:
    discovered(moving, folder, include=FEW)
    assert 1 == discovered(moving, folder, include=("BTC-*",)).symbols


def test_a_set_that_does_not_say_how_long_its_lists_were_refuses_nothing(
    moving: Market, folder: Path
) -> None:
    discovered(moving, folder, include=("BTC-*",))
    path = generated(folder) / "metadata.json"
    metadata = json.loads(path.read_text())
    assert {"USDT": 278} == metadata.pop("n_listed")["okx-spot"]
    path.write_text(json.dumps(metadata))
    market = with_listings(moving, {"okx-spot": first_of(0.4)})
    assert 2 == discovered(market, folder, include=("BTC-*",)).generation


def test_a_source_that_comes_back_is_held_against_its_last_answer(
    moving: Market, folder: Path
) -> None:
    discovered(moving, folder, include=("BTC-*",))
    gone = with_listings(moving, {"okx-spot": without("BTC")})  # no list without a major
    discovered(gone, folder, include=("BTC-*",))
    assert "okx-spot" in load(generated(folder)).failed
    with pytest.raises(
        VenueDown, match="okx-spot lists 111 USDT pairs, expected at least 195 of 278"
    ):
        discovered(with_listings(moving, {"okx-spot": first_of(0.4)}), folder, include=("BTC-*",))


def test_a_list_without_a_major_is_a_source_that_failed(moving: Market, folder: Path) -> None:
    market = with_listings(moving, {"okx-spot": without("XRP")})
    result = discovered(market, folder, include=("BTC-*",))
    assert "okx-spot: lists 277 pairs, but not XRP" in result.sources["okx-spot"].error
    assert 0 == result.directions["okx->mexc"]
    three = dict.fromkeys(("okx-spot", "mexc-spot", "bybit-spot"), without("SOL"))
    with pytest.raises(VenueDown, match="5 of 8 sources list their pairs") as caught:
        discovered(with_listings(moving, three), folder, include=("BTC-*",))
    assert 3 == str(caught.value).count("but not SOL")


# -- what a human has to change


def test_more_pairs_than_the_layout_can_number_is_told_before_the_sockets_open(
    moving: Market, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 40."""
    monkeypatch.setattr(ids, "SYMBOLS_MAX", 5)

    async def main() -> Counter[str]:
        async with simulated(moving) as server:
            with pytest.raises(ConfigError, match=r"6 ids needed \(6 pairs.*at most 5"):
                await discover(config_for(folder, server))
            return Counter({n: c.opened for n, c in server.counters().items()})

    assert 0 == run(main()).total()
    assert not generated(folder).exists()


def test_a_universe_without_a_pair_is_a_config_error(moving: Market, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no pair .*\(in USDT; include btc-\*; exclude X\*\)"):
        discovered(moving, folder, include=("btc-*",), exclude=("X*",))
    assert not generated(folder).exists()


def test_a_pair_of_three_sources_only_is_a_universe(moving: Market, folder: Path) -> None:
    """Sources that do not list it have not failed."""
    few = ("okx-spot", "okx-futures", "mexc-futures")
    names = [{i.symbol for i in moving.instruments[s.id]} for s in EIGHT]
    ids = {SOURCE_BY_NAME[name].id for name in few}
    dead = {moving.instruments[s][i].symbol for s, i in moving.dead}
    inside = set.intersection(*(names[i] for i in ids)) - dead
    chosen = sorted(inside - set.union(*(names[s.id] for s in EIGHT if s.id not in ids)))
    if not chosen:  # take a pair that is everywhere off the other lists
        chosen = ["LINK-USDT"]
        others = {s.name: without("LINK") for s in EIGHT if s.id not in ids}
        moving = with_listings(moving, others)
    result = discovered(moving, folder, include=(chosen[0],), no_new_s=4.0)
    assert 1 == result.directions["okx->mexc"]
    assert 1 == sum(result.directions.values())


def test_a_broken_set_is_told_and_fresh_replaces_it(moving: Market, folder: Path) -> None:
    discovered(moving, folder, include=("ETH-*", "BTC-*"))
    for _ in range(2):
        discovered(moving, folder, include=("ETH-*", "BTC-*"))
    path = generated(folder) / "symbols.bin"
    path.write_bytes(path.read_bytes()[:-1])
    before = but_hosts(generated(folder))
    with pytest.raises(BadGenerated, match=r"symbols\.bin: not of generation 3.*discover --fresh"):
        discovered(moving, folder, include=("ETH-*", "BTC-*", "AAVE-*"))
    assert before == but_hosts(generated(folder))
    discovered(moving, folder, include=("ETH-*", "BTC-*", "AAVE-*"), fresh=True)
    lists = load(generated(folder))
    assert (("AAVE-USDT", "BTC-USDT", "ETH-USDT"), 4) == (lists.names, lists.generation)


def test_broken_metadata_is_told_and_fresh_begins_anew(moving: Market, folder: Path) -> None:
    generated(folder).mkdir()
    (generated(folder) / "metadata.json").write_text("{")
    with pytest.raises(BadGenerated, match=r"metadata\.json: .*discover --fresh"):
        discovered(moving, folder, include=("BTC-*",))
    discovered(moving, folder, include=("BTC-*",), fresh=True)
    assert 1 == load(generated(folder)).generation


def test_remains_of_a_first_crash_are_no_set(moving: Market, folder: Path) -> None:
    (generated(folder) / "source_symbols").mkdir(parents=True)
    (generated(folder) / "symbols.bin").write_bytes(b"half")
    discovered(moving, folder, include=("BTC-*",))
    assert 1 == load(generated(folder)).generation


def test_a_crash_while_writing_keeps_ids_in_the_next_run(moving: Market, folder: Path) -> None:
    discovered(moving, folder, include=("ETH-*",))

    class Crash(BaseException):
        pass

    real, written = whole.replace, []

    def replace(path: Path, content: bytes) -> None:
        if path.parent == generated(folder) and path.name == "edges.bin":
            raise Crash
        written.append(path.name)
        real(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "replace", replace)
        with pytest.raises(Crash):
            discovered(moving, folder, include=("BTC-*", "ETH-*"))
    assert "symbols.bin" in written  # the set in place is a mixture now
    assert ("ETH-USDT",) == load(generated(folder)).names
    discovered(moving, folder, include=("BTC-*", "ETH-*"))
    lists = load(generated(folder))
    assert (("ETH-USDT", "BTC-USDT"), 2) == (lists.names, lists.generation)


def test_a_run_that_is_ended_in_the_middle_leaves_nothing(moving: Market, folder: Path) -> None:
    """As by Ctrl-C: nothing is written and no socket stays open."""

    async def main() -> None:
        async with simulated(moving) as server:
            config = config_for(folder, server, include=("*",), no_new_s=30.0, batch_limit_s=60.0)
            running = asyncio.create_task(discover(config))
            while sum(c.sockets for c in server.counters().values()) < 8:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            while any(c.sockets for c in server.counters().values()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(main())
    assert not generated(folder).exists()


def test_the_report_is_for_people(moving: Market, folder: Path) -> None:
    result = discovered(moving, folder, include=FEW[:2])
    lines = (generated(folder) / "validation_report.txt").read_text().splitlines()
    assert lines[0].startswith("generation 1, 2 pairs, ")
    assert (
        "source            total  valid  quiet  quarantined  invalid  timeout_sec  took_sec"
        == lines[2]
    )
    assert ["binance-spot", "2", "2", "0", "0", "0", "10"] == lines[3].split()[:7]
    assert any(line.split() == ["okx->mexc", "2"] for line in lines)
    assert json.loads(msgspec.json.encode(result))["sources"]["okx-spot"]["total_pairs"] == 2


# -- whose set it is


def test_another_market_has_no_say(moving: Market, folder: Path) -> None:
    """Ids, lost pairs and silence of a set from elsewhere say nothing about this one."""
    discovered(moving, folder, include=("ETH-*",))
    few = with_listings(moving, {"okx-spot": first_of(0.4)})
    result = discovered(few, folder, include=("BTC-*", "ETH-*"), moved=False)  # other ports
    lists = load(generated(folder))
    assert (("BTC-USDT", "ETH-USDT"), 2) == (lists.names, lists.generation)
    assert 2 == result.generation
    assert lists.origin is not None
    assert "http://127.0.0.1" in lists.origin.hosts["okx-spot"].rest[0]


def test_a_host_that_moved_costs_its_own_history_only(moving: Market, folder: Path) -> None:
    async def main() -> None:
        few = with_listings(moving, {"okx-spot": first_of(0.4)})
        async with simulated(moving) as server, simulated(few) as elsewhere:
            await discover(config_for(folder, server, include=("ETH-*",)))
            rest_url, ws_url = elsewhere.endpoints()["okx-spot"]
            venues = {"okx-spot": VenueSettings(rest_url=rest_url, ws_url=ws_url)}
            include = ("BTC-*", "ETH-*")
            await discover(config_for(folder, server, include=include, venues=venues, moved=False))

    run(main())
    assert ("ETH-USDT", "BTC-USDT") == load(generated(folder)).names


def test_an_emptied_folder_gets_a_newer_set_of_the_same_ids_while_a_scanner_runs(
    moving: Market, folder: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance()
    options: dict[str, Any] = {"include": ("BTC-*", "ETH-*"), "instance": instance.name}
    discovered(moving, folder, include=("ETH-*",))
    discovered(moving, folder, **options)
    lists = load(generated(folder))
    assert (("ETH-USDT", "BTC-USDT"), 2) == (lists.names, lists.generation)
    settings = config_for(folder, **options)
    leave_settings(instance, settings, {})
    leave_lists(instance, lists)
    instance.control.reload_generation = 7
    shutil.rmtree(generated(folder))
    discovered(moving, folder, **options)  # nothing runs: as if for the first time
    found = load(generated(folder))
    assert (("BTC-USDT", "ETH-USDT"), 1) == (found.names, found.generation)
    lease = instance.lease("supervisor")
    for emptied in (True, False):
        if emptied:
            shutil.rmtree(generated(folder))
        discovered(moving, folder, **options)
        found = load(generated(folder))
        assert (("ETH-USDT", "BTC-USDT"), 8 if emptied else 9) == (found.names, found.generation)
    # of another folder: not theirs
    shutil.rmtree(generated(folder))
    elsewhere = with_absolute_paths(settings, "/").paths
    elsewhere = msgspec.structs.replace(elsewhere, generated="/elsewhere")
    leave_settings(instance, msgspec.structs.replace(settings, paths=elsewhere), {})
    discovered(moving, folder, **options)
    assert 1 == load(generated(folder)).generation
    lease.close()


def test_one_discovery_at_a_time_has_the_folder(moving: Market, folder: Path) -> None:
    first, told = FolderLock(generated(folder), DISCOVERY, "first"), Told()
    first.take(0.0)

    async def main(wait_s: float, release: bool) -> Result:
        async with simulated(moving) as server:
            config = config_for(folder, server, include=("BTC-*",), wait_s=wait_s)
            running = asyncio.create_task(discover(config, told))
            await asyncio.sleep(0.3)
            assert not running.done() or not release
            if release:
                first.close()
            return await running

    with pytest.raises(ConfigError) as caught:
        run(main(0.2, release=False))
    for part in ("paths.generated", "discovery of instance 'first'", f"pid {os.getpid()}", "0.2 s"):
        assert part in str(caught.value)
    assert [".discovery.lock"] == os.listdir(generated(folder))
    assert 1 == run(main(30.0, release=True)).generation
    assert 2 == len(told.waits)
    assert not (generated(folder) / ".discovery.lock").exists()
