"""What those who wait are told, and what is waited for to the moment."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support.virtual_time import VirtualTimeLoop, virtual

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, RateLimited
from spotify_ads_async.events import Event
from spotify_ads_async.governor import Admitted, Governor, Limit, Priority, Waiting, WaitRefused

BOTH = (Limit("client_id", requests=2, window=30.0), Limit("ip", requests=2, window=10.0))


async def send(governor: Governor, *limits: str, max_wait: float | None = None, bulk: bool = False) -> None:
    priority = Priority.BULK if bulk else Priority.INTERACTIVE
    async with governor.admit(limits or ("ip",), priority=priority, max_wait=max_wait):
        pass


def governor_on(loop: VirtualTimeLoop, *limits: Limit, longest_pause: float = 120.0) -> Governor:
    return Governor(limits or BOTH, pace="burst", clock=loop.time, clock_resolution=0.0, longest_pause=longest_pause)


@virtual
async def test_everybody_hears_who_waits_for_what_and_how_long(loop: VirtualTimeLoop) -> None:
    governor, heard = governor_on(loop), list[Event]()
    governor.subscribe(heard.append)
    for _ in range(2):
        await send(governor, "client_id", "ip")
    assert heard == [], "who need not wait is no news"
    one = asyncio.create_task(send(governor, "client_id", "ip", bulk=True))
    await asyncio.sleep(4.0)
    other = asyncio.create_task(send(governor, "ip"))
    await asyncio.sleep(0.0)
    with pytest.raises(QuotaTimeout):
        await send(governor, "client_id", max_wait=1.0)
    assert heard == [
        Waiting(limits=("client_id", "ip"), priority="bulk", length=1),
        Waiting(limits=("ip",), priority="interactive", length=2),
        WaitRefused(limit="client_id", predicted_wait=pytest.approx(26.004)),
    ]
    heard.clear()
    await asyncio.gather(one, other)
    assert heard == [
        Admitted(limits=("ip",), priority="interactive", waited=pytest.approx(6.002)),
        Admitted(limits=("client_id", "ip"), priority="bulk", waited=pytest.approx(30.004, abs=0.4)),
    ]


@virtual
async def test_who_may_wait_just_as_long_as_it_takes_waits(loop: VirtualTimeLoop) -> None:
    governor = governor_on(loop)
    for _ in range(2):
        await send(governor)
    for patience in (0.0, -5.0):
        with pytest.raises(QuotaTimeout, match=r"longer than max_wait allows \(0 s\)") as refused:
            await send(governor, max_wait=patience)
        assert loop.time() == 0.0
    await send(governor, max_wait=refused.value.predicted_wait)
    assert loop.time() == pytest.approx(10.002)
    fast, asked = governor_on(loop, Limit("ip", requests=1, window=0.8)), loop.time()
    await send(fast)
    with pytest.raises(QuotaTimeout):
        await send(fast, max_wait=0.5)
    assert loop.time() == asked


@virtual
async def test_patience_ends_to_the_moment_where_no_answer_comes(loop: VirtualTimeLoop) -> None:
    governor = governor_on(loop, Limit("ip", requests=1, window=0.2))
    await asyncio.sleep(100.0)
    async with governor.admit({"ip"}):
        with pytest.raises(QuotaTimeout, match="no leave to send came"):
            await send(governor, max_wait=0.3)
        assert loop.time() == pytest.approx(100.3)


@virtual
async def test_a_pause_of_just_the_longest_is_waited_for(loop: VirtualTimeLoop) -> None:
    await asyncio.sleep(100.0)
    for pause, too_long in ((60.0, False), (60.5, True)):
        governor = governor_on(loop, BOTH[0], longest_pause=60.0)
        began = loop.time()
        first, second = governor.admit({"client_id"}), governor.admit({"client_id"})
        await first.enter()
        await second.enter()
        before = asyncio.create_task(send(governor, "client_id"))
        in_vain = asyncio.create_task(send(governor, "client_id", max_wait=59.9))
        await asyncio.sleep(0.0)
        first.answered(status=429, headers={"Retry-After": f"{pause:g}"})
        second.answered(status=200)
        waits = [before, in_vain, asyncio.create_task(send(governor, "client_id"))]
        found = await asyncio.gather(*waits, return_exceptions=True)
        kinds = [type(one) for one in found]
        if too_long:
            assert kinds == [RateLimited] * 3
            assert loop.time() == began
        else:
            assert kinds == [type(None), QuotaTimeout, type(None)]
            assert loop.time() > began + 60.0


@virtual
async def test_whose_patience_ends_with_a_pause_leaves_at_its_end(loop: VirtualTimeLoop) -> None:
    governor = governor_on(loop, BOTH[0])
    held = [governor.admit({"client_id"}) for _ in range(2)]
    for one in held:
        await one.enter()
    waiting = asyncio.create_task(send(governor, "client_id", max_wait=60.0))
    await asyncio.sleep(0.0)
    held[1].not_sent()
    await waiting
    waiting = asyncio.create_task(send(governor, "client_id", max_wait=60.0))
    await asyncio.sleep(0.0)
    held[0].answered(status=429, headers={"Retry-After": "60"})
    await waiting
    assert loop.time() == 60.0


@virtual
async def test_a_closed_governor_says_so_to_each_in_its_own_words(loop: VirtualTimeLoop) -> None:
    governor = governor_on(loop)
    await send(governor)
    held = governor.admit({"ip"})
    await held.enter()
    waiting = [asyncio.create_task(send(governor)) for _ in range(2)]
    await asyncio.sleep(0.0)
    await governor.aclose()
    held.not_sent()
    told = await asyncio.gather(*waiting, send(governor), return_exceptions=True)
    assert [type(one) for one in told] == [ConfigurationError] * 3
    assert told[0] is not told[1]
    assert [one.message for one in told if isinstance(one, ConfigurationError)] == [
        *["the governor was closed while the request waited for leave: nothing was sent"] * 2,
        "the governor is closed: nothing leaves through it any more",
    ]
    assert governor.snapshot().waiting == 0


def test_a_governor_in_use_on_another_threads_loop_says_what_to_do() -> None:
    governor = Governor(BOTH)
    in_use, over = threading.Event(), threading.Event()

    async def use() -> None:
        await send(governor)
        in_use.set()
        await asyncio.to_thread(over.wait, 60.0)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    assert in_use.wait(60.0)
    try:
        with pytest.raises(ConfigurationError) as refused:
            asyncio.run(send(governor))
    finally:
        over.set()
        thread.join()
    assert refused.value.message == (
        "a governor belongs to one event loop at a time, and another thread's loop is running with it: make a governor"
        " for each loop, with a common store (store='sqlite:///quota.db') where they share windows"
    )
    asyncio.run(send(governor))


def test_who_waits_on_a_loop_that_stands_still_hears_that_another_took_over() -> None:
    now = 0.0
    governor = Governor(BOTH, clock=lambda: now)

    async def begin() -> asyncio.Task[None]:
        for _ in range(2):
            await send(governor)
        task = asyncio.create_task(send(governor))
        await asyncio.sleep(0)
        return task

    with asyncio.Runner() as first:
        task = first.run(begin())
        with pytest.raises(QuotaTimeout):
            asyncio.run(send(governor, max_wait=0.0))
        with pytest.raises(ConfigurationError) as told:
            first.run(asyncio.wait_for(task, 60.0))
    assert told.value.message == (
        "another event loop took over the governor while the request waited for leave: nothing was sent"
    )
    assert governor.snapshot().waiting == 0
    now = 10.01
    asyncio.run(send(governor, max_wait=0.0))


@virtual
async def test_who_gave_up_as_its_leave_came_gives_it_to_the_next(loop: VirtualTimeLoop) -> None:
    governor = governor_on(loop, Limit("ip", requests=1, window=10.0))
    held = governor.admit({"ip"})
    await held.enter()
    first, second = (asyncio.create_task(send(governor)) for _ in range(2))
    await asyncio.sleep(1.0)
    held.not_sent()
    first.cancel()
    await asyncio.wait([first, second])
    assert (first.cancelled(), second.exception(), loop.time()) == (True, None, 1.0)


@virtual
async def test_of_two_clients_whoever_came_first_leaves_first(loop: VirtualTimeLoop) -> None:
    governor, left = governor_on(loop), list[int]()

    async def one(number: int) -> None:
        async with governor.scope(client_id=str(number % 3)).admit({"ip"}):
            left.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
    assert left == list(range(20))


@virtual
async def test_where_time_is_coarse_nobody_looks_again_and_again(loop: VirtualTimeLoop) -> None:
    looked = 0

    def clock() -> float:
        nonlocal looked
        looked += 1
        return loop.time() // 1.0

    governor = Governor([Limit("ip", requests=1, window=10.0)], clock=clock, clock_resolution=1.0)
    await send(governor)
    await send(governor)
    assert 11.0 <= loop.time() <= 13.0
    assert looked < 1_200, "a thousand times a second at most, and only when a token is due"
