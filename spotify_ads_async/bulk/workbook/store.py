"""The plan of a workbook.

One SQLite file with everything that is new, the media that it needs, and where the plans of changes are.
Everything here blocks. What is committed survives a kill and a power cut; while somebody works on the plan, it is
locked.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from spotify_ads_async.bulk.records import NotAPlan, PlanInUse, RowOutcome

__all__ = [
    "CampaignState",
    "Draft",
    "MediaItem",
    "NewItem",
    "NewState",
    "WorkbookHeader",
    "WorkbookPlan",
    "is_workbook_plan",
]

_APPLICATION_ID = 0x53414257  # "SABW"
_FORMAT = 1
_SCHEMA = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE part (position INTEGER PRIMARY KEY, plural TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE media (
  number INTEGER PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, asset_type TEXT NOT NULL,
  asset_id TEXT NOT NULL DEFAULT ''
);
CREATE TABLE item (
  number INTEGER PRIMARY KEY, plural TEXT NOT NULL, line INTEGER NOT NULL, place TEXT NOT NULL, name TEXT NOT NULL,
  body TEXT NOT NULL, columns TEXT NOT NULL, media TEXT NOT NULL, parent INTEGER, parent_id TEXT NOT NULL,
  campaign TEXT NOT NULL,
  key TEXT NOT NULL, state TEXT NOT NULL, draft_id TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  field TEXT NOT NULL DEFAULT ''
);
CREATE INDEX item_by_state ON item (plural, state);
-- The campaigns whose drafts hold what is new: by the number of a new one, or the id of a live one.
CREATE TABLE campaign (id TEXT PRIMARY KEY, draft_id TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
  version INTEGER) WITHOUT ROWID;
"""


_ITEMS = (
    "SELECT number, plural, line, place, name, body, columns, media, parent, parent_id, campaign, key, state, draft_id,"
    " reason, field FROM item"
)


class NewState(enum.StrEnum):
    """Where a new thing stands."""

    WAITING = "waiting"
    MADE = "made"
    """Its draft is there."""
    FAILED = "failed"
    NOT_TRIED = "not tried"
    """What it is in could not be made."""
    INVALID = "invalid"
    """Its draft is there, and cannot go live as it is."""
    PUBLISHED = "published"
    DELETED = "deleted"


_OUTCOMES = {
    NewState.WAITING: RowOutcome.WAITING,
    NewState.MADE: RowOutcome.STAGED,
    NewState.FAILED: RowOutcome.FAILED,
    NewState.NOT_TRIED: RowOutcome.FAILED,
    NewState.INVALID: RowOutcome.FAILED,
    NewState.PUBLISHED: RowOutcome.DONE,
    NewState.DELETED: RowOutcome.DONE,
}


class CampaignState(enum.StrEnum):
    """Where the draft of a campaign stands."""

    OPEN = "open"
    VALID = "valid"
    INVALID = "invalid"
    PUBLISHING = "publishing"
    """Publishing was asked for, and no answer is known yet."""
    PUBLISHED = "published"
    DELETED = "deleted"


class WorkbookHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is about: one ad account at one address."""

    ad_account_id: str
    base_url: str
    source: str
    created_at: str
    currency: str = ""
    ready: bool = False
    remarks: str = ""
    """What was taken for granted in reading, a line each."""
    guessed: bool = False
    """Whether the file's encoding is among that."""


class NewItem(msgspec.Struct, frozen=True, kw_only=True):
    """One new thing.

    Attributes:
        number: its place in the plan, parents before children.
        plural: the plural of its kind.
        line: its row in the sheet.
        place: the row in words, such as ``ad sets, row 4``.
        name: its name.
        body: what makes its draft, without its parent and without media that are yet to be uploaded.
        columns: the cells of its columns, such as ``ad sets!C4``, by field.
        media: the numbers of media to upload, by field.
        parent: the number of the new thing that it is in, or None.
        parent_id: the id of the live thing that it is in, or nothing.
        campaign: the campaign that it is in: the number of a new one, or the id of a live one.
        key: the idempotency key of its create.
        state: where it stands.
        draft_id: its draft; published, it keeps that id.
        reason: what is wrong.
        field: the field that ``reason`` is about.
    """

    number: int
    plural: str
    line: int
    place: str
    name: str
    body: dict[str, Any]
    columns: dict[str, str]
    media: dict[str, int] = {}
    parent: int | None = None
    parent_id: str = ""
    campaign: str = ""
    key: str = ""
    state: NewState = NewState.WAITING
    draft_id: str = ""
    reason: str = ""
    field: str = ""

    @property
    def entity_id(self) -> str:
        """The id of its draft, which it keeps when it is published; nothing until it is made."""
        return self.draft_id

    @property
    def outcome(self) -> RowOutcome:
        """What became of it, as of a row of changes."""
        return _OUTCOMES[self.state]

    @property
    def cell(self) -> str:
        """The cell that ``reason`` is about, or the row."""
        return self.columns.get(self.field, self.place)


