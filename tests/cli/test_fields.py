"""What requests hold, said all at once, as help, and as an example that works."""

from __future__ import annotations

import json

import pytest

from spotify_ads_async.cli.run import DONE, REFUSED, USAGE

from .conftest import CommandLine


def test_everything_that_a_new_one_lacks_is_named_at_once_with_its_shape(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("ad-sets", "create", "--set", "name=Autumn", "--yes")
    assert ended.returncode == REFUSED
    for name in ("start_time", "budget.amount", "budget.type", "bid_strategy", "campaign_id", "asset_format"):
        assert f"{name} is missing" in ended.stderr
    assert "one of DAILY, LIFETIME" in ended.stderr
    assert "--example" in ended.stderr


def test_every_wrong_setting_is_named_at_once(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run(
        "ad-sets", "create", "--set", "name=x", "--set", "bid_amount=abc", "--set", "nmae=Autumn", "--yes"
    )
    assert ended.returncode == USAGE
    assert all(one in ended.stderr for one in ("--set name=x", "--set bid_amount=abc", "did you mean name?"))


@pytest.mark.parametrize(
    ("content", "said"), [(b'{"name": "\xff"}', "no text in UTF-8"), (b'{"a": ' * 100_000, "recursion depth")]
)
def test_a_body_that_cannot_be_read_is_refused_in_a_sentence(
    spotify_ads: CommandLine, content: bytes, said: str
) -> None:
    (spotify_ads.folder / "body.json").write_bytes(content)
    ended = spotify_ads.run("ads", "update", "a", "--body", "@body.json", "--yes")
    assert (ended.returncode, "Traceback" in ended.stderr) == (USAGE, False)
    assert "--body @body.json: " in ended.stderr
    assert said in ended.stderr


def test_everything_wrong_in_a_change_is_named_at_once(spotify_ads: CommandLine) -> None:
    one = spotify_ads.out("ads", "list", "--limit", "1", "--fields", "id", "-o", "csv").split()[1]
    ended = spotify_ads.run("ads", "update", one, "--body", '{"name": "x", "tagline": 5}', "--yes")
    assert ended.returncode == REFUSED
    assert "  name: must be text of at least 2 characters" in ended.stderr
    assert "  tagline: must be text, not a whole number" in ended.stderr


def test_an_example_works(spotify_ads: CommandLine) -> None:
    for kind in ("campaigns", "ad-sets", "ads"):
        body = spotify_ads.out(kind, "create", "--example")
        made = spotify_ads.run(kind, "create", "--body", body, "--yes")
        assert made.returncode == DONE, made.stderr
        assert json.loads(made.stdout)["name"] == json.loads(body)["name"]


def test_help_lists_the_fields_with_units_and_what_must_be_there(spotify_ads: CommandLine) -> None:
    text = " ".join(spotify_ads.out("ad-sets", "create", "-h").split())
    assert "budget.amount * an amount in units of" in text
    assert "budget.type * one of DAILY, LIFETIME" in text
    assert "category text" in text
