"""Law: a feed with the compiled decoder and one without it leave the same table and counts.

Both get the same frames, one after the other; after each the slot, the dirty bits, what passed
and what was declined are compared. Only `fallback` differs: it says who decoded.
"""

import json
import math
import random
from collections.abc import Callable

import pytest
from spreadcore import Instance
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED
from spreadcore.wire.decoder import FrameDecoder

from known import SOURCE_BY_NAME, SOURCES
from spreadscan.feeds.reader import FrameReader
from spreadscan.types import Book
from spreadscan.venues import VENUES

N_SYMBOLS = 4
N_FRAMES = 5_000
SIZES = ["0.001", "1", "25.5", "1234567.00000001", "9007199254740993.25"]
WRONG = ["0", "-1", "1e400", "nan", "", "1_0", "0.0000000000000000000000000000001"]


class Feed:
    """One feed of a source: all of its frames end in the table of `instance`."""

    def __init__(self, instance: Instance, source: str, compiled: bool) -> None:
        venue = VENUES[source]
        self.instance, self.source_id = instance, SOURCE_BY_NAME[source].id
        sections = (instance.region(name) for name in ("quotes", "dirty", "health"))
        self.intake = SourceIntake(
            *sections, self.source_id, venue.schema.id_reset, keep_tops=compiled,
            learn_to_s=0.0 if venue.spec.repeats else 600.0,
        )  # fmt: skip
        self.ids = {name: i for i, name in enumerate(names_of(source))}
        for name, symbol_id in self.ids.items():
            self.intake.add_symbol(symbol_id, 1.0, 0.01, name if compiled else "")
        own = LinkIntake(self.intake, FrameDecoder(venue.schema), 1)
        self.frames = own if compiled else None
        self.reader = FrameReader(venue, self, own)
        self.controls: list[object] = []

    def take(self, frame: bytes, recv_ns: int) -> None:
        if self.frames is None or self.frames.take(frame, recv_ns) < 0:
            control = self.reader.read(frame, recv_ns)
            self.controls += [control] if control is not None else []

    def book(self, book: Book, recv_ns: int) -> bool:
        symbol_id = self.ids.get(book.symbol)
        if symbol_id is None:
            self.declined("unknown_symbol")
            return False
        return bool(self.intake.accept(symbol_id, 1, *book[1:], recv_ns) >= 0)

    def declined(self, reason: str) -> None:
        self.intake.decline(DECLINED.index(reason))

    @property
    def valid(self) -> int:
        return self.reader.valid + (self.frames.valid if self.frames else 0)

    def state(self) -> object:
        """Return what everybody else can see of the feed, as text that tells all bits."""
        quotes = [self.instance.quotes.read(self.source_id, s) for s in range(N_SYMBOLS)]
        counters = self.instance.health.counters(self.source_id)
        counts = {n: v for n, v in counters.items() if not n.startswith("fallback")}
        wanting = sorted(self.reader.need_snapshot)
        told = (quotes, counts, self.valid, self.controls, self.reader.bad, wanting)
        return [repr(part) for part in told]


def names_of(source: str) -> list[str]:
    mark = {
        "okx-spot": "-",
        "okx-futures": "-",
        "mexc-futures": "_",
        "gate-spot": "_",
        "gate-futures": "_",
    }.get(source, "")
    tail = "-SWAP" if source == "okx-futures" else ""
    return [f"{coin}{mark}USDT{tail}" for coin in ("BTC", "ETH", "PEPE", "1INCH")]


