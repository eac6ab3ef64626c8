"""Execute a command under the system calls that a systemd unit leaves to it: FILE COMMAND...

By libseccomp, as systemd does it: SystemCallFilter (refused calls fail with EPERM),
RestrictAddressFamilies, MemoryDenyWriteExecute, NoNewPrivileges. Other limits of the unit are of
files and of other processes, and want a systemd that runs.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys

_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_EQUAL, _MASKED = 4, 7
_WRITE, _EXEC = 2, 4
_NO_NEW_PRIVILEGES = 38


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def settings(path: str) -> list[tuple[str, str]]:
    with open(path) as file:
        return [(key, value.strip()) for key, _, value in (row.partition("=") for row in file)]


def calls_of(name: str) -> set[str]:
    """Return the system calls of a set, as systemd has them."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.check_output(["systemd-analyze", "syscall-filter", name], text=True)
    rows = (row.strip() for row in told.splitlines()[1:])
    return {call for row in rows if row and row[0] != "#" for call in calls_of(row)}


def allowed_by(unit: list[tuple[str, str]]) -> set[str]:
    allowed = calls_of("@default")
    for key, value in unit:
        if key == "SystemCallFilter":
            named = {call for name in value.strip("~").split() for call in calls_of(name)}
            allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def restrict(unit: list[tuple[str, str]]) -> None:
    """Leave this process, and all that come of it, what the unit allows."""
    allowed = allowed_by(unit)
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(_REFUSE))

    def allow(call: str, *rules: _Compare) -> None:
        number = lib.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # of this machine
            array = (_Compare * len(rules))(*rules)
            assert 0 == lib.seccomp_rule_add_array(context, _ALLOW, number, len(rules), array)

    families = dict(unit)["RestrictAddressFamilies"].split()
    for family in families:
        allow("socket", _Compare(0, _EQUAL, getattr(socket, family), 0))
    assert "yes" == dict(unit)["MemoryDenyWriteExecute"]
    for bits in (0, _WRITE, _EXEC):
        allow("mmap", _Compare(2, _MASKED, _WRITE | _EXEC, bits))
    allow("mprotect", _Compare(2, _MASKED, _EXEC, 0))
    for call in allowed - {"socket", "mmap", "mprotect", "pkey_mprotect"}:
        allow(call)
    assert 0 == ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    assert 0 == lib.seccomp_load(context)


if __name__ == "__main__":
    restrict(settings(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
