"""What is there, held against what was wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, PartPlan
from spotify_ads_async.trees.tree import AdSetTree, CampaignTree, json_of
from spotify_ads_async.types import Answer, in_utc

__all__ = ["Difference", "differences", "differences_in_ad_sets", "differences_in_draft"]

_FLIGHT = ("start_time", "end_time")
_RESET = frozenset({"frequency_caps", "platforms"})
"""Lists that stand for the defaults where they are empty."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a copy that is not as it was wanted.

    Attributes:
        kind: campaign, ad_set or ad.
        name: the name of the campaign, ad set or ad that was wanted.
        id: its id; empty where it is not there.
        attribute: what differs; empty where the whole part is missing, or was not wanted.
        wanted: the value that was wanted, None where there should be none.
        found: the value that is there, None where there is none.
    """

    kind: str
    name: str
    id: str
    attribute: str
    wanted: Any
    found: Any


def differences(plan: CampaignPlan, ids: Mapping[str, str], found: CampaignTree, *, running: bool) -> list[Difference]:
    """What differs between a plan and the live campaign; ``ids`` leads from originals to copies.

    Whether it runs is compared too where ``running`` says so.
    """
    wanted = {name: value for name, value in plan.part.wanted.items() if running or name != "status"}
    campaign = msgspec.structs.replace(plan.part, wanted=wanted)
    return [
        *_of_part(campaign, ids, {found.campaign.id or "": found.campaign}),
        *differences_in_ad_sets(plan.ad_sets, ids, found.ad_sets),
    ]


def differences_in_ad_sets(
    plans: Sequence[AdSetPlan], ids: Mapping[str, str], found: Sequence[AdSetTree]
) -> list[Difference]:
    """What differs between the plans of ad sets and what is live, ads included.

    Also what is there and was not wanted.
    """
    ad_sets: dict[str, Answer] = {one.ad_set.id or "": one.ad_set for one in found}
    ads: dict[str, Answer] = {ad.id or "": ad for one in found for ad in one.ads}
    parents = {ad.id or "": one.ad_set.id for one in found for ad in one.ads}
    different: list[Difference] = []
    wanted: set[str] = set()
    for plan in plans:
        different += _of_part(plan.part, ids, ad_sets)
        ad_set_id = ids.get(plan.part.original_id, "")
        wanted.add(ad_set_id)
        for ad in plan.ads:
            ad_id = ids.get(ad.original_id, "")
            wanted.add(ad_id)
            different += _of_part(ad, ids, ads)
            if ad_id in parents and parents[ad_id] != ad_set_id:
                different.append(_difference(ad, ad_id, "ad_set_id", ad_set_id, parents[ad_id]))
    for kind, there in (("ad_set", ad_sets), ("ad", ads)):
        for identifier, one in there.items():
            if identifier not in wanted:
                name = str(json_of(one).get("name", ""))
                different.append(
                    Difference(kind=kind, name=name, id=identifier, attribute="", wanted=None, found="there")
                )
    return different


def differences_in_draft(part: PartPlan, made: Answer, identifier: str) -> list[Difference]:
    """What differs between a plan and the answer to the request that made its draft, as far as that tells."""
    found = json_of(made)
    return [
        _difference(part, identifier, name, value, found[name])
        for name, value in part.body.items()
        if name not in {"campaign_id", "ad_set_id", "status"}
        and found.get(name) is not None
        and not _fits(value, found[name], name)
    ]


def _of_part(part: PartPlan, ids: Mapping[str, str], there: Mapping[str, Answer]) -> list[Difference]:
    identifier = ids.get(part.original_id, "")
    one = there.get(identifier)
    if one is None:
        return [Difference(kind=part.kind, name=part.name, id="", attribute="", wanted="there", found=None)]
    found = json_of(one)
    different = [
        _difference(part, identifier, name, value, found.get(name))
        for name, value in {**part.wanted, **part.newer}.items()
        if not _fits(value, found.get(name), name)
    ]
    if part.kind != "campaign":
        different += [
            _difference(part, identifier, name, None, found[name])
            for name in _FLIGHT
            if name not in part.wanted and found.get(name) is not None
        ]
    if str(found.get("status")) == "ARCHIVED" and "status" not in part.wanted:
        different.append(_difference(part, identifier, "status", "not archived", "ARCHIVED"))
    return different


def _difference(part: PartPlan, identifier: str, attribute: str, wanted: object, found: object) -> Difference:
    return Difference(kind=part.kind, name=part.name, id=identifier, attribute=attribute, wanted=wanted, found=found)


def _fits(wanted: object, found: object, name: str) -> bool:
    """Whether ``found`` is what was wanted. It may hold more: the server fills in what was left out."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return not wanted
        inside = cast("Mapping[str, object]", found)
        return all(_fits(value, inside.get(key), key) for key, value in cast("Mapping[str, object]", wanted).items())
    if isinstance(wanted, list):
        return _lists_fit(cast("list[object]", wanted), found, name)
    if name in _FLIGHT:
        return _moment(wanted) == _moment(found)
    return wanted == found and isinstance(wanted, bool) == isinstance(found, bool)


def _lists_fit(wanted: list[object], found: object, name: str) -> bool:
    if not wanted and (name in _RESET or found is None):
        return True
    if not isinstance(found, list):
        return False
    there = cast("list[object]", found)
    if len(there) != len(wanted):
        return False
    if all(isinstance(one, str) for one in [*wanted, *there]):
        return sorted(map(str, wanted)) == sorted(map(str, there))
    return all(_fits(one, other, name) for one, other in zip(wanted, there, strict=True))


def _moment(value: object) -> object:
    try:
        return in_utc(datetime.fromisoformat(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        return value
