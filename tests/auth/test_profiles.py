"""Sign-ins kept on this machine."""

from __future__ import annotations

import errno
import importlib
import json
import os
import stat
import sys
import threading
from pathlib import Path

import keyring.errors
import msgspec
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from support import calls
from support.accounts import Accounts
from support.calls import client

from spotify_ads_async import ConfigurationError, Secret
from spotify_ads_async.auth.profiles import Profiles
from spotify_ads_async.auth.sign_in import SignIn
from spotify_ads_async.auth.token_stores import Tokens

SIGN_IN = SignIn(client_id="an-app", client_secret=Secret("canary-secret"), refresh_token=Secret("canary-refresh"))


class SystemKeyring(KeyringBackend):
    """A keyring of a system that is not this one."""

    priority = 5

    def __init__(self) -> None:
        self.passwords: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        self.passwords[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.passwords.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("not there")


@pytest.fixture(params=["keyring", "file"])
def backend(request: pytest.FixtureRequest) -> KeyringBackend:
    return SystemKeyring() if request.param == "keyring" else NoKeyring()


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_a_sign_in_comes_back_as_it_was(tmp_path: Path, backend: KeyringBackend) -> None:
    Profiles(tmp_path, backend=backend).save("default", SIGN_IN)
    again = Profiles(tmp_path, backend=backend)
    assert again.load("default") == SIGN_IN
    assert again.names() == ["default"]


def test_the_keyring_has_the_secrets_and_the_file_has_none(tmp_path: Path) -> None:
    backend = SystemKeyring()
    assert "keyring" in Profiles(tmp_path, backend=backend).save("default", SIGN_IN)
    assert "canary" not in files(tmp_path)[0].read_text()
    assert json.loads(backend.passwords["spotify-ads", "default"]) == {
        "client_secret": "canary-secret",
        "refresh_token": "canary-refresh",
    }


def test_without_a_keyring_the_file_is_private(tmp_path: Path) -> None:
    os.umask(os.umask(0))  # as it was; the mode must not depend on it
    place = Profiles(tmp_path, backend=NoKeyring()).save("default", SIGN_IN)
    (file,) = files(tmp_path)
    assert place == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_keyring_that_refuses_leaves_it_to_the_file(tmp_path: Path) -> None:
    backend = SystemKeyring()
    profiles = Profiles(tmp_path, backend=backend)
    profiles.save("default", SIGN_IN)
    backend.locked = True
    profiles.save("default", SIGN_IN)
    assert profiles.load("default") == SIGN_IN
    assert "canary-refresh" in files(tmp_path)[0].read_text()


def test_several_accounts_live_side_by_side(tmp_path: Path, backend: KeyringBackend) -> None:
    profiles = Profiles(tmp_path, backend=backend)
    for name in ("agency", "shop.2", "Me_3"):
        profiles.save(name, SignIn(client_id=name, client_secret=Secret(""), refresh_token=Secret(f"of-{name}")))
    assert profiles.names() == ["Me_3", "agency", "shop.2"]
    assert profiles.load("shop.2").refresh_token == Secret("of-shop.2")
    profiles.remove("agency")
    profiles.remove("agency")
    assert profiles.names() == ["Me_3", "shop.2"]
    with pytest.raises(ConfigurationError, match="login --profile agency"):
        profiles.load("agency")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "-x", ".hidden", "a\n", "x" * 65, "é", "a b", "NUL", "con.shop", "com1"],
)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    for use in (lambda: profiles.save(name, SIGN_IN), lambda: profiles.load(name), lambda: profiles.remove(name)):
        with pytest.raises(ConfigurationError, match="cannot name a profile"):
            use()
    assert not files(tmp_path)


