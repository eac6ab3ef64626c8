"""A picows listener in C: frames go from the read buffer into the table.

It reads the clock once per socket read, answers pings, joins fragments and flushes after the last
frame of a read, of whatever kind that is. Everything else is its owner's, in Python.

What a peer can make us keep is bounded: a message by its bytes and its fragments; pongs that it
does not read by answering the newest ping of a socket read alone (RFC 6455, 5.5.3), and none while
what was sent before still waits.
"""
from picows.picows cimport WSCloseCode

from spreadcore.atomics cimport now_ns
from spreadcore.frames cimport frame_take
from spreadcore.intake cimport intake_flush

MOST_FRAGMENTS = 4_096


cdef class FrameListener(WSListener):
    """Listens on one socket.

    owner: has on_message(payload, recv_ns), on_ping(recv_ns) and on_flush(); with an intake it
    gets only the messages that the intake does not take, and no flush. max_frame_bytes: the
    socket is closed for a longer message, and for one of more than MOST_FRAGMENTS.
    """

    def __cinit__(self, owner not None, Py_ssize_t max_frame_bytes, LinkIntake intake=None):
        self._owner = owner
        self.max_frame_bytes = max_frame_bytes
        self._intake = intake
        self._core = &intake.core if intake is not None else NULL
        self._joined = bytearray()
        self.closing = self.misdeed = ""
        self.close_code = -1
        self.close_text = ""

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef WSMsgType kind = frame.msg_type
        if self._recv_ns == 0:
            self._recv_ns = now_ns()
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if self._n_parts:
                self._give_up("a message within another, expected the rest of the first")
            elif frame.payload_size > self.max_frame_bytes:
                # picows is closing for it, but still delivers it when the rest comes first
                self._give_up(f"a message above {self.max_frame_bytes:,} bytes")
            elif frame.fin:
                self._message(kind, frame.payload_ptr, frame.payload_size)
            else:
                self._kind = kind
                self._join(frame)
        elif kind == WSMsgType.CONTINUATION:
            if self._n_parts:
                self._join(frame)
            else:
                self._give_up("the rest of a message that never began")
        elif kind == WSMsgType.PING:
            self._ping = frame.get_payload_as_bytes()
            self._owner.on_ping(self._recv_ns)
        elif kind == WSMsgType.PONG:
            self._owner.on_ping(self._recv_ns)
        elif kind == WSMsgType.CLOSE:
            reason = frame.get_close_message()
            self.close_text = reason.decode("utf-8", "replace") if reason else ""
            self.close_code = <int>frame.get_close_code()
            self._ping = None  # nothing follows a close frame
            # the code goes back as it came; a frame without one is answered with 1000, for 0 and
            # what RFC 6455 keeps for use off the wire (1005, 1006, 1015) must not be sent
            transport.send_close(
                WSCloseCode.OK if self.close_code == 0
                else WSCloseCode.PROTOCOL_ERROR if self.close_code in (1005, 1006, 1015)
                else <WSCloseCode>self.close_code
            )
            transport.disconnect()
        # on every kind of frame: a ping that ends a read must not swallow the flush
        if frame.last_in_buffer:
            self._recv_ns = 0
            if self._ping is not None and self.unread_ns == 0:
                self._pong()
            self._flush()

    cpdef pause_writing(self):
        self.unread_ns = now_ns()

    cpdef resume_writing(self):
        self.unread_ns = 0
        if self._ping is not None:
            self._pong()

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.closed = True

    cdef int _message(self, WSMsgType kind, const char* start, Py_ssize_t n) except -1:
        if self._deaf:
            return 0
        if self._intake is not None and self._intake.feed.tape is not None:
            self._intake.feed.tape.put(self._recv_ns, self._core.link, kind, start, n)
        if self._core != NULL and frame_take(self._core, start, n, self._recv_ns) >= 0:
            return 0
        self._owner.on_message(start[:n], self._recv_ns)
        return 0

    cdef int _join(self, WSFrame frame) except -1:
        if self._deaf:
            return 0
        self._n_parts += 1
        self._joined += frame.get_payload_as_memoryview()
        if len(self._joined) > self.max_frame_bytes:
            self._give_up(f"a message above {self.max_frame_bytes:,} bytes")
        elif self._n_parts > MOST_FRAGMENTS:
            self._give_up(f"a message of more than {MOST_FRAGMENTS:,} fragments")
        elif frame.fin:
            self._message(self._kind, self._joined, len(self._joined))
            self._n_parts, self._joined = 0, bytearray()
        return 0

    cdef int _pong(self) except -1:
        self.transport.send_pong(self._ping)
        self._ping = None
        return 0

    cdef int _give_up(self, str why) except -1:
        """Cut the socket of a peer that sends more than it may, or what it may not."""
        self.misdeed = self.misdeed or why
        self._deaf = True
        self._n_parts, self._joined = 0, bytearray()
        self.transport.disconnect(False)
        return 0

    cdef int _flush(self) except -1:
        if self._core != NULL:
            intake_flush(self._core.intake, now_ns())
        else:
            self._owner.on_flush()
        return 0

    def close_for(self, str why not None):
        """Note why we close the socket, where no frame has told already; take no more of it."""
        self.closing = self.closing or why
        self._deaf = True
