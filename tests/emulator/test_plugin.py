from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
import json
import urllib.request

import pytest


def names(server):
    url = f"{server.base_url}/ad_accounts/{server.ad_account_id}/ad_sets?limit=1"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer any"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["paging"]["total_results"]


def test_it_serves(spotify_ads_emulator):
    assert names(spotify_ads_emulator) == 100


@pytest.mark.spotify_ads_emulator(ad_sets=7)
def test_it_takes_options(spotify_ads_emulator):
    assert names(spotify_ads_emulator) == 7
    assert spotify_ads_emulator.statistics().requests == 1


async def test_it_serves_async_tests_too(spotify_ads_emulator):
    import aiohttp

    async with aiohttp.ClientSession() as client:
        async with client.get(spotify_ads_emulator.base_url + "/businesses") as answer:
            assert answer.status == 401
"""


def run(*arguments: str, directory: Path) -> str:
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_users_suite_gets_an_emulator(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(TEST)
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-W",
        "error",
        "--strict-markers",
    )
    assert "3 passed" in run("-m", "pytest", *options, directory=tmp_path)


def test_the_plugin_loads_nothing_until_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys, pytest_spotify_ads; print([name for name in ('aiohttp', 'msgspec', 'spotify_ads_async') if name in"
        " sys.modules])"
    )
    assert run("-c", program, directory=tmp_path).strip() == "[]"
