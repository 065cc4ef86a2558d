"""The things that a terminal showed last, so that the shell can complete their IDs: a small file of this user's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import anyio.to_thread
import msgspec

from spotify_ads_async.cli.terminal import somebody_watches
from spotify_ads_async.cli.text import printable
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.private_files import read_small_file

__all__ = ["MOST", "recalled", "remember"]

MOST = 100
"""How many of each kind are kept."""
_LONGEST_NAME = 60
_LARGEST_FILE = 512 * 1024

_Kept = dict[str, list[tuple[str, str]]]
"""By kind: IDs and names, the last one first."""


def recalled(plural: str) -> list[tuple[str, str]]:
    """IDs and names of what was shown last of a kind, the last one first."""
    return _read().get(plural, [])


async def remember(plural: str, shown: Iterable[tuple[str, str]]) -> None:
    """Keep IDs and names for completion, where somebody watches; a program types no IDs, and a full disk keeps none."""
    found = [(thing_id, printable(name)[:_LONGEST_NAME]) for thing_id, name in shown if thing_id]
    if found and somebody_watches():
        await anyio.to_thread.run_sync(_keep, plural, found)


def _keep(plural: str, found: list[tuple[str, str]]) -> None:
    from spotify_ads_async.auth.homes import replace_file  # noqa: PLC0415 - most commands write none

    kept = _read()
    new = dict(found)
    kept[plural] = [*new.items(), *(one for one in kept.get(plural, []) if one[0] not in new)][:MOST]
    with contextlib.suppress(ConfigurationError):
        replace_file(_file(), msgspec.json.encode(kept))


def _file() -> Path:
    from spotify_ads_async.auth.homes import state_folder  # noqa: PLC0415 - most commands need none

    return state_folder() / "recent.json"


def _read() -> _Kept:
    """What is kept, nothing where the file is not there or not ours to understand."""
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(read_small_file(_file(), _LARGEST_FILE), type=_Kept)
    return {}
