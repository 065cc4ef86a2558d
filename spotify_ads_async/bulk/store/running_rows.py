"""The rows of a plan while they are carried out: which are open, what left for them, and what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from spotify_ads_async.bulk.plan.effects import Conflict
from spotify_ads_async.bulk.records import RowWork, StepOutcome, StepState
from spotify_ads_async.bulk.store import rows
from spotify_ads_async.bulk.store.schema import encode

__all__ = ["RunningRows"]


class RunningRows:
    """The part of an open plan that a run works on. Everything here blocks."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

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
        return rows.row_work(self._connection, self.path, numbers)

    def rebuild(self, row: RowWork) -> None:
        """Write down what a row changes, and its requests, on top of another state than it was planned for."""
        self._connection.execute(
            "UPDATE row SET before = ?, after = ?, state = ?, name = ? WHERE number = ?",
            (encode(row.before), encode(row.after), row.text, row.name, row.number),
        )
        self._connection.executemany(
            "UPDATE step SET body = ?1, reason = iif(state = ?2, reason, ''), state = ?2 WHERE row = ?3 AND"
            " position = ?4",
            [(encode(step.body), step.state, row.number, step.position) for step in row.steps],
        )
        rows.renew_checksum(self._connection, row.number)

    def refuse(self, number: int, reason: str, column: str = "") -> None:
        """Write down why a row cannot be carried out."""
        self._connection.execute(
            "UPDATE row SET decision = 'refused', reason = ?, field = ? WHERE number = ?", (reason, column, number)
        )

    def need_nothing(self, number: int) -> None:
        """Write down that somebody else made the change of a row already, unless a part of it was made before."""
        self._connection.execute(
            "UPDATE row SET decision = 'unchanged', reason = 'somebody made the same change since it was planned' WHERE"
            " number = ? AND NOT EXISTS (SELECT 1 FROM step WHERE row = number AND found IS NOT NULL)",
            (number,),
        )

    def conflict(self, number: int, conflicts: Sequence[Conflict]) -> None:
        """Write down that somebody else changed what a row changes."""
        self._connection.execute(
            "UPDATE row SET decision = 'conflict', reason = ?, field = ?, conflicts = ? WHERE number = ?",
            (rows.changed_since(conflicts), conflicts[0].field, encode(conflicts), number),
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
        if outcome.state is StepState.STAGED:
            self._connection.execute("UPDATE draft SET filled = 1 WHERE row = ?", (row,))
        rows.renew_checksum(self._connection, row)
        if outcome.damage:
            (work,) = self.work([row])
            self.rebuild(msgspec.structs.replace(work, before={**outcome.damage, **work.before}))

    def requeue(self, *, everything: bool = False, conflicts: bool = False) -> None:
        """Make failed requests wait again: those whose failure was about the moment, or all that changed nothing.

        And rows in conflict.
        """
        self._connection.execute(
            "UPDATE step SET state = 'waiting' WHERE state = 'failed' AND found IS NULL AND (transient OR ?)",
            (everything,),
        )
        if conflicts:
            self._connection.execute(
                "UPDATE row SET decision = 'planned', reason = '', field = '' WHERE decision = 'conflict'"
            )
