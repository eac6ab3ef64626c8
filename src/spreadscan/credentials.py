"""Credentials in addresses: how what is shown, logged or written leaves them out.

An address may carry a user and a password (proxies), a key in its query or in its path (providers
of nodes and quotes). Whoever connects needs them, and the file of settings beside a running
instance has them, which only its owner can read; everything else shows "***" in their place.
"""

import re
from typing import Any, TypeVar

T = TypeVar("T")

MASK = "***"
_USER = re.compile(r"://[^\s/?#]*@")
_QUERY = re.compile(
    r"([?&][\w.%-]*(?:key|token|secret|pass|sign|auth|credential)[\w.%-]*=)[^\s&#\"'<>]+",
    re.IGNORECASE,
)
_URL = re.compile(r"://[^\s\"'<>]+")
# a part of a path with letters and digits, of a key's length; or a UUID
_TOKEN = re.compile(
    r"(?<=[^/:]/)(?=[^/?#]*\d)(?=[^/?#]*[A-Za-z])(?:\w{20,}|[0-9A-Fa-f-]{32,})(?![\w-])"
)


def masked(value: T) -> T:
    """Return text, or the texts in lists, tuples and dicts, with the credentials in addresses as
    "***"; anything else as it is."""
    found: Any = value
    if isinstance(found, str):
        found = _masked(found)
    elif type(found) is dict:
        found = {masked(key): masked(inner) for key, inner in found.items()}
    elif type(found) in (list, tuple):
        found = type(found)(map(masked, found))
    return found  # type: ignore[no-any-return]


def _masked(text: str) -> str:
    if "://" not in text:
        return text
    text = _USER.sub(f"://{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    return _URL.sub(lambda url: _TOKEN.sub(MASK, url[0]), text)
