"""One profile in many processes at once: one refresh for all of them, whatever the refresh token does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from keyring.backends.fail import Keyring as NoKeyring
from support import calls
from support.accounts import Accounts, basic, form
from support.calls import client
from support.raw_server import answer, stall

from spotify_ads_async import AuthenticationError, ConfigurationError, InvalidAnswer, Secret
from spotify_ads_async.auth.profiles import Profiles
from spotify_ads_async.auth.sign_in import SignIn

USER = """
import asyncio, sys
from pathlib import Path
from keyring.backends.fail import Keyring
from support import calls
from support.calls import client
from spotify_ads_async.auth.profiles import Profiles

async def main(folder, base_url, tasks):
    async with client(base_url, Profiles(Path(folder), backend=Keyring()).credentials("work")) as ads:
        sys.stdin.readline()
        await asyncio.gather(*(calls.READ.by(ads) for _ in range(int(tasks))))

asyncio.run(main(*sys.argv[1:]))
"""


def sign_in(
    folder: Path,
    token_url: str,
    refresh_token: str = "refresh-0",  # noqa: S107 (made up)
    *,
    client_id: str = "an-app",
    secret: str = "s",  # noqa: S107 (as above)
) -> Profiles:
    profiles = Profiles(folder, backend=NoKeyring())
    signed_in = SignIn(
        client_id=client_id, client_secret=Secret(secret), refresh_token=Secret(refresh_token), token_url=token_url
    )
    profiles.save("work", signed_in)
    return profiles


async def start(folder: Path, base_url: str, tasks: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", USER, str(folder), base_url, str(tasks),
        env={**os.environ, "PYTHONPATH": "tests"}, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def at_once(accounts: Accounts, folder: Path, commands: int, services: int) -> None:
    """Start them all, and let them go when all of them are ready."""
    sign_in(folder, accounts.token_url)
    users = await asyncio.gather(
        *(start(folder, accounts.api.base_url, 1) for _ in range(commands)),
        *(start(folder, accounts.api.base_url, 10) for _ in range(services)),
    )
    ended = await asyncio.gather(*(user.communicate(b"go\n") for user in users))
    assert [errors.decode() for _, errors in ended] == [""] * len(users)
    assert [user.returncode for user in users] == [0] * len(users)
    assert len(accounts.api.received) == commands + 10 * services


async def test_commands_and_services_at_once_refresh_once(tmp_path: Path) -> None:
    async with Accounts(rotate=True) as accounts:
        await at_once(accounts, tmp_path, 2, 1)
        assert accounts.asked == 1


@pytest.mark.soak
async def test_forty_commands_and_four_services_at_once_refresh_once(tmp_path: Path) -> None:
    async with Accounts(rotate=True) as accounts:
        await at_once(accounts, tmp_path, 40, 4)
        assert accounts.asked == 1


async def test_the_next_command_uses_the_access_token_of_the_one_before(tmp_path: Path) -> None:
    async with Accounts(rotate=True) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        for _ in range(3):
            async with client(accounts.api.base_url, profiles.credentials("work")) as ads:
                await calls.READ.by(ads)
        assert accounts.asked == 1


async def test_a_token_that_was_revoked_is_replaced_once_for_all(tmp_path: Path) -> None:
    async with Accounts(rotate=True) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with (
            client(accounts.api.base_url, profiles.credentials("work")) as one,
            client(accounts.api.base_url, profiles.credentials("work")) as other,
        ):
            await asyncio.gather(calls.READ.by(one), calls.READ.by(other))
            for refreshes in (2, 3, 4):
                accounts.revoke()
                await asyncio.gather(calls.READ.by(one), calls.READ.by(other))
                assert accounts.asked == refreshes


async def test_a_token_that_is_revoked_again_within_the_minute_is_refreshed_again() -> None:
    """And no call fails, nor is a token sent that is known to be bad."""
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await calls.READ.by(ads)
        for refreshes in (2, 3, 4, 5):
            accounts.revoke()
            accounts.api.received.clear()
            await calls.READ.by(ads)
            await calls.READ.by(ads)
            assert accounts.asked == refreshes
            assert len(accounts.api.received) == 3


def kept(folder: Path) -> dict[str, object]:
    content: dict[str, dict[str, object]] = json.loads((folder / "profiles" / "work.json").read_text(encoding="utf-8"))
    return content["secrets"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
async def test_a_kill_amid_a_refresh_holds_nobody_up_and_says_what_may_have_happened(tmp_path: Path) -> None:
    async with Accounts(rotate=True, script=[stall]) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        user = await start(tmp_path, accounts.api.base_url, 1)
        assert user.stdin is not None
        user.stdin.write(b"go\n")
        while accounts.asked == 0:  # noqa: ASYNC110 (the server has no event)
            await asyncio.sleep(0.01)
        user.send_signal(signal.SIGKILL)
        await user.wait()
        assert kept(tmp_path)["refreshing_since"]
        accounts.valid = "refresh-nobody-kept"  # what the server answered to the one that was killed
        async with asyncio.timeout(60), client(accounts.api.base_url, profiles.credentials("work")) as ads:
            with pytest.raises(AuthenticationError, match=r"invalid_grant.*sign in again") as caught:
                await calls.READ.by(ads)
        assert any("was cut off, and may have replaced the token" in note for note in caught.value.__notes__)
        assert "canary" not in str(caught.value)


async def test_a_new_refresh_token_without_an_access_token_is_there_for_the_next_program(tmp_path: Path) -> None:
    granted = answer(200, {"access_token": "a\x00b", "refresh_token": "another"})
    async with Accounts(rotate=True, valid="another", script=[granted]) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with client(accounts.api.base_url, profiles.credentials("work")) as ads:
            with pytest.raises(InvalidAnswer, match="a new refresh token, which takes the old one's place"):
                await calls.READ.by(ads)
        assert kept(tmp_path)["refresh_token"] == "another"
        assert "refreshing_since" not in kept(tmp_path)
        async with client(accounts.api.base_url, profiles.credentials("work")) as ads:
            await calls.READ.by(ads)


async def test_who_closes_does_not_wait_for_a_turn_that_nobody_needs(tmp_path: Path) -> None:
    """Another process renews the token, or was stopped while it did: Ctrl-C does not wait for it."""
    async with Accounts() as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with (
            profiles.store("work").turn(),
            asyncio.timeout(30),
            client(accounts.api.base_url, profiles.credentials("work")) as ads,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await calls.READ.by(ads)
        async with client(accounts.api.base_url, profiles.credentials("work")) as ads:
            await calls.READ.by(ads)
        assert accounts.granted == 1


async def test_who_signs_in_again_is_let_in_again_without_a_restart(tmp_path: Path) -> None:
    async with Accounts(rotate=True, valid="another") as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with client(accounts.api.base_url, profiles.credentials("work")) as service:
            for _ in range(2):
                with pytest.raises(AuthenticationError, match="invalid_grant"):
                    await calls.READ.by(service)
            assert accounts.asked == 1, "what was refused is not asked again"
            sign_in(tmp_path, accounts.token_url, "another")
            await calls.READ.by(service)


@pytest.mark.parametrize("amid", [False, True], ids=["between refreshes", "amid one"])
@pytest.mark.parametrize("other", ["client ID", "accounts service"])
async def test_a_profile_that_is_another_apps_by_now_is_refused_and_never_sent(
    tmp_path: Path, other: str, *, amid: bool
) -> None:
    """Its tokens spend another app's windows, and this program does not count those."""
    async with Accounts(valid="nobody's") as accounts, Accounts() as elsewhere:
        profiles = sign_in(tmp_path, accounts.token_url)

        def sign_in_again() -> None:
            accounts.before_answer = None
            if other == "client ID":
                sign_in(tmp_path, accounts.token_url, "theirs", client_id="another-app")
            else:
                sign_in(tmp_path, elsewhere.token_url, "theirs")

        async with client(accounts.api.base_url, profiles.credentials("work")) as service:
            if amid:
                accounts.before_answer = sign_in_again
            else:
                sign_in_again()
            for _ in range(2):
                with pytest.raises(ConfigurationError, match=r"profile work was signed in to another.*start the prog"):
                    await calls.READ.by(service)
            assert [form(one)["refresh_token"] for one in accounts.server.received] == ["refresh-0"] * amid
            assert (accounts.api.received, elsewhere.asked) == ([], 0)
            assert kept(tmp_path)["refresh_token"] == "theirs"
            accounts.valid = "ours-again"
            sign_in(tmp_path, accounts.token_url, "ours-again")
            await calls.READ.by(service)


