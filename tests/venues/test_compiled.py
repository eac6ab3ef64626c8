"""The compiled decoders on recorded frames: what they accept is what the reference decoder says."""

from collections import Counter

import pytest
from spreadcore.wire.decoder import FrameDecoder

from spreadscan.errors import BadFrame
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.reference import ReferenceDecoder
from venues.test_samples import COUNTS, SAMPLES, frames_of


def by_reference(decoder, frame):
    """Return the quotes of a frame as text that tells all bits, None where there are none."""
    try:
        items = decoder.decode(frame)
    except BadFrame:
        return None
    return None if items is None else [repr(item) for item in items]


def books(found):
    return [repr(Book(*quote)) for quote in found]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")
@pytest.mark.parametrize("name", COUNTS)
def test_recorded_frames(name):
    """Twice each: by the general scanner, then by its shape."""
    source, _, file = name.partition("/")
    reference = ReferenceDecoder(VENUES[source].schema)
    decoder = FrameDecoder(VENUES[source].schema)
    counts = Counter()
    for frame in frames_of(SAMPLES / source / file):
        expected = by_reference(reference, frame)
        for _ in range(2):
            found = decoder.decode(frame)
            if found is None:
                counts[decoder.declined] += 1
            else:
                assert expected == books(found)
                counts["book"] += len(found)
    assert counts["book"] == 2 * COUNTS[name].get("book", 0), counts
