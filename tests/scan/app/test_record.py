"""`record` beside an instance: what lies in its folder, what it refuses, how large it gets."""

import json
import random
from pathlib import Path

import msgspec
import pytest
from spreadcore.errors import LeaseHeld

from scan.recordings.kit import START_NS
from spreadscan.app import record as record_module
from spreadscan.app.record import RecordingRun
from spreadscan.config import Config, Engine, Paths, VenueSettings, load
from spreadscan.discovery.write import write_set
from spreadscan.disk import whole
from spreadscan.errors import ConfigError
from spreadscan.inuse import leave_settings
from spreadscan.lists import load as load_lists
from spreadscan.recordings import FrameFiles, Recording, request

SOURCES = ("mexc-futures", "okx-spot")


@pytest.fixture
def config(instance, tmp_path):
    write_lists(str(tmp_path / "generated"), 1)
    return Config(
        instance=instance.name,
        sources=SOURCES,
        engine=Engine(threshold_bps=33.0),
        venues={"okx-spot": VenueSettings(ws_url="ws://127.0.0.1:1")},
        paths=Paths(generated=str(tmp_path / "generated"), data=str(tmp_path)),
    )


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=8, n_symbols=64, n_edges=768)


@pytest.fixture
def feeds(instance):
    """Hold the leases of both feeds, as if they ran."""
    leases = [instance.lease(name) for name in SOURCES]
    yield
    for lease in leases:
        lease.close()


def write_lists(folder: str, generation: int) -> None:
    write_set(
        folder, generation=generation, names=("A-USDT",), retired=frozenset(), pairs={},
        sources={}, n_listed={}, report="", unix_ns=START_NS,
    )  # fmt: skip


def written(folder: Path, source: str, n_files: int) -> list[Path]:
    """Write files of some 1 kB for a source, as its feed would."""
    for n in range(n_files):
        files = FrameFiles(folder, source, START_NS + n * 10**9)
        body = random.Random(n).randbytes(1_000)  # does not compress
        head = (n + 1).to_bytes(8, "little") + b"\1\0\0\0" + (1_000 << 4).to_bytes(4, "little")
        files.write(head + body, 1, n + 1, n + 1, 0, 0)
        files.close()
    return sorted((folder / "frames").glob(f"{source}-*"))


def test_the_folder_has_what_a_replay_needs(instance, config, feeds, tmp_path):
    run = RecordingRun(instance, config, tmp_path / "rec")
    run.begin()
    asked = request.asked(instance)
    assert (str(run.folder), SOURCES) == (asked.folder, asked.sources)
    written(run.folder, "okx-spot", 1)
    done, late = run.end()
    assert [] == late
    assert request.asked(instance) is None
    again = load([run.folder / "config.toml"], environ={}).config
    assert config == again
    assert load_lists(run.folder / "generated") == load_lists(config.paths.generated)
    assert 33.0 == again.engine.threshold_bps
    about = json.loads((run.folder / "recording.json").read_text())
    assert list(SOURCES) == about["sources"]
    assert about["started"] < about["ended"]
    assert instance.name == about["instance"]
    assert done.n_bytes == Recording(run.folder).n_bytes
    span = about["spans"]["okx-spot"]
    assert {"first_ns": 1, "last_ns": 1, "lived_ns": 1} == span


def test_the_settings_are_those_of_the_engine_that_runs(instance, config, feeds, tmp_path):
    in_use = msgspec.structs.replace(config, engine=Engine(threshold_bps=44.0))
    leave_settings(instance, in_use, {"engine.threshold_bps": "a test"})
    run = RecordingRun(instance, config, tmp_path / "rec")
    run.begin()
    run.end()
    assert in_use == load([run.folder / "config.toml"], environ={}).config


def test_newer_lists_replace_those_of_the_beginning(instance, config, feeds, tmp_path):
    run = RecordingRun(instance, config, tmp_path / "rec")
    run.begin()
    assert 1 == load_lists(run.folder / "generated").generation
    write_lists(config.paths.generated, 2)
    run.keep_up()
    run.end()
    assert 2 == load_lists(run.folder / "generated").generation


def test_lists_and_disk_that_refuse_meanwhile_end_nothing(
    instance, config, feeds, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(record_module, "_COPY_WAIT_S", 0.0)
    run = RecordingRun(instance, config, tmp_path / "rec")
    run.begin()
    metadata = Path(config.paths.generated, "metadata.json")
    kept = metadata.read_bytes()
    metadata.write_bytes(b"{")
    for _ in range(3):
        run.keep_up()
    assert ["recording: not up to date"] == caplog.messages
    metadata.write_bytes(kept)
    run.keep_up()
    assert 1 == load_lists(run.folder / "generated").generation

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device, expected room for the totals"):
        run.end()
    assert request.asked(instance) is None
    instance.lease(request.ROLE).close()  # free again


def test_the_oldest_files_go_but_the_newest_of_a_source_stays(instance, config, feeds, tmp_path):
    run = RecordingRun(instance, config, tmp_path / "rec", max_gb=2.6e-6)
    run.begin()
    old = written(run.folder, "okx-spot", 4)
    new = written(run.folder, "mexc-futures", 1)
    progress = run.keep_up()
    left = sorted((run.folder / "frames").iterdir())
    assert progress.n_bytes == sum(path.stat().st_size for path in left) <= 2_600
    assert [*new, old[-1]] == left
    assert [path.name for path in old[:-1]] == json.loads(
        (run.folder / "recording.json").read_text()
    )["removed_files"]
    run.end()


def test_who_has_not_closed_is_late(instance, config, feeds, tmp_path):
    run = RecordingRun(instance, config, tmp_path / "rec")
    run.begin()
    names = list(instance.health.counters(6))
    instance.health.set(6, names.index("recording"), 1)
    assert {"okx-spot": True, "mexc-futures": False} == run.keep_up().recording
    assert ["okx-spot"] == run.end(within_s=0.1)[1]


def test_what_is_refused(instance, config, feeds, tmp_path):
    with pytest.raises(ConfigError, match="'bybit-spot': not running, expected one of mexc"):
        RecordingRun(instance, config, tmp_path / "rec", ("bybit-spot",))
    with pytest.raises(ConfigError, match="in use already, expected a new or empty folder"):
        RecordingRun(instance, config, tmp_path)
    first = RecordingRun(instance, config, tmp_path / "one")
    first.begin()
    second = RecordingRun(instance, config, tmp_path / "two")
    with pytest.raises(LeaseHeld, match="record: already running"):
        second.begin()
    assert not (tmp_path / "two").exists()
    first.end()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="in use already"):
        RecordingRun(instance, config, tmp_path / "file")


def test_nothing_runs(instance, config, tmp_path):
    with pytest.raises(ConfigError, match="nothing is running, expected a scanner"):
        RecordingRun(instance, config, tmp_path / "rec")
    lease = instance.lease("engine")
    with pytest.raises(ConfigError, match="no feed is running"):
        RecordingRun(instance, config, tmp_path / "rec")
    lease.close()
