"""``spotify-ads bulk plan|show|apply|resume|undo``: how they are called.

What they do is in :mod:`~spotify_ads_async.cli.bulk_work`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spotify_ads_async import bulk
from spotify_ads_async.cli import bulk_work
from spotify_ads_async.cli.bulk_work import Planning
from spotify_ads_async.cli.completing import complete_setting
from spotify_ads_async.cli.connect import facts_file
from spotify_ads_async.cli.consent import AllowUnusual, Yes
from spotify_ads_async.cli.options import AdAccount, OutputForm, Where, command_group, needed
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.workbooks import Working
from spotify_ads_async.cli.zones import Zone, zone_of
from spotify_ads_async.probing import load_facts
from spotify_ads_async.settings import BASE_URL

__all__ = ["app"]

app = command_group("Many changes at once: seen before they are made, resumable after anything, and undoable.")


Send: TypeAlias = Literal["whole", "changes"]
"""What of an object a request holds."""


Kind: TypeAlias = Literal["ad-sets", "campaigns", "ads"]
"""What a selection is about."""


Changes = Annotated[
    Path | None,
    typer.Argument(
        metavar="CHANGES",
        help="A workbook (.xlsx, .xls, .ods), CSV or JSON Lines; - is standard input.",
        show_default=False,
    ),
]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan, as bulk plan writes it.")]
PlanTo = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="The plan to write; named after changes and time by default."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="With --where: 12.50, +10%, -2.00, +7d, or any value.",
        autocompletion=complete_setting,
    ),
]
KindOf = Annotated[Kind, typer.Option("--kind", help="What --where selects.")]
Conflicts = Annotated[
    Path | None,
    typer.Option("--check-conflicts", metavar="FILE", help="An earlier export: leave alone what others changed since."),
]
Clear = Annotated[
    str, typer.Option("--clear", metavar="TOKEN", help="The cell that empties a field; a blank keeps it.")
]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Go on with the good rows when others are refused.")]
Sheet = Annotated[
    list[str] | None, typer.Option("--sheet", metavar="NAME", help="Read this sheet of a workbook; repeat for more.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="How a text is encoded, such as windows-1252.")
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Leave out this column; repeat for more.")
]
Hidden = Annotated[
    bulk.HiddenRows | None, typer.Option("--hidden", help="What to do with rows that the spreadsheet hides.")
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", metavar="ROW", help="Leave out this row, by its number or name; repeat for more."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]
MaxFailures = Annotated[
    int | None, typer.Option("--max-failures", metavar="N", min=0, help="Stop when more than N rows have failed.")
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", metavar="N", min=1, max=1000, help="Rows under way at once, at most.")
]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Where every row's outcome goes, .csv, .jsonl or .xlsx."),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Also make requests again that the server refused, or answered and did nothing; stage deleted drafts anew;"
        " look again at conflicts.",
    ),
]
Draft = Annotated[
    bool, typer.Option("--draft", help="Stage the rows as drafts, and validate them by campaign; nothing goes live.")
]
Publish = Annotated[
    bool, typer.Option("--publish", help="With drafts: publish every campaign of which all rows are valid.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite what somebody else changed since, in the values that a row changes.")
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Carry on where the server changes more than a row says.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Write over a plan that is there already and has not begun.")]
SendOption = Annotated[
    Send | None,
    typer.Option(
        "--send",
        help=(
            "The whole object that a change is about, or, for an API that merges objects, the changes. By default the"
            " whole object, unless doctor --probe found that the API merges."
        ),
    ),
]
_CONCURRENCY = bulk.Options().concurrency


def _wanted(send: Send | None) -> Send:
    """What of an object is sent: as asked for, or as ``doctor --probe`` found out about the API."""
    if send is not None:
        return send
    facts = load_facts(facts_file(), os.environ.get("SPOTIFY_ADS_BASE_URL", "").strip().rstrip("/") or BASE_URL)
    if facts is None or facts.objects != "merge":
        return "whole"
    say(
        f"note: of an object only what changes is sent, for this API merges objects (doctor --probe, {facts.found_at});"
        " see --send"
    )
    return "changes"


def _reading(
    sheet: list[str] | None,
    encoding: str | None,
    ignore: list[str] | None,
    zone: str | None,
    *,
    clear: str,
    hidden: bulk.HiddenRows | None,
    leave_out: list[str] | None,
    no_file: str = "",
) -> bulk.Reading:
    """How a file of changes is read; where there is none, as ``no_file`` says, options for it are refused."""
    options = {"sheet": sheet, "encoding": encoding, "ignore": ignore, "hidden": hidden, "leave-out": leave_out}
    if no_file and (given := [f"--{name}" for name, value in options.items() if value]):
        usage_error(f"{' and '.join(given)}: for files of changes, and {no_file}")
    return bulk.Reading(
        clear=clear,
        encoding=encoding,
        sheets=tuple(sheet or ()),
        ignore=tuple(ignore or ()),
        hidden=hidden,
        zone=zone_of(zone),
        leave_out=tuple(leave_out or ()),
    )


@app.command()
def plan(
    changes: Changes = None,
    *,
    where: Where = None,
    settings: Set = None,
    kind: KindOf = "ad-sets",
    to: PlanTo = None,
    check_conflicts: Conflicts = None,
    clear: Clear = bulk.CLEAR,
    skip_bad_rows: SkipBadRows = False,
    force: Force = False,
    replace: Replace = False,
    sheet: Sheet = None,
    encoding: Encoding = None,
    ignore: Ignore = None,
    hidden: Hidden = None,
    leave_out: LeaveOut = None,
    zone: Zone = None,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show what a file of changes, or a selection, comes down to, and write the plan. Nothing is changed."""
    if (changes is None) == (not settings):
        usage_error("give either a file of changes, or --set with --where")
    planning = Planning(
        changes=changes,
        where=tuple(where or ()),
        settings=tuple(settings or ()),
        entity=bulk.ENTITIES[kind.replace("-", " ")],
        to=to,
        base=check_conflicts,
        skip_bad_rows=skip_bad_rows,
        force=force,
        replace=replace,
        reading=_reading(
            sheet,
            encoding,
            ignore,
            zone,
            clear=clear,
            hidden=hidden,
            leave_out=leave_out,
            no_file="" if changes else "--where selects what is there",
        ),
        ad_account=needed(ad_account),
    )
    run(lambda: bulk_work.plan(planning, output))


