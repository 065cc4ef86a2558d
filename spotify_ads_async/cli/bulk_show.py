"""Plans and outcomes in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from spotify_ads_async import bulk
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.run import say
from spotify_ads_async.money import format_micros

__all__ = ["DIFFERENCE_COLUMNS", "difference_row", "say_outcomes", "say_totals"]

DIFFERENCE_COLUMNS = ("line", "id", "field", "before", "after")


def difference_row(difference: bulk.Difference, output: Output) -> dict[str, object]:
    """One field that changes, as a row of results."""
    row: dict[str, object] = {"line": difference.line, "id": difference.entity_id, "field": difference.field}
    values = {"before": difference.before, "after": difference.after}
    if output in {Output.TABLE, Output.CSV}:
        return row | {name: _shown(difference.field, value, output) for name, value in values.items()}
    return row | values


def _shown(field: str, value: object, output: Output) -> object:
    if value is None:
        return ""
    if output is Output.TABLE and field.endswith("micro_amount") and isinstance(value, int):
        return format_micros(value)
    return value if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()


def say_totals(totals: bulk.PlanTotals, header: bulk.Header) -> None:
    """What a plan comes to."""
    plural = header.kind.plural
    say(
        f"{header.source}: {totals.rows} rows · {totals.planned} {plural} change with {totals.requests} requests · "
        f"{totals.unchanged} are as wanted · {totals.refused} refused"
    )
    if totals.fields:
        say("changed: " + ", ".join(f"{field} {count}" for field, count in totals.fields.most_common()))
    for kind in sorted(totals.budget_before.keys() | totals.budget_after.keys()):
        before, after = totals.budget_before[kind], totals.budget_after[kind]
        say(f"budgets, {kind.lower()}: {format_micros(before)} → {format_micros(after)} ({format_micros(after - before)})")
    states = [f"{count} {word}" for count, word in _states(totals) if count]
    if states:
        say(f"{', '.join(states)}")


def _states(totals: bulk.PlanTotals) -> list[tuple[int, str]]:
    return [(totals.paused, "paused"), (totals.resumed, "resumed"), (totals.archived, "archived, which cannot be undone")]


def say_outcomes(outcomes: Mapping[bulk.RowOutcome, int], path: Path) -> None:
    """What became of the rows, and what to do about those that are not done."""
    say(" · ".join(f"{count} {fate.value}" for fate, count in outcomes.items() if count or fate is bulk.RowOutcome.DONE))
    if outcomes[bulk.RowOutcome.STAGED]:
        say(
            f"{outcomes[bulk.RowOutcome.STAGED]} rows are in drafts and not live: "
            f"spotify-ads bulk resume {path} --publish publishes valid campaigns"
        )
    if outcomes[bulk.RowOutcome.WAITING] or outcomes[bulk.RowOutcome.UNKNOWN]:
        say(
            f"{outcomes[bulk.RowOutcome.WAITING]} rows have not been sent and {outcomes[bulk.RowOutcome.UNKNOWN]} are not settled: "
            f"spotify-ads bulk resume {path} carries on"
        )
