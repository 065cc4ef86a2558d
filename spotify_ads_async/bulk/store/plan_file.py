"""A plan and its journal: one SQLite file that says what shall happen, what has left, and what came of it.

Everything here blocks; :mod:`spotify_ads_async.bulk.store.journal` keeps it off the event loop. The file is in WAL mode
with ``synchronous=FULL``, so what is committed survives a kill and a power cut. While a plan is being worked on, its
file is locked for other processes; the operating system lifts that lock when the process dies. Each row has a checksum
of what is sent for it and of what undo restores: a byte that changed since is found before it is sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from spotify_ads_async.bulk.records import (
    Header,
    PlanDamaged,
    PlannedChange,
    PlannedRow,
    RowOutcome,
    UnusualRow,
)
from spotify_ads_async.bulk.store import rows, schema
from spotify_ads_async.bulk.store.draft_tables import DraftTables
from spotify_ads_async.bulk.store.open_file import OpenFile
from spotify_ads_async.bulk.store.planning_rows import PlanningRows
from spotify_ads_async.bulk.store.running_rows import RunningRows

__all__ = ["PlanFile", "is_plan", "now_text"]

_SQLITE_MAGIC = b"SQLite format 3\0"

_BATCH = 1000
_OUTCOMES = schema.Known(RowOutcome)


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


class PlanFile(OpenFile, RunningRows):
    """An open plan, locked for others. Made by :meth:`create` or :meth:`open`; closes as a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self.planning = PlanningRows(connection)
        """The rows while they are planned."""
        self.drafts = DraftTables(connection)
        """What is staged as drafts."""

    def close(self) -> None:
        """Unlock and close."""
        self.planning.close()
        super().close()

    def discard(self) -> None:
        """Close and remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)

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
                try:
                    plan.write_header(header)
                except BaseException:
                    plan.discard()
                    raise
        except FileExistsError:
            raise FileExistsError(f"there is a file at {path} already, and a plan is never overwritten") from None
        except OSError as problem:
            raise PlanDamaged(f"no plan can be written to {path}: {problem.strerror or problem}") from None
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

    # The header

    @property
    def header(self) -> Header:
        """What the plan is about."""
        found = dict(self._connection.execute("SELECT name, value FROM header"))
        return msgspec.convert(found, Header, strict=False)

    def mark_ready(self) -> None:
        """Say that planning came to its end: an unfinished plan is never applied."""
        schema.make_durable(self._connection)
        self._connection.execute("INSERT OR REPLACE INTO header VALUES ('ready', 'true')")

    def rows(self) -> Iterator[PlannedRow]:
        """Every row in input order."""
        return self._batches("true")

    def changes(self) -> Iterator[PlannedChange]:
        """What every row comes down to, in input order; what became of it is in :meth:`rows`."""
        return rows.planned_changes(self._connection, self.path)

    def planned(self) -> Iterator[PlannedChange]:
        """The rows that change something, without the JSON of what they are about, and not held to their checksums.

        That is for a plan that was made a moment ago.
        """
        return rows.changing_rows(self._connection)

    def noteworthy(self) -> Iterator[PlannedRow]:
        """The rows that there is something to say of, such as why they do not go."""
        return self._batches("row.reason <> ''")

    def unusual_rows(self) -> Iterator[UnusualRow]:
        """The rows that go and have unusual amounts of money."""
        found = self._connection.execute(
            "SELECT line, entity_id, name, unusual FROM row WHERE unusual <> '' AND decision = 'planned'"
            " ORDER BY number"
        )
        return (UnusualRow(*values) for values in found)

    def _batches(self, condition: str) -> Iterator[PlannedRow]:
        after = 0
        chosen = f"WHERE row.number > ? AND {condition} ORDER BY row.number LIMIT ?"
        while found := rows.planned_rows(self._connection, self.path, chosen, (after, _BATCH)):
            yield from found
            after = found[-1].number

    def row_of(self, number: int) -> PlannedRow:
        """One row."""
        return rows.planned_rows(self._connection, self.path, "WHERE row.number = ?", (number,))[0]

    def outcomes(self) -> Mapping[RowOutcome, int]:
        """How many rows had which outcome."""
        counts = dict.fromkeys(RowOutcome, 0)
        for name, count in self._connection.execute("SELECT outcome, count(*) FROM outcome GROUP BY outcome"):
            counts[_OUTCOMES[name]] = count
        return counts

    def unsettled(self) -> int:
        """How many rows have requests of which nothing is known, as nobody read back what came of them."""
        return self._connection.execute(
            "SELECT count(*) FROM outcome WHERE outcome = 'unknown' AND NOT EXISTS"
            " (SELECT 1 FROM step WHERE row = number AND state = 'unknown' AND found IS NOT NULL)"
        ).fetchone()[0]

    def remarked(self) -> int:
        """How many rows are done of which the server made something else, or more, than they said."""
        return self._connection.execute(
            "SELECT count(DISTINCT row) FROM step WHERE state = 'done' AND reason <> ''"
        ).fetchone()[0]

    def failed_in_part(self) -> int:
        """How many failed rows have a request that did a part of what it said: it is not made again."""
        return self._connection.execute(
            "SELECT count(*) FROM outcome WHERE outcome = 'failed' AND number IN (SELECT row FROM step WHERE state ="
            " 'failed' AND found IS NOT NULL)"
        ).fetchone()[0]

    def unusual(self, *, conflicts: bool = False) -> int:
        """How many rows that go have unusual amounts of money; with ``conflicts`` those in conflict go, too."""
        return self._connection.execute(
            "SELECT count(*) FROM row WHERE unusual <> '' AND (decision = 'planned' OR (decision = 'conflict' AND ?))",
            (conflicts,),
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


def now_text() -> str:
    """The present as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
