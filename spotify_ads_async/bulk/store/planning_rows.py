"""The rows of a plan in the making: laid by as they are read, and written when they are decided, each once."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

import msgspec

from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import Conflict, Effect, Refusal
from spotify_ads_async.bulk.plan.problems import Problem
from spotify_ads_async.bulk.plan.sources import Change, Doubt
from spotify_ads_async.bulk.records import Decision, PlanDamaged
from spotify_ads_async.bulk.store.rows import changed_since, checksum
from spotify_ads_async.bulk.store.schema import encode

__all__ = ["Decided", "PlanningRows", "ReadRow", "Repeated"]

AnswerT = TypeVar("AnswerT")

_ROW = (
    "INSERT INTO row (number, line, entity_id, change, decision, name, parent, unusual, before, after, state, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_MORE = "UPDATE row SET base = ?, reason = ?, field = ?, conflicts = ? WHERE number = ?"
"""What few rows have: binding it to each would cost more than this does."""
_STEP = "INSERT INTO step (row, position, body, state) VALUES (?, ?, ?, 'waiting')"


_REFUSED, _CONFLICT, _PLANNED = Decision.REFUSED, Decision.CONFLICT, Decision.PLANNED
"""Looked up once: in an enum that takes ten times as long."""
_IN_MEMORY = 1 << 24
"""Bytes; what is more goes to a temporary file."""


class ReadRow(msgspec.Struct, frozen=True, array_like=True):
    """A row that was read and is not decided yet."""

    number: int
    line: int
    entity_id: str
    change: dict[str, Any]
    doubts: dict[str, Doubt] = {}
    base: dict[str, Any] = {}


_row_encoder = msgspec.json.Encoder()
_row_decoder = msgspec.json.Decoder(ReadRow)


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a row comes down to.

    Attributes:
        row: the row.
        effect: what changes, or why nothing can.
        text: the entity's JSON that this was decided on.
        name: the entity's name.
        parent: what the entity is listed by.
        change: the new values by column, where they are others than those that were read.
        remark: what people should know of it.
        unusual: what is unusual about its amounts of money.
        conflicts: what somebody else changed too, so that the row is left alone.
    """

    row: ReadRow
    effect: Effect | Refusal
    text: str = ""
    name: str = ""
    parent: str = ""
    change: Mapping[str, Cell] | None = None
    remark: str = ""
    unusual: str = ""
    conflicts: tuple[Conflict, ...] = ()

    @property
    def decision(self) -> Decision:
        """What it comes down to, in a word."""
        if not isinstance(self.effect, Effect):
            return _REFUSED
        if self.conflicts:
            return _CONFLICT
        return _PLANNED if self.effect.steps else Decision.UNCHANGED


class Repeated(msgspec.Struct, frozen=True):
    """A row that says the same of the same entity as an earlier one: it counts once."""

    line: int
    earlier: int


