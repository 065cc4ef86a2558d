"""dlt source: the resources of :func:`spotify_ads`, and a backfill in slices.

dlt extracts on an event loop of its own, so each resource makes its client where it runs. What was loaded is remembered
in dlt's state, which travels with the data: one date per stream and account.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import dlt
from dlt.extract import DltResource, DltSource

from spotify_ads_async import (
    UNSET,
    AdAccount,
    AdsClient,
    AuthenticationError,
    ConfigurationError,
    RateLimited,
    RequestRejected,
    SpotifyAdsError,
)
from spotify_ads_async.dlt.reports import InsightStream, ReportStream, row_of
from spotify_ads_async.models import InsightDimension, ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import UnsetType
from spotify_ads_async.validation.rules.reports import NO_INSIGHT_METRICS

__all__ = ["DEFAULT_METRICS", "backfill", "spotify_ads"]

logger = logging.getLogger("spotify_ads_async.dlt")

Row: TypeAlias = dict[str, Any]
ClientFactory: TypeAlias = Callable[[], AdsClient]

DEFAULT_METRICS: tuple[str, ...] = (
    "IMPRESSIONS",
    "REACH",
    "FREQUENCY",
    "CLICKS",
    "CTR",
    "SPEND",
    "STARTS",
    "FIRST_QUARTILES",
    "MIDPOINTS",
    "THIRD_QUARTILES",
    "COMPLETES",
    "COMPLETION_RATE",
    "VIDEO_VIEWS",
)
"""What Ads Manager shows of a campaign, without breakdowns."""

_CURSOR_OVERLAP = timedelta(minutes=10)
"""Campaigns changed while the last walk went on may be older than the newest that it saw."""
_ENTITIES = (ReportEntityType.CAMPAIGN, ReportEntityType.AD_SET, ReportEntityType.AD)
_PROBLEMS = dlt.mark.make_hints(table_name="load_problems", write_disposition="append")
_KEYS = {"change_history": "change_id"}


def spotify_ads(
    accounts: Sequence[str] | None = None,
    start: date | str = "2024-01-01",
    *,
    end: date | str | None = None,
    lookback_days: int = 14,
    metrics: Sequence[str] = DEFAULT_METRICS,
    insights: Sequence[str] = (),
    client: ClientFactory = AdsClient.from_env,
) -> DltSource:
    """Businesses, ad accounts, their campaigns, ad sets, ads, assets, audiences, change history and reports.

    Entities are merged on their ``id``. What was archived or deleted stays, with its last status. Reports are merged by
    account and day: a day that is read again replaces what was there. Tables are ``campaign_report_daily``,
    ``campaign_report_hourly``, and the same for ``ad_set`` and ``ad``. Times are UTC; today is partial, and is read
    again with the lookback.

    A count hidden for privacy is null with ``<metric>_hidden`` beside it. Money is a decimal in units of ``currency``.

    An account that refuses, or a metric that it refuses, is named in the table ``load_problems`` and in the log, and
    the rest is loaded. Where the API fails otherwise, the run fails and nothing is remembered of it.

    Args:
        accounts: IDs of ad accounts; every one that can be seen if left out.
        start: the first day of reports, in UTC. Hourly reports reach back two weeks at most.
        end: the last day of reports; today if left out.
        lookback_days: how many of the days loaded last are read again, for conversions that are attributed late.
        metrics: names of metrics, such as ``SPEND``.
        insights: dimensions, such as ``AGE``, for ``audience_insights``: the lifetime of each campaign by audience.
        client: makes the client; it is called on dlt's event loop. Clients that share the quota share a governor.

    Raises:
        ConfigurationError: a date cannot be read, the range is empty, or the lookback is negative.
    """
    first, last = _day(start, "start"), None if end is None else _day(end, "end")
    if last is not None and last < first:
        raise ConfigurationError(f"end {last} is before start {first}")
    if lookback_days < 0:
        raise ConfigurationError(f"lookback_days is 0 or more, not {lookback_days}")
    fields = tuple(ReportFieldType(name) for name in metrics)
    known = all(metric.known for metric in fields)

    def resources() -> Iterable[DltResource]:
        yield dlt.resource(
            _businesses(client), name="businesses", primary_key="id", write_disposition="merge", max_table_nesting=0
        )
        for name, read in _MERGED.items():
            yield _each_account(
                client, accounts, name, read, primary_key=_KEYS.get(name, "id"), write_disposition="merge"
            )
        streams: list[ReportStream | InsightStream] = [
            ReportStream(entity_type, granularity, fields, first, last, timedelta(days=lookback_days))
            for entity_type in _ENTITIES
            for granularity in (ReportGranularity.DAY, ReportGranularity.HOUR)
        ]
        if insights:
            told = [metric for metric in fields if metric not in NO_INSIGHT_METRICS]
            streams.append(InsightStream([InsightDimension(name) for name in insights], told))
        for stream in streams:
            # dlt deletes what has a slice that comes again, and inserts what is not marked as removed.
            replaced: Row = {
                "merge_key": "slice",
                "write_disposition": {"disposition": "merge", "strategy": "delete-insert"},
            }
            yield _each_account(
                client, accounts, stream.name, stream.rows, known=known, columns=stream.columns(), **replaced
            )

    return dlt.source(resources, name="spotify_ads", max_table_nesting=0)()


def backfill(
    pipeline: dlt.Pipeline,
    start: date | str,
    *,
    slice_days: int = 30,
    tables: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 - those of spotify_ads
) -> None:
    """Load reports from ``start`` to today in slices, and everything else at the end.

    Each slice is loaded before the next is asked for.
    Run it again after a kill: what was loaded is not asked for again, so at most one slice is read twice. ``options``
    are those of :func:`spotify_ads`. ``tables`` names what is wanted of it; everything if left out.

    Raises:
        ConfigurationError: as :func:`spotify_ads`.
    """
    if pipeline.has_pending_data:
        pipeline.run()  # what a killed run had extracted; a run with pending data extracts nothing
    first, today = _day(start, "start"), datetime.now(UTC).date()
    while first + timedelta(days=slice_days) < today:
        last = first + timedelta(days=slice_days - 1)
        slice_options: dict[str, Any] = {**options, "lookback_days": 0}
        source = spotify_ads(start=first, end=last, **slice_options)
        reports = [name for name in tables or source.resources if "_report_" in name]
        pipeline.run(source.with_resources(*reports))
        first = last + timedelta(days=1)
    source = spotify_ads(start=first, **options)
    pipeline.run(source.with_resources(*tables) if tables else source)


def _businesses(client: ClientFactory) -> Callable[[], AsyncIterator[Row]]:
    async def businesses() -> AsyncIterator[Row]:
        async with client() as ads:
            async for business in ads.businesses.list():
                yield row_of(business)

    return businesses


def _each_account(
    client: ClientFactory,
    accounts: Sequence[str] | None,
    stream: str,
    read: Callable[[AdAccount], AsyncIterator[Row]],
    *,
    known: bool = True,
    **hints: Any,  # noqa: ANN401 - dlt's own
) -> DltResource:
    """One stream of every account. An account that refuses is named in a table of its own, and the others are read."""

    async def rows() -> AsyncIterator[Any]:
        problems: list[Row] = []
        async with client() as made:
            # A metric that is newer than this package is the API's to judge.
            ads = made.with_options(validate=known)
            visible = ads.ad_accounts() if accounts is None else None
            ids = (
                [account.id async for account in visible if account.id] if visible is not None else list(accounts or ())
            )
            for business_id, error in (visible.refused if visible is not None else {}).items():
                problems.append(_problem(stream, f"business {business_id}", error))
            for account_id in ids:
                try:
                    async for row in read(ads.ad_account(account_id)):
                        yield dlt.mark.with_hints(row, table, create_table_variant=True)
                except (RateLimited, AuthenticationError):
                    raise
                except RequestRejected as error:
                    problems.append(_problem(stream, f"ad account {account_id}", error))
        for problem in problems:
            logger.warning("%s of %s was not loaded: %s", stream, problem["place"], problem["error"])
            yield dlt.mark.with_hints(problem, _PROBLEMS, create_table_variant=True)

    # The hints are the table's alone, so that the table of problems has none of them.
    table = dlt.mark.make_hints(table_name=stream, **hints)
    return dlt.resource(rows, name=stream, max_table_nesting=0)


def _problem(stream: str, place: str, error: SpotifyAdsError) -> Row:
    return {
        "stream": stream,
        "place": place,
        "error": str(error),
        "trace_id": error.trace_id,
        "noticed_at": datetime.now(UTC),
    }


async def _ad_account(account: AdAccount) -> AsyncIterator[Row]:
    yield row_of(await account.get())


def _listed(list_of: Callable[[AdAccount], ListCall[Any]]) -> Callable[[AdAccount], AsyncIterator[Row]]:
    async def rows(account: AdAccount) -> AsyncIterator[Row]:
        async for item in list_of(account):
            yield {"ad_account_id": account.id, **row_of(item)}

    return rows


def _since(
    stream: str, moment: str, list_of: Callable[[AdAccount, datetime | UnsetType], ListCall[Any]]
) -> Callable[[AdAccount], AsyncIterator[Row]]:
    """What changed since the last load. One moment per account is remembered, and only after its walk has ended."""

    async def rows(account: AdAccount) -> AsyncIterator[Row]:
        cursors: dict[str, str] = dlt.current.resource_state(stream)
        seen = cursors.get(account.id, "")
        newest = seen
        async for item in list_of(account, datetime.fromisoformat(seen) - _CURSOR_OVERLAP if seen else UNSET):
            row: Row = {"ad_account_id": account.id, **row_of(item)}
            changed_at: datetime | None = row.get(moment)
            if changed_at is not None:
                newest = max(newest, changed_at.isoformat())
            yield row
        if newest:
            cursors[account.id] = newest

    return rows


_MERGED: Mapping[str, Callable[[AdAccount], AsyncIterator[Row]]] = {
    "ad_accounts": _ad_account,
    "campaigns": _since("campaigns", "updated_at", lambda account, since: account.campaigns.list(updated_at_gte=since)),
    "ad_sets": _listed(lambda account: account.ad_sets.list()),
    "ads": _listed(lambda account: account.ads.list()),
    "assets": _listed(lambda account: account.assets.list()),
    "audiences": _listed(lambda account: account.audiences.list()),
    "change_history": _since(
        "change_history", "timestamp", lambda account, since: account.change_history.list(created_gte=since)
    ),
}


def _day(value: date | str, name: str) -> date:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(f"{name} is a day such as 2026-01-31, not {value!r}") from None
