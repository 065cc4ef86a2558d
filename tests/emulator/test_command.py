from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "spotify_ads_async.cli", "emulate"]


def ask(url: str, token: str = "any") -> tuple[int, bytes]:  # noqa: S107 - any token will do
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(number: signal.Signals, tmp_path: Path) -> None:
    arguments = [
        "--port",
        "0",
        "--ad-sets",
        "7",
        "--latency",
        "0",
        "--faults",
        "error=1:502",
        "--database",
        str(tmp_path / "data.sqlite"),
    ]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url, account = process.stdout.readline().strip(), process.stdout.readline().split()[-1]
        assert ask(f"{base_url}/ad_accounts/{account}/ad_sets")[0] == 502
        origin = base_url.removesuffix("/ads/v3")
        assert ask(f"{origin}/")[0] == 200
        assert json.loads(ask(f"{origin}/_emulator/statistics")[1])["statuses"] == {"502": 1}
        os.kill(process.pid, number)
        assert process.wait(120) == 0


def test_strict_tokens_are_issued_ones_only() -> None:
    with subprocess.Popen([*COMMAND, "--port", "0", "--strict-tokens"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base_url = process.stdout.readline().strip()
            assert ask(f"{base_url}/businesses")[0] == 401
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--latency", "slow"],
        ["--faults", "nonsense=1"],
        ["--limits", "ip"],
        ["--algorithm", "guess"],
        ["--data", "absent.json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_mistakes_in_the_arguments_are_named(warm_programs: Path, arguments: list[str]) -> None:
    command = [warm_programs / "spotify-ads", "emulate", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert arguments[1].partition("=")[0] in ended.stderr


def test_a_port_in_use_is_named() -> None:
    with subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip().removesuffix("/ads/v3").rsplit(":", 1)[-1]
        ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False, timeout=120)
        process.terminate()
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--port 0 takes a free one" in ended.stderr
