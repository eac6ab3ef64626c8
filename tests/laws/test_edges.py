"""Any graph of edges against a plain model: which signal, by quotes, sides and new indexes.

Then any catalogue: sources, what they list and classes, through discovery's numbers and reloads.
"""

import os
import random
from itertools import permutations
from typing import Any

import pytest
from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED, TRACKED
from spreadcore.edges import EdgeIndex
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

from known import SOURCES
from spreadscan.app.build import make_engine, make_index, set_rules
from spreadscan.catalogue import KINDS, Source
from spreadscan.config import Config, DirectionSettings, VenueSettings, from_tree
from spreadscan.config import Engine as EngineSettings
from spreadscan.discovery.ids import REUSE_AFTER_S, assign_edges
from spreadscan.discovery.normalise import direction_pairs
from spreadscan.lists import Edge, Lists

N_SOURCES, N_ROWS, N_EDGES, N_RULES = 7, 9, 120, 5
LIMIT_S = 10.0  # of a quote's age
NAN = float("nan")
NOW = 10**12

Slot = tuple[int, int]
Graph = dict[int, tuple[Slot, Slot, int]]  # by edge: buy, sell, rule
Rates = dict[int, tuple[str, Slot]]  # by rule: the leg in another currency, what that one costs


def some_rates(rng: random.Random) -> Rates:
    """Some rules convert a leg; the slots of the last row cost about 1, those before about 100."""
    return {
        rule: (rng.choice(("buy", "sell")), (rng.randrange(N_SOURCES), N_ROWS - 1))
        for rule in rng.sample(range(N_RULES), 2)
    }


def a_graph(rng: random.Random, rates: Rates) -> Graph:
    slots = [(source, row) for source in range(N_SOURCES) for row in range(N_ROWS - 1)]
    costs = [(source, N_ROWS - 1) for source in range(N_SOURCES)]
    hub = rng.choice(slots)  # a slot with many edges
    graph: Graph = {}
    for edge in rng.sample(range(N_EDGES), rng.randint(0, N_EDGES)):
        buy, sell = rng.sample(slots, 2)
        if rng.random() < 0.3 and sell != hub:
            buy = hub
        rule = rng.randrange(N_RULES)
        if rule not in rates and rng.random() < 0.2:  # what converts may be a leg elsewhere
            buy, sell = rng.sample(costs, 2)
        graph[edge] = buy, sell, rule
    return graph


def changed(rng: random.Random, graph: Graph, rates: Rates) -> Graph:
    """Return what a reload brings: edges gone, come, and numbers given to other legs."""
    newer = a_graph(rng, rates)
    kept = {edge: legs for edge, legs in graph.items() if rng.random() < 0.6}
    return newer | kept


class Model:
    """What the engine has to do, edge by edge."""

    def __init__(self, rules: list[tuple[float, float]], rates: Rates) -> None:
        self.rules = rules  # fees, threshold
        self.rates = rates
        self.graph: Graph = {}
        self.books: dict[Slot, tuple[float, float]] = {}
        self.old: set[Slot] = set()  # quotes that are not tradable
        self.state = [FREE] * N_EDGES

    def look(self, edges: set[int]) -> set[int]:
        found = set()
        for edge in edges:
            buy, sell, rule = self.graph[edge]
            leg, rate = self.rates.get(rule, ("", None))
            slots = {buy, sell} | ({rate} if rate else set())
            if slots - self.books.keys() or slots & self.old or self.state[edge] != FREE:
                continue
            fees, threshold = self.rules[rule]
            ask, bid = self.books[buy][1], self.books[sell][0]
            if rate and leg == "buy":
                ask *= self.books[rate][1]
            elif rate:
                bid *= self.books[rate][0]
            if (bid - ask) / ask * 1e4 - fees >= threshold:  # False for NaN
                self.state[edge] = SIGNALLED
                found.add(edge)
        return found

    def of(self, slots: set[Slot]) -> set[int]:
        found = set()
        for edge, (buy, sell, rule) in self.graph.items():
            own = {buy, sell} | ({self.rates[rule][1]} if rule in self.rates else set())
            found |= {edge} if own & slots else set()
        return found


def index_of(graph: Graph, rates: Rates) -> EdgeIndex:
    index = EdgeIndex(N_SOURCES, N_ROWS, N_EDGES)
    for rule, (leg, slot) in rates.items():
        index.set_conversion(rule, (leg, *slot))
    for edge, (buy, sell, rule) in graph.items():
        index.add(edge, *buy, *sell, rule)
    return index


def taken(instance: Instance) -> set[int]:
    found = set()
    while (signal := instance.ring.peek()) is not None:
        assert signal.edge not in found
        found.add(signal.edge)
        instance.ring.advance()
    return found


