"""The recording of one feed: a tape that its sockets fill, a thread that writes it away.

The feed never waits for the disk: what the thread has not written when the tape is full is dropped,
counted, and marked as a gap.
"""

import logging
import threading
import time
from pathlib import Path

from spreadcore import Instance
from spreadcore.intake import SourceIntake
from spreadcore.layout import SOURCE_COUNTERS
from spreadcore.tape import Tape

from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.disk.reserve import Reserve
from spreadscan.logs import facts
from spreadscan.recordings.format import RECORD_HEAD, Opcode
from spreadscan.recordings.request import Request, asked
from spreadscan.recordings.write import FrameFiles

log = logging.getLogger(__name__)

_COUNTER = {name: i for i, name in enumerate(SOURCE_COUNTERS)}
_LOOK_S = 0.5  # a tape has room for some hundred thousand frames a second meanwhile
_ASK_NS = 500_000_000
_BLOCK_S = 2.0  # a block at least this often: what a kill can cost
_LEAST_PARTS = 4
_PART_BYTES = 1 << 20
_JOIN_S = 2.0


class Recorder:
    """Records what the sockets of a feed receive while somebody asks for it.

    look() on the beat of the feed, of which it takes two a second; stop() at its end. A writer
    thread, only while it records.
    """

    def __init__(
        self, instance: Instance, source: str, intake: SourceIntake, config: Config
    ) -> None:
        self._instance = instance
        self._source = source
        self._intake = intake
        self._reserve_mb = config.tracker.reserve_mb
        # a part holds the longest message there may be
        self._part_bytes = max(_PART_BYTES, config.feeds.max_frame_bytes + RECORD_HEAD.size)
        buffer_bytes = int(config.record.buffer_mb * 1e6)
        self._n_parts = max(_LEAST_PARTS, min(64, buffer_bytes // self._part_bytes))
        self._request: Request | None = None
        self._asked_ns = 0
        self._writer: _Writer | None = None

    def follow_request(self) -> None:
        """Begin, end or go on, as it is asked; tell health how it goes."""
        now = now_ns()
        if now - self._asked_ns < _ASK_NS:
            return
        self._asked_ns = now
        request = asked(self._instance)
        if request is not None and self._source not in request.sources:
            request = None
        if self._writer is not None:
            self._writer.lived_ns = now
            self._tell(self._writer)
            if request != self._request:
                self._end(self._writer)
        elif request is not None:
            self._begin(request)

    def append(self, link: int, opcode: Opcode, payload: bytes) -> None:
        """Record what became of a link."""
        if self._writer is not None and not self._writer.stop.is_set():
            self._writer.tape.append(now_ns(), link, opcode, payload)

    def stop(self) -> None:
        """End the files; a disk that does not answer is not waited for long."""
        if self._writer is not None:
            self._end(self._writer)
            self._writer.thread.join(_JOIN_S)
            self._tell(self._writer)
            self._writer = None
            self._set_level(0)

    def _begin(self, request: Request) -> None:
        tape = Tape(self._part_bytes, self._n_parts)
        self._request = request
        self._writer = _Writer(tape, request.folder, self._source, self._reserve_mb)
        self._writer.thread.start()
        self._intake.record_to(tape)
        self._set_level(1)
        log.info("recording", extra=facts(source=self._source, folder=request.folder))

    def _end(self, writer: "_Writer") -> None:
        if not writer.stop.is_set():
            writer.lived_ns = now_ns()
        self._intake.record_to(None)
        writer.stop.set()
        if not writer.thread.is_alive():
            self._tell(writer)
            self._writer = None
            self._set_level(0)
            log.info("recording ended", extra=facts(source=self._source, frames=writer.recorded))

    def _tell(self, writer: "_Writer") -> None:
        health, source_id = self._instance.health, self._intake.source_id
        recorded, dropped = writer.progress()
        health.add(source_id, _COUNTER["recorded"], recorded)
        health.add(source_id, _COUNTER["unrecorded"], dropped)

    def _set_level(self, level: int) -> None:
        self._instance.health.set(self._intake.source_id, _COUNTER["recording"], level)


class _Writer:
    """Takes the tape's parts to the files, in a thread of its own."""

    def __init__(self, tape: Tape, folder: str, source: str, reserve_mb: float) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"record {source}", daemon=True)
        self.recorded = 0
        self.lived_ns = 0  # when the feed was seen last: what was received before is on the tape
        self._dropped = 0
        self.tape = tape
        self._files = FrameFiles(Path(folder), source, time.time_ns())
        self._reserve = Reserve(folder, reserve_mb, f"recording of {source}")

    def progress(self) -> tuple[int, int]:
        """Return frames recorded and dropped since the last call."""
        recorded, dropped = self._files.n_frames, self.tape.dropped + self._files.refused
        news = recorded - self.recorded, dropped - self._dropped
        self.recorded, self._dropped = recorded, dropped
        return news

    def _run(self) -> None:
        written_s = time.monotonic()
        try:
            while not self.stop.wait(_LOOK_S):
                growing = time.monotonic() - written_s >= _BLOCK_S
                lived_ns = self.lived_ns
                found = self._drain(growing=growing)
                if growing and not found:
                    self._files.tell_lived(lived_ns)
                if found or growing:
                    written_s = time.monotonic()
            self._drain(growing=True)
            self._files.close(self.lived_ns, self.tape.unplaced)
        except Exception:  # the tape fills up, drops and counts; the feed goes on
            log.exception("recording failed", extra=facts(folder=str(self._files.folder)))

    def _drain(self, *, growing: bool) -> bool:
        """Write what is full, and what grows if asked to; True where anything was."""
        found = False
        while self._write_one(growing=False):
            found = True
        return (growing and self._write_one(growing=True)) or found

    def _write_one(self, *, growing: bool) -> bool:
        part = self.tape.take(growing)
        if part is None:
            return False
        records, n_frames, *_, dropped = part
        if self._reserve.check(now_ns()):
            self._files.leave_out(n_frames, dropped)
        else:
            self._files.write(*part)
        records.release()
        self.tape.release()
        return True
