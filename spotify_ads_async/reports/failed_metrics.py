"""Metrics with which a report fails: named in the error, or left out where the caller asked for that.

REVENUE by the hour has been seen to answer 502 on an account again and again, while the same report came without it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar, cast

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import ConfigurationError, ServerError
from spotify_ads_async.events import Listeners
from spotify_ads_async.models.reports import AggregateReport, ReportFieldType
from spotify_ads_async.operation import Operation

__all__ = ["MetricGuard", "OnFailedMetric"]

AnswerT = TypeVar("AnswerT")

OnFailedMetric: TypeAlias = Literal["raise", "drop"] | Sequence[ReportFieldType]
"""What to do where a report fails with a metric: ``raise`` the error, which names the metric.

``drop`` the metrics that are known
to make reports fail; or the metrics that may be dropped, whatever the granularity.
"""

_KNOWN_TO_FAIL: Mapping[str, frozenset[str]] = {"HOUR": frozenset({"REVENUE"})}
"""By granularity."""

logger = logging.getLogger("spotify_ads_async")


class MetricGuard:
    """Makes calls for a report, and deals with those that fail with a metric.

    Attributes:
        failed: the metrics that were left out, and the error each came with.
        warnings: what the server remarked on answers that it gave nevertheless, each once.

    Raises:
        ConfigurationError: ``on_failed_metric`` is no choice, and no list.
    """

    def __init__(self, session: Session, on_failed_metric: OnFailedMetric) -> None:
        if isinstance(on_failed_metric, str) and on_failed_metric not in {"raise", "drop"}:
            raise ConfigurationError(
                f"on_failed_metric is 'raise', 'drop' or a list of metrics, not {on_failed_metric!r}"
            )
        self._session = session
        self._on_failed = on_failed_metric
        self.failed: dict[ReportFieldType, ServerError] = {}
        self.warnings: list[str] = []

    @property
    def listeners(self) -> Listeners:
        """Who hears of the calls."""
        return self._session.listeners

    @property
    def validates(self) -> bool:
        """Whether requests are checked before they leave."""
        return self._session.options.validate

    async def call(
        self, operation: Operation[AnswerT], *, path: Mapping[str, str] = {}, query: Mapping[str, object] = {}
    ) -> AnswerT:
        """Make a call; where it fails with a metric that may be left out, make it without.

        Raises:
            ServerError: the server failed. It names the metrics that may be to blame.
            SpotifyAdsError: what else the call raised.
        """
        fields = cast("Sequence[ReportFieldType]", query.get("fields") or ())
        if self.failed and fields:
            query = {**query, "fields": [field for field in fields if field not in self.failed] or fields}
        try:
            return self._heard(await self._session.call(operation, path=path, query=query))
        except ServerError as problem:
            asked = cast("Sequence[ReportFieldType]", query.get("fields") or ())
            known = _KNOWN_TO_FAIL.get(str(query.get("granularity")), frozenset())
            droppable = known if isinstance(self._on_failed, str) else frozenset(map(str, self._on_failed))
            blamed = [field for field in asked if field in droppable]
            kept = [field for field in asked if field not in droppable]
            if self._on_failed == "raise" or not blamed or not kept:
                _blame(problem, [field for field in asked if field in known])
                raise
            failure = problem
        answer = await self._session.call(operation, path=path, query={**query, "fields": kept})
        for metric in blamed:
            if metric not in self.failed:
                self.failed[metric] = failure
                logger.warning("%s is left out of the report, which failed with it: %s", metric, failure)
        return self._heard(answer)

    def _heard(self, answer: AnswerT) -> AnswerT:
        """The answer, once what the server remarks on it is logged."""
        if isinstance(answer, AggregateReport):
            for warning in answer.warnings or ():
                if warning not in self.warnings:
                    self.warnings.append(warning)
                    logger.warning("the server says of a report: %s", warning)
        return answer


def _blame(problem: ServerError, metrics: Sequence[str]) -> None:
    """Say in the error which metrics may be to blame."""
    if metrics:
        names = ", ".join(metrics)
        problem.message += (
            f"; {names} by the hour may be to blame: leave it out, or have it dropped (--on-failed-metric drop,"
            " on_failed_metric='drop')"
        )
        problem.args = (problem.message,)
