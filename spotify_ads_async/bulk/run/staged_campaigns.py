"""The campaigns of one plan's drafts: what the journal says of them, which are gone, and what their rows are live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import anyio
import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS, Entity
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS, campaign_drafts, drafts_within, made_at
from spotify_ads_async.bulk.run.published import Around, Present, changed_around
from spotify_ads_async.bulk.run.writer import Tell
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign, StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.models import CampaignDraft

__all__ = ["Gone", "StagedCampaigns", "all_rows", "read_around"]

_UNFINISHED = frozenset({StepState.WAITING, StepState.SENT, StepState.UNKNOWN})


class Gone(NamedTuple):
    """Drafts of a campaign that are there no more: all with its own, or those of some rows."""

    whole: bool
    rows: Sequence[StagedRow]


class StagedCampaigns:
    """The campaigns of one plan's drafts."""

    def __init__(self, ads: AdsClient, journal: Journal[PlanFile], header: Header) -> None:
        self._ads = ads
        self._journal = journal
        self._header = header
        self._drafts: dict[str, str] = {}
        self._versions: dict[str, int] = {}

    def draft(self, draft_id: str) -> dict[str, Any]:
        """A draft as it was read last: when this run began, or when what is valid is about to be published."""
        return msgspec.json.decode(self._drafts.get(draft_id, "{}"))

    def is_touched(self, campaign: DraftCampaign) -> bool:
        """Whether a campaign's draft changed between its validation and the beginning of this run."""
        return campaign.version is not None and self._versions.get(campaign.id, campaign.version) != campaign.version

    async def in_state(self, state: CampaignState | None = None) -> list[DraftCampaign]:
        """Those in one state, or all."""
        return await self._journal.read(lambda plan: plan.drafts.campaigns(state))

    async def rows(self, campaign: DraftCampaign) -> list[StagedRow]:
        """The requests of a campaign's rows."""
        return await self._journal.read(lambda plan: plan.drafts.rows_of(campaign.id))

    async def present(self, rows: Sequence[StagedRow]) -> list[Present]:
        """The rows of a campaign with the live entities that they are about, nothing of one that is gone.

        Raises:
            SpotifyAdsError: they cannot be read.
        """
        works = await self._journal.read(lambda plan: plan.work([row.step.row for row in rows]))
        by_id = {work.entity_id: work for work in works}
        present: list[Present] = []

        async def take(found: Sequence[Found]) -> None:
            for entity_id, answer in found:
                present.append((by_id[entity_id], msgspec.json.decode(state_of(answer)) if answer else {}))

        await read_present(self._ads, self._header.kind, self._header.ad_account_id, list(by_id), take)
        return present

    async def around(self, campaign: DraftCampaign) -> list[Around]:
        """What is in a campaign's draft though no row is about it; see :func:`read_around`."""
        before = await self._journal.read(lambda plan: plan.drafts.around(campaign.id))
        return await read_around(self._ads, self._header.ad_account_id, campaign.id, before)

    async def gone(self, campaigns: Sequence[DraftCampaign]) -> dict[str, Gone]:
        """The campaigns of which a draft is there no more, with the rows of theirs of which that is true.

        Raises:
            SpotifyAdsError: the drafts cannot be read.
        """
        rows = {one.id: [row for row in await self.rows(one) if row.draft_id] for one in campaigns}
        ids, drafts = await self._read(campaigns, [row.parent_id for found in rows.values() for row in found])
        found: dict[str, Gone] = {}
        for campaign in campaigns:
            draft = drafts.get(campaign.draft_id)
            # Another draft of the same id is somebody else's.
            whole = draft is None or (
                made_at(draft) != campaign.made_at and "" not in {made_at(draft), campaign.made_at}
            )
            gone = Gone(whole, [row for row in rows[campaign.id] if whole or row.draft_id not in ids])
            if whole or gone.rows:
                found[campaign.id] = gone
        return found

    async def read(self, campaigns: Sequence[DraftCampaign]) -> None:
        """Read the drafts of campaigns as they are about to be published.

        Raises:
            SpotifyAdsError: they cannot be read.
        """
        rows = [row for one in campaigns for row in await self.rows(one)]
        await self._read(campaigns, [row.parent_id for row in rows if row.draft_id])

    async def _read(
        self, campaigns: Sequence[DraftCampaign], parents: Iterable[str]
    ) -> tuple[Collection[str], dict[str, CampaignDraft]]:
        """The ids of the drafts in some parents, and the drafts of campaigns by theirs; what they hold is kept."""
        listed = await self._listed(self._header.kind, parents)
        drafts = await campaign_drafts(self._ads, self._header.ad_account_id, [one.draft_id for one in campaigns])
        self._drafts.update(listed)
        self._drafts.update((one, state_of(draft)) for one, draft in drafts.items())
        if self._header.kind is ADS:
            self._drafts.update(await self._listed(AD_SETS, list(drafts)))
        self._versions.update(
            {
                one.id: version
                for one in campaigns
                if one.draft_id in drafts and (version := drafts[one.draft_id].draft_hierarchy_version)
            }
        )
        return listed.keys(), drafts

    async def _listed(self, entity: Entity, parents: Iterable[str]) -> dict[str, str]:
        """The JSON of the drafts inside of campaigns or ad sets, by their ids."""
        kind, parents = DRAFT_KINDS[entity.plural], list(dict.fromkeys(parents))
        listed = await drafts_within(self._ads, self._header.ad_account_id, kind, parents)
        return {str(one.id): state_of(one) for one in listed}

    async def held_by(self, rows: Sequence[StagedRow]) -> str:
        """Why a campaign's draft shall not go live with the drafts of its rows as they are; nothing where it may.

        Raises:
            SpotifyAdsError: what drafts hold, or what is live, cannot be read.
        """
        if any(row.goes and row.step.state in _UNFINISHED for row in rows):
            return "not validated: another row of its campaign is not staged yet, or not settled: resume the plan"
        idle = {
            row.step.row: row for row in rows if row.draft_id and (row.step.state is StepState.DONE or not row.goes)
        }
        if not idle:
            return ""
        drafts = await self._listed(self._header.kind, [row.parent_id for row in idle.values()])
        around = [
            Around(self._header.kind, work.entity_id, msgspec.json.decode(drafts.get(draft_id, "{}")), now)
            for work, now in await self.present(list(idle.values()))
            if (draft_id := idle[work.number].draft_id)
        ]
        would = changed_around(around)
        return would and (
            "not validated: another row of its campaign is in conflict, refused or as wanted by now, and has a draft,"
            f" which would put back what is live ({would}); delete the campaign's draft, and --retry-failed stages its"
            " other rows anew"
        )

    async def staged(self) -> dict[int, StagedRow]:
        """The rows whose values are in drafts, or may have been, each without its draft where that is gone.

        Rows that are not staged, or not any more, are among them only where their drafts are gone.

        Raises:
            SpotifyAdsError: the drafts cannot be read.
        """
        campaigns = [one for one in await self.in_state() if one.draft_id]
        gone = await self.gone(campaigns)
        missing = {row.step.row for one in gone.values() for row in one.rows}
        rows = [row for one in campaigns for row in await self.rows(one)]
        kept = {row.step.row: row for row in rows if row.step.state is StepState.STAGED}
        lost = [row for row in rows if row.step.row in missing and (row.step.row in kept or row.still_filled)]
        return kept | {row.step.row: msgspec.structs.replace(row, draft_id="") for row in lost}

    async def conclude(
        self,
        campaign: DraftCampaign,
        state: CampaignState,
        ended: Mapping[int, StepOutcome],
        tell: Tell | None,
        version: int | None = None,
        *,
        gone: Sequence[StagedRow] = (),
    ) -> None:
        """Write down where a campaign and its rows stand, and whose drafts are gone, in one go; and tell the rows."""
        told: list[PlannedRow] = []

        def write(plan: PlanFile) -> None:
            for row, outcome in ended.items():
                plan.settle(row, 0, outcome)
            for row in gone:
                plan.drafts.forget_row(row.step.row)
            if state is CampaignState.PUBLISHED:
                plan.drafts.forget(campaign.id)
            else:
                plan.drafts.conclude(campaign.id, state, version)
            told.extend(map(plan.row_of, ended))

        with anyio.CancelScope(shield=True):
            await self._journal.write(write)
        for row in told if tell is not None else []:
            if tell is not None and (row.outcome is not RowOutcome.WAITING or row.reason):
                await tell(row)


def all_rows(rows: Sequence[StagedRow], reason: str, state: StepState = StepState.STAGED) -> dict[int, StepOutcome]:
    """The same outcome for every one of some rows."""
    return {row.step.row: StepOutcome(state=state, reason=reason) for row in rows}


async def read_around(
    ads: AdsClient, ad_account_id: str, campaign_id: str, before: Mapping[str, dict[str, Any]]
) -> list[Around]:
    """A campaign and ad sets in it, as they were (``before``, by id) and as they are live.

    Raises:
        SpotifyAdsError: they cannot be read.
    """
    found: list[Around] = []
    for entity, ids in ((CAMPAIGNS, before.keys() & {campaign_id}), (AD_SETS, before.keys() - {campaign_id})):

        async def take(answers: Sequence[Found], entity: Entity = entity) -> None:
            for one, answer in answers:
                now = state_of(answer) if answer else "{}"
                found.append(Around(entity, one, before[one], msgspec.json.decode(now)))

        await read_present(ads, entity, ad_account_id, sorted(ids), take)
    return found
