"""The client of a command, from the environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator

import platformdirs

from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor import Governor
from spotify_ads_async.settings import Settings, settings_from

__all__ = ["connected", "environment"]


def environment() -> Settings:
    """What the environment says.

    Raises:
        ConfigurationError: a value cannot be read.
    """
    quota = platformdirs.user_state_path("spotify-ads") / "quota.db"
    return settings_from(os.environ, default_store=f"sqlite:///{quota}")


@contextlib.asynccontextmanager
async def connected() -> AsyncGenerator[AdsClient]:
    """A client as the environment describes it.

    The windows are kept in a file unless ``SPOTIFY_ADS_STORE`` says otherwise: each command is a process of its own, and
    the next one must know what the last one spent.

    Raises:
        ConfigurationError: the environment names no credentials, or a value cannot be read.
    """
    settings = environment()
    if settings.credentials is None:
        raise ConfigurationError(
            "no credentials: set SPOTIFY_ADS_ACCESS_TOKEN, or SPOTIFY_ADS_CLIENT_ID with SPOTIFY_ADS_CLIENT_SECRET and "
            "SPOTIFY_ADS_REFRESH_TOKEN"
        )
    governor = Governor(settings.limits, store=settings.store)
    try:
        async with AdsClient(settings.credentials, base_url=settings.base_url, governor=governor) as client:
            yield client
    finally:
        await governor.aclose()
