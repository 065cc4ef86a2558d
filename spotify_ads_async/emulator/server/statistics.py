"""What the emulator saw."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

__all__ = ["LatestRequest", "Ledger", "Second", "Statistics"]

_REMEMBERED_SECONDS = 61


class LatestRequest(msgspec.Struct, frozen=True):
    """One request as people want to see it.

    Attributes:
        at: when it came, in Unix seconds.
        method: such as ``GET``.
        path: below the base URL, with the query.
        operation: the operationId, empty where there is none.
        client_id: whose token it had, empty for nobody's.
        status: the status of the answer, 0 where the connection broke.
        seconds: how long it took.
        message: why it was refused, empty where it was not.
    """

    at: float
    method: str
    path: str
    operation: str
    client_id: str
    status: int
    seconds: float
    message: str = ""


class Second(msgspec.Struct):
    """What came within one second of the clock: the second (Unix), requests, and those that a window refused."""

    second: int
    requests: int = 0
    refused: int = 0


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the emulator saw since it started, or since the last reset.

    Attributes:
        requests: requests to operations of the API, refused ones too.
        refused: how many of them a window refused (429).
        fullest: per limit the most requests that arrived within one window, over all clients and addresses, refused
            ones too.
        statuses: how many answers of each status; 0 for connections that broke on purpose.
        operations: how many requests of each operation.
        refreshes: how many access tokens were issued for a refresh token.
    """

    requests: int
    refused: int
    fullest: dict[str, int]
    statuses: dict[int, int]
    operations: dict[str, int]
    refreshes: int


class Ledger:
    """Counts as requests come and go."""

    __slots__ = ("latest", "operations", "refused", "requests", "seconds", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.refused = 0
        self.statuses: Counter[int] = Counter()
        self.operations: Counter[str] = Counter()
        self.latest: deque[LatestRequest] = deque(maxlen=50)
        self.seconds: deque[Second] = deque(maxlen=_REMEMBERED_SECONDS)

    def count(self, second: int, *, refused: bool) -> None:
        """Count a request when it comes."""
        if not self.seconds or self.seconds[-1].second != second:
            self.seconds.append(Second(second))
        self.requests += 1
        self.seconds[-1].requests += 1
        if refused:
            self.refused += 1
            self.seconds[-1].refused += 1
