"""How many rows a second does `spreadscan export` turn into Parquet, how large, in what memory?

Setup: an hour's file of snapshots of 1,000 tracks, 2,000 ticks, from a seed: 15 % of the legs
change price and size from one tick to the next, prices have up to 6 digits after the point.
Exported by a process of its own, plain and compressed, with all processors that there are; timed by
its own clock, so without the start of the interpreter. Baselines, in a process of its own too: of
the rows/s, pyarrow.csv reading the same text, typed, in blocks, and throwing it away; of the size,
the text, and the text as the tracker compresses it; of the memory (peak resident), that process.

Not measured: signals and tracks, which are a hundredth of the rows; a cold page cache; a market
whose prices change at every tick, which compresses less.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard

from measure import median
from spreadscan.clock import iso_utc
from spreadscan.tracker.columns import SNAPSHOTS

TRACKS, TICKS, SEED = 1_000, 2_000, 1
START_NS = 1_795_176_000_000_000_000
WITHIN_S = 300.0
RUNS = 3

PEAK = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')][0])"
EXPORT = f"""
import sys, time
from pathlib import Path
from spreadscan.export import export
started = time.perf_counter_ns()
export(Path(sys.argv[1]), Path(sys.argv[2]))
print(time.perf_counter_ns() - started)
{PEAK}
"""
READ = f"""
import sys, time
from pyarrow import csv
from spreadscan.export.schema import reading
from spreadscan.tracker import SNAPSHOTS
started = time.perf_counter_ns()
for batch in csv.open_csv(
    sys.argv[1],
    csv.ReadOptions(column_names=SNAPSHOTS.names, skip_rows=2, block_size=8 << 20),
    convert_options=csv.ConvertOptions(column_types=reading(SNAPSHOTS), null_values=[""]),
):
    pass
print(time.perf_counter_ns() - started)
{PEAK}
"""


def bench_export(
    row: Callable[..., None],
    count: Callable[[int], int],
    tmp_path: Path,
    python_env: dict[str, str],
) -> None:
    n = TRACKS * count(TICKS)
    plain = tmp_path / "plain" / "snapshots-20261120-12.csv"
    packed = tmp_path / "packed" / f"{plain.name}.zst"
    for path in (plain, packed):
        path.parent.mkdir()
    _write(plain, n // TRACKS)
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    out = tmp_path / "out"

    def run(code: str, *args: Path) -> tuple[int, int]:
        """Nanoseconds, and kB at the peak."""
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            env=python_env, capture_output=True, text=True, timeout=WITHIN_S, check=True,
        )  # fmt: skip
        first, second = done.stdout.split()
        return int(first), int(second)

    found: dict[str, list[tuple[int, int]]] = {"plain": [], "packed": [], "read": []}
    for number in range(RUNS):
        for name, path in (("plain", plain), ("packed", packed)):
            found[name].append(run(EXPORT, path.parent, out / f"{name}{number}"))
        found["read"].append(run(READ, plain))
    ns = {name: median([run[0] for run in runs]) for name, runs in found.items()}
    kb = {name: median([run[1] for run in runs]) for name, runs in found.items()}
    for name, what in (("plain", "text"), ("packed", "compressed text")):
        row(
            f"export of {what}", n / ns[name] * 1e9, "rows/s",
            "pyarrow.csv, read only", n / ns["read"] * 1e9, n,
        )  # fmt: skip
    parquet_mb = (out / "plain0" / f"{plain.stem}.parquet").stat().st_size / 1e6
    row("export, Parquet", parquet_mb, "MB", "text", plain.stat().st_size / 1e6, n)
    row("export, Parquet", parquet_mb, "MB", "compressed text", packed.stat().st_size / 1e6, n)
    row("export, peak memory", kb["plain"] / 1e3, "MB", "read only", kb["read"] / 1e3, n)


def _write(path: Path, ticks: int) -> None:
    """A market in the tracker's words."""
    random = np.random.default_rng(SEED)
    legs = np.round(10 ** random.uniform(-3, 4, TRACKS), 6) * np.array([[1.0], [1.004]])
    sizes = np.round(10 ** random.uniform(0, 4, (4, TRACKS)), 2)
    ages = np.zeros((2, TRACKS), np.int64)
    ids = [f"3q5k0d9t-{n:05d}" for n in range(TRACKS)]
    with path.open("wb") as file:
        file.write(SNAPSHOTS.header)
        for tick in range(ticks):
            changed = random.random((2, TRACKS)) < 0.15
            legs = np.where(changed, np.round(legs * random.normal(1, 1.5e-4, legs.shape), 6), legs)
            new = np.round(10 ** random.uniform(0, 4, (4, TRACKS)), 2)
            sizes = np.where(changed.repeat(2, axis=0), new, sizes)
            ages = np.where(changed, 0, ages + 200)
            file.write(_tick(ids, tick, legs, sizes, ages).encode())


def _tick(ids: list[str], tick: int, legs: np.ndarray, sizes: np.ndarray, ages: np.ndarray) -> str:
    time = iso_utc(START_NS + tick * 200_000_000)
    buy_ask, sell_bid = legs
    buy_bid, sell_ask = np.round(buy_ask * 0.9999, 6), np.round(sell_bid * 1.0001, 6)
    gross, exit_ = (sell_bid / buy_ask - 1) * 1e4, (sell_ask / buy_bid - 1) * 1e4
    columns = (buy_bid, sizes[0], buy_ask, sizes[1], sell_bid, sizes[2], sell_ask, sizes[3],
               *ages, gross, gross - 13, exit_)  # fmt: skip
    rows = zip(ids, *(column.tolist() for column in columns), strict=True)
    return "".join(
        f"{i},{time},{a!r},{b!r},{c!r},{d!r},{e!r},{f!r},{g!r},{h!r},{x},{y},"
        f"{u:.4f},{v:.4f},{w:.4f},,1\n"
        for i, a, b, c, d, e, f, g, h, x, y, u, v, w in rows
    )
