"""Names for aiohttp: the system's resolver, and the last address that worked when that fails."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from spreadscan.net.addresses import last_good, remember


class LastGoodResolver(AbstractResolver):
    """Resolves as the system does; OSError only for a name that never resolved before."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            found = await self._system.resolve(host, port, family)
        except OSError:
            address = last_good(host)
            if address is None:
                raise
            kept = socket.AF_INET6 if ":" in address else socket.AF_INET
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kept,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
            ]
        remember(f"//{host}", (found[0]["host"],))
        return found

    async def close(self) -> None:
        await self._system.close()
