"""The entry of a worker process."""

import os
import signal
import time
from typing import Any

import pytest

from spreadscan.app import processes
from spreadscan.config import Config, Paths
from spreadscan.lists import Lists


def test_a_role_that_nobody_knows_is_an_error_and_no_feed(tmp_path, capsys):
    config = Config(paths=Paths(logs=str(tmp_path)))
    lists = Lists(names=(), retired=frozenset(), pairs={}, sources={}, generation=1)
    assert 2 == processes.run_role("cook", config, lists)
    told = capsys.readouterr().err
    assert told.startswith("spreadscan: role 'cook': unknown, expected one of engine, tracker, ")
    assert "okx-futures" in told


def test_a_closed_terminal_ends_a_process_unless_nohup_keeps_it_off() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert (signal.SIGTERM, signal.SIGINT) == processes.stop_signals()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) == processes.stop_signals()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_stop_signal_unwinds_and_the_others_wait(children: Any, number: int) -> None:
    def main() -> list[str]:
        told = []
        processes.end_by_exception()
        try:
            os.kill(os.getpid(), number)
            time.sleep(5.0)
        except KeyboardInterrupt:
            told.append("unwound")
        for again in processes.stop_signals():
            os.kill(os.getpid(), again)
        return [*told, "ended in order"]

    children.start("main", main)
    assert {"main": ["unwound", "ended in order"]} == children.results(10.0)
