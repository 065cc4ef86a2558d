"""A walk goes on from a saved position, in another process too."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pagination.list_server import (
    LIMITED,
    REPORT,
    ROWS,
    UNCOUNTED,
    WHOLE,
    Listing,
    ListServer,
    Paging,
    Row,
    list_operation,
    offset_answers,
    rows,
)

from spotify_ads_async.errors import ConfigurationError, WalkIncomplete
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.high_water_mark import HighWaterMark


async def walk_some(call: ListCall[Row], count: int) -> tuple[list[Row], str]:
    """The first ``count`` rows, and the position after them."""
    async with call.walk() as walk:
        found = [await anext(walk) for _ in range(count)]
        return found, walk.position


def paged_report(listed: list[Row]) -> ListServer:
    def answer(query: dict[str, object]) -> Listing:
        start = int(str(query.get("continuation_token", 0)))
        more = start + 50 < len(listed)
        return Listing(rows=listed[start : start + 50], continuation_token=str(start + 50) if more else None)

    return ListServer(answer)  # type: ignore[arg-type]


def server_of(operation: ListOperation[Listing, Row], listed: list[Row]) -> ListServer:
    if operation is REPORT:
        return paged_report(listed)
    if operation in (WHOLE, LIMITED):
        return ListServer(lambda _: Listing(rows=list(listed)))
    return ListServer(offset_answers(listed, total="counted" if operation is ROWS else None))


every_style = pytest.mark.parametrize(
    "operation", [ROWS, UNCOUNTED, REPORT, LIMITED, WHOLE], ids=lambda operation: operation.style.value
)


@every_style
@pytest.mark.parametrize("count", [0, 1, 31, 49, 50, 51, 98, 99, 130])
@pytest.mark.parametrize("anonymous", [False, True], ids=["ids", "no ids"])
async def test_a_walk_goes_on_where_it_stood(
    operation: ListOperation[Listing, Row],
    count: int,
    anonymous: bool,  # noqa: FBT001  # drawn by pytest
) -> None:
    listed = [Row(name=str(number)) for number in range(130)] if anonymous else rows(130)
    call = ListCall(server_of(operation, listed), operation)
    found, position = await walk_some(call, count)
    assert found == listed[:count]
    assert isinstance(position, str)
    assert await call.starting_at(position).collect() == listed[count:]


@every_style
async def test_a_resumed_walk_can_be_resumed(operation: ListOperation[Listing, Row]) -> None:
    listed = rows(180)
    call = ListCall(server_of(operation, listed), operation)
    found, position = await walk_some(call, 0)
    while len(found) < 180:
        some, position = await walk_some(call.starting_at(position), 20)
        found += some
    assert found == listed
    assert await call.starting_at(position).collect() == []


async def test_the_position_of_pages_is_behind_the_last_page() -> None:
    call = ListCall(ListServer(offset_answers(rows(300))), ROWS)
    async with call.pages() as pages:
        found = [*(await anext(pages)).items, *(await anext(pages)).items]
        position = pages.position
    assert found + await call.starting_at(position).collect() == rows(300)


async def test_resuming_reads_on_from_the_place_and_not_from_the_start() -> None:
    server = ListServer(offset_answers(rows(5000)))
    _, position = await walk_some(ListCall(server, ROWS), 4500)
    server.queries.clear()
    assert len(await ListCall(server, ROWS).starting_at(position).collect()) == 500
    assert min(server.offsets) > 4400
    assert len(server.queries) < 15


@pytest.mark.parametrize("created", [1, 30, 60, 500, 2000])
async def test_rows_created_in_front_since_then_cost_a_few_requests(created: int) -> None:
    server = ListServer(offset_answers(listed := rows(3000)))
    _, position = await walk_some(ListCall(server, ROWS), 1000)
    listed[:0] = rows(created, 10_000)
    server.queries.clear()
    assert await ListCall(server, ROWS).starting_at(position).collect() == rows(3000)[1000:]
    assert len(server.queries) < 50


@given(seed=st.integers(0, 2**32), count=st.integers(0, 60), limit=st.integers(1, 12))
async def test_the_place_is_found_again_whatever_was_created_and_archived(seed: int, count: int, limit: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # drawn by hypothesis
    listed = rows(60)
    call = ListCall(ListServer(offset_answers(listed)), ROWS, query={"limit": limit})
    yielded, position = await walk_some(call, count)
    rest = listed[count:]
    for number in range(chance.randrange(40)):
        listed.insert(chance.randrange(len(listed) + 1), Row(id=f"late-{number}"))
    for row in chance.sample(listed, chance.randrange(30)):
        listed.remove(row)
    throughout = [row for row in rest if row in listed]
    if count > 32 and not any(row in listed for row in yielded[-32:]):
        with pytest.raises(WalkIncomplete):
            await call.starting_at(position).collect()
        return
    found = [row for row in await call.starting_at(position).collect() if not (row.id or "").startswith("late")]
    assert found == throughout


async def test_rows_created_in_front_do_not_move_the_place() -> None:
    """So many that the walk begins again and yields them; what it had yielded before stands behind them then."""
    server = ListServer(offset_answers(listed := rows(300)))
    call = ListCall(server, ROWS).reading_ahead(0)
    found: list[Row] = []
    async with call.walk() as walk:
        while len(found) < 400:
            found.append(await anext(walk))
            if len(found) == 98:
                listed[:0] = rows(500, 1000)
        position = walk.position
    assert rows(302, 1000) == found[98:]
    found += await call.starting_at(position).collect()
    assert len(found) == len({row.id for row in found})
    assert {row.id for row in rows(300)} <= {row.id for row in found}


@pytest.mark.parametrize("operation", [ROWS, UNCOUNTED], ids=lambda operation: operation.style.value)
async def test_equal_rows_without_ids_are_walked_on(operation: ListOperation[Listing, Row]) -> None:
    listed = [Row(name=str(number % 3)) for number in range(130)]
    call = ListCall(server_of(operation, listed), operation, query={"limit": 20})
    _, position = await walk_some(call, 77)
    assert len(await call.starting_at(position).collect()) == 53


async def test_a_place_whose_rows_are_all_gone_is_lost() -> None:
    call = ListCall(ListServer(offset_answers(listed := rows(300))), ROWS)
    _, position = await walk_some(call, 100)
    del listed[60:100]
    with pytest.raises(WalkIncomplete, match="start the walk from the beginning"):
        await call.starting_at(position).collect()


async def test_a_whole_list_without_the_rows_before_the_place_is_lost() -> None:
    call = ListCall(ListServer(lambda _: Listing(rows=list(listed))), WHOLE)
    listed = rows(100)
    _, position = await walk_some(call, 10)
    del listed[:10]
    with pytest.raises(WalkIncomplete, match="start the walk from the beginning"):
        await call.starting_at(position).collect()


async def test_rows_archived_while_a_resumed_walk_goes_on_lose_none() -> None:
    listed = rows(400)
    server = ListServer(offset_answers(listed))
    _, position = await walk_some(ListCall(server, ROWS), 200)
    found: list[Row] = []
    async for row in ListCall(server, ROWS).starting_at(position):
        found.append(row)
        if len(found) == 30:
            del listed[20:90]
    assert found == rows(400)[200:]


async def test_a_position_of_another_list_is_refused() -> None:
    server = ListServer(offset_answers(rows(300)))
    call = ListCall(server, ROWS, path={"ad_account_id": "a"}, query={"name": "x", "limit": 5})
    _, position = await walk_some(call, 10)
    assert (
        len(
            await ListCall(server, ROWS, path={"ad_account_id": "a"}, query={"limit": 50, "name": "x"})
            .starting_at(position)
            .collect()
        )
        == 290
    )
    others = [
        ListCall(server, ROWS, path={"ad_account_id": "b"}, query={"name": "x"}),
        ListCall(server, ROWS, path={"ad_account_id": "a"}, query={"name": "y"}),
        ListCall(server, ROWS, path={"ad_account_id": "a"}, query={"name": "x", "sort_field": "NAME"}),
        ListCall(server, list_operation(operation_id="getOther"), path={"ad_account_id": "a"}, query={"name": "x"}),
    ]
    for other in others:
        with pytest.raises(ConfigurationError, match="position"):
            other.starting_at(position)


@pytest.mark.parametrize("text", ["", "nonsense", "{}", '{"operation": 3}', "[]"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="position"):
        ListCall(ListServer(offset_answers([])), ROWS).starting_at(text)


async def test_a_position_is_for_walking() -> None:
    call = ListCall(ListServer(offset_answers(rows(80))), ROWS)
    _, position = await walk_some(call, 10)
    with pytest.raises(ConfigurationError, match="iterate"):
        await call.starting_at(position)


async def test_a_position_survives_the_process() -> None:
    """Nothing in it depends on hash seeds or memory."""
    program = """
