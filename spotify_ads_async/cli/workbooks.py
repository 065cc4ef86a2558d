"""Plans of workbooks on the command line: what is new, and the plans of changes beside it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async import bulk
from spotify_ads_async.cli.bulk_show import results_written
from spotify_ads_async.cli.consent import agreed
from spotify_ads_async.cli.files import results_beside
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import running
from spotify_ads_async.cli.run import DONE, FAILED, INTERRUPTED, REFUSED, say
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.client import AdsClient
from spotify_ads_async.money import format_micros
from spotify_ads_async.spreadsheets.writing import Emphasis, SheetColumn, WorkbookWriter

__all__ = ["Working", "carry_on", "carry_out_when_wanted", "show_plan"]

_SHOWN = 20
_COLUMNS = ("place", "kind", "name", "in", "id", "state", "reason")
_COLUMNS_BEFORE = tuple(one for one in _COLUMNS if one not in {"id", "reason"})
_STAY = "are published, and stay: --archive archives them"
_UNMADE = (bulk.NewState.FAILED, bulk.NewState.NOT_TRIED, bulk.NewState.WAITING)

ShowPart = Callable[[Path, Output, int | None], bulk.PlanTotals]
"""Shows the plan of changes of one kind."""


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is to be carried out."""

    options: bulk.Options
    results: Path | None = None
    yes: bool = False
    dry_run: bool = False


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan of a workbook comes to."""

    items: list[bulk.NewItem]
    parts: list[Path]
    totals: list[bulk.PlanTotals]
    removed: Counter[str]
    """What an undo makes of what is new, and of how many."""

    @property
    def requests(self) -> int:
        new = sum(one.state is bulk.NewState.WAITING for one in self.items)
        return new + self.removed.total() + sum(one.requests for one in self.totals)


def show_plan(path: Path, output: Output, limit: int | None, show_part: ShowPart) -> _About:
    """Write what is new and what changes to stdout, and what it comes to on stderr.

    ``limit`` bounds the rows of a table.
    """
    with bulk.WorkbookPlan.open(path) as plan:
        header, items, parts, media = plan.header, plan.items(), [part for _, part in plan.parts()], plan.media()
    names = {one.number: one.name for one in items}
    if items:
        begun = any(item.draft_id or item.reason for item in items)
        with Rows(output, _COLUMNS if begun or output is not Output.TABLE else _COLUMNS_BEFORE) as rows:
            for item in items[:limit]:
                rows.write(_row(item, names))
        if limit is not None and len(items) > limit:
            say(f"… and {len(items) - limit} new rows more: spotify-ads bulk show {path}")
    for remark in header.remarks.splitlines():
        say(f"note: {remark}")
    if items:
        counts = Counter(one.plural for one in items)
        say(
            f"{header.source}: new:"
            f" {', '.join(f'{count} {plural if count > 1 else plural[:-1]}' for plural, count in counts.items())}"
        )
        if media:
            say(
                f"{len(media)} media files are uploaded first:"
                f" {', '.join(Path(one.path).name for one in media[:_SHOWN])}"
            )
        _say_budgets(items, header.currency)
        for item in items:
            if item.reason:
                say(f"{item.state}: {item.name} · {item.plural[:-1]}, {item.cell}: {item.reason}")
    totals = [show_part(part, output, limit) for part in parts]
    removed = _removed(header)
    for what, count in removed.items():
        say(f"{what} {count} new things, with what is in them" if what != _STAY else f"{count} new things {_STAY}")
    del removed[_STAY]
    return _About(items=items, parts=parts, totals=totals, removed=removed)


def _removed(header: bulk.WorkbookHeader) -> Counter[str]:
    """What an undo does with what is new in the plan that it takes back."""
    if not header.undo_of:
        return Counter()
    with bulk.WorkbookPlan.open(Path(header.undo_of)) as plan:
        there = [one for one in plan.items() if one.is_there]
    live = "archive" if header.archive else _STAY
    return Counter(live if one.state is bulk.NewState.PUBLISHED else "delete the drafts of" for one in there)


def _row(item: bulk.NewItem, names: dict[int, str]) -> dict[str, object]:
    parent = names.get(item.parent, "") if item.parent is not None else item.parent_id
    return {
        "place": item.place,
        "kind": item.plural[:-1],
        "name": item.name,
        "in": parent,
        "id": item.draft_id,
        "state": "new" if item.state is bulk.NewState.WAITING else item.state.value,
        "reason": item.reason,
    }


def _say_budgets(items: Iterable[bulk.NewItem], currency: str) -> None:
    """What the new budgets come to, by their type."""
    sums: Counter[str] = Counter()
    for item in items:
        budget = item.body.get("budget")
        if isinstance(budget, dict) and isinstance(amount := budget.get("micro_amount"), int):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON
            sums[str(budget.get("type", "")).lower()] += amount  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - JSON
    for kind, amount in sums.items():
        say(f"new {kind} budgets: {format_micros(amount, currency or None)}")


async def carry_out_when_wanted(client: AdsClient, path: Path, working: Working, show_part: ShowPart) -> int:
    """Show the plan, ask, and carry it out."""
    about = await anyio.to_thread.run_sync(show_plan, path, Output.TABLE, _SHOWN, show_part)
    if working.dry_run:
        say(f"a dry run: nothing was changed; the plan is {path}")
        return DONE
    if about.requests and not await agreed(_question(about, working), yes=working.yes):
        say(f"nothing was changed; the plan is {path}")
        return DONE
    return await _carry_out(bulk.apply_workbook(client, path, working.options), client, path, working)


def _question(about: _About, working: Working) -> str:
    parts: list[str] = []
    if about.items:
        parts.append(f"make {len(about.items)} drafts{' and publish them' if working.options.publish else ''}")
    changes = sum(one.planned for one in about.totals)
    if changes:
        parts.append(
            f"change {changes} things that are live"
            if not working.options.stages
            else f"stage {changes} changes as drafts"
        )
    parts.extend(f"{what} {count} new things" for what, count in about.removed.items())
    return f"{', and '.join(parts)}?"


async def carry_on(client: AdsClient, path: Path, working: Working) -> int:
    """Carry on with a plan after an interruption; or publish what is valid."""
    what = "publish what is valid" if working.options.publish else "carry on"
    if not await agreed(f"{what}?", yes=working.yes):
        say("nothing was changed")
        return DONE
    return await _carry_out(bulk.apply_workbook(client, path, working.options, resumes=True), client, path, working)


async def _carry_out(run: bulk.WorkbookRun, client: AdsClient, path: Path, working: Working) -> int:
    failures = 0
    async with on_interrupt(lambda: run.stop("interrupted")), run:
        with running("rows", run, client):
            async for row in run:
                if failures < _SHOWN and (said := _unhappy(row)):
                    failures += 1
                    say(said)
    return await anyio.to_thread.run_sync(_conclude, run.progress, path, working)


def _unhappy(row: bulk.NewItem | bulk.PlannedRow) -> str:
    """What is wrong with a row, or nothing."""
    if isinstance(row, bulk.NewItem):
        where = f"{row.state}: {row.name} · {row.plural[:-1]}, {row.cell}: {row.reason}"
        return where if row.is_unfinished else ""
    failed = row.outcome in {bulk.RowOutcome.FAILED, bulk.RowOutcome.UNKNOWN}
    return f"{row.outcome}: line {row.line}, {row.entity_id}: {row.reason}" if failed else ""


def _conclude(progress: bulk.Progress, path: Path, working: Working) -> int:
    """Write what became of every row, and say it in one summary for everything in the plan."""
    with bulk.WorkbookPlan.open(path) as plan:
        header, items, parts = plan.header, plan.items(), [part for _, part in plan.parts()]
    if header.undo_of:
        with bulk.WorkbookPlan.open(Path(header.undo_of)) as plan:
            items = [one for one in plan.items() if one.draft_id]
    if progress.stopped:
        say(f"stopped: {progress.stopped}")
    results = working.results or results_beside(path)
    written = not items or results_written(
        "every new row's outcome", results, path, lambda: _write_results(items, results)
    )
    outcomes: Counter[bulk.RowOutcome] = Counter()
    summary: list[str] = []
    for part in parts:
        with bulk.PlanFile.open(part) as changes:
            found, kind = changes.outcomes(), changes.header.kind
            listed = results.with_name(f"{part.name}.results{results.suffix}")
            what = f"every outcome of {kind.plural}"
            written &= results_written(
                what, listed, path, functools.partial(bulk.write_results, changes.rows(), listed, changes.header)
            )
        outcomes.update(found)
        summary += [
            f"{count} {kind.plural if count > 1 else kind.name} {one.value}" for one, count in found.items() if count
        ]
    states = Counter(one.state for one in items)
    summary += [f"{count} new {state.value}" for state, count in states.items()]
    if summary:
        say(" · ".join(summary))
    _say_what_is_left(states, outcomes, path, undoes=bool(header.undo_of))
    if progress.stopped == "interrupted":
        return INTERRUPTED
    if any(outcomes[one] for one in (bulk.RowOutcome.UNKNOWN, bulk.RowOutcome.REFUSED, bulk.RowOutcome.CONFLICT)):
        return REFUSED
    if header.undo_of:
        unfinished = bool(progress.failed) or any(one.is_there for one in items)
    else:
        unfinished = any(one.is_unfinished or one.state is bulk.NewState.WAITING for one in items)
    unfinished |= not written or bool(progress.stopped)
    return FAILED if unfinished or outcomes[bulk.RowOutcome.FAILED] or outcomes[bulk.RowOutcome.WAITING] else DONE


def _say_what_is_left(
    states: Counter[bulk.NewState], outcomes: Counter[bulk.RowOutcome], path: Path, *, undoes: bool
) -> None:
    """What is not live, not made or not taken back yet, and the command that goes on with it."""
    if undoes and states[bulk.NewState.PUBLISHED]:
        say(f"{states[bulk.NewState.PUBLISHED]} {_STAY}")
    elif not undoes and states[bulk.NewState.MADE]:
        say(
            f"{states[bulk.NewState.MADE]} are drafts and not live: spotify-ads bulk resume {path} --publish publishes"
            " what is valid"
        )
    if not undoes and (outcomes[bulk.RowOutcome.DONE] or states.keys() & {bulk.NewState.MADE, bulk.NewState.PUBLISHED}):
        archives = " --archive" if states[bulk.NewState.PUBLISHED] else ""
        say(f"spotify-ads bulk undo {path}{archives} takes back what is done")
    if not undoes and any(states[one] for one in _UNMADE):
        say(f"spotify-ads bulk resume {path} carries on with what is not made")
    elif outcomes[bulk.RowOutcome.WAITING] or outcomes[bulk.RowOutcome.UNKNOWN]:
        say(f"spotify-ads bulk resume {path} carries on with the changes")


def _write_results(items: list[bulk.NewItem], path: Path) -> None:
    """What became of everything new.

    What could not be made first, each with its reason and the cell that it is about.
    """
    names = {one.number: one.name for one in items}
    ordered = sorted(items, key=lambda one: one.outcome is not bulk.RowOutcome.FAILED)
    rows = [_row(item, names) | {"place": item.cell if item.reason else item.place} for item in ordered]
    if path.suffix.lower() == ".xlsx":
        path.unlink(missing_ok=True)
        with WorkbookWriter(path) as book:
            sheet = book.sheet(
                "Results", [SheetColumn(name=one, width=60 if one == "reason" else 24) for one in _COLUMNS]
            )
            for item, row in zip(ordered, rows, strict=True):
                sheet.write(
                    [row[name] for name in _COLUMNS],
                    Emphasis(colour="#FFE0E0" if item.outcome is bulk.RowOutcome.FAILED else ""),
                )
        return
    form = Output.JSONL if path.suffix == ".jsonl" else Output.CSV
    with path.open("w", encoding="utf-8", newline="") as file, Rows(form, _COLUMNS, stream=file) as written:
        for row in rows:
            written.write(row)
