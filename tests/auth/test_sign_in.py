"""Signing in with a browser: the emulator's accounts service, a browser made of aiohttp, and intruders."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from support.accounts import basic, form
from support.free_ports import free_port
from support.raw_server import RawServer, answer

from spotify_ads_async import AdsClient, AuthenticationError, ConfigurationError, Governor, Secret
from spotify_ads_async.auth.sign_in import begin, sign_in
from spotify_ads_async.emulator import Emulator

APP, APP_SECRET = "an-app", "its-secret"


class Browser:
    """Follows the redirects from the address that it is sent to, in the event loop of the test."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.addresses: list[str] = []
        self.pages: list[tuple[int, str]] = []
        self.headers: Any = {}
        self.change: Callable[[str], list[str]] = lambda callback: [callback]
        self._visits: set[asyncio.Task[None]] = set()

    def visit(self, address: str) -> None:
        self.addresses.append(address)
        self.loop.call_soon_threadsafe(self._begin, address)

    def _begin(self, address: str) -> None:
        self._visits.add(asyncio.ensure_future(self._follow(address)))

    async def _follow(self, address: str) -> None:
        async with aiohttp.ClientSession() as http:
            async with http.get(address, allow_redirects=False) as consent:
                callback = consent.headers["Location"]
            for changed in self.change(callback):
                async with http.get(changed) as page:
                    self.headers = page.headers
                    self.pages.append((page.status, await page.text()))

    async def closed(self) -> None:
        await asyncio.gather(*self._visits)


@pytest_asyncio.fixture
async def accounts() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=20, latency=0.0, any_token=False, clients={APP: APP_SECRET}) as server:
        yield server


async def test_signing_in_gives_credentials_that_work(accounts: Emulator) -> None:
    browser, port = Browser(), free_port()
    signed_in = await sign_in(APP, APP_SECRET, visit=browser.visit, port=port, accounts_url=accounts.origin)
    await browser.closed()
    async with AdsClient(signed_in.credentials(), base_url=accounts.base_url, governor=Governor([])) as ads:
        assert (await ads.ad_account(accounts.ad_account_id).ad_sets.list(limit=1)).items
    (status, page), (address,) = browser.pages[0], browser.addresses
    assert status == 200
    assert "signed in" in page
    assert browser.headers["Cache-Control"] == "no-store"
    query = parse_qs(urlsplit(address).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"http://127.0.0.1:{port}/callback"]
    assert len(query["state"][0]) >= 40
    assert "scope" not in query


@pytest.mark.parametrize("access_token", ["a", ""])
async def test_what_is_sent_for_the_code(access_token: str) -> None:
    """Once: an access token that cannot be used costs no sign-in."""
    async with RawServer(otherwise=answer(200, {"access_token": access_token, "refresh_token": "r"})) as server:
        port = free_port()
        browser = Browser()

        def visit(address: str) -> None:
            query = dict(parse_qsl(urlsplit(address).query))
            browser.loop.call_soon_threadsafe(
                callback.set_result, f"{query['redirect_uri']}?code=the-code&state={query['state']}"
            )

        callback: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(
            sign_in(APP, APP_SECRET, visit=visit, port=port, scopes=["a", "b"], accounts_url=server.origin)
        )
        async with aiohttp.ClientSession() as http, http.get(await callback) as page:
            assert page.status == 200
            assert "the-code" not in await page.text()
        assert (await task).refresh_token == Secret("r")
    (request,) = server.received
    sent = form(request)
    assert basic(request) == f"{APP}:{APP_SECRET}"
    assert 43 <= len(sent.pop("code_verifier")) <= 128
    assert sent == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": f"http://127.0.0.1:{port}/callback",
    }


