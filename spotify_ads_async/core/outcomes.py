"""Outcomes of calls that failed: the error that the caller gets, and writes in doubt settled by reading back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from spotify_ads_async.core.call_state import CallState
from spotify_ads_async.core.retry import Failure, classify
from spotify_ads_async.errors import ConnectionFailed, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.operation import Operation, Repeat

__all__ = ["Verify", "ending", "settled"]

AnswerT = TypeVar("AnswerT")
Verify = Callable[[], Awaitable[AnswerT | None]]


def ending(operation: Operation[Any], failure: SpotifyAdsError, state: CallState) -> SpotifyAdsError:
    """The error that the caller gets: an unknown outcome where any attempt of a write left it in doubt."""
    doubt = state.doubt
    failure.may_have_taken_effect = doubt is not None and operation.method == "DELETE"
    return failure if doubt is None or operation.repeat is Repeat.SAFE else _unknown(operation, failure, doubt)


def _unknown(operation: Operation[Any], failure: SpotifyAdsError, doubt: SpotifyAdsError) -> OutcomeUnknown:
    if classify(doubt) is Failure.KEY_COMPLETED:
        said = "the create took effect under this idempotency key before, and what it made cannot be read: look it up"
    else:
        said = "the request left and nothing tells whether it took effect: read it back before sending it again"
    unknown = OutcomeUnknown(
        f"{said}; last seen: {failure.message}",
        cause=doubt,
        operation=operation.id,
        status=failure.status,
        trace_id=failure.trace_id,
    )
    unknown.__cause__ = doubt
    return unknown


async def settled(unknown: OutcomeUnknown, verify: Verify[AnswerT]) -> AnswerT:
    """What the write made, read back; an error that nothing is unknown about, where it took no effect."""
    unread = None
    try:
        found = await verify()
    except SpotifyAdsError as problem:
        found, unread = None, problem
    if found is not None:
        return found
    if unread is not None:
        unknown.add_note(f"reading it back failed as well: {unread}")
        raise unknown
    raise ConnectionFailed(
        "the answer was lost, and reading back shows that the request took no effect: it can be sent again"
        f" ({unknown.cause})",
        operation=unknown.operation,
        status=unknown.status,
        trace_id=unknown.trace_id,
    ) from unknown
