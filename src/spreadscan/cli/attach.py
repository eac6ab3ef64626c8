"""How commands attach: `app.attach`, with what differs told on stderr."""

from typing import Any

from spreadcore.errors import CoreError

from spreadscan.app import attach as room
from spreadscan.cli.options import loaded
from spreadscan.cli.screen import say
from spreadscan.config import Config, Loaded


def attach(files: Any, settings: Any, name: Any, role: str) -> room.Attached:
    """Attach by a command line."""
    return attach_as(loaded(files, settings, name), role)


def attach_as(own: Loaded, role: str) -> room.Attached:
    """Attach by settings that are read already."""
    return room.attach(own, role, lambda line: say(line, err=True))


def settings_at(files: Any, settings: Any, name: Any) -> Config:
    """Return the settings in use where a scanner runs, else those given here."""
    own = loaded(files, settings, name)
    try:
        return attach_as(own, "reader").config
    except CoreError:  # no such instance, or one of another version
        return own.config
