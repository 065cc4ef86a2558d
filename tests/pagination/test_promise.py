"""The promise.

A row that is there throughout a walk is yielded exactly once, whatever is created and archived meanwhile.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from pagination.list_server import ROWS, Listing, Paging, Row
from support.effort import examples

from spotify_ads_async.errors import WalkIncomplete
from spotify_ads_async.operation import Operation
from spotify_ads_async.pagination import ListCall

MANY_TURNS = 12


@dataclass
class Pending:
    """A request on its way: read from the list at one moment, answered at a later one."""

    query: Mapping[str, Any]
    arrived: asyncio.Future[Listing]
    answer: Listing | None = None


class ChangingList:
    """A list that changes under the walk. Each row stands at a key; keys never meet, however often a gap is halved."""

    def __init__(self) -> None:
        self.keys: list[Fraction] = []
        self.rows: dict[Fraction, str] = {}
        self.pending: list[Pending] = []
        self.created = 0

    async def call(
        self, operation: Operation[Any], *, path: Mapping[str, str] = {}, query: Mapping[str, object] = {}
    ) -> Any:  # noqa: ANN401  # as generic as the operation
        del operation, path
        pending = Pending(query, asyncio.get_running_loop().create_future())
        self.pending.append(pending)
        try:
            return await pending.arrived
        finally:
            self.pending.remove(pending)

    def create(self, place: float) -> None:
        """A new row before the one that is ``place`` of the way through: 0 is the front, 1 behind the last."""
        index = round(place * len(self.keys))
        below = self.keys[index - 1] if index else (self.keys[0] - 2 if self.keys else Fraction(0))
        above = self.keys[index] if index < len(self.keys) else below + 2
        self._put((below + above) / 2, f"row-{self.created}")
        self.created += 1

    def _put(self, key: Fraction, row: str) -> None:
        bisect.insort(self.keys, key)
        self.rows[key] = row

    def archive(self, place: float) -> None:
        if self.keys:
            del self.rows[self.keys.pop(min(int(place * len(self.keys)), len(self.keys) - 1))]

    def edit(self, place: float, to: float) -> str | None:
        """Move a row, as an edit does under an order like UPDATED_AT; which one."""
        if not self.keys:
            return None
        row = self.rows.pop(self.keys.pop(min(int(place * len(self.keys)), len(self.keys) - 1)))
        self.create(to)
        self.created -= 1
        (moved,) = [key for key, name in self.rows.items() if name == f"row-{self.created}"]
        self.rows[moved] = row
        return row

    def read(self, pending: Pending) -> None:
        offset, limit = pending.query["offset"], pending.query["limit"]
        found = [Row(id=self.rows[key]) for key in self.keys[offset : offset + limit]]
        pending.answer = Listing(rows=found, paging=Paging(total_results=len(self.keys)))

    def present(self) -> set[str]:
        return set(self.rows.values())


class Walking(RuleBasedStateMachine):
    """One walk against one list; hypothesis decides what happens in between."""

    order = "CREATED_AT"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.server = ChangingList()
        self.yielded: list[str] = []
        self.throughout: set[str] = set()
        self.permits = asyncio.Semaphore(0)
        self.consumer: asyncio.Task[None] | None = None

    @initialize(count=st.integers(0, 60), limit=st.integers(1, 9), read_ahead=st.integers(0, 6), eager=st.booleans())
    def begin(self, count: int, limit: int, read_ahead: int, eager: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
        for _ in range(count):
            self.server.create(1)
        self.throughout = self.server.present()
        self.call = ListCall(self.server, ROWS, query={"limit": limit, "sort_field": self.order}).reading_ahead(
            read_ahead
        )
        self.walk = self.call.walk()
        if eager:
            self.permits = asyncio.Semaphore(10_000)
        self.start()

    def start(self) -> None:
        async def consume() -> None:
            async for row in self.walk:
                assert row.id is not None
                self.yielded.append(row.id)
                await self.permits.acquire()

        async def start() -> None:
            self.consumer = asyncio.create_task(consume())

        self.runner.run(start())
        self.turn()

    def turn(self) -> None:
        async def turns() -> None:
            for _ in range(MANY_TURNS):
                await asyncio.sleep(0)

        self.runner.run(turns())

    @precondition(lambda self: self.server.pending)
    @rule(which=st.integers(0, 9))
    def request_is_read(self, which: int) -> None:
        unread = [one for one in self.server.pending if one.answer is None]
        if unread:
            self.server.read(unread[which % len(unread)])

    @precondition(lambda self: self.server.pending)
    @rule(which=st.integers(0, 9))
    def answer_arrives(self, which: int) -> None:
        pending = self.server.pending[which % len(self.server.pending)]
        if pending.answer is None:
            self.server.read(pending)
        assert pending.answer is not None
        pending.arrived.set_result(pending.answer)
        self.turn()

    @rule(count=st.integers(1, 20))
    def rows_are_taken(self, count: int) -> None:
        for _ in range(count):
            self.permits.release()
        self.turn()

    @rule(place=st.floats(0, 1), count=st.sampled_from([1, 1, 2, 3, 5, 12]))
    def somebody_creates(self, place: float, count: int) -> None:
        for _ in range(count):
            self.server.create(place)

    @rule(place=st.floats(0, 1), count=st.sampled_from([1, 1, 2, 3, 5, 12]))
    def somebody_archives(self, place: float, count: int) -> None:
        for _ in range(count):
            self.server.archive(place)
        self.throughout &= self.server.present()

    @precondition(lambda self: self.yielded)
    @rule()
    def the_consumer_archives_what_it_got(self) -> None:
        for key in [key for key, row in self.server.rows.items() if row in set(self.yielded)]:
            self.server.keys.remove(key)
            del self.server.rows[key]
        self.throughout &= self.server.present()

    def teardown(self) -> None:
        try:
            if self.consumer is not None:
                self.finish(self.consumer)
                self.check()
        finally:
            self.runner.close()

    def finish(self, consumer: asyncio.Task[None]) -> None:
        for _ in range(1000):
            if consumer.done():
                break
            self.rows_are_taken(50)
            for pending in [one for one in self.server.pending if not one.arrived.done()]:
                if pending.answer is None:
                    self.server.read(pending)
                assert pending.answer is not None
                pending.arrived.set_result(pending.answer)
            self.turn()
        assert consumer.done(), "the walk does not end"
        consumer.result()
        assert not self.server.pending, "a request outlives its walk"

    def check(self) -> None:
        times = Counter(self.yielded)
        assert not [row for row, count in times.items() if count > 1], "yielded twice"
        assert self.throughout <= times.keys(), f"lost: {sorted(self.throughout - times.keys())}"


class WalkingAMovingOrder(Walking):
    """Under an order that edits change: nothing twice, and everything that no edit moved."""

    order = "UPDATED_AT"

    @rule(place=st.floats(0, 1), to=st.floats(0, 1))
    def somebody_edits(self, place: float, to: float) -> None:
        moved = self.server.edit(place, to)
        if moved is not None:
            self.throughout.discard(moved)


class WalkingWhileRowsMove(WalkingAMovingOrder):
    """Where edits are all that happens, the moved rows come once too, or the walk says that some did not."""

    somebody_creates = somebody_archives = the_consumer_archives_what_it_got = None

    @rule(place=st.floats(0, 1), to=st.just(0.0))
    def somebody_edits(self, place: float, to: float) -> None:
        self.server.edit(place, to)

    def finish(self, consumer: asyncio.Task[None]) -> None:
        try:
            super().finish(consumer)
        except WalkIncomplete:
            self.throughout = set()


class WalkingInStages(Walking):
    """A walk that is left and goes on from its position, in a list that grows at one end, as under CREATED_AT."""

    @initialize(front=st.booleans())
    def choose_the_end(self, front: bool) -> None:  # noqa: FBT001  # drawn by hypothesis
        self.end = 0.0 if front else 1.0

    @rule(place=st.just(0.0), count=st.sampled_from([1, 1, 2, 3, 5, 12, 40]))
    def somebody_creates(self, place: float, count: int) -> None:
        super().somebody_creates(self.end + place, count)

    @precondition(lambda self: self.consumer is not None and not self.consumer.done())
    @rule()
    def the_walk_is_left_and_goes_on(self) -> None:
        assert self.consumer is not None
        position = self.walk.position
        self.consumer.cancel()
        self.turn()
        self.runner.run(self.walk.aclose())
        assert not self.server.pending, "a request outlives its walk"
        self.walk = self.call.starting_at(position).walk()
        self.start()

    def finish(self, consumer: asyncio.Task[None]) -> None:
        try:
            super().finish(consumer)
        except WalkIncomplete as error:
            # All 32 rows before the place were archived.
            assert "none of the 32 rows" in str(error)  # noqa: PT017  # anything else is a failure
            self.throughout = set()


TestFixedOrder = Walking.TestCase
TestFixedOrder.settings = settings(max_examples=examples(60), stateful_step_count=50)
TestMovingOrder = WalkingAMovingOrder.TestCase
TestMovingOrder.settings = settings(max_examples=examples(40), stateful_step_count=50)
TestEditsAlone = WalkingWhileRowsMove.TestCase
TestEditsAlone.settings = settings(max_examples=examples(40), stateful_step_count=50)
TestInStages = WalkingInStages.TestCase
TestInStages.settings = settings(max_examples=examples(40), stateful_step_count=50)


AT_LENGTH = settings(max_examples=5000, stateful_step_count=50)


@pytest.mark.soak
class TestFixedOrderAtLength(Walking.TestCase):
    settings = AT_LENGTH


@pytest.mark.soak
class TestMovingOrderAtLength(WalkingAMovingOrder.TestCase):
    settings = AT_LENGTH


@pytest.mark.soak
class TestEditsAloneAtLength(WalkingWhileRowsMove.TestCase):
    settings = AT_LENGTH


@pytest.mark.soak
class TestInStagesAtLength(WalkingInStages.TestCase):
    settings = AT_LENGTH
