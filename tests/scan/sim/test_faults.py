"""Fault scripts: what a file may say, and that each fault does at the wire what it says."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from known import SOURCE_BY_NAME, SOURCES
from spreadscan.errors import ConfigError
from spreadscan.feeds.shards import requests
from spreadscan.sim import SimServer
from spreadscan.sim import faults as script
from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.faults import KINDS, Fault, read_faults
from spreadscan.sim.pages import PAGES
from spreadscan.sim.simtime import SimTime
from spreadscan.venues import VENUES
from spreadscan.venues.reference import ReferenceDecoder

DOCS = Path(__file__).parents[3] / "docs/faults.md"


def test_every_fault_has_an_example_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("\n".join(re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.S)))
    assert {type(fault) for fault in read_faults(path)} == set(KINDS.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault]]\nwhat = 'mut'\nsource = '*'", "fault 1: found what = 'mut', expected one of"),
        ("[[fault]]\nsource = '*'", "fault 1: found what = None, expected one of mute"),
        ("[[fault]]\nwhat = 'mute'\nsource = 'okx'", "found source 'okx', expected one of \\*"),
        ("[[fault]]\nwhat = 'mute'\nsource = '*'\nafter = 1", "found key 'after', expected one of"),
        ("[[fault]]\nwhat = 'mute'", "fault 1 .mute.: .*missing required field `source`"),
        (
            "[[fault]]\nwhat = 'mute'\nsource = '*'\nafter_frames = 'x'",
            "found after_frames = 'x', expected `int`",
        ),
        (
            "[[fault]]\nwhat = 'prices'\nsource = '*'\nhow = 'odd'",
            "found how = 'odd', expected one of crossed, zero, locked, spike",
        ),
        ("[[fault]]\nwhat = 'hang'\nsource = '*'\nat_s = -1.0", "found at_s = -1, .*expected 0 <="),
        ("[[fault]]\nwhat = 'shrink'\nsource = '*'\nshare = 2.0", "found share = 2.0, expected 0"),
        ("[[fault]]\nwhat = 'drip'\nsource = '*'\ndrop_bytes = 0", "drop_bytes = 0, expected 1"),
        (
            "[[fault]]\nwhat = 'mute'\nsource = '*'\nafter_frames = -1",
            "after_frames = -1, expected 0 or more",
        ),
        (
            "[[fault]]\nwhat = 'mute'\nsource = '*'\nconnects = [1, 0]",
            "connects = 0, expected 1 or more",
        ),
        (
            "[[fault]]\nwhat = 'hang'\nsource = '*'\nhang_s = nan",
            "hang_s = nan, expected 0 or more",
        ),
        (
            "[[fault]]\nwhat = 'status'\nsource = '*'\nstatus = 4290",
            "status = 4290, expected 400 to 599",
        ),
        (
            "[[fault]]\nwhat = 'restart'\nsource = 'mexc-spot'",
            "mexc-spot announces nothing, expected one of binance-spot",
        ),
        (
            "[[fault]]\nwhat = 'halt'\nsource = '*'\nsymbols = []\nshows = 'no'",
            "found shows = 'no', expected one of venue, zeros, empty, absent, last",
        ),
        (
            "[[fault]]\nwhat = 'stale'\nsource = '*'\nage_s = -1.0",
            "found age_s = -1.0, expected 0 or more",
        ),
        (
            "[[fault]]\nwhat = 'maintenance'\nsource = 'mexc-spot'\nbegin_s = 1\nend_s = 2",
            "mexc-spot has no page for it, expected one of binance-spot, bybit-spot",
        ),
        (
            "[[fault]]\nwhat = 'maintenance'\nsource = '*'\nbegin_s = 2\nend_s = 2",
            "found begin_s = 2, end_s = 2, expected begin_s < end_s",
        ),
        ("faults = 1", "found key 'faults', expected ..fault.. entries only"),
        ("fault = 1", "found fault = 1, expected ..fault.. entries only"),
        ("fault = [1]", "fault 1: found 1, expected a table"),
        ("fault", "expected TOML"),
    ],
)
def test_a_wrong_script_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_faults(path)


def test_a_missing_script_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing.toml: No such file.*, expected a fault script"):
        read_faults(tmp_path / "nothing.toml")


# -- on sockets

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def faulty(
    lab: Any, source: str, *faults: Fault, still: bool = False
) -> AsyncIterator[tuple[Callable[[], Any], Callable[[], Any]]]:
    """Serve one source with faults; yields (open a subscribed socket, ask for the list)."""
    server = SimServer(lab.still if still else lab.moving, sources=[source], faults=faults)
    symbols = [i.venue_symbol for i in server.market.instruments[SOURCE_BY_NAME[source].id][:5]]
    async with lab.serving(server) as session:
        rest, ws_url = server.endpoints()[source]

        async def connect() -> Socket:
            ws: Socket = await session.ws_connect(
                ws_url, autoping=False, max_msg_size=0, headers=VENUES[source].spec.headers
            )
            for request in requests(VENUES[source], symbols):
                await ws.send_str(VENUES[source].subscribe(request, 1))
            return ws

        async def ask(query: str = "category=linear&instType=SPOT") -> Any:
            return await session.get(f"{rest}{PAGES[source].instruments_path}?{query}")

        yield connect, ask


async def frames(ws: Socket, seconds: float) -> list[aiohttp.WSMessage]:
    """Return what comes until the end, or until nothing has come for so long."""
    found: list[aiohttp.WSMessage] = []
    while True:
        try:
            found.append(await ws.receive(seconds))
        except TimeoutError:
            return found
        if found[-1].type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
            return found


def data_of(found: list[aiohttp.WSMessage]) -> list[str]:
    return [m.data for m in found if m.type is WSMsgType.TEXT and '"data":{' in m.data]


@pytest.mark.parametrize("pongs", [True, False])
def test_mute_after_some_frames_with_and_without_pongs(lab: Any, pongs: bool) -> None:
    async def go() -> None:
        mute = script.Mute(source="binance-spot", after_frames=3, pongs=pongs)
        async with faulty(lab, "binance-spot", mute) as (connect, _):
            ws = await connect()
            assert len(data_of(await frames(ws, 0.4))) == 3
            await ws.ping(b"there?")
            assert [m.type for m in await frames(ws, 0.3)] == [WSMsgType.PONG] * pongs

    lab.run(go())


def test_half_open_neither_answers_nor_ends(lab: Any) -> None:
    async def go() -> None:
        fault = script.HalfOpen(source="okx-spot", after_frames=1, connects=(1,))
        async with faulty(lab, "okx-spot", fault) as (connect, _):
            ws = await connect()
            await frames(ws, 0.3)
            await ws.send_str("ping")
            assert await frames(ws, 0.3) == []
            second = await connect()
            await second.send_str("ping")
            assert any(m.data == "pong" for m in [await second.receive(1.0) for _ in range(20)])

    lab.run(go())


def test_a_drip_leaves_no_whole_frame_for_long(lab: Any) -> None:
    async def go() -> None:
        async with faulty(lab, "okx-spot", script.Drip(source="*")) as (connect, _):
            assert await frames(await connect(), 0.5) == []
        async with faulty(lab, "okx-spot", script.Drip(source="*", drop_bytes=99)) as (connect, _):
            first = await (await connect()).receive(3.0)
            assert json.loads(first.data)["arg"]["channel"] == "bbo-tbt"

    lab.run(go())


@pytest.mark.parametrize("kind", [script.HugeFrame, script.EndlessFrame])
def test_frames_without_end(lab: Any, kind: type[Fault]) -> None:
    async def go() -> None:
        fault = kind(source="okx-spot")
        server = SimServer(lab.still, sources=["okx-spot"], faults=[fault])
        async with lab.serving(server) as session:
            url = server.endpoints()["okx-spot"][1]
            ws = await session.ws_connect(url, max_msg_size=100_000)
            assert (await ws.receive(3.0)).type in (WSMsgType.ERROR, WSMsgType.CLOSED)
            assert ws.close_code == 1009  # too big, and found before it was whole

    lab.run(go())


def test_accept_then_close_and_close_all_at_once(lab: Any) -> None:
    async def go() -> None:
        early = script.Close(source="okx-spot", connects=(1,), code=1001)
        late = script.Close(source="okx-spot", at_s=0.5, until_s=0.7)
        async with faulty(lab, "okx-spot", early, late) as (connect, _):
            first = await connect()
            await frames(first, 1.0)
            assert first.close_code == 1001
            others = [await connect(), await connect()]
            ends = [(await frames(ws, 1.0))[-1].type for ws in others]
            assert ends == [WSMsgType.CLOSED, WSMsgType.CLOSED]

    lab.run(go())


@pytest.mark.parametrize("source", script.ANNOUNCING)
def test_an_announced_restart(lab: Any, source: str) -> None:
    async def go() -> None:
        fault = script.Restart(source="*", at_s=0.1, notice_s=0.2)
        async with faulty(lab, source, fault, still=True) as (connect, _):
            ws = await connect()
            found = [m.data for m in await frames(ws, 1.0) if m.type is WSMsgType.TEXT]
            notices = ("serverShutdown", '"64008"', '"type":"upgrade"')
            assert sum(any(notice in text for notice in notices) for text in found) == 1
            assert ws.close_code == 1001

    lab.run(go())


# -- in books


async def first_book(lab: Any, source: str, *faults: Fault) -> Any:
    async with faulty(lab, source, *faults, still=True) as (connect, _):
        ws = await connect()
        decoder = ReferenceDecoder(VENUES[source].schema)
        while True:
            message = await ws.receive(3.0)
            data = message.data
            books = decoder.decode(data if isinstance(data, bytes) else data.encode())
            if books:
                return next(iter(books))


def test_books_are_spoiled_as_told(lab: Any) -> None:
    async def go() -> None:
        good = await first_book(lab, "okx-spot")
        for how, spoiled in [
            ("crossed", (good.ask_px, good.bid_px)),
            ("zero", (0.0, good.ask_px)),
            ("locked", (good.bid_px, good.bid_px)),
        ]:
            bad = await first_book(lab, "okx-spot", script.Prices(source="*", how=how))
            assert (bad.bid_px, bad.ask_px) == spoiled
        spike = await first_book(lab, "okx-spot", script.Prices(source="*", how="spike"))
        assert spike.bid_px == pytest.approx(100 * good.bid_px)
        old = await first_book(lab, "okx-spot", script.OldIds(source="*", back=7))
        assert old.update_id == good.update_id - 7
        same = await first_book(lab, "okx-spot", script.OldIds(source="*", from_connect=2))
        assert same.update_id == good.update_id
        ahead = await first_book(lab, "okx-spot", script.Clock(source="*", shift_s=3_600.0))
        assert 3_500e9 < ahead.venue_ns - good.venue_ns < 3_700e9
        seconds = await first_book(lab, "okx-spot", script.Clock(source="*", seconds=True))
        assert seconds.venue_ns % 10**9 == 0  # told in seconds, and read as such
        assert 0 <= seconds.venue_ns - good.venue_ns // 10**9 * 10**9 < 60e9

    lab.run(go())


@pytest.mark.parametrize(("how", "begin"), [("half", b"{"), ("deep", b"[[["), ("bytes", b"\xff")])
def test_garbage(how: Any, begin: bytes) -> None:
    effects = FaultEffects(
        "okx-spot", [script.Garbage(source="*", how=how, every=2)], SimTime(), seed=1
    )
    effects.socket()
    good = b'{"good":1}'
    assert effects.payload("BTC-USDT", good) == good
    sent = effects.payload("BTC-USDT", good)
    assert sent.startswith(begin)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(sent)


# -- in lists and REST


async def n_rows(ask: Callable[[], Any]) -> int:
    return len((await (await ask()).json())["data"])


def test_lists_shrink_lose_and_gain(lab: Any) -> None:
    async def go() -> None:
        async with faulty(lab, "okx-spot") as (_, ask):
            whole = await n_rows(ask)
        async with faulty(lab, "okx-spot", script.Shrink(source="*", share=0.6)) as (_, ask):
            left = await n_rows(ask)
            assert abs((whole - left) - 0.6 * 278) <= 1  # other rows stand beside the 278 pairs
            assert await n_rows(ask) == left
        fault = script.Delist(source="*", symbols=("BTC-USDT",), until_s=0.6)
        async with faulty(lab, "okx-spot", fault) as (_, ask):
            assert await n_rows(ask) == whole - 1
            await asyncio.sleep(0.7)
            assert await n_rows(ask) == whole

    lab.run(go())


def test_refused_is_listed_and_fails_the_batch_as_that_venue_does(lab: Any) -> None:
    async def go() -> None:
        fault = script.Refuse(source="*", symbols=("BTCUSDT",))
        async with faulty(lab, "bybit-futures", fault) as (connect, ask):
            assert '"BTCUSDT"' in await (await ask()).text()
            answer = json.loads((await (await connect()).receive(3.0)).data)
            assert answer["success"] is False
            assert "BTCUSDT" in answer["ret_msg"]

    lab.run(go())


@pytest.mark.parametrize("kind", [script.Freeze, script.Halt])
@pytest.mark.parametrize("source", [source.name for source in SOURCES])
def test_a_frozen_pair_is_silent_and_a_halted_one_is_no_instrument(
    lab: Any, source: str, kind: type[script.Freeze]
) -> None:
    """Its neighbours go on; the venue's own parser drops the halted one from the list."""
    rows = lab.moving.instruments[SOURCE_BY_NAME[source].id]
    silent, neighbour = rows[0].venue_symbol, rows[1].venue_symbol

    async def go() -> None:
        async with faulty(lab, source, kind(source="*", symbols=(silent,))) as (connect, ask):
            heard: set[str] = set()
            ws = await connect()
            decoder = ReferenceDecoder(VENUES[source].schema)
            while neighbour not in heard:
                data = (await ws.receive(5.0)).data
                if isinstance(data, str | bytes):
                    frame = data if isinstance(data, bytes) else data.encode()
                    heard |= {book.symbol for book in decoder.decode(frame) or ()}
            assert silent not in heard
            kind_of = {"okx-spot": "SPOT", "okx-futures": "SWAP"}.get(source, "")
            category = "spot" if source == "bybit-spot" else "linear"
            page = await (await ask(f"category={category}&instType={kind_of}")).read()
            listed = {row.venue_symbol for row in VENUES[source].instruments(page).instruments}
            assert (silent in listed) is (kind is script.Freeze)
            assert neighbour in listed or source == "bybit-futures"  # which may be on page two

    lab.run(go())


def test_rest_faults(lab: Any) -> None:
    async def go() -> None:
        banned = script.Status(source="*", status=418, retry_after_s=7, requests=(1,))
        wall = script.Status(source="*", status=403, html=True, requests=(2,))
        half = script.PartialPage(source="*", requests=(3,))
        async with faulty(lab, "okx-spot", banned, wall, half) as (_, ask):
            first, second, third, fourth = [await ask() for _ in range(4)]
            assert (first.status, first.headers["Retry-After"]) == (418, "7")
            assert (second.status, second.content_type) == (403, "text/html")
            with pytest.raises(json.JSONDecodeError):
                await third.json()
            assert (await fourth.json())["code"] == "0"
        async with faulty(lab, "okx-spot", script.Hang(source="*", hang_s=60)) as (_, ask):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ask()

    lab.run(go())


def test_the_second_page_is_missing(lab: Any) -> None:
    async def go() -> None:
        fault = script.MissingPage(source="*")
        async with faulty(lab, "bybit-futures", fault) as (_, ask):
            page = await (await ask("category=linear&limit=100")).json()
            cursor = page["result"]["nextPageCursor"]
            assert cursor
            assert (await ask(f"category=linear&limit=100&cursor={cursor}")).status == 404

    lab.run(go())
