"""Rows staged as drafts of the live entities: nothing goes live until the campaign's draft is published.

The journal says before each request what is about to leave. What an interrupted run left behind is settled by listing
drafts and by reading live entities, and a draft is published only at the version that was validated.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

import anyio
import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, RowOutcome, RowWork, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS, drafts_within
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.outcomes import changes_alone, failure, judged, staged, success
from spotify_ads_async.bulk.run.publisher import Publisher
from spotify_ads_async.bulk.run.writer import RunControl, Tell
from spotify_ads_async.bulk.store.draft_tables import DraftCampaign, StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import SpotifyAdsError

__all__ = ["DraftWriter"]


class DraftWriter:
    """The drafts of one plan."""

    def __init__(
        self, ads: AdsClient, journal: Journal[PlanFile], header: Header, options: Options, control: RunControl
    ) -> None:
        self._ads = ads
        # What came from the server goes back as it came, whether this version's document knows it or not.
        self._sender = ads.with_options(validate=False)
        self._journal = journal
        self._header = header
        self._options = options
        self._control = control
        self._entity = header.kind
        self._kind = DRAFT_KINDS[header.entity]
        self._account = {"ad_account_id": header.ad_account_id}
        self._publisher = Publisher(ads, journal, header, options, control)

    async def begin(self, tell: Tell) -> None:
        """Settle every request of an earlier run whose outcome is not known.

        Find the campaigns of the rows, and make their drafts.
        """
        try:
            await self._settle_writes(tell)
            await self._publisher.settle_lost(tell)
        except SpotifyAdsError as problem:
            self._control.stop(f"what an earlier run left behind could not be read back: {problem}")
        if not self._control.stopping.is_set():
            await self._prepare(tell)

    # ---- what an earlier run left behind

    async def _settle_writes(self, tell: Tell) -> None:
        lost = await self._journal.read(
            lambda plan: [(work, plan.drafts.of_row(work.number)) for work in plan.lost()],
        )
        if not lost:
            return
        await anyio.sleep(self._options.settle_after)
        found = await self._drafts_in(row.parent_id for _, row in lost)
        for work, row in lost:
            outcome = await self._judged(work, row, found, "the run ended before the answer came")
            settled = await self._control.settle(row.step, outcome)
            if settled.outcome is not RowOutcome.WAITING:
                await tell(settled)

    async def read_back(self, work: RowWork, step: Step, why: str) -> StepOutcome:
        """List the drafts; see :class:`~spotify_ads_async.bulk.run.writer.Writer`."""
        row = await self._journal.read(lambda plan: plan.drafts.of_row(step.row))
        return await self._judged(work, row, await self._drafts_in([row.parent_id]), why)

    async def _judged(self, work: RowWork, row: StagedRow, found: Mapping[str, str], why: str) -> StepOutcome:
        draft_id = row.draft_id or row.step.entity_id
        text = found.get(draft_id)
        if text is None:
            return StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {why}")
        await self._journal.write(lambda plan: plan.drafts.remember(row.step.row, draft_id))
        # The draft's text is no state of the live entity, which alone may be written on.
        return msgspec.structs.replace(staged(judged(work, row.step, text, why)), text="")

    async def _drafts_in(self, parents: Iterable[str]) -> dict[str, str]:
        """The drafts inside of campaigns or ad sets, by their ids."""
        found = await drafts_within(self._ads, self._account["ad_account_id"], self._kind, list(dict.fromkeys(parents)))
        return {str(draft.id): state_of(draft) for draft in found}

    # ---- where rows belong

    async def _prepare(self, tell: Tell) -> None:
        """Find the campaign of every row, refuse what drafts cannot take, and make the campaigns' drafts."""
        try:
            await self._locate(tell)
        except SpotifyAdsError as problem:
            self._control.stop(f"the campaigns of the rows could not be read: {problem}")
            return

        async def make(campaign: DraftCampaign) -> None:
            if not self._control.stopping.is_set():
                await self._make_campaign_draft(campaign.id, tell)

        campaigns = await self._journal.read(lambda plan: plan.drafts.campaigns())
        await some_at_once(make, [one for one in campaigns if not one.draft_id])

    async def _locate(self, tell: Tell) -> None:
        works = await self._fitting(tell)
        parents = await self._parents(works)
        campaigns = await self._campaigns_of(parents)
        occupied = await self._occupied(campaigns.values())
        for entity_id, work in works.items():
            campaign_id = campaigns.get(entity_id, "")
            if not campaign_id:
                await self._fail(work, f"the {self._entity.name} is not there any more", tell, transient=False)
            elif campaign_id in occupied:
                reason = (
                    f"campaign {campaign_id} has a draft already, which would be published too: publish or delete it"
                    " first"
                )
                await self._fail(work, reason, tell, transient=True)
        placed = [
            (work.number, campaigns[one], parents[one])
            for one, work in works.items()
            if campaigns.get(one, "") not in {"", *occupied}
        ]

        def place(plan: PlanFile) -> None:
            for row, campaign_id, parent_id in placed:
                plan.drafts.locate(row, campaign_id=campaign_id, parent_id=parent_id)

        await self._journal.write(place)

    async def _fitting(self, tell: Tell) -> dict[str, RowWork]:
        """The rows to stage, by entity; rows with a field that drafts lack fail. What is left has one request a row."""
        works = await self._journal.read(lambda plan: plan.work(plan.drafts.unlocated()))
        fitting: dict[str, RowWork] = {}
        for work in works:
            without = sorted({field for step in work.steps for field in step.body} - self._kind.fields)
            if without:
                await self._fail(
                    work, f"a draft does not hold {', '.join(without)}: change it without drafts", tell, transient=False
                )
            else:
                fitting[work.entity_id] = work
        return fitting

    async def _parents(self, entity_ids: Iterable[str]) -> dict[str, str]:
        """What each entity's draft is listed by: its ad set, its campaign, or itself."""
        if self._entity is CAMPAIGNS:
            return {one: one for one in entity_ids}
        return await self._attribute(self._entity.parent_field, self._header, entity_ids)

    async def _campaigns_of(self, parents: Mapping[str, str]) -> dict[str, str]:
        if self._entity is not ADS:
            return dict(parents)
        header = msgspec.structs.replace(self._header, entity=AD_SETS.plural)
        campaigns = await self._attribute("campaign_id", header, set(parents.values()))
        return {one: campaigns[parent] for one, parent in parents.items() if parent in campaigns}

    async def _attribute(self, name: str, header: Header, entity_ids: Iterable[str]) -> dict[str, str]:
        values: dict[str, str] = {}

        async def take(found: Sequence[Found]) -> None:
            values.update({one: str(getattr(answer, name)) for one, answer in found if answer is not None})

        await read_present(self._ads, header.kind, header.ad_account_id, list(entity_ids), take)
        return values

    async def _occupied(self, campaign_ids: Iterable[str]) -> set[str]:
        """Campaigns with a draft that this plan did not make."""
        ours = {one.id for one in await self._journal.read(lambda plan: plan.drafts.campaigns())}
        wanted = [one for one in dict.fromkeys(campaign_ids) if one not in ours]
        return await self._publisher.drafted(wanted)

    async def _fail(self, work: RowWork, reason: str, tell: Tell, *, transient: bool) -> None:
        outcome = StepOutcome(state=StepState.FAILED, reason=reason, transient=transient)
        await tell(await self._control.settle(work.pending[0], outcome))

    async def _make_campaign_draft(self, campaign_id: str, tell: Tell) -> None:
        try:
            draft = await self._ads.call(
                DRAFT_KINDS[CAMPAIGNS.plural].make,
                path={**self._account, CAMPAIGNS.id_column: campaign_id},
                idempotency_key=self._key(campaign_id),
            )
        except SpotifyAdsError as error:
            for row in await self._journal.read(lambda plan: plan.drafts.rows_of(campaign_id)):
                if row.step.state is StepState.WAITING:
                    await tell(
                        await self._control.settle(row.step, msgspec.structs.replace(failure(error), transient=True))
                    )
            return
        await self._journal.write(lambda plan: plan.drafts.remember_campaign(campaign_id, str(draft.id)))

    def _key(self, entity_id: str) -> str:
        """The same for every attempt of this plan: a draft is not made twice."""
        return str(
            uuid.uuid5(
                uuid.NAMESPACE_URL,
                f"{self._header.base_url} {self._header.created_at} {self._header.source} {entity_id}",
            )
        )

    # ---- rows

    async def write(self, work: RowWork, step: Step) -> StepOutcome:
        """Make the draft of a row's entity, unless it is there, and put the row's values into it."""
        row = await self._journal.read(lambda plan: plan.drafts.of_row(step.row))
        draft_id, text = row.draft_id, ""
        if self._entity is CAMPAIGNS:
            draft_id = await self._journal.read(lambda plan: plan.drafts.draft_of_campaign(row.campaign_id))
        if not draft_id:
            path = {**self._account, self._entity.id_column: step.entity_id}
            draft = await self._ads.call(self._kind.make, path=path, idempotency_key=self._key(step.entity_id))
            draft_id, text = str(draft.id), state_of(draft)
        if draft_id != row.draft_id:
            known = draft_id
            await self._journal.write(lambda plan: plan.drafts.remember(step.row, known))
        body = changes_alone(work.before, step.body) if self._options.send == "changes" else step.body
        answer = await self._sender.call(
            self._kind.change, path={**self._account, self._kind.draft_path: draft_id}, body=body
        )
        # A draft is compared with itself: it holds less than what is live.
        drafted = msgspec.structs.replace(work, text=text)
        return staged(success(self._entity, drafted, step, state_of(answer)))

    async def finish(self, tell: Tell) -> None:
        """Validate what is staged, and publish it where that is asked for."""
        await self._publisher.validate_all(tell)
        if self._options.publish and not self._control.stopping.is_set():
            await self._publisher.publish_all(tell)
