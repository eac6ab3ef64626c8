"""Verdicts of an audit: what readers make of them, and what the engine asks."""

import pytest
from spreadcore.audit import AuditTable, VerdictTuple
from spreadcore.errors import CoreError, TableFull
from spreadcore.intake import SourceIntake
from spreadcore.layout import AUDIT_FIGURES, DECLINED, NOT_JUDGED
from spreadcore.watch import PairWatch

from core.test_engine import MS, PERP, SPOT, SYMBOL, Rig, S, T
from flags import flags_of

NONE = VerdictTuple("none", "", 0, 0)
CONFIRM_S, ASK_S, ANSWER_S = 60.0, 5.0, 2.0


# -- the table


def test_a_verdict_reads_back(make_instance):
    instance = make_instance(n_sources=3, n_symbols=64, n_edges=64)
    audit = instance.audit
    assert NONE == audit.read(2, 63)
    for act, kind in (
        (audit.confirm, "confirmed"), (audit.accuse, "accused"), (audit.find_wrong, "wrong"),
    ):  # fmt: skip
        act(2, 63, T, T + 1)
        assert VerdictTuple(kind, "", T, T + 1) == audit.read(2, 63)
        audit.not_judged(2, 63, "moved")  # takes nothing away
        assert VerdictTuple(kind, "moved", T, T + 1) == audit.read(2, 63)
    audit.halt(2, 63, T)
    assert VerdictTuple("not_trading", "", 0, T) == audit.read(2, 63)
    again = VerdictTuple("wrong", "young", T, T + 2)
    audit.put(2, 63, again)
    assert again == audit.read(2, 63)
    with pytest.raises(CoreError, match="verdict: 'good', expected one of none, confirmed"):
        audit.put(2, 63, again._replace(kind="good"))
    audit.clear(2, 63)
    assert NONE == audit.read(2, 63)
    assert NONE == audit.read(1, 63)
    with pytest.raises(CoreError, match="reason: 'why', expected one of moved, "):
        audit.not_judged(0, 0, "why")
    for ids in ((3, 0), (0, 64)):
        with pytest.raises(TableFull, match="expected below 3 and 64"):
            audit.confirm(*ids, T, T)


def test_a_snapshot_has_every_verdict(make_instance):
    instance = make_instance(n_sources=2, n_symbols=8, n_edges=8)
    instance.audit.confirm(1, 3, T, T + 5)
    raw = bytearray(32 * 16)
    instance.audit.snapshot_into(raw)
    words = memoryview(raw).cast("q")
    assert (T, T + 5, 1) == tuple(words[4 * 7 + 1 : 4 * 7 + 4])
    assert 3 == sum(word != 0 for word in words) - 1  # and its seq
    with pytest.raises(CoreError, match="buffer of 3 bytes, expected 512"):
        instance.audit.snapshot_into(bytearray(3))


def test_figures_are_by_source(make_instance):
    audit = make_instance(n_sources=2, n_symbols=8, n_edges=8).audit
    for n, name in enumerate(AUDIT_FIGURES, 1):
        audit.set(1, name, n)
        audit.add(1, name, 100)
    assert {name: 100 + n for n, name in enumerate(AUDIT_FIGURES, 1)} == audit.figures(1)
    assert {0} == set(audit.figures(0).values())
    with pytest.raises(CoreError, match="figure: 'x', expected one of round_ns"):
        audit.add(1, "x")


def test_only_the_audit_may_write(make_instance):
    from spreadcore import Instance

    made = make_instance(n_sources=2, n_symbols=8, n_edges=8)
    audit = AuditTable(Instance(made.name).region("audit"))
    assert NONE == audit.read(0, 0)
    for act in (lambda: audit.confirm(0, 0, T, T), lambda: audit.add(0, "rounds")):
        with pytest.raises(CoreError, match="mapped read-only"):
            act()


# -- what is tradable