async def test_answers_with_another_state_are_turned_away_and_do_no_harm(accounts: Emulator) -> None:
    browser = Browser()
    browser.change = lambda callback: [
        callback.replace("state=", "state=x"),
        callback.partition("?")[0],
        callback.partition("?")[0] + "?error=access_denied&state=",
        callback.replace("/callback", "/elsewhere"),
        callback,
    ]
    await sign_in(APP, APP_SECRET, visit=browser.visit, port=free_port(), accounts_url=accounts.origin)
    await browser.closed()
    assert [status for status, _ in browser.pages] == [400, 400, 400, 404, 200]


async def test_a_user_who_declines(accounts: Emulator) -> None:
    browser = Browser()
    browser.change = lambda callback: [
        callback.partition("?")[0] + "?error=access_denied&state=" + callback.rpartition("state=")[2]
    ]
    with pytest.raises(AuthenticationError, match="access_denied"):
        await sign_in(APP, APP_SECRET, visit=browser.visit, port=free_port(), accounts_url=accounts.origin)
    await browser.closed()


async def test_a_code_that_was_not_meant_for_this_attempt_is_refused(accounts: Emulator) -> None:
    """PKCE: whoever slips in the code of another sign-in lacks its verifier."""
    browser, port = Browser(), free_port()
    other = begin(APP, redirect_uri=f"http://127.0.0.1:{port}/callback", accounts_url=accounts.origin)
    async with aiohttp.ClientSession() as http, http.get(other.address, allow_redirects=False) as consent:
        code = dict(parse_qsl(urlsplit(consent.headers["Location"]).query))["code"]
    browser.change = lambda callback: [
        f"http://127.0.0.1:{port}/callback?code={code}&state={callback.rpartition('state=')[2]}"
    ]
    with pytest.raises(AuthenticationError, match="sign in again"):
        await sign_in(APP, APP_SECRET, visit=browser.visit, port=port, accounts_url=accounts.origin)
    await browser.closed()


async def test_a_wrong_client_secret_is_refused_with_advice(accounts: Emulator) -> None:
    browser = Browser()
    with pytest.raises(AuthenticationError, match="client ID and client secret"):
        await sign_in(APP, "wrong", visit=browser.visit, port=free_port(), accounts_url=accounts.origin)
    await browser.closed()


