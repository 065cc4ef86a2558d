"""``spotify-ads report``: metrics by entity and day, as rows or as a chart."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from spotify_ads_async.cli.chart import Series, svg, text
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import AdAccounts, AllAccounts, OutputForm, needed_some
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.parquet import ColumnKind
from spotify_ads_async.cli.reading import ACCOUNT_COLUMN, write_rows
from spotify_ads_async.cli.run import DONE, run, say, usage_error
from spotify_ads_async.cli.terminal import console
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.models import ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.reports import HIDDEN, AggregateReportCall, ReportRow
from spotify_ads_async.reports.rows import Kind, kind_of
from spotify_ads_async.types import UNSET

__all__ = ["report"]

_CHARTED = ("SPEND", "IMPRESSIONS", "COMPLETES")
_COUNTED = ("SPEND", "IMPRESSIONS", "CLICKS", "REACH")


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


_KINDS: Mapping[Kind, ColumnKind] = {Kind.COUNT: ColumnKind.WHOLE, Kind.MONEY: ColumnKind.MONEY, Kind.SHARE: ColumnKind.NUMBER}
_TYPES: Mapping[Of, ReportEntityType] = {
    Of.AD_SETS: ReportEntityType.AD_SET,
    Of.ADS: ReportEntityType.AD,
    Of.CAMPAIGNS: ReportEntityType.CAMPAIGN,
    Of.ACCOUNT: ReportEntityType.AD_ACCOUNT,
}


def report(
    of: Annotated[Of, typer.Argument(help="What rows are about.")] = Of.CAMPAIGNS,
    chart_file: Annotated[Path | None, typer.Argument(metavar="FILE.svg", help="Where --chart draws to, instead of here.")] = None,
    *,
    chart: Annotated[bool, typer.Option("--chart", help="Draw spend, impressions and completion over time.")] = False,
    by: Annotated[By, typer.Option(help="A row per day, per hour (two weeks at most), or one in all.")] = By.DAY,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="The first day (UTC), as 2031-12-31; 30 days ago by default."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="The last day, included; today by default.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only these; repeat for more, any number.")] = None,
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="Metrics, such as spend,impressions,ctr.")] = None,
    ad_account: AdAccounts = None,
    all_accounts: AllAccounts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Report metrics of any range and any number of entities. Spend is in currency units; -5 stands for a hidden count of 1 to 4."""
    if chart_file is not None and (not chart or chart_file.suffix.lower() != ".svg"):
        usage_error(f"{chart_file}: a chart goes to a file by --chart FILE.svg")
    if chart and by is By.LIFETIME:
        usage_error("--chart needs days or hours: leave out --by lifetime")
    names = [name.strip().upper().replace("-", "_") for name in (metrics or ",".join(_CHARTED if chart else _COUNTED)).split(",")]
    fields = [ReportFieldType(name) for name in names if name]
    unknown = [field for field in fields if not field.known]
    if unknown:
        usage_error(f"--metrics {unknown[0].lower()}: there are {', '.join(sorted(one.value.lower() for one in ReportFieldType))}")
    target: Path | bool = chart_file or chart
    span = _range(by, since, until)
    accounts = needed_some(ad_account, every=all_accounts)
    if chart and len(accounts) != 1:
        usage_error("--chart is for one ad account: others may have another currency")
    run(lambda: _report(of, by, span, ids=ids, fields=fields, ad_accounts=accounts, output=output, chart=target))


def _range(by: By, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime] | None:
    """First and last period."""
    if by is By.LIFETIME:
        return None
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    if by is By.HOUR:
        return (
            now - timedelta(days=1) if since is None else since.replace(tzinfo=UTC),
            now if until is None else until.replace(tzinfo=UTC),
        )
    today = now.replace(hour=0)
    last = today if until is None else until.replace(tzinfo=UTC)
    return (last - timedelta(days=29) if since is None else since.replace(tzinfo=UTC), last)


async def _report(
    of: Of,
    by: By,
    span: tuple[datetime, datetime] | None,
    *,
    ids: list[str] | None,
    fields: list[ReportFieldType],
    ad_accounts: tuple[str, ...],
    output: Output,
    chart: Path | bool,
) -> int:
    figures = (*(("start_time",) if span else ()), *(field.lower() for field in fields))
    # On a narrow terminal the last columns go: people read names.
    columns = ("entity_name", *figures, "entity_id") if output is Output.TABLE else ("entity_id", "entity_name", *figures)
    if len(ad_accounts) != 1:
        columns = (ACCOUNT_COLUMN, *columns)
    moment = "%Y-%m-%d" if output is Output.TABLE and by is By.DAY else "%Y-%m-%dT%H:%M:%SZ"

    def read(account: Account) -> AggregateReportCall:
        return account.reports.aggregate(
            entity_type=_TYPES[of],
            entity_ids=ids or UNSET,
            fields=fields,
            granularity=ReportGranularity(by.upper()),
            report_start=span[0] if span else UNSET,
            report_end=span[1] if span else UNSET,
        )

    async with connected() as client:
        if chart is not False:
            rows = await read(client.ad_account(ad_accounts[0])).collect()
            await _draw(rows, fields, f"{of} of {ad_accounts[0]}", None if chart is True else chart)
            return DONE
        kinds = {"start_time": ColumnKind.MOMENT, **{field.lower(): _KINDS[kind_of(field)] for field in fields}}
        cells = functools.partial(_cells, fields=fields, moment=moment if span else None)
        return await write_rows(client, ad_accounts, read, Rows(output, columns, kinds=kinds), row_of=cells)


def _cells(row: ReportRow, fields: Sequence[ReportFieldType], moment: str | None) -> dict[str, Any]:
    values = row.values()
    cells: dict[str, Any] = {"entity_id": row.entity_id, "entity_name": row.entity_name}
    if moment is not None and row.start_time is not None:
        cells["start_time"] = row.start_time.strftime(moment)
    for field in fields:
        value = values.get(field)
        # A Decimal as text keeps every digit.
        cells[field.lower()] = -5 if value is HIDDEN else value if value is None or isinstance(value, int) else str(value)
    return cells


async def _draw(rows: Sequence[ReportRow], fields: Sequence[ReportFieldType], title: str, file: Path | None) -> None:
    times = sorted({row.start_time for row in rows if row.start_time is not None})
    sums: dict[str, dict[datetime, float]] = {field: {} for field in fields}
    for row in rows:
        for field, value in row.values().items():
            if row.start_time is not None and value is not HIDDEN and field in sums:
                sums[field][row.start_time] = sums[field].get(row.start_time, 0.0) + float(value)
    every = [Series(field.lower().replace("_", " "), [sums[field].get(time) for time in times]) for field in sums if field != "COMPLETES"]
    if {"COMPLETES", "IMPRESSIONS"} <= sums.keys():
        shares = [_share(sums["COMPLETES"].get(time), sums["IMPRESSIONS"].get(time)) for time in times]
        every.append(Series("completion, %", shares))
    if file is None:
        console().out(text(times, every, console().width), highlight=False, end="")
    else:
        await anyio.Path(file).write_text(svg(times, every, title), encoding="utf-8")
        say(f"the chart is in {file}")


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else 100.0 * part / whole
