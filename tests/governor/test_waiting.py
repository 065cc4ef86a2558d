"""The line: who goes first, who gives up, what is predicted, and what a pause does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import examples
from support.virtual_time import VirtualTimeLoop, run_virtually, virtual

from spotify_ads_async.errors import ConfigurationError, QuotaTimeout, RateLimited
from spotify_ads_async.governor import Governor, Limit, Priority
from spotify_ads_async.governor.admission import Admission

IP = (Limit("ip", requests=10, window=10.0),)
ALL = (
    Limit("client_id", requests=30, window=30.0),
    Limit("ip", requests=10, window=10.0),
    Limit("reporting", requests=3, window=30.0),
)


async def send(governor: Governor, limits: Collection[str] = ("ip",), *, trip: float = 0.0, **options: object) -> None:
    async with governor.admit(limits, **options) as admission:  # type: ignore[arg-type]
        await asyncio.sleep(trip)
        admission.answered(status=200)


async def spend(governor: Governor, count: int, limits: Collection[str] = ("ip",)) -> None:
    for _ in range(count):
        await send(governor, limits)


@virtual
async def test_equals_leave_in_the_order_they_came(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    left: list[int] = []

    async def one(number: int) -> None:
        await send(governor)
        left.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(35):
            group.create_task(one(number))
    assert left == list(range(35))
    assert loop.time() == pytest.approx(30.0, abs=0.05)


@virtual
async def test_who_waits_for_another_window_stands_in_nobodys_way(loop: VirtualTimeLoop) -> None:
    governor = Governor(ALL, clock=loop.time)
    await spend(governor, 3, ("ip", "reporting"))
    report = asyncio.create_task(send(governor, ("ip", "reporting")))
    await asyncio.sleep(0)
    await send(governor, ("ip",), max_wait=0.0)
    assert governor.snapshot().waiting == 1
    await report
    assert loop.time() == pytest.approx(30.0, abs=0.05)


@virtual
async def test_an_interactive_call_finds_a_token_while_bulk_saturates(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=500, window=10.0)], clock=loop.time)
    job = [asyncio.create_task(send(governor, trip=0.07, priority=Priority.BULK)) for _ in range(4000)]
    waits: list[float] = []
    await asyncio.sleep(12.0)
    for _ in range(80):
        await asyncio.sleep(0.7)
        asked = loop.time()
        await send(governor, trip=0.07)
        waits.append(loop.time() - asked - 0.07)
    # The first few met a bucket of which one token was left; then the reserve follows what interactive calls need.
    assert sorted(waits)[-8] < 0.01
    assert max(waits) <= 10.1
    await asyncio.gather(*job)
    assert loop.time() <= 95.0


@virtual
async def test_bulk_has_its_share_when_interactive_calls_never_stop(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=100, window=1.0)], clock=loop.time)
    left = {Priority.INTERACTIVE: 0, Priority.BULK: 0}

    async def one(priority: Priority) -> None:
        while loop.time() < 30.0:
            await send(governor, trip=0.01, priority=priority)
            left[priority] += 1

    await asyncio.gather(*(one(priority) for priority in Priority for _ in range(200)))
    assert 0.17 < left[Priority.BULK] / sum(left.values()) < 0.23


@virtual
async def test_bulk_that_is_alone_uses_all_but_a_token(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=500, window=10.0)], clock=loop.time)
    async with asyncio.TaskGroup() as group:
        for _ in range(499):
            group.create_task(send(governor, priority=Priority.BULK))
    assert loop.time() == 0.0


@virtual
async def test_a_wait_that_would_be_too_long_is_refused_at_once(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    await spend(governor, 10)
    await asyncio.sleep(4.0)
    with pytest.raises(QuotaTimeout) as refused:
        await send(governor, max_wait=5.9)
    assert loop.time() == 4.0
    assert refused.value.predicted_wait == pytest.approx(6.0, abs=0.01)
    assert refused.value.limit == "ip"
    assert refused.value.message == (
        "leave to send would take about 6.0 s, longer than max_wait allows (5.9 s); the limit ip binds (10 in 10 s): "
        "wait longer, or send less"
    )
    await send(governor, max_wait=6.1)
    assert loop.time() == pytest.approx(10.0, abs=0.01)


@virtual
async def test_a_prediction_for_bulk_counts_the_interactive_calls_that_will_come(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=100, window=10.0)], clock=loop.time)
    errors: list[float] = []

    async def calls(priority: Priority, pause: float) -> None:
        while loop.time() < 60.0:
            await send(governor, trip=0.1, priority=priority)
            await asyncio.sleep(pause)

    async def ask() -> None:
        asked = loop.time()
        with pytest.raises(QuotaTimeout) as refused:
            await send(governor, priority=Priority.BULK, max_wait=0.0)
        await send(governor, priority=Priority.BULK)
        errors.append(refused.value.predicted_wait - loop.time() + asked)

    async with asyncio.TaskGroup() as group:
        for priority, pause in [(Priority.INTERACTIVE, 0.15)] + [(Priority.BULK, 0.0)] * 10:
            group.create_task(calls(priority, pause))
        for _ in range(25):
            await asyncio.sleep(1.7)
            if loop.time() > 20.0:
                group.create_task(ask())
    assert max(map(abs, errors)) < 1.0, errors


@settings(max_examples=examples(60))
@given(
    spent=st.lists(st.floats(0.0, 3.0), max_size=12),
    waiting=st.integers(0, 30),
    priority=st.sampled_from(Priority),
    pace=st.sampled_from(["burst", "smooth"]),
)
def test_the_predicted_wait_comes_true(spent: list[float], waiting: int, priority: Priority, pace: str) -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor(ALL, pace=pace, clock=loop.time)  # type: ignore[arg-type]
        for pause in spent:
            await asyncio.sleep(pause)
            await send(governor, ("client_id", "ip"))
        crowd = [asyncio.create_task(send(governor, ("client_id", "ip"))) for _ in range(waiting)]
        await asyncio.sleep(0)
        asked = loop.time()
        probe = asyncio.create_task(send(governor, ("client_id", "ip"), priority=priority, max_wait=0.0))
        await asyncio.sleep(0)
        predicted = 0.0
        try:
            await probe
        except QuotaTimeout as refused:
            predicted = refused.predicted_wait
            await send(governor, ("client_id", "ip"), priority=priority)
        # What interactive calls that come later take from bulk, and how their reserve grows, cannot be known.
        assert loop.time() - asked == pytest.approx(predicted, abs=0.05 if priority is Priority.INTERACTIVE else 10.0)
        await asyncio.gather(*crowd)

    run_virtually(program)


@virtual
async def test_bulk_is_told_of_its_turn_in_each_window(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=1, window=10.0)], clock=loop.time)
    await send(governor, priority=Priority.BULK)
    calls = [asyncio.create_task(send(governor)) for _ in range(3)]
    await asyncio.sleep(2.0)
    with pytest.raises(QuotaTimeout) as refused:
        await send(governor, priority=Priority.BULK, max_wait=0.0)
    await send(governor, priority=Priority.BULK)
    assert loop.time() - 2.0 == pytest.approx(refused.value.predicted_wait, abs=0.5)
    await asyncio.gather(*calls)


@virtual
async def test_max_wait_is_never_overrun(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    held = [governor.admit({"ip"}) for _ in range(10)]
    for admission in held:
        await admission.__aenter__()
    # As far as anybody can tell the answers come now and their tokens 10 s later; but they do not come.
    with pytest.raises(QuotaTimeout, match=r"^no leave to send came within max_wait \(11 s\); the limit ip binds"):
        await send(governor, max_wait=11.0)
    assert loop.time() == pytest.approx(11.0)
    for admission in held:
        admission.answered(status=200)


@virtual
async def test_who_waits_for_reports_does_not_lengthen_the_prediction_for_others(loop: VirtualTimeLoop) -> None:
    governor = Governor(ALL, clock=loop.time)
    await spend(governor, 3, ("ip", "reporting"))
    await spend(governor, 7)
    reports = [asyncio.create_task(send(governor, ("ip", "reporting"))) for _ in range(40)]
    await asyncio.sleep(0)
    await send(governor, max_wait=10.5)
    assert loop.time() == pytest.approx(10.0, abs=0.05)
    for report in reports:
        report.cancel()
    await asyncio.gather(*reports, return_exceptions=True)


@virtual
async def test_who_is_cancelled_leaves_the_line_and_wastes_nothing(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    await spend(governor, 10)
    tasks = [asyncio.create_task(send(governor)) for _ in range(11)]
    await asyncio.sleep(1.0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[0].cancelled()
    assert loop.time() == pytest.approx(10.0, abs=0.01)


@virtual
async def test_what_was_not_sent_goes_straight_back_to_the_next(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=1, window=10.0)], clock=loop.time)
    admission = governor.admit({"ip"})
    await admission.__aenter__()
    following = asyncio.create_task(send(governor))
    await asyncio.sleep(1.0)
    admission.not_sent()
    await following
    assert loop.time() == 1.0


@virtual
async def test_a_lost_request_keeps_its_token_while_it_may_be_on_its_way(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=2, window=10.0)], clock=loop.time, counted_within=5.0)
    await send(governor, trip=3.0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0), governor.admit({"ip"}):
            await asyncio.sleep(60.0)
    await spend(governor, 1)
    assert loop.time() == pytest.approx(13.0, abs=0.01)
    await spend(governor, 1)
    # It may have waited for a connection until it was given up at 4 s, and the server may count it as late as 9 s.
    assert loop.time() == pytest.approx(19.0, abs=0.01)


@virtual
async def test_a_token_is_back_a_little_later_than_its_window_and_none_waits_for_a_lost_one(
    loop: VirtualTimeLoop,
) -> None:
    governor = Governor(
        [Limit("ip", requests=2, window=10.0)], clock=loop.time, clock_resolution=0.5, counted_within=5.0
    )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0), governor.admit({"ip"}):
            await asyncio.sleep(60.0)
    await send(governor)
    for back_at in (11.502, 16.502):  # with a millisecond, a ten-thousandth, and what the clock is coarse by
        assert governor.snapshot().windows[0].next_return == pytest.approx(back_at - loop.time(), abs=1e-6)
        await send(governor)
        assert loop.time() == pytest.approx(back_at, abs=1e-3)


@virtual
async def test_a_server_that_works_off_its_backlog_late_counts_no_more_than_the_window(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=50, window=10.0)], pace="burst", clock=loop.time)
    counted: list[float] = []

    async def one() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0), governor.admit({"ip"}):
                loop.call_later(9.0, lambda: counted.append(loop.time()))
                await asyncio.sleep(60.0)

    for _ in range(6):
        await asyncio.gather(*(one() for _ in range(60)), return_exceptions=True)
        await asyncio.sleep(4.0)
    await asyncio.sleep(10.0)
    assert len(counted) > 50
    assert max(sum(at - 10.0 < other <= at for other in counted) for at in counted) <= 50


@virtual
async def test_a_pause_is_for_everybody_and_is_left_spread_out(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=100, window=10.0)], pace="burst", clock=loop.time)
    await spend(governor, 10)
    async with governor.admit({"ip"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "3"})
    left: list[float] = []

    async def one() -> None:
        await send(governor)
        left.append(loop.time())

    await asyncio.gather(*(one() for _ in range(20)))
    assert min(left) >= 3.0
    assert max(left) <= 3.5
    assert all(sum(at <= moment < at + 0.1 for moment in left) <= 6 for at in left)


@virtual
async def test_a_window_without_tokens_puts_off_the_rounds_of_another(loop: VirtualTimeLoop) -> None:
    governor = Governor(ALL, clock=loop.time)
    await spend(governor, 10)
    await asyncio.sleep(3.0)
    reports = [asyncio.create_task(send(governor, ("ip", "reporting"))) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(QuotaTimeout) as refused:
        await send(governor, ("ip", "reporting"), max_wait=0.0)
    assert refused.value.predicted_wait == pytest.approx(7.0 + 30.0, abs=0.05), "three leave after 7 s"
    with pytest.raises(QuotaTimeout, match="the limit ip binds"):
        await send(governor, ("client_id", "ip"), max_wait=0.0)
    await asyncio.gather(*reports)


@pytest.mark.parametrize(
    ("reporting", "waiting", "predicted"),
    [
        (Limit("reporting", requests=3, window=30.0), 4, 0.5),  # none of them can leave before
        (Limit("reporting", requests=3, window=11.9), 4, 1.5),  # one can, when its token of reporting is back
        (Limit("reporting", requests=1, window=2.0), 9, 2.5),  # two can, one after the other
    ],
)
def test_how_many_go_before_depends_on_what_else_they_wait_for(
    reporting: Limit, waiting: int, predicted: float
) -> None:
    """Tokens of ip are back from half a second on, one each second."""

    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor([*IP, reporting], clock=loop.time, pace="burst", clock_resolution=0.0)
        for number in range(10):
            await send(governor, ("ip", "reporting") if number < reporting.requests else ("ip",))
            await asyncio.sleep(1.0 if number < 9 else 0.5)
        reports = [asyncio.create_task(send(governor, ("ip", "reporting"))) for _ in range(waiting)]
        await asyncio.sleep(0)
        with pytest.raises(QuotaTimeout) as refused:
            await send(governor, max_wait=0.0)
        assert refused.value.predicted_wait == pytest.approx(predicted, abs=0.05)
        await asyncio.gather(*reports)

    run_virtually(program)


@virtual
async def test_of_two_limits_that_bind_alike_one_is_named(loop: VirtualTimeLoop) -> None:
    both = ("client_id", "ip")
    governor = Governor([Limit(name, requests=2, window=10.0) for name in both], clock=loop.time)
    await spend(governor, 2, both)
    with pytest.raises(QuotaTimeout, match=r"the limit (client_id|ip) binds \(2 in 10 s\)"):
        await send(governor, both, max_wait=0.0)


@virtual
async def test_a_pause_that_nobody_waits_for_says_how_long_it_is_and_how_it_ends(loop: VirtualTimeLoop) -> None:
    governor = Governor(
        [Limit("client_id", requests=10, window=10.0)], clock=loop.time, client_id="an-app", longest_pause=100.0
    )
    await asyncio.sleep(1.0)
    async with governor.admit({"client_id"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "500"})
    await asyncio.sleep(1.0)
    with pytest.raises(RateLimited) as refused:
        await send(governor, ("client_id",))
    assert refused.value.retry_after == pytest.approx(499.0)
    assert refused.value.message == (
        "the server asked for a pause of 499 s on client_id (an-app), longer than the governor waits: nothing was "
        "sent. It asks the server again in 99 s; Governor.lift() or `spotify-ads quota lift` ends the pause by hand"
    )


@virtual
async def test_the_later_of_two_pauses_wins(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    first, second = governor.admit({"ip"}), governor.admit({"ip"})
    await first.__aenter__()
    await second.__aenter__()
    first.answered(status=429, headers={"Retry-After": "5"})
    second.answered(status=429, headers={"Retry-After": "1"})
    assert governor.snapshot().windows[0].paused_for == pytest.approx(5.0)
    await send(governor)
    assert loop.time() >= 5.0


@virtual
async def test_a_pause_refuses_those_who_will_not_get_through_it(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("client_id", requests=10, window=10.0)], clock=loop.time)
    held = [governor.admit({"client_id"}) for _ in range(10)]
    for admission in held:
        await admission.__aenter__()
    short = asyncio.create_task(send(governor, ("client_id",), max_wait=10.5))
    patient = [asyncio.create_task(send(governor, ("client_id",))) for _ in range(55)]
    await asyncio.sleep(0.0)
    for admission in held:
        admission.answered(status=429, headers={"Retry-After": "40"})
    with pytest.raises(QuotaTimeout) as refusal:
        await short
    assert loop.time() == 0.0
    await patient[0]
    assert loop.time() >= 40.0
    await asyncio.gather(*patient)
    await send(governor, ("client_id",))
    assert loop.time() == pytest.approx(refusal.value.predicted_wait, abs=1.5), "nobody else is told a shorter wait"


@virtual
async def test_who_comes_in_a_pause_is_not_told_that_it_lasts_longer(loop: VirtualTimeLoop) -> None:
    """What a first refusal leaves to others is over with its pause, and so is their part of the rhythm."""
    governor = Governor([Limit("ip", requests=500, window=10.0)], clock=loop.time)
    async with governor.admit({"ip"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "2"})
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(send(governor, max_wait=4.0))
            await asyncio.sleep(0.0)


@virtual
async def test_an_absurd_pause_is_an_error_with_its_time_and_is_tried_again(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("client_id", requests=10, window=10.0)], clock=loop.time)
    holding = [governor.admit({"client_id"}) for _ in range(10)]
    for admission in holding:
        await admission.__aenter__()
    waiting = asyncio.create_task(send(governor, ("client_id",)))
    await asyncio.sleep(0)
    holding[0].answered(status=429, headers={"Retry-After": "79892"})
    with pytest.raises(RateLimited) as refused:
        await waiting
    assert refused.value.retry_after == pytest.approx(79892.0)
    with pytest.raises(RateLimited, match="quota lift"):
        await send(governor, ("client_id",))
    assert loop.time() == 0.0
    for admission in holding[1:]:
        admission.answered(status=200)
    await asyncio.sleep(121.0)
    await send(governor, ("client_id",), max_wait=0.0)


@virtual
async def test_an_absurd_pause_bars_other_clients_for_no_longer_than_the_window_of_the_address(
    loop: VirtualTimeLoop,
) -> None:
    governor = Governor(ALL, clock=loop.time)
    first, second = governor.scope(client_id="ann"), governor.scope(client_id="ben")
    async with first.admit({"client_id", "ip"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "99999999999999999999"})
    async with second.admit({"client_id", "ip"}):
        assert loop.time() <= 10.0
    with pytest.raises(RateLimited):
        async with first.admit({"client_id", "ip"}):
            pass


@virtual
async def test_a_pause_is_lifted_by_hand(loop: VirtualTimeLoop) -> None:
    governor = Governor(ALL, clock=loop.time)
    async with governor.admit({"client_id", "ip"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "60"})
    waiting = asyncio.create_task(send(governor, ("client_id", "ip")))
    await asyncio.sleep(1.0)
    assert max(window.paused_for for window in governor.snapshot().windows) == pytest.approx(59.0)
    assert await governor.lift(limit="client_id") == 1
    assert await governor.lift() == 1
    await waiting
    assert loop.time() == pytest.approx(1.0, abs=0.1)
    assert all(window.paused_for == 0.0 and window.pause_cause is None for window in governor.snapshot().windows)


@virtual
async def test_who_may_not_wait_for_the_end_of_a_pause_is_told_of_it_and_of_no_limit(loop: VirtualTimeLoop) -> None:
    governor = Governor(ALL, clock=loop.time, client_id="an-app")
    async with governor.admit({"client_id"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "60"})
    patient = asyncio.create_task(send(governor, ("client_id",), max_wait=30.0))
    await asyncio.sleep(1.0)
    for refused in (patient, send(governor, ("client_id",), max_wait=2.0)):
        with pytest.raises(
            QuotaTimeout, match=r"the server asked for a pause on client_id \(an-app\), with \d"
        ) as told:
            await refused
        assert told.value.predicted_wait == pytest.approx(60.0, abs=1.1)
        assert "binds" not in told.value.message
    await spend(governor, 10)
    with pytest.raises(QuotaTimeout, match="the limit ip binds"):
        await send(governor, max_wait=2.0)


def test_a_text_is_no_collection_of_limits() -> None:
    """Its letters are names of no window, so nothing would be kept."""
    governor = Governor(IP)
    for admit in (governor.admit, governor.scope(client_id="another").admit):
        with pytest.raises(ConfigurationError, match="limits are names in a collection"):
            admit("ip")


@virtual
async def test_a_pause_that_was_lifted_shortens_no_rhythm(loop: VirtualTimeLoop) -> None:
    governor = Governor([Limit("ip", requests=100, window=30.0)], clock=loop.time, pace="smooth")
    async with governor.admit({"ip"}) as admission:
        admission.answered(status=429, headers={"Retry-After": "20"})
    assert await governor.lift() == 1
    waiting = [asyncio.create_task(send(governor)) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(QuotaTimeout) as refused:
        await send(governor, max_wait=0.0)
    await asyncio.gather(*waiting)
    assert refused.value.predicted_wait == pytest.approx(loop.time(), abs=1.0)


@pytest.mark.parametrize("length", [1.0, 2.0, 10.0])
@pytest.mark.parametrize("pace", ["auto", "burst", "smooth"])
def test_those_who_wait_for_a_pause_leave_within_half_a_second_of_its_end_one_after_the_other(
    pace: str, length: float
) -> None:
    async def program(loop: VirtualTimeLoop) -> list[float]:
        governor = Governor(
            [Limit("client_id", requests=1500, window=30.0), Limit("ip", requests=500, window=10.0)],
            pace=pace,
            clock=loop.time,
        )  # type: ignore[arg-type]
        async with governor.admit({"client_id", "ip"}) as admission:
            admission.answered(status=429, headers={"Retry-After": f"{length:g}"})
        left: list[float] = []

        async def one() -> None:
            await send(governor, ("client_id", "ip"))
            left.append(loop.time())

        await asyncio.gather(*(one() for _ in range(40)))
        return left

    left = run_virtually(program)
    assert length <= min(left)
    assert max(left) <= length + 0.5
    assert max(sum(at <= other < at + 0.05 for other in left) for at in left) <= 8


@virtual
async def test_a_closed_governor_refuses_who_waits_and_who_comes(loop: VirtualTimeLoop) -> None:
    governor = Governor(IP, clock=loop.time)
    await spend(governor, 10)
    waiting = asyncio.create_task(send(governor))
    await asyncio.sleep(0)
    await governor.aclose()
    with pytest.raises(ConfigurationError):
        await waiting
    with pytest.raises(ConfigurationError):
        await send(governor)


def test_a_governor_outlives_its_loop() -> None:
    now = 0.0
    governor = Governor([Limit("ip", requests=4, window=5.0)], pace="smooth", clock=lambda: now)

    async def abandon() -> None:
        task = asyncio.create_task(spend(governor, 5))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(abandon())
    now = 100.0
    asyncio.run(send(governor, max_wait=0.0))
    assert governor.snapshot().waiting == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_in_the_middle_of_a_request_has_no_token_more_than_its_window() -> None:
    now = 0.0
    governor = Governor(IP, clock=lambda: now)
    under_way = governor.admit(["ip"])
    assert asyncio.run(_entered(under_way))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        under_way.answered(status=200)
        now = 100.0
        os._exit(governor.snapshot().windows[0].available)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10


async def _entered(admission: Admission) -> Admission:
    return await admission.__aenter__()
