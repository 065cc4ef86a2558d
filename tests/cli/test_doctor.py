"""``doctor`` names what is broken first, says what to do, and shows no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from spotify_ads_async.api.facts import known_facts
from spotify_ads_async.cli.doctor.examination import Examination
from spotify_ads_async.cli.doctor.server import check_clock, check_limits
from spotify_ads_async.governor import PUBLISHED_LIMITS, Limit
from spotify_ads_async.settings import settings_from
from tests.support.emulator_process import RunningEmulator, emulator_beside

from .conftest import CommandLine, command_line

SECRET = "a-very-secret-token"


def document(folder: Path, *, newer: bool = False) -> str:
    """The API's document as this version knows it, or with an operation more."""
    facts = deepcopy(known_facts())
    if newer:
        facts["paths"]["/things"] = {
            "get": {"operationId": "getThings", "tags": ["things"], "responses": {"204": {"description": ""}}}
        }
    file = folder / "document.json"
    file.write_text(json.dumps(facts))
    return str(file)


class Doctor:
    """An emulator, and a home in which ``doctor`` is run."""

    def __init__(self, program: Path, folder: Path, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.line: CommandLine = command_line(program, emulator, folder)
        self.line.environment |= {"SPOTIFY_ADS_API_DOCUMENT": document(folder), "SPOTIFY_ADS_ACCESS_TOKEN": SECRET}
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
            self.line.environment.pop(name, None)

    def sees(self, **environment: str) -> tuple[int, list[str]]:
        """The exit code and what is written."""
        ended = self.line.run("doctor", **environment)
        assert SECRET not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout.splitlines()


@pytest.fixture(params=[{}])
def doctor(request: pytest.FixtureRequest, warm_programs: Path, tmp_path: Path) -> Doctor:
    """A doctor with an emulator that is well, or one with the options that a test asks for."""
    options = {"ad_sets": 5, "limits": PUBLISHED_LIMITS, **request.param}
    return Doctor(warm_programs, tmp_path, emulator_beside(request, **options))


def test_what_is_well_is_said_to_be(doctor: Doctor) -> None:
    code, lines = doctor.sees()
    assert code == 0, lines
    assert not [line for line in lines if line.startswith("problem")]
    told = {line.split()[1].rstrip(":") for line in lines if line.startswith("ok")}
    assert told >= {
        "versions",
        "configuration",
        "folders",
        "sign-in",
        "proxy",
        "network",
        "clock",
        "token",
        "accounts",
        "limits",
        "API",
    }
    (configuration,) = [line for line in lines if line.startswith("ok      configuration")]
    assert "SPOTIFY_ADS_ACCESS_TOKEN=*** (from the environment)" in configuration
    assert doctor.emulator.base_url in configuration


FAULTS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "terms missing": ("POST", "/_emulator/faults", {"kind": "terms"}),
    "one account denied": (
        "POST",
        "/_emulator/faults",
        {"kind": "denied", "operations": ["getCampaigns", "getAggregateReport"]},
    ),
    "every business denied": (
        "POST",
        "/_emulator/faults",
        {"kind": "denied", "operations": ["getAdAccountsInBusiness"]},
    ),
    "one report broken": (
        "POST",
        "/_emulator/faults",
        {"kind": "error", "status": 500, "operations": ["getAggregateReport"]},
    ),
    "clock ten minutes off": ("PATCH", "/_emulator/settings", {"clock_skew": 600.0}),
}
CLOSED = "127.0.0.1:9"
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "no network": {"SPOTIFY_ADS_BASE_URL": f"http://{CLOSED}/ads/v3"},
    "proxy refusing": {
        "SPOTIFY_ADS_PROXY": f"http://me:{SECRET}@{CLOSED}",
        "SPOTIFY_ADS_API_DOCUMENT": f"https://{CLOSED}/api.yaml",
    },
    "store gone": {"SPOTIFY_ADS_STORE": f"redis://:{SECRET}@{CLOSED}"},
    "no profile": {"SPOTIFY_ADS_ACCESS_TOKEN": ""},
    "unwritable home": dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"), "/dev/null/home"),
}


def broken(doctor: Doctor, state: str) -> Mapping[str, str]:
    """Break what the state names; the environment that goes with it."""
    if state in FAULTS:
        doctor.emulator.ask(*FAULTS[state])
    if state == "a newer API":
        return {"SPOTIFY_ADS_API_DOCUMENT": document(doctor.line.folder, newer=True)}
    if state == "broken config":
        config = doctor.line.folder / "config.toml"
        config.write_text('base_url = "https://example.com\n')
        return {"SPOTIFY_ADS_CONFIG": str(config)}
    return ENVIRONMENTS.get(state, {})


