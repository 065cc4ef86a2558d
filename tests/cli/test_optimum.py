"""The shortest time that windows allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.cli.optimum import optimal_seconds, seconds_left
from spotify_ads_async.governor import PUBLISHED_LIMITS, Governor, Limit

IP = Limit("ip", requests=500, window=10.0)
CLIENT = Limit("client_id", requests=1500, window=30.0)


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [(0, 0.0), (1, 0.0), (500, 0.0), (501, 10.0), (1000, 10.0), (1001, 20.0), (1500, 20.0), (1501, 30.0)],
)
def test_the_published_windows(requests: int, seconds: float) -> None:
    assert optimal_seconds(requests, [IP, CLIENT]) == seconds


def test_without_limits_nothing_waits() -> None:
    assert optimal_seconds(10_000, []) == 0.0


@given(
    st.integers(min_value=0, max_value=300),
    st.lists(st.builds(Limit, st.just("ip"), requests=st.integers(1, 40), window=st.floats(0.1, 10.0)), max_size=3),
)
def test_no_window_holds_more_than_it_may(requests: int, limits: list[Limit]) -> None:
    departures = [optimal_seconds(number + 1, limits) for number in range(requests)]
    assert departures == sorted(departures)
    for limit in limits:
        for number in range(limit.requests, requests):
            assert departures[number] - departures[number - limit.requests] >= limit.window * (1 - 1e-12)


async def test_what_is_left_follows_the_windows() -> None:
    async with Governor(PUBLISHED_LIMITS, clock=lambda: 1000.0) as governor:
        async with governor.admit({"ip"}):
            pass
        snapshot = governor.snapshot()
        assert seconds_left(499, snapshot) == 0.0
        assert 9.0 < seconds_left(500, snapshot) < 10.1
        assert 19.0 < seconds_left(1000, snapshot) < 20.1
