"""A plan and its journal: one SQLite file that says what shall happen, what has left, and what came of it.

Everything here blocks; :mod:`spotify_ads_async.bulk.store.journal` keeps it off the event loop. The file is in WAL mode
with ``synchronous=FULL``, so what is committed survives a kill and a power cut. While a plan is being worked on, its
file is locked for other processes; the operating system lifts that lock when the process dies. Each row has a checksum
of what is sent for it and of what undo restores: a byte that changed since is found before it is sent.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import Conflict, Effect
from spotify_ads_async.bulk.plan.sources import Change, Doubt, Problem
from spotify_ads_async.bulk.records import (
    Decision,
    Header,
    PlanDamaged,
    PlannedRow,
    RowOutcome,
    RowWork,
    Step,
    StepOutcome,
    StepState,
)
from spotify_ads_async.bulk.store import schema
from spotify_ads_async.bulk.store.draft_tables import DraftTables
from spotify_ads_async.bulk.store.schema import decode, encode

__all__ = ["Decided", "PlanFile", "ReadRow", "Repeated", "is_plan", "now_text"]

_SQLITE_MAGIC = b"SQLite format 3\0"

_ROWS = (
    "SELECT row.number, line, entity_id, name, change, decision, outcome.outcome, reason, field, unusual, conflicts,"
    " before, after, state, base, checksum FROM row JOIN outcome ON outcome.number = row.number "
)
_STEPS = (
    "SELECT row, position, body, state, sent, status, trace_id, reason, found FROM step WHERE row BETWEEN ? AND ? ORDER"
    " BY row, position"
)
_doubts = msgspec.json.Decoder(dict[str, Doubt])
_conflicts = msgspec.json.Decoder(tuple[Conflict, ...])


def is_plan(path: Path) -> bool:
    """Whether a file looks like a plan, by its first bytes.

    What is no file, such as a pipe, is none, and is not opened.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False


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
            PlanDamaged: it cannot be written there.
        """
        try:
            with schema.in_one_sentence(path):
                plan = cls(schema.create(path), path)
        except FileExistsError:
            raise FileExistsError(f"there is a file at {path} already, and a plan is never overwritten") from None
        except OSError as problem:
            raise PlanDamaged(f"no plan can be written to {path}: {problem.strerror or problem}") from None
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
            NotAPlan: it is something else, or damaged.
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

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if value is not None:
            with schema.in_one_sentence(self.path):
                raise value

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Everything inside becomes durable together, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
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
        values = [
            (name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in msgspec.to_builtins(header).items()
        ]
        self._connection.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", values)

    def mark_ready(self) -> None:
        """Say that planning came to its end: an unfinished plan is never applied."""
        self._connection.execute("INSERT OR REPLACE INTO header VALUES ('ready', 'true')")
        schema.make_durable(self._connection)

    # Rows while planning

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
        return [
            entity_id
            for (entity_id,) in self._connection.execute(
                "SELECT entity_id FROM row WHERE decision = 'read' ORDER BY number"
            )
        ]

    def unread_of(self, entity_ids: Sequence[str]) -> list[ReadRow]:
        """Such rows, of some entities."""
        found = self._connection.execute(
            # The first condition names the index, the second the rows.
            "SELECT number, line, entity_id, change, doubts, base FROM row WHERE decision <> 'refused' AND decision ="
            " 'read' AND entity_id IN (SELECT value FROM json_each(?))",
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
            effect = row.effect
            before, after, bodies = encode(effect.before), encode(effect.after), [encode(body) for body in effect.steps]
            decision = Decision.PLANNED if bodies else Decision.UNCHANGED
            change = None if row.change is None else encode(row.change)
            checksum = _checksum(row.entity_id, row.text, before, after, bodies)
            updates.append(
                (
                    decision,
                    row.name,
                    row.parent,
                    before,
                    after,
                    row.text,
                    row.remark,
                    row.unusual,
                    change,
                    checksum,
                    row.number,
                )
            )
            steps.extend((row.number, position, body) for position, body in enumerate(bodies))
        self._connection.executemany(
            "UPDATE row SET decision = ?, name = ?, parent = ?, before = ?, after = ?, state = ?, reason = ?, unusual ="
            " ?, change = coalesce(?, change), checksum = ? WHERE number = ?",
            updates,
        )
        self._connection.executemany("INSERT INTO step (row, position, body, state) VALUES (?, ?, ?, 'waiting')", steps)

    def refuse(self, number: int, reason: str, column: str = "", *, name: str = "") -> None:
        """Write down why a row cannot be carried out."""
        self._connection.execute(
            "UPDATE row SET decision = 'refused', reason = ?, field = ?, name = coalesce(nullif(?, ''), name) WHERE"
            " number = ?",
            (reason, column, name, number),
        )

    # Rows while they are carried out

    def parents(self) -> list[tuple[str, int]]:
        """What the open rows' entities are listed by, and how many rows there are in each.

        In the order of their first rows.
        """
        return list(self._connection.execute("SELECT parent, count(*) FROM open GROUP BY parent ORDER BY min(number)"))

    def open_rows(self, parents: Sequence[str]) -> dict[str, int]:
        """Rows of which requests are to be made, by their entities, in input order."""
        return dict(
            self._connection.execute(
                "SELECT entity_id, row.number FROM row JOIN open USING (number) WHERE row.parent IN (SELECT value FROM"
                " json_each(?)) ORDER BY row.number",
                (encode(parents),),
            )
        )

    def work(self, numbers: Sequence[int]) -> list[RowWork]:
        """Rows with their requests, held against their checksums.

        Raises:
            PlanDamaged: bytes of a row changed since it was written.
        """
        steps: dict[int, list[tuple[Any, ...]]] = {}
        wanted = encode(numbers)
        for step in self._connection.execute(
            "SELECT row, position, body, state, sent FROM step WHERE row IN (SELECT value FROM json_each(?)) ORDER BY"
            " row, position",
            (wanted,),
        ):
            steps.setdefault(step[0], []).append(step)
        found = self._connection.execute(
            "SELECT number, entity_id, name, before, after, state, checksum FROM row WHERE number IN (SELECT value FROM"
            " json_each(?)) ORDER BY number",
            (wanted,),
        )
        return [self._work(row, steps.get(row[0], [])) for row in found]

    def _work(self, row: tuple[Any, ...], steps: Sequence[tuple[Any, ...]]) -> RowWork:
        number, entity_id, name, before, after, text, checksum = row
        self._hold(number, checksum, entity_id, (text, before, after), [step[2] for step in steps])
        return RowWork(
            number=number,
            entity_id=entity_id,
            name=name,
            text=text or "",
            before=decode(before),
            after=decode(after),
            steps=tuple(
                Step(
                    row=number,
                    position=position,
                    entity_id=entity_id,
                    body=decode(body),
                    state=StepState(state),
                    sent=sent,
                )
                for _, position, body, state, sent in steps
            ),
        )

    def _hold(
        self,
        number: int,
        checksum: int | None,
        entity_id: str,
        content: tuple[str | None, str | None, str | None],
        bodies: list[str],
    ) -> None:
        """Compare a row with its checksum; rows of a former format have none."""
        text, before, after = (part or "" for part in content)
        if checksum is not None and checksum != _checksum(entity_id, text, before, after, bodies):
            raise PlanDamaged(
                f"{self.path} is damaged: bytes of row {number} changed since it was written; nothing was sent for it"
            )

    def rebuild(self, row: RowWork) -> None:
        """Write down that a row goes on top of another state than it was planned for.

        What it changes, and its requests.
        """
        before, after, bodies = encode(row.before), encode(row.after), [encode(step.body) for step in row.steps]
        self._connection.execute(
            "UPDATE row SET before = ?, after = ?, state = ?, name = ?, checksum = ? WHERE number = ?",
            (before, after, row.text, row.name, _checksum(row.entity_id, row.text, before, after, bodies), row.number),
        )
        self._connection.executemany(
            "UPDATE step SET body = ?, state = ? WHERE row = ? AND position = ?",
            [(body, step.state, row.number, step.position) for step, body in zip(row.steps, bodies, strict=True)],
        )

    def need_nothing(self, number: int) -> None:
        """Write down that somebody else made the change of a row already."""
        self._connection.execute(
            "UPDATE row SET decision = 'unchanged', reason = 'somebody made the same change since it was planned' WHERE"
            " number = ?",
            (number,),
        )

    def conflict(self, number: int, conflicts: Sequence[Conflict]) -> None:
        """Write down that somebody else changed what a row changes."""
        reason = "; ".join(map(str, conflicts))
        self._connection.execute(
            "UPDATE row SET decision = 'conflict', reason = ?, field = ?, conflicts = ? WHERE number = ?",
            (f"somebody changed it since: {reason}", conflicts[0].field, encode(conflicts), number),
        )

    def lost(self) -> list[RowWork]:
        """Rows with a request that left, or was about to, and whose outcome is not known."""
        found = self._connection.execute(
            "SELECT DISTINCT row FROM step WHERE state IN ('sent', 'unknown') ORDER BY row"
        )
        return self.work([number for (number,) in found])

    def record_intent(self, row: int, position: int, at: float) -> None:
        """Write down that a request is about to leave."""
        self._connection.execute(
            "UPDATE step SET state = 'sent', sent = sent + 1, sent_at = ?, reason = '', status = NULL, trace_id = '',"
            " transient = 0 WHERE row = ? AND position = ?",
            (at, row, position),
        )

    def recall(self, row: int, position: int) -> None:
        """Take an intent back: the request never left."""
        self._connection.execute(
            "UPDATE step SET state = 'waiting', sent = sent - 1 WHERE row = ? AND position = ? AND state = 'sent'",
            (row, position),
        )

    def settle(self, row: int, position: int, outcome: StepOutcome) -> None:
        """Write down what came of a request, and what it changed besides."""
        found = None if outcome.found is None else encode(outcome.found)
        self._connection.execute(
            "UPDATE step SET state = ?, reason = ?, status = ?, trace_id = ?, found = ?, transient = ? WHERE row = ?"
            " AND position = ?",
            (outcome.state, outcome.reason, outcome.status, outcome.trace_id, found, outcome.transient, row, position),
        )
        if outcome.damage:
            (work,) = self.work([row])
            self.rebuild(msgspec.structs.replace(work, before={**outcome.damage, **work.before}))

    def requeue(self, *, everything: bool = False, conflicts: bool = False) -> None:
        """Make failed requests wait again: those whose failure was about the moment, or all of them.

        And rows in conflict.
        """
        self._connection.execute(
            "UPDATE step SET state = 'waiting' WHERE state = 'failed' AND (transient OR ?)", (everything,)
        )
        if conflicts:
            self._connection.execute(
                "UPDATE row SET decision = 'planned', reason = '', field = '' WHERE decision = 'conflict'"
            )

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
        """The rows that were refused, or that there is something to say about, in input order.

        Those with unusual amounts first.
        """
        numbers = self._connection.execute(
            "SELECT number FROM row WHERE reason <> '' OR unusual <> '' ORDER BY unusual = '', number"
        ).fetchall()
        for (number,) in numbers:
            yield self.row_of(number)

    def row_of(self, number: int) -> PlannedRow:
        """One row."""
        return self._rows(_ROWS + "WHERE row.number = ?", (number,))[0]

    def outcomes(self) -> Mapping[RowOutcome, int]:
        """How many rows had which outcome."""
        counts = dict.fromkeys(RowOutcome, 0)
        for name, count in self._connection.execute("SELECT outcome, count(*) FROM outcome GROUP BY outcome"):
            counts[RowOutcome(name)] = count
        return counts

    def remarked(self) -> int:
        """How many rows are done of which the server made something else, or more, than they said."""
        return self._connection.execute(
            "SELECT count(DISTINCT row) FROM step WHERE state = 'done' AND reason <> ''"
        ).fetchone()[0]

    def unusual(self) -> int:
        """How many rows that are to be carried out have unusual amounts of money."""
        return self._connection.execute(
            "SELECT count(*) FROM row WHERE unusual <> '' AND decision = 'planned'"
        ).fetchone()[0]

    def begun(self) -> bool:
        """Whether any request has left, or was about to."""
        return self._connection.execute("SELECT 1 FROM step WHERE sent > 0 LIMIT 1").fetchone() is not None

    def left_over(self) -> int:
        """How many rows have requests to make or to settle."""
        (count,) = self._connection.execute(
            "SELECT (SELECT count(*) FROM open) + (SELECT count(DISTINCT row) FROM step JOIN row ON number = row "
            "WHERE decision = 'planned' AND (step.state IN ('sent', 'unknown') OR step.state = 'staged' "
            "AND EXISTS (SELECT 1 FROM draft JOIN campaign "
            "ON campaign.id = campaign_id WHERE draft.row = step.row AND campaign.state IN ('open', 'publishing'))))"
        ).fetchone()
        return count

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[PlannedRow]:
        found = self._connection.execute(query, parameters).fetchall()
        if not found:
            return []
        numbers = [row[0] for row in found]
        steps: dict[int, list[tuple[Any, ...]]] = {}
        for step in self._connection.execute(_STEPS, (min(numbers), max(numbers))):
            steps.setdefault(step[0], []).append(step)
        return [self._planned(row, steps.get(row[0], [])) for row in found]

    def _planned(self, row: tuple[Any, ...], steps: Sequence[tuple[Any, ...]]) -> PlannedRow:
        (
            number,
            line,
            entity_id,
            name,
            change,
            decision,
            outcome,
            reason,
            column,
            unusual,
            conflicts,
            before,
            after,
            text,
            base,
            check,
        ) = row
        self._hold(number, check, entity_id, (text, before, after), [step[2] for step in steps])
        telling = next((step for step in steps if step[3] not in {StepState.DONE, StepState.WAITING}), None)
        remark = next((step[7] for step in steps if step[7]), "")
        applied: dict[str, Any] = {}
        for _, _, body, state, _, _, _, _, found in steps:
            if state == StepState.DONE:
                applied.update({**decode(body), **decode(found)})
        ended = decision in {Decision.REFUSED, Decision.CONFLICT}
        return PlannedRow(
            number=number,
            line=line,
            entity_id=entity_id,
            name=name,
            change=decode(change),
            decision=Decision(decision),
            outcome=RowOutcome(outcome),
            reason=(reason if ended else "") or (telling[7] if telling else "") or reason or remark,
            column=column,
            unusual=unusual,
            conflicts=_conflicts.decode(conflicts) if conflicts and decision == Decision.CONFLICT else (),
            before=decode(before),
            after=decode(after),
            applied=applied,
            state=decode(text),
            base=decode(base),
            bodies=tuple(decode(step[2]) for step in steps),
            status=telling[5] if telling else None,
            trace_id=telling[6] if telling else "",
            requests=sum(step[4] for step in steps),
        )


def _checksum(entity_id: str, text: str, before: str, after: str, bodies: Sequence[str]) -> int:
    """A checksum of what is sent for a row, and of what is restored by undo."""
    return zlib.crc32("\0".join((entity_id, text, before, after, *bodies)).encode())


def now_text() -> str:
    """The present as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
