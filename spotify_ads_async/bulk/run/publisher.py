"""Drafts of campaigns.

Validated, their errors brought back to the rows, and published at the version that was validated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import anyio
import msgspec

from spotify_ads_async.bulk.plan.effects import Conflict
from spotify_ads_async.bulk.plan.state import writable
from spotify_ads_async.bulk.records import Header, RowWork, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.published import (
    Around,
    changed_around,
    conflicts_since,
    overwritten,
    published,
    published_along,
)
from spotify_ads_async.bulk.run.settlement import Settlement
from spotify_ads_async.bulk.run.staged_campaigns import StagedCampaigns, all_rows
from spotify_ads_async.bulk.run.writer import RunControl, Tell
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign, StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.json_values import names_within
from spotify_ads_async.models import DraftValidationError

__all__ = ["Publisher", "errors_by_row"]

_AS_WANTED = frozenset({StepState.STAGED, StepState.DONE})


class Publisher:
    """The campaigns of one plan's drafts."""

    def __init__(
        self, ads: AdsClient, journal: Journal[PlanFile], header: Header, options: Options, control: RunControl
    ) -> None:
        self._journal = journal
        self._staged = StagedCampaigns(ads, journal, header)
        self._options = options
        self._control = control
        self._settlement = Settlement(self._staged, journal, header, options, control)
        self._entity = header.kind
        self._entity_type = DRAFT_KINDS[header.entity].entity_type
        self._proven = options.keep_going
        self._shown: set[tuple[str, ...]] = set()
        """The names in live entities of which publishing has shown what it makes of them."""
        self._turn = anyio.Lock()
        self._around: dict[str, list[Around]] = {}
        """What no row is about and is published along, by campaign, as it was read just before."""
        self._trees = ads.ad_account(header.ad_account_id).trees

    async def settle_lost(self, tell: Tell) -> None:
        """Settle what an earlier run was publishing, and what others did to drafts; see :class:`Settlement`."""
        await self._settlement.settle_lost(tell)

    # ---- validating

    async def validate_all(self, tell: Tell) -> None:
        """Validate every campaign whose rows are all staged, or failed."""

        async def validate(campaign: DraftCampaign) -> None:
            rows = await self._staged.rows(campaign)
            staged = [row for row in rows if row.step.state is StepState.STAGED]
            if not staged or self._control.stopping.is_set():
                return
            if not await self._is_held(campaign, rows, tell):
                await self._validate(campaign, staged, tell)

        await some_at_once(validate, await self._staged.in_state(CampaignState.OPEN))

    async def _is_held(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> bool:
        """Hold a campaign back whose draft shall not go live with the drafts of these rows as they are."""
        try:
            reason = await self._staged.held_by(rows)
        except SpotifyAdsError as problem:
            reason = f"not validated: {problem}"
        if reason:
            staged = [row for row in rows if row.step.state is StepState.STAGED]
            await self._staged.conclude(campaign, CampaignState.OPEN, all_rows(staged, reason), tell)
        return bool(reason)

    async def _validate(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> None:
        try:
            version = await self._trees.version(campaign.draft_id)
            errors = await self._trees.validate(campaign.draft_id, version=version)
        except SpotifyAdsError as problem:
            await self._staged.conclude(
                campaign, CampaignState.OPEN, all_rows(rows, f"the draft could not be validated: {problem}"), tell
            )
            return
        if errors:
            await self._refuse(campaign, rows, errors, tell, version)
            return
        # With what follows, publishing tells what became of the rows.
        silent = self._options.publish
        await self._staged.conclude(
            campaign, CampaignState.VALID, all_rows(rows, ""), None if silent else tell, version
        )

    async def _refuse(
        self,
        campaign: DraftCampaign,
        rows: Sequence[StagedRow],
        errors: Sequence[DraftValidationError],
        tell: Tell,
        version: int,
    ) -> None:
        """Bring each error back to its row; what names no row of the plan fails them all, since nothing can go live."""
        reasons, others = errors_by_row(self._entity_type, rows, errors)
        ended: dict[int, StepOutcome] = {}
        for row in rows:
            reason = reasons.get(row.step.row)
            if reason is not None:
                ended[row.step.row] = StepOutcome(
                    state=StepState.FAILED, status=400, reason=f"the draft is not valid: {reason}"
                )
            elif reasons:
                ended[row.step.row] = StepOutcome(
                    state=StepState.STAGED, reason="staged, but another row of its campaign is not valid"
                )
            else:
                ended[row.step.row] = StepOutcome(
                    state=StepState.FAILED, reason=f"its campaign's draft is not valid: {others}", status=400
                )
        await self._staged.conclude(campaign, CampaignState.INVALID, ended, tell, version)

    # ---- publishing

    async def publish_all(self, tell: Tell) -> None:
        """Publish every campaign that is valid and of which no row failed."""

        async def publish(campaign: DraftCampaign) -> None:
            rows = await self._staged.rows(campaign)
            staged = [row for row in rows if row.step.state is StepState.STAGED]
            if not staged or self._control.stopping.is_set():
                return
            if any(row.goes and row.step.state not in _AS_WANTED for row in rows):
                reason = "staged and valid, but not published: another row of its campaign failed"
                await self._staged.conclude(
                    campaign, CampaignState.VALID, all_rows(staged, reason), tell, campaign.version
                )
            elif not await self._is_held(campaign, rows, tell):
                await self._publish_in_turn(campaign, staged, tell)

        campaigns = await self._staged.in_state(CampaignState.VALID)
        try:  # what somebody put into them since they were made is theirs
            await self._staged.read(campaigns)
        except SpotifyAdsError as problem:
            self._control.stop(f"the drafts could not be read before they are published: {problem}")
        await some_at_once(publish, campaigns)

    async def _publish_in_turn(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> None:
        """Publish one campaign after the other until that has shown what becomes of every name in their rows."""
        works = await self._journal.read(lambda plan: plan.work([row.step.row for row in rows]))
        names = {name for work in works for name in self._names(work)}
        async with contextlib.nullcontext() if self._options.keep_going or names <= self._shown else self._turn:
            if not self._control.stopping.is_set():
                await self._publish(campaign, rows, tell)

    def _names(self, work: RowWork) -> Iterator[tuple[str, ...]]:
        return names_within(writable(self._entity, work.state))

    async def _publish(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> None:
        if await self._is_changed(campaign, rows, tell):
            return
        for _ in range(self._options.attempts):
            try:
                version = await self._trees.version(campaign.draft_id)
            except SpotifyAdsError as problem:
                await self._staged.conclude(
                    campaign, CampaignState.OPEN, all_rows(rows, f"not published: {problem}"), tell
                )
                return
            if version != campaign.version:
                reason = (
                    "not published: somebody changed the campaign's draft since it was validated (version"
                    f" {campaign.version}, now {version}): look at it; resuming validates it again"
                )
                await self._staged.conclude(campaign, CampaignState.OPEN, all_rows(rows, reason), tell)
                return
            if await self._attempt(campaign, rows, version, tell):
                return
        reason = f"not published: the request took no effect {self._options.attempts} times"
        await self._staged.conclude(campaign, CampaignState.OPEN, all_rows(rows, reason), tell)

    async def _attempt(self, campaign: DraftCampaign, rows: Sequence[StagedRow], version: int, tell: Tell) -> bool:
        """Publish once; False where it surely took no effect though the answer was lost."""
        await self._journal.write(lambda plan: plan.drafts.conclude(campaign.id, CampaignState.PUBLISHING, version))
        try:
            errors = await self._trees.publish(campaign.draft_id, version=version)
        except SpotifyAdsError as problem:
            if not problem.may_have_taken_effect:
                await self._staged.conclude(
                    campaign, CampaignState.OPEN, all_rows(rows, f"not published: {problem}"), tell
                )
                return True
            await anyio.sleep(self._options.settle_after)
            return await self._settlement.settle_publication(campaign, rows, tell)
        if errors:
            await self._refuse(campaign, rows, errors, tell, version)
        else:
            await self._staged.conclude(campaign, CampaignState.PUBLISHED, await self._compared(campaign, rows), tell)
        return True

    async def _is_changed(self, campaign: DraftCampaign, rows: Sequence[StagedRow], tell: Tell) -> bool:
        """Hold a campaign back of which somebody changed a live entity since it was staged.

        Publishing would undo that. With ``force`` it does, and rows hold what they overwrite.
        """
        try:
            present, around = await self._staged.present(rows), await self._staged.around(campaign)
        except SpotifyAdsError as problem:
            await self._staged.conclude(campaign, CampaignState.OPEN, all_rows(rows, f"not published: {problem}"), tell)
            return True
        conflicts, along = conflicts_since(self._entity, present), changed_around(around)
        if (conflicts or along) and not self._options.force:
            held = _held_back(rows, conflicts, along)
            await self._staged.conclude(campaign, CampaignState.VALID, held, tell, campaign.version)
            return True
        # Publishing is compared with what was there before it: anything else that changed since is somebody else's.
        over = [overwritten(self._entity, work, now) for work, now in present if now != work.state]

        def rebuild(plan: PlanFile) -> None:
            for work in over:
                plan.rebuild(work)

        await self._journal.write(rebuild)
        self._around[campaign.id] = around
        return False

    async def _compared(self, campaign: DraftCampaign, rows: Sequence[StagedRow]) -> dict[int, StepOutcome]:
        """What publishing made of live entities, against what was staged."""
        ended = all_rows(rows, "", StepState.DONE)
        drafts = {row.step.row: self._staged.draft(row.draft_id) for row in rows}
        try:
            for work, state in await self._staged.present(rows):
                if state:
                    ended[work.number] = outcome = published(self._entity, work, drafts[work.number], state)
                    self._control.surprised(work, outcome)
                    self._shown.update(self._names(work))
            if over := changed_around(self._around[campaign.id]):
                remark = f"published over what somebody changed: {over}"
            else:
                remark = await self._compared_around(campaign)
            for row, one in ended.items() if remark else ():
                reason = "; ".join(part for part in (one.reason, remark) if part)
                ended[row] = msgspec.structs.replace(one, reason=reason)
        except SpotifyAdsError as problem:
            self._control.stop(f"what publishing made of the campaign could not be read: {problem}")
        self._proven = True
        return ended

    async def _compared_around(self, campaign: DraftCampaign) -> str:
        """What somebody put into drafts that no row is about, in words; where more of those changed, the run stops."""
        around = [(one, self._staged.draft(one.entity_id)) for one in self._around[campaign.id]]
        if self._proven and not changed_around([one._replace(now=draft) for one, draft in around if draft]):
            return ""
        now = {one.entity_id: one.now for one in await self._staged.around(campaign)}
        remarks: list[str] = []
        for one, draft in around:
            remark, unexpected = published_along(one, draft, now[one.entity_id])
            remarks += [remark] if remark else []
            if unexpected and not self._proven:
                self._control.stop(
                    f"publishing changed more of {one} than was asked: {'; '.join(map(str, unexpected))}. No"
                    f" other campaign was published after it. If you know why it is right: spotify-ads bulk"
                    f" resume {self._journal.path} --publish, with --keep-going to pass over the next ones too"
                )
        return "; ".join(remarks)


def _held_back(
    rows: Sequence[StagedRow], conflicts: Mapping[int, Sequence[Conflict]], along: str
) -> dict[int, StepOutcome]:
    def reason(row: int) -> str:
        own = [*map(str, conflicts.get(row, ())), *([along] if along else [])]
        what = f"it since it was staged: {'; '.join(own)}" if own else "another row of its campaign since it was staged"
        return f"not published: somebody changed {what}; --force publishes it all the same"

    return {row.step.row: StepOutcome(state=StepState.STAGED, reason=reason(row.step.row)) for row in rows}


def errors_by_row(
    entity_type: str, rows: Sequence[StagedRow], errors: Sequence[DraftValidationError]
) -> tuple[dict[int, str], str]:
    """What is wrong with each row's own draft, and what is wrong with the others in the campaign. Pure."""
    row_of = {row.draft_id: row.step.row for row in rows}
    reasons: dict[int, list[str]] = {}
    others: list[str] = []
    for error in errors:
        kind, entity_id, message = (
            str(error.validation_entity_type or ""),
            error.validation_entity_id or "",
            error.message or "no reason given",
        )
        if kind == entity_type and entity_id in row_of:
            reasons.setdefault(row_of[entity_id], []).append(message)
        else:
            others.append(f"{kind} {entity_id}: {message}")
    return {row: "; ".join(messages) for row, messages in reasons.items()}, "; ".join(others)
