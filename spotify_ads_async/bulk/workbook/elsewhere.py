"""What others made of a plan's drafts since: published, deleted or changed them, or put something into them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.state import edits_between
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import WrongPlan
from spotify_ads_async.bulk.run.draft_kinds import drafts_within
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS, folded
from spotify_ads_async.bulk.workbook.planning import listed, listed_within
from spotify_ads_async.bulk.workbook.records import NewItem, NewState
from spotify_ads_async.client import AdsClient

__all__ = ["Elsewhere", "live_of_others", "look_elsewhere", "require_free_names"]

_GONE = "somebody deleted its draft: a workbook with its row makes it anew"
_ENDED = frozenset({CampaignState.PUBLISHED, CampaignState.DELETED})


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What became of drafts in other hands.

    Attributes:
        items: what is live by now, or gone.
        campaigns: the campaigns whose drafts are there no more.
        added: the names of drafts that are not the plan's, by the id of what they are in.
        edited: the fields that are not as they were when the draft was made, by its id.
    """

    items: Sequence[NewItem] = ()
    campaigns: Sequence[DraftCampaign] = ()
    added: Mapping[str, Sequence[str]] = {}
    edited: Mapping[str, Sequence[str]] = {}


async def look_elsewhere(
    ads: AdsClient, ad_account_id: str, items: Iterable[NewItem], campaigns: Iterable[DraftCampaign]
) -> Elsewhere:
    """Look at the drafts of campaigns that are neither published nor deleted, as far as the plan knows.

    Raises:
        SpotifyAdsError: they cannot be read.
    """
    looked_at = {one.id: one for one in campaigns if one.draft_id and one.state not in _ENDED}
    ours = {one.draft_id: one for one in items if one.is_there and one.campaign in looked_at}
    if not ours:
        return Elsewhere()
    drafts = await _drafts(ads, ad_account_id, list(ours.values()), [one.draft_id for one in looked_at.values()])
    missing = [one for identifier, one in ours.items() if identifier not in drafts]
    live = await _live(ads, ad_account_id, missing)
    found = [
        msgspec.structs.replace(one, state=NewState.PUBLISHED, reason="", field="")
        if one.draft_id in live
        else msgspec.structs.replace(one, state=NewState.GONE, reason=_GONE, field="")
        for one in missing
    ]
    published = {one.campaign for one in found if one.state is NewState.PUBLISHED}
    added: defaultdict[str, list[str]] = defaultdict(list)
    # The server makes drafts of what is live when something of ours is put into it.
    holders = {one.parent_id for one in ours.values()}
    within = {*ours, *(one.draft_id for one in looked_at.values())}
    for identifier, (draft, parent_id) in drafts.items():
        if identifier not in ours and identifier not in holders and parent_id in within:
            added[parent_id].append(draft.name or identifier)
    return Elsewhere(
        items=found,
        campaigns=[
            msgspec.structs.replace(
                looked_at[number],
                state=CampaignState.PUBLISHED if number in published else CampaignState.DELETED,
            )
            for number in {one.campaign for one in missing}
            if looked_at[number].draft_id not in drafts
        ],
        added=added,
        edited={
            identifier: fields
            for identifier, item in ours.items()
            if identifier in drafts
            if (
                fields := [
                    edit.name
                    for edit in edits_between(item.made, NEW_KINDS[item.plural].written(drafts[identifier][0]))
                ]
            )
        },
    )


async def live_of_others(ads: AdsClient, ad_account_id: str, items: Iterable[NewItem]) -> dict[str, list[str]]:
    """The names of what others made, and did not archive, in what a plan published; by the id of what it is in.

    Raises:
        SpotifyAdsError: they cannot be read.
    """
    ours = {one.draft_id: one for one in items if one.state is NewState.PUBLISHED}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for plural, kind in NEW_KINDS.items():
        parents = [identifier for identifier, one in ours.items() if one.plural == kind.parent]
        for one in await listed_within(ads, ad_account_id, plural, parents):
            if one.id not in ours:
                found[one.parent_id].append(one.name or one.id)
    return found


async def require_free_names(ads: AdsClient, ad_account_id: str, items: Iterable[NewItem]) -> None:
    """Look again whether names are free, since the plan may be an old one, or one of two of the same file.

    Raises:
        WrongPlan: something of a name is there by now.
        SpotifyAdsError: what is there cannot be read.
    """
    outermost = [one for one in items if one.parent is None]
    for plural, kind in NEW_KINDS.items():
        new = [one for one in outermost if one.plural == plural]
        if not new:
            continue
        parents = sorted({one.parent_id for one in new})
        there = await (
            listed_within(ads, ad_account_id, plural, parents)
            if kind.parent
            else listed(ads, ad_account_id, plural, kind.parent_field, {})
        )
        taken = {(folded(one.name), one.parent_id): one for one in there}
        for item in new:
            if twin := taken.get((folded(item.name), item.parent_id)):
                raise WrongPlan(
                    f"{item.place}: since this was planned, somebody made {kind.entity.name} {twin.name} ({twin.id}),"
                    " or another plan did: nothing was made; plan the workbook again, which says what is there"
                )


async def _drafts(
    ads: AdsClient, ad_account_id: str, ours: Sequence[NewItem], campaign_ids: Sequence[str]
) -> dict[str, tuple[Any, str]]:
    """Every draft in some campaigns with the id of what it is in, by its own; of ads, those in ad sets of ours."""
    ad_sets = {one.draft_id for one in ours if one.plural == AD_SETS.plural}
    ad_sets |= {one.parent_id for one in ours if one.plural == ADS.plural and one.parent_id}
    found: dict[str, tuple[Any, str]] = {}
    for plural, within in (
        (CAMPAIGNS.plural, campaign_ids),
        (AD_SETS.plural, campaign_ids),
        (ADS.plural, sorted(ad_sets)),
    ):
        kind = NEW_KINDS[plural]
        for draft in await drafts_within(ads, ad_account_id, kind.draft, within):
            found[str(draft.id)] = (draft, str(getattr(draft, kind.parent_field)) if kind.parent else "")
    return found


async def _live(ads: AdsClient, ad_account_id: str, items: Sequence[NewItem]) -> set[str]:
    """The ids of those that are live."""
    live: set[str] = set()

    async def take(found: Sequence[Found]) -> None:
        live.update(identifier for identifier, entity in found if entity is not None)

    for plural, kind in NEW_KINDS.items():
        wanted = [one.draft_id for one in items if one.plural == plural]
        await read_present(ads, kind.entity, ad_account_id, wanted, take)
    return live
