"""A list behind a server that does what a server must not: one random kind of it per seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pagination.list_server import Paging

from spotify_ads_async.operation import Operation

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: datetime | None = None


class DatedListing(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[Dated]
    paging: Paging


class HostileServer:
    """Rows sorted by the second in which they were created; how the server errs is drawn from ``seed``."""

    def __init__(self, seed: int) -> None:
        self.random = draw = random.Random(seed)  # noqa: S311 - nothing here is secret
        count = draw.choice([0, 1, 3, 10, 20, 40, 60, 120])
        self.limit = draw.choice([2, 3, 5, 10, 20, 50])
        self.most_equal = draw.choice([1, 2, 4, 10, 60, 1000])
        self.shuffles = draw.random() < 0.6
        self.changes = draw.choice([0.0, 0.0, 0.05, 0.2, 0.5])
        self.anywhere = draw.random() < 0.5
        self.totals = draw.choice(["honest", "honest", "honest", "low", "high", "random", "none"])
        self.pages = draw.choice(["full", "full", "capped", "random", "offset ignored"])
        self.cap = draw.randint(1, self.limit)
        self.shows_dates = draw.random() < 0.7
        self.says_size = draw.random() < 0.5
        self.lie = draw.randint(1, 10)
        self.made = self.answers = 0
        self.rows: list[tuple[int, str]] = []
        second = 0
        while len(self.rows) < count:
            second += 1
            self.rows += [(second, self.name()) for _ in range(draw.randint(1, self.most_equal))]
        del self.rows[count:]
        self.second = second
        self.throughout = {name for _, name in self.rows}

    def name(self) -> str:
        self.made += 1
        return f"row-{self.made}"

    async def call(
        self, operation: Operation[Any], *, path: Mapping[str, str] = {}, query: Mapping[str, object] = {}
    ) -> Any:  # noqa: ANN401  # as generic as the operation
        del operation, path
        self.answers += 1
        await asyncio.sleep(0)
        while self.answers < 300 and self.random.random() < self.changes:
            self.change()
        return self.answer(query)

    def change(self) -> None:
        if self.rows and self.random.random() < 0.5:
            _, name = self.rows.pop(self.random.randrange(len(self.rows)))
            self.throughout.discard(name)
        else:
            self.second += self.random.randint(0, 1)
            second = self.random.randint(1, max(1, self.second)) if self.anywhere else self.second
            self.rows.append((second, self.name()))

    def answer(self, query: Mapping[str, Any]) -> DatedListing:
        among_equals = self.random.random if self.shuffles else float
        found = sorted(self.rows, key=lambda row: (row[0], among_equals()), reverse=True)
        offset, limit = query["offset"], query["limit"]
        if self.pages == "offset ignored":
            offset = 0
        elif self.pages == "capped":
            limit = min(limit, self.cap)
        elif self.pages == "random":
            limit = self.random.randint(1, limit)
        total = {
            "honest": len(found),
            "low": max(0, len(found) - self.lie),
            "high": len(found) + self.lie,
            "random": self.random.randint(0, 2 * len(found) + 1),
            "none": None,
        }[self.totals]
        rows = [
            Dated(id=name, created_at=BEGIN + timedelta(seconds=second) if self.shows_dates else None)
            for second, name in found[offset : offset + limit]
        ]
        return DatedListing(rows=rows, paging=Paging(total_results=total, page_size=limit if self.says_size else None))

    def __repr__(self) -> str:
        facts = {name: value for name, value in vars(self).items() if name not in {"random", "rows", "throughout"}}
        return f"<HostileServer {facts}>"
