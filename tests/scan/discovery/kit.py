"""Tools of the discovery tests: REST servers by hand, simulated markets with other listings."""

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from known import SOURCE_BY_NAME
from spreadscan.config import Capacity, Config, Discovery, Feeds, Paths, Universe, VenueSettings
from spreadscan.discovery.origin import origin_of
from spreadscan.errors import BadGenerated
from spreadscan.lists import PREVIOUS, read_metadata
from spreadscan.sim import Market, SimServer
from spreadscan.types import Instrument
from spreadscan.venues.base import split_multiplier

NOBODY = "127.0.0.1:1"  # a port that nobody listens on

# Few pairs, so that a run takes a second or two: majors, multiplied ones, names with digits.
FEW = ("BTC-*", "ETH-*", "PEPE-*", "SHIB-*", "SATS-*", "1INCH-*")


def run(main: Coroutine[Any, Any, Any], seconds: float = 60.0) -> Any:
    """Run a test in a fresh event loop, with a watchdog."""

    async def watched() -> Any:
        async with asyncio.timeout(seconds):
            return await main

    return asyncio.run(watched())


class Reply(msgspec.Struct):
    """One HTTP answer; hang: none at all."""

    body: bytes = b"{}"
    status: str = "200 OK"
    kind: str = "application/json"
    headers: tuple[str, ...] = ()
    hang: bool = False


class Rest:
    """A REST server that answers as told: by request number, the last answer for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.asked: list[str] = []  # paths with their query
        self._replies = replies
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Rest":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        reply = self._replies[min(len(self.asked), len(self._replies) - 1)]
        self.asked.append(head.split(b" ")[1].decode())
        if reply.hang:
            return
        lines = (
            f"HTTP/1.1 {reply.status}",
            f"Content-Type: {reply.kind}",
            f"Content-Length: {len(reply.body)}",
            "Connection: close",
            *reply.headers,
            "\r\n",
        )
        writer.write("\r\n".join(lines).encode() + reply.body)
        writer.close()


def with_listings(
    market: Market, change: Mapping[str, Callable[[list[Instrument]], Sequence[Instrument]]]
) -> Market:
    """Return the market with other REST lists; what its sockets serve stays as it is."""
    other = copy.copy(market)
    instruments = list(market.instruments)
    for name, new in change.items():
        instruments[SOURCE_BY_NAME[name].id] = tuple(
            new(list(instruments[SOURCE_BY_NAME[name].id]))
        )
    other.instruments = tuple(instruments)
    return other


def instrument(venue_symbol: str, base: str, **more: Any) -> Instrument:
    return Instrument(venue_symbol=venue_symbol, base=base, listed_base=base, quote="USDT", **more)


def listed(base: str, venue_symbol: str = "", **more: Any) -> Instrument:
    """Return an instrument as a venue's reader makes it: its multiplier is guessed by name."""
    coin, multiplier = split_multiplier(base)
    return Instrument(
        venue_symbol=venue_symbol or f"{base}USDT",
        base=coin,
        listed_base=base,
        quote="USDT",
        multiplier=multiplier,
        **more,
    )


def without(base: str) -> Callable[[list[Instrument]], list[Instrument]]:
    """Return a change that takes a coin from a list."""
    return lambda rows: [row for row in rows if row.base != base]


@asynccontextmanager
async def simulated(market: Market, **options: Any) -> AsyncIterator[SimServer]:
    server = SimServer(market, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def config_for(folder: Path, server: SimServer | None = None, **options: Any) -> Config:
    """Return a config for simulated sources, with short waits and few pairs.

    options: include, sources, venues (by name, over those of the server), capacity, feeds,
    and keys of [discovery]. A set that is there is then of that server, which has other ports
    than the one before; moved=False: it stays of the one that it was found at.
    """
    moved = options.pop("moved", True)
    venues = {
        name: VenueSettings(rest_url=rest_url, ws_url=ws_url)
        for name, (rest_url, ws_url) in (server.endpoints() if server else {}).items()
    } | options.pop("venues", {})
    quick = {
        "tries": 1,
        "backoff_ms": (1.0,),
        "rest_timeout_s": 5.0,
        "after_ack_s": 5.0,
        "no_new_s": 1.0,
        "batch_limit_s": 10.0,
        "again_s": 1.0,  # silence is counted in runs that follow soon, too
    }
    general = {key: options.pop(key) for key in ("sources", "instance") if key in options}
    config = Config(
        **{"instance": f"discovery-{os.getpid()}"} | general,
        universe=Universe(options.pop("include", FEW), options.pop("exclude", ())),
        capacity=Capacity(symbols=options.pop("capacity", 1024)),
        venues=venues,
        feeds=Feeds(**{"backoff_base_s": 0.05, "backoff_cap_s": 0.2} | options.pop("feeds", {})),
        paths=Paths(
            generated=str(folder / "generated"),
            logs=str(folder / "logs"),
            identity=str(folder / "identity.toml"),
        ),
        discovery=Discovery(**quick | options),
    )
    if moved:
        move_to(config)
    return config


def move_to(config: Config) -> None:
    """Say of the set that is there that it was found at the hosts of these settings."""
    for folder in (Path(config.paths.generated), Path(config.paths.generated, PREVIOUS)):
        with suppress(BadGenerated):
            metadata = read_metadata(folder)
            if metadata.origin is not None:
                hosts = metadata.origin.hosts | origin_of(config).hosts
                origin = msgspec.structs.replace(metadata.origin, hosts=hosts)
                moved = msgspec.structs.replace(metadata, origin=origin)
                content = msgspec.json.format(msgspec.json.encode(moved), indent=1) + b"\n"
                (folder / "metadata.json").write_bytes(content)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def but_hosts(folder: Path) -> dict[str, bytes]:
    """Return the same, without the hosts of the set: ports of the simulators, which move."""
    found = bytes_of(folder)
    lines = found["metadata.json"].splitlines(keepends=True)
    found["metadata.json"] = b"".join(line for line in lines if b"://" not in line)
    return found
