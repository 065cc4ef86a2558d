"""What has changed in the API is named, each thing once, in the API's own words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import examples

from spotify_ads_async.api.changes import find_changes, render_changes
from spotify_ads_async.api.facts import Facts, known_facts, take_facts

Edit: TypeAlias = Callable[[Facts], object]
_Q = known_facts()["paths"]["/ad_categories"]["get"]["parameters"][0]["$ref"]
SERVER, API = "server", "https://api-partner.spotify.com/ads/v3"
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}


def changed(*edits: Edit) -> list[tuple[str, str, str]]:
    after = copy.deepcopy(known_facts())
    for edit in edits:
        edit(after)
    return [(one.what, one.change, one.name) for one in find_changes(known_facts(), after)]


def schema(facts: Facts, name: str) -> Any:  # noqa: ANN401 - part of a document
    return facts["components"]["schemas"][name]


def add_operation(facts: Facts) -> None:
    facts["components"]["schemas"]["Sticker"] = {
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "type": "object",
    }
    facts["paths"]["/stickers"] = {
        "get": {
            "operationId": "getSticker",
            "tags": ["stickers"],
            "parameters": [{"in": "query", "name": "q", "schema": {"type": "string"}}],
            "responses": {
                "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sticker"}}}}
            },
        }
    }


def rename_field(facts: Facts) -> None:
    properties = schema(facts, "CampaignResponse")["properties"]
    properties["order_number"] = properties.pop("purchase_order")
    properties["stickers"] = {"type": "integer"}


def remove_value(facts: Facts) -> None:
    schema(facts, "AdSetPauseReason")["enum"].remove("USER_PAUSED")


def require_field(facts: Facts) -> None:
    update = schema(facts, "UpdateCampaignRequest")
    update["properties"]["reason"] = {"type": "string"}
    update["required"] = [*update.get("required", ()), "reason"]


def test_exactly_what_changed_is_named() -> None:
    assert changed(add_operation, rename_field, remove_value, require_field) == [
        ("operation", "new", "getSticker"),
        ("field", "renamed", "CampaignResponse.purchase_order"),
        ("field", "new", "CampaignResponse.stickers"),
        ("field", "new", "UpdateCampaignRequest.reason"),
        ("enum value", "gone", "AdSetPauseReason.USER_PAUSED"),
        ("required", "new", "UpdateCampaignRequest.reason"),
    ]


def test_nothing_changed_is_nothing_said() -> None:
    assert changed() == []
    assert list(render_changes([])) == []


def test_the_report_says_it_in_the_apis_words() -> None:
    after = copy.deepcopy(known_facts())
    for edit in (add_operation, rename_field, remove_value, require_field):
        edit(after)
    assert list(render_changes(find_changes(known_facts(), after))) == [
        "operations",
        "  new     getSticker: GET /stickers",
        "fields",
        "  renamed CampaignResponse.purchase_order → order_number",
        "  new     CampaignResponse.stickers: integer",
        "  new     UpdateCampaignRequest.reason: string",
        "enum values",
        "  gone    AdSetPauseReason.USER_PAUSED",
        "required",
        "  new     UpdateCampaignRequest.reason",
    ]


def drop_parameter(facts: Facts) -> None:
    facts["paths"]["/ad_categories"]["get"]["parameters"].clear()


def tighten(facts: Facts) -> None:
    schema(facts, "CreateCampaignRequest")["properties"]["name"] = {"maxLength": 3, "type": "string"}


def declare(facts: Facts) -> None:
    facts["paths"]["/ad_categories"]["get"]["responses"]["429"] = {"content": ERROR}


def move(facts: Facts) -> None:
    facts["paths"]["/categories"] = facts["paths"].pop("/ad_categories")


def rename_schema(facts: Facts) -> None:
    schemas = facts["components"]["schemas"]
    schemas["PauseReason"] = schemas.pop("AdSetPauseReason")
    schemas["AdSetResponse"] = _redirected(schemas["AdSetResponse"], "AdSetPauseReason", "PauseReason")


def _redirected(node: Any, old: str, new: str) -> Any:  # noqa: ANN401 - part of a document
    if isinstance(node, dict):
        return {key: _redirected(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [_redirected(one, old, new) for one in node]
    return f"#/components/schemas/{new}" if node == f"#/components/schemas/{old}" else node


def swap_types(facts: Facts) -> None:
    schemas = facts["components"]["schemas"]
    schemas["CampaignResponse"]["properties"]["created_at"] = {"type": "integer"}


def move_server(facts: Facts) -> None:
    facts["servers"] = [{"url": "https://api-partner.spotify.com/ads/v4"}]


def deprecate(facts: Facts) -> None:
    facts["paths"]["/ad_categories"]["get"]["deprecated"] = True


def join_lists(facts: Facts) -> None:
    shared = facts["components"]["parameters"][_Q.rpartition("/")[2]]
    facts["paths"]["/ad_categories"]["get"]["parameters"] = [{**shared, "explode": False}]


def add_tag(facts: Facts) -> None:
    schema(facts, "AssetResponse")["discriminator"]["mapping"]["SONG"] = "#/components/schemas/Audio"


def close(facts: Facts) -> None:
    schema(facts, "AdCategory")["additionalProperties"] = False


def take_csv(facts: Facts) -> None:
    body = facts["paths"]["/ad_accounts/{ad_account_id}/campaigns"]["post"]["requestBody"]
    body["content"] = {"text/csv": {"schema": {"type": "string"}}, **body["content"]}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (move_server, [(SERVER, "gone", API), (SERVER, "new", API.replace("v3", "v4"))]),
        (deprecate, [("operation", "changed", "getAdCategories")]),
        (join_lists, [("parameter", "changed", "getAdCategories.q")]),
        (add_tag, [("type", "new", "AssetResponse.asset_type=SONG")]),
        (close, [("type", "changed", "AdCategory")]),
        (take_csv, [("type", "changed", "createCampaign.body")]),
        (drop_parameter, [("parameter", "gone", "getAdCategories.q")]),
        (tighten, [("field", "changed", "CreateCampaignRequest.name")]),
        (declare, [("status", "new", "getAdCategories.429")]),
        (move, [("operation", "changed", "getAdCategories")]),
        (swap_types, [("field", "changed", "CampaignResponse.created_at")]),
        (rename_schema, []),
    ],
    ids=[
        "server",
        "end",
        "style",
        "tag",
        "closed object",
        "body",
        "parameter",
        "constraint",
        "status",
        "path",
        "type",
        "name of a schema",
    ],
)
def test_each_kind_of_change_is_told(edit: Edit, expected: list[tuple[str, str, str]]) -> None:
    assert changed(edit) == expected


def test_a_change_says_whether_it_concerns_what_is_sent_or_what_is_answered() -> None:
    after = copy.deepcopy(known_facts())
    schema(after, "AdSetPauseReason")["enum"].append("BORED")
    schema(after, "UpdateCampaignRequest")["properties"]["reason"] = {"type": "string"}
    sent, answered = (
        [one.name for one in find_changes(known_facts(), after) if getattr(one, way)] for way in ("sent", "answered")
    )
    assert (sent, answered) == (["UpdateCampaignRequest.reason"], ["AdSetPauseReason.BORED"])


def test_each_of_several_types_is_named_and_so_is_a_pattern_that_python_does_not_read() -> None:
    after = copy.deepcopy(known_facts())
    either = {"anyOf": [{"type": "string", "pattern": r"^\p{L}+$"}, {"type": "integer"}]}
    schema(after, "CreateCampaignRequest")["properties"]["name"] = either
    (change,) = find_changes(known_facts(), take_facts(after))
    assert change.after == r"string or integer, like ^\p{L}+$"


FIELDS = [
    (name, field)
    for name, one in known_facts()["components"]["schemas"].items()
    for field in one.get("properties", {})
    if "allOf" not in one
]


PLACES = st.recursive(st.just(()), lambda inner: st.tuples(st.integers(0, 10**6), inner), max_leaves=9)


@settings(max_examples=examples(15))
@given(place=PLACES, value=st.sampled_from([None, {}, [], "text", 5]))
def test_a_document_of_any_form_is_compared_or_refused_in_words(place: Any, value: object) -> None:  # noqa: ANN401 - nested tuples
    after: Any = copy.deepcopy(known_facts())
    node = after
    while place:
        (at, place), keys = place, list(node) if isinstance(node, dict) else range(len(node))
        key = keys[at % len(keys)]
        if not place or not isinstance(node[key], dict | list) or not node[key]:
            node[key] = value
            break
        node = node[key]
    try:
        facts = take_facts(after)
    except ValueError as problem:
        assert str(problem).startswith("not an OpenAPI 3.0 document")  # noqa: PT017 - one of two ends
    else:
        assert all(line.strip() for line in render_changes(find_changes(known_facts(), facts)))


@settings(max_examples=examples(15))
@given(st.sampled_from(FIELDS))
def test_any_field_that_goes_is_named_and_so_is_its_return(place: tuple[str, str]) -> None:
    name, field = place
    after = copy.deepcopy(known_facts())
    del schema(after, name)["properties"][field]
    gone, back = find_changes(known_facts(), after), find_changes(after, known_facts())
    assert [(one.what, one.change, one.name) for one in gone] == [("field", "gone", f"{name}.{field}")]
    assert [(one.what, one.change, one.name) for one in back] == [("field", "new", f"{name}.{field}")]
