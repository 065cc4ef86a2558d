"""The commands in a terminal of 80 and of 200 columns.

No line is wider, and what is of use only as a whole is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from spotify_ads_async.cli.terminal import progress_line
from tests.support.emulator_process import emulator_process

from .conftest import CommandLine, command_line

ID = re.compile(r"^[0-9a-f]{8}(…|(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TABLES = {
    "accounts": ("accounts",),
    "campaigns": ("campaigns", "list"),
    "ad sets": ("ad-sets", "list"),
    "ads": ("ads", "list"),
    "assets": ("assets", "list"),
    "report": ("report", "--from", "2026-01-01", "--to", "2026-01-05"),
    "quota": ("quota",),
    "plan": ("bulk", "plan", "--where", "name~students", "--set", "bid_amount=+10%"),
}


def in_terminal(spotify_ads: CommandLine, width: int, *arguments: str) -> list[str]:
    """The lines that a command writes to a terminal; only what is said beside the results is left out."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {name: value for name, value in spotify_ads.environment.items() if name not in {"COLUMNS", "LINES"}}
    environment |= {"TERM": "xterm-256color", "SPOTIFY_ADS_STORE": f"sqlite://{spotify_ads.folder / 'quota.db'}"}
    with subprocess.Popen(
        spotify_ads.command(*arguments),
        env=environment,
        cwd=spotify_ads.folder,
        stdout=slave,
        stdin=slave,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(slave)
        pieces: list[bytes] = []
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while piece := os.read(master, 4096):
                pieces.append(piece)
        os.close(master)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(timeout=120) == 0, said
    return CONTROL.sub("", b"".join(pieces).decode()).splitlines()


def screen(written: str, width: int) -> list[str]:
    """The lines that stand on a terminal in the end.

    A full line goes on in the next with the character after its last.
    """
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", written):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row += 1
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif up := re.fullmatch(r"\x1b\[(\d+)A", piece):
            row -= int(up[1])
        elif not piece.startswith("\x1b"):
            if column == width:
                row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + 1 :]
            column += 1
        lines += [""] * (row + 1 - len(lines))
    return [line.rstrip() for line in lines if line.strip()]


def interrupted(spotify_ads: CommandLine, *arguments: str, when: bytes) -> list[str]:
    """What stands on a terminal of 80 columns after Ctrl-C was pressed there, as soon as it has shown ``when``."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    # The shell leads a session of its own and opens the terminal, which so becomes the one that Ctrl-C comes from.
    opened = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>"$0"', os.ttyname(slave), *spotify_ads.cold_command(*arguments)]
    outside = {name: value for name, value in spotify_ads.environment.items() if name not in {"COLUMNS", "LINES"}} | {
        "TERM": "xterm-256color"
    }
    with subprocess.Popen(opened, env=outside, cwd=spotify_ads.folder, start_new_session=True) as process:
        written, pressed = b"", False
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while piece := os.read(master, 4096):
                written += piece
                if when in written and not pressed:
                    os.close(slave)
                    os.write(master, b"\x03")
                    pressed = True
        os.close(master)
        assert process.wait(timeout=120) == 130, written
    return screen(written.decode(), 80)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_the_terminal(spotify_ads: CommandLine, name: str, width: int) -> None:
    if name == "quota":
        in_terminal(spotify_ads, width, "ad-sets", "list", "--limit", "1")
    lines = in_terminal(spotify_ads, width, *TABLES[name])
    assert len(lines) > 1
    assert [line for line in lines if cell_len(line) > width] == []
    header = lines[0]
    for column in re.finditer(r"\S+", header):
        if column[0] == "ID" and header[: column.start()].endswith("  "):
            cells = [
                line[column.start() :].split(maxsplit=1)[0] for line in lines[1:] if line[column.start() :].strip()
            ]
            assert [cell for cell in cells if not ID.match(cell)] == []


def test_a_wide_terminal_shows_every_column(spotify_ads: CommandLine) -> None:
    assert "…" not in "".join(in_terminal(spotify_ads, 200, "ad-sets", "list"))
    header, *_ = in_terminal(spotify_ads, 80, "ad-sets", "list")
    assert header.startswith("NAME ")
    assert " ID" in header
    assert header.endswith("  …"), "it does not say that columns are left out"


def test_a_report_keeps_its_days_and_figures_at_80_columns(spotify_ads: CommandLine) -> None:
    header, *rows = in_terminal(spotify_ads, 80, "report", "--from", "2026-01-01", "--to", "2026-01-05")
    assert header.split()[:6] == ["NAME", "STARTS", "SPEND", "IMPRESSIONS", "CLICKS", "REACH"]
    assert {re.findall(r"\d{4}-\d\d-\d\d", row)[0] for row in rows} == {f"2026-01-0{day}" for day in range(1, 6)}


@pytest.mark.parametrize(
    "arguments",
    [(), ("bulk", "apply"), ("emulate",), ("login",), ("import",), ("ads", "pause"), ("upload",), ("bulk",)],
)
def test_help_fits_80_columns_and_names_no_type_of_python(spotify_ads: CommandLine, arguments: tuple[str, ...]) -> None:
    lines = in_terminal(spotify_ads, 80, *arguments, "--help")
    assert [line for line in lines if cell_len(line) > 80] == []
    assert not [line for line in lines if re.search(r"\w\.\.\.$", line)], "a sentence is cut"
    assert not re.search(r"<(int|float|str|path|file|list)\b", "\n".join(lines))


def test_a_failure_shows_no_empty_table(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("ad-sets", "list", "--ad-account", "00000000-0000-4000-8000-000000000000")
    assert (ended.returncode, ended.stdout) == (1, "")


def test_ctrl_c_leaves_no_bar_of_the_demo(spotify_ads: CommandLine) -> None:
    lines = interrupted(spotify_ads, "demo", when=b" left ")
    assert [line for line in lines if "━" in line] == []
    assert lines[0].startswith("interrupted: 2000 ad sets walked")


def test_ctrl_c_leaves_no_bar_of_a_bulk_run(warm_programs: Path, tmp_path: Path) -> None:
    with emulator_process("--ad-sets", "120", "--limits", "off", "--latency", "0.2", warm=warm_programs) as emulator:
        spotify_ads = command_line(warm_programs, emulator, tmp_path)
        arguments = ("--where", "name~a", "--set", "bid_amount=+10%", "--plan", "run.plan")
        spotify_ads.out("bulk", "plan", *arguments)
        lines = interrupted(spotify_ads, "bulk", "apply", "run.plan", "--yes", "--concurrency", "2", when=b" left ")
    assert [line for line in lines if "━" in line] == []
    assert "stopped: interrupted" in lines


def test_ctrl_c_at_the_question_for_the_client_secret_interrupts(spotify_ads: CommandLine) -> None:
    lines = interrupted(spotify_ads, "login", "--client-id", "an-app", when=b"PKCE alone")
    assert lines[-1] == "interrupted"


def test_the_terminals_own_word_for_ctrl_c_goes_with_the_line_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    progress_line.show("━━━━━━━━━━ 12/45, 0:30 left")
    written.write("^C")
    progress_line.show("━━━━ 13/45")
    progress_line.clear()
    written.write("stopped: interrupted\n")
    assert screen(written.getvalue(), 80) == ["stopped: interrupted"]
