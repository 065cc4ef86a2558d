"""Calls are held to their operation before anything is spent.

Bodies, queries and paths, with the place, the value and the rule.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.operation import Operation
from spotify_ads_async.types import UNSET, OpenEnum, Secret, UnsetType
from spotify_ads_async.validation.requests import check_body, check_path, check_query

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"


class Status(OpenEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class Inner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    country_code: Annotated[str, Meta(max_length=2)] | UnsetType = UNSET
    ends: datetime | UnsetType = UNSET


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: Annotated[str, Meta(min_length=2)]
    status: Status | UnsetType = UNSET
    geo_targets: list[Inner] | UnsetType = UNSET
    link_token: Annotated[str, Meta(min_length=6)] | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    media: bytes | UnsetType = UNSET


class Optional(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str | UnsetType = UNSET


class CustomBody(msgspec.Struct, frozen=True, kw_only=True, tag_field="audience_type", tag="CUSTOM"):
    name: str


class LookalikeBody(msgspec.Struct, frozen=True, kw_only=True, tag_field="audience_type", tag="LOOKALIKE"):
    seed: str


def operation(body: object = Body, **more: Any) -> Operation[None]:  # noqa: ANN401 - fields of Operation
    return Operation(
        id="updateThing",
        method="PATCH",
        path="/things/{thing_id}/members/{member_id}",
        summary="",
        answer=None,
        body=body,
        **more,
    )


QUERY: dict[str, Any] = {
    "limit": Annotated[int, Meta(ge=1, le=50)],
    "statuses": list[Status],
    "ids": list[str],
    "since": datetime,
    "q": str,
}


def refused_body(body: object, kind: object = Body) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_body(operation(kind), body, now=NOW)
    return caught.value


def refused_query(query: dict[str, object], **more: Any) -> InvalidRequest:  # noqa: ANN401 - fields of Operation
    with pytest.raises(InvalidRequest) as caught:
        check_query(operation(None, query=QUERY, **more), query)
    return caught.value


def refused_path(path: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_path(operation(None), path)
    return caught.value


def test_a_body_that_keeps_to_the_rules_is_what_is_sent() -> None:
    body = Body(name="Autumn", status=Status.PAUSED)
    assert check_body(operation(), body, now=NOW) is body


def test_a_refusal_names_the_operation_the_place_the_value_and_the_rule() -> None:
    problem = refused_body(Body(name="Autumn", geo_targets=[Inner(), Inner(country_code="USA")]))
    assert isinstance(problem, SpotifyAdsError)
    assert problem.operation == "updateThing"
    assert problem.path == "body.geo_targets[1].country_code"
    assert problem.value == "USA"
    assert problem.rule == "must be a string of at most 2 characters"
    assert (
        str(problem)
        == "updateThing: body.geo_targets[1].country_code must be a string of at most 2 characters (it is 'USA')"
    )
    assert not problem.may_have_taken_effect
    assert problem.status is None


def test_no_body_goes_where_none_is_taken() -> None:
    assert check_body(operation(None), None, now=NOW) is None
    problem = refused_body(Body(name="Autumn"), None)
    assert problem.path == "body"
    assert "takes no body" in str(problem)


@pytest.mark.parametrize("kind", [Body, CustomBody | LookalikeBody])
def test_a_body_is_not_left_out_where_one_is_needed(kind: object) -> None:
    assert refused_body(None, kind).rule.startswith("is required")


def test_a_body_may_be_left_out_where_the_document_lets_it() -> None:
    assert check_body(operation(Optional, body_required=False), None, now=NOW) is None
    with pytest.raises(InvalidRequest, match="is required: Optional"):
        check_body(operation(Optional), None, now=NOW)


def test_another_struct_is_refused() -> None:
    problem = refused_body(Inner())
    assert problem.path == "body"
    assert problem.rule == "must be a Body"


def test_a_mapping_becomes_the_struct() -> None:
    given = {
        "name": "Autumn",
        "status": "ACTIVE",
        "geo_targets": [{"country_code": "US", "ends": "2030-05-01T00:00:00Z"}],
        "link_token": UNSET,
    }
    assert check_body(operation(), given, now=NOW) == Body(
        name="Autumn",
        status=Status.ACTIVE,
        geo_targets=[Inner(country_code="US", ends=datetime(2030, 5, 1, tzinfo=UTC))],
    )


def test_a_mapping_may_hold_python_values() -> None:
    inner = Inner(country_code="US", ends=NOW)
    given = {
        "name": "Autumn",
        "status": Status.ACTIVE,
        "geo_targets": (inner, {"ends": NOW}),
        "password": Secret("hunter2"),
        "media": b"RIFF",
    }
    assert check_body(operation(), given, now=NOW) == Body(
        name="Autumn",
        status=Status.ACTIVE,
        geo_targets=[inner, Inner(ends=NOW)],
        password=Secret("hunter2"),
        media=b"RIFF",
    )
    made = check_body(operation(), {"name": "Autumn", "password": "hunter2"}, now=NOW)
    assert isinstance(made, Body)
    assert made.password == Secret("hunter2")


def test_a_mapping_finds_its_struct_of_a_union_by_the_tag() -> None:
    made = check_body(operation(CustomBody | LookalikeBody), {"audience_type": "LOOKALIKE", "seed": ID}, now=NOW)
    assert made == LookalikeBody(seed=ID)
    assert (
        refused_body({"audience_type": "LOOKALIKE", "seed": ID, "name": "x"}, CustomBody | LookalikeBody).path
        == "body.name"
    )
    assert "OTHER" in str(refused_body({"audience_type": "OTHER"}, CustomBody | LookalikeBody))


MAPPINGS: list[tuple[dict[Any, Any], str, object, str]] = [
    ({"nmae": "Autumn"}, "body.nmae", "Autumn", "did you mean name?"),
    ({"name": "Autumn", "budget": 5}, "body.budget", 5, "it has name, status, geo_targets"),
    ({"name": "Autumn", 5: 5}, "body.5", 5, "no field of Body"),
    (
        {"name": "Autumn", "geo_targets": [{}, {"country": "US"}]},
        "body.geo_targets[1].country",
        "US",
        "did you mean country_code?",
    ),
    ({}, "body.name", None, "is required"),
    ({"name": "x"}, "body.name", "x", "`str` of length >= 2"),
    (
        {"name": "Autumn", "geo_targets": [{}, {"country_code": "USA"}]},
        "body.geo_targets[1].country_code",
        "USA",
        "length <= 2",
    ),
    (
        {"name": "Autumn", "geo_targets": {"country_code": "US"}},
        "body.geo_targets",
        {"country_code": "US"},
        "expected `array`",
    ),
    (
        {"name": "Autumn", "geo_targets": [{"ends": "2030-05-01T00:00:00+02:00"}]},
        "body.geo_targets[0].ends",
        None,
        "in UTC",
    ),
    ({"name": "Autumn", "geo_targets": [{"ends": "2030-05-01T00:00:00"}]}, "body.geo_targets[0].ends", None, "in UTC"),
    (
        {"name": "Autumn", "geo_targets": [{"ends": "2030-05-01T00:00:00.5Z"}]},
        "body.geo_targets[0].ends",
        None,
        "whole seconds",
    ),
    ({"name": "Autumn", "status": "STOPPED"}, "body.status", "STOPPED", "one of ACTIVE, PAUSED"),
    ({"name": "Autumn", "status": None}, "body.status", None, "expected `str`"),
]


@pytest.mark.parametrize(("given", "path", "value", "rule"), MAPPINGS, ids=str)
def test_a_mapping_is_refused_with_its_place(given: dict[Any, Any], path: str, value: object, rule: str) -> None:
    problem = refused_body(given)
    assert problem.path == path
    assert rule in problem.rule
    if value is not None:
        assert problem.value == value


def test_a_mapping_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {"name": "Autumn"}
    endless["geo_targets"] = [endless]
    assert refused_body(endless).operation == "updateThing"


def test_secrets_are_never_shown() -> None:
    for problem in (
        refused_body(Body(name="Autumn", link_token="s3cr")),
        refused_body(Body(name="Autumn", password="s3cr")),
    ):  # type: ignore[arg-type]
        assert "s3cr" not in str(problem)
        assert "s3cr" not in repr(problem)
        assert "s3cr" not in repr(vars(problem))


def test_a_query_that_keeps_to_the_rules_passes() -> None:
    check_query(
        operation(None, query=QUERY, query_required=frozenset({"limit"})),
        {"limit": 50, "statuses": [Status.ACTIVE, "PAUSED"], "since": NOW, "q": UNSET},
    )


@pytest.mark.parametrize(
    ("query", "path", "rule"),
    [
        ({"limits": 5}, "query.limits", "did you mean limit?"),
        ({"limit": 51}, "query.limit", "from 1 to 50"),
        ({"limit": 0}, "query.limit", "from 1 to 50"),
        ({"limit": True}, "query.limit", "an integer"),
        ({"limit": None}, "query.limit", "an integer"),
        ({"statuses": "ACTIVE"}, "query.statuses", "a list"),
        ({"statuses": ["ACTIVE", "STOPPED"]}, "query.statuses[1]", "one of ACTIVE, PAUSED"),
        ({"since": datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, "query.since", "in UTC"),
        ({"since": "2030-01-01T00:00:00Z"}, "query.since", "in UTC"),
        ({"q": 5}, "query.q", "a string"),
    ],
    ids=str,
)
def test_a_query_is_refused_with_its_place(query: dict[str, object], path: str, rule: str) -> None:
    problem = refused_query(query)
    assert problem.path == path
    assert rule in problem.rule


@pytest.mark.parametrize("query", [{}, {"ids": UNSET}, {"ids": []}], ids=str)
def test_a_required_parameter_is_sent(query: dict[str, object]) -> None:
    problem = refused_query(query, query_required=frozenset({"ids"}))
    assert problem.path == "query.ids"
    assert problem.rule == "is required"


def test_path_parameters_are_ids() -> None:
    check_path(operation(None), {"thing_id": ID, "member_id": "125335bb419b494dbedd31105d56a49a"})


@pytest.mark.parametrize(
    ("path", "place", "rule"),
    [
        ({"member_id": "x"}, "path.thing_id", "is required"),
        ({"thing_id": ID}, "path.member_id", "is required"),
        ({"thing_id": "123", "member_id": "x"}, "path.thing_id", "UUID"),
        ({"thing_id": ID, "member_id": 5}, "path.member_id", "plain id"),
        ({"thing_id": ID, "member_id": "x", "memberid": "x"}, "path.memberid", "did you mean member_id?"),
        *(
            ({"thing_id": ID, "member_id": text}, "path.member_id", "plain id")
            for text in (
                "",
                ".",
                "..",
                "a/b",
                "../../businesses",
                "a\\b",
                "a?b=c",
                "a#b",
                "%2e%2e",
                "%2F",
                "a b",
                "a\r\nX: y",
                "a\x00",
                "a;b",
            )
        ),
        *(
            ({"thing_id": text, "member_id": "x"}, "path.thing_id", "UUID")
            for text in (f"{ID}/..", f"{ID}\n", f" {ID}", "")
        ),
    ],
    ids=str,
)
def test_a_path_parameter_stays_in_its_segment(path: dict[str, Any], place: str, rule: str) -> None:
    problem = refused_path(path)
    assert problem.path == place
    assert rule in problem.rule


def test_operations_of_one_name_are_told_apart() -> None:
    check_query(operation(None, query=QUERY), {"limit": 5})
    with pytest.raises(InvalidRequest, match=re.escape("query.limit is no parameter")):
        check_query(operation(None, query={"q": str}), {"limit": 5})