@pytest.fixture
def instance() -> Any:
    name = f"test-edges-{os.getpid()}"
    region.create(name, n_sources=N_SOURCES, n_symbols=N_ROWS, n_edges=N_EDGES, force=True)
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


@pytest.mark.parametrize("seed", range(40))
def test_the_engine_compares_what_the_graph_says_through_reloads(
    instance: Instance, seed: int
) -> None:
    rng = random.Random(seed)
    rules = [(rng.uniform(0, 20), rng.uniform(5, 60)) for _ in range(N_RULES)]
    model = Model(rules, some_rates(rng))
    model.graph = a_graph(rng, model.rates)
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index_of(model.graph, model.rates),
        sweep_s=0.0,
    )  # fmt: skip
    for rule, (fees, threshold) in enumerate(rules):
        engine.set_rule(rule, fees, threshold, 0.0)
    for source in range(N_SOURCES):
        engine.set_stale(source, LIMIT_S)
        instance.health.beat(source, NOW)
    evaluated = 0
    for _ in range(60):
        moved: set[Slot] = set()
        for _ in range(rng.randint(1, 6)):
            slot = rng.randrange(N_SOURCES), rng.randrange(N_ROWS)
            bid = (1.0 if slot[1] == N_ROWS - 1 else 100.0) * (1 + rng.uniform(-60, 60) / 1e4)
            book = bid, bid * (1 + rng.uniform(0, 10) / 1e4)
            if rng.random() < 0.2:
                book = (NAN, book[1]) if rng.random() < 0.5 else (book[0], NAN)
            at = NOW if rng.random() < 0.9 else NOW - int(1.1 * LIMIT_S * 1e9)
            model.books[slot] = book
            (model.old.discard if at == NOW else model.old.add)(slot)
            instance.quotes.write(*slot, *book, 1.0, 1.0, 0, at)
            instance.dirty.mark(*slot)
            moved.add(slot)
        engine.turn(NOW)
        affected = model.of(moved)
        evaluated += len(affected)
        assert model.look(affected) == taken(instance)
        for edge in [e for e in range(N_EDGES) if model.state[e] == SIGNALLED]:
            new = rng.choice((SIGNALLED, TRACKED, FREE))
            assert instance.active.move(edge, SIGNALLED, new)
            model.state[edge] = new
        if rng.random() < 0.1:
            before = model.graph
            if rng.random() < 0.5:  # what converts is another slot, or another leg
                model.rates = some_rates(rng)
                model.graph = {e: x for e, x in model.graph.items() if x[2] not in model.rates}
            model.graph = changed(rng, model.graph, model.rates)
            new = {e for e, legs in model.graph.items() if before.get(e, ())[:2] != legs[:2]}
            if rng.random() < 0.5:
                assert len(new) == engine.replace_index(index_of(model.graph, model.rates), NOW)
                assert model.look(new) == taken(instance)
            assert 0 == engine.replace_index(index_of(model.graph, model.rates))
            assert len(model.graph) == engine.scan(NOW)
            assert model.look(set(model.graph)) == taken(instance)
    assert evaluated > 100 or len(model.graph) < 10


# -- catalogues

COINS = [f"C{row}-USDT" for row in range(N_ROWS)]
N_CATALOGUE_EDGES = len(SOURCES) * (len(SOURCES) - 1) * N_ROWS
Listed = dict[str, set[str]]  # coins by source


def a_config(rng: random.Random) -> Config:
    """Return any sources with any classes of which no two rival each other."""
    sources = rng.sample(SOURCES, rng.randint(3, len(SOURCES)))
    names = [f"{a.name}->{b.name}" for a, b in permutations(sources, 2)]
    names += [f"{a}->{b}" for a in KINDS for b in KINDS]
    one_kind = [(s.name, kind) for s in sources for kind in KINDS]
    if rng.random() < 0.5:
        names += [f"{source}->{kind}" for source, kind in one_kind]
    else:
        names += [f"{kind}->{source}" for source, kind in one_kind]
    return Config(
        sources=tuple(s.name for s in sources),
        venues={s.name: VenueSettings(taker_bps=rng.uniform(0, 8)) for s in sources},
        engine=EngineSettings(min_notional_usdt=0.0, sweep_s=0.0),
        directions={
            name: DirectionSettings(
                threshold_bps=rng.choice((None, rng.uniform(5, 60))),
                enabled=rng.choice((None, None, True, False)),
            )
            for name in rng.sample(names, rng.randint(1, 6))
        },
    )


