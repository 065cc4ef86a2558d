"""What the bulk commands do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import anyio.to_thread
import msgspec

from spotify_ads_async import bulk
from spotify_ads_async.cli import workbooks
from spotify_ads_async.cli.bulk_show import (
    DIFFERENCE_COLUMNS,
    counted,
    difference_row,
    results_written,
    row_name,
    say_outcomes,
    say_totals,
)
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import agreed
from spotify_ads_async.cli.files import check_results, require_free, results_beside, unused
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import doing, running
from spotify_ads_async.cli.run import DONE, FAILED, INTERRUPTED, REFUSED, say
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.cli.workbooks import Working
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.money import format_micros
from spotify_ads_cli.consoles import go_on_unread

__all__ = [
    "Planning",
    "Working",
    "apply_changes",
    "apply_plan",
    "plan",
    "resume",
    "show",
    "template",
    "undo",
]

_SHOWN = 20
_INTERRUPTION = "interrupted"
_AT_ONCE = 250


class Planning(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is to be made."""

    ad_account: str
    changes: Path | Sequence[Mapping[str, str]] | None = None
    name: str = ""
    stem: str = ""
    where: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    entity: bulk.Entity = bulk.ENTITIES["ad sets"]
    to: Path | None = None
    base: Path | None = None
    skip_bad_rows: bool = False
    force: bool = False
    replace: bool = False
    reading: bulk.Reading = bulk.Reading()

    @property
    def target(self) -> Path:
        """Where the plan goes: never over an earlier one, which may still be undone."""
        if self.to is not None:
            return self.to
        read = self.changes.stem if isinstance(self.changes, Path) else self.entity.plural.replace(" ", "_")
        stem = self.stem or ("standard-input" if read == "-" else read)
        return unused(Path(f"{stem}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.plan"))


async def _make_plan(client: AdsClient, planning: Planning) -> tuple[Path, bulk.PlanTotals | None]:
    """Make a plan: where it is, and what it comes to, None for that of a workbook."""
    target = planning.target
    await anyio.to_thread.run_sync(require_free, target, planning.replace)
    if planning.changes is None:
        with doing(f"planning: reading {planning.entity.plural}"):
            totals = await bulk.plan_selection(
                client,
                planning.ad_account,
                planning.entity,
                target,
                where=planning.where,
                settings=planning.settings,
                skip_bad_rows=planning.skip_bad_rows,
                zone=planning.reading.zone,
            )
    else:
        try:
            totals = await _plan_file(client, planning, planning.changes, target)
        except bulk.HiddenRowsFound as found:
            option = "--hidden include takes them, and --hidden skip leaves them out; one of them"
            takes = await agreed(f"{found.shown}: take what is hidden, too?", yes=False, option=option)
            hidden = bulk.HiddenRows.INCLUDE if takes else bulk.HiddenRows.SKIP
            shown = msgspec.structs.replace(planning, reading=msgspec.structs.replace(planning.reading, hidden=hidden))
            totals = await _plan_file(client, shown, planning.changes, target)
    return target, totals


async def _plan_file(
    client: AdsClient, planning: Planning, changes: Path | Sequence[Mapping[str, str]], target: Path
) -> bulk.PlanTotals | None:
    with doing(f"planning {planning.name or changes}: reading it and what is there"):
        return await bulk.plan_changes(
            client,
            planning.ad_account,
            changes,
            target,
            name=planning.name,
            reading=planning.reading,
            base=planning.base,
            skip_bad_rows=planning.skip_bad_rows,
            force=planning.force,
        )


async def plan(planning: Planning, output: Output) -> int:
    """Make a plan and show it."""
    async with connected() as client:
        target, totals = await _make_plan(client, planning)
    if bulk.is_workbook_plan(target):
        await anyio.to_thread.run_sync(workbooks.show_plan, target, output, None, _show_plan)
        say(f"the plan is {target}; spotify-ads bulk apply {target} carries it out")
        return DONE
    totals = await anyio.to_thread.run_sync(_show_plan, target, output, None, totals)
    carries_out = f"spotify-ads bulk apply {target} carries it out" if totals.fields else "nothing would change"
    say(f"the plan is {target}; {carries_out}")
    return REFUSED if totals.refused or totals.conflicts else DONE


