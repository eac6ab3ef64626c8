"""What an audit asks of the simulators: tickers of all pairs, halts, pushed statuses, maintenance,
answers that lie, and limits. Read as the venues publish them, without spreadscan.venues.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest

from known import LATER, SOURCE_BY_NAME, SOURCES
from scan.sim.conftest import Lab
from spreadscan.clock import now_ns
from spreadscan.sim import Market, SimServer
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault
from spreadscan.sim.market import Series
from spreadscan.sim.pages import PAGES
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.protocols import PROTOCOLS
from spreadscan.sim.universe import REAL
from spreadscan.sim.weights import Weights

TELLING = [name for name, protocol in PROTOCOLS.items() if protocol.status]
ALL = [source.name for source in SOURCES]
BULK: dict[str, tuple[str, dict[str, str]]] = {
    "binance-spot": ("/api/v3/ticker/bookTicker", {}),
    "binance-futures": ("/fapi/v1/ticker/bookTicker", {}),
    "bybit-spot": ("/v5/market/tickers", {"category": "spot"}),
    "bybit-futures": ("/v5/market/tickers", {"category": "linear"}),
    "mexc-spot": ("/api/v3/ticker/bookTicker", {}),
    "mexc-futures": ("/api/v1/contract/ticker", {}),
    "okx-spot": ("/api/v5/market/tickers", {"instType": "SPOT"}),
    "okx-futures": ("/api/v5/market/tickers", {"instType": "SWAP"}),
    "gate-spot": ("/api/v4/spot/tickers", {}),
    "gate-futures": ("/api/v4/futures/usdt/tickers", {}),
}
TOUCH = {  # bid, ask, and the row's own time
    "binance-spot": ("bidPrice", "askPrice", ""),
    "binance-futures": ("bidPrice", "askPrice", "time"),
    "bybit-spot": ("bid1Price", "ask1Price", ""),
    "bybit-futures": ("bid1Price", "ask1Price", ""),
    "mexc-spot": ("bidPrice", "askPrice", ""),
    "mexc-futures": ("bid1", "ask1", ""),
    "okx-spot": ("bidPx", "askPx", "ts"),
    "okx-futures": ("bidPx", "askPx", "ts"),
    "gate-spot": ("highest_bid", "lowest_ask", ""),
    "gate-futures": ("highest_bid", "lowest_ask", ""),
}
TIMED = [name for name, keys in TOUCH.items() if keys[2]]
SHOWS = {  # by default
    "binance-spot": "zeros", "binance-futures": "last", "bybit-spot": "absent",
    "bybit-futures": "absent", "mexc-spot": "zeros", "mexc-futures": "zeros",
    "okx-spot": "empty", "okx-futures": "empty", "gate-spot": "last", "gate-futures": "last",
}  # fmt: skip


class Answer(NamedTuple):
    """One answer over REST, and the simulated times that it lies between."""

    status: int
    headers: Any
    body: bytes
    before_ns: int
    after_ns: int

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Asked:
    """A source that serves, and questions to it."""

    def __init__(self, server: SimServer, session: aiohttp.ClientSession, name: str) -> None:
        self.server = server
        self.name = name
        self.base, self.ws_url = server.endpoints()[name]
        self.session = session

    @property
    def market(self) -> Market:
        return self.server.market

    def series(self, i: int) -> Series:
        return self.market.at(SOURCE_BY_NAME[self.name].id, i)

    def symbol(self, i: int) -> str:
        return self.series(i).symbol

    async def get(self, path: str, **query: str) -> Answer:
        before_ns = self.server.time.done_ns
        async with self.session.get(
            self.base + path, params=query, allow_redirects=False
        ) as answer:
            body = await answer.read()
            after_ns = self.server.time.sim_ns(now_ns())
            return Answer(answer.status, answer.headers, body, before_ns, after_ns)

    async def bulk(self, **more: str) -> Answer:
        path, query = BULK[self.name]
        return await self.get(path, **(query | more))

    async def rows(self, **more: str) -> dict[str, Any]:
        return by_symbol((await self.bulk(**more)).json)

    def touch(self, row: Any) -> tuple[Any, Any]:
        bid, ask, _ = TOUCH[self.name]
        return row[bid], row[ask]

    def tops(self, i: int, from_ns: int, to_ns: int) -> set[tuple[float, float]]:
        """Return what the market showed of a pair in a span of simulated time."""
        s = self.series(i)
        ticks = [self.market.last_tick(s, from_ns)[1]]
        ticks += self.market.tick_times(s.source_id, s.index, from_ns, to_ns)
        books = [self.market.quote(s.source_id, s.index, t) for t in ticks]
        return {(book.bid_px, book.ask_px) for book in books if book}


def by_symbol(page: Any) -> dict[str, Any]:
    rows = page if isinstance(page, list) else page.get("data") or page["result"]["list"]
    keys = ("symbol", "instId", "currency_pair", "contract")
    return {next(row[key] for key in keys if key in row): row for row in rows}


@asynccontextmanager
async def asked(
    lab: Lab, name: str, *faults: Fault, market: Market | None = None
) -> AsyncIterator[Asked]:
    server = SimServer(market or lab.moving, sources=[name], faults=faults)
    async with lab.serving(server) as session:
        yield Asked(server, session, name)


async def until_s(asked: Asked, at_s: float) -> None:
    """Wait until so many seconds after the start."""
    end_ns = asked.server.time.t0_boot_ns + int(at_s * 1e9)
    await asyncio.sleep(max(0.0, (end_ns - now_ns()) * 1e-9))


def number(value: Any) -> float:
    return float(value or 0.0)


def numbers(touch: tuple[Any, Any]) -> tuple[float, float]:
    return number(touch[0]), number(touch[1])


# -- halts


@pytest.mark.parametrize("shows", ["venue", "zeros", "empty", "absent", "last"])
@pytest.mark.parametrize("name", ALL)
def test_a_halted_pair_in_the_tickers(lab: Lab, name: str, shows: Any) -> None:
    """As the venue shows it or as told; its neighbour trades on, and so does it afterwards."""

    async def main() -> None:
        symbol = lab.moving.at(SOURCE_BY_NAME[name].id, 0).symbol
        halt = script.Halt(source="*", symbols=(symbol,), shows=shows, at_s=0.2, until_s=1.2)
        async with asked(lab, name, halt) as it:
            await until_s(it, 0.5)
            answer = await it.bulk()
            rows = by_symbol(answer.json)
            how = SHOWS[name] if shows == "venue" else shows
            assert (how != "absent") == (symbol in rows)
            if how == "last":
                begin = int(0.2e9)
                assert numbers(it.touch(rows[symbol])) in it.tops(0, begin, begin)
                if name in TIMED:
                    ms = int(rows[symbol][TOUCH[name][2]])
                    assert ms <= it.server.time.unix_ns(begin) // 10**6
            elif how != "absent":
                bid, ask = it.touch(rows[symbol])
                assert bid == ask
                assert number(bid) == 0.0
                assert (how == "empty") == (bid in ("", None))
            one = it.symbol(1)
            assert numbers(it.touch(rows[one])) in it.tops(1, answer.before_ns, answer.after_ns)
            await until_s(it, 1.3)
            answer = await it.bulk()
            seen = numbers(it.touch(by_symbol(answer.json)[symbol]))
            assert seen in it.tops(0, answer.before_ns, answer.after_ns)

    lab.run(main())


def test_binance_leaves_out_what_has_another_status(lab: Lab) -> None:
    async def main() -> None:
        name = "binance-spot"
        halted, told = (lab.moving.at(SOURCE_BY_NAME[name].id, i).symbol for i in (0, 1))
        faults = (
            script.Halt(source="*", symbols=(halted,)),
            script.Halt(source="*", symbols=(told,), shows="last"),
        )
        async with asked(lab, name, *faults) as it:
            every = await it.rows()
            trading = await it.rows(symbolStatus="TRADING")
            assert every.keys() - trading.keys() == {halted}
            assert {halted} == (await it.rows(symbolStatus="BREAK")).keys()
            assert {} == await it.rows(symbolStatus="HALT")
            both = orjson.dumps([halted, told]).decode()
            assert {told} == (await it.rows(symbols=both, symbolStatus="TRADING")).keys()
            one = await it.bulk(symbol=halted, symbolStatus="TRADING")
            assert (400, -1220) == (one.status, one.json["code"])
            listed = await it.get(PAGES[name].instruments_path, symbolStatus="TRADING")
            assert halted not in {row["symbol"] for row in listed.json["symbols"]}

    lab.run(main())


def test_mexc_lists_what_is_offline(lab: Lab) -> None:
    async def main() -> None:
        name = "mexc-spot"
        halted, gone = (lab.moving.at(SOURCE_BY_NAME[name].id, i).symbol for i in (0, 1))
        faults = (
            script.Halt(source="*", symbols=(halted,)),
            script.Delist(source="*", symbols=(gone,)),
        )
        async with asked(lab, name, *faults) as it:
            rows = by_symbol((await it.get("/api/v3/symbol/offline")).json)
            assert (2, 3) == (rows[halted]["state"], rows[gone]["state"])
            assert it.symbol(2) not in rows

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_the_tickers_of_a_frozen_pair_move_with_the_market(lab: Lab, name: str) -> None:
    async def main() -> None:
        symbol = lab.moving.at(SOURCE_BY_NAME[name].id, 0).symbol
        async with asked(lab, name, script.Freeze(source="*", symbols=(symbol,))) as it:
            seen = set()
            while len(seen) < 3:
                answer = await it.bulk()
                top = numbers(it.touch(by_symbol(answer.json)[symbol]))
                assert top in it.tops(0, answer.before_ns, answer.after_ns)
                seen.add(top)
                await asyncio.sleep(0.05)

    lab.run(main())


# -- statuses by push

FOLLOW: dict[str, tuple[str, Any]] = {  # path, request
    "binance-futures": (
        "/market/stream",
        {"method": "SUBSCRIBE", "params": ["!contractInfo"], "id": 1},
    ),
    "mexc-futures": ("/edge", {"method": "sub.contract"}),
    "okx-spot": (
        "/ws/v5/public",
        {"op": "subscribe", "args": [{"channel": "instruments", "instType": "SPOT"}]},
    ),
    "okx-futures": (
        "/ws/v5/public",
        {"op": "subscribe", "args": [{"channel": "instruments", "instType": "SWAP"}]},
    ),
}
WORDS: dict[str, tuple[Any, Any, Any]] = {  # halted, gone, trading
    "binance-futures": ("SETTLING", "CLOSE", "TRADING"),
    "mexc-futures": (4, 3, 0),
    "okx-spot": ("suspend", "expired", "live"),
    "okx-futures": ("suspend", "expired", "live"),
}


def told(name: str, frame: Any) -> list[tuple[str, Any]]:
    """Return (symbol, status) of a frame of the channel, [] of any other."""
    if not isinstance(frame, dict) or "data" not in frame:
        return []
    if name == "binance-futures":
        event = frame["data"]
        assert (frame["stream"], event["e"], event["st"]) == ("!contractInfo", "contractInfo", 1)
        return [(event["s"], event["cs"])]
    if name == "mexc-futures":
        is_push = frame["channel"] == "push.contract"
        return [(frame["data"]["symbol"], frame["data"]["state"])] if is_push else []
    assert frame["arg"] == FOLLOW[name][1]["args"][0]
    return [(row["instId"], row["state"]) for row in frame["data"]]


@pytest.mark.parametrize("name", TELLING)
def test_statuses_are_pushed_when_they_change_and_sometimes_when_not(lab: Lab, name: str) -> None:
    async def main() -> None:
        halted, gone = (lab.moving.at(SOURCE_BY_NAME[name].id, i).symbol for i in (0, 1))
        faults = (
            script.Halt(source="*", symbols=(halted,), at_s=0.4, until_s=0.8),
            script.Delist(source="*", symbols=(gone,), at_s=0.5, until_s=0.9),
        )
        async with asked(lab, name, *faults) as it:
            path, request = FOLLOW[name]
            base = it.ws_url[: it.ws_url.index("/", len("ws://"))]
            ws = await it.session.ws_connect(base + path)
            await ws.send_json(request)
            found: list[tuple[str, Any]] = []
            others: list[tuple[str, Any]] = []
            while len(found) < 4 or not others:
                for symbol, state in told(name, await ws.receive_json()):
                    (found if symbol in (halted, gone) else others).append((symbol, state))
            is_halted, is_gone, trades = WORDS[name]
            assert found[:4] == [
                (halted, is_halted), (gone, is_gone), (halted, trades), (gone, trades),
            ]  # fmt: skip
            listed = (await it.get(PAGES[name].instruments_path, instType="SPOT")).body
            listed += (await it.get(PAGES[name].instruments_path, instType="SWAP")).body
            assert others[0][0].encode() in listed

    lab.run(main())


def test_a_channel_is_where_the_venue_has_it(lab: Lab) -> None:
    """Binance's is on /market alone, and acknowledged elsewhere; raw sockets get it bare."""

    async def main() -> None:
        name = "binance-futures"
        symbol = lab.still.at(SOURCE_BY_NAME[name].id, 0).symbol
        halt = script.Halt(source="*", symbols=(symbol,), at_s=0.3)
        async with asked(lab, name, halt, market=lab.still) as it:
            base = it.ws_url[: it.ws_url.index("/", len("ws://"))]
            elsewhere = await it.session.ws_connect(base + "/public/stream")
            await elsewhere.send_json(FOLLOW[name][1])
            raw = await it.session.ws_connect(base + "/market/ws/!contractInfo")
            event = await raw.receive_json()
            assert (symbol, "SETTLING") == (event["s"], event["cs"])
            assert {"result": None, "id": 1} == await elsewhere.receive_json()
            with pytest.raises(TimeoutError):
                await elsewhere.receive_json(timeout=0.3)

    lab.run(main())


