"""Access tokens from refresh tokens: fetched once, replaced in time, refused clearly."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import signal
import threading
import traceback
import warnings
from collections.abc import AsyncGenerator, Callable
from typing import cast

import aiohttp
import anyio
import pytest
from support import calls, faults
from support.accounts import Accounts, basic, form
from support.calls import client
from support.raw_server import Behaviour, Connection, RawServer, answer, stall
from support.virtual_time import on_a_patient_clock

from spotify_ads_async import (
    AccessToken,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    InvalidAnswer,
    RefreshToken,
    Secret,
    ServerError,
    SpotifyAdsError,
    TransportOptions,
)
from spotify_ads_async.auth.token_stores import Tokens


class Memory:
    """A store of somebody else's making."""

    def __init__(self, token: str | None = None) -> None:
        self.saved: list[str] = []
        self.loads = 0
        if token is not None:
            self.saved.append(token)

    async def load(self) -> Secret | None:
        self.loads += 1
        return Secret(self.saved[-1]) if self.saved else None

    async def save(self, refresh_token: Secret) -> None:
        self.saved.append(refresh_token.reveal())


async def test_the_first_call_fetches_a_token_with_the_apps_own_secret() -> None:
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        for _ in range(3):
            await calls.READ.by(ads)
        (request,) = accounts.server.received
    assert basic(request) == "an-app:its-secret"
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "refresh-0"}


async def test_without_a_secret_the_client_names_itself_in_the_form() -> None:
    async with Accounts() as accounts:
        credentials = RefreshToken("an-app", "", "refresh-0", token_url=accounts.token_url)
        async with client(accounts.api.base_url, credentials) as ads:
            await calls.READ.by(ads)
        (request,) = accounts.server.received
    assert form(request)["client_id"] == "an-app"
    assert "authorization" not in request.headers


async def test_a_thousand_calls_without_a_token_refresh_once() -> None:
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await asyncio.gather(*(calls.READ.by(ads) for _ in range(1000)))
        assert accounts.asked == 1


async def test_a_thousand_calls_with_an_expired_token_refresh_once() -> None:
    """Each of them meets its own 401, the last of them long after the new token is there."""
    async with Accounts() as accounts:
        options = TransportOptions(connections=50)
        async with client(accounts.api.base_url, accounts.credentials(), transport=options) as ads:
            await calls.READ.by(ads)
            accounts.granted += 1  # the API takes access-2 now, and nobody has it
            accounts.server.received.clear()
            await asyncio.gather(*(calls.READ.by(ads) for _ in range(1000)), return_exceptions=False)
            assert accounts.asked == 1


async def test_one_replay_on_401() -> None:
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await calls.WRITE.by(ads)
        accounts.granted += 1
        accounts.api.received.clear()
        await calls.WRITE.by(ads)
        assert [request.headers["authorization"] for request in accounts.api.received] == [
            "Bearer access-1",
            "Bearer access-3",
        ]


async def test_a_token_that_is_refused_at_once_is_not_fetched_again_and_again() -> None:
    async with Accounts() as accounts, RawServer(otherwise=faults.failed(401)) as api:
        async with client(api.base_url, accounts.credentials()) as ads:
            for _ in range(20):
                with pytest.raises(AuthenticationError):
                    await calls.READ.by(ads)
        assert accounts.asked == 2
        assert len(api.received) == 2, "a token that is known to be bad is not sent"


@pytest.mark.parametrize(("lifetime", "used_for"), [(3600, 3540.0), (300.0, 240.0), (100, 50.0), (1, 0.5)])
async def test_a_token_is_replaced_a_minute_before_it_expires_or_halfway(lifetime: float, used_for: float) -> None:
    now = [1000.0]
    async with (
        Accounts(lifetime=lifetime) as accounts,
        client(accounts.api.base_url, accounts.credentials(clock=lambda: now[0])) as ads,
    ):
        await calls.READ.by(ads)
        now[0] += used_for - 0.001
        await calls.READ.by(ads)
        assert accounts.asked == 1
        now[0] += 0.002
        await calls.READ.by(ads)
        assert accounts.asked == 2


@pytest.mark.parametrize("lifetime", [0, -5, None, "3600", "soon", [], 1e300, pytest.param(10**400, id="huge")])
async def test_odd_lifetimes_do_no_harm(lifetime: object) -> None:
    async with Accounts(lifetime=lifetime) as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await asyncio.gather(*(calls.READ.by(ads) for _ in range(20)))
        assert accounts.asked <= 2


