"""Commands as people have them: in terminals of 80 and of 200 columns, dumb and without colours, in pipes, alone.

Each run ends with its exit code, without a traceback, and shows what it is about whole. The first of each command runs
always; all of them are run by ``make soak``.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.emulator_process import RunningEmulator, emulator_process

from .conftest import CommandLine, command_line

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NOBODY = "00000000-0000-4000-8000-000000000000"
LONGEST_SECONDS = 120.0
INTERRUPTED = 130


class Mode(NamedTuple):
    """Where a command runs: in a terminal of so many columns, or in a pipe (0); with what in the environment."""

    columns: int
    environment: dict[str, str]
    alone: bool = False
    """Without standard input, in a session that has no terminal."""
    tmux: bool = False
    """In a window of tmux, and not of the test's own making."""


MODES = {
    "80 columns": Mode(80, {}),
    "200 columns": Mode(200, {}),
    "dumb": Mode(80, {"TERM": "dumb"}),
    "no colour": Mode(80, {"NO_COLOR": "1"}),
    "pipe": Mode(0, {}),
    "cp1252": Mode(0, {"PYTHONIOENCODING": "cp1252"}),
    "alone": Mode(0, {}, alone=True),
}
TMUX = {"tmux, 80 columns": Mode(80, {}, tmux=True), "tmux, 200 columns": Mode(200, {}, tmux=True)}


class Run(NamedTuple):
    """A command, its exit code, and what must be in its output; IDs are put in for ``{…}``."""

    command: str
    code: int
    shows: tuple[str, ...]


RUNS = {
    "accounts": Run("accounts", 0, ("Emulated Ad Account",)),
    "businesses": Run("businesses", 0, ("NAME",)),
    "campaigns": Run("campaigns list", 0, ("NAME", "STATUS", "ID")),
    "ad sets": Run("ad-sets list --where name~coffee", 0, ("coffee lovers 7", "USD", "ACTIVE")),
    "whole": Run("ad-sets list --limit 3 --wide", 0, ("{ad_set}", "ENDS")),
    "one": Run("ad-sets get {short}", 0, ("{ad_set}", '"name"')),
    "assets": Run("assets list --limit 5", 0, ("NAME",)),
    "audiences": Run("audiences list", 0, ("there is nothing",)),
    "drafts": Run("drafts list", 0, ("there is nothing",)),
    "report": Run("report --from 2026-01-01 --to 2026-01-03", 0, ("2026-01-01", "2026-01-03", "SPEND")),
    "chart": Run("report account --chart --from 2026-01-01 --to 2026-01-20", 0, ("2026-01-01",)),
    "quota": Run("quota", 0, ("the windows are kept in memory",)),
    "whoami": Run("whoami", 0, ("ad account", "credentials from the environment")),
    "config": Run("config show", 0, ("SPOTIFY_ADS_BASE_URL",)),
    "help": Run("bulk apply -h", 0, ("--allow-unusual", "Examples:")),
    "version": Run("version", 0, ("spotify-ads ",)),
    "plan": Run("bulk plan --where name~stud --set bid_amount=+1% --plan {plan}", 0, ("students 1", "carries it out")),
    "apply": Run("bulk apply {made} --yes", 0, ("done", "every row's outcome is in")),
    "undo": Run("bulk undo {done} --yes", 0, ("done",)),
    "pause": Run("ads pause {ad} --dry-run", 0, ("IDs given on the command line", "a dry run: nothing was changed")),
    "update": Run("ad-sets update {ad_set} --set bid_amount=21.00 --allow-unusual", 0, ("changed: ad set",)),
    "export": Run("export ad-sets --where name~coffee", 0, ("coffee lovers 7", "ad sets exported")),
    "unknown command": Run("campaings list", 2, ("campaigns",)),
    "unknown field": Run("ads list --where nmae=x", 2, ("did you mean name?",)),
    "unknown column": Run("assets list --fields nmae", 2, ("did you mean name?",)),
    "nothing there": Run(f"ads get {NOBODY}", 1, ("failed",)),
    "no plan": Run("bulk apply nowhere.plan --yes", 2, ("nowhere.plan",)),
    "bad rows": Run("bulk plan {bad} --plan {plan}", 3, ("bad.csv",)),
    "no server": Run("ads list --debug", 1, ("refused",)),
}


class Place(NamedTuple):
    """The command line, and the things that the runs are about."""

    spotify_ads: CommandLine
    ad_set: str
    ad: str


@pytest.fixture
def place(warm_programs: Path, emulator: RunningEmulator, tmp_path: Path) -> Place:
    spotify_ads = command_line(warm_programs, emulator, tmp_path)
    spotify_ads.environment.pop("COLUMNS", None)
    _, ad_sets = emulator.ask("GET", f"/ad_accounts/{emulator.ad_account_id}/ad_sets?limit=1")
    _, ads = emulator.ask("GET", f"/ad_accounts/{emulator.ad_account_id}/ads?limit=1")
    return Place(spotify_ads, ad_sets["ad_sets"][0]["id"], ads["ads"][0]["id"])


def prepared(place: Place, command: str) -> list[str]:
    """The words of a command, with what it needs made first."""
    spotify_ads, folder = place.spotify_ads, place.spotify_ads.folder
    change = ("--where", "name~students", "--set", "bid_amount=+1%", "--plan")
    if "{made}" in command or "{done}" in command:
        spotify_ads.out("bulk", "plan", *change, "a.plan")
    if "{done}" in command:
        spotify_ads.out("bulk", "apply", "a.plan", "--yes")
    (folder / "bad.csv").write_text(f"ad_set_id,bid_amount\n{place.ad_set},many\n")
    values = {"plan": "new.plan", "made": "a.plan", "done": "a.plan", "bad": "bad.csv", "short": place.ad_set[:8]}
    return command.format(ad_set=place.ad_set, ad=place.ad, **values).split()


