"""The planner divides any wish into the fewest legal requests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import InvalidRequest
from spotify_ads_async.reports.planning import (
    aggregate_batches,
    insight_batches,
    instant,
    is_named,
    lengths,
    named,
    totals_batches,
    windows,
)
from spotify_ads_async.types import UNSET

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)

days = st.integers(1, 4000)
entities = st.integers(1, 50)
pages = st.integers(1, 50)


def requests(spans: list[int], rows: int, page: int) -> int:
    return sum(-(-span * rows // page) for span in spans)


@given(days, entities, pages)
def test_spans_cover_every_period_within_the_limit(periods: int, rows: int, page: int) -> None:
    spans = lengths(periods, rows, longest=90, page=page)
    assert sum(spans) == periods
    assert all(0 < span <= 90 for span in spans)


@given(days, entities)
def test_no_division_needs_fewer_requests(periods: int, rows: int) -> None:
    spans = lengths(periods, rows, longest=90, page=50)
    # Every row has to come, fifty at a time: no plan can do with less.
    assert requests(spans, rows, 50) == -(-periods * rows // 50)


@given(days, st.sampled_from([5, 10, 25, 50]))
def test_where_pages_are_full_anyway_there_are_as_few_spans_as_possible(periods: int, rows: int) -> None:
    assert len(lengths(periods, rows, longest=90, page=50)) == -(-periods // 90)


@given(days, entities)
def test_windows_follow_each_other_without_a_gap_or_an_overlap(periods: int, rows: int) -> None:
    end = START + (periods - 1) * DAY
    found = windows(START, end, DAY, rows, longest=90)
    seen = [first + number * DAY for first, last in found for number in range((last - first).days + 1)]
    assert seen == [START + number * DAY for number in range(periods)]
    assert all(last - first < timedelta(days=90) for first, last in found)


def test_a_report_of_400_days_and_120_ad_sets_is_15_requests() -> None:
    ids = [f"id-{number}" for number in range(120)]
    query = {
        "entity_type": "AD_SET",
        "granularity": "DAY",
        "entity_ids": ids,
        "report_start": START,
        "report_end": START + 399 * DAY,
    }
    batches = aggregate_batches(query)
    assert [len(batch) for batch in batches] == [5, 5, 5]
    assert [batch[0]["entity_ids"] for batch in batches] == [ids[:50], ids[50:100], ids[100:]]
    rows = [
        len(part["entity_ids"]) * ((part["report_end"] - part["report_start"]).days + 1)
        for batch in batches
        for part in batch
    ]
    assert sum(rows) == 48_000
    assert sum(-(-count // 50) for count in rows) == 960


@given(st.lists(st.integers(0, 300).map(str), max_size=200))
def test_every_id_stands_in_one_request_once(ids: list[str]) -> None:
    batches = aggregate_batches({"entity_type": "AD", "entity_ids": ids}) if ids else []
    asked = [one for batch in batches for part in batch for one in part["entity_ids"]]
    assert asked == list(dict.fromkeys(ids))
    assert all(len(part["entity_ids"]) <= 50 for batch in batches for part in batch)


def test_an_account_has_one_row_a_day_so_that_its_windows_fill_their_pages() -> None:
    query = {"entity_type": "AD_ACCOUNT", "granularity": "DAY", "report_start": START, "report_end": START + 399 * DAY}
    (batch,) = aggregate_batches(query)
    assert [(part["report_end"] - part["report_start"]).days + 1 for part in batch] == [50] * 8


def test_two_weeks_of_hours_are_one_request() -> None:
    query = {
        "entity_type": "AD_SET",
        "granularity": "HOUR",
        "entity_ids": ["a"] * 9,
        "report_start": START,
        "report_end": START + 335 * DAY / 24,
    }
    assert [[len(part["entity_ids"]) for part in batch] for batch in aggregate_batches(query)] == [[1]]


def test_a_range_that_cannot_be_divided_is_left_to_the_rules() -> None:
    backwards = {"entity_type": "AD_SET", "granularity": "DAY", "report_start": START, "report_end": START - DAY}
    assert aggregate_batches(backwards) == [[backwards]]
    lifetime = {"entity_type": "AD_SET", "granularity": "LIFETIME"}
    assert aggregate_batches(lifetime) == [[lifetime]]


@given(st.integers(1, 300), st.integers(1, 800))
def test_totals_that_add_up_take_any_number_of_entities(count: int, periods: int) -> None:
    ids = [str(number) for number in range(count)]
    query = {
        "fields": ["CLICKS"],
        "granularity": "DAY",
        "entity_ids": ids,
        "report_start": START,
        "report_end": START + (periods - 1) * DAY,
    }
    batches = totals_batches(query)
    assert len(batches) == -(-periods // 90)
    assert all(len(batch) == -(-count // 50) for batch in batches)


@pytest.mark.parametrize(
    "metrics", [["REACH"], ["CTR", "FREQUENCY"], ["NEW_LISTENERS", "E_CPCL"], ["NEWER"]], ids=" and ".join
)
def test_listeners_and_shares_of_more_than_50_entities_are_refused(metrics: list[str]) -> None:
    ids = [str(number) for number in range(51)]
    fields = ["CLICKS", *metrics]
    with pytest.raises(InvalidRequest) as caught:
        totals_batches({"fields": fields, "granularity": "LIFETIME", "entity_ids": ids})
    error = caught.value
    assert error.message == (
        f"{' and '.join(metrics)} of more than 50 entities cannot be told: listeners are counted once per request, and"
        " neither they nor rates and averages add up; ask for at most 50 entities, or for counts, SPEND and REVENUE"
        " alone"
    )
    assert (error.operation, error.path, error.value) == ("getAggregatedTotals", "query.fields", metrics)
    assert error.rule == "metrics that add up, beside more than 50 entities"
    assert len(totals_batches({"fields": fields, "granularity": "LIFETIME", "entity_ids": ids[:50]})) == 1


def test_totals_of_few_days_are_one_request_though_nothing_else_is_said() -> None:
    asked = {"granularity": "DAY", "report_start": START, "report_end": START + 89 * DAY}
    assert totals_batches(asked) == [[{**asked, "entity_ids": []}]]
    assert totals_batches({}) == [[{"entity_ids": []}]]


def test_insights_are_one_request_for_each_entity() -> None:
    assert insight_batches({"fields": ["REACH"], "entity_ids": ["a", "B", "A", "b"]}) == [
        [{"fields": ["REACH"], "entity_ids": ["a"]}],
        [{"fields": ["REACH"], "entity_ids": ["B"]}],
    ]
    assert insight_batches({"fields": ["REACH"]}) == [[{"fields": ["REACH"]}]]


@pytest.mark.parametrize("entity_type", ["CAMPAIGN", "AD_SET", "AD", "AD_ACCOUNT", None])
@pytest.mark.parametrize("granularity", ["DAY", "HOUR", "LIFETIME", None])
def test_entities_are_named_by_day_and_by_hour(entity_type: str | None, granularity: str | None) -> None:
    query = {"entity_type": entity_type, "granularity": granularity}
    assert is_named(query) is (granularity in {"DAY", "HOUR"} and entity_type in {"CAMPAIGN", "AD_SET", "AD"})
    assert named(query, ("a",)) == {**query, "entity_ids": ["a"], "entity_ids_type": entity_type}


def test_the_size_of_pages_and_of_groups_decides_where_windows_end() -> None:
    query = {"entity_type": "AD_SET", "granularity": "DAY", "report_start": START, "report_end": START + 99 * DAY}

    def days_of(**more: object) -> list[list[int]]:
        batches = aggregate_batches({**query, **more})
        return [[(part["report_end"] - part["report_start"]).days + 1 for part in batch] for batch in batches]

    assert days_of() == [[90, 10]]  # how many rows there are is not known
    assert days_of(limit=20) == [[90, 10]]
    assert days_of(limit=0) == [[90, 10]]
    assert days_of(entity_type="AD_ACCOUNT") == [[50, 50]]
    assert days_of(entity_type="AD_ACCOUNT", limit=20) == [[80, 20]]
    assert days_of(entity_ids=["a"], limit=1) == [[90, 10]]
    # Sixty rows in all: two pages either way, and so as long a window as is allowed.
    assert days_of(entity_ids=["a"], report_end=START + 59 * DAY) == [[60]]
    assert days_of(entity_ids=[str(number) for number in range(52)]) == [[90, 10], [75, 25]]


def test_a_division_keeps_all_that_was_asked() -> None:
    query = {"entity_type": "AD_SET", "granularity": "HOUR", "report_start": START, "fields": ["REACH"]}
    hours = [{**query, "report_start": START, "report_end": START + 335 * DAY / 24}]
    hours += [{**query, "report_start": START + 14 * DAY, "report_end": START + 14 * DAY}]
    assert aggregate_batches({**query, "report_end": START + 14 * DAY}) == [hours]
    for more in (
        {},
        {"report_end": "2026-01-31"},
        {"report_end": START, "granularity": "WEEK"},
        {"report_start": None},
    ):
        assert aggregate_batches({**query, **more}) == [[{**query, **more}]]


def test_a_date_is_its_midnight_and_an_offset_becomes_utc() -> None:
    assert instant(date(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)
    assert instant(datetime.fromisoformat("2026-03-01T02:00:00+02:00")) == datetime(2026, 3, 1, tzinfo=UTC)
    assert instant(UNSET) is UNSET


def test_a_range_may_end_where_time_ends() -> None:
    end = datetime(9999, 12, 31, tzinfo=UTC)
    query = {"entity_type": "AD_ACCOUNT", "granularity": "DAY", "report_start": end - 199 * DAY, "report_end": end}
    (batch,) = aggregate_batches(query)
    assert batch[-1]["report_end"] == end


def test_a_time_beyond_the_ends_of_utc_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidRequest) as caught:
        instant(datetime.min.replace(tzinfo=timezone(timedelta(hours=1))))
    assert caught.value.message == "0001-01-01T00:00:00+01:00 is no time in UTC"
    assert (caught.value.path, caught.value.rule) == ("query", "a time between the years 1 and 9999")
