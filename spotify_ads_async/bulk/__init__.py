"""Changes to many ad sets, campaigns or ads: planned, carried out, resumed after anything, and taken back.

A plan is one SQLite file: the rows with before and after, the requests, and the journal of what left and what came of
it.

    plan = Path("autumn.plan")
    await bulk.plan_changes(ads, ad_account_id, Path("autumn.csv"), plan)
    async with bulk.apply(ads, plan) as run:
        async for row in run:
            print(row.entity_id, row.outcome)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spotify_ads_async.bulk.calls import (
        CLEAR,
        ENTITIES,
        BadChanges,
        BadExpression,
        Conflict,
        Decision,
        Difference,
        Entity,
        Header,
        HiddenRows,
        HiddenRowsFound,
        NewItem,
        NewState,
        NotAPlan,
        Options,
        PlanDamaged,
        PlanFile,
        PlanInUse,
        PlannedChange,
        PlannedRow,
        PlanTotals,
        Problem,
        Progress,
        Reading,
        RowOutcome,
        Run,
        UnusualRow,
        WorkbookHeader,
        WorkbookPlan,
        WorkbookRun,
        WrongPlan,
        apply,
        apply_workbook,
        budgets_resumed,
        differences,
        is_plan,
        is_workbook_plan,
        plan_changes,
        plan_selection,
        plan_totals,
        plan_undo,
        preview,
        remove_new,
        result,
        resume,
        write_results,
        write_template,
    )

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


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """The names above, loaded when one of them is first used: lists need a few modules of this package alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spotify_ads_async.bulk import calls  # noqa: PLC0415 - that is the point

    globals().update({one: getattr(calls, one) for one in __all__})
    return globals()[name]
