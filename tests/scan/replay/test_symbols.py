"""Names, ids and units of the symbols of a recording."""

import pytest

from spreadscan.replay import parse_pairs, play
from spreadscan.replay.symbols import Symbols, shared_name
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES


def last_of(result, source, venue_symbol):
    return result.sources[source].last[venue_symbol]


def sides(quote):
    return quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty


def rendered(source, book):
    return VENUES[source].render(Book(*book)) + b"\n"


@pytest.mark.parametrize(
    ("venue_symbol", "name"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("BTC_USDT", "BTC-USDT"),
        ("BTC-USDT", "BTC-USDT"),
        ("BTC-USDT-SWAP", "BTC-USDT"),
        ("1000PEPEUSDT", "1000PEPE-USDT"),
        ("USDTUSDT", "USDT-USDT"),
        ("SOLUSDC", "SOL-USDC"),
        ("SOL_USDC", "SOL-USDC"),
        ("SOL-USDC-SWAP", "SOL-USDC"),
        ("SOLPERP", "SOL-USDC"),
        ("USDCUSDT", "USDC-USDT"),
        ("PERPUSDT", "PERP-USDT"),
        ("BTC-09OCT26", "BTC-09OCT26"),
        ("SOLFDUSD", "SOLFDUSD"),
        ("BTC-USD-SWAP", "BTC-USD-SWAP"),
        ("BTCUSDT_210924", "BTCUSDT_210924"),
        ("BTCUSDT-09OCT26", "BTCUSDT-09OCT26"),
        ("BTC-USDT-220527", "BTC-USDT-220527"),
        ("USDT", "USDT"),
        ("-USDT", "-USDT"),
    ],
)
def test_shared_names(venue_symbol, name):
    assert name == shared_name(venue_symbol)


def test_pairs_in_usdc_share_a_slot_however_they_are_spelled():
    symbols = Symbols(8)
    placed = [
        symbols.place(source, name, None)
        for source, name in [
            ("bybit-futures", "BTCPERP"),
            ("okx-spot", "BTC-USDC"),
            ("binance-spot", "BTCUSDC"),
            ("mexc-futures", "BTC_USDC"),
            ("bybit-futures", "BTCUSDT"),
        ]
    ]
    assert [0, 0, 0, 0, 1] == [listing.symbol_id for listing in placed]
    assert ["BTC-USDC", "BTC-USDT"] == symbols.names


def test_ids_in_order_of_appearance_and_one_slot_per_venue_symbol():
    symbols = Symbols(4)
    placed = [
        symbols.place(source, name, None)
        for source, name in [
            ("okx-spot", "ETH-USDT"),
            ("bybit-spot", "BTCUSDT"),
            ("bybit-spot", "ETHUSDT"),
            ("bybit-spot", "ETH-USDT"),  # another listing of that source keeps its own name,
            ("okx-spot", "ETH-USDT"),  # which is taken there: so it says whose it is
            ("mexc-spot", "ETHUSDT"),
        ]
    ]
    assert [0, 1, 0, 2, 0, 0] == [listing.symbol_id for listing in placed]
    assert ["ETH-USDT", "BTC-USDT", "bybit-spot/ETH-USDT"] == symbols.names
    assert symbols.place("okx-spot", "A", None) is not None
    assert symbols.place("okx-spot", "B", None) is None


def test_more_symbols_than_the_table_has_room_for(write, spot_frame):
    rows = [spot_frame(10, 11, 1, f"C{i}USDT") for i in range(5)]
    folder = write("binance-spot/a.jsonl", "\n".join(rows + rows))
    account = play(folder, n_symbols=3).sources["binance-spot"]
    assert (6, {"unknown_symbol": 4}) == (account.quotes, account.declined)
    assert ["C0USDT", "C1USDT", "C2USDT"] == list(account.last)


@pytest.mark.parametrize("source", [s for s, v in VENUES.items() if v.spec.sizes == "coins"])
def test_sizes_are_coins_on_most_sources(write, source):
    book = ("BTCUSDT", 10.0, 2.0, 11.0, 3.0, 5_000_000, 1)
    if source == "mexc-spot":
        folder = write(f"{source}/a.bin", VENUES[source].render(Book(*book)))
    else:
        folder = write(f"{source}/a.jsonl", rendered(source, book))
    quote = last_of(play(folder), source, "BTCUSDT")
    assert (10.0, 2.0, 11.0, 3.0) == sides(quote)
    assert "BTC-USDT" == quote.symbol


CONTRACTS = {
    "okx-futures": (
        "BTC-USDT-SWAP",
        '{"code":"0","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","uly":"BTC-USDT",'
        '"ctValCcy":"BTC","ctVal":"%s","ctMult":"1","ctType":"linear","settleCcy":"USDT",'
        '"state":"live"}]}',
    ),
    "mexc-futures": (
        "BTC_USDT",
        '{"success":true,"code":0,"data":[{"symbol":"BTC_USDT","baseCoin":"BTC",'
        '"quoteCoin":"USDT","settleCoin":"USDT","contractSize":%s,"state":0}]}',
    ),
}


