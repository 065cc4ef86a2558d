"""Outcomes of failed attempts: another one, the error that the caller gets, or a write settled by reading back."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from spotify_ads_async.auth.credentials import Credentials
from spotify_ads_async.core.call_state import IN_FLIGHT, CallState
from spotify_ads_async.core.retry import (
    BUDGETED,
    IN_DOUBT,
    MATRIX,
    PACED,
    Failure,
    RetryAction,
    RetryBudget,
    RetryPolicy,
    backoff,
    classify,
)
from spotify_ads_async.errors import ConnectionFailed, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.operation import Operation, Repeat

__all__ = ["Repeats", "Verify", "ending", "settled"]

AnswerT = TypeVar("AnswerT")
Verify = Callable[[], Awaitable[AnswerT | None]]


class Repeats:
    """Says what follows from a failed attempt, within the budget that all calls of a client share."""

    def __init__(self, policy: RetryPolicy, credentials: Credentials) -> None:
        self.policy = policy
        self.budget = RetryBudget(policy)
        self._credentials = credentials

    def judge(
        self, operation: Operation[Any], failure: SpotifyAdsError, state: CallState, max_wait: float | None
    ) -> tuple[RetryAction, float]:
        """What follows, and seconds to wait first."""
        if state.phase != IN_FLIGHT:
            # Signing in has repeats of its own, and the governor's word is final.
            return RetryAction.RAISE, 0.0
        kind = classify(failure)
        action = MATRIX[kind][operation.repeat]
        if kind in IN_DOUBT and action is not RetryAction.RAISE:
            state.doubt = failure
        if action is RetryAction.AGAIN_WITH_NEW_TOKEN:
            another = state.token is not None and self._credentials.invalidate(state.token)
            if state.token_replaced or not another:
                return RetryAction.RAISE, 0.0
            state.token_replaced = True
            return action, 0.0
        if action is not RetryAction.AGAIN:
            return action, 0.0
        delay = self._delay(kind, state, max_wait)
        return (RetryAction.RAISE, 0.0) if delay is None else (action, delay)

    def _delay(self, kind: Failure, state: CallState, max_wait: float | None) -> float | None:
        """Seconds until the next attempt, or None where there shall be none."""
        policy = self.policy
        asked = state.retry_after or 0.0
        if asked > policy.retry_after_cap:
            return None
        if kind in PACED:
            state.refusals += 1
            delay = asked + backoff(policy, state.refusals, random.random)
            # The governor pauses its windows by itself, and a governor without windows pauses nothing.
            exhausted = state.refusals > policy.refusals or (max_wait is not None and asked > max_wait)
        else:
            state.failures += 1
            exhausted = state.failures >= policy.attempts or not self.budget.available()
            delay = max(asked, backoff(policy, state.failures, random.random))
        if exhausted or delay >= state.remaining(time.monotonic()):
            return None
        if kind in BUDGETED:
            self.budget.take()
        return delay


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
