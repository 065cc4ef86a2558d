"""Changes by an agent: planned, shown, confirmed, carried out in the background, and undone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from mcp.server.mcpserver.exceptions import ToolError

from spotify_ads_async import AdsClient, bulk
from spotify_ads_async.bulk import ENTITIES, Entity
from spotify_ads_async.mcp.answers import as_text, in_units
from spotify_ads_async.money import format_micros

__all__ = ["Caps", "Kind", "Writer"]

Kind = Literal["campaigns", "ad_sets", "ads"]
_PAUSED: Mapping[str, Mapping[str, str]] = {
    "campaigns": {"status": "PAUSED"},
    "ad_sets": {"delivery": "OFF"},
    "ads": {"delivery": "OFF"},
}
_LIFETIME_SECONDS = 3600.0
_PATIENCE_SECONDS = 20.0
"""How long a tool waits for a run before it answers that the run goes on."""


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What one session may change: rows, and how much budgets may grow, in units of the account's currency.

    None is no cap.
    """

    rows: int | None = 1_000
    money: float | None = None


class _Made(msgspec.Struct, kw_only=True):
    """A plan as it was shown."""

    ad_account_id: str
    path: Path
    digest: str
    confirmation: str
    rows: int
    growth_micros: int
    expires_at: float
    live: bool = False
    task: asyncio.Task[dict[str, int]] | None = None
    undone: bool = False


