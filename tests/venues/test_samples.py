"""Frames and lists recorded by others, read to the answers of their INDEX.md.

The samples stand beside the repository and are not part of it: skipped where absent.
"""

import gzip
import math
from collections import Counter
from pathlib import Path

import pytest

from spreadscan.errors import BadFrame, RateLimited
from spreadscan.feeds.book import OneLevelBooks
from spreadscan.types import Delta
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ack, Event, Pong, Refusal
from spreadscan.venues.reference import ReferenceDecoder, decline_reason

SAMPLES = Path(__file__).parents[3] / "shared/wire/samples"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")


def frames_of(path):
    raw = path.read_bytes()
    if path.name.endswith(".log.gz"):
        lines = gzip.decompress(raw).splitlines()
        return [line.split(b": ", 1)[1] for line in lines if line[:1].isdigit()]
    if path.suffix == ".tsv":
        return [line.split(b"\t", 1)[1] for line in raw.splitlines()]
    return [line for line in raw.splitlines() if line] if path.suffix == ".jsonl" else [raw]


def play(source, file_name):
    """Return (count of each kind of frame, books in order, control messages) of one file."""
    venue = VENUES[source]
    decoder, books = ReferenceDecoder(venue.schema), OneLevelBooks()
    counts, quotes, controls = Counter(), [], []
    for frame in frames_of(SAMPLES / source / file_name):
        items = decoder.decode(frame)
        if items is None:
            control = venue.classify(frame)
            counts[type(control).__name__ if control else decline_reason(venue, frame)] += 1
            controls += [control] if control else []
            continue
        (item,) = items
        book = books.apply(item)
        counts["delta" if isinstance(item, Delta) else "book"] += 1
        counts["no_book"] += book is None
        quotes += [book] if book else []
    return {kind: n for kind, n in counts.items() if n}, quotes, controls


# Every file of frames: what it holds.
COUNTS = {
    "binance-spot/cryptofeed_ws_2021-10-12.log.gz": {"book": 84, "other_channel": 181},
    "binance-spot/bookticker_2021-10-12.tsv": {"book": 84},
    "binance-spot/recorded_2026-09-13_testnet.jsonl": {"book": 6, "other_channel": 2},
    "binance-spot/recorded_singles.jsonl": {"book": 2},
    "binance-spot/docs_control.jsonl": {"Ack": 3, "Refusal": 3, "Event": 2},
    "binance-futures/bookticker_2021-07-22.tsv": {"book": 613},
    "binance-futures/recorded_2026-09-15_demo.jsonl": {"book": 25, "other_channel": 1},
    "binance-futures/recorded_singles_2021-26.jsonl": {"book": 4, "other_channel": 2},
    "binance-futures/docs_control.jsonl": {"Ack": 1, "Refusal": 2},
    "bybit-spot/recorded_2026-09-13_testnet.jsonl": {
        "book": 14,
        "Ack": 1,
        "Pong": 1,
        "Refusal": 1,
        "other_channel": 2,
    },
    "bybit-spot/recorded_singles_2023-26.jsonl": {"book": 2, "delta": 1, "no_book": 1, "Ack": 1},
    "bybit-spot/tardis_2023-04.jsonl": {"book": 1, "delta": 1, "other_channel": 2},
    "bybit-futures/recorded_2026-08-13.jsonl": {"book": 2, "Ack": 1, "Pong": 1, "other_channel": 2},
    "bybit-futures/recorded_2026-09-23_relay.jsonl": {
        "book": 1,
        "Ack": 1,
        "Pong": 1,
        "Refusal": 2,
        "other_channel": 3,
    },
    "bybit-futures/tardis_2023-04.jsonl": {"book": 1, "delta": 2, "no_book": 1, "other_channel": 7},
    "okx-spot/recorded_singles_2025-26.jsonl": {"book": 2, "Ack": 1},
    "okx-spot/tickers_BTC-USDT_2022-05-13.tsv": {"other_channel": 25},
    "okx-spot/books_BTC-USDT_2022-05-13.tsv": {"other_channel": 40},
    "okx-spot/docs_control.jsonl": {"Ack": 2, "Refusal": 2},
    "okx-spot/pong.txt": {"Pong": 1},
    "okx-futures/recorded_2026-09-26_BTC-USDT-SWAP.tsv": {"book": 26, "Ack": 2, "other_channel": 2},
    "okx-futures/recorded_2026-08_singles.jsonl": {"book": 2, "Ack": 1},
    "okx-futures/tardis_2021-22.jsonl": {"book": 2, "other_channel": 3},
    "okx-futures/tickers_2022-05-13.tsv": {"other_channel": 3},
    "okx-futures/acks_2022-05-13.tsv": {"Ack": 18},
    "okx-futures/docs_control.jsonl": {"Ack": 2, "Refusal": 2},
    "okx-futures/pong.txt": {"Pong": 1},
    "mexc-spot/live_bookTicker_BTCUSDT_2026-09-20.bin": {"book": 1},
    "mexc-spot/enc_bookTicker_BTCUSDT_2026-06-23.bin": {"book": 1},
    "mexc-spot/enc_bookTicker_one_sided.bin": {"book": 1},
    "mexc-spot/enc_empty_wrapper_XENUSDT_2026-06.bin": {"other_channel": 1},
    "mexc-spot/enc_aggreDepth_BTCUSDT_2026-06-23.bin": {"other_channel": 1},
    "mexc-spot/enc_aggreDepth_BTCUSDT_2026-06-18.bin": {"other_channel": 1},
    "mexc-spot/enc_aggreDepth_BTCUSDC_2025-08-23.bin": {"other_channel": 1},
    "mexc-spot/enc_aggreDeals_BTCUSDT_2026-06-23.bin": {"other_channel": 1},
    "mexc-spot/control.jsonl": {"Ack": 2, "Pong": 1, "Refusal": 1},
    "mexc-futures/recorded_2026-09.jsonl": {
        "book": 3,
        "Ack": 2,
        "Refusal": 1,
        "Pong": 1,
        "other_channel": 7,
    },
    "mexc-futures/docs_control.jsonl": {"Ack": 1, "Refusal": 1, "Pong": 1},
}


