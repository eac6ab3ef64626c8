"""The fuzzing process: mutants of what took new edges, judged, until it is stopped.

Started by run.py with sanitized decoders and cover.c preloaded. It notes each frame before it
looks at it, so that run.py can keep the one that ended the process, and prints a line of JSON
a second.
"""

import ctypes
import hashlib
import json
import mmap
import os
import struct
import sys
import time
from pathlib import Path
from random import Random

from spreadcore.errors import CoreError

from build_loops import load
from fuzz import bytewise, messages, schemas, trees
from fuzz.guarded import Guarded
from fuzz.judge import Disagreement, Judge
from fuzz.seeds import seeds_of
from spreadscan.venues import VENUES

FRAME_BYTES = 8_000  # of a mutant
CORPUS = 2_000  # quotes of a target, and as many others
NOTE = struct.Struct("<64sII")
NOTE_BYTES = 1 << 20
N_SCHEMAS = 40  # drawn at random, beside the venues'


class Target:
    """A schema, its judge, and the frames that mutants are made of: quotes, and what is none."""

    def __init__(self, name, schema, seeds, decode):
        self.name = name
        self.judge = Judge(schema, decode)
        self.quotes, self.others = [], []
        for frame in seeds:
            self.keep(frame, self.judge.general.decode(frame) is not None)
        self._binary = schema.wire == "protobuf"
        self._scraps = bytewise.PROTO_SCRAPS if self._binary else bytewise.JSON_SCRAPS
        self._nested = (315,) if name in VENUES else schemas.NESTED

    def parent(self, rng):
        """Return a quote three times in four; every other time one of the newest."""
        frames = self.quotes if rng.random() < 0.75 else self.others
        frames = frames or self.quotes or self.others
        return rng.choice(frames[-50:] if rng.random() < 0.5 else frames)

    def mutant(self, rng, parent):
        if rng.random() < 0.4:
            try:
                if self._binary:
                    return messages.mutant(rng, parent, self._nested)[:FRAME_BYTES]
                return trees.mutant(rng, parent)[:FRAME_BYTES]
            except (ValueError, IndexError, RecursionError):
                pass  # this one is no frame any more
        other = rng.choice(self.quotes or self.others)
        return bytewise.mutant(rng, parent, other, self._scraps)[:FRAME_BYTES]

    def keep(self, frame, is_quote):
        frames = self.quotes if is_quote else self.others
        frames.append(frame)
        if len(frames) > CORPUS:
            del frames[: CORPUS // 2]


class NoCover:
    """Where nothing counts edges: no mutant is worth keeping."""

    def cover_begin(self):
        pass

    def cover_new(self, corpus):
        return 0

    def cover_edges(self):
        return 0


class Fuzzer:
    """Judges mutants of all targets in turn and keeps what breaks the law in `findings`."""

    def __init__(self, targets, findings, rng, cover, note=lambda *_: None):
        self.targets, self.findings = targets, findings
        self._rng, self._cover, self._note = rng, cover, note
        self.executions = self.accepted = self.differing = 0

    def round(self, n):
        """Judge n mutants of each target."""
        for corpus, target in enumerate(self.targets):
            for _ in range(n):
                parent = target.parent(self._rng)
                self._judge(corpus, target, target.mutant(self._rng, parent), parent)

    def _judge(self, corpus, target, frame, parent):
        self.executions += 1
        self._note(target.name, frame, parent)
        self._cover.cover_begin()
        found = None
        try:
            found = target.judge.look(frame, parent)
        except Disagreement as words:
            self.differing += 1
            keep(self.findings, "differs", target.name, frame, parent, str(words))
        self.accepted += found is not None
        if self._cover.cover_new(corpus):
            target.keep(frame, found is not None)

    def line(self):
        """Return the state as a line of JSON."""
        return json.dumps(
            {
                "executions": self.executions,
                "accepted": self.accepted,
                "differing": self.differing,
                "corpus": sum(len(t.quotes) + len(t.others) for t in self.targets),
                "edges": self._cover.cover_edges(),
            }
        )


def keep(folder, kind, target, frame, parent, words):
    """Write a finding: the frame, the one it was made of, and what happened."""
    name = f"{kind}-{target}-{hashlib.sha256(frame).hexdigest()[:12]}"
    (folder / f"{name}.frame").write_bytes(frame)
    (folder / f"{name}.parent").write_bytes(parent)
    (folder / f"{name}.txt").write_text(words + "\n")


def note_in(file):
    """Return a function that notes a frame where it outlives the process."""
    with file.open("w+b") as f:
        f.truncate(NOTE_BYTES)
        room = mmap.mmap(f.fileno(), NOTE_BYTES)

    def note(target, frame, parent):
        head = NOTE.pack(target.encode(), len(frame), len(parent))
        both = head + frame + parent
        room[: len(both)] = both

    return note


def read_note(file):
    """Return (target, frame, parent) of the frame noted last."""
    data = file.read_bytes()
    target, n, m = NOTE.unpack_from(data)
    frame = data[NOTE.size : NOTE.size + n]
    return target.rstrip(b"\0").decode(), frame, data[NOTE.size + n : NOTE.size + n + m]


def venue_targets(decode):
    for name, venue in VENUES.items():
        yield Target(
            name, venue.schema, (f for f in seeds_of(name) if len(f) < FRAME_BYTES), decode
        )


def random_targets(rng, n, decode):
    """Yield targets of n schemas drawn at random; their names say which."""
    while n:
        number = rng.randrange(10**9)
        try:
            yield random_target(number, decode)
            n -= 1
        except CoreError:
            pass  # not every draw is one that the compiled decoder takes


def random_target(number, decode):
    """Return the target of one random schema."""
    rng = Random(number)
    schema = schemas.random_schema(rng, binary=rng.random() < 0.3)
    seeds = [schemas.random_frame(rng, schema) for _ in range(30)]
    return Target(f"random{number}", schema, seeds, decode)


def main(folder, seed):
    rng = Random(seed)
    cover = ctypes.CDLL(os.environ["FUZZ_COVER"])
    loops = load(next((folder / "loops").glob("loops.*.so")))
    decode = Guarded(loops).decode
    targets = [*venue_targets(decode), *random_targets(rng, N_SCHEMAS, decode)]
    note = note_in(folder / "note")
    fuzzer = Fuzzer(targets, folder / "findings", rng, cover, note)
    told = time.monotonic()
    while True:
        fuzzer.round(20)
        if time.monotonic() > told + 1:
            told = time.monotonic()
            print(fuzzer.line(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
