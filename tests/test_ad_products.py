"""The catalogue of ad products: what of it programs can read, and what that holds a request to."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import AdsClient, RequestRejected, RetryPolicy
from spotify_ads_async.ad_products import AdProducts
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import CampaignCreate
from spotify_ads_async.operations import CREATE_AD_SET
from spotify_ads_async.validation.ad_products import Action, AdProductCatalog, AdProductRules, product_of

Json: TypeAlias = Any
SECTIONS = {
    "create": {
        "allowed_values": {"objective": ["REACH", "CLICKS"], "targets.platforms": ["IOS", "ANDROID"]},
        "required_fields": [
            "name",
            "assets.asset_id: the main one; must not be archived",
            "end_time: required when budget.type is LIFETIME",
        ],
        "forbidden_fields": ["targets.playlist_ids", "bid_strategy: only without a price"],
        "cross_field_rules": ["When X: Y"],
    },
    "update": {
        "allowed_values": {"status": ["ACTIVE", "PAUSED"]},
        "restrictions": ["objective: cannot change after creation"],
    },
    "both": {"frequency_caps": {"max_impressions": {"DAY": 5}}, "constraints": ["It lasts 365 days at most"]},
}


def rules(action: Action = "create", **sections: Json) -> AdProductRules:
    raw = {"ad_products": {"AUCTION": {"ad_set": sections or SECTIONS}}}
    return AdProductCatalog(raw).rules("AUCTION", "ad_set", action)


GOOD: dict[str, Any] = {
    "name": "Autumn",
    "objective": "REACH",
    "assets": {"asset_id": "a"},
    "targets": {"platforms": ["IOS"]},
}


def broken(body: dict[str, Any], present: dict[str, Any] | None = None, action: Action = "create") -> list[str]:
    return [one.field for one in rules(action).violations(body, present)]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, []),
        ({"objective": "VIDEO_VIEWS"}, ["objective"]),
        ({"targets": {"platforms": ["IOS", "DESKTOP"]}}, ["targets.platforms"]),
        ({"targets": {"platforms": ["IOS"], "playlist_ids": ["p"]}}, ["targets.playlist_ids"]),
        ({"targets": {"platforms": ["IOS"], "playlist_ids": []}}, []),
        ({"name": None, "assets": {}}, ["name", "assets.asset_id"]),
        (
            {"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 6}]},
            ["frequency_caps.max_impressions"],
        ),
        ({"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 5}]}, []),
        ({"frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 7, "max_impressions": 30}]}, []),
        ({"frequency_caps": [{"frequency_unit": "WEEK", "max_impressions": 99}]}, []),
        # Rules that hold sometimes are for people.
        ({"bid_strategy": "MAX_BID", "budget": {"type": "LIFETIME"}}, []),
    ],
)
def test_a_new_entity_is_held_to_what_programs_can_read(change: dict[str, Any], fields: list[str]) -> None:
    assert broken(GOOD | change) == fields


def test_an_update_answers_for_what_it_changes_alone() -> None:
    assert broken({"status": "ARCHIVED"}, {"status": "ACTIVE"}, "update") == ["status"]
    assert broken({"status": "ARCHIVED"}, {"status": "ARCHIVED"}, "update") == []
    both = AdProductCatalog({"ad_products": {"AUCTION": {"ad_set": {"both": SECTIONS["create"]}}}}).rules(
        "AUCTION", "ad_set", "update"
    )
    present = {
        "targets": {"platforms": ["SMART_FRIDGE"], "playlist_ids": ["p"]},
        "name": "Autumn",
        "frequency_caps": [],
    }
    assert both.violations({"targets": {"platforms": ["SMART_FRIDGE", "IOS"], "playlist_ids": ["p"]}}, present) == []
    assert [one.value for one in both.violations({"targets": {"platforms": ["SMART_FRIDGE", "TV"]}}, present)] == ["TV"]
    assert [one.field for one in both.violations({"name": None}, present)] == ["name"]
    assert both.violations({"end_time": None}, present) == []


def test_what_only_people_can_read_is_kept_in_words() -> None:
    assert rules("create").sentences == (
        "required: end_time: required when budget.type is LIFETIME",
        "not allowed: bid_strategy: only without a price",
        "When X: Y",
        "It lasts 365 days at most",
    )
    assert rules("update").sentences == ("objective: cannot change after creation", "It lasts 365 days at most")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"allowed_values": [{"field": "name"}]}, 'allowed values: {"field":"name"}'),
        ({"allowed_values": {"name": []}}, "name: []"),
        ({"frequency_caps": {"max_impressions": {"DAY": "5"}}}, 'frequency caps: {"max_impressions":{"DAY":"5"}}'),
        ({"new_rules": ["Be kind"]}, "new_rules: Be kind"),
        (["Be kind"], "Be kind"),
    ],
)
def test_a_rule_of_no_known_form_is_kept_in_words(section: Json, words: str) -> None:
    found = rules("create", create=section, both={})
    assert (found.sentences, found.checkable) == ((words,), False)


def test_a_rule_tells_what_the_catalogue_says_of_it() -> None:
    (violation,) = rules().violations(GOOD | {"assets": {}})
    assert str(violation) == "assets.asset_id: is required for AUCTION (the main one; must not be archived)"
    (violation,) = rules().violations(GOOD | {"objective": "VIDEO_VIEWS"})
    assert str(violation) == "objective: VIDEO_VIEWS is not among the values of AUCTION: REACH, CLICKS"


@pytest.mark.parametrize(
    ("named", "product"),
    [
        ({"id": "CONTENT"}, "AUCTION"),
        (["CONTENT"], "AUCTION"),
        (None, "AUCTION"),
        ("UNSET", "AUCTION"),
        ("UNKNOWN", "AUCTION"),
        ("CONTENT", "CONTENT"),
    ],
)
def test_a_campaign_that_names_no_product_is_an_auction(named: Json, product: str) -> None:
    assert product_of({"ad_product": named}) == product
    assert product_of({}) == "AUCTION"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "a.b", "DAY", "x: y", "max_impressions"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SECTION = st.dictionaries(
    st.sampled_from(
        [
            "allowed_values",
            "required_fields",
            "forbidden_fields",
            "frequency_caps",
            "constraints",
            "restrictions",
            "new_rules",
        ]
    ),
    JSON,
)


@given(
    section=SECTION | JSON,
    body=st.dictionaries(st.sampled_from(["a", "frequency_caps", "targets"]), JSON),
    action=st.sampled_from(["create", "update"]),
)
def test_no_form_of_a_catalogue_raises(section: Json, body: dict[str, Json], action: Action) -> None:
    for raw in (section, {"ad_products": section}, {"ad_products": {"AUCTION": section}}):
        AdProductCatalog(raw).rules("AUCTION", "ad_set", action)
    found = rules(action, **{action: section, "both": section})
    assert all(isinstance(one, str) for one in found.sentences)
    found.violations(body)
    found.violations(body, body)


RESERVED = {"geo_targets": {"country_code": "US"}, "placements": ["MUSIC"]}


async def test_the_client_reads_it_and_the_emulator_holds_requests_to_it() -> None:
    async with (
        Emulator(ad_sets=20, campaigns=2, latency=0.0, limits=None) as server,
        AdsClient("token", base_url=server.base_url) as ads,
    ):
        catalog = await ads.ad_product_catalog()
        assert catalog.products == ("AUCTION", "CONTENT", "FPMNG")
        account = ads.ad_account(server.ad_account_id)
        podcasts = await account.campaigns.create(
            CampaignCreate(name="Podcasts", objective="REACH", ad_product="CONTENT")
        )
        products = await AdProducts.read(ads)
        assert await AdProducts.learn_one(ads, account.id, campaign_id=podcasts.id) == "CONTENT"
        body = {
            "name": "Evening",
            "campaign_id": podcasts.id,
            "start_time": "2090-01-01T00:00:00Z",
            "end_time": "2090-02-01T00:00:00Z",
            "budget": {"micro_amount": 100_000_000, "type": "DAILY"},
            "asset_format": "AUDIO",
            "bid_strategy": "MAX_BID",
            "bid_micro_amount": 12_000_000,
            "targets": RESERVED,
        }
        assert [one.field for one in products.violations("CONTENT", "ad_set", "create", body)] == ["targets.placements"]
        with pytest.raises(RequestRejected, match="MUSIC is not among the values of CONTENT: PODCAST"):
            await ads.call(CREATE_AD_SET, path={"ad_account_id": account.id}, body=body)
        made = await ads.call(
            CREATE_AD_SET,
            path={"ad_account_id": account.id},
            body={**body, "targets": {**RESERVED, "placements": ["PODCAST"]}},
        )
        other = (await account.ad_sets.list(limit=50)).items[-1]
        rows = {
            "campaign": [{"id": podcasts.id, "ad_product": "CONTENT"}, {"id": other.campaign_id}],
            "ad_set": [{"campaign_id": podcasts.id}, {"campaign_id": other.campaign_id}],
            "ad": [{"ad_set_id": made.id}, {"ad_set_id": other.id}],
        }
        for kind, (reserved, auctioned) in rows.items():
            learnt = await AdProducts.read(ads)
            server.reset_statistics()
            for _ in range(2):
                await learnt.learn(ads, account.id, kind, [reserved, auctioned])
            assert server.statistics().requests <= {"campaign": 0, "ad_set": 1, "ad": 6}[kind]
            assert (learnt.product(kind, reserved), learnt.product(kind, auctioned)) == ("CONTENT", "AUCTION")
        assert products.matters("ad_set", "update")
        assert not products.matters("ad", "update")
        assert products.sentences("ad", "update") == ["AUCTION: An archived ad stays as it is"]


async def test_a_catalogue_that_cannot_be_read_asks_for_nothing_and_says_so() -> None:
    async with Emulator(ad_sets=0, latency=0.0, limits=None) as server:
        policy = RetryPolicy(first_delay=0.0, longest_delay=0.0)
        async with AdsClient("token", base_url=server.base_url, policy=policy) as ads:
            for fault in ({"kind": "error", "status": 404}, {"kind": "garbage"}):
                server.add_fault(operation="getAdProductCatalog", **fault)
                products = await AdProducts.read(ads)
                assert "its rules were not checked" in products.problem
                assert products.violations("AUCTION", "campaign", "update", {"status": "x"}) == []
                server.clear_faults()


@pytest.mark.parametrize("answer", [[], None, {"products": {}}, {"ad_products": ["AUCTION"]}])
async def test_a_catalogue_of_no_known_form_asks_for_nothing_and_says_so(answer: Json) -> None:
    async def catalog(_: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/ads/v3/ad_product_catalog", catalog)
    async with TestServer(app) as server, AdsClient("token", base_url=str(server.make_url("/ads/v3"))) as ads:
        products = await AdProducts.read(ads)
    assert "its rules were not checked: it names no ad product" in products.problem
