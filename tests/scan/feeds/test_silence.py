"""Who is told of silent pairs, and who is asked for them: never a storm of either."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from spreadcore import Instance
from spreadcore.intake import SourceIntake

from known import SOURCE_BY_NAME
from scan.feeds.kit import Heard, config_of, messages, row, settings
from spreadscan.feeds.lines import SourceLog
from spreadscan.feeds.session import Session
from spreadscan.feeds.silence import Silence
from spreadscan.venues import VENUES

S = 10**9
T = 10**12
N = 300


class Subscribed(Session):
    """A session whose requests were answered an hour ago, and whose later ones wait."""

    answered_ns = T - 3600 * S


class Night:
    """N pairs of a source on one socket, each heard once a second until T."""

    def __init__(self, instance: Instance, name: str) -> None:
        venue, config = VENUES[name], config_of(name, "ws://127.0.0.1:1/")
        sections = [instance.region(section) for section in ("quotes", "dirty", "health")]
        self.intake = SourceIntake(
            *sections, SOURCE_BY_NAME[name].id, learn_to_s=venue.learn_to_s(config)
        )
        self.rows = [row(i, f"A{i}USDT") for i in range(N)]
        ids = {r.instrument.venue_symbol: r.symbol_id for r in self.rows}
        for i in range(N):
            self.intake.add_symbol(i)
            for n in range(20, -1, -1):
                self.quote(i, T - n * S)
        self.heard, self.counted = Heard(), 0
        self.session = Subscribed(venue, list(ids), "ws://127.0.0.1:1/", self.heard, settings())
        log = SourceLog(name, config.feeds.silent_socket_s)
        self.silence = Silence(venue, config, self.intake, ids, self._count, log)

    def _count(self, name: str) -> None:
        assert name == "silent_symbols"
        self.counted += 1

    def quote(self, symbol_id: int, at: int, update_id: int = -1) -> None:
        self.intake.accept(symbol_id, 1, 1.0, 1.0, 1.1, 1.0, 0, update_id, 0, at)

    def check(self, at: int) -> None:
        self.silence.check(self.rows, [self.session], at)

    @property
    def asked(self) -> int:
        return self.heard.controls["resubscribes"]


@pytest.fixture
def night(make_instance: Callable[..., Instance], caplog: pytest.LogCaptureFixture) -> Night:
    caplog.set_level(logging.WARNING)
    return Night(make_instance(n_symbols=512), "binance-spot")


def test_hundreds_that_fall_silent_are_one_line(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    night.check(T + 10 * S)
    assert [] == caplog.records
    for second in range(11, 70):
        night.check(T + second * S)
    assert N == night.counted
    assert [] == messages(caplog, "pair silent")
    (told,) = messages(caplog, "pairs silent")
    assert {"source": "binance-spot", "pairs": N, "first": "A0-USDT, A1-USDT, A2-USDT"} == told


def test_they_are_not_asked_for_all_at_once(night: Night) -> None:
    for second in range(11, 70):
        night.check(T + second * S)
    assert 20 == night.asked
    for second in range(70, 11 + 600):
        night.check(T + second * S)
    assert 200 == night.asked
    # and everybody in turn, before those that have been asked come again
    assert 200 == len(night.session._asked_again)


def test_a_few_are_told_one_by_one_and_again_once_they_came_back(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(1, 120):
        for i in range(2, N):
            night.quote(i, T + second * S)
        if second == 60:
            night.quote(0, T + 60 * S)
        night.check(T + second * S)
    told = [(m["symbol"], m["limit_s"]) for m in messages(caplog, "pair silent")]
    # the pause of a minute was one long one: it is not usual
    assert [("A0-USDT", 10.0), ("A1-USDT", 10.0), ("A0-USDT", 10.0)] == told
    assert 3 == night.counted


def test_what_does_not_fit_a_minute_is_told_in_the_next(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(1, 100):
        for i in range(second, N):  # one more falls silent every second
            night.quote(i, T + second * S)
        night.check(T + second * S)
    lines = messages(caplog, "pair silent"), messages(caplog, "pairs silent")
    assert 5 == len(lines[0])
    assert 1 == len(lines[1])
    assert night.counted == 89
    assert 5 + lines[1][0]["pairs"] <= night.counted


def test_a_source_that_repeats_itself_is_asked_at_once(
    make_instance: Callable[..., Instance],
) -> None:
    night = Night(make_instance(n_symbols=512), "bybit-spot")
    night.check(T + 11 * S)
    assert N == night.asked


def test_ids_that_begin_anew_are_told_with_their_number(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    for times in (1, 2):
        night.quote(7, T, 1_000)
        for n in range(3):
            night.quote(7, T, n)
        night.check(T + times * S)
        night.check(T + times * S)
    assert [("A7-USDT", 1), ("A7-USDT", 2)] == [
        (m["symbol"], m["times"]) for m in messages(caplog, "ids began anew")
    ]


def test_a_session_asks_for_at_most_so_many() -> None:
    session = Session(VENUES["okx-spot"], ["A", "B", "C", "D"], "", Heard(), settings())

    async def main() -> None:
        assert ["A", "B"] == session.resubscribe("ABCD", T, 2)
        assert ["C", "D"] == session.resubscribe("ABCD", T + 1, 2)
        assert [] == session.resubscribe("ABCD", T + 2, 2)

    asyncio.run(main())
