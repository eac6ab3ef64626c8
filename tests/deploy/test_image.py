"""The container image that `make image` built, run as it says of itself, on simulated exchanges."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from spreadcore.region import instance_dir

pytestmark = pytest.mark.image

BUILDAH = ("buildah", "--storage-driver", os.environ.get("STORAGE_DRIVER", "vfs"))
ENVIRONMENT = os.environ | {"BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot")}
IMAGE = os.environ.get("IMAGE", "localhost/spreadscan")


def buildah(*arguments: str) -> str:
    done = subprocess.run(
        [*BUILDAH, *arguments], capture_output=True, text=True, env=ENVIRONMENT, timeout=120,
        check=True,
    )  # fmt: skip
    return done.stdout


def until(found: Callable[[], bool], what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def says() -> dict:
    """What the image says of how it is run."""
    return json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]


@pytest.fixture
def container() -> Iterator[str]:
    name = buildah("from", IMAGE).strip()
    yield name
    buildah("rm", name)


def test_it_runs_as_nobody_else_may_and_looks_after_itself(says):
    user, _, group = says["User"].partition(":")
    assert user.isdecimal()
    assert int(user) >= 10_000
    assert ["tini", "--", "spreadscan"] == says["Entrypoint"]
    assert ["CMD", "spreadscan", "ctl", "status"] == says["Healthcheck"]["Test"]


def test_it_scans_says_that_it_is_healthy_and_ends_when_it_is_told(says, container):
    instance = f"test-{secrets.token_hex(4)}"

    def command(*words: str) -> list[str]:
        return [*BUILDAH, "run", "--env", f"SPREAD_INSTANCE={instance}", container, "--", *words]

    def health() -> int:
        check = says["Healthcheck"]["Test"][1:]
        done = subprocess.run(
            command(*check), env=ENVIRONMENT, capture_output=True, timeout=60, check=False
        )
        return done.returncode

    with ExitStack() as stack:

        def start(*words: str) -> "subprocess.Popen[bytes]":
            child = subprocess.Popen(
                command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            stack.callback(end, child)
            return child

        assert 0 != health()
        start("spreadscan", "sim", "--port", "0", "--write-config", "/tmp/sim.toml")
        until(lambda: has(container, "/tmp/sim.toml"), "the simulators", 60)
        words = [*says["Entrypoint"], *says["Cmd"], "-c", "/tmp/sim.toml"]
        scanner = start(*words)
        stack.callback(remove, instance)
        until(lambda: health() == 0, "healthy", 120)
        os.kill(first_process(instance), signal.SIGTERM)
        assert 0 == scanner.wait(10)
        assert 0 != health()
        assert has(container, "/var/lib/spreadscan/data/signals-*.csv")


def first_process(instance: str) -> int:
    """Return the pid, as seen here, of what is process 1 in a real container."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            own = f"SPREAD_INSTANCE={instance}".encode() in (folder / "environ").read_bytes()
            if own and words[0].endswith(b"tini"):
                return int(folder.name)
    pytest.fail("tini does not run")


def has(container: str, pattern: str) -> bool:
    """Whether such a file is in the container."""
    shown = buildah("run", container, "--", "sh", "-c", f"ls {pattern} 2>/dev/null || true")
    return bool(shown.strip())


def remove(instance: str) -> None:
    shutil.rmtree(instance_dir(instance), ignore_errors=True)  # of another user: no unlink()


def end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
