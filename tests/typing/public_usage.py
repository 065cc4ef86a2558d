"""What a user's program looks like to type checkers: pyright and mypy read this file strictly, nobody runs it."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import assert_type

from spotify_ads_async import (
    UNSET,
    AccessToken,
    AdAccount,
    AdsClient,
    Governor,
    Limit,
    OutcomeUnknown,
    Priority,
    QuotaTimeout,
    RefreshToken,
    SpotifyAdsError,
    UnsetType,
    bulk,
    micros,
)
from spotify_ads_async.emulator import Emulator, Statistics
from spotify_ads_async.events import Event, RequestAnswered
from spotify_ads_async.governor import Snapshot
from spotify_ads_async.models import AdSet, AdSetStatus, AdSetUpdate, Campaign, CampaignCreate, CampaignObjective
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import GET_AD_SET_BY_ID
from spotify_ads_async.pagination import ListCall, Page
from spotify_ads_async.telemetry import Telemetry


async def clients() -> None:
    bare = AdsClient("token")
    token = AdsClient(AccessToken("token"), timeout=None, max_wait=2.0)
    refreshed = AdsClient(
        RefreshToken(client_id="app", client_secret="secret", refresh_token="token"),
        governor=Governor([Limit("ip", requests=10, window=1.0)], pace="smooth", store="sqlite:///quota.db"),
        priority=Priority.BULK,
    )
    for ads in (bare, token, refreshed):
        assert_type(ads.with_options(deadline=None), AdsClient)
        assert_type(ads.quota(), Snapshot)
        assert_type(ads.subscribe(hear), Callable[[], None])
        assert_type(ads.ad_account("id"), AdAccount)
        assert_type(Telemetry().watch(ads), Callable[[], None])
    async with AdsClient.from_env() as opened:
        assert_type(opened, AdsClient)


def hear(event: Event) -> None:
    if isinstance(event, RequestAnswered):
        assert_type(event.status, int)
        assert_type(event.seconds, float)


async def lists(account: AdAccount) -> AsyncIterator[str]:
    call = account.ad_sets.list(statuses=[AdSetStatus.ACTIVE], limit=50)
    assert_type(call, ListCall[AdSet])
    assert_type(await call, Page[AdSet])
    assert_type((await call).items, list[AdSet])
    assert_type((await call).total, int | None)
    assert_type(await call.collect(), list[AdSet])
    async for ad_set in call:
        assert_type(ad_set, AdSet)
        assert_type(ad_set.name, str | None)
        assert_type(ad_set.id, str)
        yield ad_set.id


async def calls(ads: AdsClient, account: AdAccount) -> None:
    assert_type(await account.ad_sets.get("id"), AdSet)
    assert_type(await account.ad_sets.update("id", AdSetUpdate(bid_micro_amount=micros("12.50"))), AdSet)
    new = CampaignCreate(name="Autumn", objective=CampaignObjective.REACH)
    assert_type(await account.campaigns.create(new, idempotency_key="one"), Campaign)
    assert_type(GET_AD_SET_BY_ID, Operation[AdSet])
    assert_type(await ads.call(GET_AD_SET_BY_ID, path={"ad_account_id": "a", "ad_set_id": "b"}), AdSet)


def unset(update: AdSetUpdate) -> str:
    assert_type(update.name, str | UnsetType)
    return "kept" if update.name is UNSET else update.name


async def failures(account: AdAccount) -> None:
    try:
        await account.ad_sets.get("id")
    except QuotaTimeout as error:
        assert_type(error.predicted_wait, float)
        assert_type(error.limit, str)
    except OutcomeUnknown as error:
        assert_type(error.cause, Exception)
    except SpotifyAdsError as error:
        assert_type(error.may_have_taken_effect, bool)
        assert_type(error.status, int | None)
        assert_type(error.operation, str | None)


async def changes(ads: AdsClient) -> None:
    await bulk.plan_changes(ads, "account", Path("changes.csv"), Path("plan"))
    async with bulk.apply(ads, Path("plan")) as run:
        async for row in run:
            assert_type(row, bulk.PlannedRow)
            assert_type(row.outcome, bulk.RowOutcome)


async def emulated() -> None:
    async with Emulator(ad_sets=10, latency=(0.02, 0.12)) as server:
        assert_type(server.base_url, str)
        assert_type(server.statistics(), Statistics)


async def misuse(account: AdAccount) -> None:
    """Each line is an error to both checkers; an error that goes missing is one too (unused ignores are errors)."""
    await account.ad_sets.get(1)  # type: ignore[arg-type]
    await account.ad_sets.update("id", {"name": "Autumn"})  # type: ignore[arg-type]
    AdSetUpdate(bid_micro_amount="12.50")  # type: ignore[arg-type]
    AdSetUpdate(bid="12.50")  # type: ignore[call-arg]
    account.ad_sets.list(statuses=["ACTIVE"])  # type: ignore[list-item]
    Governor(pace="slow")  # type: ignore[arg-type]
