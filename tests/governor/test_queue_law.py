"""Who leaves next, against a queue that asks everybody in turn at every moment: slow, and plain to read."""

from __future__ import annotations

import functools
import math
import random

import pytest
from support.effort import left_to_soak
from support.virtual_time import run_virtually

from spotify_ads_async.governor import Limit, Priority
from spotify_ads_async.governor.grants import Ended, Grant, Grants
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest, WaitQueue
from spotify_ads_async.governor.window import Window

NAMES = ("client_id", "ip", "reporting")
NEEDED = ((0, 1), (1, 2), (1,), (0,), (0, 1, 2))
"""The windows of each flow, of which there are two of a kind: for two clients that share them."""
LOOK = 0.0101
"""So often, in windows, is looked whether it is the turn of bulk."""


class Plain:
    """The windows' tokens, the turns of bulk and those who wait, kept as the documentation says it."""

    def __init__(self, limits: list[Limit]) -> None:
        self.limits = limits
        self.back_at: list[list[float]] = [[] for _ in limits]
        self.overtaken = [0] * len(limits)
        self.bulk_left_at = [0.0] * len(limits)
        self.waiting: list[PendingRequest] = []

    def needed(self, place: int, priority: Priority, now: float) -> int:
        if priority is Priority.INTERACTIVE or self.turn_of_bulk(place, now):
            return 1
        return min(2, self.limits[place].requests)  # one token is left to whoever waits for the answer

    def turn_of_bulk(self, place: int, now: float) -> bool:
        waited = now > self.bulk_left_at[place] + self.limits[place].window
        return self.overtaken[place] >= 4 or (waited and self.bulk_waits(place))

    def bulk_waits(self, place: int) -> bool:
        return any(one.priority is Priority.BULK and place in places(one.flow) for one in self.waiting)

    @property
    def kinds(self) -> set[tuple[Flow, Priority]]:
        return {(one.flow, one.priority) for one in self.waiting}

    def may_leave(self, flow: Flow, priority: Priority, now: float) -> bool:
        return all(
            sum(at <= now for at in self.back_at[place]) + self.limits[place].requests - len(self.back_at[place])
            >= self.needed(place, priority, now)
            for place in places(flow)
        )

    def next(self, now: float) -> PendingRequest | None:
        able = {kind for kind in self.kinds if self.may_leave(*kind, now)}
        first = {one.priority: one for one in reversed(self.waiting) if (one.flow, one.priority) in able}
        bulk = first.get(Priority.BULK)
        if bulk is not None and any(self.turn_of_bulk(place, now) for place in places(bulk.flow)):
            return bulk
        return first.get(Priority.INTERACTIVE, bulk)

    def depart(self, now: float) -> list[PendingRequest]:
        left: list[PendingRequest] = []
        self.back_at = [[at for at in one if at > now] for one in self.back_at]
        while (request := self.next(now)) is not None:
            self.waiting.remove(request)
            if request.future.cancelled():
                continue
            left.append(request)
            for place in places(request.flow):
                self.back_at[place].append(math.inf)
                if request.priority is Priority.BULK:
                    self.overtaken[place], self.bulk_left_at[place] = 0, now
                elif request.arrived_at < now:
                    self.overtaken[place] += self.bulk_waits(place)
        return left

    def ended(self, place: int, back_at: float) -> None:
        self.back_at[place].remove(math.inf)
        self.back_at[place].append(back_at)


@functools.cache
def places(flow: Flow) -> list[int]:
    return [NAMES.index(name) for name in flow.limits]


