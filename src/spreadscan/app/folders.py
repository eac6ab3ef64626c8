"""Whether a scanner can write where it will have to: found out at its start, not when it must."""

import os
from collections.abc import Iterable
from pathlib import Path

from spreadscan.app.status import roles_of
from spreadscan.config import Config
from spreadscan.disk.files import data_files
from spreadscan.disk.format import Format
from spreadscan.disk.whole import part_of
from spreadscan.errors import ConfigError
from spreadscan.net.bans import state_folder


def refuse_unwritable(config: Config, kinds: Iterable[Format], *, discovers: bool) -> None:
    """Raise ConfigError where a folder takes no file, or a file there cannot be gone on with.

    kinds: of the files in the data folder. discovers: new sets will be written. Makes what folders
    are missing.
    """
    logs, data = Path(config.paths.logs), Path(config.paths.data)
    _try_folder("paths.logs", logs)
    for role in (*roles_of(config), "single"):
        _try_file("paths.logs", logs / f"{role}.log")
    _try_folder("paths.data", data)
    for kind in kinds:
        for file in data_files(data, kind)[-1:]:  # the newest is the one that rows come to
            if not file.compressed:
                _try_file("paths.data", file.path)
    _try_folder("paths.data", state_folder(config))
    if discovers:
        _try_folder("paths.generated", Path(config.paths.generated))


def _try_folder(setting: str, folder: Path) -> None:
    part = part_of(folder / "try")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        part.unlink()
    except OSError as error:
        raise _refusal(setting, error, folder, "a folder that can be written") from None


def _try_file(setting: str, path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(setting, error, path, "a file that can be appended to") from None


def _refusal(setting: str, error: OSError, path: Path, expected: str) -> ConfigError:
    return ConfigError(
        f"{setting}: {error.filename or path}: {error.strerror}, expected {expected}"
    )
