"""What is published builds, installs and runs where no checkout is."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_sdist_builds_a_wheel_that_runs_anywhere(tmp_path: Path) -> None:
    python = sys.executable
    tree = tmp_path / "tree"  # what git knows: a checkout has more
    tree.mkdir()
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((ROOT / name).read_bytes())
    # without optimisation the compiler needs a third of the time
    run(
        python, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", cwd=tree,
        SPREADCORE_CFLAGS="-O0",
    )  # fmt: skip
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in names if name.startswith("src/")} <= held
    assert [] == [name for name in held if name.endswith((".c", ".so"))]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site, home = tmp_path / "site", tmp_path / "home"
    home.mkdir()
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel, cwd=home)
    ours = {"PYTHONPATH": str(site)}
    where = (
        "import spreadcore.engine, spreadscan as s; print(spreadcore.engine.__file__, s.__file__)"
    )
    for path in run(python, "-c", where, cwd=home, **ours).split():
        assert Path(path).is_relative_to(site)
    command = [python, "-m", "spreadscan"]
    run(*command, "config", "init", cwd=home, **ours)
    shown = json.loads(
        run(*command, "config", "show", "-c", "config/spreadscan.toml", "--json", cwd=home, **ours)
    )
    origins = {row["origin"] for row in shown["settings"].values()}
    assert {"default", "beside config/spreadscan.toml"} == origins
    demo = ("demo", "--seconds", "3", "--layout", "single", "--json")
    told = run(*command, *demo, "--set", f'instance="sdist{os.getpid()}"', cwd=home, **ours)
    assert json.loads(told.splitlines()[-1])["signals"]["produced"] > 0
    assert {"config", "demo"} == {path.name for path in home.iterdir()}
