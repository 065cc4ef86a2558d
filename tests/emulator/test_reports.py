from __future__ import annotations

import csv
import io
from datetime import timedelta

import aiohttp
import pytest
from support.emulated import Api, Apis, Json

ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
NAMED = {"entity_type": "CAMPAIGN", "entity_ids": ID, "entity_ids_type": "CAMPAIGN", "fields": "CLICKS"}
DAYS = {"granularity": "DAY", "report_start": "2026-01-01T00:00:00Z", "report_end": "2026-01-02T00:00:00Z"}
COUNTED = ["IMPRESSIONS", "CLICKS", "COMPLETES", "STREAMS", "SPEND"]


def day(api: Api, ago: int, hour: int = 0) -> str:
    return f"{api.server.clock.now() - timedelta(days=ago):%Y-%m-%d}T{hour:02}:00:00Z"


async def rows(api: Api, **query: Json) -> list[Json]:
    path = f"{api.account}/aggregate_reports"
    answer = await api.get(path, fields=COUNTED, **query)
    found = answer["rows"]
    while answer["continuation_token"]:
        answer = await api.get(path, continuation_token=answer["continuation_token"])
        assert answer["warnings"] == []
        found += answer["rows"]
    return found


def added(found: list[Json]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for row in found:
        for stat in row["stats"]:
            totals[stat["field_type"]] = round(totals.get(stat["field_type"], 0) + stat["field_value"], 2)
    return totals


async def every(api: Api, kind: str) -> dict[str, Json]:
    """The parameters that name all entities of a kind, which may be 50 at most."""
    found = (await api.get(f"{api.account}/{kind.lower()}s", limit=50))[f"{kind.lower()}s"]
    return {"entity_type": kind, "entity_ids": [row["id"] for row in found], "entity_ids_type": kind}


async def test_entities_days_and_hours_add_up(api: Api) -> None:
    whole = added(await rows(api, entity_type="AD_ACCOUNT"))
    assert whole["IMPRESSIONS"] > 1000
    for level in ("CAMPAIGN", "AD_SET", "AD"):
        assert added(await rows(api, entity_type=level)) == whole
    span = {"report_start": day(api, 9), "report_end": day(api, 2)}
    by_day = await rows(api, entity_type="AD_ACCOUNT", granularity="DAY", **span)
    assert [row["start_time"] for row in by_day] == [day(api, ago) for ago in range(9, 1, -1)]
    hours = {"report_start": day(api, 9), "report_end": day(api, 2, 23)}
    assert added(await rows(api, entity_type="AD_ACCOUNT", granularity="HOUR", **hours)) == added(by_day)
    assert added(await rows(api, **await every(api, "CAMPAIGN"), granularity="DAY", **span)) == added(by_day)


async def test_a_report_is_read_page_by_page_with_the_token_alone(api: Api) -> None:
    path = f"{api.account}/aggregate_reports"
    span = {"granularity": "DAY", "report_start": day(api, 5), "report_end": day(api, 1)}
    named = await every(api, "CAMPAIGN")
    query = {**named, "fields": ["IMPRESSIONS"], "limit": 4, **span}
    first = await api.get(path, **query)
    second = await api.get(path, continuation_token=first["continuation_token"])
    assert (len(first["rows"]), len(second["rows"])) == (4, 4)
    assert {(row["entity_id"], row["start_time"]) for row in first["rows"]}.isdisjoint(
        (row["entity_id"], row["start_time"]) for row in second["rows"]
    )
    with_more = await api.get(path, continuation_token=first["continuation_token"], **query | {"limit": 50})
    assert with_more["rows"] == second["rows"]
    assert with_more["warnings"]
    for token in ("nonsense", first["continuation_token"][:-8], "ü"):
        await api.expect(400, "GET", path, params={"continuation_token": token})
    assert len(await rows(api, **named, limit=1, **span)) == 15


async def test_entities_are_chosen_by_id_status_and_parent(api: Api) -> None:
    ad = await api.first("ads")
    by_parent = await rows(
        api, entity_type="AD", entity_ids=ad["ad_set_id"], entity_ids_type="AD_SET", include_parent_entity="true"
    )
    assert [row["entity_id"] for row in by_parent] == [ad["id"]]
    assert by_parent[0]["parent_entity"]["id"] == ad["ad_set_id"]
    paused = (await api.get(f"{api.account}/campaigns", statuses="PAUSED"))["campaigns"]
    found = await rows(api, entity_type="CAMPAIGN", statuses="PAUSED", entity_status_type="CAMPAIGN")
    assert {row["entity_id"] for row in found} == {row["id"] for row in paused}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"entity_type": "CAMPAIGN"},
        {"fields": "CLICKS"},
        {"entity_type": "AD_ACCOUNT", "fields": "CLICKS", "statuses": "ACTIVE", "entity_status_type": "CAMPAIGN"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "statuses": "ACTIVE"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "statuses": "ACTIVE", "entity_status_type": "AD_SET"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "statuses": "READY", "entity_status_type": "CAMPAIGN"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "include_parent_entity": "true"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "granularity": "DAY"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", "report_start": "2026-01-01T00:00:00Z"},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", **DAYS},
        {"entity_type": "CAMPAIGN", "fields": "CLICKS", **DAYS, "granularity": "HOUR"},
        NAMED | DAYS | {"report_end": "2026-04-01T00:00:00Z"},
        NAMED | DAYS | {"report_start": "2026-01-01T01:00:00Z"},
        NAMED | DAYS | {"entity_ids_type": "AD_SET"},
        NAMED | {"granularity": "HOUR", "report_start": "2020-01-01T00:00:00Z", "report_end": "2020-01-01T05:00:00Z"},
    ],
)
async def test_reports_against_the_rules_are_refused(api: Api, query: Json) -> None:
    await api.expect(400, "GET", f"{api.account}/aggregate_reports", params=query)


