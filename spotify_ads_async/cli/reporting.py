"""Reports as rows or as charts: what is asked for, written or drawn, and what is said of it afterwards."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import anyio
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.bulk.plan.columns import Column
from spotify_ads_async.bulk.plan.columns import Kind as ColumnType
from spotify_ads_async.bulk.plan.expressions import Condition
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.output import Output, Rows, shown
from spotify_ads_async.cli.parquet import ColumnKind
from spotify_ads_async.cli.progress import doing
from spotify_ads_async.cli.reading import ACCOUNT_COLUMN, write_rows
from spotify_ads_async.cli.run import DONE, FAILED, say
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.terminal import console, put
from spotify_ads_async.cli.text import printable
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.client import AdsClient
from spotify_ads_async.models import ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.reports import AggregateReportCall, AtLeast, Hidden, ReportRow
from spotify_ads_async.reports.chart import svg, text, when
from spotify_ads_async.reports.rows import EXACTLY, Kind, adds_up, kind_of
from spotify_ads_async.reports.series import over_time, title
from spotify_ads_async.types import UNSET, time_text

__all__ = ["HIDDEN", "METRICS", "REPORTED", "By", "Of", "Request", "Told", "draw", "write"]

HIDDEN = "hidden"
"""The column that names a row's hidden metrics, and what a table shows in their cells."""
METRICS: Mapping[str, ReportFieldType] = {one.value.lower(): one for one in ReportFieldType}
"""By the names that columns have."""
_COLUMN_PIXELS = 10
"""How wide a picture is for each column of a terminal."""


class _Reported(NamedTuple):
    """What conditions on a report can be about."""

    plural: str
    answer_columns: Mapping[str, Column]
    list: ListOperation[Any, Any]


def _columns() -> Iterator[Column]:
    for name in ("entity_name", "entity_id"):
        yield Column(name, ColumnType.TEXT, str)
        yield Column(name.removeprefix("entity_"), ColumnType.TEXT, str, writes=name)
    yield Column("start_time", ColumnType.TIME, str)
    for name, metric in METRICS.items():
        whole = kind_of(metric) is Kind.COUNT
        yield Column(name, ColumnType.INTEGER if whole else ColumnType.NUMBER, int if whole else float)


REPORTED = _Reported("report rows", {one.name: one for one in _columns()}, operations.GET_AGGREGATE_REPORT)
"""Rows of reports, as conditions and ``--fields`` name what is in them."""


Of: TypeAlias = Literal["ad-sets", "ads", "campaigns", "account"]
"""What rows are about."""


By: TypeAlias = Literal["day", "hour", "lifetime"]
"""Whether there is a row per day."""


