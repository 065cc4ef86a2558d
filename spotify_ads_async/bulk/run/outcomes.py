"""What an answer, its absence, or a state that was read back says about a request. Pure."""

from __future__ import annotations

import msgspec

from spotify_ads_async.bulk.plan.effects import Settled, State, reached, settle
from spotify_ads_async.bulk.records import Step, StepOutcome, StepState
from spotify_ads_async.errors import (
    AuthenticationError,
    ConnectionFailed,
    QuotaTimeout,
    RateLimited,
    ServerError,
    SpotifyAdsError,
    StoreUnavailable,
)

__all__ = ["failure", "judge", "staged", "success"]

_TRANSIENT = (AuthenticationError, ConnectionFailed, QuotaTimeout, RateLimited, ServerError, StoreUnavailable)


def success(step: Step, state: State) -> StepOutcome:
    """What an answer says: done, with a remark where the server made something else of a value."""
    found = {field: state[field] for field in step.body if field in state}
    different = [field for field, value in step.body.items() if field in found and not reached(value, found[field], step.before.get(field))]
    reason = f"the server made something else of {', '.join(different)}" if different else ""
    return StepOutcome(state=StepState.DONE, found=found, reason=reason)


def staged(verdict: StepOutcome) -> StepOutcome:
    """The same of a draft: what arrived there is not live yet."""
    return msgspec.structs.replace(verdict, state=StepState.STAGED) if verdict.state is StepState.DONE else verdict


def failure(error: SpotifyAdsError) -> StepOutcome:
    """A request that surely took no effect."""
    return StepOutcome(
        state=StepState.FAILED,
        reason=str(error),
        status=error.status,
        trace_id=error.trace_id or "",
        transient=isinstance(error, _TRANSIENT),
    )


def judge(step: Step, state: State, why: str) -> StepOutcome:
    """What the state that was read back says of a request whose answer was lost."""
    match settle(state, step.body, step.before):
        case Settled.DONE:
            return StepOutcome(state=StepState.DONE, found={field: state[field] for field in step.body if field in state})
        case Settled.NOT_DONE:
            return StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {why}")
        case Settled.CHANGED_BY_OTHERS:
            return StepOutcome(
                state=StepState.UNKNOWN,
                reason=f"{why}, and the values now are neither the old nor the new ones: somebody else changed them",
            )