@pytest.mark.parametrize(
    ("verdict", "age_s", "limit_s", "round_age_s", "expected"),
    [
        # (kind, of this quote, as of so many s ago)
        (None, 59.0, 0.0, 10.0, True),
        (None, 61.0, 0.0, 10.0, False),  # nobody confirmed it
        (None, 100.0, 0.0, 61.0, True),  # no round of late: the source's own 120 s
        (None, 121.0, 0.0, 61.0, False),
        (None, 15.0, 10.0, 10.0, False),  # what is learnt of it holds on
        (("confirm", True, 59.0), 500.0, 10.0, 10.0, True),
        (("confirm", True, 61.0), 500.0, 10.0, 10.0, False),
        (("confirm", False, 1.0), 500.0, 10.0, 10.0, False),  # an earlier quote was
        (("accuse", True, 1.0), 500.0, 0.0, 10.0, False),
        (("find_wrong", True, 1.0), 500.0, 0.0, 10.0, False),
        (("accuse", True, 1.0), 30.0, 0.0, 10.0, True),  # accused is not proven
        (("confirm", True, 59.0), 500.0, 10.0, 100.0, True),
    ],
)
def test_heard_or_confirmed(make_instance, verdict, age_s, limit_s, round_age_s, expected):
    instance = make_instance(n_sources=3, n_symbols=64, n_edges=64)
    recv_ns = T - int(age_s * S)
    for source in (SPOT, PERP):
        instance.health.beat(source, T)
    instance.quotes.write(PERP, SYMBOL, 100.0, 101.0, 1.0, 1.0, 0, T)
    flags = flags_of(limit_s=limit_s)
    instance.quotes.write(SPOT, SYMBOL, 99.0, 100.0, 1.0, 1.0, 0, recv_ns, flags)
    instance.audit.set(SPOT, "round_ns", T - int(round_age_s * S))
    if verdict:
        kind, same, ago_s = verdict
        of_ns = recv_ns if same else recv_ns - 1
        getattr(instance.audit, kind)(SPOT, SYMBOL, of_ns, T - int(ago_s * S))
    watch = PairWatch(
        instance.quotes, instance.health, stale_after_s={SPOT: 120.0}, audit=instance.audit,
        confirm_within_s={SPOT: CONFIRM_S},
    )  # fmt: skip
    watch.refresh(T)
    assert expected == watch.read(SPOT, SYMBOL, PERP, SYMBOL, T).tradable


def test_a_confirmation_is_no_beat(make_instance):
    instance = make_instance(n_sources=3, n_symbols=64, n_edges=64)
    instance.health.beat(PERP, T)
    instance.health.beat(SPOT, T - 3 * S)
    instance.quotes.write(PERP, SYMBOL, 100.0, 101.0, 1.0, 1.0, 0, T)
    instance.quotes.write(SPOT, SYMBOL, 99.0, 100.0, 1.0, 1.0, 0, T - 4 * S)
    instance.audit.confirm(SPOT, SYMBOL, T - 4 * S, T)
    watch = PairWatch(
        instance.quotes, instance.health, audit=instance.audit, confirm_within_s={SPOT: CONFIRM_S}
    )
    watch.refresh(T)
    assert not watch.read(SPOT, SYMBOL, PERP, SYMBOL, T).tradable


# -- asked before told


class Asking(Rig):
    """An engine with an audit; the spot leg is `age_s` old when the spread comes."""

    def __init__(self, make_instance, signals=False, **options):
        instance = make_instance(n_sources=3, n_symbols=64, n_edges=192)
        super().__init__(instance, audit=instance.audit, questions=instance.questions,
            answers=instance.answers, **options,
        )  # fmt: skip
        self.audit = instance.audit
        for source in (SPOT, PERP):
            self.engine.set_audit(source, CONFIRM_S, ASK_S)
        self.engine.set_answer(ANSWER_S, signals)

    def come(self, age_s, at=T):
        """The spread comes with a tick of the perpetual; returns the signals."""
        self.old_ns = at - int(age_s * S)
        self.put(SPOT, 99.9, 100.0, at=self.old_ns)
        return self.tick(at)

    def tick(self, at):
        self.beat(at)
        self.put(PERP, 101.0, 101.1, at=at)
        return self.turn(at)

    def answer(self, at):
        """The audit's mark; returns the signals."""
        self.beat(at)
        self.instance.answers.mark(SPOT, SYMBOL)
        return self.turn(at)

    def asked(self):
        return self.instance.questions.take(SPOT), self.instance.questions.take(PERP)


@pytest.fixture
def asking(make_instance):
    return Asking(make_instance)


def test_a_young_leg_is_not_asked_about(asking):
    assert 1 == len(asking.come(ASK_S))
    assert ([], []) == asking.asked()


