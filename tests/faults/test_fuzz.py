"""Mutated answers: only ever structs, or errors of the package's own tree."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import calls
from support.calls import client
from support.effort import examples
from support.raw_server import RawServer, answer, raw

from spotify_ads_async import RetryPolicy, SpotifyAdsError, TransportOptions
from spotify_ads_async.core import error_answers, wire
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import (
    CREATE_AUDIENCE,
    GET_AD,
    GET_AD_SETS_BY_AD_ACCOUNT_ID,
    GET_ASYNC_REPORT,
    GET_CAMPAIGNS,
    OPERATIONS,
)
from spotify_ads_async.types import Secret

IMPATIENT = RetryPolicy(attempts=2, refusals=1, first_delay=0.0, longest_delay=0.0, retry_after_cap=0.0)
ERROR = {
    "sp_trace_id": "abc",
    "messages": ["no"],
    "error_codes": [{"code": "IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", "definition": "d"}],
    "resource_uri": "/ads/v3/x",
}
AD_SET = {
    "id": calls.THING,
    "name": "Autumn",
    "status": "ACTIVE",
    "start_time": "2030-01-01T00:00:00Z",
    "budget": {"micro_amount": 2_000_000, "type": "DAILY", "currency": "USD"},
    "frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3}],
    "targets": {"age_ranges": [{"min": 18, "max": 34}], "geo_targets": {"country_code": "US"}, "genders": ["MALE"]},
}
ANSWERS: dict[str, Any] = {
    GET_AD_SETS_BY_AD_ACCOUNT_ID.id: {
        "ad_sets": [AD_SET, AD_SET],
        "paging": {"page_size": 50, "total_results": 2, "offset": 0},
    },
    GET_CAMPAIGNS.id: {"campaigns": [{"id": calls.THING, "objective": "REACH"}], "paging": {"total_results": 1}},
    GET_AD.id: {
        "id": calls.THING,
        "assets": {"asset_id": calls.THING},
        "call_to_action": {"key": "LEARN_MORE", "clickthrough_url": "https://x"},
    },
    GET_ASYNC_REPORT.id: {"status": "READY", "report_url": "https://storage.example/x?signature=1"},
    CREATE_AUDIENCE.id: {"id": calls.THING, "audience_type": "CUSTOM", "status": "READY"},
    calls.READ.operation.id: AD_SET,
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "UNKNOWN", "2030-13-01T00:00:00Z", "2030-01-01", "-1", "\x00", "9" * 400]),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:  # noqa: ANN401 (JSON)
    """The same JSON with something in it replaced."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(JUNK)
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(changed(value[at])), *value[at + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    return {**value, key: draw(changed(value[key]))}


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The same bytes cut, overwritten, or with something let in."""
    at = draw(st.integers(0, len(content)))
    junk = draw(
        st.binary(max_size=6)
        | st.sampled_from([b"\xef\xbb\xbf", b"[" * 3000, b"\\ud800", b'"', b"1e999", b"-0", b"\x00" * 9])
    )
    return draw(
        st.sampled_from(
            [content[:at], content[:at] + junk + content[at:], content[:at] + junk + content[at + len(junk) :]]
        )
    )


@st.composite
def bodies(draw: st.DrawFn, value: Any) -> bytes:  # noqa: ANN401 (JSON)
    content = json.dumps(draw(changed(value) | st.just(value))).encode()
    return draw(damaged(content) | st.just(content))


def outcome(operation: Operation[Any], status: int, body: bytes) -> object:
    try:
        if status < 300:
            return wire.answer(operation, status=status, content_type=lambda: "application/json", body=body)
        return error_answers.error(
            operation, status=status, retry_after=None, body=wire.masked(body, Secret("a-token"))
        )
    except SpotifyAdsError as error:
        return error


@settings(max_examples=examples(1500))
@given(st.data())
def test_mutated_answers(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(ANSWERS)))
    got = outcome(OPERATIONS[name], 200, data.draw(bodies(ANSWERS[name])))
    assert isinstance(got, SpotifyAdsError | OPERATIONS[name].answer)
    assert str(got)
    assert repr(got)


@settings(max_examples=examples(400))
@given(st.sampled_from(sorted(OPERATIONS)), JUNK)
def test_any_json_to_any_operation(name: str, junk: object) -> None:
    got = outcome(OPERATIONS[name], 200, json.dumps(junk).encode())
    assert isinstance(got, SpotifyAdsError) or got is None or hasattr(got, "__struct_fields__") or isinstance(got, list)


@settings(max_examples=examples(600))
@given(st.integers(300, 999), bodies(ERROR))
def test_mutated_errors(status: int, body: bytes) -> None:
    error = outcome(calls.CREATE.operation, status, body)
    assert isinstance(error, SpotifyAdsError)
    assert str(error).isprintable()
    where = wire.target_below("https://example.com/ads/v3", error_answers.resource_uri(error))
    assert where is None or where.startswith("/")


HEAD = "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\nRetry-After: 0\r\n\r\n"


@st.composite
def exchanges(draw: st.DrawFn) -> bytes:
    """A whole answer with a damaged head or body."""
    body = draw(bodies(AD_SET))
    head = HEAD.format(status=draw(st.sampled_from([200, 201, 204, 400, 409, 500, 999, 7])), size=len(body)).encode()
    return draw(damaged(head) | st.just(head)) + body


@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.lists(exchanges(), min_size=10, max_size=20))
def test_mutated_exchanges(answers: list[bytes]) -> None:
    """The same through sockets, for a read, a create and a write."""

    async def run() -> None:
        async with RawServer(otherwise=answer(200, AD_SET)) as server:
            options = TransportOptions(read_timeout=0.3, largest_answer=100_000)
            async with client(server.base_url, policy=IMPATIENT, timeout=0.3, transport=options) as ads:
                for content in answers:
                    for call in (calls.READ, calls.CREATE, calls.WRITE):
                        server.script = [raw(content)]
                        try:
                            await call.by(ads)
                        except SpotifyAdsError as error:
                            assert str(error)  # noqa: PT017 (either is well)

    asyncio.run(run())
