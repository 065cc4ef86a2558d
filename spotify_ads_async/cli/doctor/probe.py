"""``doctor --probe``: settles what is published nowhere.

It keeps the answers for bulk changes and for the next release.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import anyio.to_thread
import msgspec

from spotify_ads_async.cli.connect import connected, environment, facts_file, signed_in
from spotify_ads_async.cli.consent import agreed
from spotify_ads_async.cli.doctor.server import call_by_hand
from spotify_ads_async.cli.run import DONE, FAILED, say
from spotify_ads_async.cli.text import printable
from spotify_ads_async.core.transport import open_session
from spotify_ads_async.models import ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.operations import GET_AGGREGATE_REPORT, GET_BUSINESSES
from spotify_ads_async.probing import ApiFacts, RateWindow, described_window, probe, save_facts
from spotify_ads_async.settings import Settings

__all__ = ["probe_api"]

_ROUNDS = 3
_REPORT: Mapping[str, object] = {
    "entity_type": ReportEntityType.AD_ACCOUNT,
    "fields": [ReportFieldType.IMPRESSIONS],
    "granularity": ReportGranularity.LIFETIME,
    "limit": 1,
}


async def probe_api(ad_account: str, *, yes: bool) -> int:
    """Find out how PATCH works and what the headers describe, and write it down."""
    question = (
        f"make drafts of a campaign and an ad set in ad account {ad_account}, change them four times, and delete them"
        " again?"
    )
    if not await agreed(question, yes=yes):
        say("nothing was probed")
        return DONE
    settings = await environment()
    async with connected(settings) as ads:
        facts, deleted = await probe(ads, ad_account)
    facts = await _with_headers(settings, facts, ad_account)
    file = facts_file()
    try:
        await anyio.to_thread.run_sync(save_facts, facts, file)
    except OSError as problem:
        say(f"failed: {file} cannot be written ({problem.strerror or problem}); what was found out:")
        return FAILED
    finally:
        sys.stdout.writelines(printable(line) + "\n" for line in _told(facts))
    say(
        f"written to {file}: bulk changes go by it; please send it with a bug report, for the next release to learn"
        " from"
    )
    if not deleted:
        say("failed: the draft may be left: `spotify-ads drafts list` shows it, `spotify-ads drafts delete` deletes it")
    return DONE if deleted else FAILED


async def _with_headers(settings: Settings, facts: ApiFacts, ad_account: str) -> ApiFacts:
    """The facts with what the headers of a few reads describe."""
    credentials = await signed_in(settings)
    async with connected(settings) as ads, open_session(settings.transport) as http:
        general = [(await call_by_hand(http, credentials, ads, GET_BUSINESSES))[1] for _ in range(_ROUNDS)]
        path = {"ad_account_id": ad_account}
        reports = [
            (await call_by_hand(http, credentials, ads, GET_AGGREGATE_REPORT, path=path, query=_REPORT))[1]
            for _ in range(_ROUNDS)
        ]
    return msgspec.structs.replace(
        facts,
        rate_window=described_window(settings.limits, general),
        rate_window_of_reports=described_window(settings.limits, reports),
    )


def _told(facts: ApiFacts) -> Iterator[str]:
    unknown = "not found out"
    yield f"a PATCH does to objects that it names: {facts.objects or unknown}"
    yield f"a PATCH does to lists that it names: {facts.lists or unknown}"
    yield f"keys in an object that the API does not know are: {facts.unknown_keys or unknown}"
    yield f"fields of a request that the API does not know are: {facts.unknown_fields or unknown}"
    yield (
        f"the X-RateLimit headers describe: {_window(facts.rate_window)}; of reports:"
        f" {_window(facts.rate_window_of_reports)}"
    )


def _window(window: RateWindow | None) -> str:
    if window is None:
        return "nothing, for there are none"
    name = window.limit or "no limit that is kept"
    return f"{name} ({window.requests} requests, at most {window.longest_reset:g} s until they are free again)"
