"""What does the whole scanner cost in memory and CPU, and how late is it?

Setup: `spreadscan demo --json` for 20 seconds in a folder of its own, on whatever processors
there are: simulated exchanges, discovery, then the scanner with all eight sources at 2,000 and at
10,000 quotes/s, and in one process at 2,000. Figures are the scanner's own account of itself
(supervisor, feeds, engine, tracker; simulators and table apart, though they share the processors).
Baselines: of the quotes/s reached, those asked for. Of the PSS, as many bare interpreters as the
scanner has processes, side by side, each with aiohttp, uvloop and numpy imported. Of the CPU, the
quotes/s reached: the ratio is percent of a core per quote a second. Of receive to signal, receive
to slot; both from histograms whose buckets are an eighth wide, given by their upper end.

A page that several map is divided among all of them, the simulators and this process too.

Not measured: real networks, TLS, hours. With fewer processors than simulators, feeds and engine
could use, latencies are mostly waiting for a processor.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SECONDS = 20
PREPARE_S, END_S = 150.0, 15.0
BARE = "import sys, aiohttp, uvloop, numpy; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    ("rate", "layout", "aim_mb"),
    [(2_000, "processes", "120"), (10_000, "processes", "120"), (2_000, "single", "60")],
)
def bench_system(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    tmp_path: Path,
    instance_name: str,
    python_env: dict[str, str],
    rate: int, layout: str, aim_mb: str,
) -> None:  # fmt: skip
    seconds = 5 if pytestconfig.option.quick else SECONDS
    found = _demo(tmp_path, instance_name, python_env, seconds, rate, layout)
    pids = {role["pid"] for role in found["roles"].values() if role["alive"]}
    bare_mb = _bare_mb(len(pids), python_env)
    # counted from the scanner's start, a little before the seconds begin
    per_s = sum(source["quotes"] for source in found["sources"].values()) / seconds
    what = f"{rate:,}/s, {layout}"
    row(f"quotes/s, {what}", per_s, "quotes/s", "asked of the simulators", rate, seconds)
    row(
        f"PSS, {what}", found["pss_mb"], "MB",
        f"{len(pids)} bare interpreters", bare_mb, len(pids), aim=aim_mb,
    )  # fmt: skip
    row(f"CPU, {what}", found["cpu_pct"], "% of a core", "quotes/s reached", per_s, seconds)
    for point in ("p50", "p99"):
        slot, signalled = (
            found["latency_ns"][key][point] for key in ("receive_slot", "receive_signal")
        )
        row(
            f"receive to signal, {what}, {point}", signalled / 1e3, "us",
            f"receive to slot, {point}", slot / 1e3, found["signals"]["produced"],
        )  # fmt: skip


def _demo(
    folder: Path, instance: str, env: dict[str, str], seconds: int, rate: int, layout: str
) -> Any:
    """Run the demo and return the last line of its output, read."""
    command = [sys.executable, "-m", "spreadscan", "demo", "--json", "--seconds", str(seconds)]
    command += ["--rate", str(rate), "--layout", layout, "--set", f"instance={instance}"]
    child = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, said = child.communicate(timeout=PREPARE_S + seconds)
    except BaseException:
        child.send_signal(signal.SIGINT)  # it ends its own children, in order
        with suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=END_S)
        child.kill()
        raise
    assert child.returncode == 0, f"{' '.join(command)}: {child.returncode}\n{said[-2000:]}"
    return json.loads(out.splitlines()[-1])


def _bare_mb(n: int, env: dict[str, str]) -> float:
    """Return the PSS of n bare interpreters that live at the same time."""
    bare = [
        subprocess.Popen(
            [sys.executable, "-c", BARE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(n)
    ]
    try:
        for child in bare:
            assert child.stdout
            child.stdout.readline()
        return sum(_pss_kb(child.pid) for child in bare) / 1024
    finally:
        for child in bare:
            child.communicate()


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