async def template(ad_account: str, to: Path, campaign: str | None) -> None:
    """Write the workbook to plan campaigns in."""
    async with connected() as client:
        await bulk.write_template(client, ad_account, to, campaign_id=campaign)
    say(f"{to} is ready: open it in a spreadsheet, fill it, and spotify-ads bulk plan {to} shows what it comes to")


async def show(path: Path, output: Output) -> None:
    """Show a plan and what became of it."""
    if bulk.is_workbook_plan(path):
        await anyio.to_thread.run_sync(workbooks.show_plan, path, output, None, _show_plan)
        return
    await anyio.to_thread.run_sync(_show_plan, path, output, None)
    with bulk.PlanFile.open(path) as plan:
        if plan.begun():
            say_outcomes(plan, path)


def _show_plan(path: Path, output: Output, shown: int | None, totals: bulk.PlanTotals | None = None) -> bulk.PlanTotals:
    """Write the differences to stdout and the totals to stderr; ``shown`` bounds the rows of a table.

    With ``totals``, which are those of a plan that was made a moment ago, its rows are not counted anew.
    """
    with bulk.PlanFile.open(path) as plan:
        header = plan.header
        unusual = plan.unusual_rows()
        while some := [f"unusual: {row_name(row, header)}: {row.unusual}" for row in islice(unusual, _AT_ONCE)]:
            say(*some)
        changing = 0
        conflict = bulk.Decision.CONFLICT
        planned = _counted(plan, totals := bulk.PlanTotals()) if totals is None else plan.planned()
        with Rows(output, DIFFERENCE_COLUMNS) as rows:
            in_table = rows.is_table
            while batch := list(islice(planned, _AT_ONCE)):
                changes = [row for row in batch if row.decision is not conflict and row.after]
                told = changes if shown is None else changes[: max(0, shown - changing)]
                changing += len(changes)
                rows.write_values(
                    [
                        difference_row(one, header.currency, in_table=in_table)
                        for row in told
                        for one in bulk.differences(row)
                    ]
                )
        if shown is not None and changing > shown:
            say(f"… and {changing - shown} rows more that change: spotify-ads bulk show {path}")
        _say_remarks(plan)
        say_totals(totals, header)
    return totals


def _say_remarks(plan: bulk.PlanFile) -> None:
    """What was refused and why, and what people should know besides."""
    header, begun = plan.header, plan.begun()
    for row in plan.noteworthy():
        if row.outcome in {bulk.RowOutcome.REFUSED, bulk.RowOutcome.CONFLICT}:
            column = f"{row.column}: " if row.column and row.outcome is bulk.RowOutcome.REFUSED else ""
            say(f"{row.outcome}: {row_name(row, header)}: {column}{row.reason}")
        elif row.reason and not begun:
            say(f"note: {row_name(row, header)}: {row.reason}")
    for remark in header.remarks.splitlines():
        say(f"note: {remark}")


def _counted(plan: bulk.PlanFile, totals: bulk.PlanTotals) -> Iterator[bulk.PlannedChange]:
    for row in plan.changes():
        totals.add(row)
        yield row


async def apply_changes(planning: Planning, working: Working) -> int:
    """Plan a file of changes and carry the plan out."""
    check_results(working.results, planning.to, planning.changes, planning.base)
    async with connected() as client:
        looked_at = time.monotonic()
        target, _ = await _make_plan(client, planning)
        if working.yes and not working.dry_run:
            _require_known_encoding(target, planning)
        options = msgspec.structs.replace(working.options, looked_at=looked_at)
        return await _carry_out_when_wanted(client, target, msgspec.structs.replace(working, options=options))