def limits_of(config: Config, buy: Source, sell: Source) -> tuple[float, float] | None:
    """Return fees and threshold of a direction by the words of its rule, None: not compared."""
    built_in = (buy.kind, sell.kind) == ("spot", "perpetual") and buy.exchange != sell.exchange
    closest_first = (
        [f"{buy.name}->{sell.name}"],
        [f"{buy.name}->{sell.kind}", f"{buy.kind}->{sell.name}"],
        [f"{buy.kind}->{sell.kind}"],
    )
    own = [config.directions[n] for names in closest_first for n in names if n in config.directions]
    enabled = next((o.enabled for o in own if o.enabled is not None), bool(own) or built_in)
    if not enabled:
        return None
    fees = sum(config.venues[s.name].taker_bps or 0.0 for s in (buy, sell))
    given = (o.threshold_bps for o in own if o.threshold_bps is not None)
    return fees, next(given, config.engine.threshold_bps)


def wanted(config: Config, listed: Listed) -> dict[tuple[Slot, Slot], tuple[float, float]]:
    """Return by legs the fees and the threshold of every edge that there has to be."""
    sources = [s for s in SOURCES if s.name in config.sources]
    return {
        ((buy.id, row), (sell.id, row)): limits
        for buy, sell in permutations(sources, 2)
        if (limits := limits_of(config, buy, sell))
        for row, coin in enumerate(COINS)
        if coin in listed[buy.name] and coin in listed[sell.name]
    }


def lists_of(edges: tuple[Edge, ...]) -> Lists:
    return Lists(
        generation=1, names=tuple(COINS), retired=frozenset(), pairs={}, sources={}, edges=edges
    )


def any_listed(rng: random.Random, config: Config) -> Listed:
    return {name: set(rng.sample(COINS, rng.randint(0, N_ROWS))) for name in config.sources}


@pytest.fixture
def room() -> Any:
    name = f"test-catalogues-{os.getpid()}"
    region.create(
        name, n_sources=len(SOURCES), n_symbols=N_ROWS, n_edges=N_CATALOGUE_EDGES, force=True
    )
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


@pytest.mark.parametrize("seed", range(30))
def test_any_catalogue_is_compared_as_it_says_through_reloads(room: Instance, seed: int) -> None:
    rng = random.Random(seed)
    config = a_config(rng)
    if config.enabled_directions:  # as a file, no sentence is said of it
        tree = {name: {k: v for k, v in (("threshold_bps", own.threshold_bps),
                                         ("enabled", own.enabled)) if v is not None}
                for name, own in config.directions.items()}  # fmt: skip
        written = from_tree({"sources": list(config.sources), "directions": tree}, "test")
        assert config.enabled_directions == written.enabled_directions
    unix_s, edges = 10**9, tuple[Edge, ...]()
    numbers: dict[tuple[Slot, Slot], int] = {}
    model = Model([], {})
    model.state = [FREE] * N_CATALOGUE_EDGES
    engine: Engine | None = None
    for source in SOURCES:
        room.health.beat(source.id, NOW)
    for _ in range(6):
        listed = any_listed(rng, config)
        ids = {name: row for row, name in enumerate(COINS)}
        pairs = {d: [ids[n] for n in names] for d, names in direction_pairs(config, listed).items()}
        edges = assign_edges(config.catalogue, pairs, edges, unix_s)
        unix_s += rng.choice((60, REUSE_AFTER_S))
        found = {(e.buy, e.sell): e.id for e in edges if e.in_use}
        expected = wanted(config, listed)
        assert set(expected) == set(found)
        kept = found.keys() & numbers.keys()
        assert {legs: numbers[legs] for legs in kept} == {legs: found[legs] for legs in kept}
        numbers = found
        model.rules = list(expected.values())
        model.graph = {found[legs]: (*legs, rule) for rule, legs in enumerate(expected)}
        if engine is None:
            engine = make_engine(config, lists_of(edges), room, audited=False)
        else:
            index, rules = make_index(config, lists_of(edges), room)
            engine.replace_index(index)
            set_rules(engine, rules)
        assert len(expected) == engine.scan(NOW)
        assert model.look(set(model.graph)) == taken(room)
        for _ in range(15):
            slot = rng.choice(SOURCES).id, rng.randrange(N_ROWS)
            bid = 100.0 * (1 + rng.uniform(-60, 60) / 1e4)
            model.books[slot] = book = bid, bid * (1 + rng.uniform(0, 10) / 1e4)
            room.quotes.write(*slot, *book, 1.0, 1.0, 0, NOW)
            room.dirty.mark(*slot)
            engine.turn(NOW)
            assert model.look(model.of({slot})) == taken(room)
        for edge in model.graph:
            if model.state[edge] == SIGNALLED and rng.random() < 0.7:
                assert room.active.move(edge, SIGNALLED, FREE)
                model.state[edge] = FREE
