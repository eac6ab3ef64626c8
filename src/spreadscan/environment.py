"""What of its environment a process may know: settings and proxies, and no secrets.

A variable is a secret by its name, and this is the one place that knows such names. What a process
was started with stands in its memory and in /proc/PID/environ for as long as it lives, and in
those of all that are forked from it: so a command starts anew without, before it does anything.
"""

import os
import re
import sys
from collections.abc import Mapping

SETTINGS_PREFIX = "SPREAD_"  # never secrets: settings are shown, recorded and left for others
_SECRET = re.compile(
    r"(^|_)(KEYS?|KEYPAIR|SECRETS?|TOKENS?|PASS|PASSWD|PASSWORD|PASSPHRASE|MNEMONIC)(_|$)"
    r"|(KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE)$",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Return whether a variable of that name is kept from every process of the scanner."""
    return not name.startswith(SETTINGS_PREFIX) and _SECRET.search(name) is not None


def proxies_named(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the values of HTTPS_PROXY, ALL_PROXY, NO_PROXY and the like as "https", "all", "no".

    environ: another environment than that of this process. Names in small letters win.
    """
    environ = os.environ if environ is None else environ
    return {
        name.lower().removesuffix("_proxy"): environ[name]
        for name in sorted(environ)
        if name.lower().endswith("_proxy") and environ[name]
    }


def forget_secrets() -> None:
    """Start this process anew without its secrets, where it has any; else return.

    Its pid, files and arguments stay. For the entry of a command, before any thread or file.
    """
    kept = {name: value for name, value in os.environ.items() if not is_secret(name)}
    if len(kept) < len(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)
