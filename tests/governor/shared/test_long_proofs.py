"""What a shared quota promises, in real time with real processes and servers, a minute for each scenario."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.shared_quota import SCENARIOS, Figures

from .conftest import PROGRAMS, required

pytestmark = pytest.mark.soak
SECONDS = 60.0
SATURATED = [name for name in SCENARIOS if name.startswith(("saturated", "alone", "clocks-apart"))]
UNREACHABLE = [name for name in SCENARIOS if name.startswith("unreachable")]
TROUBLED = [name for name in SCENARIOS if name not in {*SATURATED, *UNREACHABLE} and not name.startswith("latency")]


def run(name: str) -> Figures:
    """The figures of a scenario that exceeded nothing and let nobody wait in vain."""
    required(PROGRAMS[0] if PROGRAMS else None)
    figures = asyncio.run(SCENARIOS[name](SECONDS))
    assert set(figures["would_refuse"].values()) == {0}, figures
    assert figures["last_waiter_late_by_seconds"] < 5.0, figures
    return figures


@pytest.mark.parametrize("name", SATURATED)
def test_the_quota_is_used_up_evenly_and_with_few_messages(name: str) -> None:
    figures = run(name)
    assert figures["used_percent"] >= 97.0, figures
    assert max(figures["share_of_mean"]) <= 1.2 * min(figures["share_of_mean"]), figures
    assert figures["exchanges_per_call"] <= 0.7, figures


@pytest.mark.parametrize("name", TROUBLED)
def test_trouble_exceeds_nothing(name: str) -> None:
    assert run(name)["requests"] >= 1_000


@pytest.mark.parametrize("name", UNREACHABLE)
def test_without_the_store_each_policy_does_what_it_says(name: str) -> None:
    figures = run(name)
    assert figures["arrived_while_the_store_was_away"] <= 125, figures  # what was granted is used up
    assert ("StoreUnavailable" in figures["failures"]) == name.endswith("fail"), figures
