"""Events that the package offers to listeners, and the list of listeners itself.

Times in events are seconds. A listener is a plain function; it runs on the event loop and must not block.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import msgspec

__all__ = ["CallFailed", "Event", "Listener", "Listeners", "RequestAnswered", "RequestRetried", "RequestSent"]

logger = logging.getLogger("spotify_ads_async")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all events."""


Listener: TypeAlias = Callable[[Event], None]


class Listeners:
    """Functions to call with each event. Falsy when there are none, so that an event need not be built."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; the function returned ends that."""
        self._listeners = (*self._listeners, listener)

        def remove() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return remove

    def emit(self, event: Event) -> None:
        """Hand ``event`` to every listener; one that raises is logged and harms nobody."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("an event listener raised on %s", type(event).__name__)


class RequestSent(Event, frozen=True, kw_only=True):
    """One attempt of a call leaves. ``waited`` counts from the wish to leave to the leave to go."""

    operation: str
    attempt: int
    waited: float


class RequestAnswered(Event, frozen=True, kw_only=True):
    """An answer was read. ``seconds`` from departure to the body's end."""

    operation: str
    attempt: int
    status: int
    seconds: float


class RequestRetried(Event, frozen=True, kw_only=True):
    """An attempt failed and the call is sent again after ``delay`` seconds."""

    operation: str
    attempt: int
    delay: float
    reason: str


class CallFailed(Event, frozen=True, kw_only=True):
    """A call ended with an error; ``error`` is its class, ``in_doubt`` whether it may have taken effect."""

    operation: str
    attempts: int
    error: str
    in_doubt: bool
