"""How a plan is carried out, and where a run stands."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from spotify_ads_async.events import Event, RequestSent

__all__ = ["Departure", "Options", "Progress", "departure", "note_departure"]


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
        retry_failed: also make requests again that the server refused for what they say.
        draft: stage the rows as drafts of the live entities, and validate them campaign by campaign; nothing goes live.
        publish: the same, and then publish every campaign of which all rows are valid.
        survives_power_cut: wait for the disk at every commit. Without it the journal survives the process but not a
            power cut, and a slow disk slows nothing down.
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
    under_way: int = 0
    requests: int = 0
    stopped: str = ""

    @property
    def ended(self) -> int:
        """Rows whose outcome is known or was given up."""
        return self.done + self.failed + self.unknown


class Departure:
    """Whether the request that a task makes has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = False


departure: ContextVar[Departure | None] = ContextVar("departure", default=None)


def note_departure(event: Event) -> None:
    """A client's listener: events are emitted in the task that makes the call."""
    present = departure.get()
    if present is not None and isinstance(event, RequestSent):
        present.left = True
