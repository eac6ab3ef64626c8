"""Lists that are cut, limited, late or gone; books with one side: what discovery makes of them."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cases.kit import COINS, TRANSPORTS, Case, Fake, case, until, venue_symbol
from known import EIGHT as SOURCES
from known import TWELVE as DIRECTIONS
from spreadscan.lists import load
from spreadscan.sim.pages.halts import with_halts
from spreadscan.types import Book

QUICK = "discovery.no_new_s = 1.0"
LIMITED = {  # what each venue says in a body with status 200
    "binance": {"code": -1003, "msg": "Too many requests."},
    "bybit": {"retCode": 10006, "retMsg": "Too many visits.", "result": {}},
    "mexc": {"success": False, "code": 510, "message": "Requests are too frequent"},
    "okx": {"code": "50011", "msg": "Too Many Requests", "data": []},
}


def page(body: bytes, kind: str = "application/json", **more: Any) -> web.Response:
    return web.Response(body=body, content_type=kind, **more)


class FakeList(Fake):
    """A source whose list goes wrong in one way, the first `times` times or until it is good."""

    def __init__(self, source: str, how: str = "", times: float = math.inf) -> None:
        super().__init__(source)
        self.how, self.times = how, times

    async def rest(self, page_: str, request: web.Request) -> web.Response | None:
        if page_ != "instruments" or not self.how or self.times <= 0:
            return None
        self.times -= 1
        match self.how:
            case "limited":
                return page(json.dumps(LIMITED[self.name.split("-")[0]]).encode())
            case "limited until":
                end_ms = int(time.time() * 1000) + 1500
                self.note("limited", end_ms)
                told = {"X-Bapi-Limit-Reset-Timestamp": str(end_ms)}
                return page(json.dumps(LIMITED["bybit"]).encode(), headers=told)
            case "429":
                return page(b"{}", status=429, headers={"Retry-After": "1"})
            case "503":
                return page(b"", status=503)
            case "html":
                return page(b"<html>just a moment", "text/html")
            case "empty":
                return page(b"")
            case "object":
                return page(b"{}")
            case "hang":
                await asyncio.sleep(5)  # longer than anyone waits here
        return None

    async def handshake(self, number: int, request: web.Request) -> web.Response | None:
        return page(b"", status=503) if self.how == "sockets" else None

    def body(self, page_: str, whole: bytes) -> bytes:
        if page_ != "instruments" or self.how not in ("half", "halted", "no list"):
            return whole
        if self.times < 0:
            return whole
        self.times -= 1
        if self.how == "half":
            return whole[: len(whole) // 2]
        if self.how == "no list":
            return whole.replace(b"[", b"{").replace(b"]", b"}")
        without = [row for row in self.listing if row.base != "XRP"]
        self.listing, everyone = without, self.listing
        body = self._instrument_page({})
        self.listing = everyone
        return body


def directions(it: Case) -> dict[str, int]:
    """Return pairs by direction of the set that is there."""
    lines = (it.folder / "generated" / "directions.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("\t")]
    return {row[1]: int(row[2].split(", ")[2].split()[0]) for row in rows}


@pytest.mark.parametrize(
    "hows",
    [
        ("half", "empty", "object", "halted", "limited", "limited", "limited", "limited until"),
        ("503", "html", "429", "limited", "no list", "half", "empty", "hang"),
    ],
    ids=["first eight", "other eight"],
)
def test_a_list_that_goes_wrong_once_is_asked_for_again(
    tmp_path: Path, hows: tuple[str, ...]
) -> None:
    """Every source in another way; the ways move on from source to source."""
    order = ("okx-spot", "binance-spot", "bybit-spot", "mexc-futures", "mexc-spot", "okx-futures",
             "binance-futures", "bybit-futures")  # fmt: skip
    fakes = [FakeList(source, how, 1) for source, how in zip(order, hows, strict=True)]
    extra = f"{QUICK}\ndiscovery.rest_timeout_s = 4.0"
    with case(tmp_path, *fakes, extra=extra) as it:
        found = it.run("discover", "--json")
        assert 0 == found.returncode, found.stderr
        told = json.loads(found.stdout)
        assert {len(COINS)} == {source["valid_pairs"] for source in told["sources"].values()}
        assert {len(COINS)} == set(told["directions"].values())
        for fake in fakes:
            asked = [h.at_s for h in fake.heard if h.what == "page" and h.facts == "instruments"]
            assert 2 == len(asked), (fake.name, fake.how)
            if fake.how == "limited until":  # nothing is sent before the time that it told
                assert asked[1] - asked[0] >= 1.5


def test_a_source_that_is_missing_in_the_end_is_degraded(tmp_path: Path) -> None:
    fakes = [FakeList("bybit-futures", "503"), *map(Fake, ("binance-futures", "okx-spot"))]
    with case(tmp_path, *fakes, extra=f"{QUICK}\ndiscovery.backoff_ms = [10.0]") as it:
        found = it.run("discover")
        assert 3 == found.returncode, found.stderr
        assert "bybit-futures failed: " in found.stdout
        assert "HTTP 503; its pairs in the set: none" in found.stdout
        done = it.run("run", "--no-discover", "--seconds", "1")
        assert "degraded: bybit-futures failed: " in done.stderr
        assert 3 == done.returncode


WAYS: tuple[Mapping[str, str], ...] = (
    {"bybit-futures": "limited", "okx-spot": "503"},
    {"bybit-futures": "half", "binance-spot": "halted"},
    {"bybit-futures": "hang", "binance-spot": "html"},
    {"bybit-futures": "429", "okx-spot": "object"},
)
# a list that comes, and new sockets that are refused, count as one of the two that may fail
REFUSED = {"bybit-futures": "sockets", "okx-spot": "limited"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_whatever_takes_lists_away_at_a_reload_pairs_and_directions_stay(
    tmp_path: Path, transport: str
) -> None:
    fakes = {
        name: FakeList(name)
        for name in ("bybit-futures", "binance-spot", "binance-futures", "okx-spot")
    }
    extra = (
        f'{QUICK}\nfeeds.transport = "{transport}"\ndiscovery.tries = 1\n'
        "discovery.rest_timeout_s = 1.5\ndiscovery.batch_limit_s = 5.0"
    )
    whole = {"okx->bybit": 12, "okx->binance": 12, "binance->bybit": 12}
    with case(tmp_path, *fakes.values(), extra=extra) as it, it.scanning() as scan:
        until(lambda: it.status().get("generation") and quoting(it), "quotes of every pair")
        assert whole == directions(it)
        first = load(tmp_path / "generated").written
        for generation, ways in enumerate(WAYS if transport == "picows" else [REFUSED], 2):
            for name, fake in fakes.items():
                fake.how = ways.get(name, "")
            done = it.run("ctl", "reload", "--json")
            assert 3 == done.returncode, done.stderr
            told = json.loads(done.stdout)
            assert (generation, {}) == (told["generation"], told["late"])
            assert set(ways) == set(told["failed"])
            assert whole == directions(it)
            lists = load(tmp_path / "generated")
            listed = lists.failed["bybit-futures"].list_written
            came = ways["bybit-futures"] == "sockets"
            assert (lists.written if came else first) == listed  # it does not get younger
            assert {"valid"} == {row.state for row in lists.sources["bybit-futures"].symbols}
        assert 3 == it.run("ctl", "status").returncode
        fakes["bybit-futures"].px["DOGEUSDT"] *= 1.02
        until(lambda: any("DOGE-USDT" in row for row in it.opens()), "a signal on a kept pair")
        for fake in fakes.values():
            fake.how = ""
        time.sleep(1.0)  # what a 429 asked for
        assert 0 == it.run("ctl", "reload").returncode
        assert 0 == it.run("ctl", "status").returncode
        scan.terminate()
        assert 0 == scan.wait(15)


def quoting(it: Case) -> bool:
    sources = it.status()["sources"]
    return all(source["quotes"] >= len(COINS) for source in sources.values())


@pytest.mark.parametrize(
    ("sources", "code"),
    [(("bybit-futures", "binance-futures", "okx-spot"), 3), (("bybit-futures", "okx-spot"), 1)],
    ids=["kept", "refused"],
)
def test_the_running_scanner_asks_again_by_itself(
    tmp_path: Path, sources: tuple[str, ...], code: int
) -> None:
    """Whether the reload went without a source, or was refused as one of two is too few."""
    fakes = [FakeList(name) for name in sources]
    extra = f"{QUICK}\ndiscovery.tries = 1\ndiscovery.again_s = 4.0"
    with case(tmp_path, *fakes, extra=extra) as it, it.scanning() as scan:
        until(lambda: it.status().get("generation") and quoting(it), "quotes of every pair")
        fakes[0].how = "503"
        done = it.run("ctl", "reload")
        assert code == done.returncode, done.stderr
        assert {len(COINS)} == {n for name, n in directions(it).items() if "->bybit" in name}
        status = it.run("ctl", "status")
        assert 3 == status.returncode
        assert "bybit-futures" in status.stdout
        assert "HTTP 503" in status.stdout
        fakes[0].how = ""
        until(lambda: 0 == it.run("ctl", "status").returncode, "a discovery of its own")
        assert {} == it.status()["lists"]["failed"]
        scan.terminate()
        assert 0 == scan.wait(15)


class Halting(Fake):
    """A source that halts pairs: its list says so in its own words, and they quote no more."""

    def halt(self, *coins: str) -> None:
        self.mute = {venue_symbol(self.name, coin) for coin in coins}

    def body(self, page_: str, whole: bytes) -> bytes:
        return with_halts(self.name, whole, self.mute) if page_ == "instruments" else whole


def test_pairs_that_halt_keep_their_place_and_their_counterparts(tmp_path: Path) -> None:
    """Every source halts another coin; a discovery in the middle of it changes nothing."""
    coins = {s.name: coin for s, coin in zip(SOURCES, list(COINS)[4:], strict=True)}
    fakes = {name: Halting(name) for name in coins}
    with case(tmp_path, *fakes.values(), extra=QUICK) as it, it.scanning() as scan:
        until(lambda: it.status().get("generation") and quoting(it), "quotes of every pair")
        before = load(tmp_path / "generated")
        sockets = {name: len(fake.times("handshake")) for name, fake in fakes.items()}
        for name, coin in coins.items():
            fakes[name].halt(coin)
        for generation in (2, 3):
            done = it.run("ctl", "reload", "--json")
            assert (0, generation) == (done.returncode, json.loads(done.stdout)["generation"])
            lists = load(tmp_path / "generated")
            assert (before.names, before.pairs) == (lists.names, lists.pairs)
            for name, coin in coins.items():
                rows = {row.symbol: row for row in lists.sources[name].symbols}
                halted = rows.pop(f"{coin}-USDT")
                assert ("quiet", 0, before.written) == (
                    halted.state, halted.silent_runs, halted.traded
                )  # fmt: skip
                assert "listed" in halted.reason
                assert {("valid", "")} == {(row.state, row.traded) for row in rows.values()}
        for name, fake in fakes.items():  # the feed's stays: each discovery had one
            assert sockets[name] + 2 == len(fake.times("handshake"))
        fakes["okx-spot"].mute = set()
        fakes["okx-spot"].px["ATOM-USDT"] *= 0.98
        until(lambda: any("ATOM-USDT" in row for row in it.opens()), "the end of a halt")
        for fake in fakes.values():
            fake.mute = set()
        assert 0 == it.run("ctl", "reload").returncode
        lists = load(tmp_path / "generated")
        rows = [row for source in lists.sources.values() for row in source.symbols]
        assert {("valid", "")} == {(row.state, row.traded) for row in rows}
        # a row taken away is the end, but where that is what a halt looks like
        for fake in fakes.values():
            if fake.name != "okx-spot":
                fake.listing = [row for row in fake.listing if row.base != "DOGE"]
        assert 0 == it.run("ctl", "reload").returncode
        lists = load(tmp_path / "generated")
        have = {
            name
            for name, source in lists.sources.items()
            if any(row.symbol == "DOGE-USDT" for row in source.symbols)
        }
        assert {"bybit-spot", "bybit-futures", "okx-spot"} == have
        scan.terminate()
        assert 0 == scan.wait(15)


class Opening(Fake):
    """A source of which some pairs have no good book until `good` is set."""

    good = False
    odd: Mapping[str, str] = {}

    def quote(self, symbol: str, number: int) -> Book | None:
        book = super().quote(symbol, number)
        how = "" if self.good or book is None else self.odd.get(symbol, "")
        match how:
            case "bids only":
                return book._replace(ask_px=math.nan, ask_qty=math.nan)
            case "asks only":
                return book._replace(bid_px=math.nan, bid_qty=math.nan)
            case "crossed":
                return book._replace(bid_px=book.ask_px * 1.001)
            case "empty":
                nan = math.nan
                return Book(symbol, nan, nan, nan, nan, book.venue_ns, book.update_id)
            case "silent":
                return None
        return book


@pytest.mark.parametrize("source", ["bybit-futures", "mexc-futures", "mexc-spot"])
def test_a_pair_without_a_good_book_comes_in_with_its_first(tmp_path: Path, source: str) -> None:
    """New listings, auctions, halts, thin books: none of them is out for eight hours."""
    fake = Opening(source)
    other = Fake("okx-spot" if source.endswith("futures") else "okx-futures")
    fake.qty = other.qty = 1e6  # contracts of some are small
    hows = ("bids only", "crossed", "silent", "asks only", "empty")
    coins = dict(zip(("DOGE", "ADA", "LTC", "BTC", "UNI"), hows, strict=True))
    symbols = {coin: fake.listing[list(COINS).index(coin)].venue_symbol for coin in coins}
    fake.odd = {symbols[coin]: how for coin, how in coins.items()}
    with case(tmp_path, fake, other, extra=QUICK) as it, it.scanning():
        until(lambda: it.status().get("generation"), "the first set")
        lists = load(tmp_path / "generated")
        states = {row.symbol: row.state for row in lists.sources[source].symbols}
        assert {"quiet"} == {states[f"{coin}-USDT"] for coin in coins}
        assert {len(COINS)} == set(directions(it).values())
        until(lambda: it.status()["sources"][source]["quotes"], "quotes")
        fake.good = True
        for symbol in symbols.values():  # dear where it is sold, cheap where it is bought
            fake.px[symbol] *= 1.02 if source.endswith("futures") else 0.98
        for coin in coins:
            until(lambda coin=coin: any(f"{coin}-USDT" in row for row in it.opens()), coin)


def test_multiples_of_any_size_meet_their_coin(tmp_path: Path) -> None:
    spot, other_spot, perp, other_perp = fakes = [
        Fake(name) for name in ("binance-spot", "mexc-spot", "bybit-futures", "binance-futures")
    ]
    coins = {
        "AIDOGE": (2e-10, "10000000AIDOGE", 1e7),
        "PEIPEI": (1e-6, "100000PEIPEI", 1e5),
        "币安人生": (0.02, "1000币安人生", 1e3),
        "2Z": (0.1, "10002Z", 1e3),
        "SHIB": (8e-6, "SHIB1000", 1e3),
        "BABYDOGE": (6e-10, "1MBABYDOGE", 1e6),
        "LUNA": (0.17, "LUNA2", 1.0),
    }
    for coin, (px, name, multiplier) in coins.items():
        for one in (spot, other_spot):
            one.list_coin(coin, px)
        for one in (perp, other_perp):
            one.list_coin(name, px * multiplier)
    for one in (spot, perp):  # a name, wherever it is
        one.list_coin("1000CAT", 0.003)
        one.list_coin("1INCH", 0.2)
    with case(tmp_path, *fakes, extra=QUICK) as it:
        found = it.run("discover", "--json")
        assert 0 == found.returncode, found.stderr
        lists = load(tmp_path / "generated")
        everyone = {f"{coin}-USDT" for coin in (*COINS, *coins)}
        for direction, more in (("mexc->bybit", set()), ("mexc->binance", set()),
                                ("binance->bybit", {"1000CAT-USDT", "1INCH-USDT"})):  # fmt: skip
            pairs = next(lists.pairs[d.id] for d in DIRECTIONS if d.name == direction)
            assert everyone | more == {lists.names[i] for i in pairs}
        read = {row.symbol: row.instrument for row in lists.sources["bybit-futures"].symbols}
        for coin, (_, name, multiplier) in coins.items():
            assert (name, multiplier) == (
                read[f"{coin}-USDT"].listed_base,
                read[f"{coin}-USDT"].multiplier,
            )
