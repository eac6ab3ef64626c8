"""Too few descriptors, too small files: a sentence that names the limit, and the code for usage."""

import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
from spreadcore.region import exists, unlink

from cases.kit import Case, Fake, case, environment


def limited(it: Case, what: int, limit: int, *arguments: str) -> Any:
    return subprocess.run(
        it.command(*arguments),
        cwd=it.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(what, (limit, limit)),
    )


def test_a_limit_is_named(tmp_path: Path) -> None:
    quick = "discovery.no_new_s = 0.5\ndiscovery.after_ack_s = 2.0"
    with case(tmp_path, Fake("okx-spot"), Fake("bybit-futures"), extra=quick) as it:
        done = it.run("discover")
        assert 0 == done.returncode, done.stderr
        for n in (8, 16):
            done = limited(it, resource.RLIMIT_NOFILE, n, "run", "--no-discover", "--seconds", "1")
            assert (2, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
            assert "Too many open files, expected" in done.stderr
        if exists(it.instance):
            unlink(it.instance)
        for n, said in ((0, "no room in /dev/shm: File too large"), (1_000_000, "(ulimit -f): ")):
            done = limited(it, resource.RLIMIT_FSIZE, n, "init")
            assert (2, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
            assert said in done.stderr
            assert not exists(it.instance)
        done = limited(it, resource.RLIMIT_FSIZE, 2_000, "discover")
        assert (2, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
        assert done.stderr.endswith(
            "paths.generated: generated: File too large, expected a folder that can be written\n"
        )


@pytest.mark.parametrize("command", [("ctl", "status"), ("init", "--force")])
def test_a_lease_that_is_no_file_is_refused_by_name(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    with case(tmp_path, Fake("okx-spot"), Fake("bybit-futures")) as it:
        assert 0 == it.run("init").returncode
        (Path("/dev/shm") / f"spreadscan-{it.instance}" / "lease-engine").symlink_to(tmp_path)
        done = it.run(*command)
        assert (2, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
        assert "lease-engine: Too many levels of symbolic links, expected a plain" in done.stderr


def test_few_descriptors_are_told_wherever_they_lack(tmp_path: Path) -> None:
    with case(tmp_path, Fake("okx-spot"), Fake("bybit-futures")) as it:
        for n in (7, 8):
            done = limited(it, resource.RLIMIT_NOFILE, n, "discover")
            assert done.returncode in (1, 2), done.stderr  # 1: a source's socket was refused
            assert "Traceback" not in done.stderr
            assert "Too many open files" in done.stderr


def test_a_log_that_cannot_be_written_is_refused_before_discovery(tmp_path: Path) -> None:
    with case(tmp_path, Fake("okx-spot"), Fake("bybit-futures")) as it:
        (tmp_path / "logs" / "engine.log").mkdir(parents=True)
        done = it.run("run")
        assert 2 == done.returncode, done.stderr
        assert done.stderr.startswith("spreadscan: paths.logs: logs/engine.log: Is a directory")
        assert not exists(it.instance)
        assert not (tmp_path / "generated" / "metadata.json").exists()