def _require_known_encoding(target: Path, planning: Planning) -> None:
    """Refuse what was read in an encoding that nobody stated, where nobody looks at the plan either.

    Raises:
        ConfigurationError: the file does not tell its encoding.
    """
    opened = bulk.WorkbookPlan.open(target) if bulk.is_workbook_plan(target) else bulk.PlanFile.open(target)
    with opened as plan:
        guessed, remarks = plan.header.guessed, plan.header.remarks
    if guessed:
        raise ConfigurationError(
            f"nothing was changed: {planning.changes} is {remarks.splitlines()[0]}. Nobody looks with --yes: state it,"
            f" as in --encoding windows-1252; or look at the plan, and spotify-ads bulk apply {target} carries it out"
        )


async def apply_plan(path: Path, working: Working, ad_account: str | None) -> int:
    """Carry out a plan, which is of ``ad_account`` where that is given.

    Raises:
        WrongPlan: it has begun before.
        ConfigurationError: it is of another ad account.
        FileNotFoundError: the results have no folder to be written to.
    """
    opened = bulk.WorkbookPlan.open(path) if bulk.is_workbook_plan(path) else bulk.PlanFile.open(path)
    with opened as plan:
        check_results(working.results, path, Path(plan.header.source))
        if plan.begun():
            raise bulk.WrongPlan(f"the plan has begun before: spotify-ads bulk resume {path} carries on")
        if ad_account and ad_account.lower() != plan.header.ad_account_id.lower():
            raise ConfigurationError(
                f"the plan is of ad account {plan.header.ad_account_id}, and --ad-account names another"
            )
    async with connected() as client:
        return await _carry_out_when_wanted(client, path, working)


async def _carry_out_when_wanted(client: AdsClient, path: Path, working: Working) -> int:
    go_on_unread()
    if bulk.is_workbook_plan(path):
        return await workbooks.carry_out_when_wanted(client, path, working, _show_plan)
    totals = await anyio.to_thread.run_sync(_show_plan, path, Output.TABLE, _SHOWN)
    if totals.resumed and (budgets := await bulk.budgets_resumed(client, path)):
        shown = " and ".join(format_micros(amount, currency or None) for currency, amount in budgets.items())
        say(f"the ad sets that deliver again have budgets of {shown}")
    if working.dry_run:
        say(f"a dry run: nothing was changed; the plan is {path}")
        return REFUSED if totals.refused or totals.conflicts else DONE
    requests = totals.requests + (totals.requests_held_back if working.options.takes_up_conflicts else 0)
    if not requests:
        return await _carry_out(client, bulk.apply(client, path, working.options), path, working)
    with bulk.PlanFile.open(path) as plan:
        entity = plan.header.kind.name
    changing = totals.planned + (totals.conflicts if working.options.takes_up_conflicts else 0)
    agrees = await agreed(f"change {counted(changing, entity)}?", yes=working.yes)
    options = await _with_unusual(path, working.options) if agrees else None
    if options is None:
        say(f"nothing was changed; the plan is {path}")
        return DONE
    return await _carry_out(client, bulk.apply(client, path, options), path, working)


async def _with_unusual(path: Path, options: bulk.Options) -> bulk.Options | None:
    """The options with what was said about unusual amounts of money, None for a no.

    Raises:
        ConsentNeeded: there are some, and nobody can be asked.
    """
    with bulk.PlanFile.open(path) as plan:
        unusual = 0 if plan.header.allow_unusual else plan.unusual(conflicts=options.takes_up_conflicts)
    if not unusual or options.allow_unusual:
        return options
    rows = "1 row has an unusual amount" if unusual == 1 else f"{unusual} rows have unusual amounts"
    if not await agreed(
        f"{rows} of money (--allow-unusual takes them): is that meant?",
        yes=False,
        option="--allow-unusual",
    ):
        return None
    return msgspec.structs.replace(options, allow_unusual=True)


