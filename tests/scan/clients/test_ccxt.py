"""Other people's client, ccxt, at our simulators: it reads what our feed reads.

Only what the client says it can do and the simulators serve is asked; READS lists the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import ccxt.pro as ccxt
import pytest
from spreadcore import Instance

from known import LATER, SOURCE_BY_NAME, SOURCES
from scan.feeds.kit import config_of, lists_of, quote, run, until, working
from spreadscan.lists import Listing
from spreadscan.sim import Market, SimServer
from spreadscan.sim.ports import Server
from spreadscan.venues import VENUES

# What reads a best bid and ask from a channel that the simulators serve. The simulators have no
# REST order books (Binance books need one) and no ticker channels.
READS: dict[str, tuple[str, ...]] = {
    "binance-spot": ("watch_bids_asks",),
    "binance-futures": ("watch_bids_asks",),
    "bybit-spot": ("watch_bids_asks", "watch_order_book"),
    "bybit-futures": ("watch_bids_asks", "watch_order_book"),
    "mexc-spot": ("watch_ticker",),  # it hands best bids and asks to those who wait for a ticker
    "mexc-futures": (),  # watch_bids_asks: "only support spot market"
    "okx-spot": ("watch_bids_asks",),
    "okx-futures": ("watch_bids_asks",),
    "gate-spot": ("watch_bids_asks",),
    "gate-futures": ("watch_bids_asks",),
}
# The client calls every contract of MEXC perpetual: BTC_USDT_261225 takes the place of this.
MISREAD = {"mexc-futures": {"BTC_USDT"}}
# These send a book only when it changes; the others send it at once.
ON_CHANGE = ("binance-spot", "binance-futures", "mexc-spot", "gate-spot", "gate-futures")
N = 3
FREEZE_S = 3.0


def client_of(name: str) -> Any:
    """Return a client that reads the markets of one source and no other page."""
    exchange, _, kind = name.partition("-")
    client = getattr(ccxt, "binanceusdm" if name == "binance-futures" else exchange)(
        {"enableRateLimit": False, "timeout": 5_000}
    )
    client.has["fetchCurrencies"] = False
    swap = "linear" if exchange in ("binance", "bybit") else "swap"
    client.options["defaultType"] = "spot" if kind == "spot" else "swap"
    client.options["fetchMarkets"] = {"types": ["spot" if kind == "spot" else swap]}
    return client


def redirect(urls: Any, to: Callable[[str, tuple[str, ...]], str], *keys: str) -> Any:
    """Return a tree of addresses with each one replaced."""
    if isinstance(urls, dict):
        return {key: redirect(value, to, *keys, key) for key, value in urls.items()}
    return to(urls, keys)


@asynccontextmanager
async def aimed(name: str, server: Server[Any]) -> AsyncIterator[Any]:
    """Yield a client whose every address is the simulator's."""
    exchange = name.partition("-")[0]
    hosts = {n: rest.removeprefix("http") for n, (rest, _) in server.endpoints().items()}

    def to(url: str, keys: tuple[str, ...]) -> str:
        parts = urlsplit(url.replace("{hostname}", "host"))
        scheme = "ws" if parts.scheme.startswith("ws") else "http"
        host = hosts[name]
        if exchange == "mexc":  # one client reads both lists
            host = hosts["mexc-spot" if "spot" in keys else "mexc-futures"]
        return f"{scheme}{host}{parts.path}"

    client = client_of(name)
    client.urls["api"] = redirect(client.urls["api"], to)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def serving(market: Market, name: str) -> AsyncIterator[SimServer]:
    exchange = name.partition("-")[0]
    both = [s.name for s in SOURCES if s.name.startswith("mexc")]
    server = SimServer(market, sources=both if exchange == "mexc" else [name])
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def unified(market: Market, name: str, i: int) -> str:
    found = market.instruments[SOURCE_BY_NAME[name].id][i]
    return f"{found.listed_base}/USDT" + (":USDT" if name.endswith("futures") else "")


@pytest.fixture(scope="module")
def freezing() -> Market:
    """A busy market that stands still from FREEZE_S on."""
    return Market(seed=1, rate=10_000.0, freeze_after_s=FREEZE_S, also=LATER)


@pytest.fixture(scope="module")
def still() -> Market:
    return Market(seed=1, freeze_after_s=0.0, also=LATER)