async def test_totals_cover_all_entities_and_reach_does_not_add_up(api: Api) -> None:
    campaigns = [row["entity_id"] for row in await rows(api, entity_type="CAMPAIGN") if row["stats"][0]["field_value"]]
    query = {"entity_type": "CAMPAIGN", "entity_ids": campaigns, "fields": ["IMPRESSIONS", "REACH", "FREQUENCY"]}
    path = f"{api.account}/aggregate_reports/totals"

    async def totals(**change: Json) -> list[dict[str, float]]:
        answer = await api.get(path, **query | {"granularity": "LIFETIME"} | change)
        return [{stat["field_type"]: stat["field_value"] for stat in row["stats"]} for row in answer["rows"]]

    (whole,) = await totals()
    assert whole["IMPRESSIONS"] == added(await rows(api, entity_type="AD_ACCOUNT"))["IMPRESSIONS"]
    assert whole["FREQUENCY"] == pytest.approx(whole["IMPRESSIONS"] / whole["REACH"], abs=1e-5)
    single = [(await totals(entity_ids=identifier))[0] for identifier in campaigns]
    assert sum(one["IMPRESSIONS"] for one in single) == whole["IMPRESSIONS"]
    assert sum(one["REACH"] for one in single) > whole["REACH"]
    span = {"report_start": day(api, 6), "report_end": day(api, 3)}
    days = await totals(granularity="DAY", **span)
    assert (len(days), sum(one["IMPRESSIONS"] for one in days)) == (4, (await totals(**span))[0]["IMPRESSIONS"])
    for change in (
        {"granularity": "HOUR", **span},
        {"entity_type": "AD_ACCOUNT"},
        {"granularity": "DAY"},
    ):
        params = [
            (k, v)
            for k, value in (query | {"granularity": "LIFETIME"} | change).items()
            for v in ([value] if isinstance(value, str) else value)
        ]
        await api.expect(400, "GET", path, params=params)


async def test_insights_divide_a_campaign_and_need_enough_data(api: Api) -> None:
    path = f"{api.account}/insight_reports"
    delivered = max(await rows(api, entity_type="CAMPAIGN"), key=lambda row: row["stats"][0]["field_value"])
    query = {"insight_dimension": "PLATFORM", "fields": ["IMPRESSIONS", "CTR"], "entity_ids_type": "CAMPAIGN"}
    answer = await api.get(path, entity_ids=delivered["entity_id"], **query)
    assert {row["insight_value"] for row in answer["rows"]} == {"ANDROID", "IOS", "WEB"}
    assert added(answer["rows"])["IMPRESSIONS"] == delivered["stats"][0]["field_value"]
    assert answer["summary_totals"][0] == {"stat": "IMPRESSIONS", "value": delivered["stats"][0]["field_value"]}
    fresh = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Fresh", "objective": "REACH"})
    params = [
        ("entity_ids", fresh["id"]),
        ("entity_ids_type", "CAMPAIGN"),
        ("insight_dimension", "AGE"),
        ("fields", "CLICKS"),
    ]
    await api.expect(422, "GET", path, params=params)
    await api.expect(400, "GET", path, params=[*params, ("fields", "SPEND")])
    await api.expect(400, "GET", path, params=params[1:3])


REPORT = {
    "name": "Weekly report",
    "granularity": "LIFETIME",
    "dimensions": ["CAMPAIGN_NAME", "AD_SET_NAME"],
    "metrics": ["IMPRESSIONS_ON_SPOTIFY", "SPEND"],
    "statuses": ["ACTIVE"],
}


