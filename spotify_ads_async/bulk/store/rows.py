"""Rows as a plan file holds them: read, and held against their checksums.

A checksum covers what is sent for a row, what undo restores, and what the server answered: a byte of it that changed
since is found before anything is made of it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.bulk.plan.effects import Conflict
from spotify_ads_async.bulk.records import (
    Decision,
    PlanDamaged,
    PlannedChange,
    PlannedRow,
    RowOutcome,
    RowWork,
    Step,
    StepState,
    StoredRow,
)
from spotify_ads_async.bulk.store.schema import Known, decode, encode

__all__ = [
    "changed_since",
    "changing_rows",
    "checksum",
    "planned_changes",
    "planned_rows",
    "renew_checksum",
    "row_work",
]

_ROWS = (
    "SELECT row.number, line, entity_id, name, change, decision, outcome.outcome, reason, field, unusual, conflicts, "
    "before, after, state, base, checksum FROM row JOIN outcome ON outcome.number = row.number "
)
_STEPS = (
    "SELECT row, position, body, state, sent, status, trace_id, reason, found FROM step "
    "WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row, position"
)
_CHANGES = (
    "SELECT number, line, coalesce(entity_id, ''), name, decision, unusual, coalesce(before, ''), coalesce(after, ''), "
    "coalesce(row.state, ''), checksum, body, found "
    "FROM row LEFT JOIN step ON step.row = number ORDER BY number, position"
)
_DECISIONS, _OUTCOMES, _STATES = Known(Decision), Known(RowOutcome), Known(StepState)
_PLANNED = Decision.PLANNED
_ENDED = frozenset({Decision.REFUSED, Decision.CONFLICT})
_DONE = StepState.DONE.value
_USUAL = frozenset({_DONE, StepState.WAITING.value})
_conflicts = msgspec.json.Decoder(tuple[Conflict, ...])


class _StoredStep(msgspec.Struct, frozen=True, array_like=True):
    """A request as the file holds it, in the order of :data:`_STEPS`."""

    row: int
    position: int
    body: str
    state: str
    sent: int
    status: int | None
    trace_id: str
    reason: str
    found: str | None


def _steps(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[_StoredStep]]:
    """The requests of some rows, by row, in their order."""
    steps: dict[int, list[_StoredStep]] = {}
    for values in connection.execute(_STEPS, (encode(numbers),)):
        step = _StoredStep(*values)
        steps.setdefault(step.row, []).append(step)
    return steps


def planned_rows(connection: sqlite3.Connection, path: Path, where: str, parameters: Sequence[Any]) -> list[PlannedRow]:
    """Rows with everything known about them.

    Args:
        connection: the open plan.
        path: the plan's file, for errors.
        where: which rows, and in which order.
        parameters: what is to be put into that.

    Raises:
        PlanDamaged: bytes of a row changed since it was written.
    """
    found = connection.execute(_ROWS + where, parameters).fetchall()
    steps = _steps(connection, [row[0] for row in found]) if found else {}
    return [_planned(path, row, steps.get(row[0], [])) for row in found]


def planned_changes(connection: sqlite3.Connection, path: Path) -> Iterator[PlannedChange]:
    """What every row comes down to, in input order.

    Raises:
        PlanDamaged: bytes of a row changed since it was written.
    """
    for number, found in groupby(connection.execute(_CHANGES), itemgetter(0)):
        stored = list(found)
        _, line, entity_id, name, decision, unusual, before, after, text, check, _, _ = stored[0]
        bodies = [body for *_, body, _ in stored if body is not None]
        answers = [answer for *_, answer in stored if answer is not None]
        _hold(path, number, check, checksum(entity_id, text, before, after, *bodies, *answers))
        yield PlannedChange(
            number=number,
            line=line,
            entity_id=entity_id,
            name=name,
            decision=_DECISIONS[decision],
            unusual=unusual,
            before=decode(before),
            after=decode(after),
            text=text,
            steps=len(bodies),
        )


def changing_rows(connection: sqlite3.Connection) -> Iterator[PlannedChange]:
    """The rows that change something, in input order, without the JSON of what they are about, and not checked."""
    found = connection.execute(
        "SELECT number, line, entity_id, name, before, after FROM row WHERE decision = 'planned' ORDER BY number"
    )
    for number, line, entity_id, name, before, after in found:
        yield PlannedChange(
            number=number,
            line=line,
            entity_id=entity_id,
            name=name,
            decision=_PLANNED,
            before=decode(before),
            after=decode(after),
        )


def _planned(path: Path, row: tuple[Any, ...], steps: Sequence[_StoredStep]) -> PlannedRow:
    number, line, entity_id, name, change, decided, outcome, reason, column, unusual, conflicts, *stored = row
    before, after, text, base, check = stored
    _hold(path, number, check, _checksum((entity_id, text, before, after), steps))
    decision = _DECISIONS[decided]
    told = [step for step in steps if step.reason or step.state not in _USUAL]
    telling = next((step for step in told if step.state not in _USUAL), None)
    remark = next((step.reason for step in told if step.reason), "")
    return PlannedRow(
        number=number,
        line=line,
        entity_id=entity_id,
        name=name,
        decision=decision,
        outcome=_OUTCOMES[outcome],
        reason=(reason if decision in _ENDED else "") or (telling.reason if telling else "") or reason or remark,
        column=column,
        unusual=unusual,
        conflicts=_conflicts.decode(conflicts) if conflicts and decision is Decision.CONFLICT else (),
        before=decode(before),
        after=decode(after),
        text=text or "",
        steps=len(steps),
        status=telling.status if telling else None,
        trace_id=telling.trace_id if telling else "",
        requests=sum([step.sent for step in steps]),
        stored=StoredRow(
            change,
            base,
            tuple([step.body for step in steps]),
            tuple([(step.body, step.found) for step in steps if step.state == _DONE or step.found is not None]),
        ),
    )


def row_work(connection: sqlite3.Connection, path: Path, numbers: Sequence[int]) -> list[RowWork]:
    """Rows as they are carried out, in input order.

    Raises:
        PlanDamaged: bytes of a row changed since it was written.
    """
    steps = _steps(connection, numbers)
    found = connection.execute(
        "SELECT number, entity_id, name, before, after, state, checksum FROM row "
        "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
        (encode(numbers),),
    )
    return [_work(path, row, steps.get(row[0], [])) for row in found]


def _work(path: Path, row: tuple[Any, ...], steps: Sequence[_StoredStep]) -> RowWork:
    number, entity_id, name, before, after, text, check = row
    _hold(path, number, check, _checksum((entity_id, text, before, after), steps))
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
                position=step.position,
                entity_id=entity_id,
                body=decode(step.body),
                state=_STATES[step.state],
                sent=step.sent,
            )
            for step in steps
        ),
    )


def _hold(path: Path, number: int, check: int | None, found: int) -> None:
    """Compare a row's checksum with what is found; rows of a former format have none."""
    if check is not None and check != found:
        raise PlanDamaged(
            f"{path} is damaged: bytes of row {number} changed since it was written; nothing was sent for that now:"
            " restore the file, or plan again"
        )


def _checksum(stored: Sequence[str | None], steps: Sequence[_StoredStep]) -> int:
    """The checksum of a row's id, state, before and after, and of its requests and their answers."""
    answers = [step.found for step in steps if step.found is not None]
    return checksum(*(one or "" for one in stored), *(step.body for step in steps), *answers)


def changed_since(conflicts: Sequence[Conflict]) -> str:
    """Why a row is left alone, in words."""
    return f"somebody changed it since: {'; '.join(map(str, conflicts))}"


def checksum(*parts: str) -> int:
    """A checksum of a row's id, its state, what changes, and its requests with their answers."""
    return zlib.crc32("\0".join(parts).encode())


def renew_checksum(connection: sqlite3.Connection, number: int) -> None:
    """Write a row's checksum down anew, after something that it covers was written."""
    stored = connection.execute(
        "SELECT entity_id, state, before, after FROM row WHERE number = ?", (number,)
    ).fetchone()
    steps = _steps(connection, [number]).get(number, [])
    check = _checksum(stored, steps)
    connection.execute("UPDATE row SET checksum = ? WHERE number = ? AND checksum IS NOT NULL", (check, number))
