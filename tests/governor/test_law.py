"""No window of W seconds ever sees more than N requests, wherever between departure and answer.

No token is lost or made.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.effort import examples, left_to_soak
from support.virtual_time import NothingLeftToWaitForError, VirtualTimeLoop, run_virtually
from support.windows import Interval, fullest_window, fullest_window_slowly

from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.governor import Admission, Governor, Limit, Pace, Priority

LANES: tuple[frozenset[str], ...] = (
    frozenset({"client_id", "ip"}),
    frozenset({"client_id", "ip", "reporting"}),
    frozenset({"ip"}),
)
OWNERS = ("ann", "ben")
PACES: tuple[Pace, ...] = ("burst", "auto", "smooth")


class LostError(Exception):
    """The connection broke after the request had left."""


class Request:
    """One request of a test, and all that became of it."""

    def __init__(self, number: int, lane: frozenset[str], owner: str, priority: Priority) -> None:
        self.number = number
        self.lane = lane
        self.owner = owner
        self.priority = priority
        self.departed: float | None = None
        self.over: float | None = None
        self.given_up = False
        self.admission: Admission | None = None
        self.answer: asyncio.Future[tuple[int, Mapping[str, str]] | None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        return self.departed is None and self.task is not None and not self.task.done()

    @property
    def in_flight(self) -> bool:
        return self.departed is not None and self.over is None and self.admission is not None

    def interval(self, now: float, strays: float) -> Interval | None:
        """When the server may have counted it.

        A request given up may be on its way for ``strays`` seconds from then on.
        """
        if self.departed is None:
            return None
        over = now if self.over is None else self.over
        return self.departed, over + strays if self.given_up else over


def coarse(loop: VirtualTimeLoop, resolution: float) -> Callable[[], float]:
    return loop.time if resolution == 0.0 else lambda: math.floor(loop.time() / resolution) * resolution


class Traffic:
    """A governor under test and the requests that go through it."""

    def __init__(self, loop: VirtualTimeLoop, limits: tuple[Limit, ...], pace: Pace, resolution: float) -> None:
        self.loop = loop
        self.limits = limits
        self.strays = min(1.0, min(limit.window for limit in limits) / 10)
        self.governor = Governor(
            limits,
            pace=pace,
            clock=coarse(loop, resolution),
            clock_resolution=resolution,
            longest_pause=1e9,
            counted_within=self.strays,
        )
        self.requests: list[Request] = []
        self.checks_order = True

    async def send(self, request: Request, max_wait: float | None = None, patience: float | None = None) -> None:
        """One request's life: it ends as ``request.answer`` says."""
        request.answer = self.loop.create_future()
        try:
            async with asyncio.timeout(patience):
                admission = self.governor.scope(origin="https://api.example", client_id=request.owner).admit(
                    request.lane, priority=request.priority, max_wait=max_wait
                )
                async with admission:
                    request.departed = self.loop.time()
                    request.admission = admission
                    if self.checks_order:
                        self.check_order(request)
                    answer = await request.answer
                    if answer is None:
                        raise LostError  # noqa: TRY301 (it is what ends the block)
                    request.over = self.loop.time()
                    admission.answered(status=answer[0], headers=answer[1])
        except (SpotifyAdsError, LostError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            if request.departed is not None and request.over is None:
                request.over = self.loop.time()
                request.given_up = True

    def check_order(self, request: Request) -> None:
        """Nobody of the same class who came earlier and needs the same is left behind."""
        for other in self.requests:
            if other.number < request.number and other.waiting and not (other.task and other.task.cancelling()):
                assert (other.lane, other.owner, other.priority) != (request.lane, request.owner, request.priority)

    def check_law(self) -> None:
        """Count by brute force."""
        now = self.loop.time()
        for limit in self.limits:
            for owner in OWNERS:
                counted = [
                    interval
                    for request in self.requests
                    if limit.name in request.lane and (limit.name == "ip" or request.owner == owner)
                    if (interval := request.interval(now, self.strays)) is not None
                ]
                assert fullest_window_slowly(counted, limit.window) <= limit.requests

    def check_quiet(self) -> None:
        """Every token is back."""
        snapshot = self.governor.snapshot()
        assert snapshot.waiting == 0
        for window in snapshot.windows:
            assert (window.in_flight, window.returning, window.waiting) == (0, 0, 0)
            assert window.available + window.reserved_for_others == window.capacity


class GovernorMachine(RuleBasedStateMachine):
    """Anything that may happen to requests, in any order."""

    @initialize(
        sizes=st.lists(st.integers(1, 5), min_size=3, max_size=3),
        lengths=st.lists(st.sampled_from([0.5, 2.0, 6.0]), min_size=3, max_size=3),
        pace=st.sampled_from(PACES),
        resolution=st.sampled_from([0.0, 0.0156, 0.3]),
    )
    def start(self, sizes: list[int], lengths: list[float], pace: Pace, resolution: float) -> None:
        self.loop = VirtualTimeLoop()
        names = ("client_id", "ip", "reporting")
        limits = tuple(
            Limit(name, requests=size, window=length) for name, size, length in zip(names, sizes, lengths, strict=True)
        )
        self.traffic = Traffic(self.loop, limits, pace, resolution)
        self.numbers = 0

    def run(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def settle_down(self) -> None:
        """Let callbacks and tasks run that are due at this very moment."""
        for _ in range(4):
            self.run()

    def one(self, kind: str, draw: int) -> Request | None:
        found = [request for request in self.traffic.requests if getattr(request, kind)]
        return found[draw % len(found)] if found else None

    @rule(
        count=st.integers(1, 6),
        lane=st.sampled_from(LANES),
        owner=st.sampled_from(OWNERS),
        priority=st.sampled_from(Priority),
        max_wait=st.none() | st.floats(0.0, 8.0),
        timeout=st.none() | st.floats(0.01, 8.0),
    )
    def ask(
        self,
        *,
        count: int,
        lane: frozenset[str],
        owner: str,
        priority: Priority,
        max_wait: float | None,
        timeout: float | None,
    ) -> None:
        for _ in range(count):
            request = Request(self.numbers, lane, owner, priority)
            self.numbers += 1
            self.traffic.requests.append(request)
            request.task = self.loop.create_task(self.traffic.send(request, max_wait, timeout))
        self.settle_down()

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.run(seconds)

    @rule(seconds=st.floats(0.0, 3.0))
    def stall(self, seconds: float) -> None:
        async def block() -> None:
            self.loop.stall(seconds)

        self.loop.run_until_complete(block())
        self.settle_down()

    @rule(draw=st.integers(0, 99), remaining=st.none() | st.integers(0, 6), limit=st.integers(1, 6))
    def answer(self, draw: int, remaining: int | None, limit: int) -> None:
        headers = (
            {} if remaining is None else {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}
        )
        self.end(draw, (200, headers))

    @rule(
        draw=st.integers(0, 99),
        after=st.sampled_from([None, "0", "0.5", "2", "nonsense", "Wed, 21 Oct 2015 07:28:00 GMT"]),
    )
    def refuse(self, draw: int, after: str | None) -> None:
        self.end(draw, (429, {} if after is None else {"Retry-After": after}))

    @rule(draw=st.integers(0, 99))
    def lose(self, draw: int) -> None:
        self.end(draw, None)

    def end(self, draw: int, answer: tuple[int, Mapping[str, str]] | None) -> None:
        request = self.one("in_flight", draw)
        if request is not None and request.answer is not None and not request.answer.done():
            request.answer.set_result(answer)
            self.settle_down()

    @rule(draw=st.integers(0, 99))
    def not_sent(self, draw: int) -> None:
        request = self.one("in_flight", draw)
        if request is not None:
            self.loop.run_until_complete(self.undone(request))
            self.settle_down()

    async def undone(self, request: Request) -> None:
        self.undo(request)

    def undo(self, request: Request) -> None:
        assert request.admission is not None
        assert request.task is not None
        request.admission.not_sent()
        request.departed = None
        request.admission = None
        request.task.cancel()

    @rule(draw=st.integers(0, 99), kind=st.sampled_from(["waiting", "in_flight"]))
    def cancel(self, draw: int, kind: str) -> None:
        request = self.one(kind, draw)
        if request is not None and request.task is not None:
            request.task.cancel()
            self.settle_down()

    @precondition(lambda self: hasattr(self, "traffic") and any(request.waiting for request in self.traffic.requests))
    @rule(draw=st.integers(0, 99), other=st.integers(0, 99), cancel_first=st.booleans())
    def cancel_as_a_token_comes(self, draw: int, other: int, *, cancel_first: bool) -> None:
        """The grant and the cancellation fall into one tick, in either order."""
        waiting, flying = self.one("waiting", draw), self.one("in_flight", other)
        if waiting is None or flying is None:
            return
        assert waiting.task is not None

        async def both() -> None:
            assert waiting.task is not None
            if cancel_first:
                waiting.task.cancel()
            self.undo(flying)
            if not cancel_first:
                waiting.task.cancel()

        self.loop.run_until_complete(both())
        self.settle_down()

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        if not hasattr(self, "traffic"):
            return
        snapshot = self.traffic.governor.snapshot()
        assert snapshot.waiting >= sum(request.waiting for request in self.traffic.requests)
        for window in snapshot.windows:
            assert 0 <= window.in_flight + window.returning <= window.capacity

    @invariant()
    def the_law_holds(self) -> None:
        if hasattr(self, "traffic"):
            self.traffic.check_law()

    def teardown(self) -> None:
        if not hasattr(self, "traffic"):
            return
        try:
            self.come_to_rest()
        finally:
            self.loop.close()

    def come_to_rest(self) -> None:
        """Everybody who waits gets leave in the end; then all tokens are back and no timer is left."""
        for _ in range(2000):
            for request in self.traffic.requests:
                if request.in_flight and request.answer is not None and not request.answer.done():
                    request.answer.set_result((200, {}))
            if all(request.task is not None and request.task.done() for request in self.traffic.requests):
                break
            self.run(0.25)
        else:
            raise AssertionError("somebody waits for ever")
        self.traffic.check_law()
        # A request that was lost may be on its way for as long as the longest trip, which no more than the whole test
        # took.
        self.run(6.0 * 1.01 + 3.0 + self.loop.time())
        self.traffic.check_quiet()
        with pytest.raises(NothingLeftToWaitForError):
            self.loop.run_until_complete(self.loop.create_future())


GovernorMachine.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=50, suppress_health_check=list(HealthCheck)
)
test_anything_may_happen = GovernorMachine.TestCase


@pytest.mark.soak
class TestAnythingMayHappenAtLength(GovernorMachine.TestCase):
    settings = settings(max_examples=2000, stateful_step_count=50, suppress_health_check=list(HealthCheck))


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 5.0)), max_size=40), st.floats(0.1, 10.0))
def test_the_two_counters_agree(requests: list[tuple[float, float]], window: float) -> None:
    intervals = [(departed, departed + trip) for departed, trip in requests]
    assert fullest_window(intervals, window) == fullest_window_slowly(intervals, window)


