"""REST answers and pushes recorded by others, read to the values of their INDEX.md.

The samples stand beside the repository and are not part of it: skipped where absent.
"""

import json
from pathlib import Path

import pytest

from known import SOURCE_BY_NAME
from spreadscan.venues import VENUES
from spreadscan.venues.base import StatusChange
from spreadscan.venues.reference import ReferenceDecoder

SAMPLES = Path(__file__).parents[3] / "shared/wire/audit"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")

MS = 1_000_000
TICKERS = {
    "binance-spot/bookTicker_zero_row_2026.json": [
        ("BTCUSDT", 65015.27, 65015.28, 0),
        ("TONUSDT", 0.0, 0.0, 0),  # four zeros: no quote, and no price of 0
        ("SOLUSDT", 75.56, 75.57, 0),
    ],
    "binance-spot/bookTicker_2018_zero_testpair.json": [
        ("LTCBTC", 0.008564, 0.008588, 0),
        ("BNBBTC", 0.00019301, 0.00019389, 0),
        ("NEOBTC", 0.004425, 0.004426, 0),
        ("123456", 0.0, 0.0, 0),
        ("QTUMETH", 0.037745, 0.038267, 0),
    ],
    "binance-futures/bookTicker_2025-11-08_one_row.json": [
        ("BTCUSDT", 102190.0, 102190.1, 1_762_640_310_280 * MS)
    ],
    "bybit-futures/tickers_linear_2026-09-12_fields_trimmed.json": [
        ("BTCUSDT", 77146.5, 77146.6, 0),
        ("BTCUSDT-25DEC26", 78200.0, 78220.0, 0),
    ],
    "bybit-spot/tickers_spot_2023-01-16.json": [("BTCUSDT", 20517.96, 20527.77, 0)],
    "mexc-spot/ticker24hr_2024-03-13_one.json": [("BTCUSDT", 73369.83, 73369.84, 0)],
    "mexc-futures/contract_ticker_2025-11-08.json": [("BTC_USDT", 102216.4, 102216.5, 0)],
    # an object; maxBidPrice 91851.6 and minAskPrice 75151.3 are no quotes
    "mexc-futures/contract_ticker_single_2026-10-01_object.json": [
        ("BTC_USDT", 83501.4, 83501.6, 0)
    ],
    "mexc-futures/ws_push_ticker_nulls_2026-09-20.json": [("EUR_USDT", 1.1743, 1.1744, 0)],
    "okx-spot/tickers_spot_2024-02-23_docs.json": [
        ("BTC-USDT", 51229.3, 51229.4, 1_708_669_508_505 * MS)
    ],
    "okx-futures/tickers_swap_2026-09-12_fields_trimmed.json": [
        ("BTC-USDT-SWAP", 77164.0, 77164.1, 1_789_238_862_168 * MS)
    ],
    "gate-futures/tickers_2026-09_bulk_fields_trimmed.json": [
        ("BTC_USDT", 80358.0, 80358.1, 0),
        ("PEPE_USDT", 3.998e-6, 3.999e-6, 0),
    ],
    "gate-futures/tickers_2026-09-12_fields_trimmed.json": [("BTC_USDT", 77151.4, 77151.5, 0)],
    "gate-futures/ticker_single_2024-12_full.json": [("BTC_USDT", 102984.6, 102984.7, 0)],
    "gate-spot/ticker_single_with_sizes_2026-09.json": [
        ("BTC_USDT", 84049.9, 84050.0, 0),
        ("GRAM_USDT", 1.4025, 1.4029, 0),
    ],
    "gate-spot/ticker_row_without_sizes.json": [("KFC_USDT", 7.218, 7.298, 0)],
}
OTHERS = {  # read by the tests below
    "binance-spot/exchangeInfo_status_2021-10-12_fields_trimmed.json",
    "binance-spot/exchangeInfo_status_2025-08-07_fields_trimmed.json",
    "binance-futures/bookTicker_2020-10-16_oldest_and_newest.json",
    "binance-futures/contractInfo_stream_2023-10.jsonl",
    "binance-futures/exchangeInfo_status_2021-07-22_fields_trimmed.json",
    "bybit-futures/ws_ticker_vs_book_2026-08-13.jsonl",
    "bybit-status/system_status_2025-07-07.json",
    "okx-spot/ticker_row_one_sided_2026-07.json",
    "okx-status/status_docs_2023-01.json",
    "gate-futures/contracts_2023-05-24_fields_trimmed.json",
    "gate-spot/currency_pairs_2021-04-22.json",
}
UNREAD = {
    "mexc-spot/symbol_offline_docs_2026-04.json",  # the list of all pairs says the same
    "okx-status/ws_status_push_2023-01.json",  # maintenance is asked for, not pushed
}


def sample(path):
    return (SAMPLES / path).read_bytes()


