"""The plan of a workbook.

One SQLite file with everything that is new, the media that it needs, and where the plans of changes are.
Everything here blocks. What is committed survives a kill and a power cut; while somebody works on the plan, it is
locked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from spotify_ads_async.bulk.records import NotAPlan, PlanDamaged
from spotify_ads_async.bulk.store import schema
from spotify_ads_async.bulk.store.draft_tables import CAMPAIGN_STATES, AroundTable, DraftCampaign
from spotify_ads_async.bulk.store.open_file import OpenFile
from spotify_ads_async.bulk.store.rows import checksum
from spotify_ads_async.bulk.workbook.records import MediaItem, NewItem, WorkbookHeader

__all__ = ["WorkbookPlan", "is_workbook_plan", "write_plan"]

_APPLICATION_ID = 0x53414257  # "SABW"
_FORMAT = 3
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
  key TEXT NOT NULL, state TEXT NOT NULL, draft_id TEXT NOT NULL DEFAULT '', made TEXT NOT NULL DEFAULT '{}',
  reason TEXT NOT NULL DEFAULT '', field TEXT NOT NULL DEFAULT '', checksum INTEGER NOT NULL
);
CREATE INDEX item_by_state ON item (plural, state);
-- The campaigns whose drafts hold what is new: by the number of a new one, or the id of a live one.
CREATE TABLE campaign (id TEXT PRIMARY KEY, draft_id TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
  version INTEGER) WITHOUT ROWID;
"""


_COLUMNS = NewItem.__struct_fields__
_NAMED = ", ".join(_COLUMNS)
_SELECT = f"SELECT {_NAMED}, checksum FROM item ORDER BY number"  # noqa: S608 - the struct's own names
_INSERT = f"INSERT INTO item ({_NAMED}, checksum) VALUES ({', '.join('?' * len(_COLUMNS))}, ?)"  # noqa: S608 - its own
_UNCHECKED = frozenset({"state", "reason", "field"})
"""What a later run sets anew."""
_JSON = ("body", "columns", "media", "made")


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


