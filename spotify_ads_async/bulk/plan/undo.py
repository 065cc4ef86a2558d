"""Taking a plan back: the inverse of what its journal says was done, as a plan of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import anyio.to_thread
import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import Refusal, State, effect, inverse, same, writable_state
from spotify_ads_async.bulk.plan.planner import new_plan
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, WrongPlan
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile, now_text
from spotify_ads_async.client import AdsClient

__all__ = ["plan_undo"]

_BATCH = 500
_ARCHIVED = "ARCHIVED"


async def plan_undo(ads: AdsClient, done: Path, path: Path, *, force: bool = False, now: datetime | None = None) -> None:
    """Make the plan at ``path`` that takes back what the plan at ``done`` did.

    Every entity is read again first. A row that somebody changed since, in a field that the plan changed, is refused, and
    so is a row of which a field cannot be restored; with ``force`` the first kind is overwritten and of the second kind
    what can be restored is. Rows that were changed elsewhere are undone and say so in their reason.

    Raises:
        WrongPlan: the plan is for another address, or has requests whose outcome is not settled: resume it first.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the present state cannot be read.
    """
    plan = await anyio.to_thread.run_sync(PlanFile.open, done)
    try:
        header = plan.header
        if header.base_url != ads.base_url:
            raise WrongPlan(f"the plan was made for {header.base_url}, and calls would go to {ads.base_url}")
        outcomes = await anyio.to_thread.run_sync(plan.outcomes)
        if outcomes[RowOutcome.UNKNOWN]:
            raise WrongPlan(f"{outcomes[RowOutcome.UNKNOWN]} rows are not settled: resume the plan first, then undo it")
        undo_header = msgspec.structs.replace(
            header, source=f"undo of {done}", undo_of=str(done), created_at=now_text(), ready=False, drafts=False
        )
        async with new_plan(path, undo_header) as undo:
            await _Undo(plan, undo, undo_header, force=force, now=now or datetime.now(UTC)).fill(ads)
    finally:
        plan.close()


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
        self._drafts = done.header.drafts

    async def fill(self, ads: AdsClient) -> None:
        journal = Journal(self._undo)
        rows = (row for row in self._done.rows() if row.applied or row.outcome is RowOutcome.STAGED)

        def take(undo: PlanFile) -> int:
            taken = 0
            with undo.transaction():
                for row in islice(rows, _BATCH):
                    taken += 1
                    undo.add_change(Change(line=row.line, entity_id=row.entity_id, values={}))
                    self._rows[row.entity_id] = row.number
            return taken

        while await journal.read(take):
            pass

        async def decide(found: Sequence[Found]) -> None:
            await journal.read(partial(self._decide_found, found))

        await read_present(ads, self._entity, self._header.ad_account_id, list(self._rows), decide)

    def _decide_found(self, found: Sequence[Found], undo: PlanFile) -> None:
        answers = dict(found)
        with undo.transaction():
            for row in undo.unread_of(list(answers)):
                self._decide(row, self._done.row_of(self._rows[row.entity_id]), answers[row.entity_id])

    def _decide(self, row: PlannedRow, done: PlannedRow, answer: msgspec.Struct | None) -> None:
        if answer is None:
            self._undo.refuse(row.number, f"the {self._entity.name} is not there any more")
            return
        state = writable_state(self._entity, answer)
        refusal = self._refusal(done, state)
        if refusal is not None:
            self._undo.refuse(row.number, refusal.reason, refusal.column)
            return
        wanted = inverse(self._entity, done.before, done.applied)
        outcome = effect(self._entity, state, wanted.values, now=self._now)
        if isinstance(outcome, Refusal):
            self._undo.refuse(row.number, outcome.reason, outcome.column)
            return
        elsewhere = {field: value for field, value in state.items() if field not in outcome.after}
        self._undo.decide(
            row.number, outcome, elsewhere=elsewhere, change=wanted.values, remark=self._remark(done, state, wanted.impossible)
        )

    def _refusal(self, done: PlannedRow, state: State) -> Refusal | None:
        """Why the row is not taken back."""
        if self._entity.archives and done.applied.get("status") == _ARCHIVED:
            return Refusal(column="status", reason="was archived, which cannot be undone")
        if done.outcome is RowOutcome.STAGED:
            return Refusal(reason="is staged in a draft and not live: there is nothing to undo; delete the draft to drop it")
        if self._drafts:
            return Refusal(reason="was published from a draft, which cannot be undone: change it anew to restore it")
        if self._force:
            return None
        for field, left in done.applied.items():
            present = state.get(field)
            if not same(present, left) and not same(present, done.before.get(field)):
                return Refusal(column=field, reason=f"somebody changed it since: the plan left {_shown(left)}, it is {_shown(present)} now")
        impossible = inverse(self._entity, done.before, done.applied).impossible
        for field, reason in impossible.items():
            return Refusal(column=field, reason=reason)
        return None

    def _remark(self, done: PlannedRow, state: State, impossible: dict[str, str]) -> str:
        """What people should know of a row that is taken back."""
        elsewhere = sorted(
            field
            for field in self._entity.fields - done.applied.keys()
            if field in done.elsewhere.keys() | state.keys() and not same(done.elsewhere.get(field), state.get(field))
        )
        overwritten = [field for field, left in done.applied.items() if not same(state.get(field), left) and field in done.before]
        parts = [
            f"somebody changed {', '.join(elsewhere)} since, which stays" if elsewhere else "",
            f"somebody changed {', '.join(overwritten)} since, which is overwritten" if overwritten and self._force else "",
            f"cannot be restored: {', '.join(impossible)}" if impossible else "",
        ]
        return "; ".join(part for part in parts if part)


def _shown(value: object) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
