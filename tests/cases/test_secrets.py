"""What `run` was started with and may not know, no process of it knows."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from spreadcore import Instance
from spreadcore.region import exists

from cases.kit import Fake, case, until

NAMES = ("BINANCE_API_KEY", "OKX_PASSPHRASE", "SPREADSCAN_SECRET_RPC_URL")
CANARY = "canary-%d-in-the-coal-mine"


def family(pid: int) -> set[int]:
    """Return the processes below one, and itself."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    found = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def memory_of(pid: int) -> bytes:
    """Return what a process may write to, or copied from who forked it: heaps, stacks, data."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            low, high, mode, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            if not mode.startswith("rw-p") or name in ("[vvar]", "[vsyscall]"):
                continue
            memory.seek(int(low, 16))
            try:
                parts.append(memory.read(int(high, 16) - int(low, 16)))
            except OSError:  # a guard page
                continue
    return b"".join(parts)


def known_to(pid: int) -> set[str]:
    """Return where which canaries are; nothing of a real environment, which a test may print."""
    places = {"environ": environ_of(pid), "memory": memory_of(pid)}
    return {
        f"{place} {n}"
        for place, content in places.items()
        for n in range(len(NAMES))
        if (CANARY % n).encode() in content
    }


def test_no_process_of_a_run_knows_a_secret(tmp_path, monkeypatch):
    for n, name in enumerate(NAMES):
        monkeypatch.setenv(name, CANARY % n)
    monkeypatch.setenv("NO_SUCH_THING", "known to all")
    sources = ["okx-spot", "mexc-futures"]
    with case(tmp_path, *map(Fake, sources)) as it:
        own = ["--set", "audit.enabled=true", "--set", "discovery.no_new_s=0.3"]
        with it.scanning(*own) as run:
            until(lambda: exists(it.instance), "the scanner")
            health = Instance(it.instance).health
            n_workers = 3 + len(sources)
            until(lambda: len(family(run.pid)) == 1 + n_workers, "all workers")
            engine = health.role("engine")
            before = until(lambda: health.info(engine)["pid"], "the engine")
            os.kill(before, signal.SIGKILL)  # what is started later is no other
            until(lambda: health.info(engine)["pid"] not in (0, before), "another engine")
            until(lambda: len(family(run.pid)) == 1 + n_workers, "all workers")
            for pid in family(run.pid):
                assert b"NO_SUCH_THING=known to all" in environ_of(pid)
                assert known_to(pid) == set()


def test_they_would_be_found(monkeypatch):
    monkeypatch.setenv(NAMES[0], CANARY % 0)
    program = "import os, sys; os.environ.pop(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, NAMES[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline()
        assert {"memory 0", "environ 0"} == known_to(process.pid)
        process.stdin.close()
