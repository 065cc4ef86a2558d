"""OpenTelemetry spans and metrics from the events of clients and their governors. Needs the extra ``otel``.

Spans and the duration metric follow the semantic conventions for HTTP clients: one client span for each attempt, named
``METHOD /path/{template}``, below whatever span is current where the call is made. Everything else is a metric of this
package, named ``spotify_ads.…``; ``docs/how-to/watch.md`` lists them. No header is added to requests: the API is no
part of your trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
    from opentelemetry.util.types import AttributeValue
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "telemetry needs OpenTelemetry, the extra otel: pip install 'spotify-ads-async[otel]'", name=missing.name
    ) from missing

from spotify_ads_async.client import AdsClient
from spotify_ads_async.events import (
    CallFailed,
    CallSucceeded,
    Event,
    Listener,
    PageWalked,
    RequestAnswered,
    RequestLost,
    RequestRetried,
    RequestSent,
    RowApplied,
)
from spotify_ads_async.governor import Governor, WindowSnapshot
from spotify_ads_async.governor.events import Paused, WaitRefused
from spotify_ads_async.undocumented import EVERY_OPERATION
from spotify_ads_async.version import __version__

__all__ = ["Telemetry"]

_SCOPE = "spotify_ads_async"
_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
_DURATION_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""As the conventions advise for HTTP."""
_WAIT_BOUNDARIES = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Up to a few windows."""
_BUSY_LOOP_SECONDS = 0.1
"""How long a metric reader waits for the event loop.

It waits in vain where the loop waits for the reader, as in a shutdown.
"""

Attributes = dict[str, AttributeValue]


class Telemetry:
    """Turns what clients and governors tell into spans and metrics. One serves any number of clients.

    Args:
        tracer_provider: where spans go; by default the global one.
        meter_provider: where metrics go; by default the global one.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        meter = metrics.get_meter(_SCOPE, __version__, meter_provider, _SCHEMA)
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider, _SCHEMA)
        self._instruments = _Instruments(meter)
        self._quota = _Quota(meter)
        self._clients = _Shared[int, _Calls]()
        """By whose listeners: those of a client and its views are one list, told by which it is."""

    def watch(self, ads: AdsClient) -> Callable[[], None]:
        """Record what ``ads``, its views and its governor do from now on; the function returned ends that.

        Call it on the event loop of the client. A governor that several watched clients share is recorded once, and so
        is a client that is watched twice, or one of whose views is: until the last of the functions returned is called.

        Raises:
            RuntimeError: there is no running event loop.
        """
        leave_quota = self._quota.watch(ads.governor)
        leave_calls = self._clients.watch(id(ads.listeners), lambda: _Calls(self._tracer, self._instruments, ads))
        enders = [leave_calls, leave_quota]

        def end() -> None:
            while enders:
                enders.pop()()

        return end


class _Recorder(Protocol):
    """Something that hears events until it is told to leave."""

    def leave(self) -> None: ...


KeyT = TypeVar("KeyT")
RecorderT = TypeVar("RecorderT", bound=_Recorder)


class _Shared(Generic[KeyT, RecorderT]):
    """Recorders of what may be watched more than once: each is one, from the first that watches until the last ends."""

    def __init__(self) -> None:
        self._recorders: dict[KeyT, RecorderT] = {}
        self._watchers = Counter[KeyT]()

    def __iter__(self) -> Iterator[RecorderT]:
        return iter(tuple(self._recorders.values()))

    def watch(self, watched: KeyT, begin: Callable[[], RecorderT]) -> Callable[[], None]:
        """Record until the function returned is called, by every one that watches the same."""
        if watched not in self._recorders:
            self._recorders[watched] = begin()
        self._watchers[watched] += 1

        def end() -> None:
            self._watchers[watched] -= 1
            if not self._watchers[watched]:
                del self._watchers[watched]
                self._recorders.pop(watched).leave()

        return end


