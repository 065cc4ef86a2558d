from __future__ import annotations

from collections.abc import Callable

import pytest
from support.emulated import Api, Json

ESTIMATE = {
    "start_date": "2030-01-01T00:00:00Z",
    "asset_format": "AUDIO",
    "objective": "REACH",
    "bid_strategy": "MAX_BID",
    "bid_micro_amount": 20_000_000,
    "budget": {"micro_amount": 50_000_000, "type": "DAILY", "currency": "USD"},
    "targets": {"geo_targets": {"country_code": "US"}, "placements": ["MUSIC"]},
}


async def estimate(api: Api, **change: Json) -> Json:
    body = {**ESTIMATE, "ad_account_id": api.server.ad_account_id, **change}
    return await api.expect(200, "POST", "/estimates/audience", json=body)


async def test_estimates_answer_to_budget_and_targeting(api: Api) -> None:
    plain = await estimate(api)
    assert [one["forecast_type"] for one in plain["audience_forecast"]] == ["DAILY", "WEEKLY", "MONTHLY"]

    def daily(answer: Json, name: str) -> int:
        return answer["audience_forecast"][0][f"estimated_{name}_max"]

    richer = await estimate(api, budget={"micro_amount": 100_000_000, "type": "DAILY", "currency": "USD"})
    assert daily(richer, "impressions") == pytest.approx(2 * daily(plain, "impressions"), rel=0.01)
    narrow_targets = ESTIMATE["targets"] | {"genders": ["MALE"], "age_ranges": [{"min": 18, "max": 24}]}
    narrow = await estimate(api, targets=narrow_targets)
    assert narrow["audience_forecast"][0]["raw_unique_users"] < plain["audience_forecast"][0]["raw_unique_users"] / 3
    assert narrow["bid_suggestion"]["bid_estimate_min"] > plain["bid_suggestion"]["bid_estimate_min"]
    assert plain["likely_to_deliver_budget"]
    endless = await estimate(api, budget={"micro_amount": 10**13, "type": "DAILY", "currency": "USD"})
    assert not endless["likely_to_deliver_budget"]
    lifetime = await estimate(
        api,
        end_date="2030-01-11T00:00:00Z",
        budget={"micro_amount": 500_000_000, "type": "LIFETIME", "currency": "USD"},
    )
    assert [one["forecast_type"] for one in lifetime["audience_forecast"]] == ["LIFETIME"]


async def test_reserved_products_have_one_objective_and_no_bid_strategy(api: Api) -> None:
    await estimate(api, ad_product="CONTENT", objective="UNSET", bid_strategy="UNSET")
    reserved = {**ESTIMATE, "ad_account_id": api.server.ad_account_id, "ad_product": "FPMNG", "bid_strategy": "UNSET"}
    await api.expect(400, "POST", "/estimates/audience", json=reserved | {"objective": "UNSET"})


@pytest.mark.parametrize(
    "change",
    [
        {"genders": ["MALE"]},
        {"platforms": ["IOS"]},
        {"placements": ["PODCAST"]},
        {"age_ranges": [{"min": 18, "max": 64}]},
        {"geo_targets": {"country_code": "SE"}},
        {"geo_targets": {"country_code": "US", "region_ids": ["5100049"]}},
        {"interest_ids": ["7ebe6459-5fea-4a50-887d-273c06080c78"]},
        {"genre_ids": ["rock"]},
        {"podcast_episode_topic_ids": ["science"]},
        {"language": "en"},
    ],
    ids=str,
)
async def test_every_part_of_the_targeting_narrows_the_audience(api: Api, change: Json) -> None:
    plain = await estimate(api)
    narrower = await estimate(api, targets=ESTIMATE["targets"] | change)
    people = [answer["audience_forecast"][0]["raw_unique_users"] for answer in (narrower, plain)]
    assert 0 < people[0] < people[1]


async def test_a_low_bid_is_refused_with_a_better_one(api: Api) -> None:
    body = {**ESTIMATE, "ad_account_id": api.server.ad_account_id, "bid_micro_amount": 10_000}
    refused = await api.expect(400, "POST", "/estimates/audience", json=body)
    better = refused["bid_suggestion"]["bid_estimate_min"]
    await estimate(api, bid_micro_amount=better)
    names = ("asset_format", "objective", "bid_strategy", "targets")
    bid = await api.expect(
        200, "POST", "/estimates/bid", json={**{name: ESTIMATE[name] for name in names}, "currency": "USD"}
    )
    assert (bid["bid_estimate_min"], bid["currency"]) == (better, "USD")


