"""What became of drafts of an earlier run, or of a publication whose answer was lost."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from spotify_ads_async.bulk.records import Header, StepOutcome, StepState
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.published import read_back
from spotify_ads_async.bulk.run.staged_campaigns import Gone, StagedCampaigns, all_rows
from spotify_ads_async.bulk.run.writer import RunControl, Tell
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign, StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.errors import SpotifyAdsError

__all__ = ["Settlement"]

_DRAFTED = frozenset({StepState.STAGED, StepState.SENT, StepState.UNKNOWN})


class Settlement:
    """Settles the campaigns of one plan's drafts by which drafts are there, and by what is live."""

    def __init__(
        self,
        staged: StagedCampaigns,
        journal: Journal[PlanFile],
        header: Header,
        options: Options,
        control: RunControl,
    ) -> None:
        self._staged = staged
        self._journal = journal
        self._entity = header.kind
        self._options = options
        self._control = control

    async def settle_lost(self, tell: Tell) -> None:
        """Settle what an earlier run was publishing when it ended, and what somebody did to drafts since.

        Raises:
            SpotifyAdsError: that cannot be read.
        """
        campaigns = [one for one in await self._staged.in_state() if one.draft_id]
        if any(one.state is CampaignState.PUBLISHING for one in campaigns):
            await anyio.sleep(self._options.settle_after)
        gone = await self._staged.gone(campaigns)
        if gone:  # a list may be older than what was written a moment ago
            await anyio.sleep(self._options.settle_after)
            gone = await self._staged.gone([one for one in campaigns if one.id in gone])
        for campaign in campaigns:
            await self._settle(campaign, gone.get(campaign.id), tell)
            if campaign.id not in gone and self._staged.is_touched(campaign):
                await self._take_up_mended(campaign)

    async def _take_up_mended(self, campaign: DraftCampaign) -> None:
        """Count rows of which the draft was not valid as staged once more, since somebody changed it: it may be now."""
        rows = [row for row in await self._staged.rows(campaign) if row.still_filled]
        if rows:
            await self._staged.conclude(campaign, CampaignState.OPEN, all_rows(rows, ""), None)

    async def _settle(self, campaign: DraftCampaign, gone: Gone | None, tell: Tell) -> None:
        """Settle rows by what is live whose drafts are gone; None where all are there, so nothing was published."""
        if gone is None:
            if campaign.state is CampaignState.PUBLISHING:
                valid = CampaignState.VALID
                await self._journal.write(lambda plan: plan.drafts.conclude(campaign.id, valid, campaign.version))
            return
        rows = await self._staged.rows(campaign) if gone.whole else gone.rows
        unsettled = [row for row in rows if row.step.state in _DRAFTED or row.still_filled]
        again = {row.step.row for row in unsettled if row.step.state is StepState.WAITING or self._options.retry_failed}
        ended: dict[int, StepOutcome] = {}
        for work, state in await self._staged.present(unsettled):
            ended[work.number] = one = read_back(self._entity, work, state, again=work.number in again)
            self._control.surprised(work, one)
        state = CampaignState.PUBLISHED if gone.whole else CampaignState.OPEN
        await self._staged.conclude(campaign, state, ended, tell, gone=gone.rows)

    async def settle_publication(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> bool:
        """Find out whether a campaign was published: then its drafts are gone, and the rows' values are live."""
        try:
            gone = (await self._staged.gone([campaign])).get(campaign.id)
            await self._settle(campaign, gone, tell)
        except SpotifyAdsError as problem:
            # It stays "publishing", so the next run reads back again.
            reason = f"whether it was published could not be read back: {problem}"
            await self._staged.conclude(
                campaign, CampaignState.PUBLISHING, all_rows(rows, reason), tell, campaign.version
            )
            return True
        return gone is not None
