"""Metrics of the quota proxy, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from spotify_ads_async.governor import Snapshot

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_WAIT_BUCKETS_SECONDS = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OF_WINDOWS = {"available": "Tokens ready now.", "capacity": "Tokens in all.", "paused_for": "Seconds of pause left."}


class Metrics(Collector):
    """What the proxy did, and the windows as ``snapshot`` gives them."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._registry = registry = CollectorRegistry()
        registry.register(self)
        self.waiting = Gauge("quota_proxy_waiting", "Requests that wait for quota.", registry=registry)
        under_way = "Requests sent upstream without a whole answer yet."
        self.under_way = Gauge("quota_proxy_under_way", under_way, registry=registry)
        self.forwarded = Counter("quota_proxy_forwarded", "Requests that upstream answered.", registry=registry)
        self.refused = Counter("quota_proxy_refused", "Requests that the proxy refused.", registry=registry)
        waited = "Seconds that requests waited for quota."
        self.waited = Histogram("quota_proxy_wait_seconds", waited, buckets=_WAIT_BUCKETS_SECONDS, registry=registry)

    def counts(self) -> dict[str, int]:
        """How many requests wait, are under way, were forwarded, were refused."""
        names = ("waiting", "under_way", "forwarded_total", "refused_total")
        told = {name: self._registry.get_sample_value(f"quota_proxy_{name}") for name in names}
        return {name.removesuffix("_total"): int(value or 0) for name, value in told.items()}

    def collect(self) -> Iterable[Metric]:
        """The windows at this instant."""
        windows = self._snapshot().windows
        for name, text in _OF_WINDOWS.items():
            family = GaugeMetricFamily(f"quota_window_{name}", text, labels=("limit", "owner"))
            for window in windows:
                family.add_metric((window.limit, window.owner), getattr(window, name))
            yield family

    def exposition(self) -> bytes:
        """All of it as text."""
        return generate_latest(self._registry)