@pytest.mark.parametrize(
    "change",
    [
        {"budget": {"micro_amount": 1, "type": "LIFETIME", "currency": "USD"}},
        {"budget": {"micro_amount": 1, "type": "DAILY", "currency": "EUR"}},
        {"end_date": "2029-01-01T00:00:00Z"},
        {"ad_account_id": "00000000-0000-4000-8000-000000000000"},
    ],
)
async def test_estimates_against_the_rules_are_refused(api: Api, change: Json) -> None:
    await api.expect(
        400, "POST", "/estimates/audience", json={**ESTIMATE, "ad_account_id": api.server.ad_account_id, **change}
    )


async def test_reserved_prices_grow_with_the_flight(api: Api) -> None:
    body = {
        "ad_product": "CONTENT",
        "start_date": "2030-01-01T00:00:00Z",
        "end_date": "2030-01-11T00:00:00Z",
        "targets": {},
    }
    ten = await api.expect(200, "POST", f"{api.account}/reserved_prices", json=body)
    twenty = await api.expect(
        200, "POST", f"{api.account}/reserved_prices", json=body | {"end_date": "2030-01-21T00:00:00Z"}
    )
    assert (twenty["cost_micro"], twenty["currency"]) == (2 * ten["cost_micro"], "USD")


@pytest.mark.parametrize(
    ("path", "key", "text", "named"),
    [
        ("/targets/artists", "artists", "bucket", lambda row: row["name"] == "Token Bucket"),
        ("/targets/genres", "genres", "ROCK", lambda row: "rock" in row["id"]),
        ("/targets/languages", "languages", "swed", lambda row: row["id"] == "sv"),
        ("/targets/playlists", "playlists", "cook", lambda row: row["id"] == "cooking"),
        ("/targets/episode_topics", "episode_topics", "food", lambda row: row["id"] == "food-and-drink"),
        ("/targets/sensitive_topics", "sensitive_topics", "crime", lambda row: row["id"] == "crime-violence"),
        ("/targets/interests", "interests_with_subtargets", "baking", lambda row: row["name"] == "Cooking"),
        ("/ad_categories", "categories", "banks", lambda row: row["parent_category"] == "Finance"),
    ],
)
async def test_lookups_find_by_a_part_of_the_name_and_by_id(
    api: Api, path: str, key: str, text: str, named: Callable[[Json], bool]
) -> None:
    everything = (await api.get(path))[key]
    found = (await api.get(path, q=text))[key]
    assert found
    assert all(named(row) for row in found)
    assert len(everything) > len(found)
    if path != "/ad_categories":
        ids = [everything[0]["id"], everything[-1]["id"]]
        assert [row["id"] for row in (await api.get(path, ids=ids))[key]] == ids
        await api.expect(400, "GET", f"{path}?unknown=1")


async def test_geos_are_walked_without_a_total(api: Api) -> None:
    await api.expect(400, "GET", "/targets/geos")
    everything = (await api.get("/targets/geos", country_code="US", limit=1000))["geos"]
    walked = []
    while page := (await api.get("/targets/geos", country_code="us", limit=4, offset=len(walked)))["geos"]:
        walked += page
    assert walked == everything
    cities = (await api.get("/targets/geos", types=["city"], q="new york"))["geos"]
    assert [(row["name"], row["type"]) for row in cities] == [("New York", "CITY")]


async def test_shows_belong_to_markets(api: Api) -> None:
    everywhere = (await api.get("/podcast_shows", market="US"))["shows"]
    japan = (await api.get("/podcast_shows", market="JP"))["shows"]
    assert 0 < len(japan) < len(everywhere)
    assert (await api.get("/podcast_shows", market="JP", q=japan[0]["name"][:4].lower()))["shows"][0] == japan[0]
    await api.expect(400, "GET", "/podcast_shows")


async def test_experiments_need_something_to_compare(api: Api) -> None:
    found = await api.get(f"{api.account}/experiment_availability")
    assert (found["can_create_ab_test"], found["can_create_cls"], found["active_experiments"]) == (True, False, [])


async def test_a_place_is_found_by_name_and_country(api: Api) -> None:
    found = await api.expect(200, "GET", "/targets/geos", params={"q": "Oslo", "country_code": "NO"})
    assert {(geo["name"], geo["type"], geo["country_code"]) for geo in found["geos"]} == {
        ("Oslo", "REGION", "NO"),
        ("Oslo", "CITY", "NO"),
    }
