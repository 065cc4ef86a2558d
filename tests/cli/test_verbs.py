"""The verbs of every day: pause, resume and archive."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import CommandLine


def one(command_line: CommandLine, group: str) -> str:
    return command_line.out(group, "list", "--output", "jsonl", "--limit", "1").strip()


@pytest.mark.parametrize(
    ("group", "field", "off", "on"), [("ad-sets", "delivery", "OFF", "ON"), ("campaigns", "status", "PAUSED", "ACTIVE")]
)
def test_what_was_paused_is_resumed(spotify_ads: CommandLine, group: str, field: str, off: str, on: str) -> None:
    delivering = spotify_ads.out("ad-sets", "list", "--where", "delivery=ON", "--output", "jsonl", "--limit", "1")
    thing = json.loads(delivering)["id" if group == "ad-sets" else "campaign_id"]
    refused = spotify_ads.run(group, "pause", thing)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    for verb, value in (("pause", off), ("resume", on)):
        ended = spotify_ads.run(group, verb, thing, "--yes")
        if value == "PAUSED":
            told = spotify_ads.run(group, "archive", thing, "--dry-run").stderr
            assert "1 archived" in told
            assert "resumed" not in told, "what was paused does not run for being archived"
        assert re.search(rf"spotify-ads bulk undo {verb}-{group}\.\S+\.plan takes it back", ended.stderr)
        assert bool(re.search(r"have budgets of [\d,.]+ USD\n", ended.stderr)) == (value == "ACTIVE")
        assert json.loads(spotify_ads.out(group, "get", thing))[field] == value


def test_a_selection_is_shown_before_anything_changes(spotify_ads: CommandLine) -> None:
    name = json.loads(one(spotify_ads, "ad-sets"))["name"]
    shown = spotify_ads.run("ad-sets", "pause", "--where", f"name={name}", "--dry-run")
    assert shown.returncode == 0
    assert "OFF" in shown.stdout
    assert json.loads(one(spotify_ads, "ad-sets"))["delivery"] == "ON"


def test_what_is_not_there_is_named_and_nothing_changes(spotify_ads: CommandLine) -> None:
    thing, missing = json.loads(one(spotify_ads, "ads"))["id"], "00000000-0000-4000-8000-000000000000"
    refused = spotify_ads.run("ads", "pause", thing, missing, "--yes")
    assert refused.returncode != 0
    assert missing in refused.stderr
    assert json.loads(spotify_ads.out("ads", "get", thing))["delivery"] == "ON"


def test_archiving_is_for_campaigns(spotify_ads: CommandLine) -> None:
    thing = json.loads(one(spotify_ads, "ad-sets"))
    refused = spotify_ads.run("ad-sets", "archive", thing["id"])
    assert refused.returncode == 2
    assert "campaigns archive" in refused.stderr
    assert spotify_ads.run("ad-sets", "pause").returncode == 2


def test_a_shortened_id_stands_for_the_one_thing_that_it_fits(spotify_ads: CommandLine) -> None:
    every = [json.loads(line)["id"] for line in spotify_ads.out("ad-sets", "list", "--output", "jsonl").splitlines()]
    assert json.loads(spotify_ads.out("ad-sets", "get", f"{every[0][:8]}…"))["id"] == every[0]
    assert "begins with" in spotify_ads.run("ad-sets", "get", "ffff0000").stderr or any(
        one.startswith("ffff0000") for one in every
    )
    for given in (every[0][:2], "runners 59"):
        no_id = spotify_ads.run("ad-sets", "pause", given)
        assert f"{given!r} is no ID" in no_id.stderr
        assert f"list --where 'name~{given}'" in no_id.stderr
        assert no_id.returncode == 2


def test_a_plan_of_ids_says_where_they_were_given(spotify_ads: CommandLine) -> None:
    ids = [
        json.loads(line)["id"] for line in spotify_ads.out("ads", "list", "--limit", "2", "-o", "jsonl").splitlines()
    ]
    ended = spotify_ads.run("ads", "pause", *ids, "--dry-run")
    assert "IDs given on the command line: 2 rows" in ended.stderr
    assert "tmp" not in ended.stderr
