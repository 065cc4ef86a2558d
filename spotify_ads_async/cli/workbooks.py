"""Plans of workbooks on the command line: what is new, and the plans of changes beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.cells import CsvRows, to_cell
from spotify_ads_async.cli.consent import agreed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import shown
from spotify_ads_async.cli.run import DONE, FAILED, INTERRUPTED, REFUSED, say
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.client import AdsClient
from spotify_ads_async.money import format_micros
from spotify_ads_async.spreadsheets.writing import Emphasis, SheetColumn, WorkbookWriter

__all__ = ["Working", "carry_on", "carry_out_when_wanted", "show_plan", "undo"]

_SHOWN = 20
_COLUMNS = ("place", "kind", "name", "in", "id", "state", "reason")
_UNHAPPY = frozenset({bulk.NewState.FAILED, bulk.NewState.NOT_TRIED, bulk.NewState.INVALID})

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
    media: int
    parts: list[Path]
    totals: list[bulk.PlanTotals]

    @property
    def requests(self) -> int:
        return sum(one.state is bulk.NewState.WAITING for one in self.items) + sum(one.requests for one in self.totals)


def show_plan(path: Path, output: Output, limit: int | None, show_part: ShowPart) -> _About:
    """Write what is new and what changes to stdout, and what it comes to on stderr.

    ``limit`` bounds the rows of a table.
    """
    with bulk.WorkbookPlan.open(path) as plan:
        header, items, parts, media = plan.header, plan.items(), [part for _, part in plan.parts()], plan.media()
    names = {one.number: one.name for one in items}
    if items:
        with Rows(output, _COLUMNS) as rows:
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
    return _About(items=items, media=len(media), parts=parts, totals=totals)


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
    async with on_interrupt(lambda: run.stop("interrupted")), run, shown("rows", run, client):
        async for row in run:
            if row.outcome in {bulk.RowOutcome.FAILED, bulk.RowOutcome.UNKNOWN} and failures < _SHOWN:
                failures += 1
                if isinstance(row, bulk.NewItem):
                    say(f"{row.state}: {row.name} · {row.plural[:-1]}, {row.cell}: {row.reason}")
                else:
                    say(f"{row.outcome}: line {row.line}, {row.entity_id}: {row.reason}")
    return await anyio.to_thread.run_sync(_conclude, run.progress.stopped, path, working)


def _conclude(stopped: str, path: Path, working: Working) -> int:
    with bulk.WorkbookPlan.open(path) as plan:
        items, parts = plan.items(), [part for _, part in plan.parts()]
    if stopped:
        say(f"stopped: {stopped}")
    results = working.results or path.with_name(path.name.removesuffix(".plan") + ".results.csv")
    if items:
        _write_results(items, results)
        say(f"every new row's outcome is in {results}")
    states = Counter(one.state for one in items)
    code = FAILED if any(states[one] for one in (*_UNHAPPY, bulk.NewState.WAITING)) else DONE
    if states:
        say(" · ".join(f"{count} {state.value}" for state, count in states.items()))
    if states[bulk.NewState.MADE]:
        say(
            f"{states[bulk.NewState.MADE]} are drafts and not live: spotify-ads bulk resume {path} --publish publishes"
            " what is valid"
        )
    if states[bulk.NewState.WAITING] or states[bulk.NewState.FAILED] or states[bulk.NewState.NOT_TRIED]:
        say(f"spotify-ads bulk resume {path} carries on with what is not made")
    for part in parts:
        with bulk.PlanFile.open(part) as changes:
            outcomes = changes.outcomes()
            listed = results.with_name(f"{part.name}.results{results.suffix}")
            bulk.write_results(changes.rows(), listed)
            counts = " · ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items() if count)
            say(f"{changes.header.kind.plural}: {counts}; every row's outcome is in {listed}")
        if outcomes[bulk.RowOutcome.UNKNOWN] or outcomes[bulk.RowOutcome.REFUSED]:
            code = REFUSED
        elif outcomes[bulk.RowOutcome.FAILED] or outcomes[bulk.RowOutcome.WAITING]:
            code = max(code, FAILED)
    return INTERRUPTED if stopped == "interrupted" else code


def _write_results(items: list[bulk.NewItem], path: Path) -> None:
    """What became of everything new.

    What could not be made first, each with its reason and the cell that it is about.
    """
    names = {one.number: one.name for one in items}
    ordered = sorted(items, key=lambda one: one.state not in _UNHAPPY)
    rows = [_row(item, names) | {"place": item.cell if item.reason else item.place} for item in ordered]
    if path.suffix.lower() == ".xlsx":
        path.unlink(missing_ok=True)
        with WorkbookWriter(path) as book:
            sheet = book.sheet(
                "Results", [SheetColumn(name=one, width=60 if one == "reason" else 24) for one in _COLUMNS]
            )
            for item, row in zip(ordered, rows, strict=True):
                sheet.write(
                    [row[name] for name in _COLUMNS], Emphasis(colour="#FFE0E0" if item.state in _UNHAPPY else "")
                )
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(msgspec.json.encode(row).decode() + "\n" for row in rows)
            return
        writer = CsvRows(file)
        writer.write(_COLUMNS)
        for row in rows:
            writer.write(to_cell(row[name]) for name in _COLUMNS)


async def undo(client: AdsClient, path: Path, working: Working, *, archive: bool) -> int:
    """Take back what is new, where somebody agrees; the changes of its parts are taken back by their own plans."""
    with bulk.WorkbookPlan.open(path) as plan:
        made = sum(bool(one.draft_id) and one.state is not bulk.NewState.DELETED for one in plan.items())
    what = "delete the drafts of, or archive," if archive else "delete the drafts of"
    if made and not await agreed(f"{what} {made} new things?", yes=working.yes):
        say("nothing was changed")
        return DONE
    counts: Counter[str] = Counter()

    async def tell(item: bulk.NewItem, became: str) -> None:
        del item
        counts[became] += 1
        await anyio.lowlevel.checkpoint()

    left = await bulk.remove_new(client, path, archive=archive, tell=tell)
    if counts:
        say("new things: " + " · ".join(f"{count} {became}" for became, count in counts.items()))
    return FAILED if left else DONE
