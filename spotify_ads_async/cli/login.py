"""``spotify-ads login``."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Annotated

import anyio.to_thread
import typer

from spotify_ads_async.auth.profiles import DEFAULT_PROFILE, Profiles
from spotify_ads_async.auth.sign_in import CALLBACK_PORT, sign_in
from spotify_ads_async.auth.token_endpoint import ACCOUNTS_URL
from spotify_ads_async.cli.run import run, say
from spotify_ads_async.types import Secret

__all__ = ["login"]

_SECRET_VARIABLE = "SPOTIFY_ADS_CLIENT_SECRET"  # noqa: S105 (a name)


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
        typer.Option("--port", min=1, max=65535, help="Listen here; http://127.0.0.1:PORT/callback must be registered for the app."),
    ] = CALLBACK_PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser, or only show the address.")] = True,
    accounts_url: Annotated[str, typer.Option(envvar="SPOTIFY_ADS_ACCOUNTS_URL", hidden=True)] = ACCOUNTS_URL,
) -> None:
    """Sign in with Spotify in the browser and keep the tokens on this machine.

    The app's client secret is read from SPOTIFY_ADS_CLIENT_SECRET, or asked for; leave it empty to sign in with PKCE alone.
    """
    secret = _client_secret()

    def visit(address: str) -> None:
        say(f"sign in at {address}")
        if browser and not webbrowser.open(address):
            say("no browser could be opened: open the address by hand")

    profiles, profile = Profiles(), os.environ.get("SPOTIFY_ADS_PROFILE") or DEFAULT_PROFILE

    async def command() -> None:
        say(f"waiting for the answer on http://127.0.0.1:{port}/callback")
        signed_in = await sign_in(client_id, secret, visit=visit, port=port, accounts_url=accounts_url)
        place = await anyio.to_thread.run_sync(profiles.save, profile, signed_in)
        say(f"signed in: profile {profile}, kept in {place}")

    run(command)


def _client_secret() -> Secret:
    """From the environment or a prompt: an argument would stand in the list of processes and the shell's history."""
    given = os.environ.get(_SECRET_VARIABLE)
    if given is None and sys.stdin.isatty():
        given = typer.prompt("Client secret (empty for PKCE alone)", default="", hide_input=True, show_default=False, err=True)
    return Secret(given or "")
