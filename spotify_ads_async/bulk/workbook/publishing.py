"""The drafts of campaigns that hold something new: validated, their errors brought back to the cells, and published."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import anyio
import msgspec

from spotify_ads_async.bulk.run.draft_kinds import campaign_drafts
from spotify_ads_async.bulk.run.published import changed_around
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign
from spotify_ads_async.bulk.workbook.elsewhere import look_elsewhere
from spotify_ads_async.bulk.workbook.records import NewItem, NewState
from spotify_ads_async.bulk.workbook.work import Work
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.models import DraftValidationError

__all__ = ["Publishing", "field_of"]

_Step: TypeAlias = Callable[[DraftCampaign, int | None], Awaitable[None]]
"""Does something with a campaign whose draft is at a version, or not there."""

_ANEW = "a workbook with its row makes it anew"
_OTHER = re.compile(r"[^a-z0-9.]+")
_SHORTEST_WORD = 4
_SHOWN = 5


class Publishing:
    """The campaigns of one plan."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._added: dict[str, list[str]] = {}
        self._trees = work.ads.ad_account(work.header.ad_account_id).trees

    async def _versions(self, campaigns: Iterable[DraftCampaign]) -> dict[str, int | None]:
        """The versions of the campaigns' drafts, by their ids."""
        ids = [one.draft_id for one in campaigns]
        drafts = await campaign_drafts(self._work.ads, self._work.header.ad_account_id, ids)
        return {one: draft.draft_hierarchy_version for one, draft in drafts.items()}

    def _in_state(self, state: CampaignState) -> list[DraftCampaign]:
        return [one for one in self._work.campaigns.values() if one.state is state]

    # ---- before anything is made

    async def refuse_occupied(self) -> None:
        """Refuse what is new in a live campaign with a draft of somebody else's, which would be published too."""
        campaigns = [one for one in self._work.campaigns.values() if not one.is_new and not one.draft_id]
        ids = [one.id for one in campaigns]
        occupied = await campaign_drafts(self._work.ads, self._work.header.ad_account_id, ids)
        await self._work.note_live(set(ids) - occupied.keys())
        for campaign in campaigns:
            if campaign.id in occupied:
                reason = (
                    f"campaign {campaign.id} has a draft already, which would be published too: publish or delete it"
                    " first"
                )
                await self._work.settle(self._work.items_of(campaign), NewState.FAILED, reason)
            else:
                await self._work.record(campaign=msgspec.structs.replace(campaign, draft_id=campaign.id))

    async def settle_lost(self) -> None:
        """Find out what became of the drafts of an earlier run: of publishing that it began, and in other hands."""
        if not self._work.began_before:
            return
        if self._in_state(CampaignState.PUBLISHING):  # it may have left a moment ago
            await anyio.sleep(self._work.options.settle_after)
        try:
            await self._look_elsewhere(self._work.campaigns.values())
        except SpotifyAdsError as problem:
            for campaign in (*self._in_state(CampaignState.OPEN), *self._in_state(CampaignState.PUBLISHING)):
                await self._hold(campaign, f"what became of its draft could not be read: {problem}")
            self._work.stop(f"what became of the drafts could not be read: {problem}")
            return
        for campaign in self._in_state(CampaignState.PUBLISHING):
            await self._work.record(campaign=msgspec.structs.replace(campaign, state=CampaignState.OPEN))
        ended = {
            one.id: one.state
            for one in (*self._in_state(CampaignState.PUBLISHED), *self._in_state(CampaignState.DELETED))
        }
        late = [one for one in self._work.items.values() if one.state is NewState.WAITING and one.campaign in ended]
        for item in late:
            reason = f"its campaign was {ended[item.campaign].value} by somebody before this was made: {_ANEW}"
            await self._work.settle([item], NewState.FAILED, reason)

    async def _look_elsewhere(self, campaigns: Iterable[DraftCampaign]) -> None:
        """Write down what others made of the drafts.

        Raises:
            SpotifyAdsError: they cannot be read.
        """
        work = self._work
        found = await look_elsewhere(work.ads, work.header.ad_account_id, work.items.values(), campaigns)
        for campaign in found.campaigns:
            await work.record([one for one in found.items if one.campaign == campaign.id], campaign)
        for identifier, names in found.added.items():
            campaign = next((one.campaign for one in work.items.values() if one.draft_id == identifier), identifier)
            self._added.setdefault(campaign, []).extend(names)
        ended = {one.id for one in found.campaigns}
        await work.record([one for one in found.items if one.campaign not in ended])

    # ---- validating

    async def validate_all(self) -> None:
        """Validate every campaign of which everything is made."""
        whole = [
            one
            for one in self._in_state(CampaignState.OPEN)
            if (items := self._work.items_of(one)) and all(item.state is NewState.MADE for item in items)
        ]
        await self._at_versions(whole, self._validate, "the draft could not be validated")

    async def _at_versions(self, campaigns: Sequence[DraftCampaign], work: _Step, failed: str) -> None:
        try:
            versions = await self._versions(campaigns)
        except SpotifyAdsError as problem:
            for campaign in campaigns:
                await self._hold(campaign, f"{failed}: {problem}")
            return

        async def one(campaign: DraftCampaign) -> None:
            if not self._work.stopping.is_set():
                await work(campaign, versions.get(campaign.draft_id))

        await some_at_once(one, campaigns, at_once=self._work.options.concurrency)

    async def _hold(self, campaign: DraftCampaign, reason: str, state: CampaignState | None = None) -> None:
        """Leave everything of a campaign that was made as drafts, and say why."""
        concluded = None if state is None else msgspec.structs.replace(campaign, state=state)
        made = [one for one in self._work.items_of(campaign) if one.is_there]
        await self._work.settle(made, NewState.MADE, reason, concluded)

    async def _validate(self, campaign: DraftCampaign, version: int | None) -> None:
        try:
            known = await self._trees.version(campaign.draft_id) if version is None else version
            errors = await self._trees.validate(campaign.draft_id, version=known)
        except SpotifyAdsError as problem:
            await self._hold(campaign, f"the draft could not be validated: {problem}")
            return
        if errors:
            await self._refuse(campaign, errors)
            return
        await self._work.record(
            campaign=msgspec.structs.replace(campaign, state=CampaignState.VALID, version=known), tells=False
        )
        if not self._work.options.publish:
            await self._work.tell(self._work.items_of(campaign))

    async def _refuse(self, campaign: DraftCampaign, errors: Sequence[DraftValidationError]) -> None:
        """Bring each validation error back to the cell that it is about."""
        invalid = msgspec.structs.replace(campaign, state=CampaignState.INVALID)
        await self._work.record(_refused(self._work.items_of(campaign), errors), invalid)

    # ---- publishing

    async def publish_all(self) -> None:
        """Publish every campaign that is valid."""
        await self._at_versions(self._in_state(CampaignState.VALID), self._publish, "not published")

    async def _publish(self, campaign: DraftCampaign, version: int | None) -> None:
        if (added := self._added.get(campaign.id)) and not self._work.options.force:
            shown = ", ".join(added[:_SHOWN])
            reason = f"not published: somebody put {shown} into the draft, which --force publishes, too"
            await self._hold(campaign, reason, CampaignState.VALID)
            return
        if not self._work.options.force:
            try:
                changed = changed_around(await self._work.around(campaign.id))
            except SpotifyAdsError as problem:
                await self._hold(campaign, f"not published: {problem}", CampaignState.VALID)
                return
            if changed:
                reason = f"not published, which would put back what somebody changed: {changed}; --force publishes it"
                await self._hold(campaign, reason, CampaignState.VALID)
                return
        if version is None or version != campaign.version:
            reason = "not published: somebody changed the draft since it was validated; resuming validates it again"
            await self._hold(campaign, reason)
            return
        try:
            await self._work.record(campaign=msgspec.structs.replace(campaign, state=CampaignState.PUBLISHING))
            errors = await self._trees.publish(campaign.draft_id, version=version)
        except SpotifyAdsError as problem:
            if problem.may_have_taken_effect:
                await anyio.sleep(self._work.options.settle_after)
                if await self._read_back(campaign, str(problem)):
                    await self._hold(
                        campaign, f"not published: the request took no effect; resume the plan ({problem})"
                    )
            else:
                await self._hold(campaign, f"not published: {problem}", CampaignState.VALID)
            return
        if errors:
            await self._refuse(campaign, errors)
        else:
            await self._is_live(campaign)

    async def _is_live(self, campaign: DraftCampaign) -> None:
        live = msgspec.structs.replace(campaign, state=CampaignState.PUBLISHED)
        await self._work.settle(self._work.items_of(campaign), NewState.PUBLISHED, campaign=live)

    async def _read_back(self, campaign: DraftCampaign, why: str) -> bool:
        """Whether a campaign is known not to be published: its draft is still there."""
        try:
            await self._look_elsewhere([campaign])
        except SpotifyAdsError as problem:
            await self._hold(campaign, f"{why}; reading back failed: {problem}")
            return False
        is_draft = self._work.campaigns[campaign.id].state not in {CampaignState.PUBLISHED, CampaignState.DELETED}
        if is_draft:
            await self._work.record(campaign=msgspec.structs.replace(campaign, state=CampaignState.OPEN))
        return is_draft


