"""The command line as a process, against an emulator as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulator_process import EmulatorProcess, emulator_process


class CommandLine:
    """Runs ``spotify-ads`` in a folder of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "spotify_ads_async.cli", *arguments]

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def out(self, *arguments: str, **environment: str) -> str:
        ended = self.run(*arguments, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process("--ad-sets", "120", "--limits", "off", "--latency", "0") as running:
        yield running


@pytest.fixture
def spotify_ads(emulator: EmulatorProcess, tmp_path: Path) -> CommandLine:
    environment = {**emulator.environment, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "100"}
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return CommandLine(environment, tmp_path)
