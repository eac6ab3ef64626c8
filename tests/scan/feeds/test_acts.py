"""What a feed does about the verdicts of an audit."""

import logging
from collections import Counter
from collections.abc import Callable

import pytest
from spreadcore import Instance
from spreadcore.intake import SourceIntake

from spreadscan.feeds.acts import Acts
from spreadscan.feeds.lines import SourceLog
from spreadscan.recordings import Verdict, Verdicts

SOURCE, OTHER = 0, 1
S = 10**9
T = 1_000 * S
IDS = {f"C{i}USDT": i for i in range(8)}
NAMES = {i: f"C{i}-USDT" for i in range(8)}


class Asked:
    """A session that remembers what it was to subscribe anew."""

    def __init__(self) -> None:
        self.symbols: list[str] = []

    def resubscribe(self, symbols: list[str], at_ns: int) -> list[str]:
        self.symbols += symbols
        return symbols


class Rig:
    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        region = instance.region
        self.intake = SourceIntake(region("quotes"), region("dirty"), region("health"), SOURCE)
        self.counts: Counter[str] = Counter()
        self.session = Asked()
        self.noted: list[Verdicts] = []
        self.log = SourceLog("binance-spot", 60.0)
        self.acts = Acts(self.log, SOURCE, self.intake, instance, self.count, self.noted.append)
        for symbol_id in NAMES:
            self.intake.add_symbol(symbol_id)
            assert self.quote(symbol_id, T)

    def count(self, name: str) -> None:
        self.counts[name] += 1

    def quote(self, symbol_id: int, at_ns: int) -> bool:
        return self.intake.accept(symbol_id, 1, 99.0, 1.0, 100.0, 1.0, 0, at_ns, 0, at_ns) == 0

    def stands(self, symbol_id: int) -> bool:
        return bool(self.instance.quotes.read(SOURCE, symbol_id).recv_ns)

    def act(self, at_ns: int = T + S) -> None:
        self.acts.act_on_new(IDS, NAMES, [self.session], at_ns)

    def tell(self, act: str, symbol_id: int, *facts: int) -> None:
        getattr(self.instance.audit, act)(SOURCE, symbol_id, *facts)
        self.instance.acts.mark(SOURCE, symbol_id)


@pytest.fixture
def rig(make_instance: Callable[..., Instance]) -> Rig:
    return Rig(make_instance(n_sources=2, n_symbols=16, n_edges=16))


def test_a_wrong_quote_is_emptied_and_its_pair_subscribed_anew(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rig.tell("find_wrong", 3, T, T + S)
        rig.act()
        rig.act()
    assert not rig.stands(3)
    assert all(rig.stands(i) for i in NAMES if i != 3)
    assert (["C3USDT"], {"found_wrong": 1}) == (rig.session.symbols, dict(rig.counts))
    assert ["quote found wrong"] == [record.message for record in caplog.records]
    assert rig.quote(3, T + 2 * S)


def test_a_verdict_on_an_earlier_quote_touches_nothing(rig: Rig) -> None:
    rig.tell("find_wrong", 3, T, T + S)
    assert rig.quote(3, T + S)  # came while the verdict was written
    rig.act()
    assert rig.stands(3)
    assert ([], {}) == (rig.session.symbols, dict(rig.counts))


@pytest.mark.parametrize("again", ["clear", "confirm"])
def test_a_halted_pair_is_empty_until_the_verdict_says_otherwise(rig: Rig, again: str) -> None:
    rig.tell("halt", 4, T)
    rig.act()
    assert not rig.stands(4)
    assert not rig.quote(4, T + S)
    rig.act()
    rig.tell(again, 4, *((T, T + S) if again == "confirm" else ()))
    rig.act()
    assert ["C4USDT"] == rig.session.symbols  # a new subscription brings the top of now
    assert rig.quote(4, T + 2 * S)
    assert {"halts": 1} == dict(rig.counts)


def test_a_pair_that_is_halted_already_begins_so(rig: Rig) -> None:
    """A feed that starts again, or takes the pair up from new lists."""
    rig.instance.audit.halt(SOURCE, 5, T)
    rig.acts.begin(5)
    rig.acts.begin(6)
    assert (False, True) == (rig.quote(5, T + S), rig.quote(6, T + S))


def test_marks_of_others_are_none_of_its_business(rig: Rig) -> None:
    rig.instance.audit.find_wrong(SOURCE, 9, T, T + S)
    rig.instance.acts.mark(SOURCE, 9)  # a pair that it has no more
    rig.instance.acts.mark(OTHER, 3)
    rig.act()
    assert ([], {}) == (rig.session.symbols, dict(rig.counts))
    assert [3] == rig.instance.acts.take(OTHER)


def test_every_verdict_that_is_told_is_noted(rig: Rig) -> None:
    rig.instance.audit.set(SOURCE, "round_ns", T - S)
    rig.tell("confirm", 1, T, T + S)
    rig.tell("find_wrong", 3, T, T + S)
    rig.act()
    rig.act()
    wrong = Verdict("C3USDT", "wrong", "", T, T + S)
    [noted] = rig.noted
    assert T - S == noted.round_ns
    assert {Verdict("C1USDT", "confirmed", "", T, T + S), wrong} == set(noted.verdicts)


def test_sockets_are_renewed_once_each_time_that_it_is_asked_for(rig: Rig) -> None:
    """And not for what was asked before the feed began: its sockets are new."""
    audit = rig.instance.audit
    assert not rig.acts.wants_renewal()
    audit.set(SOURCE, "renew_ns", T)
    audit.set(OTHER, "renew_ns", T + S)
    assert [True, False] == [rig.acts.wants_renewal() for _ in range(2)]
    again = Acts(rig.log, SOURCE, rig.intake, rig.instance, rig.count, rig.noted.append)
    assert not again.wants_renewal()
    audit.set(SOURCE, "renew_ns", T + 2 * S)
    assert [True, True] == [acts.wants_renewal() for acts in (rig.acts, again)]