async def test_an_access_token_of_another_app_is_not_used(tmp_path: Path) -> None:
    async with Accounts() as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with client(accounts.api.base_url, profiles.credentials("work")) as service:
            await calls.READ.by(service)
            sign_in(tmp_path, accounts.token_url, client_id="another-app")
            async with client(accounts.api.base_url, profiles.credentials("work")) as theirs:
                await calls.READ.by(theirs)  # which keeps its access token for all who use the profile
            asked = len(accounts.api.received)
            with pytest.raises(ConfigurationError, match="another app"):
                await calls.READ.by(service)
            assert [one.headers["authorization"] for one in accounts.api.received[asked:]] == ["Bearer access-1"]


@pytest.mark.parametrize("amid", [False, True], ids=["between refreshes", "amid one"])
async def test_who_signs_in_with_the_apps_new_secret_is_let_in_without_a_restart(tmp_path: Path, *, amid: bool) -> None:
    async with Accounts(rotate=True, valid="another") as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)

        def sign_in_again() -> None:
            accounts.before_answer = None
            sign_in(tmp_path, accounts.token_url, "another", secret="its-new-secret")

        async with client(accounts.api.base_url, profiles.credentials("work")) as service:
            if amid:
                accounts.before_answer = sign_in_again
            else:
                sign_in_again()
            await calls.READ.by(service)
        assert [basic(one) for one in accounts.server.received] == [*["an-app:s"] * amid, "an-app:its-new-secret"]
        assert kept(tmp_path)["client_secret"] == "its-new-secret"


