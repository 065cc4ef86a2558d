"""``spotify-ads report``: metrics by entity and day, as rows or as a chart."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import anyio
import msgspec
import typer

from spotify_ads_async.bulk.plan.columns import suggestion
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.cli.completing import complete_id, complete_metrics
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import AdAccounts, AllAccounts, Limit, OutputForm, Wide, needed_some
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.parquet import ColumnKind
from spotify_ads_async.cli.progress import doing
from spotify_ads_async.cli.reading import ACCOUNT_COLUMN, write_rows
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.terminal import console, progress_line
from spotify_ads_async.cli.text import printable
from spotify_ads_async.cli.zones import Zone, zone_of
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.client import AdsClient
from spotify_ads_async.models import ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.reports import AggregateReportCall, AtLeast, Hidden, ReportRow
from spotify_ads_async.reports.chart import svg, text
from spotify_ads_async.reports.rows import EXACTLY, Kind, adds_up, kind_of
from spotify_ads_async.reports.series import periods, series, title
from spotify_ads_async.types import UNSET

__all__ = ["report"]

_CHARTED = ("SPEND", "IMPRESSIONS", "COMPLETES")
_COUNTED = ("SPEND", "IMPRESSIONS", "CLICKS", "REACH")
_HIDDEN = "hidden"
"""The column that names a row's hidden metrics, and what a table shows in their cells."""


class Of(enum.StrEnum):
    """What rows are about."""

    AD_SETS = "ad-sets"
    ADS = "ads"
    CAMPAIGNS = "campaigns"
    ACCOUNT = "account"


class By(enum.StrEnum):
    """Whether there is a row per day."""

    DAY = "day"
    HOUR = "hour"
    LIFETIME = "lifetime"


class OnFailedMetric(enum.StrEnum):
    """What happens where the server fails to report a metric."""

    RAISE = "raise"
    DROP = "drop"


_KINDS: Mapping[Kind, ColumnKind] = {
    Kind.COUNT: ColumnKind.WHOLE,
    Kind.MONEY: ColumnKind.MONEY,
    Kind.SHARE: ColumnKind.NUMBER,
}
_TYPES: Mapping[Of, ReportEntityType] = {
    Of.AD_SETS: ReportEntityType.AD_SET,
    Of.ADS: ReportEntityType.AD,
    Of.CAMPAIGNS: ReportEntityType.CAMPAIGN,
    Of.ACCOUNT: ReportEntityType.AD_ACCOUNT,
}


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - _range says whose day it is
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it as 2031-12-31") from None


Since = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        parser=_day,
        metavar="DATE",
        help="The first day, as 2031-12-31; by default 30 days, or 24 hours.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", parser=_day, metavar="DATE", help="The last day, included; today by default."),
]


