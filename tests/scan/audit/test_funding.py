"""The poll of a perpetual source's funding: what it keeps, for how long, and what it survives."""

import asyncio
import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME
from scan.audit.kit import auditing
from scan.feeds.kit import lists_of, messages, row, run, until
from spreadscan.audit.funding import FundingPoll
from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Audit, Config, VenueSettings
from spreadscan.errors import BadFrame, ConnectionLost, RateLimited, Refused, SpreadError, VenueDown
from spreadscan.sim import Market, SimServer
from spreadscan.types import FundingRate
from spreadscan.venues import VENUES
from spreadscan.venues.base import RestRequest

FUTURES = [name for name, venue in VENUES.items() if venue.funding]
S = 10**9


def okx_page(*rates: tuple[str, float, int]) -> bytes:
    """Return an answer of OKX by hand: (symbol, rate, Unix ns of the payment)."""
    rows = [
        {"instId": symbol, "fundingRate": str(rate), "fundingTime": str(next_ns // 1_000_000)}
        for symbol, rate, next_ns in rates
    ]
    return json.dumps({"code": "0", "data": rows}).encode()


class Poll:
    """A poll of OKX whose venue answers what the test says."""

    def __init__(self, instance: Instance, every_s: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self.rates = instance.funding
        config = Config(audit=Audit(funding_every_s=every_s))
        ids = {"A-USDT-SWAP": 3, "B-USDT-SWAP": 5}
        self.poll = FundingPoll(
            VENUES["okx-futures"], config, self.ask, ids, self.rates, self.count
        )
        self.source_id = SOURCE_BY_NAME["okx-futures"].id
        self.asked: list[str] = []
        self.what: bytes | SpreadError = b""

    def count(self, name: str) -> None:
        self.counts[name] += 1

    async def ask(
        self, request: RestRequest, parse: Callable[[bytes], list[FundingRate]]
    ) -> list[FundingRate]:
        self.asked.append(request.url("https://www.okx.com"))
        if isinstance(self.what, bytes):
            return parse(self.what)
        raise self.what

    def answer(self, what: bytes | SpreadError) -> float:
        """Poll once; return how long the venue is left alone."""
        self.what = what
        return float(run(self.poll.poll()))

    def bps(self, symbol_id: int, at_ns: int) -> float:
        return self.rates.bps(self.source_id, symbol_id, at_ns)


def unix_in(seconds: float) -> int:
    return UtcClock().utc_ns(now_ns()) + int(seconds * 1e9)


# -- what is kept, and for how long


def test_rates_of_our_pairs_are_kept_by_their_ids(instance: Instance) -> None:
    poll = Poll(instance)
    next_ns = unix_in(3_600) // 10**6 * 10**6
    page = okx_page(
        ("A-USDT-SWAP", 0.0001, next_ns), ("OTHER-USDT-SWAP", 0.5, next_ns),
        ("B-USDT-SWAP", -0.00025, next_ns),
    )  # fmt: skip
    assert 60.0 == poll.answer(page)
    assert ["https://www.okx.com/api/v5/public/funding-rate?instId=ANY"] == poll.asked
    known = {
        symbol_id: poll.rates.read(poll.source_id, symbol_id, now_ns()) for symbol_id in range(64)
    }
    assert {3: (0.0001, next_ns), 5: (-0.00025, next_ns)} == {
        symbol_id: found[:2] for symbol_id, found in known.items() if found
    }
    assert {"funding_polls": 1} == poll.counts


def test_a_rate_is_known_for_five_periods_after_its_answer(instance: Instance) -> None:
    poll = Poll(instance, every_s=60.0)
    before = now_ns()
    poll.answer(okx_page(("A-USDT-SWAP", 0.0001, unix_in(3_600))))
    after = now_ns()
    assert 1.0 == poll.bps(3, before + 300 * S - 1)
    assert math.isnan(poll.bps(3, after + 300 * S))


def test_a_rate_is_known_until_it_is_paid(instance: Instance) -> None:
    poll = Poll(instance)
    paid_ns = unix_in(20) // 10**6 * 10**6
    poll.answer(okx_page(("A-USDT-SWAP", 0.0001, paid_ns), ("B-USDT-SWAP", 0.0002, unix_in(-1))))
    paid_boot_ns = paid_ns - UtcClock().offset_ns()
    assert 1.0 == poll.bps(3, paid_boot_ns - S)
    assert math.isnan(poll.bps(3, paid_boot_ns + S))
    assert math.isnan(poll.bps(5, now_ns()))  # a venue that has not moved on yet


def test_what_an_answer_leaves_out_goes_out_of_date(instance: Instance) -> None:
    poll = Poll(instance)
    poll.answer(okx_page(("A-USDT-SWAP", 0.0001, unix_in(3_600))))
    first = poll.rates.read(poll.source_id, 3, now_ns())
    poll.answer(okx_page(("B-USDT-SWAP", 0.0001, unix_in(3_600))))
    assert first == poll.rates.read(poll.source_id, 3, now_ns())


# -- what goes wrong


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (VenueDown("x: HTTP 503"), 60.0),
        (ConnectionLost("x: refused"), 60.0),
        (BadFrame("x: no JSON"), 60.0),
        (RateLimited("x: HTTP 429", 120.0), 120.0),
        (RateLimited("x: HTTP 429", 1.0), 60.0),
        (Refused("x: HTTP 403"), 600.0),
    ],
)
def test_a_venue_that_says_no_is_left_alone_for_as_long_as_it_asks(
    instance: Instance, error: SpreadError, wait_s: float
) -> None:
    poll = Poll(instance)
    assert wait_s == poll.answer(error)
    assert {"funding_failed": 1} == poll.counts


@pytest.mark.parametrize(
    "page", [b"", b"<html>", b"[]", okx_page(), okx_page(("OTHER-USDT-SWAP", 0.1, 10**18))]
)
def test_an_answer_without_any_of_our_pairs_is_a_failure(instance: Instance, page: bytes) -> None:
    poll = Poll(instance)
    poll.answer(page)
    assert {"funding_failed": 1} == poll.counts


def test_a_change_of_state_is_one_line(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    poll = Poll(instance)
    good = okx_page(("A-USDT-SWAP", 0.0001, unix_in(3_600)))
    first, second, third = (VenueDown(text) for text in ("first", "second", "third"))
    for what in (good, first, second, b"", good, good, third):
        poll.answer(what)
    unknown = messages(caplog, "funding unknown")
    assert ["first", "third"] == [facts["reason"] for facts in unknown]
    assert [{"source": "okx-futures"}] == messages(caplog, "funding known again")
    assert {"funding_polls": 3, "funding_failed": 4} == poll.counts
    assert 1.0 == poll.bps(3, now_ns())  # a failure takes nothing away


def test_a_source_without_funding_is_refused(instance: Instance) -> None:
    async def ask(request: RestRequest, parse: Any) -> list[FundingRate]:
        raise AssertionError("never asked")

    with pytest.raises(ValueError, match="okx-spot: has no funding"):
        FundingPoll(VENUES["okx-spot"], Config(), ask, {}, instance.funding, lambda name: None)


# -- over HTTP, as a part of the audit


def config_at(server: SimServer, name: str, every_s: float) -> Config:
    rest_url, ws_url = server.endpoints()[name]
    return Config(
        sources=(name,),
        audit=Audit(funding_every_s=every_s),
        venues={name: VenueSettings(rest_url=rest_url, ws_url=ws_url)},
    )


def figure(instance: Instance, name: str, figure: str) -> int:
    return instance.audit.figures(SOURCE_BY_NAME[name].id)[figure]


@pytest.mark.parametrize("name", FUTURES)
def test_the_audit_keeps_what_the_market_pays(instance: Instance, still: Market, name: str) -> None:
    source_id = SOURCE_BY_NAME[name].id
    symbols = [i.venue_symbol for i in still.instruments[source_id][:40]]
    lists = lists_of(name, *(row(n, symbol) for n, symbol in enumerate(symbols)))

    def paid(unix_ns: int) -> list[tuple[float, int]]:
        rates = [still.funding(source_id, index, unix_ns) for index in range(len(symbols))]
        return [(rate.rate, rate.next_ns) for rate in rates]

    async def main() -> None:
        server = SimServer(still, sources=[name])
        await server.start()
        try:
            begin_ns = server.time.unix_of_boot_ns(now_ns())
            async with auditing(config_at(server, name, 60.0), lists, instance):
                await until(lambda: figure(instance, name, "funding_polls") == 1)
                await until(lambda: figure(instance, name, "status_reads") == 1)
                if name == "gate-futures":  # one page for both, and that of all tickers
                    await until(lambda: figure(instance, name, "rounds") == 1)
                    assert 2 == server.counters()[name].pages
                end_ns = server.time.unix_of_boot_ns(now_ns())
                found = [instance.funding.read(source_id, n, now_ns()) for n in range(len(symbols))]
                assert [f and f[:2] for f in found] in (paid(begin_ns), paid(end_ns))
                assert 0 == figure(instance, name, "funding_failed")
        finally:
            await server.stop()

    run(main())


@pytest.mark.parametrize(("name", "every_s"), [("okx-futures", 0.0), ("okx-spot", 60.0)])
def test_where_there_is_nothing_to_ask_nothing_is_asked(
    instance: Instance, still: Market, name: str, every_s: float
) -> None:
    source_id = SOURCE_BY_NAME[name].id
    symbol = still.instruments[source_id][0].venue_symbol

    async def main() -> None:
        server = SimServer(still, sources=[name])
        await server.start()
        try:
            config = config_at(server, name, every_s)
            async with auditing(config, lists_of(name, row(0, symbol)), instance):
                await until(lambda: figure(instance, name, "requests"))
                await asyncio.sleep(0.2)
                assert 0 == figure(instance, name, "funding_polls")
                assert 0 == figure(instance, name, "funding_failed")
        finally:
            await server.stop()

    run(main())
