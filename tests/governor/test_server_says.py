"""What the server says: headers in every form, refusals, and another program on the same quota."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.counting import SimulatedServer
from support.virtual_time import VirtualTimeLoop, run_virtually

from spotify_ads_async.errors import QuotaTimeout
from spotify_ads_async.governor import PUBLISHED_LIMITS, Governor, Limit, Pace, Priority, WindowSnapshot
from spotify_ads_async.governor.foreign_usage import ForeignUsage
from spotify_ads_async.network.ratelimit_headers import rate_headers, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GENERAL = frozenset({"client_id", "ip"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("79892", 79892.0),
        ("Sun, 01 Mar 2026 12:00:07 GMT", 7.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0.0),
        ("Sunday, 01-Mar-26 12:00:07 GMT", 7.0),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_in_every_form(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds
    assert retry_after({"retry-after": text}, NOW) == seconds


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,4} [A-Z][a-z]{2} \d{1,9} \d{1,4}:\d{2}:\d{2} ([A-Z]{3}|[+-]\d{4,9})")
)
def test_no_header_raises(text: str) -> None:
    headers = {"Retry-After": text, "X-RateLimit-Limit": text, "X-RateLimit-Remaining": text, "X-RateLimit-Reset": text}
    seconds = retry_after(headers, NOW)
    assert seconds is None or seconds >= 0.0
    rate_headers(headers)


def one_answer(status: int, headers: dict[str, str], *, before: int = 0) -> dict[str, WindowSnapshot]:
    """What a governor's windows look like after ``before`` requests and this one answer."""

    async def program(loop: VirtualTimeLoop) -> dict[str, WindowSnapshot]:
        governor = Governor(PUBLISHED_LIMITS, clock=loop.time)
        for _ in range(before):
            async with governor.admit(GENERAL):
                pass
        async with governor.admit(GENERAL) as admission:
            admission.answered(status=status, headers=headers)
        return {window.limit: window for window in governor.snapshot().windows}

    return run_virtually(program)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({}, 1.0),
        ({"Retry-After": "soon"}, 1.0),
        ({"X-RateLimit-Reset": "4"}, 4.0),
    ],
)
def test_a_refusal_pauses_for_as_long_as_it_says(headers: dict[str, str], seconds: float) -> None:
    windows = one_answer(429, headers)
    assert windows["ip"].paused_for == pytest.approx(seconds)
    assert windows["client_id"].paused_for == pytest.approx(seconds)
    assert windows["ip"].smooth


def test_a_reset_beyond_the_window_is_not_believed() -> None:
    assert one_answer(429, {"X-RateLimit-Reset": "1767225600"})["ip"].paused_for == pytest.approx(10.0)


def test_a_named_window_is_paused_alone() -> None:
    windows = one_answer(429, {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "0", "Retry-After": "2"})
    assert windows["ip"].paused_for == pytest.approx(2.0)
    assert windows["client_id"].paused_for == 0.0


def test_a_refusal_that_says_there_is_room_names_nobody() -> None:
    windows = one_answer(429, {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "400", "Retry-After": "2"})
    assert windows["client_id"].paused_for == pytest.approx(2.0)


def test_what_remains_takes_tokens_out_and_never_adds_any() -> None:
    assert (
        one_answer(200, {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "100"}, before=10)["ip"].available <= 100
    )
    assert (
        one_answer(200, {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "499"}, before=10)["ip"].available == 489
    )
    assert (
        one_answer(200, {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "9999"}, before=10)["ip"].available == 489
    )
    assert one_answer(200, {"X-RateLimit-Limit": "123", "X-RateLimit-Remaining": "3"}, before=10)["ip"].available == 489
    assert one_answer(200, {"X-RateLimit-Remaining": "3"}, before=10)["ip"].available == 489


