"""The benchmarks' counters, which share no code with the package, and a simulated server that counts with them."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

_FILE = Path(__file__).parent.parent.parent / "benchmarks" / "counting_server.py"


def _load() -> ModuleType:
    name = "counting_server_of_the_benchmarks"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _FILE)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_counting = _load()
ALGORITHMS: tuple[str, ...] = tuple(_counting.ALGORITHMS)


class SimulatedServer:
    """Counts requests somewhere between departure and answer, on the clock of the running loop.

    Args:
        limits: as text, ``ip=500/10``.
        latency: the shortest and the longest round trip, in seconds.
        enforce: the algorithm that refuses; None only counts.
        headers: whether answers carry X-RateLimit-Limit and -Remaining.
        retry_after: the header's text for a wait in seconds, None for no header.
        seed: what chance follows.
    """

    def __init__(
        self,
        limits: str = "client_id=1500/30,ip=500/10",
        *,
        latency: tuple[float, float] = (0.02, 0.12),
        enforce: str | None = None,
        headers: bool = False,
        retry_after: str | None = None,
        seed: int = 0,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 (made up traffic)
        self.latency = latency
        self.enforce = enforce
        self.headers = headers
        self.retry_after = retry_after
        self.books = {name: _counting.Book(name, _counting.read_limits(limits), self.rng) for name in ALGORITHMS}
        self.arrivals: list[float] = []
        self.refusals: list[float] = []

    def would_refuse(self) -> dict[str, int]:
        """How many of our requests each algorithm refuses, or would have refused."""
        return {name: book.refused for name, book in self.books.items()}

    def count(self, *, ours: bool = True) -> tuple[int, dict[str, str]]:
        """Count one request now: status and headers of its answer."""
        now = asyncio.get_running_loop().time()
        verdicts = {name: book.arrive(now, ours=ours) for name, book in self.books.items()}
        refusal = verdicts[self.enforce] if self.enforce is not None else None
        headers: dict[str, str] = {}
        if self.headers and self.enforce is not None:
            limit, remaining = (refusal[0], 0) if refusal is not None else self.books[self.enforce].tightest(now)
            headers = {"X-RateLimit-Limit": str(limit.requests), "X-RateLimit-Remaining": str(remaining)}
        if ours:
            self.arrivals.append(now)
        if refusal is None:
            return 200, headers
        if ours:
            self.refusals.append(now)
        if self.retry_after is not None:
            headers["Retry-After"] = self.retry_after.format(int(refusal[1]) + 1)
        return 429, headers

    async def exchange(self) -> tuple[int, dict[str, str]]:
        """One request there and its answer back."""
        latency = self.rng.uniform(*self.latency)
        before = latency * self.rng.random()
        await asyncio.sleep(before)
        answer = self.count()
        await asyncio.sleep(latency - before)
        return answer

    async def others(self, rate: float) -> None:
        """Another program that spends the same windows until it is cancelled."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) / rate)
            self.count(ours=False)
