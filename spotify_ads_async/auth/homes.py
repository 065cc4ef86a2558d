"""Homes: the folders of this user, also where there is no home, or one that cannot be written.

Needs the extra ``cli`` (platformdirs).
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import platformdirs

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.private_files import write_private_file

__all__ = [
    "config_folder",
    "make_folder",
    "provide_temporary_folder",
    "quota_store",
    "replace_file",
    "state_folder",
    "unwritable",
]

logger = logging.getLogger("spotify_ads_async")

_NAME = "spotify-ads"
_NOWHERE = Path(os.devnull)


def config_folder() -> Path:
    """Where settings and sign-ins are kept. Without a home it is a place where no file can be, and errors name it."""
    return _absolute(platformdirs.user_config_dir)


def state_folder() -> Path:
    """Where what programs remember is kept, such as the quota's file; without a home as :func:`config_folder`."""
    return _absolute(platformdirs.user_state_dir)


def quota_store() -> str:
    """The store that the commands of this user share.

    A file in the state folder, or else in the folder for temporary files.
    Where neither can be written, each command keeps its own windows, and a warning says so.
    """
    for folder in (state_folder(), _temporary()):
        if folder is not None and _can_hold_files(folder):
            return f"sqlite:///{quote(os.fsencode((folder / 'quota.db').as_posix()))}"
    logger.warning(
        "no folder for the quota's file can be written: commands that run at the same time do not know of each other. "
        "Name a place with SPOTIFY_ADS_STORE=sqlite:///…"
    )
    return "memory"


def _absolute(place: Callable[[str], str]) -> Path:
    """Without a home, ``~`` stays as it is, and would make a folder of that name wherever the command runs."""
    try:
        folder = Path(place(_NAME))
    except RuntimeError:  # or platformdirs wants one
        return _NOWHERE / _NAME
    return folder if folder.is_absolute() else _NOWHERE / _NAME


def _temporary() -> Path | None:
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None
    if not hasattr(os, "getuid"):
        return folder / _NAME  # elsewhere each user has a folder of their own
    return folder / f"{_NAME}-{os.getuid()}"


def provide_temporary_folder() -> None:
    """Let temporary files go to the state folder where none of the usual places can be written."""
    if _temporary() is None and _can_hold_files(state_folder()):
        tempfile.tempdir = str(state_folder())


def _can_hold_files(folder: Path) -> bool:
    """Whether the folder is there, or can be made, and is this user's own.

    In a folder for everybody, somebody else may have made it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        foreign = hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()
    except OSError:
        return False
    return not foreign and os.access(folder, os.W_OK | os.X_OK)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def replace_file(file: Path, content: bytes) -> None:
    """Write a file of mode 0600 all or nothing: whoever reads it sees the old content or the new.

    Raises:
        ConfigurationError: it cannot be written.
    """
    with contextlib.suppress(OSError):
        if file.read_bytes() == content:
            return
    try:
        write_private_file(file, content)
    except OSError as problem:
        raise unwritable(file, problem.strerror) from problem


def unwritable(file: Path, reason: str | None) -> ConfigurationError:
    """The error that says why a file cannot be written, and what to do."""
    return ConfigurationError(
        f"{file} cannot be written ({reason}): set HOME or XDG_CONFIG_HOME to a folder that can, or give the"
        " credentials in the environment"
    )
