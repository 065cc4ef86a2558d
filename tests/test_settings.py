"""What the environment says."""

from __future__ import annotations

import pytest

from spotify_ads_async import AccessToken, AdsClient, ConfigurationError
from spotify_ads_async.settings import settings_from

APP = {"SPOTIFY_ADS_CLIENT_ID": "an-app", "SPOTIFY_ADS_CLIENT_SECRET": "its-secret"}


def test_an_access_token_goes_with_the_app_that_it_was_given_to() -> None:
    credentials = settings_from(APP | {"SPOTIFY_ADS_ACCESS_TOKEN": "a-token"}).credentials
    assert isinstance(credentials, AccessToken)
    assert credentials.client_id == "an-app"


def test_an_app_alone_is_no_credentials() -> None:
    assert settings_from(APP).credentials is None
    assert settings_from({"SPOTIFY_ADS_CLIENT_ID": "an-app", "SPOTIFY_ADS_REFRESH_TOKEN": ""}).credentials is None


def test_a_client_without_credentials_names_what_to_set() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"SPOTIFY_ADS_ACCESS_TOKEN, or SPOTIFY_ADS_REFRESH_TOKEN beside the SPOTIFY_ADS_CLIENT_ID",
    ):
        AdsClient.from_env(APP)


def test_a_refresh_token_without_its_app_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lacks SPOTIFY_ADS_CLIENT_ID"):
        settings_from({"SPOTIFY_ADS_REFRESH_TOKEN": "a-refresh-token"})
