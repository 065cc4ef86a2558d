"""Checks made from types: every kind of value that a request can hold, allowed and refused."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from enum import nonmember
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from spotify_ads_async.types import UNSET, OpenEnum, Secret, UnsetType
from spotify_ads_async.validation.checks import checker
from spotify_ads_async.validation.refused import Refused, show

ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"


class Color(OpenEnum):
    RED = "RED"
    GREEN = "GREEN"
    UNSET = "UNSET"

    answer_only = nonmember(frozenset({"UNSET"}))


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    min: Annotated[int, Meta(ge=13, le=99)] | UnsetType = UNSET
    max: Annotated[int, Meta(ge=13, le=99)] | UnsetType = UNSET


class Custom(msgspec.Struct, frozen=True, tag_field="kind", tag="CUSTOM"):
    name: str


class Lookalike(msgspec.Struct, frozen=True, tag_field="kind", tag="LOOKALIKE"):
    seed: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class Thing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: Annotated[str, Meta(min_length=2, max_length=5)]
    ranges: Annotated[list[Range], Meta(max_length=2, extra_json_schema={"uniqueItems": True})] | UnsetType = UNSET
    color: Color | UnsetType = UNSET
    ends: datetime | UnsetType | None = UNSET


class Patch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    at_least: ClassVar[int] = 1

    name: str | UnsetType = UNSET
    count: int | UnsetType = UNSET


class Tree(msgspec.Struct, frozen=True):
    leaves: list[Tree] = []


class Single(msgspec.Struct, frozen=True):
    value: int


TIMES = (
    datetime(2030, 1, 31, 8, tzinfo=UTC),
    datetime(2030, 1, 31, 8, tzinfo=ZoneInfo("UTC")),
    datetime(2030, 1, 1, tzinfo=timezone(timedelta(0))),
)
UUID = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
URI = Annotated[str, Meta(extra={"format": "uri"})]
DAY_TEXT = Annotated[str, Meta(extra={"format": "date"})]
TIME_TEXT = Annotated[str, Meta(extra={"format": "date-time"})]
TRIMMED = Annotated[str, Meta(pattern=r"^\S.*\S$")]

ALLOWED: list[tuple[Any, Any]] = [
    (str, ""),
    (str, "Grüße 🎧"),
    (str, Color.RED),
    (Annotated[str, Meta(min_length=2, max_length=3)], "ab"),
    (Annotated[str, Meta(min_length=2, max_length=3)], "🎧🎧🎧"),
    (TRIMMED, "a b"),
    (UUID, ID),
    (UUID, ID.upper()),
    (URI, "https://www.example.com/?a=b#c"),
    (URI, "HTTP://example.com"),
    (DAY_TEXT, "2028-02-29"),
    (TIME_TEXT, "2030-01-31T08:00:00Z"),
    (int, 2**63 - 1),
    (int, -(2**63)),
    (Annotated[int, Meta(ge=1, le=50)], 50),
    (Annotated[int, Meta(extra={"format": "int32"})], 2**31 - 1),
    (Annotated[int, Meta(gt=0, lt=3)], 2),
    (float, 1),
    (float, 1.5),
    (Annotated[float, Meta(ge=0, le=1)], 0.0),
    (bool, False),
    (bytes, b""),
    (bytes, bytearray(b"x")),
    pytest.param(bytes, memoryview(b"x"), id="a view of bytes"),
    (date, date(2030, 1, 31)),
    (Color, Color.RED),
    (Color, "GREEN"),
    (list[int], []),
    (list[int], (1, 2)),
    (Annotated[list[Any], Meta(extra_json_schema={"uniqueItems": True})], [1, 2, "1"]),
    (Annotated[list[Range], Meta(extra_json_schema={"uniqueItems": True})], [Range(min=13), Range(min=14)]),
    (dict[str, int], {"a": 1}),
    (int | None, None),
    (int | str, "x"),
    (int | str, 3),
    (Custom | Lookalike, Lookalike(ID)),
    (Secret, Secret("x")),
    pytest.param(Any, object(), id="anything"),
    pytest.param(msgspec.Raw, msgspec.Raw(b"{}"), id="raw JSON"),
    (Tree, Tree([Tree(), Tree([Tree()])])),
    (Thing, Thing(name="abc")),
    (Thing, Thing(name="abc", ends=None, color=Color.GREEN, ranges=[Range(), Range(min=13, max=99)])),
    (Patch, Patch(count=0)),
    *((datetime, one) for one in TIMES),
]

REFUSED: list[tuple[Any, Any, str, str]] = [
    (str, 5, "", "a string"),
    (str, b"x", "", "a string"),
    (str, None, "", "a string"),
    (str, "\ud800", "", "surrogates"),
    (Annotated[str, Meta(min_length=2, max_length=3)], "a", "", "of 2 to 3 characters"),
    (Annotated[str, Meta(min_length=2, max_length=3)], "abcd", "", "of 2 to 3 characters"),
    (Annotated[str, Meta(min_length=2)], "a", "", "at least 2 characters"),
    (Annotated[str, Meta(max_length=2)], "abc", "", "at most 2 characters"),
    (Annotated[str, Meta(min_length=2, max_length=2)], "abc", "", "of 2 characters"),
    (TRIMMED, " ab", "", "must match"),
    (TRIMMED, "ab\n", "", "must match"),
    (UUID, "123", "", "UUID"),
    (UUID, ID.replace("-", ""), "", "UUID"),
    (UUID, f"{ID}\n", "", "UUID"),
    (UUID, f"{{{ID}}}", "", "UUID"),
    (URI, "www.example.com", "", "URI"),
    (URI, "https://", "", "URI"),
    (URI, "https://exa mple.com", "", "URI"),
    (URI, "https://example.com/\n", "", "URI"),
    (URI, "https://[broken", "", "URI"),
    (DAY_TEXT, "2030-02-29", "", "YYYY-MM-DD"),
    (DAY_TEXT, "20300228", "", "YYYY-MM-DD"),
    (TIME_TEXT, "2030-01-31T08:00:00+00:00", "", "YYYY-MM-DDTHH:MM:SSZ"),
    (TIME_TEXT, "2030-01-31T08:00:00.5Z", "", "YYYY-MM-DDTHH:MM:SSZ"),
    (TIME_TEXT, "2030-13-31T08:00:00Z", "", "YYYY-MM-DDTHH:MM:SSZ"),
    (int, True, "", "an integer"),
    (int, 1.0, "", "an integer"),
    (int, "1", "", "an integer"),
    (int, 2**63, "", "an integer"),
    (Annotated[int, Meta(ge=1, le=50)], 0, "", "from 1 to 50"),
    (Annotated[int, Meta(ge=1, le=50)], 51, "", "from 1 to 50"),
    (Annotated[int, Meta(extra={"format": "int32"})], 2**31, "", "an integer"),
    (Annotated[int, Meta(gt=0, lt=3)], 3, "", "from 1 to 2"),
    (float, True, "", "a finite number"),
    (float, float("nan"), "", "a finite number"),
    (float, float("inf"), "", "a finite number"),
    (Annotated[float, Meta(ge=0)], -0.5, "", "at least 0"),
    (Annotated[float, Meta(le=1)], 1.5, "", "at most 1"),
    (bool, 1, "", "True or False"),
    (bytes, "x", "", "bytes"),
    (date, datetime(2030, 1, 31, tzinfo=UTC), "", "a day"),
    (date, "2030-01-31", "", "a day"),
    (datetime, datetime(2030, 1, 31), "", "in UTC"),  # noqa: DTZ001 - a naive time is what is refused
    (datetime, datetime(2030, 1, 31, tzinfo=timezone(timedelta(hours=2))), "", "in UTC"),
    (datetime, datetime(2030, 7, 1, tzinfo=ZoneInfo("Europe/London")), "", "in UTC"),
    (datetime, datetime(2030, 1, 31, microsecond=1, tzinfo=UTC), "", "whole seconds"),
    (datetime, "2030-01-31T08:00:00Z", "", "in UTC"),
    (datetime, 0, "", "in UTC"),
    (Color, Color("BLUE"), "", "one of RED, GREEN"),
    (Color, "red", "", "one of RED, GREEN"),
    (Color, Color.UNSET, "", "one of RED, GREEN"),
    (Color, None, "", "one of RED, GREEN"),
    (Color, [], "", "one of RED, GREEN"),
    (list[int], "12", "", "a list"),
    (list[int], {1}, "", "a list"),
    pytest.param(list[int], iter([1]), "", "a list", id="an iterator for a list"),
    (list[int], [1, "2"], "[1]", "an integer"),
    (Annotated[list[int], Meta(min_length=1)], [], "", "at least 1 items"),
    (Annotated[list[int], Meta(max_length=1)], [1, 2], "", "at most 1 items"),
    (Annotated[list[Any], Meta(extra_json_schema={"uniqueItems": True})], [1, 2, 1], "", "once only"),
    (Annotated[list[Any], Meta(extra_json_schema={"uniqueItems": True})], [{"a": 1}, {"a": 1}], "", "once only"),
    (dict[str, int], {"a": "b"}, ".a", "an integer"),
    (dict[str, int], [], "", "a mapping"),
    (int | None, "x", "", "an integer"),
    (int | str, 1.5, "", "a string"),
    (Custom | Lookalike, Single(3), "", "one of Custom, Lookalike"),
    (Custom | Lookalike, Lookalike("x"), ".seed", "UUID"),
    (Secret, "x", "", "a Secret"),
    (Single, Single("1"), ".value", "an integer"),  # type: ignore[arg-type]
    (Tree, Tree([Tree([3])]), ".leaves[0].leaves[0]", "a Tree"),  # type: ignore[list-item]
    (Thing, Single(3), "", "a Thing"),
    (Thing, {"name": "abc"}, "", "a Thing"),
    (Thing, Thing(name=UNSET), ".name", "is required"),  # type: ignore[arg-type]
    (Thing, Thing(name=None), ".name", "a string"),  # type: ignore[arg-type]
    (Thing, Thing(name="abc", ranges=None), ".ranges", "a list"),  # type: ignore[arg-type]
    (Thing, Thing(name="abc", ranges=[Range(), Range(min=12)]), ".ranges[1].min", "from 13 to 99"),
    (Thing, Thing(name="abc", ranges=[Range(), Range()]), ".ranges", "once only"),
    (Thing, Thing(name="abc", ends=5), ".ends", "in UTC"),  # type: ignore[arg-type]
    (Patch, Patch(), "", "at least 1 of name, count"),
]


@pytest.mark.parametrize(("kind", "value"), ALLOWED, ids=str)
def test_what_the_type_allows_passes(kind: object, value: object) -> None:
    checker(kind)(value)


@pytest.mark.parametrize(("kind", "value", "path", "rule"), REFUSED, ids=str)
def test_what_the_type_does_not_allow_is_refused_with_its_place_and_rule(
    kind: object, value: object, path: str, rule: str
) -> None:
    with pytest.raises(Refused, match=re.escape(rule)) as caught:
        checker(kind)(value)
    assert caught.value.path == path


def test_an_enum_of_answer_only_values_cannot_be_sent() -> None:
    class Nothing(OpenEnum):
        UNSET = "UNSET"

        answer_only = nonmember(frozenset({"UNSET"}))

    with pytest.raises(Refused, match="must be left out"):
        checker(Nothing)(Nothing.UNSET)


def test_a_type_without_a_rule_is_a_mistake_of_the_model() -> None:
    with pytest.raises(TypeError, match="no rule"):
        checker(timedelta)


def test_values_are_shown_short_and_without_secrets() -> None:
    assert show(Secret("hunter2")) == "Secret('***')"
    assert "hunter2" not in show([Secret("hunter2")])
    assert show(b"x" * 3000) == "3000 bytes"
    assert len(show("x" * 3000)) < 100
    assert len(show(list(range(3000)))) < 100
    assert show(10**5000) == "an integer of 16610 bits"
    assert show(Color("BLUE")) == "'BLUE'"
    assert show(datetime(2030, 1, 31, 8, tzinfo=UTC)) == "2030-01-31T08:00:00+00:00"


JSON_SCHEMA = msgspec.json.schema(Thing)
CHECK_THING = checker(Thing)


@given(
    st.builds(
        Thing,
        name=st.text(max_size=7) | st.none() | st.integers(),
        ranges=st.just(UNSET)
        | st.lists(
            st.builds(Range, min=st.just(UNSET) | st.integers(10, 101), max=st.just(UNSET) | st.integers(10, 101)),
            max_size=4,
        ),
        color=st.just(UNSET) | st.sampled_from([*Color, Color("BLUE")]),
    )
)
def test_structs_agree_with_their_own_json_schema(thing: Thing) -> None:
    """The schema library is the judge; answer-only values are the one thing that only we refuse."""
    judge = Draft202012Validator(JSON_SCHEMA)
    try:
        CHECK_THING(thing)
    except Refused:
        document = json.loads(msgspec.json.encode(thing))
        assert not judge.is_valid(document) or thing.color is Color.UNSET
    else:
        document = json.loads(msgspec.json.encode(thing))
        judge.validate(document)
