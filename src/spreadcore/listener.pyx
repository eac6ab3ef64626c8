"""A picows listener in C: frames go from the read buffer into the table.

It reads the clock once per socket read, answers pings, joins fragments and flushes after the last
frame of a read, of whatever kind that is. Everything else is its owner's, in Python.
"""
from picows.picows cimport WSCloseCode

from spreadcore.atomics cimport now_ns
from spreadcore.frames cimport frame_take
from spreadcore.intake cimport intake_flush


cdef class FrameListener(WSListener):
    """Listens on one socket.

    owner: has on_message(payload, recv_ns), on_ping(recv_ns) and on_flush(); with an intake it
    gets only the messages that the intake does not take, and no flush. max_frame_bytes: the
    socket is closed for a longer message.
    """

    def __cinit__(self, owner not None, Py_ssize_t max_frame_bytes, LinkIntake intake=None):
        self._owner = owner
        self._max = max_frame_bytes
        self._intake = intake
        self._core = &intake.core if intake is not None else NULL
        self._parts = []
        self.closing = ""
        self.close_code = -1
        self.close_text = ""

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef WSMsgType kind = frame.msg_type
        if self._recv_ns == 0:
            self._recv_ns = now_ns()
        if kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if frame.payload_size > self._max:
                # picows is closing for it, but still delivers it when the rest comes first
                self.closing = f"a message above {self._max} bytes"
            elif frame.fin:
                self._message(kind, frame.payload_ptr, frame.payload_size)
            else:
                self._kind, self._parts = kind, [frame.get_payload_as_bytes()]
        elif kind == WSMsgType.CONTINUATION:
            self._join(frame)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self._owner.on_ping(self._recv_ns)
        elif kind == WSMsgType.PONG:
            self._owner.on_ping(self._recv_ns)
        elif kind == WSMsgType.CLOSE:
            reason = frame.get_close_message()
            self.close_text = reason.decode("utf-8", "replace") if reason else ""
            self.close_code = <int>frame.get_close_code()
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
            self._flush()

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
        cdef bytes whole
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > self._max:
            self.closing = f"a message above {self._max} bytes"
            self._parts = []
            self.transport.disconnect(False)
        elif frame.fin:
            whole = b"".join(self._parts)
            self._parts = []
            self._message(self._kind, whole, len(whole))
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
