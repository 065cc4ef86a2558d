"""Completion as a shell asks for it: by variables of the environment, with the program's name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.undocumented import EVERY_OPERATION
from spotify_ads_cli.app import COMMANDS

PROGRAM = Path(sys.executable).with_name("spotify-ads")


def completed(*words: str, program: Path = PROGRAM, **environment: str) -> subprocess.CompletedProcess[str]:
    """What bash gets when the last of ``words`` is to be completed."""
    asked = {
        "_SPOTIFY_ADS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["spotify-ads", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return subprocess.run(
        [program], env=os.environ | asked | environment, capture_output=True, text=True, check=True, timeout=120
    )


def test_commands_are_completed_and_none_is_imported() -> None:
    ended = completed("", PYTHONPROFILEIMPORTTIME="1")
    assert ended.stdout.split() == list(COMMANDS)
    assert "aiohttp" not in ended.stderr
    assert "typer" in ended.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("ca",), {"campaigns", "call"}),
        (("--prof",), {"--profile"}),
        (("drafts", "p"), {"publish"}),
        (("--profile", "gone", "drafts", "v"), {"validate"}),
        (("call", ""), EVERY_OPERATION.keys()),
        (("call", "createAdSet"), {"createAdSet", "createAdSetDraft"}),
        (("assets", "update", "x", "--subtype", "USER"), {"USER_UPLOADED_AUDIO"}),
        (("accounts", "--output", "js"), {"json", "jsonl"}),
        (("ad-sets", "update", "x", "--set", "bid_a"), {"bid_amount="}),
        (("ad-sets", "list", "--where", "budget.a"), {"budget.amount="}),
        (("ads", "list", "--fields", "id,tagl"), {"id,tagline"}),
        (("export", "campaigns", "--columns", "purchase"), {"purchase_order"}),
        (("ad-sets", "list", "--where", "status", "=", "AC"), {"ACTIVE", "ACTIVE_RESTRICTED"}),
        (("ad-sets", "update", "x", "--set", "delivery", "="), {"ON", "OFF"}),
        (("assets", "list", "--where", "asset_t"), {"asset_type="}),
        (("report", "--metrics", "spend,cl"), {"spend,clicks"}),
        (("report", "--where", "entity_n"), {"entity_name="}),
        (("report", "--fields", "name,spe"), {"name,spend"}),
        (("export", "ad-sets", "-o", "js"), {"jsonl"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_words_of_a_closed_set_are_completed(warm_programs: Path, words: tuple[str, ...], found: set[str]) -> None:
    assert set(completed(*words, program=warm_programs / "spotify-ads").stdout.split()) == found


def test_zsh_also_gets_what_an_operation_does() -> None:
    asked = {"_SPOTIFY_ADS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "spotify-ads call createCampaignD"}
    ended = subprocess.run([PROGRAM], env=os.environ | asked, capture_output=True, text=True, check=True, timeout=120)
    assert f'"createCampaignDraft":"{OPERATIONS["createCampaignDraft"].summary}"' in ended.stdout


def test_ids_accounts_and_profiles_are_those_that_were_seen(warm_programs: Path, tmp_path: Path) -> None:
    state = tmp_path / "state" / "spotify-ads"
    state.mkdir(parents=True)
    (state / "recent.json").write_text('{"campaigns": [["c1", "Autumn"], ["d2", "B"]], "accounts": [["a1", "Ours"]]}')
    (tmp_path / "config.toml").write_text('[profiles.work]\noutput = "csv"\n')
    homes = {"XDG_STATE_HOME": str(tmp_path / "state"), "SPOTIFY_ADS_CONFIG": str(tmp_path / "config.toml")}
    for words, found in (
        (("campaigns", "pause", "c"), "c1"),
        (("ad-sets", "list", "--where", "campaign_id", "=", ""), "c1 d2"),
        (("ads", "list", "--ad-account", ""), "a1"),
        (("--profile", "w"), "work"),
    ):
        assert " ".join(completed(*words, program=warm_programs / "spotify-ads", **homes).stdout.split()) == found
    asked = {"_SPOTIFY_ADS_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    words = {"_TYPER_COMPLETE_ARGS": "spotify-ads campaigns get "}
    ended = subprocess.run(
        [PROGRAM], env=os.environ | homes | asked | words, capture_output=True, text=True, check=True, timeout=120
    )
    assert ended.stdout.splitlines() == ["c1\tAutumn", "d2\tB"]
