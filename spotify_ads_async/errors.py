"""Every error that the package raises: one small tree under :class:`SpotifyAdsError`.

Each says what happened, to which operation, whether the request may have taken effect, and what to do.
"""

from __future__ import annotations

import enum
import pickle
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "Conflict",
    "ConnectionFailed",
    "Denial",
    "ErrorCode",
    "InvalidAnswer",
    "InvalidRequest",
    "NotEnoughData",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "Portable",
    "QuotaTimeout",
    "RateLimited",
    "RequestRejected",
    "ServerError",
    "SpotifyAdsError",
    "StoreUnavailable",
    "WalkIncomplete",
    "may_have_left",
    "say_whether_left",
]


class ErrorCode(msgspec.Struct, frozen=True):
    """One entry of an error answer's ``error_codes``."""

    code: str = ""
    definition: str = ""


class Portable(Exception):
    """An error that comes through pickle and copy with all that it holds: to another process, or from a task queue.

    What cannot be pickled, such as a lock that somebody gave as a value, becomes its repr.
    """

    def __reduce__(self) -> tuple[object, ...]:
        cause = _portable(self.__cause__)
        state = {name: _portable(value) for name, value in vars(self).items()}
        return (
            _restored,
            (type(self), tuple(map(_portable, self.args))),
            state if cause is None else {**state, "__cause__": cause},
        )


def _restored(kind: type[BaseException], arguments: tuple[object, ...]) -> BaseException:
    # Not through __init__, which may take other arguments than those that the error shows.
    return kind.__new__(kind, *arguments)


def _portable(value: object) -> object:
    if isinstance(value, Portable):  # a chain of them is not to be gone through once for each of its links
        return value
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 (it was made here)
    except Exception:  # noqa: BLE001 (whatever a value raises)
        return None if isinstance(value, BaseException) else repr(value)
    return value


class SpotifyAdsError(Portable):
    """The root of the tree.

    Attributes:
        operation: the operationId of the call, or None outside of a call.
        status: the HTTP status of the answer, or None where there was no answer.
        trace_id: ``sp_trace_id`` of the answer; Spotify's support asks for it.
        messages: the answer's messages.
        error_codes: the answer's codes with their definitions.
        details: the whole error body as the server sent it, empty where it was no JSON object.
        may_have_taken_effect: whether the request may have changed something at the server.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        status: int | None = None,
        trace_id: str | None = None,
        messages: Sequence[str] = (),
        error_codes: Sequence[ErrorCode] = (),
        details: Mapping[str, object] | None = None,
        may_have_taken_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.status = status
        self.trace_id = trace_id
        self.messages = tuple(messages)
        self.error_codes = tuple(error_codes)
        self.details: Mapping[str, object] = details or {}
        self.may_have_taken_effect = may_have_taken_effect

    def __str__(self) -> str:
        head = f"{self.operation}: {self.message}" if self.operation else self.message
        facts = [
            *(f"HTTP {self.status}" for _ in range(self.status is not None)),
            *(f"sp_trace_id {self.trace_id}" for _ in range(bool(self.trace_id))),
            *("it may have taken effect" for _ in range(self.may_have_taken_effect)),
        ]
        return f"{head} ({', '.join(facts)})" if facts else head


_MAY_HAVE_LEFT = "request_may_have_left"


def say_whether_left(error: BaseException, *, may_have_left: bool) -> None:
    """Write on what ended a call, such as a cancellation, whether a request of it may have left."""
    setattr(error, _MAY_HAVE_LEFT, may_have_left)


def may_have_left(error: BaseException) -> bool:
    """Whether a request of the call that this ended may have left; true where nothing is known."""
    return getattr(error, _MAY_HAVE_LEFT, True)


class ConfigurationError(SpotifyAdsError):
    """A setting is missing or contradicts another; nothing left this machine."""


class InvalidRequest(SpotifyAdsError):
    """The request breaks a published rule; nothing left this machine and no quota was spent.

    Attributes:
        path: where, for example ``body.targets.geo_targets`` or ``query.limit``.
        value: the value that broke the rule.
        rule: the rule, in words.
    """

    def __init__(
        self, message: str, *, operation: str | None = None, path: str = "", value: object = None, rule: str = ""
    ) -> None:
        super().__init__(message, operation=operation)
        self.path = path
        self.value = value
        self.rule = rule


class QuotaTimeout(SpotifyAdsError):
    """Waiting for quota would take longer than ``max_wait`` allows; nothing was spent.

    Attributes:
        predicted_wait: seconds until this request could have left; while a store is away, if it came back now.
        limit: the name of the limit that binds.
    """

    def __init__(self, message: str, *, predicted_wait: float, limit: str, operation: str | None = None) -> None:
        super().__init__(message, operation=operation)
        self.predicted_wait = predicted_wait
        self.limit = limit


class StoreUnavailable(SpotifyAdsError):
    """The shared quota store cannot be reached and the governor was told to fail then; nothing left."""


class RequestRejected(SpotifyAdsError):
    """The server refused the request for what it says (a 4xx without a class of its own); it took no effect."""


class RateLimited(RequestRejected):
    """The server refused for too many requests (429) and asks for a longer wait than the cap allows.

    Attributes:
        retry_after: seconds that the server asks to wait, or None where it named none.
    """

    retry_after: float | None = None


class AuthenticationError(RequestRejected):
    """The credentials were refused (401, or a refused token refresh)."""


class Denial(enum.StrEnum):
    """What a 403 is about, as far as one answer tells."""

    TERMS = "terms"
    """The API's terms are not accepted for the app's client ID. The server's own words say so."""
    AD_ACCOUNT = "ad_account"
    """One ad account: others may answer, though a business lists them all alike."""
    BUSINESS = "business"
    """One business: others may answer."""
    EVERYTHING = "everything"
    """What belongs to no account and no business: nothing will answer until that is mended."""


class PermissionDenied(RequestRejected):
    """The user behind the token may not do this (403).

    Attributes:
        denial: what is denied; the message says what to do about it.
    """

    denial: Denial | None = None


class NotFound(RequestRejected):
    """No such thing, or not visible to this user (404)."""


class Conflict(RequestRejected):
    """The request contradicts the present state (409)."""


class NotEnoughData(RequestRejected):
    """An insight report has not enough data yet (422); ask again at most daily."""


class ServerError(SpotifyAdsError):
    """The server failed (5xx)."""


class ConnectionFailed(SpotifyAdsError):
    """No answer came: the connection failed, was reset, or timed out."""


class InvalidAnswer(SpotifyAdsError):
    """An answer that cannot be read: truncated, not JSON, of another shape or thing, too large, or a redirect."""


class OutcomeUnknown(SpotifyAdsError):
    """A write left and no answer tells whether it took effect: look before sending it again.

    Attributes:
        cause: the error that took the answer away.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: Exception,
        operation: str | None = None,
        status: int | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message, operation=operation, status=status, trace_id=trace_id, may_have_taken_effect=True)
        self.cause = cause


class WalkIncomplete(SpotifyAdsError):
    """A list could not be walked to its end: rows are missing, or the server repeats itself.

    The rows that came are sound.

    Attributes:
        missing: how many rows are missing at least, or None where that cannot be known.
        yielded: how many rows came.
    """

    def __init__(
        self, message: str, *, operation: str | None = None, missing: int | None = None, yielded: int = 0
    ) -> None:
        super().__init__(message, operation=operation)
        self.missing = missing
        self.yielded = yielded
