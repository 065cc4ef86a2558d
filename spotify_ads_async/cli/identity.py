"""``spotify-ads whoami`` and ``spotify-ads logout``."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated, Any

import anyio.to_thread
import typer

from spotify_ads_async.auth.profiles import DEFAULT_PROFILE, Profiles
from spotify_ads_async.cli.connect import environment, patiently
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.origins import origins, settings_in_force, shown
from spotify_ads_async.cli.output import show
from spotify_ads_async.cli.run import DONE, FAILED, run, say
from spotify_ads_async.cli.text import printable
from spotify_ads_async.settings import Settings

__all__ = ["logout", "whoami"]

_PROFILE_VARIABLE = "SPOTIFY_ADS_PROFILE"
_NO_SCOPE = "none: the Ads API has no scopes, and what you may do is set in each ad account"


def whoami(*, as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False) -> None:
    """Show as whom commands run.

    The profile, the ad account, the app's client ID, the token's age, and where each setting came from.
    It asks nobody and spends nothing; `spotify-ads doctor` asks the API whether it takes the token. No secret is shown.
    """

    async def command() -> int:
        facts = await patiently(_facts, await environment())
        if as_json:
            show(facts)
        else:
            _tell(facts)
        return DONE if facts["signed_in"] else FAILED

    run(command)


def _facts(settings: Settings) -> dict[str, Any]:
    """Who it is. Keyrings and files block, so a worker thread looks."""
    facts: dict[str, Any] = {
        "signed_in": True,
        "profile": None,
        "credentials_from": "the environment",
        "client_id": None,
        "token_age_seconds": None,
        "token_valid_seconds": None,
        "scope": _NO_SCOPE,
        "ad_account": os.environ.get("SPOTIFY_ADS_AD_ACCOUNT_ID") or None,
        "server": shown("BASE_URL", settings.base_url),
        "settings": [one._asdict() for one in settings_in_force()],
    }
    if settings.credentials is not None:
        return {**facts, "client_id": settings.credentials.client_id}
    profiles, name = (
        Profiles(allow_http=settings.transport.allow_http),
        os.environ.get(_PROFILE_VARIABLE) or DEFAULT_PROFILE,
    )
    facts["profile"] = name
    if name not in profiles.names():
        return {**facts, "signed_in": False, "credentials_from": None}
    tokens, now = profiles.tokens(name), time.time()
    if tokens.access_token is not None:
        facts["token_age_seconds"] = max(0, round(now - tokens.issued_at))
        facts["token_valid_seconds"] = max(0, round(tokens.expires_at - now))
    return {**facts, "credentials_from": profiles.place(name), "client_id": profiles.load(name).client_id}


def _tell(facts: dict[str, Any]) -> None:
    """The facts for people, a line each."""
    name: str | None = facts["profile"]
    if name is None:
        profile = "none: the environment holds the credentials"
    else:
        origin = origins.places.get(_PROFILE_VARIABLE) or (os.environ.get(_PROFILE_VARIABLE) and "the environment")
        profile = f"{name} (from {origin})" if origin else name
    signed_in = facts["credentials_from"] or f"no: {_login(name or DEFAULT_PROFILE)}"
    lines = [
        ("profile", profile),
        ("signed in", f"credentials from {signed_in}" if facts["signed_in"] else signed_in),
        ("client ID", facts["client_id"] or "not known"),
        ("token", _token(facts)),
        ("scope", facts["scope"]),
        ("ad account", facts["ad_account"] or "none: give --ad-account, or spotify-ads config set ad_account ID"),
        ("server", facts["server"]),
    ]
    lines += [("setting", f"{one['variable']}={one['value']} (from {one['origin']})") for one in facts["settings"]]
    for head, text in lines:
        sys.stdout.write(printable(f"{head:<11} {text}") + "\n")


def _login(profile: str) -> str:
    return "spotify-ads login" if profile == DEFAULT_PROFILE else f"spotify-ads login --profile {profile}"


def _token(facts: dict[str, Any]) -> str:
    age, left = facts["token_age_seconds"], facts["token_valid_seconds"]
    if age is None:
        return "its age is not known" if facts["profile"] is None else "none yet: the next command gets one"
    return (
        f"{_minutes(age)} old, {f'valid for {_minutes(left)} more' if left else 'expired: the next command renews it'}"
    )


def _minutes(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"


def logout(*, yes: Yes = False) -> None:
    """Forget a sign-in that is kept on this machine: its tokens and the app's secret. `--profile` says which.

    Spotify goes on to know the app: take its access away at https://www.spotify.com/account/apps/ where a token may
    have been seen.
    """
    name = os.environ.get(_PROFILE_VARIABLE) or DEFAULT_PROFILE

    async def command() -> int:
        profiles = Profiles()
        if name not in await anyio.to_thread.run_sync(profiles.names):
            say(f"nothing to forget: profile {name} is not signed in")
            return DONE
        if not await agreed(f"forget the sign-in of profile {name}?", yes=yes):
            say("nothing was changed")
            return DONE
        async with profiles.store(name).turn():  # a refresh under way would bring it back
            await patiently(profiles.remove, name)
        say(f"signed out: profile {name} is forgotten; {_login(name)} signs in again")
        return DONE

    run(command)