def test_every_file_of_frames_is_named_here():
    frames = {
        str(path.relative_to(SAMPLES))
        for path in SAMPLES.glob("*/*")
        if path.suffix in (".jsonl", ".tsv", ".gz", ".bin", ".txt")
        and path.name != "frames.jsonl"
        and not path.name.startswith("decoded_")
    }
    assert frames == set(COUNTS)


@pytest.mark.parametrize("path", COUNTS)
def test_every_frame_is_accounted_for(path):
    source, file_name = path.split("/")
    counts, _, _ = play(source, file_name)
    assert COUNTS[path] == counts


# File: the last quote of each symbol: bid x size, ask x size, then some of ms and update id.
LAST = {
    "binance-spot/bookticker_2021-10-12.tsv": {
        "NKNUSDT": (0.3527, 9602, 0.3531, 152, 0, 499870151),
        "LRCBTC": (0.00000637, 2500, 0.00000638, 2285, 0, 259345558),
        "BLZETH": (0.00006547, 100, 0.0000656, 1528, 0, 281916636),
    },
    "binance-spot/cryptofeed_ws_2021-10-12.log.gz": {
        "NKNUSDT": (0.3527, 9602, 0.3531, 152, 0, 499870151),
        "LRCBTC": (0.00000637, 2500, 0.00000638, 2285, 0, 259345558),
        "BLZETH": (0.00006547, 100, 0.0000656, 1528, 0, 281916636),
    },
    "binance-spot/recorded_2026-09-13_testnet.jsonl": {
        "BTCUSDT": (76745.18, 8.74041, 76745.19, 12.05951, 0, 1801521)
    },
    "binance-spot/recorded_singles.jsonl": {
        "SOLUSDC": (117.28, 11.527, 117.29, 22.186, 0, 6857599072),
        "BTCUSDT": (8010, 0.142459, 8012.15, 0.031201, 0, 1127645101),
    },
    "binance-futures/bookticker_2021-07-22.tsv": {
        "SUSHIUSDT": (7.612, 303, 7.615, 56, 1626992771149, 600860427282),
        "CTKUSDT": (1.011, 1698, 1.012, 10123, 1626992770784, 600860419015),
        "AKROUSDT": (0.01734, 502, 0.01735, 50697, 1626992770346, 600860408095),
        "KEEPUSDT": (0.2463, 249, 0.2467, 9047, 1626992768410, 600860342675),
    },
    "binance-futures/recorded_2026-09-15_demo.jsonl": {
        "BTCUSDT": (77015.2, 61.97, 77021.2, 524.9209, 1789469125898, 429012314580)
    },
    "binance-futures/recorded_singles_2021-26.jsonl": {
        "ETHUSDT": (1778.54, 15.164, 1778.55, 7.289, 1653817855284, 1553413152520),
        "ETHBUSD": (2450.03, 2.346, 2450.04, 1.626, 1643162839528, 1154786566700),
        "BTCUSDT": (33134.42, 0.17, 33139.39, 0.38, 1612137603568, 185130926750),
    },
    "bybit-spot/recorded_2026-09-13_testnet.jsonl": {
        "BTCUSDT": (77140.5, 0.236197, 77140.6, 0.324084, 1789299683898, 1980716)
    },
    "bybit-spot/recorded_singles_2023-26.jsonl": {
        "BTCUSDT": (69904.3, 0.347143, 69904.4, 0.390684, 1773342407934, 141506058)
    },
    "bybit-spot/tardis_2023-04.jsonl": {
        "BTCUSDT": (28165.07, 0.166754, 28165.08, 0.996816, 1680652806615, 20404755)
    },
    "bybit-futures/recorded_2026-08-13.jsonl": {
        "BTCUSDT": (63561.5, 1.776, 63561.6, 4.848, 1786659828107, 31398762)
    },
    "bybit-futures/recorded_2026-09-23_relay.jsonl": {  # by topic: data.s says BTC2USDT
        "BTCUSDT": (86635.4, 33.169, 86635.5, 6.989, 1790133763508, 14766676)
    },
    "bybit-futures/tardis_2023-04.jsonl": {
        "BTCUSDT": (28552.00, 0.012, 28552.10, 25.433, 1680673821137, 7003306)
    },
    "okx-spot/recorded_singles_2025-26.jsonl": {
        "SOL-USDC": (117.31, 4.41916, 117.36, 62.36109, 1790071390505, 4153112115),
        "BTC-USDT": (105252.5, 1.1133491, 105252.6, 0.16271274, 1749044565306, 55729075884),
    },
    "okx-futures/recorded_2026-09-26_BTC-USDT-SWAP.tsv": {
        "BTC-USDT-SWAP": (84095.5, 2151.43, 84095.6, 51.67, 1790439596550, 342177340135)
    },
    "okx-futures/recorded_2026-08_singles.jsonl": {
        "DATA-USDT-SWAP": (0.181, 557, 0.1811, 3, 1788196767000, 83043901),
        "BTC-USDT-SWAP": (38632.3, 990, 38632.4, 727, 1651761120004, -1),
    },
    "okx-futures/tardis_2021-22.jsonl": {
        "BTC-USDT-SWAP": (38632.3, 990, 38632.4, 727, 1651761120004, -1)
    },
    "mexc-spot/live_bookTicker_BTCUSDT_2026-09-20.bin": {
        "BTCUSDT": (80535.88, 0.380497, 80535.89, 0.33336356, 1789897517479, 81721676217)
    },
    "mexc-spot/enc_bookTicker_BTCUSDT_2026-06-23.bin": {
        "BTCUSDT": (62383.56, 0.07956651, 62383.57, 0.09556, 1782208005090, 1782208005090)
    },
    "mexc-spot/enc_bookTicker_one_sided.bin": {
        "BTCUSDT": (100, 4, None, None, 1710000000005, 1710000000005)
    },
    "mexc-futures/recorded_2026-09.jsonl": {
        "BTC_USDT": (80468.6, 31288, 80468.7, 3446, 1789897581009, 41925002140),
        "RIF_USDT": (0.08049, 46, 0.08055, 48, 1789498322165, 5220571685),
    },
}


