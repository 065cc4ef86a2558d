"""Selections and settings, as people type them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.bulk.entities import AD_SETS, CAMPAIGNS
from spotify_ads_async.bulk.plan.columns import Column, Kind
from spotify_ads_async.bulk.plan.effects import Refusal
from spotify_ads_async.bulk.plan.expressions import (
    BadExpression,
    Setting,
    list_query,
    new_values,
    parse_condition,
    parse_setting,
)

CAMPAIGN = "0000000a-0000-4000-8000-000000000001"
ANSWER: dict[str, Any] = {
    "name": "Autumn sale",
    "status": "ACTIVE",
    "campaign_id": CAMPAIGN,
    "bid_micro_amount": 10_000_000,
    "targets": {"genders": ["MALE", "FEMALE"]},
    "budget": {"micro_amount": 12_345_678, "type": "DAILY", "currency": "USD"},
    "end_time": "2030-01-01T00:00:00Z",
    "frequency_caps": [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3, "newer": 1}],
}


@pytest.mark.parametrize(
    "text",
    [
        "status=ACTIVE",
        "status=APPROVED,ACTIVE",
        "status!=ARCHIVED",
        f"campaign_id={CAMPAIGN}",
        f"campaign_id={CAMPAIGN.upper()}",
        "name~autumn",
        "name=Autumn sale",
        "bid_amount>=10.00",
        "budget.micro_amount<12345679",
        "budget.currency=USD",
        "budget.currency=EUR, USD",
        "end_time>2029-12-31T23:59:59Z",
        "category!=ADV_1_1",
        "name~a",
        'targets.genders=["MALE", "FEMALE"]',
        'frequency_caps=[{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3, "newer": 1}]',
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert parse_condition(AD_SETS, text).holds(ANSWER)


@pytest.mark.parametrize(
    "text",
    [
        "status=APPROVED",
        "status!=ARCHIVED,ACTIVE",
        f"campaign_id!={CAMPAIGN.upper()}",
        "name~winter",
        "bid_amount>10.00",
        "category=ADV_1_1",
        "base_rate_amount<9.00",
        'frequency_caps=[{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 3, "newer": 2}]',
    ],
)
def test_conditions_that_do_not(text: str) -> None:
    assert not parse_condition(AD_SETS, text).holds(ANSWER)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name=Autumn, second flight", ["Autumn, second flight"]),
        ("name=Autumn,Winter", ["Autumn", "Winter"]),
        ("name!=Autumn, second flight", ["Autumn", "Winter", "second flight"]),
    ],
)
def test_a_comma_before_a_space_belongs_to_a_name(text: str, names: list[str]) -> None:
    condition = parse_condition(AD_SETS, text)
    every = ["Autumn", "Autumn, second flight", "Winter", "second flight"]
    assert [name for name in every if condition.holds({"name": name})] == names


@pytest.mark.parametrize("end", ["2030-01-01T00:00:00.000Z", "2030-01-01T01:00:00+01:00"])
def test_times_are_compared_however_they_are_written(end: str) -> None:
    answer = {**ANSWER, "end_time": end}
    for operator, holds in {"=": True, ">=": True, "<=": True, "!=": False, "<": False, ">": False}.items():
        assert parse_condition(AD_SETS, f"end_time{operator}2030-01-01T00:00:00Z").holds(answer) == holds
    assert new_values([parse_setting(AD_SETS, "end_time=+1d")], answer) == {"end_time": "2030-01-02T00:00:00Z"}


def test_what_the_server_answers_of_another_type_has_no_order_and_takes_no_step() -> None:
    answer = {"end_time": "soon", "bid_micro_amount": "1"}
    for text in ("end_time<2030-01-01T00:00:00Z", "bid_amount>0.10"):
        assert not parse_condition(AD_SETS, text).holds(answer)
    for text, reason in {"end_time=+1d": 'is "soon"', "bid_amount=+10%": 'is "1"'}.items():
        found = new_values([parse_setting(AD_SETS, text)], answer)
        column, _, step = text.partition("=")
        assert found == Refusal(column=column, reason=f"{reason}, which cannot become {step}")
    found = new_values([parse_setting(AD_SETS, "bid_amount=-50")], {"bid_micro_amount": 20_000_000}, "USD")
    assert isinstance(found, Refusal)
    assert found.reason == "is 20.00 USD, which -50 would make negative"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("status", "'status' is not a condition such as status=ACTIVE"),
        ("stauts=ACTIVE", "did you mean status?"),
        ("status=LIVE", "none of ACTIVE"),
        ("status>ACTIVE", "has no order"),
        ("bid_micro_amount~1", "is no text"),
    ],
)
def test_conditions_that_cannot_be_understood(text: str, said: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_condition(AD_SETS, text)
    assert said in str(caught.value)


def test_the_server_filters_what_it_can() -> None:
    conditions = [
        parse_condition(AD_SETS, text)
        for text in ("status=ACTIVE,READY", f"campaign_id={CAMPAIGN}", "name~x", "bid_amount>1.00")
    ]
    assert list_query(AD_SETS, conditions) == {"statuses": ["ACTIVE", "READY"], "campaign_ids": [CAMPAIGN]}
    assert list_query(CAMPAIGNS, [parse_condition(CAMPAIGNS, "status!=ARCHIVED")]) == {}
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert list_query(CAMPAIGNS, [parse_condition(CAMPAIGNS, "updated_at>=2030-01-01T00:00:00Z")]) == {
        "updated_at_gte": moment
    }
    assert list_query(CAMPAIGNS, [parse_condition(CAMPAIGNS, "updated_at>2030-01-01T00:00:00Z")]) == {
        "updated_at_gt": moment
    }
    assert list_query(AD_SETS, [parse_condition(AD_SETS, "status=ACTIVE,ACTIVE")]) == {"statuses": ["ACTIVE"]}
    assert list_query(AD_SETS, [parse_condition(AD_SETS, f"campaign_id={','.join(map(str, range(51)))}")]) == {}
    most = [f"00000000-0000-4000-8000-{number:012}" for number in range(50)]
    assert list_query(AD_SETS, [parse_condition(AD_SETS, f"campaign_id={','.join(most)}")]) == {"campaign_ids": most}
    with pytest.raises(BadExpression, match="campaign_id=abc: must be a UUID"):
        list_query(AD_SETS, [parse_condition(AD_SETS, "campaign_id=abc")])
    assert list_query(CAMPAIGNS, [parse_condition(CAMPAIGNS, "updated_at<2030-01-01T00:00:00Z")]) == {}
    assert list_query(AD_SETS, [parse_condition(AD_SETS, "updated_at>2030-01-01T00:00:00Z")]) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("bid_amount=12.50", 12_500_000),
        ("bid_amount=+2.50", 12_500_000),
        ("bid_micro_amount=-2500000", 7_500_000),
        ("bid_micro_amount=+10%", 11_000_000),
        ("bid_micro_amount=-12.5%", 8_750_000),
        ("budget.micro_amount=+10%", 13_580_000),
        ("budget.amount=+10%", 13_580_000),
        ("end_time=+7d", "2030-01-08T00:00:00Z"),
        ("end_time=-12h", "2029-12-31T12:00:00Z"),
        ("name=+10%", "+10%"),
        ("name=a=b", "a=b"),
        ("frequency_caps=<clear>", []),
    ],
)
def test_settings(text: str, value: object) -> None:
    setting = parse_setting(AD_SETS, text)
    assert new_values([setting], ANSWER, "USD") == {setting.column.name: value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("status", "'status' is not a setting such as bid_amount=12.50"),
        ("status=ACTIVE", "read-only"),
        ("bid_micro_amount>1.00", "one ="),
        ("nmae=ab", "did you mean name?"),
        ("name=a", "name=a"),
        ("bid_micro_amount=12.50", "in the column bid_amount"),
        ("bid_micro_amount=+2.50", "use bid_amount"),
    ],
)
def test_settings_that_cannot_be_understood(text: str, said: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_setting(AD_SETS, text)
    assert said in str(caught.value)


def test_settings_that_cannot_be_reached() -> None:
    for text, currency, reason in (
        ("base_rate_micro_amount=+10%", "USD", "is not set, so it cannot become +10%"),
        ("bid_amount=-10.01", "", "is 10.00, which -10.01 would make negative"),
        ("bid_amount=+0.50", "JPY", "cannot take a step of +0.50: JPY has no decimals"),
        ("end_time=+2920000d", "USD", "is 2030-01-01T00:00:00Z, which +2920000d would make beyond all dates"),
    ):
        setting = parse_setting(AD_SETS, text)
        expected = Refusal(column=setting.column.name, reason=reason)
        assert new_values([setting], ANSWER, *([currency] if currency else [])) == expected


def test_settings_of_every_kind_go_together_and_what_empties_a_field_can_be_chosen() -> None:
    settings = [parse_setting(AD_SETS, text, clear="-") for text in ("frequency_caps=-", "name=ab", "bid_amount=+10%")]
    assert new_values(settings, ANSWER, "USD") == {"frequency_caps": [], "name": "ab", "bid_amount": 11_000_000}


@pytest.mark.parametrize(
    ("kind", "present", "value"), [(Kind.INTEGER, 5, 6), (Kind.INTEGER, 15, 16), (Kind.NUMBER, 5, 5.5)]
)
def test_a_share_of_a_count_is_whole_and_one_of_a_number_is_not(kind: Kind, present: int, value: float) -> None:
    column = Column("count", kind, int)
    step = Setting(column=column, relative=True, factor=Decimal("1.1"))
    found = new_values([step], {"count": present})
    assert found == {"count": value}
    assert isinstance(found, dict)
    assert type(found["count"]) is type(value)


@given(st.integers(min_value=0, max_value=2**60), st.integers(min_value=0, max_value=1000))
def test_percentages_of_money_are_whole_cents_within_half_a_cent(amount: int, percent: int) -> None:
    values = new_values([parse_setting(AD_SETS, f"bid_amount=+{percent}%")], {"bid_micro_amount": amount}, "USD")
    assert isinstance(values, dict)
    found = values["bid_amount"]
    assert isinstance(found, int)
    assert found % 10_000 == 0
    assert abs(found * 100 - amount * (100 + percent)) * 2 <= 100 * 10_000


@pytest.mark.parametrize(
    "text", ["end_time=+9999999999d", "end_time=-99999999999999d", "end_time=+999999999999999999999999h"]
)
def test_a_step_beyond_all_dates_is_a_sentence(text: str) -> None:
    with pytest.raises(BadExpression, match="beyond all dates"):
        parse_setting(AD_SETS, text)


@pytest.mark.parametrize("text", ["end_time=+2920000d", "end_time=-800000d", "end_time=+99999999d"])
def test_a_step_out_of_the_calendar_is_refused_where_it_is_taken(text: str) -> None:
    refused = new_values([parse_setting(AD_SETS, text)], ANSWER)
    assert isinstance(refused, Refusal)
    assert "beyond all dates" in refused.reason


@pytest.mark.parametrize(("value", "written"), [("0001-01-01T00:00:00Z",) * 2, ("9999-12-31T23:59:59Z",) * 2])
def test_times_at_the_ends_are_written_with_four_digits(value: str, written: str) -> None:
    assert parse_setting(AD_SETS, f"end_time={value}").value == written


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "10000-01-01T00:00:00Z"])
def test_times_beyond_the_ends_are_a_sentence(value: str) -> None:
    with pytest.raises(BadExpression, match="is no time"):
        parse_setting(AD_SETS, f"end_time={value}")


@pytest.mark.parametrize(
    "text", ["bid_micro_amount=+10", "bid_micro_amount=-10", "budget.micro_amount=+9999", "bid_amount=+0.001"]
)
def test_a_step_in_micros_follows_the_rule_of_amounts_in_micros(text: str) -> None:
    with pytest.raises(BadExpression, match="micros are no amount of money"):
        parse_setting(AD_SETS, text)


def test_a_step_that_the_currency_cannot_take_is_refused() -> None:
    step = parse_setting(AD_SETS, "bid_amount=+0.50")
    assert new_values([step], ANSWER, "USD") == {"bid_amount": 10_500_000}
    refused = new_values([step], ANSWER, "JPY")
    assert isinstance(refused, Refusal)
    assert "JPY has no decimals" in refused.reason


def test_times_of_a_setting_may_be_those_of_a_zone() -> None:
    setting = parse_setting(AD_SETS, "end_time=2030-01-31 18:30", zone=ZoneInfo("Europe/Berlin"))
    assert setting.value == "2030-01-31T17:30:00Z"
    with pytest.raises(BadExpression, match="names no time zone"):
        parse_setting(AD_SETS, "end_time=2030-01-31 18:30")
