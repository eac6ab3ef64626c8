"""Confirmation against a slow model: who signals when, for any run of quotes, beats and pauses."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

from pairs import Pairs

MS = 10**6
START = 10**12
N_SYMBOLS = 3
DIRECTIONS = {0: (0, 1), 1: (0, 2)}  # one spot leg, two perpetuals
PAIRS = [(d, symbol) for d in DIRECTIONS for symbol in range(N_SYMBOLS)]
WAIT_NS = 20 * MS
STALE_NS = 60 * MS
BEAT_NS = 90 * MS
THRESHOLD = 50.0
MIN_NOTIONAL = 100.0


class Model:
    """The rules in plain Python: dicts, and the whole list of alarms looked through each turn."""

    def __init__(self):
        self.now = START
        self.quotes = {}  # (source, symbol) -> bid, ask, size, time received
        self.beats = dict.fromkeys(range(3), START)
        self.state = dict.fromkeys(PAIRS, FREE)
        self.since = {}
        self.alarms = set()
        self.paused = False
        self.dirty = set()

    def holds(self, pair):
        legs = [(source, self.quotes.get((source, pair[1]))) for source in DIRECTIONS[pair[0]]]
        for source, quote in legs:
            if quote is None or self.now - quote[3] > STALE_NS:
                return False
            if self.now - self.beats[source] >= BEAT_NS:
                return False
        (_, buy), (_, sell) = legs
        return self.state[pair] == FREE and (sell[0] - buy[1]) / buy[1] * 1e4 >= THRESHOLD

    def is_thin(self, pair):
        buy, sell = (self.quotes[source, pair[1]] for source in DIRECTIONS[pair[0]])
        return min(buy[1] * buy[2], sell[0] * sell[2]) < MIN_NOTIONAL

    def look(self, pair):
        """Return True where the pair signals now."""
        if not self.holds(pair):
            self.since.pop(pair, None)
            self.alarms.discard(pair)
            return False
        if pair not in self.since:
            self.since[pair] = self.now
            self.alarms.add(pair)
        if self.now - self.since[pair] < WAIT_NS or self.is_thin(pair) or self.paused:
            return False
        self.state[pair] = SIGNALLED
        del self.since[pair]
        self.alarms.discard(pair)
        return True

    def turn(self):
        changed = [
            pair for pair in PAIRS
            if any((source, pair[1]) in self.dirty for source in DIRECTIONS[pair[0]])
        ]  # fmt: skip
        self.dirty.clear()
        found = {pair for pair in changed if self.look(pair)}
        for pair in sorted(self.alarms):
            if self.now - self.since[pair] >= WAIT_NS:
                self.alarms.discard(pair)
                found |= {pair} if self.look(pair) else set()
        return found


def edge(pair):
    direction, symbol = pair
    return direction * N_SYMBOLS + symbol


class Real:
    """The engine, told the same things."""

    def __init__(self, instance):
        self.instance = instance
        index = Pairs(3, N_SYMBOLS, [(d, *legs) for d, legs in DIRECTIONS.items()])
        for pair in PAIRS:
            index.compare(*pair)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, min_notional=MIN_NOTIONAL, beat_limit_s=BEAT_NS / 1e9,
            sweep_s=0.0, confirm_s=WAIT_NS / 1e9,
        )  # fmt: skip
        for direction in DIRECTIONS:
            self.engine.set_rule(direction, 0.0, THRESHOLD, 0.0)
        for source in range(3):
            self.engine.set_stale(source, STALE_NS / 1e9)
            instance.health.beat(source, START)
            for symbol in range(N_SYMBOLS):
                instance.quotes.write_empty(source, symbol)
        for pair in PAIRS:
            instance.active.move(edge(pair), instance.active.state(edge(pair)), FREE)
        instance.control.pause = False
        self.engine.turn(START)
        self.turn(START)

    def turn(self, now):
        self.engine.turn(now)
        found = set()
        while (signal := self.instance.ring.peek()) is not None:
            found.add(divmod(signal.edge, N_SYMBOLS))
            self.instance.ring.advance()
        return found


symbols = st.integers(0, N_SYMBOLS - 1)
sources = st.integers(0, 2)
prices = st.sampled_from([99.0, 100.49, 100.5, 101.0])  # bid; a spot asks 100
common = st.one_of(
    st.tuples(st.just("spread"), st.sampled_from(PAIRS)),
    st.tuples(st.just("wait"), st.integers(0, 15)),
    st.tuples(st.just("beats")),
)
rare = st.one_of(
    st.tuples(st.just("quote"), sources, symbols, prices, st.sampled_from([0.5, 10.0])),
    st.tuples(st.just("empty"), sources, symbols),
    st.tuples(st.just("wait"), st.integers(15, 70)),
    st.tuples(st.just("beat"), sources),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("free"), st.sampled_from(PAIRS)),
    st.tuples(st.just("turn")),
)
steps = st.one_of(common, common, common, rare)


def apply(step, model, real):
    what, *args = step
    instance = real.instance
    if what == "spread":
        ((direction, symbol),) = args
        for source in DIRECTIONS[direction]:
            apply(("quote", source, symbol, 101.0, 10.0), model, real)
    elif what == "beats":
        for source in range(3):
            apply(("beat", source), model, real)
    elif what == "quote":
        source, symbol, px, size = args
        bid, ask = (px, px + 1.0) if source else (99.0, 100.0)
        model.quotes[source, symbol] = (bid, ask, size, model.now)
        instance.quotes.write(source, symbol, bid, ask, size, size, 0, model.now)
    elif what == "empty":
        model.quotes.pop(tuple(args), None)
        instance.quotes.write_empty(*args)
    elif what == "wait":
        model.now += args[0] * MS
    elif what == "beat":
        model.beats[args[0]] = model.now
        instance.health.beat(args[0], model.now)
    elif what == "pause":
        model.paused = instance.control.pause = args[0]
    elif what == "free":
        model.state[args[0]] = FREE
        instance.active.move(edge(args[0]), instance.active.state(edge(args[0])), FREE)
    if what in ("quote", "empty"):
        model.dirty.add((args[0], args[1]))
        instance.dirty.mark(args[0], args[1])


@pytest.fixture(scope="module")
def instance():
    name = f"test-confirm-{os.getpid()}"
    region.create(name, n_sources=3, n_symbols=N_SYMBOLS, n_edges=N_SYMBOLS * 2, force=True)
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


@settings(max_examples=600, deadline=None, database=None)
@given(st.lists(steps, min_size=20, max_size=120))
def hold_the_law(instance, run):
    model, real = Model(), Real(instance)
    for step in run:
        apply(step, model, real)
        if step[0] in ("turn", "wait", "pause"):
            assert model.turn() == real.turn(model.now), step
    for pair in PAIRS:
        assert model.state[pair] == instance.active.state(edge(pair))


def test_the_engine_signals_what_the_model_signals(instance, children):
    """In a child under a watchdog: a list gone wrong is a turn without an end."""
    children.start("law", hold_the_law, instance)
    children.results(120)


def test_the_model_sees_signals_at_all(instance):
    """Or the law above would hold of an engine that never says a word."""
    model, real, found = Model(), Real(instance), set()
    for symbol in range(N_SYMBOLS):
        for source, px in ((0, 0.0), (1, 101.0), (2, 101.0)):
            apply(("quote", source, symbol, px, 10.0), model, real)
    for _ in range(4):
        apply(("wait", 10), model, real)
        signals = model.turn()
        assert signals == real.turn(model.now)
        found |= signals
    assert set(PAIRS) == found