@pytest.mark.parametrize("seed", [9, 15, *map(left_to_soak, range(20, 60))])
def test_whoever_may_leave_leaves_in_order_and_is_asked_in_time(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 (made up traffic)

    async def program(_: object) -> None:
        for _ in range(10):
            limits = [Limit(name, requests=rng.randint(1, 7), window=rng.choice([2.0, 3.0, 6.0])) for name in NAMES]
            Scene(limits, rng).play(50)

    run_virtually(program)


class Scene:
    """The queue and the plain one, moved along together."""

    def __init__(self, limits: list[Limit], rng: random.Random) -> None:
        self.rng = rng
        self.windows = [
            Window(limit, owner="", key="", smooth=False, now=0.0, clock_resolution=0.0, shared=False)
            for limit in limits
        ]
        flows = [Flow(tuple(self.windows[one] for one in needed), "") for needed in NEEDED * 2]
        self.flows, self.share_of_bulk = rng.sample(flows, rng.randint(1, 4)), rng.choice([0.1, 0.3, 0.6])
        self.queue, self.plain = WaitQueue(), Plain(limits)
        self.in_flight: list[PendingRequest] = []
        self.now, self.number = 0.0, 0

    def play(self, moves: int) -> None:
        for _ in range(moves):
            self.rng.choice([self.join, self.join, self.end, self.end, self.cancel, self.wait, self.wait])()
            self.depart()
        self.come_to_rest()

    def join(self) -> None:
        is_bulk = self.rng.random() < self.share_of_bulk
        flow, priority = self.rng.choice(self.flows), Priority.BULK if is_bulk else Priority.INTERACTIVE
        for _ in range(self.rng.choice([1, 1, 2, 5])):
            self.number += 1
            request = PendingRequest(self.number, flow, priority, arrived_at=self.now, expires_at=math.inf)
            self.queue.join(request)
            self.plain.waiting.append(request)

    def end(self) -> None:
        if self.in_flight:
            request, sent = self.in_flight.pop(self.rng.randrange(len(self.in_flight))), self.rng.random() < 0.8
            if sent:
                request.flow.settle(None, self.now)
            else:
                request.flow.give_back(None)
            for place in places(request.flow):
                self.plain.ended(place, self.now + self.windows[place].cycle if sent else self.now)

    def cancel(self) -> None:
        if self.plain.waiting:
            request = self.rng.choice(self.plain.waiting)
            request.future.cancel()
            if self.rng.random() < 0.7:
                self.end()
                self.depart()  # before its task has heard of it
            for _ in range(2):  # who is gone is gone
                self.queue.leave(request)
            self.plain.waiting = [one for one in self.plain.waiting if one is not request]

    def wait(self) -> None:
        self.wait_until(self.now + self.rng.uniform(0.0, 2.0))

    def depart(self) -> None:
        self.queue.depart(self.now)
        expected = self.plain.depart(self.now)
        assert sorted(one.number for one in self.queue.everybody()) == [one.number for one in self.plain.waiting]
        assert all(one.future.done() for one in expected)
        assert self.queue.length == len(self.plain.waiting)
        for place, window in enumerate(self.windows):
            found = {one for flow in self.queue.flows_for(window) for one in flow.everybody()}
            assert found == {one for one in self.plain.waiting if place in places(one.flow)}
            assert window.waiting == len(found)
        self.in_flight += expected

    def wait_until(self, moment: float) -> None:
        """Look as often as the queue says that it is worth while; nobody may leave in between."""
        for _ in range(5_000):
            at = self.queue.next_at(self.now)
            step = min(at, moment)
            before = math.nextafter(step, -math.inf)
            kinds = self.plain.kinds
            for flow, priority in kinds if before > self.now else ():
                late = LOOK * max(window.limit.window for window in flow.windows)
                assert not self.plain.may_leave(flow, priority, before - late * (priority is Priority.BULK))
            if at < math.inf and not any(priority is Priority.BULK for _, priority in kinds):
                assert any(at == pytest.approx(back) for one in self.plain.back_at for back in one), "in vain"
            self.now = max(self.now, step)
            if at > moment:
                return
            self.now = math.nextafter(self.now, math.inf)
            self.depart()
        raise AssertionError("it is looked again and again")

    def come_to_rest(self) -> None:
        """Where every answer comes, everybody leaves."""
        for _ in range(1_000):
            while self.in_flight:
                self.end()
            self.depart()
            if not self.plain.waiting:
                return
            assert self.in_flight or self.queue.next_at(self.now) < math.inf
            self.wait_until(self.now + 0.3)
        raise AssertionError("somebody waits for ever")


def test_after_four_that_overtook_it_bulk_leaves_though_what_it_leaves_to_others_is_not_there() -> None:
    async def program(_: object) -> None:
        limit = Limit("ip", requests=1000, window=10.0)
        window = Window(limit, owner="", key="", smooth=False, now=0.0, clock_resolution=0.0, shared=False)
        flow, queue = Flow((window,), ""), WaitQueue()
        window.available = 10  # and twenty-one are left to interactive requests while nobody knows how many come
        bulk, *others = (
            PendingRequest(number, flow, priority, arrived_at=0.0, expires_at=math.inf)
            for number, priority in enumerate([Priority.BULK, *[Priority.INTERACTIVE] * 4])
        )
        for one in (bulk, *others[:3]):
            queue.join(one)
        queue.depart(1.0)
        assert [one.future.done() for one in (bulk, *others[:3])] == [False, True, True, True]
        queue.join(others[3])
        queue.depart(2.0)
        assert (others[3].future.done(), bulk.future.done(), window.available) == (True, True, 5)

    run_virtually(program)


def test_where_a_store_keeps_the_windows_a_request_leaves_with_its_grant() -> None:
    grants = Grants(lambda: 0.0)
    limit = Limit("ip", requests=9, window=10.0)
    window = Window(limit, owner="", key="", smooth=False, now=0.0, clock_resolution=0.0, shared=True)
    flow, interactive = Flow((window,), "", grants), Priority.INTERACTIVE
    assert not flow.may_take(interactive, 9.0)
    assert flow.next_at(9.0) == math.inf
    granted = Grant(usable_at=1.0, number=7, use_by=5.0)
    grants.usable.append(granted)
    assert [flow.may_take(interactive, now) for now in (0.9, 1.0)] == [False, True]
    assert [flow.next_at(now) for now in (0.0, 2.0)] == [1.0, 2.0]
    assert flow.take(interactive, 1.0) == granted
    assert (grants.in_flight, window.available) == ({7: granted}, 8)
    flow.give_back(granted)
    assert ([*grants.usable], window.available) == ([granted], 9)
    assert flow.take(interactive, 1.0) == granted
    flow.settle(granted, 3.0)
    assert (grants.over, [*window.settled], grants.in_flight) == ({7: Ended(3.0)}, [3.0], {})