@pytest.mark.parametrize("path", [p for p, counts in COUNTS.items() if "book" in counts])
def test_last_quotes(path):
    source, file_name = path.split("/")
    _, quotes, _ = play(source, file_name)
    got = {
        q.symbol: (
            *(None if math.isnan(x) else x for x in q[1:5]),
            q.venue_ns // 1_000_000,
            q.update_id,
        )
        for q in quotes
    }
    assert LAST[path] == got


def test_counts_per_symbol_and_rising_ids():
    _, quotes, _ = play("binance-spot", "bookticker_2021-10-12.tsv")
    assert {"NKNUSDT": 74, "LRCBTC": 9, "BLZETH": 1} == Counter(q.symbol for q in quotes)
    _, quotes, _ = play("binance-futures", "bookticker_2021-07-22.tsv")
    expected = {"SUSHIUSDT": 305, "CTKUSDT": 145, "AKROUSDT": 88, "KEEPUSDT": 75}
    assert expected == Counter(q.symbol for q in quotes)
    for symbol in expected:
        ids = [q.update_id for q in quotes if q.symbol == symbol]
        assert sorted(set(ids)) == ids


def test_first_quote_of_the_demo_recording():
    _, quotes, _ = play("binance-futures", "recorded_2026-09-15_demo.jsonl")
    assert (76947.3, 0.0374, 76968.3, 2237.2173) == quotes[0][1:5]


