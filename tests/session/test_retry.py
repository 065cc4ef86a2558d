"""Whether, how often and after how long a call is sent again, as decided before anything is sent."""

from __future__ import annotations

import pytest

from spotify_ads_async import (
    AuthenticationError,
    Conflict,
    ConnectionFailed,
    InvalidAnswer,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.core.retry import Failure, RetryBudget, backoff, classify
from spotify_ads_async.errors import ErrorCode


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionFailed("x"), Failure.NOT_SENT),
        (ConnectionFailed("x", may_have_taken_effect=True), Failure.LOST),
        (ServerError("x", status=503), Failure.SERVER_ERROR),
        (InvalidAnswer("x", status=200), Failure.UNREADABLE),
        (InvalidAnswer("x"), Failure.UNREADABLE),
        (InvalidAnswer("x", status=299), Failure.UNREADABLE),
        (InvalidAnswer("x", status=300), Failure.REDIRECTED),
        (InvalidAnswer("x", status=399), Failure.REDIRECTED),
        (InvalidAnswer("x", status=400), Failure.UNREADABLE),
        (RateLimited("x", status=429), Failure.RATE_LIMITED),
        (AuthenticationError("x", status=401), Failure.UNAUTHORIZED),
        (AuthenticationError("x", status=400), Failure.REJECTED),
        (NotFound("x", status=404), Failure.REJECTED),
        (Conflict("x", status=409), Failure.REJECTED),
    ],
    ids=lambda value: value.name if isinstance(value, Failure) else f"{type(value).__name__} {value.status}",
)
def test_an_error_stands_for_one_kind_of_failure(error: SpotifyAdsError, failure: Failure) -> None:
    assert classify(error) is failure


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("IDEMPOTENCY_REQUEST_IN_PROGRESS", Failure.KEY_IN_PROGRESS),
        ("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", Failure.KEY_COMPLETED),
        ("IDEMPOTENCY_OUTCOME_INDETERMINATE", Failure.KEY_INDETERMINATE),
        ("IDEMPOTENCY_KEY_REUSED", Failure.KEY_REUSED),
        ("IDEMPOTENCY_OF_ANOTHER_KIND", Failure.REJECTED),
        ("REPORT_IN_PROGRESS", Failure.REJECTED),
    ],
)
def test_a_conflict_of_keys_is_told_by_its_code_among_others(code: str, failure: Failure) -> None:
    codes = [ErrorCode(code="OTHER"), ErrorCode(code=code)]
    assert classify(Conflict("x", status=409, error_codes=codes)) is failure


def taken(budget: RetryBudget, calls: int = 0) -> int:
    """How many repeats a budget allows after so many calls."""
    budget.calls += calls
    count = 0
    while budget.available():
        budget.take()
        count += 1
    return count


def test_a_budget_has_its_reserve_and_a_share_of_the_calls() -> None:
    budget = RetryBudget(RetryPolicy(budget_reserve=3.0, budget_ratio=0.5))
    assert taken(budget) == 3
    assert taken(budget) == 0
    assert taken(budget, calls=1) == 0
    assert taken(budget, calls=1) == 1
    assert taken(budget, calls=4) == 2
    assert taken(budget, calls=1000) == 3, "no more than the reserve is saved up"


@pytest.mark.parametrize(
    ("attempt", "share", "seconds"), [(1, 1.0, 0.25), (2, 1.0, 0.5), (3, 0.5, 0.5), (6, 1.0, 8.0), (9, 0.5, 4.0)]
)
def test_delays_double_up_to_the_longest_with_full_jitter(attempt: int, share: float, seconds: float) -> None:
    assert backoff(RetryPolicy(first_delay=0.25, longest_delay=8.0), attempt, lambda: share) == seconds
