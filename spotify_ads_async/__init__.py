"""An asyncio client for the Spotify Ads API with a rate governor that never exceeds a window.

Structs of requests and answers are in :mod:`spotify_ads_async.models`, operations as values in
:mod:`spotify_ads_async.operations`, an API server for tests in :mod:`spotify_ads_async.emulator`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spotify_ads_async.auth import AccessToken, Credentials, RefreshToken
    from spotify_ads_async.client import AdAccount, AdsClient, Business
    from spotify_ads_async.errors import (
        AuthenticationError,
        ConfigurationError,
        Conflict,
        ConnectionFailed,
        InvalidAnswer,
        InvalidRequest,
        NotEnoughData,
        NotFound,
        OutcomeUnknown,
        PermissionDenied,
        QuotaTimeout,
        RateLimited,
        RequestRejected,
        ServerError,
        SpotifyAdsError,
        StoreUnavailable,
        WalkIncomplete,
    )
    from spotify_ads_async.governor import CAUTIOUS_LIMITS, PUBLISHED_LIMITS, Governor, Limit, Priority
    from spotify_ads_async.money import from_micros, micros
    from spotify_ads_async.retry import RetryPolicy
    from spotify_ads_async.transport import TransportOptions
    from spotify_ads_async.types import UNSET, MicroAmount, Secret, UnsetType, UtcTime
    from spotify_ads_async.version import __version__

__all__ = [
    "CAUTIOUS_LIMITS",
    "PUBLISHED_LIMITS",
    "UNSET",
    "AccessToken",
    "AdAccount",
    "AdsClient",
    "AuthenticationError",
    "Business",
    "ConfigurationError",
    "Conflict",
    "ConnectionFailed",
    "Credentials",
    "Governor",
    "InvalidAnswer",
    "InvalidRequest",
    "Limit",
    "MicroAmount",
    "NotEnoughData",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "Priority",
    "QuotaTimeout",
    "RateLimited",
    "RefreshToken",
    "RequestRejected",
    "RetryPolicy",
    "Secret",
    "ServerError",
    "SpotifyAdsError",
    "StoreUnavailable",
    "TransportOptions",
    "UnsetType",
    "UtcTime",
    "WalkIncomplete",
    "__version__",
    "from_micros",
    "micros",
]

# A name is imported when it is first used: `spotify-ads --help` and whoever wants only models need no HTTP client.
_HOMES = {
    "auth": ("AccessToken", "Credentials", "RefreshToken"),
    "client": ("AdAccount", "AdsClient", "Business"),
    "errors": (
        "AuthenticationError",
        "ConfigurationError",
        "Conflict",
        "ConnectionFailed",
        "InvalidAnswer",
        "InvalidRequest",
        "NotEnoughData",
        "NotFound",
        "OutcomeUnknown",
        "PermissionDenied",
        "QuotaTimeout",
        "RateLimited",
        "RequestRejected",
        "ServerError",
        "SpotifyAdsError",
        "StoreUnavailable",
        "WalkIncomplete",
    ),
    "governor": ("CAUTIOUS_LIMITS", "PUBLISHED_LIMITS", "Governor", "Limit", "Priority"),
    "money": ("from_micros", "micros"),
    "retry": ("RetryPolicy",),
    "transport": ("TransportOptions",),
    "types": ("UNSET", "MicroAmount", "Secret", "UnsetType", "UtcTime"),
    "version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker must know which names there are

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
