"""What a page makes of an answer, which answers are none, and which order a walk asks for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from spotify_ads_async import InvalidAnswer
from spotify_ads_async.operation import ListStyle
from spotify_ads_async.pagination.order import is_fixed, with_identity, with_order
from spotify_ads_async.pagination.page import Page, page_of

from .list_server import Paging, list_operation

Asked = Mapping[str, Any]
ID = "CE4FF15E-F04D-48B9-9DDF-FB3C85FBD57A"
OTHER = "0a4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"


class Answer(msgspec.Struct):
    rows: object = None
    paging: object = None
    page_size: object = None
    continuation_token: object = None


class NumbersAsText(msgspec.Struct):
    total_results: str = "7"
    page_size: str = "7"


def page(answer: object, style: ListStyle = ListStyle.OFFSET, attribute: str = "rows", **asked: object) -> Page[Any]:
    operation = msgspec.structs.replace(list_operation(style), item_attribute=attribute)
    return page_of(operation, {"ad_account_id": ID}, asked, answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(rows=[1, 2]), ([1, 2], None, None, None)),
        (Answer(rows=[1], paging=Paging(total_results=7, page_size=50)), ([1], 7, 50, None)),
        (Answer(rows=[], paging=Paging(page_size=50), page_size=20, continuation_token="t"), ([], None, 50, "t")),
        (Answer(rows=[], page_size=20, continuation_token=""), ([], None, 20, None)),
        (Answer(paging=NumbersAsText(), page_size="20", continuation_token=5), ([], None, None, None)),
        (Answer(paging=Paging(total_results=0)), ([], 0, None, None)),
        (Answer(rows="text", page_size=5), ([], None, 5, None)),
        (None, ([], None, None, None)),
        ({}, ([], None, None, None)),
    ],
)
def test_any_part_of_an_answer_may_be_absent(answer: object, expected: tuple[object, ...]) -> None:
    made = page(answer)
    assert (made.items, made.total, made.page_size, made.continuation_token) == expected
    assert made.answer is answer
    assert (list(made), len(made)) == (made.items, len(made.items))


@pytest.mark.parametrize(
    ("style", "asked", "expected"),
    [
        (ListStyle.OFFSET, {}, 0),
        (ListStyle.OFFSET, {"offset": 40}, 40),
        (ListStyle.OFFSET_UNCOUNTED, {"offset": 40}, 40),
        (ListStyle.OFFSET, {"offset": "40"}, None),
        (ListStyle.CONTINUATION, {}, None),
        (ListStyle.LIMIT, {"offset": 40}, None),
    ],
)
def test_a_page_knows_its_offset_on_lists_that_have_one(style: ListStyle, asked: Asked, expected: int | None) -> None:
    assert page(Answer(rows=[]), style, **asked).offset == expected


@pytest.mark.parametrize(
    ("answer", "asked", "expected"),
    [
        (Answer(), {}, "the answer holds no rows, and nothing else"),
        (Answer(paging=Paging(total_results=1)), {}, "the answer holds no rows, though it counts 1"),
        (Answer(paging=Paging(total_results=8)), {"offset": 7}, "the answer holds no rows, though it counts 8"),
        (Answer(paging=Paging(total_results=1)), {"offset": "7"}, "the answer holds no rows, though it counts 1"),
        (Answer(paging=Paging(total_results=7)), {"offset": 7}, None),
        (Answer(paging=Paging(total_results=3)), {"offset": 7}, None),
    ],
)
def test_an_answer_without_its_list_is_no_end_of_the_list(answer: object, asked: Asked, expected: str | None) -> None:
    if expected is None:
        assert page(answer, **asked).items == []
        return
    with pytest.raises(InvalidAnswer) as told:
        page(answer, **asked)
    assert str(told.value).startswith(f"getRows: {expected}")


@pytest.mark.parametrize(
    ("row", "attribute", "asked", "stranger"),
    [
        ({"ad_account_id": ID}, "rows", {}, None),
        ({"ad_account_id": ID.lower()}, "rows", {}, None),
        ({"ad_account_id": ""}, "rows", {}, None),
        ({"ad_account_id": 5}, "rows", {}, None),
        ({"id": OTHER}, "ad_accounts", {}, None),
        ({"ad_account_id": OTHER}, "rows", {}, f"ad_account_id is {OTHER}"),
        ({"campaign_id": OTHER}, "ad_sets", {"campaign_ids": [ID]}, f"campaign_id is {OTHER}"),
        ({"campaign_id": OTHER}, "ad_sets", {"campaign_ids": [ID, OTHER.upper()]}, None),
        ({"campaign_id": OTHER}, "ad_sets", {"campaign_ids": OTHER}, None),
        ({"id": OTHER}, "ad_sets", {"campaign_ids": [ID]}, None),
        ({"id": OTHER}, "campaigns", {"campaign_ids": [ID]}, f"id is {OTHER}"),
        ({"id": OTHER, "ad_set_id": OTHER}, "ads", {"ad_set_ids": [ID]}, f"ad_set_id is {OTHER}"),
        ({"id": ID, "campaign_id": OTHER}, "campaigns", {"campaign_ids": [ID]}, None),
        ({"id": OTHER}, "assets", {"asset_ids": (ID,)}, f"id is {OTHER}"),
        ({"id": OTHER}, "audiences", {"audience_ids": [ID]}, f"id is {OTHER}"),
        ({"name": OTHER}, "rows", {"name": ID}, None),
    ],
)
def test_rows_of_others_are_refused(row: Asked, attribute: str, asked: Asked, stranger: str | None) -> None:
    answer = msgspec.defstruct("Rows", [(attribute, list[Any])])([{}, row])
    if stranger is None:
        assert page(answer, attribute=attribute, **asked).items == [{}, row]
        return
    with pytest.raises(InvalidAnswer) as told:
        page(answer, attribute=attribute, **asked)
    expected = f"getRows: the list has a row whose {stranger}, which is not what was asked for"
    assert str(told.value).startswith(expected)


def fields(*names: str) -> Any:  # noqa: ANN401 - a class that is made here
    return enum.StrEnum("Offered", {name: name for name in names})


BOTH_WAYS = fields("ASC", "DESC")


@pytest.mark.parametrize(
    ("offered", "asked", "expected"),
    [
        ({"sort_field": fields("NAME", "ID", "CREATED_AT")}, {}, {"sort_field": "CREATED_AT"}),
        (
            {"sort_field": fields("NAME", "CREATED_AT"), "sort_direction": BOTH_WAYS},
            {"limit": 5},
            {"limit": 5, "sort_field": "CREATED_AT", "sort_direction": "DESC"},
        ),
        (
            {"sort_field": fields("ID", "TIMESTAMP"), "sort_direction": BOTH_WAYS},
            {"sort_direction": "ASC"},
            {"sort_field": "TIMESTAMP", "sort_direction": "ASC"},
        ),
        (
            {"sort_field": fields("NAME", "ID"), "sort_direction": BOTH_WAYS},
            {},
            {"sort_field": "ID", "sort_direction": "ASC"},
        ),
        (
            {"sort_field": fields("NAME"), "sort_direction": BOTH_WAYS},
            {},
            {"sort_field": "NAME", "sort_direction": "ASC"},
        ),
        ({"sort_field": fields("SPEND"), "sort_direction": BOTH_WAYS}, {}, {}),
        ({"sort_field": str, "sort_direction": BOTH_WAYS}, {}, {}),
        ({"sort_direction": BOTH_WAYS}, {}, {}),
        ({"sort_field": fields("ID"), "sort_direction": BOTH_WAYS}, {"sort_field": "NAME"}, {"sort_field": "NAME"}),
    ],
)
def test_a_walk_asks_for_the_order_that_lasts_longest(offered: Asked, asked: Asked, expected: Asked) -> None:
    assert with_order(list_operation(query=offered), asked) == expected


@pytest.mark.parametrize(
    ("field", "fixed"),
    [
        (None, True), ("CREATED_AT", True), ("TIMESTAMP", True), ("ID", True), ("ENTITY_TYPE", True),
        ("PRINCIPAL_TYPE", True), ("NAME", False), ("UPDATED_AT", False),
    ],
)  # fmt: skip
def test_an_order_is_fixed_where_no_edit_changes_it(field: str | None, fixed: bool) -> None:  # noqa: FBT001 - a case
    assert is_fixed({} if field is None else {"sort_field": field}) is fixed


@pytest.mark.parametrize(
    ("offered", "asked", "expected"),
    [
        (["ID", "NAME"], ("NAME",), ["NAME", "ID"]),
        (["ID", "NAME"], [], []),
        (["ID", "NAME"], "NAME", "NAME"),
        (["ID", "NAME"], 5, 5),
        (["NAME"], ["NAME"], ["NAME"]),
        (None, ["NAME"], ["NAME"]),
    ],
)
def test_the_id_is_asked_for_where_it_can_be(offered: list[str] | None, asked: object, expected: object) -> None:
    query = {} if offered is None else {"fields": list[fields(*offered)]}
    assert with_identity(list_operation(query=query), {"limit": 5, "fields": asked}) == {"limit": 5, "fields": expected}