@pytest.mark.parametrize("name", READS)
def test_the_client_reads_our_markets(freezing: Market, name: str) -> None:
    instruments = freezing.instruments[SOURCE_BY_NAME[name].id]

    async def main() -> None:
        async with serving(freezing, name) as server, aimed(name, server) as client:
            markets = await client.load_markets()
            theirs = {
                m["id"]: m
                for m in markets.values()
                if m["quote"] == "USDT" and m["spot"] == name.endswith("spot")
            }
            missing = {i.venue_symbol for i in instruments} - theirs.keys()
            assert missing == MISREAD.get(name, set())
            for found in instruments:
                if found.venue_symbol in missing:
                    continue
                read = theirs[found.venue_symbol]
                assert read["precision"]["price"] == pytest.approx(found.tick)
                if name.endswith("futures"):
                    assert read["linear"]
                    # the client leaves okx's multiplier of the contract value to its users
                    size = read["contractSize"] * float(read["info"].get("ctMult", 1))
                    assert size == pytest.approx(found.contract_size)

    run(main())


@pytest.fixture(scope="module")
def in_both() -> Market:
    return Market(seed=1, freeze_after_s=0.0, also=LATER, usdc=True)


@pytest.mark.parametrize("name", READS)
def test_the_client_reads_our_pairs_in_usdc(in_both: Market, name: str) -> None:
    """By its own tables: BTCPERP of Bybit is quoted and settled in USDC."""
    rows = in_both.instruments[SOURCE_BY_NAME[name].id]
    ours = {row.venue_symbol: row for row in rows if row.quote == "USDC"}
    assert bool(ours) == (name != "gate-futures")

    async def main() -> None:
        async with serving(in_both, name) as server, aimed(name, server) as client:
            markets = await client.load_markets()
            kind = "spot" if name.endswith("spot") else "swap"
            theirs = {
                m["id"]: m for m in markets.values() if m["quote"] == "USDC" and m["type"] == kind
            }
            assert ours.keys() == theirs.keys()
            for symbol, found in ours.items():
                read = theirs[symbol]
                assert found.listed_base == read["base"]
                assert read["precision"]["price"] == pytest.approx(found.tick)
                if kind == "swap":
                    assert ("USDC", True) == (read["settle"], read["linear"])
                    size = read["contractSize"] * float(read["info"].get("ctMult", 1))
                    assert size == pytest.approx(found.contract_size)

    run(main())


@pytest.mark.parametrize("name", [name for name, reads in READS.items() if reads])
def test_the_client_and_our_feed_read_the_same_prices(
    make_instance: Callable[..., Instance], freezing: Market, still: Market, name: str
) -> None:
    market, wait_s = (freezing, FREEZE_S) if name in ON_CHANGE else (still, 0.0)
    source_id = SOURCE_BY_NAME[name].id
    instance = make_instance(n_sources=len(SOURCES), n_symbols=64)
    rows = [
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(market.instruments[source_id][:N])
    ]

    async def main() -> None:
        async with serving(market, name) as server, aimed(name, server) as client:
            config = config_of(name, server.endpoints()[name][1])
            async with working(VENUES[name], config, lists_of(name, *rows), instance):
                heard: dict[tuple[str, int], tuple[float, ...]] = {}
                listeners = [
                    asyncio.create_task(
                        listen(client, way, unified(market, name, i), (way, i), heard)
                    )
                    for way in READS[name]
                    for i in range(N)
                ]
                try:
                    await asyncio.sleep(wait_s)
                    await until(
                        lambda: (
                            any(listener.done() for listener in listeners)
                            or len(heard) == N * len(READS[name])
                            and all(_same(instance, market, name, heard))
                        )
                    )
                finally:
                    for listener in listeners:
                        listener.cancel()
                    ended = await asyncio.gather(*listeners, return_exceptions=True)
                assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    run(main(), 60.0)


async def listen(
    client: Any, way: str, symbol: str, key: Any, heard: dict[Any, tuple[float, ...]]
) -> None:
    """Keep what the client reads last in heard[key]: bid, ask, and their sizes."""
    while True:
        if way == "watch_bids_asks":
            read = (await client.watch_bids_asks([symbol]))[symbol]
        elif way == "watch_ticker":
            read = await client.watch_ticker(symbol)
        if way != "watch_order_book":
            top = (read["bid"], read["ask"], read["bidVolume"], read["askVolume"])
        else:
            read = await client.watch_order_book(symbol)
            (bid, bid_qty), (ask, ask_qty) = read["bids"][0][:2], read["asks"][0][:2]
            top = (bid, ask, bid_qty, ask_qty)
        heard[key] = top


def _same(
    instance: Instance, market: Market, name: str, heard: dict[Any, tuple[float, ...]]
) -> list[bool]:
    found = []
    for (_, i), (bid, ask, bid_qty, ask_qty) in heard.items():
        listed = market.instruments[SOURCE_BY_NAME[name].id][i]
        px, qty = 1.0 / listed.multiplier, listed.multiplier * listed.contract_size
        theirs = (bid * px, ask * px, bid_qty * qty, ask_qty * qty)
        ours = quote(instance, name, i)[:4]
        found.append(tuple(ours) == pytest.approx(theirs, rel=1e-12))
    return found
