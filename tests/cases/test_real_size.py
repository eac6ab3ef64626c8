"""Lists are longer than the room: most of what they hold is of no use, and the rest gets room.

Real lists are lopsided (MEXC spot had 2,852 USDT pairs in 2024, and takes 30 topics on a socket).
Pairs that no direction can use cost no id, no proof and no subscription; where more are of use than
an instance has room for, `run` makes it anew.
"""

import itertools
import json
import string
import subprocess
from pathlib import Path

import pytest
from spreadcore import Instance
from spreadcore.region import exists

from cases.kit import COINS, Case, Fake, case, until
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from spreadscan.lists import load

pytestmark = pytest.mark.e2e

N_LISTED = 2_852
ALONE = ["".join(t) + "Q" for t in itertools.product(string.ascii_uppercase, repeat=3)]
FEW = ("mexc-spot", "okx-futures")


def long_list() -> Fake:
    """mexc-spot, with everything that somebody else lists, and thousands that nobody does."""
    more = dict.fromkeys(ALONE[: N_LISTED - len(COINS)], 1.0)
    return Fake("mexc-spot", COINS | more)


def subscribed(fake: Fake) -> set[str]:
    """The venue symbols that were ever asked for."""
    texts = [text for _, text in (h.facts for h in fake.heard if h.what == "request")]
    return {symbol for symbol in fake.px if any(f'@{symbol}"' in text for text in texts)}


def room(made: Case) -> int:
    return int(Instance(made.instance).region("control").n_symbols)


def quoted(made: Case, source: str) -> int:
    """How many pairs of a source have a quote now."""
    if not exists(made.instance):
        return 0
    return int(Instance(made.instance).quotes.survey(SOURCE_BY_NAME[source].id)[0])


def test_default_settings_take_a_list_that_is_longer_than_the_room(tmp_path: Path) -> None:
    spot = long_list()
    others = [Fake("okx-futures"), Fake("bybit-futures"), Fake("bybit-spot")]
    with case(tmp_path, spot, *others) as made:
        plan = json.loads(made.run("discover", "--plan", "--json").stdout)["sources"]["mexc-spot"]
        assert (len(COINS), 1, 1) == (
            plan["pairs"], plan["feed"]["sockets"], plan["validation"]["sockets"],
        )  # fmt: skip
        done = made.run("discover", "--json")
        assert 0 == done.returncode, done.stderr
        found = json.loads(done.stdout)
        assert (len(COINS), N_LISTED - len(COINS)) == (found["symbols"], found["in_no_direction"])
        skipped = found["sources"]["mexc-spot"]["skipped"]
        assert N_LISTED - len(COINS) == skipped["in_no_direction"]
        assert f"{N_LISTED} pairs listed" in done.stderr
        assert 1 == spot.n_sockets
        done = made.run("run", "--seconds", "1.5")
        assert 0 == done.returncode, done.stderr
        assert {f"{coin}USDT" for coin in COINS} == subscribed(spot)
        assert len(COINS) == len(load(tmp_path / "generated").names)
        assert 4_096 == room(made)


def test_a_pair_gets_its_id_once_a_direction_can_use_it(tmp_path: Path) -> None:
    """While it runs: somebody lists the perpetual of what was on MEXC spot alone."""
    spot, perpetual = long_list(), Fake("okx-futures")
    coin = ALONE[700]
    with case(tmp_path, spot, perpetual) as made, made.scanning():
        until(lambda: quoted(made, "okx-futures") == len(COINS), "quotes of every pair")
        before = load(tmp_path / "generated")
        assert f"{coin}-USDT" not in before.names
        perpetual.call(lambda: perpetual.list_coin(coin, 1.0))
        done = made.run("ctl", "reload", "--json")
        assert 0 == done.returncode, done.stderr
        after = load(tmp_path / "generated")
        assert (*before.names, f"{coin}-USDT") == after.names
        for source in FEW:
            until(lambda s=source: quoted(made, s) == len(COINS) + 1, f"its quote at {source}")
        assert {*COINS, coin} == {symbol.removesuffix("USDT") for symbol in subscribed(spot)}


def test_an_instance_without_room_refuses_and_the_next_run_makes_it_anew(tmp_path: Path) -> None:
    spot, perpetual = long_list(), Fake("okx-futures")
    coin, n = ALONE[0], len(COINS)
    with case(tmp_path, spot, perpetual, extra=f"[capacity]\nsymbols = {n}") as made:
        with made.scanning():
            until(lambda: quoted(made, "okx-futures") == n, "quotes of every pair")
            perpetual.call(lambda: perpetual.list_coin(coin, 1.0))
            done = made.run("ctl", "reload")
            assert 2 == done.returncode
            assert f"generation 2: {n + 1} ids, expected at most {n}" in _last(done)
            assert "the next `spreadscan run` makes it anew" in _last(done)
            assert (n, 1) == (room(made), made.status()["generation"])
        done = made.run("run", "--seconds", "1.5", "--layout", "single")
        assert 0 == done.returncode, done.stderr
        needed = f"capacity 8 x {n} x 16384 x 4096, at least 8 x {n + 1} x 16384 x 4096 needed"
        assert needed in done.stderr
        assert 2 * n == room(made)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stderr.strip().splitlines()[-1]
