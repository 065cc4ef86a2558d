"""Structs and enums: tolerant of what is answered, exact about what is sent."""

from __future__ import annotations

import inspect
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import models
from spotify_ads_async.core import wire
from spotify_ads_async.models import (
    Ad,
    AdSet,
    AdSetCreate,
    AdSetStatus,
    AdSetUpdate,
    AdUpdate,
    AgeRange,
    AssetPage,
    AsyncReport,
    AudienceUpload,
    BidStrategy,
    Budget,
    BudgetType,
    CampaignUpdate,
    CapiAuthTokenList,
    CustomAudienceCreate,
    FrequencyCap,
    Gender,
    GeoTargets,
    ImageAsset,
    LookalikeAudienceCreate,
    ReportField,
    StoredBudget,
    StoredTargets,
    Targets,
    UnknownAsset,
    VideoAsset,
)
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import UNSET, Answer, OpenEnum, Request, as_request, decode_hook

STRUCTS = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
ANSWERS = [one for one in STRUCTS if issubclass(one, Answer)]
REQUESTS = [one for one in STRUCTS if issubclass(one, Request)]
ENUMS = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, OpenEnum)]

AD_SET = {
    "id": "d936ecbb-3a93-4cfa-b756-c61811c6cdc3",
    "name": "Autumn",
    "start_time": "2026-09-23T04:56:07Z",
    "status": "ACTIVE",
    "budget": {"micro_amount": 500000000, "type": "DAILY", "currency": "USD"},
    "frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}],
    "targets": {
        "age_ranges": [{"min": 18, "max": 65}],
        "geo_targets": {"country_code": "US", "city_ids": [], "dma_ids": ["503"]},
        "genders": ["MALE"],
        "sensitive_topic_exclusion_ids": ["alcohol"],
        "exclude_placements": [],
    },
}


def decode(value: object, kind: type[Any]) -> Any:  # noqa: ANN401 -- of the kind
    return msgspec.json.decode(msgspec.json.encode(value), type=kind, dec_hook=decode_hook)


def test_an_answer_may_lack_everything_or_hold_null_or_more() -> None:
    for kind in ANSWERS:
        nothing = decode({}, kind)
        fields = kind.__struct_fields__
        more = {name: None for name in fields if name != "data"} | {"brand_new": {"a": [1]}}
        assert decode(more, kind) == nothing, kind
        assert all(getattr(nothing, name) is None for name in fields if name != "data"), kind


def test_structs_are_frozen_and_take_keywords_only() -> None:
    for kind in [*ANSWERS, *REQUESTS]:
        assert kind.__struct_config__.frozen, kind
        assert kind.__struct_config__.omit_defaults, kind
        if kind.__struct_fields__:
            with pytest.raises(TypeError):
                kind(None)  # type: ignore[call-arg]


def test_what_a_request_leaves_out_is_not_sent() -> None:
    for kind in REQUESTS:
        optional = [field for field in msgspec.structs.fields(kind) if not field.required]
        assert all(field.default is UNSET for field in optional), kind


@given(value=st.text(min_size=1, max_size=20))
def test_an_enum_holds_values_that_nobody_knows(value: str) -> None:
    for kind in ENUMS:
        found = decode(value, kind)
        assert isinstance(found, kind)
        assert found == value
        assert str(found) == value
        assert msgspec.json.encode(found) == msgspec.json.encode(value)
        assert found.known == (value in set(kind))


def test_an_enum_marks_what_is_not_sent_back() -> None:
    for kind in ENUMS:
        sent_after_all = {"UNSET"} if kind is models.CampaignObjective else set[str]()
        assert kind.answer_only == set(kind) & {"UNSET", "UNKNOWN", "UNRECOGNIZED"} - sent_after_all, kind


def test_only_what_answers_of_old_carried_is_added() -> None:
    ad_set = decode(AD_SET, AdSet)
    assert msgspec.to_builtins(ad_set) == AD_SET
    assert ad_set.start_time == datetime(2026, 9, 23, 4, 56, 7, tzinfo=UTC)
    assert ad_set.status is AdSetStatus.ACTIVE


def test_what_was_read_can_be_sent_in_parts() -> None:
    ad_set: AdSet = decode(AD_SET, AdSet)
    assert ad_set.budget is not None
    assert ad_set.budget.as_request() == Budget(micro_amount=500_000_000, type=BudgetType.DAILY)
    assert isinstance(ad_set.targets, StoredTargets)
    assert ad_set.targets.as_request() == Targets(
        age_ranges=[AgeRange(min=18, max=65)],
        geo_targets=GeoTargets(country_code="US", city_ids=[]),
        genders=[Gender.MALE],
    )


def test_what_was_read_can_be_sent_whole() -> None:
    update = as_request(decode(AD_SET, AdSet), AdSetUpdate)
    assert update.name == "Autumn"
    assert update.delivery is UNSET
    assert isinstance(update.frequency_caps, list)
    assert isinstance(update.frequency_caps[0], FrequencyCap)
    with pytest.raises(TypeError, match="required argument"):
        as_request(decode(AD_SET, AdSet), AdSetCreate)


def test_a_subclass_of_what_is_answered_is_sent_as_the_same_request() -> None:
    class Noted(StoredBudget, frozen=True):
        note: str = ""

    assert Noted(micro_amount=5, type=BudgetType.DAILY).as_request() == Budget(micro_amount=5, type=BudgetType.DAILY)


def test_absent_null_and_empty_differ() -> None:
    assert msgspec.json.encode(AdUpdate()) == b"{}"
    assert msgspec.json.encode(AdUpdate(end_time=None)) == b'{"end_time":null}'
    assert msgspec.json.encode(AdSetUpdate(frequency_caps=[])) == b'{"frequency_caps":[]}'
    assert msgspec.json.encode(AdSetUpdate(targets=Targets(platforms=[]))) == b'{"targets":{"platforms":[]}}'


