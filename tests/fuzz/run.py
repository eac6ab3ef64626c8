"""make fuzz: coverage-guided, under the address and undefined-behaviour sanitizers of gcc.

Builds the decoders with sanitizers and a call at every edge into .fuzz/, runs worker.py on them
for as long as it is told and for a million mutants at least, keeps what breaks the law or the
process in .fuzz/findings, and says what it found. Exit code: 0 nothing found, 1 something, 2 it
could not run. Needs no more than the compiler that builds the library.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from build_loops import compiled
from fuzz.worker import keep, read_note

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FOLDER = ROOT / ".fuzz"
AT_LEAST = 1_000_000
TELL_S = 30
MOST_CRASHES = 20  # then it is given up
SILENT_S = 60  # without a line of the worker: it hangs
RAISED = 1  # Python's exit code after an exception; a sanitizer's is SANITIZED
SANITIZED = 77
SANITIZE = "-fsanitize=address,undefined -fsanitize-coverage=trace-pc -g"


class CannotRun(Exception):
    """What is missing."""


def run(command, **options):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode:
        raise CannotRun(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout.strip()


def prepare(folder):
    """Build everything; return the environment of a worker."""
    cc = os.environ.get("CC", "gcc")
    asan = run([cc, "-print-file-name=libasan.so"])
    if not Path(asan).is_absolute():
        raise CannotRun(f"{cc}: no libasan.so, expected gcc with its sanitizers")
    cover = folder / "libcover.so"
    run([cc, "-O2", "-shared", "-fPIC", "-o", cover, TESTS / "fuzz/cover.c"])
    debug = os.environ | {"SPREADCORE_DEBUG": "1", "CFLAGS": "-fsanitize-coverage=trace-pc"}
    library = ["--build-base", folder / "build", "--build-lib", folder / "lib"]
    run([sys.executable, "setup.py", "-q", "build", *library], cwd=ROOT, env=debug)
    (folder / "loops").mkdir(exist_ok=True)
    loops = TESTS / "core/wire/loops.pyx"
    compiled(loops, folder / "loops", CFLAGS=SANITIZE, LDFLAGS=SANITIZE)
    return os.environ | {
        "PYTHONPATH": f"{folder / 'lib'}:{TESTS}",
        "LD_PRELOAD": f"{asan}:{cover}",
        "FUZZ_COVER": str(cover),
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={SANITIZED}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:exitcode={SANITIZED}",
    }


class Watch:
    """Workers one after another; what they did, all together."""

    def __init__(self, folder, silent_s=SILENT_S):
        self._folder, self._silent_s = folder, silent_s
        self.executions = self.accepted = self.differing = self.crashes = 0
        self.corpus = self.edges = 0

    def follow(self, worker, until):
        """Read a worker's lines until `until()` or its end; a death or silence is a finding.

        worker: a Popen whose stdout is read here.
        """
        last = {}
        heard = told = time.monotonic()
        poller = select.poll()  # takes any number of a file, as select() does not
        poller.register(worker.stdout, select.POLLIN)
        while not until(self.executions + last.get("executions", 0)):
            ready = poller.poll(500)
            line = worker.stdout.readline() if ready else b""
            if line:
                last, heard = json.loads(line), time.monotonic()
                if heard > told + TELL_S:
                    told = heard
                    print(line.decode().strip(), flush=True)
            elif ready or time.monotonic() > heard + self._silent_s:
                self._bury(worker, "hang" if not ready else "crash")
                break
        self.executions += last.get("executions", 0)
        self.accepted += last.get("accepted", 0)
        self.differing += last.get("differing", 0)
        self.corpus, self.edges = last.get("corpus", 0), max(self.edges, last.get("edges", 0))

    def _bury(self, worker, kind):
        if kind == "hang":
            worker.kill()
        code = worker.wait()
        log = (self._folder / "worker.log").read_text(errors="replace")[-20_000:]
        if code == RAISED:
            raise CannotRun(f"the worker itself failed:\n{log}")
        self.crashes += 1
        target, frame, parent = read_note(self._folder / "note")
        keep(self._folder / "findings", kind, target, frame, parent, f"exit code {code}\n{log}")

    @property
    def line(self):
        share = self.accepted / max(1, self.executions)
        return (
            f"{self.executions:,} mutants, {share:.0%} accepted, corpus {self.corpus:,}, "
            f"{self.edges:,} edges, {self.differing} disagreements, {self.crashes} crashes"
        )


def fuzz(folder, command, env, seconds, at_least, seed):
    """Run workers until both times are over; return the Watch."""
    watch = Watch(folder)
    begin = time.monotonic()

    def over(executions):
        return time.monotonic() > begin + seconds and executions >= at_least

    while not over(watch.executions) and watch.crashes < MOST_CRASHES:
        (folder / "note").unlink(missing_ok=True)
        full = [*command, str(folder), str(seed)]
        with (
            (folder / "worker.log").open("wb") as log,
            subprocess.Popen(full, env=env, stdout=subprocess.PIPE, stderr=log) as worker,
        ):
            try:
                watch.follow(worker, over)
            finally:
                worker.kill()
        seed += 1
    took = time.monotonic() - begin
    print(f"{watch.line}; {took:.0f} s, {watch.executions / took:,.0f}/s")
    return watch


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--at-least", type=int, default=AT_LEAST, help="mutants")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    args = parser.parse_args()
    findings = FOLDER / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    before = len(list(findings.glob("*.frame")))
    print(f"building with sanitizers into {FOLDER}: about two minutes the first time")
    command = [sys.executable, "-m", "fuzz.worker"]
    try:
        env = prepare(FOLDER)
        print(f"seed {args.seed}")
        watch = fuzz(FOLDER, command, env, args.seconds, args.at_least, args.seed)
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        return 2
    found = len(list(findings.glob("*.frame"))) - before
    if watch.differing or watch.crashes:
        print(f"{found} new findings in {findings}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
