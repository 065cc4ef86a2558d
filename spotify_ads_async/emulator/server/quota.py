"""The server's side of rate limiting: four ways to count, and the book of all windows.

Every algorithm answers the same three questions at a given moment (monotonic seconds): how long a request would have
to wait, how many more would be taken, and when the window is empty again.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

from spotify_ads_async.limits import Limit

__all__ = ["ALGORITHMS", "Algorithm", "QuotaBook", "QuotaDecision"]

Algorithm: TypeAlias = Literal["log", "fixed", "bucket", "weighted"]
"""How a window counts.

An exact log, fixed windows at a random phase, a token bucket, or a weighted two-window counter.
"""


class Counter(Protocol):
    """What one algorithm keeps for one limit and one key."""

    def wait(self, now: float) -> float:
        """Seconds until a request would be taken, 0 where it is taken now."""
        ...

    def take(self, now: float) -> None:
        """Count one request."""
        ...

    def remaining(self, now: float) -> int:
        """How many more requests would be taken now."""
        ...

    def reset(self, now: float) -> float:
        """Seconds until the count falls next."""
        ...


class LogCounter:
    """An exact sliding window: the time of every request taken in the last window."""

    __slots__ = ("_requests", "_taken", "_window")

    def __init__(self, requests: int, window: float, _random: random.Random) -> None:
        self._requests = requests
        self._window = window
        self._taken: deque[float] = deque()

    def _forget(self, now: float) -> None:
        taken, window = self._taken, self._window
        while taken and taken[0] + window <= now:
            taken.popleft()

    def wait(self, now: float) -> float:
        self._forget(now)
        if len(self._taken) < self._requests:
            return 0.0
        return self._taken[len(self._taken) - self._requests] + self._window - now

    def take(self, now: float) -> None:
        self._taken.append(now)

    def remaining(self, now: float) -> int:
        self._forget(now)
        return self._requests - len(self._taken)

    def reset(self, now: float) -> float:
        self._forget(now)
        return self._taken[0] + self._window - now if self._taken else 0.0


class FixedCounter:
    """Windows side by side, the first of which began at a random moment."""

    __slots__ = ("_count", "_index", "_phase", "_requests", "_window")

    def __init__(self, requests: int, window: float, rng: random.Random) -> None:
        self._requests = requests
        self._window = window
        self._phase = rng.random() * window
        self._index = -1
        self._count = 0

    def _turn(self, now: float) -> float:
        """Turn to the window of this moment; seconds until it ends."""
        index, passed = divmod(now + self._phase, self._window)
        if index != self._index:
            self._index, self._count = int(index), 0
        return self._window - passed

    def wait(self, now: float) -> float:
        left = self._turn(now)
        return 0.0 if self._count < self._requests else left

    def take(self, now: float) -> None:
        self._turn(now)
        self._count += 1

    def remaining(self, now: float) -> int:
        self._turn(now)
        return self._requests - self._count

    def reset(self, now: float) -> float:
        return self._turn(now)


class BucketCounter:
    """A token bucket that holds the limit's requests and refills evenly over its window."""

    __slots__ = ("_at", "_rate", "_requests", "_tokens")

    def __init__(self, requests: int, window: float, _random: random.Random) -> None:
        self._requests = requests
        self._rate = requests / window
        self._tokens = float(requests)
        self._at = -math.inf

    def _refill(self, now: float) -> None:
        self._tokens = (
            min(float(self._requests), self._tokens + (now - self._at) * self._rate)
            if self._at > -math.inf
            else self._tokens
        )
        self._at = now

    def wait(self, now: float) -> float:
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def take(self, now: float) -> None:
        self._refill(now)
        self._tokens -= 1.0

    def remaining(self, now: float) -> int:
        self._refill(now)
        return max(0, int(self._tokens))

    def reset(self, now: float) -> float:
        self._refill(now)
        return (self._requests - self._tokens) / self._rate


