"""Changes by an agent, planned, shown, confirmed, carried out and undone: each method of the writer is a tool."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import anyio.to_thread
import msgspec
from pydantic import Field

from spotify_ads_async import AdsClient, bulk, micros
from spotify_ads_async.mcp.answers import Account, Conditions, Row, Shown, as_text, require
from spotify_ads_async.money import format_micros
from spotify_ads_async.private_files import append_private_line

__all__ = ["Writer"]

_Kind: TypeAlias = Literal["campaigns", "ad_sets", "ads"]
_Settings = Annotated[Sequence[str], Field(description="New values, such as budget.amount=+10% or name=Autumn")]
_Rows = Annotated[Sequence[dict[str, Any]], Field(description="Or instead, objects of id and new values")]
_Agreed = Annotated[str, Field(description="The plan's own, or `undo N rows`, after a person agreed to it")]
_Live = Annotated[bool, Field(description="Change what is live; otherwise drafts are made")]
_LIFETIME_SECONDS = 3600.0
_PATIENCE_SECONDS = 20.0
"""How long a tool waits for a run before it answers that the run goes on."""
_TOLD_OF_RESULTS = ("name", "outcome", "fields", "reason", "http_status", "trace_id", "id")
"""What a conflict's other columns tell in micros, its reason tells in units."""
_TOLD = ("planned", "unchanged", "refused", "conflicts", "unusual", "paused", "resumed", "archived", "requests")


class _Plan(msgspec.Struct):
    """A plan as it was shown, and the run of it or of its undoing."""

    ad_account_id: str
    path: Path
    digest: bytes
    confirmation: str
    totals: bulk.PlanTotals
    currency: str
    expires_at: float = msgspec.field(default_factory=lambda: time.monotonic() + _LIFETIME_SECONDS)
    live: bool = False
    run: Path = Path()
    task: asyncio.Task[None] | None = None