def report(
    of: Annotated[Of, typer.Argument(help="What rows are about.")] = Of.CAMPAIGNS,
    chart_file: Annotated[
        Path | None, typer.Argument(metavar="FILE.svg", help="Where --chart draws to, instead of here.")
    ] = None,
    *,
    chart: Annotated[bool, typer.Option("--chart", help="Draw spend, impressions and completion over time.")] = False,
    by: Annotated[By, typer.Option(help="A row per day, per hour (two weeks at most), or one in all.")] = By.DAY,
    since: Since = None,
    until: Until = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Only these; repeat for more, any number.", autocompletion=complete_id),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Metrics, such as spend,impressions,ctr.", autocompletion=complete_metrics),
    ] = None,
    on_failed_metric: Annotated[
        OnFailedMetric,
        typer.Option(help="What to do where the server fails with a metric, as with revenue by the hour."),
    ] = OnFailedMetric.RAISE,
    zone: Zone = None,
    limit: Limit = None,
    wide: Wide = False,
    ad_account: AdAccounts = None,
    all_accounts: AllAccounts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Report metrics of any range and any number of entities. Spend is in currency units.

    What the API hides for privacy, such as counts of 1 to 4, is empty, and named in the column hidden.
    """
    if chart_file is not None and (not chart or chart_file.suffix.lower() != ".svg"):
        usage_error(f"{chart_file}: a chart goes to a file by --chart FILE.svg")
    if chart and by is By.LIFETIME:
        usage_error("--chart needs days or hours: leave out --by lifetime")
    if chart and limit is not None:
        usage_error("--limit is for rows: a chart is of all of them")
    fields = _metrics(metrics or ",".join(_CHARTED if chart else _COUNTED))
    if chart:
        _require_chartable(of, fields, ids)
    place = zone_of(zone)
    if place is not None and by is By.DAY and place.key != "UTC":
        say(f"days are those of UTC, for the API has no others; --by hour tells the hours of {place}")
    request = _Request(
        of=of,
        by=by,
        span=_range(by, since, until, datetime.now(UTC), place),
        zone=place if by is By.HOUR else None,
        ids=ids,
        fields=fields,
        ad_accounts=needed_some(ad_account, every=all_accounts),
        on_failed_metric=on_failed_metric.value,
    )
    if chart and len(request.ad_accounts) != 1:
        usage_error("--chart is for one ad account: others may have another currency")
    told = _Told(request, output, limit=limit, wide=wide)
    run(lambda: _draw(told, chart_file) if chart else _write(told))


def _metrics(given: str) -> list[ReportFieldType]:
    """The metrics of a list with commas, each once."""
    names = [name.strip().upper().replace("-", "_") for name in given.split(",")]
    fields = list(dict.fromkeys(ReportFieldType(name) for name in names if name))
    if not fields:
        usage_error(f"--metrics {given}: name one at least, such as spend")
    unknown = [field for field in fields if not field.known]
    if unknown:
        metric, known = unknown[0].lower(), sorted(one.value.lower() for one in ReportFieldType)
        hint = suggestion(metric, known) or f"; there are {', '.join(known)}"
        usage_error(f"--metrics {metric}: there is no such metric{hint}")
    return fields


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported; ``span`` is the first and the last period, ``zone`` that of times as shown, UTC by default."""

    of: Of
    by: By
    span: tuple[datetime, datetime] | None
    zone: ZoneInfo | None
    ids: list[str] | None
    fields: list[ReportFieldType]
    ad_accounts: tuple[str, ...]
    on_failed_metric: Literal["raise", "drop"]


