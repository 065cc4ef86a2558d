"""What becomes of single values: compared, put on top of what is there, taken back, and told of. Table by table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from spotify_ads_async.bulk.entities import AD_SETS, ADS
from spotify_ads_async.bulk.plan.effects import (
    NOTHING,
    Conflict,
    Effect,
    Rebased,
    Refusal,
    Settled,
    bodies_of,
    conflicting,
    effect,
    merge,
    reached,
    rebase,
    settle,
    shown,
)
from spotify_ads_async.bulk.plan.money import Amount

NOW = datetime(2026, 9, 1, tzinfo=UTC)
UNIT = 1_000_000
CAP = {"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}
STATE: dict[str, Any] = {
    "name": "Summer",
    "bid_micro_amount": 10 * UNIT,
    "budget": {"micro_amount": 25 * UNIT, "type": "DAILY", "currency": "USD"},
    "delivery": "ON",
    "frequency_caps": [CAP],
    "targets": {
        "language": "en",
        "genders": ["MALE", "FEMALE"],
        "geo_targets": {"country_code": "US", "dma_ids": [1], "newer": {"a": 1}},
        "platforms": ["IOS"],
        "weather": ["RAIN"],
    },
}


def changed(values: dict[str, Any], state: dict[str, Any] = STATE, currency: str = "") -> Effect:
    found = effect(AD_SETS, state, values, now=NOW, currency=currency)
    assert isinstance(found, Effect), found
    return found


@pytest.mark.parametrize(
    ("values", "names", "amounts"),
    [
        ({"name": "Autumn"}, ["name"], []),
        ({"bid_micro_amount": 11 * UNIT}, ["bid_micro_amount"], [("bid_micro_amount", 10 * UNIT, 11 * UNIT)]),
        ({"budget.micro_amount": 30 * UNIT}, ["budget.micro_amount"], [("budget.micro_amount", 25 * UNIT, 30 * UNIT)]),
        (
            {"budget": {"micro_amount": 30 * UNIT, "type": "DAILY"}},
            ["budget.micro_amount"],
            [("budget.micro_amount", 25 * UNIT, 30 * UNIT)],
        ),
        ({"targets.genders": ["MALE"], "targets.language": "de"}, ["targets.genders", "targets.language"], []),
        ({"frequency_caps": [{**CAP, "max_impressions": 3}]}, ["frequency_caps"], []),
    ],
)
def test_what_changes_is_named_and_its_money_is_known(
    values: dict[str, Any], names: list[str], amounts: list[tuple[str, int, int]]
) -> None:
    found = changed(values)
    assert list(found.names) == names
    assert list(found.amounts) == [Amount(*one) for one in amounts]
    fields = {name.partition(".")[0] for name in values}
    assert set(found.before) == set(found.after) == fields
    sent = {**STATE, "budget": {"micro_amount": 25 * UNIT, "type": "DAILY"}}
    assert found.before == {field: sent[field] for field in fields}


def test_what_was_not_set_has_nothing_before() -> None:
    found = changed({"bid_micro_amount": 2 * UNIT, "targets.language": "de"}, {"name": "Summer"})
    assert found.before == {}
    assert found.after == {"bid_micro_amount": 2 * UNIT, "targets": {"language": "de"}}
    assert found.amounts == [Amount("bid_micro_amount", None, 2 * UNIT)]
    whole = changed({"targets": {"language": "de"}}, {"name": "Summer"})
    assert (whole.after, whole.names) == ({"targets": {"language": "de"}}, ("targets.language",))
    assert changed({"name": "Summer"}) is NOTHING
    odd = changed({"bid_micro_amount": 2 * UNIT}, {"name": "Summer", "bid_micro_amount": "two"})
    assert odd.amounts == [Amount("bid_micro_amount", None, 2 * UNIT)]


def test_what_stands_beside_a_changed_value_stays_as_it_came() -> None:
    deep = changed({"targets.geo_targets.country_code": "DE"}).after["targets"]
    assert deep == {**STATE["targets"], "geo_targets": {**STATE["targets"]["geo_targets"], "country_code": "DE"}}
    whole = {"language": "de", "genders": ["FEMALE", "MALE"], "geo_targets": {"country_code": "US"}}
    assert changed({"targets": whole}).after["targets"]["genders"] == ["MALE", "FEMALE"]
    bare = {"name": "Summer", "targets": {"language": "en", "genders": None}}
    assert changed({"targets": {"language": "de", "genders": []}}, bare).after["targets"]["genders"] == []


def test_what_is_declared_for_answers_only_is_sent_back_on_top_of_nothing() -> None:
    plain = {"micro_amount": 25 * UNIT, "type": "DAILY"}
    found = rebase(AD_SETS, {"budget": plain}, {"budget": {**plain, "micro_amount": 30 * UNIT}}, STATE)
    assert found == Rebased(before={"budget": plain}, after={"budget": {**plain, "micro_amount": 30 * UNIT}})


@pytest.mark.parametrize(
    ("values", "currency", "reason", "column"),
    [
        (
            {"bid_micro_amount": 10_500_000},
            "JPY",
            "10500000 micros are 10.5 JPY, which has no decimals",
            "bid_micro_amount",
        ),
        ({"budget.micro_amount": 7}, "", "7 micros are no amount of money", "budget.micro_amount"),
        ({"budget": {"micro_amount": 7, "type": "DAILY"}}, "", "7 micros are no amount of money", "budget"),
        (
            {"name": "Autumn", "start_time": "2026-08-31T23:59:59Z"},
            "",
            "2026-08-31T23:59:59Z has passed, and what begins must lie in the future",
            "start_time",
        ),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_column(
    values: dict[str, Any], currency: str, reason: str, column: str
) -> None:
    found = effect(AD_SETS, STATE, values, now=NOW, currency=currency)
    assert isinstance(found, Refusal)
    assert found.reason.startswith(reason)
    assert found.column == column


def test_a_start_at_this_very_moment_has_not_passed() -> None:
    assert changed({"start_time": "2026-09-01T00:00:00Z"}).after


@pytest.mark.parametrize(
    ("after", "bodies"),
    [
        ({}, []),
        ({"name": "a"}, [{"name": "a"}]),
        ({"delivery": "OFF"}, [{"delivery": "OFF"}]),
        ({"name": "a", "delivery": "OFF"}, [{"delivery": "OFF"}, {"name": "a"}]),
        ({"delivery": "ON", "name": "a"}, [{"name": "a"}, {"delivery": "ON"}]),
    ],
)
def test_delivery_goes_alone(after: dict[str, Any], bodies: list[dict[str, Any]]) -> None:
    assert list(bodies_of(AD_SETS, after)) == bodies
    assert list(bodies_of(ADS, after)) == ([after] if after else [])


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        # A known list that is left out is emptied, a known value goes, and what no document knows stays.
        ({"language": "en"}, {"language": "en", "genders": [], "geo_targets": {"dma_ids": [1], "newer": {"a": 1}}}),
        (
            {"language": "en", "geo_targets": {"country_code": "DE"}},
            {"language": "en", "genders": [], "geo_targets": {"country_code": "DE", "dma_ids": [1], "newer": {"a": 1}}},
        ),
        (
            {"language": "en", "geo_targets": {"country_code": "US", "newer": {"b": 2}}},
            {
                "language": "en",
                "genders": [],
                "geo_targets": {"country_code": "US", "dma_ids": [1], "newer": {"a": 1, "b": 2}},
            },
        ),
        ({"language": "en", "geo_targets": {}}, {"genders": [], "geo_targets": {"dma_ids": [1], "newer": {"a": 1}}}),
    ],
)
def test_a_whole_that_somebody_writes_goes_on_top_of_what_only_the_server_knows(
    whole: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = changed({"targets": whole}).after["targets"]
    assert {name: found[name] for name in expected} == expected
    assert found["weather"] == ["RAIN"]


def test_what_the_server_answers_in_another_form_stands_in_nobodys_way() -> None:
    odd = {"name": "Summer", "targets": {"language": {"odd": 1}, "genders": ["MALE"]}, "frequency_caps": ["odd"]}
    assert changed({"targets": {"genders": ["FEMALE"]}}, odd).after["targets"]["genders"] == ["FEMALE"]
    assert changed({"frequency_caps": [CAP]}, odd).after["frequency_caps"] == [CAP]


def test_elements_keep_what_only_the_server_knows_of_them() -> None:
    ours, other, third = {**CAP, "scope": "HOUSEHOLD"}, {**CAP, "max_impressions": 5}, {**CAP, "max_impressions": 4}
    state = {**STATE, "frequency_caps": [ours, other]}
    assert changed({"frequency_caps": [other, CAP]}, state) is NOTHING
    assert changed({"frequency_caps": [third, other, CAP]}, state).after["frequency_caps"] == [third, other, ours]
    assert changed({"frequency_caps": [CAP, third]}, state).after["frequency_caps"] == [ours, third]
    # What somebody wrote with a name that no document knows is sent as it was written.
    mine = {**CAP, "scope": "PERSON"}
    assert changed({"frequency_caps": [mine, other]}, state).after["frequency_caps"] == [mine, other]


BEFORE = {"name": "Summer", "targets": {"language": "en", "genders": ["MALE"]}}
AFTER = {"name": "Autumn", "targets": {"language": "en", "genders": []}}


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (BEFORE, Rebased(before=BEFORE, after=AFTER)),
        (
            {"name": "Autumn", "targets": BEFORE["targets"]},
            Rebased(before={"targets": BEFORE["targets"]}, after={"targets": AFTER["targets"]}),
        ),
        (
            {"name": "Summer", "targets": AFTER["targets"]},
            Rebased(before={"name": "Summer"}, after={"name": "Autumn"}),
        ),
        (
            {"name": "Winter", "targets": BEFORE["targets"]},
            Rebased(
                before={"targets": BEFORE["targets"]},
                after={"targets": AFTER["targets"]},
                conflicts=(Conflict(field="name", planned="Summer", found="Winter", wanted="Autumn"),),
            ),
        ),
        (
            {"name": "Summer", "targets": {"language": "de", "genders": ["FEMALE"]}},
            Rebased(
                before={"name": "Summer"},
                after={"name": "Autumn"},
                conflicts=(Conflict(field="targets.genders", planned=["MALE"], found=["FEMALE"], wanted=[]),),
            ),
        ),
        (
            {"name": "Summer", "targets": {"language": "de", "genders": ["MALE"]}},
            Rebased(
                before={"name": "Summer", "targets": {"language": "de", "genders": ["MALE"]}},
                after={"name": "Autumn", "targets": {"language": "de", "genders": []}},
            ),
        ),
    ],
)
def test_a_change_is_made_on_top_of_what_is_there_now(present: dict[str, Any], expected: Rebased) -> None:
    assert rebase(AD_SETS, BEFORE, AFTER, present) == expected
    forced = rebase(AD_SETS, BEFORE, AFTER, present, force=True)
    assert not forced.conflicts
    assert {one: {**present, **forced.after}[one] for one in ("name",)} == {"name": "Autumn"}
    assert {**present, **forced.after}["targets"]["genders"] == []


def test_what_is_set_and_taken_away_again_is_told_in_words() -> None:
    set_now = rebase(AD_SETS, {}, {"name": "Autumn"}, {"name": "Winter"}).conflicts
    assert list(map(str, set_now)) == ['name was not set, is "Winter" now, and shall become "Autumn"']
    assert set_now[0].planned is None
    gone = rebase(AD_SETS, {"bid_micro_amount": 2 * UNIT}, {}, {"bid_micro_amount": 3 * UNIT}).conflicts
    assert list(map(str, gone)) == ["bid_amount was 2.00, is 3.00 now, and shall become not set"]
    through = rebase(
        AD_SETS, {"targets": {"a": {"b": 1}}}, {"targets": {"a": {"b": 2}}}, {"targets": "text"}, force=True
    )
    assert [one.field for one in through.conflicts] == ["targets.a.b"]
    assert [shown(value) for value in (None, msgspec.UNSET, 7, ["a"])] == ["not set", "not set", "7", '["a"]']


@pytest.mark.parametrize(
    ("wanted", "present", "before", "is_reached"),
    [
        ("a", "a", None, True),
        ("a", "b", None, False),
        (None, None, "a", True),
        (None, "a", "a", False),
        (None, "default", "a", True),
        ([], ["default"], ["a"], True),
        ([], ["a"], ["a"], False),
        ({"a": 1}, {"a": 1, "b": 2}, None, True),
        ({"a": 1, "c": 2}, {"a": 1}, None, False),
        ({"a": []}, {"a": [1]}, {"a": [1]}, False),
        ({"a": []}, {"a": [2]}, {"a": [1]}, True),
        ({"a": []}, {"a": [1]}, "text", True),
        ({"a": 1}, "text", None, False),
    ],
)
def test_what_was_wanted_is_there(wanted: object, present: object, before: object, *, is_reached: bool) -> None:
    assert reached(wanted, present, before) is is_reached


@pytest.mark.parametrize(
    ("present", "settled"),
    [
        ({"name": "Autumn", "bid_micro_amount": 2}, Settled.DONE),
        ({"name": "Summer", "bid_micro_amount": 1}, Settled.NOT_DONE),
        ({"name": "Autumn", "bid_micro_amount": 1}, Settled.CHANGED_BY_OTHERS),
        ({"name": "Winter", "bid_micro_amount": 2}, Settled.CHANGED_BY_OTHERS),
    ],
)
def test_every_value_of_a_change_must_be_there(present: dict[str, Any], settled: Settled) -> None:
    before, after = {"name": "Summer", "bid_micro_amount": 1}, {"name": "Autumn", "bid_micro_amount": 2}
    assert settle(present, before, after) is settled


@pytest.mark.parametrize(
    ("exported", "wanted", "kept", "in_conflict"),
    [
        ({}, "Autumn", True, False),  # nobody exported it
        ({"name": "Summer"}, "Autumn", True, False),  # nobody else changed it
        ({"name": "Spring"}, "Summer", True, False),  # somebody else made it so
        ({"name": "Spring"}, "Spring", False, False),  # nobody edited it
        ({"name": "Spring"}, "Autumn", True, True),
        ({"name": None}, "Autumn", True, True),
    ],
)
def test_a_cell_is_compared_with_its_export_and_with_what_is_there(
    exported: dict[str, Any], wanted: str, *, kept: bool, in_conflict: bool
) -> None:
    # What comes first stands in nobody's way.
    base = {"bid_micro_amount": 9 * UNIT, **exported}
    meant, conflicts = merge(AD_SETS, base, STATE, {"bid_micro_amount": 9 * UNIT, "name": wanted, "delivery": "OFF"})
    assert meant == ({"name": wanted} if kept else {}) | {"delivery": "OFF"}
    expected = Conflict(field="name", planned=exported.get("name"), found="Summer", wanted=wanted)
    assert list(conflicts) == ([expected] if in_conflict else [])


def test_a_change_that_was_in_conflict_from_the_beginning_is_told_from_what_somebody_knew() -> None:
    found = changed({"targets.language": "de"})
    told = conflicting(found, [Conflict(field="targets.language", planned="fr", found="en", wanted="de")])
    assert told.before["targets"]["language"] == "fr"
    assert found.before["targets"]["language"] == "en"
    assert (told.after, told.steps) == (found.after, found.steps)
