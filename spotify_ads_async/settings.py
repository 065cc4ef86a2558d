"""Settings from environment variables, read by :meth:`AdsClient.from_env` and the command line alike."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from spotify_ads_async.api import PUBLISHED_DOCUMENT
from spotify_ads_async.auth.credentials import AccessToken, Credentials
from spotify_ads_async.auth.refresh_token import RefreshToken
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor import PUBLISHED_LIMITS, Limit, parse_limits
from spotify_ads_async.network.addresses import ALLOW_HTTP_VARIABLE, split_login
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.private_files import at_home, read_small_file
from spotify_ads_async.types import Secret, is_text

__all__ = ["BASE_URL", "Settings", "secret_from", "settings_from", "transport_from"]

BASE_URL = "https://api-partner.spotify.com/ads/v3"
"""The production server; the version is part of its path."""

_LONGEST_SECRET = 64 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says.

    ``credentials`` is None where it names none; ``store`` is an address that may hold a password.
    """

    credentials: Credentials | None = None
    base_url: str = BASE_URL
    store: Secret = Secret("memory")
    api_document: str = PUBLISHED_DOCUMENT
    limits: tuple[Limit, ...] = PUBLISHED_LIMITS
    transport: TransportOptions = TransportOptions()

    def needed_credentials(self) -> Credentials:
        """The credentials, where there is no going on without them.

        Raises:
            ConfigurationError: the environment names none.
        """
        if self.credentials is None:
            raise ConfigurationError(
                "the environment holds no credentials: set SPOTIFY_ADS_ACCESS_TOKEN, or SPOTIFY_ADS_REFRESH_TOKEN"
                " beside the SPOTIFY_ADS_CLIENT_ID (and, where the app has one, the SPOTIFY_ADS_CLIENT_SECRET) that it"
                " was given to; a program takes what `spotify-ads login` keeps with"
                ' AdsClient(Profiles().credentials("default")), where Profiles is in spotify_ads_async.auth.profiles'
            )
        return self.credentials


def settings_from(environment: Mapping[str, str] | None = None, *, default_store: str = "memory") -> Settings:
    """Read ``SPOTIFY_ADS_*``.

    ``environment`` is the process's where it is None: a traceback may show what a name of a frame stands for.

    Credentials: ``SPOTIFY_ADS_ACCESS_TOKEN``, or ``SPOTIFY_ADS_CLIENT_ID`` with ``SPOTIFY_ADS_CLIENT_SECRET`` and
    ``SPOTIFY_ADS_REFRESH_TOKEN`` (and ``SPOTIFY_ADS_TOKEN_URL`` for another endpoint). An app's client ID and secret
    without a token are no credentials: they are what signing in begins with.

    Quota: ``SPOTIFY_ADS_STORE`` (``memory``, ``sqlite:///path``, ``redis://host``); ``SPOTIFY_ADS_LIMITS``
    (``client_id=1500/30,ip=500/10,reporting=150/30``, or ``off``).

    Network: ``SPOTIFY_ADS_BASE_URL``, and what :func:`transport_from` reads.

    ``SPOTIFY_ADS_API_DOCUMENT``: a path or an address, for ``spotify-ads api changes``.

    An empty variable counts as absent, and white space around a value is no part of it. A secret may stand in a file
    instead, which the variable with ``_FILE`` at its end names, as in ``SPOTIFY_ADS_CLIENT_SECRET_FILE``; that goes for
    access token, refresh token, client secret, store and proxy.

    Raises:
        ConfigurationError: the credentials are incomplete, or a value or a file cannot be read.
    """
    limits = _text(environment, "SPOTIFY_ADS_LIMITS")
    transport = transport_from(environment)
    return Settings(
        credentials=_credentials(environment, transport),
        base_url=_address(environment, "SPOTIFY_ADS_BASE_URL", BASE_URL),
        store=secret_from(environment, "SPOTIFY_ADS_STORE") or Secret(default_store),
        api_document=_text(environment, "SPOTIFY_ADS_API_DOCUMENT") or PUBLISHED_DOCUMENT,
        limits=parse_limits(limits) if limits else PUBLISHED_LIMITS,
        transport=transport,
    )