def test_an_old_leg_is_asked_about_once_and_signals_with_the_answer(asking):
    assert [] == asking.come(5.001)
    assert ([SYMBOL], []) == asking.asked()
    assert [] == asking.tick(T + S)
    assert ([], []) == asking.asked()
    asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, T + S)
    [signal] = asking.answer(T + S + MS)
    assert (False, 6) == (signal.unproven, signal.buy_age_ms // 1000)
    assert (1, 0) == (asking.counted("asked"), asking.counted("unproven"))


def test_a_round_that_confirmed_it_lately_is_an_answer(asking):
    asking.audit.confirm(SPOT, SYMBOL, T - 100 * S, T - int(ASK_S * S))
    assert 1 == len(asking.come(100.0))
    assert ([], []) == asking.asked()


@pytest.mark.parametrize("kind", ["accuse", "find_wrong", "halt"])
def test_what_the_venue_contradicts_does_not_signal(asking, kind):
    asking.come(10.0)
    named = () if kind == "halt" else (asking.old_ns,)
    getattr(asking.audit, kind)(SPOT, SYMBOL, *named, T)
    assert [] == asking.answer(T + MS)
    for second in range(1, 31):  # looks are not counted
        assert [] == asking.tick(T + second * S)
    assert (1, 0) == (asking.counted("contradicted"), asking.counted("unproven"))
    assert 1 == asking.counted("asked")


@pytest.mark.parametrize("signals", [False, True])
def test_without_an_answer_in_time(make_instance, signals):
    asking = Asking(make_instance, signals)
    asking.come(10.0)
    assert [] == asking.tick(T + int(ANSWER_S * S) - 1)
    found = asking.tick(T + int(ANSWER_S * S))
    assert ([True] if signals else []) == [signal.unproven for signal in found]
    assert signals == (asking.tick(T + 3 * S) == [] and bool(found))
    assert 1 == asking.counted("unproven")  # counted once a question
    if not signals:  # it is asked again, and the answer of then counts
        asking.asked()
        assert [] == asking.tick(T + 10 * S + 1)
        assert ([SYMBOL], []) == asking.asked()
        asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, T + 10 * S)
        assert 1 == len(asking.answer(T + 11 * S))


@pytest.mark.parametrize("signals", [False, True])
def test_an_answered_question_is_over_and_another_is_asked(make_instance, signals):
    """The spread ended before it could signal; it is back when the answer is too old."""
    asking = Asking(make_instance, signals)
    asking.come(10.0)
    asking.asked()
    asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, T + 50 * MS)
    assert 1 == len(asking.answer(T + 60 * MS))
    asking.active.move(SYMBOL, 1, 0)
    assert [] == asking.tick(T + 6 * S)  # nobody has been asked about this one
    assert ([SYMBOL], []) == asking.asked()
    assert (2, 0) == (asking.counted("asked"), asking.counted("unproven"))


@pytest.mark.parametrize("signals", [False, True])
def test_after_a_contradiction_that_is_lifted_it_is_asked_anew(make_instance, signals):
    asking = Asking(make_instance, signals)
    asking.come(10.0)
    asking.asked()
    asking.audit.accuse(SPOT, SYMBOL, asking.old_ns, T)
    assert [] == asking.tick(T + S)
    asking.audit.clear(SPOT, SYMBOL)
    assert [] == asking.tick(T + 3 * S)
    assert ([SYMBOL], []) == asking.asked()
    assert (2, 1, 0) == tuple(map(asking.counted, ("asked", "contradicted", "unproven")))


def test_an_answer_that_is_too_old_when_it_comes_is_none(asking):
    """As of four seconds before its question, after a second and a half: counted, asked seldom."""
    asking.come(10.0)
    for second in range(0, 60, 2):
        at = T + second * S
        if asking.asked()[0]:
            asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, at - 4 * S)
            assert [] == asking.answer(at + 1_500 * MS)
        assert [] == asking.tick(at + 2 * S)
    assert (6, 5) == (asking.counted("asked"), asking.counted("unproven"))


def test_an_answer_counts_though_the_spread_is_gone_when_it_comes(asking):
    asking.come(10.0)
    asking.put(PERP, 99.0, 99.1, at=T + MS)
    asking.turn(T + MS)
    asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, T + 10 * MS)
    assert [] == asking.answer(T + 20 * MS)
    asking.asked()
    assert [] == asking.tick(T + 8 * S)
    assert ([SYMBOL], []) == asking.asked()
    assert 0 == asking.counted("unproven")


def test_who_waits_longer_than_it_is_asked_again_has_an_end_too(make_instance):
    asking = Asking(make_instance, signals=True)
    asking.engine.set_answer(30.0, True)
    asking.come(10.0)
    assert [] == [s for second in range(1, 30) for s in asking.tick(T + second * S)]
    [signal] = asking.tick(T + 30 * S)
    assert signal.unproven
    assert (1, 1) == (asking.counted("asked"), asking.counted("unproven"))


@pytest.mark.parametrize("ask_s", [0.0, 600.0])
def test_what_is_known_to_be_contradicted_does_not_signal_however_late_one_asks(asking, ask_s):
    asking.engine.set_audit(SPOT, CONFIRM_S, ask_s)
    asking.audit.accuse(SPOT, SYMBOL, T - 10 * S, T - S)
    assert [] == asking.come(10.0)
    asking.audit.clear(SPOT, SYMBOL)
    assert 1 == len(asking.tick(T + S))


def test_a_question_is_about_one_quote(asking):
    """A quote that came after the question has not been asked about."""
    asking.come(10.0)
    asking.asked()
    asking.put(SPOT, 99.9, 100.0, at=T + S)  # too young to be asked about, and the spread is told
    asking.active.move(SYMBOL, 0, 2)
    asking.turn(T + S)
    asking.active.move(SYMBOL, 2, 0)
    assert [] == asking.tick(T + 7 * S)  # old again, within the ten seconds of the first question
    assert ([SYMBOL], []) == asking.asked()
    assert 0 == asking.counted("unproven")


