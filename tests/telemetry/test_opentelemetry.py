"""Spans and metrics, read back with the SDK's in-memory exporters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.calls import ACCOUNT, QUICK, READ, THING, WRITE
from support.raw_server import Connection, RawServer, answer, reset, stall

from spotify_ads_async import AdsClient, Governor, Limit, OutcomeUnknown, QuotaTimeout, RequestRejected
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AdSetStatus
from spotify_ads_async.telemetry import Telemetry

TEMPLATE = "/ads/v3/ad_accounts/{ad_account_id}/ad_sets/{ad_set_id}"


@dataclass
class Recorded:
    spans_out: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans_out))
        self.meters = MeterProvider([self.reader])
        self.telemetry = Telemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self) -> list[ReadableSpan]:
        return list(self.spans_out.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str, attribute: str) -> dict[Any, Any]:
        return {point.attributes.get(attribute): point.value for point in self.points(name)}


@pytest.fixture
async def recorded() -> AsyncIterator[Recorded]:
    recorded = Recorded()
    yield recorded
    # In a thread, as their own threads must not wait for this loop.
    await asyncio.to_thread(recorded.meters.shutdown)
    recorded.tracers.shutdown()


def client(server: RawServer, governor: Governor | None = None) -> AdsClient:
    return AdsClient("a-token", base_url=server.base_url, governor=governor or Governor([]), policy=QUICK)


async def test_a_call_is_a_client_span_of_the_http_conventions(recorded: Recorded) -> None:
    async with RawServer(otherwise=answer(200, {"id": THING})) as server, client(server) as ads:
        recorded.telemetry.watch(ads)
        with recorded.tracers.get_tracer("test").start_as_current_span("nightly run") as parent:
            await READ.by(ads)
        port = server.port
    call, _ = recorded.spans()
    assert call.name == f"GET {TEMPLATE}"
    assert call.kind is SpanKind.CLIENT
    assert call.parent is not None
    assert call.parent.span_id == parent.get_span_context().span_id
    assert call.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"http://127.0.0.1:{port}/ads/v3/ad_accounts/{ACCOUNT}/ad_sets/{THING}",
        "url.template": TEMPLATE,
        "spotify_ads.operation": "getAdSetById",
    }
    assert call.status.status_code is StatusCode.UNSET
    assert recorded.values("spotify_ads.calls", "spotify_ads.outcome") == {"succeeded": 1}


async def test_each_attempt_is_a_span_and_a_measurement(recorded: Recorded) -> None:
    async with RawServer(script=[answer(503, {}), reset], otherwise=answer(200, {})) as server, client(server) as ads:
        recorded.telemetry.watch(ads)
        await READ.by(ads)
    spans = [dict(span.attributes or {}) for span in recorded.spans()]
    assert [span.get("http.request.resend_count") for span in spans] == [None, 1, 2]
    assert [span.get("http.response.status_code") for span in spans] == [503, None, 200]
    assert [span.get("error.type") for span in spans] == ["503", "ConnectionFailed", None]
    assert [span.status.status_code for span in recorded.spans()] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert recorded.values("spotify_ads.retries", "error.type") == {"ServerError": 1, "ConnectionFailed": 1}
    durations = {point.attributes.get("error.type"): point for point in recorded.points("http.client.request.duration")}
    assert {kind: point.count for kind, point in durations.items()} == {"503": 1, "ConnectionFailed": 1, None: 1}
    assert all("url.full" not in point.attributes for point in durations.values())
    assert sum(point.count for point in recorded.points("spotify_ads.quota.wait.duration")) == 3


async def test_failed_and_unknown_calls_are_told_apart(recorded: Recorded) -> None:
    async with RawServer(script=[answer(400, {}), reset]) as server, client(server) as ads:
        recorded.telemetry.watch(ads)
        with pytest.raises(RequestRejected):
            await READ.by(ads)
        with pytest.raises(OutcomeUnknown):
            await WRITE.by(ads)
    assert recorded.values("spotify_ads.calls", "spotify_ads.outcome") == {"failed": 1, "unknown": 1}


async def test_a_cancelled_call_ends_its_span(recorded: Recorded) -> None:
    arrived = asyncio.Event()

    async def keep_waiting(connection: Connection) -> None:
        arrived.set()
        await stall(connection)

    async with RawServer(otherwise=keep_waiting) as server, client(server) as ads:
        recorded.telemetry.watch(ads)
        call = asyncio.create_task(READ.by(ads))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    (span,) = recorded.spans()
    assert (span.attributes or {})["error.type"] == "CancelledError"
    assert recorded.values("spotify_ads.calls", "error.type") == {"CancelledError": 1}


async def test_refusals_pauses_and_windows_are_measured(recorded: Recorded) -> None:
    governor = Governor([Limit("ip", requests=5, window=1000.0)], pace="burst")
    async with (
        RawServer(script=[answer(429, {}, headers={"Retry-After": "0"})], otherwise=answer(200, {})) as server,
        client(server, governor=governor) as ads,
    ):
        recorded.telemetry.watch(ads)
        await READ.by(ads)
        with pytest.raises(QuotaTimeout):
            await asyncio.gather(*(READ.by(ads, max_wait=0.01) for _ in range(10)))
        # Readers ask from a thread of their own.
        available = await asyncio.to_thread(recorded.values, "spotify_ads.quota.available", "spotify_ads.limit")
    assert 0 <= available["ip"] < 5
    assert recorded.values("spotify_ads.quota.capacity", "spotify_ads.limit") == {"ip": 5}
    assert recorded.values("spotify_ads.refusals", "spotify_ads.operation") == {"getAdSetById": 1}
    assert recorded.values("spotify_ads.quota.pauses", "spotify_ads.limit") == {"ip": 1}
    assert recorded.values("spotify_ads.quota.timeouts", "spotify_ads.limit")["ip"] >= 1


async def test_walked_rows_are_counted(recorded: Recorded) -> None:
    async with (
        Emulator(ad_sets=120, limits=None, latency=0.0) as server,
        AdsClient("a-token", base_url=server.base_url, governor=Governor([])) as ads,
    ):
        recorded.telemetry.watch(ads)
        rows = await ads.ad_account(server.ad_account_id).ad_sets.list(statuses=list(AdSetStatus)).collect()
    assert recorded.values("spotify_ads.rows.walked", "spotify_ads.operation") == {"getAdSetsByAdAccountId": len(rows)}


async def test_a_governor_shared_by_two_clients_is_recorded_once(recorded: Recorded) -> None:
    governor = Governor([Limit("ip", requests=5, window=0.5)])
    paused = answer(429, {}, headers={"Retry-After": "0"})
    async with (
        RawServer(script=[paused], otherwise=answer(200, {})) as server,
        client(server, governor=governor) as first,
        client(server, governor=governor) as second,
    ):
        end_first = recorded.telemetry.watch(first)
        end_second = recorded.telemetry.watch(second)
        await READ.by(first)
        assert len(recorded.points("spotify_ads.quota.available")) == 1
        assert recorded.values("spotify_ads.quota.pauses", "spotify_ads.limit") == {"ip": 1}
        end_first()
        assert len(recorded.points("spotify_ads.quota.available")) == 1
        end_second()
        assert recorded.points("spotify_ads.quota.available") == []


async def test_a_client_watched_twice_is_recorded_once(recorded: Recorded) -> None:
    async with RawServer(otherwise=answer(200, {})) as server, client(server) as ads:
        ends = [recorded.telemetry.watch(one) for one in (ads, ads, ads.with_options(max_wait=5))]
        for end in ends:
            await READ.by(ads)
            end()
        await READ.by(ads)
    assert len(recorded.spans()) == len(ends)
    assert sum(recorded.values("spotify_ads.calls", "spotify_ads.operation").values()) == len(ends)


async def test_nothing_is_recorded_after_the_end(recorded: Recorded) -> None:
    async with RawServer(otherwise=answer(200, {})) as server, client(server) as ads:
        end = recorded.telemetry.watch(ads)
        await READ.by(ads)
        end()
        end()
        await READ.by(ads)
    assert len(recorded.spans()) == 1


async def test_no_secret_is_recorded(recorded: Recorded) -> None:
    async with (
        RawServer(script=[answer(401, {"message": "a-token"}), reset], otherwise=answer(200, {})) as server,
        client(server) as ads,
    ):
        recorded.telemetry.watch(ads)
        with pytest.raises(Exception, match=r"."):
            await READ.by(ads)
        await READ.by(ads)
    assert "a-token" not in "".join(span.to_json() for span in recorded.spans())
