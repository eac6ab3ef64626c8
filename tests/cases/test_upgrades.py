"""A program on what an older or a newer one left: each works, or is one sentence and exit code 2.

The rows are those of docs/operations.md#upgrades.
"""

import json
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pyarrow import parquet
from spreadcore import Instance
from spreadcore.layout import FIELDS, SECTIONS
from spreadcore.lease import Lease
from spreadcore.region import exists, instance_dir, unlink

from cases.kit import Case, Fake, case, until
from e2e.test_versions import written_by
from scan.recordings.kit import make
from spreadscan.config import Paths
from spreadscan.config import load as load_settings
from spreadscan.errors import RateLimited
from spreadscan.export import export
from spreadscan.inuse import leave_settings
from spreadscan.lists import FORMAT, load, read_metadata
from spreadscan.net.bans import bans_of
from spreadscan.recordings.format import VERSION
from spreadscan.tracker import SIGNALS

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
QUICK = "discovery.no_new_s = 0.5\ndiscovery.after_ack_s = 2.0\naudit.funding_every_s = 0.0"
SOURCES = ("okx-spot", "bybit-futures")
OLDER, NEWER = -1, 1
BOTH = pytest.mark.parametrize("step", [OLDER, NEWER], ids=["older", "newer"])

ROWS = {  # of the page: which tests bear them
    "data files": ["test_data_files"],
    "generated set": ["test_a_set"],
    "settings": ["test_settings"],
    "shared memory, nothing runs": ["test_shared_memory_that_nobody_uses"],
    "shared memory, a scanner runs": ["test_shared_memory_of_a_scanner_that_runs"],
    "settings of a running scanner": ["test_settings_of_a_scanner_that_runs"],
    "set for a running scanner": ["test_a_set_for_a_scanner_that_runs"],
    "bans": ["test_bans"],
    "Parquet files of `export`": ["test_parquet_files"],
    "recordings": ["test_recordings"],
}


