"""A loopback server that counts arrivals the way rate limiters do. It shares no code with the package that it judges.

Run: ``python benchmarks/counting_server.py --help``. It prints its port on the first line and serves until its standard
input ends.

Every request spends every limit. It is counted somewhere between its arrival and its answer, as behind a real network:
the latency is drawn for each request, and a random share of it passes before the count. All four algorithms count every
request side by side; with ``--enforce`` one of them also refuses. ``/_statistics``, ``/_control`` and ``/_forget``
count for nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple, Protocol

__all__ = ["ALGORITHMS", "Book", "Counter", "Limit", "read_limits"]


class Limit(NamedTuple):
    """So many requests in so many seconds."""

    name: str
    requests: int
    window: float


class Counter(Protocol):
    """One algorithm's count for one limit."""

    def wait(self, now: float) -> float:
        """Seconds until a request fits; 0 where it fits now."""
        ...

    def take(self, now: float) -> None:
        """Count a request."""
        ...

    def remaining(self, now: float) -> int:
        """How many more fit now."""
        ...


class ExactLog:
    """The moment of every request of the last window."""

    def __init__(self, limit: Limit, _: random.Random) -> None:
        self.limit = limit
        self.moments: deque[float] = deque()

    def wait(self, now: float) -> float:
        """See :class:`Counter`."""
        return 0.0 if self.remaining(now) > 0 else self.moments[0] + self.limit.window - now

    def take(self, now: float) -> None:
        """See :class:`Counter`."""
        self.moments.append(now)

    def remaining(self, now: float) -> int:
        """See :class:`Counter`."""
        while self.moments and self.moments[0] <= now - self.limit.window:
            self.moments.popleft()
        return self.limit.requests - len(self.moments)


