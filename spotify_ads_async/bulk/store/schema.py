"""The file format of plans: SQLite, its schema, its locks and its durability."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.bulk.records import NotAPlan, PlanInUse

__all__ = ["create", "decode", "encode", "make_durable", "open_existing", "survive_power_cuts"]

_APPLICATION_ID = 0x53414250  # "SABP"
_FORMAT = 2
_BEFORE_DRAFTS = 1

_SCHEMA = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE row (
  number INTEGER PRIMARY KEY,
  line INTEGER NOT NULL,
  entity_id TEXT NOT NULL,
  change TEXT NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  field TEXT NOT NULL DEFAULT '',
  before TEXT,
  after TEXT,
  elsewhere TEXT,
  base TEXT
);
CREATE UNIQUE INDEX row_by_entity ON row (entity_id) WHERE verdict <> 'refused';
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
CREATE INDEX step_by_state ON step (state, row, position);
"""

_DRAFTS = """
-- Campaigns whose draft this plan has made, or is about to make.
CREATE TABLE campaign (
  id TEXT PRIMARY KEY,
  draft_id TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  version INTEGER
) WITHOUT ROWID;
CREATE TABLE draft (row INTEGER PRIMARY KEY, campaign_id TEXT NOT NULL, parent_id TEXT NOT NULL, draft_id TEXT NOT NULL DEFAULT '');
CREATE INDEX draft_by_campaign ON draft (campaign_id);
DROP VIEW IF EXISTS fate;
-- The worst of a row's requests says what became of the row.
CREATE VIEW fate AS SELECT number, CASE
  WHEN verdict = 'refused' THEN 'refused'
  WHEN verdict = 'unchanged' THEN 'unchanged'
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state IN ('unknown', 'sent')) THEN 'unknown'
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'failed') THEN 'failed'
  WHEN EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'staged') THEN
    (SELECT CASE campaign.state WHEN 'publishing' THEN 'unknown' WHEN 'open' THEN 'waiting' ELSE 'staged' END
     FROM draft JOIN campaign ON campaign.id = campaign_id WHERE draft.row = number)
  WHEN verdict = 'read' OR EXISTS (SELECT 1 FROM step WHERE step.row = number AND state = 'waiting') THEN 'waiting'
  ELSE 'done' END AS fate FROM row;
DROP VIEW IF EXISTS request;
-- Requests with what is needed to make them.
CREATE VIEW request AS SELECT step.row, position, entity_id, body, before, state, sent FROM step JOIN row ON number = step.row;
"""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty plan file. Until :func:`make_durable`, a power cut may leave nothing of it: a plan is made again then.

    Raises:
        FileExistsError: there is a file at ``path``: a journal is never overwritten.
    """
    path.touch(exist_ok=False)
    connection = _connect(path)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        _lock(connection)
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.executescript(f"BEGIN; {_SCHEMA} {_DRAFTS} COMMIT;")
    except BaseException:
        connection.close()
        path.unlink(missing_ok=True)
        raise
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """From here on everything that is committed survives a power cut, and so does everything before."""
    survive_power_cuts(connection, wanted=True)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def survive_power_cuts(connection: sqlite3.Connection, *, wanted: bool) -> None:
    """Let commits wait for the disk, or not. What is committed survives the process in either case."""
    connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'OFF'}")


def open_existing(path: Path) -> sqlite3.Connection:
    """Open and lock a plan file.

    Raises:
        FileNotFoundError: there is no such file.
        NotAPlan: it is something else.
        PlanInUse: another process has it open.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no plan at {path}")
    connection = _connect(path)
    try:
        _check_format(connection, path)
        _lock(connection)
        survive_power_cuts(connection, wanted=True)
        _upgrade(connection)
    except sqlite3.DatabaseError as problem:
        connection.close()
        if problem.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise PlanInUse(f"another process works on {path}: wait for it, or end it first") from None
        if problem.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotAPlan(f"{path} is no plan") from None
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # One thread at a time uses the connection; which one does not matter.
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise NotAPlan(f"{path} is no plan")
    if version not in {_BEFORE_DRAFTS, _FORMAT}:
        raise NotAPlan(f"{path} has format {version}, and this version of the program reads format {_FORMAT}")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Give a plan of the format before drafts what it lacks."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _BEFORE_DRAFTS:
        connection.executescript(f"BEGIN; {_DRAFTS} PRAGMA user_version={_FORMAT}; COMMIT;")


def _lock(connection: sqlite3.Connection) -> None:
    """Keep other processes out until the connection closes or the process dies."""
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA journal_mode=WAL")
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
