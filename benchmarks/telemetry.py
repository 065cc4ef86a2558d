"""Telemetry.

CPU of one call with an empty listener, and with OpenTelemetry, against the same call while nobody listens. How much of
the latter OpenTelemetry's SDK takes by itself shows a bare call with the same span and measurements, written by hand.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from benchmarks import charts
from benchmarks._harness import Comparison, Report, compare_async, show
from benchmarks._same_answer import CONCURRENT, cpu_per_call
from benchmarks.calls import BARE, Call, Target, clients, own_server
from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.telemetry import Telemetry

NOBODY = "nobody listens"
BY_HAND = "bare, and spans by hand"
CALLS = 320
ROUNDS = 15


def calling(ads: AdsClient, target: Target) -> Call:
    """A call about another ad set each time."""
    ids, ad_sets = itertools.cycle(target.ad_set_ids), ads.ad_account(target.ad_account_id).ad_sets
    return lambda: ad_sets.get(next(ids))


def with_spans_by_hand(call: Call) -> Call:
    """``call`` in the same span, with the same two measurements, as one writes them with the SDK."""
    meter = MeterProvider([InMemoryMetricReader()]).get_meter("by hand")
    tracer = TracerProvider().get_tracer("by hand")
    duration, wait = meter.create_histogram("duration", "s"), meter.create_histogram("wait", "s")
    operation = {"spotify_ads.operation": "getAdSetById"}
    shared = {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "url.template": "/ads/v3/ad_accounts/{ad_account_id}/ad_sets/{ad_set_id}",
    }
    address = {"url.full": "http://127.0.0.1:8000/ads/v3/ad_accounts/1/ad_sets/2"}

    async def spanned() -> object:
        wait.record(0.0, operation)
        began = time.monotonic()
        attributes = {**shared, **operation, **address}
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
            answer = await call()
            span.set_attribute("http.response.status_code", 200)
        duration.record(time.monotonic() - began, {**shared, "http.response.status_code": 200})
        return answer

    return spanned


async def measure(target: Target) -> Comparison:
    """Microseconds of CPU, all taking turns.

    Spans are made and dropped: where they are sent is no matter of the package.
    """
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(AdsClient(target.token, base_url=target.base_url, governor=Governor([])))
            for _ in range(3)
        ]
        silent, heard, traced = made
        bare = (await clients(target, stack))[BARE]
        heard.subscribe(lambda _: None)
        meters = MeterProvider([InMemoryMetricReader()])
        stack.callback(meters.shutdown)
        stack.callback(Telemetry(tracer_provider=TracerProvider(), meter_provider=meters).watch(traced))
        calls: dict[str, Call] = {
            NOBODY: calling(silent, target),
            "one listener": calling(heard, target),
            "OpenTelemetry": calling(traced, target),
            BARE: bare,
            BY_HAND: with_spans_by_hand(bare),
        }
        cases = {name: lambda call=call: cpu_per_call(call, CALLS) for name, call in calls.items()}
        return await compare_async(cases, base=NOBODY, rounds=ROUNDS)


def main() -> Report:
    """Measure, print and chart."""
    with own_server() as target:
        found = asyncio.run(measure(target))
    show(f"one call, {CONCURRENT} at a time", found)
    medians: dict[str, float] = found["medians"]  # pyright: ignore[reportAssignmentType]
    print(f"OpenTelemetry: {medians['OpenTelemetry'] / medians[BY_HAND]:.3f} times {BY_HAND}")
    chart = charts.bars("One call, by who listens", medians, unit="microseconds of CPU, less is better")
    return Report({"concurrent": CONCURRENT, "call": found}, {"telemetry": chart})


if __name__ == "__main__":
    main()
