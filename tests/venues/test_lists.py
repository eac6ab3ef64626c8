"""Instrument lists and other bodies, however a venue writes them: bare, by cursor, by offset."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from spreadscan.errors import BadFrame, RateLimited, Refused, VenueDown
from spreadscan.types import Instrument
from spreadscan.venues import VENUES, base
from spreadscan.venues.answers import LIMITED, Row
from spreadscan.venues.base import (
    InstrumentPage,
    ListPages,
    RestRequest,
    Venue,
    read_funding,
    read_rows,
)
from spreadscan.venues.values import page_rows, unix_s

TABLE = (Row(LIMITED, ("TOO_MANY",)),)


def rows_of(body: object) -> list[Any]:
    return page_rows(
        json.dumps(body).encode(),
        "some",
        TABLE,
        "pairs",
        symbol_key="id",
        code_key="label",
        words_key="message",
    )


def test_a_bare_list_is_rows_under_any_names() -> None:
    assert [{"id": "A"}] == rows_of([{"id": "A"}])
    assert [{"id": "A"}] == rows_of({"id": "A"})  # one asked for by name
    with pytest.raises(VenueDown, match="some: NOT_FOUND no such pair"):
        rows_of({"message": "no such pair", "label": "NOT_FOUND"})
    with pytest.raises(RateLimited, match="some: TOO_MANY"):
        rows_of({"label": "TOO_MANY"})
    for body in ({"symbol": "A"}, {"code": "TOO_MANY"}, 5, None):
        with pytest.raises(BadFrame, match="expected a list of rows"):
            rows_of(body)


@pytest.mark.parametrize(
    ("told", "ms"),
    [
        (1_790_380_800, 1_790_380_800_000),
        ("1790380800", 1_790_380_800_000),
        (1_790_380_800.0, 1_790_380_800_000),
        (1_790_380_800.5, None),
        (1_790_380_800_000, None),  # ms already, the year 58,000
        (float("inf"), None),
        ("", None),
        (True, None),
        (None, None),
    ],
)
def test_a_payment_may_be_told_in_seconds(told: object, ms: int | None) -> None:
    found = read_funding([{"n": "A", "r": "0.1", "at": told}], "n", "r", "at", unix_s)
    assert ([] if ms is None else [ms * 10**6]) == [rate.next_ns for rate in found]


def test_rows_left_out_are_told_by_the_name_that_the_venue_gives_them() -> None:
    page = read_rows(
        [{"id": "A", "symbol": "X"}, {"symbol": "Y"}, 7],
        lambda row: "",
        lambda row, quote: "no",
        "",
        "id",
    )
    assert {"A": "no", "row 1": "no", "row 2": "missing_field: it is no object"} == page.left_out


def page_of(names: str, cursor: str = "", left_out: str = "") -> InstrumentPage:
    kept = [Instrument(venue_symbol=n, base=n, listed_base=n, quote="USDT") for n in names]
    skipped = {"not_trading": len(left_out)} if left_out else {}
    return InstrumentPage(kept, skipped, cursor, dict.fromkeys(left_out, "not_trading"), {})


def venue_of(list_page: int) -> Venue:
    venue = VENUES["okx-spot"]
    return replace(
        venue,
        spec=msgspec.structs.replace(venue.spec, list_page=list_page),
        instruments_request=lambda cursor: RestRequest("/list", cursor),
    )


def asked(list_page: int, *answers: InstrumentPage) -> tuple[list[str], bool]:
    """Return the cursors that were asked for, and whether the list is torn."""
    pages, cursors = ListPages(venue_of(list_page)), []
    for answer, request in zip(answers, pages, strict=True):
        cursors.append(request.query)
        pages.take(answer)
    assert None is next(pages, None)
    return cursors, pages.torn


@pytest.mark.parametrize(
    ("list_page", "answers", "cursors", "torn"),
    [
        (0, [page_of("ABC")], [""], False),
        (3, [page_of("AB")], [""], False),
        (3, [page_of("ABCD")], [""], False),  # no page at all: the venue sends what it has
        (3, [page_of("AB", left_out="C"), page_of("D")], ["", "3"], False),
        (3, [page_of("ABC"), page_of("DEF"), page_of("")], ["", "3", "6"], False),
        (0, [page_of("ABC", "x"), page_of("D", "x")], ["", "x"], False),
        (0, [page_of("ABC", "x"), page_of("")], ["", "x"], True),
        (3, [page_of("ABC", "x"), page_of("D")], ["", "x"], False),
        (3, [page_of("ABC"), page_of("CD")], ["", "3"], False),  # one was listed meanwhile
    ],
)
def test_a_full_page_is_followed_by_offset(
    list_page: int, answers: list[InstrumentPage], cursors: list[str], torn: bool
) -> None:
    assert (cursors, torn) == asked(list_page, *answers)


def test_a_venue_that_overlooks_the_offset_is_told() -> None:
    words = "found the rows before row 3 from there on, expected others or none"
    with pytest.raises(VenueDown, match=words):
        asked(3, page_of("AB", left_out="C"), page_of("AB", left_out="C"))


def test_pages_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LIST_PAGES_MAX", 2)
    with pytest.raises(Refused, match="okx-spot: more than 2 pages"):
        asked(1, page_of("A"), page_of("B"), page_of("C"))