@pytest.mark.parametrize("source", CONTRACTS)
def test_contract_sizes_come_from_instrument_files(write, source):
    symbol, page = CONTRACTS[source]
    folder = write(f"{source}/a.jsonl", rendered(source, (symbol, 10.0, 2.0, 11.0, 3.0, 0, 1)))
    account = play(folder).sources[source]
    assert {"no_contract_size": 1} == account.declined
    assert ([symbol], {}) == (account.without_contract_size, account.last)
    write(f"{source}/other.json", '{"what":"ever"}')
    write(f"{source}/broken.json", b"\xff")
    write("list.json", page % "7")  # not in the folder of the frames
    assert {"no_contract_size": 1} == play(folder).sources[source].declined
    write(f"{source}/list_1.json", page % "0.5")
    write(f"{source}/list_2.json", page % "0.25")  # the last by name counts
    account = play(folder).sources[source]
    assert {} == account.declined
    assert (10.0, 0.5, 11.0, 0.75) == sides(account.last[symbol])


def test_multipliers_are_told_by_instrument_files_only(write, futures_frame):
    folder = write("binance-futures/a.jsonl", futures_frame(10, 11, 1, "1000PEPEUSDT", 3))
    quote = last_of(play(folder), "binance-futures", "1000PEPEUSDT")
    assert ("1000PEPE-USDT", (10.0, 3.0, 11.0, 3.0)) == (quote.symbol, sides(quote))
    write(
        "binance-futures/list.json",
        '{"symbols":[{"symbol":"1000PEPEUSDT","baseAsset":"1000PEPE","quoteAsset":"USDT",'
        '"marginAsset":"USDT","status":"TRADING","contractType":"PERPETUAL"}]}',
    )
    quote = last_of(play(folder), "binance-futures", "1000PEPEUSDT")
    assert ("PEPE-USDT", (0.01, 3000.0, 0.011, 3000.0)) == (quote.symbol, sides(quote))


def test_sources_pair_by_shared_name(write, record):
    rows = [
        (1, "mexc-futures", '{"symbol":"BTC_USDT","channel":"push.depth.full","data":'
         '{"asks":[[100,1,1]],"bids":[[99,1,1]],"version":1}}'),
        (2, "okx-spot", '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":'
         '[{"asks":[["103","1"]],"bids":[["101","1"]],"seqId":1}]}'),
    ]  # fmt: skip
    record(*rows)
    folder = write("contracts.json", CONTRACTS["mexc-futures"][1] % "0.1")
    pairs = parse_pairs("mexc-futures:okx-spot,okx-spot:mexc-futures")
    edges = play(folder, pairs).edges
    assert [("mexc-futures", "BTC-USDT", 1), ("okx-spot", "BTC-USDT", 1)] == [
        (e.buy, e.symbol, e.updates) for e in edges
    ]
    assert 100.0 == pytest.approx(edges[0].max_bps)
    assert [[], []] == [e.above for e in edges]


def listed(kind, *names):
    rows = [
        f'{{"symbol":"{name}","baseAsset":"{name[:-4]}","quoteAsset":"USDT","marginAsset":"USDT",'
        f'"status":"TRADING","contractType":"{kind}","pair":"{name}"}}'
        for name in names
    ]
    return f'{{"symbols":[{",".join(rows)}]}}'


def test_a_declined_name_does_not_pair_with_the_coin_of_another_source(
    write, record, spot_frame, futures_frame
):
    """X is a stock here and a coin there; Y is on no list: nothing says that it is no coin."""
    rows = [
        (n, venue, frame(10, 11, n, name))
        for n, (venue, frame, name) in enumerate(
            [
                ("binance_usdm", futures_frame, "XUSDT"), ("bybit-spot", bybit, "XUSDT"),
                ("binance_usdm", futures_frame, "YUSDT"), ("bybit-spot", bybit, "YUSDT"),
                ("binance_usdm", futures_frame, "ZUSDT"), ("bybit-spot", bybit, "ZUSDT"),
            ], 1
        )
    ]  # fmt: skip
    folder = record(*rows)
    pairs = parse_pairs("bybit-spot:binance-futures")
    assert ["X-USDT", "Y-USDT", "Z-USDT"] == [edge.symbol for edge in play(folder, pairs).edges]
    write("stocks.json", listed("TRADIFI_PERPETUAL", "XUSDT"))
    write("coins.json", listed("PERPETUAL", "ZUSDT"))
    result = play(folder, pairs)
    assert ["Y-USDT", "Z-USDT"] == [edge.symbol for edge in result.edges]
    last = result.sources["binance-futures"].last
    assert "binance-futures/XUSDT" == last["XUSDT"].symbol  # it has its quotes, by itself
    assert "X-USDT" == result.sources["bybit-spot"].last["XUSDT"].symbol


def bybit(bid, ask, update_id, symbol):
    return VENUES["bybit-spot"].render(Book(symbol, bid, 1.0, ask, 1.0, 0, update_id)).decode()


def test_a_name_that_is_taken_does_not_take_that_of_another_source():
    """An OKX listing of another coin's name: its own is another source's coin, too."""
    symbols = Symbols(8)
    new = symbols.place("okx-spot", "LUNA2-USDT", coin("LUNA2-USDT", "LUNA2"))
    old = symbols.place("okx-spot", "LUNA-USDT", coin("LUNA-USDT", "LUNA2"))
    other = symbols.place("bybit-spot", "LUNAUSDT", None)
    assert ("LUNA2-USDT", "okx-spot/LUNA-USDT", "LUNA-USDT") == (new[1], old[1], other[1])
    assert 3 == len({new.symbol_id, old.symbol_id, other.symbol_id})


def coin(venue_symbol, base):
    return Instrument(venue_symbol=venue_symbol, base=base, listed_base=base, quote="USDT")
