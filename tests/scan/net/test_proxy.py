"""Through a proxy on loopback: REST and both transports, HTTP and SOCKS5; slow, refusing, cut."""

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import uvloop
from spreadcore import Instance

from scan.feeds.kit import Exchange, lists_of, row, settings, until, working
from scan.net import raw_server as raw
from scan.net.test_hostile import Quiet
from spreadscan.config import Config, Net, VenueSettings, load
from spreadscan.errors import ConfigError, ConnectionLost, ProxyFailed
from spreadscan.net import addresses, rest
from spreadscan.net.proxy import DIRECTLY, Proxies
from spreadscan.net.transport import Socket, connect
from spreadscan.venues import VENUES
from spreadscan.workers.proxies import proxies_of

HOST = "venue.invalid"  # no resolver knows it: only a proxy can
TRANSPORTS = ("picows", "aiohttp")
KINDS = ("http", "socks5")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Door = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class LoopbackProxy:
    """Carries what it is asked to, whatever the host, to one port of this machine.

    asked: hosts and ports, and users. door: in place of all this. drip: sends its own answers a
    byte at a time. cut() cuts what it carries.
    """

    def __init__(self, kind: str, to: str, door: Door | None = None, drip: bool = False) -> None:
        self._kind, self._port = kind, int(to.split(":")[2].partition("/")[0])
        self._door, self._drip = door, drip
        self.asked: list[str] = []
        self.ended = asyncio.Event()  # a connection to it has
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "LoopbackProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        at = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"{self._kind}://me:canary%40@{at}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            if self._door:
                await self._door(reader, writer)
            else:
                await (self._http if self._kind == "http" else self._socks5)(reader, writer)
                await self._carry(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            self.ended.set()

    async def _say(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for part in [bytes([byte]) for byte in data] if self._drip else [data]:
            writer.write(part)
            await writer.drain()
            if self._drip:
                await asyncio.sleep(0.002)

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, to, _ = head.split(" ", 2)
        assert "CONNECT" == method
        user = head.partition("Proxy-Authorization: Basic ")[2].split("\r\n")[0]
        self.asked += [to, base64.b64decode(user).decode()]
        await self._say(writer, b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, n = await reader.readexactly(2)
        assert 2 in await reader.readexactly(n)  # user and password
        await self._say(writer, b"\x05\x02")
        words = []
        await reader.readexactly(1)
        for _ in range(2):
            words.append(await reader.readexactly((await reader.readexactly(1))[0]))
        await self._say(writer, b"\x01\x00")
        assert b"\x05\x01\x00\x03" == await reader.readexactly(4)  # connect, to a name
        host = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked += [f"{host.decode()}:{port}", b":".join(words).decode()]
        await self._say(writer, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(to)

        async def one_way(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await one.read(65_536):
                    other.write(data)
                    await other.drain()
            other.transport.abort()

        await asyncio.gather(one_way(reader, to), one_way(there, writer))


def run(main: Coroutine[Any, Any, None]) -> None:
    async def watched() -> None:
        async with asyncio.timeout(10):
            await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watched())


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def opened(transport: str, url: str, proxies: Proxies, timeout_s: float = 5.0) -> Socket:
    return await connect(
        transport, url, Quiet(), timeout_s=timeout_s, max_frame_bytes=1 << 20, proxies=proxies,
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


async def echo(peer: raw.Peer) -> None:
    while True:
        _, data = await peer.receive()
        await peer.send(raw.frame(raw.CLOSE, (4000).to_bytes(2, "big") + data))


@contextlib.asynccontextmanager
async def pages() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize("drip", [False, True], ids=["quick", "drips"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_socket_goes_through_and_names_are_the_proxys(
    transport: str, kind: str, drip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setattr(addresses, "_last_good", kept)

    async def main() -> None:
        async with raw.RawServer(echo) as server, LoopbackProxy(kind, server.url, None, drip) as by:
            socket = await opened(transport, f"ws://{HOST}/ws", Proxies(by.url, environ={}))
            socket.send("heard")
            assert "closed by the venue (4000 heard)" == await socket.wait_closed()
            assert [f"{HOST}:80", "me:canary@"] == by.asked

    run(main())
    assert {} == kept  # the proxy's address is not the venue's


@pytest.mark.parametrize("kind", KINDS)
def test_tls_is_with_the_venue_itself(
    transport: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # aiohttp makes its context when it is imported
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context())

    async def main(name: str) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(tls)
        async with raw.RawServer(echo, tls=tls) as server, LoopbackProxy(kind, server.url) as by:
            proxies = Proxies("", environ={"HTTPS_PROXY": by.url, "HTTP_PROXY": "http://no"})
            socket = await opened(transport, f"wss://{HOST}:8443/ws", proxies)
            socket.send("heard")
            assert "closed by the venue (4000 heard)" == await socket.wait_closed()
            assert f"{HOST}:8443" == by.asked[0]

    run(main(HOST))
    with pytest.raises(ConnectionLost, match="TLS: .*mismatch"):
        run(main("another.invalid"))


@pytest.mark.parametrize("kind", KINDS)
def test_rest_goes_through(kind: str) -> None:
    async def main() -> None:
        async with pages() as url, LoopbackProxy(kind, url, None, True) as by:
            async with rest.client(Proxies(by.url, environ={})) as session:
                assert b"{}" == await rest.get(session, f"http://{HOST}:81/x", 5.0)
            assert [f"{HOST}:81", "me:canary@"] == by.asked

    run(main())


def says(data: bytes, ends: bool = True) -> Door:
    async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        if not ends:
            await reader.read()

    return door


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


REFUSALS = {
    "407": (says(b"HTTP/1.1 407 Say who\r\n\r\n", False), "HTTP 407 Say who: it wants a user"),
    "502": (says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", False), "HTTP 502 Bad Gateway, expected"),
    "words": (says(b"\x1b[31mSSH-2.0\r\n\r\n", False), r"found ' \[31mSSH-2.0    ', expected"),
    "closes": (says(b""), "closed, expected an answer to CONNECT"),
    "endless": (says(b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000, False), "more than an answer"),
    "talks": (says(b"HTTP/1.1 200 OK\r\n\r\n220 hi", False), "more than an answer"),
    "silent": (says(b"", False), "no way to venue.invalid:80 within 0.15 s"),
    "drips": (drips, "no way to venue.invalid:80 within 0.15 s"),
}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_proxy_that_refuses_is_named_without_its_password(transport: str, how: str) -> None:
    door, said = REFUSALS[how]

    async def main() -> None:
        async with LoopbackProxy("http", "ws://x:1/", door) as by:
            with pytest.raises(ProxyFailed, match=r"proxy http://\*\*\*@127.*: " + said) as error:
                await opened(transport, f"ws://{HOST}/", Proxies(by.url, environ={}), 0.3)
            assert "canary" not in str(error.value)
            await by.ended.wait()  # the connection to it is closed, too

    run(main())


def test_rest_tells_a_refusal_alike_and_nobody_there_is_told(transport: str) -> None:
    async def main() -> None:
        async with (
            LoopbackProxy("http", "ws://x:1/", REFUSALS["407"][0]) as by,
            rest.client(Proxies(by.url, environ={})) as session,
        ):
            with pytest.raises(ProxyFailed, match="HTTP 407 Say who"):
                await rest.get(session, f"https://{HOST}/", 5.0)
        for kind in KINDS:
            nobody = by.url.replace("http:", f"{kind}:")
            with pytest.raises(ProxyFailed, match=f"proxy {kind}://.*expected a way to"):
                await opened(transport, f"ws://{HOST}/", Proxies(nobody, environ={}))
        with pytest.raises(ProxyFailed, match="proxy http://proxy.invalid: "):
            await opened(transport, f"ws://{HOST}/", Proxies("http://proxy.invalid", environ={}))

    run(main())


def test_a_proxy_that_cuts_ends_the_socket_and_may_come_back(transport: str) -> None:
    async def main() -> None:
        async with raw.RawServer(echo) as server, LoopbackProxy("http", server.url) as by:
            proxies = Proxies(by.url, environ={})
            socket = await opened(transport, f"ws://{HOST}/", proxies)
            by.cut()
            assert (await socket.wait_closed()).startswith("connection lost")
            socket = await opened(transport, f"ws://{HOST}/", proxies)
            socket.send("back")
            assert "closed by the venue (4000 back)" == await socket.wait_closed()

    run(main())


ENVIRON = {
    "HTTPS_PROXY": "http://s",
    "http_proxy": "p:1",
    "HTTP_PROXY": "http://loud",
    "NO_PROXY": "none.com, .sub.org,only.net:81,10.0.0.0/8,*.star.io",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("wss://venue.com/ws", "http://s"),
        ("https://venue.com", "http://s"),
        ("ws://venue.com", "http://p:1"),
        ("http://me@venue.com", "http://p:1"),
        ("https://none.com", None),
        ("https://a.none.com:8", None),
        ("https://anone.com", "http://s"),
        ("https://sub.org", None),
        ("https://a.sub.org", None),
        ("https://only.net:81", None),
        ("https://only.net:82", "http://s"),
        ("https://10.1.2.3", None),
        ("https://11.1.2.3", "http://s"),
        ("https://a.star.io", None),
        ("ws://127.0.0.1:9", None),
        ("ws://localhost:9", None),
        ("ws://[::1]:9", None),
        ("https://own.com", "http://own"),
        ("https://own.com:8", "http://s"),
        ("https://never.com:8", None),
    ],
)
def test_which_addresses_go_through_which_proxy(url: str, proxy: str | None) -> None:
    by_host = {"own.com": "http://own", "never.com:8": None}
    found = Proxies("", by_host, ENVIRON).of(url)
    assert proxy == (found.url if found else None)


def test_settings_go_before_the_environment() -> None:
    url, only_no = "https://venue.com", {"NO_PROXY": "none.com", "ALL_PROXY": "http://all"}
    assert Proxies("direct", environ=ENVIRON).of(url) is None
    assert DIRECTLY.of(url) is None
    own = Proxies("socks5://me", environ=only_no)
    assert [True, None] == [own.of(url) is not None, own.of("https://none.com")]
    every = Proxies(environ=only_no).of(url)
    assert every is not None
    assert "http://all" == every.url
    assert Proxies(environ={"HTTPS_PROXY": "http://s", "NO_PROXY": "*"}).of(url) is None
    with pytest.raises(ProxyFailed, match="environment HTTPS_PROXY.*'ftp://s', expected http://"):
        Proxies(environ={"HTTPS_PROXY": "ftp://s"}).of(url)


def test_a_sources_proxy_is_that_of_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")

    def config(**venues: VenueSettings) -> Config:
        named = {name.replace("_", "-"): own for name, own in venues.items()}
        return Config(net=Net(proxy="http://all"), venues=named)

    own = VenueSettings(ws_url="ws://127.0.0.1:7/x", rest_url="http://h", proxy="http://own")
    proxies = proxies_of(config(okx_spot=own))
    found = [proxies.of(url) for url in ("ws://127.0.0.1:7/x", "http://h/y", "ws://127.0.0.1:8")]
    assert ["proxy http://own", "proxy http://own", "None"] == [str(proxy) for proxy in found]
    with pytest.raises(ConfigError, match="h is another source's, too.*expected the same"):
        proxies_of(config(okx_spot=own, okx_futures=VenueSettings(rest_url="http://h", proxy="")))


def test_a_feed_goes_through_the_proxy_of_its_source(
    transport: str,
    tmp_path: Path,
    make_instance: Callable[..., Instance],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    venue = VENUES["binance-spot"]

    async def main() -> None:
        async with Exchange(venue.name) as exchange, LoopbackProxy("http", exchange.url) as by:
            own = VenueSettings(ws_url=f"ws://{HOST}/ws", proxy=by.url)
            config = Config(feeds=settings(transport, beat_ms=20.0), venues={venue.name: own})
            lists = lists_of(venue.name, row(1, "BTCUSDT"))
            async with working(venue, config, lists, make_instance()):
                await until(lambda: exchange.guests and exchange.guests[0].requests)
            assert {f"{HOST}:80", "me:canary@"} == set(by.asked)

    run(main())


@pytest.mark.parametrize("key", ["net.proxy", "venues.okx-spot.proxy"])
@pytest.mark.parametrize(
    "value",
    ["https://p", "p:3128", "http://", "http://p:0", "http://p:x", "http://p/path", "ftp://p"],
)
def test_what_is_no_proxy_is_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: '{value}', expected http://.*direct"):
        load((), {key: value}, {})
    load((), {key: "direct"}, {})
    load((), {key: "socks5://me:pass@p:1"}, {})
    assert "" == load((), {}, {}).config.net.proxy


def test_no_descriptor_is_left_where_a_proxy_refuses(transport: str) -> None:
    async def main() -> None:
        async with LoopbackProxy("http", "ws://x:1/", REFUSALS["502"][0]) as by:
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(20):
                with pytest.raises(ProxyFailed):
                    await opened(transport, f"ws://{HOST}/", Proxies(by.url, environ={}))
            await asyncio.sleep(0.1)
            assert len(os.listdir("/proc/self/fd")) < before + 10

    run(main())
