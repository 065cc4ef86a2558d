"""The SDK's own types read what the emulator answers: both were made from the document, neither from the other."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec
from support.emulated import Json

from spotify_ads_async import AdsClient
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.operations import OPERATIONS

READS = [name for name, operation in OPERATIONS.items() if operation.method == "GET"]
VARIABLES = re.compile(r"\{(\w+)\}")


def first(rows: Json) -> str:
    return next(iter(rows))


async def ids(server: Emulator, ads: AdsClient) -> dict[str, str]:
    """Something of every kind, by the name that it has in paths."""
    account, business = server.store.account(server.ad_account_id), server.store.business(server.business_id)
    found = {
        "ad_account_id": account.id,
        "business_id": business.id,
        "campaign_id": first(account.campaigns.rows),
        "ad_set_id": first(account.ad_sets.rows),
        "ad_id": first(account.ads.rows),
        "asset_id": first(account.assets.rows),
        "pixel_id": first(business.pixels.rows),
        "dataset_id": first(business.datasets.rows),
        "member_id": server.store.user.member_id,
    }

    async def make(operation: str, body: Json = None, **path: str) -> Json:
        known = {name: found[name] for name in VARIABLES.findall(OPERATIONS[operation].path)}
        kind = OPERATIONS[operation].body
        return await ads.call(
            OPERATIONS[operation], path=known | path, body=None if kind is None else msgspec.convert(body, kind)
        )

    draft = await make("createDraftFromAd")
    found["draft_ad_id"], found["draft_ad_set_id"] = draft.id, draft.ad_set_id
    found["draft_campaign_id"] = first(account.campaign_drafts.rows)
    audience = {"audience_type": "CUSTOM", "subtype": "LIVERAMP", "name": "Listeners"}
    found["audience_id"] = (await make("createAudience", audience)).id
    found["capi_connection_id"] = (await make("createCapiIntegration", {"name": "Server"})).capi_connection_id
    await make("createCapiAuthToken")
    found["mobile_app_id"] = (await make("createMobileAppInBusiness", {"mobile_app": {"name": "Our app"}})).id
    invitation = {"email_address": "a@example.com", "business_role": "BUSINESS_MEMBER"}
    await make("createBusinessInvitation", invitation)
    report = {"name": "Report", "granularity": "LIFETIME", "dimensions": ["CAMPAIGN_NAME"], "metrics": ["SPEND"]}
    found["report_id"] = (await make("createAsyncReport", report)).id
    return found


def queries(server: Emulator, known: dict[str, str]) -> dict[str, Json]:
    now = server.clock.now().replace(hour=0, minute=0, second=0)
    return {
        "getAggregateReport": {
            "entity_type": "AD_SET",
            "fields": ["IMPRESSIONS", "CTR"],
            "granularity": "DAY",
            "report_start": now - timedelta(days=3),
            "report_end": now,
            "entity_ids": [known["ad_set_id"]],
            "entity_ids_type": "AD_SET",
        },
        "getAggregatedTotals": {
            "entity_type": "CAMPAIGN",
            "entity_ids": [known["campaign_id"]],
            "granularity": "LIFETIME",
            "fields": ["REACH"],
        },
        "getAudienceInsightReport": {"insight_dimension": "AGE", "fields": ["IMPRESSIONS"]},
        "getDiagnosticsByDatasetId": {"granularities": ["DAILY"]},
        "getGeoTargets": {"country_code": "US"},
        "getPodcastShows": {"market": "US"},
    }


async def test_the_sdk_reads_every_answer() -> None:
    async with Emulator(ad_sets=60, ads=60, latency=0.0, limits=None, processing=0.0) as server:
        async with AdsClient("any", base_url=server.base_url) as ads:
            known = await ids(server, ads)
            for name in READS:
                operation = OPERATIONS[name]
                path = {variable: known[variable] for variable in VARIABLES.findall(operation.path)}
                answer = await ads.call(operation, path=path, query=queries(server, known).get(name, {}))
                assert isinstance(answer, operation.answer), name
                if operation.items is not None:
                    assert getattr(answer, operation.items) is not None, name
        assert 500 not in server.statistics().statuses


async def test_the_sdk_reads_answers_with_what_no_document_lists() -> None:
    async with Emulator(ad_sets=60, ads=60, latency=0.0, limits=None, processing=0.0) as server:
        async with AdsClient("any", base_url=server.base_url) as ads:
            known = await ids(server, ads)
            plain = await ads.call(
                OPERATIONS["getAsset"], path={name: known[name] for name in ("ad_account_id", "asset_id")}
            )
            server.add_fault("unknown_fields")
            server.add_fault("unknown_values")
            for name in READS:
                operation = OPERATIONS[name]
                path = {variable: known[variable] for variable in VARIABLES.findall(operation.path)}
                answer = await ads.call(operation, path=path, query=queries(server, known).get(name, {}))
                if name == "getAsset":
                    assert type(answer) is not type(plain)
                    assert answer.asset_type == f"NEW_{plain.asset_type}"
                else:
                    assert isinstance(answer, operation.answer)
        assert 500 not in server.statistics().statuses
