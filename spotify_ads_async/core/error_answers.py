"""From an answer that is no success to the error that it stands for. The body may be anything, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from spotify_ads_async import errors
from spotify_ads_async.errors import Denial, ErrorCode, InvalidAnswer, RequestRejected, ServerError, SpotifyAdsError
from spotify_ads_async.operation import Operation, Repeat

__all__ = ["error", "excerpt", "resource_uri", "unreadable"]

_BY_STATUS: Mapping[int, type[RequestRejected]] = {
    401: errors.AuthenticationError,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    429: errors.RateLimited,
}

_WHAT_TO_DO: Mapping[int, str] = {
    401: "the access token was refused: check the credentials, or sign in again",
    404: "there is no such thing, or this user cannot see it: check the ids",
    409: "the request contradicts the present state: read it again",
    429: "too many requests: something else spends the same quota",
}

# Where the terms are accepted, and that it is done for each client ID and takes effect within an hour: Spotify's
# tooling for the API.
_TERMS = (
    "accept them at https://adsmanager.spotify.com/api-terms with the ad account selected; it takes effect within an"
    " hour"
)
_WHAT_TO_DO_WHEN_DENIED: Mapping[Denial, str] = {
    Denial.TERMS: f"the API's terms are not accepted for this app's client ID: {_TERMS}",
    Denial.AD_ACCOUNT: (
        "this user and app may not use this ad account, whichever others answer: let one of its admins give the user a "
        f"role in it; where the API's terms were never accepted for it, {_TERMS}"
    ),
    Denial.BUSINESS: (
        "this user may not use this business, whichever others answer: let one of its admins give the user a role in it"
    ),
    Denial.EVERYTHING: (
        "this user and app may not use the API at all: most often its terms are not accepted for the app's client ID "
        f"({_TERMS}), or the user has no ad account"
    ),
}
_ABOUT_TERMS = "(?i)(?<![a-z])terms(?![a-z])"

_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
_LONGEST_EXCERPT = 200
_LONGEST_SAID = 2000
_DEEPEST_URI = 4


def error(operation: Operation[Any], *, status: int, retry_after: float | None, body: bytes) -> SpotifyAdsError:
    """The error that an answer outside of 2xx stands for. The body may be anything, or nothing."""
    details = _details(body)
    facts = _folded(details)
    messages = [text for text in _as_list(facts.get("messages")) if isinstance(text, str)]
    codes = [
        ErrorCode(code=_text_of(entry, "code"), definition=_text_of(entry, "definition"))
        for entry in map(_folded, _as_list(facts.get("errorcodes")))
    ]
    told = [*messages, *(f"{one.code}: {one.definition}" if one.definition else one.code for one in codes)]
    said = _printable("; ".join(told)[:_LONGEST_SAID]) or _said_in(body, details)
    if status < 200:
        return unreadable(operation, status, "the status of the answer ends no request, so what stands there is none")
    if 300 <= status < 400:
        return unreadable(
            operation,
            status,
            "the server redirects; redirects are not followed, so that the access token stays with the API",
        )
    waits_for_data = status == 422 and "reporting" in operation.limits
    kind: type[SpotifyAdsError] = ServerError if status >= 500 else _BY_STATUS.get(status, RequestRejected)
    if waits_for_data:
        kind = errors.NotEnoughData
    denial = _denial(operation, told) if status == 403 else None
    if denial is not None:
        advice = _WHAT_TO_DO_WHEN_DENIED[denial]
    elif waits_for_data:
        advice = "there is not enough data yet: ask again tomorrow"
    else:
        advice = _WHAT_TO_DO.get(
            status, "the server failed" if status >= 500 else "the request was refused for what it says"
        )
    if any(one.code == _KEY_REUSED for one in codes):
        advice = "this idempotency key belongs to another request: use a key once, or leave it to the client"
    problem = kind(
        f"{advice}; the server says: {said}" if said else advice,
        operation=operation.id,
        status=status,
        trace_id=excerpt(_text_of(facts, "sptraceid")) or None,
        messages=messages,
        error_codes=codes,
        details=details,
        may_have_taken_effect=status >= 500 and operation.repeat is not Repeat.SAFE,
    )
    if isinstance(problem, errors.RateLimited):
        problem.retry_after = retry_after
    if isinstance(problem, errors.PermissionDenied):
        problem.denial = denial
    return problem


def _denial(operation: Operation[Any], told: Sequence[str]) -> Denial:
    """What a 403 is about: from the server's words, or from what the operation belongs to."""
    if any(re.search(_ABOUT_TERMS, one) for one in told):
        return Denial.TERMS
    if "{ad_account_id}" in operation.path:
        return Denial.AD_ACCOUNT
    return Denial.BUSINESS if "{business_id}" in operation.path else Denial.EVERYTHING


def resource_uri(problem: SpotifyAdsError) -> str | None:
    """Where the server says that the thing already stands (409 with a completed idempotency key)."""
    return _found_uri(problem.details, _DEEPEST_URI)


def _found_uri(value: object, levels: int) -> str | None:
    """The first ``resource_uri`` in ``value``: which level holds it is not published."""
    facts = _folded(value)
    found = facts.get("resourceuri")
    if isinstance(found, str):
        return found
    inner = [*facts.values(), *_as_list(value)]
    return next((uri for one in inner if levels and (uri := _found_uri(one, levels - 1))), None)


def _details(body: bytes) -> Mapping[str, object]:
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return cast("Mapping[str, object]", decoded) if isinstance(decoded, dict) else {}


def _folded(value: object) -> Mapping[str, object]:
    """A mapping's keys without casing and separators, which vary between endpoints; anything else has none."""
    if not isinstance(value, Mapping):
        return {}
    mapping = cast("Mapping[object, object]", value)
    return {str(key).replace("_", "").replace("-", "").lower(): value for key, value in mapping.items()}


def _text_of(facts: Mapping[str, object], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _said_in(body: bytes, details: Mapping[str, object]) -> str:
    """A piece of a body without messages."""
    return "" if details else excerpt(body[:_LONGEST_EXCERPT].decode("utf-8", "replace"))


def excerpt(text: str) -> str:
    """A short piece of what a server says, without what a terminal could obey."""
    return _printable(text[:_LONGEST_EXCERPT])


def _printable(text: str) -> str:
    """``text`` without what a terminal could obey."""
    return "".join(one if one.isprintable() else " " for one in text).strip()


def unreadable(operation: Operation[Any], status: int, message: str) -> InvalidAnswer:
    """The error for an answer that cannot be read: whether a write took effect, nothing tells."""
    return InvalidAnswer(
        message, operation=operation.id, status=status, may_have_taken_effect=operation.repeat is not Repeat.SAFE
    )
