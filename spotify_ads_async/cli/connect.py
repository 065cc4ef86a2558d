"""The client of a command, from the environment."""

from __future__ import annotations

from spotify_ads_async.client import AdsClient

__all__ = ["connected"]


def connected() -> AdsClient:
    """A client as the environment describes it; enter it to use it.

    Raises:
        ConfigurationError: the environment names no credentials, or a value cannot be read.
    """
    return AdsClient.from_env()
