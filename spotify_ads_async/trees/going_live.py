"""From drafts to live: paused until everything is as it was wanted, and never running before."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown, RequestRejected, SpotifyAdsError
from spotify_ads_async.models import (
    AdSetUpdate,
    AdUpdate,
    CampaignDraft,
    CampaignDraftPublish,
    CampaignDraftPublishResult,
    CampaignDraftUpdate,
    CampaignStatus,
    CampaignUpdate,
    DraftValidationError,
    PublishAction,
)
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.comparing import Difference, differences, differences_in_ad_sets
from spotify_ads_async.trees.deleting import is_there
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, PartPlan
from spotify_ads_async.trees.reading import Reader
from spotify_ads_async.types import decode_hook

__all__ = ["GoingLive", "Published"]

_TRIES = 2
_SET = (CampaignStatus.ACTIVE, CampaignStatus.PAUSED)  # by people; the others are the server's


class Published(msgspec.Struct, kw_only=True):
    """What became of publishing.

    Errors of the draft, or a live campaign with its differences, and what else is to be said.
    """

    errors: list[DraftValidationError] = []
    live: bool = False
    differences: list[Difference] = []
    notes: list[str] = []


class GoingLive:
    """Publishes drafts of one ad account."""

    def __init__(self, session: Session, ad_account_id: str) -> None:
        self._account = AdAccountResources(session, ad_account_id)
        self._reader = Reader(session, ad_account_id)

    # ---- the two steps of the API

    async def draft(self, campaign_id: str) -> tuple[CampaignDraft, int]:
        """A campaign's draft and its version."""
        draft = await self._account.drafts.campaigns.get(campaign_id)
        if draft.draft_hierarchy_version is None:
            raise InvalidAnswer("the draft has no version", operation="getCampaignDraft")
        return draft, draft.draft_hierarchy_version

    async def act(self, campaign_id: str, action: PublishAction, version: int) -> CampaignDraftPublishResult:
        """VALIDATE or PUBLISH a campaign's draft at a version."""
        body = CampaignDraftPublish(action=action, draft_hierarchy_version=version)
        try:
            return await self._account.drafts.campaigns.publish(campaign_id, body)
        except RequestRejected as refused:
            # What is wrong with a draft comes with a 400.
            found = refused.details.get("validation_errors")
            if not found:
                raise
            errors = msgspec.convert(found, list[DraftValidationError], dec_hook=decode_hook)
            return CampaignDraftPublishResult(validation_errors=errors)

    async def errors(
        self, campaign_id: str, action: PublishAction, version: int | None = None
    ) -> list[DraftValidationError]:
        """VALIDATE or PUBLISH a draft, at the version that it has now if left out: what keeps it from going live.

        Raises:
            InvalidAnswer: a validation is about another campaign.
            OutcomeUnknown: nothing shows that the draft was published.
        """
        known = (await self.draft(campaign_id))[1] if version is None else version
        done = await self.act(campaign_id, action, known)
        if done.validation_errors:
            return done.validation_errors
        shown = done.campaign is not None and (done.campaign.id or "").lower() == campaign_id.lower()
        if action is PublishAction.PUBLISH and not shown:
            await _require_published(self._account.drafts.campaigns.get(campaign_id))
        if action is PublishAction.VALIDATE and not shown and done.campaign is not None:
            raise InvalidAnswer(f"the answer is about campaign {done.campaign.id}", operation="publishCampaignDraft")
        return []  # a draft that is not valid is refused with a 400

    async def is_live(self, campaign_id: str) -> bool:
        """Whether there is a live campaign of this id, whatever its status."""
        return await is_there(self._account.campaigns.get(campaign_id))

    async def is_live_ad_set(self, ad_set_id: str) -> bool:
        """Whether there is a live ad set of this id."""
        return await is_there(self._account.ad_sets.get(ad_set_id))

    # ---- whole campaigns

    async def campaign(self, plan: CampaignPlan, campaign_id: str, ids: Mapping[str, str]) -> Published:
        """Publish a campaign's draft: paused, until what drafts cannot hold is set and all is as it was wanted.

        Then as wanted.
        """
        done = Published(notes=[])
        draft, version = await self.draft(campaign_id)
        paused = draft.status == CampaignStatus.PAUSED
        if not paused:
            await self._account.drafts.campaigns.update(campaign_id, CampaignDraftUpdate(status=CampaignStatus.PAUSED))
            draft, version = await self.draft(campaign_id)
            paused = draft.status == CampaignStatus.PAUSED
        checked = await self.act(campaign_id, PublishAction.VALIDATE, version)
        if checked.validation_errors:
            done.errors = checked.validation_errors
            return done
        if checked.campaign is not None and checked.campaign.status is not None:
            paused = paused and checked.campaign.status == CampaignStatus.PAUSED
        if not paused and (plan.unheld() or not plan.runs):
            done.notes.append(
                f"not published: the draft of campaign {campaign_id} does not stay paused, so what is in it would run"
                " before it is as it was wanted; delete it, or publish it by hand"
            )
            return done
        try:
            published = await self.act(campaign_id, PublishAction.PUBLISH, version)
        except OutcomeUnknown:
            if not await self.is_live(campaign_id):
                raise
            published = CampaignDraftPublishResult()
        if published.validation_errors:
            done.errors = published.validation_errors
            return done
        return await self.finish(plan, campaign_id, ids, done)

    async def finish(self, plan: CampaignPlan, campaign_id: str, ids: Mapping[str, str], done: Published) -> Published:
        """Set what the drafts of a live campaign could not hold, and compare.

        Let it run if it shall and all is well.
        """
        done.live = True
        status = (await self._account.campaigns.get(campaign_id)).status
        if status == CampaignStatus.ARCHIVED:  # by somebody: nothing in it can be changed any more
            return await self.compared(plan, campaign_id, ids)
        if status == CampaignStatus.ACTIVE and (plan.unheld() or not plan.runs):
            status = await self._run(campaign_id, CampaignStatus.PAUSED)
            meanwhile = "was paused until then" if status == CampaignStatus.PAUSED else "did not let itself be paused"
            done.notes.append(
                f"campaign {campaign_id} ({plan.part.name}) was live and running before it was as it was wanted, and"
                f" {meanwhile}: see what it delivered"
            )
        parts = plan.unheld()
        for _ in range(_TRIES):
            for part in parts:
                await self._set(part, ids.get(part.original_id, ""))
            done.differences = await self._differences(plan, campaign_id, ids, running=False)
            parts = _settable(plan.unheld(), done.differences)
            if not parts:
                break
        if done.differences:
            now = await self._run(campaign_id, CampaignStatus.PAUSED)
            done.notes.append(
                f"campaign {campaign_id} ({plan.part.name}) {_held(status, now)}: it is not as it was wanted"
            )
            return done
        wanted = CampaignStatus.ACTIVE if plan.runs else CampaignStatus.PAUSED
        found = await self._run(campaign_id, wanted)
        if found != wanted:
            done.differences = [
                Difference(
                    kind="campaign",
                    name=plan.part.name,
                    id=campaign_id,
                    attribute="status",
                    wanted=str(wanted),
                    found=str(found),
                )
            ]
        return done

    async def compared(self, plan: CampaignPlan, campaign_id: str, ids: Mapping[str, str]) -> Published:
        """Compare a live campaign with what was wanted, and change nothing: somebody may have decided since."""
        return Published(live=True, differences=await self._differences(plan, campaign_id, ids, running=True), notes=[])

    async def _differences(
        self, plan: CampaignPlan, campaign_id: str, ids: Mapping[str, str], *, running: bool
    ) -> list[Difference]:
        return differences(plan, ids, await self._reader.read(campaign_id, archived=True), running=running)

    async def _run(self, campaign_id: str, status: CampaignStatus) -> CampaignStatus | None:
        """Let a campaign run or not; its status then, as it is read back."""

        async def read() -> CampaignStatus | None:
            return (await self._account.campaigns.get(campaign_id)).status

        found = await read()
        if found == status:
            return found
        try:
            await self._account.campaigns.update(campaign_id, CampaignUpdate(status=status))
        except OutcomeUnknown:
            found = await read()
            if found != status:
                raise
            return found
        return await read()

    async def _set(self, part: PartPlan, identifier: str) -> None:
        """Set what a draft could not hold. An answer that is lost is no matter: all is read again."""
        if not identifier:
            return
        try:
            if part.kind == "ad_set":
                await self._account.ad_sets.update(identifier, msgspec.convert(part.unheld, AdSetUpdate))
            elif part.kind == "ad":
                await self._account.ads.update(identifier, msgspec.convert(part.unheld, AdUpdate))
        except OutcomeUnknown:
            return

    # ---- ad sets within a campaign that is live

    async def ad_set(self, plan: AdSetPlan, campaign_id: str, ids: Mapping[str, str]) -> Published:
        """Publish a campaign's draft for the sake of an ad set that was made in it."""
        done = Published(notes=[])
        unheld = [part for part in plan.parts() if part.unheld]
        status = (await self._account.campaigns.get(campaign_id)).status
        paused = status == CampaignStatus.PAUSED
        if unheld and not paused:
            done.notes.append(
                f"not published: campaign {campaign_id} runs, and so would ad set {plan.part.name} before it is as it"
                f" was wanted, for a draft cannot hold {_named(unheld)}; pause the campaign and publish again, or clone"
                " the whole campaign"
            )
            return done
        draft, version = await self.draft(campaign_id)
        if paused != (draft.status == CampaignStatus.PAUSED) and status is not None and status in _SET:
            # The draft is older than the pause, or than its end, and would undo it.
            await self._account.drafts.campaigns.update(campaign_id, CampaignDraftUpdate(status=status))
            draft, version = await self.draft(campaign_id)
        if paused != (draft.status == CampaignStatus.PAUSED):
            done.notes.append(
                f"not published: campaign {campaign_id} is {status}, and publishing its draft would make it"
                f" {draft.status}"
            )
            return done
        for action in (PublishAction.VALIDATE, PublishAction.PUBLISH):
            try:
                done.errors = (await self.act(campaign_id, action, version)).validation_errors or []
            except OutcomeUnknown:
                if not await self.is_live_ad_set(ids[plan.part.original_id]):
                    raise
            if done.errors:
                return done
        return await self.finish_ad_set(plan, campaign_id, ids, done)

    async def finish_ad_set(
        self, plan: AdSetPlan, campaign_id: str, ids: Mapping[str, str], done: Published
    ) -> Published:
        """Set what the drafts of a live ad set could not hold, and compare."""
        done.live = True
        unheld = [part for part in plan.parts() if part.unheld]
        parts: Sequence[PartPlan] = unheld
        for _ in range(_TRIES):
            for part in parts:
                await self._set(part, ids.get(part.original_id, ""))
            done.differences = await self._differences_in(plan, ids)
            parts = _settable(unheld, done.differences)
            if not parts:
                break
        if unheld and (await self._account.campaigns.get(campaign_id)).status != CampaignStatus.PAUSED:
            done.notes.append(
                f"campaign {campaign_id} runs, so ad set {plan.part.name} may have run before {_named(unheld)} was set:"
                " see what it delivered"
            )
        return done

    async def compared_ad_set(self, plan: AdSetPlan, ids: Mapping[str, str]) -> Published:
        """Compare a live ad set with what was wanted, and change nothing."""
        return Published(live=True, differences=await self._differences_in(plan, ids), notes=[])

    async def _differences_in(self, plan: AdSetPlan, ids: Mapping[str, str]) -> list[Difference]:
        found = await self._reader.ad_sets([await self._reader.ad_set(ids[plan.part.original_id])], archived=True)
        return differences_in_ad_sets([plan], ids, found)


