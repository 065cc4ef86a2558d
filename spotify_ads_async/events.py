"""Events that the package offers to listeners, and the list of listeners itself.

Times in events are seconds. A listener is a plain function; it runs on the event loop and must not block.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import msgspec

__all__ = ["Event", "Listener", "Listeners"]

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
