"""Frames recorded by others, played to the answers of their INDEX.md: one session per file.

The samples stand beside the repository and are not part of it: skipped where absent.
"""

import math
from pathlib import Path

import pytest
from spreadcore.layout import DECLINED

from spreadscan.replay import play

SAMPLES = Path(__file__).parents[4] / "shared/wire/samples"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")

# file: frames, quotes, acks, refusals, pongs, events, declined
FILES = {
    "binance-futures/bookticker_2021-07-22.tsv": (613, 613, 0, 0, 0, 0, {}),
    "binance-futures/docs_control.jsonl": (3, 0, 1, 2, 0, 0, {}),
    "binance-futures/recorded_2026-09-15_demo.jsonl": (26, 25, 0, 0, 0, 0, {"other_channel": 1}),
    # COIN-M (st 2) and the stream of all symbols; the later line of ETHUSDT is years older
    "binance-futures/recorded_singles_2021-26.jsonl": (
        6, 3, 0, 0, 0, 0, {"other_channel": 2, "old_id": 1},
    ),
    "binance-spot/bookticker_2021-10-12.tsv": (84, 84, 0, 0, 0, 0, {}),
    "binance-spot/cryptofeed_ws_2021-10-12.log.gz": (265, 84, 0, 0, 0, 0, {"other_channel": 181}),
    "binance-spot/docs_control.jsonl": (8, 0, 3, 3, 0, 2, {}),
    "binance-spot/recorded_2026-09-13_testnet.jsonl": (8, 6, 0, 0, 0, 0, {"other_channel": 2}),
    "binance-spot/recorded_singles.jsonl": (2, 2, 0, 0, 0, 0, {}),
    "bybit-futures/recorded_2026-08-13.jsonl": (6, 2, 1, 0, 1, 0, {"other_channel": 2}),
    "bybit-futures/recorded_2026-09-23_relay.jsonl": (8, 1, 1, 2, 1, 0, {"other_channel": 3}),
    "bybit-futures/tardis_2023-04.jsonl": (
        10, 2, 0, 0, 0, 0, {"other_channel": 7, "no_snapshot": 1},
    ),
    "bybit-spot/recorded_2026-09-13_testnet.jsonl": (19, 14, 1, 1, 1, 0, {"other_channel": 2}),
    "bybit-spot/recorded_singles_2023-26.jsonl": (4, 2, 1, 0, 0, 0, {"no_snapshot": 1}),
    "bybit-spot/tardis_2023-04.jsonl": (4, 2, 0, 0, 0, 0, {"other_channel": 2}),
    "mexc-futures/docs_control.jsonl": (3, 0, 1, 1, 1, 0, {}),
    "mexc-futures/recorded_2026-09.jsonl": (
        14, 2, 2, 1, 1, 0, {"no_contract_size": 1, "other_channel": 7},
    ),
    "mexc-spot/control.jsonl": (4, 0, 2, 1, 1, 0, {}),
    "mexc-spot/enc_aggreDeals_BTCUSDT_2026-06-23.bin": (1, 0, 0, 0, 0, 0, {"other_channel": 1}),
    "mexc-spot/enc_aggreDepth_BTCUSDC_2025-08-23.bin": (1, 0, 0, 0, 0, 0, {"other_channel": 1}),
    "mexc-spot/enc_aggreDepth_BTCUSDT_2026-06-18.bin": (1, 0, 0, 0, 0, 0, {"other_channel": 1}),
    "mexc-spot/enc_aggreDepth_BTCUSDT_2026-06-23.bin": (1, 0, 0, 0, 0, 0, {"other_channel": 1}),
    "mexc-spot/enc_bookTicker_BTCUSDT_2026-06-23.bin": (1, 1, 0, 0, 0, 0, {}),
    "mexc-spot/enc_bookTicker_one_sided.bin": (1, 0, 0, 0, 0, 0, {"one_sided": 1}),
    "mexc-spot/enc_empty_wrapper_XENUSDT_2026-06.bin": (1, 0, 0, 0, 0, 0, {"other_channel": 1}),
    "mexc-spot/live_bookTicker_BTCUSDT_2026-09-20.bin": (1, 1, 0, 0, 0, 0, {}),
    "okx-futures/acks_2022-05-13.tsv": (18, 0, 18, 0, 0, 0, {}),
    "okx-futures/docs_control.jsonl": (4, 0, 2, 2, 0, 0, {}),
    "okx-futures/pong.txt": (1, 0, 0, 0, 1, 0, {}),
    "okx-futures/recorded_2026-08_singles.jsonl": (3, 1, 1, 0, 0, 0, {"no_contract_size": 1}),
    "okx-futures/recorded_2026-09-26_BTC-USDT-SWAP.tsv": (
        30, 26, 2, 0, 0, 0, {"other_channel": 2},
    ),
    "okx-futures/tardis_2021-22.jsonl": (5, 2, 0, 0, 0, 0, {"other_channel": 3}),
    "okx-futures/tickers_2022-05-13.tsv": (3, 0, 0, 0, 0, 0, {"other_channel": 3}),
    "okx-spot/books_BTC-USDT_2022-05-13.tsv": (40, 0, 0, 0, 0, 0, {"other_channel": 40}),
    "okx-spot/docs_control.jsonl": (4, 0, 2, 2, 0, 0, {}),
    "okx-spot/pong.txt": (1, 0, 0, 0, 1, 0, {}),
    "okx-spot/recorded_singles_2025-26.jsonl": (3, 2, 1, 0, 0, 0, {}),
    "okx-spot/tickers_BTC-USDT_2022-05-13.tsv": (25, 0, 0, 0, 0, 0, {"other_channel": 25}),
}  # fmt: skip

