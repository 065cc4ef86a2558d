"""Probing: what is published nowhere, found out on drafts that are deleted again and never go live.

Whether a PATCH merges the objects and lists that it names or replaces them, and whether keys that the API does not know
are refused, kept or dropped. Bulk changes send what such an answer allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import anyio
import msgspec

from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import InvalidAnswer, RequestRejected, SpotifyAdsError
from spotify_ads_async.governor import Limit
from spotify_ads_async.models import CampaignDraft
from spotify_ads_async.network.ratelimit_headers import rate_headers
from spotify_ads_async.operations import (
    CREATE_AD_SET_DRAFT,
    CREATE_CAMPAIGN_DRAFT,
    GET_AD_SET_DRAFT,
    UPDATE_AD_SET_DRAFT,
)
from spotify_ads_async.private_files import read_small_file, write_private_file
from spotify_ads_async.version import __version__

__all__ = ["ApiFacts", "Patching", "RateWindow", "UnknownKeys", "described_window", "load_facts", "probe", "save_facts"]

Patching: TypeAlias = Literal["merge", "replace"]
"""What a PATCH does to an object or a list that it names."""
UnknownKeys: TypeAlias = Literal["refused", "kept", "dropped"]
"""What becomes of keys that the API does not know."""

logger = logging.getLogger("spotify_ads_async")

_NAME = "spotify-ads doctor (deleted again at once)"
_TARGETS: Mapping[str, Any] = {"placements": ["MUSIC"], "genders": ["FEMALE"], "platforms": ["IOS", "ANDROID"]}
_OTHER_GENDER = ["MALE"]
_UNKNOWN = "spotify_ads_async_probe"
_CLEANUP_SECONDS = 20.0
_LARGEST_FILE = 64 * 1024


class RateWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Which window the ``X-RateLimit`` headers of answers describe.

    Attributes:
        limit: the name of the limit among those kept that fits, empty where none does.
        requests: what the headers call the limit.
        longest_reset: the most seconds until the window's end that an answer told.
    """

    limit: str = ""
    requests: int = 0
    longest_reset: float = 0.0


class ApiFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about an API, None for what was not.

    Attributes:
        base_url: of which API.
        found_at: when, in UTC.
        version: of this package.
        objects: what a PATCH does to an object that it names.
        lists: what a PATCH does to a list that it names.
        unknown_keys: what becomes of keys that the API does not know, within an object.
        unknown_fields: the same, beside the fields of the request itself.
        rate_window: which window the ``X-RateLimit`` headers describe.
        rate_window_of_reports: which one they describe on reports.
    """

    base_url: str
    found_at: str
    version: str = __version__
    objects: Patching | None = None
    lists: Patching | None = None
    unknown_keys: UnknownKeys | None = None
    unknown_fields: UnknownKeys | None = None
    rate_window: RateWindow | None = None
    rate_window_of_reports: RateWindow | None = None


async def probe(ads: AdsClient, ad_account_id: str) -> tuple[ApiFacts, bool]:
    """Find out how PATCH works, on the draft of a campaign with one ad set, and whether that is deleted again.

    Raises:
        SpotifyAdsError: a call failed; a note says what became of the draft.
    """
    # What is asked about is what no document has.
    lenient = ads.with_options(validate=False)
    path = {"ad_account_id": ad_account_id}
    # A draft that is being made can be deleted only when its answer names it: giving up waits for that.
    making = asyncio.ensure_future(lenient.call(CREATE_CAMPAIGN_DRAFT, path=path, body={"name": _NAME}))
    failure: BaseException | None = None
    try:
        draft = await asyncio.shield(making)
        facts = await _probe_in(lenient, path, draft.id)
    except BaseException as error:
        failure = error
        raise
    finally:
        left = await _deleted(lenient, path, making)
        if isinstance(failure, SpotifyAdsError):
            failure.add_note(left or "the draft of the probe was deleted again, or never made: nothing is left")
        elif left:
            logger.warning("%s", left)
    return facts, not left


async def _deleted(ads: AdsClient, path: Mapping[str, str], making: Awaitable[CampaignDraft]) -> str:
    """Delete the draft with what is in it, once it is made; why it may be there still, empty where it is gone."""
    name = repr(_NAME)
    try:
        with anyio.fail_after(_CLEANUP_SECONDS, shield=True):
            name = (await making).id or name
            await ads.ad_account(path["ad_account_id"]).trees.delete(name)
    except TimeoutError:
        return (
            f"the draft of the probe, {name}, may be there still: deleting it took longer than {_CLEANUP_SECONDS:.0f} s"
        )
    except SpotifyAdsError as problem:
        known = name != repr(_NAME) or problem.may_have_taken_effect
        return f"the draft of the probe, {name}, could not be deleted again: {problem}" if known else ""
    return ""


async def _probe_in(ads: AdsClient, path: Mapping[str, str], campaign_id: str | None) -> ApiFacts:
    if not campaign_id:
        raise InvalidAnswer("the answer names no draft of the campaign", may_have_taken_effect=True)
    body = {"name": _NAME, "campaign_id": campaign_id, "targets": _TARGETS}
    made = await _raw(ads, CREATE_AD_SET_DRAFT, path, body)
    path = {**path, "draft_ad_set_id": str(made.get("id"))}
    before = _targets(await _raw(ads, GET_AD_SET_DRAFT, path))
    await _raw(ads, UPDATE_AD_SET_DRAFT, path, {"targets": {"genders": _OTHER_GENDER}})
    after = _targets(await _raw(ads, GET_AD_SET_DRAFT, path))
    found = ApiFacts(base_url=ads.base_url, found_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    if not set(_OTHER_GENDER) <= _members(after, "genders"):
        # What was sent has not come to be, or is not shown, so what else is there says nothing.
        return found
    return msgspec.structs.replace(
        found,
        objects=_patching(before, after),
        lists=_listing(_members(after, "genders")),
        unknown_keys=await _unknown(
            ads, path, {"targets": {**after, "genders": _OTHER_GENDER, _UNKNOWN: "x"}}, inside="targets"
        ),
        unknown_fields=await _unknown(ads, path, {"name": _NAME, _UNKNOWN: "x"}),
    )


def _patching(before: Mapping[str, Any], after: Mapping[str, Any]) -> Patching | None:
    """Whether what the PATCH did not name is still there.

    Placements are left out: the server may ask for them and keep them.
    """
    platforms = _members(before, "platforms")
    if not platforms:
        return None
    return "merge" if _members(after, "platforms") == platforms else "replace"


def _members(targets: Mapping[str, Any], name: str) -> set[str]:
    """A list's values, in whichever order the server tells them."""
    values = targets.get(name)
    return set(map(str, cast("list[object]", values))) if isinstance(values, list) else set()


