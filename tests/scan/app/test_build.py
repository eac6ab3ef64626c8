"""What build makes of the settings: fees, limits, confirmation; the audit with its files."""

import asyncio
import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from spreadcore import Instance
from spreadcore.active import FREE, REARM

from known import EIGHT, SOURCE_BY_NAME, TWELVE
from spreadscan.app import build
from spreadscan.catalogue import Catalogue
from spreadscan.clock import now_ns
from spreadscan.config import Config, DirectionSettings, Engine, Paths
from spreadscan.disk import archive, files
from spreadscan.errors import ConfigError
from spreadscan.lists import Edge, Lists
from spreadscan.reload import Reload
from spreadscan.tracker import AUDIT
from spreadscan.venues import VENUES

SYMBOL = 3
OKX = SOURCE_BY_NAME["okx-spot"].id


class Market:
    """Spot asks 100 on okx and bids 101 everywhere else: 100 bps gross in its three directions."""

    def __init__(self, instance, **settings) -> None:
        self.instance = instance
        lists = Lists(
            generation=1, names=("X-USDT",) * 4, retired=frozenset(),
            pairs={d.id: (SYMBOL,) for d in TWELVE}, sources={},
            edges=tuple(Edge(d.id, d.id, d.buy.id, SYMBOL, d.sell.id, SYMBOL) for d in TWELVE),
        )  # fmt: skip
        config = Config(
            instance=instance.name,
            tiers={"free": dict.fromkeys(VENUES, 0.0)}, account_tier="free", **settings,
        )  # fmt: skip
        self.reload = Reload(config, lists, instance)
        self.runner = build.EngineRunner(config, self.reload, instance)
        self.engine = self.runner.engine
        self.now = now_ns()
        for source in EIGHT:
            bid = 99.9 if source.kind == "spot" else 101.0
            ask = 100.0 if source.id == OKX else 101.1
            instance.quotes.write(source.id, SYMBOL, bid, ask, 10.0, 10.0, 0, self.now)
            instance.health.beat(source.id, self.now)

    def signals(self) -> list[str]:
        found = []
        while (signal := self.instance.ring.peek()) is not None:
            found.append(TWELVE[signal.edge].name)
            self.instance.ring.advance()
        return found


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=8, n_symbols=1024, n_edges=12288)


def test_an_index_of_newer_lists_is_made_before_the_engine_takes_it(instance, monkeypatch) -> None:
    """Else all sources would wait while it is made."""
    market = Market(instance, engine=Engine(park_ms=1.0))
    made, looked = [], []

    def make(config, lists, of, made_by=build.make_index):
        made.append((lists.generation, threading.current_thread()))
        return made_by(config, lists, of)

    def stop():
        looked.append(instance.health.info(instance.health.role("engine"))["acked_generation"])
        if len(looked) == 2:
            market.reload.lists = newer
            thread = threading.Thread(target=market.reload.prepare, args=(newer,))
            thread.start()
            thread.join()
        return len(looked) == 4

    edges = [edge for edge in market.reload.lists.edges if TWELVE[edge.id].name == "okx->mexc"]
    newer = msgspec.structs.replace(market.reload.lists, generation=2, edges=tuple(edges))
    monkeypatch.setattr(build, "make_index", make)
    market.runner.run(stop)
    [(generation, thread)] = made
    assert (2, [1, 1, 2, 2]) == (generation, looked)
    assert threading.current_thread() is not thread
    assert len(edges) == market.engine.scan(market.now)


def test_a_direction_has_its_own_threshold_or_that_of_the_engine(instance) -> None:
    market = Market(
        instance,
        engine=Engine(threshold_bps=150.0),
        directions={
            "okx->bybit": DirectionSettings(threshold_bps=100.0),
            "okx->mexc": DirectionSettings(threshold_bps=100.1),
        },
    )
    market.engine.scan(market.now)
    assert ["okx->bybit"] == market.signals()