async def _require_published(reading: Awaitable[CampaignDraft]) -> None:
    """Take an answer without the campaign for a publication only where the draft is gone: it may be live already.

    Raises:
        OutcomeUnknown: nothing shows that the draft was published.
    """
    said = "the server answered without the campaign"
    try:
        if not await is_there(reading):
            return
        said = f"{said}, and its draft is still there: look at what is live"
    except SpotifyAdsError as problem:
        said = f"{said}, and whether its draft is still there could not be read ({problem}): look at what is live"
    raise OutcomeUnknown(said, operation="publishCampaignDraft", cause=InvalidAnswer(said))


def _held(before: CampaignStatus | None, now: CampaignStatus | None) -> str:
    """What became of a campaign that shall not run, for people."""
    if now != CampaignStatus.PAUSED:
        return f"is not paused, its status is {now}"
    return "stays paused" if before == CampaignStatus.PAUSED else "ran, and is paused now"


def _settable(parts: Sequence[PartPlan], found: Sequence[Difference]) -> list[PartPlan]:
    """The parts of which something that drafts cannot hold still differs."""
    different = {(one.kind, one.name, one.attribute) for one in found}
    return [part for part in parts if any((part.kind, part.name, name) in different for name in part.unheld)]


def _named(parts: Sequence[PartPlan]) -> str:
    """What drafts cannot hold, for people."""
    return ", ".join(f"{'/'.join(part.unheld)} of {part.noun} {part.name}" for part in parts)