@pytest.mark.parametrize(
    ("doctor", "state", "found", "remedy"),
    [
        ({}, "no network", "network: 127.0.0.1:", "look at the network"),
        (
            {"any_token": False},
            "wrong token",
            "token: could not list the businesses: the access token was refused",
            "sign in again: spotify-ads login",
        ),
        (
            {},
            "terms missing",
            "terms: could not list the businesses: the API's terms are not accepted",
            "accept the terms at https://",
        ),
        ({}, "one account denied", "accounts: Emulated Ad Account", "ask one of the account's admins"),
        ({}, "every business denied", "accounts: business fde6fb3d-", "ask an admin of the business"),
        ({}, "one report broken", "accounts: Emulated Ad Account", "try again later"),
        ({}, "clock ten minutes off", "clock: this machine's clock is ", "set this machine's clock"),
        ({}, "proxy refusing", "proxy: the proxy 127.0.0.1:", "start the proxy"),
        ({}, "store gone", "store: ", "start it, or name another one"),
        (
            {"limits": [Limit("client_id", requests=100, window=30.0)]},
            "limits that differ",
            "limits: the answers' headers speak of 100 requests",
            "set SPOTIFY_ADS_LIMITS",
        ),
        ({}, "a newer API", "API: one change since this version was made", "spotify-ads api changes"),
        ({}, "no profile", "sign-in: no credentials", "spotify-ads login"),
        ({}, "broken config", "configuration: ", "correct the config file"),
        ({}, "unwritable home", "folders: /dev/null/home", "give this user the folder"),
    ],
    indirect=["doctor"],
    ids=lambda value: value if isinstance(value, str) and " " in value and ":" not in value else "",
)
def test_each_state_of_brokenness_is_named_first_with_its_remedy(
    doctor: Doctor, state: str, found: str, remedy: str
) -> None:
    code, lines = doctor.sees(**broken(doctor, state))
    assert code == 1, lines
    assert lines[0].startswith(f"problem {found}"), lines
    assert remedy in lines[1], lines


@pytest.mark.parametrize("doctor", [{"any_token": False}], indirect=True)
def test_a_sign_in_that_was_revoked_is_named_first(doctor: Doctor) -> None:
    code, lines = doctor.sees(
        SPOTIFY_ADS_ACCESS_TOKEN="",
        SPOTIFY_ADS_CLIENT_ID="an-app",
        SPOTIFY_ADS_CLIENT_SECRET=SECRET,
        SPOTIFY_ADS_REFRESH_TOKEN=SECRET,
        SPOTIFY_ADS_TOKEN_URL=doctor.emulator.base_url.removesuffix("/ads/v3") + "/api/token",
    )
    assert code == 1
    assert lines[0].startswith("problem token: the token request was refused (invalid_grant)"), lines
    assert "spotify-ads login" in lines[1]


@pytest.mark.parametrize(
    "address",
    ["http://me:{}@proxy.example:3128", "me:{}@proxy.example:3128", "http://me:x/{}@y@proxy.example:3128/?a={}"],
)
def test_no_form_of_an_address_shows_its_password(doctor: Doctor, address: str) -> None:
    _, lines = doctor.sees(SPOTIFY_ADS_PROXY=address.replace("{}", SECRET))
    assert any("***@proxy.example:3128" in line for line in lines)


def test_findings_come_as_json_too(doctor: Doctor) -> None:
    told: Any = json.loads(doctor.line.run("doctor", "--json", SPOTIFY_ADS_ACCESS_TOKEN="").stdout)
    assert [one["check"] for one in told["findings"] if one["outcome"] == "problem"] == ["sign-in"]
    assert [one["check"] for one in told["findings"] if one["outcome"] == "skipped"] == ["access", "limits"]


def test_settings_say_where_they_came_from(doctor: Doctor) -> None:
    config = doctor.line.folder / "config.toml"
    config.write_text(f'base_url = "{doctor.emulator.base_url}"\n')
    _, lines = doctor.sees(SPOTIFY_ADS_CONFIG=str(config), SPOTIFY_ADS_BASE_URL="", SPOTIFY_ADS_STOER="memory")
    assert f"SPOTIFY_ADS_BASE_URL={doctor.emulator.base_url} (from {config}: base_url)" in "\n".join(lines)
    assert lines[0].startswith("note    configuration: nothing reads SPOTIFY_ADS_STOER")
    assert "did you mean SPOTIFY_ADS_STORE?" in lines[1]


PATCHES = {"merge": ("merge", "kept"), "replace": ("replace", "kept"), "replace-known": ("replace", "dropped")}