class _Told:
    """A report, and what is to be said of it once it is read."""

    def __init__(self, request: _Request, output: Output, *, limit: int | None, wide: bool) -> None:
        self.request = request
        self.output = output
        self.limit = limit
        self.wide = wide
        self.hidden: Counter[str] = Counter()
        self.currency = ""
        self.sums: dict[ReportFieldType, Decimal | int] = {}
        self._rows = 0
        self._absent: Counter[str] = Counter()
        self._without_rows = {one.lower(): one for one in request.ids or ()}
        self._calls: list[AggregateReportCall] = []

    async def know_ids(self, client: AdsClient) -> None:
        """Make shortened IDs whole."""
        request = self.request
        if request.ids and len(request.ad_accounts) == 1 and request.of is not Of.ACCOUNT:
            ids = await whole_ids(client, request.of.replace("-", " "), request.ad_accounts[0], request.ids)
            self.request = msgspec.structs.replace(request, ids=ids)
            self._without_rows = {one.lower(): one for one in ids}

    def call(self, account: Account) -> AggregateReportCall:
        """The report of one account, not yet asked for."""
        request = self.request
        call = account.reports.aggregate(
            entity_type=_TYPES[request.of],
            entity_ids=request.ids or UNSET,
            fields=request.fields,
            granularity=ReportGranularity(request.by.upper()),
            report_start=request.span[0] if request.span else UNSET,
            report_end=request.span[1] if request.span else UNSET,
            on_failed_metric=request.on_failed_metric,
        )
        self._calls.append(call)
        return call

    def came(self, row: ReportRow) -> None:
        """Note that the entity has a row, and what is not in it."""
        self._without_rows.pop((row.entity_id or "").lower(), None)
        self._rows += 1
        self._absent.update(set(self.request.fields) - row.values().keys())

    def row(self, row: ReportRow) -> dict[str, Any]:
        """What is written of a row."""
        self.hidden.update(row.hidden)
        self.came(row)
        several = len(self.request.ad_accounts) != 1
        for field in filter(adds_up, self.request.fields):
            if several and kind_of(field) is Kind.MONEY:
                continue  # other accounts may have another currency
            before = self.sums.get(field, 0)
            match row.get(field):
                case Decimal() as value:
                    self.sums[field] = EXACTLY.add(Decimal(before), value)
                case int(value):
                    self.sums[field] = before + value
                case _:
                    pass
        return _cells(row, self.request, self.output) | ({"currency": self.currency} if self.currency else {})

    def say(self) -> int:
        """Say what is hidden, and what is missing because the report failed with it. Answers the exit code."""
        if self.output is Output.TABLE and self._rows > 1 and self.sums:
            money = f" {self.currency}".rstrip()
            said = (
                f"{title(one)} {value:,f}{money}" if isinstance(value, Decimal) else f"{title(one)} {value:,}"
                for one, value in self.sums.items()
            )
            what = "in all" if self._rows != self.limit else f"in these {self._rows} rows, as limited"
            say(f"{what}: {' · '.join(said)}")
        counts = [f"{self.hidden[name]} of {title(name)}" for name in self.request.fields if self.hidden[name]]
        if counts:
            say(f"hidden by the API for privacy, as counts of 1 to 4 are: {', '.join(counts)}; no sum holds them")
        failed = {metric: problem for call in self._calls for metric, problem in call.failed_metrics.items()}
        absent = {one: self._absent[one] for one in self.request.fields if self._absent[one] and one not in failed}
        untold = [title(one) for one, count in absent.items() if count == self._rows]
        partly = [f"{title(one)} in {count}" for one, count in absent.items() if count < self._rows]
        if untold:
            say(f"no row has {', '.join(untold)}: the server told nothing of it, which is not zero")
        if partly:
            say(f"absent, which is not zero: {', '.join(partly)} of {self._rows} rows; no sum holds it")
        for warning in dict.fromkeys(warning for call in self._calls for warning in call.warnings):
            say(f"the server says: {printable(warning)}")
        if self._without_rows and self.limit is None:
            ids = ", ".join(self._without_rows.values())
            say(f"no rows came of {ids}: nothing was delivered, or the ad account has no such {self.request.of}")
        for metric, problem in failed.items():
            say(f"{title(metric)} is missing: {problem}")
        return FAILED if failed else DONE


def _require_chartable(of: Of, fields: Sequence[ReportFieldType], ids: Sequence[str] | None) -> None:
    """A chart adds up what its entities did: refuse metrics of which there is no sum."""
    wrong = [title(field) for field in fields if not adds_up(field)]
    if wrong and of is not Of.ACCOUNT and len({one.lower() for one in ids or ()}) != 1:
        usage_error(
            f"{', '.join(wrong)} of several {of} cannot be added up: chart the account, or one of the {of} with --id ID"
        )


def _range(
    by: By, since: datetime | None, until: datetime | None, now: datetime, zone: ZoneInfo | None
) -> tuple[datetime, datetime] | None:
    """First and last period. By the hour, days are those of the zone, and the last ends at the present hour."""
    if by is By.LIFETIME:
        if since is not None or until is not None:
            usage_error("--by lifetime is over all time: leave out --from and --to, or report --by day")
        return None
    hours, day = by is By.HOUR, timedelta(days=1)

    def start(of: datetime) -> datetime:
        return of.replace(tzinfo=zone if hours and zone else UTC).astimezone(UTC)

    try:
        now = now.replace(minute=0, second=0, microsecond=0)
        if hours:
            last = now if until is None else min(now, start(until + day) - timedelta(hours=1))
        else:
            last = now.replace(hour=0) if until is None else start(until)
        first = last - (timedelta(hours=23) if hours else 29 * day) if since is None else start(since)
    except OverflowError:
        named = f"--to {until.date()}" if until else f"--from {(since or now).date()}"
        usage_error(f"{named} is at the end of all dates: name the first day with --from, or another one")
    if first > last:
        usage_error(f"--from {(since or first).date()} lies after {f'--to {until.date()}' if until else 'the present'}")
    if first.minute or last.minute:
        usage_error(
            f"--zone {zone}: its days begin within an hour of UTC, and the API has whole hours alone; leave it out"
        )
    return first, last