# file: last quote by venue symbol: bid, size, ask, size (in coins), venue ms, update id, quotes
LAST = {
    "binance-spot/bookticker_2021-10-12.tsv": {
        "NKNUSDT": (0.3527, 9602, 0.3531, 152, 0, 499870151, 74),
        "LRCBTC": (0.00000637, 2500, 0.00000638, 2285, 0, 259345558, 9),
        "BLZETH": (0.00006547, 100, 0.0000656, 1528, 0, 281916636, 1),
    },
    "binance-spot/recorded_2026-09-13_testnet.jsonl": {
        "BTCUSDT": (76745.18, 8.74041, 76745.19, 12.05951, 0, 1801521, 6)
    },
    "binance-spot/recorded_singles.jsonl": {
        "SOLUSDC": (117.28, 11.527, 117.29, 22.186, 0, 6857599072, 1),
        "BTCUSDT": (8010, 0.142459, 8012.15, 0.031201, 0, 1127645101, 1),
    },
    "binance-futures/bookticker_2021-07-22.tsv": {
        "SUSHIUSDT": (7.612, 303, 7.615, 56, 1626992771149, 600860427282, 305),
        "CTKUSDT": (1.011, 1698, 1.012, 10123, 1626992770784, 600860419015, 145),
        "AKROUSDT": (0.01734, 502, 0.01735, 50697, 1626992770346, 600860408095, 88),
        "KEEPUSDT": (0.2463, 249, 0.2467, 9047, 1626992768410, 600860342675, 75),
    },
    "binance-futures/recorded_2026-09-15_demo.jsonl": {
        "BTCUSDT": (77015.2, 61.97, 77021.2, 524.9209, 1789469125898, 429012314580, 25)
    },
    "binance-futures/recorded_singles_2021-26.jsonl": {
        "ETHUSDT": (1943.64, 113.445, 1943.65, 182.433, 1785121247583, 11139947831981, 1),
        "ETHBUSD": (2450.03, 2.346, 2450.04, 1.626, 1643162839528, 1154786566700, 1),
        "BTCUSDT": (33134.42, 0.17, 33139.39, 0.38, 1612137603568, 185130926750, 1),
    },
    "bybit-spot/recorded_2026-09-13_testnet.jsonl": {
        "BTCUSDT": (77140.5, 0.236197, 77140.6, 0.324084, 1789299683898, 1980716, 14)
    },
    "bybit-spot/recorded_singles_2023-26.jsonl": {
        "BTCUSDT": (69904.3, 0.347143, 69904.4, 0.390684, 1773342407934, 141506058, 2)
    },
    "bybit-spot/tardis_2023-04.jsonl": {
        "BTCUSDT": (28165.07, 0.166754, 28165.08, 0.996816, 1680652806615, 20404755, 2)
    },
    "bybit-futures/recorded_2026-08-13.jsonl": {
        "BTCUSDT": (63561.5, 1.776, 63561.6, 4.848, 1786659828107, 31398762, 2)
    },
    "bybit-futures/recorded_2026-09-23_relay.jsonl": {  # by topic: data.s says BTC2USDT
        "BTCUSDT": (86635.4, 33.169, 86635.5, 6.989, 1790133763508, 14766676, 1)
    },
    "bybit-futures/tardis_2023-04.jsonl": {
        "BTCUSDT": (28552.00, 0.012, 28552.10, 25.433, 1680673821137, 7003306, 2)
    },
    "okx-spot/recorded_singles_2025-26.jsonl": {
        "SOL-USDC": (117.31, 4.41916, 117.36, 62.36109, 1790071390505, 4153112115, 1),
        "BTC-USDT": (105252.5, 1.1133491, 105252.6, 0.16271274, 1749044565306, 55729075884, 1),
    },
    "okx-futures/recorded_2026-09-26_BTC-USDT-SWAP.tsv": {
        "BTC-USDT-SWAP": (84095.5, 21.5143, 84095.6, 0.5167, 1790439596550, 342177340135, 26)
    },
    "okx-futures/recorded_2026-08_singles.jsonl": {
        "BTC-USDT-SWAP": (38632.3, 9.9, 38632.4, 7.27, 1651761120004, -1, 1)
    },
    "okx-futures/tardis_2021-22.jsonl": {
        "BTC-USDT-SWAP": (38632.3, 9.9, 38632.4, 7.27, 1651761120004, -1, 2)
    },
    "mexc-spot/live_bookTicker_BTCUSDT_2026-09-20.bin": {
        "BTCUSDT": (80535.88, 0.380497, 80535.89, 0.33336356, 1789897517479, 81721676217, 1)
    },
    "mexc-spot/enc_bookTicker_BTCUSDT_2026-06-23.bin": {
        "BTCUSDT": (62383.56, 0.07956651, 62383.57, 0.09556, 1782208005090, 1782208005090, 1)
    },
    "mexc-futures/recorded_2026-09.jsonl": {
        "BTC_USDT": (80468.6, 3.1288, 80468.7, 0.3446, 1789897581009, 41925002140, 2)
    },
}
LAST["binance-spot/cryptofeed_ws_2021-10-12.log.gz"] = LAST[
    "binance-spot/bookticker_2021-10-12.tsv"
]