class Writer:
    """Plans of one session, and what became of them. Use it as ``async with``: leaving it waits for what is under way.

    Args:
        ads: the client.
        folder: where plans and the log of actions are kept, readable by their owner alone.
        caps: what the session may change.
    """

    def __init__(self, ads: AdsClient, folder: Path, caps: Caps | None = None) -> None:
        self._ads = ads
        self._folder = folder
        self._caps = caps or Caps()
        self._plans: dict[str, _Made] = {}
        self._rows_left = self._caps.rows
        self._money_left_micros = None if self._caps.money is None else int(self._caps.money * 1_000_000)

    async def __aenter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        running = [made.task for made in self._plans.values() if made.task is not None and not made.task.done()]
        await asyncio.gather(*running, return_exceptions=True)

    async def plan(
        self,
        ad_account_id: str,
        kind: Kind,
        *,
        where: Sequence[str],
        settings: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Plan changes by conditions and new values, or row by row; nothing is sent that changes anything."""
        if bool(settings) == bool(rows):
            raise ToolError("give either `set` with `where`, or `rows`: one of them says what shall change")
        entity = ENTITIES[kind.replace("_", " ")]
        path = self._folder / f"{secrets.token_hex(8)}.plan"
        if settings:
            await bulk.plan_selection(self._ads, ad_account_id, entity, path, where=where, settings=settings)
        else:
            with _changes_file(path, entity, rows) as changes:
                await bulk.plan_changes(self._ads, ad_account_id, changes, path)
        return self._shown(ad_account_id, path)

    async def plan_pause(self, ad_account_id: str, kind: Kind, ids: Sequence[str]) -> dict[str, Any]:
        """Plan to pause what has these IDs."""
        return await self.plan(
            ad_account_id, kind, where=(), settings=(), rows=[{"id": one, **_PAUSED[kind]} for one in ids]
        )

    def _shown(self, ad_account_id: str, path: Path) -> dict[str, Any]:
        """What a person must see before a plan is carried out."""
        with bulk.PlanFile.open(path) as plan:
            header, totals = plan.header, bulk.plan_totals(plan)
            rows = list(plan.rows())
        refused = [{**_named(row), "reason": row.reason} for row in rows if row.reason]
        changes = [{**_named(row), **_change(one)} for row in rows for one in bulk.differences(row)]
        growth = sum((totals.budget_after - totals.budget_before).values())
        money = f", budgets grow by {format_micros(growth)} {header.currency}" if growth else ""
        if growth and not header.currency and self._money_left_micros is not None:
            raise ToolError(
                "the account's currency is not known, so the cap on money cannot be kept: nothing was planned"
            )
        plan_id = path.stem
        made = self._plans[plan_id] = _Made(
            ad_account_id=ad_account_id,
            path=path,
            digest=_digest(path),
            confirmation=f"change {totals.planned} rows{money}",
            rows=totals.planned,
            growth_micros=growth,
            expires_at=time.monotonic() + _LIFETIME_SECONDS,
        )
        self._log("planned", plan_id, made)
        return {
            "plan_id": plan_id,
            "ad_account_id": ad_account_id,
            "currency": header.currency,
            "rows": totals.planned,
            "unchanged": totals.unchanged,
            "pauses": totals.paused,
            "resumes": totals.resumed,
            "archives": totals.archived,
            "refused": refused[:50],
            "changes": changes[:100],
            "changes_left_out": max(0, len(changes) - 100),
            "to_apply": {"tool": "apply_plan", "confirmation": made.confirmation},
            "expires_in_seconds": int(_LIFETIME_SECONDS),
        }

    def _ready(self, plan_id: str, ad_account_id: str, confirmation: str) -> _Made:
        made = self._known(plan_id, ad_account_id)
        if made.task is not None:
            raise ToolError("this plan was applied already; plan_status tells what became of it")
        if time.monotonic() > made.expires_at:
            raise ToolError("this plan has expired: plan again, for others may have changed things since")
        if confirmation != made.confirmation:
            raise ToolError(f"the confirmation must be exactly: {made.confirmation}")
        if _digest(made.path) != made.digest:
            raise ToolError("the plan's file is not what was shown: plan again")
        self._spend(made)
        return made

    def _known(self, plan_id: str, ad_account_id: str) -> _Made:
        made = self._plans.get(plan_id)
        if made is None or made.ad_account_id != ad_account_id:
            raise ToolError("there is no such plan of this ad account in this session")
        return made

    def _spend(self, made: _Made) -> None:
        growth = max(0, made.growth_micros)
        if self._rows_left is not None and made.rows > self._rows_left:
            raise ToolError(f"the plan changes {made.rows} rows, and this session may change {self._rows_left} more")
        if self._money_left_micros is not None and growth > self._money_left_micros:
            left = format_micros(self._money_left_micros)
            raise ToolError(f"the plan lets budgets grow by {format_micros(growth)}, and this session has {left} left")
        self._rows_left = None if self._rows_left is None else self._rows_left - made.rows
        self._money_left_micros = None if self._money_left_micros is None else self._money_left_micros - growth

    async def apply(self, plan_id: str, ad_account_id: str, confirmation: str, *, live: bool) -> dict[str, Any]:
        """Carry a plan out, as drafts unless ``live``. A long run goes on in the background."""
        made = self._ready(plan_id, ad_account_id, confirmation)
        made.live = live
        self._log("applies", plan_id, made)
        made.task = asyncio.create_task(self._run(plan_id, made, bulk.Options(draft=not live)))
        return await self.status(plan_id, ad_account_id)

    async def _run(self, plan_id: str, made: _Made, options: bulk.Options) -> dict[str, int]:
        outcomes: dict[str, int] = {}
        try:
            async with bulk.apply(self._ads, made.path, options) as run:
                async for row in run:
                    outcomes[row.outcome.value] = outcomes.get(row.outcome.value, 0) + 1
        finally:
            self._log("ended", plan_id, made, outcomes=outcomes)
        return outcomes

    async def status(self, plan_id: str, ad_account_id: str) -> dict[str, Any]:
        """What became of a plan."""
        made = self._known(plan_id, ad_account_id)
        if made.task is None:
            return {"plan_id": plan_id, "state": "planned", "confirmation": made.confirmation}
        await asyncio.wait({made.task}, timeout=_PATIENCE_SECONDS)
        about = {"plan_id": plan_id, "live": made.live, "file": str(made.path)}
        if not made.task.done():
            return {**about, "state": "running", "next": "plan_status tells more"}
        outcomes = await made.task
        unknown = (
            {"next": f"a person can settle these: spotify-ads bulk resume {made.path}"}
            if outcomes.get("unknown")
            else {}
        )
        return {**about, "state": "undone" if made.undone else "ended", "outcomes": outcomes, **unknown}

    async def undo(self, plan_id: str, ad_account_id: str, confirmation: str) -> dict[str, Any]:
        """Take back what a live plan did, where nobody changed it since."""
        made = self._known(plan_id, ad_account_id)
        if made.task is None or not made.task.done():
            raise ToolError("there is nothing to undo: the plan was not applied, or still runs")
        if not made.live:
            raise ToolError(
                "the plan made drafts, which are not live: there is nothing to undo; a person can delete the drafts"
            )
        if made.undone:
            raise ToolError("this plan was undone already")
        if confirmation != f"undo {made.rows} rows":
            raise ToolError(f"the confirmation must be exactly: undo {made.rows} rows")
        back = made.path.with_suffix(".undo.plan")
        await bulk.plan_undo(self._ads, made.path, back)
        made.undone = True
        self._log("undoes", plan_id, made)
        outcomes = await asyncio.shield(
            asyncio.create_task(self._run(plan_id, msgspec.structs.replace(made, path=back), bulk.Options()))
        )
        return {"plan_id": plan_id, "state": "undone", "outcomes": outcomes}

    def _log(self, action: str, plan_id: str, made: _Made, **more: Any) -> None:  # noqa: ANN401 - any JSON
        entry = {
            "at": datetime.now(UTC),
            "action": action,
            "plan": plan_id,
            "ad_account_id": made.ad_account_id,
            "rows": made.rows,
            **more,
        }
        descriptor = os.open(self._folder / "actions.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{as_text(entry)}\n")


@contextlib.contextmanager
def _changes_file(plan: Path, entity: Entity, rows: Sequence[Mapping[str, Any]]) -> Generator[Path]:
    changes = plan.with_suffix(".jsonl")
    lines = (
        {entity.id_column: row.get("id"), **{name: value for name, value in row.items() if name != "id"}}
        for row in rows
    )
    changes.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    try:
        yield changes
    finally:
        changes.unlink(missing_ok=True)


def _named(row: bulk.PlannedRow) -> dict[str, Any]:
    return {"name": row.name, "id": row.entity_id}


def _change(difference: bulk.Difference) -> dict[str, Any]:
    before, after = ({difference.field: value} for value in (difference.before, difference.after))
    ((field, shown),) = in_units(before).items()
    return {"field": field, "before": shown, "after": next(iter(in_units(after).values()))}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
