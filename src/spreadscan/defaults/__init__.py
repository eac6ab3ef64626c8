"""Files that come with the program: every setting with its default, the demo's, identities."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
IDENTITY = "identity.toml"
_LIVE = re.compile(r"^(?=[^#\s\[]|[ \t]+\S|\])", re.MULTILINE)


def default_file(name: str) -> Path:
    """Return the path of a file that comes with the program: "demo.toml", ..."""
    return FOLDER / name


def commented() -> str:
    """Return default.toml as a file to start from: sections as they are, each value a comment."""
    text = default_file("default.toml").read_text("utf-8")
    _, _, rest = text.partition("\n\n")  # its head says what default.toml is
    return (
        "# Settings of spreadscan: every one with its default, its unit and what it means. Take\n"
        "# the '# ' away before those that you change, and give this file with -c. Later wins:\n"
        "# defaults < files given with -c < SPREAD_<SECTION>_<KEY> in the environment < --set.\n"
        "# `spreadscan config show` prints what is in force and where each value comes from.\n\n"
        + _LIVE.sub("# ", rest)
    )