class WeightedCounter:
    """Two fixed windows, the older of which counts for the share that a sliding window would still see."""

    __slots__ = ("_count", "_index", "_phase", "_previous", "_requests", "_window")

    def __init__(self, requests: int, window: float, rng: random.Random) -> None:
        self._requests = requests
        self._window = window
        self._phase = rng.random() * window
        self._index = -2
        self._previous = 0
        self._count = 0

    def _turn(self, now: float) -> float:
        """Turn to the window of this moment; the share of it that has passed."""
        index, passed = divmod(now + self._phase, self._window)
        if index != self._index:
            self._previous = self._count if index == self._index + 1 else 0
            self._index, self._count = int(index), 0
        return passed / self._window

    def _used(self, share: float) -> float:
        return self._previous * (1.0 - share) + self._count

    def wait(self, now: float) -> float:
        share = self._turn(now)
        excess = self._used(share) + 1.0 - self._requests
        if excess <= 0.0:
            return 0.0
        if self._previous and excess <= self._previous * (1.0 - share):
            return excess / self._previous * self._window
        # The present window is full by itself: it has to become the older one and then fade.
        fading = max(0.0, self._count + 1.0 - self._requests) / max(1, self._count)
        return (1.0 - share + fading) * self._window

    def take(self, now: float) -> None:
        self._turn(now)
        self._count += 1

    def remaining(self, now: float) -> int:
        return max(0, int(self._requests - self._used(self._turn(now))))

    def reset(self, now: float) -> float:
        return (1.0 - self._turn(now)) * self._window


ALGORITHMS: Mapping[Algorithm, type[LogCounter | FixedCounter | BucketCounter | WeightedCounter]] = {
    "log": LogCounter,
    "fixed": FixedCounter,
    "bucket": BucketCounter,
    "weighted": WeightedCounter,
}


class QuotaDecision(msgspec.Struct, frozen=True):
    """What the book says to one request: ``wait`` seconds (0: taken), and the tightest of its windows."""

    wait: float
    limit: str
    requests: int
    remaining: int
    reset: float


FREE = QuotaDecision(0.0, "", 0, 0, 0.0)


class _Arrivals:
    """Every request that came, taken or not: what the fullest window is read from."""

    __slots__ = ("_times", "_window", "fullest")

    def __init__(self, window: float) -> None:
        self._window = window
        self._times: deque[float] = deque()
        self.fullest = 0

    def add(self, now: float) -> None:
        times, window = self._times, self._window
        while times and times[0] + window <= now:
            times.popleft()
        times.append(now)
        self.fullest = max(self.fullest, len(times))

    def within(self, now: float) -> int:
        times, window = self._times, self._window
        while times and times[0] + window <= now:
            times.popleft()
        return len(times)


class QuotaBook:
    """All windows: per limit one counter for each key that came along.

    Args:
        limits: the limits; a request spends those that its operation names.
        algorithm: how the windows count.
        rng: where phases come from.
    """

    def __init__(self, limits: Iterable[Limit], algorithm: Algorithm, rng: random.Random) -> None:
        self.limits = {limit.name: limit for limit in limits}
        self._make = ALGORITHMS[algorithm]
        self._random = rng
        self._counters: dict[tuple[str, str], Counter] = {}
        self._arrivals: dict[tuple[str, str], _Arrivals] = {}

    def admit(self, keys: Mapping[str, str], now: float) -> QuotaDecision:
        """Count one request against every limit in ``keys`` (limit → key), all or none."""
        counters: list[tuple[str, Counter]] = []
        longest, binding = 0.0, ""
        for name, key in keys.items():
            if name not in self.limits:
                continue
            place = (name, key)
            counter = self._counters.get(place)
            if counter is None:
                counter = self._open(place)
            self._arrivals[place].add(now)
            wait = counter.wait(now)
            if wait > longest:
                longest, binding = wait, name
            counters.append((name, counter))
        if not counters:
            return FREE
        if not binding:
            for _, counter in counters:
                counter.take(now)
        name, tightest = (
            min(counters, key=lambda one: one[1].remaining(now)) if not binding else (binding, dict(counters)[binding])
        )
        return QuotaDecision(
            longest, name, self.limits[name].requests, max(0, tightest.remaining(now)), tightest.reset(now)
        )

    def _open(self, place: tuple[str, str]) -> Counter:
        limit = self.limits[place[0]]
        counter = self._counters[place] = self._make(limit.requests, limit.window, self._random)
        self._arrivals[place] = _Arrivals(limit.window)
        return counter

    def fullest(self) -> dict[str, int]:
        """Per limit the most requests that came within one window, over all keys."""
        found = dict.fromkeys(self.limits, 0)
        for (name, _), arrivals in self._arrivals.items():
            found[name] = max(found[name], arrivals.fullest)
        return found

    def forget_fullest(self) -> None:
        """Look for the fullest window afresh, from what is in the windows now."""
        for arrivals in self._arrivals.values():
            arrivals.fullest = 0

    def filling(self, now: float) -> list[tuple[str, str, int, int]]:
        """Per limit and key: how many requests came in the window that ends now, and the limit."""
        return [
            (name, key, arrivals.within(now), self.limits[name].requests)
            for (name, key), arrivals in self._arrivals.items()
        ]
