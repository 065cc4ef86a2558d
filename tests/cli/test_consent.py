"""Consent: what changes something asks at a terminal, and without one needs ``--yes``.

What a pipe holds is no consent.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Generator
from pathlib import Path

import pytest
from support.effort import left_to_soak

from spotify_ads_async.cli.run import DONE, FAILED, INTERRUPTED, USAGE

from .conftest import CommandLine

NOWHERE = "00000000-0000-4000-8000-000000000000"


def an_ad_set(spotify_ads: CommandLine) -> tuple[str, str]:
    """The id and the name of an ad set."""
    row = json.loads(spotify_ads.out("ad-sets", "list", "--limit", "1", "-o", "jsonl"))
    return row["id"], row["name"]


def name_of(spotify_ads: CommandLine, ad_set: str) -> str:
    return json.loads(spotify_ads.out("ad-sets", "get", ad_set))["name"]


def changes(spotify_ads: CommandLine, ad_set: str, name: str) -> str:
    with (spotify_ads.folder / "changes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["ad_set_id", "name"], [ad_set, name]])
    return "changes.csv"


def at_a_terminal(
    spotify_ads: CommandLine, answer: str | signal.Signals, *arguments: str, errors: Path | None = None
) -> tuple[int, str]:
    """The exit code, and what the terminal shows, of a command that a terminal started.

    With ``errors``, stderr goes to a file.
    """
    master, slave = pty.openpty()
    with contextlib.ExitStack() as files:
        stderr = slave if errors is None else files.enter_context(errors.open("wb"))
        process = files.enter_context(
            subprocess.Popen(
                spotify_ads.command(*arguments),
                env=spotify_ads.environment,
                cwd=spotify_ads.folder,
                stdin=slave,
                stdout=slave,
                stderr=stderr,
            )
        )
        files.callback(process.kill)
        os.close(slave)
        shown, asked = b"", 0
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while piece := os.read(master, 4096):
                shown += piece
                if shown.count(b"[y/N]") == asked:
                    continue
                asked += 1
                if isinstance(answer, str):
                    os.write(master, os.fsencode(f"{answer}\n"))
                else:
                    process.send_signal(answer)
                    process.wait(timeout=120)  # the terminal stays, and nobody types anything
        os.close(master)
        return process.wait(timeout=120), shown.decode(errors="replace")


@pytest.mark.parametrize("piped", [left_to_soak(""), left_to_soak("n\n"), "y\n"])
def test_without_a_terminal_a_bulk_change_needs_yes(spotify_ads: CommandLine, piped: str) -> None:
    ad_set, name = an_ad_set(spotify_ads)
    file = changes(spotify_ads, ad_set, f"{name} x")
    ended = spotify_ads.run("bulk", "apply", file, "--plan", "a.plan", stdin=piped)
    assert ended.returncode == USAGE
    assert "nothing was changed: standard input is no terminal" in ended.stderr
    assert "--yes does it" in ended.stderr
    assert name_of(spotify_ads, ad_set) == name
    for command in ("resume", "apply"):
        assert spotify_ads.run("bulk", command, "a.plan", stdin=piped).returncode == USAGE
    assert name_of(spotify_ads, ad_set) == name
    other = spotify_ads.run("bulk", "apply", "a.plan", "--yes", "--ad-account", ad_set)
    assert (other.returncode, "the plan is of ad account" in other.stderr) == (USAGE, True)
    assert spotify_ads.run("bulk", "apply", "a.plan", "--yes").returncode == DONE
    assert spotify_ads.run("bulk", "undo", "a.plan", stdin=piped).returncode == USAGE
    assert name_of(spotify_ads, ad_set) == f"{name} x"
    assert spotify_ads.run("bulk", "apply", "a.plan.undo", "--yes").returncode == DONE
    assert name_of(spotify_ads, ad_set) == name


@pytest.mark.parametrize(
    "arguments",
    [
        ("drafts", "publish", NOWHERE),
        ("drafts", "delete", NOWHERE),
        ("audiences", "delete", NOWHERE),
        ("campaigns", "clone", NOWHERE, "--publish"),
        ("ad-sets", "clone", NOWHERE, "--publish"),
        ("campaigns", "update", NOWHERE, "--set", "status=ARCHIVED"),
        ("campaigns", "update", NOWHERE, "--body", '{"status": "ARCHIVED"}'),
        ("call", "deleteAudience", "--path", f"audience_id={NOWHERE}"),
        ("call", "publishCampaignDraft", "--path", f"draft_campaign_id={NOWHERE}", "--body", '{"action": "PUBLISH"}'),
    ],
    ids=" ".join,
)
def test_what_cannot_be_taken_back_needs_yes_too(spotify_ads: CommandLine, arguments: tuple[str, ...]) -> None:
    ended = spotify_ads.run(*arguments, stdin="y\n")
    assert ended.returncode == USAGE
    assert "nothing was changed: standard input is no terminal" in ended.stderr
    agreed = spotify_ads.run(*arguments, "--yes")
    assert "nothing was changed" not in agreed.stderr
    assert agreed.returncode != DONE  # there is no such thing


def test_an_import_needs_yes(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "tree", "--to", "tree.jsonl")
    ended = spotify_ads.run("import", "tree.jsonl", stdin="y\n")
    assert (ended.returncode, "nothing was changed" in ended.stderr) == (USAGE, True)
    assert not (spotify_ads.folder / "tree.jsonl.receipt").exists()


@pytest.mark.parametrize(
    ("answer", "redirected", "changed"),
    [("n", False, False), ("n", True, False), ("what?\nYES", False, True), ("y", True, True)],
)
def test_at_a_terminal_it_asks(spotify_ads: CommandLine, answer: str, *, redirected: bool, changed: bool) -> None:
    ad_set, name = an_ad_set(spotify_ads)
    file = changes(spotify_ads, ad_set, f"{name} x")
    errors = spotify_ads.folder / "errors.txt" if redirected else None
    code, shown = at_a_terminal(spotify_ads, answer, "bulk", "apply", file, "--plan", "a.plan", errors=errors)
    assert "[y/N]" in shown
    assert code == DONE
    assert (name_of(spotify_ads, ad_set) != name) is changed
    if changed:
        assert spotify_ads.run("bulk", "undo", "a.plan", "--yes").returncode == DONE


def test_control_c_does_not_wait_for_an_answer(spotify_ads: CommandLine) -> None:
    assert at_a_terminal(spotify_ads, signal.SIGINT, "audiences", "delete", NOWHERE)[0] == INTERRUPTED


def test_nothing_is_changed_when_the_results_could_not_be_written(spotify_ads: CommandLine) -> None:
    ad_set, name = an_ad_set(spotify_ads)
    file = changes(spotify_ads, ad_set, f"{name} x")
    ended = spotify_ads.run(
        "bulk", "apply", file, "--plan", "results.plan", "--yes", "--results", "nowhere/results.csv"
    )
    assert ended.returncode == USAGE
    assert "no results can be written to nowhere/results.csv" in ended.stderr
    assert name_of(spotify_ads, ad_set) == name


def test_results_take_the_place_of_nothing_that_is_of_use(spotify_ads: CommandLine) -> None:
    one, name = an_ad_set(spotify_ads)
    file = changes(spotify_ads, one, "Renamed")
    other = spotify_ads.folder / "other.csv"
    other.symlink_to("in.plan")
    spotify_ads.out("bulk", "plan", file, "--plan", "in.plan")
    kept = {path: (spotify_ads.folder / path).read_bytes()[:100] for path in (file, "in.plan")}
    for command, over in [
        (("apply", file), file),
        (("apply", file, "--plan", "new.plan"), "new.plan"),
        (("apply", file), "in.plan"),
        (("apply", "in.plan"), "./in.plan"),
        (("apply", "in.plan"), "other.csv"),
        (("resume", "in.plan"), "in.plan"),
        (("apply", "in.plan"), file),
        (("resume", "in.plan"), f"./{file}"),
    ]:
        ended = spotify_ads.run("bulk", *command, "--yes", "--results", over)
        assert (ended.returncode, ended.stdout) == (USAGE, "")
        assert "the results would be written over " in ended.stderr
    assert name_of(spotify_ads, one) == name
    assert {path: (spotify_ads.folder / path).read_bytes()[:100] for path in kept} == kept
    assert spotify_ads.run("bulk", "apply", "in.plan", "--yes").returncode == DONE
    ended = spotify_ads.run("bulk", "undo", "in.plan", "--yes", "--results", "in.plan")
    assert (ended.returncode, "written over in.plan" in ended.stderr) == (USAGE, True)
    ended = spotify_ads.run("bulk", "undo", "in.plan", "--yes", "--plan", "in.plan")
    assert (ended.returncode, "--replace" in ended.stderr) == (USAGE, False)  # undo has no such option
    assert spotify_ads.run("bulk", "undo", "in.plan", "--yes", "--results", "undone.csv").returncode == DONE
    assert name_of(spotify_ads, one) == name


def test_a_file_of_changes_that_is_called_as_the_results_would_be_stays(spotify_ads: CommandLine) -> None:
    one, name = an_ad_set(spotify_ads)
    (spotify_ads.folder / changes(spotify_ads, one, "Renamed")).rename(spotify_ads.folder / "raise.results.csv")
    content = (spotify_ads.folder / "raise.results.csv").read_bytes()
    ended = spotify_ads.run("bulk", "apply", "raise.results.csv", "--plan", "raise.plan", "--yes")
    assert (ended.returncode, "written over raise.results.csv" in ended.stderr) == (USAGE, True)
    spotify_ads.out("bulk", "plan", "raise.results.csv", "--plan", "raise.plan")
    for command in ("apply", "resume"):
        ended = spotify_ads.run("bulk", command, "raise.plan", "--yes")
        assert (ended.returncode, "with --results" in ended.stderr) == (USAGE, True)
    assert (spotify_ads.folder / "raise.results.csv").read_bytes() == content
    assert name_of(spotify_ads, one) == name
    assert spotify_ads.run("bulk", "apply", "raise.plan", "--yes", "--results", "done.csv").returncode == DONE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_results_without_room_are_said_and_written_elsewhere_without_sending_again(spotify_ads: CommandLine) -> None:
    ad_set, name = an_ad_set(spotify_ads)
    file = changes(spotify_ads, ad_set, f"{name} x")
    ended = spotify_ads.run("bulk", "apply", file, "--plan", "full.plan", "--yes", "--results", "/dev/full")
    assert ended.returncode == FAILED
    assert "/dev/full cannot be written (No space left on device); nothing is lost" in ended.stderr
    again = spotify_ads.run("bulk", "resume", "full.plan", "--yes", "--results", "elsewhere.csv")
    assert again.returncode == DONE
    assert f"{ad_set}" in (spotify_ads.folder / "elsewhere.csv").read_text()
    assert spotify_ads.run("bulk", "undo", "full.plan", "--yes").returncode == DONE


@contextlib.contextmanager
def at_a_hidden_question(home: Path, **environment: str) -> Generator[tuple[subprocess.Popen[bytes], int, int]]:
    """`login` that asks for the secret, and both sides of its terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPOTIFY_ADS_")}
    outside = kept | {"HOME": str(home), "TERM": "dumb"} | environment
    theirs, ours = pty.openpty()
    words = [sys.executable, "-m", "spotify_ads_async.cli", "login", "--client-id", "an-app"]
    with subprocess.Popen(words, env=outside, stdin=ours, stdout=ours, stderr=ours, start_new_session=True) as process:
        try:
            until_it_asks(theirs, ours)
            yield process, theirs, ours
        finally:
            process.kill()
    os.close(ours)
    os.close(theirs)


