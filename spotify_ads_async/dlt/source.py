"""dlt source: the resources of :func:`spotify_ads`, and a backfill in slices.

dlt extracts on an event loop of its own, so each resource makes its client where it runs. What was loaded is remembered
in dlt's state, which travels with the data: spans of days, or one moment, per stream and account.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Annotated, Any, TypeAlias

import anyio
import dlt
import msgspec
from anyio.streams.memory import MemoryObjectSendStream
from dlt.extract import DltResource, DltSource

from spotify_ads_async import UNSET, AdAccount, AdsClient, Governor, Limit
from spotify_ads_async.dlt.reports import Batch, InsightStream, ReportStream, Row, row_of
from spotify_ads_async.errors import ConfigurationError, InvalidAnswer, RateLimited, RequestRejected, SpotifyAdsError
from spotify_ads_async.models import (
    CampaignSortField,
    ChangeHistorySortField,
    InsightDimension,
    ReportEntityType,
    ReportFieldType,
    ReportGranularity,
    SortDirection,
)
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.settings import Settings, settings_from
from spotify_ads_async.types import Secret, UnsetType, in_utc
from spotify_ads_async.validation.rules.reports import NO_INSIGHT_METRICS

__all__ = ["DEFAULT_METRICS", "backfill", "spotify_ads"]

logger = logging.getLogger("spotify_ads_async.dlt")

ClientFactory: TypeAlias = Callable[[], AdsClient]
_Read: TypeAlias = Callable[[AdAccount], AsyncIterator[Batch]]

_DELIVERY = ("IMPRESSIONS", "REACH", "FREQUENCY", "CLICKS", "CTR", "SPEND")
_PLAYS = ("STARTS", "FIRST_QUARTILES", "MIDPOINTS", "THIRD_QUARTILES", "COMPLETES", "COMPLETION_RATE", "VIDEO_VIEWS")
DEFAULT_METRICS: tuple[str, ...] = (*_DELIVERY, *_PLAYS)
"""What Ads Manager shows of a campaign, without breakdowns."""

_CURSOR_OVERLAP = timedelta(minutes=10)
"""Whole seconds, and replicas of the server: what changed about the remembered moment is read again."""
_BATCHES_AHEAD = 4
_ENTITIES = (ReportEntityType.CAMPAIGN, ReportEntityType.AD_SET, ReportEntityType.AD)
_PROBLEMS = dlt.mark.make_hints(table_name="load_problems", write_disposition="append")


class _Options(msgspec.Struct):
    accounts: Annotated[list[str], msgspec.Meta(min_length=1)] | None
    lookback_days: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    metrics: Annotated[list[str], msgspec.Meta(min_length=1)]
    insights: list[str]


def spotify_ads(
    accounts: Sequence[str] | None = None,
    start: date | str = "2024-01-01",
    *,
    end: date | str | None = None,
    lookback_days: int = 14,
    metrics: Sequence[str] = DEFAULT_METRICS,
    insights: Sequence[str] = (),
    client: ClientFactory | None = None,
) -> DltSource:
    """Businesses, ad accounts, their campaigns, ad sets, ads, assets, audiences, change history and reports.

    Entities are merged on their ``id``. What was archived or deleted stays, with its last status. Reports are merged by
    account and day: a day that is read again replaces what was there. Tables are ``campaign_report_daily``,
    ``campaign_report_hourly``, and the same for ``ad_set`` and ``ad``. Times are UTC; today is read again tomorrow.

    A count hidden for privacy is null with ``<metric>_hidden`` beside it. Money is a decimal in units of ``currency``.

    An account or a metric that is refused is named in the table ``load_problems`` and in the log, and the rest loads.
    Where the API fails otherwise, the run fails and nothing is remembered of it.

    Args:
        accounts: IDs of ad accounts; every one that can be seen if left out.
        start: the first day of reports, in UTC. Hourly reports reach back two weeks at most.
        end: the last day of reports; today if left out.
        lookback_days: for how many days the figures of a day are read again, for conversions that are attributed late.
        metrics: names of metrics, such as ``SPEND``.
        insights: dimensions, such as ``AGE``, for ``audience_insights``: the lifetime of each campaign by audience.
        client: makes a client for each table, on dlt's event loop; from the environment if left out. What it makes must
            share one governor and one sign-in, as those from the environment do.

    Raises:
        ConfigurationError: an option makes no sense, or the environment lacks credentials.
    """
    first, last = _day(start, "start"), None if end is None else _day(end, "end")
    if last and last < first:
        raise ConfigurationError(f"end {last} is before start {first}")
    told = {"accounts": accounts, "lookback_days": lookback_days, "metrics": metrics, "insights": insights}
    try:
        msgspec.convert(told, _Options)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"spotify_ads: {error}") from None
    named = None if accounts is None else [account.lower() for account in accounts]
    fields = tuple(dict.fromkeys(ReportFieldType(name.upper()) for name in metrics))
    client = client or _client_of(settings_from())
    streams: list[ReportStream | InsightStream] = [
        ReportStream(entity_type, granularity, fields, first, last, timedelta(days=lookback_days))
        for entity_type, granularity in product(_ENTITIES, (ReportGranularity.DAY, ReportGranularity.HOUR))
    ]
    if insights:
        told = [metric for metric in fields if metric not in NO_INSIGHT_METRICS]
        streams.append(InsightStream([InsightDimension(name) for name in insights], told))
    return dlt.source(_tables, name="spotify_ads", max_table_nesting=0)(client, named, streams)


def _tables(
    client: ClientFactory, accounts: Sequence[str] | None, streams: Iterable[ReportStream | InsightStream]
) -> Iterable[DltResource]:
    async def businesses() -> AsyncIterator[list[Row]]:
        async with client() as made:
            yield [row_of(one) for one in await made.with_options(keep_json=True).businesses.list().collect()]

    yield dlt.resource(businesses, primary_key="id", write_disposition="merge", max_table_nesting=0)
    for name, read in _MERGED.items():
        hints: Row = {"primary_key": "change_id" if name == "change_history" else "id", "write_disposition": "merge"}
        yield _stream(client, accounts, name, read, hints)
    for stream in streams:
        # dlt deletes what has a slice that comes again, and inserts what is not marked as removed.
        merge = {"disposition": "merge", "strategy": "delete-insert"}
        hints = {"columns": stream.columns(), "merge_key": "slice", "write_disposition": merge}
        known = all(one.known for one in stream.metrics)
        yield _stream(client, accounts, stream.name, stream.rows, hints, known=known)


def backfill(
    pipeline: dlt.Pipeline,
    start: date | str,
    *,
    slice_days: int = 30,
    tables: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 - those of spotify_ads
) -> None:
    """Load reports from ``start`` to today, slice by slice, and everything else at the end.

    Run it again after a kill: what was loaded is not asked for again, so at most one slice is read twice. ``options``
    are those of :func:`spotify_ads`. ``tables`` names what is wanted of it; everything if left out.

    Raises:
        ConfigurationError: as :func:`spotify_ads`, or a slice has no days.
    """
    if slice_days < 1:
        raise ConfigurationError(f"slice_days is 1 or more, not {slice_days}")
    if pipeline.has_pending_data:
        pipeline.run()  # what a killed run had extracted; a run with pending data extracts nothing
    first, today = _day(start, "start"), datetime.now(UTC).date()
    while first + timedelta(days=slice_days) < today:
        last = first + timedelta(days=slice_days - 1)
        source = spotify_ads(start=first, end=last, **options)
        reports = [name for name in tables or source.resources if "_report_" in name]
        pipeline.run(source.with_resources(*reports))
        first = last + timedelta(days=1)
    source = spotify_ads(start=first, **options)
    pipeline.run(source.with_resources(*tables) if tables else source)


@functools.cache
def _governor(_base_url: str, limits: tuple[Limit, ...], store: Secret) -> Governor:
    """The one governor of all tables and all runs of this process; each API has windows of its own."""
    return Governor(limits, store=store)


def _client_of(settings: Settings) -> ClientFactory:
    credentials = settings.needed_credentials()  # one: where a refresh token rotates, two would lock each other out
    governor = _governor(settings.base_url, settings.limits, settings.store)
    return lambda: AdsClient(credentials, base_url=settings.base_url, governor=governor, transport=settings.transport)


def _stream(
    client: ClientFactory, accounts: Sequence[str] | None, stream: str, read: _Read, hints: Row, *, known: bool = True
) -> DltResource:
    """One table of every account. What is refused is named in a table of its own, and the rest is read."""
    # The hints are the table's alone, so that the table of problems has none of them.
    table = dlt.mark.make_hints(table_name=stream, **hints)
    key: str = hints.get("primary_key", "slice")

    async def load(send: MemoryObjectSendStream[Any]) -> None:
        problems: dict[str, SpotifyAdsError] = {}
        async with send, client() as made:
            # A metric that is newer than this package is the API's to judge.
            ads = made.with_options(validate=known, keep_json=True)
            async with ads.across_accounts(read, accounts) as batches:
                async for account_id, batch in batches:
                    if isinstance(batch, tuple):
                        problems[f"{batch[0]} of ad account {account_id}"] = batch[1]
                        continue
                    kept = [row for row in batch if row.get(key) is not None]
                    if len(kept) < len(batch):
                        problems[f"rows without {key} of ad account {account_id}"] = InvalidAnswer(f"{key} is missing")
                    await send.send(dlt.mark.with_hints(kept, table, create_table_variant=True))
            problems |= {f"business {place}": error for place, error in batches.refused_businesses.items()}
            for account_id, error in batches.failures.items():
                if not isinstance(error, RequestRejected) or isinstance(error, RateLimited):
                    raise error
                problems[f"ad account {account_id}"] = error
            for place, error in problems.items():
                logger.warning("%s of %s was not loaded: %s", stream, place, error)
                row = {"stream": stream, "place": place, "error": str(error), "trace_id": error.trace_id}
                row |= {"noticed_at": datetime.now(UTC)}
                await send.send(dlt.mark.with_hints(row, _PROBLEMS, create_table_variant=True))

    async def rows() -> AsyncIterator[Any]:
        # dlt asks for each item in a task of its own, and what reads several accounts at once must stay in one.
        send, receive = anyio.create_memory_object_stream[Any](_BATCHES_AHEAD)
        loading = asyncio.create_task(load(send))
        with receive:
            try:
                async for batch in receive:
                    yield batch
                await loading
            finally:
                loading.cancel()

    return dlt.resource(rows, name=stream, max_table_nesting=0)


async def _ad_account(account: AdAccount) -> AsyncIterator[Batch]:
    yield [row_of(await account.get())]


def _listed(list_of: Callable[[AdAccount], ListCall[Any]]) -> Callable[[AdAccount], AsyncIterator[list[Row]]]:
    async def rows(account: AdAccount) -> AsyncIterator[list[Row]]:
        async with list_of(account).pages() as pages:
            async for page in pages:
                rows = [row_of(item) for item in page.items]
                yield [{**row, "ad_account_id": row.get("ad_account_id") or account.id} for row in rows]

    return rows


def _since(
    stream: str,
    moment: str,
    newest_of: Callable[[AdAccount], ListCall[Any]],
    list_of: Callable[[AdAccount, datetime | UnsetType], ListCall[Any]],
) -> _Read:
    """What changed since the last load. One moment per account is remembered, and only after its walk has ended.

    It is that of the newest change before the walk began: a walk may take hours, and what changes meanwhile in front of
    its place is older than what it sees behind.
    """

    async def rows(account: AdAccount) -> AsyncIterator[Batch]:
        cursors: dict[str, str] = dlt.current.resource_state(stream)
        before = cursors.get(account.id, "")
        since = datetime.fromisoformat(before) - _CURSOR_OVERLAP if before else UNSET
        newest = [row_of(item).get(moment) for item in (await newest_of(account)).items]
        async for batch in _listed(lambda account: list_of(account, since))(account):
            yield batch
        if newest and newest[0]:
            cursors[account.id] = max(before, newest[0].isoformat())

    return rows


_MERGED: Mapping[str, _Read] = {
    "ad_accounts": _ad_account,
    "campaigns": _since(
        "campaigns",
        "updated_at",
        lambda account: account.campaigns.list(
            sort_field=CampaignSortField.UPDATED_AT, sort_direction=SortDirection.DESC, limit=1
        ),
        lambda account, since: account.campaigns.list(updated_at_gte=since),
    ),
    "ad_sets": _listed(lambda account: account.ad_sets.list()),
    "ads": _listed(lambda account: account.ads.list()),
    "assets": _listed(lambda account: account.assets.list()),
    "audiences": _listed(lambda account: account.audiences.list()),
    "change_history": _since(
        "change_history",
        "timestamp",
        lambda account: account.change_history.list(
            sort_field=ChangeHistorySortField.TIMESTAMP, sort_direction=SortDirection.DESC, limit=1
        ),
        lambda account, since: account.change_history.list(created_gte=since),
    ),
}


def _day(value: date | str, name: str) -> date:
    """A day in UTC. A time without an offset is UTC's already, as in reports."""
    if isinstance(value, datetime):
        moment = in_utc(value)
        if value.time() == time() != moment.time():
            raise ConfigurationError(f"{name} {value.isoformat()} is amid {moment.date()} in UTC: name a day of UTC")
        return moment.date()
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{name} is a day such as 2026-01-31, not {value!r}") from None
