"""What the plan of a workbook holds: its header, new things and where they stand, and media files."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from spotify_ads_async.bulk.records import RowOutcome

__all__ = ["MediaItem", "NewItem", "NewState", "WorkbookHeader"]


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
    GONE = "gone"
    """Somebody deleted its draft."""
    DELETED = "deleted"
    """Its draft was taken back."""
    ARCHIVED = "archived"
    """It was published, and taken back."""


_OUTCOMES = {
    NewState.WAITING: RowOutcome.WAITING,
    NewState.MADE: RowOutcome.STAGED,
    NewState.FAILED: RowOutcome.FAILED,
    NewState.NOT_TRIED: RowOutcome.FAILED,
    NewState.INVALID: RowOutcome.FAILED,
    NewState.GONE: RowOutcome.FAILED,
    NewState.PUBLISHED: RowOutcome.DONE,
    NewState.DELETED: RowOutcome.DONE,
    NewState.ARCHIVED: RowOutcome.DONE,
}


class WorkbookHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is about: one ad account at one address."""

    ad_account_id: str
    base_url: str
    source: str
    created_at: str
    mark: str = ""
    """What the names of its media end with, which no other plan's do."""
    currency: str = ""
    remarks: str = ""
    """What was taken for granted in reading, a line each."""
    guessed: bool = False
    """Whether the file's encoding is among that."""
    undo_of: str = ""
    """The plan that this one takes back."""
    archive: bool = False
    """Whether it archives what is published by now."""


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
        made: what may be written of its draft, as it was when it was made.
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
    made: dict[str, Any] = {}
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
    def is_unfinished(self) -> bool:
        """Whether it is not all that was asked for, as its ``reason`` says: a draft that is not valid or not live."""
        return self.outcome is RowOutcome.FAILED or bool(self.reason and self.state is NewState.MADE)

    @property
    def is_there(self) -> bool:
        """Whether it was made, and neither taken back nor deleted by somebody."""
        return bool(self.draft_id) and self.state not in {NewState.GONE, NewState.DELETED, NewState.ARCHIVED}

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
