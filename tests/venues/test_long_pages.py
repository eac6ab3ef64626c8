"""A long list is decoded row by row, and means what it means decoded at once."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from known import LATER, SOURCES
from spreadscan.errors import BadFrame, SpreadError
from spreadscan.sim import Market
from spreadscan.sim.pages import Pages
from spreadscan.venues import VENUES, values

MARKET = Market(seed=1, also=LATER)

CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "whole": lambda page: page,
    "half": lambda page: page[: len(page) // 2],
    "not a number": lambda page: page.replace(b'"', b"NaN", 1),
    "bad UTF-8": lambda page: page.replace(b"BTC", b"\xff\xfe"),
    "another after it": lambda page: page + page,
    "a mark before it": lambda page: b"\xef\xbb\xbf" + page,
    "blanks before it": lambda page: b" \r\n\t" + page,
    "deep": lambda page: b'{"a":' * 5_000 + page + b"}" * 5_000,
    "deeper lists": lambda page: b"[" * 5_000 + b"]" * 5_000,
    "rows that are none": lambda page: page.replace(b"[{", b'[null,7,"x",[],{', 1),
    "endless number": lambda page: page.replace(b"[{", b"[1" + b"0" * 400 + b",{"),
    "empty": lambda page: b"",
    "null": lambda page: b"null",
}


def said(read: Callable[[bytes], Any], page: bytes) -> Any:
    """Return what a page is read as, or the type of the error that it is."""
    try:
        return read(page)
    except SpreadError as error:
        return type(error)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_list_says_the_same(source: Any, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [MARKET.instruments[s.id][:40] if s == source else () for s in SOURCES]
    pages = Pages(lists, time.time_ns() // 10**6)
    query = {"instType": "SPOT"} if source.name == "okx-spot" else {}
    query |= {"instType": "SWAP"} if source.name == "okx-futures" else {}
    query |= {"category": "spot" if source.kind == "spot" else "linear"}
    page = CHANGES[change](pages.get(source.name, query))
    venue = VENUES[source.name]
    reads = [read for read in (venue.instruments, venue.audit.tickers, venue.funding) if read]
    at_once = [said(read, page) for read in reads]
    monkeypatch.setattr(values, "_LONG_BYTES", 0)
    assert at_once == [said(read, page) for read in reads]
    if change == "whole":
        assert 30 <= len(at_once[0].instruments)


def test_any_cut_or_changed_byte_of_a_page_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    rows = [{"symbol": f"C{i}USDT", "bidPrice": "1.0", "askPrice": "1.1"} for i in range(4)]
    whole = json.dumps(rows).encode()
    pages = [whole[:n] for n in range(len(whole))]
    for _ in range(2_000):
        page = bytearray(whole)
        page[rng.randrange(len(page))] = rng.randrange(256)
        pages.append(bytes(page))
    tickers = VENUES["mexc-spot"].audit.tickers
    at_once = [said(tickers, page) for page in pages]
    assert BadFrame in at_once
    monkeypatch.setattr(values, "_LONG_BYTES", 0)
    assert at_once == [said(tickers, page) for page in pages]
