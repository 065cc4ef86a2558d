"""The journal of an upload: a small file beside the media file, from which an upload goes on after a crash.

JSON Lines: what is uploaded and whereto, then each fact once it is certain. What a crash cut off is ignored. It holds
no secret; only this user can read it, as it names files. One upload at a time works with it: the operating system lifts
the lock when the process dies.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Self, cast

import anyio
import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.locks import close_locked, open_locked, taken_off_loop
from spotify_ads_async.uploads.files import MediaFile

__all__ = ["Journal", "Wish", "journal_beside"]

_BEGINNING = b'{"wish":'

logger = logging.getLogger("spotify_ads_async")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is uploaded and whereto. A journal of another wish is not gone on with."""

    base_url: str
    ad_account_id: str
    name: str
    subtype: str | None
    asset_id: str | None
    file: MediaFile


class State(msgspec.Struct, kw_only=True):
    """What is certain so far.

    Attributes:
        mark: what the name of the asset carries that this upload registers, so that it is told from others of the same
            name.
        named: whether the asset bears its own name.
        sent: the sections that arrived, by number, with the SHA-256 of what was sent.
        closing: whether the call was made that gives the asset its file. Before it, one that has a file has another's.
    """

    asset_id: str | None = None
    mark: str | None = None
    named: bool = False
    session: str | None = None
    section_size: int = 0
    sent: dict[int, str] = msgspec.field(default_factory=dict[int, str])
    closing: bool = False
    complete: bool = False


_FACTS = frozenset(State.__struct_fields__)


def journal_beside(path: Path) -> Path:
    """Where the journal of a file's upload lies unless told otherwise."""
    return path.with_name(f"{path.name}.upload")


class Journal:
    """What happened so far, in memory and on the disk; use it as ``async with``, which reads what an earlier run left.

    A journal in which nothing was registered leaves no file.

    Args:
        path: the file, None for none.
        wish: what is uploaded now.

    Raises:
        ConfigurationError: another upload works with the file, it is no journal, or it cannot be written.
    """

    def __init__(self, path: Path | None, wish: Wish) -> None:
        self._path = path
        self._wish = wish
        self._file = -1
        self.state = State()
        self.resumed = False

    async def __aenter__(self) -> Self:
        if self._path is not None:
            path = self._path
            await taken_off_loop(lambda: self._open(path), lambda _: self._close())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self._path is None and self.state.asset_id is not None:
            error.add_note(
                f"asset {self.state.asset_id} was registered, and stays: into={self.state.asset_id!r} goes on with it"
            )
        if self.state == State():
            await self.remove()
        self._close()

    def _open(self, path: Path) -> None:
        try:
            file = open_locked(path)
            if file is not None:
                self._file = file
                return self._read(path)
        except OSError as problem:
            self._close()
            raise ConfigurationError(
                f"no journal can be kept at {path} ({problem.strerror}): name another place (journal=…), or do without"
                " (journal=False)"
            ) from None
        except BaseException:
            self._close()
            raise
        raise ConfigurationError(
            f"another upload works with the journal {path}: let it end, or name another place (journal=…)"
        )

    def _read(self, path: Path) -> None:
        with os.fdopen(os.dup(self._file), "rb") as content:
            found = content.read()
        if not found.startswith(_BEGINNING[: len(found)]):
            raise ConfigurationError(
                f"{path} is no journal of an upload, and stays as it is: name another place (journal=…)"
            )
        begun = _line({"wish": self._wish})
        certain = found.find(b"\n") + 1
        for line in found[certain:].splitlines(keepends=True):
            try:
                facts = msgspec.json.decode(line, type=dict[str, Any]) if line.endswith(b"\n") else None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                facts = None
            if facts is None:
                break
            self._absorb(facts)
            certain += len(line)
        if not found.startswith(begun):
            if self.state.asset_id is not None:
                logger.warning(
                    "the journal %s was of another upload, which did not end: its asset %s stays as it is",
                    path,
                    self.state.asset_id,
                )
            self.state = State()
            self._restart()
            return
        self.resumed = True
        # What a crash cut off must not be continued.
        os.ftruncate(self._file, certain)

    async def restart(self) -> None:
        """Forget what an earlier run did."""
        self.state, self.resumed = State(), False
        if self._path is not None:
            await taken_off_loop(self._restart)

    def _restart(self) -> None:
        os.ftruncate(self._file, 0)
        self._append(_line({"wish": self._wish}))

    async def note(self, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Remember facts, durably once this returns."""
        self._absorb(facts)
        if self._path is not None:
            await taken_off_loop(lambda: self._append(_line(facts)))

    def _append(self, line: bytes) -> None:
        os.write(self._file, line)
        os.fsync(self._file)

    def _absorb(self, facts: dict[str, Any]) -> None:
        state = self.state
        for name, value in facts.items():
            if name == "sent":
                # An earlier version noted no hashes: what it sent is sent again.
                if isinstance(value, list):
                    number, digest = cast("list[Any]", value)
                    state.sent[number] = digest
            elif name in _FACTS:
                setattr(state, name, value)
                if name == "session":
                    state.sent = {}

    async def remove(self) -> None:
        """The upload is done: nothing is left to go on with."""
        if self._path is None:
            return
        if sys.platform == "win32":
            self._close()  # an open file cannot be removed there
        with anyio.CancelScope(shield=True):
            await anyio.Path(self._path).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file >= 0:
            close_locked(self._file)
            self._file = -1


def _line(facts: dict[str, Any]) -> bytes:
    return msgspec.json.encode(facts) + b"\n"
