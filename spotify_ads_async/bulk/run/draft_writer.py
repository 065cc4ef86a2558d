"""Rows staged as drafts of the live entities: nothing goes live until the campaign's draft is published.

The journal says before each request what is about to leave. What an interrupted run left behind is settled by listing
drafts and by reading live entities, and a draft is published only at the version that was validated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio
import msgspec

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS, Entity
from spotify_ads_async.bulk.plan.state import copied, edits_between, edits_to, leaf, same, state_of, with_edit, writable
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, RowOutcome, RowWork, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS, campaign_drafts, drafts_within, made_at
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.outcomes import changes_alone, judged, require_changed, staged, success
from spotify_ads_async.bulk.run.publisher import Publisher
from spotify_ads_async.bulk.run.writer import RunControl, Tell
from spotify_ads_async.bulk.store.draft_tables import StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.models import CampaignDraft

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
        self._turns = defaultdict[str, anyio.Lock](anyio.Lock)
        """One at a time makes the draft of a campaign."""

    async def begin(self, tell: Tell) -> None:
        """Settle every request of an earlier run whose outcome is not known.

        Find the campaigns of the rows.
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
            outcome = StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {why}")
        else:  # the draft's text is no state of the live entity, which alone may be written on
            outcome = msgspec.structs.replace(staged(judged(work, row.step, text, why)), text="")
        # Somebody deleted, published or changed it: the row's values may have been there before.
        may_have_been = outcome.state is StepState.FAILED or (text is None and row.draft_id != "")

        def found_there(plan: PlanFile) -> None:
            if text is not None:
                plan.drafts.remember(row.step.row, draft_id)
            if may_have_been:
                plan.drafts.fill(row.step.row, filled=True)

        await self._journal.write(found_there)
        return outcome

    async def _drafts_in(self, parents: Iterable[str]) -> dict[str, str]:
        """The drafts inside of campaigns or ad sets, by their ids."""
        found = await drafts_within(self._ads, self._account["ad_account_id"], self._kind, list(dict.fromkeys(parents)))
        return {str(draft.id): state_of(draft) for draft in found}

    # ---- where rows belong

    async def _prepare(self, tell: Tell) -> None:
        """Find the campaign of every row, and refuse what drafts cannot take, or what others have drafts of."""
        try:
            await self._locate(tell)
            begun = await self._journal.read(lambda plan: plan.drafts.undrafted())
            drafted = await campaign_drafts(self._ads, self._header.ad_account_id, list(begun))
        except SpotifyAdsError as problem:
            self._control.stop(f"the campaigns of the rows could not be read: {problem}")
            return

        for campaign_id, draft in drafted.items():
            if begun[campaign_id]:
                await self._remember(campaign_id, draft)
                continue
            rows = await self._journal.read(lambda plan, one=campaign_id: plan.drafts.rows_of(one))
            await self._fail(
                [row.step for row in rows if row.step.state is StepState.WAITING], _occupied(campaign_id), tell
            )

    async def _locate(self, tell: Tell) -> None:
        works = await self._fitting(tell)
        parents = await self._parents(works)
        campaigns = await self._campaigns_of(parents)
        steps = [work.pending[0] for one, work in works.items() if one not in campaigns]
        await self._fail(steps, _failed(f"the {self._entity.name} is not there any more", transient=False), tell)

        def place(plan: PlanFile) -> None:
            for one, campaign_id in campaigns.items():
                plan.drafts.locate(works[one].number, campaign_id=campaign_id, parent_id=parents[one])

        await self._journal.write(place)

    async def _fitting(self, tell: Tell) -> dict[str, RowWork]:
        """The rows to stage, by entity; rows with a field that drafts lack fail. What is left has one request a row."""
        works = await self._journal.read(lambda plan: plan.work(plan.drafts.unlocated()))
        fitting: dict[str, RowWork] = {}
        for work in works:
            without = sorted({field for step in work.steps for field in step.body} - self._kind.fields)
            if without:
                reason = f"a draft does not hold {', '.join(without)}: change it without drafts"
                await self._fail(work.pending[:1], _failed(reason, transient=False), tell)
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

    async def _fail(self, steps: Iterable[Step], outcome: StepOutcome, tell: Tell) -> None:
        for step in steps:
            await tell(await self._control.settle(step, outcome))

    # ---- rows

    async def write(self, work: RowWork, step: Step) -> StepOutcome:
        """Make the drafts of a row's campaign and entity, unless they are there, and put the row's values in."""
        row = await self._journal.read(lambda plan: plan.drafts.of_row(step.row))
        async with self._turns[row.campaign_id]:
            campaign_draft = await self._draft_of(row.campaign_id)
        if campaign_draft is None:
            return _occupied(row.campaign_id)
        if self._entity is ADS:
            async with self._turns[row.parent_id]:
                if row.parent_id not in await self._journal.read(lambda plan: plan.drafts.around(row.campaign_id)):
                    await self._look_around(AD_SETS, row.parent_id, row.campaign_id)
        draft_id, text = campaign_draft if self._entity is CAMPAIGNS else (row.draft_id, "")
        if not draft_id:
            path = {**self._account, self._entity.id_column: step.entity_id}
            draft = await self._ads.call(self._kind.make, path=path)
            draft_id, text = str(draft.id), state_of(draft)
        if draft_id != row.draft_id:
            known = draft_id
            await self._journal.write(lambda plan: plan.drafts.remember(step.row, known))
        if text and not self._options.force and _is_filled_by_others(work, step, msgspec.json.decode(text)):
            return staged(StepOutcome(state=StepState.UNKNOWN))
        path, body, before = {**self._account, self._kind.draft_path: draft_id}, step.body, work.before
        if not text:
            earlier = await self._ads.call(self._kind.get, path=path)
            before = writable(self._entity, msgspec.json.decode(state_of(earlier)))
            body = {**self._changed_since(before, work), **body}
        if self._options.send == "changes":
            body = changes_alone(before, body)
        answer = await self._sender.call(self._kind.change, path=path, body=body)
        require_changed(answer, draft_id)
        # A draft is compared with itself: it holds less than what is live.
        drafted = msgspec.structs.replace(work, text=text)
        return staged(success(self._entity, drafted, step, state_of(answer)))

    def _changed_since(self, drafted: Mapping[str, Any], work: RowWork) -> dict[str, Any]:
        """The fields that are live in another form than in a draft of an earlier run, which would put them back."""
        body = copied(drafted)
        edits = list(edits_between(drafted, writable(self._entity, work.state)))
        for edit in edits:
            with_edit(body, edit.path, edit.after)
        return {name: body[name] for name in {edit.path[0] for edit in edits} & body.keys() & self._kind.fields}

    async def _draft_of(self, campaign_id: str) -> tuple[str, str] | None:
        """The campaign's draft and, where it was made just now, its JSON; None where it has one of somebody else's."""
        text = ""
        draft_id = await self._journal.read(lambda plan: plan.drafts.draft_of_campaign(campaign_id))
        if draft_id is None and await campaign_drafts(self._ads, self._header.ad_account_id, [campaign_id]):
            return None  # made since the run began
        if not draft_id:
            if self._entity is not CAMPAIGNS:
                await self._look_around(CAMPAIGNS, campaign_id, campaign_id)
            await self._journal.write(lambda plan: plan.drafts.begin(campaign_id))
            path = {**self._account, CAMPAIGNS.id_column: campaign_id}
            try:
                draft = await self._ads.call(DRAFT_KINDS[CAMPAIGNS.plural].make, path=path)
            except SpotifyAdsError as error:
                if not error.may_have_taken_effect:
                    await self._journal.write(lambda plan: plan.drafts.forget(campaign_id))
                raise
            await self._remember(campaign_id, draft)
            draft_id, text = str(draft.id), state_of(draft)
        return draft_id, text

    async def _look_around(self, entity: Entity, entity_id: str, campaign_id: str) -> None:
        """Note how the campaign or the ad set of a row is live, whose draft is made and published along with it."""
        live = await self._ads.call(entity.get, path={**self._account, entity.id_column: entity_id})
        await self._journal.write(lambda plan: plan.drafts.surround(entity_id, campaign_id, state_of(live)))

    async def _remember(self, campaign_id: str, draft: CampaignDraft) -> None:
        known = str(draft.id), made_at(draft)
        await self._journal.write(lambda plan: plan.drafts.remember_campaign(campaign_id, *known))

    async def finish(self, tell: Tell) -> None:
        """Validate what is staged, and publish it where that is asked for."""
        await self._publisher.validate_all(tell)
        if self._options.publish and not self._control.stopping.is_set():
            await self._publisher.publish_all(tell)


def _is_filled_by_others(work: RowWork, step: Step, draft: Mapping[str, Any]) -> bool:
    """Whether a draft that was to be a copy of what is live holds another value of what a row changes.

    Then somebody made it before, and put that in. What a draft does not tell at all is nobody's.
    """
    edits = edits_to(work.before, {**step.body, **work.after})
    held = [(edit, leaf(draft, edit.path)) for edit in edits if edit.path[0] in step.body]
    return any(
        value is not None and not same(value, edit.before) and not same(value, edit.after) for edit, value in held
    )


def _occupied(campaign_id: str) -> StepOutcome:
    return _failed(
        f"campaign {campaign_id} has a draft already, which would be published too: publish or delete it first"
    )


def _failed(reason: str, *, transient: bool = True) -> StepOutcome:
    return StepOutcome(state=StepState.FAILED, reason=reason, transient=transient)
