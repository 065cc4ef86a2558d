"""Finding a place that moved: around where it was, ever further, and past no row."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import WalkIncomplete
from spotify_ads_async.pagination.search import Search, step_after
from spotify_ads_async.pagination.seen import SeenIds

GONE = -1
OVERLAP = 2
"""Rows that two pages beside each other share."""


def search_from(offset: int, floor: int, limit: int, total: int | None = None) -> Search:
    return Search("getRows", offset, floor, limit, total)


def looked_at(search: Search, place: int, rows: int, *, told: int | None, page: int) -> list[int]:
    """The offsets of the pages that are read until one of them holds the place, or none is left."""
    seen = SeenIds()
    seen.add(str(place))
    offsets: list[int] = []
    for _ in range(rows + search.offset + 2):
        offsets.append(search.offset)
        keys = [str(row) for row in range(search.offset, min(search.offset + page, rows))]
        try:
            if search.find(keys, seen, told):
                return offsets
        except WalkIncomplete:
            return offsets
    pytest.fail("it does not end")


def missed(search: Search, total: int | None) -> int:
    """Where to look after a full page that does not hold the place."""
    assert not search.find([f"another {number}" for number in range(10)], SeenIds(), total)
    return search.offset


@pytest.mark.parametrize(
    ("place", "rows", "told", "page", "expected"),
    [
        pytest.param(104, 300, 300, 10, [100], id="where it was"),
        pytest.param(110, 300, 300, 10, [100, 92, 108], id="to the left first, then to the right"),
        pytest.param(119, 300, 300, 10, [100, 92, 108, 84, 116], id="ever further"),
        pytest.param(GONE, 24, None, 10, [100, 92, 84, 76, 68, 60, 52, 44, 36, 28, 20, 12, 4, 0], id="all gone"),
        pytest.param(80, 112, 112, 10, [100, 92, 108, 84, 76], id="to the left alone from the end on"),
        pytest.param(80, 110, 110, 10, [100, 92, 108, 84, 76], id="a full page tells of no end"),
        pytest.param(80, 108, None, 10, [100, 92, 84, 76], id="a short page is the last one where no total tells"),
        pytest.param(96, 97, 97, 3, [100, 92, 93, 91, 94], id="what lies between pages shorter than the step is seen"),
        pytest.param(93, 300, 300, 5, [100, 97, 103, 94, 106, 91], id="pages shorter than asked for are no end"),
        pytest.param(109, 300, 300, 5, [100, 97, 103, 94, 106], id="nor to the right"),
    ],
)
def test_pages_around_the_place_are_read_in_turns(
    place: int, rows: int, told: int | None, page: int, expected: list[int]
) -> None:
    assert looked_at(search_from(100, 0, 10), place, rows, told=told, page=page) == expected


@pytest.mark.parametrize(
    ("former", "now", "expected"),
    [
        pytest.param(300, 340, [100, 140], id="rows in front push it on"),
        pytest.param(300, 260, [100, 60, 52], id="and draw it back, once"),
        pytest.param(300, 100, [100, 3], id="never before the first"),
        pytest.param(300, 300, [100, 92], id="as many as before tell nothing"),
        pytest.param(300, None, [100, 92], id="and so does no number"),
    ],
)
def test_what_a_list_has_gained_is_where_it_looks_first(former: int, now: int | None, expected: list[int]) -> None:
    search = search_from(100, 3, 10, former)
    offsets = [search.offset]
    while len(offsets) < len(expected):
        offsets.append(missed(search, now))
    assert offsets == expected


def test_a_total_that_comes_late_does_not_push() -> None:
    search = search_from(100, 0, 10, 300)
    assert [missed(search, None), missed(search, 400)] == [92, 108]


def test_it_never_looks_before_the_floor() -> None:
    assert search_from(-5, 3, 10).offset == 3
    offsets = looked_at(search_from(100, 97, 10), GONE, 125, told=125, page=10)
    assert offsets == [100, 97, 108, 116]


@given(
    data=st.data(), rows=st.integers(0, 120), start=st.integers(0, 150), page=st.integers(1, 12), tells=st.booleans()
)
def test_a_place_is_found_wherever_it_went_and_an_absent_one_given_up(
    data: st.DataObject, *, rows: int, start: int, page: int, tells: bool
) -> None:
    floor, place = data.draw(st.integers(0, 30)), data.draw(st.integers(-1, 119))
    # Where no total is told, a page that is shorter than asked for is the last one.
    search = search_from(start, floor, 12 if tells else page)
    offsets = looked_at(search, place, rows, told=rows if tells else None, page=page)
    if floor <= place < rows:
        assert offsets[-1] <= place < offsets[-1] + page
    else:
        # No row was between two pages, before the first or behind the last.
        ends = [floor - 1, *sorted(one for one in offsets if one < rows), rows]
        assert all(later - earlier <= page for earlier, later in pairwise(ends[1:]))
        assert floor >= rows or ends[1] == floor


@pytest.mark.parametrize(
    ("length", "overlap", "step"), [(0, 2, 0), (1, 2, 1), (2, 2, 1), (3, 2, 1), (10, 2, 8), (10, 0, 10)]
)
def test_the_next_page_shares_rows_with_the_last_one_and_is_never_the_same(
    length: int, overlap: int, step: int
) -> None:
    assert step_after(length, overlap) == step


def test_rows_before_the_place_count_as_read() -> None:
    seen = SeenIds()
    seen.add("104")
    assert search_from(100, 0, 10).find([str(row) for row in range(100, 110)], seen, 300)
    assert [str(row) in seen for row in range(99, 107)] == [False, *[True] * 5, False, False]


def test_a_place_that_is_nowhere_is_told_with_its_list() -> None:
    with pytest.raises(WalkIncomplete, match="getRows"):
        search_from(0, 0, 10).find([], SeenIds(), 0)