async def _write(told: _Told) -> int:
    """Write the report's rows. Answers the exit code."""
    fields, output = told.request.fields, told.output
    figures = (*(("start_time",) if told.request.span else ()), *(field.lower() for field in fields))
    # On a narrow terminal the last columns go: people read names.
    columns = (
        ("entity_name", *figures, "entity_id")
        if output is Output.TABLE
        else ("entity_id", "entity_name", *figures, _HIDDEN)
    )
    if len(told.request.ad_accounts) != 1:
        columns = (ACCOUNT_COLUMN, *columns)
    kinds = {
        "start_time": ColumnKind.MOMENT,
        _HIDDEN: ColumnKind.TEXT,
        **{field.lower(): _KINDS[kind_of(field)] for field in fields},
    }
    async with connected() as client:
        await told.know_ids(client)
        if output is Output.TABLE and len(told.request.ad_accounts) == 1:
            told.currency = await currency_of(client, told.request.ad_accounts[0])
        code = await write_rows(
            client,
            told.request.ad_accounts,
            told.call,
            Rows(output, columns, kinds=kinds, wide=told.wide),
            limit=told.limit,
            row_of=told.row,
        )
    return told.say() or code


def _cells(row: ReportRow, request: _Request, output: Output) -> dict[str, Any]:
    values = row.values()
    cells: dict[str, Any] = {"entity_id": row.entity_id, "entity_name": row.entity_name}
    if request.span and row.start_time is not None:
        if request.zone is not None:
            cells["start_time"] = row.start_time.astimezone(request.zone).isoformat(timespec="seconds")
        else:
            day_alone = output is Output.TABLE and request.by is By.DAY
            cells["start_time"] = row.start_time.strftime("%Y-%m-%d" if day_alone else "%Y-%m-%dT%H:%M:%SZ")
    hidden: list[str] = []
    for field in request.fields:
        match values.get(field):
            case Hidden() | AtLeast():
                hidden.append(field.lower())
                cells[field.lower()] = _HIDDEN if output is Output.TABLE else None
            case Decimal() as value:
                # In JSON it keeps every digit as text.
                cells[field.lower()] = value if output in {Output.CSV, Output.TABLE} else f"{value:f}"
            case value:
                cells[field.lower()] = value
    return {**cells, _HIDDEN: hidden if output in {Output.JSON, Output.JSONL} else ", ".join(hidden) or None}


async def _draw(told: _Told, file: Path | None) -> int:
    """Draw the report. Answers the exit code."""
    request, (ad_account,) = told.request, told.request.ad_accounts
    async with connected() as client:
        await told.know_ids(client)
        with doing("reading the report"):
            account = await client.ad_account(ad_account).get()
            rows = await told.call(client.ad_account(ad_account)).collect()
    for row in rows:
        told.came(row)
    times = periods(rows, request.span, timedelta(hours=1) if request.by is By.HOUR else timedelta(days=1))
    every = list(series(rows, request.fields, times))
    money = f", money in {account.currency_code}" if account.currency_code else ""
    head = f"{request.of} of {account.name or ad_account}{money}"
    if file is None:
        progress_line.clear()
        console().out(f"{printable(head)}\n\n{text(times, every, console().width)}", highlight=False, end="")
    else:
        await anyio.Path(file).write_text(svg(times, every, head), encoding="utf-8")
        say(f"the chart is in {file}")
    return told.say()
