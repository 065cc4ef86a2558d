"""What a plan comes to, in figures: counted from its rows, or while they are decided."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec

from spotify_ads_async.bulk.plan.money import days_left, most_of, type_and_amount
from spotify_ads_async.bulk.records import Decision, PlannedChange
from spotify_ads_async.money import format_micros

__all__ = ["PlanTotals", "is_off"]

_ARCHIVED = "ARCHIVED"
_SWITCHES = frozenset({"delivery", "status"})
_FLIGHT = frozenset({"start_time", "end_time", "budget"})
_SPENT = _FLIGHT | _SWITCHES
_WHEN = _SPENT - {"budget"}
_NOTHING: Mapping[str, Any] = {}
_PLANNED, _CONFLICT = Decision.PLANNED, Decision.CONFLICT
"""Looked up once: in an enum that takes ten times as long."""


class _Budgeted(TypedDict, total=False):
    """What of an entity tells what it may spend; most of its JSON is about something else."""

    budget: Any
    start_time: Any
    end_time: Any
    delivery: Any
    status: Any


_budgeted = msgspec.json.Decoder(_Budgeted)


class PlanTotals(msgspec.Struct, kw_only=True):
    """What a plan comes to.

    Attributes:
        rows: all rows.
        planned: rows with something to do.
        unchanged: rows that are as wanted already.
        refused: rows that cannot be carried out.
        conflicts: rows that somebody else changed.
        unusual: rows with unusual amounts of money.
        requests: requests that the plan takes.
        requests_held_back: requests of the rows in conflict, which are made where they are overwritten.
        fields: how many rows change a field.
        budget_before: micros over the rows that change a budget, by the budget's type.
        budget_after: the same afterwards.
        budget_growth: micros by which rows let budgets grow, whatever others shrink. A budget that becomes one of
            another type, begins to be spent, or has its flight prolonged so that more is spent, counts whole.
        most_before: micros that the ad sets whose budgets or flights change may spend at most until their flights end.
        most_after: the same afterwards.
        unbounded_before: how many of them nothing bounds, since they have a budget a day and no end.
        unbounded_after: the same afterwards.
        paused: rows that stop delivering.
        resumed: rows that start delivering.
        archived: rows that are archived, which nothing takes back.
    """

    rows: int = 0
    planned: int = 0
    unchanged: int = 0
    refused: int = 0
    conflicts: int = 0
    unusual: int = 0
    requests: int = 0
    requests_held_back: int = 0
    fields: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_before: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_after: Counter[str] = msgspec.field(default_factory=Counter[str])
    budget_growth: int = 0
    most_before: int = 0
    most_after: int = 0
    unbounded_before: int = 0
    unbounded_after: int = 0
    paused: int = 0
    resumed: int = 0
    archived: int = 0
    now: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    def add(self, row: PlannedChange) -> None:
        """Count one row of a plan."""
        is_spent = row.decision is _PLANNED and not _SPENT.isdisjoint(row.after)
        state: Mapping[str, Any] = _budgeted.decode(row.text) if is_spent and row.text else _NOTHING
        self.count(row.decision, row.before, row.after, state, steps=row.steps, is_unusual=bool(row.unusual))

    def count(
        self,
        decision: Decision,
        before: Mapping[str, Any] = _NOTHING,
        after: Mapping[str, Any] = _NOTHING,
        state: Mapping[str, Any] = _NOTHING,
        *,
        steps: int = 0,
        is_unusual: bool = False,
    ) -> None:
        """Count one row.

        Args:
            decision: what it comes down to.
            before: the fields that change, as they are.
            after: the same fields, as they shall be.
            state: the entity, or what of it tells what it may spend.
            steps: how many requests it takes.
            is_unusual: whether it has unusual amounts of money.
        """
        self.rows += 1
        if decision is _PLANNED:
            self.planned += 1
            self.unusual += is_unusual
            self.requests += steps
            for field in after:
                self.fields[field] += 1
            if not _SWITCHES.isdisjoint(after):
                self._add_switch(before, after)
            if not _SPENT.isdisjoint(after):
                self._add_budget(before, after, state)
        elif decision is _CONFLICT:
            self.conflicts += 1
            self.requests_held_back += steps
        else:
            self.unchanged += decision is Decision.UNCHANGED
            self.refused += decision is Decision.REFUSED

    def _add_switch(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        off_before, off_after = is_off(before), is_off(after)
        archived = _ARCHIVED in {after.get("status"), after.get("delivery")}
        self.archived += archived
        self.paused += off_after and not off_before and not archived
        self.resumed += off_before and not off_after

    def in_words(self, currency: str) -> str:
        """What somebody agrees to: ``change 12 rows, 1 unusual, budgets grow by 330.00 USD``."""
        parts = {"start delivering": self.resumed, "archived for good": self.archived, "unusual": self.unusual}
        said = [f"change {self.planned} rows", *(f"{count} {part}" for part, count in parts.items() if count)]
        grow = [f"budgets grow by {format_micros(self.budget_growth)} {currency}"] if self.budget_growth else []
        return ", ".join([*said, *grow])

    def _add_budget(self, before: Mapping[str, Any], after: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Count the budget of an ad set, and what it may spend until its flight ends."""
        days = days_after = days_left(state, self.now)
        begins = False
        if not _WHEN.isdisjoint(after):
            earlier = {**state, **before}
            later = {**earlier, **after}
            days, days_after = days_left(earlier, self.now), days_left(later, self.now)
            begins = is_off(earlier) and not is_off(later)
        budget = before.get("budget") or state.get("budget")
        old_type, old = type_and_amount(budget)
        new_type, new = type_and_amount(after.get("budget", budget))
        if "budget" in after:
            if old is not None:
                self.budget_before[str(old_type)] += old
            if new is not None:
                self.budget_after[str(new_type)] += new
        most_before, most_after = most_of(old_type, old, days), most_of(new_type, new, days_after)
        # A flight that is prolonged spends more of the same budget; nothing bounds what has no end.
        prolonged = days != days_after and _bound(most_after) > _bound(most_of(new_type, new, days))
        counts_whole = old_type != new_type or begins or prolonged
        self.budget_growth += max(0, (new or 0) - (0 if counts_whole else old or 0))
        if _FLIGHT.isdisjoint(after):
            return
        self.most_before += most_before or 0
        self.most_after += most_after or 0
        self.unbounded_before += most_before is None
        self.unbounded_after += most_after is None


def _bound(most: int | None) -> float:
    return math.inf if most is None else most


def is_off(values: Mapping[str, object]) -> bool:
    """Whether what has these values delivers nothing."""
    return values.get("delivery") in {"OFF", _ARCHIVED} or values.get("status") in {"PAUSED", _ARCHIVED}