def test_unknown_arguments_are_refused_as_the_venue_does(lab: Lab) -> None:
    async def main() -> None:
        async with asked(lab, "okx-spot", market=lab.still) as it:
            ws = await it.session.ws_connect(it.ws_url)
            for kind in ("SPOT", "STOCK"):
                args = [{"channel": "instruments", "instType": kind}]
                await ws.send_json({"op": "subscribe", "args": args})
            good, bad = await ws.receive_json(), await ws.receive_json()
            assert ("subscribe", "SPOT") == (good["event"], good["arg"]["instType"])
            assert ("error", "60018") == (bad["event"], bad["code"])
            assert "channel:instruments,instType:STOCK doesn't exist" in bad["msg"]
            await ws.send_json({"op": "subscribe", "args": [{"channel": "instruments"}]})
            assert "60012" == (await ws.receive_json())["code"]
        async with asked(lab, "mexc-futures", market=lab.still) as it:
            ws = await it.session.ws_connect(it.ws_url)
            await ws.send_json({"method": "sub.contracts"})
            await ws.send_json({"method": "sub.contract"})
            assert "rs.sub.contract" == (await ws.receive_json())["channel"]

    lab.run(main())


# -- maintenance


@pytest.mark.parametrize("name", script.MAINTAINED)
def test_a_maintenance_is_announced_runs_and_is_over(lab: Lab, name: str) -> None:
    async def main() -> None:
        fault = script.Maintenance(source="*", title="Upgrade", begin_s=0.6, end_s=1.2, at_s=0.3)
        async with asked(lab, name, fault, market=lab.still) as it:
            found = []
            for at_s in (0.0, 0.35, 0.75, 1.35):
                await until_s(it, at_s)
                found.append(await own_works(it))
            began_ms = it.server.time.t0_unix_ns // 10**6 + 600
            expected: list[Any] = [[], "scheduled", "ongoing", "completed"]
            if name == "binance-spot":
                assert [(0, "normal"), (0, "normal"), (1, "system_maintenance"), (0, "normal")] == (
                    found
                )
                return
            told = [work and [(work["state"], work["begin"], work["end"])] for work in found]
            times = (str(began_ms), str(began_ms + 600))
            expected = [state and [(state, *times)] for state in expected]
            if name.startswith("okx"):
                expected[3] = []  # no page without state= tells what is over
            assert expected == told

    async def own_works(it: Asked) -> Any:
        path = {"binance": "/sapi/v1", "bybit": "/v5", "okx": "/api/v5"}[name.partition("-")[0]]
        it.server.exchanges[name].counters.weights = Weights(name)  # OKX allows it each 5 s
        page = (await it.get(f"{path}/system/status")).json
        if name == "binance-spot":
            return page["status"], page["msg"]
        rows = page["data"] if name.startswith("okx") else page["result"]["list"]
        if name.startswith("bybit"):
            assert {("completed", 1), ("canceled", 1), ("ongoing", 2)} <= {
                (row["state"], row["env"]) for row in rows
            }
        return next((row for row in rows if row["title"] == "Upgrade"), [])

    lab.run(main())


