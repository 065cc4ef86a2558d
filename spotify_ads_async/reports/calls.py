"""The report calls: awaited they are one request, iterated they are every row of as many requests as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from spotify_ads_async.errors import ConfigurationError, InvalidAnswer, InvalidRequest, NotEnoughData, ServerError
from spotify_ads_async.models.reports import ReportFieldType
from spotify_ads_async.operation import ListOperation, Operation
from spotify_ads_async.operations import (
    GET_AD_SETS_BY_AD_ACCOUNT_ID,
    GET_ADS,
    GET_AGGREGATE_REPORT,
    GET_AGGREGATED_TOTALS,
    GET_AUDIENCE_INSIGHT_REPORT,
    GET_CAMPAIGNS,
)
from spotify_ads_async.pagination import ListCall, PageWalk
from spotify_ads_async.pagination.page import Caller, Page
from spotify_ads_async.pagination.pagers import ContinuationPager, Pager
from spotify_ads_async.reports import tables
from spotify_ads_async.reports.asked import Asked, Repeats, told_apart
from spotify_ads_async.reports.failed_metrics import MetricGuard
from spotify_ads_async.reports.planning import (
    Query,
    aggregate_batches,
    insight_batches,
    is_named,
    named,
    totals_batches,
)
from spotify_ads_async.reports.rows import InsightRow, Insights, Measured, Report, ReportRow, Totals, TotalsRow, summed
from spotify_ads_async.reports.walking import BatchPager, DistinctPager, Merge
from spotify_ads_async.validation.requests import check_query

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AggregateReportCall", "InsightsCall", "ReportCall", "TotalsCall"]

RowT = TypeVar("RowT", bound=Measured)
AnswerT = TypeVar("AnswerT")

AT_ONCE = 8
"""Requests under way at once by default.

