"""Folders of frames written by hand."""

import gzip
from itertools import count

import pytest

from scan.replay.story import FEES, PERP, SPOT, instrument
from scan.replay.tapes import MS, START_NS, market_recording, write_generated, write_recording


def spot(bid, ask, update_id, symbol="BTCUSDT", qty=1):
    """A bookTicker of binance-spot."""
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{update_id},"s":"{symbol}",'
        f'"b":"{bid}","B":"{qty}","a":"{ask}","A":"{qty}"}}}}'
    )


def futures(bid, ask, update_id, symbol="BTCUSDT", qty=1):
    """A bookTicker of binance-futures, matched at 1 s after the epoch."""
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"e":"bookTicker","u":{update_id},'
        f'"s":"{symbol}","b":"{bid}","B":"{qty}","a":"{ask}","A":"{qty}","T":1000,"E":1000}}}}'
    )


@pytest.fixture
def write(tmp_path):
    """Write a file into the folder under test; .gz is compressed. Returns the folder."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return tmp_path

    return write


@pytest.fixture
def record(write):
    """Write frames.tsv.gz from (recv_ns, venue, frame) rows. Returns the folder."""

    def record(*rows, name="frames.tsv.gz"):
        return write(name, "".join(f"{t}\t{venue}\t{frame}\n" for t, venue, frame in rows))

    return record


@pytest.fixture
def spot_frame():
    return spot


@pytest.fixture
def futures_frame():
    return futures


@pytest.fixture
def story(tmp_path):
    """Record what is told by source; returns the folder."""

    numbers = count()

    def story(settings=FEES, lived_ms=None, about=None, **frames):
        folder = tmp_path / f"recording{next(numbers)}"
        write_generated(folder / "generated", {s: [instrument(s)] for s in (SPOT, PERP)})
        named = {SPOT: frames["spots"], PERP: frames["perps"]}
        lived_ns = {s: [START_NS + ms * MS for ms in runs] for s, runs in (lived_ms or {}).items()}
        return write_recording(
            folder, named, settings=settings, lived_ns=lived_ns, about=about
        )  # fmt: skip

    return story


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """20 s of the simulated market, recorded."""
    return market_recording(tmp_path_factory.mktemp("market") / "seven", 20.0)
