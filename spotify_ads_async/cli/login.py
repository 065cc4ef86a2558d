"""``spotify-ads login``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import Annotated

import anyio.to_thread
import typer

from spotify_ads_async.auth.credentials import Credentials
from spotify_ads_async.auth.profiles import DEFAULT_PROFILE, Profiles
from spotify_ads_async.auth.sign_in import CALLBACK_PORT, sign_in
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL
from spotify_ads_async.cli.connect import environment, patiently
from spotify_ads_async.cli.run import INTERRUPTED, in_words, run, say
from spotify_ads_async.cli.signals import ToldToEnd, raised
from spotify_ads_async.cli.terminal import as_it_was
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import PermissionDenied, SpotifyAdsError
from spotify_ads_async.governor import Governor
from spotify_ads_async.settings import Settings, secret_from
from spotify_ads_async.types import Secret, is_text

__all__ = ["login"]

_SECRET_VARIABLE = "SPOTIFY_ADS_CLIENT_SECRET"  # noqa: S105 (a name)
_LONGEST_LINE = 16 * 1024


def login(
    *,
    client_id: Annotated[
        str,
        typer.Option(
            "--client-id",
            envvar="SPOTIFY_ADS_CLIENT_ID",
            metavar="ID",
            prompt="Client ID of your app",
            show_envvar=True,
            help="The app's client ID, from Spotify's developer dashboard.",
        ),
    ],
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            help="Listen here; http://127.0.0.1:PORT/callback must be registered for the app.",
        ),
    ] = CALLBACK_PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or only show the address.")
    ] = True,
    accounts_url: Annotated[str, typer.Option(envvar="SPOTIFY_ADS_ACCOUNTS_URL", hidden=True)] = ACCOUNTS_URL,
) -> None:
    """Sign in with Spotify in the browser and keep the tokens on this machine.

    The app's client secret is read from SPOTIFY_ADS_CLIENT_SECRET, or asked for; leave it empty to sign in with PKCE
    alone.
    """
    profile = os.environ.get("SPOTIFY_ADS_PROFILE") or DEFAULT_PROFILE
    asked = _asked_for_the_secret()

    async def command() -> None:
        settings = await environment()
        secret = asked or await patiently(secret_from, None, _SECRET_VARIABLE) or ""
        profiles = Profiles(allow_http=settings.transport.allow_http)
        # Nobody shall agree to a sign-in that cannot be kept.
        await anyio.to_thread.run_sync(profiles.require_place, profile)
        signed_in = await sign_in(
            client_id.strip(),
            secret,
            visit=_visitor(port=port, browser=browser),
            paste=_pasted if sys.stdin.isatty() else None,
            port=port,
            accounts_url=accounts_url,
            transport=settings.transport,
        )
        async with profiles.store(profile).turn():  # a refresh under way would put its older tokens in their place
            place = await patiently(profiles.save, profile, signed_in)
        say(f"signed in: profile {profile}, kept in {place}")
        await _look(await patiently(profiles.credentials, profile), settings)

    run(command)


def _visitor(*, port: int, browser: bool) -> Callable[[str], None]:
    """Shows the address, and opens it where there is a screen: a browser in the terminal would take the keyboard."""

    def visit(address: str) -> None:
        say(
            f"waiting five minutes at most for the answer on http://127.0.0.1:{port}/callback",
            "A browser on another machine ends at that address, too, and cannot show it: "
            + (
                "paste here what its address bar says then."
                if sys.stdin.isatty()
                else "for that, start again from a terminal (docker run -it), where its address can be pasted."
            ),
        )
        say(f"sign in at {address}")
        if browser and _has_screen() and not webbrowser.open(address):
            say("no browser could be opened: open the address by hand")

    return visit


def _has_screen() -> bool:
    return sys.platform in {"win32", "darwin"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


async def _pasted(problem: str | None) -> Secret:
    """A line from the terminal, read in a thread that nobody has to wait for."""
    if problem is not None:
        say(problem)
    loop = asyncio.get_running_loop()
    line: asyncio.Future[Secret] = loop.create_future()

    def answer(text: str) -> None:
        if text and not line.done():
            line.set_result(Secret(text.strip()))

    def read() -> None:
        # The terminal may be gone; or the sign-in is over, and its loop closed.
        with contextlib.suppress(OSError, RuntimeError):
            # Not through sys.stdin, whose lock would outlive the program's end.
            text = os.read(sys.stdin.fileno(), _LONGEST_LINE).decode(errors="replace")
            loop.call_soon_threadsafe(answer, text)

    threading.Thread(target=read, name="pasted address", daemon=True).start()
    return await line


async def _look(credentials: Credentials, settings: Settings) -> None:
    """Ask the API once: whether the app may use it shows only there."""
    governor = Governor(settings.limits, store=settings.store)
    async with (
        governor,
        AdsClient(credentials, base_url=settings.base_url, governor=governor, transport=settings.transport) as ads,
    ):
        try:
            await ads.businesses.list().collect()
        except PermissionDenied:
            say(
                "the API refuses this app as yet (HTTP 403): accept the Ads API's terms for it in Spotify's developer"
                " dashboard, which takes effect within an hour"
            )
        except SpotifyAdsError as problem:
            say(f"whether the API can be used is not known: {in_words(problem)}")


def _asked_for_the_secret() -> Secret | None:
    """From a prompt, where nothing else has it.

    An argument would stand in the list of processes and the shell's history.
    Not while an event loop runs, which would keep Ctrl-C to itself.
    """
    if not sys.stdin.isatty() or not {_SECRET_VARIABLE, f"{_SECRET_VARIABLE}_FILE"}.isdisjoint(os.environ):
        return None
    question = "Client secret (empty for PKCE alone)"
    try:
        with raised(), as_it_was():
            return _entered(question)
    except typer.Abort:  # the terminal is gone
        say("interrupted")
        code = INTERRUPTED
    except ToldToEnd as told:
        # The question's line has not ended.
        say("", "interrupted" if told.number is signal.SIGINT else f"ended by {told.number.name}: nothing was changed")
        code = 128 + told.number
    raise typer.Exit(code)


def _entered(question: str) -> Secret:
    while True:
        with contextlib.suppress(UnicodeDecodeError):
            entered = typer.prompt(question, default="", hide_input=True, show_default=False, err=True)
            if is_text(entered):
                return Secret(entered)
        say("it holds bytes that are no text in this terminal's encoding: enter it again")
