"""``spotify-ads report``: metrics by entity and day, as rows or as a chart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from spotify_ads_async.bulk.plan.columns import suggestion
from spotify_ads_async.cli.completing import (
    complete_id,
    complete_metrics,
    complete_report_column,
    complete_report_condition,
)
from spotify_ads_async.cli.options import AdAccounts, AllAccounts, Limit, Wide, needed_some
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.reading import ACCOUNT_COLUMN, conditions_on
from spotify_ads_async.cli.reporting import HIDDEN, METRICS, REPORTED, By, Of, Request, Told, draw, write
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.zones import Zone, zone_of
from spotify_ads_async.models import ReportFieldType
from spotify_ads_async.reports.rows import adds_up
from spotify_ads_async.reports.series import title

__all__ = ["report"]

_NARROWEST = 30
_CHARTED = ("SPEND", "IMPRESSIONS", "COMPLETES")
_COUNTED = ("SPEND", "IMPRESSIONS", "CLICKS", "REACH")


_Form = Annotated[
    Literal["table", "json", "jsonl", "csv", "parquet", "svg"],
    typer.Option("--output", "-o", envvar="SPOTIFY_ADS_OUTPUT", help="The form of results; svg is a chart."),
]
"""One of the forms of a list, or a picture."""


_OnFailedMetric = Annotated[
    Literal["raise", "drop"],
    typer.Option(help="What to do where the server fails with a metric, as with revenue by the hour."),
]


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - _range says whose day it is
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it as 2031-12-31") from None


Since = Annotated[
    datetime | None,
    typer.Option(
        "--from", parser=_day, metavar="DATE", help="The first day, as 2031-12-31; by default 30 days, or 24 hours."
    ),
]
Until = Annotated[
    datetime | None, typer.Option("--to", parser=_day, metavar="DATE", help="The last day, included; today by default.")
]

_File = Annotated[Path | None, typer.Argument(metavar="FILE.svg", help="Where --chart draws to, instead of here.")]
_Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="Only these; repeat for more, any number.", autocompletion=complete_id),
]
_Metrics = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Metrics, such as spend,impressions,ctr.", autocompletion=complete_metrics),
]
_Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Such as name~autumn, spend>=100 or clicks>0; all must hold.",
        autocompletion=complete_report_condition,
    ),
]
_Fields = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="A,B",
        help="Columns of a table or CSV, such as name,start_time,spend.",
        autocompletion=complete_report_column,
    ),
]
_Width = Annotated[
    int | None,
    typer.Option(min=_NARROWEST, metavar="COLUMNS", help="How wide --chart draws; by default as the terminal is."),
]


def report(
    of: Annotated[Of, typer.Argument(help="What rows are about.")] = "campaigns",
    chart_file: _File = None,
    *,
    chart: Annotated[bool, typer.Option("--chart", help="Draw spend, impressions and completion over time.")] = False,
    by: Annotated[By, typer.Option(help="A row per day, per hour (two weeks at most), or one in all.")] = "day",
    since: Since = None,
    until: Until = None,
    ids: _Ids = None,
    metrics: _Metrics = None,
    where: _Where = None,
    columns: _Fields = None,
    on_failed_metric: _OnFailedMetric = "raise",
    zone: Zone = None,
    limit: Limit = None,
    wide: Wide = False,
    ad_account: AdAccounts = None,
    all_accounts: AllAccounts = False,
    width: _Width = None,
    output: _Form = "table",
) -> None:
    """Report metrics of any range and any number of entities. Spend is in currency units.

    What the API hides for privacy, such as counts of 1 to 4, is empty, and named in the column hidden.
    """
    as_svg = output == "svg"
    chart = chart or as_svg
    if chart_file is not None and (not chart or chart_file.suffix.lower() != ".svg"):
        usage_error(f"{chart_file}: a chart goes to a file by --chart FILE.svg")
    if chart:
        _require_drawn(by, output, "--fields" if columns else "" if limit is None else "--limit")
    conditions, chosen = conditions_on(REPORTED, where), _columns(columns)
    shown = [name for name in chosen if name in METRICS]
    asked = metrics.split(",") if metrics is not None else shown or (_CHARTED if chart else _COUNTED)
    also = [name for one in conditions if (name := one.column.name) in METRICS]
    fields = _metrics([*asked, *shown, *also])
    if chart:
        _require_chartable(of, fields, ids)
    place = zone_of(zone)
    if place is not None and by == "day" and place.key != "UTC":
        say(f"days are those of UTC, for the API has no others; --by hour tells the hours of {place}")
    request = Request(
        of=of,
        by=by,
        span=_range(by, since, until, datetime.now(UTC), place),
        zone=place if by == "hour" else None,
        ids=ids,
        fields=fields,
        conditions=tuple(conditions),
        columns=tuple(chosen),
        ad_accounts=needed_some(ad_account, every=all_accounts),
        on_failed_metric=on_failed_metric,
    )
    if chart and len(request.ad_accounts) != 1:
        usage_error("--chart is for one ad account: others may have another currency")
    told = Told(request, Output.TABLE if as_svg else Output(output), limit=limit, wide=wide)
    run(lambda: draw(told, chart_file, width, as_svg=as_svg) if chart else write(told))


def _metrics(names: Iterable[str]) -> list[ReportFieldType]:
    """Metrics by their names, each once."""
    fields = list(
        dict.fromkeys(ReportFieldType(name.strip().upper().replace("-", "_")) for name in names if name.strip())
    )
    if not fields:
        usage_error("--metrics: name one at least, such as spend")
    unknown = [field for field in fields if not field.known]
    if unknown:
        metric, known = unknown[0].lower(), sorted(one.value.lower() for one in ReportFieldType)
        hint = suggestion(metric, known) or f"; there are {', '.join(known)}"
        usage_error(f"--metrics {metric}: there is no such metric{hint}")
    return fields


def _columns(given: str | None) -> list[str]:
    """The columns of ``--fields``, nothing where there is none."""
    names = [name.strip() for name in given.split(",")] if given is not None else []
    known = {**REPORTED.answer_columns, **dict.fromkeys((HIDDEN, ACCOUNT_COLUMN))}
    for name in names:
        if name not in known:
            hint = suggestion(name, known) or f"; there are {', '.join(known)}"
            usage_error(f"--fields {name}: there is no such field{hint}")
    return [column.writes if (column := known[name]) else name for name in names]


def _require_drawn(by: By, output: str, for_rows: str) -> None:
    """Refuse with a chart what only rows have."""
    if output not in {"table", "svg", os.environ.get("SPOTIFY_ADS_OUTPUT")}:
        usage_error(f"--chart draws, and {output} is for rows: one of them, or --output svg")
    if by == "lifetime":
        usage_error("--chart needs days or hours: leave out --by lifetime")
    if for_rows:
        usage_error(f"{for_rows} is for rows: a chart is of all of them")


def _require_chartable(of: Of, fields: Sequence[ReportFieldType], ids: Sequence[str] | None) -> None:
    """A chart adds up what its entities did: refuse metrics of which there is no sum."""
    wrong = [title(field) for field in fields if not adds_up(field)]
    if wrong and of != "account" and len({one.lower() for one in ids or ()}) != 1:
        usage_error(
            f"{', '.join(wrong)} of several {of} cannot be added up: chart the account, or one of the {of} with --id ID"
        )


def _range(
    by: By, since: datetime | None, until: datetime | None, now: datetime, zone: ZoneInfo | None
) -> tuple[datetime, datetime] | None:
    """First and last period. By the hour, days are those of the zone, and the last ends at the present hour."""
    if by == "lifetime":
        if since is not None or until is not None:
            usage_error("--by lifetime is over all time: leave out --from and --to, or report --by day")
        return None
    hours, day = by == "hour", timedelta(days=1)

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
