"""Trees on the command line: cloned, exported, imported, and published or deleted as drafts."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.effort import left_to_soak
from tests.support.emulator_process import RunningEmulator, emulator_beside

from .conftest import CommandLine, command_line

DONE, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
START = "2031-05-01"


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> RunningEmulator:
    return emulator_beside(request, ad_sets=12)


@pytest.fixture
def spotify_ads(emulator: RunningEmulator, warm_programs: Path, tmp_path: Path) -> CommandLine:
    return command_line(warm_programs, emulator, tmp_path)


def rows(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def ids(spotify_ads: CommandLine, *command: str) -> list[str]:
    return [row["id"] for row in rows(spotify_ads.out(*command, "-o", "jsonl"))]


def test_a_campaign_is_cloned_looked_at_and_published(spotify_ads: CommandLine) -> None:
    campaign, *_ = ids(spotify_ads, "campaigns", "list")
    ended = spotify_ads.run(
        "campaigns", "clone", campaign, "--name", "Encore", "--rename", "{name} II", "--start", START, "-o", "jsonl"
    )  # fmt: skip
    assert ended.returncode == DONE, ended.stderr
    made = rows(ended.stdout)
    assert (made[0]["kind"], made[0]["name"], made[0]["original_id"]) == ("campaign", "Encore", campaign)
    assert len(made) > 1
    assert all(one["name"].endswith(" II") for one in made[1:])
    draft = made[0]["draft_id"]
    assert f"spotify-ads drafts publish {draft}" in ended.stderr
    assert ids(spotify_ads, "drafts", "list") == [draft]
    assert draft not in ids(spotify_ads, "campaigns", "list")
    assert "could go live" in spotify_ads.run("drafts", "validate", draft).stderr
    assert spotify_ads.run("drafts", "publish", draft, "--yes").returncode == DONE
    assert draft in ids(spotify_ads, "campaigns", "list")
    starts = [
        row["start_time"]
        for row in rows(spotify_ads.out("ad-sets", "list", "-o", "jsonl"))
        if row["campaign_id"] == draft
    ]
    assert min(starts) == "2031-05-01T00:00:00Z"


def test_every_draft_is_named_and_published(spotify_ads: CommandLine) -> None:
    campaign, *_ = ids(spotify_ads, "campaigns", "list")
    for name in ("First", "Second"):
        spotify_ads.out("campaigns", "clone", campaign, "--name", name, "--start", START)
    drafts = ids(spotify_ads, "drafts", "list")
    assert len(drafts) == 2
    assert len(ids(spotify_ads, "drafts", "list", "--limit", "1")) == 1
    unasked = spotify_ads.run("drafts", "publish", "--all")
    assert unasked.returncode == USAGE
    assert "First" in unasked.stderr
    assert "publish 2 drafts?" in unasked.stderr
    assert spotify_ads.run("drafts", "publish").returncode == USAGE
    assert spotify_ads.run("drafts", "publish", "--all", "--yes").returncode == DONE
    assert ids(spotify_ads, "drafts", "list") == []
    assert set(drafts) <= set(ids(spotify_ads, "campaigns", "list"))
    assert "there are no drafts" in spotify_ads.run("drafts", "publish", "--all", "--yes").stderr


def test_an_ad_set_is_cloned_and_goes_live(spotify_ads: CommandLine) -> None:
    ad_set, *others = ids(spotify_ads, "ad-sets", "list")
    ended = spotify_ads.run("ad-sets", "clone", ad_set, "--start", START, "--publish", "--yes")
    assert ended.returncode == DONE, ended.stderr
    assert "live: " in ended.stderr
    assert len(ids(spotify_ads, "ad-sets", "list")) == len(others) + 2


def test_what_cannot_go_live_is_told_and_deleted(spotify_ads: CommandLine) -> None:
    campaign, *_ = ids(spotify_ads, "campaigns", "list")
    # A draft may have a name that is too short to go live.
    ended = spotify_ads.run(
        "campaigns", "clone", campaign, "--name", "x", "--start", START, "--publish", "--yes", "-o", "jsonl"
    )
    assert ended.returncode == FAILED
    draft = rows(ended.stdout)[0]["draft_id"]
    assert f"cannot go live: campaign {draft}: " in ended.stderr
    ended = spotify_ads.run("drafts", "delete", draft, "00000000-0000-4000-8000-000000000000", "--yes")
    assert ended.returncode == FAILED
    assert f"{draft}: deleted" in ended.stderr
    assert "failed: 00000000-0000-4000-8000-000000000000: " in ended.stderr
    assert ids(spotify_ads, "drafts", "list") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["campaigns", "clone", "x", "--rename", "II"], "{name} must be in it"),
        (["export", "tree", "--where", "status=ACTIVE"], "--where is not for a tree"),
        (["export", "tree", "--to", "tree.csv"], "a tree is exported as JSON Lines"),
        (["export", "tree", "-o", "xlsx"], "a tree is exported as JSON Lines"),
        (["export", "ads", "--archived"], "--archived is for a tree"),
        (["import", "nothing.jsonl"], "nothing.jsonl"),
    ],
)
def test_mistakes(spotify_ads: CommandLine, arguments: list[str], said: str) -> None:
    ended = spotify_ads.run(*arguments)
    assert ended.returncode == USAGE
    assert said in " ".join(ended.stderr.split())


def test_a_tree_is_exported_once(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "tree", "--to", "account.jsonl")
    file = spotify_ads.folder / "account.jsonl"
    assert spotify_ads.out("export", "tree") == file.read_text()
    assert Counter(row["kind"] for row in rows(file.read_text()))["ad_set"] == 12
    ended = spotify_ads.run("export", "tree", "--to", "account.jsonl")
    assert (ended.returncode, "is there already" in ended.stderr) == (USAGE, True)


def test_a_file_that_cannot_be_imported_names_its_line(spotify_ads: CommandLine) -> None:
    (spotify_ads.folder / "account.jsonl").write_text('{"kind": "ad_set", "id": "a", "campaign_id": "b"}\n')
    ended = spotify_ads.run("import", "account.jsonl", "--yes")
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert "line 1: its parent b does not come before it" in ended.stderr
    assert "goes on" not in ended.stderr


CREATIONS = ["createCampaignDraft", "createAdSetDraft", "createAdDraft"]


@contextlib.contextmanager
def stuck(emulator: RunningEmulator, command: CommandLine, *words: str, after: int) -> Iterator[subprocess.Popen[str]]:
    """A command whose requests for drafts get no answer any more after so many: it is in the midst of its work."""
    emulator.ask("POST", "/_emulator/faults", {"kind": "delay", "operations": CREATIONS, "delay": 600, "skip": after})
    with subprocess.Popen(
        command.cold_command(*words),
        env=command.environment,
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while not emulator.ask("GET", "/_emulator/faults")[1]["faults"][0]["hits"]:
                assert process.poll() is None
                time.sleep(0.02)
            yield process
        finally:
            process.kill()
    emulator.ask("DELETE", "/_emulator/faults")


ENDINGS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}


@pytest.mark.parametrize("numbers", [[signal.SIGINT, signal.SIGKILL], left_to_soak([*ENDINGS])], ids=len)
def test_an_import_that_was_killed_or_interrupted_goes_on(
    request: pytest.FixtureRequest, warm_programs: Path, tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    emulator = emulator_beside(request, ad_sets=40)
    spotify_ads = command_line(warm_programs, emulator, tmp_path)
    spotify_ads.out("export", "tree", "--to", "account.jsonl")
    expected = Counter(row["kind"] for row in rows((spotify_ads.folder / "account.jsonl").read_text()))
    words = "import", "account.jsonl", "--start", START, "--yes"
    for number in numbers:
        with stuck(emulator, spotify_ads, *words, after=3) as process:
            process.send_signal(number)
            process.communicate(timeout=120)
        assert process.returncode == ENDINGS[number]
    ended = spotify_ads.run(*words)
    assert ended.returncode == DONE, ended.stderr
    assert len(ids(spotify_ads, "drafts", "list")) == expected["campaign"]
    assert len(rows(spotify_ads.out("call", "getAdSetDrafts", "--all"))) == expected["ad_set"]
    again = spotify_ads.run(*words)
    assert (again.returncode, "nothing was left to do" in again.stderr) == (DONE, True)


def test_ctrl_c_takes_a_clone_back(spotify_ads: CommandLine, emulator: RunningEmulator) -> None:
    campaign, *_ = ids(spotify_ads, "campaigns", "list")
    with stuck(emulator, spotify_ads, "campaigns", "clone", campaign, "--start", START, after=1) as process:
        assert len(ids(spotify_ads, "drafts", "list")) == 1
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert shown == ""
    assert "making the draft of campaign" in said
    assert "was deleted again" in said
    assert ids(spotify_ads, "drafts", "list") == []


def turn_off(spotify_ads: CommandLine, ad_set: str) -> None:
    assert spotify_ads.run("ad-sets", "update", ad_set, "--set", "delivery=OFF", "--yes").returncode == DONE


def test_what_is_off_stays_off_in_a_clone_that_goes_live(spotify_ads: CommandLine) -> None:
    ad_set = rows(spotify_ads.out("ad-sets", "list", "-o", "jsonl"))[0]
    turn_off(spotify_ads, ad_set["id"])
    ended = spotify_ads.run("campaigns", "clone", ad_set["campaign_id"], "--start", START, "--yes", "-o", "jsonl")
    assert ended.returncode == DONE, ended.stderr
    draft = rows(ended.stdout)[0]["draft_id"]
    assert f"a draft cannot hold delivery=OFF of ad set {ad_set['name']}" in ended.stderr
    assert "clone it with --publish" in ended.stderr
    assert "live, and paused" in spotify_ads.run("drafts", "publish", draft, "--yes").stderr
    ended = spotify_ads.run(
        "campaigns", "clone", ad_set["campaign_id"], "--start", START, "--publish", "--yes", "-o", "jsonl"
    )
    assert ended.returncode == DONE, ended.stderr
    made = {row["original_id"]: row["draft_id"] for row in rows(ended.stdout)}
    live = {row["id"]: row["delivery"] for row in rows(spotify_ads.out("ad-sets", "list", "-o", "jsonl"))}
    assert live[made[ad_set["id"]]] == "OFF"


def test_an_ad_set_that_is_off_is_not_published_into_a_campaign_that_runs(spotify_ads: CommandLine) -> None:
    ad_set = rows(spotify_ads.out("ad-sets", "list", "-o", "jsonl"))[0]
    turn_off(spotify_ads, ad_set["id"])
    ended = spotify_ads.run("ad-sets", "clone", ad_set["id"], "--start", START, "--publish", "--yes")
    assert ended.returncode == FAILED
    assert "not published: campaign" in ended.stderr


def test_budgets_in_another_currency_need_a_rate(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "tree", "--to", "account.jsonl")
    file = spotify_ads.folder / "account.jsonl"
    file.write_text(file.read_text().replace('"currency":"USD"', '"currency":"JPY"'))
    ended = spotify_ads.run("import", "account.jsonl", "--start", START, "--yes")
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert "is in JPY, and the ad account is in USD" in ended.stderr
    assert spotify_ads.run("import", "account.jsonl", "--start", START, "--yes", "--rate", "JPY").returncode == USAGE
    assert spotify_ads.run("import", "account.jsonl", "--start", START, "--yes", "--rate", "JPY=0.5").returncode == DONE


def test_a_file_of_archived_campaigns_alone_makes_nothing_and_says_so(spotify_ads: CommandLine) -> None:
    file = spotify_ads.folder / "archived.jsonl"
    file.write_text(
        '{"kind":"campaign","id":"ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a","name":"Old","status":"ARCHIVED"}\n'
    )
    ended = spotify_ads.run("import", "archived.jsonl", "--yes")
    assert (ended.returncode, ended.stdout) == (FAILED, "")
    assert "holds archived campaigns alone" in ended.stderr


def test_a_misspelt_key_is_refused_and_can_be_left_out(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "tree", "--to", "account.jsonl")
    file = spotify_ads.folder / "account.jsonl"
    file.write_text(file.read_text().replace('"pacing":', '"paceing":'))
    ended = spotify_ads.run("import", "account.jsonl", "--start", START, "--yes")
    assert ended.returncode == REFUSED
    assert "paceing is no key that is known: did you mean pacing?" in ended.stderr
    assert (
        spotify_ads.run("import", "account.jsonl", "--start", START, "--yes", "--ignore", "paceing").returncode == DONE
    )


@pytest.mark.parametrize("start", ["9999-12-31", "0001-01-01"])
def test_a_start_at_the_ends_of_the_calendar_is_a_sentence(spotify_ads: CommandLine, start: str) -> None:
    campaign, *_ = ids(spotify_ads, "campaigns", "list")
    ended = spotify_ads.run("campaigns", "clone", campaign, "--start", start, "--publish", "--yes")
    assert ended.returncode in {FAILED, REFUSED}
    assert "Traceback" not in ended.stderr
    assert ("calendar" if start > START else "lies in the past") in ended.stderr
    assert ids(spotify_ads, "drafts", "list") == []


def test_an_empty_file_is_not_taken_for_done(spotify_ads: CommandLine) -> None:
    (spotify_ads.folder / "account.jsonl").write_text("")
    ended = spotify_ads.run("import", "account.jsonl", "--yes")
    assert ended.returncode == FAILED
    assert "holds no campaign" in ended.stderr
