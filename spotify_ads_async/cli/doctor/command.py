"""``spotify-ads doctor``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from spotify_ads_async.cli.consent import Yes
from spotify_ads_async.cli.doctor import here, server
from spotify_ads_async.cli.doctor.examination import Check, Examination, Finding, Outcome, examine
from spotify_ads_async.cli.doctor.probe import probe_api
from spotify_ads_async.cli.options import AdAccount, needed
from spotify_ads_async.cli.output import show
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.cli.text import printable

__all__ = ["CHECKS", "doctor"]

_STORE_REMEDY = "start it, or name another one: SPOTIFY_ADS_STORE=sqlite:///…, redis://…, or memory"
_ACCESS_REMEDY = "try again later; if it stays, look at the address (SPOTIFY_ADS_BASE_URL) and at what stands between"
CHECKS: tuple[Check, ...] = (
    Check("versions", here.check_versions),
    Check("configuration", here.check_configuration),
    Check("folders", here.check_folders),
    Check("sign-in", here.check_sign_in, needs=("configuration",)),
    Check("store", here.check_store, needs=("configuration",), seconds=3.0, remedy=_STORE_REMEDY),
    Check("proxy", server.check_proxy, needs=("configuration",), seconds=3.0),
    Check("network", server.check_network, needs=("configuration", "proxy"), seconds=3.0, remedy="look at the network"),
    Check("clock", server.check_clock, needs=("network",)),
    Check("access", server.check_access, needs=("sign-in", "store", "network"), seconds=6.0, remedy=_ACCESS_REMEDY),
    Check("limits", server.check_limits, needs=("access",)),
    Check(
        "API", server.check_api, needs=("configuration", "proxy"), seconds=6.0, remedy="spotify-ads api changes FILE"
    ),
)
"""Every check, in the order in which its findings are told: what others hang on comes first."""

_ORDER = (Outcome.PROBLEM, Outcome.NOTE, Outcome.OK, Outcome.SKIPPED)


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Find out what is published nowhere, on drafts that are deleted again.")
    ] = False,
    yes: Yes = False,
    ad_account: AdAccount = None,
) -> None:
    """Find out what keeps this from working.

    Settings, network, clock, sign-in, terms, accounts, limits, changes of the API.
    It changes nothing, spends some ten requests, and shows no secret, so that what it writes can go into a bug report.
    Problems come first, each with what to do. The exit code is 1 where there is one.

    With --probe it asks first, and then finds out how changes work, on drafts in one ad account that never go live:
    whether a PATCH merges or replaces objects and lists, what becomes of keys that the API does not know, and which
    window the X-RateLimit headers describe. The answers are kept in a file, which bulk changes go by.
    """
    if probe:
        if as_json:
            usage_error("--json is for the examination; --probe writes its own file")
        account = needed(ad_account)
        run(lambda: probe_api(account, yes=yes))
    run(lambda: _doctor(as_json=as_json))


async def _doctor(*, as_json: bool) -> int:
    findings = await examine(CHECKS, Examination())
    problems = [one for one in findings if one.outcome is Outcome.PROBLEM]
    if as_json:
        show({"findings": msgspec.to_builtins(findings)})
    else:
        _tell(findings)
        say(f"{len(problems) or 'no'} problem{'s' if len(problems) != 1 else ''} found")
    return FAILED if problems else DONE


def _tell(findings: Sequence[Finding]) -> None:
    """What was found, for people: problems first."""
    for outcome in _ORDER:
        for one in findings:
            if one.outcome is outcome:
                sys.stdout.write(printable(f"{outcome:<8}{one.check}: {one.text}") + "\n")
                if one.remedy:
                    sys.stdout.write(printable(f"        → {one.remedy}") + "\n")
