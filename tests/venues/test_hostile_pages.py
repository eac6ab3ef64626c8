"""Bodies that are large for what they say: refused by every reader before they cost much.

Bytes are bounded where they are read (net/rest.py); here are values, rows and pages.
"""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from spreadscan.errors import BadFrame, Refused
from spreadscan.types import ROWS_MAX
from spreadscan.venues import VENUES
from spreadscan.venues.base import ListPages, Venue

# where the rows of some venue stand, and one where those of none do
ENVELOPES = (
    b"%b",
    b'{"symbols":%b}',
    b'{"code":"0","data":%b}',
    b'{"success":true,"code":0,"data":%b}',
    b'{"retCode":0,"result":{"category":"spot","list":%b}}',
    b'{"a":{"b":{"c":{"d":{"e":%b}}}}}',
)


def readers(venue: Venue) -> list[Callable[[bytes], Any]]:
    found = [venue.instruments, venue.audit.tickers, venue.funding, venue.audit.maintenance]
    return [reader for reader in found if reader]


def rows(row: bytes, n_bytes: int) -> bytes:
    n = n_bytes // (len(row) + 1)
    return b"[" + b",".join([row] * n) + b"]"


@pytest.mark.parametrize("venue", VENUES.values(), ids=str)
@pytest.mark.parametrize("row", [b"{}", b"0", b"[]", b'{"a":1}'], ids=repr)
def test_a_page_of_next_to_nothing_is_refused_unread(venue: Venue, row: bytes) -> None:
    for envelope in ENVELOPES:
        body = envelope % rows(row, 256_000)
        for read in readers(venue):
            tracemalloc.start()
            try:
                with pytest.raises(BadFrame, match="values in 25.,... bytes, expected 6 bytes"):
                    read(body)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert most < 100_000


@pytest.mark.parametrize("venue", VENUES.values(), ids=str)
def test_a_list_of_more_rows_than_any_venue_has_is_refused(venue: Venue) -> None:
    """In the venue's own envelope, and whatever the others make of it, quickly."""
    row = b'{"symbol":"AAAA"}'
    body = rows(row, (ROWS_MAX + 2) * (len(row) + 1))
    said = []
    for envelope in ENVELOPES:
        for read in readers(venue):
            with pytest.raises((BadFrame, Refused)) as caught:
                read(envelope % body)
            said.append(str(caught.value))
    assert any("rows in a list, expected 50,000 at most" in text for text in said)


def test_a_list_that_grows_page_by_page_ends() -> None:
    venue = VENUES["bybit-futures"]
    page = b'{"retCode":0,"result":{"nextPageCursor":"c%d","list":%b}}'
    pages = ListPages(venue)

    def take_all() -> None:
        for n, _ in zip(range(20), pages, strict=False):
            pages.take(venue.instruments(page % (n, rows(b'{"symbol":"AAAA%d"}' % n, 100_000))))

    with pytest.raises(Refused, match="bybit-futures: more than 50,000 rows"):
        take_all()
