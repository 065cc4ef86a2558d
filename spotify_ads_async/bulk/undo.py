"""Taking a plan back: the inverse of what its journal says was done, as a plan of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import (
    Conflict,
    Effect,
    Refusal,
    bodies_of,
    conflicting,
    rebase,
    refusal_of,
)
from spotify_ads_async.bulk.plan.planner import new_plan
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.plan.state import (
    State,
    copied,
    edits_between,
    entity_shape,
    leaf,
    same,
    sendable,
    state_of,
    with_edit,
    writable,
)
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow, StepState, WrongPlan
from spotify_ads_async.bulk.run.published import read_back
from spotify_ads_async.bulk.run.staged_campaigns import StagedCampaigns
from spotify_ads_async.bulk.store.draft_tables import StagedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile, now_text
from spotify_ads_async.bulk.store.planning_rows import Decided, ReadRow
from spotify_ads_async.client import AdsClient
from spotify_ads_async.locks import taken_off_loop

__all__ = ["plan_undo"]

_BATCH = 500
_ARCHIVED = "ARCHIVED"


async def plan_undo(
    ads: AdsClient, done: Path, path: Path, *, force: bool = False, now: datetime | None = None
) -> None:
    """Make the plan at ``path`` that takes back what the plan at ``done`` did.

    Every entity is read again first. A row that somebody changed since, in a field that the plan changed, is a
    conflict, and a row of which a field cannot be restored is refused; with ``force`` the first kind is overwritten and
    of the second kind what can be restored is. Rows that were changed elsewhere are undone and say so in their reason.

    Raises:
        WrongPlan: the plan is for another address, or has requests whose outcome is not settled: resume it first.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the present state cannot be read.
    """
    with await taken_off_loop(lambda: PlanFile.open(done), PlanFile.close) as plan:
        header = plan.header
        if not header.ready:
            raise WrongPlan("the plan is unfinished, so it has done nothing that could be undone")
        if header.base_url != ads.base_url:
            raise WrongPlan(f"the plan was made for {header.base_url}, and calls would go to {ads.base_url}")
        if unsettled := await taken_off_loop(plan.unsettled):
            raise WrongPlan(f"{unsettled} rows are not settled: resume the plan first, then undo it")
        undo_header = msgspec.structs.replace(
            header,
            source=f"undo of {done}",
            undo_of=str(done),
            created_at=now_text(),
            ready=False,
            drafts=False,
            former=False,
            allow_unusual=True,
        )
        async with new_plan(path, undo_header) as undo:
            await _Undo(plan, undo, undo_header, force=force, now=now or datetime.now(UTC)).fill(ads)


class _Undo:
    """One undo in the making: ``done`` is read, ``undo`` is written."""

    def __init__(self, done: PlanFile, undo: PlanFile, header: Header, *, force: bool, now: datetime) -> None:
        self._done = done
        self._undo = undo
        self._header = header
        self._entity: Entity = header.kind
        self._force = force
        self._now = now
        self._rows: dict[str, int] = {}
        self._staged: dict[int, StagedRow] = {}

    async def fill(self, ads: AdsClient) -> None:
        journal = Journal(self._undo)
        if self._done.header.drafts:
            self._staged = await StagedCampaigns(ads, Journal(self._done), self._header).staged()
        rows = (row for row in self._done.rows() if row.applied or row.number in self._staged)

        def take(undo: PlanFile) -> int:
            taken = 0
            with undo.transaction():
                for row in islice(rows, _BATCH):
                    taken += 1
                    undo.planning.add_change(Change(line=row.line, entity_id=row.entity_id, values={}))
                    self._rows[row.entity_id] = row.number
            return taken

        while await journal.read(take):
            pass

        async def decide(found: Sequence[Found]) -> None:
            await journal.read(partial(self._decide_found, found))

        await read_present(ads, self._entity, self._header.ad_account_id, list(self._rows), decide)

    def _decide_found(self, found: Sequence[Found], undo: PlanFile) -> None:
        decided = [
            self._decided(row, self._done.row_of(self._rows[row.entity_id]), answer)
            for row, answer in undo.planning.take(found)
        ]
        with undo.transaction():
            undo.planning.decide(decided)

    def _decided(self, row: ReadRow, done: PlannedRow, answer: msgspec.Struct | None) -> Decided:
        found = self._taken_back(row, done, answer)
        return Decided(row=row, effect=found, name=done.name) if isinstance(found, Refusal) else found

    def _taken_back(self, row: ReadRow, done: PlannedRow, answer: msgspec.Struct | None) -> Decided | Refusal:
        if answer is None:
            return Refusal(reason=f"the {self._entity.name} is not there any more")
        if self._entity.archives and done.applied.get("status") == _ARCHIVED:
            return Refusal(column="status", reason="was archived, which cannot be undone")
        text = state_of(answer)
        state: dict[str, Any] = msgspec.json.decode(text)
        if (staged := self._staged.get(done.number)) is not None:
            if not self._is_published(staged, state):
                return _nothing_live(row, done, staged)
            live = tuple((body, None) for body in done.stored.bodies)
            done = msgspec.structs.replace(done, stored=done.stored._replace(answered=live))
        earlier, impossible = self._earlier(done)
        later, besides = _own(self._entity, done, earlier)
        rebased = rebase(self._entity, later, earlier, state)
        if impossible and not self._force:
            field, reason = next(iter(impossible.items()))
            return Refusal(column=field, reason=reason)
        conflicts = rebased.conflicts
        if conflicts:
            rebased = rebase(self._entity, later, earlier, state, force=True)
        steps = bodies_of(self._entity, rebased.after)
        # What was there came from the server, and is never a reason to refuse.
        illegal = refusal_of(self._entity, steps, {**rebased.before, **earlier}, rebased.after, self._now)
        if illegal is not None:
            return illegal
        if not steps and done.applied and state.get("updated_at") and state == done.state:
            shown_before = "is shown by the API as it was before the plan: its reads are behind its writes"
            return Refusal(reason=f"{shown_before}; undo it again in a minute")
        found = Effect(before=rebased.before, after=rebased.after, steps=steps)
        if conflicts and not self._force:
            found, text = conflicting(found, conflicts), ""
        return Decided(
            row=row,
            effect=found,
            text=text,
            name=str(state.get("name") or ""),
            parent=str(state.get(self._entity.parent_field) or "") if self._entity.parent_field else "",
            change=rebased.after,
            remark=self._remark(done, state, fields_named(conflicts), impossible, besides),
            conflicts=() if self._force else conflicts,
        )

    def _is_published(self, staged: StagedRow, state: dict[str, Any]) -> bool:
        """Whether somebody published the draft of a row: it is gone, and at least a part of its values is live."""
        (work,) = self._done.work([staged.step.row])
        return not staged.draft_id and read_back(self._entity, work, state, again=False).found is not None

    def _earlier(self, done: PlannedRow) -> tuple[dict[str, Any], dict[str, str]]:
        """The fields that the plan changed, as they were at the moment of writing; and why some cannot be restored."""
        earlier: dict[str, Any] = {}
        impossible: dict[str, str] = {}
        for field, left in done.applied.items():
            column = self._entity.columns.get(field)
            if field in self._entity.read_only:
                impossible[field] = "was changed by the server, and the API takes no change of it"
            elif done.before.get(field) is not None:
                earlier[field] = done.before[field]
            elif isinstance(left, list):
                earlier[field] = []
            elif column is not None and column.nullable:
                earlier[field] = None
            else:
                impossible[field] = "was not set before, and the API has no way to unset it"
        return earlier, impossible

    def _remark(
        self,
        done: PlannedRow,
        state: dict[str, Any],
        overwritten: Sequence[str],
        impossible: dict[str, str],
        besides: Sequence[str],
    ) -> str:
        """What people should know of a row that is taken back."""
        before, now = (
            {field: value for field, value in writable(self._entity, one).items() if field not in done.applied}
            for one in (done.state, state)
        )
        elsewhere = sorted({edit.path[0] for edit in edits_between(before, now)})
        parts = [
            f"somebody changed {', '.join(elsewhere)} since, which stays" if elsewhere else "",
            f"somebody changed {', '.join(overwritten)} since, which is overwritten" if overwritten else "",
            f"cannot be restored: {', '.join(impossible)}" if impossible else "",
            f"{', '.join(besides)} came in beside it when it was written, and stays" if besides else "",
        ]
        return "; ".join(part for part in parts if part)


def _own(entity: Entity, done: PlannedRow, earlier: State) -> tuple[dict[str, Any], list[str]]:
    """The fields that a row left behind, without what came into them though the row says nothing of it; and that.

    A colleague put it there just before the request, or the server did with it: it is not the row's to take away.
    """
    shape = entity_shape(entity)
    later = {field: copied(sendable(left, shape, field)) for field, left in done.applied.items() if field in earlier}
    besides = [
        edit
        for edit in edits_between(earlier, later)
        if len(edit.path) > 1 and same(edit.before, None) and same(leaf(done.after, edit.path), None)
    ]
    for edit in besides:
        with_edit(later, edit.path, edit.before)
    return later, [edit.name for edit in besides]


def _nothing_live(row: ReadRow, done: PlannedRow, staged: StagedRow) -> Decided | Refusal:
    if staged.step.state is StepState.STAGED:
        return Refusal(
            reason="is staged in a draft and not live: there is nothing to undo; delete the draft to drop it"
        )
    return Decided(row=row, effect=Effect(before={}, after={}, steps=()), name=done.name)


def fields_named(conflicts: Sequence[Conflict]) -> list[str]:
    """The fields that conflicts are in, each once."""
    return list(dict.fromkeys(conflict.field.partition(".")[0] for conflict in conflicts))
