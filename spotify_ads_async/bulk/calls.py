"""The calls of :mod:`spotify_ads_async.bulk`, and every name that it has."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import anyio.to_thread
import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan import planner
from spotify_ads_async.bulk.plan.cells import CLEAR
from spotify_ads_async.bulk.plan.effects import Conflict
from spotify_ads_async.bulk.plan.expressions import BadExpression, parse_condition, parse_setting
from spotify_ads_async.bulk.plan.problems import BadChanges, HiddenRowsFound, LeftOut, Problem
from spotify_ads_async.bulk.plan.tables import HiddenRows, Reading
from spotify_ads_async.bulk.plan.totals import PlanTotals
from spotify_ads_async.bulk.records import (
    Decision,
    Header,
    NotAPlan,
    PlanDamaged,
    PlanInUse,
    PlannedChange,
    PlannedRow,
    RowOutcome,
    UnusualRow,
    WrongPlan,
)
from spotify_ads_async.bulk.results import (
    Difference,
    differences,
    plan_totals,
    preview,
    result,
    write_results,
)
from spotify_ads_async.bulk.resumed import budgets_resumed
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.runner import Run
from spotify_ads_async.bulk.store.plan_file import PlanFile, is_plan, now_text
from spotify_ads_async.bulk.undo import plan_undo as plan_undo_of_changes
from spotify_ads_async.bulk.workbook.planning import plan_file
from spotify_ads_async.bulk.workbook.records import NewItem, NewState, WorkbookHeader
from spotify_ads_async.bulk.workbook.run import WorkbookRun
from spotify_ads_async.bulk.workbook.store import WorkbookPlan, is_workbook_plan
from spotify_ads_async.bulk.workbook.template import write_template
from spotify_ads_async.bulk.workbook.undoing import plan_workbook_undo, remove
from spotify_ads_async.client import AdsClient
from spotify_ads_async.governor import Priority

__all__ = [
    "CLEAR",
    "ENTITIES",
    "BadChanges",
    "BadExpression",
    "Conflict",
    "Decision",
    "Difference",
    "Entity",
    "Header",
    "HiddenRows",
    "HiddenRowsFound",
    "NewItem",
    "NewState",
    "NotAPlan",
    "Options",
    "PlanDamaged",
    "PlanFile",
    "PlanInUse",
    "PlanTotals",
    "PlannedChange",
    "PlannedRow",
    "Problem",
    "Progress",
    "Reading",
    "RowOutcome",
    "Run",
    "UnusualRow",
    "WorkbookHeader",
    "WorkbookPlan",
    "WorkbookRun",
    "WrongPlan",
    "apply",
    "apply_workbook",
    "budgets_resumed",
    "differences",
    "is_plan",
    "is_workbook_plan",
    "plan_changes",
    "plan_selection",
    "plan_totals",
    "plan_undo",
    "preview",
    "remove_new",
    "result",
    "resume",
    "write_results",
    "write_template",
]


async def plan_changes(
    ads: AdsClient,
    ad_account_id: str,
    changes: Path | Sequence[Mapping[str, object]],
    plan: Path,
    *,
    reading: Reading | None = None,
    base: Path | None = None,
    skip_bad_rows: bool = False,
    present: Iterable[msgspec.Struct] = (),
    force: bool = False,
    name: str = "",
) -> PlanTotals | None:
    """Read a file of changes and the present state, and make the plan. No request changes anything.

    Rows without an id are new: their campaigns, ad sets and ads are made as drafts when the plan is carried out.

    Args:
        ads: the client.
        ad_account_id: the ad account that holds what is changed.
        changes: a workbook (.xlsx, .xls, .ods), a text with separators, or JSON Lines, told apart by content; the id
            column of each table says whether it is about ad sets, campaigns or ads. Or the rows themselves, each with
            what a line of JSON Lines has: ``{"ad_set_id": …, "budget.amount": 12.5}``.
        plan: the plan to make; there must be no such file yet.
        reading: how a file is read: its encoding, its sheets, which columns, rows and hidden rows are taken.
        base: an earlier export: a field that somebody else changed since, and that the file changes too, is a conflict.
        skip_bad_rows: plan the good rows though others are refused; those keep their place and their reason.
        present: what was read a moment ago, such as every ad set of the account: it is not read again. Read it through
            ``ads.with_options(keep_json=True)``, so that what this version does not know is in the plan as well.
        force: overwrite what somebody else changed since ``base``.
        name: what the plan and its messages call the file, where that is not its name.

    Returns:
        What the plan comes to; None where it is that of a workbook with new rows or several tables, see
        :func:`is_workbook_plan`.

    Raises:
        BadChanges: there are no rows, or some are refused, with file, line or cell, column and reason.
        HiddenRowsFound: rows are hidden, and ``reading.hidden`` is left out.
        FileExistsError: there is a file at ``plan``.
        SpotifyAdsError: the present state cannot be read.
    """
    reading = reading or Reading()
    async with _as_file(changes) as file:
        source = planner.Source(
            path=file,
            name=name or ("" if file == changes else "rows"),
            reading=reading,
            base=base,
            skip_bad_rows=skip_bad_rows,
            present=present,
            force=force,
            left_out=LeftOut(reading.leave_out),
        )
        return await plan_file(_bulk(ads), source, _header(ads, ad_account_id, source.shown), plan)


@contextlib.asynccontextmanager
async def _as_file(changes: Path | Sequence[Mapping[str, object]]) -> AsyncGenerator[Path]:
    """Rows as the file that they could have been read from, for as long as planning takes."""
    if isinstance(changes, Path):
        yield changes
        return

    def write(file: Path) -> None:
        with file.open("w", encoding="utf-8") as lines:
            # What is no number stays so, and is refused; as null it would empty the field.
            lines.writelines(f"{json.dumps(msgspec.to_builtins(row))}\n" for row in changes)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        await anyio.to_thread.run_sync(write, file)
        yield file


async def plan_selection(
    ads: AdsClient,
    ad_account_id: str,
    entity: Entity,
    plan: Path,
    *,
    where: Sequence[str] = (),
    settings: Sequence[str],
    skip_bad_rows: bool = False,
    zone: ZoneInfo | None = None,
) -> PlanTotals:
    """Make a plan that gives new values to everything that satisfies all conditions.

    Args:
        ads: the client.
        ad_account_id: the ad account.
        entity: one of :data:`ENTITIES`.
        plan: the plan to make; there must be no such file yet.
        where: conditions, such as ``status=ACTIVE`` or ``budget.amount>=100.00``; none selects everything.
        settings: new values, such as ``bid_amount=12.50`` or ``budget.amount=+10%``.
        skip_bad_rows: plan what can be changed though other rows are refused.
        zone: the zone of times that name none.

    Returns:
        What the plan comes to.

    Raises:
        BadExpression: a condition or a setting cannot be understood.
        BadChanges: nothing is selected, or some of it cannot be changed so.
        FileExistsError: there is a file at ``plan``.
        SpotifyAdsError: the list cannot be walked.
    """
    chosen = planner.Selection(
        entity=entity,
        conditions=[parse_condition(entity, text) for text in where],
        settings=[parse_setting(entity, text, zone=zone) for text in settings],
    )
    shown = f"{entity.plural} where {' and '.join(where)}" if where else f"all {entity.plural}"
    return await planner.plan_selection(
        _bulk(ads), chosen, _header(ads, ad_account_id, shown, entity), plan, skip_bad_rows=skip_bad_rows
    )


async def plan_undo(ads: AdsClient, done: Path, plan: Path, *, force: bool = False, archive: bool = False) -> None:
    """Make the plan that takes back what another plan did; see :func:`spotify_ads_async.bulk.undo.plan_undo`.

    Rows that somebody changed since are conflicts in it, or overwritten with ``force``. Of a workbook's plan, drafts of
    what is new are deleted, and what is published by now stays, or is archived with ``archive``:
    :func:`apply_workbook` carries it out.

    Raises:
        WrongPlan: ``done`` has rows that are not settled, or belongs to another address.
        FileExistsError: there is a file at ``plan``.
        SpotifyAdsError: the present state cannot be read.
    """
    if is_workbook_plan(done):
        await plan_workbook_undo(_bulk(ads), done, plan, force=force, archive=archive)
    else:
        await plan_undo_of_changes(_bulk(ads), done, plan, force=force)


def apply(ads: AdsClient, plan: Path, options: Options | None = None) -> Run:
    """Carry out a plan that has not begun yet: enter it with ``async with``, iterate it for the rows as they end."""
    return Run(_bulk(ads), _of_one_kind(plan), options or Options(), resumes=False)


def resume(ads: AdsClient, plan: Path, options: Options | None = None) -> Run:
    """Carry on with a plan after an interruption; with ``Options(publish=True)`` also publish what it staged as drafts.

    Requests whose answer was lost are settled by reading back, and made again only where they took no effect.
    """
    return Run(_bulk(ads), _of_one_kind(plan), options or Options(), resumes=True)


def _of_one_kind(plan: Path) -> Path:
    if is_workbook_plan(plan):
        raise WrongPlan(f"{plan} is about new things, or things of several kinds: bulk.apply_workbook carries it out")
    return plan


def apply_workbook(ads: AdsClient, plan: Path, options: Options | None = None, *, resumes: bool = False) -> WorkbookRun:
    """Carry out the plan of a file with new rows, or with rows about several kinds of things.

    Or carry on with it after an interruption.
    What is new is made as drafts and validated; ``Options(publish=True)`` also publishes what is valid. See
    :func:`is_workbook_plan`.
    """
    return WorkbookRun(_bulk(ads), plan, options or Options(), resumes=resumes)


async def remove_new(
    ads: AdsClient,
    plan: Path,
    *,
    archive: bool = False,
    force: bool = False,
    tell: Callable[[NewItem, str], Awaitable[None]] | None = None,
) -> int:
    """Take back what is new in the plan of a workbook at once.

    :func:`plan_undo` plans that, and the changes of its parts too.

    Args:
        ads: the client.
        plan: the plan.
        archive: also archive what was published.
        force: also take back what somebody changed as a draft, or put something into.
        tell: told of each new thing, and of what became of it.

    Returns:
        How many stay, since they are published.

    Raises:
        NotAPlan: it is no plan of a workbook.
        SpotifyAdsError: a request failed.
    """
    return await remove(_bulk(ads), plan, archive=archive, force=force, tell=tell or _ignore)


async def _ignore(item: NewItem, became: str) -> None:
    del item, became


def _bulk(ads: AdsClient) -> AdsClient:
    return ads.with_options(priority=Priority.BULK, keep_json=True)


def _header(ads: AdsClient, ad_account_id: str, source: str, entity: Entity | None = None) -> Header:
    """The header of a plan to be made; a file's id column will name the entity."""
    return Header(
        entity=(entity or ENTITIES["ad sets"]).plural,
        ad_account_id=ad_account_id,
        base_url=ads.base_url,
        source=source,
        created_at=now_text(),
    )
