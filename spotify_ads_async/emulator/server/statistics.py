"""What the emulator saw."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

__all__ = ["LatestRequest", "Ledger", "Statistics"]


class LatestRequest(msgspec.Struct, frozen=True):
    """One request: when it came (Unix seconds), the operation, the client, the status (0: no answer), seconds."""

    at: float
    operation: str
    client_id: str
    status: int
    seconds: float


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the emulator saw since it started, or since the last reset.

    Attributes:
        requests: requests to operations of the API, refused ones too.
        refused: how many of them a window refused (429).
        fullest: per limit the most requests that arrived within one window, over all clients and addresses, refused ones too.
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

    __slots__ = ("latest", "operations", "refused", "requests", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.refused = 0
        self.statuses: Counter[int] = Counter()
        self.operations: Counter[str] = Counter()
        self.latest: deque[LatestRequest] = deque(maxlen=50)
