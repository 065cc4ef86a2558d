"""Complete, or an error: whatever the server does, a walk is never short without saying so."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from pagination.hostile_server import BEGIN, Dated, DatedListing, HostileServer
from pagination.list_server import (
    LIMITED,
    ORDERED_QUERY,
    ROWS,
    UNCOUNTED,
    Listing,
    ListServer,
    Paging,
    Row,
    offset_answers,
    rows,
)
from support.effort import left_to_soak

from spotify_ads_async.errors import InvalidRequest, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.pagination import ListCall

DATED = ListOperation(
    id="getRows",
    method="GET",
    path="/rows",
    summary="Rows.",
    answer=DatedListing,
    query=ORDERED_QUERY,
    item=Dated,
    item_attribute="rows",
    style=ListStyle.OFFSET,
    page_size=50,
)
WALKS = 2000

RowT = TypeVar("RowT")


async def walked(server: HostileServer, read_ahead: int, **order: object) -> tuple[list[str], WalkIncomplete | None]:
    found: list[Dated] = []
    error: WalkIncomplete | None = None
    try:
        await walk_into(
            found, ListCall(server, DATED, query={"limit": server.limit, **order}).reading_ahead(read_ahead)
        )
    except WalkIncomplete as caught:
        error = caught
    return [row.id for row in found], error


def indistinguishable(server: HostileServer) -> bool:
    """One answer that is, word for word, what a list of so many rows would give."""
    return server.answers == 1


async def walk_into(found: list[RowT], walk: AsyncIterable[RowT]) -> None:
    async for row in walk:
        found.append(row)  # noqa: PERF401  # an error must leave what came before it


async def check(seeds: range) -> int:
    complete = 0
    for seed in seeds:
        server = HostileServer(seed)
        found, error = await walked(server, seed % 4)
        assert len(found) == len(set(found)), f"seed {seed}: yielded twice by {server}"
        if error is None and not indistinguishable(server):
            assert server.throughout <= set(found), (
                f"seed {seed}: {len(server.throughout - set(found))} rows lost to {server}"
            )
            complete += 1
        if error is not None:
            assert error.yielded == len(found)
            honest = server.totals == "honest" and server.pages == "full" and not server.shuffles
            assert not honest, f"seed {seed}: {server} gave no reason for {error}"
    return complete


@pytest.mark.parametrize("part", range(2))
async def test_a_walk_is_complete_or_says_that_it_is_not(part: int) -> None:
    assert await check(range(part * 50, part * 50 + 50)) > 10


@pytest.mark.parametrize("seed", [51492, 61169])
async def test_pages_of_one_row_whose_totals_lie_or_change_lose_none(seed: int) -> None:
    await check(range(seed, seed + 1))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(8))
async def test_two_thousand_walks_are_complete_or_say_that_they_are_not(part: int) -> None:
    each = WALKS // 8
    assert await check(range(part * each, part * each + each)) > each // 5


class Shuffled(HostileServer):
    """An honest server of 500 rows, so many of which were made in each second, and which keeps no order among those."""

    def __init__(self, seed: int, in_a_second: int, *, shows_dates: bool) -> None:
        super().__init__(seed)
        self.limit, self.shuffles, self.changes, self.totals, self.pages = 50, True, 0.0, "honest", "full"
        self.shows_dates = shows_dates
        self.rows = [(number // in_a_second, f"row {number}") for number in range(500)]
        self.throughout = {name for _, name in self.rows}


class Orderless(Shuffled):
    """An honest server of 500 rows whose list turns round, or is mixed, or neither counts rows nor gives many."""

    def __init__(self, seed: int, how: str) -> None:
        super().__init__(seed, 1, shows_dates=True)
        self.how = how

    def answer(self, query: Mapping[str, Any]) -> DatedListing:
        found, few, odd = sorted(self.rows, reverse=True), self.how == "few", self.random.random() < 0.3
        if self.how == "turned" and odd:
            found.reverse()
        if self.how == "mixed" and odd:
            self.random.shuffle(found)
        rows = [
            Dated(id=name, created_at=None if self.how == "mixed" and not second % 9 else BEGIN + timedelta(0, second))
            for second, name in found[query["offset"] :][: 7 if few else query["limit"]]
        ]
        paging = Paging(total_results=None if few else len(found), page_size=query["limit"])
        return DatedListing(rows=rows, paging=paging)


@pytest.mark.parametrize("how", ["turned", "mixed", "few"])
async def test_a_list_that_keeps_no_order_is_complete_or_an_error(how: str) -> None:
    for seed in range(12):
        server = Orderless(seed, how)
        found, error = await walked(server, seed % 4)
        assert error is not None or server.throughout == set(found), f"seed {seed}: {len(found)} rows"


@pytest.mark.parametrize("shows_dates", [True, False], ids=["with dates", "without dates"])
@pytest.mark.parametrize("in_a_second", [3, 10, 49])
async def test_rows_of_one_second_that_change_places_all_come(in_a_second: int, shows_dates: bool) -> None:  # noqa: FBT001  # a parameter
    for seed in range(3):
        server = Shuffled(seed, in_a_second, shows_dates=shows_dates)
        found, error = await walked(server, 4)
        assert error is None
        assert sorted(found) == sorted(server.throughout)


@pytest.mark.parametrize("seeds", [range(4), left_to_soak(range(4, 12))], ids=str)
@pytest.mark.parametrize("totals", ["none", "low"])
async def test_an_order_that_edits_change_is_no_excuse_where_nothing_counts_the_rows(
    totals: str, seeds: Sequence[int]
) -> None:
    for seed in seeds:
        server = Shuffled(seed, 500, shows_dates=True)
        server.totals = totals
        found, error = await walked(server, seed % 4, sort_field="UPDATED_AT")
        assert error is not None or server.throughout == set(found), f"seed {seed}: {len(found)} rows"


@pytest.mark.parametrize("seed", [7, 23, 40])
async def test_a_walk_that_goes_on_under_an_order_that_edits_change_loses_nothing_in_silence(seed: int) -> None:
    server = Shuffled(seed, 49, shows_dates=True)
    call = ListCall(server, DATED, query={"limit": 50, "sort_field": "UPDATED_AT"}).reading_ahead(0)
    async with call.walk() as walk:
        found = [await anext(walk) for _ in range(400)]
        position = walk.position
    archived = {row.id for row in found[:8]}
    server.rows = [row for row in server.rows if row[1] not in archived]
    with pytest.raises(WalkIncomplete):
        await call.starting_at(position).collect()


class Lagging(Shuffled):
    """Of 180 rows, one answer comes from a replica that does not have some of them yet, and counts so many less."""

    def __init__(self, answer: int, lacks: slice) -> None:
        super().__init__(1, 1, shows_dates=True)
        self.shuffles, self.late, self.lacks = False, answer, lacks
        self.rows = sorted(self.rows[:180], reverse=True)
        self.throughout = {name for _, name in self.rows}

    def answer(self, query: Mapping[str, Any]) -> DatedListing:
        kept, self.rows = self.rows, list(self.rows)
        if self.answers == self.late:
            del self.rows[self.lacks]
        shown = super().answer(query)
        self.rows = kept
        return shown


@pytest.mark.parametrize("lacks", [slice(-1, None), slice(-20, None), slice(-50, None), slice(70, 80)], ids=str)
@pytest.mark.parametrize("answer", [2, 3, 4])
async def test_a_replica_that_lags_takes_no_row_away(answer: int, lacks: slice) -> None:
    server = Lagging(answer, lacks)
    found, error = await walked(server, 0)
    assert error is None
    assert server.throughout == set(found)
    assert server.answers <= 10


async def test_what_no_pass_meets_is_counted() -> None:
    """The server counts 500 throughout and shows 473 of them, in whatever order."""

    class Hiding(Shuffled):
        def answer(self, query: object) -> DatedListing:
            kept, self.rows = self.rows, [row for row in self.rows if int(row[1].split()[1]) >= 27]
            shown = super().answer(query)  # type: ignore[arg-type]  # as generic as the query
            self.rows = kept
            return DatedListing(rows=shown.rows, paging=Paging(total_results=500))

    found, error = await walked(Hiding(1, 10, shows_dates=True), 4)
    assert len(found) == 473
    assert error is not None
    assert (error.missing, error.yielded) == (27, 473)


async def test_a_list_that_stands_still_costs_no_request_more() -> None:
    server = ListServer(offset_answers(rows(1000)))
    assert await ListCall(server, ROWS).collect() == rows(1000)
    assert len(server.queries) == 21


async def test_small_pages_without_a_count_are_read_to_the_end() -> None:
    """Twenty rows where fifty were asked for, and nothing said of how many there are."""
    server = ListServer(offset_answers(rows(95), total=None, cap=20))
    assert await ListCall(server, UNCOUNTED, query={"limit": 50}).collect() == rows(95)


async def test_a_small_page_whose_count_is_too_low_is_not_the_end() -> None:
    assert await ListCall(ListServer(offset_answers(rows(95), total=15, cap=20)), ROWS).collect() == rows(95)


async def test_an_ignored_offset_without_a_count_is_noticed_on_a_small_page() -> None:
    server = ListServer(lambda _: Listing(rows=rows(20)))
    with pytest.raises(WalkIncomplete):
        await ListCall(server, UNCOUNTED, query={"limit": 50}).collect()
    assert len(server.queries) < 40


async def test_as_many_rows_as_can_be_asked_for_may_not_be_all() -> None:
    server = ListServer(lambda _: Listing(rows=rows(50)))
    found: list[Row] = []
    with pytest.raises(WalkIncomplete, match="cannot be known"):
        await walk_into(found, ListCall(server, LIMITED))
    assert found == rows(50)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": -1}, {"offset": -1}])
async def test_a_limit_below_one_is_refused(query: dict[str, object]) -> None:
    server = ListServer(offset_answers(rows(9)))
    (name,) = query
    for use in (ListCall(server, ROWS, query=query).collect, lambda: _awaited(ListCall(server, ROWS, query=query))):
        with pytest.raises(InvalidRequest) as told:
            await use()
        assert told.value.path == f"query.{name}"
    assert not server.queries


async def _awaited(call: ListCall[Row]) -> object:
    return await call
