"""Trees, and the requests that make their drafts. Pure: nothing is sent here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import (
    Ad,
    AdCreate,
    AdDraftCreate,
    AdSet,
    AdSetCreate,
    AdSetDraftCreate,
    Campaign,
    CampaignCreate,
    CampaignDraftCreate,
)
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import CREATE_AD_DRAFT, CREATE_AD_SET_DRAFT, CREATE_CAMPAIGN_DRAFT
from spotify_ads_async.types import Answer, OpenEnum, Request, decode_hook
from spotify_ads_async.validation.requests import check_body

__all__ = ["AdSetBodies", "AdSetTree", "Bodies", "CampaignTree", "Rename", "ad_set_bodies", "bodies", "moved", "same", "shift"]

RequestT = TypeVar("RequestT", bound=Request)
Rename: TypeAlias = Callable[[str], str]

# A draft's parent is known once that is made; until then this stands for it.
_PARENT_TO_COME = "00000000-0000-4000-8000-000000000000"


class AdSetTree(msgspec.Struct, frozen=True, kw_only=True):
    """An ad set with its ads."""

    ad_set: AdSet
    ads: list[Ad]


class CampaignTree(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its ad sets and their ads."""

    campaign: Campaign
    ad_sets: list[AdSetTree]


class AdSetBodies(NamedTuple):
    """What makes an ad set's draft and those of its ads, each with the id of its original."""

    original_id: str
    body: AdSetDraftCreate
    ads: list[tuple[str, AdDraftCreate]]


class Bodies(NamedTuple):
    """What makes a campaign's draft and those of all that is in it."""

    original_id: str
    body: CampaignDraftCreate
    ad_sets: list[AdSetBodies]


def moved(moment: datetime | None, by: timedelta) -> datetime | None:
    """A moment later by ``by``; none stays none."""
    return None if moment is None else moment + by


def same(name: str) -> str:
    """The rename that changes nothing."""
    return name


def shift(ad_sets: Iterable[AdSetTree], start: datetime | None) -> timedelta:
    """By how much dates move so that the first ad set starts at ``start``."""
    starts = [one.ad_set.start_time for one in ad_sets if one.ad_set.start_time is not None]
    if start is None or not starts:
        return timedelta(0)
    return (start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)) - min(starts)


def bodies(tree: CampaignTree, rename: Rename, by: timedelta) -> Bodies:
    """The requests of a whole tree, each held to the rules.

    Raises:
        InvalidRequest: something in the tree cannot be made.
    """
    campaign = tree.campaign
    body = _draft("campaign", campaign, CREATE_CAMPAIGN_DRAFT, CampaignCreate, CampaignDraftCreate)
    return Bodies(campaign.id or "", body, [ad_set_bodies(one, rename, by) for one in tree.ad_sets])


def ad_set_bodies(tree: AdSetTree, rename: Rename, by: timedelta, *, name: str | None = None) -> AdSetBodies:
    """The requests of an ad set and its ads; ``name`` is for the ad set instead of its renamed one.

    Raises:
        InvalidRequest: something in it cannot be made.
    """
    ad_set = msgspec.structs.replace(
        tree.ad_set,
        name=name or rename(tree.ad_set.name or ""),
        campaign_id=_PARENT_TO_COME,
        start_time=moved(tree.ad_set.start_time, by),
        end_time=moved(tree.ad_set.end_time, by),
    )
    body = _draft("ad set", ad_set, CREATE_AD_SET_DRAFT, AdSetCreate, AdSetDraftCreate)
    ads = [msgspec.structs.replace(ad, name=rename(ad.name or ""), ad_set_id=_PARENT_TO_COME) for ad in tree.ads]
    return AdSetBodies(ad_set.id or "", body, [(ad.id or "", _draft("ad", ad, CREATE_AD_DRAFT, AdCreate, AdDraftCreate)) for ad in ads])


def _draft(noun: str, answer: Campaign | AdSet | Ad, operation: Operation[Any], live: type[Request], draft: type[RequestT]) -> RequestT:
    """What was answered, as the request of a draft: without what only answers have."""
    # Nested parts know how to become those of live requests; drafts have the same, with fewer that must be there.
    names = [name for name in draft.__struct_fields__ if name in live.__struct_fields__ or name in {"delivery_goal", "objective"}]
    given = {name: getattr(answer, name, None) for name in names}
    parts = {name: _sent(value) for name, value in given.items() if value is not None and not _only_answered(value)}
    try:
        body = msgspec.convert(parts, draft, dec_hook=decode_hook)
        check_body(operation, body, now=datetime.now(UTC))
    except msgspec.ValidationError as problem:
        error = InvalidRequest(str(problem), operation=operation.id, path="body", rule="as the API takes it")
        error.add_note(f"{noun} {answer.id} ({answer.name}) cannot be made; nothing was sent")
        raise error from None
    except InvalidRequest as error:
        error.add_note(f"{noun} {answer.id} ({answer.name}) cannot be made; nothing was sent")
        raise
    return body


def _sent(value: object) -> object:
    if isinstance(value, list):
        return [_sent(one) for one in cast("list[object]", value)]
    if isinstance(value, Answer):
        value = cast("Any", value).as_request()
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def _only_answered(value: object) -> bool:
    return isinstance(value, OpenEnum) and value.value in type(value).answer_only
