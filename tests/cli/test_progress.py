"""What a terminal is told while a command works, and what is kept of what it showed."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from spotify_ads_async import AdsClient, Governor, Limit
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import counting, progress_told, waiting_text
from spotify_ads_async.cli.recent import MOST, recalled, remember
from spotify_ads_async.cli.run import say


async def test_who_waits_is_told_for_how_long_and_for_what() -> None:
    governor = Governor([Limit("client_id", 1, 30.0), Limit("ip", 5, 10.0)], pace="burst")
    async with governor:
        assert waiting_text(governor.snapshot()) is None
        async with governor.admit({"client_id", "ip"}):
            pass
        assert waiting_text(governor.snapshot()) is None, "nobody waits"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(governor.admit({"client_id", "ip"}).enter)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            assert waiting_text(governor.snapshot()) in {
                f"waiting {seconds} s for quota: client_id window" for seconds in (30, 31)
            }
            tasks.cancel_scope.cancel()


def test_a_governor_says_what_it_keeps() -> None:
    assert repr(Governor([Limit("client_id", 1, 30.0)])) == "<Governor: client_id 1/30 s; kept in memory>"


class Terminal(io.StringIO):
    """Somebody who watches: ``shown`` is set when the line of progress appears."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = anyio.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "requests answered" in text:
            self.shown.set()
        return super().write(text)


async def test_a_quiet_command_says_what_it_does_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    async with AdsClient("token") as client, progress_told(client):
        with counting("read", 9) as one_more:
            one_more()
            with anyio.fail_after(60):
                await terminal.shown.wait()
            say("note: something else")
    assert "\rread: 1 of 9 · 0 requests answered" in terminal.getvalue()
    assert re.search(r"\r +\rnote: something else\n", terminal.getvalue()), "the line was not taken away"
    shown = terminal.getvalue().rpartition("\n")[2]
    assert shown.rpartition("\r")[2] == "", "the line stays on the terminal"


@pytest.mark.skipif(sys.platform != "linux", reason="the state folder is named by XDG_STATE_HOME there")
async def test_what_a_terminal_showed_is_kept_bounded_and_for_its_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    await remember("ads", [("a", "nobody watches")])
    assert recalled("ads") == []
    monkeypatch.setattr(sys, "stderr", Terminal())
    await remember("ads", [(f"id{number}", "n" * 200) for number in range(MOST + 50)])
    await remember("ads", [("id7", "again"), ("", "no id")])
    assert recalled("ads")[0] == ("id7", "again")
    assert len(recalled("ads")) == len(dict(recalled("ads"))) == MOST
    file = tmp_path / "spotify-ads" / "recent.json"
    assert (file.stat().st_mode & 0o777, file.stat().st_size < 20_000) == (0o600, True)
    for broken in (b"broken", b'{"ads": [["\xff", "x"]]}', b'{"ads": ' + b"[" * 10_000):
        file.write_bytes(broken)
        assert recalled("ads") == []


def test_a_narrow_table_cuts_no_figure_and_no_name_of_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    budget, identity = {"budget": {"micro_amount": 1_234_000_000, "currency": "USD"}}, "0123456789abcdef" * 2
    with Rows(Output.TABLE, ("name", "budget.micro_amount", "identity", "status"), stream=terminal) as rows:
        rows.write({"name": "a name that is much longer than any table has room for", **budget, "identity": identity})
    head, line = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert head.split() == ["NAME", "BUDGET", "…"]
    assert line.endswith("…  1,234.00 USD"), "the identity leaves, and nothing of it stays"
    with Rows(Output.TABLE, ("limit", "identity", "waiting"), stream=terminal) as rows:
        rows.write({"limit": "client_id", "identity": identity, "waiting": 12_345})
    assert terminal.getvalue().endswith(f"client_id  {identity}   12,345\n")
