"""What became of every row, as a file in input order; and what a plan changes, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.bulk.plan.cells import CLEAR, to_cell
from spotify_ads_async.bulk.plan.columns import Cell, Column
from spotify_ads_async.bulk.plan.csv_rows import CsvRows
from spotify_ads_async.bulk.plan.effects import Conflict, shown
from spotify_ads_async.bulk.plan.money import amounts_in_units, in_units
from spotify_ads_async.bulk.plan.state import same
from spotify_ads_async.bulk.plan.totals import PlanTotals
from spotify_ads_async.bulk.records import Decision, Header, PlannedChange, PlannedRow, RowOutcome
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.bulk.workbook.template import cell_of, sheet_column
from spotify_ads_async.core.files import whole_file
from spotify_ads_async.spreadsheets.writing import Emphasis, SheetColumn, WorkbookWriter

__all__ = [
    "RESULT_COLUMNS",
    "Difference",
    "differences",
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
        yield from _differences(row, field, row.before.get(field), after)


def _differences(row: PlannedChange, name: str, before: Any, after: Any) -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    if before.__class__ is dict and after.__class__ is dict:
        for key in {**before, **after}:
            if not same(before.get(key), after.get(key)):
                yield from _differences(row, f"{name}.{key}", before.get(key), after.get(key))
    else:
        yield Difference(name=row.name, entity_id=row.entity_id, line=row.line, field=name, before=before, after=after)


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


def plan_totals(plan: PlanFile) -> PlanTotals:
    """Count every row of a plan."""
    totals = PlanTotals()
    for row in plan.changes():
        totals.add(row)
    return totals