_KINDS: Mapping[Kind, ColumnKind] = {
    Kind.COUNT: ColumnKind.WHOLE,
    Kind.MONEY: ColumnKind.MONEY,
    Kind.SHARE: ColumnKind.NUMBER,
}
_TYPES: Mapping[Of, ReportEntityType] = {
    "ad-sets": ReportEntityType.AD_SET,
    "ads": ReportEntityType.AD,
    "campaigns": ReportEntityType.CAMPAIGN,
    "account": ReportEntityType.AD_ACCOUNT,
}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported.

    Attributes:
        span: the first and the last period.
        zone: the zone of times as shown, UTC by default.
        conditions: what must hold of a row.
        columns: those of a table or CSV, by default all that is known of a row.
    """

    of: Of
    by: By
    span: tuple[datetime, datetime] | None
    zone: ZoneInfo | None
    ids: list[str] | None
    fields: list[ReportFieldType]
    conditions: tuple[Condition, ...] = ()
    columns: tuple[str, ...] = ()
    ad_accounts: tuple[str, ...]
    on_failed_metric: Literal["raise", "drop"]


class Told:
    """A report, and what is to be said of it once it is read."""

    def __init__(self, request: Request, output: Output, *, limit: int | None, wide: bool) -> None:
        self.request = request
        self.output = output
        self.limit = limit
        self.wide = wide
        self.hidden: Counter[str] = Counter()
        self.currency = ""
        self.sums: dict[ReportFieldType, Decimal | int] = {}
        self._rows = 0
        self._absent: Counter[str] = Counter()
        self._undecided: Counter[str] = Counter()
        self._without_rows = {one.lower(): one for one in request.ids or ()}
        self._calls: list[AggregateReportCall] = []

    async def know_ids(self, client: AdsClient) -> None:
        """Make shortened IDs whole."""
        request = self.request
        if request.ids and len(request.ad_accounts) == 1 and request.of != "account":
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

    def takes(self, row: ReportRow) -> bool:
        """Whether every condition holds of a row; and note that its entity has one, and what is not in it."""
        self._without_rows.pop((row.entity_id or "").lower(), None)
        plain = _plain(row) if self.request.conditions else {}
        # Of what is not told nobody knows whether a condition holds; one that fails decides.
        untold = [one for one in self.request.conditions if plain.get(one.column.writes) is None]
        if any(one not in untold and not one.holds(plain) for one in self.request.conditions):
            return False
        if untold:
            self._undecided.update({one.column.writes for one in untold})
            return False
        self._rows += 1
        self._absent.update(set(self.request.fields) - row.values().keys())
        return True

    def row(self, row: ReportRow) -> dict[str, Any] | None:
        """What is written of a row, None where a condition does not hold."""
        if not self.takes(row):
            return None
        self.hidden.update(row.hidden)
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
            said = (
                f"{title(one)} {shown('', value, self.currency) if isinstance(value, Decimal) else f'{value:,}'}"
                for one, value in self.sums.items()
            )
            what = "in all" if self._rows != self.limit else f"in these {self._rows} rows, as limited"
            say(f"{what}: {' · '.join(said)}")
        money = [title(field) for field in self.request.fields if kind_of(field) is Kind.MONEY]
        if money and len(self.request.ad_accounts) != 1:
            say(f"{', '.join(money)}: in the currency of each ad account, which `spotify-ads accounts` tells")
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
        for name, count in self._undecided.items():
            rows = "1 row is" if count == 1 else f"{count} rows are"
            say(f"{rows} left out: the API hides or omits {title(name)}, so nobody knows whether --where holds")
        for warning in dict.fromkeys(warning for call in self._calls for warning in call.warnings):
            say(f"the server says: {printable(warning)}")
        if self._without_rows and self.limit is None:
            ids = ", ".join(self._without_rows.values())
            say(f"no rows came of {ids}: nothing was delivered, or the ad account has no such {self.request.of}")
        for metric, problem in failed.items():
            say(f"{title(metric)} is missing: {problem}")
        return FAILED if failed else DONE


async def write(told: Told) -> int:
    """Write the report's rows. Answers the exit code."""
    fields, output = told.request.fields, told.output
    figures = (*(("start_time",) if told.request.span else ()), *(field.lower() for field in fields))
    # On a narrow terminal the last columns go: people read names.
    columns = told.request.columns or (
        ("entity_name", *figures, "entity_id")
        if output is Output.TABLE
        else ("entity_id", "entity_name", *figures, HIDDEN)
    )
    if len(told.request.ad_accounts) != 1:
        columns = tuple(dict.fromkeys((ACCOUNT_COLUMN, *columns)))
    kinds = {
        "start_time": ColumnKind.MOMENT,
        HIDDEN: ColumnKind.TEXT,
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


def _plain(row: ReportRow) -> dict[str, Any]:
    """A row as conditions see it; what is hidden is not there."""
    figures = {
        field.lower(): float(value) if isinstance(value, Decimal) else value
        for field, value in row.values().items()
        if isinstance(value, int | Decimal)
    }
    moment = row.start_time and time_text(row.start_time)
    return {"entity_id": row.entity_id, "entity_name": row.entity_name, "start_time": moment, **figures}


def _cells(row: ReportRow, request: Request, output: Output) -> dict[str, Any]:
    values = row.values()
    cells: dict[str, Any] = {"entity_id": row.entity_id, "entity_name": row.entity_name}
    if request.span and row.start_time is not None:
        if request.zone is not None:
            cells["start_time"] = row.start_time.astimezone(request.zone).isoformat(timespec="seconds")
        else:
            told = when if output is Output.TABLE and request.by == "day" else time_text
            cells["start_time"] = told(row.start_time)
    hidden: list[str] = []
    for field in request.fields:
        match values.get(field):
            case Hidden() | AtLeast():
                hidden.append(field.lower())
                cells[field.lower()] = HIDDEN if output is Output.TABLE else None
            case Decimal() as value:
                # In JSON it keeps every digit as text.
                cells[field.lower()] = value if output in {Output.CSV, Output.TABLE} else f"{value:f}"
            case value:
                cells[field.lower()] = value
    return {**cells, HIDDEN: hidden if output in {Output.JSON, Output.JSONL} else ", ".join(hidden) or None}


async def draw(told: Told, file: Path | None, width: int | None, *, as_svg: bool) -> int:
    """Draw the report, ``width`` columns wide or as the terminal is. Answers the exit code."""
    request, (ad_account,) = told.request, told.request.ad_accounts
    async with connected() as client:
        await told.know_ids(client)
        with doing("reading the report"):
            account = await client.ad_account(ad_account).get()
            rows = [row async for row in told.call(client.ad_account(ad_account)) if told.takes(row)]
    step = timedelta(hours=1) if request.by == "hour" else timedelta(days=1)
    times, every = over_time(rows, request.fields, request.span, step)
    money = f", money in {account.currency_code}" if account.currency_code else ""
    head = f"{request.of} of {account.name or ad_account}{money}"
    columns = width or console().width
    drawn = svg(times, every, head, columns * _COLUMN_PIXELS) if as_svg or file else text(times, every, columns)
    if file is not None:
        await anyio.Path(file).write_text(drawn, encoding="utf-8")
        say(f"the chart is in {file}")
    elif as_svg:
        put(sys.stdout, drawn)
    else:
        put(sys.stdout, f"{printable(head)}\n\n{drawn}")
    return told.say()