def ran_in_tmux(command: list[str], folder: Path, columns: int, outside: dict[str, str]) -> tuple[int, str]:
    """The exit code, and what a window of tmux shows at the end and above."""
    tmux = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux")]
    said = f"{shlex.join(command)}; echo $? > code; tmux wait-for -S ended; sleep 600"
    opened = [*tmux, "new-session", "-d", "-x", str(columns), "-y", "50", said]
    subprocess.run(opened, env=outside, cwd=folder, check=True, timeout=LONGEST_SECONDS)
    try:
        subprocess.run([*tmux, "wait-for", "ended"], check=True, timeout=LONGEST_SECONDS)
        shown = subprocess.check_output([*tmux, "capture-pane", "-p", "-J", "-S", "-"], text=True)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    return int((folder / "code").read_text()), shown


def ran(place: Place, words: list[str], mode: Mode, **environment: str) -> tuple[int, str]:
    """The exit code, and what was written."""
    outside = place.spotify_ads.environment | {"TERM": "xterm-256color"} | mode.environment | environment
    command, folder = place.spotify_ads.command(*words), place.spotify_ads.folder
    if mode.tmux:
        return ran_in_tmux(command, folder, mode.columns, outside)
    if not mode.columns:
        ended = subprocess.run(
            command,
            env=outside,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=mode.alone,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        return ended.returncode, ended.stdout.decode(outside.get("PYTHONIOENCODING", "utf-8"))
    theirs, ours = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, mode.columns, 0, 0))
    with subprocess.Popen(command, env=outside, cwd=folder, stdin=ours, stdout=ours, stderr=ours) as process:
        os.close(ours)
        written = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while select.select([theirs], [], [], LONGEST_SECONDS)[0] and (piece := os.read(theirs, 65536)):
                written += piece
        os.close(theirs)
        return process.wait(timeout=LONGEST_SECONDS), CONTROL.sub("", written.decode())


SOAK = [
    pytest.param(name, mode, id=f"{name}, {mode}", marks=() if position == number % len(MODES) else pytest.mark.soak)
    for number, name in enumerate(RUNS)
    for position, mode in enumerate([*MODES, *TMUX])
]
"""Every command in every place: one of them always, by turns, and all where there is time."""


@pytest.mark.parametrize(("name", "mode"), SOAK)
def test_a_command_says_what_it_should_wherever_it_runs(place: Place, name: str, mode: str) -> None:
    run = RUNS[name]
    if mode in TMUX and shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: apt install tmux")
    elsewhere = {"SPOTIFY_ADS_BASE_URL": "http://127.0.0.1:9/ads/v3"} if name == "no server" else {}
    code, written = ran(place, prepared(place, run.command), (MODES | TMUX)[mode], **elsewhere)
    assert "Traceback" not in written, written
    assert code == run.code, written
    plain = " ".join(written.split())
    for text in run.shows:
        shown = text.format(ad_set=place.ad_set, ad=place.ad)
        assert shown in plain, written


SLOW = (
    "ad-sets list",
    "ads get 12345678",
    "report account",
    "export campaigns",
    "bulk plan --where name~a --set bid_amount=+1% --plan a.plan",
    "drafts publish --all",
)
SECONDS = re.compile(r" · (\d+) s")


def seconds_told(spotify_ads: CommandLine, command: str) -> list[int]:
    """The seconds that a command says it has worked, until it has said 3 or more and is interrupted."""
    theirs, ours = pty.openpty()
    outside = spotify_ads.environment | {"TERM": "xterm-256color"}
    words = spotify_ads.command(*command.split())
    with subprocess.Popen(words, env=outside, cwd=spotify_ads.folder, stdin=ours, stdout=ours, stderr=ours) as process:
        os.close(ours)
        written, interrupted = b"", False
        with contextlib.suppress(OSError):
            while select.select([theirs], [], [], LONGEST_SECONDS)[0] and (piece := os.read(theirs, 65536)):
                written += piece
                said = SECONDS.findall(CONTROL.sub("", written.decode(errors="ignore")))
                if not interrupted and any(int(one) >= 3 for one in said):
                    interrupted = True  # once: a second one ends whatever is at its end already
                    process.send_signal(signal.SIGINT)
        os.close(theirs)
        assert process.wait(timeout=LONGEST_SECONDS) == INTERRUPTED, written.decode()
    return [int(one) for one in SECONDS.findall(CONTROL.sub("", written.decode()))]


def test_no_command_is_silent_while_it_waits(warm_programs: Path, tmp_path: Path) -> None:
    with (
        emulator_process("--ad-sets", "4", "--latency", "30", warm=warm_programs) as slow,
        ThreadPoolExecutor(len(SLOW)) as threads,
    ):
        spotify_ads = command_line(warm_programs, slow, tmp_path)
        told = dict(zip(SLOW, threads.map(partial(seconds_told, spotify_ads), SLOW), strict=True))
    for command, seconds in told.items():
        gaps = [after - before for before, after in itertools.pairwise([0, *seconds])]
        # A busy machine skips seconds; a silent command would skip those of the answer, thirty.
        assert max(gaps) < 25, (command, seconds)
