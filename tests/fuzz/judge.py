"""The law of the compiled decoders, for one schema, and who broke it.

Whatever a frame holds, the compiled decoder gives the quotes of the reference decoder, bit for
bit, or declines; and the shapes that it has learnt change neither its answer nor its reason.
"""

import struct

from spreadcore.wire.decoder import FrameDecoder

from spreadscan.errors import BadFrame
from spreadscan.venues.reference import ReferenceDecoder

_four_doubles = struct.Struct("<4d").pack


class Disagreement(AssertionError):
    """A frame for which the law does not hold."""


class Judge:
    """Three decoders of one schema: the reference, the general scanner, one that learns shapes.

    decode(decoder, frame) calls a compiled one; another function may put the frame elsewhere.
    """

    def __init__(self, schema, decode=FrameDecoder.decode):
        self.reference = ReferenceDecoder(schema)
        self.general = FrameDecoder(schema, shapes=False)
        self.learnt = FrameDecoder(schema)
        self._decode = decode
        self._counts = decode is FrameDecoder.decode  # another one may count no odd times

    def look(self, frame, parent=None):
        """Return how many quotes were accepted, None where it was declined.

        parent: the frame that it was made of. Its shape is the first that the learnt decoder
        tries. Raises Disagreement.
        """
        if parent is not None:
            self.learnt.decode(parent)
        odd = self._odd_times()
        found = self._decode(self.general, frame)
        shaped = self._decode(self.learnt, frame)
        if found is None:
            if shaped is not None or self.general.declined != self.learnt.declined:
                raise Disagreement(self._words(frame, found, shaped, parent))
            return None
        expected = self.expected(frame)
        if expected is None or shaped is None or not same(found, expected, shaped):
            raise Disagreement(self._words(frame, found, shaped, parent))
        new = [now - before for now, before in zip(self._odd_times(), odd, strict=True)]
        if self._counts and len(set(new)) > 1:
            raise Disagreement(f"odd times by each {new}: {frame[:2000]!r}")
        return len(found)

    def expected(self, frame):
        """Return the reference decoder's quotes, None where it has none."""
        try:
            return self.reference.decode(frame)
        except BadFrame:
            return None

    def _odd_times(self):
        return [d.odd_times for d in (self.reference, self.general, self.learnt)]

    def _words(self, frame, found, shaped, parent):
        return (
            f"{frame[:2000]!r}: by the reference {self.expected(frame)}, by the general scanner "
            f"{found} ({self.general.declined}), by shapes {shaped} ({self.learnt.declined}); "
            f"made of {parent[:2000] if parent else None!r}"
        )


def same(found, *others):
    """Whether the quotes are the same to the last bit; NaN is NaN."""
    return all(_bits(found) == _bits(o) for o in others)


def _bits(quotes):
    try:
        return [(q[0], _four_doubles(*q[1:5]), *q[5:]) for q in quotes]
    except struct.error:  # a delta: its sides are lists
        return None
