"""Settings from environment variables, read by :meth:`AdsClient.from_env` and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from spotify_ads_async.auth.credentials import AccessToken, Credentials, RefreshToken
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor import PUBLISHED_LIMITS, Limit, parse_limits

__all__ = ["BASE_URL", "Settings", "settings_from"]

BASE_URL = "https://api-partner.spotify.com/ads/v3"
"""The production server; the version is part of its path."""

_REFRESH_NAMES = ("SPOTIFY_ADS_CLIENT_ID", "SPOTIFY_ADS_CLIENT_SECRET", "SPOTIFY_ADS_REFRESH_TOKEN")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says. ``credentials`` is None where it names none."""

    credentials: Credentials | None = None
    base_url: str = BASE_URL
    store: str = "memory"
    limits: tuple[Limit, ...] = PUBLISHED_LIMITS


def settings_from(environment: Mapping[str, str], *, default_store: str = "memory") -> Settings:
    """Read ``SPOTIFY_ADS_*``.

    ``SPOTIFY_ADS_ACCESS_TOKEN``, or ``SPOTIFY_ADS_CLIENT_ID`` with ``SPOTIFY_ADS_CLIENT_SECRET`` and
    ``SPOTIFY_ADS_REFRESH_TOKEN`` (and ``SPOTIFY_ADS_TOKEN_URL`` for another endpoint); ``SPOTIFY_ADS_BASE_URL``;
    ``SPOTIFY_ADS_STORE`` (``memory``, ``sqlite:///path``, ``redis://host``); ``SPOTIFY_ADS_LIMITS``
    (``client_id=1500/30,ip=500/10,reporting=150/30``, or ``off``). An empty variable counts as absent. An app's client ID and secret
    without a token are no credentials: they are what signing in begins with.

    Raises:
        ConfigurationError: the credentials are incomplete, or a value cannot be read.
    """
    limits = environment.get("SPOTIFY_ADS_LIMITS")
    return Settings(
        credentials=_credentials(environment),
        base_url=environment.get("SPOTIFY_ADS_BASE_URL") or BASE_URL,
        store=environment.get("SPOTIFY_ADS_STORE") or default_store,
        limits=parse_limits(limits) if limits else PUBLISHED_LIMITS,
    )


def _credentials(environment: Mapping[str, str]) -> Credentials | None:
    client_id, client_secret, refresh_token = (environment.get(name, "") for name in _REFRESH_NAMES)
    access_token = environment.get("SPOTIFY_ADS_ACCESS_TOKEN")
    if access_token:
        return AccessToken(access_token, client_id=client_id or None)
    if not refresh_token:
        return None
    if not client_id:
        raise ConfigurationError(
            "the environment holds SPOTIFY_ADS_REFRESH_TOKEN and lacks SPOTIFY_ADS_CLIENT_ID, the app that it was given to"
        )
    token_url = environment.get("SPOTIFY_ADS_TOKEN_URL") or f"{ACCOUNTS_URL}/api/token"
    return RefreshToken(client_id, client_secret, refresh_token, token_url=token_url)