async def one_of_many(traffic: Traffic, rng: random.Random, until: float) -> None:
    """A worker whose requests meet everything that can go wrong."""
    loop = traffic.loop
    while loop.time() < until:
        request = Request(len(traffic.requests), rng.choice(LANES), rng.choice(OWNERS), rng.choice(list(Priority)))
        traffic.requests.append(request)
        fate = rng.random()
        timeout = rng.expovariate(0.2) if fate < 0.05 else None
        request.task = loop.create_task(
            traffic.send(request, rng.uniform(0.0, 20.0) if rng.random() < 0.2 else None, timeout)
        )
        if fate > 0.97:
            loop.call_later(rng.expovariate(0.5), request.task.cancel)
        while request.departed is None and not request.task.done():
            await asyncio.wait([request.task], timeout=rng.uniform(0.02, 0.2))
        trip = rng.choice((0.0, 0.03, rng.uniform(0.02, 0.4), rng.expovariate(2.0)))
        await asyncio.wait([request.task], timeout=trip)
        if request.answer is not None and not request.answer.done():
            fate = rng.random()
            headers = {"Retry-After": "1"} if rng.random() < 0.5 else {}
            request.answer.set_result(None if fate < 0.05 else (429, headers) if fate < 0.0505 else (200, {}))
        await asyncio.wait([request.task])
        if rng.random() < 0.001:
            loop.stall(rng.uniform(0.0, 2.0))


