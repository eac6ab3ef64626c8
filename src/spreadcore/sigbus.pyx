"""What a process says when a mapped file is cut short under it: a line, and a code of its own.

Instance.check() sees it at the next beat; whoever touches the lost part sooner gets a SIGBUS, which
otherwise ends a process without a word.
"""

cdef extern from "sigbus.h":
    int sc_sigbus_guard(const char* line, size_t n_bytes, int fd, int code) noexcept


def guard(str sentence not None, int exit_code, int fd=2):
    """Let a SIGBUS on a mapped file write the sentence as a line to fd and end with exit_code.

    For this process and those that it forks from here on, until it is called again; it takes the
    place of any handler. fd stays open. The first 1,023 bytes of the sentence count.
    """
    line = sentence.encode()[:1023] + b"\n"
    if sc_sigbus_guard(line, len(line), fd, exit_code):
        raise OSError("SIGBUS: no handler can be set, expected one")