class Traffic:
    """Seeded frames of a source: mostly quotes, some of everything else."""

    def __init__(self, source: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.source, self.venue = source, VENUES[source]
        self.names = [*names_of(source), "NOBODYUSDT"]
        self.last_id = dict.fromkeys(self.names, 100)
        self.seen: list[bytes] = []

    def frame(self) -> bytes:
        roll = self.rng.random()
        if roll < 0.1 and self.seen:
            return self.mutant(self.rng.choice(self.seen))
        if roll < 0.15 and self.seen:
            return self.rng.choice(self.seen)  # an old id, or a refresh
        if roll < 0.18:
            return self.rng.choice([b"", b"pong", b"{}", b'{"op":"pong"}', b'{"result":null}'])
        if roll < 0.28 and self.venue.schema.delta:
            return self.delta()
        frame = self.venue.render(self.book())
        if roll < 0.35 and self.venue.schema.wire == "json":
            frame = self.respelled(frame)
        self.seen = [*self.seen[-20:], frame]
        return frame

    def book(self) -> Book:
        rng, name = self.rng, self.rng.choice(self.names)
        step = 1 if rng.random() < 0.9 else rng.choice((0, -3, 7))
        self.last_id[name] = max(1, self.last_id[name] + step) if rng.random() < 0.99 else 1
        bid = rng.choice((1.0, 0.00001234, 64_000.0)) * rng.uniform(0.9, 1.1)
        ask = bid * rng.choice((1.0, 1.0001, 0.9999))
        sizes = [float(rng.choice(SIZES)) for _ in range(2)]
        sides = [bid, sizes[0], ask, sizes[1]]
        if rng.random() < 0.05:
            side = rng.choice((0, 2))
            sides[side] = sides[side + 1] = math.nan
        venue_ns = rng.randrange(1, 10**6) * 10**9
        return Book(name, *sides, venue_ns, self.last_id[name], 0)

    def delta(self) -> bytes:
        rng, name = self.rng, self.rng.choice(self.names)
        self.last_id[name] += 1 if rng.random() < 0.9 else 2
        levels = [
            [str(rng.randint(1, 99)), rng.choice(("0", "5"))] for _ in range(rng.randint(0, 2))
        ]
        data = {"s": name, "b": levels, "a": [["101", "7"]], "u": self.last_id[name], "seq": 1}
        topic = f"orderbook.1.{name}"
        return json.dumps({"topic": topic, "type": "delta", "ts": 1, "data": data}).encode()

    def mutant(self, frame: bytes) -> bytes:
        rng, out = self.rng, bytearray(frame)
        for _ in range(rng.randint(1, 3)):
            out[rng.randrange(len(out))] = rng.choice(b'0123456789"{}[],:.eE-\\\x00\xff')
        return bytes(out[: rng.choice((len(out), rng.randrange(len(out))))])

    def respelled(self, frame: bytes) -> bytes:
        """The same frame with blanks, or with one wrong value."""
        tree = json.loads(frame)
        if self.rng.random() < 0.5:
            return json.dumps(tree, indent=self.rng.choice((None, 1))).encode()
        text = frame.decode()
        numbers = [t for t in text.split('"') if t and t[0].isdigit()]
        if numbers:
            text = text.replace(f'"{self.rng.choice(numbers)}"', f'"{self.rng.choice(WRONG)}"', 1)
        return text.encode()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("source", VENUES)
def test_both_leave_the_same(
    make_instance: Callable[..., Instance], source: str, seed: int
) -> None:
    plain = Feed(make_instance(n_sources=len(SOURCES), n_symbols=64), source, compiled=False)
    traffic, told = Traffic(source, seed), []
    frames = [traffic.frame() for _ in range(N_FRAMES)]
    # mostly close together, and sometimes so far apart that ids may begin anew
    times = [n * 10**7 + n // 50 * 8 * 10**9 for n in range(1, N_FRAMES + 1)]
    for recv_ns, frame in zip(times, frames, strict=True):
        plain.take(frame, recv_ns)
        told.append((plain.state(), tuple(plain.instance.dirty.take(plain.source_id))))
    quick = Feed(
        make_instance(n_sources=len(SOURCES), n_symbols=64, force=True), source, compiled=True
    )
    for recv_ns, frame, expected in zip(times, frames, told, strict=True):
        quick.take(frame, recv_ns)
        found = quick.state(), tuple(quick.instance.dirty.take(quick.source_id))
        assert expected == found, frame
    assert quick.frames
    assert quick.frames.frames > N_FRAMES / 3  # else this shows nothing
    assert quick.instance.health.counters(quick.source_id)["id_restarts"]
    fallbacks = quick.instance.health.counters(quick.source_id)
    taken = sum(n for name, n in fallbacks.items() if name.startswith("fallback"))
    assert N_FRAMES == quick.frames.frames + taken
