"""Classes of edges that the settings make, from discovery to files; what no catalogue may be."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.region import exists

from cases.kit import Case, Fake, case, until
from spreadscan.lists import FORMAT, load

QUICK = """discovery.no_new_s = 0.3
discovery.after_ack_s = 1.0
engine.threshold_bps = 5.0
engine.min_notional_usdt = 0.0
"""
FUTURES = ("okx-futures", "bybit-futures")
PERPETUALS = 'directions."perpetual->perpetual".converge_bps = -1000.0\n'


class Dear(Fake):
    """The same coins, 0.5 % above the others."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.px = {symbol: px * 1.005 for symbol, px in self.px.items()}


def fakes_of(*sources: str) -> list[Fake]:
    return [Dear(name) if name == "bybit-futures" else Fake(name) for name in sources]


@contextmanager
def market(folder: Path, *fakes: Fake, extra: str = PERPETUALS) -> Iterator[Case]:
    with case(folder, *(fakes or fakes_of(*FUTURES)), extra=QUICK + extra) as it:
        yield it


def n_open(it: Case) -> int:
    return len(Instance(it.instance).tracks.all()) if exists(it.instance) else 0


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one sentence of a command that ended with 2."""
    assert 2 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("spreadscan: ")]
    assert 1 == len(lines), done.stderr
    return lines[0]


def content(it: Case) -> dict[str, bytes]:
    root = it.folder / "generated"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def alone(folder: Path, *arguments: str) -> Any:
    """Run a command that has no config, nor anything that runs; return its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def rows_of(folder: Path) -> list[dict[str, str]]:
    (path,) = (folder / "data").glob("signals-*.csv")
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def test_two_perpetuals_are_compared_from_discovery_to_every_reader(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        with it.scanning() as scanner:
            until(lambda: n_open(it) == 12, "12 tracks")
            assert scanner.poll() is None
            seen = json.loads(it.run("ctl", "status", "--json").stdout)
            shown = it.run("top", "--once").stdout
            done = it.run("record", "--for", "2s", "--out", "recorded")
            assert 0 == done.returncode, done.stderr
        assert 12 == seen["tracks"]["open"]
        assert {"okx-futures->bybit-futures", "bybit-futures->okx-futures"} == set(
            seen["settings"]["directions"]
        )
        assert "okx-futures->bybit-futures" in shown
        opened = [row for row in rows_of(tmp_path) if row["event"] == "OPEN"]
        assert {"okx-futures->bybit-futures"} == {row["direction"] for row in opened}
        ids = {"okx-futures": 7, "bybit-futures": 3}
        assert {str(4096 + 64 * 7 + 3)} == {row["direction_id"] for row in opened}
        legs = {(row["buy_source"], row["sell_source"]) for row in opened}
        assert {tuple(ids)} == legs
        # whoever reads somebody else's files has no settings of theirs
        page = it.folder / "report.html"
        told = alone(tmp_path, "report", "--data", "data", "--out", str(page), "--json")
        assert 12 == told["signals"]
        assert "okx-futures → bybit-futures" in page.read_text()
        told = alone(tmp_path, "replay", "--frames", "recorded", "--out", "again", "--json")
        (again,) = told["replays"]
        assert 12 == again["signals"]
        (path,) = (tmp_path / "again").rglob("signals-*.csv")
        assert 12 == path.read_text().count(",OPEN,")
        assert path.read_text().count(",okx-futures->bybit-futures,4547,") >= 12
        # a scanner that starts anew takes up what is open
        with it.scanning("--no-discover"):
            until(lambda: n_open(it) == 12, "12 tracks")
        ends = [row for row in rows_of(tmp_path) if row["event"] == "CLOSE"]
        assert [] == ends


def test_a_set_of_before_is_made_anew_for_a_class(tmp_path: Path) -> None:
    with market(tmp_path, *fakes_of("okx-spot", *FUTURES), extra="") as it:
        assert 0 == it.run("discover").returncode
        assert [12] == [len(ids) for ids in load(tmp_path / "generated").pairs.values()]
        basis = ["--set", "directions.spot->okx-futures.threshold_bps=9"]
        told = it.run("run", "--seconds", "1", "--no-discover", *basis)
        assert "it does not compare okx-spot->okx-futures; used as it is" in told.stderr
        told = it.run("run", "--seconds", "1", *basis)
        assert "it does not compare okx-spot->okx-futures; discovering anew" in told.stderr, (
            told.stderr
        )
        pairs = load(tmp_path / "generated").pairs
        assert 12 == len(pairs[4096 + 64 * 6 + 7])
        told = it.run("run", "--seconds", "1", *basis)
        assert "anew" not in told.stderr
        off = ["--set", "directions.spot->perpetual.enabled=false", *basis]
        off += ["--set", "directions.spot->okx-futures.enabled=true"]
        told = it.run("run", "--seconds", "1", *off)
        assert "12 pairs in 1 direction;" in told.stderr


# -- bad input: one sentence, code 2, nothing changed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("okx-futures->kraken-futures", "'kraken-futures' is neither a source nor a kind"),
        ("perpetual->swap", "'swap' is neither a source nor a kind, expected of binance-spot"),
    ],
)
@pytest.mark.parametrize("command", [("run",), ("discover",), ("init",), ("tracker",)])
def test_a_class_of_an_unknown_source_or_kind(
    tmp_path: Path, command: tuple[str, ...], name: str, said: str
) -> None:
    with market(tmp_path) as it:
        told = sentence(it.run(*command, "--set", f"directions.{name}.threshold_bps=9"))
        assert said in told
        assert not exists(it.instance)
        assert {"cfg.toml"} == {path.name for path in tmp_path.iterdir()}


