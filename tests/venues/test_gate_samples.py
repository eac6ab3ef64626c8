"""Gate's frames and lists as others recorded them, read to the answers of their INDEX.md.

The samples stand beside the repository and are not part of it: skipped where absent. Most frames of
perpetuals were recorded without the header for text sizes; what we ask for declines their numbers,
so their values are read by the schema without that rule.
"""

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from fuzz.judge import Judge
from spreadscan.errors import BadFrame, RequestRefused, SpreadError, VenueDown
from spreadscan.venues import VENUES, gate
from spreadscan.venues.base import time_ms
from spreadscan.venues.reference import ReferenceDecoder, decline_reason

SAMPLES = Path(__file__).parents[3] / "shared/wire/gate"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")


def frames_of(path):
    lines = path.read_bytes().splitlines()
    if path.suffix == ".tsv":
        return [line.split(b"\t", 1)[1] for line in lines]
    if path.suffix == ".log":  # lines of requests begin with the address
        return [line.split(b": ", 1)[1] for line in lines if line[:1].isdigit()]
    return lines


def schema_of(source):
    return msgspec.structs.replace(VENUES[source].schema, qty_text=False)


# Every file of frames: what it holds, and how many quotes of it have text sizes or no size.
COUNTS = {
    "gate-spot/control_recorded_2021-25.jsonl": ({"Refusal": 2, "Ack": 1}, 0),
    "gate-spot/docs_control.jsonl": (
        {"book": 1, "Ack": 1, "Pong": 1, "Refusal": 1, "Event": 1, "other_channel": 1},
        1,
    ),
    "gate-spot/recorded_2026-09-23_gate-us.jsonl": (
        {"Ack": 1, "other_channel": 3, "book": 1, "Pong": 1, "Refusal": 2},
        1,
    ),
    "gate-spot/recorded_2026-09-25.jsonl": ({"book": 1, "other_channel": 2}, 1),
    "gate-spot/recorded_singles_2022.jsonl": ({"book": 2}, 2),
    "gate-spot/session_2021-04-22.log": ({"Ack": 22, "other_channel": 5}, 0),
    "gate-futures/book_ticker_2023-05-24.tsv": ({"book": 75}, 0),
    "gate-futures/docs_control.jsonl": (
        {"Ack": 2, "Pong": 1, "book": 1, "Event": 3, "Refusal": 2},
        0,
    ),
    "gate-futures/recorded_2026.jsonl": (
        {"book": 4, "other_channel": 11, "Ack": 2, "Pong": 1, "Refusal": 2},
        0,
    ),
    "gate-futures/recorded_singles_2022.jsonl": ({"book": 4}, 1),
    "gate-futures/recorded_testnet_2024-26.jsonl": ({"book": 5}, 0),
    "gate-futures/refusal_bodies_quoted_2026.jsonl": ({"Refusal": 5}, 0),
    "gate-futures/session_2023-05-24.log": ({"Ack": 22, "other_channel": 21, "book": 9}, 0),
    "gate-futures/string_sizes_partly_made.jsonl": ({"book": 3}, 3),
}


def test_every_file_of_frames_is_named_here():
    files = [p for kind in ("jsonl", "tsv", "log") for p in SAMPLES.glob(f"*/*.{kind}")]
    names = {str(p.relative_to(SAMPLES)) for p in files if p.name != "rest_small.jsonl"}
    assert names == set(COUNTS)


@pytest.mark.parametrize("path", COUNTS)
def test_every_frame_is_accounted_for_by_both_decoders(path):
    source = path.split("/")[0]
    venue, counts, taken = VENUES[source], Counter(), 0
    as_recorded, as_asked_for = Judge(schema_of(source)), Judge(venue.schema)
    for frame in frames_of(SAMPLES / path):
        for judge in (as_recorded, as_asked_for):
            for _ in range(2):  # by the general scanner, then by its shape
                judge.look(frame)
        items = as_recorded.expected(frame)
        control = None if items else venue.classify(frame)
        kind = "book" if items else type(control).__name__ if control else "other_channel"
        assert items or control or "other_channel" == decline_reason(venue, frame)
        counts[kind] += 1
        assert (items is None) == (as_recorded.learnt.declined != "")
        taken += not as_asked_for.learnt.declined
    assert COUNTS[path] == (counts, taken)


