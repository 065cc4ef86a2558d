"""Several ad accounts at once, and what a 403 is about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from spotify_ads_async import (
    AdsClient,
    AuthenticationError,
    ConfigurationError,
    Denial,
    PermissionDenied,
    RetryPolicy,
    ServerError,
)
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AdAccountCreate, BillToAddress, BusinessCreate

QUICK = RetryPolicy(first_delay=0.0, longest_delay=0.0)


@contextlib.asynccontextmanager
async def two_accounts() -> AsyncIterator[tuple[Emulator, AdsClient, list[str]]]:
    """An emulator with two ad accounts in two businesses, with one campaign in the second."""
    async with (
        Emulator(ad_sets=20, campaigns=2, latency=0.0, limits=None) as server,
        AdsClient("token", base_url=server.base_url, policy=QUICK) as ads,
    ):
        business = await ads.businesses.create(BusinessCreate(name="Second business", type="AGENCY"))
        body = AdAccountCreate(
            name="Second account",
            country_code="US",
            industry="OTHER",
            type="BRAND_ADVERTISER",
            legal_entity_name="Second account Inc.",
            bill_to_address=BillToAddress(name="Second account Inc."),
        )
        account = await ads.business(business.id).ad_accounts.create(body)
        server.store.account(account.id).campaigns.put(
            {**next(iter(server.store.account(server.ad_account_id).campaigns)), "id": account.id}
        )
        yield server, ads, [server.ad_account_id, account.id]


async def test_the_rows_of_several_accounts_come_with_their_account() -> None:
    async with two_accounts() as (_, ads, (first, second)):
        for named in (None, [first, second], [first.upper(), second, first]):
            async with ads.across_accounts(lambda account: account.campaigns.list(), named) as rows:
                found = [(ad_account_id, campaign.name) async for ad_account_id, campaign in rows]
            assert [one for one, _ in found].count(first) == 2
            assert [one for one, _ in found].count(second) == 1
            assert rows.failures == {}


async def test_an_account_that_refuses_is_named_and_the_others_rows_come() -> None:
    async with two_accounts() as (server, ads, (first, second)):
        server.add_fault("denied", ad_accounts=frozenset({second}))
        async with ads.across_accounts(lambda account: account.campaigns.list()) as rows:
            found = [row async for row in rows]
        assert {row.ad_account_id for row in found} == {first}
        assert isinstance(rows.failures[second], PermissionDenied)
        server.clear_faults()
        server.add_fault("error", ad_accounts=frozenset({second}))
        async with ads.across_accounts(lambda account: account.campaigns.list(), [first, second]) as rows:
            assert len([row async for row in rows]) == 2
        assert isinstance(rows.failures[second], ServerError)


async def test_what_every_account_would_meet_is_raised() -> None:
    async with two_accounts() as (server, ads, both):
        server.add_fault("unauthorized")
        for named in (both, None):
            with pytest.raises(AuthenticationError):
                async with ads.across_accounts(lambda account: account.campaigns.list(), named) as rows:
                    await anext(rows)
        with pytest.raises(ConfigurationError, match="at least one"):
            ads.across_accounts(lambda account: account.campaigns.list(), [])
        with pytest.raises(ConfigurationError, match="async with"):
            await anext(ads.across_accounts(lambda account: account.campaigns.list(), both))


async def test_leaving_early_ends_what_is_being_read_and_keeps_the_blocks_own_error() -> None:
    async with two_accounts() as (_, ads, both):
        before = asyncio.all_tasks()

        async def fail_at_the_first_row() -> None:
            async with ads.across_accounts(lambda account: account.ad_sets.list(limit=1), both, at_once=1) as rows:
                async for _row in rows:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_at_the_first_row()
        assert asyncio.all_tasks() - before == set()


async def test_every_business_is_asked_for_its_accounts() -> None:
    async with two_accounts() as (server, ads, (first, second)):
        assert {account.id async for account in ads.ad_accounts()} == {first, second}
        assert {account.id for account in await ads.ad_accounts().collect()} == {first, second}
        page = await ads.ad_accounts()
        assert ({account.id for account in page}, page.total) == ({first, second}, 2)
        with pytest.raises(TypeError, match="async for"):
            iter(ads.ad_accounts())
        server.add_fault("denied", operation="getAdAccountsInBusiness", businesses=frozenset({server.business_id}))
        accounts = ads.ad_accounts()
        assert [account.id async for account in accounts] == [second]
        assert list(accounts.refused) == [server.business_id]
        assert isinstance(accounts.refused[server.business_id], PermissionDenied)
        assert [account.id for account in await accounts.collect()] == [second], "each use asks anew"
        server.add_fault("denied", operation="getAdAccountsInBusiness")
        with pytest.raises(PermissionDenied) as refused:
            await anext(aiter(ads.ad_accounts()))
        businesses = [one.id async for one in ads.businesses.list()]
        assert refused.value.__notes__[-1] == f"every business refuses to list its ad accounts: {', '.join(businesses)}"
        server.clear_faults()
        server.add_fault("error", operation="getAdAccountsInBusiness", status=500)
        with pytest.raises(ServerError):
            await anext(aiter(ads.ad_accounts()))


@pytest.mark.parametrize(
    ("fault", "operation", "denial", "advice"),
    [
        (
            "terms",
            "campaigns",
            Denial.TERMS,
            "terms are not accepted for this app's client ID: accept them at https://",
        ),
        ("terms", "businesses", Denial.TERMS, "takes effect within an hour"),
        (
            "denied",
            "campaigns",
            Denial.AD_ACCOUNT,
            "whichever others answer: let one of its admins give the user a role",
        ),
        ("denied", "ad_accounts", Denial.BUSINESS, "may not use this business"),
        ("denied", "businesses", Denial.EVERYTHING, "may not use the API at all"),
    ],
)
async def test_a_403_says_what_is_denied_and_what_to_do(
    fault: str, operation: str, denial: Denial, advice: str
) -> None:
    async with two_accounts() as (server, ads, (first, _)):
        server.add_fault(fault)
        calls = {
            "ad_accounts": ads.business(server.business_id).ad_accounts.list,
            "businesses": ads.businesses.list,
            "campaigns": ads.ad_account(first).campaigns.list,
        }
        with pytest.raises(PermissionDenied) as refused:
            await calls[operation]()
        assert refused.value.denial is denial
        assert advice in str(refused.value)