@app.command()
def template(
    *,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", dir_okay=False, help="The workbook to write, an .xlsx file.")
    ],
    campaign: Annotated[
        str | None, typer.Option("--from", metavar="CAMPAIGN", help="Fill it with this campaign, by its id.")
    ] = None,
    ad_account: AdAccount = None,
) -> None:
    """Write the workbook to plan campaigns in: choices, a note on each column, and an example of each kind."""
    account = needed(ad_account)
    if to.suffix.lower() != ".xlsx":
        usage_error(f"--to {to}: the name must end in .xlsx")
    run(lambda: bulk_work.template(account, to, campaign))


@app.command()
def show(plan_file: PlanFile, *, output: OutputForm = Output.TABLE) -> None:
    """Show a plan: what changes, and what became of it so far."""
    run(lambda: bulk_work.show(plan_file, output))


@app.command()
def apply(
    context: typer.Context,
    changes: Annotated[Path, typer.Argument(metavar="CHANGES|PLAN", help="A file of changes, or a plan.")],
    *,
    to: PlanTo = None,
    check_conflicts: Conflicts = None,
    clear: Clear = bulk.CLEAR,
    skip_bad_rows: SkipBadRows = False,
    sheet: Sheet = None,
    encoding: Encoding = None,
    ignore: Ignore = None,
    hidden: Hidden = None,
    leave_out: LeaveOut = None,
    zone: Zone = None,
    dry_run: DryRun = False,
    draft: Draft = False,
    publish: Publish = False,
    max_failures: MaxFailures = None,
    concurrency: Concurrency = _CONCURRENCY,
    results: Results = None,
    force: Force = False,
    keep_going: KeepGoing = False,
    send: SendOption = None,
    allow_unusual: AllowUnusual = False,
    replace: Replace = False,
    yes: Yes = False,
    ad_account: AdAccount = None,
) -> None:
    """Carry out a plan; or plan a file of changes, and carry that out at once."""
    options = bulk.Options(
        concurrency=concurrency,
        max_failures=max_failures,
        draft=draft,
        publish=publish,
        force=force,
        keep_going=keep_going,
        send=_wanted(send),
        allow_unusual=allow_unusual,
    )
    working = Working(options=options, results=results, yes=yes, dry_run=dry_run)
    made = bulk.is_plan(changes)
    no_file = f"{changes} is a plan" if made else ""
    reading = _reading(sheet, encoding, ignore, zone, clear=clear, hidden=hidden, leave_out=leave_out, no_file=no_file)
    if made:
        source = context.get_parameter_source("ad_account")
        named = ad_account if source is not None and source.name == "COMMANDLINE" else None
        run(lambda: bulk_work.apply_plan(changes, working, named))
    planning = Planning(
        changes=changes,
        to=to,
        base=check_conflicts,
        skip_bad_rows=skip_bad_rows,
        force=force,
        replace=replace,
        reading=reading,
        ad_account=needed(ad_account),
    )
    run(lambda: bulk_work.apply_changes(planning, working))


@app.command()
def resume(
    plan_file: PlanFile,
    *,
    max_failures: MaxFailures = None,
    concurrency: Concurrency = _CONCURRENCY,
    retry_failed: RetryFailed = False,
    publish: Publish = False,
    results: Results = None,
    force: Force = False,
    keep_going: KeepGoing = False,
    send: SendOption = None,
    allow_unusual: AllowUnusual = False,
    yes: Yes = False,
) -> None:
    """Carry on after an interruption.

    Requests whose answer was lost are settled by reading back, never sent blindly again.
    """
    options = bulk.Options(
        concurrency=concurrency,
        max_failures=max_failures,
        retry_failed=retry_failed,
        publish=publish,
        force=force,
        keep_going=keep_going,
        send=_wanted(send),
        allow_unusual=allow_unusual,
    )
    run(lambda: bulk_work.resume(plan_file, Working(options=options, results=results, yes=yes)))


@app.command()
def undo(
    plan_file: PlanFile,
    *,
    to: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="The plan of the undo; PLAN.undo by default.")
    ] = None,
    force: Force = False,
    keep_going: KeepGoing = False,
    archive: Annotated[bool, typer.Option("--archive", help="Archive what was new and is published by now.")] = False,
    dry_run: DryRun = False,
    concurrency: Concurrency = _CONCURRENCY,
    results: Results = None,
    yes: Yes = False,
) -> None:
    """Take back what a plan did.

    Everything is read again first; what somebody changed since is named and left alone.
    """
    working = Working(
        options=bulk.Options(concurrency=concurrency, force=force, keep_going=keep_going),
        results=results,
        yes=yes,
        dry_run=dry_run,
    )
    run(lambda: bulk_work.undo(plan_file, to, working, force=force, archive=archive))
