"""What the steps of one run share: everything new of a plan, and how a change of it is written and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path

import anyio
import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import RowOutcome
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.published import Around
from spotify_ads_async.bulk.run.staged_campaigns import read_around
from spotify_ads_async.bulk.store.draft_tables import DraftCampaign
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.workbook.records import NewItem, NewState
from spotify_ads_async.bulk.workbook.store import WorkbookPlan
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import AuthenticationError

__all__ = ["Work"]


class Work:
    """One run's hold on a plan, which nobody else has open meanwhile.

    Args:
        ads: makes the calls.
        plan: the plan; it is read here, and written through its journal from now on.
        options: how it is carried out.
        progress: where the run stands, changed in place.
        stopping: set when nothing new shall begin.
        stop: lets nothing new begin, for a reason.
        send: tells what ended.
    """

    def __init__(
        self,
        ads: AdsClient,
        plan: WorkbookPlan,
        options: Options,
        progress: Progress,
        *,
        stopping: anyio.Event,
        stop: Callable[[str], None],
        send: Callable[[NewItem], Awaitable[None]],
    ) -> None:
        self.ads = ads
        self.options = options
        self.progress = progress
        self.stopping = stopping
        self.stop = stop
        self.header = plan.header
        self.path: Path = plan.path
        self.began_before = plan.begun()
        self.items = {one.number: one for one in plan.items()}
        self.campaigns = {one.id: one for one in plan.campaigns()}
        self.media = {one.number: one for one in plan.media()}
        self._journal = Journal(plan)
        self._send = send

    @property
    def account(self) -> dict[str, str]:
        """The path parameter of the ad account."""
        return {"ad_account_id": self.header.ad_account_id}

    def items_of(self, campaign: DraftCampaign) -> list[NewItem]:
        """What is new in a campaign, without what somebody deleted."""
        return [one for one in self.items.values() if one.campaign == campaign.id and one.state is not NewState.GONE]

    async def record(
        self, items: Iterable[NewItem] = (), campaign: DraftCampaign | None = None, *, tells: bool = True
    ) -> None:
        """Write down what became of new things and of their campaign, in one transaction, and tell it."""
        changed = list(items)

        def write(plan: WorkbookPlan) -> None:
            plan.settle(changed)
            if campaign is not None:
                plan.conclude(campaign)

        # What has happened is written though the run is ending.
        with anyio.CancelScope(shield=True):
            await self._journal.write(write)
        self.items.update({one.number: one for one in changed})
        if campaign is not None:
            self.campaigns[campaign.id] = campaign
        if tells:
            await self.tell(changed)

    async def settle(
        self,
        items: Iterable[NewItem],
        state: NewState,
        reason: str = "",
        campaign: DraftCampaign | None = None,
        *,
        field: str = "",
    ) -> None:
        """The same for things that fare alike."""
        await self.record(
            [msgspec.structs.replace(one, state=state, reason=reason, field=field) for one in items], campaign
        )

    async def tell(self, items: Iterable[NewItem]) -> None:
        """Tell what ended."""
        for item in items:
            if item.outcome in {RowOutcome.FAILED, RowOutcome.REFUSED}:
                self.progress.failed += 1
            else:
                self.progress.done += 1
            await self._send(item)

    async def note_live(self, campaigns: Collection[str]) -> None:
        """Write down how live campaigns are, and ad sets in them, just before something is put into them.

        Raises:
            SpotifyAdsError: they cannot be read.
        """
        within = {one: one for one in campaigns}
        ad_sets = {one.parent_id: one.campaign for one in self.items.values() if one.plural == ADS.plural}

        async def take(found: Sequence[Found]) -> None:
            states = {one: state_of(answer) for one, answer in found if answer is not None}

            def write(plan: WorkbookPlan) -> None:
                for one, state in states.items():
                    plan.live.surround(one, within[one], state)

            await self._journal.write(write)

        await read_present(self.ads, CAMPAIGNS, self.header.ad_account_id, list(within), take)
        within = {one: campaign for one, campaign in ad_sets.items() if one and campaign in campaigns}
        await read_present(self.ads, AD_SETS, self.header.ad_account_id, list(within), take)

    async def around(self, campaign_id: str) -> list[Around]:
        """What is live and published along with a campaign's draft.

        Raises:
            SpotifyAdsError: it cannot be read.
        """
        before = await self._journal.read(lambda plan: plan.live.around(campaign_id))
        return await read_around(self.ads, self.header.ad_account_id, campaign_id, before)

    def stop_if_refused(self, problem: Exception) -> None:
        """Begin nothing new where the credentials were refused: every other request would be, too."""
        if isinstance(problem, AuthenticationError):
            self.stop(f"the credentials were refused: {problem}")

    async def uploaded(self, number: int, asset_id: str) -> None:
        """Write down the asset that a media file became; nothing where it has to be uploaded again."""
        with anyio.CancelScope(shield=True):
            await self._journal.write(lambda plan: plan.uploaded(number, asset_id))
        self.media[number] = msgspec.structs.replace(self.media[number], asset_id=asset_id)
