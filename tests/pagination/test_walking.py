"""Every style of list: what is asked, what is yielded, and how a walk ends that cannot end well."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, Mapping
from typing import Any

import pytest
from pagination.list_server import (
    LIMITED,
    REPORT,
    ROWS,
    UNCOUNTED,
    WHOLE,
    Field,
    Listing,
    ListServer,
    Paging,
    Row,
    list_operation,
    names,
    offset_answers,
    rows,
)

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, ServerError, WalkIncomplete
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import UNSET

OFFSET_OPERATIONS = [ROWS, UNCOUNTED]
by_operation = pytest.mark.parametrize("operation", OFFSET_OPERATIONS, ids=lambda operation: operation.style.value)


async def walk_into(found: list[Row], walk: AsyncIterable[Row]) -> None:
    """What came before an error is kept in ``found``."""
    async for row in walk:
        found.append(row)  # noqa: PERF401  # as above


# --- one page ---


async def test_awaiting_gives_the_one_page_that_the_query_says() -> None:
    server = ListServer(offset_answers(rows(120)))
    page = await ListCall(server, ROWS, query={"limit": 5, "offset": 10, "name": UNSET})
    assert names(page.items) == [f"Row {number}" for number in range(10, 15)]
    assert (page.total, page.offset, page.continuation_token, len(page)) == (120, 10, None, 5)
    assert [row.id for row in page] == [row.id for row in page.items]
    assert page.answer == Listing(rows=page.items, paging=Paging(total_results=120, offset=10))
    assert server.queries == [{"limit": 5, "offset": 10}]


async def test_a_page_of_a_report_holds_the_token_of_the_next() -> None:
    server = ListServer(lambda _: Listing(rows=rows(2), continuation_token="abc", warnings=["slow"]))
    page = await ListCall(server, REPORT)
    assert (page.continuation_token, page.total, page.offset, page.answer.warnings) == ("abc", None, None, ["slow"])


@pytest.mark.parametrize("answer", [Listing(), Listing(rows=None, paging=None, continuation_token=None), None])
@pytest.mark.parametrize(
    "operation", [ROWS, UNCOUNTED, REPORT, LIMITED, WHOLE], ids=lambda operation: operation.style.value
)
async def test_what_the_server_leaves_out_counts_as_empty(
    operation: ListOperation[Listing, Row], answer: object
) -> None:
    server = ListServer(lambda _: answer)
    page = await ListCall(server, operation)
    assert (page.items, page.total, page.continuation_token) == ([], None, None)
    assert await ListCall(server, operation).collect() == []
    assert len(server.queries) == 2


async def test_each_use_of_a_call_asks_anew() -> None:
    listed = rows(3)
    call = ListCall(ListServer(offset_answers(listed)), ROWS)
    assert len(await call.collect()) == 3
    listed.append(Row(id="late"))
    assert len(await call.collect()) == 4
    assert len(await call) == 4


# --- offsets ---


@by_operation
@pytest.mark.parametrize("read_ahead", [0, 1, 16])
@pytest.mark.parametrize("count", [0, 1, 2, 6, 7, 8, 12, 13, 100])
async def test_every_row_comes_once_and_in_order(
    operation: ListOperation[Listing, Row], read_ahead: int, count: int
) -> None:
    server = ListServer(offset_answers(rows(count), total="counted" if operation is ROWS else None))
    found = await ListCall(server, operation, query={"limit": 7}).reading_ahead(read_ahead).collect()
    assert found == rows(count)
    assert server.offsets[0] == 0


async def test_a_walk_begins_at_the_offset_and_reads_pages_of_the_limit() -> None:
    server = ListServer(offset_answers(rows(30)))
    found = await ListCall(server, ROWS, query={"limit": 10, "offset": 12}).collect()
    assert found == rows(30)[12:]
    assert server.offsets == [12, 20, 28]
    assert {query["limit"] for query in server.queries} == {10}


async def test_what_lies_before_the_first_offset_is_not_missed_under_a_moving_order() -> None:
    server = ListServer(offset_answers(rows(30)))
    assert (
        await ListCall(server, ROWS, query={"limit": 10, "offset": 12, "sort_field": "NAME"}).collect() == rows(30)[12:]
    )
    assert len(server.queries) == 3


async def test_a_limit_of_one_still_leads_on() -> None:
    assert await ListCall(ListServer(offset_answers(rows(9))), ROWS, query={"limit": 1}).collect() == rows(9)


@by_operation
async def test_without_a_limit_pages_are_as_large_as_the_api_allows(operation: ListOperation[Listing, Row]) -> None:
    server = ListServer(offset_answers(rows(3), total=None))
    await ListCall(server, operation).collect()
    assert server.queries[0]["limit"] == operation.page_size


async def test_nothing_is_asked_beyond_the_total() -> None:
    server = ListServer(offset_answers(rows(1000)))
    assert len(await ListCall(server, ROWS).collect()) == 1000
    assert sorted(server.offsets) == [48 * page for page in range(21)]


async def test_a_short_list_costs_one_request() -> None:
    server = ListServer(offset_answers(rows(49)))
    await ListCall(server, ROWS).collect()
    assert len(server.queries) == 1


async def test_pages_are_read_ahead_up_to_the_bound_and_no_further() -> None:
    server = ListServer(offset_answers(rows(5000)))
    async with ListCall(server, ROWS).reading_ahead(6).pages() as pages:
        async for _ in pages:
            assert server.open <= 6
    assert server.most_open == 6


async def test_page_by_page_asks_only_for_what_is_wanted() -> None:
    server = ListServer(offset_answers(rows(500)))
    async with ListCall(server, ROWS).reading_ahead(0).pages() as pages:
        for wanted in range(1, 5):
            await anext(pages)
            assert len(server.queries) == wanted
    assert server.most_open == 1


@pytest.mark.parametrize(("taken", "asked"), [(1, 2), (2, 4), (3, 7), (4, 12), (5, 21), (6, 22)])
async def test_a_walk_that_is_left_early_has_asked_for_little(taken: int, asked: int) -> None:
    server = ListServer(offset_answers(rows(5000)))
    async with ListCall(server, ROWS).pages() as pages:
        for _ in range(taken):
            await anext(pages)
            await asyncio.sleep(0)
    assert len(server.queries) == asked


async def test_a_walk_that_reads_everything_reads_far_ahead_at_once() -> None:
    server = ListServer(offset_answers(rows(5000)))
    async with ListCall(server, ROWS).reading_ahead(16, eager=True).pages() as pages:
        await anext(pages)
        await asyncio.sleep(0)
        assert len(server.queries) == 17


async def test_pages_hold_what_no_earlier_page_held() -> None:
    server = ListServer(offset_answers(rows(25)))
    pages = [page async for page in ListCall(server, ROWS, query={"limit": 10}).pages()]
    assert [row for page in pages for row in page.items] == rows(25)
    assert [(page.offset, len(page), page.total) for page in pages] == [(0, 10, 25), (8, 8, 25), (16, 7, 25)]


async def test_a_server_that_gives_smaller_pages_than_asked_for_is_walked_to_its_end() -> None:
    assert await ListCall(ListServer(offset_answers(rows(333), cap=20)), ROWS).collect() == rows(333)


@pytest.mark.parametrize("said", [20, None], ids=["the size", "the count"])
async def test_a_server_without_a_total_that_says_how_small_its_pages_are_is_walked_to_its_end(
    said: int | None,
) -> None:
    """Whether ``page_size`` says how many rows there are in a page or how many there are at most."""
    listed = rows(95)

    def answer(query: Mapping[str, Any]) -> Listing:
        found = listed[query["offset"] :][:20]
        return Listing(rows=found, paging=Paging(page_size=said or len(found)))

    server = ListServer(answer)
    assert await ListCall(server, ROWS).collect() == listed
    assert len(server.queries) < 40


async def test_a_server_that_knows_no_pages_is_read_once() -> None:
    server = ListServer(lambda _: Listing(rows=rows(200), paging=Paging(total_results=200)))
    assert await ListCall(server, ROWS).collect() == rows(200)


async def test_a_total_of_zero_beside_rows_is_no_total() -> None:
    assert await ListCall(ListServer(offset_answers(rows(120), total=0)), ROWS).collect() == rows(120)


@by_operation
async def test_rows_without_ids_are_walked_plainly(operation: ListOperation[Listing, Row]) -> None:
    listed = [Row(name=str(number % 3)) for number in range(130)]
    server = ListServer(offset_answers(listed, total="counted" if operation is ROWS else None))
    assert await ListCall(server, operation, query={"limit": 20}).collect() == listed
    assert sorted(server.offsets)[:3] == [0, 20, 40]


async def test_one_row_without_an_id_among_others_is_known_by_its_content() -> None:
    listed = rows(60)
    listed[33] = Row(name="anonymous")
    assert await ListCall(ListServer(offset_answers(listed)), ROWS, query={"limit": 10}).collect() == listed


# --- order and fields ---


async def test_a_walk_asks_for_an_order_that_lasts() -> None:
    server = ListServer(offset_answers(rows(1)))
    await ListCall(server, ROWS).collect()
    assert (server.queries[0]["sort_field"], server.queries[0]["sort_direction"]) == ("CREATED_AT", "DESC")


async def test_the_caller_s_order_stands() -> None:
    server = ListServer(offset_answers(rows(1)))
    await ListCall(server, ROWS, query={"sort_field": "NAME"}).collect()
    assert server.queries[0] == {"sort_field": "NAME", "offset": 0, "limit": 50}


async def test_an_operation_without_orders_is_asked_for_none() -> None:
    server = ListServer(offset_answers(rows(1)))
    await ListCall(server, UNCOUNTED).collect()
    assert server.queries == [{"offset": 0, "limit": 1000}]


@pytest.mark.parametrize(
    ("asked", "sent"), [([Field.NAME], ["NAME", "ID"]), (["ID"], ["ID"]), ((Field.ID, Field.NAME), ["ID", "NAME"])]
)
async def test_ids_are_asked_for_where_fields_are_named(asked: object, sent: list[str]) -> None:
    server = ListServer(offset_answers(rows(1)))
    await ListCall(server, ROWS, query={"fields": asked}).collect()
    assert server.queries[0]["fields"] == sent


async def test_no_fields_stay_no_fields() -> None:
    server = ListServer(offset_answers(rows(1)))
    await ListCall(server, ROWS, query={"fields": []}).collect()
    assert server.queries[0]["fields"] == []


# --- other styles ---


def report(pages: list[list[Row]]) -> ListServer:
    """A report of some pages; each token says which page comes next."""

    def answer(query: Mapping[str, Any]) -> Listing:
        token = query.get("continuation_token")
        number = 0 if token is None else int(token.removesuffix("%3D="))
        return Listing(rows=pages[number], continuation_token=f"{number + 1}%3D=" if number + 1 < len(pages) else None)

    return ListServer(answer)


async def test_a_token_is_sent_alone_and_as_it_came() -> None:
    server = report([rows(3), [], rows(2, 3)])
    assert await ListCall(server, REPORT, query={"name": "x"}).collect() == rows(5)
    assert server.queries == [
        {"limit": 50, "name": "x"},
        {"continuation_token": "1%3D="},
        {"continuation_token": "2%3D="},
    ]


async def test_equal_rows_of_a_report_are_all_yielded() -> None:
    server = report([[Row(name="same")] * 3, [Row(name="same")] * 2])
    assert len(await ListCall(server, REPORT).collect()) == 5


async def test_a_report_reads_one_page_ahead() -> None:
    server = report([rows(1, number) for number in range(5)])
    async with ListCall(server, REPORT).pages() as pages:
        await anext(pages)
        await anext(pages)
        await asyncio.sleep(0)
        assert len(server.queries) == 3


async def test_a_walk_cannot_begin_at_a_foreign_token() -> None:
    with pytest.raises(ConfigurationError, match="continuation_token"):
        await ListCall(report([[]]), REPORT, query={"continuation_token": "x"}).collect()


async def test_a_limited_list_is_asked_for_all_it_gives() -> None:
    server = ListServer(lambda _: Listing(rows=rows(4)))
    assert await ListCall(server, LIMITED).collect() == rows(4)
    assert server.queries == [{"limit": 50}]


async def test_a_limited_list_gives_as_few_as_the_caller_wanted() -> None:
    server = ListServer(lambda query: Listing(rows=rows(query["limit"]), paging=Paging(total_results=70)))
    assert await ListCall(server, LIMITED, query={"limit": 4}).collect() == rows(4)


@pytest.mark.parametrize("operation", [WHOLE, LIMITED], ids=lambda operation: operation.style.value)
async def test_rows_that_the_server_counts_and_keeps_are_missed_after_those_that_came(
    operation: ListOperation[Listing, Row],
) -> None:
    server = ListServer(lambda _: Listing(rows=rows(50), paging=Paging(total_results=53)))
    found: list[Row] = []
    with pytest.raises(WalkIncomplete, match="getRows: 3 rows are missing"):
        await walk_into(found, ListCall(server, operation))
    assert found == rows(50)
    with pytest.raises(WalkIncomplete):
        await ListCall(server, operation).collect()


# --- servers that lead nowhere ---


async def walk_to_the_error(server: ListServer, operation: ListOperation[Listing, Row]) -> list[Row]:
    found: list[Row] = []
    with pytest.raises(WalkIncomplete) as caught:
        await walk_into(found, ListCall(server, operation, query={"limit": 50}))
    assert caught.value.operation == "getRows"
    assert caught.value.may_have_taken_effect is False
    return found


@pytest.mark.parametrize("total", [None, 50, 100, 10_000])
@by_operation
async def test_a_server_that_ignores_the_offset_is_noticed(
    operation: ListOperation[Listing, Row], total: int | None
) -> None:
    server = ListServer(lambda _: Listing(rows=rows(50), paging=Paging(total_results=total)))
    assert await walk_to_the_error(server, operation) == rows(50)
    assert len(server.queries) < 60


@by_operation
async def test_a_server_that_goes_round_in_a_circle_is_noticed(operation: ListOperation[Listing, Row]) -> None:
    circle = rows(300)

    def answer(query: Mapping[str, Any]) -> Listing:
        return Listing(rows=[circle[(query["offset"] + step) % 300] for step in range(50)])

    assert await walk_to_the_error(ListServer(answer), operation) == circle


async def test_repeated_rows_without_ids_are_noticed() -> None:
    server = ListServer(lambda _: Listing(rows=[Row(name=str(number)) for number in range(50)]))
    assert len(await walk_to_the_error(server, UNCOUNTED)) < 300


async def test_a_list_that_goes_on_beyond_its_total_is_noticed() -> None:
    endless_list = [Row(id=str(number)) for number in range(100_000)]
    server = ListServer(offset_answers(endless_list, total=100))
    assert len(await walk_to_the_error(server, ROWS)) < 1000


async def test_a_list_whose_total_flees_is_noticed() -> None:
    def answer(query: Mapping[str, Any]) -> Listing:
        offset = query["offset"]
        return Listing(
            rows=[Row(id=str(offset + step)) for step in range(50)], paging=Paging(total_results=offset + 5000)
        )

    assert len(await walk_to_the_error(ListServer(answer), ROWS)) < 200_000


@pytest.mark.parametrize("total", [None, 500])
@by_operation
async def test_pages_that_never_connect_are_noticed(operation: ListOperation[Listing, Row], total: int | None) -> None:
    numbers = itertools.count()
    server = ListServer(lambda _: Listing(rows=rows(50, 50 * next(numbers)), paging=Paging(total_results=total)))
    await walk_to_the_error_within(server, operation, requests=10_000)


async def test_a_report_without_end_is_noticed() -> None:
    numbers = itertools.count()
    pages = [rows(1000), rows(1000, 1000)]

    def answer(_: object) -> Listing:
        number = next(numbers)
        return Listing(rows=pages[number % 2], continuation_token=str(number))

    server = ListServer(answer)
    assert len(await walk_to_the_error(server, REPORT)) == 2_000_000


async def walk_to_the_error_within(server: ListServer, operation: ListOperation[Listing, Row], requests: int) -> None:
    await walk_to_the_error(server, operation)
    assert len(server.queries) < requests


async def test_missing_rows_are_asked_for_again_and_then_missed() -> None:
    server = ListServer(offset_answers(rows(70), total=90))
    found = await walk_to_the_error(server, ROWS)
    assert found == rows(70)
    assert len(server.queries) < 10


async def test_a_total_that_was_counted_a_moment_earlier_does_no_harm() -> None:
    totals = iter([71, 71, 70])
    server = ListServer(
        lambda query: Listing(rows=rows(70)[query["offset"] :][:50], paging=Paging(total_results=next(totals, 70)))
    )
    assert await ListCall(server, ROWS).collect() == rows(70)


async def test_a_full_last_page_is_not_taken_for_the_end() -> None:
    """The total may have been counted just before a row was created in front."""
    totals = iter([100, 100, 100])
    listed = rows(98 + 2 + 1)
    server = ListServer(
        lambda query: Listing(rows=listed[query["offset"] :][:50], paging=Paging(total_results=next(totals, 101)))
    )
    assert await ListCall(server, ROWS, query={"limit": 50, "offset": 2}).collect() == listed[2:]


async def test_a_row_that_moved_ahead_does_not_hide_those_between() -> None:
    listed = rows(60)
    server = ListServer(offset_answers(listed))
    found: list[Row] = []
    async for row in ListCall(server, ROWS, query={"limit": 10, "sort_field": "UPDATED_AT"}).reading_ahead(0):
        found.append(row)
        if len(found) == 10:
            # Nine of the rows that came are archived, the tenth moves into the middle of the page that is read next.
            listed[:10] = []
            listed.insert(12, row)
    assert sorted(found, key=lambda row: int(row.name.split()[1])) == rows(60)


@pytest.mark.parametrize(
    "tokens",
    [["a", "a"], ["a", "b", "a"], [str(number) for number in range(1000)]],
    ids=["the same token", "an earlier token", "the same rows"],
)
async def test_a_report_that_leads_back_is_noticed(tokens: list[str]) -> None:
    coming = iter(tokens)
    server = ListServer(lambda _: Listing(rows=rows(5), continuation_token=next(coming)))
    await walk_to_the_error_within(server, REPORT, requests=10)


async def test_a_report_of_empty_pages_is_noticed() -> None:
    numbers = iter(range(10**9))
    server = ListServer(lambda _: Listing(rows=[], continuation_token=str(next(numbers))))
    await walk_to_the_error_within(server, REPORT, requests=50)


# --- errors of calls ---


@pytest.mark.parametrize("read_ahead", [0, 16])
async def test_a_failed_call_says_where_the_walk_stood_and_may_be_asked_again(read_ahead: int) -> None:
    failing = True

    def answer(query: Mapping[str, Any]) -> Listing:
        if query["offset"] == 96 and failing:
            raise ServerError("the server failed", operation="getRows", status=500)
        return offset_answers(rows(300))(query)  # type: ignore[return-value]

    server = ListServer(answer)
    found: list[Row] = []
    walk = ListCall(server, ROWS).reading_ahead(read_ahead).walk()
    with pytest.raises(ServerError) as caught:
        await walk_into(found, walk)
    assert any("offset 96" in note and "getRows" in note for note in caught.value.__notes__)
    assert found == rows(98)
    assert server.open == 0
    failing = False
    await walk_into(found, walk)
    assert found == rows(300)


async def test_a_page_that_failed_while_nobody_waited_for_it_is_asked_for_again() -> None:
    failures = iter([QuotaTimeout("no quota", predicted_wait=9.0, limit="ip")])

    def answer(query: Mapping[str, Any]) -> object:
        for failure in failures if query["offset"] == 96 else ():
            raise failure
        return offset_answers(rows(300))(query)

    server = ListServer(answer)
    walk = ListCall(server, ROWS).walk()
    found: list[Row] = []
    async for row in walk:
        found.append(row)
        await asyncio.sleep(0)
    assert found == rows(300)
    assert server.offsets.count(96) == 2


def test_reading_a_negative_number_of_pages_ahead_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="-1"):
        ListCall(report([]), REPORT).reading_ahead(-1)


def test_a_call_names_its_operation_and_what_is_asked() -> None:
    call = ListCall(report([]), list_operation(operation_id="getAds"), query={"limit": 5})
    assert repr(call).startswith("<ListCall getAds(limit=5): ")


def test_a_plain_for_over_a_call_says_what_is_wanted() -> None:
    with pytest.raises(TypeError, match="async for"):
        iter(ListCall(report([]), list_operation(operation_id="getAds")))


async def test_an_id_is_the_same_in_either_case() -> None:
    every = [Row(id=f"00000000-0000-4000-8000-abcdef{number:06}") for number in range(120)]
    answers = itertools.cycle(
        [offset_answers(every), offset_answers([Row(id=(row.id or "").upper()) for row in every])]
    )

    def answering(query: Mapping[str, Any]) -> object:
        return next(answers)(query)

    found = await ListCall(ListServer(answering), ROWS).collect()
    assert [(row.id or "").lower() for row in found] == [row.id for row in every]
