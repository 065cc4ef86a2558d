"""What a change does to a state: pure laws."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import models
from spotify_ads_async.bulk.entities import AD_SETS, ADS
from spotify_ads_async.bulk.plan.effects import Effect, Refusal, Settled, effect, inverse, merge, same, settle, writable_state
from spotify_ads_async.bulk.records import Step, StepState
from spotify_ads_async.bulk.run.outcomes import success

NOW = datetime(2026, 9, 1, tzinfo=UTC)
CAPS = [{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}]
STATE: dict[str, Any] = {
    "name": "Summer",
    "bid_micro_amount": 10_000_000,
    "budget": {"micro_amount": 25_000_000, "type": "DAILY"},
    "delivery": "ON",
    "frequency_caps": CAPS,
    "targets": {"language": "en", "genders": ["MALE", "FEMALE"], "geo_targets": {"country_code": "US"}},
}


def wanted(values: dict[str, Any], state: dict[str, Any] | None = None) -> Effect:
    found = effect(AD_SETS, STATE if state is None else state, values, now=NOW)
    assert isinstance(found, Effect), found
    return found


def refused(values: dict[str, Any], state: dict[str, Any] | None = None) -> Refusal:
    found = effect(AD_SETS, STATE if state is None else state, values, now=NOW)
    assert isinstance(found, Refusal), found
    return found


def test_the_state_has_what_can_be_written_and_nothing_else() -> None:
    answer = models.AdSet(
        id="x",
        name="Summer",
        status=models.AdSetStatus.ACTIVE,
        budget=models.StoredBudget(micro_amount=1, type=models.BudgetType.DAILY, currency="USD"),
    )
    assert writable_state(AD_SETS, answer) == {"name": "Summer", "budget": {"micro_amount": 1, "type": "DAILY"}}


def test_a_part_is_sent_in_its_whole() -> None:
    found = wanted({"budget.micro_amount": 30_000_000})
    assert found.steps == ({"budget": {"micro_amount": 30_000_000, "type": "DAILY"}},)
    assert found.before == {"budget": STATE["budget"]}


def test_a_part_without_its_whole_is_refused() -> None:
    assert "type" in refused({"budget.micro_amount": 30_000_000}, {"name": "Summer"}).reason
    assert refused({"budget.micro_amount": 30_000_000}, {"name": "Summer"}).column == "budget.micro_amount"


def test_what_is_there_already_is_not_sent() -> None:
    assert wanted({"name": "Summer", "targets.genders": ["FEMALE", "MALE"]}).steps == ()
    assert wanted({"name": "Summer", "bid_micro_amount": 11_000_000}).steps == ({"bid_micro_amount": 11_000_000},)


@pytest.mark.parametrize(("delivery", "before", "order"), [("OFF", "ON", ["delivery", "name"]), ("ON", "OFF", ["name", "delivery"])])
def test_delivery_is_alone_off_first_and_on_last(delivery: str, before: str, order: list[str]) -> None:
    found = wanted({"name": "Autumn", "delivery": delivery}, {**STATE, "delivery": before})
    assert [list(step) for step in found.steps] == [[name] for name in order]


def test_an_ad_may_change_delivery_with_others() -> None:
    found = effect(ADS, {"name": "One", "delivery": "ON"}, {"name": "Two", "delivery": "OFF"}, now=NOW)
    assert isinstance(found, Effect)
    assert found.steps == ({"name": "Two", "delivery": "OFF"},)


def test_lists_that_a_whole_leaves_out_are_emptied() -> None:
    found = wanted({"targets": {"language": "en", "geo_targets": {"country_code": "US"}}})
    assert found.steps == ({"targets": {"language": "en", "geo_targets": {"country_code": "US"}, "genders": []}},)


def test_rules_across_fields_name_the_column() -> None:
    later, earlier = "2030-02-01T00:00:00Z", "2030-01-01T00:00:00Z"
    refusal = refused({"start_time": later, "end_time": earlier})
    assert refusal.column in {"start_time", "end_time"}


def test_reading_back() -> None:
    body, before = {"name": "Autumn"}, {"name": "Summer"}
    assert settle({"name": "Autumn"}, body, before) is Settled.DONE
    assert settle({"name": "Summer"}, body, before) is Settled.NOT_DONE
    assert settle({"name": "Winter"}, body, before) is Settled.CHANGED_BY_OTHERS


def test_an_emptied_list_may_read_back_as_the_defaults() -> None:
    body, before = {"frequency_caps": []}, {"frequency_caps": CAPS}
    assert settle({"frequency_caps": [{**CAPS[0], "max_impressions": 5}]}, body, before) is Settled.DONE
    assert settle({}, body, before) is Settled.DONE
    assert settle({"frequency_caps": CAPS}, body, before) is Settled.NOT_DONE


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Summer", "Autumn", "Winter"]),
        "bid_micro_amount": st.sampled_from([10_000_000, 11_000_000]),
        "budget.micro_amount": st.sampled_from([25_000_000, 30_000_000]),
        "budget.type": st.sampled_from(["DAILY"]),
        "delivery": st.sampled_from(["ON", "OFF"]),
        "frequency_caps": st.sampled_from([CAPS, [{**CAPS[0], "max_impressions": 1}]]),
        "targets.genders": st.sampled_from([["MALE"], ["FEMALE", "MALE"], ["NON_BINARY"]]),
        "targets.geo_targets.country_code": st.sampled_from(["US", "DE"]),
    },
)


def written(state: dict[str, Any], found: Effect) -> dict[str, Any]:
    for step in found.steps:
        state = {**state, **step}
    return state


@given(CHANGES)
def test_a_change_is_done_once_and_taken_back(values: dict[str, Any]) -> None:
    found = wanted(values)
    after = written(STATE, found)
    assert {field: after[field] for field in found.after} == found.after
    assert wanted(values, after).steps == ()
    for step in found.steps:
        assert settle(after, step, found.before) is Settled.DONE
        assert settle(STATE, step, found.before) is Settled.NOT_DONE
    back = inverse(AD_SETS, found.before, found.after)
    assert not back.impossible
    assert written(after, wanted(back.values, after)) == STATE


def test_what_was_not_set_before_cannot_always_be_unset() -> None:
    assert inverse(AD_SETS, {}, ["category"]).impossible.keys() == {"category"}
    assert inverse(ADS, {}, ["end_time"]).values == {"end_time": None}


def test_a_three_way_comparison() -> None:
    base = {"name": "Summer", "bid_micro_amount": 9_000_000, "category": None}
    values = {"name": "Autumn", "bid_micro_amount": 12_000_000, "delivery": "OFF"}
    found = merge(AD_SETS, base, STATE, values)
    assert found.values == {"name": "Autumn", "delivery": "OFF"}
    assert found.conflicts == {"bid_micro_amount": "was 9000000 when exported, is 10000000 now, and shall become 12000000"}


def test_an_unedited_cell_never_undoes_somebody_elses_change() -> None:
    found = merge(AD_SETS, {"bid_micro_amount": 9_000_000}, STATE, {"bid_micro_amount": 9_000_000})
    assert found.values == {}
    assert found.conflicts == {}


def test_what_counts_as_the_same() -> None:
    assert same([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}])
    assert same({"a": None, "b": []}, {})
    assert same(1, 1.0)
    assert not same({"a": 1}, {"a": True})
    assert not same([1, 1], [1])
    assert not same("1", 1)


def test_a_value_that_the_server_makes_something_else_of_is_remarked() -> None:
    step = Step(row=1, position=0, entity_id="x", body={"name": "Autumn "}, before={"name": "Summer"}, state=StepState.SENT)
    verdict = success(step, {"name": "Autumn", "category": "ADV_1_1"})
    assert (verdict.state, verdict.found) == (StepState.DONE, {"name": "Autumn"})
    assert verdict.reason == "the server made something else of name"
    assert success(step, {"name": "Autumn "}).reason == ""
    assert success(step, {}).reason == ""
