"""All 36 list operations of the API walk, through the real client, over a real socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.calls import client
from support.raw_server import Connection, RawServer, answer

from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.errors import InvalidAnswer, InvalidRequest, WalkIncomplete
from spotify_ads_async.operation import ListOperation, ListStyle
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.pagination import ListCall

LISTS = [operation for operation in OPERATIONS.values() if isinstance(operation, ListOperation)]
COUNT = 130
ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
TOKEN = "AMC-fux+/=%3D&x"
QUERIES: Mapping[str, Mapping[str, object]] = {
    "getAggregateReport": {"entity_type": "CAMPAIGN", "fields": ["IMPRESSIONS"]},
    "getAggregatedTotals": {
        "entity_type": "CAMPAIGN",
        "entity_ids": [ID],
        "granularity": "LIFETIME",
        "fields": ["IMPRESSIONS"],
    },
    "getAudienceInsightReport": {"insight_dimension": "GENRE", "fields": ["IMPRESSIONS"]},
    "getDiagnosticsByDatasetId": {"granularities": ["DAILY"]},
    "getGeoTargets": {"q": "Oslo"},
    "getPodcastShows": {"market": "NO"},
    "getCampaigns": {"fields": ["NAME"]},
}


def item(operation: ListOperation[Any, Any], number: int) -> object:
    if operation.id == "getExperimentAvailability":
        return f"EXPERIMENT_{number}"
    name = (
        "change_id"
        if operation.id == "getChangeHistory"
        else "member_id"
        if operation.id == "getAdAccountMembers"
        else "id"
    )
    return {name: f"00000000-0000-4000-8000-{number:012}"}


def serve(operation: ListOperation[Any, Any], *, total: int = COUNT, whole: bool = True) -> Any:  # noqa: ANN401  # a Behaviour
    items = [item(operation, number) for number in range(COUNT)]

    async def behave(connection: Connection) -> None:
        assert connection.request is not None
        query = {name: values[-1] for name, values in parse_qs(urlsplit(connection.request.target).query).items()}
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
        body: dict[str, object] = {operation.item_attribute: items}
        match operation.style:
            case ListStyle.OFFSET:
                body = {
                    operation.item_attribute: items[offset : offset + limit],
                    "paging": {"total_results": total, "offset": offset},
                }
            case ListStyle.OFFSET_UNCOUNTED:
                body = {operation.item_attribute: items[offset : offset + limit]}
            case ListStyle.CONTINUATION:
                first = "continuation_token" not in query
                body = {
                    operation.item_attribute: items[:50] if first else items[50:],
                    "continuation_token": TOKEN if first else None,
                }
            case ListStyle.LIMIT | ListStyle.WHOLE if not whole:
                body["paging"] = {"total_results": total}
            case _:
                pass
        await answer(200, body)(connection)

    return behave


async def walked(operation: ListOperation[Any, Any], server: RawServer, **query: object) -> list[Any]:
    async with AdsClient("token", base_url=server.base_url, governor=Governor(())) as ads:
        path = dict.fromkeys((part[1:-1] for part in operation.path.split("/") if part.startswith("{")), ID)
        call = ListCall(ads, operation, path=path, query={**QUERIES.get(operation.id, {}), **query})
        return await call.collect()


def test_there_are_36_lists() -> None:
    assert len(LISTS) == 36


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.id)
async def test_a_list_is_walked_to_its_last_row(operation: ListOperation[Any, Any]) -> None:
    async with RawServer(otherwise=serve(operation)) as server:
        found = await walked(operation, server)
    assert len(found) == COUNT
    ids = [
        getattr(row, "id", None) or getattr(row, "change_id", None) or getattr(row, "member_id", None) for row in found
    ]
    known = [one for one in ids if one is not None]
    assert known in ([], [f"00000000-0000-4000-8000-{number:012}" for number in range(COUNT)])


@pytest.mark.parametrize(
    "operation",
    [one for one in LISTS if one.style not in {ListStyle.CONTINUATION, ListStyle.OFFSET_UNCOUNTED}],
    ids=lambda one: one.id,
)
async def test_rows_that_a_list_counts_and_keeps_are_missed(operation: ListOperation[Any, Any]) -> None:
    async with RawServer(otherwise=serve(operation, total=COUNT + 1, whole=False)) as server:
        with pytest.raises((WalkIncomplete, InvalidAnswer), match=operation.id):
            await walked(operation, server)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the backend is down"}},
        {"items": [{"id": ID}]},
        {"campaigns": None, "data": []},
        {"items": [{"id": ID}], "paging": {"page_size": 50}},
    ],
)
async def test_an_answer_that_says_something_else_is_no_empty_list(body: Mapping[str, object]) -> None:
    operation = OPERATIONS["getCampaigns"]
    assert isinstance(operation, ListOperation)
    async with RawServer(otherwise=answer(200, body)) as server:
        with pytest.raises(InvalidAnswer, match=r"it holds no campaigns, and in their place '(error|items|data)'"):
            await walked(operation, server)
        server.otherwise = answer(200, {})
        with pytest.raises(InvalidAnswer, match="holds no campaigns, and nothing else"):
            await walked(operation, server)
        for status, said in ((202, "not ready"), (206, "a part"), (207, "nothing itself")):
            server.otherwise = answer(status, {"campaigns": [], "paging": {"total_results": 0}})
            with pytest.raises(InvalidAnswer, match=said):
                await walked(operation, server)
        server.otherwise = answer(200, {"paging": {"total_results": 3}})
        with pytest.raises(InvalidAnswer, match="holds no campaigns, though it counts 3"):
            await walked(operation, server)
        async with client(server.base_url) as ads:
            with pytest.raises(InvalidAnswer, match="holds no campaigns, though it counts 3"):
                await ads.ad_account(ID).campaigns.list()
            assert (await ads.ad_account(ID).campaigns.list(offset=3)).total == 3
        # Servers may leave out what is empty and what is 0.
        for paging in ({"total_results": 0}, {"page_size": 50}):
            server.otherwise = answer(200, {"paging": paging})
            assert await walked(operation, server) == []


async def test_rows_of_others_are_no_answer() -> None:
    """As they come where a proxy on the way answers from its memory, or a server overlooks a parameter."""
    other = ID.replace("c", "d")
    async with RawServer() as server, client(server.base_url) as ads:
        account = ads.ad_account(ID)
        for call, kind, row in (
            (account.campaigns.list(campaign_ids=[ID]), "campaigns", {"id": other}),
            (account.ad_sets.list(campaign_ids=[ID]), "ad_sets", {"campaign_id": other}),
            (account.ads.list(ad_set_ids=[ID]), "ads", {"ad_set_id": other}),
            (account.assets.list(asset_ids=[ID]), "assets", {"id": other, "asset_type": "IMAGE"}),
            (account.drafts.campaigns.list(), "campaign_drafts", {"ad_account_id": other}),
        ):
            ours = {name: ID.upper() if value == other else value for name, value in row.items()}
            server.otherwise = answer(200, {kind: [ours], "paging": {"total_results": 1}})
            assert len((await call).items) == len(await call.collect()) == 1
            server.otherwise = answer(200, {kind: [ours, row], "paging": {"total_results": 2}})
            for asked in (call.collect(), call):
                with pytest.raises(InvalidAnswer, match=f"id is {other}, which is not what was asked for"):
                    await asked


async def test_a_filter_without_values_is_refused() -> None:
    """To the API it would be none, and everything would be listed."""
    async with RawServer() as server, client(server.base_url) as ads:
        for nothing in ([], ()):
            call = ads.ad_account(ID).ad_sets.list(campaign_ids=nothing)
            for asked in (call.collect(), call):
                with pytest.raises(InvalidRequest, match=r"campaign_ids=\[\] would be no filter, and list everything"):
                    await asked
        assert server.received == []


async def test_a_token_leaves_alone_and_encoded_once() -> None:
    operation = OPERATIONS["getAggregateReport"]
    assert isinstance(operation, ListOperation)
    async with RawServer(otherwise=serve(operation)) as server:
        await walked(operation, server)
    first, second = (urlsplit(request.target) for request in server.received)
    assert parse_qs(first.query) == {"entity_type": ["CAMPAIGN"], "fields": ["IMPRESSIONS"], "limit": ["50"]}
    assert second.query == "continuation_token=AMC-fux%2B%2F%3D%253D%26x"
    assert json.dumps(parse_qs(second.query)) == json.dumps({"continuation_token": [TOKEN]})
