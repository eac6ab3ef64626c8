"""The compiled decoders on recorded frames: what they accept is what the reference decoder says."""

import gzip
from collections import Counter

import pytest

from fuzz.judge import Judge
from fuzz.seeds import RECORDINGS
from spreadscan.venues import VENUES
from venues.test_samples import COUNTS, SAMPLES, frames_of

SOURCES = {"binance_spot": "binance-spot", "binance_usdm": "binance-futures"}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")
@pytest.mark.parametrize("name", COUNTS)
def test_recorded_frames(name):
    """Twice each: by the general scanner alone, then by its shape."""
    source, _, file = name.partition("/")
    judge = Judge(VENUES[source].schema)
    counts = Counter()
    for frame in frames_of(SAMPLES / source / file):
        for _ in range(2):
            n = judge.look(frame)
            counts[judge.learnt.declined or "book"] += n or 1
    assert counts["book"] == 2 * COUNTS[name].get("book", 0), counts


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")
def test_recordings_of_two_venues():
    """Every fifth frame of 172,000: none is declined, and two shapes at most are needed."""
    judges = {venue: Judge(VENUES[source].schema) for venue, source in SOURCES.items()}
    file = RECORDINGS / "bn_spot_x_usdm_20240808/frames.tsv.gz"
    lines = gzip.decompress(file.read_bytes()).splitlines()[::5]
    for line in lines:
        _, venue, frame = line.split(b"\t", 2)
        assert 1 == judges[venue.decode()].look(frame)
    assert 34_440 == len(lines)
    assert all(1 <= judge.learnt.n_shapes <= 2 for judge in judges.values())