import asyncio
from pagination.list_server import ROWS, ListServer, offset_answers, rows
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.high_water_mark import HighWaterMark

async def main():
    walk = ListCall(ListServer(offset_answers(rows(300))), ROWS, query={"name": "x"}).walk()
    for _ in range(77):
        await anext(walk)
    print(walk.position)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="tests")  # noqa: ASYNC221  # short, ours
    call = ListCall(ListServer(offset_answers(rows(300))), ROWS, query={"name": "x"})
    assert await call.starting_at(ended.stdout.strip()).collect() == rows(300)[77:]


async def test_a_missing_row_is_missed_in_a_resumed_whole_list_too() -> None:
    server = ListServer(lambda _: Listing(rows=rows(10), paging=Paging(total_results=12)))
    _, position = await walk_some(ListCall(server, WHOLE), 4)
    with pytest.raises(WalkIncomplete, match="2 rows"):
        await ListCall(server, WHOLE).starting_at(position).collect()


@pytest.mark.parametrize("count", [21, 35, 135, 220])
@pytest.mark.parametrize("cap", [3, 20])
async def test_a_walk_goes_on_where_the_server_gives_fewer_rows_than_were_asked_for(count: int, cap: int) -> None:
    listed = rows(230)
    call = ListCall(ListServer(offset_answers(listed, cap=cap)), ROWS)
    found, position = await walk_some(call, count)
    assert found + await call.starting_at(position).collect() == listed


