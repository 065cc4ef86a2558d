"""The ways in which a server, or the way to it, can fail.

Behaviours of the raw server, and what must follow from each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spotify_ads_async import (
    AuthenticationError,
    Conflict,
    InvalidAnswer,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RequestRejected,
    SpotifyAdsError,
    TransportOptions,
)
from support.raw_server import Behaviour, Connection, answer, raw, reset, stall, stall_after

AGAIN = None
"""The call is sent once more, and succeeds if the server does."""

Follows = type[SpotifyAdsError] | None


@dataclass(frozen=True)
class Fault:
    """What goes wrong once, and what follows for calls that are safe, keyed, or neither.

    An error, or another attempt.
    """

    behaviour: Behaviour
    safe: Follows = AGAIN
    keyed: Follows = AGAIN
    never: Follows = OutcomeUnknown
    needs_answer: bool = False
    """Whether only calls notice that expect an answer with a body."""


def refusing(error: type[SpotifyAdsError], behaviour: Behaviour) -> Fault:
    """A fault that surely took no effect and that no repeat mends."""
    return Fault(behaviour, error, error, error)


def harmless(behaviour: Behaviour) -> Fault:
    """A fault that surely took no effect and asks for another attempt."""
    return Fault(behaviour, never=AGAIN)


def unreadable(behaviour: Behaviour, *, needs_answer: bool = True) -> Fault:
    return Fault(behaviour, safe=InvalidAnswer, needs_answer=needs_answer)


def failed(status: int, body: object = None, **headers: str) -> Behaviour:
    said = (
        {"sp_trace_id": "trace", "messages": ["no"], "error_codes": [{"code": "NO", "definition": "no"}]}
        if body is None
        else body
    )
    return answer(status, said, headers={name.replace("_", "-"): value for name, value in headers.items()})


def conflict(code: str, **fields: str) -> Behaviour:
    return failed(409, {"error_codes": [{"code": code, "definition": "x"}], **fields}, Retry_After="0")


async def closed(connection: Connection) -> None:
    connection.keep = False


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"
TRANSPORT: Mapping[str, Fault] = {
    "reset after sending": Fault(reset),
    "closed after sending": Fault(closed),
    "reset amid the head": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-Le", then_reset=True)),
    "closed amid the head": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-Le")),
    "reset amid the answer": Fault(raw(HEAD + b'{"id": "d1f', then_reset=True)),
    "truncated": Fault(raw(HEAD + b'{"id": "d1f')),
    "truncated, chunked": Fault(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{}")),
    "compression broken": Fault(
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08X")
    ),
}
STALLS: Mapping[str, Fault] = {
    "stalled head": Fault(stall),
    "stalled body": Fault(stall_after(HEAD + b'{"id": "d1f')),
}
STATUSES: Mapping[str, Fault] = {
    **{str(status): Fault(failed(status)) for status in (500, 502, 503, 504, 599)},
    "500 in HTML": Fault(failed(500, b"<html>", Content_Type="text/html")),
    "503 with Retry-After": Fault(failed(503, Retry_After="0")),
    "400": refusing(RequestRejected, failed(400)),
    "400 without a body": refusing(RequestRejected, failed(400, b"")),
    "403": refusing(PermissionDenied, failed(403)),
    "404": refusing(NotFound, failed(404)),
    "409": refusing(Conflict, failed(409)),
    "418": refusing(RequestRejected, failed(418)),
    "422": refusing(RequestRejected, failed(422)),
    "401": refusing(AuthenticationError, failed(401)),
    "redirect": Fault(failed(307, Location="https://example.com/"), InvalidAnswer, OutcomeUnknown, OutcomeUnknown),
    "redirect to where it was": Fault(
        failed(302, b"", Location="/ads/v3"), InvalidAnswer, OutcomeUnknown, OutcomeUnknown
    ),
}
REFUSALS: Mapping[str, Fault] = {
    "429": harmless(failed(429)),
    "429 without a body": harmless(failed(429, b"")),
    "429 with Retry-After 0": harmless(failed(429, Retry_After="0")),
    "429 with Retry-After": harmless(failed(429, Retry_After="0.01")),
    "429 with a past date": harmless(failed(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")),
    "429 with nonsense": harmless(failed(429, Retry_After="soon", X_RateLimit_Limit="-1", X_RateLimit_Reset="x")),
    "429 with X-RateLimit": harmless(
        failed(429, X_RateLimit_Limit="1500", X_RateLimit_Remaining="0", X_RateLimit_Reset="0")
    ),
    "429 for 22 hours": refusing(RateLimited, failed(429, Retry_After="79892")),
    "429 until 2099": refusing(RateLimited, failed(429, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT")),
}
CREATED = "/ads/v3/ad_accounts/ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a/campaigns/d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1"
KEYS: Mapping[str, Fault] = {
    "key in progress": Fault(conflict("IDEMPOTENCY_REQUEST_IN_PROGRESS"), Conflict, AGAIN, Conflict),
    "key completed": Fault(
        conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=CREATED), Conflict, AGAIN, Conflict
    ),
    "key completed, nowhere": Fault(
        conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED"), Conflict, OutcomeUnknown, Conflict
    ),
    "key indeterminate": Fault(conflict("IDEMPOTENCY_OUTCOME_INDETERMINATE"), Conflict, OutcomeUnknown, Conflict),
    "key reused": Fault(conflict("IDEMPOTENCY_KEY_REUSED"), Conflict, Conflict, Conflict),
}
ANSWERS: Mapping[str, Fault] = {
    "not HTTP": unreadable(raw(b"\x16\x03\x01 garbage\r\n\r\n"), needs_answer=False),
    "empty": unreadable(answer(200, b"")),
    "HTML": unreadable(answer(200, b"<html>Welcome to the hotel</html>", headers={"Content-Type": "text/html"})),
    "not JSON": unreadable(answer(200, b'{"id": ')),
    "another shape": unreadable(answer(200, b"[1, 2]")),
    "not UTF-8": unreadable(answer(200, b"\xff\xfe{}")),
    "too deep": unreadable(answer(200, b"[" * 100_000)),
    "too large": unreadable(answer(200, b'"' + b"x" * 300_000 + b'"'), needs_answer=False),
}
EVERY: Mapping[str, Fault] = TRANSPORT | STALLS | STATUSES | REFUSALS | KEYS | ANSWERS
LARGEST_ANSWER = 200_000
OPTIONS: dict[str, object] = {"transport": TransportOptions(largest_answer=LARGEST_ANSWER)}