At 300 ms an answer they make 26 per second, and the reporting window sustains 5.
"""


def _typed(operation: ListOperation[Any, Any], answer: type[Any], item: type[Any]) -> Any:  # noqa: ANN401 - the operation with other types
    return msgspec.structs.replace(operation, answer=answer, item=item)


AGGREGATE: ListOperation[Report, ReportRow] = _typed(GET_AGGREGATE_REPORT, Report, ReportRow)
TOTALS: ListOperation[Totals, TotalsRow] = _typed(GET_AGGREGATED_TOTALS, Totals, TotalsRow)
INSIGHTS: ListOperation[Insights, InsightRow] = _typed(GET_AUDIENCE_INSIGHT_REPORT, Insights, InsightRow)

_LISTS: Mapping[str, ListOperation[Any, Any]] = {
    "CAMPAIGN": GET_CAMPAIGNS,
    "AD_SET": GET_AD_SETS_BY_AD_ACCOUNT_ID,
    "AD": GET_ADS,
}
_ANY_ID = str(UUID(int=0))
_FAR_PAST = datetime.min.replace(tzinfo=UTC)


class ReportCall(ListCall[RowT]):
    """A report, not yet asked for.

    ``async for`` over it for every row, :meth:`collect` for a list of them: a wish that is longer or wider than one
    request may be is divided into the fewest requests that are legal. ``await`` it for the first page of a wish that is
    one request.
    """

    async def to_arrow(self, *, hidden: int | None = None) -> tables.ArrowTable:
        """Every row, as a table with a column per metric. Needs the extra ``tables``.

        Counts are int64, money is decimal128 in currency units with 10 decimals, or 18 where an amount has more, shares
        are float64. An absent value is null. So is one that the API hides: the column ``hidden`` lists, row by row,
        which metrics those are.

        Args:
            hidden: what stands for a hidden value: None for null, or a number such as the API's own -5, for counts and
                amounts alike.

        Raises:
            ConfigurationError: pyarrow is not installed.
            SpotifyAdsError: what reading the report raised.
        """
        tables.require("pyarrow")
        return tables.arrow_table(await self.collect(), self._metrics(), hidden)

    async def to_polars(self, *, hidden: int | None = None) -> pl.DataFrame:
        """Every row, as a data frame; otherwise as :meth:`to_arrow`.

        Raises:
            ConfigurationError: polars or pyarrow is not installed.
            SpotifyAdsError: what reading the report raised.
        """
        tables.require("polars", "pyarrow")
        return tables.polars_frame(await self.to_arrow(hidden=hidden))

    @property
    def _account(self) -> str:
        return self._path["ad_account_id"]

    def _several(self, batches: Sequence[Sequence[Query]], merge: Merge[RowT]) -> BatchPager[RowT]:
        return BatchPager(self._operation, self._account, batches, merge, ahead=self._read_ahead)

    def _wish(self) -> Query:
        return self._query

    async def _one_page(self) -> Page[RowT]:
        page = await super()._one_page()
        if "continuation_token" not in self._query:
            Asked(self._operation.id, self._account, self._query).require(page)
        return page

    def _metrics(self) -> list[str]:
        query = self._wish()
        return list(dict.fromkeys(map(str, query.get("fields") or ())))

    def _divided(self, batches: list[list[Query]]) -> bool:
        """Whether it takes more than one request."""
        several = len(batches) > 1 or len(batches[0]) > 1
        if several and self._start is not None:
            raise ConfigurationError(
                "a report of several requests cannot start at a position", operation=self._operation.id
            )
        return several


class AggregateReportCall(ReportCall[ReportRow]):
    """Metrics by entity and period (getAggregateReport).

    Rows come entity by entity, in the order of the ids, and each entity's periods in order; a row that the server
    repeats comes once. With DAY and HOUR the API wants the entities named: where no ids were given, the walk lists the
    account's campaigns, ad sets or ads first, archived ones too, and names them 50 at a time.
    """

    @property
    def failed_metrics(self) -> Mapping[ReportFieldType, ServerError]:
        """Metrics that were left out because the report failed with them (``on_failed_metric``), and with what."""
        return self._session.failed if isinstance(self._session, MetricGuard) else {}

    @property
    def warnings(self) -> Sequence[str]:
        """What the server remarked on answers that it gave nevertheless, each once; the log has it too."""
        return self._session.warnings if isinstance(self._session, MetricGuard) else ()

    def pages(self) -> PageWalk[ReportRow]:
        """An iterator over every page."""
        query = self._wish()
        if "continuation_token" in query or not is_named(query) or query.get("entity_ids"):
            return super().pages()
        _require_range(query, self._operation.id)
        if self._start is not None:
            raise ConfigurationError(
                "a report that lists its entities first cannot start at a position", operation=self._operation.id
            )
        ids: list[str] = []
        pager = self._several([], lambda parts: _by_entity(parts, {**query, "entity_ids": ids}))

        async def name_entities() -> None:
            self._require_legal(query)
            ids[:] = await self._entities(query["entity_type"])
            pager.add(aggregate_batches(named(query, ids)) if ids else [])

        return PageWalk(
            self._session,
            self._operation,
            self._path,
            pager,
            read_ahead=self._read_ahead,
            eager=self._eager,
            prepare=name_entities,
        )

    def _require_legal(self, query: Query) -> None:
        """Refuse what no request could ask before the entities are listed: the list spends quota too."""
        if isinstance(self._session, MetricGuard) and self._session.validates:
            for one in aggregate_batches(named(query, [_ANY_ID]))[0]:
                check_query(self._operation, one, now=datetime.now(UTC))

    async def _entities(self, kind: str) -> list[str]:
        """The ids of the account's entities of a kind, in the server's order."""
        walk: ListCall[Any] = ListCall(self._session, _LISTS[kind], path=self._path)
        ids = [entity.id async for entity in walk]
        if not all(ids):
            raise InvalidAnswer(
                "a list leaves out ids, so that the report cannot name what it is about", operation=_LISTS[kind].id
            )
        return ids

    def _pager(self) -> Pager[ReportRow]:
        query = self._wish()
        if "continuation_token" in query:
            return super()._pager()
        _require_range(query, self._operation.id)
        batches = aggregate_batches(query)
        ids = query.get("entity_ids")
        if not self._divided(batches) and (self._start is not None or not ids):
            pager = ContinuationPager(self._operation, query, self._digest(), self._start)
            return DistinctPager(pager, self._operation.id, self._account, query, self._start)
        return self._several(batches, lambda parts: _by_entity(parts, query))


def _by_entity(parts: list[list[ReportRow]], query: Query) -> list[ReportRow]:
    """The rows of a batch, each once, in the order of the ids and of time."""
    ids: Sequence[str] = query.get("entity_ids") or ()
    places = {str(identifier).lower(): place for place, identifier in reversed(list(enumerate(ids)))}
    rows = Repeats(AGGREGATE.id, query).without(row for part in parts for row in part)
    # A stable sort: entities that the ids do not name, as their parents do, stay in the server's order.
    return sorted(
        rows, key=lambda row: (places.get((row.entity_id or "").lower(), len(places)), row.start_time or _FAR_PAST)
    )


class TotalsCall(ReportCall[TotalsRow]):
    """Metrics of several entities together (getAggregatedTotals). A walk over them has no position.

    Listeners are counted once among at most 50 entities: REACH, its like and all rates are refused beyond that. What
    adds up, which is other counts, SPEND and REVENUE, is summed over any number.
    """

    def _pager(self) -> Pager[TotalsRow]:
        _require_range(self._query, self._operation.id)
        # A day of an account's own time zone may lie in two windows.
        days, batches = Repeats(self._operation.id, self._query), totals_batches(self._query)
        return self._several(batches, lambda parts: days.without(_summed_by_time(parts)))


def _summed_by_time(parts: list[list[TotalsRow]]) -> list[TotalsRow]:
    if len(parts) == 1:
        return parts[0]
    periods: dict[datetime | None, list[TotalsRow]] = {}
    for part in parts:
        for row in part:
            periods.setdefault(row.start_time, []).append(row)
    for start, rows in periods.items():
        if len(rows) < len(parts):
            raise InvalidAnswer(
                f"the totals{f' of {start:%Y-%m-%d}' if start else ''} came for {len(rows)} of {len(parts)} groups"
                " of entities, so that their sum is not known: ask again",
                operation=TOTALS.id,
            )
    try:
        return [summed(periods[start]) for start in sorted(periods, key=lambda start: start or _FAR_PAST)]
    except ValueError as fault:  # of a sum that no answer could hold
        raise InvalidAnswer(f"the sum of {len(parts)} groups of entities: {fault}", operation=TOTALS.id) from None


class InsightsCall(ReportCall[InsightRow]):
    """Metrics broken down by audience (getAudienceInsightReport), for any number of campaigns or ad sets.

    One entity without enough data raises :class:`~spotify_ads_async.errors.NotEnoughData`. Among several it has no
    rows, and stands in :attr:`not_enough_data` once the walk has ended.
    """

    not_enough_data: Mapping[str, NotEnoughData] = {}
    """Entity id → why there are no rows of it yet, of the walk begun last. Ask again at most daily."""

    def pages(self) -> PageWalk[InsightRow]:
        """An iterator over every page, one per entity that has enough data."""
        batches = insight_batches(self._query)
        if not self._divided(batches):
            return super().pages()
        caller = _Patient(self._session)
        self.not_enough_data = caller.lacking
        pager = self._several(batches, told_apart(self._operation.id))
        return PageWalk(caller, self._operation, self._path, pager, read_ahead=self._read_ahead, eager=self._eager)

    def _pager(self) -> Pager[InsightRow]:
        return DistinctPager(super()._pager(), self._operation.id, self._account, self._query, self._start)

    async def collect(self) -> list[InsightRow]:
        """Every row, in a list.

        Raises:
            NotEnoughData: the one entity has not enough data yet.
            SpotifyAdsError: what a call raised.
        """
        async with self.pages() as pages:
            return [row async for page in pages for row in page.items]


class _Patient:
    """Makes calls; a lack of data is noted instead of raised."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.lacking: dict[str, NotEnoughData] = {}

    async def call(
        self, operation: Operation[AnswerT], *, path: Mapping[str, str] = {}, query: Mapping[str, object] = {}
    ) -> AnswerT:
        try:
            return await self._caller.call(operation, path=path, query=query)
        except NotEnoughData as problem:
            ids: Any = query["entity_ids"]
            self.lacking[ids[0]] = problem
            empty: Any = Insights(rows=[])
            return empty


def _require_range(query: Query, operation: str) -> None:
    """DAY and HOUR need both ends; the server says so too, and here it costs nothing."""
    granularity = query.get("granularity", "LIFETIME")
    for name in ("report_start", "report_end"):
        if granularity in {"DAY", "HOUR"} and name not in query:
            raise InvalidRequest(
                f"query.{name} is required with granularity {granularity!s}",
                operation=operation,
                path=f"query.{name}",
                rule=f"given with {granularity!s}",
            )
