"""From an answer that is no success to the error that it stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import calls

from spotify_ads_async import (
    AuthenticationError,
    Conflict,
    InvalidAnswer,
    NotEnoughData,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestRejected,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.core.error_answers import error, resource_uri
from spotify_ads_async.errors import Denial, ErrorCode
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import GET_AGGREGATE_REPORT, GET_BUSINESS, GET_BUSINESSES

READ, WRITE = calls.READ.operation, calls.WRITE.operation
FAILED = "the server failed"
REFUSED = "the request was refused for what it says"
REDIRECTS = "the server redirects; redirects are not followed, so that the access token stays with the API"
UNENDED = "the status of the answer ends no request, so what stands there is none"
MISSING = "there is no such thing, or this user cannot see it: check the ids"
TOO_MANY = "too many requests: something else spends the same quota"
CONTRADICTS = "the request contradicts the present state: read it again"
UNSIGNED = "the access token was refused: check the credentials, or sign in again"


def of(operation: Operation[Any], status: int, body: object = b"", retry_after: float | None = None) -> SpotifyAdsError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error(operation, status=status, retry_after=retry_after, body=data)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (199, InvalidAnswer, UNENDED),
        (300, InvalidAnswer, REDIRECTS),
        (399, InvalidAnswer, REDIRECTS),
        (400, RequestRejected, REFUSED),
        (401, AuthenticationError, UNSIGNED),
        (404, NotFound, MISSING),
        (409, Conflict, CONTRADICTS),
        (422, RequestRejected, REFUSED),
        (429, RateLimited, TOO_MANY),
        (499, RequestRejected, REFUSED),
        (500, ServerError, FAILED),
        (599, ServerError, FAILED),
    ],
)
def test_a_status_stands_for_one_error_and_says_what_to_do(status: int, kind: type[SpotifyAdsError], said: str) -> None:
    for operation in (READ, WRITE):
        problem = of(operation, status, retry_after=7.0)
        assert type(problem) is kind
        assert (problem.message, problem.operation, problem.status) == (said, operation.id, status)
        in_doubt = kind in {ServerError, InvalidAnswer} and operation is WRITE
        assert problem.may_have_taken_effect is in_doubt
        assert (problem.messages, problem.error_codes, problem.trace_id, problem.details) == ((), (), None, {})
        assert getattr(problem, "retry_after", 7.0) == 7.0


def test_a_report_without_enough_data_is_asked_for_again_tomorrow() -> None:
    problem = of(GET_AGGREGATE_REPORT, 422)
    assert type(problem) is NotEnoughData
    assert problem.message == "there is not enough data yet: ask again tomorrow"
    assert type(of(GET_AGGREGATE_REPORT, 421)) is RequestRejected


@pytest.mark.parametrize(
    ("operation", "said", "denial", "advice"),
    [
        (READ, "The Terms are new", Denial.TERMS, "the API's terms are not accepted for this app's client ID: accept"),
        (READ, "determsined", Denial.AD_ACCOUNT, "this user and app may not use this ad account, whichever others"),
        (GET_BUSINESS, "no", Denial.BUSINESS, "this user may not use this business, whichever others answer: let"),
        (GET_BUSINESSES, "no", Denial.EVERYTHING, "this user and app may not use the API at all: most often its"),
    ],
)
def test_a_denial_says_of_what(operation: Operation[Any], said: str, denial: Denial, advice: str) -> None:
    problem = of(operation, 403, {"messages": ["first", said]})
    assert isinstance(problem, PermissionDenied)
    assert problem.denial is denial
    assert problem.message.startswith(advice)
    assert problem.message.endswith(f"; the server says: first; {said}")


def test_all_that_a_server_says_is_kept_and_shown_without_what_a_terminal_obeys() -> None:
    body = {
        "Messages": ["one\x1b[2J", 7, "two"],
        "errorCodes": [{"Code": "A", "definition": "why"}, {"code": "B"}, "C", {"code": 1}],
        "sp_trace-id": f" {'t' * 199}\ncut",
    }
    problem = of(READ, 400, body)
    assert problem.messages == ("one\x1b[2J", "two")
    assert problem.error_codes == (
        ErrorCode(code="A", definition="why"),
        ErrorCode(code="B", definition=""),
        ErrorCode(code="", definition=""),
        ErrorCode(code="", definition=""),
    )
    assert problem.trace_id == "t" * 199
    assert problem.details == body
    assert problem.message == f"{REFUSED}; the server says: one [2J; two; A: why; B; ;"
    assert of(READ, 400, {"messages": ["x" * 3000]}).message.endswith(": " + "x" * 2000)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<h1>\xff no\x07</h1>" + b"x" * 200, "<h1>\ufffd no </h1>" + "x" * 186),
        (b"[1]", "[1]"),
        (b'{"other": 1}', ""),
        (b"{" * 100_000, "{" * 200),
        (b"", ""),
    ],
)
def test_of_a_body_without_messages_a_piece_is_shown(body: bytes, shown: str) -> None:
    assert of(READ, 400, body).message == (f"{REFUSED}; the server says: {shown}" if shown else REFUSED)


def test_a_key_that_another_request_used_says_so() -> None:
    codes = {"error_codes": [{"code": "OTHER"}, {"code": "IDEMPOTENCY_KEY_REUSED"}]}
    said = "this idempotency key belongs to another request: use a key once, or leave it to the client"
    assert of(calls.CREATE.operation, 409, codes).message == f"{said}; the server says: OTHER; IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("details", "found"),
    [
        ({"resource_uri": "/a"}, "/a"),
        ({"resourceUri": 1, "error": {"Resource-URI": "/b"}}, "/b"),
        ({"errors": [{"x": 1}, {"more": {"resource_uri": "/c"}}, {"resource_uri": "/d"}]}, "/c"),
        ({"1": {"2": {"3": {"4": {"resource_uri": "/deep"}}}}}, "/deep"),
        ({"1": {"2": {"3": {"4": {"5": {"resource_uri": "/too deep"}}}}}}, None),
        ({}, None),
    ],
)
def test_where_the_thing_stands_is_found_at_the_level_that_holds_it(details: object, found: str | None) -> None:
    assert resource_uri(of(calls.CREATE.operation, 409, details)) == found
