"""``whoami``, ``logout`` and ``config``: who one is, and what is set, without a secret."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from .conftest import CommandLine

USAGE, FAILED = 2, 1


@pytest.fixture
def signed_in(spotify_ads: CommandLine) -> CommandLine:
    """A command line with a sign-in called shop, whose token is two minutes old, and none in the environment."""
    folder = spotify_ads.folder / "config" / "spotify-ads" / "profiles"
    folder.mkdir(parents=True)
    now = time.time()
    hidden = {
        "client_secret": "hush-1",
        "refresh_token": "hush-2",
        "access_token": "hush-3",
        "issued_at": now - 120,
        "expires_at": now + 3510,
    }
    profile = {"client_id": "the-app", "token_url": "https://accounts.spotify.com/api/token", "secrets": hidden}
    (folder / "shop.json").write_text(json.dumps(profile))
    spotify_ads.environment.pop("SPOTIFY_ADS_ACCESS_TOKEN", None)
    spotify_ads.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    return spotify_ads


def test_whoami_tells_profile_app_and_the_age_of_the_token(signed_in: CommandLine) -> None:
    told = signed_in.out("whoami", "--profile", "shop")
    assert "profile     shop (from --profile)" in told
    assert "client ID   the-app" in told
    assert "2 min old, valid for 58 min more" in told
    assert "hush" not in told
    facts = json.loads(signed_in.out("whoami", "--json", "--profile", "shop"))
    assert facts["client_id"] == "the-app"
    assert 119 <= facts["token_age_seconds"] <= 180


@pytest.mark.parametrize("address", ["https://ads.example/v3?canary", "https://a/#canary"])
def test_whoami_shows_no_secret_of_an_address(signed_in: CommandLine, address: str) -> None:
    assert "canary" not in signed_in.out("whoami", "--profile", "shop", SPOTIFY_ADS_BASE_URL=address)


def test_whoami_names_the_setting_that_holds_a_sign_in_and_shows_none_of_it(signed_in: CommandLine) -> None:
    ended = signed_in.run("whoami", SPOTIFY_ADS_BASE_URL="https://u:canary@ads.example/v3")
    assert ended.returncode == USAGE
    assert "SPOTIFY_ADS_BASE_URL" in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr


def test_whoami_without_a_sign_in_says_how_to_get_one(signed_in: CommandLine) -> None:
    ended = signed_in.run("whoami")
    assert ended.returncode == FAILED
    assert "signed in   no: spotify-ads login" in ended.stdout


def test_logout_forgets_the_sign_in_after_consent_alone(signed_in: CommandLine) -> None:
    file = signed_in.folder / "config" / "spotify-ads" / "profiles" / "shop.json"
    assert signed_in.run("logout", "--profile", "shop").returncode == USAGE
    assert file.exists()
    signed_in.out("logout", "--profile", "shop", "--yes")
    assert not file.exists()


def test_settings_that_are_written_at_once_all_stay(signed_in: CommandLine) -> None:
    words = (("output", "json"), ("zone", "UTC"), ("store", "memory"), ("limits", "off"))
    setting = [
        subprocess.Popen(signed_in.command("config", "set", *one), env=signed_in.environment, stderr=subprocess.DEVNULL)
        for one in words
    ]
    assert [one.wait(120) for one in setting] == [0] * len(words)
    lines = (signed_in.folder / "config" / "spotify-ads" / "config.toml").read_text().splitlines()
    assert {f'{name} = "{value}"' for name, value in words} <= set(lines)


def test_a_setting_is_written_where_nothing_can_be_locked_and_that_is_said(signed_in: CommandLine) -> None:
    folder = signed_in.folder / "config" / "spotify-ads"
    (folder / "config.lock").mkdir()
    ended = signed_in.run("config", "set", "output", "jsonl")
    assert ended.returncode == 0
    assert f"{folder / 'config.lock'} cannot be locked (" in ended.stderr
    assert (folder / "config.toml").read_text() == 'output = "jsonl"\n'


def test_a_setting_is_written_and_the_rest_of_the_file_stays(signed_in: CommandLine) -> None:
    file = signed_in.folder / "config" / "spotify-ads" / "config.toml"
    file.write_text('# ours\noutput = "csv"  # for sheets\n')
    assert signed_in.out("config", "path").strip() == str(file)
    signed_in.out("config", "set", "output", "jsonl")
    signed_in.out("config", "set", "ad_account", "an-account", "--profile", "shop")
    assert file.read_text().startswith('# ours\noutput = "jsonl"  # for sheets\n')
    assert 'ad_account = "an-account"' in file.read_text().partition("[profiles.shop]")[2]
    lines = [json.loads(line) for line in signed_in.out("config", "show").splitlines()]
    assert {
        "setting": "output",
        "value": "jsonl",
        "origin": f"{file}: output",
        "variable": "SPOTIFY_ADS_OUTPUT",
    } in lines
    signed_in.out("config", "set", "output", "")
    assert "output" not in file.read_text()
    told = signed_in.run("config", "set", "proxy", "http://me:canary@proxy.example:3128")
    assert "proxy is http://***@proxy.example:3128" in told.stderr
    assert "canary" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("outptu", "csv"), "did you mean output?"),
        (("output", "cvs"), "'cvs' is not one of"),
        (("access_token", "hush"), "no secrets here"),
    ],
)
def test_what_the_file_may_not_hold_is_refused_before_it_is_written(
    signed_in: CommandLine, arguments: tuple[str, str], said: str
) -> None:
    ended = signed_in.run("config", "set", *arguments)
    assert ended.returncode == USAGE
    assert said in " ".join(ended.stderr.replace("│", " ").split())
    assert not (signed_in.folder / "config" / "spotify-ads" / "config.toml").exists()


def test_a_broken_file_is_shown_as_such_and_not_written_over(signed_in: CommandLine) -> None:
    file = signed_in.folder / "config" / "spotify-ads" / "config.toml"
    file.write_text("output = \n")
    assert str(file) in signed_in.out("config", "path")
    assert signed_in.run("config", "show").returncode == FAILED
    assert signed_in.run("config", "set", "output", "csv").returncode != 0
    assert file.read_text() == "output = \n"
