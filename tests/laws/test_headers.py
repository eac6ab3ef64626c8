"""Every room that talks to a venue sends the headers of its spec, on both transports and REST."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from spreadcore import Instance

from scan.feeds.kit import Heard, quick, run, settings
from spreadscan.app.doctor import examine
from spreadscan.audit.requests import Requests
from spreadscan.audit.source import Source
from spreadscan.audit.status import StatusSocket
from spreadscan.config import Config, Discovery, Paths, VenueSettings
from spreadscan.discovery.fetch import fetch
from spreadscan.errors import SpreadError
from spreadscan.feeds.session import Session
from spreadscan.net import rest
from spreadscan.venues import VENUES
from spreadscan.workers.connects import connects_of

NAME = "okx-spot"
VALUE = "yes, please"


@pytest.fixture(autouse=True)
def asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VENUES, NAME, quick(NAME, headers=(("X-More", VALUE),)))


class Host:
    """Refuses everything, and keeps what each request had in the header and how it was opened."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, str | None]] = []

    async def _refuse(self, request: web.Request) -> web.Response:
        kind = "socket" if "Upgrade" in request.headers else "page"
        self.heads.append((kind, request.headers.get("X-More")))
        return web.Response(status=404)

    async def __aenter__(self) -> "Host":
        app = web.Application()
        app.router.add_get("/{path:.*}", self._refuse)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.at = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    def taken(self) -> list[tuple[str, str | None]]:
        heads, self.heads = self.heads, []
        return heads


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
def test_headers_of_a_spec_are_sent_by_every_room(
    tmp_path: Path, make_instance: Any, transport: str
) -> None:
    instance: Instance = make_instance(n_sources=8, n_symbols=4, n_edges=48)

    async def main() -> None:
        async with Host() as host, rest.client() as session:
            venue, feeds = VENUES[NAME], settings(transport)
            config = Config(
                sources=(NAME,),
                feeds=feeds,
                discovery=Discovery(tries=1),
                paths=Paths(data=str(tmp_path)),
                venues={
                    NAME: VenueSettings(rest_url=f"http://{host.at}", ws_url=f"ws://{host.at}")
                },
            )
            await fetch(session, venue, config)
            assert [("page", VALUE)] == host.taken()
            with pytest.raises(SpreadError):
                await Requests(venue, config, session, lambda: None).ask(
                    venue.audit.tickers_request, bytes
                )
            assert [("page", VALUE)] == host.taken()
            with pytest.raises(SpreadError):
                await Session(venue, ["A-USDT"], f"ws://{host.at}", Heard(), feeds).run()
            assert [("socket", VALUE)] == host.taken()
            assert venue.audit.push
            source = Source(venue, config, instance, [])
            pushes = StatusSocket(
                source, venue.audit.push, connects_of(venue, config), config, lambda: None
            )
            listening = asyncio.create_task(pushes.run())
            while not host.heads:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            assert {("socket", VALUE)} == {*host.taken()}
            for live in (False, True):
                await examine(config, lambda check: None, all_addresses=live)
                found = host.taken()
                assert {VALUE} == {value for _, value in found}
                assert live or {"page", "socket"} == {kind for kind, _ in found}

    run(main())
