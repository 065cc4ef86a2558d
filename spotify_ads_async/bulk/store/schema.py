"""The file format of plans: SQLite, its schema, its locks and its durability."""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from spotify_ads_async.bulk.records import NotAPlan, PlanDamaged, PlanInUse

__all__ = [
    "AROUND",
    "Known",
    "connect",
    "create",
    "decode",
    "encode",
    "in_one_sentence",
    "lock",
    "make_durable",
    "open_existing",
    "survive_power_cuts",
]

EnumT = TypeVar("EnumT", bound=enum.Enum)

_APPLICATION_ID = 0x53414250  # "SABP"
_FORMAT = 5
_PAGE_SIZE = 8192
"""Bytes, room for the JSON of several entities."""
_BEFORE_DRAFTS, _BEFORE_STATES, _BEFORE_MADE_AT, _BEFORE_FILLED = 1, 2, 3, 4

_SCHEMA = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE row (
  number INTEGER PRIMARY KEY,
  line INTEGER NOT NULL,
  entity_id TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  -- What the entity is listed by: its campaign, its ad set.
  parent TEXT NOT NULL DEFAULT '',
  change TEXT NOT NULL,
  doubts TEXT,
  decision TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  field TEXT NOT NULL DEFAULT '',
  unusual TEXT NOT NULL DEFAULT '',
  conflicts TEXT,
  before TEXT,
  after TEXT,
  -- The entity's JSON as it was when it was last looked at.
  state TEXT,
  base TEXT,
  checksum INTEGER
);
-- Of few rows there is something to say, and to find them takes no look at the others.
CREATE INDEX row_with_reason ON row (number) WHERE reason <> '';
CREATE TABLE step (
  row INTEGER NOT NULL,
  position INTEGER NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0,
  sent_at REAL,
  status INTEGER,
  trace_id TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  found TEXT,
  transient INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (row, position)
) WITHOUT ROWID;
"""

_INDICES = """
CREATE INDEX step_by_state ON step (state, row, position);
"""

_DRAFTS = """
-- Campaigns whose draft this plan has made, or is about to make.
CREATE TABLE campaign (
  id TEXT PRIMARY KEY,
  draft_id TEXT NOT NULL DEFAULT '',
  -- When the server made it: another draft of the same id is somebody else's.
  made_at TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  version INTEGER
) WITHOUT ROWID;
CREATE TABLE draft (
  row INTEGER PRIMARY KEY,
  campaign_id TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  -- Whether the row's values are in it, or may be, on top of the row's state. A row keeps that when it fails.
  filled INTEGER NOT NULL DEFAULT 0,
  draft_id TEXT NOT NULL DEFAULT ''
);
CREATE INDEX draft_by_campaign ON draft (campaign_id);
"""

AROUND = """
-- What else the campaigns' drafts hold, as it was live when they were made.
CREATE TABLE IF NOT EXISTS around (id TEXT PRIMARY KEY, campaign_id TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
"""

_VIEWS = """
-- The worst of a row's requests says what became of the row.
CREATE VIEW outcome AS SELECT number, CASE
  WHEN decision IN ('refused', 'unchanged', 'conflict') THEN decision
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state IN ('unknown', 'sent')) THEN 'unknown'
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'failed') THEN 'failed'
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'staged') THEN
    (SELECT CASE campaign.state WHEN 'publishing' THEN 'unknown' WHEN 'open' THEN 'waiting' ELSE 'staged' END
     FROM draft JOIN campaign ON campaign.id = campaign_id WHERE draft.row = number)
  WHEN decision = 'read' OR EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'waiting') THEN 'waiting'
  ELSE 'done' END AS outcome FROM row;
-- Rows of which requests are to be made: none of theirs failed, or is not settled.
CREATE VIEW open AS SELECT number, parent FROM row WHERE decision = 'planned'
  AND EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'waiting')
  AND NOT EXISTS (SELECT 1 FROM step WHERE step.row = number AND state NOT IN ('waiting', 'done'));
