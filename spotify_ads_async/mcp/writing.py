"""Changes by an agent: planned, shown, confirmed, carried out in the background, and undone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import msgspec
from mcp.server.mcpserver.exceptions import ToolError

from spotify_ads_async import AdsClient, bulk
from spotify_ads_async.bulk import ENTITIES, Decision, RowOutcome
from spotify_ads_async.mcp.answers import as_text, in_units
from spotify_ads_async.money import format_micros

__all__ = ["Caps", "Kind", "Shown", "Writer"]

Kind = Literal["campaigns", "ad_sets", "ads"]
Row: TypeAlias = dict[str, Any]
Shown: TypeAlias = tuple[list[Row], Row]
"""Rows to be paged through, and what is said beside them on every page."""
_LIFETIME_SECONDS = 3600.0
_PATIENCE_SECONDS = 20.0
"""How long a tool waits for a run before it answers that the run goes on."""
_SETTLED = frozenset({RowOutcome.DONE, RowOutcome.STAGED, RowOutcome.UNCHANGED})


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What one session may change; None is no cap.

    ``rows`` is how many, ``money`` by how much budgets may grow, in units of each currency.
    """

    rows: int | None = 1_000
    money: float | None = None


class _Made(msgspec.Struct, kw_only=True):
    """A plan as it was shown, and the run of it or of its undoing."""

    ad_account_id: str
    path: Path
    digest: bytes
    confirmation: str
    rows: int
    growth_micros: int
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
        caps: what the session may change.
    """

    def __init__(self, ads: AdsClient, folder: Path, caps: Caps | None = None) -> None:
        self._ads = ads
        self._folder = folder
        self._caps = caps or Caps()
        self._plans: dict[str, _Made] = {}
        self._rows_spent = 0
        self._micros_spent = Counter[str]()

    async def __aenter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(made.task for made in self._plans.values() if made.task), return_exceptions=True)

    async def plan(
        self,
        ad_account_id: str,
        kind: Kind,
        *,
        where: Sequence[str] = (),
        settings: Sequence[str] = (),
        rows: Sequence[Mapping[str, Any]] = (),
    ) -> Shown:
        """Plan changes by conditions and new values, or row by row; nothing is sent that changes anything."""
        if bool(settings) == bool(rows):
            raise ToolError("give either `set` with `where`, or `rows`: one of them says what shall change")
        if not all(row.get("id") for row in rows):
            raise ToolError("each of `rows` needs the id of what it changes: nothing new can be made here")
        entity = ENTITIES[kind.replace("_", " ")]
        path = self._folder / f"{secrets.token_hex(8)}.plan"
        if settings:
            await bulk.plan_selection(self._ads, ad_account_id, entity, path, where=where, settings=settings)
        else:
            changes = path.with_suffix(".jsonl")
            lines = ({entity.id_column: row["id"]} | {name: row[name] for name in row if name != "id"} for row in rows)
            changes.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            try:
                await bulk.plan_changes(self._ads, ad_account_id, changes, path)
            except bulk.BadChanges as error:  # what it calls lines of a file are the agent's rows
                raise ToolError(as_text(str(error).replace(f"{changes}:", "row "))[1:-1]) from None
            finally:
                changes.unlink()
        return self._shown(ad_account_id, path)

    def _shown(self, ad_account_id: str, path: Path) -> Shown:
        """What a person must see before a plan is carried out."""
        with bulk.PlanFile.open(path) as plan:
            header, totals, rows = plan.header, bulk.plan_totals(plan), list(plan.rows())
        growth = totals.budget_growth
        if growth and not header.currency:
            raise ToolError("the account tells no currency, so nobody can say what money this is: nothing was planned")
        parts = {"start delivering": totals.resumed, "archived for good": totals.archived, "unusual": totals.unusual}
        counted = [f"change {totals.planned} rows", *(f"{count} {part}" for part, count in parts.items() if count)]
        made = self._plans[path.stem] = _Made(
            ad_account_id=ad_account_id,
            path=path,
            digest=_digest(path),
            confirmation=", ".join(
                counted + [f"budgets grow by {format_micros(growth)} {header.currency}"] * bool(growth)
            ),
            rows=totals.planned,
            growth_micros=growth,
            currency=header.currency,
            expires_at=time.monotonic() + _LIFETIME_SECONDS,
        )
        self._log("planned", made)
        told = ("planned", "unchanged", "refused", "conflicts", "unusual", "paused", "resumed", "archived", "requests")
        budgets = {when: getattr(totals, when) for when in ("budget_before", "budget_after")}
        amounts = {when: {kind: format_micros(one) for kind, one in sums.items()} for when, sums in budgets.items()}
        about = {
            "plan_id": path.stem,
            "ad_account_id": ad_account_id,
            "currency": header.currency,
            "totals": {name: getattr(totals, name) for name in told} | amounts,
            "to_apply": {"tool": "apply_plan", "confirmation": made.confirmation},
            "expires_in_seconds": int(_LIFETIME_SECONDS),
        }
        first = sorted(rows, key=lambda row: not (row.reason or row.unusual))
        return [line for row in first for line in _lines(row)], about

    def _known(self, plan_id: str, ad_account_id: str) -> _Made:
        made = self._plans.get(plan_id)
        if made is None or made.ad_account_id != ad_account_id:
            raise ToolError("there is no such plan of this ad account in this session")
        return made

    def _spend(self, made: _Made) -> None:
        """Take a plan's rows and money from what the session may change."""
        most_rows, most_money = self._caps.rows, self._caps.money
        if most_rows is not None and made.rows > (left := most_rows - self._rows_spent):
            raise ToolError(f"the plan changes {made.rows} rows, and this session may change {left} more")
        spent = self._micros_spent[made.currency]
        if most_money is not None and made.growth_micros > (left := int(most_money * 1_000_000) - spent):
            growth, rest = format_micros(made.growth_micros), format_micros(left)
            raise ToolError(f"the plan lets budgets grow by {growth} {made.currency}, and this session has {rest} left")
        self._rows_spent += made.rows
        self._micros_spent[made.currency] += made.growth_micros

    async def apply(self, plan_id: str, ad_account_id: str, confirmation: str, *, live: bool) -> Shown:
        """Carry a plan out, as drafts unless ``live``. A long run goes on in the background."""
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
        made.live = live
        self._start("applies", made, made.path, bulk.Options(draft=not live, allow_unusual=True))
        return await self.status(plan_id, ad_account_id)

    def _start(self, action: str, made: _Made, path: Path, options: bulk.Options) -> None:
        self._log(action, made, live=made.live)
        made.run = path
        made.task = asyncio.create_task(self._run(made, path, options))

    async def _run(self, made: _Made, path: Path, options: bulk.Options) -> None:
        try:
            async with bulk.apply(self._ads, path, options) as run:
                async for _ in run:
                    pass
        finally:
            self._log("ended", made, outcomes=_outcomes(path)[0])

    async def status(self, plan_id: str, ad_account_id: str) -> Shown:
        """What became of a plan, and the rows that are not as planned."""
        made = self._known(plan_id, ad_account_id)
        about: Row = {"plan_id": plan_id, "ad_account_id": ad_account_id}
        if made.task is None:
            return [], about | {"state": "planned", "confirmation": made.confirmation}
        about |= {"live": made.live, "file": str(made.run)}
        await asyncio.wait({made.task}, timeout=_PATIENCE_SECONDS)
        if not made.task.done():
            return [], about | {"state": "running", "next": "plan_status tells more"}
        await made.task
        outcomes, rows = _outcomes(made.run)
        if outcomes.keys() & {"waiting", "unknown"}:
            about["next"] = f"a person can carry on: spotify-ads bulk resume {made.run}"
        return rows, about | {"state": "undone" if made.undone else "ended", "outcomes": outcomes}

    async def undo(self, plan_id: str, ad_account_id: str, confirmation: str) -> Shown:
        """Take back what a live plan did, where nobody changed it since."""
        made = self._known(plan_id, ad_account_id)
        if made.undone:
            raise ToolError("this plan was undone already")
        if made.task is None or not made.task.done():
            raise ToolError("there is nothing to undo: the plan was not applied, or still runs")
        if not made.live:
            raise ToolError("the plan made drafts, which are not live: there is nothing to undo; a person deletes them")
        if confirmation != f"undo {made.rows} rows":
            raise ToolError(f"the confirmation must be exactly: undo {made.rows} rows")
        back = made.path.with_name(f"{plan_id}-undo-{secrets.token_hex(4)}.plan")
        made.undone = True
        try:
            await bulk.plan_undo(self._ads, made.path, back)
        except BaseException:
            made.undone = False
            raise
        self._start("undoes", made, back, bulk.Options())
        return await self.status(plan_id, ad_account_id)

    def _log(self, action: str, made: _Made, **more: Any) -> None:  # noqa: ANN401 - any JSON
        entry = {"at": datetime.now(UTC), "action": action, "plan": made.path.stem, "ad_account_id": made.ad_account_id}
        descriptor = os.open(self._folder / "actions.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{as_text({**entry, 'confirmation': made.confirmation, **more})}\n")


def _outcomes(path: Path) -> tuple[dict[str, int], list[Row]]:
    """How many rows came to what, and the rows that are not as planned."""
    with bulk.PlanFile.open(path) as plan:
        rows = list(plan.rows())
    left = [
        {**_named(row), "outcome": row.outcome, "reason": row.reason} for row in rows if row.outcome not in _SETTLED
    ]
    return dict(Counter(row.outcome.value for row in rows)), left


def _named(row: bulk.PlannedRow) -> Row:
    return {"name": row.name, "id": row.entity_id}


def _lines(row: bulk.PlannedRow) -> Iterator[Row]:
    """A planned row as a person reads it: a line for each field, or why it is left alone."""
    about = _named(row) | ({"unusual": row.unusual} if row.unusual else {})
    if row.decision in {Decision.REFUSED, Decision.CONFLICT}:
        yield {**about, row.decision.value: row.reason}
        return
    for one in bulk.differences(row):
        ((field, before),) = in_units({one.field: one.before}).items()
        yield {
            **about,
            "field": field,
            "before": before,
            "after": next(iter(in_units({one.field: one.after}).values())),
        }


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
