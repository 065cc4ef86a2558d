"""Whether a call is sent again: pure decisions, and the matrix they follow as data.

A request may be repeated when it surely took no effect, when repeating it changes nothing, or when an
``Idempotency-Key`` makes the server recognise it. Everything else ends as an explicit unknown outcome.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from spotify_ads_async.errors import (
    AuthenticationError,
    Conflict,
    ConnectionFailed,
    InvalidAnswer,
    RateLimited,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.operation import Repeat

__all__ = ["MATRIX", "Failure", "RetryAction", "RetryBudget", "RetryPolicy", "backoff", "classify", "matrix_table"]


class Failure(enum.Enum):
    """The ways in which one attempt can fail."""

    NOT_SENT = "the request did not leave, or not completely"
    LOST = "it left, and the connection failed before the whole answer came"
    SERVER_ERROR = "5xx"
    UNREADABLE = "an answer that cannot be read"
    REDIRECTED = "3xx, which is not followed"
    RATE_LIMITED = "429"
    UNAUTHORIZED = "401"
    KEY_IN_PROGRESS = "409 IDEMPOTENCY_REQUEST_IN_PROGRESS"
    KEY_COMPLETED = "409 IDEMPOTENCY_REQUEST_ALREADY_COMPLETED"
    KEY_INDETERMINATE = "409 IDEMPOTENCY_OUTCOME_INDETERMINATE"
    KEY_REUSED = "409 IDEMPOTENCY_KEY_REUSED"
    REJECTED = "any other 4xx"


class RetryAction(enum.Enum):
    """What follows from a failure."""

    AGAIN = "sent again"
    AGAIN_WITH_NEW_TOKEN = "sent again once, with a new access token"  # noqa: S105 (no password)
    FOLLOW = "done already: the resource is read"
    RAISE = "raised"
    UNKNOWN = "raised as OutcomeUnknown"


MATRIX: Mapping[Failure, Mapping[Repeat, RetryAction]] = {
    Failure.NOT_SENT: dict.fromkeys(Repeat, RetryAction.AGAIN),
    Failure.LOST: {Repeat.SAFE: RetryAction.AGAIN, Repeat.KEYED: RetryAction.AGAIN, Repeat.NEVER: RetryAction.UNKNOWN},
    Failure.SERVER_ERROR: {
        Repeat.SAFE: RetryAction.AGAIN,
        Repeat.KEYED: RetryAction.AGAIN,
        Repeat.NEVER: RetryAction.UNKNOWN,
    },
    Failure.UNREADABLE: {
        Repeat.SAFE: RetryAction.RAISE,
        Repeat.KEYED: RetryAction.AGAIN,
        Repeat.NEVER: RetryAction.UNKNOWN,
    },
    Failure.REDIRECTED: {
        Repeat.SAFE: RetryAction.RAISE,
        Repeat.KEYED: RetryAction.UNKNOWN,
        Repeat.NEVER: RetryAction.UNKNOWN,
    },
    Failure.RATE_LIMITED: dict.fromkeys(Repeat, RetryAction.AGAIN),
    Failure.UNAUTHORIZED: dict.fromkeys(Repeat, RetryAction.AGAIN_WITH_NEW_TOKEN),
    Failure.KEY_IN_PROGRESS: {
        Repeat.SAFE: RetryAction.RAISE,
        Repeat.KEYED: RetryAction.AGAIN,
        Repeat.NEVER: RetryAction.RAISE,
    },
    Failure.KEY_COMPLETED: {
        Repeat.SAFE: RetryAction.RAISE,
        Repeat.KEYED: RetryAction.FOLLOW,
        Repeat.NEVER: RetryAction.RAISE,
    },
    Failure.KEY_INDETERMINATE: {
        Repeat.SAFE: RetryAction.RAISE,
        Repeat.KEYED: RetryAction.UNKNOWN,
        Repeat.NEVER: RetryAction.RAISE,
    },
    Failure.KEY_REUSED: dict.fromkeys(Repeat, RetryAction.RAISE),
    Failure.REJECTED: dict.fromkeys(Repeat, RetryAction.RAISE),
}
"""Failure → kind of operation → action. The documentation prints this table, as :func:`matrix_table` writes it."""

IN_DOUBT = frozenset(
    {
        Failure.LOST,
        Failure.SERVER_ERROR,
        Failure.UNREADABLE,
        Failure.REDIRECTED,
        Failure.KEY_IN_PROGRESS,
        Failure.KEY_COMPLETED,
        Failure.KEY_INDETERMINATE,
    }
)
"""Failures after which a write may have taken effect."""

BUDGETED = frozenset({Failure.NOT_SENT, Failure.LOST, Failure.SERVER_ERROR, Failure.UNREADABLE})
"""Failures whose repeats ``attempts`` and the shared budget bound."""

PACED = frozenset({Failure.RATE_LIMITED, Failure.KEY_IN_PROGRESS})
"""Failures by which a sound server says "later": ``refusals`` bounds their repeats."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast a call is sent again.

    ``attempts`` counts the first one, ``refusals`` the answers that say "later" (429, a create still under way); delays
    are seconds; ``budget_ratio`` bounds all repeats after failures to that share of a client's calls, on top of
    ``budget_reserve`` repeats that are there from the start; a server that asks to wait longer than ``retry_after_cap``
    seconds gets no further request from the call.
    """

    attempts: int = 4
    refusals: int = 20
    first_delay: float = 0.25
    longest_delay: float = 8.0
    budget_ratio: float = 0.1
    budget_reserve: float = 10.0
    retry_after_cap: float = 120.0


class RetryBudget:
    """Repeats that a client may still make: each call adds a fraction of one, each repeat takes one."""

    __slots__ = ("_credit", "_largest", "_ratio", "calls")

    def __init__(self, policy: RetryPolicy) -> None:
        self._ratio = policy.budget_ratio
        self._largest = policy.budget_reserve
        self._credit = policy.budget_reserve
        self.calls = 0
        """Begun since somebody last asked whether a repeat is left."""

    def available(self) -> bool:
        """Whether a repeat is left."""
        self._credit = min(self._largest, self._credit + self._ratio * self.calls)
        self.calls = 0
        return self._credit >= 1.0

    def take(self) -> None:
        """Take one repeat."""
        self._credit -= 1.0


def classify(error: SpotifyAdsError) -> Failure:
    """The kind of failure that ``error``, raised by one attempt, stands for."""
    match error:
        case ConnectionFailed():
            return Failure.LOST if error.may_have_taken_effect else Failure.NOT_SENT
        case ServerError():
            return Failure.SERVER_ERROR
        case InvalidAnswer():
            return Failure.REDIRECTED if 300 <= (error.status or 0) < 400 else Failure.UNREADABLE
        case RateLimited():
            return Failure.RATE_LIMITED
        case AuthenticationError(status=401):
            return Failure.UNAUTHORIZED
        case Conflict():
            return _classify_conflict({entry.code for entry in error.error_codes})
        case _:
            return Failure.REJECTED


def _classify_conflict(codes: set[str]) -> Failure:
    for failure, ending in (
        (Failure.KEY_IN_PROGRESS, "_IN_PROGRESS"),
        (Failure.KEY_COMPLETED, "_ALREADY_COMPLETED"),
        (Failure.KEY_INDETERMINATE, "_OUTCOME_INDETERMINATE"),
        (Failure.KEY_REUSED, "_KEY_REUSED"),
    ):
        if any(code.startswith("IDEMPOTENCY") and code.endswith(ending) for code in codes):
            return failure
    return Failure.REJECTED


def backoff(policy: RetryPolicy, attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait after the failure of the ``attempt``-th attempt (from 1): exponential, with full jitter."""
    return random() * min(policy.longest_delay, policy.first_delay * 2.0 ** (attempt - 1))


def matrix_table() -> str:
    """The matrix in Markdown, one row a failure and one column a kind of operation."""
    kinds = {Repeat.SAFE: "reads, deletes of drafts", Repeat.KEYED: "creates with a key", Repeat.NEVER: "other writes"}
    lines = ["| what happened | " + " | ".join(kinds.values()) + " |", "|---|" + "---|" * len(kinds)]
    lines.extend(
        f"| {failure.value} | " + " | ".join(row[kind].value for kind in kinds) + " |"
        for failure, row in MATRIX.items()
    )
    return "\n".join(lines)