def test_an_answer_out_of_order_is_dropped() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor([Limit("ip", requests=100, window=10.0)], clock=loop.time)
        first, second = governor.admit({"ip"}), governor.admit({"ip"})
        await first.__aenter__()
        await second.__aenter__()
        second.answered(status=200, headers={"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "50"})
        before = governor.snapshot().windows[0].available
        assert before <= 50
        first.answered(status=200, headers={"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "99"})
        assert governor.snapshot().windows[0].available == before

    run_virtually(program)


def test_refusals_in_a_row_pause_for_longer_each_time() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor([Limit("ip", requests=100, window=10.0)], clock=loop.time)
        pauses: list[float] = []
        for _ in range(7):
            async with governor.admit({"ip"}) as admission:
                admission.answered(status=429)
            pauses.append(governor.snapshot().windows[0].paused_for)
        assert pauses == pytest.approx([1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0])

    run_virtually(program)


async def saturate(
    loop: VirtualTimeLoop, server: SimulatedServer, pace: Pace, seconds: float, *, others: float = 0.0
) -> None:
    """Two hundred workers through a governor, beside another program."""
    governor = Governor(PUBLISHED_LIMITS, pace=pace, clock=loop.time)

    async def worker() -> None:
        while loop.time() < seconds:
            async with governor.admit(GENERAL) as admission:
                status, headers = await server.exchange()
                admission.answered(status=status, headers=headers)

    program = asyncio.create_task(server.others(others)) if others > 0.0 else None
    await asyncio.gather(*(worker() for _ in range(200)))
    if program is not None:
        program.cancel()
        await asyncio.gather(program, return_exceptions=True)


@pytest.mark.parametrize("latency", [(0.02, 0.12), (0.05, 0.4)])
@pytest.mark.parametrize("pace", ["burst", "smooth"])
def test_a_rhythm_keeps_its_promise(pace: Pace, latency: tuple[float, float]) -> None:
    server = SimulatedServer(latency=latency, seed=3)
    run_virtually(lambda loop: saturate(loop, server, pace, 60.0))
    refused = server.would_refuse()
    assert (refused["log"], refused["fixed"], refused["bucket"]) == (0, 0, 0)
    assert pace == "burst" or refused["weighted"] == 0
    steady = sum(30.0 <= moment < 60.0 for moment in server.arrivals) / 1500
    assert steady >= {"burst": 0.97, "smooth": 0.96}[pace]


@pytest.mark.parametrize("retry", [None, "{}"])
def test_auto_finds_its_way_with_a_weighted_counter_within_one_window(retry: str | None) -> None:
    server = SimulatedServer(enforce="weighted", retry_after=retry, seed=1)
    run_virtually(lambda loop: saturate(loop, server, "auto", 90.0))
    assert server.refusals
    assert server.refusals[-1] - server.refusals[0] < 10.0


IN_SHORT = [("log", False, None)]
AT_LENGTH = [
    (algorithm, headers, retry)
    for algorithm in ("log", "fixed", "bucket", "weighted")
    for headers, retry in ((False, None), (False, "{}"), (True, None), (True, "{}"))
]


@pytest.mark.parametrize(
    ("algorithm", "headers", "retry"), [*IN_SHORT, *(pytest.param(*one, marks=pytest.mark.soak) for one in AT_LENGTH)]
)
def test_another_program_that_spends_half_of_the_quota(algorithm: str, *, headers: bool, retry: str | None) -> None:
    server = SimulatedServer(enforce=algorithm, headers=headers, retry_after=retry, seed=2)
    run_virtually(lambda loop: saturate(loop, server, "auto", 300.0, others=25.0))
    refused = sum(180.0 <= moment < 300.0 for moment in server.refusals)
    taken = sum(180.0 <= moment < 300.0 for moment in server.arrivals) - refused
    assert refused / 2 <= 3
    assert taken >= 0.9 * 25 * 120


def test_a_latency_that_drops_refuses_nothing() -> None:
    async def program(loop: VirtualTimeLoop) -> dict[str, int]:
        server = SimulatedServer(latency=(0.25, 0.25))
        governor = Governor(PUBLISHED_LIMITS, pace="burst", clock=loop.time)

        async def one() -> None:
            async with governor.admit(GENERAL) as admission:
                await server.exchange()
                admission.answered(status=200)

        await asyncio.gather(*(one() for _ in range(500)))
        server.latency = (0.05, 0.05)
        await asyncio.gather(*(one() for _ in range(500)))
        return server.would_refuse()

    refused = run_virtually(program)
    assert (refused["log"], refused["fixed"], refused["bucket"]) == (0, 0, 0)


def test_a_small_job_is_instant() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor(PUBLISHED_LIMITS, clock=loop.time)
        connections = asyncio.Semaphore(100)

        async def one() -> None:
            async with connections, governor.admit(GENERAL) as admission:
                await asyncio.sleep(0.05)
                admission.answered(status=200)

        await asyncio.gather(*(one() for _ in range(400)))
        assert loop.time() == pytest.approx(0.2)

    run_virtually(program)


def test_a_refusal_that_was_under_way_with_another_forgets_nothing_of_what_others_were_believed_to_spend() -> None:
    usage = ForeignUsage(100, 10.0)
    usage.refused(10, 0.0, 1.0, news=True)
    usage.ease(1.5)
    assert usage.tokens == 0  # a first refusal is over with its pause
    usage.refused(40, 2.0, 3.0, news=True)
    believed = usage.tokens
    assert believed > 50
    usage.refused(95, 2.1, 3.1, news=False)  # many of ours are out now, which says nothing of the others
    assert usage.tokens >= believed - 1
    usage.refused(95, 4.0, 5.0, news=True)
    assert usage.tokens >= believed - 1


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("pace", ["burst", "smooth"])
@pytest.mark.parametrize("waiting", [0, 6])
def test_what_is_reserved_for_others_is_foretold_to_shrink(pace: Pace, priority: Priority, waiting: int) -> None:
    """Of a governor that believes others to spend nearly everything, one who may not wait is told how long it takes."""

    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor([Limit("ip", requests=500, window=10.0)], pace=pace, clock=loop.time)
        for status in [200] * 3 + [429] * 3:
            async with governor.admit({"ip"}, priority=priority) as admission:
                admission.answered(status=status)

        async def patient() -> None:
            async with governor.admit({"ip"}, priority=priority):
                pass

        line = [asyncio.create_task(patient()) for _ in range(waiting)]
        await asyncio.sleep(0.0)
        with pytest.raises(QuotaTimeout) as refusal:
            async with governor.admit({"ip"}, priority=priority, max_wait=0.0):
                pass
        asked = loop.time()
        await patient()
        assert loop.time() - asked == pytest.approx(refusal.value.predicted_wait, rel=0.12, abs=1.0)
        await asyncio.gather(*line)

    run_virtually(program)
