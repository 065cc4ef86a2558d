"""One copy, of a campaign or of an ad set within one: how it is made, published, and found again."""

from __future__ import annotations

from typing import Protocol

from spotify_ads_async.core.session import Session
from spotify_ads_async.models import CampaignStatus, PublishAction
from spotify_ads_async.trees.comparing import Difference
from spotify_ads_async.trees.deleting import delete_campaign_draft
from spotify_ads_async.trees.going_live import GoingLive, Published
from spotify_ads_async.trees.making import Begun, Maker, delete_ad_set_draft, is_listed
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, LeftOut
from spotify_ads_async.trees.reading import Reader

__all__ = ["AdSetCopy", "CampaignCopy", "Copy"]


class Copy(Protocol):
    """What a copy is made by; ``draft_id`` is that of the campaign or ad set itself."""

    @property
    def plan(self) -> CampaignPlan | AdSetPlan:
        """What is made."""
        ...

    @property
    def left_out(self) -> list[LeftOut]:
        """What the copy does not have."""
        ...

    def campaign_id(self, draft_id: str) -> str:
        """The campaign that it is, or is in."""
        ...

    async def make(self, maker: Maker, *, key: str | None, begun: Begun | None) -> str:
        """Make its drafts; the id of its own one, which ``begun`` is told before anything is made in it."""
        ...

    async def publish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Let its drafts go live."""
        ...

    async def check(self, draft_id: str, found: list[Difference]) -> Published:
        """Validate drafts that stay drafts, and in which this was found as they were made."""
        ...

    async def finish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Set what drafts cannot hold where it is live, and compare."""
        ...

    async def compared(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Compare it where it is live, and change nothing."""
        ...

    async def is_draft(self, draft_id: str) -> bool:
        """Whether its draft is there."""
        ...

    async def is_live(self, draft_id: str) -> bool:
        """Whether it is live."""
        ...

    async def delete(self, draft_id: str) -> None:
        """Delete its draft with what is in it."""
        ...


class _Copy:
    def __init__(self, session: Session, ad_account_id: str, going_live: GoingLive) -> None:
        self._account = Reader(session, ad_account_id).account
        self._going_live = going_live

    def campaign_id(self, draft_id: str) -> str:
        """The campaign: itself, unless it is in one."""
        return draft_id

    async def check(self, draft_id: str, found: list[Difference]) -> Published:
        """Validate drafts that stay drafts, and in which this was found as they were made."""
        errors = await self._going_live.errors(self.campaign_id(draft_id), PublishAction.VALIDATE)
        return Published(errors=errors, notes=[], differences=found)


class CampaignCopy(_Copy):
    """A campaign, as its plan says."""

    def __init__(self, session: Session, ad_account_id: str, going_live: GoingLive, plan: CampaignPlan) -> None:
        super().__init__(session, ad_account_id, going_live)
        self.plan = plan
        self.left_out = plan.left_out

    async def make(self, maker: Maker, *, key: str | None, begun: Begun | None) -> str:
        """Make its drafts."""
        # What its draft says is what the campaign is at once when it is published, by whomever. And it is the same with
        # and without publishing: a run that goes on by a receipt may send it again, under the same idempotency key.
        paused = self.plan.unheld() or not self.plan.runs
        status = CampaignStatus.PAUSED if paused else CampaignStatus.ACTIVE
        return await maker.campaign(self.plan, status=status, key=key, begun=begun)

    async def publish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Let it go live."""
        return await self._going_live.campaign(self.plan, draft_id, ids)

    async def finish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Go on where it is live."""
        return await self._going_live.finish(self.plan, draft_id, ids, Published(notes=[]))

    async def compared(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Compare it where it is live."""
        return await self._going_live.compared(self.plan, draft_id, ids)

    async def is_draft(self, draft_id: str) -> bool:
        """Whether its draft is there."""
        return await is_listed(self._account, draft_id)

    async def is_live(self, draft_id: str) -> bool:
        """Whether it is live."""
        return await self._going_live.is_live(draft_id)

    async def delete(self, draft_id: str) -> None:
        """Delete its draft."""
        await delete_campaign_draft(self._account, draft_id)


class AdSetCopy(_Copy):
    """An ad set within a campaign, as its plan says."""

    def __init__(
        self,
        session: Session,
        ad_account_id: str,
        going_live: GoingLive,
        plan: AdSetPlan,
        *,
        campaign_id: str,
        left_out: list[LeftOut],
    ) -> None:
        super().__init__(session, ad_account_id, going_live)
        self.plan = plan
        self.left_out = left_out
        self._campaign_id = campaign_id

    def campaign_id(self, draft_id: str) -> str:
        """The campaign that it is in."""
        del draft_id
        return self._campaign_id

    async def make(self, maker: Maker, *, key: str | None, begun: Begun | None) -> str:
        """Make its drafts."""
        return await maker.ad_set(self.plan, self._campaign_id, key=key, begun=begun)

    async def publish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Let it go live, with whatever else is in the campaign's draft."""
        del draft_id
        return await self._going_live.ad_set(self.plan, self._campaign_id, ids)

    async def finish(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Go on where it is live."""
        del draft_id
        return await self._going_live.finish_ad_set(self.plan, self._campaign_id, ids, Published(notes=[]))

    async def compared(self, draft_id: str, ids: dict[str, str]) -> Published:
        """Compare it where it is live."""
        del draft_id
        return await self._going_live.compared_ad_set(self.plan, ids)

    async def is_draft(self, draft_id: str) -> bool:
        """Whether its draft is there."""
        drafts = self._account.drafts.ad_sets.list(campaign_ids=[self._campaign_id])
        return any([(one.id or "").lower() == draft_id.lower() async for one in drafts])

    async def is_live(self, draft_id: str) -> bool:
        """Whether it is live."""
        return await self._going_live.is_live_ad_set(draft_id)

    async def delete(self, draft_id: str) -> None:
        """Delete its draft."""
        await delete_ad_set_draft(self._account, draft_id, self._campaign_id)