def change_set(folder: Path, name: str, change: Any) -> None:
    """Change a file of the set and its hash with it."""
    path, metadata = folder / name, folder / "metadata.json"
    path.write_bytes(change(path.read_bytes()))
    told = json.loads(metadata.read_text())
    told["hashes"][name] = blake2b(path.read_bytes(), digest_size=16).hexdigest()
    metadata.write_text(json.dumps(told))


def test_sets_and_folders_that_cannot_be_taken(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        assert 0 == it.run("discover").returncode
        whole = content(it)
        rows = json.loads(whole["source_symbols/okx-futures.json"])["symbols"]
        one, other = rows[0]["symbol_id"], rows[1]["symbol_id"]

        def claim(found: bytes) -> bytes:
            return found.replace(b'"symbol_id":%d,' % other, b'"symbol_id":%d,' % one)

        change_set(tmp_path / "generated", "source_symbols/okx-futures.json", claim)
        changed = content(it)
        for command in (("run", "--no-discover"), ("discover",), ("engine",)):
            told = sentence(it.run(*command))
            names = " and of ".join(repr(row["instrument"]["venue_symbol"]) for row in rows[:2])
            assert f"okx-futures: row {one} is of {names}, expected one of them" in told
            assert changed == content(it)

        for name, found in whole.items():
            (tmp_path / "generated" / name).write_bytes(found)
        metadata = tmp_path / "generated" / "metadata.json"
        metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"format": 3}))
        told = sentence(it.run("run", "--no-discover"))
        assert f"format 3, expected {FORMAT}: of another version of the program" in told

        metadata.write_bytes(whole["metadata.json"])
        (tmp_path / "data").mkdir(exist_ok=True)
        old = tmp_path / "data" / "signals-20261120.csv"
        old.write_text("# spreadscan signals v1; time UTC\ntime,event\n")
        told = sentence(it.run("run", "--no-discover"))
        assert "begins '# spreadscan signals v1', expected '# spreadscan signals v4'" in told
        assert (whole, "# spreadscan signals v1; time UTC\ntime,event\n") == (
            content(it),
            old.read_text(),
        )
        assert not exists(it.instance)


def test_a_catalogue_larger_than_the_room_of_the_instance(tmp_path: Path) -> None:
    room = "capacity.symbols = 1\ncapacity.edges = 1\n"
    fakes = fakes_of(*FUTURES)
    with market(tmp_path, *fakes, extra=room + PERPETUALS) as it:
        with it.scanning():
            until(lambda: n_open(it), "a track")
            instance = Instance(it.instance)
            control = instance.region("control")
            assert (16, 32) == (control.n_symbols, control.n_edges)
            for fake in fakes:
                for n in range(5):
                    fake.list_coin(f"NEW{n}", 1.0 + n)
            assert 0 == it.run("discover").returncode
            before = instance.control.reload_generation
            told = sentence(it.run("ctl", "reload"))
            assert "17 ids, expected at most 16, which the instance has room for" in told
            assert before == instance.control.reload_generation
            told = sentence(it.run("init", "--set", "capacity.sources=10"))
            assert "capacity 8 x 16 x 32 x 4096, expected at least 10 x " in told
            time.sleep(0.3)  # a reload that was refused reaches nobody
            health = instance.health
            assert {before} == {
                health.info(health.role(role))["acked_generation"] for role in ("engine", "tracker")
            }
        done = it.run("run", "--seconds", "1", "--no-discover")
        assert (0, True) == (done.returncode, "made anew with" in done.stderr), done.stderr
