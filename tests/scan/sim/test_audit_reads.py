"""What the audit reads of the simulated venues' pages is what their markets quote."""

from collections.abc import Sequence

import aiohttp
import pytest

from known import SOURCE_BY_NAME
from scan.sim.conftest import Lab
from spreadscan.sim import SimServer
from spreadscan.venues import VENUES
from spreadscan.venues.base import RestRequest, Ticker

Prices = dict[str, tuple[float, float]]


@pytest.mark.parametrize("name", VENUES)
def test_tickers_show_the_touch_of_every_pair(lab: Lab, name: str) -> None:
    market, venue, source_id = lab.still, VENUES[name], SOURCE_BY_NAME[name].id
    expected: Prices = {}
    for i, listed in enumerate(market.instruments[source_id]):
        book = market.quote(source_id, i, 0)
        expected[listed.venue_symbol] = (book.bid_px, book.ask_px) if book else (0.0, 0.0)
    assert (0.0, 0.0) in expected.values()  # pairs without a book are among them

    async def read(
        session: aiohttp.ClientSession, base: str, request: RestRequest
    ) -> Sequence[Ticker]:
        async with session.get(request.url(base)) as answer:
            assert 200 == answer.status
            return venue.audit.tickers(await answer.read())

    async def main() -> None:
        server = SimServer(market, sources=[name])
        async with lab.serving(server) as session:
            base = server.endpoints()[name][0]
            found = await read(session, base, venue.audit.tickers_request)
            assert expected == {t.symbol: t[1:3] for t in found if t.symbol in expected}
            assert len(found) <= len(expected) + 1  # Bybit lists a dated contract, too
            assert all((t.row_ns > 0) is venue.audit.rows_tell_time for t in found if t.bid_px)
            asked = list(expected)[: venue.audit.ask_at_once]
            found = await read(session, base, venue.audit.ask_request(asked))
            assert {symbol: expected[symbol] for symbol in asked} == {
                t.symbol: t[1:3] for t in found
            }

    lab.run(main())