async def download(url: str, **headers: str) -> tuple[int, list[dict[str, str]]]:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as answer:
        return answer.status, list(csv.DictReader(io.StringIO(await answer.text())))


async def test_a_csv_report_is_made_behind_a_signed_url_and_expires(apis: Apis) -> None:
    api = await apis.start(processing=30.0)
    made = await api.expect(201, "POST", f"{api.account}/async_reports", json=REPORT)
    path = f"{api.account}/async_reports/{made['id']}"
    waiting = await api.get(path)
    assert (waiting["status"], "report_url" in waiting) == ("PROCESSING", False)
    api.server.clock.skew += 31
    ready = await api.get(path)
    assert (ready["status"], ready["completed_at"] > ready["submitted_at"]) == ("READY", True)
    assert (await download(ready["report_url"], Authorization="Bearer x"))[0] == 400
    status, lines = await download(ready["report_url"])
    assert status == 200
    query = {"entity_type": "AD_SET", "statuses": "ACTIVE", "entity_status_type": "AD_SET"}
    expected = added(await rows(api, **query))
    assert sum(int(line["IMPRESSIONS_ON_SPOTIFY"]) for line in lines) == expected["IMPRESSIONS"]
    assert round(sum(float(line["SPEND"]) for line in lines), 2) == expected["SPEND"]
    api.server.clock.skew += 86_400
    assert (await api.get(path))["status"] == "EXPIRED"


async def test_csv_reports_go_by_day_and_by_insight(apis: Apis) -> None:
    api = await apis.start(processing=0.0)

    async def lines(**change: Json) -> list[dict[str, str]]:
        made = await api.expect(201, "POST", f"{api.account}/async_reports", json=REPORT | change)
        return (await download((await api.get(f"{api.account}/async_reports/{made['id']}"))["report_url"]))[1]

    campaign = await api.first("campaigns", statuses="ACTIVE")
    only = {"dimensions": ["CAMPAIGN_NAME"], "campaign_ids": [campaign["id"]]}
    days = await lines(**only, granularity="DAY", report_start=day(api, 3), report_end=day(api, 1))
    assert [line["START_DATE"] for line in days] == [day(api, ago)[:10] for ago in (3, 2, 1)]
    whole = await lines(**only)
    parts = await lines(**only, insight_dimension="GENDER")
    assert sum(int(line["IMPRESSIONS_ON_SPOTIFY"]) for line in parts) == int(whole[0]["IMPRESSIONS_ON_SPOTIFY"])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "no/slash"},
        {"dimensions": []},
        {"statuses": ["PAUSED"]},
        {"granularity": "DAY"},
        {"granularity": "DAY", "report_start": "2025-01-01T00:00:00Z", "report_end": "2026-01-02T00:00:00Z"},
        {"granularity": "DAY", "report_start": "2025-01-01T00:30:00Z", "report_end": "2025-01-02T00:00:00Z"},
        {"campaign_ids": ["00000000-0000-4000-8000-000000000000"]},
        {"granularity": "HOUR"},
        {"metrics": ["CARD_CLICKS"]},
        {"dimensions": ["CAROUSEL_CARD", "CARD_POSITION"]},
    ],
)
async def test_csv_reports_against_the_rules_are_refused(api: Api, change: Json) -> None:
    await api.expect(400, "POST", f"{api.account}/async_reports", json=REPORT | change)


async def test_conversions_below_five_are_hidden(api: Api) -> None:
    fields = ["LEADS", "PURCHASES", "CUSTOM_EVENT_5"]
    answer = await api.get(f"{api.account}/aggregate_reports", entity_type="AD", fields=fields)
    values = {stat["field_value"] for row in answer["rows"] for stat in row["stats"]}
    assert -5 in values
    assert values.isdisjoint({1, 2, 3, 4})


async def test_what_a_hidden_count_earned_is_hidden(api: Api) -> None:
    span = {"granularity": "DAY", "report_start": day(api, 20), "report_end": day(api, 1)}
    path, ads = f"{api.account}/aggregate_reports", await every(api, "AD")
    answer = await api.get(
        path, **ads | {"entity_ids": ads["entity_ids"][:2]}, **span, fields=["PURCHASES", "REVENUE"], limit=50
    )
    stats = [{stat["field_type"]: stat["field_value"] for stat in row["stats"]} for row in answer["rows"]]
    assert any(one["REVENUE"] == -5 for one in stats)
    assert all((one["REVENUE"] == -5) == (one["PURCHASES"] == -5) for one in stats)
