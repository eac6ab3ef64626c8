"""The entry of a worker process."""

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