def test_a_direction_has_its_own_converge_limit(instance) -> None:
    market = Market(
        instance,
        engine=Engine(threshold_bps=150.0, converge_bps=50.0),
        directions={"okx->bybit": DirectionSettings(converge_bps=120.0)},
    )
    for direction in TWELVE[:3]:
        assert instance.active.move(direction.id, FREE, REARM)
    market.engine.scan(market.now)
    states = [instance.active.state(direction.id) for direction in TWELVE[:3]]
    assert ["okx->mexc", "okx->bybit", "okx->binance"] == [d.name for d in TWELVE[:3]]
    assert [REARM, FREE, REARM] == states


def test_confirm_ms_reaches_the_engine(instance) -> None:
    market = Market(instance, engine=Engine(confirm_ms=300.0))
    market.engine.scan(market.now)
    assert [] == market.signals()
    market.engine.turn(market.now + 299_999_999)
    assert [] == market.signals()
    market.engine.turn(market.now + 300_000_000)
    assert {"okx->mexc", "okx->bybit", "okx->binance"} == set(market.signals())


def test_a_source_of_a_kind_that_nobody_brings_prices_of_is_refused(
    make_instance: Callable[..., Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sentence and before it writes anything; it gets no feed of another kind."""
    instance = make_instance(n_sources=8, n_symbols=64)
    known = Config().catalogue
    pools = [source._replace(kind="pool") for source in known.sources]
    monkeypatch.setattr(Config, "catalogue", Catalogue(pools, known.directions))
    with pytest.raises(ConfigError) as refused:
        build.make_source(Config(), Lists, "okx-spot", instance)
    assert str(refused.value) == (
        "okx-spot: a source of the kind 'pool', expected one of spot, perpetual"
    )
    assert not instance.lease_held("okx-spot")


def test_the_audit_compresses_days_of_its_history_that_are_over(
    make_instance, tmp_path, monkeypatch
):
    monkeypatch.setattr(archive, "_ROUND_S", 0.01)
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    config = Config(instance=instance.name, paths=Paths(data=str(tmp_path)))
    lists = Lists(names=(), retired=frozenset(), pairs={}, sources={}, generation=1)
    old = tmp_path / "audit-20201120.csv"
    text = AUDIT.header + AUDIT.row({"source": "okx-spot"}).encode()
    old.write_bytes(text)
    ends_s = time.monotonic() + 20

    def stop():
        return not old.exists() or time.monotonic() > ends_s

    writable = Instance(instance.name, build.WRITABLE["audit"])
    asyncio.run(build.run_audit(config, lambda: lists, writable, stop))
    assert ["audit-20201120.csv.zst"] == [path.name for path in tmp_path.iterdir()]
    with files.open_text(tmp_path / "audit-20201120.csv.zst") as file:
        assert text == file.read()


def test_edges_of_one_direction_differ_by_what_converts_them(make_instance) -> None:
    """Buy and sell legs converted by one rate are two rules; settings may convert nothing."""
    instance = make_instance(n_sources=10, n_symbols=64, n_edges=64)
    spot, perp = SOURCE_BY_NAME["okx-spot"].id, SOURCE_BY_NAME["mexc-futures"].id
    edges = (
        Edge(0, 0, spot, 0, perp, 0),
        Edge(1, 0, spot, 0, perp, 1, 0, "sell", spot, 2),
        Edge(2, 0, spot, 1, perp, 0, 0, "buy", spot, 2),
        Edge(3, 0, spot, 1, perp, 0, 7, "buy", spot, 2),
    )
    lists = Lists(
        generation=1, names=("BTC-USDT", "BTC-USDC", "USDC-USDT"), retired=frozenset(), pairs={},
        sources={}, edges=edges,
    )  # fmt: skip
    sources = ("okx-spot", "mexc-futures")
    converting = Config(sources=sources, directions={"okx->mexc": DirectionSettings(convert=True)})
    index, rules = build.make_index(converting, lists, instance)
    assert [0, 1, 2] == index.edges_of(spot, 0) + [n for n in index.edges_of(spot, 1)]
    assert [1, 2] == index.edges_of(spot, 2)  # moved by what converts them
    assert 3 == len({index.legs(n).rule for n in range(3)}) == len(rules)
    index, rules = build.make_index(Config(sources=sources), lists, instance)
    assert ([0], 1) == ([n for n in range(4) if index.legs(n)], len(rules))
