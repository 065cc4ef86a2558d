"""What tells rows apart and in which order they stand, and what their pages prove with it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pytest

from spotify_ads_async.pagination.order import sort_key, with_identity
from spotify_ads_async.pagination.page import identity
from spotify_ads_async.pagination.seen import SeenIds
from spotify_ads_async.pagination.sweep import Sweep, is_ordered

from .list_server import Field, list_operation

UUID = "CE4FF15E-F04D-48B9-9DDF-FB3C85FBD57A"


class Shown(msgspec.Struct):
    id: object = None
    change_id: object = None
    created_at: object = None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Shown(id="a"), "a"),
        ({"id": "a"}, "a"),
        (Shown(id=5), "5"),
        ({"id": "", "change_id": 7}, "7"),
        (Shown(id=None, change_id="c"), "c"),
        (Shown(id=UUID), UUID.lower()),
        (Shown(id="NO-UUID"), "NO-UUID"),
        ({"ID": "a"}, None),
        ({}, None),
        (object(), None),
    ],
)
def test_an_id_tells_rows_apart_whatever_form_they_have(row: object, expected: str | None) -> None:
    assert identity(row) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [("ID", ["a", "b"]), ("CREATED_AT", [1, 2]), ("NAME", [None, None]), (None, [None, None])],
)
def test_rows_show_what_they_are_sorted_by(field: str | None, expected: list[object]) -> None:
    key = sort_key({} if field is None else {"sort_field": field})
    assert [key(Shown(id="a", created_at=1)), key({"id": "b", "created_at": 2})] == expected


@pytest.mark.parametrize(
    "kind", [list[Field], Annotated[list[Field], msgspec.Meta(description="Fields.")], list[Field] | None], ids=str
)
def test_the_id_is_asked_for_however_its_parameter_is_declared(kind: Any) -> None:  # noqa: ANN401 - any annotation
    class Sized(enum.StrEnum):
        SMALL = "SMALL"

    operation = list_operation(query={"fields": kind, "size": Sized})
    assert with_identity(operation, {"fields": ["NAME"]})["fields"] == ["NAME", Field.ID]
    assert with_identity(operation, {"fields": ["NAME", "ID"]})["fields"] == ["NAME", "ID"]


@pytest.mark.parametrize(
    ("keys", "ordered"),
    [
        ([], True), ([1], True), ([1, 2, 2], True), ([2, 2, 1], True), ([1, 3, 2], False), ([3, 1, 2], False),
        ([1, None], False), ([1, "a"], False),
    ],
)  # fmt: skip
def test_keys_are_ordered_where_they_run_one_way(keys: list[object], ordered: bool) -> None:  # noqa: FBT001 - a case
    assert is_ordered(keys) is ordered


def swept(pages: Sequence[Sequence[tuple[str, object]]], *, closely: bool = False, total: int | None = 9) -> Sweep:
    """A pass over pages of rows with an id and a sort key each; two pages share two rows."""
    sweep = Sweep(SeenIds(), lambda row: row[1], closely=closely)
    for number, page in enumerate(pages):
        keys = [name for name, _ in page]
        sweep.take(number * 1000, page, keys, total, first=not number)
        sweep.next_from(keys, 2)
    return sweep


def page(text: str) -> list[tuple[str, object]]:
    """Rows such as ``a1``: the row a with the sort key 1; ``a-`` shows none."""
    return [(word[0], None if word[1] == "-" else int(word[1])) for word in text.split()]


@pytest.mark.parametrize(
    ("pages", "unproven", "by_keys", "reordered"),
    [
        pytest.param(["a1 b2 c3 d4", "c3 d4 e5"], False, True, False, id="nothing moved"),
        pytest.param(["a- b- c- d-", "c- d- e-"], False, False, False, id="nothing moved, and no key is shown"),
        pytest.param(["a1 b2 c3 d4", "d4 e5 f6"], True, False, False, id="from the last key on: rows may lie between"),
        pytest.param(["a1 b2 c3 d4", "b2 c3 d4 e5"], False, True, False, id="a row was created in front"),
        pytest.param(["a1 b2 c3 d4", "e5 f6 g7"], False, True, False, id="keys that go on beyond prove nothing less"),
        pytest.param(["a1 b2 c2 d2", "b2 c2 d2 e2"], True, False, False, id="equal keys prove nothing"),
        pytest.param(["a1 b2 c3 d4", "d4 c3 e5"], True, False, True, id="two rows changed places"),
        pytest.param(["a1 b3 c2 d4", "b3 d4 e5"], True, False, False, id="keys that do not run one way"),
        pytest.param(["a1 b3 c2 d4", "b1 d4 e5"], True, False, False, id="once out of order, always"),
        pytest.param(["a1 b2 c3 d4", "d4 e5 f6", "e5 f6 g7"], True, False, False, id="once a gap, always"),
        pytest.param(["a1 b2 c3 d4", "d4 c3 e5", "c3 e5 f6"], True, False, True, id="once changed, always"),
        pytest.param(
            ["a1 b2 c3 d4", "c3 c3 d4 e5"], False, True, False, id="a row that stands twice changed no places"
        ),
        pytest.param(["a- b-", "b- c-"], False, False, False, id="one row is shared"),
        pytest.param(["a-", "b-"], True, False, False, id="none is shared"),
        pytest.param(["a1", "b2"], False, True, False, id="none is shared, and keys differ"),
    ],
)
def test_a_pass_knows_whether_a_gap_is_possible(
    pages: list[str], *, unproven: bool, by_keys: bool, reordered: bool
) -> None:
    sweep = swept([page(text) for text in pages], closely=True)
    assert (sweep.unproven, sweep.by_keys, sweep.reordered) == (unproven, by_keys, reordered)


@pytest.mark.parametrize(
    ("second", "by_keys"),
    [
        pytest.param("c3 d4 e5", False, id="on which nothing moved, whose keys are not looked at"),
        pytest.param("b2 c3 d4 e5", True, id="before which a row was created"),
    ],
)
def test_a_quick_look_finds_every_page_proven(second: str, by_keys: bool) -> None:  # noqa: FBT001 - a case
    sweep = swept([page("a1 b2 c3 d4"), page(second)])
    assert (sweep.unproven, sweep.by_keys, sweep.found) == (False, by_keys, 0)


def test_a_page_of_no_rows_leaves_no_gap_while_the_total_stays() -> None:
    sweep = Sweep(SeenIds(), lambda _: None, closely=False)
    assert (sweep.take(0, [], [], 9, first=True), sweep.unproven, sweep.total) == ([], False, 9)
    sweep = swept([page("a1 b2")])
    for total, unproven, of_all in [(9, False, 9), (8, True, None), (9, True, None)]:
        assert sweep.take(0, [], [], total, first=False) == []
        assert (sweep.unproven, sweep.total) == (unproven, of_all)


def test_a_list_without_a_total_ends_with_the_rows_that_two_pages_share() -> None:
    sweep = swept([page("a1 b2 c3 d4")])
    assert [sweep.ends_here(keys) for keys in ("cd", "c", "cde", "")] == [True, False, False, False]
    sweep.expect_again()
    assert sweep.ends_here("abcd")


@pytest.mark.parametrize(
    ("first", "second", "tied"),
    [
        ("a1 b2", "c2 d3", True),
        ("a1 b2", "c3", False),
        ("a1 b2", "", False),
        ("a- b-", "c-", False),
        ("a1 b3 c2 d4", "e4", False),
    ],
)
def test_a_page_is_tied_to_the_last_one_by_an_equal_key(first: str, second: str, tied: bool) -> None:  # noqa: FBT001 - a case
    assert swept([page(first)], closely=True).tied(page(second)) is tied


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        ("a1 b2 c3 d4", 2),
        ("a1 b2 c2 d2", 2),
        ("a1 b1 c2 d2", 3),
        ("a2 b2 c2 d2", 2),
        ("a- b- c- d-", 2),
        ("a1", 2),
        ("", 2),
    ],
)
def test_a_close_look_shares_rows_back_to_another_key(rows: str, shared: int) -> None:
    assert swept([], closely=True).overlap(page(rows)) == shared
    assert swept([], closely=False).overlap(page(rows)) == 2
    assert swept([page("a1 b3 c2")], closely=True).overlap(page(rows)) == 2, "its keys say nothing any more"