def test_every_sample_of_our_venues_is_read_or_named():
    folders = {*SOURCE_BY_NAME, "bybit-status", "okx-status"}
    found = {str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")}
    assert {*TICKERS, *OTHERS, *UNREAD} == {
        path for path in found if path.partition("/")[0] in folders
    }


@pytest.mark.parametrize("path", TICKERS)
def test_tickers(path):
    audit = VENUES[path.partition("/")[0]].audit
    assert TICKERS[path] == audit.tickers(sample(path))


def test_statuses_of_gates_lists():
    spot = VENUES["gate-spot"].instruments(sample("gate-spot/currency_pairs_2021-04-22.json"))
    assert {"ETH_USDT", "BTC_USDT"} == {one.venue_symbol for one in spot.instruments}
    assert {"not_trading": 5, "other_quote": 2} == spot.skipped
    path = "gate-futures/contracts_2023-05-24_fields_trimmed.json"
    assert {"COCOS_USDT": "delisted"} == VENUES["gate-futures"].instruments(sample(path)).left_out


def test_times_of_binance_differ_by_row():
    path = "binance-futures/bookTicker_2020-10-16_oldest_and_newest.json"
    found = VENUES["binance-futures"].audit.tickers(sample(path))
    times_ms = [ticker.row_ns // MS for ticker in found]
    assert 157 == max(times_ms) - min(times_ms)
    assert ("CRVUSDT", 0.503, 0.504, 1_602_820_275_822 * MS) == min(found, key=lambda t: t.row_ns)


def test_a_one_sided_row_of_okx():
    row = json.loads(sample("okx-spot/ticker_row_one_sided_2026-07.json"))
    page = {"code": "0", "data": [row | {"instId": "X-USDT"}]}  # the publisher cut the name
    found = VENUES["okx-spot"].audit.tickers(json.dumps(page).encode())
    assert [("X-USDT", 7.095, 0.0, 1_783_755_266_261 * MS)] == found


def test_bybits_ticker_shows_the_prices_of_its_book():
    """As numbers: "63561.50" and "63561.5"; sizes of the same second differ."""
    venue = VENUES["bybit-futures"]
    frames = sample("bybit-futures/ws_ticker_vs_book_2026-08-13.jsonl").splitlines()
    (book,) = ReferenceDecoder(venue.schema).decode(frames[0])
    page = {"retCode": 0, "result": {"list": [json.loads(frames[1])["data"]]}}
    (ticker,) = venue.audit.tickers(json.dumps(page).encode())
    assert (63561.5, 63561.6) == (book.bid_px, book.ask_px) == ticker[1:3]


@pytest.mark.parametrize(
    ("path", "trading", "halted"),
    [
        (
            "binance-spot/exchangeInfo_status_2021-10-12_fields_trimmed.json",
            {"BTCUSDT", "ETHUSDT"},
            {"BCCUSDT", "VENUSDT", "STORMUSDT", "MCOUSDT"},
        ),
        (  # the other four are no USDT pairs, whatever their status
            "binance-spot/exchangeInfo_status_2025-08-07_fields_trimmed.json",
            {"BTCUSDT", "ETHUSDT"},
            set(),
        ),
    ],
)
def test_status_decides_whatever_is_allowed(path, trading, halted):
    page = VENUES["binance-spot"].instruments(sample(path))
    assert trading == {one.venue_symbol for one in page.instruments}
    assert halted == {name for name, why in page.left_out.items() if why == "not_trading"}
    rows = json.loads(sample(path))["symbols"]
    assert all(row["isSpotTradingAllowed"] for row in rows)


def test_statuses_of_contracts():
    page = json.loads(sample("binance-futures/exchangeInfo_status_2021-07-22_fields_trimmed.json"))
    for row in page["symbols"]:
        row["baseAsset"] = row["pair"].removesuffix("USDT")  # trimmed from the sample
    found = VENUES["binance-futures"].instruments(json.dumps(page).encode())
    assert ["BTCUSDT", "ETHUSDT"] == [one.venue_symbol for one in found.instruments]
    assert {
        "BTCSTUSDT": "not_trading",  # PENDING_TRADING, contractType ""
        "BTCUSDT_210924": "not_perpetual",
        "ETHUSDT_210924": "not_perpetual",
    } == found.left_out


def test_a_push_is_not_always_a_change():
    """The second is an update of brackets, while the contract trades on."""
    push = VENUES["binance-futures"].audit.push
    frames = sample("binance-futures/contractInfo_stream_2023-10.jsonl").splitlines()
    for wrapped in (False, True):
        found = [
            change
            for frame in frames
            for change in push.read(b'{"stream":"x","data":%s}' % frame if wrapped else frame)
        ]
        assert [
            StatusChange("BIGTIMEUSDT", False, "PENDING_TRADING"),
            StatusChange("LOOMUSDT", True, "TRADING"),
        ] == found


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_completed_maintenance_is_none(market):
    bybit, okx = (VENUES[f"{exchange}-{market}"].audit for exchange in ("bybit", "okx"))
    page = sample("bybit-status/system_status_2025-07-07.json")
    assert [] == bybit.maintenance(page)
    assert [] == okx.maintenance(sample("okx-status/status_docs_2023-01.json"))
    # the same entries while they went on: the last is of the demo, and two of one market each
    own = ["t05"] if market == "futures" else ["t04"]
    found = bybit.maintenance(page.replace(b'"completed"', b'"ongoing"'))
    assert sorted(["t06", "t03", "t02", *own]) == sorted(one.title for one in found)
    assert {1_751_596_902_000 * MS} == {one.begin_ns for one in found if one.title == "t06"}
    going = sample("okx-status/status_docs_2023-01.json").replace(b'"completed"', b'"ongoing"')
    title = "Trading account system upgrade (in batches of accounts)"
    begin_ns, end_ns = 1_672_823_400_000 * MS, 1_672_823_520_000 * MS
    assert [("ongoing", title, begin_ns, end_ns, "trading, by accounts")] == okx.maintenance(going)
