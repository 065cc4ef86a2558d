from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulated import Apis

from spotify_ads_async.emulator.server.quota import ALGORITHMS, Algorithm, QuotaBook
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.limits import Limit

FIVE = (Limit("client_id", requests=5, window=6000.0),)
MOMENTS = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200).map(
    lambda gaps: [sum(gaps[: i + 1]) for i in range(len(gaps))]
)
NAMES: tuple[Algorithm, ...] = ("log", "fixed", "bucket", "weighted")


def book(algorithm: Algorithm, requests: int = 5, window: float = 7.0, seed: int = 0) -> QuotaBook:
    return QuotaBook([Limit("ip", requests=requests, window=window)], algorithm, random.Random(seed))  # noqa: S311 - phases


def most(taken: list[float], window: float) -> int:
    return max((sum(1 for other in taken if one <= other < one + window) for one in taken), default=0)


@given(MOMENTS, st.integers(1, 6), st.floats(0.5, 10.0))
def test_the_log_takes_what_fits_and_nothing_more(moments: list[float], requests: int, window: float) -> None:
    counting = book("log", requests, window)
    taken: list[float] = []
    for moment in moments:
        fits = sum(1 for other in taken if other + window > moment) < requests
        assert (counting.admit({"ip": "a"}, moment).wait == 0.0) == fits
        if fits:
            taken.append(moment)


@given(st.sampled_from(NAMES), MOMENTS, st.integers(1, 6), st.floats(0.5, 10.0), st.integers(0, 9))
def test_no_algorithm_takes_more_than_two_windows_worth(
    algorithm: Algorithm, moments: list[float], requests: int, window: float, seed: int
) -> None:
    counting = book(algorithm, requests, window, seed)
    taken = [moment for moment in moments if counting.admit({"ip": "a"}, moment).wait == 0.0]
    assert taken
    assert most(taken, window) <= 2 * requests
    if algorithm == "log":
        assert most(taken, window) <= requests


@given(st.sampled_from(NAMES), MOMENTS, st.integers(1, 6), st.floats(0.5, 10.0), st.integers(0, 9))
def test_who_waits_as_long_as_told_is_taken(
    algorithm: Algorithm, moments: list[float], requests: int, window: float, seed: int
) -> None:
    counting = book(algorithm, requests, window, seed)
    now = 0.0
    for moment in moments:
        now = max(now, moment)
        verdict = counting.admit({"ip": "a"}, now)
        if verdict.wait > 0.0:
            now += verdict.wait + 1e-6
            assert counting.admit({"ip": "a"}, now).wait == 0.0


@given(st.sampled_from(NAMES), MOMENTS, st.integers(0, 9))
def test_remaining_is_what_is_taken_at_once(algorithm: Algorithm, moments: list[float], seed: int) -> None:
    counting = book(algorithm, seed=seed)
    for moment in moments[:-1]:
        counting.admit({"ip": "a"}, moment)
    verdict = counting.admit({"ip": "a"}, moments[-1])
    more = 0
    while counting.admit({"ip": "a"}, moments[-1]).wait == 0.0:
        more += 1
    assert more == verdict.remaining


@given(MOMENTS)
def test_the_fullest_window_counts_every_arrival(moments: list[float]) -> None:
    counting = book("log", requests=2, window=4.0)
    for moment in moments:
        counting.admit({"ip": "a"}, moment)
    assert counting.fullest() == {"ip": most(moments, 4.0)}


def test_a_request_that_one_window_refuses_spends_nothing_in_the_other() -> None:
    counting = QuotaBook(
        [Limit("ip", requests=1, window=10.0), Limit("client_id", requests=5, window=30.0)],
        "log",
        random.Random(0),  # noqa: S311 - phases
    )
    assert counting.admit({"ip": "a", "client_id": "c"}, 0.0).wait == 0.0
    assert all(counting.admit({"ip": "a", "client_id": "c"}, 1.0).wait == 9.0 for _ in range(9))
    assert sum(counting.admit({"ip": str(n), "client_id": "c"}, 1.0).wait == 0.0 for n in range(9)) == 4


