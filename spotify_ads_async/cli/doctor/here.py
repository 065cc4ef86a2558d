"""Checks of this machine: versions, settings, folders, the sign-in, the store of the windows."""

from __future__ import annotations

import difflib
import importlib.metadata
import os
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from spotify_ads_async.auth.homes import config_folder, state_folder
from spotify_ads_async.cli.connect import environment, signed_in
from spotify_ads_async.cli.doctor.examination import Examination, Finding
from spotify_ads_async.cli.origins import PREFIX, VARIABLES, origins, settings_in_force
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.shared import open_store
from spotify_ads_async.private_files import require_writable
from spotify_ads_async.settings import Settings

__all__ = ["check_configuration", "check_folders", "check_sign_in", "check_store", "check_versions"]

_PACKAGES = ("aiohttp", "msgspec", "anyio", "typer", "redis", "keyring", "uvloop")
_STORE_SECONDS = 2.0


async def check_versions(_examination: Examination) -> AsyncIterator[Finding]:
    """Which versions are at work."""
    parts = [
        f"spotify-ads-async {_version('spotify-ads-async')}",
        f"Python {platform.python_version()}",
        platform.platform(),
    ]
    parts += [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    yield Finding.ok("versions", ", ".join(parts))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


async def check_configuration(examination: Examination) -> AsyncIterator[Finding]:
    """What is set, and where each setting came from. Leaves ``settings``."""
    if origins.problem:
        yield Finding.problem("configuration", origins.problem, "correct the config file or the variable that is named")
        return
    for name in sorted(name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)):
        if name not in VARIABLES and not name.startswith("REQUIRE_"):
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            text = f"nothing reads {PREFIX}{name}"
            yield Finding.note("configuration", text, f"did you mean {PREFIX}{near[0]}?" if near else "take it away")
    try:
        examination.facts["settings"] = await environment()
    except ConfigurationError as problem:
        yield Finding.problem("configuration", str(problem), "correct it where it is set: " + "; ".join(_told()))
        return
    told = _told()
    yield Finding.ok("configuration", "; ".join(told) if told else "nothing is set, so all defaults hold")


def _told() -> list[str]:
    return [f"{one.variable}={one.value} (from {one.origin})" for one in settings_in_force()]


async def check_folders(_examination: Examination) -> AsyncIterator[Finding]:
    """Whether what must be kept can be kept."""
    folders = {"settings and sign-ins": config_folder(), "windows": state_folder()}
    fine: list[str] = []
    for what, folder in folders.items():
        reason = await anyio.to_thread.run_sync(_unwritable, folder)
        if reason:
            remedy = (
                "give this user the folder, or set HOME, XDG_CONFIG_HOME and XDG_STATE_HOME to folders that can be"
                " written"
            )
            yield Finding.problem("folders", f"{folder}, for {what}, cannot be written: {reason}", remedy)
        else:
            fine.append(f"{folder} ({what})")
    if fine:
        yield Finding.ok("folders", "can be written: " + ", ".join(fine))


def _unwritable(folder: Path) -> str:
    """Why the folder cannot be written or made, empty where it can. Nothing is made."""
    if folder.is_relative_to(os.devnull):
        return "there is no home"
    there = folder
    while not os.path.lexists(there) and there.parent != there:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        require_writable(there)
    except OSError as problem:
        return f"{there}: {problem.strerror}"
    return ""


async def check_sign_in(examination: Examination) -> AsyncIterator[Finding]:
    """Whether there is something to sign in with. Leaves ``credentials``."""
    settings: Settings = examination.facts["settings"]
    try:
        credentials = await signed_in(settings)
    except ConfigurationError as problem:
        yield Finding.problem("sign-in", str(problem), "spotify-ads login")
        return
    examination.facts["credentials"] = credentials
    origin = (
        "the environment"
        if settings.credentials is not None
        else f"profile {os.environ.get('SPOTIFY_ADS_PROFILE') or 'default'}"
    )
    kind = (
        "a refresh token"
        if hasattr(credentials, "finish")
        else "an access token alone, which lasts an hour and is not renewed"
    )
    app = f"client ID {credentials.client_id}" if credentials.client_id else "no client ID"
    yield Finding.ok("sign-in", f"{kind}, with {app}, from {origin}")


async def check_store(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the windows' store answers, and who shares it."""
    settings: Settings = examination.facts["settings"]
    address = settings.store.reveal()
    store = open_store(address, timeout=_STORE_SECONDS)
    if store is None:
        text = "the windows are kept in memory: programs that run at the same time do not know of each other"
        yield Finding.note("store", text, "leave SPOTIFY_ADS_STORE out, or set it to sqlite:///… or redis://…")
        return
    try:
        windows = await store.look()
    finally:
        with anyio.CancelScope(shield=True):
            await store.aclose()
    processes = sorted({owner.label for window in windows for owner in window.state.owners.values()})
    for window in windows:
        if window.state.paused > window.now:
            seconds = (window.state.paused - window.now) / 1e6
            limit, _, _, identity = window.key.split("|", 3)
            text = f"{limit} of {identity} is paused for {seconds:.0f} s more: {window.state.cause}"
            yield Finding.note("store", text, "wait, or end the pause: spotify-ads quota lift")
    yield Finding.ok("store", f"{_place(address)} answers: {len(windows)} windows, shared by {_counted(processes)}")


def _place(address: str) -> str:
    parts = urlsplit(address)
    return (
        unquote(parts.path.removeprefix("/"))
        if parts.scheme == "sqlite"
        else f"{parts.scheme}://{parts.hostname or ''}"
    )


def _counted(processes: list[str]) -> str:
    return f"{len(processes)} other processes ({', '.join(processes)})" if processes else "no other process now"
