"""The config file: what commands use where neither an option nor the environment says otherwise."""

from __future__ import annotations

import json

import pytest

from .conftest import CommandLine

USAGE = 2


@pytest.fixture
def configured(spotify_ads: CommandLine) -> CommandLine:
    """A command line whose environment names a token alone; the rest is in the config file, for two profiles."""
    at = spotify_ads.environment
    text = (
        f'base_url = "{at["SPOTIFY_ADS_BASE_URL"]}"\nstore = "memory"\noutput = "jsonl"\n'
        f'[profiles.work]\nad_account = "{at["SPOTIFY_ADS_AD_ACCOUNT_ID"]}"\n'
        '[profiles.tidy]\nad_account = "nothing"\noutput = "csv"\n'
    )
    for name in ("SPOTIFY_ADS_BASE_URL", "SPOTIFY_ADS_STORE", "SPOTIFY_ADS_AD_ACCOUNT_ID"):
        del at[name]
    write(spotify_ads, text)
    return spotify_ads


def write(spotify_ads: CommandLine, text: str) -> None:
    folder = spotify_ads.folder / "config" / "spotify-ads"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


@pytest.mark.parametrize(
    "arguments",
    [["--profile", "work", "ad-sets", "list"], ["ad-sets", "list", "--profile", "work"]],
    ids=["before the command", "behind it"],
)
def test_a_profile_is_named_before_or_behind_the_command(configured: CommandLine, arguments: list[str]) -> None:
    lines = configured.out(*arguments, "--limit", "2").splitlines()
    assert len(lines) == 2
    assert all(json.loads(line)["id"] for line in lines)


def test_the_environment_counts_before_the_file_and_an_option_before_both(configured: CommandLine) -> None:
    arguments = ("ad-sets", "list", "--limit", "1", "--profile", "work", "--fields", "id")
    assert configured.out(*arguments, SPOTIFY_ADS_OUTPUT="csv").splitlines()[0] == "id"
    assert configured.out(*arguments, "-o", "table", SPOTIFY_ADS_OUTPUT="csv").splitlines()[0].strip() == "ID"


def test_the_file_names_the_profile(configured: CommandLine) -> None:
    file = configured.folder / "config" / "spotify-ads" / "config.toml"
    file.write_text(f'profile = "work"\n{file.read_text()}')
    assert len(configured.out("ad-sets", "list", "--limit", "3").splitlines()) == 3
    ended = configured.run("ad-sets", "list", SPOTIFY_ADS_PROFILE="tidy")
    assert "nothing" in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ad_acount = "x"', "did you mean ad_account?"),
        ('[profiles.work]\noutptu = "csv"', "profiles.work.outptu: there is no such setting; did you mean output?"),
        ('access_token = "x"', "no secrets here"),
        ('[profiles.work]\nclient_secret = "x"', "no secrets here"),
        ("limits = 5", "a text in quotation marks is wanted"),
        ("profiles = 5", "as in [profiles.work]"),
        ("= nonsense", "line 1"),
        ('output = "xml"', "'xml' is not one of"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(spotify_ads: CommandLine, text: str, said: str) -> None:
    write(spotify_ads, text)
    ended = spotify_ads.run("accounts")
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_a_file_that_the_environment_names_must_be_there(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("accounts", SPOTIFY_ADS_CONFIG=str(spotify_ads.folder / "missing.toml"))
    assert ended.returncode == USAGE
    assert "there is no such file" in " ".join(ended.stderr.split())
