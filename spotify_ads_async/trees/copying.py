"""Copies: their drafts made by plans, and published; with a receipt, from where an earlier run ended."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import CampaignStatus, PublishAction
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.drafts import DraftTree, Unheld
from spotify_ads_async.trees.going_live import GoingLive, Published
from spotify_ads_async.trees.making import Maker, OnMade, is_there
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, LeftOut, PartPlan
from spotify_ads_async.trees.products import hold_ad_set, hold_campaigns
from spotify_ads_async.trees.receipts import Event, Receipt

__all__ = ["Copier"]


class Copier:
    """Makes what plans say, in one ad account.

    Args:
        session: what makes the calls.
        ad_account_id: where.
        on_made: told of every draft.
    """

    def __init__(self, session: Session, ad_account_id: str, on_made: OnMade | None) -> None:
        self._session = session
        self._ad_account_id = ad_account_id
        self._account = AdAccountResources(session, ad_account_id)
        self._going_live = GoingLive(session, ad_account_id)
        self._on_made = on_made

    async def ad_set(self, plan: AdSetPlan, campaign_id: str, left_out: list[LeftOut], *, publish: bool) -> DraftTree:
        """Make an ad set within a campaign.

        Raises:
            InvalidRequest: it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        await hold_ad_set(self._session, self._ad_account_id, plan.parts(), campaign_id)
        alone = not await is_there(self._account, campaign_id)
        maker = Maker(self._session, self._ad_account_id, self._on_made)
        await maker.ad_set(plan, campaign_id, alone=alone)
        checking = self._checking(campaign_id, maker)
        ending = (lambda: self._going_live.ad_set(plan, campaign_id, maker.ids)) if publish else checking
        return await self._finished(campaign_id, maker.ids, plan.parts(), left_out, ending)

    async def campaign(self, plan: CampaignPlan | LeftOut, receipt: Path | None, *, publish: bool) -> DraftTree:
        """Make one campaign; arguments are those of :meth:`campaigns`.

        Raises:
            InvalidRequest: it cannot be made, or the receipt has it already; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        if isinstance(plan, LeftOut):
            raise InvalidRequest(
                f"campaign {plan.original_id} ({plan.name}) is archived, and a copy would run again: nothing was sent",
                path="status",
                rule="not archived",
            )
        done = await self.campaigns([plan], receipt, publish=publish)
        if not done:
            raise InvalidRequest(
                f"the receipt {receipt} has this copy already, whole: nothing was sent; name another receipt to make"
                " another copy",
                path="receipt",
                rule="of a copy that is not whole",
            )
        return done[0]

    async def campaigns(
        self,
        plans: Sequence[CampaignPlan | LeftOut],
        receipt: Path | None,
        *,
        publish: bool,
        on_done: Callable[[DraftTree], object] | None = None,
    ) -> list[DraftTree]:
        """Make campaigns one by one; those that the receipt has already are left out.

        Args:
            plans: what shall be made; what is left out is not.
            receipt: the file that keeps what is done, or None.
            publish: let each go live if nothing is wrong.
            on_done: told of every campaign that is whole.

        Raises:
            ConfigurationError: another copy works with the receipt.
            InvalidRequest: something cannot be made, or the receipt is of other plans; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        wanted = [plan for plan in plans if isinstance(plan, CampaignPlan)]
        if receipt is None:
            return await self._each(wanted, None, publish=publish, on_done=on_done)
        opening = Receipt.opened(receipt, self._ad_account_id)
        kept = await anyio.to_thread.run_sync(opening.__enter__)
        try:
            _check_unchanged(wanted, kept, receipt)
            return await self._each(wanted, kept, publish=publish, on_done=on_done)
        finally:
            opening.__exit__(None, None, None)

    async def _each(
        self,
        wanted: Sequence[CampaignPlan],
        kept: Receipt | None,
        *,
        publish: bool,
        on_done: Callable[[DraftTree], object] | None,
    ) -> list[DraftTree]:
        done: list[DraftTree] = []
        await hold_campaigns(self._session, [plan.parts() for plan in wanted])
        for plan in wanted:
            try:
                made = await self._one(plan, kept, publish=publish)
            except Exception as error:
                if len(wanted) > 1:
                    ids = ", ".join(one.campaign_id for one in done) or "none"
                    error.add_note(f"{len(done)} of {len(wanted)} campaigns are done: {ids}")
                raise
            if made is not None:
                done.append(made)
                if on_done is not None:
                    on_done(made)
        return done

    async def _one(self, plan: CampaignPlan, kept: Receipt | None, *, publish: bool) -> DraftTree | None:
        """Make one campaign, or find that it is made: then None."""
        maker = Maker(self._session, self._ad_account_id, self._on_made)
        status = _status(plan, publish=publish)
        if kept is None:
            draft_id = await maker.campaign(plan, status=status)
            ending = self._publishing(plan, draft_id, maker.ids) if publish else self._checking(draft_id, maker)
            return await self._finished(draft_id, maker.ids, plan.parts(), plan.left_out, ending)
        event = kept.of(plan.part.original_id)
        if event is not None and event.whole:
            return await self._publish_earlier(plan, event, kept) if publish and not event.published else None
        if event is not None and event.draft_id:
            await self._delete_half_made(plan, event.draft_id)
            event = None
        if event is None:
            event = Event(
                ad_account_id=self._ad_account_id,
                original_id=plan.part.original_id,
                key=str(uuid.uuid4()),
                digest=plan.digest(),
            )
            await anyio.to_thread.run_sync(kept.write, event)

        async def begun(draft_id: str) -> None:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(event, draft_id=draft_id))

        draft_id = await maker.campaign(plan, status=status, key=event.key, begun=begun)
        whole = msgspec.structs.replace(event, draft_id=draft_id, ids=maker.ids, whole=True)
        # Before it is published: what may be live is never made twice.
        await anyio.to_thread.run_sync(kept.write, whole)
        ending = self._publishing(plan, draft_id, maker.ids) if publish else self._checking(draft_id, maker)
        return await self._recorded(plan, whole, kept, ending)

    async def _delete_half_made(self, plan: CampaignPlan, draft_id: str) -> None:
        if await is_there(self._account, draft_id):
            await self._account.drafts.campaigns.delete(draft_id)
        elif await self._going_live.is_live(draft_id):
            raise InvalidRequest(
                f"campaign {plan.part.name} was half made when an earlier import ended, and somebody published it"
                f" since: campaign {draft_id} is live and may lack parts; archive it, take its lines out of the"
                " receipt, and import again",
                path="receipt",
                rule="a draft that nobody published",
            )

    async def _recorded(
        self, plan: CampaignPlan, whole: Event, kept: Receipt, ending: Callable[[], Awaitable[Published]]
    ) -> DraftTree:
        made = await self._finished(whole.draft_id, whole.ids, plan.parts(), plan.left_out, ending)
        if made.published:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(whole, published=True))
        return made

    async def _publish_earlier(self, plan: CampaignPlan, event: Event, kept: Receipt) -> DraftTree:
        """Publish what an earlier import made; where that went live and ended early, go on from there."""
        campaign_id, ids = event.draft_id, event.ids
        if await is_there(self._account, campaign_id):
            return await self._recorded(plan, event, kept, self._publishing(plan, campaign_id, ids))
        if await self._going_live.is_live(campaign_id):
            return await self._recorded(
                plan, event, kept, lambda: self._going_live.finish(plan, campaign_id, ids, Published(notes=[]))
            )
        raise InvalidRequest(
            f"the draft {campaign_id} of campaign {plan.part.name} is neither a draft any more nor live: somebody"
            " deleted it; take its lines out of the receipt to make it anew",
            path="receipt",
            rule="drafts that are there",
        )

    def _publishing(
        self, plan: CampaignPlan, campaign_id: str, ids: Mapping[str, str]
    ) -> Callable[[], Awaitable[Published]]:
        return lambda: self._going_live.campaign(plan, campaign_id, ids)

    def _checking(self, campaign_id: str, maker: Maker) -> Callable[[], Awaitable[Published]]:
        async def check() -> Published:
            errors = await self._going_live.errors(campaign_id, PublishAction.VALIDATE)
            return Published(errors=errors, notes=[], differences=maker.differences)

        return check

    async def _finished(
        self,
        campaign_id: str,
        ids: dict[str, str],
        parts: list[PartPlan],
        left_out: list[LeftOut],
        ending: Callable[[], Awaitable[Published]],
    ) -> DraftTree:
        """Validate drafts that are complete, or publish them; what is there in the end."""
        try:
            done = await ending()
        except BaseException as error:
            error.add_note(
                f"the draft of campaign {campaign_id} is complete and stays, unless it went live: then the campaign is"
                " paused; look at it, and validate and publish it, or delete it"
            )
            raise
        unheld = [
            Unheld(kind=part.kind, name=part.name, draft_id=ids[part.original_id], values=part.unheld)
            for part in parts
            if part.unheld and not done.live
        ]
        notes = [f"{part.kind.replace('_', ' ')} {part.name}: {note}" for part in parts for note in part.notes]
        return DraftTree(
            campaign_id=campaign_id,
            ids=ids,
            errors=done.errors,
            published=done.live,
            differences=done.differences,
            unheld=unheld,
            left_out=left_out,
            notes=[*notes, *done.notes],
        )


def _status(plan: CampaignPlan, *, publish: bool) -> str:
    """The status of a campaign's draft: what it is at once when it is published, by whomever."""
    return CampaignStatus.PAUSED if publish or plan.unheld() or not plan.runs else CampaignStatus.ACTIVE


def _check_unchanged(plans: Sequence[CampaignPlan], kept: Receipt, path: Path) -> None:
    """Refuse to go on with what was begun from other lines, or with other arguments."""
    changed = [
        plan.part.name
        for plan in plans
        if (event := kept.of(plan.part.original_id)) is not None and event.digest != plan.digest()
    ]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} others" if len(changed) > 3 else "")
        raise InvalidRequest(
            f"the receipt {path} is of other lines or options: {shown}. Import the same file with the same names, start"
            " and rates, or name another receipt to make everything once more; nothing was sent",
            path="receipt",
            rule="of the same file and options",
        )