@pytest.mark.parametrize("given", ["", " ", "refresh\n1", "\x00"])
async def test_what_can_be_no_token_takes_no_tokens_place(given: str) -> None:
    granted = answer(200, {"access_token": "access-0", "expires_in": 0, "refresh_token": given})
    store = Memory("refresh-0")
    async with Accounts(script=[granted]) as accounts:
        async with client(accounts.api.base_url, accounts.credentials(store=store)) as ads:
            await calls.READ.by(ads)
            await calls.READ.by(ads)
        assert [form(one)["refresh_token"] for one in accounts.server.received] == ["refresh-0"] * 2
    assert store.saved == ["refresh-0"]


async def test_a_rotated_token_is_used_and_saved() -> None:
    store = Memory()
    async with Accounts(rotate=True, lifetime=0) as accounts:
        async with client(accounts.api.base_url, accounts.credentials(store=store)) as ads:
            for _ in range(3):
                await calls.READ.by(ads)
        assert store.saved == ["refresh-1", "refresh-2", "refresh-3"]
        assert [form(request)["refresh_token"] for request in accounts.server.received] == [
            "refresh-0",
            "refresh-1",
            "refresh-2",
        ]


UNUSABLE = {
    "empty": {"access_token": ""},
    "with a line break": {"access_token": "canary\r\nb"},
    "not ASCII": {"access_token": "canary\u00e9"},
    "a number": {"access_token": 5},
    "null": {"access_token": None},
    "missing": {},
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_new_refresh_token_beside_an_unusable_access_token_is_kept_and_said(
    unusable: dict[str, object],
) -> None:
    store = Memory()
    async with Accounts(rotate=True) as accounts:

        async def grant(connection: Connection) -> None:
            accounts.valid = "refresh-canary"
            await answer(200, {**unusable, "refresh_token": accounts.valid})(connection)

        accounts.script.append(grant)
        async with client(accounts.api.base_url, accounts.credentials(store=store)) as ads:
            with pytest.raises(InvalidAnswer, match="a new refresh token, which takes the old one's place") as caught:
                await calls.READ.by(ads)
            assert "canary" not in str(caught.value)
            assert store.saved == ["refresh-canary"]
            await calls.READ.by(ads)
        assert [form(one)["refresh_token"] for one in accounts.server.received] == ["refresh-0", "refresh-canary"]


async def test_a_refresh_token_that_is_none_spoils_no_access_token() -> None:
    granted = answer(200, {"access_token": "access-1", "refresh_token": 5})
    async with (
        Accounts(script=[granted], granted=1) as accounts,
        client(accounts.api.base_url, accounts.credentials()) as ads,
    ):
        await calls.READ.by(ads)


async def test_the_same_refresh_token_beside_an_unusable_access_token_is_no_new_one() -> None:
    granted, store = answer(200, {"access_token": "", "refresh_token": "refresh-0"}), Memory("refresh-0")
    async with (
        Accounts(script=[granted]) as accounts,
        client(accounts.api.base_url, accounts.credentials(store=store)) as ads,
    ):
        with pytest.raises(InvalidAnswer, match="answered without a usable access token"):
            await calls.READ.by(ads)
        await calls.READ.by(ads)
    assert store.saved == ["refresh-0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
async def test_a_forked_copy_of_a_token_that_was_replaced_says_how_to_share_it() -> None:
    async with Accounts(rotate=True) as accounts:
        credentials = accounts.credentials()
        (go, replaced), (heard, told) = os.pipe(), os.pipe()

        async def as_a_child() -> None:
            os.read(go, 1)
            async with client(accounts.api.base_url, credentials) as ads:
                with pytest.raises(AuthenticationError, match="invalid_grant") as caught:
                    await calls.READ.by(ads)
            os.write(told, "\n".join(caught.value.__notes__).encode())

        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks beside threads
            child = os.fork()
        if child == 0:
            try:
                asyncio.run(as_a_child())
            finally:
                os._exit(0)
        async with client(accounts.api.base_url, credentials) as ads:
            await calls.READ.by(ads)
        os.write(replaced, b".")
        notes = await asyncio.to_thread(os.read, heard, 10_000)
        await asyncio.to_thread(os.waitpid, child, 0)
        assert b"Keep the sign-in in a profile" in notes
        for end in (go, replaced, heard, told):
            os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
async def test_a_child_that_was_forked_amid_a_refresh_waits_for_nobody_to_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spotify_ads_async.loops._TO_BEGIN_SECONDS", 3600.0)
    children: list[int] = []

    def fork() -> None:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks beside threads
            children.append(os.fork())
        if children == [0]:
            signal.alarm(60)
            try:
                asyncio.run(ads.aclose())
                os._exit(0)
            finally:
                os._exit(1)

    async with Accounts(before_answer=fork) as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        await calls.READ.by(ads)
    assert [(await asyncio.to_thread(os.waitpid, child, 0))[1] for child in children] == [0]


async def test_what_a_store_holds_goes_before_what_the_program_was_given() -> None:
    async with Accounts(valid="refresh-9") as accounts:
        async with client(accounts.api.base_url, accounts.credentials("refresh-0", store=Memory("refresh-9"))) as ads:
            await calls.READ.by(ads)
        assert accounts.asked == 1


async def test_a_token_that_another_process_replaced_is_read_from_the_store() -> None:
    store = Memory("refresh-0")
    async with (
        Accounts(lifetime=0) as accounts,
        client(accounts.api.base_url, accounts.credentials(store=store)) as ads,
    ):
        await calls.READ.by(ads)
        store.saved.append("refresh-7")
        accounts.valid = "refresh-7"
        await calls.READ.by(ads)
        assert [form(request)["refresh_token"] for request in accounts.server.received] == ["refresh-0", "refresh-7"]


class Broken(Memory):
    async def save(self, refresh_token: Secret) -> None:
        raise OSError(f"disk full: {refresh_token}")


async def test_a_store_that_cannot_save_stops_nothing_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        Accounts(rotate=True, lifetime=0) as accounts,
        client(accounts.api.base_url, accounts.credentials(store=Broken())) as ads,
    ):
        with caplog.at_level(logging.ERROR):
            await calls.READ.by(ads)
            await calls.READ.by(ads)
    assert "sign in again before the next run" in caplog.text


class Unreadable(Memory):
    async def load(self) -> Secret | None:
        raise RuntimeError("refresh-0")


async def test_a_store_that_cannot_be_read_is_an_error_of_the_tree() -> None:
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials(store=Unreadable())) as ads:
        with pytest.raises(ConfigurationError, match=r"store cannot be read \(RuntimeError\)"):
            await calls.READ.by(ads)