async def resume(path: Path, working: Working) -> int:
    """Carry on with a plan."""
    if bulk.is_workbook_plan(path):
        with bulk.WorkbookPlan.open(path) as plan:
            check_results(working.results, path, Path(plan.header.source))
        async with connected() as client:
            return await workbooks.carry_on(client, path, working)
    with bulk.PlanFile.open(path) as plan:
        check_results(working.results, path, Path(plan.header.source))
        outcomes = plan.outcomes()
    open_ones = {
        bulk.RowOutcome.WAITING,
        bulk.RowOutcome.UNKNOWN,
        bulk.RowOutcome.FAILED,
        bulk.RowOutcome.STAGED,
        bulk.RowOutcome.CONFLICT,
    }
    left = sum(count for outcome, count in outcomes.items() if outcome in open_ones)
    if left and not await agreed(f"carry on with {left} rows?", yes=working.yes):
        say("nothing was changed")
        return DONE
    options = await _with_unusual(path, working.options)
    if options is None:
        say("nothing was changed")
        return DONE
    async with connected() as client:
        return await _carry_out(client, bulk.resume(client, path, options), path, working)


async def undo(done: Path, to: Path | None, working: Working, *, force: bool, archive: bool = False) -> int:
    """Plan the inverse of a plan and carry that out."""
    path = to or unused(done.with_name(f"{done.name}.undo"))
    check_results(working.results, path, done)
    if not bulk.is_workbook_plan(done):
        with bulk.PlanFile.open(done) as plan:
            if not plan.begun():
                say(f"nothing of {done} has been carried out, so there is nothing to take back")
                return DONE
    if path.exists():
        raise FileExistsError(f"there is a file at {path} already: name another for the plan of the undo")
    async with connected() as client:
        options = msgspec.structs.replace(working.options, looked_at=time.monotonic())
        with doing("planning the undo: reading everything again"):
            await bulk.plan_undo(client, done, path, force=force, archive=archive)
        return await _carry_out_when_wanted(client, path, msgspec.structs.replace(working, options=options))


async def _carry_out(client: AdsClient, run: bulk.Run, path: Path, working: Working) -> int:
    """Let a run come to its end, or to Ctrl-C, and say what became of the rows."""
    failures = 0
    async with on_interrupt(lambda: run.stop(_INTERRUPTION)), run:
        with running(run.header.kind.plural, run, client):
            async for row in run:
                held = row.outcome is bulk.RowOutcome.STAGED and row.reason
                if (held or not row.outcome.as_planned) and failures < _SHOWN:
                    failures += 1
                    say(f"{row.outcome}: {row_name(row, run.header)}: {row.reason}")
    return await anyio.to_thread.run_sync(_conclude, run.progress.stopped, path, working)


def _is_undoable(plan: bulk.PlanFile) -> bool:
    """Whether anything of a plan can be taken back: archiving cannot."""
    states = ({one.after.get("status"), one.after.get("delivery")} for one in plan.changes() if one.after)
    return any("ARCHIVED" not in some for some in states)


def _conclude(stopped: str, path: Path, working: Working) -> int:
    written = True
    with bulk.PlanFile.open(path) as plan:
        outcomes = plan.outcomes()
        if stopped:
            say(f"stopped: {stopped}")
        if stopped != _INTERRUPTION:  # whoever pressed Ctrl-C is not kept waiting
            results = working.results or results_beside(path)
            written = results_written(
                "every row's outcome", results, path, lambda: bulk.write_results(plan.rows(), results, plan.header)
            )
        say_outcomes(plan, path)
        if outcomes[bulk.RowOutcome.DONE] and not plan.header.undo_of and _is_undoable(plan):
            say(f"spotify-ads bulk undo {path} takes it back")
    if stopped == _INTERRUPTION:
        return INTERRUPTED
    if outcomes[bulk.RowOutcome.UNKNOWN] or outcomes[bulk.RowOutcome.REFUSED] or outcomes[bulk.RowOutcome.CONFLICT]:
        return REFUSED
    undone = outcomes[bulk.RowOutcome.FAILED] + outcomes[bulk.RowOutcome.WAITING]
    undone += outcomes[bulk.RowOutcome.STAGED] if working.options.publish else 0
    done = written and not undone and not stopped
    return DONE if done else FAILED
