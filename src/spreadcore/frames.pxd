# One compiled call per frame: decode, look the symbols up, and pass each quote through the gate.
#
# All or nothing: where the decoder declines or a symbol is not known, nothing has been written and
# the whole frame is the reference decoder's.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.intake cimport SourceIntake, Intake
from spreadcore.wire.decoder cimport FrameDecoder
from spreadcore.wire.program cimport Program
from spreadcore.wire.shape cimport Shapes

cdef struct LinkCore:
    Intake* intake
    const Program* program
    Shapes* shapes
    uint32_t link
    uint64_t frames             # taken here
    uint64_t valid              # quotes that passed the gate
    uint64_t refreshes          # of them that repeated an id
    uint64_t odd_times          # quotes whose venue time was no Unix ms
    int refused                 # -1 - reason of the first quote of the last frame that did not pass
    int64_t last_recv_ns        # of a frame taken here, 0 before
    int64_t last_quote_ns       # of one with a quote that passed

# quotes that passed the gate, or -1 - why the reference decoder has to look
cdef int frame_take(LinkCore* f, const char* frame, size_t n, int64_t recv_ns) noexcept nogil

cdef class LinkIntake:
    cdef:
        LinkCore core
        readonly SourceIntake feed
        FrameDecoder _decoder