def test_the_page_has_these_rows():
    part = PAGE.read_text("utf-8").partition("## Upgrades")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", part, re.M)
    assert [*ROWS] == [row for row in rows if row != "what"]
    assert {test for tests in ROWS.values() for test in tests} <= set(globals())


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A case with a set that was discovered, for all tests here."""
    with case(tmp_path_factory.mktemp("upgrades"), *map(Fake, SOURCES), extra=QUICK) as made:
        assert "" == refusal(made.run("discover"), 0)
        shutil.copytree(made.folder / "generated", made.folder / "found")
        yield made


@pytest.fixture
def it(market: Case) -> Case:
    """The case as if nothing had run there yet."""
    for left in ("generated", "data", "logs", "out"):
        shutil.rmtree(market.folder / left, ignore_errors=True)
    shutil.copytree(market.folder / "found", market.folder / "generated")
    if exists(market.instance):
        unlink(market.instance)
    return market


def refusal(done, code: int = 2) -> str:
    """Return the sentence that a command ended with."""
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("spreadscan: ")]
    assert len(lines) <= 1
    return lines[0] if lines else ""


def runs(it: Case, *arguments: str) -> str:
    """Run a scanner for a moment, all of whose workers live; return what it said."""
    done = it.run("run", "--seconds", "1", "--no-discover", *arguments)
    assert "" == refusal(done, 0)
    assert '"level":"ERROR"' not in it.log()
    return done.stderr


# -- folders


@pytest.mark.parametrize("version", [1, 2, 3, SIGNALS.version + 1])
def test_data_files(it, version):
    data = it.folder / "data"
    written_by(min(max(version, 2), 3), data)
    if version not in (2, 3):
        for path in data.iterdir():
            text = path.read_text()
            path.write_text(re.sub(r"^(# spreadscan \w+) v\d;", rf"\1 v{version};", text))
        told = refusal(it.run("run", "--seconds", "1", "--no-discover"))
        assert re.search(rf"begins '# spreadscan \w+ v{version}'", told)
        assert "move the files of that version to another folder" in told
        assert 2 == len(export(data, it.folder / "out").faults)
        return
    before = {path: path.read_bytes() for path in data.iterdir()}
    runs(it)
    assert before == {path: path.read_bytes() for path in before}
    # of the two spreads there the one that was open has an end now, for its ring is gone
    rows = "".join(path.read_text() for path in data.glob("signals-*.csv") if path not in before)
    assert [",CLOSE,", ",LOST,"] == re.findall(",CLOSE,|,LOST,", rows)


def with_format(generated: Path, step: int) -> None:
    path = generated / "metadata.json"
    metadata = json.loads(path.read_text()) | {"format": FORMAT + step}
    del metadata["origin"]["quotes"]  # other versions have other fields
    path.write_text(json.dumps(metadata))


@BOTH
def test_a_set(it, step):
    with_format(it.folder / "generated", step)
    for command in (("run", "--seconds", "1"), ("run", "--no-discover")):
        told = refusal(it.run(*command))
        assert f"format {FORMAT + step}, expected {FORMAT}" in told
        assert "discover --fresh" in told
    assert "" == refusal(it.run("discover", "--fresh"), 0)
    assert FORMAT == read_metadata(it.folder / "generated").format


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("feeds.funding_every_s = 60", "did you mean 'audit.funding_every_s'?"),
        ("capacity.directions = 20", "did you mean 'capacity.edges'?"),
        ("engine.park_msec = 5", "did you mean 'park_ms'?"),
        ("[fusion]", "unknown key 'fusion', expected one of instance, sources,"),
    ],
)
def test_settings(it, line, told):
    path = it.folder / "other.toml"
    path.write_text(f"{line}\n")
    sentence = refusal(it.run("run", "--seconds", "1", "-c", str(path)))
    assert str(path) in sentence
    assert told in sentence


# -- shared memory


def with_layout(instance: str, step: int) -> None:
    """Let an instance be of another version of the layout."""
    offset = next(at for of, name, at, _ in FIELDS if (of, name) == ("Header", "layout_version"))
    for section in SECTIONS:
        path = Path(instance_dir(instance), section)
        content = bytearray(path.read_bytes())
        version = struct.unpack_from("=I", content, offset)[0]
        struct.pack_into("=I", content, offset, version + step)
        path.write_bytes(content)


@BOTH
def test_shared_memory_that_nobody_uses(it, step):
    assert 0 == it.run("init").returncode
    with_layout(it.instance, step)
    for command in (("ctl", "status"), ("top", "--once")):
        said = refusal(it.run(*command))
        assert (
            f"nothing runs there, and `spreadscan run --instance {it.instance}` makes it anew"
            in said
        )
    said = runs(it)
    assert "made by another version" in said
    assert "made anew with 8 x 4096" in said


@BOTH
def test_shared_memory_of_a_scanner_that_runs(it, step):
    assert 0 == it.run("init").returncode
    with_layout(it.instance, step)
    lease = Lease(instance_dir(it.instance), "engine")
    before = Path(instance_dir(it.instance), "control").read_bytes()
    for command in (("ctl", "status"), ("ctl", "stop")):
        told = refusal(it.run(*command))
        assert "engine run there: use the commands of their version, or end them first" in told
    for command in (("run", "--seconds", "1", "--no-discover"), ("init", "--force")):
        assert "in use by engine, expected nobody" in refusal(it.run(*command))
    assert before == Path(instance_dir(it.instance), "control").read_bytes()
    lease.close()


def test_settings_of_a_scanner_that_runs(it):
    assert 0 == it.run("init").returncode
    leave_settings(Instance(it.instance), load_settings([it.config], {}, {}).config, {})
    path = Path(instance_dir(it.instance), "settings.toml")
    path.write_text(path.read_text().replace("engine.park_ms", "engine.warp_ms"))
    lease = Lease(instance_dir(it.instance), "engine")
    for command in (("ctl", "status"), ("ctl", "reload", "--no-discover")):
        told = refusal(it.run(*command))
        assert "unknown key 'engine.warp_ms'" in told
        assert "of another version: use the commands of that one" in told
    lease.close()
    runs(it)


@BOTH
def test_a_set_for_a_scanner_that_runs(it, step):
    with it.scanning("--no-discover") as process:
        until(lambda: it.status().get("generation"), "the scanner")
        generation = load(it.folder / "generated").generation
        with_format(it.folder / "generated", step)
        told = refusal(it.run("ctl", "reload", "--no-discover"))
        assert f"format {FORMAT + step}, expected {FORMAT}" in told
        instance = Instance(it.instance)
        assert generation == instance.control.reload_generation
        instance.close()
        assert process.poll() is None


# -- what is kept beside


def test_bans(it):
    url = "wss://stream.example.com/x"
    config = load_settings([it.config], {}, {}).config
    config = msgspec.structs.replace(config, paths=Paths(data=str(it.folder / "data")))
    bans_of(config).record(url, RateLimited("418", 3600.0))
    (path,) = (it.folder / "data" / "state").glob("*stream.example.com*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"asked_by": "a later version"}))
    assert 3500 < bans_of(config).left_s(url) <= 3600


@pytest.mark.parametrize("version", [3, SIGNALS.version + 1])
def test_parquet_files(it, version):
    data, out = written_by(3, it.folder / "data"), it.folder / "out"
    assert [] == export(data, out).faults
    (path,) = out.glob("signals-*.parquet")
    ((key, text),) = (
        (k, v) for k, v in parquet.read_metadata(path).metadata.items() if k != b"ARROW:schema"
    )
    other = {key: json.dumps(json.loads(text) | {"format": version})}
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(other), path)
    if version > SIGNALS.version:
        (data / "signals-20261120.csv").unlink()  # this is all that there is of them now
    faults = export(data, out).faults
    if version > SIGNALS.version:
        assert f"of v{version}, expected those of v{SIGNALS.version}" in faults[0]
    else:
        assert [] == faults
        assert SIGNALS.version == json.loads(parquet.read_metadata(path).metadata[key])["format"]


def test_recordings(it):
    folder = make(it.folder / "recording", {"okx-spot": []})
    path = folder / "recording.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": VERSION + 1}))
    told = refusal(it.run("replay", "--frames", str(folder), "--out", str(it.folder / "out")))
    assert f"format {VERSION + 1}, expected {VERSION} (made by a newer spreadscan)" in told
