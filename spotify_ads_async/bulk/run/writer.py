"""What a run needs of whoever makes its requests: live, or as drafts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.records import PlannedRow, RowWork, Step, StepOutcome

__all__ = ["Bodies", "RunControl", "Tell", "Writer"]

Tell = Callable[[PlannedRow], Awaitable[None]]
"""Says what became of a row."""

Bodies = dict[str, Cell]


class RunControl(Protocol):
    """What a run offers to its writer."""

    stopping: anyio.Event
    """Set when nothing new shall leave."""

    def stop(self, reason: str) -> None:
        """Let nothing new leave."""
        ...

    async def settle(self, step: Step, outcome: StepOutcome) -> PlannedRow:
        """Write down what came of a request."""
        ...

    def surprised(self, work: RowWork, outcome: StepOutcome) -> None:
        """End the run where an answer shows that more changed than was said."""
        ...


class Writer(Protocol):
    """Makes the requests of rows."""

    async def begin(self, tell: Tell) -> None:
        """Settle what an earlier run left behind, and prepare what the rows need."""
        ...

    async def write(self, work: RowWork, step: Step) -> StepOutcome:
        """Make one request and compare its answer.

        Raises:
            SpotifyAdsError: it failed, or nothing tells whether it took effect.
        """
        ...

    async def read_back(self, work: RowWork, step: Step, why: str) -> StepOutcome:
        """Find out what came of a request whose answer was lost.

        Raises:
            SpotifyAdsError: that cannot be read.
        """
        ...

    async def finish(self, tell: Tell) -> None:
        """Do what is left when every row is written."""
        ...
