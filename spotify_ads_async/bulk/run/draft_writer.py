"""Rows staged as drafts of the live entities: nothing goes live until the campaign's draft is published.

The journal says before each request what is about to leave. What an interrupted run left behind is settled by listing
drafts and by reading live entities, and a draft is published only at the version that was validated.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio
import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.effects import writable_state
from spotify_ads_async.bulk.present import PAGE_SIZE, Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.outcomes import failure, judge, staged
from spotify_ads_async.bulk.run.publisher import Publishing
from spotify_ads_async.bulk.store.draft_tables import DraftCampaign, StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.pagination import ListCall

__all__ = ["Hands", "Staging", "Tell"]

Tell = Callable[[PlannedRow], Awaitable[None]]
"""Says what became of a row."""


class Hands(msgspec.Struct, frozen=True, kw_only=True):
    """What a run lends: how it writes down what came of a request, and how it ends."""

    settle: Callable[[Step, StepOutcome], Awaitable[PlannedRow]]
    stop: Callable[[str], None]
    stopping: anyio.Event


class Staging:
    """The drafts of one plan."""

    def __init__(self, ads: AdsClient, journal: Journal, header: Header, options: Options, hands: Hands) -> None:
        self._ads = ads
        self._journal = journal
        self._header = header
        self._options = options
        self._hands = hands
        self._entity = header.kind
        self._kind = DRAFT_KINDS[header.entity]
        self._account = {"ad_account_id": header.ad_account_id}
        self._publishing = Publishing(ads, journal, header, options, hands.stopping)

    # ---- what an earlier run left behind

    async def settle_lost(self, tell: Tell) -> None:
        """Settle every request of an earlier run whose outcome is not known."""
        try:
            await self._settle_writes(tell)
            await self._publishing.settle_lost(tell)
        except SpotifyAdsError as problem:
            self._hands.stop(f"what an earlier run left behind could not be read back: {problem}")

    async def _settle_writes(self, tell: Tell) -> None:
        lost = await self._journal.read(lambda plan: [plan.drafts.of_row(step.row) for step in plan.lost()])
        if not lost:
            return
        await anyio.sleep(self._options.settle_after)
        found = await self._drafts_in(row.parent_id for row in lost)
        for row in lost:
            verdict = await self._judge(row, found, "the run ended before the answer came")
            settled = await self._hands.settle(row.step, verdict)
            if settled.outcome is not RowOutcome.WAITING:
                await tell(settled)

    async def read_back(self, step: Step, why: str) -> StepOutcome:
        """Find out what came of a request whose answer was lost."""
        row = await self._journal.read(lambda plan: plan.drafts.of_row(step.row))
        return await self._judge(row, await self._drafts_in([row.parent_id]), why)

    async def _judge(self, row: StagedRow, found: Mapping[str, msgspec.Struct], why: str) -> StepOutcome:
        draft_id = row.draft_id or row.step.entity_id
        draft = found.get(draft_id)
        if draft is None:
            return StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {why}")
        await self._journal.write(lambda plan: plan.drafts.remember(row.step.row, draft_id))
        return staged(judge(row.step, writable_state(self._entity, draft), why))

    async def _drafts_in(self, parents: Iterable[str]) -> dict[str, msgspec.Struct]:
        """The drafts inside of campaigns or ad sets, by their ids."""
        wanted = list(dict.fromkeys(parents))
        found: dict[str, msgspec.Struct] = {}
        for start in range(0, len(wanted), PAGE_SIZE):
            query = {"limit": PAGE_SIZE, self._kind.within: wanted[start : start + PAGE_SIZE]}
            call: ListCall[Any] = ListCall(self._ads, self._kind.list, path=self._account, query=query)
            found.update({str(draft.id): draft async for draft in call})
        return found

    # ---- where rows belong

    async def prepare(self, tell: Tell) -> None:
        """Find the campaign of every row, refuse what drafts cannot take, and make the campaigns' drafts."""
        try:
            await self._locate(tell)
        except SpotifyAdsError as problem:
            self._hands.stop(f"the campaigns of the rows could not be read: {problem}")
            return

        async def make(campaign: DraftCampaign) -> None:
            if not self._hands.stopping.is_set():
                await self._make_campaign_draft(campaign.id, tell)

        campaigns = await self._journal.read(lambda plan: plan.drafts.campaigns())
        await some_at_once(make, [one for one in campaigns if not one.draft_id])

    async def _locate(self, tell: Tell) -> None:
        steps = await self._fitting(tell)
        parents = await self._parents(steps)
        campaigns = await self._campaigns_of(parents)
        occupied = await self._occupied(campaigns.values())
        for entity_id, step in steps.items():
            campaign_id = campaigns.get(entity_id, "")
            if not campaign_id:
                await self._fail(step, f"the {self._entity.name} is not there any more", tell, transient=False)
            elif campaign_id in occupied:
                reason = f"campaign {campaign_id} has a draft already, which would be published too: publish or delete it first"
                await self._fail(step, reason, tell, transient=True)
        placed = [(step.row, campaigns[one], parents[one]) for one, step in steps.items() if campaigns.get(one, "") not in {"", *occupied}]

        def place(plan: PlanFile) -> None:
            for row, campaign_id, parent_id in placed:
                plan.drafts.locate(row, campaign_id=campaign_id, parent_id=parent_id)

        await self._journal.write(place)

    async def _fitting(self, tell: Tell) -> dict[str, Step]:
        """The requests to stage, by entity; rows with a field that drafts lack fail. What is left has one request a row."""
        steps = await self._journal.read(lambda plan: plan.drafts.unlocated())
        unfit = {step.row: step for step in steps if not step.body.keys() <= self._kind.fields}
        for step in unfit.values():
            without = ", ".join(sorted(step.body.keys() - self._kind.fields))
            await self._fail(step, f"a draft does not hold {without}: change it without drafts", tell, transient=False)
        return {step.entity_id: step for step in steps if step.row not in unfit}

    async def _parents(self, entity_ids: Iterable[str]) -> dict[str, str]:
        """What each entity's draft is listed by: its ad set, its campaign, or itself."""
        if self._entity is CAMPAIGNS:
            return {one: one for one in entity_ids}
        return await self._attribute("ad_set_id" if self._entity is ADS else "campaign_id", self._header, entity_ids)

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
        return await self._publishing.drafted(wanted)

    async def _fail(self, step: Step, reason: str, tell: Tell, *, transient: bool) -> None:
        await tell(await self._hands.settle(step, StepOutcome(state=StepState.FAILED, reason=reason, transient=transient)))

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
                    await tell(await self._hands.settle(row.step, msgspec.structs.replace(failure(error), transient=True)))
            return
        await self._journal.write(lambda plan: plan.drafts.remember_campaign(campaign_id, str(draft.id)))

    def _key(self, entity_id: str) -> str:
        """The same for every attempt of this plan: a draft is not made twice."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._header.base_url} {self._header.created_at} {self._header.source} {entity_id}"))

    # ---- rows

    async def write(self, step: Step) -> msgspec.Struct:
        """Make the draft of a row's entity, unless it is there, and put the row's values into it."""
        row = await self._journal.read(lambda plan: plan.drafts.of_row(step.row))
        draft_id = row.draft_id
        if self._entity is CAMPAIGNS:
            draft_id = await self._journal.read(lambda plan: plan.drafts.draft_of_campaign(row.campaign_id))
        if not draft_id:
            path = {**self._account, self._entity.id_column: step.entity_id}
            draft = await self._ads.call(self._kind.make, path=path, idempotency_key=self._key(step.entity_id))
            draft_id = str(draft.id)
        if draft_id != row.draft_id:
            known = draft_id
            await self._journal.write(lambda plan: plan.drafts.remember(step.row, known))
        body = msgspec.convert(step.body, type=self._kind.change.body)
        return await self._ads.call(self._kind.change, path={**self._account, self._kind.draft_path: draft_id}, body=body)

    async def finish(self, tell: Tell) -> None:
        """Validate what is staged, and publish it where that is asked for."""
        await self._publishing.validate_all(tell)
        if self._options.publish and not self._hands.stopping.is_set():
            await self._publishing.publish_all(tell)