# File: the last quote of each symbol in wire units, with time in ms and id.
LAST = {
    "gate-spot/recorded_2026-09-25.jsonl": [
        ("BTC_USDT", 83790.9, 0.497321, 83791.0, 0.055894, 1790359165710, 40013503861)
    ],
    "gate-spot/recorded_2026-09-23_gate-us.jsonl": [
        ("SOL_USD", 118.91, 13.548, 118.99, 65.556, 1790134391753, 48123156)
    ],
    "gate-spot/recorded_singles_2022.jsonl": [
        ("BTC_USDT", 16716.8, 0.0134, 16716.9, 0.0353, 1671363004228, 9793320464)
    ],
    "gate-futures/book_ticker_2023-05-24.tsv": [
        ("DIA_USDT", 0.285, 1203, 0.2891, 2916, 1684930182787, 58251407),
        ("LIT_USDT", 0.8323, 479, 0.8361, 479, 1684930185426, 943784233),
        ("PHB_USDT", 0.7383, 678, 0.7393, 677, 1684930191123, 6160432),
        ("RDNT_USDT", 0.297, 500, 0.2974, 63, 1684930193027, 203083458),
        ("WOO_USDT", 0.2101, 2803, 0.2104, 2000, 1684930191850, 536376057),
    ],
    "gate-futures/recorded_2026.jsonl": [
        ("BTC_USDT", 83746.8, 13855, 83746.9, 11465, 1790359189815, 126202649505)
    ],
    "gate-futures/recorded_testnet_2024-26.jsonl": [
        ("BTC_USDT", 79027.0, 53105, 79364.9, 1, 1787789060341, 82069777678)
    ],
    "gate-futures/string_sizes_partly_made.jsonl": [
        ("BTC_USDT", 54696.6, 37000, 54696.7, 47061, 1615366379123, 2517661076),
        ("ETH_USDT", 54696.6, 37000.5, 54696.7, 47061.2, 1615366379123, 2517661076),
    ],
}


