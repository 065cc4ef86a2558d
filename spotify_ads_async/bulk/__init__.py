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
    from spotify_ads_async.bulk.calls import *  # noqa: F403 - all that __getattr__ gives


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """The names of ``calls``, loaded when one of them is first used: lists need a few modules of this package alone."""
    import spotify_ads_async.bulk.calls as calls  # noqa: PLC0415, PLR0402 - later is the point; `from` would ask here

    names = {"__all__": calls.__all__, **{one: getattr(calls, one) for one in calls.__all__}}
    if name not in names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals().update(names)
    return names[name]
