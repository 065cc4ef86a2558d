"""What the environment says."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from spotify_ads_async import (
    AccessToken,
    AdsClient,
    ConfigurationError,
    Governor,
    InvalidRequest,
    RefreshToken,
    Secret,
    TransportOptions,
)
from spotify_ads_async.settings import secret_from, settings_from
from spotify_ads_async.uploads.files import inspect

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


@pytest.mark.parametrize("name", ["ACCESS_TOKEN", "STORE", "PROXY"])
def test_a_secret_that_is_no_text_is_named_and_not_shown(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^SPOTIFY_ADS_{name} holds bytes that are no text") as caught:
        settings_from({f"SPOTIFY_ADS_{name}": "canary\udcff"})
    assert "canary" not in f"{caught.value!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMITS", "500 in 10 s"),
        ("CLIENT_SECRET_FILE", "/nowhere"),
        ("BASE_URL", "https://me:canary@gateway.example/ads/v3"),
        ("BASE_URL", "https://canary@gateway.example/ads/v3"),
        ("TOKEN_URL", "https://me:canary@gateway.example/token"),
    ],
)
def test_a_traceback_that_shows_the_values_of_names_shows_no_secret_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("SPOTIFY_ADS_REFRESH_TOKEN", "canary")
    monkeypatch.setenv("SPOTIFY_ADS_CLIENT_ID", "an-app")
    monkeypatch.setenv(f"SPOTIFY_ADS_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        AdsClient.from_env()
    frames = [frame.frame for frame in caught.traceback[1:]]  # the first is this test's
    assert "canary" not in f"{caught.value!r} {[dict(frame.f_locals) for frame in frames]}"


@pytest.mark.parametrize("host", ["[abc]", "[::1]abc", "xn--", "a\\b", "a[b]c"])
def test_a_host_that_one_reader_of_addresses_refuses_is_a_configuration_error(host: str) -> None:
    address = f"https://{host}/ads/v3"
    for wrong in (
        lambda: AdsClient("a-token", base_url=address, governor=Governor()),
        lambda: AdsClient.from_env({"SPOTIFY_ADS_ACCESS_TOKEN": "a-token", "SPOTIFY_ADS_BASE_URL": address}),
        lambda: RefreshToken("an-app", "secret", "refresh", token_url=address),
        TransportOptions(proxy=f"http://{host}:3128").checked,
    ):
        with pytest.raises(ConfigurationError, match=r"must be https|address is http"):
            wrong()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_a_secret_may_come_through_a_pipe_and_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "secret"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"a-token\n"])
    writer.start()
    environment = {"SPOTIFY_ADS_ACCESS_TOKEN_FILE": str(pipe)}
    found = secret_from(environment, "SPOTIFY_ADS_ACCESS_TOKEN")
    writer.join()
    assert found == Secret("a-token")
    monkeypatch.setattr("spotify_ads_async.private_files._PATIENCE_SECONDS", 0.05)
    with pytest.raises(ConfigurationError, match="nothing came through this pipe"):
        secret_from(environment, "SPOTIFY_ADS_ACCESS_TOKEN")
    with pytest.raises(ConfigurationError, match="larger than 65536 bytes"):
        secret_from({"SPOTIFY_ADS_ACCESS_TOKEN_FILE": "/dev/zero"}, "SPOTIFY_ADS_ACCESS_TOKEN")
    with pytest.raises(InvalidRequest, match="not empty"):
        inspect(pipe, None)