def test_a_bare_frame_of_the_usd_margined_family():
    _, quotes, _ = play("binance-futures", "recorded_singles_2021-26.jsonl")
    assert ("ETHUSDT", 1943.64, 113.445, 1943.65, 182.433) == quotes[0][:5]


def test_idle_repeats_of_bybit_keep_their_id():
    _, quotes, _ = play("bybit-spot", "recorded_2026-09-13_testnet.jsonl")
    repeats = [(a, b) for a, b in zip(quotes, quotes[1:], strict=False) if a == b]
    # The first repeat has another engine time, the second is equal in every field.
    assert [1980707] == [a.update_id for a, _ in repeats]
    assert 2 == sum(a.update_id == b.update_id for a, b in zip(quotes, quotes[1:], strict=False))


def test_exponent_form_of_mexc_futures():
    _, quotes, _ = play("mexc-futures", "recorded_2026-09.jsonl")
    assert ("BTC_USDT", 75480.0, 4959.0, 75481.2, 10.0) == quotes[1][:5]


def test_which_path_gave_the_id_of_mexc_spot():
    kinds = {
        name: play("mexc-spot", name)[1][0].id_kind
        for name in (
            "live_bookTicker_BTCUSDT_2026-09-20.bin",
            "enc_bookTicker_BTCUSDT_2026-06-23.bin",
        )
    }
    assert [0, 1] == list(kinds.values())


def test_controls_of_the_documents():
    _, _, controls = play("binance-spot", "docs_control.jsonl")
    assert [Event("serverShutdown", restart=True)] * 2 == controls[-2:]
    assert Ack("1") == controls[0]
    assert ["2", "2", "3"] == [c.text[0] for c in controls if isinstance(c, Refusal)]


def test_refusals_name_their_topics():
    def refused(source, name):
        _, _, controls = play(source, name)
        return [topic for c in controls if isinstance(c, Refusal) for topic in c.topics]

    assert ["orderbook.50.NOSUCHSYM"] == refused("bybit-spot", "recorded_2026-09-13_testnet.jsonl")
    recorded = "bybit-futures", "recorded_2026-09-23_relay.jsonl"
    assert ["orderbook.50.NOPEUSDT"] == refused(*recorded)
    standing = [c.accepted for c in play(*recorded)[2] if isinstance(c, Refusal)]
    assert ("orderbook.50.CHRUSDT",) in standing  # subscribed already
    assert ["ticker:BTC-USDT"] == refused("okx-spot", "docs_control.jsonl")
    assert ["NOPE_USDT"] == refused("mexc-futures", "recorded_2026-09.jsonl")
    prefix = "spot@public.aggre."
    assert [
        f"{prefix}deals.v3.api.pb@10ms@ETHUSDT",
        f"{prefix}bookTicker.v3.api.pb@10ms@DOGEUSDT",
    ] == refused("mexc-spot", "control.jsonl")


