"""Telemetry.

CPU of one call with an empty listener, and with OpenTelemetry, against the same call while nobody listens.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from benchmarks import charts
from benchmarks._harness import Comparison, Report, compare_async, show
from benchmarks._same_answer import CONCURRENT, cpu_per_call
from benchmarks.calls import Call, Target, own_server
from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.telemetry import Telemetry

NOBODY = "nobody listens"
CALLS = 320
ROUNDS = 15


def calling(ads: AdsClient, target: Target) -> Call:
    """A call about another ad set each time."""
    ids, ad_sets = itertools.cycle(target.ad_set_ids), ads.ad_account(target.ad_account_id).ad_sets
    return lambda: ad_sets.get(next(ids))


async def measure(target: Target) -> Comparison:
    """Microseconds of CPU, all taking turns.

    Spans are made and dropped: where they are sent is no matter of the package.
    """
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(AdsClient(target.token, base_url=target.base_url, governor=Governor([])))
            for _ in range(3)
        ]
        silent, heard, traced = clients
        heard.subscribe(lambda _: None)
        meters = MeterProvider([InMemoryMetricReader()])
        stack.callback(meters.shutdown)
        stack.callback(Telemetry(tracer_provider=TracerProvider(), meter_provider=meters).watch(traced))
        calls = {
            NOBODY: calling(silent, target),
            "one listener": calling(heard, target),
            "OpenTelemetry": calling(traced, target),
        }
        cases = {name: lambda call=call: cpu_per_call(call, CALLS) for name, call in calls.items()}
        return await compare_async(cases, base=NOBODY, rounds=ROUNDS)


def main() -> Report:
    """Measure, print and chart."""
    with own_server() as target:
        found = asyncio.run(measure(target))
    show(f"one call, {CONCURRENT} at a time", found)
    medians: dict[str, float] = found["medians"]  # pyright: ignore[reportAssignmentType]
    chart = charts.bars("One call, by who listens", medians, unit="microseconds of CPU, less is better")
    return Report({"concurrent": CONCURRENT, "call": found}, {"telemetry": chart})


if __name__ == "__main__":
    main()