def test_both_legs_are_asked_about_at_once(asking):
    asking.put(SPOT, 99.9, 100.0, at=T - 10 * S)
    asking.put(PERP, 101.0, 101.1, at=T - 8 * S)
    assert [] == asking.turn(T)
    assert ([SYMBOL], [SYMBOL]) == asking.asked()
    asking.audit.confirm(SPOT, SYMBOL, T - 10 * S, T)
    assert [] == asking.answer(T + MS)
    asking.audit.confirm(PERP, SYMBOL, T - 8 * S, T)
    assert 1 == len(asking.answer(T + MS))


def test_an_engine_without_an_audit_asks_nothing(rig_without_audit):
    rig = rig_without_audit
    rig.put(SPOT, 99.9, 100.0, at=T - 50 * S)
    rig.put(PERP, 101.0, 101.1)
    assert 1 == len(rig.turn())
    with pytest.raises(CoreError, match="expected an engine with one"):
        rig.engine.set_audit(SPOT, CONFIRM_S)


@pytest.fixture
def rig_without_audit(make_instance):
    return Rig(make_instance(n_sources=3, n_symbols=64, n_edges=192))


# -- the gate


def test_a_halted_symbol_is_emptied_and_declined_until_it_trades(make_instance):
    instance = make_instance(n_sources=3, n_symbols=64, n_edges=64)
    region = instance.region
    intake = SourceIntake(region("quotes"), region("dirty"), region("health"), SPOT)
    intake.add_symbol(SYMBOL)
    not_trading = -1 - DECLINED.index("not_trading")

    def accept(at):
        return intake.accept(SYMBOL, 1, 99.0, 1.0, 100.0, 1.0, 0, at, 0, at)

    assert 0 == accept(T)
    assert intake.halt_symbol(SYMBOL)
    assert not intake.halt_symbol(SYMBOL)
    assert not_trading == accept(T + 1)
    assert 0 == instance.quotes.read(SPOT, SYMBOL).recv_ns
    assert intake.resume_symbol(SYMBOL)
    assert not intake.resume_symbol(SYMBOL)
    assert 0 == accept(T + 2)
    assert not intake.empty_quote(SYMBOL, T)  # another stands there now
    assert intake.empty_quote(SYMBOL, T + 2)
    assert not intake.empty_quote(SYMBOL, T + 2)
    assert 0 == accept(T + 3)
    assert -1 - DECLINED.index("unknown_symbol") == intake.accept(
        SYMBOL + 1, 1, 99.0, 1.0, 100.0, 1.0, 0, T, 0, T
    )
    assert 1 == instance.health.counters(SPOT)["declined_not_trading"]
    intake.halt_symbol(SYMBOL)
    intake.remove_symbol(SYMBOL)
    intake.add_symbol(SYMBOL)  # a pair that comes anew is not halted by what was
    assert 0 == accept(T + 4)


def test_reasons_that_a_round_could_not_judge_are_words():
    assert "" == NOT_JUDGED[0]
    assert len(set(NOT_JUDGED)) == len(NOT_JUDGED)


# -- a leg in doubt


class Doubting(Asking):
    """As Asking; the spot leg says nothing while nothing changes, and is doubted after a second."""

    def come(self, age_s, at=T):
        self.old_ns = at - int(age_s * S)
        self.beat(self.old_ns)
        self.put(PERP, 99.9, 100.1, at=self.old_ns)
        self.put(SPOT, 99.9, 100.1, at=self.old_ns, limit_s=60.0, pause_s=1.0)
        assert [] == self.turn(self.old_ns)
        return self.tick(at)


def test_a_leg_in_doubt_is_asked_about_however_young(make_instance):
    """The coin moved by a percent while it was silent: its venue has the word, not we."""
    asking = Doubting(make_instance)
    asking.audit.confirm(SPOT, SYMBOL, T - 3 * S, T - 3 * S)  # an answer of before says nothing
    assert [] == asking.come(3.0)
    assert ([SYMBOL], []) == asking.asked()
    assert 1 == asking.counted("frozen")
    asking.audit.confirm(SPOT, SYMBOL, asking.old_ns, T + S)
    assert 1 == len(asking.answer(T + S + MS))


@pytest.mark.parametrize("act", ["accuse", "find_wrong"])
def test_a_leg_in_doubt_that_is_contradicted_does_not_signal(make_instance, act):
    asking = Doubting(make_instance)
    asking.come(3.0)
    getattr(asking.audit, act)(SPOT, SYMBOL, asking.old_ns, T + S)
    assert [] == asking.answer(T + S + MS)
