"""An asyncio client for the Spotify Ads API with a rate governor that never exceeds a window.

Structs of requests and answers are in :mod:`spotify_ads_async.models`, operations as values in
:mod:`spotify_ads_async.operations`, an API server for tests in :mod:`spotify_ads_async.emulator`.
"""

from __future__ import annotations

from spotify_ads_async.auth.credentials import AccessToken, Credentials
from spotify_ads_async.auth.refresh_token import RefreshToken
from spotify_ads_async.client import AdAccount, AdsClient, Business
from spotify_ads_async.core.retry import RetryPolicy
from spotify_ads_async.errors import (
    AuthenticationError,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    Denial,
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
from spotify_ads_async.network.options import TransportOptions
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
    "Denial",
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