class Writer:
    """Plans of one session, and what became of them. Use it as ``async with``: leaving it waits for what is under way.

    Args:
        ads: the client.
        folder: where plans and the log of actions are kept, readable by their owner alone.
        most_rows: how many rows the session may change; None is no cap.
        most_money: by how much it may let budgets grow, in units of each currency; None is no cap.

    Raises:
        InvalidAmount: the cap is no amount of money.
    """

    def __init__(
        self, ads: AdsClient, folder: Path, *, most_rows: int | None = 1_000, most_money: Decimal | None = None
    ) -> None:
        self._ads, self._folder, self._most_rows = ads, folder, most_rows
        self._most_micros = None if most_money is None else micros(most_money)
        self._plans: dict[str, _Plan] = {}
        self._rows_spent, self._micros_spent = 0, Counter[str]()

    async def __aenter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(plan.task for plan in self._plans.values() if plan.task), return_exceptions=True)

    async def plan_changes(
        self, ad_account_id: Account, kind: _Kind, set: _Settings = (), where: Conditions = (), rows: _Rows = ()
    ) -> Shown:
        """Plan changes and show them: names, before, after, totals. Nothing is changed. Show the plan to a person."""
        require(bool(set) != bool(rows), "give one of them: `set` with `where`, or `rows`")
        entity, path = bulk.ENTITIES[kind.replace("_", " ")], self._folder / f"{secrets.token_hex(8)}.plan"
        named = all(row.get("id") and entity.id_column not in row for row in rows)
        require(named, "each of `rows` needs the id, and only under this name: nothing new can be made here")
        if set:
            await bulk.plan_selection(self._ads, ad_account_id, entity, path, where=where, settings=set)
        else:
            changes = [{entity.id_column: row["id"]} | {one: row[one] for one in row if one != "id"} for row in rows]
            await bulk.plan_changes(self._ads, ad_account_id, changes, path)
        return await self._shown(ad_account_id, path)

    async def plan_pause(self, ad_account_id: Account, kind: _Kind, ids: Sequence[str]) -> Shown:
        """Plan to pause campaigns, ad sets or ads. Nothing is changed before apply_plan."""
        off = {"status": "PAUSED"} if kind == "campaigns" else {"delivery": "OFF"}
        return await self.plan_changes(ad_account_id, kind, rows=[{"id": one, **off} for one in ids])

    async def _shown(self, ad_account_id: str, path: Path) -> Shown:
        """What a person must see before a plan is carried out."""
        currency, totals, lines, digest = await anyio.to_thread.run_sync(_contents, path)
        if totals.resumed:
            totals.budget_growth += sum((await bulk.budgets_resumed(self._ads, path)).values())
        known = not totals.budget_growth or re.fullmatch("[A-Z]{3}", currency)  # the confirmation names it
        require(known, "the account tells no currency, so nobody can say what money this is: nothing was planned")
        self._plans[path.stem] = plan = _Plan(ad_account_id, path, digest, totals.in_words(currency), totals, currency)
        self._log("planned", plan)
        budgets = {"budget_before": totals.budget_before, "budget_after": totals.budget_after}
        amounts = {when: {kind: format_micros(one) for kind, one in sums.items()} for when, sums in budgets.items()}
        about = {
            "plan_id": path.stem,
            "ad_account_id": ad_account_id,
            "currency": currency,
            "totals": {name: getattr(totals, name) for name in _TOLD} | amounts,
            "to_apply": {"tool": "apply_plan", "confirmation": plan.confirmation},
            "beyond_limits": self._beyond_limits(plan) or None,
            "expires_in_seconds": int(_LIFETIME_SECONDS),
        }
        return Shown(lines, about)

    def _known(self, ad_account_id: str, plan_id: str) -> _Plan:
        known = plan_id in self._plans and self._plans[plan_id].ad_account_id == ad_account_id
        require(known, "there is no such plan of this ad account in this session")
        return self._plans[plan_id]

    def _beyond_limits(self, plan: _Plan) -> str:
        """By what a plan is more than the session may still change, in a sentence; empty where it is not."""
        rows, growth, currency = plan.totals.planned, plan.totals.budget_growth, plan.currency
        if self._most_rows is not None and rows > (left := self._most_rows - self._rows_spent):
            return f"the plan changes {rows} rows, and this session may change {left} more"
        if self._most_micros is not None and growth > (left := self._most_micros - self._micros_spent[currency]):
            grows = f"the plan lets budgets grow by {format_micros(growth)} {currency}"
            return f"{grows}, and this session has {format_micros(left)} left"
        return ""

    async def apply_plan(
        self, ad_account_id: Account, plan_id: str, confirmation: _Agreed, *, live: _Live = False
    ) -> Shown:
        """Carry out a plan that a person has seen and agreed to. As drafts, unless live is true."""
        plan = self._known(ad_account_id, plan_id)
        same = await anyio.to_thread.run_sync(_digest, plan.path) == plan.digest
        require(same or plan.task, "the plan's file is not what was shown: plan again")
        require(plan.task is None, "this plan was applied already; plan_status tells what became of it")
        require(time.monotonic() <= plan.expires_at, "this plan has expired: plan again, for others change things, too")
        require(confirmation == plan.confirmation, f"the confirmation must be exactly: {plan.confirmation}")
        require(not (beyond := self._beyond_limits(plan)), beyond)
        self._rows_spent += plan.totals.planned
        self._micros_spent[plan.currency] += plan.totals.budget_growth
        plan.live = live
        plan.task = asyncio.create_task(self._carry_out(plan, plan.path, draft=not live))
        return await self.plan_status(ad_account_id, plan_id)

    async def _carry_out(self, plan: _Plan, run: Path, *, draft: bool) -> None:
        if run != plan.path:
            await bulk.plan_undo(self._ads, plan.path, run)
        plan.run = run
        self._log("applies" if run == plan.path else "undoes", plan, live=plan.live)
        try:
            # What is unusual was confirmed with the plan.
            async with bulk.apply(self._ads, run, bulk.Options(draft=draft, allow_unusual=True)) as rows:
                async for _ in rows:
                    pass
        finally:
            self._log("ended", plan, outcomes=_outcomes(run)[0])

    async def plan_status(self, ad_account_id: Account, plan_id: str) -> Shown:
        """Tell what became of a plan, and which rows are not as planned."""
        plan = self._known(ad_account_id, plan_id)
        about: dict[str, Any] = {"plan_id": plan_id, "ad_account_id": ad_account_id}
        if plan.task is None:
            return Shown([], about | {"state": "planned", "confirmation": plan.confirmation})
        await asyncio.wait({plan.task}, timeout=_PATIENCE_SECONDS)
        about |= {"live": plan.live, "file": str(plan.run)}
        if not plan.task.done():
            return Shown([], about | {"state": "running", "next": "plan_status tells more"})
        await plan.task
        outcomes, rows = await anyio.to_thread.run_sync(_outcomes, plan.run)
        if outcomes.keys() & {"waiting", "unknown"}:
            about["next"] = f"a person can carry on: spotify-ads bulk resume {plan.run}"
        return Shown(rows, about | {"state": "ended" if plan.run == plan.path else "undone", "outcomes": outcomes})

    async def undo_plan(self, ad_account_id: Account, plan_id: str, confirmation: _Agreed) -> Shown:
        """Take back what a live plan did. What somebody changed since is left alone and named."""
        plan = self._known(ad_account_id, plan_id)
        require(plan.task and plan.task.done(), "there is nothing to undo: the plan was not applied, or still runs")
        require(plan.run == plan.path, "this plan was undone already")
        require(plan.live, "the plan made drafts, which are not live: there is nothing to undo; a person deletes them")
        wanted = f"undo {plan.totals.planned} rows"
        require(confirmation == wanted, f"the confirmation must be exactly: {wanted}")
        back = plan.path.with_name(f"{plan_id}-undo-{secrets.token_hex(4)}.plan")
        plan.task = asyncio.create_task(self._carry_out(plan, back, draft=False))
        return await self.plan_status(ad_account_id, plan_id)

    def _log(self, action: str, plan: _Plan, **more: object) -> None:
        entry = {"at": datetime.now(UTC), "action": action, "plan": plan.path.stem, "ad_account_id": plan.ad_account_id}
        append_private_line(self._folder / "actions.jsonl", as_text(entry | {"confirmation": plan.confirmation} | more))


def _contents(path: Path) -> tuple[str, bulk.PlanTotals, list[Row], bytes]:
    """A plan's currency, totals, lines (first those of which there is something to say), and digest."""
    totals, first, rest = bulk.PlanTotals(), list[Row](), list[Row]()
    with bulk.PlanFile.open(path) as file:
        for row in file.rows():
            totals.add(row)
            (first if row.reason or row.unusual else rest).extend(bulk.preview(row))
        currency = file.header.currency
    return currency, totals, first + rest, _digest(path)


def _outcomes(path: Path) -> tuple[dict[str, int], Sequence[Row]]:
    """How many rows came to what, and the rows that are not as planned."""
    with bulk.PlanFile.open(path) as file:
        outcomes = {outcome.value: count for outcome, count in file.outcomes().items() if count}
        results = (bulk.result(row) for row in file.rows() if not row.outcome.as_planned)
        return outcomes, [{name: one[name] for name in _TOLD_OF_RESULTS} for one in results]


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
