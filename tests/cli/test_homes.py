"""Homes, locales, consoles and secrets of every kind of machine: commands work, and say what is missing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from spotify_ads_async.auth.homes import config_folder, provide_temporary_folder, state_folder
from spotify_ads_async.cli.run import take_descriptors
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.shared import open_store
from spotify_ads_async.network.options import TransportOptions
from tests.support.emulator_process import RunningEmulator

from .conftest import CommandLine

NOWHERE = "/proc"
"""A folder in which nobody can make anything, not even root."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="folders are others, or /proc is missing")


def bare(
    emulator: RunningEmulator, *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command with nothing in its environment but what is given, as `env -i` runs it."""
    known = emulator.environment
    needed = {
        name: known[name] for name in ("SPOTIFY_ADS_BASE_URL", "SPOTIFY_ADS_ACCESS_TOKEN", "SPOTIFY_ADS_AD_ACCOUNT_ID")
    }
    return subprocess.run(
        [sys.executable, "-m", "spotify_ads_async.cli", *arguments],
        env={**needed, **environment}, cwd=folder, capture_output=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


HOMES: Mapping[str, dict[str, str]] = {
    "nothing at all": {},
    "a file": {"HOME": "/dev/null"},
    "read-only": {"HOME": NOWHERE, "TMPDIR": NOWHERE},
    "not absolute": {"HOME": "", "XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": "relative"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@linux
@pytest.mark.parametrize("name", HOMES)
def test_reads_work_in_any_home(emulator: RunningEmulator, tmp_path: Path, name: str) -> None:
    ended = bare(emulator, "accounts", "--output", "json", folder=tmp_path, **HOMES[name])
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)
    assert not list(tmp_path.iterdir()), "nothing is left where the command ran"


EARLY = """
import sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "spotify_ads_cli.bash":
            raise {problem}

sys.meta_path.insert(0, Impatient())
from spotify_ads_cli import main
main()
"""


NOTHING_LEFT = b"error: the system gives this program no more memory or threads"


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        ("KeyboardInterrupt", 130, b""),
        ("MemoryError", 1, NOTHING_LEFT),
        ('RuntimeError("can\'t start new thread")', 1, NOTHING_LEFT),
    ],
)
def test_what_happens_before_a_command_has_begun_is_no_traceback(problem: str, code: int, said: bytes) -> None:
    program = EARLY.format(problem=problem)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr[: len(said)]) == (code, said)
    assert ended.stderr.count(b"\n") == bool(said)


FEW_FILES = """
import asyncio, resource, socket
from spotify_ads_async.cli.run import run

async def look():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    print(soft)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    guest = socket.create_connection(server.sockets[0].getsockname())
    resource.setrlimit(resource.RLIMIT_NOFILE, (guest.fileno() + 1, hard))
    for _ in range(9):
        await asyncio.sleep(0)

resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
run(look)
"""


@linux
def test_a_command_takes_as_many_connections_as_the_system_gives() -> None:
    ended = subprocess.run([sys.executable, "-c", FEW_FILES], capture_output=True, text=True, timeout=120, check=False)
    assert int(ended.stdout) > 64
    assert ended.stderr.count("Too many open files") == ended.stderr.count("ulimit -n") == 1, (
        "a server that has none left says it once"
    )


@linux
def test_a_system_that_gives_no_more_files_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(_resource: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr("resource.setrlimit", refuse)
    take_descriptors()
    assert len(asked) == 1


BYTES = os.fsdecode(b"ab\xff")
NO_TEXT: Mapping[str, tuple[list[str], dict[str, str]]] = {
    "an argument": (["config", "set", "ad_account", BYTES], {}),
    "an option": (["campaigns", "list", "--ad-account", BYTES], {}),
    "an option given twice": (["campaigns", "list", "--ad-account", BYTES, "--ad-account", BYTES], {}),
    "an option's variable": (["campaigns", "list"], {"SPOTIFY_ADS_AD_ACCOUNT_ID": BYTES}),
    "a setting": (["campaigns", "list"], {"SPOTIFY_ADS_CLIENT_ID": BYTES}),
    "a sign-in": (["login", "--no-browser", "--client-id", BYTES], {}),
}


@linux
@pytest.mark.parametrize("name", NO_TEXT)
def test_bytes_that_are_no_text_are_no_traceback(spotify_ads: CommandLine, name: str) -> None:
    arguments, environment = NO_TEXT[name]
    ended = spotify_ads.run(*arguments, **environment)
    assert ended.returncode == 2
    assert "bytes that are no text in UTF-8" in ended.stderr
    assert "Traceback" not in ended.stderr


@linux
def test_a_file_whose_name_is_no_text_is_read(spotify_ads: CommandLine) -> None:
    (spotify_ads.folder / BYTES).write_text('{"name": "Bytes", "objective": "REACH"}')
    ended = spotify_ads.run("campaigns", "create", "--body", f"@{BYTES}", "--yes")
    assert (ended.returncode, ended.stderr[:20]) == (0, "made: campaign Bytes")


NO_ROOM = "error: the output could not be written to its end (No space left on device): make room where it goes to"
NO_APP = "error: a sign-in needs the app's client ID, from its page in Spotify's developer dashboard"
STREAMS: Mapping[str, tuple[int, str]] = {
    "accounts <&- >&- 2>&-": (0, ""),
    "login --client-id '' <&-": (2, NO_APP),
    "accounts --output csv >/dev/full": (2, NO_ROOM),
    "accounts >/dev/full": (2, NO_ROOM),
}


@linux
@pytest.mark.parametrize("call", STREAMS)
def test_output_that_goes_nowhere_is_no_traceback_and_reaches_no_file(
    emulator: RunningEmulator, tmp_path: Path, call: str
) -> None:
    known = {**emulator.environment, "HOME": str(tmp_path), "SPOTIFY_ADS_STORE": f"sqlite:///{tmp_path}/quota.db"}
    command = f"{sys.executable} -m spotify_ads_async.cli {call}"
    ended = subprocess.run(command, shell=True, env=known, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr.strip()) == STREAMS[call]
    with contextlib.closing(sqlite3.connect(tmp_path / "quota.db")) as quota:
        assert quota.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_temporary_files_go_to_the_state_folder_where_no_other_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [NOWHERE])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    provide_temporary_folder()
    assert Path(tempfile.gettempdir()).parent == tmp_path


def test_without_a_home_nothing_is_kept_and_a_path_in_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry anywhere."""

    def nobody_knows(name: str) -> NoReturn:
        raise RuntimeError(name)

    for place in ("user_config_dir", "user_state_dir"):
        monkeypatch.setattr(f"platformdirs.{place}", nobody_knows)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert {config_folder().parent, state_folder().parent} == {Path(os.devnull)}
    for use in (
        lambda: open_store("sqlite:///~/quota.db", timeout=1.0),
        TransportOptions(ca_file="~/authorities.pem").checked,
    ):
        with pytest.raises(ConfigurationError, match="no home"):
            use()


@linux
def test_a_home_with_odd_characters_keeps_the_quota(emulator: RunningEmulator, tmp_path: Path) -> None:
    home = tmp_path / os.fsdecode("an odd%20 #?home ä".encode() + b"\xe9")  # the last byte is no UTF-8
    home.mkdir()
    assert bare(emulator, "accounts", folder=tmp_path, HOME=str(home)).returncode == 0
    assert (home / ".local" / "state" / "spotify-ads" / "quota.db").exists()


@linux
def test_a_sign_in_that_cannot_be_kept_is_refused_before_anybody_agrees_to_it(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    for home, profile, reason in (
        ("/dev/null", "work", b"cannot be written"),
        (NOWHERE, "work", b"cannot be written"),
        (".", "../x", b"cannot name"),
    ):
        ended = bare(
            emulator, "login", "--client-id", "x", "--profile", profile, folder=tmp_path, HOME=str(tmp_path / home),
            PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
        )  # fmt: skip
        assert ended.returncode == 2, ended.stderr
        assert reason in ended.stderr
        assert b"sign in at" not in ended.stderr


def test_a_sign_in_that_cannot_be_read_is_not_taken_for_none(spotify_ads: CommandLine) -> None:
    """Or else a proxy that was started before the keyring was unlocked would spend windows that nobody shares."""
    kept = spotify_ads.folder / "config" / "spotify-ads" / "profiles" / "default.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"client_id": "an-app", "token_url": "https://accounts.example/api/token"}')
    alone = {"SPOTIFY_ADS_ACCESS_TOKEN": "", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    for words in ([], ["--no-sign"]):
        ended = spotify_ads.run("proxy", "--port", "0", *words, **alone)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "profile default is in the system keyring" in ended.stderr


def test_a_chart_on_a_console_of_another_encoding(spotify_ads: CommandLine) -> None:
    for encoding in ("cp1252", "ascii", "cp437"):
        ended = subprocess.run(
            spotify_ads.cold_command("report", "--chart"), env={**spotify_ads.environment,
            "PYTHONIOENCODING": encoding},
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.decode(encoding)
        assert b"Traceback" not in ended.stderr


def test_what_goes_into_a_file_is_utf_8_whatever_the_locale(spotify_ads: CommandLine) -> None:
    environment = {**spotify_ads.environment, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = spotify_ads.cold_command("campaigns", "create", "--body", '{"name": "Größe 中文", "objective": "REACH"}')
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.decode("utf-8"))["name"] == "Größe 中文"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n", " \n"])
def test_a_line_break_at_a_secrets_end_is_no_part_of_it(spotify_ads: CommandLine, ending: str) -> None:
    assert spotify_ads.out(
        "accounts", SPOTIFY_ADS_ACCESS_TOKEN=f"emulated{ending}", SPOTIFY_ADS_CLIENT_ID=f"an-app{ending}"
    )


def test_a_secret_in_a_file(spotify_ads: CommandLine) -> None:
    file = spotify_ads.folder / "token"
    file.write_bytes(b"\xef\xbb\xbfemulated\r\n")
    del spotify_ads.environment["SPOTIFY_ADS_ACCESS_TOKEN"]
    assert spotify_ads.out("accounts", SPOTIFY_ADS_ACCESS_TOKEN_FILE=str(file))
    for more, reason in (
        ({"SPOTIFY_ADS_ACCESS_TOKEN": "canary"}, "both SPOTIFY_ADS_ACCESS_TOKEN and SPOTIFY_ADS_ACCESS_TOKEN_FILE"),
        ({"SPOTIFY_ADS_ACCESS_TOKEN_FILE": str(file.with_name("none"))}, "names cannot be read (No such file"),
        ({"SPOTIFY_ADS_ACCESS_TOKEN_FILE": "/dev/null"}, "it is empty"),
    ):
        ended = spotify_ads.run("accounts", **{"SPOTIFY_ADS_ACCESS_TOKEN_FILE": str(file), **more})
        assert ended.returncode == 2
        assert reason in ended.stderr
        assert "canary" not in ended.stderr


def configure(spotify_ads: CommandLine, content: bytes) -> None:
    folder = spotify_ads.folder / "config" / "spotify-ads"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_bytes(content)


def test_a_config_file_as_editors_of_every_system_write_it(spotify_ads: CommandLine) -> None:
    for content in (b'\xef\xbb\xbfoutput = "json"\r\n', b"output = 'json'\r\n\r\n[profiles.x]\r\noutput = \"csv\"\r\n"):
        configure(spotify_ads, content)
        assert json.loads(spotify_ads.out("accounts"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"a = 1\n" * 400_000, "larger than"),
        (b"proxi = 'http://x:1'", "did you mean proxy"),
        (b"proxy = 'socks5://me:canary@x:1'", "socks5 is of another kind"),
        (b"ca_file = '/missing.pem'", "cannot be read"),
        (b"base_url = 'http://emulator:8090/ads/v3'", "SPOTIFY_ADS_ALLOW_HTTP=emulator"),
        (b"\xff\xfe", "config.toml"),
    ],
    ids=["deep", "large", "misspelt", "another kind of proxy", "a missing file", "plain http", "no text"],
)  # fmt: skip
def test_a_config_file_that_cannot_be_used_is_named(spotify_ads: CommandLine, content: bytes, reason: str) -> None:
    configure(spotify_ads, content)
    del spotify_ads.environment["SPOTIFY_ADS_BASE_URL"]
    ended = spotify_ads.run("accounts")
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "canary" not in ended.stderr


def test_a_config_file_may_allow_a_host_for_its_address(spotify_ads: CommandLine) -> None:
    del spotify_ads.environment["SPOTIFY_ADS_BASE_URL"]
    configure(spotify_ads, b"base_url = 'http://emulator.invalid:8090/ads/v3'\nallow_http = 'emulator.invalid'\n")
    ended = spotify_ads.run("accounts")
    assert ended.returncode == 1, "it was tried"
    assert "emulator.invalid" in ended.stderr


def test_an_option_names_the_proxy_before_or_behind_the_command(spotify_ads: CommandLine) -> None:
    configure(spotify_ads, b"proxy = 'http://127.0.0.1:2'\n")
    address = {"SPOTIFY_ADS_BASE_URL": "https://api.invalid/ads/v3"}
    for arguments in (["--proxy", "http://127.0.0.1:9", "accounts"], ["accounts", "--proxy", "http://127.0.0.1:9"]):
        assert "the proxy 127.0.0.1:9 cannot be reached" in spotify_ads.run(*arguments, **address).stderr
    assert "the proxy 127.0.0.1:2 cannot be reached" in spotify_ads.run("accounts", **address).stderr


@linux
@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="only root can make a whole disk read-only"
)
@pytest.mark.soak
def test_the_demo_runs_on_a_read_only_disk_with_one_folder(tmp_path: Path) -> None:
    script = (
        f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind / && exec {sys.executable} -m"
        " spotify_ads_async.cli demo --json"
    )
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["refused"] == 0
