"""Instrument lists over REST: pages, tries, pauses, and errors that become words."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from scan.discovery.kit import NOBODY, Reply, Rest, run
from spreadscan.config import Config, Discovery, VenueSettings
from spreadscan.discovery import fetch as fetch_module
from spreadscan.discovery.fetch import Fetched, fetch
from spreadscan.venues import VENUES, base


def okx_page(*names: str, **extra: Any) -> bytes:
    rows = [
        {"instId": f"{name}-USDT", "baseCcy": name, "quoteCcy": "USDT", "instType": "SPOT"}
        | {"state": "live", "tickSz": "0.1", "lotSz": "0.01", "minSz": "1", **extra}
        for name in names
    ]
    return json.dumps({"code": "0", "data": rows, "msg": ""}).encode()


def bybit_page(cursor: str, *names: str) -> bytes:
    rows = [
        {"symbol": f"{name}USDT", "baseCoin": name, "quoteCoin": "USDT", "settleCoin": "USDT"}
        | {"status": "Trading", "contractType": "LinearPerpetual"}
        for name in names
    ]
    return json.dumps({"retCode": 0, "result": {"list": rows, "nextPageCursor": cursor}}).encode()


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bans go to a folder of the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses between tries, which take no time here."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(
        fetch_module, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout)
    )
    return pauses


def fetched(
    name: str, *replies: Reply, url: str = "", at_least: int = 0, **settings: Any
) -> tuple[Fetched, list[str]]:
    async def main() -> tuple[Fetched, list[str]]:
        async with Rest(*(replies or (Reply(),))) as server, aiohttp.ClientSession() as session:
            config = Config(
                venues={name: VenueSettings(rest_url=url or server.url)},
                discovery=Discovery(**{"majors": (), "tries": 3} | settings),
            )
            is_short = lambda trading, halts: trading["USDT"] < at_least  # noqa: E731
            return await fetch(session, VENUES[name], config, is_short), server.asked

    result: tuple[Fetched, list[str]] = run(main(), 20.0)
    return result


def names_of(found: Fetched) -> list[str]:
    return [instrument.venue_symbol for instrument in found.instruments]


def test_a_list_in_one_page() -> None:
    found, asked = fetched("okx-spot", Reply(okx_page("A", "B")))
    assert (["A-USDT", "B-USDT"], "", {}) == (names_of(found), found.error, found.skipped)
    assert ["/api/v5/public/instruments?instType=SPOT"] == asked


def test_pages_are_followed_with_their_cursor_as_it_came() -> None:
    cursor = "first%3DA%26x%3D"
    found, asked = fetched(
        "bybit-futures", Reply(bybit_page(cursor, "A", "B")), Reply(bybit_page("", "C"))
    )
    assert ["AUSDT", "BUSDT", "CUSDT"] == names_of(found)
    path = "/v5/market/instruments-info?category=linear&limit=1000"
    assert [path, f"{path}&cursor={cursor}"] == asked


def test_a_cursor_that_comes_again_ends_the_list() -> None:
    found, asked = fetched(
        "bybit-futures", Reply(bybit_page("x", "A")), Reply(bybit_page("x", "B"))
    )
    assert (2, "") == (len(asked), found.error)
    assert ["AUSDT", "BUSDT"] == names_of(found)


def test_a_list_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LIST_PAGES_MAX", 4)
    pages = [Reply(bybit_page(f"c{i}", f"A{i}")) for i in range(10)]
    found, asked = fetched("bybit-futures", *pages)
    assert (4, "bybit-futures: more than 4 pages", []) == (
        len(asked),
        found.error,
        found.instruments,
    )


def test_a_missing_second_page_begins_the_list_anew(slept: list[float]) -> None:
    first, bad = Reply(bybit_page("x", "A")), Reply(status="500 Oops")
    found, asked = fetched("bybit-futures", first, bad, first, Reply(bybit_page("", "B")))
    assert (["AUSDT", "BUSDT"], "", [0.5]) == (names_of(found), found.error, slept)
    first_page, second_page = asked[:2]
    assert [first_page, second_page] * 2 == asked
    found, asked = fetched("bybit-futures", first, bad, first, bad, tries=2)
    assert (4, []) == (len(asked), found.instruments)
    assert "HTTP 500" in found.error


@pytest.mark.parametrize("comes", [True, False])
def test_an_empty_second_page_is_asked_again_and_taken_in_the_end(
    slept: list[float], comes: bool
) -> None:
    first, empty = Reply(bybit_page("x", "A")), Reply(bybit_page(""))
    second = Reply(bybit_page("", "B")) if comes else empty
    found, asked = fetched("bybit-futures", first, empty, first, second, first, second)
    names, pauses = (["AUSDT", "BUSDT"], [0.5]) if comes else (["AUSDT"], [0.5, 1.0])
    assert (names, "", pauses) == (names_of(found), found.error, slept)
    assert 2 + 2 * len(pauses) == len(asked)


def test_rows_of_a_try_that_failed_are_counted_once(slept: list[float]) -> None:
    page = json.loads(bybit_page("x", "A"))
    page["result"]["list"].append({})
    first = Reply(json.dumps(page).encode())
    found, _ = fetched(
        "bybit-futures", first, Reply(b""), first, Reply(bybit_page("", "B")), tries=2
    )
    assert (["AUSDT", "BUSDT"], {"missing_field": 1}) == (names_of(found), found.skipped)


def test_rows_left_out_are_counted_by_reason() -> None:
    page = json.loads(okx_page("A"))
    page["data"] += json.loads(okx_page("B", state="suspend"))["data"]
    page["data"] += [{**page["data"][0], "quoteCcy": "USDC"}, {}]
    found, _ = fetched("okx-spot", Reply(json.dumps(page).encode()))
    assert ["A-USDT"] == names_of(found)
    assert {"not_trading": 1, "other_quote": 1, "missing_field": 1} == dict(found.skipped)
    assert ["missing_field: instId"] == list(found.incomplete.values())


@pytest.mark.parametrize("rows", [(), ("suspended",)])
def test_a_list_of_nothing_is_an_outage(rows: tuple[str, ...], slept: list[float]) -> None:
    found, asked = fetched("okx-spot", Reply(okx_page(*rows, state="suspend")))
    assert "okx-spot: lists no pair that trades, expected some" == found.error
    assert 3 == len(asked)


GOOD = Reply(okx_page("A"))
WHOLE = okx_page("A", "B")


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status="500 Oops"),
        Reply(status="503 Busy", kind="text/html", body=b"<html>"),
        Reply(kind="text/html", body=b"<html>just a moment"),
        Reply(b'{"code": "50013", "msg": "Systems are busy", "data": []}'),
        Reply(status="429 Slow", headers=("Retry-After: 0",)),
        Reply(WHOLE[: len(WHOLE) // 2]),
        Reply(b""),
        Reply(b"{}"),
        Reply(b"[1, 2]"),
        Reply(b'{"code": "0", "data": 5}'),
        Reply(b'{"a": ' * 100_000),
        Reply(okx_page()),
        Reply(okx_page("A", state="suspend")),
        Reply(okx_page("B")),
    ],
    ids=["500", "503", "html", "error in 200", "429", "half", "empty", "{}", "list", "no list",
         "too deep", "no row", "all halted", "a major missing"],
)  # fmt: skip
def test_what_is_no_whole_list_is_asked_again_with_growing_pauses(
    slept: list[float], bad: Reply
) -> None:
    found, asked = fetched("okx-spot", bad, bad, GOOD, majors=("A",))
    assert (["A-USDT"], 3, "") == (names_of(found), len(asked), found.error)
    assert [0.5, 1.0] <= slept <= [9.0, 9.0]  # a rate limit may ask for more
    slept.clear()
    found, asked = fetched("okx-spot", bad, bad, bad, GOOD, majors=("A",))
    assert ([], 3) == (found.instruments, len(asked))
    assert found.error
    assert 2 == len(slept)


def test_pauses_are_those_configured_and_the_last_repeats(slept: list[float]) -> None:
    _, asked = fetched("okx-spot", Reply(status="500 Oops"), tries=6)
    assert 6 == len(asked)
    assert [0.5, 1.0, 2.0, 4.0, 4.0] == slept
    slept.clear()
    fetched("okx-spot", Reply(status="500 Oops"), tries=3, backoff_ms=(7.0,))
    assert [0.007, 0.007] == slept


def test_a_time_out_and_a_refused_connection_are_tried_again(slept: list[float]) -> None:
    found, asked = fetched("okx-spot", Reply(hang=True), GOOD, rest_timeout_s=0.2)
    assert (["A-USDT"], 2) == (names_of(found), len(asked))
    found, _ = fetched("okx-spot", url=f"http://{NOBODY}")
    assert f"http://{NOBODY}/api/v5" in found.error
    assert [0.5, 0.5, 1.0] == slept


def test_retry_after_is_honoured_if_it_is_short() -> None:
    started = time.monotonic()
    found, asked = fetched("okx-spot", Reply(status="429 Slow", headers=("Retry-After: 1",)), GOOD)
    assert (["A-USDT"], 2) == (names_of(found), len(asked))
    assert time.monotonic() - started >= 1.0
    found, asked = fetched(
        "okx-spot", Reply(status="418 Banned", headers=("Retry-After: 120",)), GOOD
    )
    assert 1 == len(asked)  # not asked again within a ban
    assert "HTTP 418, retry after 120 s" in found.error


def test_whose_timer_runs_ahead_sends_nothing_within_the_ban(slept: list[float]) -> None:
    slow = Reply(status="429 Slow", headers=("Retry-After: 3",))
    found, asked = fetched("okx-spot", slow, GOOD)  # the pauses take no time here
    assert (1, 2) == (len(asked), len(slept))
    assert 3.01 == slept[0]
    assert "left alone until" in found.error


def test_a_restart_within_a_ban_sends_nothing_and_says_until_when() -> None:
    banned = Reply(status="418 Banned", headers=("Retry-After: 120",))

    async def main() -> tuple[str, int]:
        async with Rest(Reply(status="429 Slow", headers=("Retry-After: 1",)), banned) as server:
            config = Config(venues={"okx-spot": VenueSettings(rest_url=server.url)})
            for _ in range(3):  # each as a run of its own: only the file tells it
                async with aiohttp.ClientSession() as session:
                    found = await fetch(session, VENUES["okx-spot"], config)
            return found.error, len(server.asked)

    error, asked = run(main(), 20.0)
    assert 2 == asked
    assert re.search(r"left alone until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*HTTP 418", error)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status="404 Not Found"), "HTTP 404"),
        (Reply(status="451 No", body=b"{}"), "refuses your address"),
    ],
)
def test_what_will_not_change_is_not_asked_again(
    slept: list[float], reply: Reply, said: str
) -> None:
    found, asked = fetched("okx-spot", reply, GOOD)
    assert said in found.error
    assert (1, [], []) == (len(asked), slept, found.instruments)


def test_a_rest_url_may_end_with_a_slash() -> None:
    async def main() -> list[str]:
        async with Rest(GOOD) as server, aiohttp.ClientSession() as session:
            config = Config(
                venues={"okx-spot": VenueSettings(rest_url=server.url + "/")},
                discovery=Discovery(majors=()),
            )
            await fetch(session, VENUES["okx-spot"], config)
            return server.asked

    assert ["/api/v5/public/instruments?instType=SPOT"] == run(main())


# -- a list that cannot be whole


def test_a_list_that_is_shorter_than_it_was_is_asked_again_and_taken_in_the_end(
    slept: list[float],
) -> None:
    short, whole = Reply(okx_page("A")), Reply(okx_page("A", "B", "C"))
    found, asked = fetched("okx-spot", short, whole, at_least=3)
    assert (3, "", 2) == (len(found.instruments), found.error, len(asked))
    found, asked = fetched("okx-spot", short, at_least=2)
    assert (1, "", 3) == (len(found.instruments), found.error, len(asked))


def test_a_rate_limit_that_ends_after_the_limit_of_the_list_is_not_waited_for() -> None:
    slow = Reply(status="429 Slow", headers=("Retry-After: 30",))
    found, asked = fetched("okx-spot", slow, GOOD, list_limit_s=20.0)
    assert 1 == len(asked)
    assert "retry after 30 s" in found.error


def test_a_list_without_a_major_is_an_error_that_names_it() -> None:
    page = Reply(okx_page("BTC", "ETH", "DOGE"))
    majors = ("BTC", "ETH", "SOL", "XRP")
    found, _ = fetched("okx-spot", page, majors=majors, tries=1)
    assert [] == found.instruments
    assert (
        "okx-spot: lists 3 pairs, but not SOL, XRP in USDT: expected every one of "
        "discovery.majors; a page or more is missing, or trading in them is halted"
    ) == found.error
    found, _ = fetched("okx-spot", page, majors=("BTC", "ETH"))
    assert (3, "") == (len(found.instruments), found.error)


def test_a_major_counts_under_any_multiplier() -> None:
    found, _ = fetched("bybit-futures", Reply(bybit_page("", "1000PEPE")), majors=("PEPE",))
    assert "" == found.error


def test_the_cursor_of_a_second_page_that_is_lost_loses_a_major() -> None:
    """The tail of the alphabet is on page 2: XRP is there."""
    first = bybit_page("page2", "BTC", "ETH", "SOL")
    majors = ("BTC", "ETH", "SOL", "XRP")
    found, _ = fetched("bybit-futures", Reply(first), Reply(bybit_page("", "XRP")), majors=majors)
    assert "" == found.error
    cut = Reply(first.replace(b"page2", b""))
    found, asked = fetched("bybit-futures", cut, majors=majors, tries=1)
    assert 1 == len(asked)
    assert "bybit-futures: lists 3 pairs, but not XRP" in found.error


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (Reply(status="500 Oops"), "HTTP 500"),
        (Reply(status="404 Not Found"), "HTTP 404, expected 200"),
        (Reply(b'{"retCode": 10001, "retMsg": "cursor"}'), "10001 cursor"),
        (Reply(hang=True), "no answer within 0.3 s"),
    ],
)
def test_a_second_page_that_does_not_come_fails_the_source(second: Reply, said: str) -> None:
    first = Reply(bybit_page("page2", "A", "B"))
    found, asked = fetched("bybit-futures", first, second, tries=1, rest_timeout_s=0.3)
    assert (2, []) == (len(asked), found.instruments)
    assert said in found.error


def test_a_source_that_drags_on_ends_at_its_limit() -> None:
    """Every page within its own time-out, but no end to them."""
    pages = [Reply(bybit_page(f"c{i}", f"A{i}")) for i in range(3)]
    found, asked = fetched(
        "bybit-futures", *pages, Reply(hang=True), rest_timeout_s=20.0, list_limit_s=0.5
    )
    assert (4, []) == (len(asked), found.instruments)
    assert "bybit-futures: no whole list within 0.5 s" == found.error
    found, asked = fetched(
        "okx-spot", Reply(b""), Reply(hang=True), list_limit_s=1.0, backoff_ms=(1.0,)
    )
    assert "okx-spot: no whole list within 1 s (before: " in found.error