def test_what_killed_writers_leave_goes_with_the_sign_in(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    for name in ("a", "a.b"):
        profiles.save(name, SIGN_IN)
    left, older = (tmp_path / "profiles" / f".a.json.{name}" for name in ("left_now", "leftlong"))
    another = left.with_name(".a.json.json.under_it")  # of the profile a.json
    for file in (left, older, another):
        file.touch()
    os.utime(older, (0, 0))
    profiles.save("a", msgspec.structs.replace(SIGN_IN, client_id="another"))
    assert (left.exists(), older.exists()) == (True, False)
    profiles.remove("a")
    assert {file.name for file in files(tmp_path)} == {"a.b.json", another.name}


def test_names_that_differ_by_case_alone_are_not_two_profiles(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    profiles.save("Shop", SIGN_IN)
    for use in (profiles.require_place, profiles.load, profiles.remove, lambda name: profiles.save(name, SIGN_IN)):
        with pytest.raises(ConfigurationError, match="no profile shop, and none of that name beside Shop"):
            use("shop")
    profiles.save("Shop", SIGN_IN)
    assert profiles.names() == ["Shop"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"a":' + b"[" * 99_999,
        b'{"client_id": "canary", "token_url": "https://x", "secrets": {"a": 1}}',
    ],
    ids=["empty", "half", "list", "binary", "deep", "other"],
)
def test_a_file_that_is_damaged_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    profiles.save("default", SIGN_IN)
    files(tmp_path)[0].write_bytes(content)
    with pytest.raises(ConfigurationError, match="sign in again") as caught:
        profiles.load("default")
    assert "canary" not in str(caught.value)


def test_a_file_that_the_system_does_not_give_is_no_reason_to_sign_in_again(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    profiles.save("default", SIGN_IN)
    (file,) = files(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigurationError, match=r"default\.json: Is a directory$"):
        profiles.load("default")


def test_secrets_that_left_the_keyring_say_what_to_do(tmp_path: Path) -> None:
    backend = SystemKeyring()
    profiles = Profiles(tmp_path, backend=backend)
    profiles.save("default", SIGN_IN)
    for text in ("{", "\udcff", "[" * 100_000, None):
        backend.passwords.clear() if text is None else backend.passwords.update({("spotify-ads", "default"): text})
        with pytest.raises(ConfigurationError, match="keyring does not have its secrets"):
            profiles.load("default")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Profiles(tmp_path, backend=NoKeyring()).save("default", SIGN_IN)


def test_a_reader_sees_the_old_sign_in_or_the_new_one(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    sign_ins = [
        SignIn(client_id="an-app", client_secret=Secret("x"), refresh_token=Secret(str(size) * size))
        for size in (1, 5000)
    ]
    profiles.save("default", sign_ins[0])
    over = threading.Event()

    def write() -> None:
        for number in range(200):
            profiles.save("default", sign_ins[number % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not over.is_set():
        seen.append(profiles.load("default"))
    writer.join()
    assert all(one in sign_ins for one in seen)
    assert len(files(tmp_path)) == 1, "nothing temporary is left"


async def test_a_rotated_token_replaces_the_kept_one(tmp_path: Path, backend: KeyringBackend) -> None:
    profiles = Profiles(tmp_path, backend=backend)
    async with Accounts(rotate=True, valid="canary-refresh", lifetime=0) as accounts:
        kept = SignIn(
            client_id="an-app",
            client_secret=Secret("s"),
            refresh_token=Secret("canary-refresh"),
            token_url=accounts.token_url,
        )
        profiles.save("default", kept)
        async with client(accounts.api.base_url, profiles.credentials("default")) as ads:
            await calls.READ.by(ads)
        assert profiles.load("default").refresh_token == Secret("refresh-1")
        # The next program goes on from there.
        async with client(accounts.api.base_url, profiles.credentials("default")) as ads:
            await calls.READ.by(ads)
        assert profiles.load("default").refresh_token == Secret("refresh-2")


@pytest.mark.parametrize("client_secret", ["", "s"])
async def test_a_token_that_could_not_be_kept_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_secret: str
) -> None:
    """A full disk: the answer would void the only token that is kept."""
    profiles = Profiles(tmp_path, backend=NoKeyring())
    async with Accounts(rotate=True, valid="canary-refresh") as accounts:
        kept = SignIn(
            client_id="an-app",
            client_secret=Secret(client_secret),
            refresh_token=Secret("canary-refresh"),
            token_url=accounts.token_url,
        )
        profiles.save("default", kept)

        def full(file: Path, target: Path) -> Path:
            del file, target
            raise OSError(errno.ENOSPC, "No space left on device")

        async with client(accounts.api.base_url, profiles.credentials("default")) as ads:
            with monkeypatch.context() as disk:
                disk.setattr(Path, "replace", full)
                with pytest.raises(ConfigurationError, match=r"could not be kept .*No space left on device") as caught:
                    await calls.READ.by(ads)
            assert "canary" not in str(caught.value)
            assert profiles.load("default") == kept
            await calls.READ.by(ads)
        assert profiles.load("default").refresh_token == Secret("refresh-1")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    here, there = (Profiles(tmp_path / name, backend=NoKeyring()) for name in ("here", "there"))
    there.save("default", SIGN_IN)
    (tmp_path / "here" / "profiles").mkdir(parents=True)
    (tmp_path / "here" / "profiles" / "default.json").symlink_to(files(tmp_path / "there")[0])
    here.replace_tokens("default", Tokens(refresh_token=Secret("newer")))
    assert there.load("default").refresh_token == Secret("newer")
    assert here.lock_file("default") == there.lock_file("default")


async def test_two_programs_with_one_profile(tmp_path: Path, backend: KeyringBackend) -> None:
    """Each of them replaces the token that the other one knows."""
    profiles = Profiles(tmp_path, backend=backend)
    async with Accounts(rotate=True, valid="canary-refresh", lifetime=0) as accounts:
        profiles.save(
            "default",
            SignIn(
                client_id="an-app",
                client_secret=Secret("s"),
                refresh_token=Secret("canary-refresh"),
                token_url=accounts.token_url,
            ),
        )
        async with (
            client(accounts.api.base_url, profiles.credentials("default")) as one,
            client(accounts.api.base_url, profiles.credentials("default")) as other,
        ):
            for _ in range(3):
                await calls.READ.by(one)
                await calls.READ.by(other)


class Locked(SystemKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked(f"canary {service} {username}")


class Broken(SystemKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise OSError(f"canary {service} {username}")


@pytest.mark.parametrize(
    ("kind", "reason"), [(Locked, "which is locked: unlock"), (Broken, r"which fails \(OSError\): unlock or repair it")]
)
def test_a_keyring_that_does_not_answer_is_named_and_nobody_is_asked_to_sign_in_for_ever(
    tmp_path: Path, kind: type[SystemKeyring], reason: str
) -> None:
    backend = kind()
    profiles = Profiles(tmp_path, backend=backend)
    profiles.save("default", SIGN_IN)
    with pytest.raises(
        ConfigurationError, match=rf"profile default is in the system keyring, {reason}.*PYTHON_KEYRING_BACKEND"
    ) as caught:
        profiles.load("default")
    assert "canary" not in str(caught.value)
    # As the message says: without the keyring, signing in again lasts.
    without = Profiles(tmp_path, backend=NoKeyring())
    without.save("default", SIGN_IN)
    assert without.load("default") == SIGN_IN
    assert Profiles(tmp_path, backend=kind()).load("default") == SIGN_IN


def test_on_windows_a_file_that_somebody_reads_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = Profiles(tmp_path, backend=NoKeyring())
    replace, refusals = Path.replace, [PermissionError(13, "The process cannot access the file")] * 3

    def busy(file: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", busy)
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        profiles.save("default", SIGN_IN)
    assert profiles.load("default") == SIGN_IN


def test_a_keyring_that_refuses_to_keep_is_told_with_the_place_that_keeps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = SystemKeyring()
    profiles = Profiles(tmp_path, backend=backend)
    profiles.save("default", SIGN_IN)
    tokens = profiles.tokens("default")
    backend.locked = True
    for _ in range(2):  # told once
        profiles.replace_tokens("default", tokens)
    (told,) = caplog.messages
    assert "default.json, because the system keyring is locked" in told
    assert "because the system keyring is locked" in Profiles(tmp_path, backend=backend).save("default", SIGN_IN)


def test_what_the_keyring_does_not_forget_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for backend, told in ((SystemKeyring(), []), (NoKeyring(), []), (Locked(), ["is locked: what it has as default"])):
        profiles = Profiles(tmp_path, backend=backend)
        profiles.save("default", SIGN_IN)
        profiles.remove("default")
        assert profiles.names() == []
        assert [told[0] in message for message in caplog.messages] == [True] * len(told)


def test_a_keyring_setting_that_names_nothing_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_keyring", lambda: importlib.import_module("no.such.keyring"))
    profiles = Profiles(tmp_path)
    profiles.save("default", SIGN_IN)
    assert profiles.load("default") == SIGN_IN


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is elsewhere")
def test_a_place_that_cannot_be_written_is_found_before_signing_in(tmp_path: Path) -> None:
    Profiles(tmp_path, backend=NoKeyring()).require_place("work")
    for folder, name, reason in (
        (Path("/proc"), "work", "cannot be written"),
        (tmp_path, "../x", "cannot name a profile"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            Profiles(folder, backend=NoKeyring()).require_place(name)