def until_it_asks(theirs: int, ours: int) -> bytes:
    """What is shown up to the hidden question."""
    shown = b""
    while b"Client secret" not in shown:
        assert select.select([theirs], [], [], 60)[0], shown
        shown += os.read(theirs, 65536)
    for _ in itertools.takewhile(lambda _: termios.tcgetattr(ours)[3] & termios.ECHO, itertools.count()):
        os.sched_yield()
    return shown


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([signal.SIGINT], "interrupted"),
        ([signal.SIGTERM], "ended by SIGTERM: nothing was changed"),
        ([signal.SIGHUP], "ended by SIGHUP: nothing was changed"),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP], "ended by "),
    ],
)
def test_a_signal_at_a_hidden_question_gives_the_terminal_its_echo_back(
    tmp_path: Path, numbers: list[signal.Signals], said: str
) -> None:
    with at_a_hidden_question(tmp_path) as (process, theirs, ours):
        for number in numbers:
            process.send_signal(number)
        code = process.wait(timeout=60)
        echo = termios.tcgetattr(ours)[3] & termios.ECHO
        shown = os.read(theirs, 65536)
    assert echo, shown
    # Later signals may come when the program has said why it ends, and nothing is left to give back.
    assert code in {128 + number for number in numbers} | {-number for number in numbers[1:]}, shown
    assert said in shown.decode()
    assert b"Traceback" not in shown


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "utf-8"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_a_secret_in_another_encoding_than_the_terminals_is_asked_for_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with at_a_hidden_question(tmp_path, **environment) as (process, theirs, ours):
        os.write(theirs, b"caf\xe9\n")
        shown = until_it_asks(theirs, ours)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == INTERRUPTED
    assert b"no text in this terminal's encoding: enter it again" in shown
    assert b"caf" not in shown
    assert b"Traceback" not in shown


def test_an_answer_in_another_encoding_than_the_terminals_is_none(
    spotify_ads: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ad_set, _ = an_ad_set(spotify_ads)
    monkeypatch.setitem(spotify_ads.environment, "PYTHONIOENCODING", "utf-8")
    code, shown = at_a_terminal(spotify_ads, "\udce4", "ad-sets", "pause", ad_set)
    assert (code, shown.count("please answer y or n"), "Traceback" in shown) == (DONE, 3, False)
