"""Assets and audiences on the command line."""

from __future__ import annotations

import csv
import io
import json
import wave
from pathlib import Path

import pytest

from .conftest import CommandLine

DONE, FAILED, USAGE = 0, 1, 2


@pytest.fixture
def spot(spotify_ads: CommandLine) -> Path:
    path = spotify_ads.folder / "spot.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(4 * 44100))
    return path


def test_an_asset_is_made_read_listed_and_renamed(spotify_ads: CommandLine, spot: Path) -> None:
    (made,) = csv.DictReader(
        io.StringIO(spotify_ads.out("assets", "create", str(spot), "--name", "Autumn spot", "-o", "csv"))
    )
    assert made["status"] == "READY"
    read = json.loads(spotify_ads.out("assets", "get", made["id"]))
    assert (read["name"], read["asset_type"]) == ("Autumn spot", "AUDIO")
    listed = spotify_ads.out(
        "assets", "list", "--query", "asset_types=AUDIO", "--query", "name=Autumn spot", "-o", "jsonl"
    )
    assert made["id"] in [json.loads(line)["id"] for line in listed.splitlines()]
    changed = json.loads(spotify_ads.out("assets", "update", made["id"], "--name", "Winter spot"))
    assert (changed["id"], changed["name"]) == (made["id"], "Winter spot")
    assert spotify_ads.out("assets", "list").splitlines()[0].split()[:3] == ["NAME", "KIND", "STATUS"]


def test_an_audience_is_made_read_listed_changed_and_deleted(spotify_ads: CommandLine) -> None:
    people = spotify_ads.folder / "people.txt"
    people.write_text("".join(f"person{number}@example.com\n" for number in range(1500)))
    (made,) = csv.DictReader(
        io.StringIO(spotify_ads.out("audiences", "create", str(people), "--name", "Customers", "-o", "csv"))
    )
    assert (made["identifiers"], made["refused"]) == ("1500", "0")
    changed = json.loads(spotify_ads.out("audiences", "update", made["id"], "--description", "Bought last year"))
    read = json.loads(spotify_ads.out("audiences", "get", made["id"]))
    assert (
        (read["name"], read["description"])
        == ("Customers", "Bought last year")
        == (changed["name"], changed["description"])
    )
    alike = {"audience_type": "LOOKALIKE", "name": "Alike", "seed_audience_id": made["id"]}
    other = json.loads(spotify_ads.out("audiences", "create", "--body", json.dumps(alike)))
    assert (
        json.loads(spotify_ads.out("audiences", "create", "--body", json.dumps(alike), "-o", "jsonl"))["name"]
        == "Alike"
    )
    head, row = spotify_ads.out(
        "audiences", "create", "--body", json.dumps(alike), SPOTIFY_ADS_OUTPUT="table"
    ).splitlines()
    assert (head.split()[:2], row.split()[0]) == (["NAME", "TYPE"], "Alike")
    renamed = json.loads(spotify_ads.out("audiences", "update", other["id"], "--name", "Much alike"))
    assert renamed["name"] == "Much alike"
    ids = {json.loads(line)["id"] for line in spotify_ads.out("audiences", "list", "-o", "jsonl").splitlines()}
    assert {made["id"], other["id"]} <= ids
    kept = spotify_ads.run("audiences", "delete", other["id"], stdin="n\n")
    assert (kept.returncode, "nothing was changed" in kept.stderr) == (USAGE, True)
    spotify_ads.out("audiences", "delete", other["id"], "--yes")
    assert spotify_ads.run("audiences", "get", other["id"]).returncode == FAILED


def test_a_list_that_is_replaced_takes_no_name(spotify_ads: CommandLine, spot: Path) -> None:
    ended = spotify_ads.run("upload", str(spot), "--audience", "--replace", "x", "--name", "Fans")
    assert (ended.returncode, "--name is for a new audience" in ended.stderr) == (USAGE, True)


def test_an_audio_assets_subtype_is_one_that_the_api_has(spotify_ads: CommandLine, spot: Path) -> None:
    (made,) = csv.DictReader(io.StringIO(spotify_ads.out("assets", "create", str(spot), "-o", "csv")))
    changed = json.loads(spotify_ads.out("assets", "update", made["id"], "--subtype", "BACKGROUND_MUSIC"))
    assert (changed["id"], changed["audio_type"]) == (made["id"], "BACKGROUND_MUSIC")
    (image,) = [
        one["id"]
        for one in map(json.loads, spotify_ads.out("assets", "list", "-o", "jsonl").splitlines())
        if one["asset_type"] == "IMAGE"
    ][:1]
    ended = spotify_ads.run("assets", "update", image, "--subtype", "BACKGROUND_MUSIC")
    assert (ended.returncode, f"{image} is IMAGE: --subtype is for audio" in ended.stderr) == (USAGE, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["assets", "list", "--query", "colour=red"], "no such parameter"),
        (["assets", "update", "x"], "give --name or --subtype"),
        (["assets", "update", "x", "--subtype", "USER_UPLOADED"], "'USER_UPLOADED' is not one of"),
        (["audiences", "create", "--body", "{}", "--wait", "5"], "--wait is for a customer list"),
        (["audiences", "update", "x"], "give --name or --description"),
        (["audiences", "create"], "either a customer list or --body"),
        (["audiences", "create", "--body", "{}", "--name", "x"], "a body has its own name"),
    ],
)
def test_mistakes_are_explained(spotify_ads: CommandLine, arguments: list[str], said: str) -> None:
    ended = spotify_ads.run(*arguments)
    assert ended.returncode == USAGE
    assert said in " ".join(ended.stderr.split())


def test_lists_of_every_kind_take_the_same_options(spotify_ads: CommandLine) -> None:
    (kind,) = {row["asset_type"] for row in listed(spotify_ads, "assets", "--where", "asset_type=IMAGE")}
    assert kind == "IMAGE"
    for plural in ("assets", "campaigns"):
        first, *others = listed(spotify_ads, plural)
        assert [row["id"] for row in listed(spotify_ads, plural, "--where", f"id={first['id']}")] == [first["id"]]
        assert len(others) + 1 > len(listed(spotify_ads, plural, "--where", f"id!={first['id']}", "--limit", "2")) > 0
        assert json.loads(spotify_ads.out(plural, "get", first["id"][:8]))["id"] == first["id"]
    for command in (["accounts"], ["businesses"]):
        (row,) = map(json.loads, spotify_ads.out(*command, "--fields", "id,name", "-o", "jsonl").splitlines())
        assert spotify_ads.out(*command, "--where", f"name!={row['name']}", "-o", "jsonl") == ""
    for command in (["audiences", "list"], ["drafts", "list"], ["accounts"], ["businesses"], ["ads", "list"]):
        ended = spotify_ads.run(*command, "--where", "nmae~x")
        assert ended.returncode == USAGE
        assert "did you mean name?" in ended.stderr


def listed(spotify_ads: CommandLine, plural: str, *options: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in spotify_ads.out(plural, "list", *options, "-o", "jsonl").splitlines()]
