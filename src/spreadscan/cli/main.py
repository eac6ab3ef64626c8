"""The `spreadscan` command and its subcommands."""

import click
from spreadcore.sigbus import guard

from spreadscan import __version__
from spreadscan.cli.options import SentenceGroup
from spreadscan.environment import forget_secrets
from spreadscan.errors import EXIT_LOST
from spreadscan.logs import warn_on_stderr


class LazyGroup(SentenceGroup):
    """Imports a command's module when it is used: `ctl status` need not load the world."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[name]
        from importlib import import_module

        command: click.Command = getattr(import_module(f"spreadscan.cli.{module}"), attribute)
        return command


# in the order of the help page: a first user reads from the top
_COMMANDS = {
    "demo": ("demo", "demo"),
    "init": ("setup", "init"),
    "discover": ("discover", "discover"),
    "run": ("run", "run"),
    "ctl": ("ctl", "ctl"),
    "top": ("ctl", "top"),
    "doctor": ("doctor", "doctor"),
    "report": ("report", "report"),
    "export": ("export", "export"),
    "record": ("record", "record"),
    "replay": ("replay", "replay"),
    "sim": ("sim", "sim"),
    "feed": ("run", "feed"),
    "engine": ("run", "engine"),
    "tracker": ("run", "tracker"),
    "audit": ("run", "audit"),
    "config": ("setup", "config"),
}


@click.group("spreadscan", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spreadscan")
def commands() -> None:
    """Find, follow and file price spreads between exchanges, in real time.

    Exit codes: 0 ok, 1 failed, 2 usage, config or room, 3 degraded, 4 shared memory lost.
    """
    warn_on_stderr()


def main() -> None:
    """Run a command, in a process that knows no secrets."""
    _prepare()
    commands()


def ctl_main() -> None:
    """Run `spreadscan ctl` under its second name, spread-ctl."""
    _prepare()
    from spreadscan.cli.ctl import ctl

    ctl(prog_name="spread-ctl")


def _prepare() -> None:
    forget_secrets()
    guard("spreadscan: shared memory was cut short while in use (SIGBUS)", EXIT_LOST)
