"""A plan and its journal: one SQLite file that says what shall happen, what has left, and what came of it.

Everything here blocks; :mod:`spotify_ads_async.bulk.store.journal` keeps it off the event loop. The file is in WAL mode with
``synchronous=FULL``, so what is committed survives a kill and a power cut. While a plan is being worked on, its file is
locked for other processes; the operating system lifts that lock when the process dies.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import Effect
from spotify_ads_async.bulk.plan.sources import Change, Problem
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, RowState, Step, StepOutcome, StepState
from spotify_ads_async.bulk.store import schema
from spotify_ads_async.bulk.store.draft_tables import DraftTables
from spotify_ads_async.bulk.store.schema import decode, encode

__all__ = ["PlanFile", "Repeated", "is_plan", "now_text"]

_SQLITE_MAGIC = b"SQLite format 3\0"

_ROWS = (
    "SELECT row.number, line, entity_id, change, verdict, fate.fate, reason, field, before, after, elsewhere, base "
    "FROM row JOIN fate ON fate.number = row.number "
)


def is_plan(path: Path) -> bool:
    """Whether a file looks like a plan, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False


class Repeated(msgspec.Struct, frozen=True):
    """A row that says the same of the same entity as an earlier one: it counts once."""

    line: int
    earlier: int


class PlanFile:
    """An open plan, locked for others. Made by :meth:`create` or :meth:`open`; closes as a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def create(cls, path: Path, header: Header) -> Self:
        """Make a new plan.

        Raises:
            FileExistsError: there is a file at ``path``: a journal is never overwritten.
        """
        plan = cls(schema.create(path), path)
        try:
            plan.write_header(header)
        except BaseException:
            plan.close()
            path.unlink(missing_ok=True)
            raise
        return plan

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a plan and lock it.

        Raises:
            FileNotFoundError: there is no such file.
            NotAPlan: it is something else.
            PlanInUse: another process has it open.
        """
        return cls(schema.open_existing(path), path)

    def survive_power_cuts(self, *, wanted: bool) -> None:
        """Choose whether a commit waits for the disk."""
        schema.survive_power_cuts(self._connection, wanted=wanted)

    def close(self) -> None:
        """Unlock and close."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Everything inside becomes durable together, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # The header

    @property
    def header(self) -> Header:
        """What the plan is about."""
        found = dict(self._connection.execute("SELECT name, value FROM header"))
        return msgspec.convert(found, Header, strict=False)

    def write_header(self, header: Header) -> None:
        """Replace the header."""
        values = [(name, str(value).lower() if isinstance(value, bool) else value) for name, value in msgspec.to_builtins(header).items()]
        self._connection.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", values)

    def mark_ready(self) -> None:
        """Say that planning came to its end: an unfinished plan is never applied."""
        self._connection.execute("INSERT OR REPLACE INTO header VALUES ('ready', 'true')")
        schema.make_durable(self._connection)

    # Rows while planning

    def add_change(self, change: Change) -> Problem | Repeated | None:
        """Add a row that was read; a second row for the same entity is answered with a problem, unless it says the same."""
        text = encode(change.values)
        try:
            self._connection.execute(
                "INSERT INTO row (line, entity_id, change, verdict) VALUES (?, ?, ?, ?)",
                (change.line, change.entity_id, text, RowState.READ),
            )
        except sqlite3.IntegrityError:
            return self._duplicate(change)
        return None

    def _duplicate(self, change: Change) -> Problem | Repeated:
        line, text = self._connection.execute(
            "SELECT line, change FROM row WHERE entity_id = ? AND verdict <> 'refused'", (change.entity_id,)
        ).fetchone()
        earlier = decode(text)
        differing = next((name for name, value in change.values.items() if name in earlier and earlier[name] != value), "")
        if differing:
            reason = f"contradicts line {line}, which sets it to {encode(earlier[differing])}"
        elif earlier == change.values:
            return Repeated(line=change.line, earlier=line)
        else:
            reason = f"is the second row for this id, after line {line}: put the changes of one id into one row"
        return Problem(file="", line=change.line, column=differing, reason=reason, entity_id=change.entity_id)

    def add_refused(self, problem: Problem) -> None:
        """Keep a bad row, so that it has its place in the results."""
        self._connection.execute(
            "INSERT INTO row (line, entity_id, change, verdict, reason, field) VALUES (?, ?, '{}', ?, ?, ?)",
            (problem.line, problem.entity_id, RowState.REFUSED, problem.reason, problem.column),
        )

    def add_base(self, entity_id: str, values: Mapping[str, Cell]) -> None:
        """Keep what an earlier export said of an entity, if it is in the plan."""
        self._connection.execute("UPDATE row SET base = ? WHERE entity_id = ? AND verdict <> 'refused'", (encode(values), entity_id))

    def unread_ids(self) -> list[str]:
        """The ids of the rows whose present state is not known yet."""
        return [entity_id for (entity_id,) in self._connection.execute("SELECT entity_id FROM row WHERE verdict = 'read' ORDER BY number")]

    def unread_of(self, entity_ids: Sequence[str]) -> list[PlannedRow]:
        """Such rows, of some entities."""
        found = self._connection.execute(
            # The first condition names the index, the second the rows.
            "SELECT number, line, entity_id, change, base FROM row WHERE verdict <> 'refused' AND verdict = 'read' "
            "AND entity_id IN (SELECT value FROM json_each(?))",
            (encode(entity_ids),),
        )
        return [
            PlannedRow(
                number=number,
                line=line,
                entity_id=entity_id,
                change=decode(change),
                base=decode(base),
                verdict=RowState.READ,
                outcome=RowOutcome.WAITING,
            )
            for number, line, entity_id, change, base in found
        ]

    def decide(
        self, number: int, effect: Effect, *, elsewhere: Mapping[str, Cell], change: Mapping[str, Cell] | None = None, remark: str = ""
    ) -> None:
        """Write down what a row comes down to; ``elsewhere`` are the writable fields that it leaves alone."""
        state = RowState.PLANNED if effect.steps else RowState.UNCHANGED
        self._connection.execute(
            "UPDATE row SET verdict = ?, before = ?, after = ?, elsewhere = ?, reason = ?, change = coalesce(?, change) WHERE number = ?",
            (
                state,
                encode(effect.before),
                encode(effect.after),
                encode(elsewhere),
                remark,
                None if change is None else encode(change),
                number,
            ),
        )
        self._connection.executemany(
            "INSERT INTO step (row, position, body, state) VALUES (?, ?, ?, 'waiting')",
            [(number, position, encode(body)) for position, body in enumerate(effect.steps)],
        )

    def refuse(self, number: int, reason: str, column: str = "") -> None:
        """Write down why a row cannot be carried out."""
        self._connection.execute(
            "UPDATE row SET verdict = ?, reason = ?, field = ? WHERE number = ?", (RowState.REFUSED, reason, column, number)
        )

    # Steps while applying

    def waiting(self, *, limit: int, after: int = 0) -> list[Step]:
        """Requests to make: those of at most ``limit`` rows behind the row ``after``, whole rows in input order.

        A row of which a request failed, or is not settled, is left out.
        """
        found = self._connection.execute(
            "SELECT * FROM request WHERE state = 'waiting' AND row IN (SELECT DISTINCT row FROM step AS one WHERE row > ? AND "
            "state = 'waiting' AND NOT EXISTS (SELECT 1 FROM step WHERE step.row = one.row AND state NOT IN ('waiting', 'done')) "
            "ORDER BY row LIMIT ?) ORDER BY row, position",
            (after, limit),
        )
        return [_step(values) for values in found]

    def lost(self) -> list[Step]:
        """Requests that left, or were about to, and whose outcome is not known."""
        found = self._connection.execute("SELECT * FROM request WHERE state IN ('sent', 'unknown') ORDER BY row, position")
        return [_step(values) for values in found]

    def record_intent(self, row: int, position: int, at: float) -> None:
        """Write down that a request is about to leave."""
        self._connection.execute(
            "UPDATE step SET state = 'sent', sent = sent + 1, sent_at = ?, reason = '', status = NULL, trace_id = '', transient = 0 "
            "WHERE row = ? AND position = ?",
            (at, row, position),
        )

    def recall(self, row: int, position: int) -> None:
        """Take an intent back: the request never left."""
        self._connection.execute(
            "UPDATE step SET state = 'waiting', sent = sent - 1 WHERE row = ? AND position = ? AND state = 'sent'", (row, position)
        )

    def settle(self, row: int, position: int, verdict: StepOutcome) -> None:
        """Write down what came of a request."""
        found = None if verdict.found is None else encode(verdict.found)
        self._connection.execute(
            "UPDATE step SET state = ?, reason = ?, status = ?, trace_id = ?, found = ?, transient = ? WHERE row = ? AND position = ?",
            (verdict.state, verdict.reason, verdict.status, verdict.trace_id, found, verdict.transient, row, position),
        )

    def requeue(self, *, everything: bool = False) -> None:
        """Make failed requests wait again: those whose failure was about the moment, or all of them."""
        self._connection.execute("UPDATE step SET state = 'waiting' WHERE state = 'failed' AND (transient OR ?)", (everything,))

    @property
    def drafts(self) -> DraftTables:
        """What is staged as drafts."""
        return DraftTables(self._connection)

    # Reading

    def rows(self, *, batch: int = 1000) -> Iterator[PlannedRow]:
        """Every row in input order."""
        after = 0
        while found := self._rows(_ROWS + "WHERE row.number > ? ORDER BY row.number LIMIT ?", (after, batch)):
            yield from found
            after = found[-1].number

    def noteworthy(self) -> Iterator[PlannedRow]:
        """The rows that planning refused, or has something to say about, in input order."""
        numbers = self._connection.execute("SELECT number FROM row WHERE reason <> '' ORDER BY number").fetchall()
        for (number,) in numbers:
            yield self.row_of(number)

    def row_of(self, number: int) -> PlannedRow:
        """One row."""
        return self._rows(_ROWS + "WHERE row.number = ?", (number,))[0]

    def outcomes(self) -> Mapping[RowOutcome, int]:
        """How many rows had which fate."""
        counts = dict.fromkeys(RowOutcome, 0)
        for name, count in self._connection.execute("SELECT fate, count(*) FROM fate GROUP BY fate"):
            counts[RowOutcome(name)] = count
        return counts

    def begun(self) -> bool:
        """Whether any request has left, or was about to."""
        return self._connection.execute("SELECT 1 FROM step WHERE sent > 0 LIMIT 1").fetchone() is not None

    def left_over(self) -> int:
        """How many rows have requests to make or to settle."""
        (count,) = self._connection.execute(
            "SELECT count(DISTINCT row) FROM step AS one WHERE state IN ('sent', 'unknown') OR state = 'waiting' AND NOT EXISTS "
            "(SELECT 1 FROM step WHERE step.row = one.row AND state = 'failed') OR state = 'staged' AND EXISTS (SELECT 1 FROM draft "
            "JOIN campaign ON campaign.id = campaign_id WHERE draft.row = one.row AND campaign.state IN ('open', 'publishing'))"
        ).fetchone()
        return count

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[PlannedRow]:
        found = self._connection.execute(query, parameters).fetchall()
        if not found:
            return []
        numbers = [row[0] for row in found]
        steps: dict[int, list[tuple[Any, ...]]] = {}
        low, high = min(numbers), max(numbers)
        for step in self._connection.execute(
            "SELECT row, body, state, sent, status, trace_id, reason, found FROM step WHERE row BETWEEN ? AND ? ORDER BY row, position",
            (low, high),
        ):
            steps.setdefault(step[0], []).append(step)
        return [_planned(row, steps.get(row[0], [])) for row in found]


def _step(values: tuple[Any, ...]) -> Step:
    row, position, entity_id, body, before, state, sent = values
    return Step(
        row=row, position=position, entity_id=entity_id, body=decode(body), before=decode(before), state=StepState(state), sent=sent
    )


def _planned(row: tuple[Any, ...], steps: Sequence[tuple[Any, ...]]) -> PlannedRow:
    number, line, entity_id, change, verdict, fate, reason, column, before, after, elsewhere, base = row
    telling = next((step for step in steps if step[2] not in {StepState.DONE, StepState.WAITING}), None)
    remark = next((step[6] for step in steps if step[6]), "")
    applied: dict[str, Any] = {}
    for _, body, state, _, _, _, _, found in steps:
        if state == StepState.DONE:
            applied.update({**decode(body), **decode(found)})
    return PlannedRow(
        number=number,
        line=line,
        entity_id=entity_id,
        change=decode(change),
        verdict=RowState(verdict),
        outcome=RowOutcome(fate),
        reason=(telling[6] if telling else "") or reason or remark,
        column=column,
        before=decode(before),
        after=decode(after),
        applied=applied,
        elsewhere=decode(elsewhere),
        base=decode(base),
        bodies=tuple(decode(step[1]) for step in steps),
        status=telling[4] if telling else None,
        trace_id=telling[5] if telling else "",
        requests=sum(step[3] for step in steps),
    )


def now_text() -> str:
    """The present as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
