"""What may be asked of a host: its weights, counted by all processes of an address together."""

from pathlib import Path

from spreadscan.net.bans import file_name, host_of
from spreadscan.net.ratelimit import SharedLimit
from spreadscan.types import ONE_REQUEST, Cost


class Budget:
    """Leave to send requests to the hosts of one source.

    limit: the weight that its venue allows an address of ours, and in how many seconds. share: of
    it, which whatever others spend counts against, too: who has the smaller share gives way.
    """

    def __init__(self, folder: str | Path, limit: tuple[int, float], share: float = 1.0) -> None:
        weight, per_s = limit
        self._folder = Path(folder)
        self._window = (max(1, int(weight * share)), per_s)
        self._limits: dict[tuple[str, str], SharedLimit] = {}

    async def take(self, url: str, cost: Cost = ONE_REQUEST) -> None:
        """Wait until the host of a URL may be asked so much more, and count it."""
        at = host_of(url), cost.path
        if at not in self._limits:
            file = self._folder / f"requests-{file_name(at[0])}{file_name(cost.path)}"
            window = (1, cost.apart_s) if cost.path else self._window
            self._limits[at] = SharedLimit(file, window)
        await self._limits[at].take(cost.weight)
