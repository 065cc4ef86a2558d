"""Budgets that a plan lets be spent again without touching them: those of the ad sets in what it resumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from spotify_ads_async.bulk.entities import AD_SETS
from spotify_ads_async.bulk.present import PAGE_SIZE, Found, read_present
from spotify_ads_async.bulk.records import Decision
from spotify_ads_async.bulk.results import budget_of, is_off
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.governor import Priority
from spotify_ads_async.models import AdStatus
from spotify_ads_async.reports.planning import batched
from spotify_ads_async.types import Answer, MicroAmount

__all__ = ["budgets_resumed"]

_DELIVERS = frozenset({AdStatus.ACTIVE, AdStatus.APPROVED})


async def budgets_resumed(ads: AdsClient, plan: Path) -> MicroAmount:
    """The budgets, added up, of ad sets that deliver again because a plan resumes their campaigns, or ads in them.

    An ad set in which another ad delivers already spends its budget anyway, and is not counted.

    Raises:
        NotAPlan: it is no plan.
        SpotifyAdsError: the ad sets cannot be read.
    """
    account_id, kind, ids = await anyio.to_thread.run_sync(_resumed, plan)
    ads = ads.with_options(priority=Priority.BULK, keep_json=True)
    account, parts = ads.ad_account(account_id), [list(part) for part in batched(ids, PAGE_SIZE)]
    sets: list[dict[str, Any]] = []

    async def take(found: Sequence[Found]) -> None:
        sets.extend(one.json for _, one in found if isinstance(one, Answer))

    if kind == "campaigns":
        for part in parts:
            sets += [one.json async for one in account.ad_sets.list(campaign_ids=part)]
    elif kind == "ads":
        lists = [account.ads.list(ad_set_ids=part) for part in parts]
        others = [ad for one in lists async for ad in one if ad.delivery == "ON" and ad.status in _DELIVERS]
        spend = {ad.ad_set_id for ad in others}
        await read_present(ads, AD_SETS, account_id, [one for one in ids if one not in spend], take)
    return sum(budget_of(one)[1] or 0 for one in sets if not is_off(one))


def _resumed(path: Path) -> tuple[str, str, list[str]]:
    """A plan's ad account, its kind, and the IDs of campaigns that deliver again, or of the ad sets of such ads."""
    with PlanFile.open(path) as plan:
        kind = plan.header.kind
        resumed = (
            row
            for row in plan.changes()
            if row.decision is Decision.PLANNED and is_off(row.before) and not is_off(row.after)
        )
        ids = (row.state.get("ad_set_id") if kind.plural == "ads" else row.entity_id for row in resumed)
        return plan.header.ad_account_id, kind.plural, list(dict.fromkeys(one for one in ids if one))
