"""What every row of a plan comes down to against the present state of its entity. Pure, but for what it counts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.cells import CellError, json_value, parse_value, says
from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import NOTHING, Conflict, Effect, Refusal, conflicting, effect, merge
from spotify_ads_async.bulk.plan.money import unusual_changes
from spotify_ads_async.bulk.plan.problems import LeftOut
from spotify_ads_async.bulk.plan.products import PlannedProducts
from spotify_ads_async.bulk.plan.sources import Doubt
from spotify_ads_async.bulk.plan.state import entity_shape, leaf, left_out, without_own
from spotify_ads_async.bulk.plan.totals import PlanTotals
from spotify_ads_async.bulk.records import Decision
from spotify_ads_async.bulk.store.planning_rows import Decided, ReadRow
from spotify_ads_async.spreadsheets import trimmed

__all__ = ["Decider", "currency_in"]

_NAMED_BY = frozenset({"id", "name", "ad_product", "campaign_id", "ad_set_id"})
_SPENT_BY = frozenset({"budget", "start_time", "end_time", "delivery", "status"})
_ALWAYS_READ = _NAMED_BY | _SPENT_BY
"""What names a row's entity and its ad product, and what a change of money is judged and counted by."""


class Decider:
    """Decides rows.

    Args:
        entity: what the rows are about.
        currency: the account's currency, or nothing where it is not known.
        products: the rules of ad products.
        skipped: rows to leave out.
        force: overwrite what somebody else changed since an earlier export.

    Attributes:
        currency: the account's currency; the first budget tells it where nothing else did.
        totals: what the rows come to.
    """

    def __init__(
        self, entity: Entity, currency: str, products: PlannedProducts, skipped: LeftOut, *, force: bool
    ) -> None:
        self._entity = entity
        self._shape = entity_shape(entity)
        self._products = products
        self._skipped = skipped
        self._force = force
        self._now = datetime.now(UTC)
        self.totals = PlanTotals(now=self._now)
        self._answered_only: Counter[str] = Counter()
        self._columns: set[str] = set()
        self._decoder = _decoder_of(_ALWAYS_READ)
        self.currency = currency

    @property
    def remarks(self) -> list[str]:
        """What there is to say of all rows: what stands in objects that are sent, and is declared for answers only."""
        counts = sorted(self._answered_only.items())
        parts = ", ".join(f"{name} ({count} {'row' if count == 1 else 'rows'})" for name, count in counts)
        said = f"left out of what is sent, since the API declares it for answers only: {parts}"
        return [*self._products.remarks(), *([said] if parts else [])]

    def decide(
        self, row: ReadRow, text: str | None, state: dict[str, Any] | None = None, *, known: bool = True
    ) -> Decided:
        """What a row comes down to.

        Args:
            row: the row.
            text: the JSON of its entity, None where there is none.
            state: the same, read; by default as much of it is read as the row is about.
            known: whether that is the server's own; a row that was decided on a model's JSON is looked at before it
                goes, whenever that is.
        """
        if text is None:
            reason = f"there is no {self._entity.name} {row.entity_id} in this ad account, or you cannot see it"
            return self.refused(row, Refusal(column=self._entity.id_column, reason=reason))
        if state is None:
            state = self._state(row, text)
        decided = self._decided(row, text if known else "", state)
        if not isinstance(found := decided.effect, Effect):
            return self.refused(row, found, decided.name)
        spent = state if decided.text else {}
        is_unusual, steps = bool(decided.unusual), len(found.steps)
        self.totals.count(decided.decision, found.before, found.after, spent, steps=steps, is_unusual=is_unusual)
        return decided

    def refused(self, row: ReadRow, refusal: Refusal, name: str = "") -> Decided:
        """A row that cannot be carried out."""
        self.totals.count(Decision.REFUSED)
        return Decided(row=row, effect=refusal, name=name)

    def _decided(self, row: ReadRow, text: str, state: dict[str, Any]) -> Decided:
        try:
            values, conflicts = self._meant(row, state)
        except _Doubted as doubted:
            return self._described(row, "", state, doubted.refusal)
        if self._skipped and self._skipped.has(state.get("name"), values.get("name")):
            return msgspec.structs.replace(self._described(row, text, state, NOTHING), remark="left out, as asked for")
        found = effect(self._entity, state, values, now=self._now, currency=self.currency or currency_in(state))
        if isinstance(found, Effect):
            found = self._products.broken(state, found.steps, found.names) or found
        if not conflicts or self._force or not isinstance(found, Effect):
            return self._described(row, text, state, found)
        described = self._described(row, "", state, conflicting(found, conflicts))
        return msgspec.structs.replace(described, conflicts=conflicts)

    def _state(self, row: ReadRow, text: str) -> dict[str, Any]:
        """What of an entity's JSON the row may depend on: most of it is about something else, and is skipped.

        Rules of ad products compare fields that are sent with the same fields as they are.
        """
        if not self._columns.issuperset(row.change) or row.doubts:
            self._columns |= row.change.keys() | row.doubts.keys()
            fields = _ALWAYS_READ | {self._entity.columns[name].path[0] for name in self._columns}
            self._decoder = _decoder_of(frozenset(fields))
        return self._decoder.decode(text)

    def _meant(self, row: ReadRow, state: dict[str, Any]) -> tuple[dict[str, Cell], tuple[Conflict, ...]]:
        """The values that somebody meant to change, with what stands in conflict to an earlier export."""
        values = {**row.change, **self._resolved(row.doubts, state)} if row.doubts else row.change
        conflicts: tuple[Conflict, ...] = ()
        if row.base:
            values, conflicts = merge(self._entity, row.base, state, values)
        for name, value in values.items():
            if type(value) is str:
                live = leaf(state, self._entity.columns[name].path)
                # Cells are read without white space at their ends, which what is live may have.
                if isinstance(live, str) and value in live and trimmed(live) == value:
                    values[name] = live
        return values, conflicts

    def _described(self, row: ReadRow, text: str, state: dict[str, Any], found: Effect | Refusal) -> Decided:
        name = str(state.get("name") or "")
        if not isinstance(found, Effect):
            return Decided(row=row, effect=found, name=name)
        for field in found.after:
            if field in self._shape.told_of:
                self._answered_only.update(left_out(state.get(field), self._shape, field))
        unusual = ""
        if self._entity.has_money:
            self.currency = self.currency or currency_in(state)
            if found.amounts or "budget" in found.after:
                said = unusual_changes(found.amounts, state, found.after, self.currency, now=self._now)
                unusual = "; ".join(said)
        parent = str(state.get(self._entity.parent_field) or "") if self._entity.parent_field else ""
        return Decided(row=row, effect=found, text=text, name=name, parent=parent, unusual=unusual)

    def _resolved(self, doubts: Mapping[str, Doubt], state: dict[str, Any]) -> dict[str, Cell]:
        """The values of cells that could not be read.

        Nothing where they say what is live, and what was edited in them otherwise.
        """
        found: dict[str, Cell] = {}
        for name, doubt in doubts.items():
            column = self._entity.columns[name]
            present = leaf(state, column.path)
            if says(column, doubt.cell, present):
                continue
            try:
                value = json_value(column, doubt.cell)
                own = without_own(value, present, self._shape.holder(column.path), column.path[-1])
                parse_value(column, own, currency=self.currency)
            except CellError:
                raise _Doubted(Refusal(column=name, reason=doubt.reason)) from None
            found[name] = cast("Cell", value)
        return found


@functools.lru_cache(maxsize=64)
def _decoder_of(fields: frozenset[str]) -> msgspec.json.Decoder[dict[str, Any]]:
    """Reads some fields of an entity."""
    return msgspec.json.Decoder(cast("Any", TypedDict)("State", dict.fromkeys(fields, Any), total=False))


class _Doubted(Exception):
    """A cell that cannot be read says something else than what is live."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def currency_in(state: Mapping[str, Any]) -> str:
    """The currency that an entity's budget is in, as it was answered."""
    return str(leaf(state, ("budget", "currency")) or "").upper()
