"""Budgets that a plan lets be spent again without touching them: those of the ad sets in what it resumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from spotify_ads_async.bulk.entities import AD_SETS
from spotify_ads_async.bulk.plan.money import type_and_amount
from spotify_ads_async.bulk.plan.totals import is_off
from spotify_ads_async.bulk.present import PAGE_SIZE, Found, read_present
from spotify_ads_async.bulk.records import Decision, Header
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.governor import Priority
from spotify_ads_async.models import AdStatus
from spotify_ads_async.pagination.some import batched
from spotify_ads_async.types import Answer, MicroAmount

__all__ = ["budgets_resumed"]

_DELIVERS = frozenset({AdStatus.ACTIVE, AdStatus.APPROVED})


async def budgets_resumed(ads: AdsClient, plan: Path) -> dict[str, MicroAmount]:
    """The budgets, by currency, of ad sets that deliver again because a plan resumes their campaigns, or ads in them.

    An ad set in which another ad delivers already spends its budget anyway, and is not counted.

    Raises:
        NotAPlan: it is no plan.
        SpotifyAdsError: the ad sets cannot be read.
    """
    header, ids = await anyio.to_thread.run_sync(_resumed, plan)
    ads = ads.with_options(priority=Priority.BULK, keep_json=True)
    account, kind = ads.ad_account(header.ad_account_id), header.kind.plural
    parts = list(batched(ids, PAGE_SIZE))
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
        await read_present(ads, AD_SETS, account.id, [one for one in ids if one not in spend], take)
    budgets = Counter[str]()
    for one in sets:
        amount = type_and_amount(one.get("budget"))[1]
        if amount and not is_off(one):
            budgets[one["budget"].get("currency") or header.currency] += amount
    return dict(+budgets)


def _resumed(path: Path) -> tuple[Header, list[str]]:
    """A plan's header, and the IDs of campaigns that deliver again, or of the ad sets of such ads."""
    with PlanFile.open(path) as plan:
        of_ads = plan.header.kind.plural == "ads"
        planned = (row for row in plan.changes() if row.decision is Decision.PLANNED)
        resumed = [row for row in planned if is_off(row.before) and not is_off(row.after)]
        ids = (row.state.get("ad_set_id") if of_ads else row.entity_id for row in resumed)
        return plan.header, list(dict.fromkeys(one for one in ids if one))
