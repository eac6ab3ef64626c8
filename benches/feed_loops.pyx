"""Loops of the feed path's benches: frames through the decoder, and through the intake.

Built as loops.pyx is. Frames stand one after the other in `data`; frame i is data[ends[i]] to
data[ends[i + 1]].
"""
from libc.stdint cimport int64_t, uint64_t
from picows.picows cimport WSFrame, WSTransport

from spreadcore.frames cimport LinkIntake, frame_take
from spreadcore.listener cimport FrameListener
from spreadcore.wire.decoder cimport FrameDecoder, Item, decode
from spreadcore.wire.program cimport MAX_ITEMS

cdef extern from *:
    """
    /* what p points to must be in memory here, and what was known of memory is forgotten */
    static inline void bench_keep(const void *p) {
        __asm__ __volatile__("" : : "r"(p) : "memory");
    }
    """
    void keep "bench_keep" (const void* p) noexcept nogil


def decode_frames(FrameDecoder decoder not None, const unsigned char[::1] data not None,
                  const int64_t[::1] ends not None, uint64_t rounds):
    """Decode every frame, one quote each, `rounds` times."""
    cdef Item items[MAX_ITEMS]
    cdef const char* start = <const char*>&data[0]
    cdef uint64_t _r, declined = 0
    cdef Py_ssize_t i
    with nogil:
        for _r in range(rounds):
            for i in range(ends.shape[0] - 1):
                declined += decode(&decoder.program, decoder.shapes, start + ends[i],
                                   <size_t>(ends[i + 1] - ends[i]), items, NULL, NULL) != 1
                keep(items)
    if declined:
        raise RuntimeError(f"{declined} frames were declined, expected a quote of each")


def take_frames(LinkIntake intake not None, const unsigned char[::1] data not None,
                const int64_t[::1] ends not None, int64_t recv_ns):
    """Take every frame into the table, once; the gate has to accept all of them."""
    cdef const char* start = <const char*>&data[0]
    cdef uint64_t refused = 0
    cdef Py_ssize_t i
    with nogil:
        for i in range(ends.shape[0] - 1):
            refused += frame_take(&intake.core, start + ends[i], <size_t>(ends[i + 1] - ends[i]),
                                  recv_ns) != 1
    if refused:
        raise RuntimeError(f"{refused} frames were refused, expected a quote of each")


cdef class CountingListener(FrameListener):
    """A FrameListener that counts socket reads, over all sockets."""

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        global n_reads
        n_reads += frame.last_in_buffer
        FrameListener.on_ws_frame(self, transport, frame)


cdef uint64_t n_reads = 0


def reads():
    """Return the socket reads that CountingListeners have ended."""
    return n_reads
