"""``spotify-ads login`` as a process of its own, and a command that uses what it kept."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
from support.free_ports import free_port

from spotify_ads_async.emulator import Emulator

SECRET = "canary-secret"


def environment(home: Path, server: Emulator, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPOTIFY_ADS_", "XDG_", "DBUS_"))}
    return {
        **kept,
        "HOME": str(home),
        "SPOTIFY_ADS_BASE_URL": server.base_url,
        "SPOTIFY_ADS_ACCOUNTS_URL": server.origin,
        "SPOTIFY_ADS_CLIENT_ID": "an-app",
        "SPOTIFY_ADS_CLIENT_SECRET": SECRET,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        **more,
    }


def profile_file(home: Path) -> Path:
    (file,) = home.rglob("shop.json")
    return file


COLD = (sys.executable, "-m", "spotify_ads_async.cli")
"""From its very start, for tests that signal it."""


async def command(
    *arguments: str, env: dict[str, str], program: Sequence[str | Path] = COLD
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *program, *arguments, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the configuration directory is not below HOME alone")
async def test_login_and_then_a_command(warm_programs: Path, tmp_path: Path) -> None:
    warm = [warm_programs / "spotify-ads"]
    port = str(free_port())
    async with Emulator(
        ad_sets=20, latency=0.0, any_token=False, clients={"an-app": SECRET}, rotate_refresh_tokens=True
    ) as server:
        home = environment(tmp_path, server)
        words = ("login", "--profile", "shop", "--no-browser", "--port", port)
        login = await command(*words, env=home, program=warm)
        assert login.stderr is not None
        told = ""
        async for line in login.stderr:
            told += line.decode()
            if "sign in at " in told and line.endswith(b"\n"):
                break
        address = told.rpartition("sign in at ")[2].strip()
        async with aiohttp.ClientSession() as browser, browser.get(address) as page:
            assert page.status == 200
        rest, errors = await login.communicate()
        assert login.returncode == 0, errors.decode()
        told += rest.decode() + errors.decode()
        assert "profile shop" in told
        assert SECRET not in told
        file = profile_file(tmp_path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        before = file.read_bytes()
        for _ in range(2):
            listing = await command("--profile", "shop", "accounts", "--output", "json", env=home, program=warm)
            shown, errors = await listing.communicate()
            assert listing.returncode == 0, errors.decode()
            assert server.ad_account_id in shown.decode()
        assert file.read_bytes() == before, "the commands use the access token that signing in got"
        nobody = await command("accounts", env=environment(tmp_path / "other", server), program=warm)
        _, errors = await nobody.communicate()
        assert nobody.returncode == 2
        assert "spotify-ads login" in errors.decode()


SILENT_KEYRING = """
import pathlib, time
from keyring.backend import KeyringBackend

class Silent(KeyringBackend):
    priority = 5
    set_password = delete_password = None

    def get_password(self, service, username):
        pathlib.Path(__file__).with_name("asked").touch()
        time.sleep(600)
"""


@pytest.mark.parametrize("words", [("accounts",), ("logout", "--yes")])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the configuration directory is not below HOME alone")
async def test_a_signal_does_not_wait_for_a_keyring_that_gives_no_answer(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "silent_keyring.py").write_text(SILENT_KEYRING)
    profile = tmp_path / ".config" / "spotify-ads" / "profiles" / "default.json"
    profile.parent.mkdir(parents=True)
    profile.write_text('{"client_id": "an-app", "token_url": "https://accounts.example/api/token"}')
    known = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    waiting = await command(*words, env={**known, "PYTHON_KEYRING_BACKEND": "silent_keyring.Silent"})
    async with asyncio.timeout(120):
        while not (tmp_path / "asked").exists():  # noqa: ASYNC110 (another process makes it)
            await asyncio.sleep(0.02)
        waiting.terminate()
        await waiting.communicate()
    assert waiting.returncode == 143


@pytest.mark.skipif(sys.platform != "linux", reason="pipes as files")
async def test_a_secret_through_a_pipe_comes_once_and_a_signal_does_not_wait_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "store"
    os.mkfifo(pipe)
    known = {name: value for name, value in os.environ.items() if not name.startswith("SPOTIFY_ADS_")}
    known |= {"HOME": str(tmp_path), "SPOTIFY_ADS_STORE_FILE": str(pipe), "SPOTIFY_ADS_ACCESS_TOKEN": "t"}
    async with asyncio.timeout(120):
        looking = await command("quota", "--json", env=known)
        given = await asyncio.to_thread(pipe.open, "w")  # waits until somebody reads
        given.write(f"sqlite:///{tmp_path}/quota.db")
        given.close()
        assert (await looking.communicate())[0] == b"[]\n"
        looking = await command("quota", env=known)
        given = await asyncio.to_thread(pipe.open, "w")
        looking.terminate()
        await looking.communicate()
        given.close()
    assert looking.returncode == 143