def test_a_bucket_refills_evenly_and_fixed_windows_all_at_once() -> None:
    bucket, fixed = book("bucket", 10, 10.0), book("fixed", 10, 10.0, seed=1)
    for counting in (bucket, fixed):
        while counting.admit({"ip": "a"}, 100.0).wait == 0.0:
            pass
    taken: Callable[[QuotaBook], list[int]] = lambda one: [  # noqa: E731 - read once, here
        sum(one.admit({"ip": "a"}, 100.0 + second).wait == 0.0 for _ in range(20)) for second in range(1, 11)
    ]
    assert taken(bucket) == [1] * 10
    assert sorted(taken(fixed)) == [0] * 9 + [10]
    assert set(ALGORITHMS) == set(NAMES)


async def test_the_server_refuses_beyond_the_window_and_says_when_to_come_back(apis: Apis) -> None:
    api = await apis.start(limits=FIVE)
    for left in range(4, -1, -1):
        status, _, headers = await api.send("GET", "/businesses")
        assert (status, headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (200, "5", str(left))
    status, content, headers = await api.send("GET", "/businesses")
    assert (status, content["error_codes"][0]["code"]) == (429, "RATE_LIMITED")
    assert 5900 <= int(headers["Retry-After"]) <= 6000
    assert (headers["X-RateLimit-Remaining"], headers["X-RateLimit-Limit"]) == ("0", "5")
    assert 5900 <= int(headers["X-RateLimit-Reset"]) <= 6000
    seen = api.server.statistics()
    assert (seen.requests, seen.refused, seen.fullest, seen.statuses) == (6, 1, {"client_id": 6}, {200: 5, 429: 1})


async def test_each_client_has_a_window_of_its_own_and_its_tokens_share_it(apis: Apis) -> None:
    api = await apis.start(limits=FIVE, tokens={"one": "app", "two": "app", "three": "other app"})
    statuses = [
        (await api.send("GET", "/businesses", headers={"Authorization": f"Bearer {token}"}))[0]
        for token in ("one", "two", "one", "two", "one", "two", "three")
    ]
    assert statuses == [200] * 5 + [429, 200]


async def test_addresses_have_windows_of_their_own(apis: Apis) -> None:
    api = await apis.start(limits=[Limit("ip", requests=2, window=60.0)])

    async def statuses(address: str) -> list[int]:
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer x"}) as client:
            found = []
            for _ in range(3):
                async with client.get(api.server.base_url + "/businesses") as answer:
                    found.append(answer.status)
            return found

    assert await statuses("127.0.0.1") == [200, 200, 429]
    assert await statuses("127.0.0.2") == [200, 200, 429]


async def test_any_set_of_windows_is_enforced(apis: Apis) -> None:
    limits = [
        Limit("client_id", requests=5, window=60.0),
        Limit("ip_day", requests=4, window=86_400.0),
        Limit("day", requests=3, window=86_400.0),
    ]
    api = await apis.start(limits=limits)
    answers = [await api.send("GET", "/businesses") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 429]
    assert 86_000 < int(answers[-1][2]["Retry-After"]) <= 86_400
    other = {"Authorization": "Bearer another"}
    assert [(await api.send("GET", "/businesses", headers=other))[0] for _ in range(2)] == [200, 429]
    with pytest.raises(ConfigurationError, match="ip is given twice"):
        await apis.start(limits=[Limit("ip", requests=5, window=1.0), Limit("ip", requests=9, window=9.0)])


async def test_a_request_counts_when_it_arrives(apis: Apis) -> None:
    api = await apis.start(limits=FIVE, latency=60.0)
    waiting = [asyncio.create_task(api.send("GET", "/businesses")) for _ in range(5)]
    async with asyncio.timeout(120):
        while api.server.statistics().requests < 5:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.005)
    api.server.set_latency(0.0)
    assert (await api.send("GET", "/businesses"))[0] == 429
    assert api.server.statistics().statuses == {429: 1}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(("form", "header"), [("seconds", True), ("date", True), ("absent", False)])
async def test_retry_after_takes_three_forms(apis: Apis, form: str, *, header: bool) -> None:
    api = await apis.start(
        limits=[Limit("ip", requests=1, window=6000.0)], retry_after=form, rate_limit_headers="refusals"
    )
    _, _, headers = await api.send("GET", "/businesses")
    assert "X-RateLimit-Limit" not in headers
    _, _, headers = await api.send("GET", "/businesses")
    assert ("Retry-After" in headers) == header
    assert "X-RateLimit-Limit" in headers
    if form == "date":
        assert 5900 < (parsedate_to_datetime(headers["Retry-After"]) - api.server.clock.now()).total_seconds() <= 6001