class PlanningRows:
    """The rows of an open plan while it is made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._count = 0
        # Rows that are not decided yet: lines of JSON, and where each begins.
        self._rows = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the plan
        self._end = 0
        self._is_at_end = True
        self._waiting: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the rows that were laid by."""
        with contextlib.suppress(OSError):  # of what finds no place on a full disk
            self._rows.close()

    def number(self, change: Change) -> ReadRow:
        """A row with its place in the plan."""
        self._count += 1
        return ReadRow(self._count, change.line, change.entity_id, change.values, change.doubts)

    def add_change(self, change: Change) -> Problem | Repeated | None:
        """Add a row that was read.

        A second row for the same entity is answered with a problem, unless it says the same.
        """
        if change.entity_id in self._waiting:
            return self._duplicate(change)
        self._lay_by(self.number(change))
        return None

    def _lay_by(self, row: ReadRow) -> None:
        """Keep a row until it is decided, outside of memory where there are many."""
        self._waiting[row.entity_id] = self._end
        try:
            if not self._is_at_end:
                self._rows.seek(self._end)
                self._is_at_end = True
            self._end += self._rows.write(_row_encoder.encode(row) + b"\n")
        except OSError as problem:
            raise _no_room(problem) from None

    def _laid_by(self, place: int) -> ReadRow:
        self._is_at_end = False
        try:
            self._rows.seek(place)  # which writes what was still to be written
            return _row_decoder.decode(self._rows.readline())
        except OSError as problem:
            raise _no_room(problem) from None

    def _duplicate(self, change: Change) -> Problem | Repeated:
        row = self._laid_by(self._waiting[change.entity_id])
        line, earlier = row.line, row.change
        differing = next(
            (name for name, value in change.values.items() if name in earlier and earlier[name] != value), ""
        )
        if not differing and earlier == change.values and not change.doubts:
            return Repeated(line=change.line, earlier=line)
        if differing:
            reason = f"contradicts line {line}, which sets it to {encode(earlier[differing])}"
        else:
            reason = f"is the second row for this id, after line {line}: put the changes of one id into one row"
        return Problem(file="", line=change.line, column=differing, reason=reason, entity_id=change.entity_id)

    def add_refused(self, problem: Problem) -> None:
        """Keep a bad row, so that it has its place in the results."""
        refusal = Refusal(reason=problem.reason, column=problem.column)
        row = self.number(Change(line=problem.line, entity_id=problem.entity_id, values={}))
        self.decide([Decided(row=row, effect=refusal)])

    def add_base(self, entity_id: str, values: Mapping[str, Cell]) -> None:
        """Keep what an earlier export said of an entity, if it is in the plan."""
        if (place := self._waiting.get(entity_id)) is not None:
            self._lay_by(msgspec.structs.replace(self._laid_by(place), base=dict(values)))

    def unread_ids(self) -> list[str]:
        """The ids of the rows whose present state is not known yet."""
        return list(self._waiting)

    def take(self, found: Iterable[tuple[str, AnswerT]]) -> Iterator[tuple[ReadRow, AnswerT]]:
        """The rows of some entities, which are to be decided now, each with what was found of its entity."""
        waiting = [(self._waiting.pop(entity_id, None), answer) for entity_id, answer in found]
        placed = sorted(((place, answer) for place, answer in waiting if place is not None), key=itemgetter(0))
        return ((self._laid_by(place), answer) for place, answer in placed)

    def decide(self, decided: Iterable[Decided]) -> None:
        """Write down rows and what they come down to."""
        steps: list[tuple[int, int, str]] = []
        more: list[tuple[str | None, str, str, str | None, int]] = []
        self._connection.executemany(_ROW, (_stored(one, steps, more) for one in decided))
        self._connection.executemany(_MORE, more)
        self._connection.executemany(_STEP, steps)


def _no_room(problem: OSError) -> PlanDamaged:
    said = f"what was read finds no place in the folder for temporary files ({problem.strerror})"
    return PlanDamaged(f"{said}: make room there, or set TMPDIR to another one")


def _stored(
    one: Decided, steps: list[tuple[int, int, str]], more: list[tuple[str | None, str, str, str | None, int]]
) -> tuple[object, ...]:
    """A row as the file holds it, by the columns of :data:`_ROW`.

    Its requests are added to ``steps``, and what it has of :data:`_MORE` to ``more``.
    """
    row, effect = one.row, one.effect
    change, base = encode(row.change if one.change is None else one.change), encode(row.base) if row.base else None
    decision, reason, field, conflicts, before, after, check = one.decision, one.remark, "", None, None, None, None
    if not isinstance(effect, Effect):
        reason, field = effect.reason, effect.column
    else:
        before, after = encode(effect.before), encode(effect.after)
        bodies = [after] if len(effect.steps) == 1 else [encode(body) for body in effect.steps]
        steps += [(row.number, position, body) for position, body in enumerate(bodies)]
        check = checksum(row.entity_id, one.text, before, after, *bodies)
    if one.conflicts:
        reason, field = changed_since(one.conflicts), one.conflicts[0].field
        conflicts = encode(one.conflicts)
    if base or reason or field or conflicts:
        more.append((base, reason, field, conflicts, row.number))
    said = (row.number, row.line, row.entity_id, change, str(decision), one.name, one.parent, one.unusual)
    return (*said, before, after, one.text, check)
