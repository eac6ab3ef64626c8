"""Sessions, symbols, units and edges of small recordings written by hand."""

import math
import os
from pathlib import Path

import pytest

from known import SOURCE_BY_NAME
from spreadscan.errors import BadData, Halt
from spreadscan.replay import FrameCounts, parse_pairs, play, table
from spreadscan.replay.frames import find
from spreadscan.replay.player import Player
from spreadscan.types import Book
from spreadscan.venues import VENUES

PAIRS = parse_pairs("binance-futures:binance-spot")


def sides(quote):
    return quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty


# ---- accounts


def test_each_frame_counts_once(write):
    lines = [
        '{"event":"subscribe","arg":{"channel":"bbo-tbt","instId":"BTC-USDT"}}',
        "pong",
        '{"event":"error","code":"60018","msg":"x"}',
        '{"event":"notice","code":"64008","msg":"x"}',
        "garbage",
        '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{}]}',
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"bids":7,"asks":[]}]}',
        # two books in one frame: the first crossed, the second good
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":['
        '{"asks":[["1","1"]],"bids":[["2","1"]],"ts":"1","seqId":1},'
        '{"asks":[["3","1"]],"bids":[["2","1"]],"ts":"2","seqId":2}]}',
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":['
        '{"asks":[["4","1"]],"bids":[["2","1"]],"ts":"3","seqId":3},'
        '{"asks":[["5","1"]],"bids":[["2","1"]],"ts":"4","seqId":4}]}',
    ]
    account = play(write("okx-spot/a.jsonl", "\n".join(lines))).sources["okx-spot"]
    assert (9, 2, 3) == (account.frames, account.quote_frames, account.quotes)
    assert (1, 3, 1, 1, 1) == (
        account.acks, account.control, account.refusals, account.pongs, account.events,
    )  # fmt: skip
    assert {"bad_frame": 2, "other_channel": 1} == account.declined
    assert (2.0, 1.0, 5.0, 1.0) == sides(account.last["BTC-USDT"])
    assert 3 == account.last["BTC-USDT"].quotes


def test_an_account_that_does_not_add_up_is_not_printed():
    with pytest.raises(Halt, match="a file: 1 frames accounted for, expected 2"):
        FrameCounts(frames=2, acks=1).check("a file")


def test_what_the_gate_declines(write, spot_frame):
    rows = [
        spot_frame(10, 11, 5),
        spot_frame(10, 11, 4),  # an older id leaves the slot alone
        spot_frame(10, 11, 5),  # the same again
        spot_frame(0, 11, 6),
        spot_frame(12, 11, 7),
        spot_frame("", 11, 8),
    ]
    account = play(write("binance-spot/a.jsonl", "\n".join(rows[:3]))).sources["binance-spot"]
    assert (2, 1, {"old_id": 1}) == (account.quotes, account.refreshes, account.declined)
    assert (10.0, 1.0, 11.0, 1.0) == sides(account.last["BTCUSDT"])
    account = play(write("binance-spot/a.jsonl", "\n".join(rows))).sources["binance-spot"]
    assert {"old_id": 1, "bad_price": 1, "crossed": 1, "one_sided": 1} == account.declined
    quote = account.last["BTCUSDT"]
    assert all(math.isnan(value) for value in sides(quote))
    assert (0, 8, 2) == (quote.recv_ns, quote.update_id, quote.quotes)


def test_shared_counters_agree_with_the_account(write, spot_frame):
    rows = [spot_frame(10, 11, 5), spot_frame(10, 11, 4), spot_frame(12, 11, 6), "x", "{}"]
    player = Player(table.ReplayTable((), ()), table.SYMBOLS_MAX)
    folder = write("binance-spot/a.jsonl", "\n".join(rows))
    for file in find(folder):
        player.play(file, lambda at: None)
    account = player.result().sources["binance-spot"]
    source_id = SOURCE_BY_NAME["binance-spot"].id
    counters = player.table._instance.health.counters(source_id)
    assert account.quotes == counters["quotes"]
    for reason, n in account.declined.items():
        assert n == counters[f"declined_{reason}"]
    assert {"old_id", "crossed", "bad_frame", "other_channel"} == set(account.declined)


