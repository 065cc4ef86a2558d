"""How a plan is carried out, and where a run stands."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

__all__ = ["Options", "Progress"]

_FRESH_SECONDS = 60.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is carried out.

    Attributes:
        concurrency: how many rows are under way at most.
        max_failures: stop after so many failed rows; None never stops for them.
        attempts: how often one request may be made, when reading back shows that it took no effect.
        settle_after: how long after its departure a lost request may still take effect, in seconds; nothing is read
            back earlier.
        unreachable_after: stop after so many rows in a row that found no network.
        grace: how long rows under way may take to end when the run is stopped, in seconds.
        retry_failed: also make requests again that the server refused for what they say, or answered and did nothing;
            stage anew what somebody deleted the draft of; look again at conflicts.
        draft: stage the rows as drafts of the live entities, and validate them campaign by campaign; nothing goes live.
        publish: the same, and then publish every campaign of which all rows are valid.
        survives_power_cut: wait for the disk at every commit. Without it the journal survives the process but not a
            power cut, and a slow disk slows nothing down.
        force: overwrite what somebody else changed since the plan was made, in the values that a row changes.
        keep_going: carry on where an answer shows that the server changed more than a row said.
        send: ``whole`` sends the object that a change is about with everything in it; ``changes`` sends the changed
            parts alone, which is for an API that is known to merge objects.
        allow_unusual: carry out rows with unusual amounts of money.
        looked_at: when the present state was read for the plan, by :func:`time.monotonic` of this process: for a minute
            after that, nothing is looked at again.
    """

    concurrency: int = 128
    max_failures: int | None = None
    attempts: int = 3
    settle_after: float = 2.0
    unreachable_after: int = 20
    grace: float = 0.7
    retry_failed: bool = False
    draft: bool = False
    publish: bool = False
    survives_power_cut: bool = True
    force: bool = False
    keep_going: bool = False
    send: Literal["whole", "changes"] = "whole"
    allow_unusual: bool = False
    looked_at: float | None = None

    @property
    def takes_up_conflicts(self) -> bool:
        """Whether rows in conflict are looked at again."""
        return self.force or self.retry_failed

    @property
    def is_fresh(self) -> bool:
        """Whether the present state was read for the plan by this process, and a moment ago."""
        return self.looked_at is not None and time.monotonic() - self.looked_at < _FRESH_SECONDS

    @property
    def stages(self) -> bool:
        """Whether drafts are asked for."""
        return self.draft or self.publish


class Progress(msgspec.Struct, kw_only=True):
    """Where a run stands. ``total`` counts the rows that had to be carried out when it began."""

    total: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    conflicts: int = 0
    refused: int = 0
    under_way: int = 0
    requests: int = 0
    processing: int = 0
    """Media files that the server works on: drafts that name them are validated afterwards."""
    stopped: str = ""

    @property
    def ended(self) -> int:
        """Rows whose outcome is known or was given up."""
        return self.done + self.failed + self.unknown + self.conflicts + self.refused
