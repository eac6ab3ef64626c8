"""What may be asked of a host: its weights, counted by all processes of an address together."""

from pathlib import Path

from spreadscan.net.bans import file_name, host_of
from spreadscan.net.ratelimit import SharedLimit


class Budget:
    """Leave to send requests to the hosts of one source.

    limit: the weight that its venue allows an address of ours, and in how many seconds. share: of
    it, which whatever others spend counts against, too: who has the smaller share gives way.
    """

    def __init__(self, folder: str | Path, limit: tuple[int, float], share: float = 1.0) -> None:
        weight, per_s = limit
        self._folder = Path(folder)
        self._window = (max(1, int(weight * share)), per_s)
        self._limits: dict[str, SharedLimit] = {}

    async def take(self, url: str, weight: int = 1) -> None:
        """Wait until the host of a URL may be asked so much more, and count it."""
        host = host_of(url)
        if host not in self._limits:
            path = self._folder / f"requests-{file_name(host)}"
            self._limits[host] = SharedLimit(path, self._window)
        await self._limits[host].take(weight)
