"""From rows without an id to what is made of them.

Values, parents by name, media, and everything that is wrong, all at once. Pure.
"""

from __future__ import annotations

import copy
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, CAMPAIGNS
from spotify_ads_async.bulk.plan.cells import CLEAR, CellError, in_words, parse_cell
from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.money import AmountRefused, changed_amounts, check_amounts, in_units, unusual_changes
from spotify_ads_async.bulk.plan.problems import Problem
from spotify_ads_async.bulk.plan.sources import CURRENCY
from spotify_ads_async.bulk.plan.tables import NewRow
from spotify_ads_async.bulk.workbook.kinds import NewKind, folded, lacking
from spotify_ads_async.bulk.workbook.records import NewItem
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.validation.requests import check_body

__all__ = ["Known", "Reading", "Resolver", "Row"]

# Stands for an id that is not known yet, where rules want one.
_LONGEST_SHOWN = 60
_TO_COME = "00000000-0000-4000-8000-000000000000"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row without an id, with where it stands.

    Attributes:
        kind: what it makes.
        row: its cells.
        file: the file's name, for problems.
        place: tells the place of the row, or of its cell in a column.
    """

    kind: NewKind
    row: NewRow
    file: str
    place: Callable[[str], str]

    @property
    def name(self) -> str:
        """The name that it gives."""
        return self.row.cells.get("name", "")

    def problem(self, reason: str, column: str = "") -> Problem:
        """A problem of it, at its place."""
        return Problem(file=self.file, line=self.row.line, place=self.place(column), column=column, reason=reason)

    def column_of(self, path: str) -> str:
        """Its column nearest to a path in a request."""
        plain = path.partition("[")[0]
        fields = {column.writes: name for name in self.row.cells if (column := self.kind.columns.get(name)) is not None}
        fields |= {field: name for name, field in self.kind.media.items() if name in self.row.cells}
        while plain and plain not in fields:
            plain = plain.rpartition(".")[0]
        return fields.get(plain, "")


class Known(msgspec.Struct, frozen=True):
    """Something that is there, live or in a draft: its id, its name, and the id of what it is in."""

    id: str
    name: str
    parent_id: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What rows are held against.

    Attributes:
        currency: the account's currency.
        now: the present.
        clear: the token that empties a field, which says nothing of what is new.
        live: what is there already, by the plural of its kind; rows with an id in the same workbook are among it, by
            their new names.
        assets: the ids of assets, by name.
        media: the numbers of media files, by what the cell says.
        refused_media: why a media file cannot be used, by what the cell says.
    """

    currency: str
    now: datetime
    clear: str = CLEAR
    live: Mapping[str, Sequence[Known]]
    assets: Mapping[str, Sequence[str]]
    media: Mapping[str, int]
    refused_media: Mapping[str, str]