@pytest.fixture(scope="module")
def samples():
    return play(SAMPLES)


def accounts(result):
    return {file.file: account for file in result.files for account in file.sources.values()}


def test_every_file_is_one_session_of_its_source(samples):
    for file in samples.files:
        assert [file.file.split("/")[0]] == list(file.sources)
    assert sorted(FILES) == [file.file for file in samples.files]


def test_every_frame_is_accounted_for(samples):
    got = {
        name: (a.frames, a.quotes, a.acks, a.refusals, a.pongs, a.events, a.declined)
        for name, a in accounts(samples).items()
    }
    assert FILES == got
    assert samples.frames == sum(row[0] for row in FILES.values())


def test_sources_are_the_sums_of_their_files(samples):
    for source, account in samples.sources.items():
        rows = [row for name, row in FILES.items() if name.startswith(f"{source}/")]
        assert sum(row[0] for row in rows) == account.frames
        assert sum(row[1] for row in rows) == account.quotes == account.quote_frames
        assert sum(row[2] for row in rows) == account.acks
        assert sum(sum(row[3:6]) for row in rows) == account.control
        declined = account.quote_frames + account.acks + account.control
        assert account.frames == declined + sum(account.declined.values())
        assert set(DECLINED) >= set(account.declined)


@pytest.mark.parametrize("file", LAST)
def test_last_quotes(samples, file):
    got = {
        venue_symbol: (
            q.bid_px, q.bid_qty, q.ask_px, q.ask_qty, q.venue_ns // 1_000_000, q.update_id,
            q.quotes,
        )
        for venue_symbol, q in accounts(samples)[file].last.items()
    }  # fmt: skip
    expected = {symbol: pytest.approx(row, rel=1e-15) for symbol, row in LAST[file].items()}
    assert expected == got


def test_other_files_give_no_quote_but_one_that_was_emptied(samples):
    others = {name: a.last for name, a in accounts(samples).items() if a.last and name not in LAST}
    assert ["mexc-spot/enc_bookTicker_one_sided.bin"] == list(others)
    (quote,) = others["mexc-spot/enc_bookTicker_one_sided.bin"].values()
    sides = (quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty)
    assert all(math.isnan(value) for value in sides)
    assert (0, 0, 1710000000005) == (quote.recv_ns, quote.quotes, quote.update_id)


def test_contracts_without_an_instrument_file(samples):
    missing = {name: a.without_contract_size for name, a in samples.sources.items()}
    assert ["RIF_USDT"] == missing.pop("mexc-futures")
    assert ["DATA-USDT-SWAP"] == missing.pop("okx-futures")
    assert [] == [symbol for symbols in missing.values() for symbol in symbols]


def test_idle_repeats_are_refreshes(samples):
    repeated = {name: a.refreshes for name, a in accounts(samples).items() if a.refreshes}
    assert {"bybit-spot/recorded_2026-09-13_testnet.jsonl": 2} == repeated


def test_receive_times(samples):
    times = {name: (a.first_recv_ns, a.last_recv_ns) for name, a in accounts(samples).items()}
    # Unix seconds, seconds of a raw capture, ns of a monotonic clock, line numbers, one frame
    assert {
        "binance-futures/bookticker_2021-07-22.tsv": (1626992741062170000, 1626992771201806000),
        "binance-spot/cryptofeed_ws_2021-10-12.log.gz": (
            1633998512063356900,
            1633998542077861800,
        ),
        "okx-futures/recorded_2026-09-26_BTC-USDT-SWAP.tsv": (91951477042977, 91953134791439),
        "bybit-spot/recorded_2026-09-13_testnet.jsonl": (1_000_000, 19_000_000),
        "okx-spot/pong.txt": (1_000_000, 1_000_000),
    }.items() <= times.items()


def test_a_folder_of_one_source_gives_the_same(samples):
    result = play(SAMPLES / "mexc-futures")
    assert ["docs_control.jsonl", "recorded_2026-09.jsonl"] == [f.file for f in result.files]
    assert {"mexc-futures": samples.sources["mexc-futures"]} == result.sources
