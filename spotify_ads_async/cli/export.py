"""``spotify-ads export``: files that ``bulk`` reads back, and trees that ``import`` makes anew."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import typer

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import amount_cell
from spotify_ads_async.bulk.plan.columns import Column, suggestion
from spotify_ads_async.bulk.plan.columns import Kind as ColumnKind
from spotify_ads_async.bulk.plan.deciding import currency_in
from spotify_ads_async.bulk.plan.expressions import list_query, parse_condition
from spotify_ads_async.bulk.plan.headers import plain
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.sources import CURRENCY
from spotify_ads_async.bulk.plan.state import State, leaf, writable_state
from spotify_ads_async.bulk.workbook.describing import describe
from spotify_ads_async.bulk.workbook.template import cell_of, sheet_column
from spotify_ads_async.cli.completing import complete_writable
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import AdAccount, Where, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.trees import export_tree
from spotify_ads_async.core.files import whole_file
from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.spreadsheets.writing import SheetColumn, WorkbookWriter

__all__ = ["export"]


Kind: TypeAlias = Literal["ad-sets", "campaigns", "ads", "tree"]
"""What is exported."""


Form: TypeAlias = Literal["csv", "jsonl", "xlsx"]
"""The form of an export."""
_FORMS: Mapping[str, Form] = {"": "csv", ".csv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".xlsx": "xlsx"}
"""By what a file's name ends with."""


def export(
    kind: Annotated[Kind, typer.Argument(help="What to export.")],
    *,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The file to write, .csv, .jsonl or .xlsx; stdout by default.", dir_okay=False),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option("--output", "-o", help="The form; by the file's name, else csv. A tree is jsonl always."),
    ] = None,
    where: Where = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="A,B",
            help="These columns alone, beside the id; all writable ones by default.",
            autocompletion=complete_writable,
        ),
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark/--no-mark", help="Begin a .csv file with the mark by which spreadsheets know UTF-8.")
    ] = True,
    micros: Annotated[
        bool, typer.Option("--micros", help="Amounts of money in micros, and not in currency units; JSON Lines always.")
    ] = False,
    archived: Annotated[bool, typer.Option("--archived", help="With tree: also what is archived.")] = False,
    ad_account: AdAccount = None,
) -> None:
    """Write the id and every writable field; what is written and read back by bulk changes nothing.

    With tree: every campaign with its ad sets and ads, whole, as JSON Lines that import makes anew.
    """
    if kind == "tree":
        if where or columns:
            usage_error(f"{'--where' if where else '--columns'} is not for a tree, which is exported whole")
        if (form or "jsonl") != "jsonl" or (to is not None and to.suffix.lower() in {".csv", ".xlsx"}):
            usage_error("a tree is exported as JSON Lines: name a file such as tree.jsonl, and leave out other forms")
        run(lambda: export_tree(needed(ad_account), to, archived=archived))
    if archived:
        usage_error("--archived is for a tree; with other kinds use --where status=ARCHIVED")
    chosen = form or _form_of(to)
    if chosen == "xlsx" and to is None:
        usage_error("a workbook is no text for standard output: name a file, as in --to ad-sets.xlsx")
    entity = ENTITIES[kind.replace("-", " ")]
    asked = _Asked(
        entity=entity,
        ad_account=needed(ad_account),
        where=tuple(where or ()),
        columns=_chosen(entity, columns, micros=micros or chosen == "jsonl"),
        form=chosen,
        to=to,
        mark=mark,
    )
    run(lambda: _export(asked))