def storm(seed: int, requests: int) -> int:
    """Saturate a governor for as long as it takes to send so many; answers how many left."""
    rng = random.Random(seed)  # noqa: S311 (made up traffic)
    scale = rng.choice((1, 5))
    limits = (
        Limit("client_id", requests=300 * scale, window=6.0 * scale),
        Limit("ip", requests=100 * scale, window=2.0 * scale),
        Limit("reporting", requests=30 * scale, window=6.0 * scale),
    )
    pace = rng.choice(PACES)
    resolution = rng.choice((0.0, 0.001, 0.0156))

    async def program(loop: VirtualTimeLoop) -> int:
        traffic = Traffic(loop, limits, pace, resolution)
        traffic.checks_order = False  # quadratic; the machine above does it
        await asyncio.gather(*(one_of_many(traffic, rng, requests / 50.0) for _ in range(80)))
        for limit in limits:
            for owner in OWNERS:
                mine = [
                    one
                    for one in traffic.requests
                    if limit.name in one.lane and (limit.name == "ip" or one.owner == owner)
                ]
                counted = [
                    interval for one in mine if (interval := one.interval(loop.time(), traffic.strays)) is not None
                ]
                assert fullest_window(counted, limit.window) <= limit.requests
        await asyncio.sleep(10.0 * limits[0].window)
        traffic.check_quiet()
        return sum(request.departed is not None for request in traffic.requests)

    return run_virtually(program)


@pytest.mark.parametrize("seed", [0, *map(left_to_soak, range(1, 4))])
def test_the_law_holds_in_a_storm(seed: int) -> None:
    assert storm(seed, requests=2_500) > 1_000


@pytest.mark.soak
def test_the_law_holds_for_millions_of_requests() -> None:
    sent = 0
    seed = 100
    while sent < 2_000_000:
        sent += storm(seed, requests=50_000)
        seed += 1