class MediaItem(msgspec.Struct, frozen=True, kw_only=True):
    """A media file to upload, once."""

    number: int
    path: str
    sha256: str
    asset_type: str
    asset_id: str = ""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The draft of a campaign that holds something new."""

    id: str
    draft_id: str
    state: CampaignState
    version: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether the campaign itself is new: then its draft is ours, and deleting that deletes all that is in it."""
        return self.id.isdecimal()


def is_workbook_plan(path: Path) -> bool:
    """Whether a file is the plan of a workbook, by its first bytes.

    What is no file, such as a pipe, is none, and is not opened.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and head[68:72] == _APPLICATION_ID.to_bytes(4, "big")


class WorkbookPlan:
    """An open plan of a workbook, locked for others; a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def create(cls, path: Path, header: WorkbookHeader) -> Self:
        """Make a new plan, which its owner alone can read.

        Raises:
            FileExistsError: there is a file at ``path``.
        """
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        plan = cls(connection, path)
        plan._lock()
        plan.write_header(header)
        return plan

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a plan and lock it.

        Raises:
            FileNotFoundError: there is no such file.
            NotAPlan: it is something else.
            PlanInUse: another process works on it.
        """
        if not path.exists():
            raise FileNotFoundError(f"there is no plan at {path}")
        if not is_workbook_plan(path):
            raise NotAPlan(f"{path} is no plan of a workbook")
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        plan = cls(connection, path)
        try:
            _check_format(connection, path)
            plan._lock()
        except sqlite3.DatabaseError as problem:
            connection.close()
            if problem.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise PlanInUse(f"another process works on {path}: wait for it, or end it first") from None
            raise NotAPlan(f"{path} is damaged: {problem}") from None
        except BaseException:
            connection.close()
            raise
        return plan

    def _lock(self) -> None:
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("BEGIN EXCLUSIVE")
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Unlock and close."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
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

    @property
    def header(self) -> WorkbookHeader:
        """What the plan is about."""
        return msgspec.convert(
            dict(self._connection.execute("SELECT name, value FROM header")), WorkbookHeader, strict=False
        )

    def write_header(self, header: WorkbookHeader) -> None:
        """Replace the header."""
        values = [
            (name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in msgspec.to_builtins(header).items()
        ]
        self._connection.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", values)

    # ---- parts, media and items

    def add_part(self, plural: str, path: Path) -> None:
        """Name the plan of the changes of one kind, which is beside this one."""
        self._connection.execute("INSERT INTO part (plural, name) VALUES (?, ?)", (plural, path.name))

    def parts(self) -> list[tuple[str, Path]]:
        """The plans of changes, each with the plural of its kind."""
        found = self._connection.execute("SELECT plural, name FROM part ORDER BY position")
        return [(plural, self.path.with_name(name)) for plural, name in found]

    def add_media(self, items: Sequence[MediaItem]) -> None:
        """Add media files to upload."""
        self._connection.executemany(
            "INSERT INTO media (number, path, sha256, asset_type) VALUES (?, ?, ?, ?)",
            [(one.number, one.path, one.sha256, one.asset_type) for one in items],
        )

    def media(self) -> list[MediaItem]:
        """The media files."""
        found = self._connection.execute("SELECT number, path, sha256, asset_type, asset_id FROM media ORDER BY number")
        return [
            MediaItem(number=number, path=path, sha256=sha, asset_type=kind, asset_id=asset)
            for number, path, sha, kind, asset in found
        ]

    def uploaded(self, number: int, asset_id: str) -> None:
        """Write down the asset that a media file became."""
        self._connection.execute("UPDATE media SET asset_id = ? WHERE number = ?", (asset_id, number))

    def add_items(self, items: Sequence[NewItem]) -> None:
        """Add new things, and the campaigns that they are in."""
        encode = msgspec.json.Encoder().encode
        self._connection.executemany(
            "INSERT INTO item (number, plural, line, place, name, body, columns, media, parent, parent_id, campaign,"
            " key, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    one.number,
                    one.plural,
                    one.line,
                    one.place,
                    one.name,
                    encode(one.body).decode(),
                    encode(one.columns).decode(),
                    encode(one.media).decode(),
                    one.parent,
                    one.parent_id,
                    one.campaign,
                    one.key,
                    one.state,
                )
                for one in items
            ],
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO campaign (id, state) VALUES (?, 'open')", [(one.campaign,) for one in items]
        )

    def items(self, *, plural: str = "", campaign: str = "") -> list[NewItem]:
        """The new things, all of them, or those of a kind or a campaign."""
        found = self._connection.execute(
            f"{_ITEMS} WHERE (? = '' OR plural = ?) AND (? = '' OR campaign = ?) ORDER BY number",
            (plural, plural, campaign, campaign),
        )
        return [_item(values) for values in found]

    def item(self, number: int) -> NewItem:
        """One new thing."""
        return _item(self._connection.execute(f"{_ITEMS} WHERE number = ?", (number,)).fetchone())

    def settle(
        self, number: int, state: NewState, *, draft_id: str | None = None, reason: str = "", field: str = ""
    ) -> None:
        """Write down what became of a new thing."""
        self._connection.execute(
            "UPDATE item SET state = ?, draft_id = coalesce(?, draft_id), reason = ?, field = ? WHERE number = ?",
            (state, draft_id, reason, field, number),
        )

    def requeue(self) -> None:
        """Let what failed, or was not tried, be tried again, and what was not valid be validated again."""
        self._connection.execute(
            "UPDATE item SET state = 'waiting', reason = '', field = '' WHERE state IN ('failed', 'not tried')"
        )
        self._connection.execute("UPDATE item SET state = 'made', reason = '', field = '' WHERE state = 'invalid'")
        self._connection.execute("UPDATE campaign SET state = 'open' WHERE state IN ('valid', 'invalid')")

    def campaigns(self) -> list[Draft]:
        """The campaigns that hold something new."""
        found = self._connection.execute("SELECT id, draft_id, state, version FROM campaign ORDER BY id")
        return [
            Draft(id=one, draft_id=draft, state=CampaignState(state), version=version)
            for one, draft, state, version in found
        ]

    def conclude(
        self, campaign: str, state: CampaignState, *, draft_id: str | None = None, version: int | None = None
    ) -> None:
        """Write down where a campaign's draft stands."""
        self._connection.execute(
            "UPDATE campaign SET state = ?, draft_id = coalesce(?, draft_id), version = coalesce(?, version) WHERE"
            " id = ?",
            (state, draft_id, version, campaign),
        )

    def begun(self) -> bool:
        """Whether anything was made, uploaded, or tried."""
        return (
            self._connection.execute(
                "SELECT 1 FROM item WHERE state <> 'waiting' UNION SELECT 1 FROM media WHERE asset_id <> '' "
                "UNION SELECT 1 FROM header WHERE name = 'begun' LIMIT 1"
            ).fetchone()
            is not None
        )


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _FORMAT:
        raise NotAPlan(f"{path} has format {version}, and this version of the program reads format {_FORMAT}")


def _item(values: tuple[Any, ...]) -> NewItem:
    (
        number,
        plural,
        line,
        place,
        name,
        body,
        columns,
        media,
        parent,
        parent_id,
        campaign,
        key,
        state,
        draft_id,
        reason,
        field,
    ) = values
    decode = msgspec.json.decode
    return NewItem(
        number=number,
        plural=plural,
        line=line,
        place=place,
        name=name,
        body=decode(body),
        columns=decode(columns),
        media=decode(media),
        parent=parent,
        parent_id=parent_id,
        campaign=campaign,
        key=key,
        state=NewState(state),
        draft_id=draft_id,
        reason=reason,
        field=field,
    )