"""

_FROM_BEFORE_MADE_AT = "ALTER TABLE campaign ADD COLUMN made_at TEXT NOT NULL DEFAULT '';"

_FROM_BEFORE_FILLED = """
ALTER TABLE draft ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
UPDATE draft SET filled = 1 WHERE EXISTS (SELECT 1 FROM step WHERE step.row = draft.row AND state = 'staged');
"""

_FROM_BEFORE_STATES = """
DROP VIEW IF EXISTS fate;
DROP VIEW IF EXISTS request;
ALTER TABLE row RENAME COLUMN verdict TO decision;
ALTER TABLE step RENAME COLUMN passing TO transient;
ALTER TABLE row ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE row ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE row ADD COLUMN doubts TEXT;
ALTER TABLE row ADD COLUMN unusual TEXT NOT NULL DEFAULT '';
ALTER TABLE row ADD COLUMN conflicts TEXT;
ALTER TABLE row ADD COLUMN state TEXT;
ALTER TABLE row ADD COLUMN checksum INTEGER;
UPDATE row SET state = json_patch(coalesce(elsewhere, '{}'), coalesce(before, '{}'));
INSERT OR REPLACE INTO header VALUES ('former', 'true');
"""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty plan file that its owner alone may read.

    Until :func:`make_durable`, a power cut may leave nothing of it.

    Raises:
        FileExistsError: there is a file at ``path``: a journal is never overwritten.
        OSError: it cannot be made there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "fchmod"):  # a strange umask may have taken more away than it should
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    connection = connect(path)
    try:
        # What is not whole goes away, and a journal of its own would cost as much as the plan.
        connection.execute(f"PRAGMA page_size={_PAGE_SIZE}")
        connection.execute("PRAGMA synchronous=OFF")
        lock(connection, "MEMORY")
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.executescript(f"BEGIN; {_SCHEMA} {_DRAFTS} {AROUND} {_VIEWS} COMMIT;")
    except BaseException:
        connection.close()
        path.unlink(missing_ok=True)
        raise
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """From here on everything that is committed survives a power cut, and so does everything before."""
    survive_power_cuts(connection, wanted=True)
    lock(connection, "WAL")
    connection.executescript(f"BEGIN; {_INDICES} COMMIT;")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def survive_power_cuts(connection: sqlite3.Connection, *, wanted: bool) -> None:
    """Let commits wait for the disk, or not. What is committed survives the process in either case."""
    connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'OFF'}")


def open_existing(path: Path) -> sqlite3.Connection:
    """Open and lock a plan file.

    Raises:
        FileNotFoundError: there is no such file.
        NotAPlan: it is something else.
        PlanDamaged: it was a plan once.
        PlanInUse: another process has it open.
    """
    check_place(path)
    # What a log beside it completes may end anywhere.
    is_complete = not path.with_name(f"{path.name}-wal").exists()
    with in_one_sentence(path):
        connection = connect(path)
        try:
            _check_format(connection, path, is_complete=is_complete)
            lock(connection, "WAL")
            survive_power_cuts(connection, wanted=True)
            _upgrade(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def check_place(path: Path) -> None:
    """Refuse what cannot be a plan, without opening it: a pipe would wait for whoever writes, and a device never ends.

    Raises:
        FileNotFoundError, NotAPlan: there is no plan.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no plan at {path}") from None
    except OSError as problem:
        raise NotAPlan(f"{path} cannot be read: {problem.strerror or problem}") from None
    if not stat.S_ISREG(mode):
        raise NotAPlan(f"{path} is no plan: it is no file")


@contextlib.contextmanager
def in_one_sentence(path: Path) -> Generator[None]:
    """What SQLite says of a file, as an error of this package.

    Raises:
        NotAPlan, PlanDamaged, PlanInUse: what became of the file.
    """
    try:
        yield
    except sqlite3.Error as problem:
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise PlanInUse(f"another process works on {path}: wait for it, or end it first") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise NotAPlan(f"{path} is no plan") from None
        if code == sqlite3.SQLITE_FULL:
            raise PlanDamaged(
                f"{path} cannot be written: the disk is full; make room, then resume the plan, or plan again"
            ) from None
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}:
            raise PlanDamaged(
                f"{path} cannot be opened or written ({problem}): check the disk, and who may write there"
            ) from None
        raise PlanDamaged(
            f"{path} is damaged ({problem}): nothing was sent from it; restore it, or plan again"
        ) from None
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise PlanDamaged(
            f"{path} is damaged ({problem}): nothing was sent from it; restore it, or plan again"
        ) from None


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, for one thread at a time; which one does not matter."""
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _check_format(connection: sqlite3.Connection, path: Path, *, is_complete: bool) -> None:
    names = ("application_id", "user_version", "page_size")
    application, version, page_size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    if application != _APPLICATION_ID:
        raise NotAPlan(f"{path} is no plan")
    if version not in {_BEFORE_DRAFTS, _BEFORE_STATES, _BEFORE_MADE_AT, _BEFORE_FILLED, _FORMAT}:
        raise NotAPlan(
            f"{path} has format {version}, and this version of the program reads format {_FORMAT}: carry it out with"
            " the version that made it, or plan again"
        )
    if is_complete and path.stat().st_size % page_size:
        raise PlanDamaged(f"{path} is damaged: it was cut off; restore it, or plan again")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Give a plan of a former format what it lacks."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _FORMAT:
        return
    drafts = _DRAFTS if version == _BEFORE_DRAFTS else _FROM_BEFORE_FILLED
    if version in {_BEFORE_STATES, _BEFORE_MADE_AT}:
        drafts += _FROM_BEFORE_MADE_AT
    states = f"{_FROM_BEFORE_STATES} {_VIEWS}" if version in {_BEFORE_DRAFTS, _BEFORE_STATES} else ""
    connection.executescript(f"BEGIN; {drafts} {AROUND} {states} PRAGMA user_version={_FORMAT}; COMMIT;")


def lock(connection: sqlite3.Connection, journal: Literal["MEMORY", "WAL"]) -> None:
    """Keep other processes out until the connection closes or the process dies."""
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(value: object) -> str:
    """A value as JSON text."""
    return _encoder.encode(value).decode()


def decode(text: str | None) -> dict[str, Any]:
    """The object in a JSON text; nothing is an empty one."""
    return _decoder.decode(text) if text else {}


class Known(dict[str, EnumT]):
    """The members of an enum by their values; any other value is damage."""

    def __init__(self, kind: type[EnumT]) -> None:
        super().__init__({str(one.value): one for one in kind})

    def __missing__(self, value: object) -> EnumT:
        raise msgspec.ValidationError(f"{value!r} is none of {', '.join(self)}")
