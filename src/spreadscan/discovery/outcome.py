"""How the last discovery of a folder ended, whoever ran it: for the timer, `ctl status`, doctor.

The set tells only of the discovery that wrote it; one that was refused wrote none.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from spreadscan.clock import iso_utc
from spreadscan.config import Config
from spreadscan.disk import whole
from spreadscan.lists import Failure
from spreadscan.logs import facts
from spreadscan.net.bans import state_folder

log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """generated: the folder; ended: UTC; refused: why nothing was written, '' where a set was.

    failed: as in the set's metadata.
    """

    generated: str
    ended: str
    refused: str = ""
    failed: dict[str, Failure] = {}

    @property
    def whole(self) -> bool:
        """Return whether every source gave its list and quoted."""
        return not self.refused and not self.failed


def write(config: Config, refused: str = "", failed: Mapping[str, Failure] | None = None) -> None:
    """Leave how a discovery ended just now, in place of the one before."""
    outcome = Outcome(
        generated=_folder(config),
        ended=iso_utc(time.time_ns()),
        refused=refused,
        failed=dict(failed or {}),
    )
    path = _path(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.replace(path, msgspec.json.encode(outcome) + b"\n")
    except OSError as error:
        log.warning("outcome not written", extra=facts(path=str(path), error=str(error)))


def last(config: Config) -> Outcome | None:
    """Return the last outcome for the config's folder, None where none can be read."""
    try:
        outcome = msgspec.json.decode(_path(config).read_bytes(), type=Outcome)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return None
    return outcome if outcome.generated == _folder(config) else None


def _folder(config: Config) -> str:
    return str(Path(config.paths.generated).absolute())


def _path(config: Config) -> Path:
    return state_folder(config) / "discovery.json"
