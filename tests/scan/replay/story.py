"""One pair on two sources, frame by frame: what a recording says and what a scan made of it."""

from scan.replay.tapes import MS, START_NS
from spreadscan.disk.files import read_rows
from spreadscan.replay import Run, play_run
from spreadscan.replay.inputs import settings_of
from spreadscan.tracker import SIGNALS, SNAPSHOTS
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES

SPOT, PERP = "okx-spot", "mexc-futures"  # direction okx->mexc
SYMBOLS = {SPOT: "BTC-USDT", PERP: "BTC_USDT"}
FEES = 'account_tier = "none"\n[tiers.none]\nokx-spot = 0.0\nmexc-futures = 0.0\n'


def instrument(source, contract=1.0):
    return Instrument(
        venue_symbol=SYMBOLS[source], base="BTC", listed_base="BTC", quote="USDT",
        contract_size=contract,
    )  # fmt: skip


def frame(source, bid, ask, *, at_ms, update_id, link=1, qty=1000.0):
    book = Book(SYMBOLS[source], bid, qty, ask, qty, 0, update_id)
    return START_NS + at_ms * MS, link, 1, VENUES[source].render(book)


def spot(at_ms, update_id=None, **options):
    """The ask is 100."""
    return frame(SPOT, 99.9, 100.0, at_ms=at_ms, update_id=update_id or at_ms, **options)


def perp(at_ms, bps, update_id=None, **options):
    """The bid is so many bps above 100."""
    bid = 100.0 * (1 + bps / 1e4)
    got = frame(PERP, bid, bid + 0.1, at_ms=at_ms, update_id=update_id or at_ms, **options)
    return got


def event(at_ms, opcode, payload=b"", link=1):
    return START_NS + at_ms * MS, link, int(opcode), payload


def replayed(folder, out, speed=None, report=None, **settings):
    flags = {key.replace("__", "."): value for key, value in settings.items()}
    config = settings_of(folder, (), flags)
    job = Run(folder=str(folder), config=config, settings={}, out=str(out))
    return play_run(job, speed, report=report)


def signals(out):
    return [row for path in sorted(out.glob("signals-*")) for row in read_rows(path, SIGNALS)]


def snapshots(out):
    return [row for path in sorted(out.glob("snapshots-*")) for row in read_rows(path, SNAPSHOTS)]


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def at(row):
    return (int(row["at_ns"]) - START_NS) // MS
