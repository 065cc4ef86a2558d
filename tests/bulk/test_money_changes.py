"""What a change of money is judged by, what it may spend, and what a plan's rows come to: figure by figure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from spotify_ads_async.bulk import PlanTotals
from spotify_ads_async.bulk.plan.money import (
    Amount,
    AmountRefused,
    amounts_in_units,
    changed_amounts,
    check_amounts,
    days_left,
    in_units,
    most_of,
    most_spent,
    no_money,
    type_and_amount,
    unusual_changes,
)
from spotify_ads_async.bulk.plan.totals import is_off
from spotify_ads_async.bulk.records import Decision, PlannedChange

NOW = datetime(2030, 1, 1, tzinfo=UTC)
UNIT = 1_000_000
TEN_DAYS = {"start_time": "2029-12-01T00:00:00Z", "end_time": "2030-01-11T00:00:00Z"}
BUDGET = "budget.micro_amount"


def daily(units: float) -> dict[str, object]:
    return {"budget": {"type": "DAILY", "micro_amount": int(units * UNIT)}}


def lifetime(units: float) -> dict[str, object]:
    return {"budget": {"type": "LIFETIME", "micro_amount": int(units * UNIT)}}


def test_every_amount_is_shown_in_units_wherever_it_stands() -> None:
    content = {
        "name": "micro_amount",
        "bid_micro_amount": 12_500_000,
        "budget": {"micro_amount": 7, "type": "DAILY", "micro_amounts": 7},
        "all": [{"micro_amount": UNIT}, {"micro_amount": True}, 7],
        "min_micro_amount": None,
    }
    assert amounts_in_units(content) == {
        "name": "micro_amount",
        "bid_amount": "12.5",
        "budget": {"amount": "0.000007", "type": "DAILY", "micro_amounts": 7},
        "all": [{"amount": "1"}, {"amount": True}, 7],
        "min_amount": None,
    }
    assert amounts_in_units(2 * UNIT, BUDGET) == "2"
    assert [in_units(name) for name in ("name", BUDGET)] == ["name", "budget.amount"]


@pytest.mark.parametrize(
    ("micros", "currency", "refused"),
    [
        (0, "USD", None),
        (10_000, "USD", None),
        (10_001, "", None),
        (-1, "USD", "-1 micros are less than nothing"),
        (9_999, "", "9999 micros are no amount of money: they are 0.009999 units; …"),
        (1, "USD", "1 micros are no amount of money: they are 0.000001 units; …"),
        (12_345_000, "USD", "12345000 micros are 12.345 USD, which has 2 decimals; …"),
        (160_500_000, "JPY", "160500000 micros are 160.5 JPY, which has no decimals; …"),
    ],
)
def test_amounts_that_nobody_means_are_refused(micros: int, currency: str, refused: str | None) -> None:
    amounts = [Amount("bid_micro_amount", None, UNIT), Amount(BUDGET, None, micros)]
    if refused is None:
        check_amounts(amounts, currency)
        return
    with pytest.raises(AmountRefused) as problem:
        check_amounts(amounts, currency)
    meant = f"{micros} units are {micros * UNIT} micros, or {micros} in budget.amount"
    assert (str(problem.value), problem.value.field) == (refused.replace("…", meant), BUDGET)


def test_a_hundredth_of_a_unit_is_money() -> None:
    assert [bool(no_money(micros, BUDGET)) for micros in (-1, 0, 1, 9_999, 10_000)] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("before", "after", "currency", "said"),
    [
        (UNIT, 5 * UNIT, "USD", None),
        (UNIT, 5 * UNIT + 1, "USD", "1.00 USD → 5.000001 USD, 5 times as much"),
        (5 * UNIT, UNIT, "USD", None),
        (5 * UNIT + 1, UNIT, "USD", "5.000001 USD → 1.00 USD, 5 times less"),
        (2 * UNIT, 25 * UNIT, "", "2.00 → 25.00, 12.5 times as much"),
        (3_000_000 * UNIT, UNIT, "USD", "3,000,000.00 USD → 1.00 USD, 3,000,000 times less"),
        (7 * UNIT, UNIT - 1, "USD", "7.00 USD → 0.999999 USD, less than one unit"),
        (None, UNIT - 1, "", "not set → 0.999999, less than one unit"),
        (None, UNIT, "USD", None),
        (0, 9 * UNIT, "EUR", None),
    ],
)
def test_an_amount_is_unusual_from_five_times_and_below_a_unit(
    before: int | None, after: int, currency: str, said: str | None
) -> None:
    amounts = [Amount("bid_micro_amount", before, after), Amount("other_micro_amount", UNIT, UNIT)]
    expected = [] if said is None else [f"bid_amount {said}"]
    assert unusual_changes(amounts, {}, {"bid_micro_amount": after}, currency, now=NOW) == expected


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (daily(10) | TEN_DAYS, lifetime(20), None),
        (daily(10) | TEN_DAYS, lifetime(500), None),
        (daily(10) | TEN_DAYS, lifetime(501), "DAILY → LIFETIME: at most 100.00 USD … become 501.00 USD"),
        (daily(10) | TEN_DAYS, lifetime(19), "DAILY → LIFETIME: at most 100.00 USD … become 19.00 USD"),
        (daily(10) | TEN_DAYS, lifetime(10), "DAILY → LIFETIME: at most 100.00 USD … become 10.00 USD"),
        (daily(10), lifetime(100), "DAILY → LIFETIME: at most no bound … become 100.00 USD"),
        (
            lifetime(10) | TEN_DAYS,
            daily(10) | {"end_time": None},
            "LIFETIME → DAILY: at most 10.00 USD … become no bound",
        ),
        (lifetime(9) | TEN_DAYS | {"end_time": "2029-12-31T00:00:00Z"}, daily(1), None),
        ({}, daily(10), None),
        (daily(1), daily(5), None),
        (daily(10), {"name": "another"}, None),
        (daily(10), {"budget": None}, None),
    ],
)
def test_a_budget_of_another_type_is_judged_by_what_may_be_spent(
    before: dict[str, Any], after: dict[str, Any], said: str | None
) -> None:
    expected = [] if said is None else [f"budget.type {said.replace('…', 'until the flight ends')}"]
    assert unusual_changes(changed_amounts(before, after), before, after, "USD", now=NOW) == expected


def test_a_budget_that_keeps_its_type_is_an_amount_like_others() -> None:
    for before, after, said in (
        (daily(1), daily(10), ["budget.amount 1.00 → 10.00, 10 times as much"]),
        (
            {"bid_micro_amount": UNIT} | daily(1) | TEN_DAYS,
            {"bid_micro_amount": 6 * UNIT} | lifetime(11),
            ["bid_amount 1.00 → 6.00, 6 times as much"],
        ),
    ):
        assert unusual_changes(changed_amounts(before, after), before, after, "", now=NOW) == said


def test_a_small_budget_of_another_type_is_still_less_than_a_unit() -> None:
    before, after = daily(0.2) | TEN_DAYS, lifetime(0.5)
    assert unusual_changes(changed_amounts(before, after), before, after, "", now=NOW) == [
        "budget.amount 0.20 → 0.50, less than one unit"
    ]


@pytest.mark.parametrize(
    ("flight", "days"),
    [
        ({}, None),
        ({"end_time": None}, None),
        ({"end_time": "soon"}, None),
        ({"end_time": []}, None),
        ({"end_time": "2029-12-31T00:00:00Z"}, 0),
        ({"end_time": "2030-01-01T00:00:01Z"}, 1),
        ({"end_time": "2030-01-02T00:00:00Z", "start_time": "2029-01-01T00:00:00Z"}, 1),
        ({"end_time": "2030-01-12T00:00:00Z", "start_time": "2030-01-02T00:00:00Z"}, 10),
        ({"end_time": "2030-01-12T00:00:00Z", "start_time": "soon"}, 11),
        ({"end_time": "2030-01-12T00:00:00Z", "start_time": 7}, 11),
        ({"end_time": "2030-01-12T00:00:00Z", "start_time": []}, 11),
    ],
)
def test_days_are_counted_from_now_or_from_the_start_and_begun_ones_too(
    flight: dict[str, object], days: int | None
) -> None:
    assert days_left(flight, NOW) == days


@pytest.mark.parametrize(
    ("kind", "amount", "days", "most"),
    [
        ("DAILY", None, None, 0),
        ("DAILY", 7, None, None),
        ("DAILY", 7, 3, 21),
        ("DAILY", 7, 0, 0),
        ("LIFETIME", 7, None, 7),
        ("LIFETIME", 7, 3, 7),
        ("LIFETIME", 7, 0, 0),
    ],
)
def test_what_a_budget_may_spend(kind: str, amount: int | None, days: int | None, most: int | None) -> None:
    assert most_of(kind, amount, days) == most


def test_a_budget_is_read_where_there_is_one() -> None:
    assert most_spent(daily(2) | TEN_DAYS, NOW) == 20 * UNIT
    assert most_spent({}, NOW) == 0
    assert type_and_amount({"type": "DAILY", "micro_amount": "7"}) == ("DAILY", None)
    assert type_and_amount("DAILY") == (None, None)


def test_amounts_that_change_are_found_wherever_they_stand() -> None:
    same = [{"micro_amount": 9}]
    before = {"bid_micro_amount": 5, "budget": {"micro_amount": 1}, "list": [{"micro_amount": 1}], "same": same}
    after = {
        "bid_micro_amount": 5,
        "age": 7,
        "name": "x",
        "budget": {"micro_amount": 2, "type": "DAILY"},
        "list": [{"micro_amount": 1}, {"micro_amount": 3}, 8],
        "same": same,
        "fresh": {"least_micro_amount": 4},
        "micro_amount": {"age": 7},
    }
    assert changed_amounts(before, after) == [
        Amount("budget.micro_amount", 1, 2),
        Amount("list[1].micro_amount", None, 3),
        Amount("fresh.least_micro_amount", None, 4),
    ]
    assert changed_amounts("text", {"micro_amount": 4}, "budget") == [Amount(BUDGET, None, 4)]
    assert changed_amounts({"micro_amount": "text"}, {"micro_amount": 4}) == [Amount("micro_amount", None, 4)]
    for before in ("text", 7):
        assert changed_amounts(before, [{"micro_amount": 4}], "list") == [Amount("list[0].micro_amount", None, 4)]


def counted(decision: Decision, *args: dict[str, Any], steps: int = 0, is_unusual: bool = False) -> dict[str, Any]:
    """What one row counts for, but for what counts nothing: half of what two of them do."""
    totals, empty = PlanTotals(now=NOW), PlanTotals(now=NOW)
    for _ in range(2):
        totals.count(decision, *args, steps=steps, is_unusual=is_unusual)
    found: dict[str, Any] = {}
    for name in totals.__struct_fields__:
        both = getattr(totals, name)
        if isinstance(both, Counter):
            assert all(count % 2 == 0 for count in both.values())
            both = Counter({kind: count // 2 for kind, count in both.items()})
        elif isinstance(both, int):
            assert both % 2 == 0, name
            both //= 2
        if both != getattr(empty, name):
            found[name] = both
    return found


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Decision.PLANNED, {"planned": 1, "unusual": 1, "requests": 2, "fields": Counter(name=1)}),
        (Decision.CONFLICT, {"conflicts": 1, "requests_held_back": 2}),
        (Decision.UNCHANGED, {"unchanged": 1}),
        (Decision.REFUSED, {"refused": 1}),
    ],
)
def test_rows_are_counted_by_what_is_decided(decision: Decision, expected: dict[str, object]) -> None:
    found = counted(decision, {"name": "a"}, {"name": "b"}, steps=2, is_unusual=True)
    assert found == {"rows": 1, **expected}


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ({"delivery": "ON"}, {"delivery": "OFF"}, {"paused": 1}),
        ({"delivery": "OFF"}, {"delivery": "ON"}, {"resumed": 1}),
        ({"delivery": "OFF"}, {"delivery": "OFF"}, {}),
        ({"status": "ACTIVE"}, {"status": "PAUSED"}, {"paused": 1}),
        ({"status": "ACTIVE"}, {"status": "ARCHIVED"}, {"archived": 1}),
        ({"delivery": "ON"}, {"delivery": "ARCHIVED"}, {"archived": 1}),
        ({"status": "ARCHIVED"}, {"status": "ACTIVE"}, {"resumed": 1}),
        ({"status": "PAUSED"}, {"status": "ACTIVE"}, {"resumed": 1}),
    ],
)
def test_what_stops_and_what_starts_is_counted(
    before: dict[str, object], after: dict[str, object], counts: dict[str, int]
) -> None:
    found = counted(Decision.PLANNED, before, after)
    assert {name: found[name] for name in ("paused", "resumed", "archived") if name in found} == counts
    assert is_off(after) == bool(set(after.values()) & {"OFF", "PAUSED", "ARCHIVED"})


OFF, ON = {"delivery": "OFF"}, {"delivery": "ON"}
LATER = {"end_time": "2030-01-21T00:00:00Z"}
MONEY = (
    "budget_before",
    "budget_after",
    "budget_growth",
    "most_before",
    "most_after",
    "unbounded_before",
    "unbounded_after",
)


@pytest.mark.parametrize(
    ("state", "before", "after", "sums"),
    [
        ({}, daily(2), daily(3), [{"DAILY": 2}, {"DAILY": 3}, 1, 0, 0, 1, 1]),
        (TEN_DAYS, daily(3), daily(2), [{"DAILY": 3}, {"DAILY": 2}, 0, 30, 20, 0, 0]),
        (TEN_DAYS, daily(2), lifetime(3), [{"DAILY": 2}, {"LIFETIME": 3}, 3, 20, 3, 0, 0]),
        ({}, lifetime(2), daily(1), [{"LIFETIME": 2}, {"DAILY": 1}, 1, 2, 0, 0, 1]),
        ({}, {"budget": None}, daily(1), [{}, {"DAILY": 1}, 1, 0, 0, 0, 1]),
        ({}, {"budget": {"type": "DAILY"}}, daily(1), [{}, {"DAILY": 1}, 1, 0, 0, 0, 1]),
        (TEN_DAYS, lifetime(2), {"budget": None}, [{"LIFETIME": 2}, {}, 0, 2, 0, 0, 0]),
        # A flight that is prolonged lets a daily budget spend more, and not one for the whole flight.
        (daily(2) | TEN_DAYS, {"end_time": TEN_DAYS["end_time"]}, LATER, [{}, {}, 2, 20, 40, 0, 0]),
        (lifetime(2) | TEN_DAYS, {"end_time": TEN_DAYS["end_time"]}, LATER, [{}, {}, 0, 2, 2, 0, 0]),
        (daily(2) | LATER, LATER, {"end_time": TEN_DAYS["end_time"]}, [{}, {}, 0, 40, 20, 0, 0]),
        (daily(2) | TEN_DAYS, {"end_time": TEN_DAYS["end_time"]}, {"end_time": None}, [{}, {}, 2, 20, 0, 0, 1]),
        # What begins to be spent counts whole; what is switched off does not.
        (daily(2) | TEN_DAYS, OFF, ON, [{}, {}, 2, 0, 0, 0, 0]),
        (daily(2) | TEN_DAYS, ON, OFF, [{}, {}, 0, 0, 0, 0, 0]),
        (daily(2) | TEN_DAYS | OFF, daily(2) | OFF, daily(3) | ON, [{"DAILY": 2}, {"DAILY": 3}, 3, 20, 30, 0, 0]),
        ({}, {"name": "a"}, {"name": "b"}, [{}, {}, 0, 0, 0, 0, 0]),
        ({}, {"end_time": None}, LATER, [{}, {}, 0, 0, 0, 0, 0]),
    ],
)
def test_budgets_are_summed_by_what_they_may_spend(
    state: dict[str, Any], before: dict[str, Any], after: dict[str, Any], sums: list[object]
) -> None:
    found = {**dict.fromkeys(MONEY, 0), **counted(Decision.PLANNED, before, after, state)}
    by_type = [{kind: micros / UNIT for kind, micros in (found[name] or Counter()).items()} for name in MONEY[:2]]
    amounts = [found[name] / UNIT for name in MONEY[2:5]]
    assert [*by_type, *amounts, *(found[name] for name in MONEY[5:])] == sums


def test_a_row_of_a_plan_is_counted_with_the_state_that_was_read() -> None:
    state = daily(2) | TEN_DAYS
    row = PlannedChange(
        number=1,
        line=2,
        entity_id="x",
        name="Ad set",
        decision=Decision.PLANNED,
        steps=2,
        unusual="money",
        before=OFF,
        after=ON,
        text=msgspec.json.encode(state | {"name": "Ad set"}).decode(),
    )
    totals, expected = PlanTotals(now=NOW), PlanTotals(now=NOW)
    totals.add(row)
    expected.count(Decision.PLANNED, OFF, ON, state, steps=2, is_unusual=True)
    assert totals == expected
    assert totals.budget_growth == 2 * UNIT
    for other in (
        {"text": ""},
        {"text": "no JSON", "after": {"name": "b"}},
        {"text": "no JSON", "decision": Decision.CONFLICT},
    ):
        totals.add(msgspec.structs.replace(row, unusual="", **other))
        expected.count(other.get("decision", Decision.PLANNED), OFF, other.get("after", ON), steps=2)
    assert totals == expected


def test_a_row_without_requests_takes_none_and_is_usual() -> None:
    totals = PlanTotals()
    totals.count(Decision.PLANNED)
    assert (totals.rows, totals.planned, totals.requests, totals.unusual) == (1, 1, 0, 0)


def test_what_somebody_agrees_to_is_said_in_one_line() -> None:
    assert PlanTotals(planned=3).in_words("USD") == "change 3 rows"
    totals = PlanTotals(planned=12, resumed=2, archived=1, unusual=4, budget_growth=330 * UNIT)
    assert totals.in_words("USD") == (
        "change 12 rows, 2 start delivering, 1 archived for good, 4 unusual, budgets grow by 330.00 USD"
    )
