"""The commands in a terminal of 80 and of 200 columns: no line is wider, and what is of use only as a whole is whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from rich.cells import cell_len

from .conftest import CommandLine

UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TABLES = {
    "accounts": ("accounts",),
    "campaigns": ("campaigns", "list"),
    "ad sets": ("ad-sets", "list"),
    "ads": ("ads", "list"),
    "assets": ("assets", "list"),
    "drafts": ("drafts", "list"),
    "report": ("report", "--from", "2026-01-01", "--to", "2026-01-05"),
    "quota": ("quota",),
    "plan": ("bulk", "plan", "--where", "name~students", "--set", "bid_micro_amount=+10%"),
}


def in_terminal(spotify_ads: CommandLine, width: int, *arguments: str) -> list[str]:
    """The lines that a command writes to a terminal; only what is said beside the results is left out."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {name: value for name, value in spotify_ads.environment.items() if name not in {"COLUMNS", "LINES"}}
    environment |= {"TERM": "xterm-256color", "SPOTIFY_ADS_STORE": f"sqlite://{spotify_ads.folder / 'quota.db'}"}
    with subprocess.Popen(
        spotify_ads.command(*arguments), env=environment, cwd=spotify_ads.folder, stdout=slave, stdin=slave, stderr=subprocess.PIPE
    ) as process:
        os.close(slave)
        pieces: list[bytes] = []
        with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
            while piece := os.read(master, 4096):
                pieces.append(piece)
        os.close(master)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(timeout=30) == 0, said
    return CONTROL.sub("", b"".join(pieces).decode()).splitlines()


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_the_terminal(spotify_ads: CommandLine, name: str, width: int) -> None:
    if name == "quota":
        in_terminal(spotify_ads, width, "ad-sets", "list", "--limit", "1")
    lines = in_terminal(spotify_ads, width, *TABLES[name])
    assert len(lines) > (0 if name == "drafts" else 1)
    assert [line for line in lines if cell_len(line) > width] == []
    header = lines[0]
    for column in re.finditer(r"\S+", header):
        if column[0] == "ID" or column[0].endswith("_ID"):
            cells = [line[column.start() :].split(maxsplit=1)[0] for line in lines[1:] if line[column.start() :].strip()]
            assert [cell for cell in cells if not UUID.match(cell)] == []


def test_a_wide_terminal_shows_every_column(spotify_ads: CommandLine) -> None:
    assert "…" not in "".join(in_terminal(spotify_ads, 200, "ad-sets", "list"))
    header, *_ = in_terminal(spotify_ads, 80, "ad-sets", "list")
    assert header.startswith("ID ")
    assert header.endswith("  …"), "it does not say that columns are left out"


def test_a_report_keeps_its_days_and_figures_at_80_columns(spotify_ads: CommandLine) -> None:
    header, *rows = in_terminal(spotify_ads, 80, "report", "--from", "2026-01-01", "--to", "2026-01-05")
    assert header.split()[:6] == ["ENTITY_NAME", "START_TIME", "SPEND", "IMPRESSIONS", "CLICKS", "REACH"]
    assert {re.findall(r"\d{4}-\d\d-\d\d", row)[0] for row in rows} == {f"2026-01-0{day}" for day in range(1, 6)}


@pytest.mark.parametrize("arguments", [(), ("bulk", "apply"), ("emulate",), ("login",), ("import",)])
def test_help_fits_80_columns(spotify_ads: CommandLine, arguments: tuple[str, ...]) -> None:
    assert [line for line in in_terminal(spotify_ads, 80, *arguments, "--help") if cell_len(line) > 80] == []


def test_a_failure_shows_no_empty_table(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("ad-sets", "list", "--ad-account", "00000000-0000-4000-8000-000000000000")
    assert (ended.returncode, ended.stdout) == (1, "")
