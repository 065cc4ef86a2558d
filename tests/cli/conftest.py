"""The command line as a process, against an emulator as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.emulator_process import RunningEmulator


class CommandLine:
    """Runs ``spotify-ads`` in a folder of its own."""

    def __init__(self, program: Path, environment: dict[str, str], folder: Path) -> None:
        self._program = program
        self.environment = environment
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        return [str(self._program), *arguments]

    def cold_command(self, *arguments: str) -> list[str]:
        """The same from its very start, for tests that signal or kill it."""
        return [sys.executable, "-m", "spotify_ads_async.cli", *arguments]

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def out(self, *arguments: str, **environment: str) -> str:
        ended = self.run(*arguments, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


def command_line(programs: Path, emulator: RunningEmulator, folder: Path) -> CommandLine:
    """The command line with a home of its own and the emulator."""
    homes = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    return CommandLine(programs / "spotify-ads", {**emulator.environment, **homes, "COLUMNS": "100"}, folder)


@pytest.fixture
def spotify_ads(warm_programs: Path, emulator: RunningEmulator, tmp_path: Path) -> CommandLine:
    return command_line(warm_programs, emulator, tmp_path)