class FixedWindows:
    """A count that starts afresh with each window; the first began at a random moment."""

    def __init__(self, limit: Limit, rng: random.Random) -> None:
        self.limit = limit
        self.phase = rng.random() * limit.window
        self.number = 0
        self.count = 0
        self.count_before = 0

    def turn(self, now: float) -> float:
        """Come to the window of this moment; answers the share of it that has passed."""
        number = int((now + self.phase) // self.limit.window)
        if number != self.number:
            self.count_before = self.count if number == self.number + 1 else 0
            self.number, self.count = number, 0
        return (now + self.phase) / self.limit.window - number

    def wait(self, now: float) -> float:
        """See :class:`Counter`."""
        passed = self.turn(now)
        return 0.0 if self.remaining(now) > 0 else (1.0 - passed) * self.limit.window

    def take(self, now: float) -> None:
        """See :class:`Counter`."""
        self.turn(now)
        self.count += 1

    def remaining(self, now: float) -> int:
        """See :class:`Counter`."""
        self.turn(now)
        return self.limit.requests - self.count


class TwoWindows(FixedWindows):
    """Fixed windows, the one before weighted by how much of it a sliding window would still cover."""

    def wait(self, now: float) -> float:
        """See :class:`Counter`. A guess: a tenth of a window."""
        return 0.0 if self.remaining(now) > 0 else self.limit.window / 10

    def remaining(self, now: float) -> int:
        """See :class:`Counter`."""
        passed = self.turn(now)
        return int(self.limit.requests - self.count - self.count_before * (1.0 - passed))


class TokenBucket:
    """Full at first, refilled evenly."""

    def __init__(self, limit: Limit, _: random.Random) -> None:
        self.limit = limit
        self.tokens = float(limit.requests)
        self.filled_at: float | None = None

    def fill(self, now: float) -> None:
        """Add what has come since."""
        if self.filled_at is not None:
            self.tokens = min(
                self.limit.requests, self.tokens + (now - self.filled_at) * self.limit.requests / self.limit.window
            )
        self.filled_at = now

    def wait(self, now: float) -> float:
        """See :class:`Counter`."""
        self.fill(now)
        return max(0.0, (1.0 - self.tokens) * self.limit.window / self.limit.requests)

    def take(self, now: float) -> None:
        """See :class:`Counter`."""
        self.fill(now)
        self.tokens -= 1.0

    def remaining(self, now: float) -> int:
        """See :class:`Counter`."""
        self.fill(now)
        return int(self.tokens)


ALGORITHMS: Mapping[str, Callable[[Limit, random.Random], Counter]] = {
    "log": ExactLog,
    "fixed": FixedWindows,
    "bucket": TokenBucket,
    "weighted": TwoWindows,
}


class Book:
    """One algorithm over several limits: a request is counted in all of them, or refused and counted in none."""

    def __init__(self, algorithm: str, limits: Sequence[Limit], rng: random.Random) -> None:
        self.counters = [(limit, ALGORITHMS[algorithm](limit, rng)) for limit in limits]
        self.refused = 0

    def arrive(self, now: float, *, ours: bool = True) -> tuple[Limit, float] | None:
        """Count a request, or answer which limit refuses it and for how many seconds.

        Refusals of ``ours`` are tallied.
        """
        refusals = [(limit, wait) for limit, counter in self.counters if (wait := counter.wait(now)) > 0.0]
        if refusals:
            self.refused += ours
            return max(refusals, key=lambda refusal: refusal[1])
        for _, counter in self.counters:
            counter.take(now)
        return None

    def tightest(self, now: float) -> tuple[Limit, int]:
        """The limit with the least room, and the room."""
        limit, counter = min(self.counters, key=lambda pair: pair[1].remaining(now))
        return limit, max(0, counter.remaining(now))


def read_limits(text: str) -> list[Limit]:
    """Read ``client_id=1500/30,ip=500/10``."""
    limits: list[Limit] = []
    for part in text.split(","):
        name, _, figures = part.partition("=")
        requests, _, window = figures.partition("/")
        limits.append(Limit(name, int(requests), float(window)))
    return limits


class CountingServer:
    """The server: what it counted, and how it answers."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.limits = read_limits(options.limits)
        self.latency: tuple[float, float] = tuple(options.latency)
        self.enforce: str | None = options.enforce
        self.headers: bool = options.headers
        self.retry_after: str = options.retry_after
        self.rng = random.Random(options.seed)
        self.forget()

    def forget(self) -> None:
        """Start counting afresh."""
        self.books = {name: Book(name, self.limits, self.rng) for name in ALGORITHMS}
        self.arrivals: list[float] = []
        self.refusals: list[float] = []

    def count(self, now: float, *, ours: bool = True) -> bytes:
        """Count one request and build its answer."""
        if ours:
            self.arrivals.append(now)
        refusal = None
        for name, book in self.books.items():
            verdict = book.arrive(now, ours=ours)
            if name == self.enforce:
                refusal = verdict
        if refusal is None:
            return self.answer(b"200 OK", self.quota_headers(now), b"{}")
        if ours:
            self.refusals.append(now)
        headers = self.quota_headers(now, refusal[0]) + self.retry_header(refusal[1])
        return self.answer(b"429 Too Many Requests", headers, b"{}")

    def quota_headers(self, now: float, refusing: Limit | None = None) -> bytes:
        """``X-RateLimit-*`` for the limit with the least room, where the server is told to send them."""
        if not self.headers or self.enforce is None:
            return b""
        limit, remaining = self.books[self.enforce].tightest(now) if refusing is None else (refusing, 0)
        return b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\n" % (limit.requests, remaining)

    def retry_header(self, wait: float) -> bytes:
        """``Retry-After`` in the form that the server is told to use."""
        seconds = int(wait) + 1
        match self.retry_after:
            case "none":
                return b""
            case "seconds":
                return b"Retry-After: %d\r\n" % seconds
            case "date":
                return (
                    b"Retry-After: %s\r\n"
                    % format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True).encode()
                )
            case number:
                return b"Retry-After: %s\r\n" % number.encode()

    @staticmethod
    def answer(status: bytes, headers: bytes, body: bytes) -> bytes:
        """The bytes of an answer."""
        return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s" % (
            status,
            len(body),
            headers,
            body,
        )

    def control(self, target: str, body: bytes) -> bytes:
        """Answer one of the requests that count for nothing."""
        if target == "/_forget":
            self.forget()
        elif target == "/_control":
            for name, value in json.loads(body).items():
                setattr(self, name, tuple(value) if isinstance(value, list) else value)
        statistics = {
            "limits": self.limits,
            "now": time.monotonic(),
            "arrivals": self.arrivals if target == "/_statistics" else [],
            "refusals": self.refusals,
            "would_refuse": {name: book.refused for name, book in self.books.items()},
        }
        return self.answer(b"200 OK", b"", json.dumps(statistics).encode())

    async def others(self, rate: float) -> None:
        """Another program that spends the same windows, evenly but for the jitter of its own network."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) / rate)
            self.count(time.monotonic(), ours=False)


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, server: CountingServer) -> None:
        self.server = server
        self.received = b""
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection's writing end."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].decode("latin-1")
            length = 0
            for line in head.split("\r\n")[1:]:
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            if len(self.received) < end + 4 + length:
                return
            body = self.received[end + 4 : end + 4 + length]
            self.received = self.received[end + 4 + length :]
            target = head.split(" ", 2)[1]
            if target.startswith("/_"):
                self.transport.write(self.server.control(target, body))
            else:
                self.schedule()

    def schedule(self) -> None:
        """Count the request after a part of its latency, and answer after the rest."""
        latency = self.server.rng.uniform(*self.server.latency)
        before = latency * self.server.rng.random()
        self.loop.call_later(before, self.arrive, latency - before)

    def arrive(self, rest: float) -> None:
        """The request reaches the limiter."""
        self.loop.call_later(rest, self.reply, self.server.count(time.monotonic()))

    def reply(self, answer: bytes) -> None:
        """Send the answer, if somebody is there."""
        if not self.transport.is_closing():
            self.transport.write(answer)


async def serve(options: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    server = CountingServer(options)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", options.port, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    async with asyncio.TaskGroup() as group:
        others = group.create_task(server.others(options.others)) if options.others > 0.0 else None
        await loop.run_in_executor(None, sys.stdin.read)
        if others is not None:
            others.cancel()
    listening.close()


def options_from(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A loopback server that counts arrivals the way rate limiters do.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--limits", default="client_id=1500/30,ip=500/10", help="name=requests/seconds, …")
    parser.add_argument("--latency", type=float, nargs=2, default=(0.02, 0.12), metavar=("LOW", "HIGH"), help="seconds")
    parser.add_argument("--enforce", choices=sorted(ALGORITHMS), help="refuse with 429 what this algorithm refuses")
    parser.add_argument("--headers", action="store_true", help="send X-RateLimit-Limit and -Remaining")
    parser.add_argument("--retry-after", default="seconds", help="seconds, date, none, or a fixed value to send")
    parser.add_argument(
        "--others", type=float, default=0.0, help="requests per second of another program on the same windows"
    )
    parser.add_argument("--seed", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(serve(options_from(sys.argv[1:])))
