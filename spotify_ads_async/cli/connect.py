"""The client of a command, from the environment or a profile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import anyio.to_thread

from spotify_ads_async.auth.credentials import Credentials
from spotify_ads_async.cli.progress import progress_told
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor import Governor
from spotify_ads_async.settings import Settings, settings_from

__all__ = ["connected", "environment", "facts_file", "patiently", "signed_in", "signed_in_if_ever"]

DoneT = TypeVar("DoneT")
ArgumentsT = TypeVarTuple("ArgumentsT")


async def environment() -> Settings:
    """What the environment says. Once for each command: a secret that comes through a pipe comes once.

    Raises:
        ConfigurationError: a value cannot be read.
    """
    return await patiently(_read_environment)


def _read_environment() -> Settings:
    from spotify_ads_async.auth.homes import quota_store  # noqa: PLC0415 - looked for where nothing names a store

    named = any(os.environ.get(name) for name in ("SPOTIFY_ADS_STORE", "SPOTIFY_ADS_STORE_FILE"))
    return settings_from(default_store="memory" if named else quota_store())


def facts_file() -> Path:
    """Where ``doctor --probe`` keeps what it found out about the API."""
    from spotify_ads_async.auth.homes import state_folder  # noqa: PLC0415 - few commands need it

    return state_folder() / "api-facts.json"


async def signed_in(settings: Settings) -> Credentials:
    """The credentials of the environment, or of the profile that ``SPOTIFY_ADS_PROFILE`` names, or of the default one.

    Raises:
        ConfigurationError: there are none, or they cannot be read.
    """
    credentials = await signed_in_if_ever(settings)
    if credentials is None:
        raise ConfigurationError(
            "no credentials: sign in with `spotify-ads login`, or set SPOTIFY_ADS_ACCESS_TOKEN, or"
            " SPOTIFY_ADS_CLIENT_ID with SPOTIFY_ADS_CLIENT_SECRET and SPOTIFY_ADS_REFRESH_TOKEN"
        )
    return credentials


async def signed_in_if_ever(settings: Settings) -> Credentials | None:
    """The same, None where nobody has signed in and no profile is named.

    Raises:
        ConfigurationError: the credentials cannot be read, so nobody knows whose quota is spent.
    """
    return settings.credentials or await patiently(_kept, settings)


async def patiently(work: Callable[[*ArgumentsT], DoneT], *arguments: *ArgumentsT) -> DoneT:
    """Read, or ask a keyring, in a thread: a pipe or a locked keyring waits for a person, whom no signal waits for."""
    return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


def _kept(settings: Settings) -> Credentials | None:
    from spotify_ads_async.auth.profiles import DEFAULT_PROFILE, Profiles  # noqa: PLC0415 - looks for a keyring

    profiles = Profiles(allow_http=settings.transport.allow_http)
    name = os.environ.get("SPOTIFY_ADS_PROFILE")
    if not name and DEFAULT_PROFILE not in profiles.names():
        return None
    return profiles.credentials(name or DEFAULT_PROFILE)


@contextlib.asynccontextmanager
async def connected(settings: Settings | None = None) -> AsyncGenerator[AdsClient]:
    """A client as the environment describes it, unless that was read before, or as the user signed in.

    The windows are kept in a file unless ``SPOTIFY_ADS_STORE`` says otherwise: each command is a process of its own,
    and the next one must know what the last one spent.

    Raises:
        ConfigurationError: there are no credentials, or a value cannot be read.
    """
    settings = settings or await environment()
    credentials = await signed_in(settings)
    governor = Governor(settings.limits, store=settings.store)
    try:
        async with (
            AdsClient(
                credentials, base_url=settings.base_url, governor=governor, transport=settings.transport
            ) as client,
            progress_told(client),
        ):
            yield client
    finally:
        await governor.aclose()
