"""Schemas drawn at random, frames made for them and mutants of those: the same law."""

from collections import Counter
from random import Random

import pytest
from spreadcore.errors import CoreError

from fuzz.judge import Judge
from fuzz.schemas import mutate, random_frame, random_schema

N_SCHEMAS = 900
N_FRAMES = 20


@pytest.mark.parametrize("wire", ["json", "protobuf"])
def test_random_schemas(wire):
    rng = Random(f"schemas {wire}")
    counts = Counter()
    for _ in range(N_SCHEMAS):
        schema = random_schema(rng, binary=wire == "protobuf")
        try:
            judge = Judge(schema)
        except CoreError:
            counts["refused"] += 1
            continue
        for _ in range(N_FRAMES):
            parent = random_frame(rng, schema)
            for frame in (parent, mutate(rng, schema, parent)):
                n = judge.look(frame, parent)
                counts["declined" if n is None else "several" if n > 1 else "one"] += 1
                if n is None and judge.expected(frame):
                    counts["passed on"] += 1
                    counts[judge.general.declined] += 1
    print(counts)
    assert N_SCHEMAS * 0.5 > counts["refused"]
    assert N_SCHEMAS * N_FRAMES * 0.2 < counts["one"]
    assert wire == "protobuf" or N_SCHEMAS * N_FRAMES * 0.02 < counts["several"]