class Resolver:
    """Turns rows into new things; what is wrong with them collects in ``problems``."""

    def __init__(self, rows: Sequence[Row], reading: Reading) -> None:
        self._rows = rows
        self._reading = reading
        self.problems: list[Problem] = []
        self.items: list[NewItem] = []
        self._numbers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._by_number: dict[int, tuple[Row, NewItem]] = {}
        self._live = {plural: _by_name(found) for plural, found in reading.live.items()}

    def resolve(self) -> None:
        """Fill ``items`` and ``problems``, parents before children."""
        for number, row in enumerate(self._rows, start=1):
            self.problems += row.row.problems
            item = self._item(number, row)
            self._by_number[number] = (row, item)
            self._numbers[row.kind.plural, folded(row.name)].append(number)
            self.items.append(item)

    def _item(self, number: int, row: Row) -> NewItem:
        body, columns = self._body(row)
        media = self._media(row, body)
        parent, parent_id, campaign = self._parent(row)
        item = NewItem(
            number=number,
            plural=row.kind.plural,
            line=row.row.line,
            place=row.place("") or f"line {row.row.line}",
            name=row.name,
            body=body,
            columns=columns,
            media=media,
            parent=parent,
            parent_id=parent_id,
            campaign=campaign or (str(number) if not row.kind.parent else ""),
            key=str(uuid.uuid4()),
        )
        self._check(row, item)
        return item

    def resolved(self) -> Iterator[tuple[Row, NewItem, dict[str, Any]]]:
        """Every row with what it makes, and the request as far as it is known."""
        for row, item in self._by_number.values():
            yield row, item, _given(row, item)

    # ---- values

    def _body(self, row: Row) -> tuple[dict[str, Any], dict[str, str]]:
        body: dict[str, Any] = {}
        columns: dict[str, str] = {}
        special = {row.kind.parent_column, *row.kind.media, "campaign" if row.kind.parent == AD_SETS.plural else ""}
        for name, text in row.row.cells.items():
            column = row.kind.columns.get(name)
            if name == CURRENCY:
                if self._reading.currency and text.upper() != self._reading.currency:
                    self.problems.append(
                        row.problem(f"is {text}, and the account's currency is {self._reading.currency}", name)
                    )
                continue
            if column is None:
                self.problems.append(
                    row.problem(f"can be changed, and not given to a new {row.kind.entity.name}: leave it blank", name)
                )
                continue
            if name in special:
                columns[row.kind.parent_field if name == row.kind.parent_column else row.kind.media.get(name, name)] = (
                    row.place(name)
                )
                continue
            columns[column.writes] = row.place(name)
            if column.path[0] not in row.kind.held_by_drafts:
                self.problems.append(
                    row.problem("is not held by drafts: leave it blank, and set it when it is live", name)
                )
                continue
            try:
                if text == self._reading.clear:
                    raise CellError("has nothing to clear: the row is new")  # noqa: TRY301 - told with the others
                _put(
                    body,
                    column.path,
                    parse_cell(column, text, clear=self._reading.clear, currency=self._reading.currency),
                )
            except CellError as problem:
                self.problems.append(row.problem(str(problem), name))
        return body, columns

    def _check(self, row: Row, item: NewItem) -> None:
        """Everything that a row lacks, in one sentence; and rules, where it lacks nothing."""
        given = _given(row, item)
        bad = {
            problem.column
            for problem in self.problems
            if problem.line == row.row.line and problem.place == row.place(problem.column)
        }
        words = {field: column for column, field in row.kind.media.items()}
        missing = [words.get(name, name) for name in lacking(row.kind.create.body, given)]
        missing = [name for name in missing if name not in bad]
        if row.kind.parent and not row.row.cells.get(row.kind.parent_column):
            missing.insert(0, row.kind.parent_column)
        if missing:
            needed = ", ".join(missing)
            self.problems.append(
                row.problem(f"a row without an id is a new {row.kind.entity.name}, and this one lacks {needed}")
            )
        elif not bad:
            self._check_rules(row, given)

    def _check_rules(self, row: Row, given: dict[str, Any]) -> None:
        amounts = changed_amounts({}, given)
        try:
            check_amounts(amounts, self._reading.currency)
            if strange := unusual_changes(amounts, {}, given, self._reading.currency, now=self._reading.now):
                self.problems.append(
                    row.problem(
                        f"is unusual: {strange[0]}", in_units("budget.micro_amount") if "budget" in strange[0] else ""
                    )
                )
            check_body(row.kind.create, msgspec.convert(given, type=row.kind.create.body), now=self._reading.now)
        except AmountRefused as problem:
            self.problems.append(row.problem(str(problem), in_units(problem.field)))
        except msgspec.ValidationError as problem:
            self.problems.append(row.problem(in_words(problem)))
        except InvalidRequest as problem:
            self.problems.append(
                row.problem(problem.message.removeprefix("body."), row.column_of(problem.path.removeprefix("body.")))
            )

    # ---- media

    def _media(self, row: Row, body: dict[str, Any]) -> dict[str, int]:
        found: dict[str, int] = {}
        for column, field in row.kind.media.items():
            text = row.row.cells.get(column, "")
            if not text:
                continue
            asset = _as_id(text)
            if asset is not None:
                _put(body, tuple(field.split(".")), asset)
            elif text in self._reading.media:
                found[field] = self._reading.media[text]
            elif text in self._reading.refused_media:
                self.problems.append(row.problem(self._reading.refused_media[text], column))
            else:
                named = self._reading.assets.get(folded(text), ())
                if len(named) == 1:
                    _put(body, tuple(field.split(".")), named[0])
                else:
                    why = f"{len(named)} assets are called {text!r}: write the id of one" if named else _no_media(text)
                    self.problems.append(row.problem(why, column))
        return found

    # ---- parents

    def _parent(self, row: Row) -> tuple[int | None, str, str]:
        """The number of the new parent, or the id of the live one; and the campaign that both are in."""
        kind = row.kind
        text = row.row.cells.get(kind.parent_column, "") if kind.parent else ""
        if not text:
            return None, "", ""
        new = [one for one in self._numbers[kind.parent, folded(text)] if self._fits(one, row)]
        live = [one for one in self._named_live(kind.parent, text) if self._live_fits(one, row)]
        noun = "campaign" if kind.parent == CAMPAIGNS.plural else "ad set"
        if len(new) == 1 and not live:
            return new[0], "", self._by_number[new[0]][1].campaign
        if len(live) == 1 and not new:
            return None, live[0].id, live[0].id if kind.parent == CAMPAIGNS.plural else live[0].parent_id
        if not new and not live:
            reason = f"there is no {noun} {text!r}, in this workbook or live: an unknown name makes nothing"
        else:
            places = [self._by_number[one][1].place for one in new] + [one.id for one in live]
            reason = f"more than one {noun} is called {text!r} ({', '.join(places)}): write the id of one" + (
                ", or name its campaign in the column campaign" if kind.parent == AD_SETS.plural else ""
            )
        self.problems.append(row.problem(reason, kind.parent_column))
        return None, "", ""

    def _named_live(self, plural: str, text: str) -> Sequence[Known]:
        identifier = _as_id(text)
        if identifier is not None:
            return [one for one in self._reading.live.get(plural, ()) if one.id == identifier]
        return self._live.get(plural, {}).get(folded(text), ())

    def _fits(self, number: int, row: Row) -> bool:
        """Whether a new ad set is in the campaign that an ad's row names beside it."""
        wanted = row.row.cells.get("campaign", "") if row.kind.parent == AD_SETS.plural else ""
        return not wanted or folded(self._by_number[number][0].row.cells.get("campaign", "")) == folded(wanted)

    def _live_fits(self, one: Known, row: Row) -> bool:
        wanted = row.row.cells.get("campaign", "") if row.kind.parent == AD_SETS.plural else ""
        return not wanted or one.parent_id in {campaign.id for campaign in self._named_live(CAMPAIGNS.plural, wanted)}

    # ---- twins

    def refuse_twins(self) -> None:
        """Refuse a name that its siblings have already, in this workbook or live.

        The same file twice must make nothing twice.
        """
        seen: dict[tuple[str, str, str], NewItem] = {}
        for number, (row, item) in self._by_number.items():
            if not item.name:
                continue
            within = str(item.parent) if item.parent is not None else item.parent_id
            first = seen.setdefault((item.plural, within, folded(item.name)), item)
            noun = row.kind.entity.name
            if first.number != number:
                self.problems.append(
                    row.problem(f"is the name of {first.place}, too: give each new {noun} a name of its own", "name")
                )
            for twin in self._live.get(item.plural, {}).get(folded(item.name), ()):
                if not row.kind.parent or (item.parent is None and twin.parent_id == item.parent_id):
                    reason = f"there is an {noun}" if noun[0] == "a" else f"there is a {noun}"
                    self.problems.append(
                        row.problem(
                            f"{reason} of this name already, {twin.id}: give its id to change it, or another name to"
                            " make one more",
                            "name",
                        )
                    )
                    break


def _given(row: Row, item: NewItem) -> dict[str, Any]:
    """What is known of the request that makes something; ids that are yet to come stand for themselves."""
    given = copy.deepcopy(item.body)
    if row.kind.parent:
        given[row.kind.parent_field] = _TO_COME
    for field in item.media:
        _put(given, tuple(field.split(".")), _TO_COME)
    return given


def _by_name(found: Sequence[Known]) -> dict[str, list[Known]]:
    named: defaultdict[str, list[Known]] = defaultdict(list)
    for one in found:
        named[folded(one.name)].append(one)
    return named


def _as_id(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def _no_media(text: str) -> str:
    return f"{text[:_LONGEST_SHOWN]!r} is no file beside the workbook, no asset's name and no id"


def _put(body: dict[str, Any], path: Sequence[str], value: Cell) -> None:
    holder = body
    for part in path[:-1]:
        inner = holder.setdefault(part, {})
        if not isinstance(inner, dict):
            raise CellError(f"contradicts {part}, which sets it too")
        holder = cast("dict[str, Any]", inner)
    holder[path[-1]] = value
