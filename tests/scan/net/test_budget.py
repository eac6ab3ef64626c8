"""What may be asked of a host, counted by weight, by all processes together."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spreadscan.net.budget import Budget
from spreadscan.net.ratelimit import SharedLimit
from spreadscan.types import Cost

URL = "https://api.example.com/x"
WEIGHT = st.integers(1, 30)


class Time:
    def __init__(self) -> None:
        self.ns = 10**12

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += max(1, round(seconds * 1e9))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 2), WEIGHT, st.floats(0.0, 3.0)), min_size=1, max_size=30),
)
def test_no_window_holds_more_weight_than_it_may(
    tmp_path_factory: pytest.TempPathFactory, limit: int, asked: Sequence[tuple[int, int, float]]
) -> None:
    """Three processes of one file; what is heavier than a window gets it to itself."""
    time, taken = Time(), []
    path = tmp_path_factory.mktemp("budget") / "requests-x"

    async def main() -> None:
        who = [
            SharedLimit(path, (limit, 2.0), clock_ns=time.now_ns, sleep=time.sleep)
            for _ in range(3)
        ]
        for process, weight, pause_s in asked:
            time.ns += int(pause_s * 1e9)
            await who[process].take(weight)
            taken.append((time.ns, weight))

    asyncio.run(main())
    for at, _ in taken:
        window = [weight for then, weight in taken if at <= then < at + 2 * 10**9]
        assert sum(window) <= limit or len(window) == 1


def test_who_has_the_smaller_share_gives_way(tmp_path: Path) -> None:
    """What discovery spends counts against the audit's half, and leaves it waiting."""

    async def main() -> tuple[bool, bool]:
        whole = Budget(tmp_path, (10, 60.0))
        half = Budget(tmp_path, (10, 60.0), share=0.5)
        await half.take(URL, Cost(5))
        return await is_free(half, 1), await is_free(whole, 5)

    assert (False, True) == asyncio.run(main())


def test_each_host_has_its_own(tmp_path: Path) -> None:
    async def main() -> list[bool]:
        budget = Budget(tmp_path, (1, 60.0))
        hosts = ("https://a.example.com", "https://b.example.com/y", "https://a.example.com:8443")
        return [await is_free(budget, 1, url) for url in hosts]

    assert [True, True, False] == asyncio.run(main())  # ports of a name are one host
    assert ["requests-a.example.com", "requests-b.example.com"] == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_a_path_with_a_limit_of_its_own_holds_nobody_up(tmp_path: Path) -> None:
    async def main() -> list[bool]:
        budget, status = Budget(tmp_path, (2, 60.0), share=0.5), Cost(1, "/v5/status", 60.0)
        return [await is_free(budget, cost) for cost in (status, status, Cost(), Cost())]

    assert [True, False, True, False] == asyncio.run(main())
    assert ["requests-api.example.com", "requests-api.example.com_v5_status"] == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_processes_share_it(tmp_path: Path, children: Any) -> None:
    def spend(folder: Path) -> int:
        async def main() -> int:
            budget, n = Budget(folder, (9, 600.0)), 0
            while await is_free(budget, 3):
                n += 1
            return n

        return asyncio.run(main())

    for n in range(3):
        children.start(f"process {n}", spend, tmp_path)
    assert 3 == sum(children.results(30.0).values())


async def is_free(budget: Budget, cost: int | Cost, url: str = URL) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await budget.take(url, cost if isinstance(cost, Cost) else Cost(cost))
    except TimeoutError:
        return False
    return True