def test_no_frame_at_all(write):
    write("okx-spot/a.jsonl", "\n\n")
    with pytest.raises(BadData, match=r"no frame in 2 file\(s\), expected at least one"):
        play(write("frames.tsv.gz", ""))


def test_frames_that_go_back_in_time_are_played_in_file_order_and_counted(record, spot_frame):
    folder = record(
        (20, "binance_spot", spot_frame(10, 11, 1)),
        (10, "binance_spot", spot_frame(20, 21, 2)),
        (30, "binance_spot", spot_frame(30, 31, 3)),
    )
    account = play(folder).sources["binance-spot"]
    assert (3, 1, 20, 30) == (
        account.quotes, account.steps_back, account.first_recv_ns, account.last_recv_ns,
    )  # fmt: skip


# ---- sessions


def test_ids_are_forgotten_between_files(write, spot_frame):
    write("binance-spot/a.jsonl", spot_frame(10, 11, 500))
    folder = write("binance-spot/b.jsonl", spot_frame(20, 21, 3))
    result = play(folder)
    assert {} == result.sources["binance-spot"].declined
    assert 20.0 == result.sources["binance-spot"].last["BTCUSDT"].bid_px


def test_one_level_books_are_forgotten_between_files(write):
    snapshot = (
        '{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1,'
        '"data":{"s":"BTCUSDT","b":[["10","1"]],"a":[["11","1"]],"u":7,"seq":1}}'
    )
    delta = (
        '{"topic":"orderbook.1.BTCUSDT","type":"delta","ts":2,'
        '"data":{"s":"BTCUSDT","b":[["10","5"]],"a":[],"u":8,"seq":2}}'
    )
    account = play(write("bybit-spot/a.jsonl", f"{snapshot}\n{delta}")).sources["bybit-spot"]
    assert (2, {}, 5.0) == (account.quotes, account.declined, account.last["BTCUSDT"].bid_qty)
    write("bybit-spot/a.jsonl", snapshot)
    account = play(write("bybit-spot/b.jsonl", delta)).sources["bybit-spot"]
    assert (1, {"no_snapshot": 1}) == (account.quotes, account.declined)


def test_quotes_of_one_file_never_meet_those_of_another(write, record, spot_frame, futures_frame):
    write("binance-spot/a.jsonl", spot_frame(20, 21, 1))
    folder = write("binance-futures/a.jsonl", futures_frame(10, 11, 1))
    assert [] == play(folder, PAIRS, (0.0,)).edges


def test_a_wrapper_without_a_body_does_not_clear_the_quote():
    replay_table = table.ReplayTable((), ())
    player = Player(replay_table, table.SYMBOLS_MAX)

    class File:
        path, name, source = Path("nowhere/a.bin"), "a.bin", "mexc-spot"

    session = player.session(File, "mexc-spot")
    book = Book("BTCUSDT", 10.0, 1.0, 11.0, 2.0, 5_000_000, 7)
    frame = VENUES["mexc-spot"].render(book)
    session.take(frame, 1)
    session.take(frame[: frame.index(b"\xda\x13")], 2)  # field 315, the body, left out
    account = session.close()
    assert (1, {"other_channel": 1}) == (account.quotes, account.declined)
    assert (10.0, 1.0, 11.0, 2.0) == sides(account.last["BTCUSDT"])
    assert replay_table.read("mexc-spot", 0).recv_ns == 0  # but the end of the session does


# ---- edges


