"""Any graph of edges against a plain model: which signal, by quotes, sides and new indexes."""

import os
import random
from typing import Any

import pytest
from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED, TRACKED
from spreadcore.edges import EdgeIndex
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

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
