"""The config file: what commands use where neither an option nor the environment says otherwise."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.emulator_process import RunningEmulator
from tests.support.examples import BROWSER
from tests.support.free_ports import free_port

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
        ('output = "xml"', "output: 'xml' is not one of table, json"),
        (
            '[profiles.default]\nbase_url = "http://ads.example.com"',
            "profiles.default.base_url: http://ads.example.com would carry",
        ),
        ('profile = "work"\n[profiles.work]\nlimits = "many"', "profiles.work.limits: limits: cannot read 'many'"),
        ('store = "mongodb://host"', "store: store is memory, sqlite:///path"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(spotify_ads: CommandLine, text: str, said: str) -> None:
    write(spotify_ads, text)
    ended = spotify_ads.run("accounts", SPOTIFY_ADS_BASE_URL="", SPOTIFY_ADS_LIMITS="", SPOTIFY_ADS_STORE="")
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert ended.stderr.startswith(f"error: {spotify_ads.folder / 'config' / 'spotify-ads' / 'config.toml'}: ")
    assert said in ended.stderr


def test_what_the_environment_overrides_in_the_file_may_be_wrong(spotify_ads: CommandLine) -> None:
    write(spotify_ads, 'store = "mongodb://host"')
    assert spotify_ads.out("accounts", SPOTIFY_ADS_STORE="memory")


@pytest.mark.parametrize("named", ["--profile before", "--profile behind", "SPOTIFY_ADS_PROFILE", "file"])
def test_a_profile_must_be_there(configured: CommandLine, named: str) -> None:
    file = configured.folder / "config" / "spotify-ads" / "config.toml"
    file.write_text(("profile = 'gone'\n" if named == "file" else "") + file.read_text())
    before, behind = (["--profile", "gone"] if named == f"--profile {place}" else [] for place in ("before", "behind"))
    ended = configured.run(
        *before, "accounts", *behind, SPOTIFY_ADS_PROFILE="gone" if named.startswith("SPOTIFY") else ""
    )
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    where = f"{file}: profile" if named == "file" else named.split(maxsplit=1)[0]
    assert ended.stderr == (
        f"error: {where}: there is no profile gone; signed in: none; sections of {file}: work, tidy; "
        "`spotify-ads login --profile gone` makes it\n"
    )


def test_a_sign_in_without_a_section_is_a_profile(configured: CommandLine) -> None:
    folder = configured.folder / "config" / "spotify-ads" / "profiles"
    folder.mkdir()
    (folder / "shop.json").write_text("{}")
    assert configured.out("--profile", "shop", "accounts")
    ended = configured.run("--profile", "gone", "accounts")
    assert "signed in: shop;" in ended.stderr


@pytest.mark.parametrize("named", ["--profile before", "--profile behind", "SPOTIFY_ADS_PROFILE", "file", "nowhere"])
def test_login_takes_the_name_of_a_new_profile_from_the_same_places(
    configured: CommandLine, emulator: RunningEmulator, named: str
) -> None:
    file = configured.folder / "config" / "spotify-ads" / "config.toml"
    file.write_text(("profile = 'new'\n" if named == "file" else "") + file.read_text())
    before, behind = (["--profile", "new"] if named == f"--profile {place}" else [] for place in ("before", "behind"))
    browser = configured.folder / "browser.py"
    browser.write_text(BROWSER)
    environment = {
        "BROWSER": f"{sys.executable} {browser} %s",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "SPOTIFY_ADS_ACCOUNTS_URL": emulator.base_url.removesuffix("/ads/v3"),
        "SPOTIFY_ADS_CLIENT_ID": "an-app",
        "SPOTIFY_ADS_CLIENT_SECRET": "a-secret",
        "SPOTIFY_ADS_PROFILE": "new" if named.startswith("SPOTIFY") else "",
    }
    ended = configured.run(*before, "login", *behind, "--port", str(free_port()), **environment)
    name = "default" if named == "nowhere" else "new"
    assert ended.returncode == 0, ended.stderr
    assert f"signed in: profile {name}," in ended.stderr
    assert (file.parent / "profiles" / f"{name}.json").exists()


def test_a_file_that_the_environment_names_must_be_there(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("accounts", SPOTIFY_ADS_CONFIG=str(spotify_ads.folder / "missing.toml"))
    assert ended.returncode == USAGE
    assert (
        ended.stderr
        == f"error: {spotify_ads.folder / 'missing.toml'}: there is no such file, and SPOTIFY_ADS_CONFIG names it\n"
    )
