# The picows listener of one socket, without a Python object for a frame that the intake takes.
from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from spreadcore.frames cimport LinkCore, LinkIntake

cdef class FrameListener(WSListener):
    cdef:
        readonly WSTransport transport  # None before the handshake has ended
        readonly Py_ssize_t max_frame_bytes
        readonly str closing            # why we close the socket; '' while we do not
        readonly str misdeed            # what the peer did that it may not: then the socket is cut
        readonly int64_t unread_ns      # since when what we send is not read, 0: it is
        readonly bint closed
        readonly int close_code         # of the close frame: -1 = none came, 0 = it had none
        readonly str close_text
        bint _deaf                      # closed by us: what still arrives is nobody's any more
        LinkIntake _intake
        LinkCore* _core                # NULL: every message is for `owner`
        object _owner
        bytearray _joined               # of a fragmented message, what has come
        Py_ssize_t _n_parts             # in so many frames; 0: none has begun
        WSMsgType _kind                 # of that message
        bytes _ping                     # the newest that is not answered
        int64_t _recv_ns                # 0: the next frame is the first of its socket read

    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
    cpdef pause_writing(self)
    cpdef resume_writing(self)
    cdef int _message(self, WSMsgType kind, const char* start, Py_ssize_t n) except -1
    cdef int _join(self, WSFrame frame) except -1
    cdef int _pong(self) except -1
    cdef int _give_up(self, str why) except -1
    cdef int _flush(self) except -1
