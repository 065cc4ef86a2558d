"""What became of every row, as a file in input order; and what a plan comes to, in figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

import msgspec

from spotify_ads_async.bulk.plan.cells import CLEAR, CsvRows, to_cell
from spotify_ads_async.bulk.plan.columns import Cell, Column
from spotify_ads_async.bulk.plan.effects import Conflict, shown
from spotify_ads_async.bulk.plan.money import amounts_in_units, in_units, most_spent
from spotify_ads_async.bulk.plan.state import same
from spotify_ads_async.bulk.records import Decision, Header, PlannedChange, PlannedRow, RowOutcome
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.bulk.workbook.template import cell_of, sheet_column
from spotify_ads_async.core.files import whole_file
from spotify_ads_async.money import format_micros
from spotify_ads_async.spreadsheets.writing import Emphasis, SheetColumn, WorkbookWriter

__all__ = [
    "RESULT_COLUMNS",
    "Difference",
    "PlanTotals",
    "budget_of",
    "differences",
    "is_off",
    "plan_totals",
    "preview",
    "result",
    "write_results",
]

RESULT_COLUMNS = (
    "name",
    "outcome",
    "fields",
    "column",
    "reason",
    "planned_from",
    "found",
    "wanted",
    "http_status",
    "trace_id",
    "requests",
    "line",
    "id",
)
_ARCHIVED = "ARCHIVED"
_MONEY = "micro_amount"
_TIMES = frozenset({"start_time", "end_time"})
_FLIGHT = _TIMES | {"budget"}
_SWITCHES = frozenset({"delivery", "status"})
_SPENT = _FLIGHT | _SWITCHES


class _Budgeted(TypedDict, total=False):
    """What of an entity tells what it may spend; most of its JSON is about something else."""

    budget: Any
    start_time: Any
    end_time: Any
    delivery: Any
    status: Any


_budgeted = msgspec.json.Decoder(_Budgeted)


def result(row: PlannedRow) -> dict[str, object]:
    """One row of the results, by :data:`RESULT_COLUMNS`."""
    planned, found, wanted = (_values(row.conflicts, name) for name in ("planned", "found", "wanted"))
    return {
        "name": row.name,
        "outcome": row.outcome.value,
        "fields": " ".join(row.after),
        "column": row.column,
        "reason": row.reason,
        "planned_from": planned,
        "found": found,
        "wanted": wanted,
        "http_status": row.status,
        "trace_id": row.trace_id,
        "requests": row.requests,
        "line": row.line,
        "id": row.entity_id,
    }


def _values(conflicts: Sequence[Conflict], name: str) -> str:
    """One of the three values of every conflict."""
    return "; ".join(f"{one.field}={shown(getattr(one, name))}" for one in conflicts)


def write_results(rows: Iterable[PlannedRow], path: Path, header: Header | None = None) -> None:
    """Write every row's outcome, by the name's end as JSON Lines, a workbook or CSV.

    A file appears whole or not at all.
    What is there and no file, such as a device or a pipe, is written to and never replaced.

    A workbook has what failed or was refused first. With the plan's ``header`` it has a further sheet of those rows
    alone, as changes, each with the reason at the cell that it is about: mended there, it is a file to apply.
    """
    with whole_file(path) as place:
        if path.suffix.lower() == ".xlsx" and place != path:
            _write_workbook(rows, place, header)
        else:
            _write_table(rows, place, path.suffix)


def _write_table(rows: Iterable[PlannedRow], path: Path, suffix: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".jsonl":
            file.writelines(msgspec.json.encode(result(row)).decode() + "\n" for row in rows)
            return
        writer = CsvRows(file)
        writer.write(RESULT_COLUMNS)
        for row in rows:
            writer.write(map(_safe, result(row).values()))


_COLOURS = {
    "failed": "#FFE0E0",
    "refused": "#FFE0E0",
    "unknown": "#FFE0E0",
    "conflict": "#FFF0D0",
    "waiting": "#FFF0D0",
}
_AGAIN = frozenset({RowOutcome.FAILED, RowOutcome.REFUSED, RowOutcome.CONFLICT})


def _write_workbook(rows: Iterable[PlannedRow], path: Path, header: Header | None) -> None:
    ordered = sorted(rows, key=lambda one: one.outcome.value not in _COLOURS)
    widths = {"reason": 70.0, "id": 38.0, "trace_id": 38.0}
    columns = [
        SheetColumn(name=one, width=widths.get(one, 16), number_format="0" if one == "line" else "@")
        for one in RESULT_COLUMNS
    ]
    with WorkbookWriter(path) as book:
        sheet = book.sheet("Results", columns)
        for row in map(result, ordered):
            cells = [row[name] if name == "line" else _plain(row[name]) for name in RESULT_COLUMNS]
            sheet.write(cells, Emphasis(colour=_COLOURS.get(str(row["outcome"]), "")))
        again = [row for row in ordered if row.outcome in _AGAIN]
        if header is not None and again:
            _add_changes(book, again, header)


def _add_changes(book: WorkbookWriter, rows: Sequence[PlannedRow], header: Header) -> None:
    """A sheet of some rows as changes, each with its reason at the cell that it is about."""
    kind, currency = header.kind, header.currency
    columns = [column for name, column in kind.columns.items() if any(name in row.change for row in rows)]
    id_column = SheetColumn(name=kind.id_column, width=38, shaded=True)
    sheet = book.sheet(kind.plural, [id_column, *(sheet_column(one, currency) for one in columns)])
    for row in rows:
        cells = [_cell_again(one, row.change, currency) for one in columns]
        place = row.column if row.column in row.change else kind.id_column
        sheet.write([row.entity_id, *cells], Emphasis(colour=_COLOURS[row.outcome.value], notes={place: row.reason}))


def _cell_again(column: Column, change: Mapping[str, Cell], currency: str) -> object:
    if column.name not in change:
        return None
    value = change[column.name]
    return CLEAR if value is None else cell_of(column, value, currency)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _safe(value: object) -> str:
    """A cell that no spreadsheet runs as a formula."""
    return to_cell(value) if isinstance(value, str) else ("" if value is None else str(value))


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field that a row changes."""

    name: str
    entity_id: str
    line: int
    field: str
    before: object
    after: object