def _refused(items: Sequence[NewItem], errors: Sequence[DraftValidationError]) -> list[NewItem]:
    """What is new in a campaign that is not valid, each with what is wrong with it. Pure."""
    by_id = {one.draft_id: one for one in items}
    wrong: dict[int, list[tuple[str, str]]] = {}
    others: list[str] = []
    for error in errors:
        item = by_id.get(error.validation_entity_id or "")
        message = error.message or "is not valid"
        if item is None:
            others.append(f"{error.validation_entity_type} {error.validation_entity_id}: {message}")
        else:
            wrong.setdefault(item.number, []).append((field_of(message, item.columns), message))
    found: list[NewItem] = []
    for item in items:
        state, reason, field = NewState.MADE, "made, but something else in its campaign is not valid", ""
        if item.number in wrong:
            state, reason = NewState.INVALID, "; ".join(message for _, message in wrong[item.number])
            field = next((one for one, _ in wrong[item.number] if one), "")
        elif others:
            state, reason = NewState.INVALID, f"its campaign's draft is not valid: {'; '.join(others)}"
        found.append(msgspec.structs.replace(item, state=state, reason=reason, field=field))
    return found


def field_of(message: str, columns: Mapping[str, str]) -> str:
    """The field of those with a cell that a message is about: ``end_time`` for “End time must be after start time”.

    The API names fields as they are written, in camelCase, or in words. The first that is named wins; where only an
    object is named, the first of its parts. Pure.
    """
    said = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", message).lower()
    words = f"_{'_'.join(part.strip('.') for part in _OTHER.split(said))}_"
    found: list[tuple[int, int, str]] = []
    for field in columns:
        parts = field.split(".")
        names = [".".join(parts[start:]) for start in range(len(parts))] + ["_".join(parts)]
        for name in names:
            place = words.find(f"_{name}_")
            if place >= 0 and len(name) >= _SHORTEST_WORD:
                found.append((place, -len(name), field))
    if found:
        return min(found)[2]
    return next((field for field in columns if (holder := field.rpartition(".")[0]) and f"_{holder}_" in words), "")
