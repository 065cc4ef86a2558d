"""Several processes under one quota, in virtual time.

No window is ever exceeded, whatever is lost, and nobody waits in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import left_to_soak
from support.virtual_store import VirtualServer, VirtualStore, assert_kept, held, returning
from support.virtual_time import run_virtually

from spotify_ads_async import QuotaTimeout, StoreUnavailable
from spotify_ads_async.governor import PUBLISHED_LIMITS, Governor, Limit, Priority, StoreLost, StoreRegained
from spotify_ads_async.governor.shared import lift_pauses
from spotify_ads_async.governor.shared.claims import OnStoreFailure

POLICIES = st.sampled_from(["fail", "pause"])
LIMITS = [Limit("client_id", requests=150, window=15.0), Limit("ip", requests=50, window=5.0)]
NAMES = frozenset({"client_id", "ip"})
RECOVERED = 27.0
"""Seconds after which a store that came back lets requests go again, whatever it lost.

Its longest window, leases, retries.
"""


class Fleet:
    """Processes that send as much as they may."""

    def __init__(
        self,
        *,
        seed: int,
        processes: int = 4,
        policy: OnStoreFailure = "pause",
        latency: float = 0.002,
        loss: float = 0.0,
        limits: Sequence[Limit] = LIMITS,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 (load, no secrets)
        self.limits = limits
        self.server = VirtualServer(ahead_by=1e6)
        self.arrivals: dict[str, list[float]] = defaultdict(list)
        self.calls = [0] * processes
        self.failures: dict[str, int] = defaultdict(int)
        self.ips = ["one address"] * processes
        self.clock_offsets = [0.0] * processes
        self.policy = policy
        self.latency = latency
        self.loss = loss
        self.governors: list[Governor] = []
        self.ended = False

    def governor(self, process: int) -> Governor:
        loop = asyncio.get_running_loop()
        offset = self.clock_offsets[process]
        made = Governor(
            self.limits,
            store=VirtualStore(self.server, self.rng, latency=self.latency, loss=self.loss),
            on_store_failure=self.policy,
            ip=self.ips[process],
            clock=lambda: loop.time() + offset,
            clock_resolution=0.0,
        )
        self.governors.append(made)
        return made

    async def request(self, governor: Governor, process: int, max_wait: float | None = None) -> None:
        async with governor.admit(NAMES, max_wait=max_wait) as admission:
            self.calls[process] += 1
            trip = self.rng.uniform(0.02, 0.12)
            before = trip * self.rng.choice((0.0, self.rng.random(), 1.0))  # the server counts it at any moment
            await asyncio.sleep(before)
            now = asyncio.get_running_loop().time()
            self.arrivals["client_id"].append(now)
            self.arrivals[f"ip {self.ips[process]}"].append(now)
            await asyncio.sleep(trip - before)
            admission.answered(status=200)

    async def send(self, governor: Governor, process: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        while (left := ends_at - loop.time()) > 0:
            try:
                await self.request(governor, process, left)
            except (QuotaTimeout, StoreUnavailable) as problem:
                self.failures[type(problem).__name__] += 1
                await asyncio.sleep(0.5)

    async def process(self, process: int, seconds: float, concurrency: int) -> None:
        async with self.governor(process) as governor, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self.send(governor, process, seconds))

    async def outage(self, starts: float, lasts: float, *, loses_data: bool = False) -> None:
        await asyncio.sleep(starts)
        self.server.reachable = False
        await asyncio.sleep(lasts)
        if loses_data:
            self.server.lose_data()
        self.server.reachable = True

    async def run(self, seconds: float, *troubles: Coroutine[Any, Any, None], concurrency: int = 15) -> None:
        async with asyncio.TaskGroup() as group:
            for process in range(len(self.calls)):
                group.create_task(self.process(process, seconds, concurrency))
            for trouble in troubles:
                group.create_task(trouble)
        assert_kept(self.arrivals, self.limits)


@pytest.mark.parametrize("ips", ["aaaa", left_to_soak("abcd")])
def test_four_processes_use_the_quota_evenly_and_never_exceed_it(ips: str) -> None:
    fleet = Fleet(seed=1, limits=PUBLISHED_LIMITS[:2])
    fleet.ips = ips
    run_virtually(lambda _: fleet.run(60.0, concurrency=40))
    assert sum(fleet.calls) >= 0.97 * 3000
    assert max(fleet.calls) <= 1.2 * min(fleet.calls)
    assert fleet.server.exchanges <= 0.7 * sum(fleet.calls)


def test_one_process_alone_may_use_everything() -> None:
    fleet = Fleet(seed=2, processes=1)
    run_virtually(lambda _: fleet.run(60.0))
    assert sum(fleet.calls) >= 0.97 * 600


def test_who_shares_with_idle_processes_may_use_what_they_leave() -> None:
    fleet = Fleet(seed=2)

    async def now_and_then(process: int) -> None:
        async with fleet.governor(process) as governor:
            for _ in range(40):
                await fleet.request(governor, process)
                await asyncio.sleep(1.4)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.process(0, 60.0, 40))
            for process in (1, 2, 3):
                group.create_task(now_and_then(process))

    run_virtually(lambda _: scenario())
    assert sum(fleet.calls) >= 0.95 * 600


def test_clocks_that_are_apart_have_no_effect() -> None:
    fleet = Fleet(seed=3, processes=2)
    fleet.clock_offsets = [0.0, 5.0]
    run_virtually(lambda _: fleet.run(60.0))
    assert sum(fleet.calls) >= 0.97 * 600


def test_a_clock_that_is_set_forward_while_the_store_is_far_away_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    fleet = Fleet(seed=16, processes=1)

    async def set_forward() -> None:
        await asyncio.sleep(12.0)
        fleet.governors[0]._claims.store.latency = 0.2  # type: ignore[union-attr]  # at most
        fleet.rng.uniform = lambda _, most: most  # type: ignore[method-assign]
        await asyncio.sleep(2.0)
        assert "set forward" not in caplog.text
        fleet.server.ahead_by += 0.3

    run_virtually(lambda _: fleet.run(18.0, set_forward()))
    assert "set forward" in caplog.text


def test_a_clock_that_is_set_forward_concerns_every_window_of_a_process() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=5, processes=1, limits=LIMITS[:1])
        async with fleet.governor(0) as governor, fleet.governor(0) as newcomer:
            ann, ben = governor.scope(client_id="ann"), governor.scope(client_id="ben")
            async with ann.admit({"client_id"}):
                pass
            for _ in range(LIMITS[0].requests):
                async with ben.admit({"client_id"}):
                    pass
            await asyncio.sleep(1.0)
            fleet.server.ahead_by += 60.0
            for one in (ann, newcomer.scope(client_id="ben")):  # the first one's message is not about ben's window
                with pytest.raises(QuotaTimeout):
                    await one.admit({"client_id"}, max_wait=1.0).enter()

    run_virtually(lambda _: scenario())


def test_a_store_that_is_far_away_slows_nothing_down_but_a_little() -> None:
    fleet = Fleet(seed=4, latency=0.3)
    run_virtually(lambda _: fleet.run(60.0))
    assert sum(fleet.calls) >= 0.9 * 600


@settings(max_examples=8, derandomize=True)
@given(seed=st.integers(0, 2**32), loss=st.floats(0.0, 0.2), latency=st.floats(0.0, 0.4), policy=POLICIES)
def test_lost_messages_never_exceed_a_window(seed: int, loss: float, latency: float, policy: OnStoreFailure) -> None:
    fleet = Fleet(seed=seed, policy=policy, loss=loss, latency=latency)
    run_virtually(lambda _: fleet.run(20.0))


@settings(max_examples=8, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    policy=POLICIES,
    starts=st.floats(0.5, 15.0),
    lasts=st.floats(0.05, 20.0),
    loses_data=st.booleans(),
)
def test_a_store_that_goes_away_and_comes_back_never_exceeds_a_window(
    seed: int, policy: OnStoreFailure, starts: float, lasts: float, *, loses_data: bool
) -> None:
    fleet = Fleet(seed=seed, policy=policy)
    run_virtually(lambda _: fleet.run(starts + lasts + RECOVERED, fleet.outage(starts, lasts, loses_data=loses_data)))
    after = [at for at in fleet.arrivals["client_id"] if at > starts + lasts]
    assert after, "nothing left after the store was back"


def check_an_uneven_outage(seed: int) -> None:
    """Processes that are busy now and then, and an outage of their store.

    One more process starts when it is over.
    """
    rng = random.Random(seed)  # noqa: S311 (load, no secrets)
    policy: OnStoreFailure = rng.choice(["fail", "pause", "pause"])
    fleet = Fleet(seed=seed, processes=5, policy=policy, latency=rng.choice([0.002, 0.002, 0.1, 0.3]))
    starts, lasts = rng.uniform(3.0, 25.0), rng.uniform(0.1, 20.0)
    ends = starts + lasts + RECOVERED

    async def moody(process: int, begins: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(begins)
        async with fleet.governor(process) as governor:
            while (left := ends - loop.time()) > 0:
                seconds = min(left, rng.uniform(0.5, starts + lasts))
                async with asyncio.TaskGroup() as group:
                    for _ in range(rng.choice([1, 5, 15, 60])):
                        group.create_task(fleet.send(governor, process, seconds))
                await asyncio.sleep(min(max(0.0, ends - loop.time()), rng.choice([0.0, rng.uniform(0.0, 6.0)])))

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for process in range(4):
                group.create_task(
                    moody(
                        process, rng.choice([0.0, rng.uniform(0.0, starts), max(0.0, starts - rng.uniform(0.0, 2.0))])
                    )
                )
            group.create_task(moody(4, starts + lasts + rng.choice([0.0, 0.01, 0.3])))
            group.create_task(fleet.outage(starts, lasts, loses_data=rng.random() < 0.3))

    run_virtually(lambda _: scenario())
    assert_kept(fleet.arrivals, fleet.limits)
    assert max(fleet.arrivals["client_id"]) > starts + lasts, "nothing left after the store was back"


@settings(max_examples=3, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_whoever_is_busy_when_and_whoever_joins_after_an_outage_no_window_is_exceeded(seed: int) -> None:
    check_an_uneven_outage(seed)


@pytest.mark.soak
def test_the_shared_law_holds_at_length() -> None:
    for seed in range(1_500):
        check_an_uneven_outage(seed)


def test_while_the_store_is_away_pause_waits() -> None:
    fleet = Fleet(seed=5, limits=PUBLISHED_LIMITS[:2])
    run_virtually(lambda _: fleet.run(60.0, fleet.outage(19.5, 10.0)))
    arrivals = fleet.arrivals["client_id"]
    assert not [at for at in arrivals if 22.0 < at < 29.0]  # until then what was granted is used
    assert [at for at in arrivals if at > 30.0]


@pytest.mark.parametrize("patience", [0.0, 0.8, 3.0])
def test_whose_patience_ends_while_the_store_is_away_is_told_so_and_of_no_limit(patience: float) -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=26, processes=1)
        async with fleet.governor(0) as governor:
            await fleet.request(governor, 0)
            fleet.server.reachable = False
            for _ in range(2):
                with pytest.raises(QuotaTimeout, match=r"virtual store (does not|has not) answer") as refusal:
                    await fleet.request(governor, 0, max_wait=patience)
                assert "binds" not in str(refusal.value), "no limit is in the way"

    run_virtually(lambda _: scenario())


def test_who_may_not_wait_until_a_flush_is_over_is_told_so_and_of_no_limit() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=28, processes=1)
        async with fleet.governor(0) as governor:
            await fleet.request(governor, 0)
            fleet.server.lose_data(restart=False)
            with pytest.raises(
                QuotaTimeout, match=r"spent of client_id before is not in the store, and over in \d"
            ) as told:
                await fleet.request(governor, 0, max_wait=2.0)
            assert "binds" not in told.value.message, "no limit is in the way"

    run_virtually(lambda _: scenario())


def test_while_the_store_is_away_fail_raises_at_once() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=6, policy="fail", processes=1)
        heard: list[object] = []
        async with fleet.governor(0) as governor:
            governor.subscribe(heard.append)
            await fleet.request(governor, 0)
            fleet.server.reachable = False
            with pytest.raises(StoreUnavailable, match="Nothing was sent"):
                await asyncio.gather(*(fleet.request(governor, 0) for _ in range(40)))
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreUnavailable):
                await fleet.request(governor, 0)
            assert asyncio.get_running_loop().time() == began
            assert governor.snapshot().store_away_for is not None
            fleet.server.reachable = True
            await asyncio.sleep(3.0)
            await fleet.request(governor, 0)
            assert governor.snapshot().store_away_for is None
        assert [type(event) for event in heard if isinstance(event, StoreLost | StoreRegained)] == [
            StoreLost,
            StoreRegained,
        ]

    run_virtually(lambda _: scenario())


def test_a_process_that_dies_gives_its_tokens_back_one_window_after_its_lease() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=7, processes=2)
        dead, alive = fleet.governor(0), fleet.governor(1)
        admissions = [dead.admit(NAMES) for _ in range(50)]
        for admission in admissions:
            await admission.__aenter__()
        died_at = asyncio.get_running_loop().time()
        dead._claims.store.latency = 1e9  # type: ignore[union-attr]  # it is heard of no more
        async with alive:
            await fleet.request(alive, 1)
            waited = asyncio.get_running_loop().time() - died_at
        lease, window = 3.0, 5.0
        assert window + lease - 0.1 <= waited <= window + lease + 2.0
        closing = asyncio.create_task(dead.aclose())
        await asyncio.wait([closing])

    run_virtually(lambda _: scenario())


@pytest.mark.parametrize("told_at_once", [True, False])
def test_what_was_granted_ahead_of_its_time_and_not_used_is_free_at_its_time(*, told_at_once: bool) -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=14, processes=3, limits=LIMITS[1:])
        async with fleet.governor(0) as first, fleet.governor(1) as second, fleet.governor(2) as third:
            await asyncio.gather(*(fleet.request(first, 0) for _ in range(50)))
            free_at = min(fleet.arrivals["ip one address"]) + 5.0
            in_vain = [asyncio.create_task(fleet.request(second, 1)) for _ in range(50)]
            await asyncio.sleep(4.86)
            for task in in_vain:
                task.cancel()
            if told_at_once:
                await second.aclose()
            await asyncio.gather(*(fleet.request(third, 2) for _ in range(50)))
            await asyncio.wait(in_vain)
            assert free_at < fleet.arrivals["ip one address"][50] < free_at + 2.5

    run_virtually(lambda _: scenario())


def test_leaving_gives_back_what_was_unused() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=8, processes=2)
        async with fleet.governor(0) as first:
            await asyncio.gather(*(fleet.request(first, 0) for _ in range(20)))
        async with fleet.governor(1) as second:
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(fleet.request(second, 1) for _ in range(30)))
            assert asyncio.get_running_loop().time() - began < 0.5
        (_, ip) = await VirtualStore(fleet.server, fleet.rng).look()
        assert (held(ip), returning(ip), ip.state.owners) == (0, 50, {})

    run_virtually(lambda _: scenario())


def test_what_is_unused_goes_back_when_a_process_has_nothing_to_do() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=9, processes=1)
        async with fleet.governor(0) as governor:
            for _ in range(20):
                await fleet.request(governor, 0)
            await asyncio.sleep(10.0)
            views = await VirtualStore(fleet.server, fleet.rng).look()
            assert [held(view) for view in views] == [0, 0]

    run_virtually(lambda _: scenario())


def test_a_wait_longer_than_allowed_is_refused_at_once_with_the_time() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=10, processes=2)
        async with fleet.governor(0) as first, fleet.governor(1) as second:
            await asyncio.gather(*(fleet.request(first, 0) for _ in range(50)))
            began = asyncio.get_running_loop().time()
            with pytest.raises(QuotaTimeout) as refusal:
                await fleet.request(second, 1, max_wait=1.0)
            assert asyncio.get_running_loop().time() - began < 0.1
            assert 3.5 < refusal.value.predicted_wait < 6.0
            await fleet.request(second, 1, max_wait=8.0)

    run_virtually(lambda _: scenario())


def test_who_may_not_wait_is_told_by_the_store_not_by_what_it_last_said() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=15, processes=2)
        async with fleet.governor(0) as first, fleet.governor(1) as second:
            async with asyncio.TaskGroup() as group:
                for _ in range(10):  # some come while the store is being asked for others
                    group.create_task(fleet.request(second, 1, max_wait=0.0))
                    await asyncio.sleep(0.0005)
            await asyncio.gather(*(fleet.request(first, 0) for _ in range(40)))
            with pytest.raises(QuotaTimeout) as refusal:
                await fleet.request(second, 1, max_wait=0.0)
            assert 3.5 < refusal.value.predicted_wait < 6.0

    run_virtually(lambda _: scenario())


def test_bulk_is_told_how_long_it_takes_beside_the_tokens_that_are_left_to_interactive_requests() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=17, processes=2)
        async with fleet.governor(0) as calls, fleet.governor(1) as bulk:
            async with calls.admit({"ip"}):
                pass
            told: list[float] = []
            while not told:
                try:
                    async with bulk.admit({"ip"}, priority=Priority.BULK, max_wait=1.0):
                        pass
                except QuotaTimeout as refusal:
                    told.append(refusal.predicted_wait)
            assert 4.0 < told[-1] < 5.1

    run_virtually(lambda _: scenario())


@pytest.mark.parametrize(("early", "gap"), [(25, 4.4), (1, 4.8)])
def test_who_gets_the_last_token_before_a_gap_is_not_told_to_wait_for_its_end(early: int, gap: float) -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=20, processes=1)
        async with fleet.governor(0) as governor:
            await asyncio.gather(*(fleet.request(governor, 0) for _ in range(early)))
            await asyncio.sleep(gap)
            await asyncio.gather(*(fleet.request(governor, 0) for _ in range(50 - early)))
            first = [asyncio.create_task(fleet.request(governor, 0)) for _ in range(early - 2)]
            await fleet.request(governor, 0, max_wait=1.0)
            await asyncio.gather(*first)

    run_virtually(lambda _: scenario())


def test_those_who_need_other_windows_are_not_passed_by_whoever_comes_later() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=18, processes=1)
        async with fleet.governor(0) as governor, asyncio.TaskGroup() as group:
            busy = [group.create_task(fleet.send(governor, 0, 60.0)) for _ in range(100)]
            for _ in range(5):
                await asyncio.sleep(1.3)
                async with asyncio.timeout(20.0), governor.scope(client_id="another").admit({"client_id", "ip"}):
                    pass
            for task in busy:
                task.cancel()

    run_virtually(lambda _: scenario())


def test_what_was_not_sent_goes_straight_to_the_next_and_the_store_need_not_be_asked() -> None:
    async def scenario() -> None:
        fleet, loop = (
            Fleet(seed=22, processes=1, limits=[Limit("ip", requests=1, window=10.0)]),
            asyncio.get_running_loop(),
        )
        async with fleet.governor(0) as governor:
            first = governor.admit({"ip"})
            await first.enter()
            following = asyncio.create_task(governor.admit({"ip"}).enter())
            await asyncio.sleep(1.0)
            asked, exchanges = loop.time(), governor.exchanges
            first.not_sent()
            await following
            assert (loop.time(), governor.exchanges) == (asked, exchanges)

    run_virtually(lambda _: scenario())


def test_who_gave_up_as_its_grant_came_gives_it_to_the_next() -> None:
    async def scenario() -> None:
        fleet, loop = (
            Fleet(seed=23, processes=1, limits=[Limit("ip", requests=1, window=10.0)]),
            asyncio.get_running_loop(),
        )
        async with fleet.governor(0) as governor:
            held, first, second = (governor.admit({"ip"}) for _ in range(3))
            await held.enter()
            given_up, next_one = asyncio.create_task(first.enter()), asyncio.create_task(second.enter())
            await asyncio.sleep(1.0)
            asked, exchanges = loop.time(), governor.exchanges
            held.not_sent()
            given_up.cancel()
            await asyncio.wait([given_up, next_one])
            assert (given_up.cancelled(), loop.time(), governor.exchanges) == (True, asked, exchanges)

    run_virtually(lambda _: scenario())


def test_a_grant_that_became_void_before_its_request_went_on_is_asked_for_again() -> None:
    async def scenario() -> None:
        loop, rng, stood_for = asyncio.get_running_loop(), random.Random(24), 0.0  # noqa: S311 (load, no secrets)
        store = VirtualStore(VirtualServer(), rng)
        limits = [Limit("ip", requests=1, window=10.0)]
        async with Governor(limits, store=store, clock=lambda: loop.time() + stood_for) as governor:
            held = governor.admit({"ip"})
            await held.enter()
            waiting = asyncio.create_task(governor.admit({"ip"}).enter())
            await asyncio.sleep(1.0)
            exchanges = governor.exchanges
            held.not_sent()
            stood_for = 1000.0
            for _ in range(5):
                await asyncio.sleep(0.0)
            assert not waiting.done()
            await waiting
            assert governor.exchanges > exchanges

    run_virtually(lambda _: scenario())


def test_of_two_clients_whoever_came_first_leaves_first() -> None:
    async def scenario() -> None:
        fleet, left = Fleet(seed=21, processes=1), list[int]()

        async def send(number: int) -> None:
            async with governor.scope(client_id=str(number % 2)).admit({"ip"}):
                left.append(number)

        async with fleet.governor(0) as governor, asyncio.TaskGroup() as group:
            for number in range(150):
                group.create_task(send(number))
                await asyncio.sleep(0.01)
        assert all(set(left[:most]) == set(range(most)) for most in (50, 100)), left

    run_virtually(lambda _: scenario())


def test_each_of_many_clients_has_its_turn_at_a_store_that_is_far_away() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=19, processes=1, latency=0.4, limits=PUBLISHED_LIMITS)
        served: set[str] = set()

        async def send(client_id: str) -> None:
            while len(served) < 300:
                async with governor.scope(client_id=client_id).admit({"client_id", "ip"}):
                    served.add(client_id)

        async with fleet.governor(0) as governor, asyncio.timeout(240.0), asyncio.TaskGroup() as group:
            for number in range(900):
                group.create_task(send(str(number % 300)))

    run_virtually(lambda _: scenario())


def test_where_not_all_can_leave_in_time_those_who_came_last_are_refused() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=16, processes=1)
        async with fleet.governor(0) as governor:
            await asyncio.gather(*(fleet.request(governor, 0) for _ in range(50)))
            callers = [fleet.request(governor, 0, max_wait=7.0) for _ in range(120)]
            results = await asyncio.gather(*callers, return_exceptions=True)
            assert results[:50] == [None] * 50
            assert all(isinstance(one, QuotaTimeout) and one.predicted_wait > 9.0 for one in results[50:])

    run_virtually(lambda _: scenario())


@pytest.mark.parametrize("closed_by", ["flush", "pause", "pause in memory"])
def test_a_long_queue_before_closed_windows_is_told_the_rounds_from_when_they_open(closed_by: str) -> None:
    async def scenario() -> None:
        fleet, loop = Fleet(seed=24, processes=1), asyncio.get_running_loop()
        shared = fleet.governor(0)
        governor = Governor(fleet.limits, pace="burst", clock=loop.time) if closed_by == "pause in memory" else shared
        async with shared, governor:
            async with governor.admit(NAMES) as admission:
                if closed_by == "flush":
                    fleet.server.lose_data(restart=False)
                else:
                    admission.answered(status=429, headers={"Retry-After": "4"})
            waiting = [asyncio.create_task(fleet.request(governor, 0)) for _ in range(70)]
            await asyncio.sleep(2.5)
            asked = loop.time()
            with pytest.raises(QuotaTimeout) as refusal:
                await fleet.request(governor, 0, max_wait=0.0)
            await fleet.request(governor, 0)
            assert loop.time() - asked == pytest.approx(refusal.value.predicted_wait, abs=1.0)
            await asyncio.gather(*waiting)

    run_virtually(lambda _: scenario())


def test_a_process_speaks_up_while_what_it_gave_up_may_still_be_counted() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=17, processes=2, limits=[Limit("client_id", requests=5, window=1.0)])
        async with fleet.governor(0) as first:
            for _ in range(5):
                admission = first.admit({"client_id"})
                await admission.__aenter__()
                admission.give_up()  # and the server counts it ten seconds later
            await asyncio.sleep(5.0)
            fleet.server.lose_data()
            async with fleet.governor(1) as second, second.admit({"client_id"}):
                assert asyncio.get_running_loop().time() > 11.0

    run_virtually(lambda _: scenario())


def test_a_request_that_ends_while_the_store_hears_that_it_is_under_way_is_told_as_ended() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=18, processes=1, latency=0.4)
        async with fleet.governor(0) as governor:
            async with governor.admit(NAMES) as admission:
                await asyncio.sleep(1.3)
                assert governor.exchanges == 2, "under way"
                admission.answered(status=200)
            await asyncio.sleep(7.0)
            window = next(one for one in fleet.server.look() if one.key.startswith("ip"))
            assert returning(window) == 0, "its lease is not waited out"

    run_virtually(lambda _: scenario())


def test_a_refusal_pauses_every_process_and_all_leave_within_half_a_second_of_its_end() -> None:
    async def scenario() -> None:
        fleet, loop = Fleet(seed=11, processes=2), asyncio.get_running_loop()
        async with fleet.governor(0) as first, fleet.governor(1) as second:
            await fleet.request(second, 1)
            async with first.admit(NAMES) as admission:
                admission.answered(status=429, headers={"Retry-After": "3"})
            ends_at, left = loop.time() + 3.0, []
            await asyncio.sleep(0.6)

            async def one(through: Governor) -> None:
                async with through.admit(NAMES):
                    left.append(loop.time() - ends_at)

            await asyncio.gather(*(one(through) for through in (first, second) for _ in range(5)))
            assert min(left) >= 0.0
            assert max(left) <= 0.5
            assert all(window.smooth for window in second.snapshot().windows)

    run_virtually(lambda _: scenario())


@pytest.mark.parametrize("pause", [1.3, 1.5])
def test_who_held_a_grant_when_a_pause_began_leaves_at_its_end_too(pause: float) -> None:
    async def scenario() -> None:
        fleet, loop = Fleet(seed=21, processes=1), asyncio.get_running_loop()

        async def one(through: Governor) -> float:
            async with through.admit(NAMES):
                return loop.time()

        async with fleet.governor(0) as governor:
            async with governor.admit(NAMES) as admission:
                await asyncio.gather(*(one(governor) for _ in range(49)))
                waiting = [asyncio.create_task(one(governor)) for _ in range(8)]
                await asyncio.sleep(4.9)
                admission.answered(status=429, headers={"Retry-After": str(pause)})
            ends_at = loop.time() + pause
            assert all(ends_at <= left <= ends_at + 0.5 for left in await asyncio.gather(*waiting))

    run_virtually(lambda _: scenario())


def test_an_interactive_call_finds_a_token_beside_another_processes_bulk_job() -> None:
    async def scenario() -> None:
        fleet, loop = Fleet(seed=12, processes=2), asyncio.get_running_loop()
        async with fleet.governor(0) as bulk, fleet.governor(1) as calls:

            async def job() -> None:
                with contextlib.suppress(QuotaTimeout):
                    while True:
                        async with bulk.admit(NAMES, priority=Priority.BULK, max_wait=30.0 - loop.time()):
                            await asyncio.sleep(0.02)

            jobs, waits = [asyncio.create_task(job()) for _ in range(8)], []
            for _ in range(20):
                began = loop.time()
                async with calls.admit(NAMES):
                    waits.append(loop.time() - began)
                await asyncio.sleep(1.25)
            await asyncio.gather(*jobs)
        assert sorted(waits)[-2] < 2.5, "all but one need not wait for the next burst"

    run_virtually(lambda _: scenario())


def test_one_bulk_request_in_each_window_leaves_beside_another_processes_interactive_ones() -> None:
    """They find a free token each time, so that they overtake nobody, and bulk leaves the other one to them."""

    async def scenario() -> None:
        limit = Limit("ip", requests=2, window=30.0)
        fleet, loop = Fleet(seed=29, processes=2, limits=[limit]), asyncio.get_running_loop()
        async with fleet.governor(0) as calls, fleet.governor(1) as bulk:

            async def call() -> None:
                while True:
                    await fleet.request(calls, 0)
                    await asyncio.sleep(25.0)

            calling, waits = asyncio.create_task(call()), list[float]()
            for _ in range(8):
                began = loop.time()
                async with asyncio.timeout(2 * limit.window), bulk.admit({"ip"}, priority=Priority.BULK):
                    waits.append(loop.time() - began)
            calling.cancel()
        assert max(waits) < limit.window + 1.0

    run_virtually(lambda _: scenario())


def test_a_governor_lifts_the_pauses_of_its_own_windows_for_every_process() -> None:
    async def scenario() -> None:
        server, rng, loop = VirtualServer(), random.Random(13), asyncio.get_running_loop()  # noqa: S311 (load, no secrets)
        made = [
            Governor(LIMITS[:1], store=VirtualStore(server, rng), client_id=client_id, clock=loop.time)
            for client_id in ("ann", "ann", "ben")
        ]
        for through in made:
            async with through.admit({"client_id"}) as admission:
                if through is not made[0]:
                    admission.answered(status=429, headers={"Retry-After": "60" if through is made[1] else "3600"})
        waiting = asyncio.create_task(made[0].admit({"client_id"}).enter())
        await asyncio.sleep(5.0)
        assert not waiting.done()
        assert await made[1].lift() == 1
        began = loop.time()
        await waiting
        assert loop.time() - began < 5.0
        paused = {view.key.rpartition("|")[2]: view.state.paused > view.now for view in server.look()}
        assert paused == {"ann": False, "ben": True}
        await asyncio.sleep(60.0)  # nothing of his is out any more
        assert len(await lift_pauses(VirtualStore(server, rng), server.look())) == 1
        await asyncio.sleep(2.0)
        async with made[2].admit({"client_id"}):
            pass
        for through in made:
            await through.aclose()

    run_virtually(lambda _: scenario())


def test_a_governor_that_was_made_to_lift_pauses_lifts_those_of_its_client_and_counts_them() -> None:
    async def scenario() -> None:
        server, rng, loop = VirtualServer(), random.Random(27), asyncio.get_running_loop()  # noqa: S311 (load, no secrets)

        def made(client_id: str, limits: list[Limit] = LIMITS) -> Governor:
            return Governor(limits, store=VirtualStore(server, rng), client_id=client_id, clock=loop.time)

        async def pause() -> None:
            for client_id, origin in (("ann", "https://here"), ("ann", "https://there"), ("ben", "https://here")):
                async with made(client_id) as governor, governor.scope(origin=origin).admit({"client_id"}) as admission:
                    admission.answered(status=429, headers={"Retry-After": "60"})

        async def lifted(governor: Governor, limit: str | None = None, client_id: str | None = None) -> int:
            paused = sum(one.state.paused > one.now for one in server.look())
            async with governor:
                count = await governor.lift(limit=limit, client_id=client_id)
            assert sum(one.state.paused > one.now for one in server.look()) == paused - count
            return count

        await pause()
        assert await lifted(made("cid")) == await lifted(made("ann"), limit="ip") == 0
        assert await lifted(made("ann", [Limit("client_id", requests=10, window=1.0)])) == 0
        assert await lifted(made("ann")) == 2
        assert await lifted(made("ann"), client_id="ben") == 1
        await pause()
        here = made("ann")
        here.scope(origin="https://here")
        assert await lifted(here) == 1
        several = made("ann")
        for client_id in ("ann", "ben"):
            several.scope(origin="https://here", client_id=client_id)
        assert await lifted(several) == 1

    run_virtually(lambda _: scenario())


def test_answers_of_a_store_that_come_late_by_turns_forget_no_refusal() -> None:
    async def scenario() -> None:
        store = VirtualStore(VirtualServer(), random.Random(15), latency=0.9)  # noqa: S311 (load, no secrets)
        clock = asyncio.get_running_loop().time
        async with Governor(LIMITS[:1], store=store, clock=clock) as governor:
            for pause in (30, 30):
                async with governor.admit({"client_id"}) as admission:
                    admission.answered(status=429, headers={"Retry-After": str(pause)})
                await asyncio.sleep(pause + 1.0)
            assert governor.snapshot().windows[0].reserved_for_others > 75, "a second refusal in a row teaches"

    run_virtually(lambda _: scenario())


def test_a_store_that_lost_its_data_is_told_of_a_pause_again() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=14, processes=1)
        async with fleet.governor(0) as governor:
            async with governor.admit({"client_id"}) as admission:
                admission.answered(status=429, headers={"Retry-After": "60"})
            await asyncio.sleep(3.0)
            fleet.server.lose_data(restart=False)
            await asyncio.sleep(3.0)
            (kept,) = fleet.server.look()
            assert 53.0 < (kept.state.paused - kept.now) / 1e6 < 55.0
            assert 53.0 < governor.snapshot().windows[0].paused_for < 55.0

    run_virtually(lambda _: scenario())


def test_cancelled_waiters_leave_nothing_behind() -> None:
    async def scenario() -> None:
        fleet = Fleet(seed=12, processes=1)
        async with fleet.governor(0) as governor:
            waiting = [asyncio.create_task(fleet.request(governor, 0)) for _ in range(80)]
            await asyncio.sleep(0.5)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert governor.snapshot().waiting == 0
            await asyncio.sleep(15.0)
            views = await VirtualStore(fleet.server, fleet.rng).look()
            assert [len(view.dues) for view in views if view.key.startswith("ip")] == [0]

    run_virtually(lambda _: scenario())