class Unlocked(Memory):
    async def read(self) -> Tokens | None:
        raise AssertionError

    async def write(self, tokens: Tokens) -> None:
        raise AssertionError(tokens)

    def turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        raise RuntimeError("no lock server")


async def test_a_fault_of_a_store_is_not_told_as_the_end_of_the_loop() -> None:
    async with Accounts() as accounts, client(accounts.api.base_url, accounts.credentials(store=Unlocked())) as ads:
        with pytest.raises(RuntimeError, match="no lock server"):
            await calls.READ.by(ads)


async def test_a_refused_refresh_is_the_same_error_for_every_waiter_and_is_not_asked_again() -> None:
    async with Accounts(valid="another") as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        outcomes = await asyncio.gather(*(calls.READ.by(ads) for _ in range(200)), return_exceptions=True)
        with pytest.raises(AuthenticationError):
            await calls.READ.by(ads)
        assert accounts.asked == 1
        assert not accounts.api.received
    assert all(type(outcome) is AuthenticationError for outcome in outcomes)
    assert len({id(outcome) for outcome in outcomes}) == 200
    assert "spotify-ads login" in str(outcomes[0])
    assert "invalid_grant" in str(outcomes[0])


@pytest.mark.parametrize(
    "credentials", [("an:app", "s", "r"), ("an-app", "s", "canary\udcff"), ("an-app", "canary\n", "r\r\nX: canary")]
)
async def test_what_cannot_be_sent_is_said_without_being_shown(credentials: tuple[str, str, str]) -> None:
    async with Accounts() as accounts:
        unsendable = RefreshToken(*credentials, token_url=accounts.token_url)
        async with client(accounts.api.base_url, unsendable) as ads:
            with pytest.raises(ConfigurationError, match="characters that cannot be sent") as caught:
                await calls.READ.by(ads)
        assert "canary" not in "".join(traceback.format_exception(caught.value))
        assert accounts.asked == 0


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (faults.reset, ConnectionFailed),
        (faults.closed, ConnectionFailed),
        (faults.failed(500), ServerError),
        (faults.failed(429, Retry_After="1"), ServerError),
    ],
)
async def test_a_passing_failure_of_the_endpoint_is_tried_again(
    behaviour: Behaviour, error: type[SpotifyAdsError]
) -> None:
    async with (
        Accounts(script=[behaviour, behaviour]) as accounts,
        client(accounts.api.base_url, accounts.credentials()) as ads,
    ):
        await calls.READ.by(ads)
        assert accounts.asked == 3
    async with (
        Accounts(script=[behaviour] * 3) as accounts,
        client(accounts.api.base_url, accounts.credentials()) as ads,
    ):
        outcomes = await asyncio.gather(*(calls.READ.by(ads) for _ in range(10)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {error}
        assert accounts.asked == 3
        await calls.READ.by(ads)  # it was no refusal


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answer(200, b"<html>hotel</html>"), InvalidAnswer),
        (answer(200, b""), InvalidAnswer),
        (answer(200, {"access_token": "a\r\nb"}), InvalidAnswer),
        (answer(200, {"access_token": 5}), InvalidAnswer),
        (answer(200, {"access_token": ""}), InvalidAnswer),
        (answer(200, b"[" * 90_000), InvalidAnswer),
        (answer(200, b'"' + b"x" * 70_000 + b'"'), InvalidAnswer),
        (faults.failed(302, Location="https://example.com/"), InvalidAnswer),
        (faults.failed(403, b"<html>"), AuthenticationError),
        (faults.failed(400, {"error": "\x1b[2J" + "x" * 90}), AuthenticationError),
    ],
)
async def test_a_strange_answer_of_the_endpoint_is_an_error_of_the_tree_and_nothing_final(
    behaviour: Behaviour, error: type[SpotifyAdsError]
) -> None:
    async with Accounts(script=[behaviour]) as accounts, client(accounts.api.base_url, accounts.credentials()) as ads:
        with pytest.raises(error) as caught:
            await calls.WRITE.by(ads)
        assert str(caught.value).isprintable()
        assert not caught.value.may_have_taken_effect
        await calls.WRITE.by(ads)