@pytest.mark.parametrize("count", [5, 36, 60, 77, 100])
@pytest.mark.parametrize("turned", [0, 7, 11, 23])
async def test_a_walk_that_goes_on_amid_rows_that_change_places_is_complete_or_says_so(count: int, turned: int) -> None:
    listed = rows(120)

    def answer(query: Mapping[str, Any]) -> Listing:
        # The list is turned round by so many rows in each answer; or neighbours stand the other way round in every
        # other one.
        listed[:] = [listed[(place + turned) % 120 if turned else place ^ 1] for place in range(len(listed))]
        return offset_answers(listed, cap=7)(query)

    call = ListCall(ListServer(answer), ROWS).reading_ahead(0)
    try:
        found, position = await walk_some(call, count)
        found += await call.starting_at(position).collect()
    except WalkIncomplete:
        return
    assert sorted(row.id or "" for row in found) == sorted(row.id or "" for row in listed)


async def test_rows_that_change_places_are_not_looked_for_without_end() -> None:
    listed, draw = rows(90), random.Random(3)  # noqa: S311 - nothing secret

    def answer(query: Mapping[str, Any]) -> Listing:
        mixed = [row for start in range(0, 90, 10) for row in draw.sample(listed[start : start + 10], 10)]
        return offset_answers(mixed, total=None, cap=3)(query)

    server = ListServer(answer)
    with pytest.raises(WalkIncomplete):
        await ListCall(server, ROWS).reading_ahead(0).collect()
    assert len(server.queries) < 1500


def test_a_new_row_before_the_place_does_not_move_it() -> None:
    mark = HighWaterMark(0)
    mark.page(0, ["a", "b", "c"], [0, 1, 2], total=4, first=True)
    mark.page(2, ["new", "c", "d"], [0, 2], total=5, first=False)
    assert [mark.place(taken)[:2] for taken in (0, 1, 2, None)] == [
        (("a", "b", "c"), 3),
        (("a", "b", "c"), 3),
        (("a", "b", "c", "d"), 5),
        (("a", "b", "c", "d"), 5),
    ]