def test_a_partial_refusal_says_what_went_through():
    _, _, controls = play("mexc-spot", "control.jsonl")
    (refusal,) = [c for c in controls if isinstance(c, Refusal)]
    assert ("spot@public.aggre.bookTicker.v3.api.pb@10ms@BTCUSDT",) == refusal.accepted
    assert 1 == sum(isinstance(c, Pong) for c in controls)
    assert [1, 4] == [len(c.topics) for c in controls if isinstance(c, Ack)]


def test_acks_of_okx_name_channel_and_instrument():
    _, _, controls = play("okx-futures", "recorded_2026-09-26_BTC-USDT-SWAP.tsv")
    assert [
        Ack("md", ("books:BTC-USDT-SWAP",), True),
        Ack("md", ("bbo-tbt:BTC-USDT-SWAP",), True),
    ] == controls


# ---- instruments -------------------------------------------------------------------------


def page_of(path):
    page = VENUES[path.split("/")[0]].instruments((SAMPLES / path).read_bytes())
    return page.of(["USDT"])


# File: symbols kept (all of them or how many), reasons of the rest.
PAGES = {
    "binance-spot/exchangeInfo_2025-08-07_trimmed.json": ("BTC ETH", {"other_quote": 23}),
    "binance-spot/exchangeInfo_shape_2026.json": (
        "BTC DOGE PEPE",
        {"other_quote": 1, "not_trading": 1},
    ),
    "binance-spot/exchangeInfo_2021-10-12_trimmed.json": (
        22,
        {"other_quote": 12, "not_trading": 7, "spot_not_allowed": 3},
    ),
    "binance-futures/exchangeInfo_2025-08-07_trimmed.json": (25, {}),
    "binance-futures/exchangeInfo_2021-07-22_trimmed.json": (
        "SHIB BTC ETH BNB XRP SUSHI AKRO KEEP CTK DOGE 1INCH",
        {"index": 2, "other_quote": 2, "not_trading": 1, "not_perpetual": 2},
    ),
    "binance-futures/exchangeInfo_shape_2026.json": (
        "BTC PEPE",
        {"not_perpetual": 2, "other_quote": 1, "not_trading": 1, "tradfi": 1},
    ),
    "bybit-spot/instruments_2026-10-08_fields_trimmed.json": ("BTC PEPE DOGE", {"other_quote": 1}),
    "bybit-spot/jkorf_instruments.json": ("BTC", {}),
    "bybit-futures/instruments_2026-10-08_fields_trimmed.json": (
        "BTC PEPE DOGE",
        {"other_quote": 1, "not_perpetual": 6, "pre_market": 1},
    ),
    "bybit-futures/jkorf_instruments.json": ("BTC", {}),
    "bybit-futures/jkorf_instruments_prelisting.json": ("", {"pre_market": 1}),
    "okx-spot/instruments_2022-05-13_trimmed.json": (14, {"other_quote": 2}),
    "okx-futures/instruments_BTC-USDT-SWAP_2026-09-26.json": ("BTC", {}),
    "okx-futures/instruments_2022-05-13_trimmed.json": (17, {"inverse": 3}),
    "okx-futures/instruments_FUTURES_2022-05-13_trimmed.json": ("", {"not_perpetual": 8}),
    "mexc-spot/jkorf_exchangeInfo_2025-01.json": ("BROCK", {}),
    "mexc-spot/jkorf_exchangeInfo_2024-01_old_status.json": ("AES NCDT ALEPH OGN HC", {}),
    "mexc-spot/ccxt_exchangeInfo_rows_isSpotTradingAllowed_false.json": (
        "BTC LTC ADA XRP SOL TRX",
        {},
    ),
    "mexc-futures/jkorf_contract_detail.json": ("BTC ETH", {}),
    "mexc-futures/ccxt_contract_detail_LTC_apiAllowed_false.json": ("LTC", {}),
    "mexc-futures/jkorf_push_contract_CLO.json": ("CLO", {}),
}