def test_every_update_of_either_side_once_both_are_known(record, spot_frame, futures_frame):
    folder = record(
        (1_000, "binance_usdm", futures_frame(99, 100, 1)),
        (2_000, "binance_spot", spot_frame(100.5, 101, 1)),  # 50 bps above 100
        (2_000, "binance_spot", spot_frame(100.4, 101, 2)),  # 40, at the same instant
        (3_000, "binance_usdm", futures_frame(99, 100.4, 2)),  # 0
        (4_000, "binance_spot", spot_frame(100.4, 101, 2)),  # 0, a refresh
        (5_000, "binance_spot", spot_frame(102, 103, 1)),  # older: no update
        (6_000, "binance_spot", spot_frame("", 103, 3)),  # empty: no edge
        (7_000, "binance_spot", spot_frame(100.9, 103, 4, "ETHUSDT")),  # no other side
        (9_000, "binance_spot", spot_frame(100.902, 103, 5)),  # 50 above 100.4
        (12_000, "binance_spot", "x"),  # the recording goes on
    )
    (edge,) = play(folder, PAIRS, (45.0, 0.0)).edges
    assert ("binance-futures", "binance-spot", "BTC-USDT", 5) == (
        edge.buy, edge.sell, edge.symbol, edge.updates,
    )  # fmt: skip
    assert 28.0 == pytest.approx(edge.mean_bps)
    assert 50.0 == pytest.approx(edge.max_bps)
    assert (2_000, 100.0, 100.5) == (edge.max_ns, edge.max_buy_px, edge.max_sell_px)
    high, zero = edge.above
    assert (45.0, 2, 2, 3e-6, 3e-6) == (
        high.bps, high.updates, high.episodes, high.total_s, high.longest_s,
    )  # fmt: skip
    assert (0.0, 3, 2, 4e-6, 3e-6) == (
        zero.bps, zero.updates, zero.episodes, zero.total_s, zero.longest_s,
    )  # fmt: skip


def test_episodes_end_with_their_file(record, spot_frame, futures_frame):
    rows = [
        (1_000, "binance_usdm", futures_frame(99, 100, 1)),
        (2_000, "binance_spot", spot_frame(101, 102, 1)),
        (5_000, "binance_spot", "x"),
    ]
    record(*rows, name="a/frames.tsv.gz")
    folder = record(*rows, name="b/frames.tsv.gz")
    (edge,) = play(folder, PAIRS, (0.0,)).edges
    (above,) = edge.above
    assert (2, 2, 6e-6, 3e-6) == (edge.updates, above.episodes, above.total_s, above.longest_s)


def test_the_same_twice(record, spot_frame, futures_frame):
    folder = record(
        (1_000, "binance_usdm", futures_frame(99, 100, 1)),
        (2_000, "binance_spot", spot_frame(101, 102, 1)),
    )
    assert play(folder, PAIRS, (0.0,)) == play(folder, PAIRS, (0.0,))


# ---- shared memory and progress


def test_no_name_stays_in_shared_memory(write, spot_frame, monkeypatch):
    before = set(os.listdir("/dev/shm"))
    seen = set()
    folder = write("binance-spot/a.jsonl", spot_frame(10, 11, 1))

    def look(done, total):
        seen.update(os.listdir("/dev/shm"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(folder, progress=look)
    ours = f"spreadscan-replay-{os.getpid()}"
    assert [] == [name for name in seen | set(os.listdir("/dev/shm")) if ours in name]

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(table, "Instance", fail)
    with pytest.raises(MemoryError):
        play(folder)
    assert [] == [n for n in set(os.listdir("/dev/shm")) - before if ours in n]


def test_progress_counts_bytes_of_all_files(write, spot_frame):
    first = spot_frame(10, 11, 1)
    write("binance-spot/a.jsonl", "\n".join([first] * 5000))
    folder = write("binance-spot/b.jsonl", first)
    seen = []
    play(folder, progress=lambda *at: seen.append(at))
    total = 5001 * len(first) + 4999
    assert {total} == {of for _, of in seen}
    assert sorted(seen) == seen
    assert [total - len(first), total] == [done for done, _ in seen[-2:]]
    assert 4 == len(seen)
