"""The rows of a plan in the making: read from a file, and decided one batch after another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import Effect
from spotify_ads_async.bulk.plan.sources import Change, Doubt, Problem
from spotify_ads_async.bulk.records import Decision
from spotify_ads_async.bulk.store.rows import checksum
from spotify_ads_async.bulk.store.schema import decode, encode

__all__ = ["Decided", "PlanningRows", "ReadRow", "Repeated"]

_doubts = msgspec.json.Decoder(dict[str, Doubt])


class ReadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was read and is not decided yet."""

    number: int
    line: int
    entity_id: str
    change: dict[str, Cell]
    doubts: dict[str, Doubt]
    base: dict[str, Cell]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a row comes down to.

    Attributes:
        number: the row.
        entity_id: what it changes.
        effect: what changes.
        text: the entity's JSON that this was decided on.
        name: the entity's name.
        parent: what the entity is listed by.
        change: the new values by column, where they are others than those that were read.
        remark: what people should know of it.
        unusual: what is unusual about its amounts of money.
    """

    number: int
    entity_id: str
    effect: Effect
    text: str
    name: str = ""
    parent: str = ""
    change: Mapping[str, Cell] | None = None
    remark: str = ""
    unusual: str = ""


class Repeated(msgspec.Struct, frozen=True):
    """A row that says the same of the same entity as an earlier one: it counts once."""

    line: int
    earlier: int


class PlanningRows:
    """The rows of an open plan while it is made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_change(self, change: Change) -> Problem | Repeated | None:
        """Add a row that was read.

        A second row for the same entity is answered with a problem, unless it says the same.
        """
        doubts = encode(change.doubts) if change.doubts else None
        try:
            self._connection.execute(
                "INSERT INTO row (line, entity_id, change, doubts, decision) VALUES (?, ?, ?, ?, 'read')",
                (change.line, change.entity_id, encode(change.values), doubts),
            )
        except sqlite3.IntegrityError:
            return self._duplicate(change)
        return None

    def _duplicate(self, change: Change) -> Problem | Repeated:
        line, text = self._connection.execute(
            "SELECT line, change FROM row WHERE entity_id = ? AND decision <> 'refused'", (change.entity_id,)
        ).fetchone()
        earlier = decode(text)
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
        self._connection.execute(
            "INSERT INTO row (line, entity_id, change, decision, reason, field) VALUES (?, ?, '{}', 'refused', ?, ?)",
            (problem.line, problem.entity_id, problem.reason, problem.column),
        )

    def add_base(self, entity_id: str, values: Mapping[str, Cell]) -> None:
        """Keep what an earlier export said of an entity, if it is in the plan."""
        self._connection.execute(
            "UPDATE row SET base = ? WHERE entity_id = ? AND decision <> 'refused'", (encode(values), entity_id)
        )

    def unread_ids(self) -> list[str]:
        """The ids of the rows whose present state is not known yet."""
        unread = "SELECT entity_id FROM row WHERE decision = 'read' ORDER BY number"
        return [entity_id for (entity_id,) in self._connection.execute(unread)]

    def unread_of(self, entity_ids: Sequence[str]) -> list[ReadRow]:
        """Such rows, of some entities."""
        found = self._connection.execute(
            # The first condition names the index, the second the rows.
            "SELECT number, line, entity_id, change, doubts, base FROM row "
            "WHERE decision <> 'refused' AND decision = 'read' AND entity_id IN (SELECT value FROM json_each(?))",
            (encode(entity_ids),),
        )
        return [
            ReadRow(
                number=number,
                line=line,
                entity_id=entity_id,
                change=decode(change),
                doubts=_doubts.decode(doubts) if doubts else {},
                base=decode(base),
            )
            for number, line, entity_id, change, doubts, base in found
        ]

    def decide(self, rows: Iterable[Decided]) -> None:
        """Write down what rows come down to."""
        updates: list[tuple[object, ...]] = []
        steps: list[tuple[object, ...]] = []
        for row in rows:
            before, after = encode(row.effect.before), encode(row.effect.after)
            bodies = [encode(body) for body in row.effect.steps]
            decision = Decision.PLANNED.value if bodies else Decision.UNCHANGED.value
            change = None if row.change is None else encode(row.change)
            check = checksum(row.entity_id, row.text, before, after, *bodies)
            about = (row.name, row.parent, before, after, row.text, row.remark, row.unusual)
            updates.append((decision, *about, change, check, row.number))
            steps.extend((row.number, position, body) for position, body in enumerate(bodies))
        self._connection.executemany(
            "UPDATE row SET decision = ?, name = ?, parent = ?, before = ?, after = ?, state = ?, reason = ?, "
            "unusual = ?, change = coalesce(?, change), checksum = ? WHERE number = ?",
            updates,
        )
        self._connection.executemany("INSERT INTO step (row, position, body, state) VALUES (?, ?, ?, 'waiting')", steps)