def test_okx_tells_what_is_over_where_it_is_asked_for(lab: Lab) -> None:
    async def main() -> None:
        async with asked(lab, "okx-spot", market=lab.still) as it:
            page = await it.get("/api/v5/system/status", state="canceled")
            assert [("canceled", "1")] == [(r["state"], r["env"]) for r in page.json["data"]]

    lab.run(main())


# -- answers that lie


@pytest.mark.parametrize("row_times", ["old", "now"])
@pytest.mark.parametrize("name", ALL)
def test_a_stale_answer_is_the_market_as_it_was(lab: Lab, name: str, row_times: Any) -> None:
    async def main() -> None:
        fault = script.Stale(source="*", age_s=30.0, row_times=row_times)
        async with asked(lab, name, fault) as it:
            await until_s(it, 0.3)
            began_ms = time.time_ns() // 10**6
            answer = await it.bulk()
            took_ms = time.time_ns() // 10**6 - began_ms
            rows = by_symbol(answer.json)
            old = range(20)
            for i in old:
                span = answer.before_ns - 30 * 10**9, answer.after_ns - 30 * 10**9
                assert numbers(it.touch(rows[it.symbol(i)])) in it.tops(i, *span)
            ages = []
            if name in TIMED:
                ages = [began_ms - int(rows[it.symbol(i)][TOUCH[name][2]]) for i in old]
            elif name.startswith("bybit"):
                ages = [began_ms - answer.json["time"]]
            low = 30_000 if row_times == "old" else 0
            assert all(low - took_ms - 20 <= age <= low + 7_000 for age in ages)

    lab.run(main())


