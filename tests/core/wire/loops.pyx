"""Faces of spreadcore.wire that only tests need: an address instead of bytes, bare decimals.

Built by tests/build_loops.py from outside. Nothing here is checked: what an address holds is the
caller's word.
"""
from libc.stdint cimport uintptr_t

from spreadcore.wire.decimal cimport decimal_value
from spreadcore.wire.decoder cimport FrameDecoder, Item, decode
from spreadcore.wire.program cimport MAX_ITEMS
from spreadcore.wire.text cimport levels_end

from spreadcore.layout import FALLBACK

cdef extern from "wire/masks.h":
    unsigned int sc_equal(const char* p, char c)
    unsigned int sc_digits(const char* p)
    unsigned int sc_text_stops(const char* p)
    unsigned int sc_plain_equal(const char* p, char c)
    unsigned int sc_plain_digits(const char* p)
    unsigned int sc_plain_text_stops(const char* p)


def masks(bytes text not None, char c):
    """Return (equal, digits, text stops) of the first 16 bytes: as built for here, and plain."""
    return (
        (sc_equal(text, c), sc_digits(text), sc_text_stops(text)),
        (sc_plain_equal(text, c), sc_plain_digits(text), sc_plain_text_stops(text)))


def levels(bytes text not None):
    """Return where the levels' closing bracket stands, the text being at a comma in one of them."""
    cdef const char* start = text
    cdef const char* found = levels_end(start, start + len(text))
    return None if found == NULL else found - start


def decimal(bytes text not None, size_t n):
    """Return what the decimal reader makes of the first n bytes, None where it passes."""
    cdef double value
    return value if decimal_value(text, n, len(text), &value) == 0 else None


def decimal_at(uintptr_t address, size_t n):
    """Return decimal() of the n bytes at an address, of which no more may be read."""
    cdef double value
    return value if decimal_value(<const char*>address, n, n, &value) == 0 else None


def decode_at(FrameDecoder decoder not None, uintptr_t address, size_t n):
    """Return FrameDecoder.decode of the n bytes at an address."""
    cdef Item items[MAX_ITEMS]
    cdef int found = decode(
        &decoder.program, decoder.shapes, <const char*>address, n, items, NULL, NULL)
    decoder.declined = FALLBACK[-1 - found] if found < 0 else ""
    if found < 0:
        return None
    return [quote(items + i) for i in range(found)]


cdef tuple quote(const Item* item):
    return (
        item.symbol[:item.symbol_n].decode("ascii"), item.fields.bid_px, item.fields.bid_qty,
        item.fields.ask_px, item.fields.ask_qty, item.fields.venue_ns, item.fields.update_id,
        item.fields.id_kind)
