"""``--debug`` says each request without a secret, and what fails on the network is said in words."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.free_ports import CLOSED_PORT

from .conftest import CommandLine

FAILED, USAGE = 1, 2


def test_each_request_is_logged_with_its_times_and_without_a_secret(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("ad-sets", "list", "--limit", "1", "--debug", SPOTIFY_ADS_ACCESS_TOKEN="hush-hush-hush")
    assert ended.returncode == 0, ended.stderr
    assert re.search(
        r"DEBUG GET /ad_accounts/\S+/ad_sets\S* → 200 in \d\.\d+ s, after \d\.\d+ s of waiting for quota", ended.stderr
    )
    assert "hush" not in ended.stderr
    assert "DEBUG" not in spotify_ads.run("ad-sets", "list", "--limit", "1").stderr


def test_a_refusal_is_logged_with_its_status(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run(
        "--debug", "call", "getAdSetById", "--path", "ad_set_id=00000000-0000-4000-8000-000000000000"
    )
    assert "→ 404 in" in ended.stderr


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", "cannot be reached (Connection refused): check the network"),
        ("nowhere.invalid", "the name nowhere.invalid is not known here"),
    ],
)
def test_a_server_that_is_not_there_is_told_in_words(spotify_ads: CommandLine, host: str, said: str) -> None:
    address = f"https://{host}:{CLOSED_PORT}/ads/v3"
    ended = spotify_ads.run("call", "getBusinesses", SPOTIFY_ADS_BASE_URL=address)
    assert ended.returncode == FAILED
    assert said in ended.stderr
    assert not re.search(r"Errno|[A-Z]\w+Error\b|Traceback", ended.stderr)


def test_call_names_the_options_that_give_what_is_missing(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("call", "updateAdSet")
    told = " ".join(ended.stderr.replace("│", " ").split())
    assert ended.returncode == USAGE
    assert "--path ad_set_id=… --body JSON|@FILE" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("accounts", "--fields", "nmae"), "did you mean name?"),
        (("ad-sets", "list", "--fields", "budget.mikro_amount"), "did you mean budget.micro_amount?"),
        (("drafts", "list", "--fields", "x"), "there are ad_account_id, "),
        (("report", "--metrics", "spnd"), "did you mean spend?"),
    ],
)
def test_names_that_are_not_there_are_errors_with_suggestions(
    spotify_ads: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ended = spotify_ads.run(*arguments)
    assert ended.returncode == USAGE
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_version_and_help_work_as_words_and_the_package_runs(spotify_ads: CommandLine) -> None:
    assert spotify_ads.out("version") == spotify_ads.out("--version")
    assert spotify_ads.out("help", "ad-sets", "list") == spotify_ads.out("ad-sets", "list", "--help")
    program = [sys.executable, "-m", "spotify_ads_async", "version"]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == spotify_ads.out("version")


@pytest.mark.parametrize("arguments", [("bulk", "resume", "no.plan"), ("campaigns", "create", "--body", "@no.json")])
def test_files_that_are_not_there_are_told_without_the_system_s_number(
    spotify_ads: CommandLine, arguments: tuple[str, ...]
) -> None:
    ended = spotify_ads.run(*arguments)
    assert ended.returncode == USAGE
    assert not re.search(r"Errno|Traceback", ended.stderr)
