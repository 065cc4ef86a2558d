"""Plans and outcomes in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.money import in_units
from spotify_ads_async.cli.run import say
from spotify_ads_async.money import format_micros

__all__ = [
    "DIFFERENCE_COLUMNS",
    "counted",
    "difference_row",
    "results_written",
    "row_name",
    "say_outcomes",
    "say_totals",
]

DIFFERENCE_COLUMNS = ("name", "field", "before", "after", "line", "id")


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 request``, ``12 requests``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def row_name(row: bulk.PlannedRow | bulk.UnusualRow, header: bulk.Header) -> str:
    """What a row is about: its name first, and last what it is found by."""
    kind = header.kind.name
    return (
        f"{row.name} · {kind} (line {row.line}, {row.entity_id})"
        if row.name
        else f"line {row.line}, {kind} {row.entity_id}"
    )


def difference_row(difference: bulk.Difference, currency: str, *, in_table: bool) -> Sequence[object]:
    """One field that changes, by :data:`DIFFERENCE_COLUMNS`."""
    field, before, after = difference.field, difference.before, difference.after
    if in_table:
        before, after = _shown(field, before, currency), _shown(field, after, currency)
        field = in_units(field)  # what a table shows of it, and what sheets and --set call it
    return difference.name, field, before, after, difference.line, difference.entity_id


def _shown(field: str, value: object, currency: str) -> object:
    if value is None:
        return ""
    if field.endswith("micro_amount") and isinstance(value, int):
        return format_micros(value, currency or None)
    return value if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()


def say_totals(totals: bulk.PlanTotals, header: bulk.Header) -> None:
    """What a plan comes to."""
    few = {
        "unchanged": totals.unchanged,
        "refused": totals.refused,
        "in conflict": totals.conflicts,
        "unusual": totals.unusual,
    }
    change = "changes" if totals.planned == 1 else "change"
    parts = (
        counted(totals.rows, "row"),
        f"{counted(totals.planned, header.kind.name)} {change} with {counted(totals.requests, 'request')}",
        *(f"{count} {word}" for word, count in few.items() if count or word == "refused"),
    )
    say(f"{header.source}: {' · '.join(parts)}")
    if totals.fields:
        say("changed: " + ", ".join(f"{in_units(field)} {count}" for field, count in totals.fields.most_common()))
    for kind in sorted(totals.budget_before.keys() | totals.budget_after.keys()):
        before, after = totals.budget_before[kind], totals.budget_after[kind]
        say(f"{kind.lower()} budgets: {_change(before, after, header.currency)}")
    if totals.most_before or totals.most_after or totals.unbounded_before or totals.unbounded_after:
        say(
            "at most until the flights end:"
            f" {_change(totals.most_before, totals.most_after, header.currency)}{_unbounded(totals)}"
        )
    states = [f"{count} {word}" for count, word in _states(totals) if count]
    if states:
        say(f"{', '.join(states)}")


def _change(before: int, after: int, currency: str) -> str:
    """Two amounts and what lies between them: ``34,250.00 → 37,675.00 USD (+3,425.00)``."""
    old, new, growth = (format_micros(one, currency or None) for one in (before, after, after - before))
    sign = "+" if after >= before else ""
    return f"{old.removesuffix(f' {currency}')} → {new} ({sign}{growth.removesuffix(f' {currency}')})"


def _unbounded(totals: bulk.PlanTotals) -> str:
    """How many ad sets go on without an end."""
    before, after = totals.unbounded_before, totals.unbounded_after
    return f", beside {before} ad sets without an end before and {after} after" if before or after else ""


def _states(totals: bulk.PlanTotals) -> list[tuple[int, str]]:
    return [
        (totals.paused, "paused"),
        (totals.resumed, "resumed"),
        (totals.archived, "archived, which cannot be undone"),
    ]


def say_outcomes(plan: bulk.PlanFile, path: Path) -> None:
    """What became of the rows, and what to do about those that are not done, or not as they said."""
    outcomes = plan.outcomes()
    say(
        " · ".join(
            f"{count} {outcome.value}"
            for outcome, count in outcomes.items()
            if count or outcome is bulk.RowOutcome.DONE
        )
    )
    if remarked := plan.remarked():
        say(f"{counted(remarked, 'row')} came out otherwise than sent: the column reason of the results says how")
    if outcomes[bulk.RowOutcome.STAGED]:
        say(
            f"{outcomes[bulk.RowOutcome.STAGED]} rows are in drafts and not live: "
            f"spotify-ads bulk resume {path} --publish publishes valid campaigns"
        )
    if failed := outcomes[bulk.RowOutcome.FAILED]:
        _say_failed(failed, plan.failed_in_part(), path)
    if conflicts := outcomes[bulk.RowOutcome.CONFLICT]:
        rows = "1 row was" if conflicts == 1 else f"{conflicts} rows were"
        say(f"{rows} changed by somebody else and left alone: spotify-ads bulk resume {path} --force overwrites that")
    if outcomes[bulk.RowOutcome.WAITING] or outcomes[bulk.RowOutcome.UNKNOWN]:
        say(
            f"{outcomes[bulk.RowOutcome.WAITING]} rows wait and {outcomes[bulk.RowOutcome.UNKNOWN]} are"
            f" not settled: spotify-ads bulk resume {path} carries on"
        )


def _say_failed(failed: int, in_part: int, path: Path) -> None:
    """What to do about rows that failed: those that did a part of what they say are not sent again."""
    if again := failed - in_part:
        say(f"{counted(again, 'failed row')} can be tried again: spotify-ads bulk resume {path} --retry-failed")
    if in_part:
        say(
            f"{counted(in_part, 'failed row')} did a part of what was wanted, and --retry-failed does not send that"
            " again: the column reason of the results names the rest, which takes a new plan; spotify-ads bulk undo"
            f" {path} takes back what was done"
        )


def results_written(what: str, results: Path, plan: Path, write: Callable[[], None]) -> bool:
    """Write what became of the rows, and say where it is.

    Answers whether it could be written; the plan has it all the same.
    """
    try:
        write()
    except OSError as problem:
        say(
            f"{results} cannot be written ({problem.strerror}); nothing is lost: spotify-ads bulk resume {plan}"
            f" --results FILE writes {what} elsewhere, and sends nothing that is done"
        )
        return False
    say(f"{what} is in {results}")
    return True
