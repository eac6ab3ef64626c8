"""Every error of spreadscan, named by the reaction it asks for.

SpreadError
├─ ConfigError    stop: a human edits config/ or the command line
├─ Retry          the same request later
│  ├─ ConnectionLost
│  │  ├─ Misbehaved   the peer sent more than it may, or what it may not
│  │  ├─ NoAddress    the host's name does not resolve (DNS)
│  │  ├─ NotTrusted   no TLS: the certificate is not one that we trust
│  │  └─ ProxyFailed  the proxy refuses, or has no way to the host
│  ├─ RateLimited     carries after_s
│  └─ VenueDown
│     └─ Moved        the answer leads elsewhere; it is not followed
├─ Skip           drop this datum and count it
│  ├─ BadFrame        matched a quote channel, but is not what the schema says
│  └─ UnknownSymbol
├─ Refused        they said no: do not repeat
│  ├─ RequestRefused  the venue knows what was asked, and says no in its own words, at any address
│  └─ RegionBlocked   the venue refuses this address; another host, or without it
└─ Halt           state not trusted: stop this process, a human looks
   ├─ BadGenerated    generated/ is missing, mixed or of another version
   └─ BadData         a file in data/ is of another version or not ours

Messages read "subject: what was found, what was expected", and show no credentials of an address.
What no error of a tree says, such as shared memory that is lost (spreadcore.errors), ends a process
with a code of its own.
"""

from spreadscan.credentials import masked

EXIT_LOST = 4  # the instance was replaced, removed or cut short under the process


def printable(text: str, n: int | None = None) -> str:
    """Return the first n characters of others' words, fit for a terminal or a log line.

    What moves a cursor, ends a line or turns the direction of writing becomes a blank.
    """
    return "".join(c if c.isprintable() else " " for c in text[:n])


class SpreadError(Exception):
    """Base of every error that spreadscan raises on purpose."""

    def __init__(self, *args: object) -> None:
        super().__init__(*masked(args))


class ConfigError(SpreadError):
    """A setting or an argument that a human has to change."""


class Retry(SpreadError):
    """The same request may succeed later."""

    after_s: float = 0.0


class ConnectionLost(Retry):
    """The socket closed, was refused or never opened."""


class Misbehaved(ConnectionLost):
    """We cut the socket: the peer sent more than it may, or what the protocol does not have."""


class NoAddress(ConnectionLost):
    """DNS gave no address for the host."""


class NotTrusted(ConnectionLost):
    """TLS failed: expired, self-signed or another host's certificate, or no TLS at all."""


class ProxyFailed(ConnectionLost):
    """The proxy does not answer, refuses, or has no way to the host."""


class RateLimited(Retry):
    """The venue asks us to slow down, for after_s.

    grows: it named no time, so each that follows soon doubles the wait; the first `free` of them
    are only counted.
    """

    def __init__(self, message: str, after_s: float, *, grows: bool = False, free: int = 0) -> None:
        super().__init__(message)
        self.after_s = after_s
        self.grows = grows
        self.free = free


class VenueDown(Retry):
    """The venue answers with a server error or an answer that is no answer."""


class Moved(VenueDown):
    """The answer is a redirect; to: where it leads."""

    def __init__(self, message: str, to: str) -> None:
        super().__init__(message)
        self.to = to


class Skip(SpreadError):
    """One datum is unusable; drop it and count it."""


class BadFrame(Skip):
    """A frame of a quote channel whose content is not what its schema says."""


class UnknownSymbol(Skip):
    """A well-formed frame for a symbol that is not ours."""


class Refused(SpreadError):
    """The venue said no; asking again gives the same answer."""


class RequestRefused(Refused):
    """The venue's own error about what was asked: another address knows no better."""


class RegionBlocked(Refused):
    """The venue does not serve the region of this address."""


class Halt(SpreadError):
    """Our own state cannot be trusted."""


class BadGenerated(Halt):
    """The set in generated/ is missing, mixed, or of another version."""


class RefusedSet(BadGenerated, ConfigError):
    """The generated set is of another version, or at odds with itself: the user has to decide."""


class BadData(Halt):
    """A file in data/ is of another version or not ours."""
