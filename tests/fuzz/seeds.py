"""Frames that mutants are made of: rendered ones, and recorded ones where those are at hand."""

import gzip
import math
from random import Random

from spreadscan.types import Book
from spreadscan.venues import VENUES
from venues.test_samples import SAMPLES, frames_of

RECORDINGS = SAMPLES.parent / "recordings"
RECORDED = {"binance-spot": "bn_spot_load_20240809", "binance-futures": "bn_usdm_load_20240719"}
# What render() does not write: frames without a stream, other margin families, deltas, two
# elements, forms of 2021 to 2026.
BY_HAND = {
    "binance-spot": [
        b'{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21","a":"25.3652","A":"40.66"}',
        b'{"data":{"A":"3","a":"1.6","B":"2","b":"1.5","s":"BTCUSDT","u":5},"stream":"x@bookTicker"}',
    ],
    "binance-futures": [
        b'{"e":"bookTicker","u":5,"E":7,"T":8,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}',
        b'{"stream":"x@bookTicker","data":{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"1.5","B":"2",'
        b'"a":"1.6","A":"3","E":7,"st":1,"ps":"BTCUSDT"}}',
    ],
    "bybit-spot": [
        b'{"topic":"orderbook.1.BTCUSDT","ts":7,"type":"snapshot","data":{"s":"BTCUSDT",'
        b'"b":[["1.5","2"],["1.4","3"]],"a":[["1.6","3"]],"u":5,"seq":6},"cts":6}',
        b'{"topic":"orderbook.1.BTCUSDT","type":"delta","ts":7,"data":{"s":"BTCUSDT","b":[],'
        b'"a":[["1.6","3"]],"u":5,"seq":6}}',
    ],
    "mexc-futures": [
        b'{"symbol":"BTC_USDT","data":{"cts":6,"asks":[[7.54812E+4,10,1],[75482,3,2]],'
        b'"bids":[[7.548E+4,4959,3]],"version":5},"channel":"push.depth.full","ts":7}',
    ],
    "okx-spot": [
        b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":['
        b'{"asks":[["1.6","3","0","1"]],"bids":[["1.5","2","0","1"]],"ts":"7","seqId":5},'
        b'{"asks":[["1.7","3","0","1"]],"bids":[],"ts":"8","seqId":6}]}',
    ],
}
BY_HAND["bybit-futures"] = BY_HAND["bybit-spot"]
BY_HAND["okx-futures"] = BY_HAND["okx-spot"]


def random_book(rng):
    """Return a book of numbers as venues send them; one in six has a side only."""

    def level():
        px = rng.randrange(1, 10 ** rng.randrange(1, 12)) / 10 ** rng.randrange(9)
        return px, rng.randrange(1, 10 ** rng.randrange(1, 10)) / 10 ** rng.randrange(9)

    missing = math.nan, math.nan
    bid, ask = level(), level()
    side = rng.randrange(12)
    bid, ask = missing if side == 0 else bid, missing if side == 1 else ask
    symbol = "".join(rng.choices("ABCXYZ019_-", k=rng.randrange(1, 16)))
    ms = 0 if rng.random() < 0.1 else rng.randrange(1_700_000_000_000, 1_800_000_000_000)
    update_id = -1 if rng.random() < 0.1 else rng.randrange(10 ** rng.randrange(1, 19))
    return Book(symbol, *bid, *ask, ms * 1_000_000, update_id, 0)


def recorded(source):
    """Return up to 300 recorded frames of a source, quotes or not; none where there are none."""
    frames = []
    if SAMPLES.is_dir():
        for path in sorted(SAMPLES.glob(f"{source}/*")):
            if path.suffix in (".jsonl", ".tsv", ".gz", ".bin", ".txt"):
                found = frames_of(path)
                frames += found[:: 1 + len(found) // 30]
    file = RECORDINGS / RECORDED.get(source, "none") / "frames.tsv.gz"
    if file.is_file():
        lines = gzip.decompress(file.read_bytes()).splitlines()
        frames += [line.split(b"\t", 2)[2] for line in lines[:: len(lines) // 100]]
    return frames[:300]


def seeds_of(source, rng=None, n_rendered=60):
    """Return the frames of a source that mutants are made of."""
    rng = rng or Random(source)
    frames = [VENUES[source].render(random_book(rng)) for _ in range(n_rendered)]
    return frames + BY_HAND.get(source, []) + recorded(source)
