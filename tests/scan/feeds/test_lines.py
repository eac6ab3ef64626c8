"""What the log of a source says while it is mute: one line as that begins, one as it ends."""

import logging

import pytest

from scan.feeds.kit import messages
from spreadscan.feeds.lines import SourceLog

S = 10**9
T = 10**12
N = 100


class Source:
    """A source of so many pairs, looked at once a second, with lines about its sockets."""

    def __init__(self, n_pairs: int = N) -> None:
        self.log = SourceLog("okx-spot", 60.0)
        self.lost = self.log.lines("socket lost", "sockets lost", "sockets", "reason")
        self.n_pairs = n_pairs
        self.n_heard = 0
        self.now = T

    def pass_s(self, seconds: int, *, heard: bool, lost: int = 0) -> None:
        for _ in range(seconds):
            self.now += S
            self.n_heard += heard
            for _ in range(lost):
                self.lost.tell([{"reason": "closed"}], self.now)
            self.log.look(self.n_heard, self.n_pairs, self.now)


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_an_hour_of_silence_is_one_line_and_its_end_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source()
    source.pass_s(30, heard=True)
    source.pass_s(3, heard=False)
    source.pass_s(5, heard=False, lost=17)  # told of later, or never
    assert [] == caplog.records
    source.pass_s(3592, heard=False, lost=17)
    (line,) = caplog.records
    assert ("source mute", "WARNING") == (line.getMessage(), line.levelname)
    (told,) = messages(caplog, "source mute")
    assert ("okx-spot", N) == (told["source"], told["pairs"])
    source.pass_s(5, heard=True)
    source.pass_s(30, heard=True)
    assert ["source mute", "source heard again"] == [r.getMessage() for r in caplog.records]
    (told,) = messages(caplog, "source heard again")
    assert (3605.0, {"sockets lost": 17 * 3597}) == (told["mute_s"], told["untold"])
    source.pass_s(1, heard=True, lost=1)  # and lines are written as ever
    assert 1 == len(messages(caplog, "socket lost"))


def test_a_single_quote_now_and_then_ends_no_silence(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    source.pass_s(9, heard=False)
    for _ in range(100):
        source.pass_s(2, heard=True)
        source.pass_s(9, heard=False)
    assert ["source mute"] == [r.getMessage() for r in caplog.records]


def test_what_waited_is_told_once_quotes_come_again(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    source.pass_s(4, heard=False)
    source.pass_s(4, heard=False, lost=1)
    assert [] == caplog.records
    source.pass_s(1, heard=True)
    assert 4 == len(messages(caplog, "socket lost"))


def test_few_pairs_may_be_quiet_together(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(n_pairs=3)
    source.pass_s(201, heard=False)
    assert [] == caplog.records
    source.pass_s(2, heard=False)
    assert 1 == len(messages(caplog, "source mute"))


def test_many_lost_sockets_are_a_few_lines_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    source.pass_s(180, heard=True, lost=3)
    one, many = messages(caplog, "socket lost"), messages(caplog, "sockets lost")
    assert len(one) + len(many) <= 3 * 6
    waiting = len(source.lost._waiting)
    assert 3 * 180 == len(one) + sum(told["sockets"] for told in many) + waiting
    assert {"source", "sockets", "first"} == set(many[0])