async def test_a_callback_that_is_no_http_shows_no_code(accounts: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser()
    browser.change = lambda callback: [f"{callback}&{'a' * 9000}", callback]
    await sign_in(APP, APP_SECRET, visit=browser.visit, port=free_port(), accounts_url=accounts.origin)
    await browser.closed()
    assert [status for status, _ in browser.pages] == [400, 200]
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_nobody_signs_in(accounts: Emulator) -> None:
    with pytest.raises(AuthenticationError, match="nobody signed in"):
        await sign_in(APP, visit=lambda _: None, port=free_port(), accounts_url=accounts.origin, patience=0.05)


async def test_the_port_is_taken_and_free_again_afterwards(accounts: Emulator) -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            await sign_in(APP, visit=lambda _: None, port=port, accounts_url=accounts.origin)
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await sign_in(APP, visit=lambda _: None, port=port, accounts_url=accounts.origin, patience=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, 127.0.0.2 is no address of this machine")
async def test_it_listens_on_loopback_alone(accounts: Emulator) -> None:
    port, listening = free_port(), asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(
        sign_in(APP, visit=lambda _: loop.call_soon_threadsafe(listening.set), port=port, accounts_url=accounts.origin)
    )
    await listening.wait()
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # free, so the server is not on every address
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "accounts_url", ["http://accounts.spotify.com", "https://u:p@accounts.spotify.com", "accounts"]
)
def test_an_accounts_service_that_would_see_secrets_in_the_clear_is_refused(accounts_url: str) -> None:
    with pytest.raises(ConfigurationError):
        begin(APP, redirect_uri="http://127.0.0.1:8080/callback", accounts_url=accounts_url)


def test_no_two_attempts_are_alike() -> None:
    attempts = [begin(APP, redirect_uri="http://127.0.0.1:8080/callback") for _ in range(50)]
    assert len({attempt.state for attempt in attempts} | {attempt.verifier for attempt in attempts}) == 100
    assert attempts[0].address.startswith("https://accounts.spotify.com/authorize?response_type=code&client_id=an-app&")
    assert attempts[0].verifier.reveal() not in attempts[0].address


def test_a_sign_in_needs_a_client_id() -> None:
    with pytest.raises(ConfigurationError, match="client ID"):
        begin("", redirect_uri="http://127.0.0.1:8080/callback")


async def test_what_the_browser_ended_at_elsewhere_can_be_pasted(accounts: Emulator) -> None:
    """Over SSH: the browser runs on another machine, and cannot reach this one."""
    loop, addresses, problems = asyncio.get_running_loop(), asyncio.Queue[str](), []

    async def paste(problem: str | None) -> Secret:
        problems.append(problem)
        if len(problems) == 1:
            return Secret("http://[yes?")  # no address that a parser takes
        address = await addresses.get()
        if len(problems) == 2:
            addresses.put_nowait(address)
            return Secret(address)  # what the browser shows before anybody agreed
        async with (
            aiohttp.ClientSession() as elsewhere,
            elsewhere.get(address, allow_redirects=False) as consent,
        ):
            return Secret(f"  {consent.headers['Location']}\n")

    signed_in = await sign_in(
        APP,
        APP_SECRET,
        visit=lambda address: loop.call_soon_threadsafe(addresses.put_nowait, address),
        paste=paste,
        port=free_port(),
        accounts_url=accounts.origin,
    )
    assert signed_in.refresh_token.reveal()
    ended_elsewhere = "that is not where this sign-in ended: copy the whole address that the browser shows at the end"
    assert problems == [None, ended_elsewhere, ended_elsewhere]


async def test_a_port_that_is_taken_does_not_matter_where_the_address_can_be_pasted(accounts: Emulator) -> None:
    loop, addresses, problems = asyncio.get_running_loop(), asyncio.Queue[str](), []

    async def paste(problem: str | None) -> Secret:
        problems.append(problem)
        async with (
            aiohttp.ClientSession() as elsewhere,
            elsewhere.get(await addresses.get(), allow_redirects=False) as consent,
        ):
            return Secret(consent.headers["Location"])

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        await sign_in(
            APP,
            APP_SECRET,
            visit=lambda address: loop.call_soon_threadsafe(addresses.put_nowait, address),
            paste=paste,
            port=other.getsockname()[1],
            accounts_url=accounts.origin,
        )
    (told,) = problems
    assert "is taken" in told, "who pastes knows that the browser of this machine reaches somebody else"
    assert "paste here" in told


async def test_a_browser_that_blocks_does_not_eat_the_time(accounts: Emulator) -> None:
    browser, over = Browser(), threading.Event()

    def visit(address: str) -> None:
        browser.visit(address)
        over.wait(60)  # as a browser in the terminal does, until it is left

    try:
        await sign_in(APP, APP_SECRET, visit=visit, port=free_port(), accounts_url=accounts.origin)
        assert not over.is_set()
    finally:
        over.set()
    await browser.closed()


def test_a_redirect_to_localhost_is_refused_as_spotify_does() -> None:
    with pytest.raises(ConfigurationError, match=r"no redirect to localhost.*127\.0\.0\.1"):
        begin(APP, redirect_uri="http://localhost:8080/callback")


async def test_a_declined_app_says_what_to_do(accounts: Emulator) -> None:
    browser = Browser()
    browser.change = lambda callback: [
        callback.partition("?")[0] + "?error=unauthorized_client&state=" + callback.rpartition("state=")[2]
    ]
    with pytest.raises(AuthenticationError, match=r"unauthorized_client.*developer dashboard"):
        await sign_in(APP, APP_SECRET, visit=browser.visit, port=free_port(), accounts_url=accounts.origin)
    await browser.closed()
