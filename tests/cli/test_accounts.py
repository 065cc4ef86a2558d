"""Commands that read several ad accounts at once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.emulator_process import RunningEmulator, emulator_beside

from .conftest import CommandLine, command_line

FAILED = 1


@pytest.fixture
def two(request: pytest.FixtureRequest) -> tuple[RunningEmulator, str]:
    """An emulator with a second ad account that refuses, and its ID."""
    emulator = emulator_beside(request, ad_sets=20)
    _, business = emulator.ask("POST", "/businesses", {"name": "Second business", "type": "AGENCY"})
    body = {
        "name": "Second account",
        "country_code": "US",
        "industry": "OTHER",
        "type": "BRAND_ADVERTISER",
        "legal_entity_name": "Second Ltd",
        "bill_to_address": {"name": "Second Ltd"},
    }
    _, account = emulator.ask("POST", f"/businesses/{business['id']}/ad_accounts", body)
    emulator.ask("POST", f"/ad_accounts/{account['id']}/campaigns", {"name": "Only here", "objective": "REACH"})
    return emulator, account["id"]


@pytest.fixture
def spotify_ads(warm_programs: Path, two: tuple[RunningEmulator, str], tmp_path: Path) -> CommandLine:
    return command_line(warm_programs, two[0], tmp_path)


def test_the_rows_of_several_accounts_name_theirs(spotify_ads: CommandLine, two: tuple[RunningEmulator, str]) -> None:
    emulator, second = two
    named = ("--ad-account", emulator.ad_account_id, "--ad-account", second)
    for accounts in (named, ("--all-accounts",)):
        rows = [
            json.loads(line) for line in spotify_ads.out("campaigns", "list", *accounts, "-o", "jsonl").splitlines()
        ]
        assert {row["ad_account_id"] for row in rows} == {emulator.ad_account_id, second}
        assert [row["name"] for row in rows if row["ad_account_id"] == second] == ["Only here"]
    for command in (["ad-sets", "list"], ["assets", "list"], ["drafts", "list"], ["report", "--by", "lifetime"]):
        table = list(csv.reader(io.StringIO(spotify_ads.out(*command, *named, "-o", "csv"))))
        assert table[0][0] == "ad_account_id"
    # The second account might have another currency.
    told = spotify_ads.run("report", "account", "--by", "lifetime", "--metrics", "spend,clicks", *named).stderr
    assert told.startswith("in all: clicks ")
    assert "spend: in the currency of each ad account, which `spotify-ads accounts` tells" in told
    assert len(spotify_ads.out("campaigns", "list", "--all-accounts", "--limit", "1", "-o", "jsonl").splitlines()) == 1


def test_an_account_that_refuses_is_named_beside_the_rows_of_the_others(
    spotify_ads: CommandLine, two: tuple[RunningEmulator, str]
) -> None:
    emulator, second = two
    emulator.ask("POST", "/_emulator/faults", {"kind": "denied", "ad_accounts": [second]})
    ended = spotify_ads.run("ad-sets", "list", "--all-accounts", "-o", "jsonl")
    assert ended.returncode == FAILED
    assert len(ended.stdout.splitlines()) == 20
    assert f"failed: ad account {second}" in ended.stderr
    assert "whichever others answer" in ended.stderr


def test_accounts_lists_those_of_every_business_that_answers(
    spotify_ads: CommandLine, two: tuple[RunningEmulator, str]
) -> None:
    emulator, second = two
    businesses = json.loads(spotify_ads.out("call", "getBusinesses"))["businesses"]
    first = next(one["id"] for one in businesses if one["name"] != "Second business")
    emulator.ask("POST", "/_emulator/faults", {"kind": "denied", "businesses": [first]})
    ended = spotify_ads.run("accounts", "-o", "jsonl")
    assert ended.returncode == FAILED
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == [second]
    assert f"failed: the ad accounts of business {first}" in ended.stderr


def test_a_chart_is_of_one_account(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("report", "--chart", "--all-accounts")
    assert ended.returncode == 2
    assert "one ad account" in ended.stderr