def test_null_is_only_for_the_times_of_an_ad() -> None:
    nullable = {
        f"{kind.__name__}.{field.name}"
        for kind in REQUESTS
        for field in msgspec.structs.fields(kind)
        if type(None) in getattr(field.type, "__args__", ())
    }
    assert nullable == {f"{kind}.{time}" for kind in ("AdCreate", "AdUpdate") for time in ("start_time", "end_time")}


def test_updates_of_campaigns_and_ads_need_something() -> None:
    assert {kind.__name__ for kind in REQUESTS if kind.at_least} == {"CampaignUpdate", "AdUpdate"}
    assert CampaignUpdate.at_least == 1


def test_a_request_refuses_what_it_does_not_have() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        decode({"colour": "red"}, AdSetUpdate)


def test_audiences_say_their_kind() -> None:
    custom = msgspec.to_builtins(CustomAudienceCreate(name="Fans"))
    assert custom == {"audience_type": "CUSTOM", "name": "Fans"}
    assert isinstance(
        decode({"audience_type": "LOOKALIKE", "name": "More", "seed_audience_id": "x"}, models.AudienceCreate),
        LookalikeAudienceCreate,
    )  # type: ignore[arg-type]


def test_assets_are_told_apart_by_their_type() -> None:
    page: AssetPage = decode(
        {"assets": [{"asset_type": "IMAGE", "width": 5}, {"asset_type": "VIDEO", "has_audio": True}]}, AssetPage
    )
    assert page.assets is not None
    image, video = page.assets
    assert isinstance(image, ImageAsset)
    assert image.width == 5
    assert isinstance(video, VideoAsset)
    assert video.has_audio


@pytest.mark.parametrize(
    "given_asset",
    [
        {"asset_type": "HOLOGRAM", "id": "1", "depth": 3},
        {"asset_type": None, "id": "1"},
        {"asset_type": 5, "id": "1"},
        {"id": "1"},
        {},
        {"asset_type": "HOLOGRAM", "id": {"not": "a string"}},
        {"asset_type": "HOLOGRAM", "data": "its own"},
    ],
)
def test_an_asset_of_an_unknown_type_keeps_everything(given_asset: dict[str, Any]) -> None:
    asset = wire.answer(OPERATIONS["getAsset"], status=200, content_type=str, body=msgspec.json.encode(given_asset))
    assert isinstance(asset, UnknownAsset)
    assert asset.data == given_asset


def test_an_asset_of_an_unknown_type_has_what_every_asset_has() -> None:
    asset = decode({"asset_type": "HOLOGRAM", "id": "1", "status": "READY"}, models.Asset)
    assert (asset.id, asset.status, asset.asset_type) == ("1", models.AssetStatus.READY, "HOLOGRAM")


@pytest.mark.parametrize("given_asset", [[], "asset", 3, {"asset_type": "IMAGE", "width": "wide"}])
def test_an_asset_that_is_none_is_refused(given_asset: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode([given_asset], list[models.Asset])


@pytest.mark.parametrize(
    ("kind", "given_answer", "secret"),
    [
        (CapiAuthTokenList, {"data": [{"capi_auth_token": "hush"}]}, lambda answer: answer.data[0].capi_auth_token),
        (AudienceUpload, {"upload_url": "https://storage/?hush"}, lambda answer: answer.upload_url),
        (AsyncReport, {"report_url": "https://storage/?hush"}, lambda answer: answer.report_url),
    ],
)
def test_tokens_and_signed_urls_show_themselves_only_when_asked(
    kind: type[Answer],
    given_answer: object,
    secret: Any,  # noqa: ANN401
) -> None:
    answer = decode(given_answer, kind)
    assert "hush" not in f"{answer} {answer!r}"
    assert "hush" in secret(answer).reveal()
    with pytest.raises(TypeError):
        pickle.dumps(answer)


def test_money_of_reports_is_exact() -> None:
    assert msgspec.json.decode(
        b'{"field_type":"SPEND","field_value":12345678901.23}', type=ReportField
    ).field_value == Decimal("12345678901.23")


def test_the_server_sets_what_only_it_may_set() -> None:
    assert "currency" not in Budget.__struct_fields__
    assert not {"id", "ad_set_count", "shared_ad_accounts"} & set(models.MobileAppDetails.__struct_fields__)
    assert "is_paused" not in AdSetUpdate.__struct_fields__
    assert BidStrategy.answer_only == {"UNSET"}
    assert "ad_set_id" in Ad.__struct_fields__


def test_times_of_a_request_lose_their_fraction_of_a_second() -> None:
    moment = datetime(2031, 1, 31, 18, 30, 5, 999_999, tzinfo=UTC)
    update = AdSetUpdate(start_time=moment, name="Autumn")
    assert update.start_time == moment.replace(microsecond=0)
    assert msgspec.json.decode(msgspec.json.encode(update)) == {"start_time": "2031-01-31T18:30:05Z", "name": "Autumn"}


def test_every_field_of_a_request_has_its_unit_and_its_rules() -> None:
    for name in models.__all__:
        kind = getattr(models, name)
        if isinstance(kind, type) and issubclass(kind, Request):
            for field in kind.__struct_fields__:
                assert f"\n    {field}: " in (inspect.getdoc(kind) or ""), f"{name}.{field}"
    assert "text of 2 to 200 characters" in (AdSetUpdate.__doc__ or "")
    assert "millionths of the account's currency unit" in (AdSetUpdate.__doc__ or "")
