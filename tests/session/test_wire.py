"""Requests as bytes and answers as structs, by the pure functions that every call goes through."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from functools import partial
from typing import Any

import msgspec
import pytest
from support import calls
from support.calls import ACCOUNT, THING

from spotify_ads_async import InvalidAnswer, InvalidRequest, Secret
from spotify_ads_async.core import wire
from spotify_ads_async.models import AdSetUpdate, AssetType, AssetUpload
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import (
    GET_AD_SET_BY_ID,
    GET_AD_SETS_BY_AD_ACCOUNT_ID,
    GET_ARTIST_TARGETS,
    GET_DATASETS_BY_BUSINESS_ID,
    UPLOAD_ASSET,
)

IDS = {"ad_account_id": ACCOUNT, "ad_set_id": THING}
JSON = "application/json"
UPLOAD_IDS = {"ad_account_id": ACCOUNT, "asset_id": THING}


def request(
    operation: Operation[Any] = GET_AD_SET_BY_ID,
    path: Mapping[str, str] = IDS,
    body: object = None,
    *,
    validate: bool = False,
    **query: object,
) -> wire.HttpRequest:
    now = lambda: datetime.now(UTC)  # noqa: E731 - the present, as the session says it
    return wire.request(operation, path=path, query=query, body=body, now=now, validate=validate)


def refusal(error: InvalidRequest) -> tuple[object, ...]:
    return error.message, error.operation, error.path, error.value, error.rule


@pytest.mark.parametrize("key", ["", "schlüssel", "a\nb"])
def test_a_key_that_no_header_holds_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wire.with_idempotency_key(calls.CREATE.operation, request(), key)
    said = "an idempotency key is printable ASCII, for example a UUID"
    assert refusal(caught.value) == (said, "createCampaign", "idempotency_key", key, "printable ASCII")


def test_a_key_comes_on_top_of_what_the_request_says() -> None:
    written = request(calls.WRITE.operation, body=AdSetUpdate(name="Autumn"))
    assert written.headers == {"Content-Type": "application/json"}
    keyed = wire.with_idempotency_key(calls.CREATE.operation, written, "a key")
    assert keyed.headers == {"Content-Type": "application/json", "Idempotency-Key": "a key"}
    assert (keyed.method, keyed.target, keyed.body) == (written.method, written.target, b'{"name":"Autumn"}')


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a\\b"])
def test_a_parameter_stays_in_its_segment_though_nothing_is_checked(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(path={"ad_account_id": ACCOUNT, "ad_set_id": value})
    said = f"path.ad_set_id could leave its place in the address (it is {value!r})"
    rule = "one segment: not empty, no dots alone, no slash"
    assert refusal(caught.value) == (said, "getAdSetById", "path.ad_set_id", value, rule)


def test_a_segment_is_quoted_whole() -> None:
    target = request(path={"ad_account_id": "ü X%2F", "ad_set_id": "a-b_C.9"}).target
    assert target == "/ad_accounts/%C3%BC%20X%252F/ad_sets/a-b_C.9"


class Colour(Enum):
    RED = "red"


def test_a_query_repeats_what_is_a_list_and_writes_each_value_as_the_api_does() -> None:
    query = {"ids": ["a b", 2], "yes": True, "no": False, "colour": Colour.RED, "text": "x,y/ü"}
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    sent = request(GET_AD_SETS_BY_AD_ACCOUNT_ID, {"ad_account_id": ACCOUNT}, **query, since=moment, left=msgspec.UNSET)
    assert sent.target == (
        f"/ad_accounts/{ACCOUNT}/ad_sets?ids=a%20b&ids=2&yes=true&no=false&colour=red&text=x%2Cy%2F%C3%BC"
        "&since=2026-01-31T12%3A00%3A00Z"
    )


def test_a_query_is_checked() -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(GET_AD_SETS_BY_AD_ACCOUNT_ID, {"ad_account_id": ACCOUNT}, validate=True, limit=51)
    assert caught.value.path == "query.limit"


def test_a_multipart_body_is_a_struct_with_a_part_for_each_field_that_is_set() -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(UPLOAD_ASSET, UPLOAD_IDS, "sound")
    assert refusal(caught.value) == ("a multipart body is a struct", None, "body", "str", "struct")

    class Form(msgspec.Struct):
        first: object = msgspec.UNSET
        media: object = msgspec.UNSET
        flag: object = msgspec.UNSET

    sent = request(UPLOAD_ASSET, UPLOAD_IDS, Form(media=memoryview(b"sound"), flag=True))
    assert sent.body == (
        wire.Part(name="media", content=b"sound", filename="media"),
        wire.Part(name="flag", content=b"true"),
    )
    assert not sent.headers
    checked = request(UPLOAD_ASSET, UPLOAD_IDS, AssetUpload(media=b"s", asset_type=AssetType.AUDIO), validate=True)
    assert isinstance(checked.body, tuple)


class Moment(datetime):
    """As other libraries have them: neither msgspec nor a plain comparison of types knows it."""


class Day(date):
    """The same for days."""


def test_a_body_holds_what_other_libraries_and_secrets_stand_for() -> None:
    body = {"token": Secret("s3cret"), "at": Moment(2026, 1, 31, 12, tzinfo=UTC), "on": Day(2026, 1, 31)}
    sent = request(calls.WRITE.operation, body=body)
    assert sent.body == b'{"token":"s3cret","at":"2026-01-31T12:00:00Z","on":"2026-01-31"}'
    with pytest.raises(NotImplementedError, match=r"^complex has no JSON form$"):
        request(calls.WRITE.operation, body={"x": 1j})


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        (None, None),
        ("", None),
        ("/campaigns/1", "/campaigns/1"),
        ("/ads/v3/campaigns/1", "/campaigns/1"),
        ("https://api.example/ads/v3/campaigns/1?fields=a", "/campaigns/1?fields=a"),
        ("http://another.example:8080/ads/v3/campaigns/1", "/campaigns/1"),
        ("https://a.example/ads/v3/campaigns/https://b.example/1", "/campaigns/https://b.example/1"),
        ("https://api.example/campaigns/1", None),
        ("https://api.example", None),
        ("//evil.example/campaigns/1", None),
        ("campaigns/1", None),
        ("/ads/v3/../../token", None),
        ("/campaigns/./1", None),
        ("/campaigns/1?where=a?/../b", "/campaigns/1?where=a?/../b"),
        ("/campaigns/1?where=/../a?b", "/campaigns/1?where=/../a?b"),
        ("/campaigns/1 2", None),
        ("/campaigns/1#2", None),
        ("/campaigns\\1", None),
        ("/campaigns/ü", None),
        ("/campaigns/1\n2", None),
    ],
)
def test_only_what_lies_below_the_base_url_is_asked_for(uri: str | None, target: str | None) -> None:
    assert wire.target_below("https://api.example/ads/v3", uri) == target


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"", "the answer is empty"),
        (202, b"{}", "the answer comes with status 202, which says that it is not ready"),
        (206, b"{}", "the answer comes with status 206, which says that it is a part"),
        (207, b"{}", "the answer comes with status 207, which says nothing itself"),
        (200, b"[]", "the answer (text/x, 2 bytes) cannot be read: Expected `object`, got `array`"),
        (200, b'{"messages": ["x"], "sp-trace-id": 1}', "it holds nothing that it may, and in their place 'messages'"),
        (200, b'{"SP-Trace_id": "x"}', "it holds nothing that it may, and in their place 'SP-Trace_id'"),
        (200, b'{"id": 1}', "cannot be read: Expected `str | null`, got `int` - at `$.id`"),
        (200, b'{"name": "\xff"}', "cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(status: int, body: bytes, said: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        wire.answer(GET_AD_SET_BY_ID, status=status, content_type=lambda: "text/x", body=body)
    error = caught.value
    assert said == error.message if status != 200 or not body else said in error.message
    assert (error.operation, error.status, error.may_have_taken_effect) == ("getAdSetById", status, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"things": []}', "it holds no ad_sets, and in their place 'things'"),
        (b'{"errors": [{}]}', "it holds no ad_sets, and in their place 'errors'"),
        (b'{"paging": {}, "others": [1], "more": 1}', "it holds no ad_sets, and in their place 'others'"),
        (
            b'{"f": [], "e": [], "d": [], "c": [], "b": [], "%b": []}' % (b"a" * 41),
            f"in their place '{'a' * 40}', 'b', 'c', 'd', 'e'",
        ),
    ],
)
def test_a_list_under_another_name_is_no_empty_list(body: bytes, said: str) -> None:
    with pytest.raises(InvalidAnswer, match=r"\(no content type,") as caught:
        wire.answer(GET_AD_SETS_BY_AD_ACCOUNT_ID, status=200, content_type=lambda: "", body=body)
    assert caught.value.message.endswith(said)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('"continuation_token": "a"', "it holds 2 artists, and"),
        ('"paging": {"total_results": 3}', "it holds 2 of 3 artists, and"),
        ('"continuation_token": "a", "paging": {"total_results": 2}', "it holds 2 of 2 artists, and"),
        ('"paging": {"total_results": 2}', ""),
        ('"paging": {"total_results": "3"}', ""),
        ('"paging": null, "other": 1', ""),
    ],
)
def test_a_page_of_what_came_whole_before_is_not_the_whole(more: str, said: str) -> None:
    body = f'{{"artists": [{{}}, {{}}], {more}}}'.encode()
    read = partial(wire.answer, GET_ARTIST_TARGETS, status=200, content_type=lambda: JSON, body=body)
    if said:
        with pytest.raises(InvalidAnswer, match=f"{said} this version asks for no more pages"):
            read()
    else:
        assert len(read().artists) == 2


def test_a_list_that_comes_in_pages_may_say_so() -> None:
    body = b'{"ad_sets": [{}], "paging": {"total_results": 3}}'
    read = wire.answer(GET_AD_SETS_BY_AD_ACCOUNT_ID, status=200, content_type=lambda: JSON, body=body)
    assert len(read.ad_sets) == 1
    newer = wire.answer(
        GET_AD_SETS_BY_AD_ACCOUNT_ID, status=200, content_type=lambda: JSON, body=b'{"ad_sets": [], "newer": [1]}'
    )
    assert newer.ad_sets == [], "a list beside the one that is wanted takes nobody's place"
    with pytest.raises(LookupError, match="this AdSet came without its JSON"):
        _ = read.ad_sets[0].json
    body = b'{"datasets": [{}], "paging": {"total_results": 3}}'
    whole = wire.answer(GET_DATASETS_BY_BUSINESS_ID, status=200, content_type=lambda: JSON, body=body)
    assert len(whole.datasets) == 1


def test_a_token_is_masked_where_it_is_one() -> None:
    secret = Secret("abc/defg")
    assert wire.masked(rb'{"a": "abc/defg", "b": "abc\/defg"}', secret) == b'{"a": "***", "b": "***"}'
    assert wire.masked(b"an example", Secret("example")) == b"an example"
