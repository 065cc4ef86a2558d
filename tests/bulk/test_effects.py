"""What a change does to a state: pure laws."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import models
from spotify_ads_async.bulk.entities import AD_SETS, ADS
from spotify_ads_async.bulk.plan.effects import Effect, Rebased, Refusal, Settled, effect, merge, rebase, settle
from spotify_ads_async.bulk.plan.state import same, writable_state
from spotify_ads_async.bulk.records import RowWork, Step, StepOutcome, StepState
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


def test_what_was_legal_of_one_row_is_looked_at_in_the_next_where_it_may_break_a_rule() -> None:
    for name in ("Winter", "Spring"):
        assert wanted({"name": name, "bid_micro_amount": 20_000_000, "category": "ADV_1_1"}).after["name"] == name
    assert refused({"name": "W", "bid_micro_amount": 20_000_000, "category": "ADV_1_1"}).column == "name"
    assert refused({"name": "Winter", "bid_micro_amount": -1, "category": "ADV_1_1"}).column == "bid_micro_amount"
    assert refused({"name": "Winter", "bid_micro_amount": 20_000_000, "category": "beer"}).column == "category"


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


@pytest.mark.parametrize(
    ("delivery", "before", "order"), [("OFF", "ON", ["delivery", "name"]), ("ON", "OFF", ["name", "delivery"])]
)
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
    after, before = {"name": "Autumn"}, {"name": "Summer"}
    assert settle({"name": "Autumn"}, before, after) is Settled.DONE
    assert settle({"name": "Summer"}, before, after) is Settled.NOT_DONE
    assert settle({"name": "Winter"}, before, after) is Settled.CHANGED_BY_OTHERS


def test_reading_back_looks_at_what_the_row_changes_alone() -> None:
    before = {"targets": {"language": "en", "genders": ["MALE"]}}
    after = {"targets": {"language": "en", "genders": ["FEMALE"]}}
    assert settle({"targets": {"language": "de", "genders": ["FEMALE"]}}, before, after) is Settled.DONE
    assert settle({"targets": {"language": "de", "genders": ["MALE"]}}, before, after) is Settled.NOT_DONE


def test_an_emptied_list_may_read_back_as_the_defaults() -> None:
    after, before = {"frequency_caps": []}, {"frequency_caps": CAPS}
    assert settle({"frequency_caps": [{**CAPS[0], "max_impressions": 5}]}, before, after) is Settled.DONE
    assert settle({}, before, after) is Settled.DONE
    assert settle({"frequency_caps": CAPS}, before, after) is Settled.NOT_DONE


def test_a_change_goes_on_top_of_what_others_changed_beside_it() -> None:
    found = wanted({"targets.genders": ["MALE"]})
    theirs = {**STATE, "targets": {**STATE["targets"], "language": "de", "weather": ["RAIN"]}}
    assert rebase(AD_SETS, found.before, found.after, theirs) == Rebased(
        before={"targets": theirs["targets"]}, after={"targets": {**theirs["targets"], "genders": ["MALE"]}}
    )


def test_a_value_that_others_changed_too_is_a_conflict_with_all_three_values() -> None:
    found = wanted({"bid_micro_amount": 11_000_000, "name": "Autumn"})
    theirs = {**STATE, "bid_micro_amount": 12_000_000}
    (conflict,) = rebase(AD_SETS, found.before, found.after, theirs).conflicts
    assert (conflict.field, conflict.planned, conflict.found, conflict.wanted) == (
        "bid_micro_amount",
        10_000_000,
        12_000_000,
        11_000_000,
    )
    forced = rebase(AD_SETS, found.before, found.after, theirs, force=True)
    assert (forced.before["bid_micro_amount"], forced.after["bid_micro_amount"]) == (12_000_000, 11_000_000)


def test_what_others_made_as_wanted_is_not_made_again() -> None:
    found = wanted({"name": "Autumn"})
    assert rebase(AD_SETS, found.before, found.after, {**STATE, "name": "Autumn"}) == Rebased(before={}, after={})


NEWER: dict[str, Any] = {
    **STATE,
    "budget": {**STATE["budget"], "currency": "USD", "ceiling": {"shared": True}},
    "frequency_caps": [{**CAPS[0], "scope": "HOUSEHOLD"}],
    "targets": {
        **STATE["targets"],
        "weather": ["RAIN"],
        "platforms": ["SMART_FRIDGE"],
        "geo_targets": {"country_code": "US", "dma_ids": [1]},
    },
}


def test_what_no_model_knows_is_sent_back_as_it_came() -> None:
    found = wanted({"targets.genders": ["MALE"], "budget.micro_amount": 30_000_000}, NEWER)
    (body,) = found.steps
    assert body["targets"] == {**NEWER["targets"], "genders": ["MALE"]}
    assert list(body["targets"]) == list(NEWER["targets"])
    assert body["budget"] == {
        "micro_amount": 30_000_000,
        "type": "DAILY",
        "ceiling": {"shared": True},
    }  # the currency is an answer only


def test_a_whole_that_was_written_keeps_what_only_the_server_knows() -> None:
    whole = {"language": "de", "geo_targets": {"country_code": "US"}}
    (body,) = wanted({"targets": whole}, NEWER).steps
    assert body["targets"] == {
        "language": "de",
        "genders": [],
        "geo_targets": {"country_code": "US", "dma_ids": [1]},
        "weather": ["RAIN"],
        "platforms": [],
    }


def test_a_list_of_objects_keeps_what_only_the_server_knows_of_those_that_stay() -> None:
    assert wanted({"frequency_caps": CAPS}, NEWER).steps == ()
    more = {"frequency_unit": "WEEK", "frequency_period": 1, "max_impressions": 9}
    (body,) = wanted({"frequency_caps": [more, *CAPS]}, NEWER).steps
    assert body["frequency_caps"] == [more, NEWER["frequency_caps"][0]]


def test_values_that_came_from_the_server_are_no_reason_to_refuse() -> None:
    state = {**NEWER, "targets": {**NEWER["targets"], "age_ranges": [{"min": 99, "max": 1}]}}
    assert wanted({"targets.genders": ["MALE"]}, state).steps


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
    if found.after:
        assert settle(after, found.before, found.after) is Settled.DONE
        assert settle(STATE, found.before, found.after) is Settled.NOT_DONE
    back = rebase(AD_SETS, found.after, found.before, after)
    assert not back.conflicts
    assert {**after, **back.after} == STATE


def test_a_three_way_comparison() -> None:
    base = {"name": "Summer", "bid_micro_amount": 9_000_000, "category": None}
    values = {"name": "Autumn", "bid_micro_amount": 12_000_000, "delivery": "OFF"}
    meant, conflicts = merge(AD_SETS, base, STATE, values)
    assert meant == values
    assert list(map(str, conflicts)) == ["bid_amount was 9.00, is 10.00 now, and shall become 12.00"]


def test_an_unedited_cell_never_undoes_somebody_elses_change() -> None:
    assert merge(AD_SETS, {"bid_micro_amount": 9_000_000}, STATE, {"bid_micro_amount": 9_000_000}) == ({}, ())


def test_what_counts_as_the_same() -> None:
    assert same([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}])
    assert same({"a": None, "b": []}, {})
    assert same(1, 1.0)
    assert not same({"a": 1}, {"a": True})
    assert not same([1, 1], [1])
    assert not same("1", 1)
    assert same("2027-03-01T00:00:00Z", "2027-03-01T02:00:00.250+02:00")
    assert not same("2027-03-01T00:00:00Z", "2027-03-01T00:00:01Z")
    assert not same("0000-00-00T?", "0000-00-00T!")
    assert same("CE4FF15E-F04D-48B9-9DDF-FB3C85FBD57A", "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a")
    assert not same("Autumn", "autumn")
    assert same(["B", "CE4FF15E-F04D-48B9-9DDF-FB3C85FBD57A"], ["ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a", "B"])
    assert same([{"max": 2, "newer": None}, {"max": 1}], [{"max": 1, "newer": []}, {"max": 2}])
    assert same(["a", "A"], ["A", "a"])
    assert not same(["a", "a"], ["A", "a"])


def work(state: dict[str, Any], after: dict[str, Any]) -> tuple[RowWork, Step]:
    step = Step(row=1, position=0, entity_id="x", body=after, state=StepState.SENT)
    before = {name: state[name] for name in after if name in state}
    text = msgspec.json.encode(state).decode()
    return RowWork(number=1, entity_id="x", name="Summer", text=text, before=before, after=after, steps=(step,)), step


def answered(state: dict[str, Any], after: dict[str, Any], **changed: Any) -> StepOutcome:  # noqa: ANN401 - any JSON
    answer = {**state, **after, "updated_at": "2030-01-01T00:00:00Z", **changed}
    return success(
        AD_SETS, *work(state, after), msgspec.json.encode({k: v for k, v in answer.items() if v is not None}).decode()
    )


def test_a_value_that_the_server_writes_in_its_own_way_is_remarked() -> None:
    outcome = answered({"name": "Summer"}, {"name": "Autumn "}, name="Autumn")
    assert (outcome.state, outcome.found, outcome.surprises) == (StepState.DONE, {"name": "Autumn"}, ())
    assert outcome.reason == "the server made something else of name"
    assert answered({"name": "Summer"}, {"name": "Autumn "}).reason == ""


TARGETS = {"targets": {**NEWER["targets"], "genders": ["MALE"]}}


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({}, []),
        ({"status": "READY", "is_paused": True, "pause_reason": "X"}, []),
        ({"category": None}, ["category"]),
        ({"bid_micro_amount": 1}, ["bid_micro_amount"]),
        ({"targets": {**TARGETS["targets"], "weather": []}}, ["targets.weather"]),
        ({"targets": {**TARGETS["targets"], "geo_targets": {"country_code": "US"}}}, ["targets.geo_targets.dma_ids"]),
        ({"targets": {**TARGETS["targets"], "genders": ["FEMALE"]}}, ["targets.genders"]),
        ({"zeal": None}, ["zeal"]),
        ({"frequency_caps": CAPS}, ["frequency_caps"]),
        ({"status": "ARCHIVED"}, ["status"]),
        ({"version": 8}, []),
    ],
)
def test_what_changed_besides_is_seen(changed: dict[str, Any], fields: list[str]) -> None:
    state = {**NEWER, "category": "ADV_1_1", "zeal": {"a": 1}, "version": 7, "status": "ACTIVE"}
    outcome = answered(state, TARGETS, **changed)
    assert [one.partition(" ")[0] for one in outcome.surprises] == fields


STILL = {"targets": {**NEWER["targets"], "genders": ["FEMALE", "MALE"]}}
CLEARED = {"targets": {**NEWER["targets"], "genders": []}}
NOT_DONE = "the server answered, and did not do "
STILL_THERE = 'targets.genders, which is still ["FEMALE","MALE"]'


@pytest.mark.parametrize(
    ("after", "changed", "found", "surprised", "reason"),
    [
        (TARGETS, STILL, None, [], NOT_DONE + STILL_THERE),
        (CLEARED, STILL, None, [], f"{NOT_DONE}{STILL_THERE} (the server's default, or nothing empties it)"),
        ({"name": "Autumn", **TARGETS}, STILL, {"name", "targets"}, [], NOT_DONE + STILL_THERE),
        (TARGETS, {"name": "Winter", **STILL}, {"name", "targets"}, ["name"], NOT_DONE),
        ({"name": "Autumn"}, {"name": "Winter"}, {"name"}, ["name"], f'{NOT_DONE}name, which is "Winter"'),
    ],
)
def test_what_is_not_there_afterwards_is_not_done(
    after: dict[str, Any], changed: dict[str, Any], found: set[str] | None, surprised: list[str], reason: str
) -> None:
    """Left as it was is no surprise, nor is it done; what took effect of it can be undone."""
    state = {"name": "Summer", **NEWER, "targets": STILL["targets"]}
    outcome = answered(state, after, **changed)
    assert outcome.state is StepState.FAILED
    assert (None if outcome.found is None else set(outcome.found)) == found
    assert [one.partition(" ")[0] for one in outcome.surprises] == surprised
    assert outcome.reason == reason if not surprised or found == {"name"} else outcome.reason.startswith(reason)


def test_what_the_server_never_answers_is_said() -> None:
    step = Step(row=1, position=0, entity_id="x", body={"dv_client_code": "A1"}, state=StepState.SENT)
    row = RowWork(number=1, entity_id="x", name="", text='{"name":"Ad"}', before={}, after=step.body, steps=(step,))
    outcome = success(ADS, row, step, '{"name":"Ad"}')
    assert (outcome.state, outcome.surprises) == (StepState.DONE, ())
    assert outcome.reason == "the server never answers dv_client_code: nothing shows whether it took it"
