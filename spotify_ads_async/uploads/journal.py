"""The journal of an upload: a small file beside the media file, from which an upload goes on after a crash.

JSON Lines: what is uploaded and whereto, then each fact once it is certain. A last line that a crash cut off is ignored.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from spotify_ads_async.uploads.files import MediaFile

__all__ = ["Journal", "Wish", "journal_beside"]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is uploaded and whereto. A journal of another wish is not gone on with."""

    base_url: str
    ad_account_id: str
    name: str
    subtype: str | None
    asset_id: str | None
    file: MediaFile


class State(msgspec.Struct, kw_only=True):
    """What is certain so far."""

    asset_id: str | None = None
    creating: bool = False
    session: str | None = None
    section_size: int = 0
    sent: set[int] = msgspec.field(default_factory=set[int])
    complete: bool = False


def journal_beside(path: Path) -> Path:
    """Where the journal of a file's upload lies unless told otherwise."""
    return path.with_name(f"{path.name}.upload")


class Journal:
    """What happened so far, in memory and on the disk.

    Args:
        path: the file, None for none.
        wish: what is uploaded now.
    """

    def __init__(self, path: Path | None, wish: Wish) -> None:
        self._path = path
        self._wish = wish
        self.state = State()
        self.resumed = False

    async def open(self) -> None:
        """Read what an earlier run left, or begin anew."""
        if self._path is not None:
            await anyio.to_thread.run_sync(self._open, self._path)

    def _open(self, path: Path) -> None:
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        if lines and lines[0] == _line({"wish": self._wish})[:-1]:
            for line in lines[1:]:
                self._absorb(msgspec.json.decode(line))
            self.resumed = True
            # A line that a crash cut off must not be continued.
            _write(path, b"".join(line + b"\n" for line in lines), "wb")
        else:
            _write(path, _line({"wish": self._wish}), "wb")

    async def note(self, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Remember facts, durably once this returns."""
        self._absorb(facts)
        if self._path is not None:
            await anyio.to_thread.run_sync(_write, self._path, _line(facts), "ab")

    def _absorb(self, facts: dict[str, Any]) -> None:
        state = self.state
        for name, value in facts.items():
            if name == "sent":
                state.sent.add(value)
            else:
                setattr(state, name, value)
                if name == "session":
                    state.sent = set()

    async def remove(self) -> None:
        """The upload is done: nothing is left to go on with."""
        if self._path is not None:
            await anyio.Path(self._path).unlink(missing_ok=True)


def _line(facts: dict[str, Any]) -> bytes:
    return msgspec.json.encode(facts) + b"\n"


def _write(path: Path, content: bytes, mode: str) -> None:
    with path.open(mode) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