def _listing(genders: set[str]) -> Patching | None:
    """Whether the list is the new one alone, or has the old value too."""
    if genders == set(_OTHER_GENDER):
        return "replace"
    return "merge" if genders == {*_OTHER_GENDER, *_TARGETS["genders"]} else None


async def _unknown(ads: AdsClient, path: Mapping[str, str], body: dict[str, Any], *, inside: str = "") -> UnknownKeys:
    """What becomes of a key that the API does not know."""
    try:
        await _raw(ads, UPDATE_AD_SET_DRAFT, path, body)
    except RequestRejected as refused:
        if refused.status != 400:
            raise
        return "refused"
    there = await _raw(ads, GET_AD_SET_DRAFT, path)
    return "kept" if _UNKNOWN in (there.get(inside) or {} if inside else there) else "dropped"


async def _raw(
    ads: AdsClient,
    operation: Any,  # noqa: ANN401 - any operation
    path: Mapping[str, str],
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The answer as plain JSON: with the keys that this version does not know."""
    return await ads.call(msgspec.structs.replace(operation, answer=dict[str, Any]), path=path, body=body)


def _targets(draft: Mapping[str, Any]) -> dict[str, Any]:
    targets = draft.get("targets")
    return cast("dict[str, Any]", targets) if isinstance(targets, dict) else {}


def described_window(limits: Iterable[Limit], seen: Iterable[Mapping[str, str]]) -> RateWindow | None:
    """Which window the headers of several answers describe; None where they hold none.

    Args:
        limits: those that are kept.
        seen: the headers of answers.
    """
    told = [one for headers in seen if (one := rate_headers(headers)).limit is not None]
    if not told:
        return None
    requests = told[-1].limit or 0
    longest_reset = max(one.reset or 0.0 for one in told)
    fitting = sorted(
        (one for one in limits if one.requests == requests and one.window >= longest_reset), key=lambda one: one.window
    )
    return RateWindow(limit=fitting[0].name if fitting else "", requests=requests, longest_reset=longest_reset)


def save_facts(facts: ApiFacts, file: Path) -> None:
    """Write what was found out, all or nothing, in place of what was there.

    Raises:
        OSError: the file cannot be written.
    """
    write_private_file(file, msgspec.json.format(msgspec.json.encode(facts)) + b"\n")


def load_facts(file: Path, base_url: str) -> ApiFacts | None:
    """What was found out about the API at ``base_url``; None where nothing was, or where the file cannot be read."""
    try:
        facts = msgspec.json.decode(read_small_file(file, _LARGEST_FILE), type=ApiFacts)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return facts if facts.base_url == base_url else None
