"""Changes by an agent: planned, shown, confirmed, carried out in the background, and undone.

Each public method of :class:`Writer` is a tool, and its docstring is what the agent reads of it.
"""

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

import msgspec
from pydantic import Field

from spotify_ads_async import AdsClient, bulk, micros
from spotify_ads_async.bulk import ENTITIES, Decision
from spotify_ads_async.bulk.plan.money import amounts_in_units, in_units
from spotify_ads_async.mcp.answers import Account, Conditions, Row, Shown, as_text, require
from spotify_ads_async.money import format_micros
from spotify_ads_async.reports.planning import batched

__all__ = ["Writer"]

_Kind: TypeAlias = Literal["campaigns", "ad_sets", "ads"]
_LIFETIME_SECONDS = 3600.0
_IDS_AT_ONCE = 50
_PATIENCE_SECONDS = 20.0
"""How long a tool waits for a run before it answers that the run goes on."""
_TOLD = ("planned", "unchanged", "refused", "conflicts", "unusual", "paused", "resumed", "archived", "requests")


class _Plan(msgspec.Struct):
    """A plan as it was shown, and the run of it or of its undoing."""

    ad_account_id: str
    path: Path
    digest: bytes
    confirmation: str
    totals: bulk.PlanTotals
    currency: str
    expires_at: float
    live: bool = False
    undone: bool = False
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
        self,
        ad_account_id: Account,
        kind: _Kind,
        set: Annotated[Sequence[str], Field(description="New values, such as budget.amount=+10% or name=Autumn")] = (),  # noqa: A002 - the command line's word
        where: Conditions = (),
        rows: Annotated[Sequence[dict[str, Any]], Field(description="Or instead, objects of id and new values")] = (),
    ) -> Shown:
        """Plan changes and show them: names, before, after, totals. Nothing is changed. Show the plan to a person."""
        one = bool(set) != bool(rows)
        require(one, "give either `set` with `where`, or `rows`: one of them says what shall change")
        require(
            all(row.get("id") for row in rows),
            "each of `rows` needs the id of what it changes: nothing new can be made here",
        )
        entity, path = ENTITIES[kind.replace("_", " ")], self._folder / f"{secrets.token_hex(8)}.plan"
        if set:
            await bulk.plan_selection(self._ads, ad_account_id, entity, path, where=where, settings=set)
        else:
            named = [{entity.id_column: row["id"]} | {one: row[one] for one in row if one != "id"} for row in rows]
            await bulk.plan_changes(self._ads, ad_account_id, named, path)
        begun = await self._begun(ad_account_id, path) if kind == "campaigns" else 0
        return self._shown(ad_account_id, path, begun)

    async def _begun(self, ad_account_id: str, path: Path) -> int:
        """Micros of the ad sets that deliver again because a plan resumes their campaigns."""
        with bulk.PlanFile.open(path) as file:
            planned = [row for row in file.rows() if row.decision is Decision.PLANNED]
        resumed = [row for row in planned if row.before.get("status") == "PAUSED" and row.after["status"] != "ARCHIVED"]
        list_of = self._ads.ad_account(ad_account_id).ad_sets.list
        chunks = batched([row.entity_id for row in resumed], _IDS_AT_ONCE)
        sets = [one for ids in chunks async for one in list_of(campaign_ids=list(ids))]
        return sum(one.budget.micro_amount or 0 for one in sets if one.delivery == "ON" and one.budget)

    async def plan_pause(self, ad_account_id: Account, kind: _Kind, ids: Sequence[str]) -> Shown:
        """Plan to pause campaigns, ad sets or ads. Nothing is changed before apply_plan."""
        off = {"status": "PAUSED"} if kind == "campaigns" else {"delivery": "OFF"}
        return await self.plan_changes(ad_account_id, kind, rows=[{"id": one, **off} for one in ids])

    def _shown(self, ad_account_id: str, path: Path, begun: int) -> Shown:
        """What a person must see before a plan is carried out."""
        with bulk.PlanFile.open(path) as file:
            currency, totals, rows = file.header.currency, bulk.plan_totals(file), list(file.rows())
        totals.budget_growth += begun
        growth = totals.budget_growth
        known = not growth or re.fullmatch("[A-Z]{3}", currency)  # the confirmation names it
        require(known, "the account tells no currency, so nobody can say what money this is: nothing was planned")
        expires_at = time.monotonic() + _LIFETIME_SECONDS
        plan = _Plan(ad_account_id, path, _digest(path), totals.in_words(currency), totals, currency, expires_at)
        self._plans[path.stem] = plan
        self._log("planned", plan)
        budgets = {"budget_before": totals.budget_before, "budget_after": totals.budget_after}
        amounts = {when: {kind: format_micros(one) for kind, one in sums.items()} for when, sums in budgets.items()}
        about = {
            "plan_id": path.stem,
            "ad_account_id": ad_account_id,
            "currency": currency,
            "totals": {name: getattr(totals, name) for name in _TOLD} | amounts,
            "to_apply": {"tool": "apply_plan", "confirmation": plan.confirmation},
            "expires_in_seconds": int(_LIFETIME_SECONDS),
        }
        first = sorted(rows, key=lambda row: not (row.reason or row.unusual))
        return Shown([line for row in first for line in _lines(row)], about)

    def _known(self, ad_account_id: str, plan_id: str) -> _Plan:
        known = plan_id in self._plans and self._plans[plan_id].ad_account_id == ad_account_id
        require(known, "there is no such plan of this ad account in this session")
        return self._plans[plan_id]

    def _spend(self, plan: _Plan) -> None:
        """Take a plan's rows and money from what the session may change."""
        rows, growth, currency = plan.totals.planned, plan.totals.budget_growth, plan.currency
        left = rows if self._most_rows is None else self._most_rows - self._rows_spent
        require(rows <= left, f"the plan changes {rows} rows, and this session may change {left} more")
        left = growth if self._most_micros is None else self._most_micros - self._micros_spent[currency]
        told = f"{format_micros(growth)} {currency}, and this session has {format_micros(left)} left"
        require(growth <= left, f"the plan lets budgets grow by {told}")
        self._rows_spent += rows
        self._micros_spent[currency] += growth

    async def apply_plan(
        self,
        ad_account_id: Account,
        plan_id: str,
        confirmation: Annotated[str, Field(description="The plan's own confirmation, after a person agreed to it")],
        *,
        live: Annotated[bool, Field(description="Change what is live; otherwise drafts are made")] = False,
    ) -> Shown:
        """Carry out a plan that a person has seen and agreed to. As drafts, unless live is true."""
        plan = self._known(ad_account_id, plan_id)
        require(plan.task is None, "this plan was applied already; plan_status tells what became of it")
        fresh = time.monotonic() <= plan.expires_at
        require(fresh, "this plan has expired: plan again, for others may have changed things since")
        require(confirmation == plan.confirmation, f"the confirmation must be exactly: {plan.confirmation}")
        require(_digest(plan.path) == plan.digest, "the plan's file is not what was shown: plan again")
        self._spend(plan)
        plan.live = live
        self._start("applies", plan, plan.path, bulk.Options(draft=not live, allow_unusual=True))
        return await self.plan_status(ad_account_id, plan_id)

    def _start(self, action: str, plan: _Plan, path: Path, options: bulk.Options) -> None:
        self._log(action, plan, live=plan.live)
        plan.run, plan.task = path, asyncio.create_task(self._run(plan, path, options))

    async def _run(self, plan: _Plan, path: Path, options: bulk.Options) -> None:
        try:
            async with bulk.apply(self._ads, path, options) as run:
                async for _ in run:
                    pass
        finally:
            self._log("ended", plan, outcomes=_outcomes(path)[0])

    async def plan_status(self, ad_account_id: Account, plan_id: str) -> Shown:
        """Tell what became of a plan, and which rows are not as planned."""
        plan = self._known(ad_account_id, plan_id)
        about: dict[str, Any] = {"plan_id": plan_id, "ad_account_id": ad_account_id}
        if plan.task is None:
            return Shown([], about | {"state": "planned", "confirmation": plan.confirmation})
        about |= {"live": plan.live, "file": str(plan.run)}
        await asyncio.wait({plan.task}, timeout=_PATIENCE_SECONDS)
        if not plan.task.done():
            return Shown([], about | {"state": "running", "next": "plan_status tells more"})
        await plan.task
        outcomes, rows = _outcomes(plan.run)
        if outcomes.keys() & {"waiting", "unknown"}:
            about["next"] = f"a person can carry on: spotify-ads bulk resume {plan.run}"
        return Shown(rows, about | {"state": "undone" if plan.undone else "ended", "outcomes": outcomes})

    async def undo_plan(
        self,
        ad_account_id: Account,
        plan_id: str,
        confirmation: Annotated[str, Field(description="undo N rows, with the plan's number")],
    ) -> Shown:
        """Take back what a live plan did. What somebody changed since is left alone and named."""
        plan = self._known(ad_account_id, plan_id)
        require(not plan.undone, "this plan was undone already")
        ended = plan.task is not None and plan.task.done()
        require(ended, "there is nothing to undo: the plan was not applied, or still runs")
        require(plan.live, "the plan made drafts, which are not live: there is nothing to undo; a person deletes them")
        wanted = f"undo {plan.totals.planned} rows"
        require(confirmation == wanted, f"the confirmation must be exactly: {wanted}")
        back = plan.path.with_name(f"{plan_id}-undo-{secrets.token_hex(4)}.plan")
        plan.undone = True
        try:
            await bulk.plan_undo(self._ads, plan.path, back)
        except BaseException:
            plan.undone = False
            raise
        self._start("undoes", plan, back, bulk.Options())
        return await self.plan_status(ad_account_id, plan_id)

    def _log(self, action: str, plan: _Plan, **more: object) -> None:
        entry = {"at": datetime.now(UTC), "action": action, "plan": plan.path.stem, "ad_account_id": plan.ad_account_id}
        actions = self._folder / "actions.jsonl"
        actions.touch(mode=0o600)
        with actions.open("a", encoding="utf-8") as file:
            file.write(f"{as_text({**entry, 'confirmation': plan.confirmation, **more})}\n")