@pytest.mark.parametrize("path", LAST)
def test_the_last_quote_of_each_symbol(path):
    decoder, last = ReferenceDecoder(schema_of(path.split("/")[0])), {}
    for frame in frames_of(SAMPLES / path):
        for book in decoder.decode(frame) or []:
            last[book.symbol] = (*book[:5], book.venue_ns // 10**6, book.update_id)
    assert LAST[path] == sorted(last.values())


def test_what_is_asked_for_declines_a_number_as_a_size():
    """Three old frames with numbers are none; the other one has no book, and no size to cut."""
    decoder = ReferenceDecoder(gate.FUTURES.schema)
    first, without, *others = frames_of(SAMPLES / "gate-futures/recorded_singles_2022.jsonl")
    for frame in (first, *others):
        with pytest.raises(BadFrame, match="expected decimal text"):
            decoder.decode(frame)
    (book,) = decoder.decode(without)
    assert ("BSW_USDT", 0, 0) == (book.symbol, book.venue_ns, book.update_id)
    assert book.bid_px != book.bid_px
    assert book.ask_px != book.ask_px


# ---- lists


def units(instrument):
    return (
        instrument.base, instrument.multiplier, instrument.contract_size, instrument.tick,
        instrument.lot_step, instrument.min_qty, instrument.max_qty, instrument.min_notional,
    )  # fmt: skip


# File: units of some pairs, how many are kept, and why others are not
LISTS = {
    "gate-spot/currency_pairs_2026-09-25_trimmed.json": (
        {
            "BTC_USDT": ("BTC", 1.0, 1.0, 0.1, 1e-6, 1e-6, 100.0, 3.0),
            "ETH_USDT": ("ETH", 1.0, 1.0, 0.01, 1e-4, 0.001, 1000.0, 3.0),
        },
        2,
        {"not_trading": 2},
    ),
    "gate-spot/currency_pairs_2021-04-22_trimmed.json": (
        {
            "SHIB_USDT": ("SHIB", 1.0, 1.0, 1e-9, 1.0, 0.0, 0.0, 1.0),
            "1INCH_USDT": ("1INCH", 1.0, 1.0, 1e-4, 0.001, 0.0, 0.0, 1.0),
            "88MPH_USDT": ("88MPH", 1.0, 1.0, 0.01, 0.001, 0.0, 0.0, 1.0),
        },
        14,  # EOS3L among them, since the excerpt lacks EOS
        {"not_trading": 7, "leveraged_token": 8, "other_quote": 12},
    ),
    "gate-spot/currency_pair_docs_2025.json": (
        {"ETH_USDT": ("ETH", 1.0, 1.0, 1e-6, 0.001, 0.001, 10000.0, 1.0)},
        1,
        {},
    ),
    "gate-futures/contracts_2026-09-25_trimmed.json": (
        {
            "BTC_USDT": ("BTC", 1.0, 1e-4, 0.1, 1.0, 1.0, 1.2e7, 0.0),
            "ETH_USDT": ("ETH", 1.0, 0.01, 0.01, 0.1, 0.0, 1e7, 0.0),
            "ARIA_USDT": ("ARIA", 1.0, 100.0, 1e-5, 0.1, 0.0, 12000.0, 0.0),
        },
        3,
        {"tradfi": 1},
    ),
    "gate-futures/contracts_2023-05-24_trimmed.json": (
        {
            "MBABYDOGE_USDT": ("BABYDOGE", 1e6, 100.0, 1e-6, 1.0, 1.0, 1e6, 0.0),
            "PYR_USDT": ("PYR", 1.0, 9.6, 0.001, 1.0, 1.0, 1e6, 0.0),
            "VINU_USDT": ("VINU", 1.0, 1e8, 1e-12, 1.0, 1.0, 1e6, 0.0),
        },
        25,
        {"delisted": 1},
    ),
    "gate-futures/contract_decimal_header_shape_made.json": (
        {"LAB_USDT": ("LAB", 1.0, 100.0, 1e-5, 0.1, 0.1, 1200.0, 0.0)},
        1,
        {},
    ),
    "gate-futures/contracts_2026-07_singles.json": (
        {"0G_USDT": ("0G", 1.0, 1.0, 1e-4, 1.0, 1.0, 450_000.0, 0.0)},
        1,
        {},
    ),
    "gate-futures/contracts_2024-10_in_delisting.json": ({}, 0, {"delisted": 1}),
    "gate-futures/contracts_btc_2026-09-25.json": ({}, 0, {"inverse": 1}),
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_have_the_units_of_their_index(path):
    some, n_kept, skipped = LISTS[path]
    page = VENUES[path.split("/")[0]].instruments((SAMPLES / path).read_bytes()).of(["USDT"])
    found = {i.venue_symbol: units(i) for i in page.instruments}
    assert some == {symbol: found[symbol] for symbol in some}
    assert (n_kept, skipped, "") == (len(found), page.skipped, page.cursor)


def test_one_contract_of_a_million_is_counted_in_coins():
    path = SAMPLES / "gate-futures/contracts_2023-05-24_trimmed.json"
    page = gate.FUTURES.instruments(path.read_bytes())
    (baby,) = [i for i in page.instruments if i.venue_symbol == "MBABYDOGE_USDT"]
    assert ("BABYDOGE-USDT", 1e8) == (baby.symbol, baby.qty_scale)


@pytest.mark.parametrize(
    ("file_name", "rates"),
    [
        (
            "contracts_2026-09-25_trimmed.json",
            {"BTC_USDT": (-0.000002, 1790380800), "ARIA_USDT": (0.001026, 1790366400)},
        ),
        (
            "contracts_2026-09_fields_trimmed.json",
            {"BTC_USDT": (0.0001, 1789833600), "CVC_USDT": (-0.000379, 1789826400)},
        ),
        ("contracts_2024-10_in_delisting.json", {}),
    ],
)
def test_funding_is_told_in_seconds(file_name, rates):
    payload = (SAMPLES / "gate-futures" / file_name).read_bytes()
    found = {f.symbol: (f.rate, f.next_ns / 1e9) for f in gate.FUTURES.funding(payload)}
    assert rates == {symbol: found[symbol] for symbol in rates}
    assert bool(rates) == bool(found)


@pytest.mark.parametrize("source", ["gate-spot", "gate-futures"])
def test_small_answers(source):
    clock, errors = 0, []
    for body in (SAMPLES / source / "rest_small.jsonl").read_bytes().splitlines():
        if b"server_time" in body:
            clock = time_ms(VENUES[source].spec, body)
            continue
        with pytest.raises((VenueDown, RequestRefused), match=json.loads(body)["label"]) as caught:
            VENUES[source].instruments(body)
        errors.append(str(caught.value))
    assert (1790133344115 if source == "gate-spot" else 0) == clock
    assert len(errors) >= 4
    assert all(text == text.strip() for text in errors)


# ---- tickers


def test_the_ticker_of_a_leveraged_token_is_one_like_others():
    path = SAMPLES / "gate-spot/tickers_docs_etf.json"
    (row,) = gate.SPOT.audit.tickers(path.read_bytes())
    assert ("BTC3L_USDT", 2.4606821, 2.477) == row[:3]
    with pytest.raises(SpreadError):
        gate.FUTURES.audit.tickers(path.read_bytes())
