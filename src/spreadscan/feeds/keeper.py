"""The symbols of one socket, kept open for ever: back-off after a loss, overlap before an end.

A socket that is about to end (the venue's 24 hours, an announced restart) gets a successor first:
once that one is subscribed and has quoted, it takes over what the old one owned and the old one
closes. So there is no gap, and by the update ids no step back. Of two sockets one always ends
before a third is opened, whichever of them fails or is itself announced to end.
"""

import asyncio
import random
from collections.abc import Container, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spreadscan.clock import now_ns
from spreadscan.errors import Refused, Retry
from spreadscan.feeds.session import Session
from spreadscan.net.backoff import Backoff
from spreadscan.net.connects import Connects

# Sockets of one start would otherwise all end in one minute a day later.
_LIFE_SHARE = (0.80, 0.95)
# A socket that opens and ends young has cost the venue a handshake and all of its subscriptions.
_YOUNG_WEIGHT = 2
_RENEW_WITHIN = 2.0  # times of the overlap; then the next socket is renewed beside this one
STOPPED = "stopped"  # why a socket closed that nobody needs any more
_CLOSE_WITHIN_S = 5.0  # then what still is not closed is given up


class Owner(Protocol):
    """The feed that a shard belongs to."""

    def open_session(self, symbols: Sequence[str], url: str, life_s: float) -> tuple[int, Session]:
        """Return a new link and its session at an address, not yet run."""

    def closed(self, link: int, reason: str) -> None:
        """Empty what the link still owns; its socket is gone."""

    def take_over(self, old: int, new: int, symbols: Sequence[str]) -> None:
        """Let the new link own what the old one did of these symbols."""

    def retrying(self, link: int, reason: str, wait_s: float) -> None:
        """Hear that a lost socket is opened anew after a wait."""


@dataclass(slots=True)
class _Living:
    link: int
    session: Session
    task: "asyncio.Task[str]"
    announced: bool = False  # its end is, and was looked at