def _outcomes(path: Path) -> tuple[dict[str, int], Sequence[Row]]:
    """How many rows came to what, and the rows that are not as planned."""
    with bulk.PlanFile.open(path) as file:
        outcomes = {outcome.value: count for outcome, count in file.outcomes().items() if count}
        return outcomes, [_result(row) for row in file.rows() if not row.outcome.as_planned]


def _result(row: bulk.PlannedRow) -> Row:
    """What became of a row. Its reason tells in units what the columns of a conflict tell in micros."""
    names = ("name", "outcome", "fields", "reason", "http_status", "trace_id", "id")
    return {name: value for name, value in bulk.result(row).items() if name in names}


def _lines(row: bulk.PlannedRow) -> Sequence[Row]:
    """A planned row as a person reads it: a line for each field, or why it is left alone."""
    about = {"name": row.name, "id": row.entity_id} | ({"unusual": row.unusual} if row.unusual else {})
    if row.decision in {Decision.REFUSED, Decision.CONFLICT}:
        return [{**about, row.decision.value: row.reason}]
    values = (
        (one.field, *(amounts_in_units(value, one.field) for value in (one.before, one.after)))
        for one in bulk.differences(row)
    )
    return [{**about, "field": in_units(field), "before": before, "after": after} for field, before, after in values]


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
