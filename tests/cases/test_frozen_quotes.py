"""A pair that is halted says nothing more, and where silence is health its quote would stand.

Every source that repeats nothing, or only about once a minute; the other leg goes on and moves
away.
"""

import json
from pathlib import Path

import pytest

from cases.kit import AUDITED, Case, Fake, case, until, venue_symbol

# the halted source, its counterpart, where the counterpart's price makes a spread of it, and
# whether venues are asked, too
HALTED = [
    ("binance-spot", "bybit-futures", 1.02, "picows", True),
    ("binance-futures", "bybit-spot", 0.98, "aiohttp", True),
    ("mexc-spot", "bybit-futures", 1.02, "picows", True),
    ("okx-spot", "binance-futures", 1.02, "picows", True),
    ("binance-spot", "bybit-futures", 1.02, "aiohttp", False),
]


class Quick(Fake):
    every_s = 0.1


def listening(it: Case, fakes: list[Fake]) -> None:
    """Wait until both sources have quoted for long enough that the gate knows their pauses."""
    wanted = 25 * len(fakes[0].px)

    def quoted() -> bool:
        sources = it.status().get("sources", {})
        return bool(sources) and all(s["quotes"] > wanted for s in sources.values())

    until(quoted, "two seconds of quotes")


def opened(it: Case, coin: str) -> bool:
    return any(f",{coin}-USDT," in row for row in it.opens())


@pytest.mark.parametrize(("halted", "other", "factor", "transport", "audited"), HALTED)
def test_no_signal_on_a_halted_pair(
    tmp_path: Path, halted: str, other: str, factor: float, transport: str, audited: bool
) -> None:
    quiet, moving = Quick(halted), Quick(other)
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 0.5'
    extra += AUDITED * audited
    with case(tmp_path, quiet, moving, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        with it.scanning("--no-discover"):
            listening(it, [quiet, moving])
            quiet.mute.add(venue_symbol(halted, "DOGE"))
            quiet.halted.add(venue_symbol(halted, "DOGE"))
            # a second later: longer than it is ever quiet
            later = moving.counters.frames + 10 * len(moving.px)
            until(lambda: moving.counters.frames > later, "a second of quotes")
            moving.px[venue_symbol(other, "DOGE")] *= factor
            if audited:
                until(lambda: it.status()["engine"]["asked"] > 0, "the venue is asked")
            else:
                until(lambda: it.status()["signals"]["frozen"] > 20, "the spread is looked at")
            # what moves away from a pair that speaks is a signal
            moving.px[venue_symbol(other, "ADA")] *= factor
            until(lambda: opened(it, "ADA"), "a signal of a pair that speaks")
            assert not opened(it, "DOGE")
            # trading goes on where it stopped: then it is one, too
            quiet.halted.clear()
            quiet.mute.clear()
            until(lambda: opened(it, "DOGE"), "a signal of the pair that speaks again")


def test_a_spread_that_is_followed_ends_with_its_halted_leg(tmp_path: Path) -> None:
    quiet, moving = Quick("binance-spot"), Quick("bybit-futures")
    extra = "discovery.no_new_s = 0.5\ntracker.lost_after_s = 1.0"
    with case(tmp_path, quiet, moving, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        with it.scanning("--no-discover", "--set", "venues.binance-spot.stale_after_s=2"):
            listening(it, [quiet, moving])
            moving.px["DOGEUSDT"] *= 1.02
            until(lambda: opened(it, "DOGE"), "a signal")
            quiet.mute.add("DOGEUSDT")
            until(lambda: it.status()["tracks"]["lost"] == 1, "the end")
            [source] = [s for n, s in it.status()["sources"].items() if n == "binance-spot"]
            assert (len(quiet.px) - 1, 1) == (source["pairs"], source["stale"])
        closed = [line for path in it.folder.glob("data/signals-*") for line in
                  path.read_text().splitlines() if ",CLOSE," in line]  # fmt: skip
        assert [True] == [",LOST" in line for line in closed]


@pytest.mark.parametrize("seconds", ["0", "0.0", "601", "nan", "-1"])
def test_no_age_limit_is_none(tmp_path: Path, seconds: str) -> None:
    with case(tmp_path, Fake("binance-spot"), Fake("bybit-futures")) as it:
        setting = f"venues.binance-spot.stale_after_s={seconds}"
        found = it.run("run", "--no-discover", "--set", setting, "--seconds", "1")
    assert 2 == found.returncode
    assert "venues.binance-spot.stale_after_s" in found.stderr
    assert "expected above 0 to 600" in found.stderr
    assert "Traceback" not in found.stderr
    assert not json.loads(found.stdout or "[]")