def transport_from(environment: Mapping[str, str] | None) -> TransportOptions:
    """How the network is used.

    ``SPOTIFY_ADS_PROXY`` (or its file, or else ``HTTPS_PROXY``), ``SPOTIFY_ADS_NO_PROXY`` (or else ``NO_PROXY``),
    ``SPOTIFY_ADS_CA_FILE``: certificate authorities in PEM, besides the system's, and ``SPOTIFY_ADS_ALLOW_HTTP``:
    hosts, with commas between them, that plain http may go to.

    Raises:
        ConfigurationError: the proxy's file cannot be read.
    """
    return TransportOptions(
        proxy=secret_from(environment, "SPOTIFY_ADS_PROXY"),
        no_proxy=_text(environment, "SPOTIFY_ADS_NO_PROXY") or None,
        ca_file=_text(environment, "SPOTIFY_ADS_CA_FILE") or None,
        allow_http=tuple(host.strip() for host in _text(environment, ALLOW_HTTP_VARIABLE).split(",") if host.strip()),
    )


def secret_from(environment: Mapping[str, str] | None, name: str) -> Secret | None:
    """A secret from its variable, or from the file that the variable with ``_FILE`` at its end names; None for neither.

    Raises:
        ConfigurationError: both are there, or the file cannot be read.
    """
    given, file = Secret(_text(environment, name)), _text(environment, f"{name}_FILE")
    if not file:
        if not is_text(given.reveal()):
            raise ConfigurationError(f"{name} holds bytes that are no text in UTF-8")
        return given if given.reveal() else None
    if given.reveal():
        raise ConfigurationError(f"the environment holds both {name} and {name}_FILE: leave one of them out")
    try:
        found = Secret(read_small_file(at_home(file), _LONGEST_SECRET).decode("utf-8-sig").strip())
    except OSError as problem:
        reason = problem.strerror
    except UnicodeDecodeError:
        reason = "it is no text in UTF-8"
    else:
        if found.reveal():
            return found
        reason = "it is empty"
    # Not the file's name, for somebody may have put the secret itself there.
    raise ConfigurationError(f"the file that {name}_FILE names cannot be read ({reason})")


def _text(environment: Mapping[str, str] | None, name: str) -> str:
    return (os.environ if environment is None else environment).get(name, "").strip()


def _address(environment: Mapping[str, str] | None, name: str, default: str) -> str:
    address = _without_login(environment, name)
    if address is None:
        raise ConfigurationError(f"{name}: an address with credentials in it ends up in logs: leave them out")
    return address or default


def _without_login(environment: Mapping[str, str] | None, name: str) -> str | None:
    """An address as it is, None where it has a login in it, which no name of a frame that raises may stand for."""
    address, username, password = split_login(Secret(_text(environment, name)))
    return None if username or password.reveal() else address


def _credentials(environment: Mapping[str, str] | None, transport: TransportOptions) -> Credentials | None:
    client_id = _text(environment, "SPOTIFY_ADS_CLIENT_ID")
    access_token = secret_from(environment, "SPOTIFY_ADS_ACCESS_TOKEN")
    if access_token is not None:
        return AccessToken(access_token, client_id=client_id or None)
    refresh_token = secret_from(environment, "SPOTIFY_ADS_REFRESH_TOKEN")
    if refresh_token is None:
        return None
    if not client_id:
        raise ConfigurationError(
            "the environment holds SPOTIFY_ADS_REFRESH_TOKEN and lacks SPOTIFY_ADS_CLIENT_ID, the app that it was"
            " given to"
        )
    client_secret = secret_from(environment, "SPOTIFY_ADS_CLIENT_SECRET") or Secret("")
    token_url = _address(environment, "SPOTIFY_ADS_TOKEN_URL", f"{ACCOUNTS_URL}/api/token")
    return RefreshToken(client_id, client_secret, refresh_token, token_url=token_url, allow_http=transport.allow_http)
