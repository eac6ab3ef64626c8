"""What `record` asks of the feeds: a file beside the instance, good while its asker lives.

The asker holds the lease of the role `record`; when it dies, the request is void by itself.
"""

from contextlib import suppress
from pathlib import Path

import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError
from spreadcore.ours import read_ours

from spreadscan.disk import whole

ROLE = "record"
_NAME = "record.json"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Record these sources into a folder. Another `started_ns` is another recording."""

    folder: str
    sources: tuple[str, ...]
    started_ns: int  # CLOCK_BOOTTIME


def ask(instance: Instance, request: Request) -> None:
    """Put the request where feeds look; the caller holds the lease."""
    whole.replace(Path(instance.directory, _NAME), msgspec.json.encode(request), mode=0o600)


def withdraw(instance: Instance) -> None:
    """Take the request back: feeds end their files."""
    with suppress(FileNotFoundError):
        Path(instance.directory, _NAME).unlink()


def asked(instance: Instance) -> Request | None:
    """Return what a live asker wants, None where there is none."""
    try:
        text = read_ours(Path(instance.directory, _NAME))
    except CoreError:  # none, or not safely ours: a feed goes on
        return None
    if not instance.lease_held(ROLE):
        return None
    try:
        return msgspec.json.decode(text, type=Request)
    except msgspec.DecodeError:  # of another version: not one that this feed can follow
        return None
