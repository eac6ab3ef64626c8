"""`spreadscan replay --serve`: the exchanges of a recording, for any client."""

import math
import os
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from spreadscan.cli.options import print_json
from spreadscan.cli.progress import bar
from spreadscan.cli.screen import new_console, say, text_column
from spreadscan.cli.sim import show_addresses, write_addresses
from spreadscan.clock import iso_utc
from spreadscan.recordings import Recording
from spreadscan.sim.recorded import (
    Offer,
    RecordingServer,
    ServeOptions,
    offers_in,
    serve_recording,
)


def serve(
    folder: Path, speed: float, port: int, host: str, write_config: Path | None, as_json: bool
) -> None:
    """Serve a recording until Ctrl-C. BadData, BadGenerated and ConfigError say what is wrong."""
    options = ServeOptions(speed=speed, port_base=port, host=host)
    recording = Recording(folder)
    with bar("reading names") as report:
        listed = offers_in(recording, report)
    screen = _Screen(new_console(stderr=True))
    server = RecordingServer(recording, listed, options, screen.show)

    def ready() -> None:
        told = {
            "recording": str(folder),
            "from": iso_utc(server.unix_ns()),
            "speed": "max" if options.speed == math.inf else options.speed,
            "pid": os.getpid(),
            "sources": {
                name: {"rest_url": rest, "ws_url": ws}
                for name, (rest, ws) in server.endpoints().items()
            },
        }
        if write_config:
            about = f"# addresses of `spreadscan replay --serve` ({folder})"
            write_addresses(write_config, [about, f"# pid = {told['pid']}"], told)
        if as_json:
            print_json(told)
            return
        show_addresses(told)
        _show_what_lacks(listed)
        say(f"from {told['from']}, speed {told['speed']}; waits for clients; Ctrl-C ends it")

    with screen.drawing:
        serve_recording(server, ready)
    exchanges = server.exchanges.values()
    say(
        f"{server.n_frames:,} frames up to {iso_utc(server.unix_ns())}; for nobody: "
        f"{sum(e.n_other for e in exchanges):,} that are no quotes, "
        f"{sum(e.n_twice for e in exchanges):,} that another socket had brought",
        err=True,
    )
    for problem in recording.problems:
        say(f"not whole: {problem}", err=True)


def _show_what_lacks(listed: dict[str, Offer]) -> None:
    bare = [name for name, of_source in listed.items() if not of_source.instruments]
    if bare:
        say(f"no instrument lists in the recording: only frames are served of {', '.join(bare)}")


class _Screen:
    """A line with the recorded time, on a terminal; elsewhere only that the end was reached."""

    def __init__(self, console: Console) -> None:
        self.drawing = Progress(
            text_column(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self.drawing.add_task("waiting for clients")
        self._ended = False

    def show(self, server: RecordingServer) -> None:
        counters = server.counters().values()
        sockets = sum(c.sockets for c in counters)
        sent = sum(c.frames for c in counters)
        state = "ended" if server.ended else "serving" if server.begun else "waiting for clients"
        self.drawing.update(
            self._task,
            description=f"{state}  {iso_utc(server.unix_ns())[:19]}Z  {server.n_frames:,} frames "
            f"read, {sent:,} sent to {sockets} sockets",
        )
        if server.ended and not self._ended:
            self._ended = True
            at = iso_utc(server.unix_ns())
            self.drawing.console.print(f"the recording ended at {at}; Ctrl-C ends it")