def test_a_stale_answer_does_not_know_of_a_halt(lab: Lab) -> None:
    async def main() -> None:
        symbol = lab.moving.at(SOURCE_BY_NAME["okx-spot"].id, 0).symbol
        halt = script.Halt(source="*", symbols=(symbol,))
        stale = [script.Stale(source="*", age_s=9.0, page=page) for page in ("tickers", "ask")]
        async with asked(lab, "okx-spot", halt, stale[0]) as it:
            assert number(it.touch((await it.rows())[symbol])[0])
            one = (await it.get("/api/v5/market/ticker", instId=symbol)).json["data"][0]
            assert ("", "") == it.touch(one)
        async with asked(lab, "okx-spot", halt, stale[1]) as it:
            assert ("", "") == it.touch((await it.rows())[symbol])

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_a_cached_answer_is_given_to_all_until_the_next(lab: Lab, name: str) -> None:
    async def main() -> None:
        async with asked(lab, name, script.Cached(source="*", age_s=0.8)) as it:
            await until_s(it, 0.9)
            first = await it.bulk()
            await until_s(it, 1.4)
            assert first.body == (await it.bulk()).body
            await until_s(it, 1.7)
            assert first.body != (await it.bulk()).body

    lab.run(main())


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_missing_rows_leave_a_whole_answer(lab: Lab, name: str, same: bool) -> None:
    async def main() -> None:
        fault = script.MissingRows(source="*", share=0.3, same=same, requests=(2, 3))
        async with asked(lab, name, fault, market=lab.still) as it:
            whole, once, again = [await it.rows() for _ in range(3)]
            assert len(once) == pytest.approx(0.7 * len(whole), rel=0.1)
            assert once.keys() < whole.keys()
            assert same == (once.keys() == again.keys())
            assert all(row == whole[symbol] for symbol, row in once.items())

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_a_row_that_is_kept_stays_old_among_others(lab: Lab, name: str) -> None:
    async def main() -> None:
        kept = lab.moving.at(SOURCE_BY_NAME[name].id, 0).symbol
        fault = script.KeptRows(source=name, age_s=1.0, symbols=(kept,))
        async with asked(lab, name, fault) as it:
            first = await it.rows()
            await asyncio.sleep(0.6)
            second = await it.rows()
            assert first[kept] == second[kept]
            assert first != second
            await asyncio.sleep(0.6)
            assert first[kept] != (await it.rows())[kept]

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_single_rows_are_doubled_and_dated_otherwise(lab: Lab, name: str) -> None:
    ms = TOUCH[name][2]

    async def main() -> None:
        one = lab.still.at(SOURCE_BY_NAME[name].id, 0).symbol
        faults = (
            script.RowClock(source=name, shift_s=3_600.0, symbols=(one,), requests=(2,)),
            script.DoubleRows(source=name, symbols=(one,), requests=(3,)),
        )
        async with asked(lab, name, *faults, market=lab.still) as it:
            whole, dated = await it.rows(), await it.rows()
            others = [symbol for symbol in whole if symbol != one]
            assert [whole[symbol] for symbol in others] == [dated[symbol] for symbol in others]
            assert it.touch(whole[one]) == it.touch(dated[one])
            if ms:
                assert 3_600_000 == int(dated[one][ms]) - int(whole[one][ms])
            page = (await it.bulk()).json
            double = page if isinstance(page, list) else page.get("data") or page["result"]["list"]
            assert len(whole) + 1 == len(double)
            (book, none) = [row for row in double if one in row.values()]
            assert it.touch(whole[one]) == it.touch(book)
            assert (0.0, 0.0) == tuple(map(float, it.touch(none)))

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_wrong_shapes(lab: Lab, name: str) -> None:
    shapes = (
        "other_venue", "html", "redirect", "half", "text", "numbers", "empty_list", "error_body",
    )  # fmt: skip
    faults = [
        script.WrongShape(source="*", how=how, requests=(n,))  # type: ignore[arg-type]
        for n, how in enumerate(shapes, 2)
    ]

    async def main() -> None:
        async with asked(lab, name, *faults, market=lab.still) as it:
            whole = await it.bulk()
            found = {how: await it.bulk() for how in shapes}
            good = by_symbol(whole.json)
            assert {found[how].status for how in shapes if how != "redirect"} == {200}
            assert TOUCH[name][0].encode() not in found["other_venue"].body
            assert len(by_symbol(found["other_venue"].json)) > 200
            assert found["html"].headers["Content-Type"].startswith("text/html")
            assert 302 == found["redirect"].status
            half = by_symbol(found["half"].json)
            assert list(half) == list(good)[: len(good) // 2]
            for how, kind in (("text", str), ("numbers", float)):
                rows = by_symbol(found[how].json)
                assert rows.keys() == good.keys()
                row = it.touch(rows[it.symbol(0)])
                assert kind is type(row[0]) or (kind is float and isinstance(row[0], int))
                assert numbers(row) == numbers(it.touch(good[it.symbol(0)]))
            empty = found["empty_list"].json
            rows = empty if isinstance(empty, list) else empty.get("data")
            assert [] == (empty["result"]["list"] if rows is None else rows)
            error = found["error_body"].json
            assert not isinstance(error, list)
            code = error.get("code", error.get("retCode", error.get("label")))
            assert code not in (0, "0", None)

    lab.run(main())


@pytest.mark.parametrize("name", ALL)
def test_a_clock_is_off_on_every_page(lab: Lab, name: str) -> None:
    async def main() -> None:
        async with asked(lab, name, script.PageClock(source="*", shift_s=-300.0)) as it:
            now = str(time.time_ns() // 10**6 - 300_000)[:-4].encode()
            later = str(time.time_ns() // 10**6 - 290_000)[:-4].encode()
            page = (await it.get(PAGES[name].time_path)).body
            assert now in page or later in page
            rows = await it.rows()
            if name in TIMED:
                ms = int(rows[it.symbol(0)][TOUCH[name][2]])
                assert -310_000 < ms - time.time_ns() // 10**6 < -299_000

    lab.run(main())


def test_what_befalls_pages_befalls_tickers_and_questions_apart(lab: Lab) -> None:
    async def main() -> None:
        wall = script.Status(source="*", status=503, page="tickers", requests=(1,))
        half = script.PartialPage(source="*", page="ask")
        slow = script.Hang(source="*", page="tickers", requests=(2,), hang_s=60.0)
        async with asked(lab, "bybit-futures", wall, half, slow, market=lab.still) as it:
            assert 503 == (await it.bulk()).status
            with pytest.raises(orjson.JSONDecodeError):
                _ = (await it.bulk(symbol=it.symbol(0))).json
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await it.bulk()
            assert it.symbol(0) in await it.rows()

    lab.run(main())


# -- limits

HEAVY: dict[str, tuple[str, dict[str, str], int]] = {  # a page and how many of it fit in a window
    "binance-spot": ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"}, 24),
    "binance-futures": ("/fapi/v1/ticker/24hr", {}, 60),
    "bybit-spot": ("/v5/market/time", {}, 600),
    "bybit-futures": ("/v5/market/time", {}, 600),
    "mexc-spot": ("/api/v3/exchangeInfo", {}, 12),
    "mexc-futures": ("/api/v1/contract/ticker", {"symbol": "BTC_USDT"}, 20),
    "okx-spot": ("/api/v5/system/status", {}, 1),
    "okx-futures": ("/api/v5/public/instruments", {"instType": "SWAP"}, 20),
    "gate-spot": ("/api/v4/spot/time", {}, 200),
    "gate-futures": ("/api/v4/spot/time", {}, 200),
}
REFUSED: dict[str, tuple[int, str, Any]] = {
    "binance": (429, "code", -1003),
    "bybit": (200, "retCode", 10006),
    "mexc-spot": (429, "code", 429),
    "mexc-futures": (200, "code", 510),
    "okx": (429, "code", "50011"),
    "gate": (429, "label", "TOO_MANY_REQUESTS"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_request_beyond_the_limit_is_refused_in_the_venues_words(lab: Lab, name: str) -> None:
    async def main() -> None:
        path, query, n = HEAVY[name]
        async with asked(lab, name, market=lab.still) as it:
            weights = it.server.counters()[name].weights
            answers = [await it.get(path, **query)]
            while not weights.refused:
                answers.append(await it.get(path, **query))
            assert n < len(answers) <= 2 * n + 1  # a window may have begun in between
            *good, last = answers
            status, key, code = REFUSED.get(name) or REFUSED[name.partition("-")[0]]
            assert (status, code) == (last.status, last.json[key])
            assert ("Retry-After" in last.headers) == (name[:4] == "bina" or name == "mexc-spot")
            assert {200} == {answer.status for answer in good}
            assert {path: len(answers)} == weights.asked
            told = (await it.get("/sim")).json
            assert {"asked", "limits", "most", "over", "refused"} == told["weights"].keys()
            for key in told["weights"]:
                assert getattr(weights, key) == told["weights"][key]
            assert (1, 1) == (weights.over, weights.refused)
            (pool,) = weights.limits
            assert weights.most[pool] > weights.limits[pool]

    lab.run(main(), 30.0)


def test_what_is_spent_is_told_in_headers(lab: Lab) -> None:
    """Binance's book tickers on USD-M leave their own weight out."""

    async def main() -> None:
        key = "X-MBX-USED-WEIGHT-1M"
        async with asked(lab, "binance-spot", market=lab.still) as it:
            first = int((await it.bulk()).headers[key])
            assert (4, 8) == (first, int((await it.bulk()).headers[key]))
        async with asked(lab, "binance-futures", market=lab.still) as it:
            assert ["0", "5"] == [(await it.bulk()).headers[key] for _ in range(2)]
        async with asked(lab, "bybit-spot", market=lab.still) as it:
            headers = (await it.bulk()).headers
            assert ("600", "599") == (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"])

    lab.run(main())


@pytest.mark.parametrize(
    ("name", "path", "query", "weight"),
    [
        ("binance-spot", "/api/v3/ticker/bookTicker", {"symbol": "A"}, 2),
        ("binance-spot", "/api/v3/ticker/bookTicker", {"symbols": '["A","B"]'}, 4),
        ("binance-spot", "/api/v3/exchangeInfo", {}, 20),
        ("binance-spot", "/api/v3/ticker/24hr", {}, 80),
        ("binance-spot", "/api/v3/time", {}, 1),
        ("binance-futures", "/fapi/v1/ticker/bookTicker", {}, 5),
        ("binance-futures", "/fapi/v1/ticker/bookTicker", {"symbol": "A"}, 2),
        ("binance-futures", "/fapi/v1/exchangeInfo", {}, 1),
        ("mexc-spot", "/api/v3/exchangeInfo", {}, 25),
        ("mexc-spot", "/api/v3/ticker/bookTicker", {"symbol": "A"}, 10),
        ("bybit-spot", "/v5/market/tickers", {}, 1),
    ],
)
def test_weights_are_the_published_ones(
    name: str, path: str, query: dict[str, str], weight: int
) -> None:
    weights = Weights(name)
    assert weight == weights.spend(path, query, 0.0).used
    assert 2 * weight == weights.spend(path, query, 4.9).used
    assert weight == weights.spend(path, query, 60.0).used
    assert {"host": 2 * weight} == weights.most


def test_paths_have_pools_of_their_own_where_the_venue_counts_so() -> None:
    okx = Weights("okx-spot")
    for kind in ("SPOT", "SWAP"):
        for _ in range(20):
            assert not okx.spend("/api/v5/public/instruments", {"instType": kind}, 0.0).refused
    assert okx.spend("/api/v5/public/instruments", {"instType": "SPOT"}, 1.9).refused
    assert not okx.spend("/api/v5/public/instruments", {"instType": "SPOT"}, 2.0).refused


def test_a_limit_of_one_is_counted_before_it_is_refused() -> None:
    """Discoveries that follow on each other get their lists."""
    mexc = Weights("mexc-futures")
    spent = [mexc.spend("/api/v1/contract/detail", {}, 0.0) for _ in range(21)]
    assert [20] == [n for n, one in enumerate(spent) if one.refused]
    assert (20, 1) == (mexc.over, mexc.refused)


# -- at real size


def test_others_have_their_turn_while_a_long_page_is_made(lab: Lab) -> None:
    async def main() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        page = Rows([str(n) for n in range(2_000)], lambda s: {"symbol": s}, orjson.dumps)
        assert page.body() == await page.in_pieces()
        counting.cancel()
        assert turns >= 20

    lab.run(main())


def test_real_tickers_are_as_long_as_the_venues(lab: Lab) -> None:
    """Pairs that nobody here trades stand in them, too."""

    async def main() -> None:
        market = Market(seed=1, shape=REAL, also=LATER)
        server = SimServer(market)
        async with lab.serving(server) as session:
            for source in SOURCES:
                rows = await Asked(server, session, source.name).rows()
                ours = {row.venue_symbol for row in market.instruments[source.id]}
                assert ours < rows.keys()
                assert len(rows) <= REAL.rows[source.name] + 1  # and a dated contract
            binance = Asked(server, session, "binance-spot")
            every, trading = await binance.rows(), await binance.rows(symbolStatus="TRADING")
            assert REAL.rows["binance-spot"] == len(every) > 2 * len(trading)
            resting = [row for symbol, row in every.items() if symbol not in trading]
            assert {("0.00000000", "0.00000000")} == {*map(binance.touch, resting)}

    lab.run(main(), 30.0)