class WorkbookPlan(OpenFile):
    """An open plan of a workbook, locked for others; a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.live = AroundTable(connection)
        """The live campaigns and ad sets that new things are put into."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a plan and lock it.

        Raises:
            FileNotFoundError: there is no such file.
            NotAPlan: it is something else.
            PlanDamaged: it was a plan once.
            PlanInUse: another process works on it.
        """
        if not path.exists():
            raise FileNotFoundError(f"there is no plan at {path}")
        if not is_workbook_plan(path):
            raise NotAPlan(f"{path} is no plan of a workbook")
        with schema.in_one_sentence(path):
            plan = cls(schema.connect(path), path)
            try:
                _check_format(plan._connection, path)
                _lock(plan._connection)
            except BaseException:
                plan.close()
                raise
        return plan

    @property
    def header(self) -> WorkbookHeader:
        """What the plan is about."""
        return msgspec.convert(
            dict(self._connection.execute("SELECT name, value FROM header")), WorkbookHeader, strict=False
        )

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

    def add_items(self, items: Iterable[NewItem]) -> None:
        """Add new things, and the campaigns that they are in."""
        added = list(items)
        self._connection.executemany(_INSERT, [(*_values(one), _checksum(one)) for one in added])
        self._connection.executemany(
            "INSERT OR IGNORE INTO campaign (id, state) VALUES (?, 'open')", [(one.campaign,) for one in added]
        )

    def items(self) -> list[NewItem]:
        """The new things, parents before children.

        Raises:
            PlanDamaged: bytes of one changed since it was written.
        """
        found: list[NewItem] = []
        for *values, check in self._connection.execute(_SELECT):
            item = _item(values)
            if check != _checksum(item):
                changed = f"bytes of {item.place} changed since it was written; nothing was sent for that now"
                raise PlanDamaged(f"{self.path} is damaged: {changed}: restore the file, or plan again")
            found.append(item)
        return found

    def settle(self, items: Iterable[NewItem]) -> None:
        """Write down what became of new things."""
        self._connection.executemany(
            "UPDATE item SET key = ?, state = ?, draft_id = ?, made = ?, reason = ?, field = ?, checksum = ?"
            " WHERE number = ?",
            [
                (one.key, one.state, one.draft_id, _text(one.made), one.reason, one.field, _checksum(one), one.number)
                for one in items
            ],
        )

    def requeue(self) -> None:
        """Let what failed, or was not tried, be tried again, and what was not valid be validated again."""
        self._connection.execute(
            "UPDATE item SET state = 'waiting', reason = '', field = '' WHERE state IN ('failed', 'not tried')"
        )
        self._connection.execute("UPDATE item SET state = 'made', reason = '', field = '' WHERE state = 'invalid'")
        self._connection.execute("UPDATE campaign SET state = 'open' WHERE state IN ('valid', 'invalid')")

    def campaigns(self) -> list[DraftCampaign]:
        """The campaigns that hold something new."""
        found = self._connection.execute("SELECT id, draft_id, state, version FROM campaign ORDER BY id")
        return [
            DraftCampaign(id=one, draft_id=draft, state=CAMPAIGN_STATES[state], version=version)
            for one, draft, state, version in found
        ]

    def conclude(self, campaign: DraftCampaign) -> None:
        """Write down where a campaign's draft stands."""
        self._connection.execute(
            "UPDATE campaign SET state = ?, draft_id = ?, version = ? WHERE id = ?",
            (campaign.state, campaign.draft_id, campaign.version, campaign.id),
        )

    def begin(self) -> None:
        """Write down that somebody carries the plan out."""
        self._connection.execute("INSERT OR IGNORE INTO header VALUES ('begun', 'true')")

    def begun(self) -> bool:
        """Whether somebody carries it out, or has."""
        found = self._connection.execute(
            "SELECT 1 FROM item WHERE state <> 'waiting' UNION SELECT 1 FROM header WHERE name = 'begun' LIMIT 1"
        )
        return found.fetchone() is not None


def write_plan(
    path: Path,
    header: WorkbookHeader,
    parts: Sequence[tuple[str, Path]],
    media: Sequence[MediaItem] = (),
    items: Sequence[NewItem] = (),
) -> None:
    """Write the plan of a workbook; nothing is left of it where that fails.

    Raises:
        FileExistsError: there is a file at ``path``.
        PlanDamaged: it cannot be written there.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = schema.connect(path)
        with WorkbookPlan(connection, path) as plan:
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_FORMAT}")
            connection.executescript(f"BEGIN; {_SCHEMA} {schema.AROUND} COMMIT;")
            _lock(connection)
            with plan.transaction():
                for plural, part in parts:
                    plan.add_part(plural, part)
                plan.add_media(media)
                plan.add_items(items)
                plan.write_header(header)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _lock(connection: sqlite3.Connection) -> None:
    schema.lock(connection, "WAL")
    schema.survive_power_cuts(connection, wanted=True)


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _FORMAT:
        raise NotAPlan(
            f"{path} has format {version}, and this version of the program reads format {_FORMAT}: carry it out with"
            " the version that made it, or plan again"
        )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _values(item: NewItem) -> list[object]:
    return [_text(value) if name in _JSON else value for name, value in msgspec.structs.asdict(item).items()]


def _checksum(item: NewItem) -> int:
    named = zip(_COLUMNS, _values(item), strict=True)
    return checksum(*(str(value) for name, value in named if name not in _UNCHECKED))


def _item(values: Sequence[Any]) -> NewItem:
    facts = dict(zip(_COLUMNS, values, strict=True))
    facts.update({name: msgspec.json.decode(facts[name] or "") for name in _JSON})
    return msgspec.convert(facts, NewItem)