def differences(row: PlannedChange) -> Iterator[Difference]:
    """What a row changes, by field; structs of which only parts change are given by their parts."""
    for field, after in row.after.items():
        before = row.before.get(field)
        if isinstance(after, dict):
            yield from _differences(row, field, before, after)
        else:
            yield Difference(
                name=row.name, entity_id=row.entity_id, line=row.line, field=field, before=before, after=after
            )


def _differences(row: PlannedChange, name: str, before: Any, after: Any) -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    match before, after:
        case dict(), dict():
            old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
            for key in {**old, **new}:
                if not same(old.get(key), new.get(key)):
                    yield from _differences(row, f"{name}.{key}", old.get(key), new.get(key))
        case _:
            yield Difference(
                name=row.name, entity_id=row.entity_id, line=row.line, field=name, before=before, after=after
            )


def preview(row: PlannedRow) -> list[dict[str, Any]]:
    """A planned row as people read it: a line for each field that changes, with amounts in units, or why none does."""
    about = {"name": row.name, "id": row.entity_id} | ({"unusual": row.unusual} if row.unusual else {})
    if row.decision in {Decision.REFUSED, Decision.CONFLICT}:
        return [{**about, row.decision.value: row.reason}]
    return [
        {**about, "field": in_units(one.field)}
        | {when: amounts_in_units(getattr(one, when), one.field) for when in ("before", "after")}
        for one in differences(row)
    ]