class SocketKeeper:
    """Keeps one socket open for its symbols. run() never ends by itself."""

    def __init__(
        self,
        owner: Owner,
        symbols: Sequence[str],
        connects: Connects,
        backoff: Backoff,
        *,
        socket_life_s: float,
        take_over_s: float,
        healthy_after_s: float,
    ) -> None:
        self.symbols = tuple(symbols)
        self._owner = owner
        self._connects = connects
        self._backoff = backoff
        self._socket_life_s = socket_life_s
        self._take_over_s = take_over_s
        self._healthy_ns = 1e9 * min(healthy_after_s, _LIFE_SHARE[0] * socket_life_s)
        self._ended_young = False
        self._living: list[_Living] = []  # the current one, and one that is leaving

    @property
    def n_open(self) -> int:
        """Return how many sockets are open: one, none, or two for a while."""
        return sum(living.session.opened_ns > 0 for living in self._living)

    @property
    def sessions(self) -> list[Session]:
        return [living.session for living in self._living]

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe to more, on the sockets that are open."""
        self.symbols += tuple(symbols)
        for session in self.sessions:
            session.add(symbols)

    def drop(self, symbols: Container[str]) -> None:
        """Unsubscribe what it has of these symbols."""
        gone = [symbol for symbol in self.symbols if symbol in symbols]
        self.symbols = tuple(symbol for symbol in self.symbols if symbol not in symbols)
        for session in self.sessions:
            session.drop(gone)

    async def renew(self) -> None:
        """Let the socket have a successor, and wait until that has taken over, or for some time."""
        if self._living:  # else the next one is new anyway
            living = self._living[-1]
            living.session.expiring.set()
            await asyncio.wait({living.task}, timeout=_RENEW_WITHIN * self._take_over_s)

    async def run(self) -> None:
        """Connect, live, wait, again; a successor goes before a socket that is about to end."""
        current: _Living | None = None
        try:
            while True:
                if current is None:
                    current = self._start(await self._connects.take())
                await _first(current.task, current.session.expiring.wait())
                if not current.task.done() and self._too_soon(current):
                    await _first(current.task, timeout_s=self._backoff.next_s())
                if current.task.done():
                    await self._pause_after(current)
                    current = None
                else:
                    current = await self._replaced(current)
        finally:
            tasks = [living.task for living in self._living]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause_after(self, ended: _Living) -> None:
        """Wait before the next socket, the longer the less healthy the last ones were."""
        reason, session = ended.task.result(), ended.session  # raises what is no loss of a socket
        if session.valid and session.last_quote_ns - session.opened_ns >= self._healthy_ns:
            self._backoff.reset()
            wait_s = self._backoff.next_s()
        else:
            wait_s = self._backoff.next_s(_YOUNG_WEIGHT if session.opened_ns else 1)
        self._owner.retrying(ended.link, reason, wait_s)
        await asyncio.sleep(wait_s)

    async def _replaced(self, old: _Living) -> _Living:
        """Open a successor; return the one of both that is left, or ended last."""
        new = self._start(await self._connects.take())
        failed = await self._relieve(old, new)
        if not failed:
            return new
        wait_s = self._backoff.next_s()
        self._owner.retrying(new.link, failed, wait_s)
        await _first(old.task, timeout_s=wait_s)
        return old

    def _start(self, url: str) -> _Living:
        life_s = self._socket_life_s * random.uniform(*_LIFE_SHARE)
        link, session = self._owner.open_session(self.symbols, url, life_s)
        living = _Living(link, session, asyncio.create_task(self._live(link, session, url)))
        self._living.append(living)
        return living

    def _too_soon(self, living: _Living) -> bool:
        """Return whether a socket is to end young, as the one before it was; asked once of each."""
        if living.announced:
            return False
        living.announced = True
        young = now_ns() - living.session.opened_ns < self._healthy_ns
        again, self._ended_young = young and self._ended_young, young
        if not young:
            self._backoff.reset()
        return again

    async def _live(self, link: int, session: Session, url: str) -> str:
        reason = STOPPED
        try:
            reason = await session.run()
            if not session.valid:
                self._connects.unheard(url, reason)
        except (Retry, Refused) as error:
            self._connects.failed(url, error)
            reason = str(error)
        finally:
            self._living = [living for living in self._living if living.link != link]
            self._owner.closed(link, reason)
        return reason

    async def _relieve(self, old: _Living, new: _Living) -> str:
        """Wait until the new socket has proved itself, and close the old one; else the new one.

        Proof is a quote, not an acknowledgement, unless the old socket is as quiet meanwhile.
        Returns why the new one failed while the old one lives, '' where the new one is left.
        """
        before = old.session.valid
        await _first(new.session.proven.wait(), new.task, old.task, timeout_s=self._take_over_s)
        if old.task.done():
            old.task.result()  # raises what is no loss of a socket
            return ""
        if new.task.done():
            return new.task.result()
        quiet = old.session.valid == before and new.session.all_answered
        if new.session.proven.is_set() or quiet:
            self._owner.take_over(old.link, new.link, new.session.accepted)
            await _end(old, f"replaced by socket {new.link}")
            return ""
        failed = f"no quote within {self._take_over_s:g} s of overlap"
        await _end(new, failed)
        return failed


async def _end(living: _Living, why: str) -> None:
    """Close a socket and see it end; one that has not opened yet, or does not close, is dropped."""
    living.session.close(why)
    if living.session.opened_ns:
        await asyncio.wait({living.task}, timeout=_CLOSE_WITHIN_S)
    living.task.cancel()
    await asyncio.wait({living.task})


async def _first(
    *awaitables: "asyncio.Task[str] | Coroutine[Any, Any, object]", timeout_s: float | None = None
) -> None:
    """Wait for the first of tasks and coroutines; coroutines that are left are cancelled."""
    own = [asyncio.create_task(a) for a in awaitables if not isinstance(a, asyncio.Task)]
    tasks = [*own, *(a for a in awaitables if isinstance(a, asyncio.Task))]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in own:
            task.cancel()