@pytest.mark.parametrize("path", PAGES)
def test_instruments_kept_and_left_out(path):
    expected, skipped = PAGES[path]
    page = page_of(path)
    if isinstance(expected, int):
        assert expected == len(page.instruments)
    else:
        assert expected.split() == [i.base for i in page.instruments]
    assert skipped == page.skipped
    assert {"USDT"} >= {i.quote for i in page.instruments}


def one(path, venue_symbol):
    (got,) = [i for i in page_of(path).instruments if i.venue_symbol == venue_symbol]
    return got


def test_names_that_begin_with_a_digit():
    old_spot = "binance-spot/exchangeInfo_2021-10-12_trimmed.json"
    old_futures = "binance-futures/exchangeInfo_2021-07-22_trimmed.json"
    assert ("1INCH", 1.0) == (
        one(old_spot, "1INCHUSDT").base,
        one(old_spot, "1INCHUSDT").multiplier,
    )
    assert "EUR" == one(old_spot, "EURUSDT").base
    shib = one(old_futures, "1000SHIBUSDT")
    assert ("SHIB", "1000SHIB", 1000.0) == (shib.base, shib.listed_base, shib.multiplier)
    pepe = one("bybit-futures/instruments_2026-10-08_fields_trimmed.json", "1000PEPEUSDT")
    assert ("PEPE-USDT", 1000.0, 0.000001) == (pepe.symbol, pepe.multiplier, pepe.tick)


def test_the_seven_halted_pairs_of_2021_are_dropped():
    halted = {"VENUSDT", "BCCUSDT", "BCHABCUSDT", "USDSUSDT", "STORMUSDT", "XZCUSDT", "NPXSUSDT"}
    page = page_of("binance-spot/exchangeInfo_2021-10-12_trimmed.json")
    assert set() == {i.venue_symbol for i in page.instruments} & halted
    assert len(halted) == page.skipped["not_trading"]


@pytest.mark.parametrize(
    ("path", "venue_symbol", "contract_size"),
    [
        ("okx-futures/instruments_BTC-USDT-SWAP_2026-09-26.json", "BTC-USDT-SWAP", 0.01),
        ("okx-futures/instruments_2022-05-13_trimmed.json", "SHIB-USDT-SWAP", 1e6),
        ("okx-futures/instruments_2022-05-13_trimmed.json", "BABYDOGE-USDT-SWAP", 1e9),
        ("mexc-futures/jkorf_contract_detail.json", "BTC_USDT", 0.0001),
        ("mexc-futures/jkorf_contract_detail.json", "ETH_USDT", 0.001),
        ("mexc-futures/ccxt_contract_detail_LTC_apiAllowed_false.json", "LTC_USDT", 0.01),
        ("mexc-futures/jkorf_push_contract_CLO.json", "CLO_USDT", 10.0),
    ],
)
def test_contract_sizes(path, venue_symbol, contract_size):
    assert contract_size == one(path, venue_symbol).contract_size


@pytest.mark.parametrize(
    ("path", "venue_symbol", "numbers"),
    [  # tick, lot step, min qty, max qty, min notional
        (
            "binance-spot/exchangeInfo_2021-10-12_trimmed.json",
            "BTCUSDT",
            (0.01, 0.00001, 0.00001, 9000, 10),
        ),
        (
            "binance-futures/exchangeInfo_2025-08-07_trimmed.json",
            "BTCUSDT",
            (0.1, 0.001, 0.001, 1000, 100),
        ),
        (
            "bybit-spot/jkorf_instruments.json",
            "BTCUSDT",
            (0.01, 0.000001, 0.000048, 71.73956243, 1),
        ),
        ("bybit-futures/jkorf_instruments.json", "BTCUSDT", (0.1, 0.001, 0.001, 100, 5)),
        (
            "okx-futures/instruments_BTC-USDT-SWAP_2026-09-26.json",
            "BTC-USDT-SWAP",
            (0.1, 0.01, 0.01, 1e8, 0),
        ),
        ("mexc-futures/jkorf_contract_detail.json", "BTC_USDT", (0.5, 1, 1, 1e6, 0)),
        (
            "mexc-spot/ccxt_exchangeInfo_rows_isSpotTradingAllowed_false.json",
            "BTCUSDT",
            (0.01, 0.000001, 0.000001, 0, 1),
        ),
    ],
)
def test_numbers_of_an_instrument(path, venue_symbol, numbers):
    got = one(path, venue_symbol)
    assert numbers == (got.tick, got.lot_step, got.min_qty, got.max_qty, got.min_notional)


