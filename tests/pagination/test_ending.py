"""However a walk ends, its requests end with it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pagination.list_server import ROWS, UNCOUNTED, ListServer, Row, offset_answers, rows

from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.pagination import ListCall


def held(count: int = 5000) -> ListServer:
    """A server that answers the first two requests of a walk and keeps all others waiting."""
    return ListServer(offset_answers(rows(count)), gate=asyncio.Event(), ungated=2)


def other_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()}


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_break_ends_the_requests() -> None:
    server = held()
    gc.disable()
    try:
        taken = 0
        async for _ in ListCall(server, ROWS):
            taken += 1
            if taken == 60:
                await turns()
                assert server.open > 0
                break
        await turns()
    finally:
        gc.enable()
    assert server.open == 0
    assert server.cancelled > 0
    assert not other_tasks()


async def test_a_break_out_of_pages_ends_the_requests() -> None:
    server = held()
    async for page in ListCall(server, ROWS).pages():
        await turns()
        if page.offset:
            break
    await turns()
    assert (server.open, other_tasks()) == (0, set())


async def test_an_error_in_the_loop_s_body_ends_the_requests() -> None:
    server = held()

    with contextlib.suppress(ZeroDivisionError):
        async for _ in ListCall(server, ROWS):
            await turns()
            _ = 1 // 0
    await turns()
    assert (server.open, other_tasks()) == (0, set())


async def test_leaving_the_block_ends_the_requests_before_it_returns() -> None:
    server = held()
    async with ListCall(server, ROWS).walk() as walk:
        for _ in range(60):
            await anext(walk)
        await turns()
        assert server.open > 0
    assert (server.open, other_tasks()) == (0, set())
    with pytest.raises(StopAsyncIteration):
        await anext(walk)


async def test_closing_twice_or_before_the_first_row_is_fine() -> None:
    walk = ListCall(held(), ROWS).walk()
    await walk.aclose()
    await walk.aclose()
    assert [row async for row in walk] == []


async def test_closing_a_walk_that_others_wait_for_ends_it_for_them() -> None:
    server = held()
    walk = ListCall(server, ROWS).walk()
    consumers = [asyncio.create_task(count_of(walk)) for _ in range(3)]
    await turns(20)
    await walk.aclose()
    assert sum(await asyncio.gather(*consumers)) == 98
    assert (server.open, other_tasks()) == (0, set())


async def count_of(walk: AsyncIterable[Row]) -> int:
    return len([row async for row in walk])


async def test_cancelling_the_consumer_ends_the_requests() -> None:
    server = held()
    consumer = asyncio.create_task(ListCall(server, ROWS).collect())
    await turns(20)
    assert server.open > 1
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert (server.open, other_tasks()) == (0, set())


async def test_a_walk_goes_on_after_a_timeout() -> None:
    server = held(700)
    walk = ListCall(server, ROWS).walk()
    found = [await anext(walk) for _ in range(98)]
    for cancelling in (anyio.move_on_after(0), asyncio.timeout(0)):
        try:
            with cancelling if isinstance(cancelling, anyio.CancelScope) else anyio.CancelScope():
                if isinstance(cancelling, asyncio.Timeout):
                    async with cancelling:
                        await anext(walk)
                else:
                    await anext(walk)
        except TimeoutError:
            pass
        assert (server.open, other_tasks()) == (0, set())
    assert server.gate is not None
    server.gate.set()
    found += [row async for row in walk]
    assert found == rows(700)


@given(when=st.lists(st.integers(1, 12), max_size=12), read_ahead=st.integers(0, 5), uncounted=st.booleans())
async def test_no_row_is_lost_or_repeated_by_a_cancellation(when: list[int], read_ahead: int, uncounted: bool) -> None:  # noqa: FBT001  # drawn
    """Cancelled after any number of turns of the loop, again and again."""
    server = ListServer(offset_answers(rows(45), total=None if uncounted else "counted"))
    walk = ListCall(server, UNCOUNTED if uncounted else ROWS, query={"limit": 6}).reading_ahead(read_ahead).walk()
    found: list[Row] = []

    async def consume() -> None:
        async for row in walk:
            found.append(row)
            await asyncio.sleep(0)

    for patience in when:
        consumer = asyncio.create_task(consume())
        await turns(patience)
        consumer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await consumer
        assert server.open == 0
    await consume()
    assert found == rows(45)


async def test_closing_a_walk_in_the_turn_in_which_its_page_arrives() -> None:
    for patience in range(1, 8):
        server = ListServer(offset_answers(rows(500)))
        walk = ListCall(server, ROWS).walk()
        consumer = asyncio.create_task(count_of(walk))
        await turns(patience)
        await walk.aclose()
        assert await consumer < 500
        assert (server.open, other_tasks()) == (0, set())


async def test_a_dropped_walk_is_freed_at_once() -> None:
    server = held()
    walk = ListCall(server, ROWS).walk()
    for _ in range(60):
        await anext(walk)
    gone = weakref.ref(walk)
    gc.disable()
    try:
        del walk
        assert gone() is None
    finally:
        gc.enable()
    await turns()
    assert server.open == 0


async def test_a_walk_dropped_by_another_thread_ends_its_requests() -> None:
    server = held()
    walks = [ListCall(server, ROWS).walk()]
    for _ in range(60):
        await anext(walks[0])
    await turns()
    await asyncio.to_thread(walks.clear)
    await turns()
    assert server.open == 0


def test_a_walk_may_outlive_its_loop() -> None:
    server = ListServer(offset_answers(rows(5000)), gate=None)
    kept = []

    async def begin() -> None:
        walk = ListCall(server, ROWS).walk()
        await anext(walk)
        kept.append(walk)

    asyncio.run(begin())
    kept.clear()
    assert server.open == 0


async def test_an_error_in_a_page_that_nobody_reads_is_nobody_s(caplog: pytest.LogCaptureFixture) -> None:
    def answer(query: object) -> object:
        if len(server.queries) > 1:
            raise SpotifyAdsError("lost")
        return offset_answers(rows(5000))(query)  # type: ignore[arg-type]

    server = ListServer(answer)
    async for _ in ListCall(server, ROWS):
        await turns()
        break
    await turns()
    gc.collect()
    assert not caplog.records


async def test_several_tasks_share_one_walk() -> None:
    server = ListServer(offset_answers(rows(1000)))
    found: list[Row] = []
    walk = ListCall(server, ROWS).walk()

    async def work() -> None:
        async for row in walk:
            found.append(row)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(7):
            group.create_task(work())
    assert sorted(found, key=lambda row: int(row.name.split()[1])) == rows(1000)
