"""The receipt of an import: how far each campaign of a file has come, so that another import goes on after a crash."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from spotify_ads_async.errors import ConfigurationError, InvalidRequest
from spotify_ads_async.locks import close_locked, open_locked, taken_off_loop
from spotify_ads_async.trees.comparing import Difference

__all__ = ["Event", "Receipt"]

_BEGINNING = b'{"ad_account_id":'


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a receipt: how far a campaign has come.

    Attributes:
        ad_account_id: where it is made.
        original_id: the campaign in the file.
        key: the idempotency key under which its draft is made; written before the request leaves.
        digest: what tells the plan that it is made by from another: of other lines, or with other options.
        draft_id: its draft, once it is known.
        ids: from the id of each original to that of its draft, once the draft has everything in it.
        whole: whether the draft has everything in it.
        found: what was not as it was wanted when the draft was made.
        valid: whether nothing is to be said of the draft.
        published: whether it is live, and all of it is set.
        differs: whether something of it was not as it was wanted then.
    """

    ad_account_id: str
    original_id: str
    key: str
    digest: str = ""
    draft_id: str = ""
    ids: dict[str, str] = {}
    whole: bool = False
    found: list[Difference] = []
    valid: bool = False
    published: bool = False
    differs: bool = False


class Receipt:
    """An open receipt; no other import can open it meanwhile.

    Use :meth:`opened`.
    """

    def __init__(self, path: Path, ad_account_id: str, file: int) -> None:
        self._path = path
        self._file = file
        self._events: dict[str, Event] = {}
        with path.open("rb") as reading:
            content = reading.read()
        # What was torn off is cut off, so that the next line does not continue it.
        end = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:end].splitlines(), start=1):
            self._take(number, line, ad_account_id)
        torn = content[end:]
        if torn:
            if not (
                (self._events and torn.startswith(b"{")) or torn.startswith(_BEGINNING) or _BEGINNING.startswith(torn)
            ):
                raise self._unreadable(content.count(b"\n") + 1, "it is no line of a receipt")
            os.ftruncate(file, end)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, ad_account_id: str) -> Generator[Receipt]:
        """Open a receipt, or make an empty one, and keep every other import from it for as long as the block runs.

        Blocks.
        The last line may be torn: what wrote it was killed.

        Raises:
            ConfigurationError: another import works with it, or it cannot be opened.
            InvalidRequest: a line cannot be read, or is about another ad account.
        """
        try:
            file = open_locked(path)
        except OSError as problem:
            raise ConfigurationError(
                f"the receipt {path} cannot be opened: {problem.strerror}; nothing was sent"
            ) from None
        if file is None:
            raise ConfigurationError(
                f"another import works with the receipt {path}: let it end, or name another receipt; nothing was sent"
            )
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise ConfigurationError(
                    f"{path} is no plain file, and no place for a receipt: name another; nothing was sent"
                )
            yield cls(path, ad_account_id, file)
        finally:
            close_locked(file)

    def _take(self, number: int, line: bytes, ad_account_id: str) -> None:
        try:
            event = msgspec.json.decode(line, type=Event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise self._unreadable(number, str(problem)) from None
        if event.ad_account_id != ad_account_id:
            raise InvalidRequest(
                f"{self._path} is the receipt of an import into another ad account, {event.ad_account_id}: name"
                " another; nothing was sent",
                path=f"line {number}",
            )
        self._events[event.original_id] = event

    def _unreadable(self, number: int, what: str) -> InvalidRequest:
        known = [event.draft_id for event in self._events.values() if event.draft_id]
        drafts = f" Before that line it names {len(known)} drafts: {' '.join(known)}." if known else ""
        return InvalidRequest(
            f"{self._path} is no receipt of an import: line {number}: {what}. Nothing was sent and nothing was changed"
            f" in it.{drafts} To go on, name another receipt; drafts that an earlier import made are listed by"
            " `spotify-ads drafts list`",
            path=f"line {number}",
        )

    @property
    def events(self) -> dict[str, Event]:
        """How far each campaign has come, by its id in the file."""
        return dict(self._events)

    def of(self, original_id: str) -> Event | None:
        """How far a campaign has come, None for not begun."""
        return self._events.get(original_id)

    async def keep(self, event: Event) -> None:
        """Keep a step: it is on the disk when this returns, also where the task is cancelled meanwhile."""
        await taken_off_loop(lambda: self._write(event))

    def _write(self, event: Event) -> None:
        line = msgspec.json.encode(event) + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        os.fsync(self._file)
        self._events[event.original_id] = event