@pytest.mark.parametrize(
    ("doctor", "patch"), [({"patch": patch}, patch) for patch in PATCHES], indirect=["doctor"], ids=[*PATCHES]
)
def test_probing_finds_out_how_changes_work_and_leaves_nothing_behind(doctor: Doctor, patch: str) -> None:
    facts = doctor.line.folder / "state" / "spotify-ads" / "api-facts.json"
    refused = doctor.line.run("doctor", "--probe")
    assert (refused.returncode, facts.exists()) == (2, False)
    assert "--yes does it" in refused.stderr
    told = doctor.line.out("doctor", "--probe", "--yes")
    objects, unknown_keys = PATCHES[patch]
    assert f"objects that it names: {objects}" in told
    found = json.loads(facts.read_text())
    assert {name: found[name] for name in ("objects", "lists", "unknown_keys", "unknown_fields", "base_url")} == {
        "objects": objects,
        "lists": "replace",
        "unknown_keys": unknown_keys,
        "unknown_fields": "dropped",
        "base_url": doctor.emulator.base_url,
    }
    assert (found["rate_window"]["limit"], found["rate_window"]["requests"]) == ("ip", 500)
    assert found["rate_window_of_reports"]["limit"] == "reporting"
    assert SECRET not in facts.read_text() + told
    _, drafts = doctor.emulator.ask("GET", f"/ad_accounts/{doctor.emulator.ad_account_id}/drafts/campaigns")
    assert drafts["campaign_drafts"] == []
    _, left = doctor.emulator.ask("GET", "/_emulator/rows/ad_set_drafts")
    assert left["total"] == 0
    # Bulk changes go by it, unless they are told otherwise.
    (ad_set,) = json.loads(doctor.line.out("ad-sets", "list", "--limit", "1", "-o", "json"))
    changes = doctor.line.folder / "changes.csv"
    changes.write_text(f"ad_set_id,name\n{ad_set['id']},Renamed\n")
    for asked, said in (((), objects == "merge"), (("--send", "whole"), False)):
        ended = doctor.line.run("bulk", "apply", str(changes), "--plan", f"{len(asked)}.plan", "--yes", *asked)
        assert ended.returncode == 0, ended.stderr
        assert ("of an object only what changes is sent" in ended.stderr) == said


def test_a_probe_that_fails_leaves_no_draft_and_no_answers(doctor: Doctor) -> None:
    doctor.emulator.ask(
        "POST", "/_emulator/faults", {"kind": "error", "status": 403, "operations": ["updateAdSetDraft"]}
    )
    ended = doctor.line.run("doctor", "--probe", "--yes")
    assert ended.returncode == 1
    assert "may not use this ad account" in ended.stderr
    assert "was deleted again" in ended.stderr
    _, left = doctor.emulator.ask("GET", "/_emulator/rows/campaign_drafts")
    assert left["total"] == 0
    assert not (doctor.line.folder / "state" / "spotify-ads" / "api-facts.json").exists()


def test_a_draft_that_a_probe_leaves_is_told_with_the_way_to_delete_it(doctor: Doctor) -> None:
    fault = {"kind": "error", "status": 500, "operations": ["deleteCampaignDraft"]}
    doctor.emulator.ask("POST", "/_emulator/faults", fault)
    ended = doctor.line.run("doctor", "--probe", "--yes")
    assert ended.returncode == 1
    assert "`spotify-ads drafts delete` deletes it" in ended.stderr


@pytest.mark.parametrize(
    ("limit", "found"),
    [("500", "ok"), ("77", "problem"), ("²", "ok"), ("9" * 5000, "ok"), ("many", "ok")],
)
async def test_whatever_the_headers_say_of_limits_is_told(limit: str, found: str) -> None:
    examination = Examination()
    examination.facts |= {"settings": settings_from({}), "headers": CIMultiDict({"X-Ratelimit-Limit": limit})}
    assert [one.outcome async for one in check_limits(examination)] == [found]


@pytest.mark.parametrize("date", ["Sat, 28 Nov 2026 10:00:00 -0000", "Sat, 28 Nov 2026 12:00:00 +0200", "today", ""])
async def test_whatever_the_date_says_is_told(date: str) -> None:
    examination = Examination()
    examination.facts["date"] = date, datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert [one.outcome async for one in check_clock(examination)] == ["ok" if " " in date else "note"]


def test_a_secret_in_a_wrong_place_is_not_shown(doctor: Doctor) -> None:
    doctor.sees(SPOTIFY_ADS_BASE_URL=f"https://me:x@{SECRET}/@api.example/ads/v3")
    _, lines = doctor.sees(SPOTIFY_ADS_PROXY=f"http://me:{SECRET}", SPOTIFY_ADS_CLIENT_SECRET_FILE=SECRET)
    assert any("SPOTIFY_ADS_CLIENT_SECRET_FILE=*** (no such file)" in line for line in lines)