class _Instruments:
    """What is counted and measured about calls."""

    def __init__(self, meter: Meter) -> None:
        self.duration = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_DURATION_BOUNDARIES,
        )
        self.wait = meter.create_histogram(
            "spotify_ads.quota.wait.duration",
            "s",
            "How long requests waited for quota and a connection before they left.",
            explicit_bucket_boundaries_advisory=_WAIT_BOUNDARIES,
        )
        self.refusals = meter.create_counter(
            "spotify_ads.refusals", "{request}", "Requests that the server refused with 429."
        )
        self.retries = meter.create_counter(
            "spotify_ads.retries", "{request}", "Attempts that failed and were followed by another."
        )
        self.calls: Counter[tuple[tuple[str, str], ...]] = Counter()
        """By their attributes. Read when metrics are collected, which costs less than to tell of each call."""
        meter.create_observable_counter(
            "spotify_ads.calls",
            [self._observe_calls],
            "{call}",
            "Calls by outcome: succeeded, failed or unknown.",
        )
        self.walked = meter.create_counter("spotify_ads.rows.walked", "{row}", "Rows that walks handed out.")
        self.applied = meter.create_counter(
            "spotify_ads.rows.applied", "{row}", "Rows of bulk changes by outcome: done, failed or unknown."
        )

    def _observe_calls(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, dict(attributes)) for attributes, count in list(self.calls.items())]


class _Sent(NamedTuple):
    """A request under way: its departure, when that was in nanoseconds since 1970, and the context of the call."""

    event: RequestSent
    at: int
    current: context.Context


