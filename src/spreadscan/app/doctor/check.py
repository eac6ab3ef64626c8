"""One look at one thing, and threads that nobody has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, what was found. advice: what to do, where it is not ok."""

    subject: str  # a source, "machine" or "instance"
    at: str = ""  # the address, where a source has several looked at
    name: str
    ok: bool
    found: str
    advice: str = ""


async def in_thread(call: Callable[[], T]) -> T:
    """Return what call returns or raises, from a thread that dies with the process.

    Those of asyncio.to_thread are waited for at the end, and a file system or a resolver may
    hang for minutes.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # given to whoever awaits
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, daemon=True).start()
    return await done