async def test_a_cancelled_call_does_not_lose_a_rotated_token() -> None:
    store = Memory()
    async with Accounts(rotate=True) as accounts:
        async with client(accounts.api.base_url, accounts.credentials(store=store)) as ads:
            first = asyncio.create_task(calls.READ.by(ads))
            accounts.before_answer = first.cancel
            with pytest.raises(asyncio.CancelledError):
                await first
        assert store.saved == ["refresh-1"]


async def test_nobody_asks_again_for_a_token_that_nobody_wants_any_more() -> None:
    async with Accounts() as accounts:
        async with client(accounts.api.base_url, accounts.credentials()) as ads:
            first = asyncio.create_task(calls.READ.by(ads))

            async def fail(connection: Connection) -> None:
                first.cancel()
                await asyncio.wait([first])
                await faults.failed(503)(connection)

            accounts.script.append(fail)
            with pytest.raises(asyncio.CancelledError):
                await first
        assert len(accounts.server.received) == 1


async def test_closing_in_a_cancelled_scope_does_not_lose_a_rotated_token() -> None:
    store = Memory()
    async with Accounts(rotate=True) as accounts:

        async def grant(connection: Connection) -> None:
            scope.cancel()
            await anyio.wait_all_tasks_blocked()
            await accounts.grant(connection)

        accounts.script.append(grant)
        with anyio.CancelScope() as scope:
            async with client(accounts.api.base_url, accounts.credentials(store=store)) as ads:
                await calls.READ.by(ads)
        assert scope.cancelled_caught
    assert store.saved == ["refresh-1"]


async def test_closing_from_another_thread_does_not_lose_a_rotated_token() -> None:
    store = Memory()
    async with Accounts(rotate=True) as accounts:
        ads = client(accounts.api.base_url, accounts.credentials(store=store))
        closing: list[asyncio.Task[None]] = []

        async def grant(connection: Connection) -> None:
            closing.append(asyncio.create_task(asyncio.to_thread(asyncio.run, ads.aclose())))
            await asyncio.wait(closing, timeout=0.1)  # in vain, for it waits for this answer
            await accounts.grant(connection)

        accounts.script.append(grant)
        with contextlib.suppress(ConfigurationError):  # closed, unless the other thread came late
            await calls.READ.by(ads)
        await asyncio.gather(*closing)
    assert store.saved == ["refresh-1"]