class PlanTotals(msgspec.Struct, kw_only=True):
    """What a plan comes to.

    Attributes:
        rows: all rows.
        planned: rows with something to do.
        unchanged: rows that are as wanted already.
        refused: rows that cannot be carried out.
        conflicts: rows that somebody else changed.
        unusual: rows with unusual amounts of money.
        requests: requests that the plan takes.
        requests_held_back: requests of the rows in conflict, which are made where they are overwritten.
        fields: how many rows change a field.
        budget_before: micros over the rows that change a budget, by the budget's type.
        budget_after: the same afterwards.
        budget_growth: micros by which rows let budgets grow, whatever others shrink. A budget that becomes one of
            another type, begins to be spent, or has its flight prolonged so that more is spent, counts whole.
        most_before: micros that the ad sets whose budgets or flights change may spend at most until their flights end.
        most_after: the same afterwards.
        unbounded_before: how many of them nothing bounds, since they have a budget a day and no end.
        unbounded_after: the same afterwards.
        paused: rows that stop delivering.
        resumed: rows that start delivering.
        archived: rows that are archived, which nothing takes back.
    """

    rows: int = 0
    planned: int = 0
    unchanged: int = 0
    refused: int = 0
    conflicts: int = 0
    unusual: int = 0
    requests: int = 0
    requests_held_back: int = 0
    fields: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_before: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_after: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_growth: int = 0
    most_before: int = 0
    most_after: int = 0
    unbounded_before: int = 0
    unbounded_after: int = 0
    paused: int = 0
    resumed: int = 0
    archived: int = 0
    now: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    def add(self, row: PlannedChange) -> None:
        """Count one row."""
        self.rows += 1
        match row.decision:
            case Decision.PLANNED:
                self._add_planned(row)
            case Decision.UNCHANGED:
                self.unchanged += 1
            case Decision.CONFLICT:
                self.conflicts += 1
                self.requests_held_back += row.steps
            case _:
                self.refused += row.decision is Decision.REFUSED

    def _add_planned(self, row: PlannedChange) -> None:
        self.planned += 1
        self.unusual += bool(row.unusual)
        self.requests += row.steps
        for field in row.after:
            self.fields[field] += 1
        if not _SWITCHES.isdisjoint(row.after):
            off_before, off_after = (is_off(values) for values in (row.before, row.after))
            archived = _ARCHIVED in {row.after.get("status"), row.after.get("delivery")}
            self.archived += archived
            self.paused += off_after and not off_before and not archived
            self.resumed += off_before and not off_after
        if not _SPENT.isdisjoint(row.after):
            self._add_budget(row)

    def in_words(self, currency: str) -> str:
        """What somebody agrees to: ``change 12 rows, 1 unusual, budgets grow by 330.00 USD``."""
        parts = {"start delivering": self.resumed, "archived for good": self.archived, "unusual": self.unusual}
        said = [f"change {self.planned} rows", *(f"{count} {part}" for part, count in parts.items() if count)]
        grow = [f"budgets grow by {format_micros(self.budget_growth)} {currency}"] if self.budget_growth else []
        return ", ".join([*said, *grow])

    def _add_budget(self, row: PlannedChange) -> None:
        """Count the budget of an ad set, and what it may spend until its flight ends."""
        state: dict[str, Any] = {**(_budgeted.decode(row.text) if row.text else {}), **row.before}
        changed = {**state, **row.after}
        (old_type, old), (new_type, new) = budget_of(state), budget_of(changed)
        if "budget" in row.after:
            for budgets, kind, amount in ((self.budget_before, old_type, old), (self.budget_after, new_type, new)):
                if amount is not None:
                    budgets[str(kind)] += amount
        anew = is_off(state) and not is_off(changed)
        anew = anew or (not _TIMES.isdisjoint(row.after) and _is_prolonged(state, changed, self.now))
        self.budget_growth += max(0, (new or 0) - (old or 0 if old_type == new_type and not anew else 0))
        if _FLIGHT.isdisjoint(row.after):
            return
        before = most_spent(state, self.now)
        after = most_spent(changed, self.now)
        self.most_before += before or 0
        self.most_after += after or 0
        self.unbounded_before += before is None
        self.unbounded_after += after is None


def _is_prolonged(before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> bool:
    """Whether more of the same budget is spent until the flight's end; nothing bounds what has no end."""
    most = [most_spent({**flight, "budget": after.get("budget")}, now) for flight in (before, after)]
    old, new = (math.inf if one is None else one for one in most)
    return new > old


def budget_of(values: Mapping[str, Any]) -> tuple[object, int | None]:
    """The type of a budget and its amount in micros, None where there is none."""
    budget: Any = values.get("budget")
    if not isinstance(budget, dict):
        return None, None
    held = cast("dict[str, Any]", budget)
    return held.get("type"), amount if isinstance(amount := held.get(_MONEY), int) else None


def is_off(values: Mapping[str, object]) -> bool:
    """Whether what has these values delivers nothing."""
    return values.get("delivery") in {"OFF", _ARCHIVED} or values.get("status") in {"PAUSED", _ARCHIVED}


def plan_totals(plan: PlanFile) -> PlanTotals:
    """Count every row of a plan."""
    totals = PlanTotals()
    for row in plan.changes():
        totals.add(row)
    return totals
