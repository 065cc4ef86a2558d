"""What the governor tells listeners. Times are seconds."""

from __future__ import annotations

from spotify_ads_async.events import Event

__all__ = ["Admitted", "LimitTightened", "Paused", "RhythmChanged"]
__all__ += ["StoreLost", "StoreRegained", "WaitRefused", "Waiting"]


class Waiting(Event, frozen=True, kw_only=True):
    """A request joined the queue; ``length`` counts it."""

    limits: tuple[str, ...]
    priority: str
    length: int


class Admitted(Event, frozen=True, kw_only=True):
    """A request that had to wait may leave."""

    limits: tuple[str, ...]
    priority: str
    waited: float


class WaitRefused(Event, frozen=True, kw_only=True):
    """A request was refused because its wait would have been longer than it allows."""

    limit: str
    predicted_wait: float


class Paused(Event, frozen=True, kw_only=True):
    """The server refused a request, and nobody in the scope leaves for ``seconds``."""

    limit: str
    owner: str
    seconds: float
    cause: str


class LimitTightened(Event, frozen=True, kw_only=True):
    """Tokens are reserved for others, because somebody else spends the same window."""

    limit: str
    owner: str
    reserved_for_others: int


class RhythmChanged(Event, frozen=True, kw_only=True):
    """Departures are spaced from now on."""

    limit: str
    owner: str


class StoreLost(Event, frozen=True, kw_only=True):
    """The shared store cannot be reached; ``policy`` is what happens until it can."""

    store: str
    policy: str
    problem: str


class StoreRegained(Event, frozen=True, kw_only=True):
    """The shared store answers again after ``away`` seconds."""

    store: str
    away: float