@on_a_patient_clock
async def test_a_deadline_ends_a_call_that_waits_for_a_token() -> None:
    async with Accounts(script=[stall]) as accounts:
        ads = client(accounts.api.base_url, accounts.credentials(), deadline=0.1)
        with pytest.raises(ConnectionFailed, match="signing in"):
            await calls.WRITE.by(ads)
        await accounts.server.__aexit__()
        await ads.aclose()


@pytest.mark.parametrize("make", [AccessToken, lambda token: RefreshToken("an-app", "secret", token)])
def test_credentials_show_nothing(make: Callable[[str], object]) -> None:
    credentials = make("canary")
    assert "canary" not in f"{credentials!r} {credentials} {vars(credentials)}"
    assert "secret'" not in repr(credentials).replace("client_secret'", "")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é", "\x00"])
def test_a_token_that_no_header_can_hold_is_refused_when_it_is_given(token: str) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        AccessToken(token)


@pytest.mark.parametrize(
    "address", ["http://accounts.spotify.com/api/token", "https://me:it@example.com/", "accounts.spotify.com"]
)
def test_an_endpoint_that_would_show_the_secret_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError):
        RefreshToken("an-app", "secret", "refresh", token_url=address)


@pytest.mark.parametrize("closed", [True, False])
def test_a_refresh_on_a_loop_that_was_closed_or_stands_still_gives_its_turn_back(
    closed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spotify_ads_async.auth.token_stores._PATIENCE_SECONDS", 0.0)
    waits = [3600.0, 0.0]

    class Slow:
        @contextlib.asynccontextmanager
        async def turn(self) -> AsyncGenerator[None]:
            yield

        async def read(self) -> Tokens:
            with anyio.CancelScope():  # as around each thread of anyio's, which a keyring is asked in
                await asyncio.sleep(waits.pop(0))
            return Tokens(refresh_token=Secret("r"), access_token=Secret("a"), issued_at=0.0, expires_at=4e9)

        async def write(self, tokens: Tokens) -> None:
            raise AssertionError(tokens)

    credentials = RefreshToken("id", "", "old", store=Slow())

    async def ask() -> str:
        async with asyncio.timeout(60.0):
            return (await credentials.token(cast("aiohttp.ClientSession", None))).reveal()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, __: None)  # asyncio's word on a task that its loop left behind
    asking = ask()
    begun = loop.create_task(asking)
    while len(waits) > 1:
        loop.run_until_complete(asyncio.sleep(0))
    if closed:
        loop.close()
    assert asyncio.run(ask()) == "a"
    assert not begun.done()
    if closed:
        asking.close()
        return
    with contextlib.closing(loop), pytest.raises(ConnectionFailed, match="cut off"):
        loop.run_until_complete(begun)


def test_two_threads_may_find_at_once_that_the_loop_of_a_refresh_was_closed() -> None:
    both_look, over = threading.Barrier(2), threading.Event()

    class Watched(asyncio.SelectorEventLoop):
        def is_closed(self) -> bool:
            # When it is collected, in whichever thread, it looks once more.
            if threading.current_thread() is not threading.main_thread() and not over.is_set():
                both_look.wait(60.0)
            return super().is_closed()

    class Silent(Memory):
        async def load(self) -> Secret | None:
            if not self.loads:
                self.loads += 1
                await asyncio.Event().wait()
            raise LookupError("the store has nothing")

    credentials = RefreshToken("id", "", "old", store=Silent())

    async def ask() -> None:
        await credentials.token(cast("aiohttp.ClientSession", None))

    with contextlib.closing(Watched()) as loop:
        loop.set_exception_handler(lambda _, __: None)  # asyncio's word on a task that its loop left behind
        asking = ask()
        begun = loop.create_task(asking)
        for _ in range(10):
            loop.run_until_complete(asyncio.sleep(0))
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(asyncio.run, ask()) for _ in range(2)]:
            with pytest.raises(ConfigurationError, match="the token store cannot be read"):
                one.result()
    over.set()
    assert not begun.done()
    asking.close()
