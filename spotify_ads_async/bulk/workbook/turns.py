"""Runs that would make the same new things, one after the other: two plans of one file may be applied at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from spotify_ads_async.bulk.records import WrongPlan
from spotify_ads_async.bulk.workbook.kinds import folded
from spotify_ads_async.bulk.workbook.records import NewItem, WorkbookHeader
from spotify_ads_async.locks import close_locked, open_locked

__all__ = ["turn"]

_ENDED = b"ended"
_REMEMBERED_SECONDS = 86_400
"""How long a run that ended tells others of it; names that were read more than a minute ago are read again anyway."""


@contextlib.contextmanager
def turn(header: WorkbookHeader, items: Iterable[NewItem], plan: Path) -> Generator[bool]:
    """Keep other runs of this user on this machine from making things of the same names meanwhile. Blocks.

    Yields:
        Whether such a run ended after the plan was made, or was killed, so that names have to be looked at again.

    Raises:
        WrongPlan: such a run is under way.
    """
    names = sorted((one.plural, folded(one.name), one.parent_id) for one in items if one.parent is None)
    key = hashlib.sha256(msgspec.json.encode([header.base_url, header.ad_account_id, names])).hexdigest()
    try:
        path = _folder() / f"new-{key[:32]}.lock"
        file = open_locked(path)
        _sweep(path.parent)
        holder = path.read_text(encoding="utf-8") if file is None else ""
    except OSError:  # nowhere to keep it: then names are looked at, and nothing more
        yield True
        return
    if file is None:
        raise WrongPlan(
            f"the same new things are made at this moment by {holder or 'another process'}: wait for it; nothing was"
            " made; then plan the file again, which says what is there"
        )
    try:
        last = os.read(file, len(_ENDED))
        was_killed = last not in {b"", _ENDED}
        ended_later = last == _ENDED and os.fstat(file).st_mtime >= _planned_at(header)
        _write(file, f"process {os.getpid()} with {plan.absolute()}".encode())
        yield was_killed or ended_later
    finally:
        _write(file, _ENDED)
        close_locked(file)


def _sweep(folder: Path) -> None:
    """Take away what runs of former days left, unless one of them is still under way."""
    for path in folder.glob("new-*.lock"):
        with contextlib.suppress(OSError):  # others sweep as well
            if _is_old(path.stat()) and (file := open_locked(path)) is not None:
                try:
                    # Who held it a moment ago has written to it, or it is gone and this is a new one.
                    if _is_old(found := os.fstat(file)) or not found.st_size:
                        path.unlink()
                finally:
                    close_locked(file)


def _is_old(found: os.stat_result) -> bool:
    return time.time() - found.st_mtime > _REMEMBERED_SECONDS


def _write(file: int, text: bytes) -> None:
    with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
        os.truncate(file, 0)
        os.write(file, text)


def _planned_at(header: WorkbookHeader) -> float:
    return datetime.strptime(header.created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def _folder() -> Path:
    """A folder for this user alone.

    Raises:
        OSError: there is none.
    """
    folder = Path(tempfile.gettempdir()) / f"spotify-ads-{os.getuid() if hasattr(os, 'getuid') else ''}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")
    return folder