@pytest.mark.parametrize(
    ("valid", "kept_at_the_end"),
    [("refresh-0", "newer"), ("newer", "refresh-1"), ("neither", "newer")],
    ids=["granted", "the old one is refused", "both are refused"],
)
async def test_who_signs_in_while_the_token_is_renewed_is_not_undone(
    tmp_path: Path, valid: str, kept_at_the_end: str
) -> None:
    async with Accounts(rotate=True, valid=valid) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)

        def sign_in_again() -> None:
            accounts.before_answer = None
            sign_in(tmp_path, accounts.token_url, "newer")

        accounts.before_answer = sign_in_again
        async with client(accounts.api.base_url, profiles.credentials("work")) as service:
            with contextlib.suppress(AuthenticationError):
                await calls.READ.by(service)
        assert kept(tmp_path)["refresh_token"] == kept_at_the_end


@pytest.mark.parametrize("hours", [-30.0, 30.0])
async def test_a_clock_that_jumps_costs_a_refresh_and_no_call(
    tmp_path: Path, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Accounts(rotate=True) as accounts:
        profiles = sign_in(tmp_path, accounts.token_url)
        async with client(accounts.api.base_url, profiles.credentials("work")) as ads:
            await calls.READ.by(ads)
            now = time.time
            monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
            await calls.READ.by(ads)
            async with client(accounts.api.base_url, profiles.credentials("work")) as other:
                await calls.READ.by(other)
                await calls.READ.by(ads)
        assert accounts.asked <= 3


async def test_a_token_that_expired_while_the_machine_slept_is_replaced_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A monotonic clock stands still while a machine sleeps."""
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await calls.READ.by(ads)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 2 * 3600)
        await calls.READ.by(ads)
        assert [request.headers["authorization"] for request in accounts.api.received] == [
            "Bearer access-1",
            "Bearer access-2",
        ]
