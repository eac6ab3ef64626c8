"""What can be asked over the control socket; `do` names it. docs/control.md shows the same."""

import msgspec

from spreadscan.control.switches import ALL, Moment
from spreadscan.errors import ConfigError


class _Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    pass


class Status(_Asked, frozen=True, tag="status"):
    """How everything fares: what `ctl status --json` prints."""


class Kill(_Asked, frozen=True, tag="kill"):
    """Throw the kill switch."""

    why: str = "over the socket"


class Pause(_Asked, frozen=True, tag="pause"):
    """Signal nothing new of something, until then where that is given."""

    what: str = ALL
    until: Moment | None = None
    reason: str = ""


class Resume(_Asked, frozen=True, tag="resume"):
    """End the pause of something, or all; after_kill: why a kill is cleared instead."""

    what: str | None = None
    after_kill: str | None = None


class Reload(_Asked, frozen=True, tag="reload"):
    """Discover anew, in a process of its own, and take what changed once that is done."""


class Restart(_Asked, frozen=True, tag="restart"):
    """End a worker and start it anew."""

    role: str


class Stop(_Asked, frozen=True, tag="stop"):
    """End every process."""


Request = Status | Kill | Pause | Resume | Reload | Restart | Stop


def read(line: bytes) -> Request:
    """Return the request of a line. ConfigError for what is none."""
    try:
        return msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f'request: {error}, expected e.g. {{"do": "status"}}') from None