def _form_of(to: Path | None) -> Form:
    """The form that a file's name says."""
    suffix = "" if to is None else to.suffix.lower()
    form = _FORMS.get(suffix)
    if form is None:
        usage_error(f"--to {to}: name a .csv, .jsonl or .xlsx file, or say with --output what {suffix} shall hold")
    return form


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be exported, and how."""

    entity: Entity
    ad_account: str
    where: tuple[str, ...]
    columns: tuple[Column, ...]
    form: Form
    to: Path | None
    mark: bool

    @property
    def has_amounts(self) -> bool:
        return any(column.kind is ColumnKind.AMOUNT for column in self.columns)


def _chosen(entity: Entity, names: str | None, *, micros: bool) -> tuple[Column, ...]:
    """The columns to write: those that are named, in any spelling, or all of an export."""
    if names is None:
        return tuple(entity.export_columns(micros=micros))
    found: list[Column] = []
    for name in filter(None, (one.strip() for one in names.split(","))):
        column = next((one for one in entity.columns.values() if plain(one.name) == plain(name)), None)
        if column is None and plain(name) not in {plain(entity.id_column), CURRENCY}:
            usage_error(f"--columns {names}: there is no column {name}{suggestion(name, entity.columns)}")
        found += [column] if column is not None and column not in found else []
    if not found:
        usage_error("--columns names no column that can be changed")
    return tuple(found)


async def _export(asked: _Asked) -> None:
    entity = asked.entity
    conditions = [parse_condition(entity, text) for text in asked.where]
    count = 0
    async with connected() as client:
        currency = await currency_of(client, asked.ad_account) if asked.has_amounts else ""
        items: ListCall[Any] = ListCall(
            client.with_options(keep_json=True),
            entity.list,
            path={"ad_account_id": asked.ad_account},
            query={"limit": 50, **list_query(entity, conditions)},
        )
        with _writer(asked, currency) as write, counting(f"{entity.plural} exported") as counted:
            async with items.walk() as walk:
                async for item in walk:
                    answer: dict[str, Any] = item.json
                    if all(condition.holds(answer) for condition in conditions):
                        _require_sound(entity, item.id, currency_in(answer), currency)
                        write(str(item.id), writable_state(entity, item))
                        counted()
                        count += 1
    say(f"{count} {entity.plural} exported{f' to {asked.to}' if asked.to else ''}")


def _require_sound(entity: Entity, entity_id: object, theirs: str, currency: str) -> None:
    """Refuse a row that nobody could change by what the file says of it."""
    if not entity_id:
        raise InvalidAnswer(f"a list leaves out the id of one of the {entity.plural}: nothing was exported")
    if currency and theirs not in {"", currency}:
        raise InvalidAnswer(
            f"the budget of {entity_id} is in {theirs}, and the ad account in {currency}: which amounts the file would"
            " hold is not known, and nothing was exported"
        )


Write: TypeAlias = Callable[[str, State], None]
"""Writes a row: an id, and the state that it has."""


@contextlib.contextmanager
def _writer(asked: _Asked, currency: str) -> Generator[Write]:
    if asked.form == "xlsx" and asked.to is not None:
        with _workbook(asked, asked.to, currency) as into_sheet:
            yield into_sheet
        return
    names = [
        asked.entity.id_column,
        *(column.name for column in asked.columns),
        *([CURRENCY] if asked.has_amounts else []),
    ]
    amounts = [column for column in asked.columns if column.kind is ColumnKind.AMOUNT]
    # Spreadsheets take a file without the mark for one of the machine's own encoding.
    encoding = "utf-8-sig" if asked.mark and asked.form == "csv" else "utf-8"
    if asked.to is not None and asked.to.exists():
        raise FileExistsError(f"{asked.to} is there already: name another file, or remove it")
    with (
        whole_file(asked.to) if asked.to else nullcontext() as part,
        part.open("w", encoding=encoding, newline="") if part else nullcontext(sys.stdout) as stream,
        Rows(Output(asked.form), names, stream=stream) as rows,
    ):

        def write(entity_id: str, state: State) -> None:
            in_units = {column.name: amount_cell(leaf(state, column.path), currency) for column in amounts}
            values = (
                {column.name: leaf(state, column.path) for column in asked.columns} if asked.form == "csv" else state
            )
            rows.write(
                {asked.entity.id_column: entity_id, **values, **in_units, **({CURRENCY: currency} if amounts else {})}
            )

        yield write


@contextlib.contextmanager
def _workbook(asked: _Asked, to: Path, currency: str) -> Generator[Write]:
    entity = asked.entity
    columns = [
        SheetColumn(name=entity.id_column, width=38, shaded=True, note="Which one the row changes. Leave it as it is."),
        *(sheet_column(column, currency) for column in asked.columns),
        *(
            [SheetColumn(name=CURRENCY, width=10, shaded=True, note="The currency of the amounts.")]
            if asked.has_amounts
            else []
        ),
    ]
    with WorkbookWriter(to) as book:
        sheet = book.sheet(entity.plural, columns)

        def write(entity_id: str, state: State) -> None:
            cells = [cell_of(column, leaf(state, column.path), currency) for column in asked.columns]
            sheet.write([entity_id, *cells, *([currency] if asked.has_amounts else [])])

        yield write
        notes = [f"{column.name}\t{describe(column, currency=currency)}" for column in asked.columns]
        book.text("How to", [*_EXPLANATION, "# Columns", *notes])


_EXPLANATION = (
    "# How this workbook is used",
    "1\tChange cells, delete rows and columns that you do not need. Grey columns are there to be read.",
    "2\tspotify-ads bulk plan THIS_FILE\tshows what would change. Nothing is changed by that.",
    "3\tspotify-ads bulk apply THIS_FILE\tshows it again, asks, and changes it.",
    "4\tspotify-ads bulk undo PLAN\ttakes it back.",
    "",
    "# Cells",
    "blank\tkeeps what is there",
    "<clear>\tempties a field",
    "",
)