@pytest.mark.parametrize("path", [path for path, (kept, _) in PAGES.items() if kept])
def test_decimal_texts_are_the_numbers_and_stand_in_the_list(path):
    body = (SAMPLES / path).read_text()
    for got in page_of(path).instruments:
        texts = (got.tick_text, got.lot_text, got.min_notional_text)
        assert (got.tick, got.lot_step, got.min_notional) == tuple(float(x or 0) for x in texts)
        if not path.startswith("mexc"):  # which sends numbers
            assert all(f'"{text}"' in body for text in texts if text)


@pytest.mark.parametrize(
    ("path", "venue_symbol", "texts"),
    [  # tick, lot step, min notional
        (
            "binance-spot/exchangeInfo_2021-10-12_trimmed.json",
            "BTCUSDT",
            ("0.01000000", "0.00001000", "10.00000000"),
        ),
        (
            "okx-futures/instruments_BTC-USDT-SWAP_2026-09-26.json",
            "BTC-USDT-SWAP",
            ("0.1", "0.01", ""),
        ),
        ("mexc-futures/jkorf_contract_detail.json", "BTC_USDT", ("0.5", "1", "")),
        (
            "mexc-spot/ccxt_exchangeInfo_rows_isSpotTradingAllowed_false.json",
            "BTCUSDT",
            ("1e-2", "1e-6", "1." + 30 * "0"),
        ),
    ],
)
def test_decimal_texts_of_an_instrument(path, venue_symbol, texts):
    got = one(path, venue_symbol)
    assert texts == (got.tick_text, got.lot_text, got.min_notional_text)


def test_majors_of_mexc_spot_are_kept_but_not_tradable_by_api():
    page = page_of("mexc-spot/ccxt_exchangeInfo_rows_isSpotTradingAllowed_false.json")
    assert [False] * 6 == [i.api_tradable for i in page.instruments]
    assert one("mexc-spot/jkorf_exchangeInfo_2025-01.json", "BROCKUSDT").api_tradable
    ltc = one("mexc-futures/ccxt_contract_detail_LTC_apiAllowed_false.json", "LTC_USDT")
    assert not ltc.api_tradable


def test_a_rate_limit_inside_http_200_is_no_empty_list():
    with pytest.raises(RateLimited, match="10006"):
        page_of("bybit-futures/rest_error_10006.json")


@pytest.mark.parametrize(
    "path",
    [
        "binance-spot/rest_bookTicker_2025.json",
        "binance-futures/rest_bookTicker_2020.json",
        "binance-futures/jkorf_contractInfo.json",
        "mexc-spot/jkorf_defaultSymbols.json",
        "mexc-spot/jkorf_rest_depth.json",
        "mexc-spot/jkorf_rest_bookTicker.json",
    ],
)
def test_other_answers_are_no_instrument_list(path):
    with pytest.raises(BadFrame, match="instruments"):
        page_of(path)


def test_every_list_is_named_here():
    others = {"rest_error_10006.json"}
    lists = {
        str(path.relative_to(SAMPLES))
        for path in SAMPLES.glob("*/*.json")
        if not path.name.startswith(("rest_", "jkorf_rest_", "jkorf_default", "jkorf_contractInfo"))
        and path.name not in others
    }
    assert lists == set(PAGES)
