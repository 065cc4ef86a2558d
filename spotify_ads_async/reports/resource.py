"""``account.reports``: every report of an ad account, however long and wide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from spotify_ads_async import operations
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models.reports import (
    AsyncReportCreate,
    AsyncReportDimension,
    AsyncReportEntityStatus,
    AsyncReportGranularity,
    AsyncReportMetric,
    AttributionWindow,
    InsightDimension,
    ReportEntityStatus,
    ReportEntityType,
    ReportFieldType,
    ReportGranularity,
)
from spotify_ads_async.pagination.call import require_filters
from spotify_ads_async.reports.calls import (
    AGGREGATE,
    AT_ONCE,
    INSIGHTS,
    TOTALS,
    AggregateReportCall,
    InsightsCall,
    TotalsCall,
)
from spotify_ads_async.reports.csv_report import CsvReport
from spotify_ads_async.reports.failed_metrics import MetricGuard, OnFailedMetric
from spotify_ads_async.reports.planning import instant
from spotify_ads_async.resources import reports
from spotify_ads_async.types import UNSET, UnsetType

__all__ = ["Reports"]

Moment = date | datetime


class Reports(reports.Reports):
    """Reports. They also spend the limit for reporting.

    A date stands for its midnight in UTC, and a time without an offset is one in UTC. The end of a range is included:
    by day its whole day, and by hour its hour, or all hours so far of an end that is a date.
    """

    def aggregate(  # type: ignore[override]  # lists are read, so one of a narrower row is one of rows
        self,
        *,
        entity_type: ReportEntityType | UnsetType = UNSET,
        fields: Sequence[ReportFieldType] | UnsetType = UNSET,
        report_start: Moment | UnsetType = UNSET,
        report_end: Moment | UnsetType = UNSET,
        granularity: ReportGranularity | UnsetType = UNSET,
        include_parent_entity: bool | UnsetType = UNSET,
        entity_ids: Sequence[str] | UnsetType = UNSET,
        entity_ids_type: ReportEntityType | UnsetType = UNSET,
        entity_status_type: ReportEntityType | UnsetType = UNSET,
        statuses: Sequence[ReportEntityStatus] | UnsetType = UNSET,
        continuation_token: str | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
        on_failed_metric: OnFailedMetric = "raise",
    ) -> AggregateReportCall:
        """Report metrics per campaign, ad set, ad or ad account, by day or hour (getAggregateReport).

        Any range and any number of ids: iterated, it makes the fewest requests that are legal, several at once.
        ``entity_ids_type`` and ``entity_status_type`` are ``entity_type`` unless given. Without ids, a report by day or
        hour lists the entities first, for the API wants them named; awaited for one page it must name them itself.

        ``on_failed_metric`` is for reports that the server fails to make with one of their metrics (REVENUE by the hour
        is known for it): ``"raise"`` names the metric in the error, ``"drop"`` makes the report without it, and a list
        names the metrics that may be dropped. Which ones were is in the call's ``failed_metrics``; their values are
        absent.

        Raises:
            InvalidRequest: ``entity_ids`` or ``statuses`` is empty, which on the wire would be no filter: a report on
                everything. Or a range is given without DAY or HOUR: it would be ignored.
            ConfigurationError: ``on_failed_metric`` is neither.
        """
        require_filters({"entity_ids": entity_ids, "statuses": statuses}, AGGREGATE.id)
        _require_no_range_over_all_time(granularity, report_start, report_end)
        return AggregateReportCall(
            MetricGuard(self._session, on_failed_metric),
            AGGREGATE,
            path={"ad_account_id": self._ad_account_id},
            query={
                "entity_type": entity_type,
                "fields": fields,
                "report_start": instant(report_start),
                "report_end": _last_hour(report_end) if granularity == "HOUR" else instant(report_end),
                "granularity": granularity,
                "include_parent_entity": include_parent_entity,
                "entity_ids": entity_ids,
                "entity_ids_type": _type_beside(entity_ids, entity_ids_type, entity_type),
                "entity_status_type": _type_beside(statuses, entity_status_type, entity_type),
                "statuses": statuses,
                "continuation_token": continuation_token,
                "limit": limit,
            },
            read_ahead=AT_ONCE,
            eager=True,
        )

    def totals(  # type: ignore[override]  # the same
        self,
        *,
        entity_type: ReportEntityType,
        entity_ids: Sequence[str],
        granularity: ReportGranularity,
        fields: Sequence[ReportFieldType],
        report_start: Moment | UnsetType = UNSET,
        report_end: Moment | UnsetType = UNSET,
    ) -> TotalsCall:
        """Sum metrics over campaigns, ad sets or ads, each listener counted once (getAggregatedTotals).

        Any range by day. More than 50 ids only with what adds up: counts but those of people, SPEND and REVENUE.

        Raises:
            InvalidRequest: a range by LIFETIME begins or ends amid a day.
        """
        start, end = instant(report_start), instant(report_end)
        _require_whole_days(granularity, start, end, TOTALS.id, "query")
        return TotalsCall(
            self._session,
            TOTALS,
            path={"ad_account_id": self._ad_account_id},
            query={
                "entity_type": entity_type,
                "entity_ids": entity_ids,
                "granularity": granularity,
                "report_start": start,
                "report_end": end,
                "fields": fields,
            },
            read_ahead=AT_ONCE,
            eager=True,
        )

    def insights(  # type: ignore[override]  # the same
        self,
        *,
        insight_dimension: InsightDimension | UnsetType = UNSET,
        fields: Sequence[ReportFieldType] | UnsetType = UNSET,
        entity_ids: Sequence[str] | UnsetType = UNSET,
        entity_ids_type: ReportEntityType | UnsetType = UNSET,
        entity_status_type: ReportEntityType | UnsetType = UNSET,
        statuses: Sequence[ReportEntityStatus] | UnsetType = UNSET,
    ) -> InsightsCall:
        """Break the metrics of campaigns or ad sets down by audience (getAudienceInsightReport), one request per id."""
        return InsightsCall(
            self._session,
            INSIGHTS,
            path={"ad_account_id": self._ad_account_id},
            query={
                "insight_dimension": insight_dimension,
                "fields": fields,
                "entity_ids": entity_ids,
                "entity_ids_type": _type_beside(entity_ids, entity_ids_type, ReportEntityType.AD_SET),
                "entity_status_type": _type_beside(statuses, entity_status_type, ReportEntityType.AD_SET),
                "statuses": statuses,
            },
            read_ahead=AT_ONCE,
            eager=True,
        )

    def csv(
        self,
        *,
        dimensions: Sequence[AsyncReportDimension],
        metrics: Sequence[AsyncReportMetric],
        granularity: AsyncReportGranularity = AsyncReportGranularity.DAY,
        report_start: Moment | UnsetType = UNSET,
        report_end: Moment | UnsetType = UNSET,
        campaign_ids: Sequence[str] | UnsetType = UNSET,
        statuses: Sequence[AsyncReportEntityStatus] | UnsetType = UNSET,
        insight_dimension: InsightDimension | UnsetType = UNSET,
        attribution_window: AttributionWindow | UnsetType = UNSET,
        name: str = "spotify-ads-async",
        timeout: float = 3600.0,
        any_header: bool = False,
    ) -> CsvReport:
        """A report as a CSV file: ordered, awaited and fetched when it is saved or iterated (createAsyncReport).

        A range by day that is longer than 365 days becomes several orders, whose files are joined.

        Args:
            dimensions: columns that tell rows apart; the lowest level among them is what rows are about.
            metrics: columns that count.
            granularity: DAY, or LIFETIME for one row an entity.
            report_start: the first day.
            report_end: the last day, included.
            campaign_ids: campaigns to include, all if left out.
            statuses: statuses to include, ACTIVE if left out.
            insight_dimension: break rows down by audience; with LIFETIME only.
            attribution_window: for how long after an impression a conversion counts.
            name: the name of the report in Ads Manager: 2 to 120 letters, digits, spaces, ``_`` and ``-``.
            timeout: seconds to wait for each order until it is ready.
            any_header: take a file whose header does not name what was ordered, or that has text among its figures.

        Raises:
            InvalidRequest: ``campaign_ids`` or ``statuses`` is empty, which would be no filter; or a range by LIFETIME
                begins or ends amid a day.
        """
        order, start, end = operations.CREATE_ASYNC_REPORT.id, instant(report_start), instant(report_end)
        campaigns = campaign_ids if isinstance(campaign_ids, UnsetType) else list(campaign_ids)
        wanted = statuses if isinstance(statuses, UnsetType) else list(statuses)
        require_filters({"campaign_ids": campaigns, "statuses": wanted}, order, "body")
        _require_whole_days(granularity, start, end, order, "body")
        body = AsyncReportCreate(
            name=name,
            granularity=granularity,
            dimensions=list(dimensions),
            metrics=list(metrics),
            statuses=wanted,
            campaign_ids=campaigns,
            report_start=start,
            report_end=end,
            insight_dimension=insight_dimension,
            attribution_window=attribution_window,
        )
        return CsvReport(self._session, self._ad_account_id, body, timeout=timeout, any_header=any_header)


def _require_no_range_over_all_time(
    granularity: ReportGranularity | UnsetType, start: Moment | UnsetType, end: Moment | UnsetType
) -> None:
    if granularity in {UNSET, ReportGranularity.LIFETIME} and not start is end is UNSET:
        raise InvalidRequest(
            "a report without a granularity, or by LIFETIME, is over all time and takes no range: ask by DAY or"
            " HOUR for a range",
            operation=AGGREGATE.id,
            path="query.granularity",
            value=granularity,
            rule="DAY or HOUR beside report_start and report_end",
        )


def _require_whole_days(
    granularity: str, start: datetime | UnsetType, end: datetime | UnsetType, operation: str, place: str
) -> None:
    """By LIFETIME the API cuts the time off, and would report on other days than were meant; by DAY it refuses it."""
    for name, moment in (("report_start", start), ("report_end", end)):
        if granularity == "LIFETIME" and isinstance(moment, datetime) and moment.time() != time():
            raise InvalidRequest(
                f"{place}.{name} must be a midnight in UTC with granularity LIFETIME (it is {moment.isoformat()})",
                operation=operation,
                path=f"{place}.{name}",
                value=moment,
                rule="a midnight in UTC",
            )


def _last_hour(end: Moment | UnsetType) -> datetime | UnsetType:
    """The last hour of a range: of a date, its last one, or the present one while it lasts."""
    if not isinstance(end, date) or isinstance(end, datetime):
        return instant(end)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return now if end == now.date() else datetime.combine(end, time(23), UTC)


def _type_beside(
    filtered: Sequence[str] | UnsetType, kind: ReportEntityType | UnsetType, otherwise: ReportEntityType | UnsetType
) -> ReportEntityType | UnsetType:
    """What the type of a filter is; without the filter it is what was given, for the rules to judge."""
    return otherwise if kind is UNSET and filtered is not UNSET and filtered else kind