class _Calls:
    """The listener of one client."""

    def __init__(self, tracer: Tracer, instruments: _Instruments, ads: AdsClient) -> None:
        parts = urlsplit(ads.base_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        self._tracer = tracer
        self._instruments = instruments
        self._base_url = ads.base_url
        self._base_path = parts.path
        self._server: Attributes = {"server.address": parts.hostname or "", "server.port": port}
        self._shared: dict[tuple[str, str], tuple[str, Attributes]] = {}
        self._open: dict[tuple[int, int], _Sent] = {}
        self._heard: Mapping[type[Event], Callable[[Any], None]] = {
            RequestSent: self._sent,
            RequestAnswered: self._answered,
            RequestLost: self._lost,
            RequestRetried: self._retried,
            CallSucceeded: self._succeeded,
            CallFailed: self._failed,
            PageWalked: self._walked,
            RowApplied: self._applied,
        }
        self._unsubscribe = ads.listeners.add(self)

    def __call__(self, event: Event) -> None:
        hear = self._heard.get(type(event))
        if hear is not None:
            hear(event)

    def leave(self) -> None:
        """Hear no more, and tell the spans of requests under way, whose ends nobody will hear of."""
        self._unsubscribe()
        while self._open:
            _, sent = self._open.popitem()
            self._span(sent, {}).end()

    def _sent(self, event: RequestSent) -> None:
        current = context.get_current()
        self._open[event.call, event.attempt] = _Sent(event, time.time_ns(), current)
        self._instruments.wait.record(event.waited, {"spotify_ads.operation": event.operation}, current)

    def _answered(self, event: RequestAnswered) -> None:
        ending: Attributes = {"http.response.status_code": event.status}
        if event.status >= 400:
            ending["error.type"] = str(event.status)
        self._end(event, ending)
        if event.status == 429:
            self._instruments.refusals.add(1, {"spotify_ads.operation": event.operation})

    def _lost(self, event: RequestLost) -> None:
        self._end(event, {"error.type": event.error})

    def _end(self, event: RequestAnswered | RequestLost, ending: Attributes) -> None:
        sent = self._open.pop((event.call, event.attempt), None)
        if sent is None:
            return  # it left before anybody watched
        span = self._span(sent, ending)
        if "error.type" in ending:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        _, shared = self._described(sent.event)
        self._instruments.duration.record(event.seconds, {**shared, **ending}, sent.current)

    def _span(self, sent: _Sent, ending: Attributes) -> Span:
        """The span of a request, begun when it left and made at its end: to add an attribute later costs as six do."""
        event = sent.event
        name, shared = self._described(event)
        attributes = {
            **shared,
            "url.full": self._base_url + event.target,
            "spotify_ads.operation": event.operation,
            **ending,
        }
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        return self._tracer.start_span(
            name, context=sent.current, kind=SpanKind.CLIENT, attributes=attributes, start_time=sent.at
        )

    def _described(self, event: RequestSent) -> tuple[str, Attributes]:
        """The name of a request's span, and the attributes that all requests of its kind share."""
        known = self._shared.get((event.operation, event.method))
        if known is not None:
            return known
        shared: Attributes = {"http.request.method": event.method, **self._server}
        operation = EVERY_OPERATION.get(event.operation)
        name = event.method
        if operation is not None and operation.method == event.method:
            shared["url.template"] = template = self._base_path + operation.path
            name = f"{event.method} {template}"
        return self._shared.setdefault((event.operation, event.method), (name, shared))

    def _retried(self, event: RequestRetried) -> None:
        self._instruments.retries.add(1, {"spotify_ads.operation": event.operation, "error.type": event.error})

    def _succeeded(self, event: CallSucceeded) -> None:
        attributes = ("spotify_ads.operation", event.operation), ("spotify_ads.outcome", "succeeded")
        self._instruments.calls[attributes] += 1

    def _failed(self, event: CallFailed) -> None:
        outcome = "unknown" if event.in_doubt else "failed"
        attributes = (
            ("spotify_ads.operation", event.operation),
            ("spotify_ads.outcome", outcome),
            ("error.type", event.error),
        )
        self._instruments.calls[attributes] += 1

    def _walked(self, event: PageWalked) -> None:
        self._instruments.walked.add(event.rows, {"spotify_ads.operation": event.operation})

    def _applied(self, event: RowApplied) -> None:
        self._instruments.applied.add(1, {"spotify_ads.entity": event.entity, "spotify_ads.outcome": event.outcome})


class _Quota:
    """The windows of the governors watched, each governor once."""

    def __init__(self, meter: Meter) -> None:
        self._governors = _Shared[Governor, _Watched]()
        self._pauses = meter.create_counter(
            "spotify_ads.quota.pauses", "{pause}", "Pauses of a window after a refusal."
        )
        self._timeouts = meter.create_counter(
            "spotify_ads.quota.timeouts", "{request}", "Waits for quota refused as longer than allowed."
        )
        self._gauge(
            meter, "capacity", "{request}", "Requests that a window lets through.", lambda window: window.capacity
        )
        self._gauge(meter, "available", "{request}", "Requests that could leave now.", lambda window: window.available)
        self._gauge(meter, "waiting", "{request}", "Requests that wait for the window.", lambda window: window.waiting)
        self._gauge(
            meter, "paused", "s", "Seconds until a pause ends; 0 without one.", lambda window: window.paused_for
        )

    def watch(self, governor: Governor) -> Callable[[], None]:
        """Record this governor until the function returned is called."""
        return self._governors.watch(governor, lambda: _Watched(governor, self._heard))

    def _heard(self, event: Event) -> None:
        match event:
            case Paused():
                self._pauses.add(1, {"spotify_ads.limit": event.limit, "spotify_ads.owner": event.owner})
            case WaitRefused():
                self._timeouts.add(1, {"spotify_ads.limit": event.limit})
            case _:
                pass

    def _gauge(
        self, meter: Meter, name: str, unit: str, description: str, value: Callable[[WindowSnapshot], float]
    ) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for watched in self._governors:
                for window in watched.windows():
                    yield Observation(
                        value(window), {"spotify_ads.limit": window.limit, "spotify_ads.owner": window.owner}
                    )

        meter.create_observable_gauge(f"spotify_ads.quota.{name}", [observe], unit, description)


class _Watched:
    """One governor.

    Metric readers ask from threads of their own, and a governor may only be touched on its event loop.
    """

    def __init__(self, governor: Governor, heard: Listener) -> None:
        self._governor = governor
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._latest = governor.snapshot()
        self.leave = governor.subscribe(heard)

    def windows(self) -> tuple[WindowSnapshot, ...]:
        """The windows now, or as last seen where the event loop is busy or gone."""
        if threading.get_ident() == self._thread:
            self._latest = self._governor.snapshot()
        elif not self._loop.is_closed():
            taken = threading.Event()
            with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                self._loop.call_soon_threadsafe(self._take, taken)
                taken.wait(_BUSY_LOOP_SECONDS)
        return self._latest.windows

    def _take(self, taken: threading.Event) -> None:
        self._latest = self._governor.snapshot()
        taken.set()
