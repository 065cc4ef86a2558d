"""What handlers give back: an answer, or a refusal in the API's own error shape."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from spotify_ads_async.errors import Portable

__all__ = ["Refusal", "Response", "missing", "refused"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "BAD_REQUEST": "The request breaks a rule of the API; correct it before sending it again.",
        "CONFLICT": "The request contradicts the present state.",
        "FORBIDDEN": "The user behind the token may not do this.",
        "IDEMPOTENCY_KEY_REUSED": "The key was used for another request; every request needs its own.",
        "IDEMPOTENCY_OUTCOME_INDETERMINATE": "Nobody knows whether the first request took effect; look it up.",
        "IDEMPOTENCY_REQUEST_ALREADY_COMPLETED": (
            "The first request with this key succeeded; resource_uri names its result."
        ),
        "IDEMPOTENCY_REQUEST_IN_PROGRESS": "The first request with this key still runs; send it again later.",
        "INSUFFICIENT_DATA": "There is not enough data for this report yet; ask again tomorrow.",
        "INTERNAL_ERROR": "The server failed.",
        "LIMIT_EXCEEDED": "There are as many as there may be; remove one first.",
        "METHOD_NOT_ALLOWED": "The path does not take this method.",
        "MISDIRECTED_REQUEST": "The request was meant for another server.",
        "NOT_FOUND": "There is no such thing, or this user cannot see it.",
        "RATE_LIMITED": "Too many requests; wait for the time in Retry-After.",
        "SERVICE_UNAVAILABLE": "The service is not available at the moment.",
        "UNAUTHORIZED": "The access token is missing, unknown or expired.",
    }
)


class Response(msgspec.Struct):
    """A successful answer: ``content`` is encoded as JSON unless it is bytes already, or None for 204.

    ``rows_in`` names the attribute of ``content`` that holds rows of a table, where it is a page of them.
    """

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = _NO_HEADERS
    rows_in: str = ""


class Refusal(Portable):
    """A request that is refused.

    Attributes:
        status: the HTTP status that suits best; where the document does not declare it for the operation, a declared
            one is sent.
        code: the entry of ``error_codes``.
        messages: what is wrong, one sentence each.
        extra: further attributes of the answer's body.
        headers: further headers of the answer.
        exact: whether the status is sent though the document declares it nowhere.
    """

    def __init__(
        self,
        status: int,
        code: str,
        *messages: str,
        extra: Mapping[str, Any] = _NO_HEADERS,
        headers: Mapping[str, str] = _NO_HEADERS,
        exact: bool = False,
    ) -> None:
        super().__init__(*messages)
        self.status = status
        self.code = code
        self.messages = messages
        self.extra = extra
        self.headers = headers
        self.exact = exact

    def content(self, trace_id: str) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "sp_trace_id": trace_id,
            "messages": list(self.messages),
            "error_codes": [{"code": self.code, "definition": DEFINITIONS.get(self.code, self.code)}],
            **self.extra,
        }


def refused(message: str, **extra: Any) -> Refusal:  # noqa: ANN401 - attributes of a JSON body
    """The refusal of a request that breaks a rule: 400."""
    return Refusal(400, "BAD_REQUEST", message, extra=extra)


def missing(what: str, identifier: str) -> Refusal:
    """The refusal of a request for something that is not there: 404."""
    return Refusal(404, "NOT_FOUND", f"{what} {identifier} was not found")
