"""Events that the package offers to listeners, and the list of listeners itself.

Times in events are seconds. A listener is a plain function; it runs on the event loop, in the task that the event is
about, and must not block. Every :class:`RequestSent` is followed by exactly one :class:`RequestAnswered` or
:class:`RequestLost` of the same ``call`` and ``attempt``, and every call that began ends with one
:class:`CallSucceeded` or :class:`CallFailed`, a cancelled one too. The governor's events are in
:mod:`spotify_ads_async.governor`.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, cast

import msgspec

from spotify_ads_async.errors import ConfigurationError

__all__ = [
    "CallFailed",
    "CallSucceeded",
    "Event",
    "Listener",
    "Listeners",
    "PageWalked",
    "RequestAnswered",
    "RequestLost",
    "RequestRetried",
    "RequestSent",
    "RowApplied",
]

logger = logging.getLogger("spotify_ads_async")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all events."""


Listener: TypeAlias = Callable[[Event], None]


class Listeners(list[Listener]):
    """Functions to call with each event.

    Falsy when there are none, so that an event need not be built: asked several times a call.
    """

    __slots__ = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; the function returned ends that.

        A function that is added twice is called twice, and each of the two subscriptions ends by itself.

        Raises:
            ConfigurationError: the listener is a coroutine function, which nobody would await.
        """
        if _is_async(listener):
            raise ConfigurationError(
                "a listener is a plain function, and this one is async: it would be called, but nobody would wait for"
                " it; let a plain function put the events into a queue that a task of yours reads"
            )
        # An object of its own tells this subscription from another of the same function.
        subscription = functools.partial(listener)
        self.append(subscription)

        def remove() -> None:
            self[:] = [one for one in self if one is not subscription]

        return remove

    def emit(self, event: Event) -> None:
        """Hand ``event`` to every listener.

        Whatever one raises, a cancellation of its own included, is logged and harms nobody.
        """
        for listener in tuple(self):
            try:
                # A listener should return nothing, and one that is a lambda may return anything.
                returned = cast("Callable[[Event], object]", listener)(event)
            except KeyboardInterrupt:
                raise
            except BaseException:
                logger.exception("an event listener raised on %s", type(event).__name__)
            else:
                if inspect.iscoroutine(returned):
                    cast("Coroutine[Any, Any, Any]", returned).close()
                    logger.error(
                        "an event listener returned a coroutine on %s, which nobody awaits", type(event).__name__
                    )


def _is_async(listener: object) -> bool:
    while isinstance(listener, functools.partial):
        listener = cast("functools.partial[Any]", listener).func
    return inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(getattr(listener, "__call__", None))  # noqa: B004 - its kind


class RequestSent(Event, frozen=True, kw_only=True):
    """One attempt of a call leaves. ``waited`` counts from the wish to leave to the leave to go.

    ``call`` is the same in all events of one call and differs between calls of this process. ``target`` is the path
    below the API's address, with the query.
    """

    call: int
    operation: str
    attempt: int
    method: str
    target: str
    waited: float


class RequestAnswered(Event, frozen=True, kw_only=True):
    """An answer was read. ``seconds`` from departure to the body's end."""

    call: int
    operation: str
    attempt: int
    status: int
    seconds: float


class RequestLost(Event, frozen=True, kw_only=True):
    """An attempt ended without a whole answer, ``seconds`` after its departure.

    ``error`` is the class of what ended it, which may be a cancellation; ``left`` tells whether all of the request had
    left.
    """

    call: int
    operation: str
    attempt: int
    seconds: float
    error: str
    left: bool


class RequestRetried(Event, frozen=True, kw_only=True):
    """An attempt failed with ``error``, a class, and the call is sent again after ``delay`` seconds."""

    call: int
    operation: str
    attempt: int
    delay: float
    error: str
    reason: str


class CallSucceeded(Event, frozen=True, kw_only=True):
    """A call returned its answer."""

    call: int
    operation: str
    attempts: int


class CallFailed(Event, frozen=True, kw_only=True):
    """A call ended with an error or a cancellation.

    ``error`` is its class, ``in_doubt`` whether it may have taken effect.
    """

    call: int
    operation: str
    attempts: int
    error: str
    in_doubt: bool


class PageWalked(Event, frozen=True, kw_only=True):
    """A walk handed out one page of ``rows`` new rows."""

    operation: str
    rows: int


class RowApplied(Event, frozen=True, kw_only=True):
    """A row of a bulk change ended: ``outcome`` is done, failed or unknown.

    ``entity`` is what it changes, such as ``ad set``.
    """

    entity: str
    entity_id: str
    outcome: str
