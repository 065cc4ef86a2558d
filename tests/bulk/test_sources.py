"""Files of changes: every row becomes a change or a problem with its place."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.cells import to_cell
from spotify_ads_async.bulk.plan.opening import ChangesFile
from spotify_ads_async.bulk.plan.problems import BadChanges, Problem
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.plan.tables import NewRow, Reading
from spotify_ads_async.spreadsheets import SpreadsheetError, open_spreadsheet, trimmed

ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"


def read(text: str, **options: str) -> list[Change | NewRow | Problem]:
    with open_spreadsheet(io.BytesIO(text.encode())) as opened:
        (reader,) = ChangesFile(opened, name="changes.csv", reading=Reading(**options)).readers(currency="USD")
        return list(reader)


def problem(text: str) -> str:
    (found,) = read(text)
    assert isinstance(found, Problem)
    return str(found)


def refused(text: str) -> str:
    with pytest.raises((BadChanges, SpreadsheetError)) as caught:
        read(text)
    return str(caught.value)


def test_a_row_of_changes() -> None:
    (row,) = read(f"ad_set_id,name,bid_amount,budget.type\n{ONE},Autumn,12.50,\n")
    assert row == Change(line=2, entity_id=ONE, values={"name": "Autumn", "bid_amount": 12_500_000})


def test_the_id_column_says_what_is_changed() -> None:
    for entity in (AD_SETS, CAMPAIGNS, ADS):
        with open_spreadsheet(io.BytesIO(f"name,{entity.id_column}\n".encode())) as opened:
            (reader,) = ChangesFile(opened, name="x", reading=Reading()).readers(currency="")
            assert reader.entity is entity


def test_lines_are_those_of_the_file() -> None:
    one, other, third = read(f'ad_set_id,name\n\n{ONE},"two\nlines"\n{TWO},x\nnothing,Fine\n')
    assert isinstance(one, Change)
    assert one.doubts["name"].cell == "two\nlines"
    assert isinstance(other, Change)
    assert other.doubts["name"].reason == "must be text of at least 2 characters"
    assert [one.line, other.line] == [3, 5]
    assert str(third).startswith("changes.csv:6: ad_set_id: ")


def test_semicolons_tabs_and_byte_order_marks() -> None:
    for separator in ";\t,":
        (row,) = read(f"\ufeffad_set_id{separator}name\r\n{ONE}{separator}Autumn\r\n")
        assert isinstance(row, Change)


def test_a_row_without_values_changes_nothing() -> None:
    (row,) = read(f"ad_set_id,name\n{ONE},\n")
    assert row == Change(line=2, entity_id=ONE, values={})


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("name", "has no id column"),
        ("ad_set_id,campaign_id", "more than one id column"),
        ("ad_set_id,nmae", "changes.csv:1: nmae: is no column of ad sets; did you mean name?"),
        ("ad_set_id,status", "changes.csv:1: status: is read-only"),
        ("ad_set_id,name,name", "changes.csv:1: name: is there twice"),
        ('ad_set_id,"name', "changes.csv:1"),
        ("", "is empty"),
    ],
)
def test_headers_that_cannot_be_used(header: str, said: str) -> None:
    assert said in refused(header)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"{ONE},Autumn,,,12", "changes.csv:2: '12' stands in a column without a name"),
        ("nothing,Autumn,", "changes.csv:2: ad_set_id: 'nothing' is no id"),
        (",Autumn,", "changes.csv:2: ad_set_id: is blank"),
        (f"{ONE},,12.50", "changes.csv:2: bid_micro_amount: '12.50' is no whole number of micros"),
        (f'{ONE},"Aut"umn,', "changes.csv:2: cannot be read as CSV"),
    ],
)
def test_bad_rows(row: str, said: str) -> None:
    assert said in problem(f"ad_set_id,name,bid_micro_amount\n{row}\n")


def test_a_whole_and_its_part_contradict() -> None:
    text = f'ad_set_id,budget,budget.type\n{ONE},"{{""micro_amount"":25000000,""type"":""DAILY""}}",LIFETIME\n'
    assert problem(text) == "changes.csv:2: budget.type: contradicts budget, which sets it too"


def test_json_lines() -> None:
    rows = read(
        f'{{"ad_set_id": "{ONE}", "bid_amount": 12.50, "budget.type": "DAILY"}}\n\n'
        f'{{"ad_set_id": "{TWO}", "budget": {{"micro_amount": 25000000, "type": "DAILY"}}, "frequency_caps": null}}\n'
    )
    assert rows == [
        Change(line=1, entity_id=ONE, values={"bid_amount": 12_500_000, "budget.type": "DAILY"}),
        Change(
            line=3,
            entity_id=TWO,
            values={"budget": {"micro_amount": 25_000_000, "type": "DAILY"}, "frequency_caps": []},
        ),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "is no JSON object"),
        ("{", "is not JSON"),
        (f'{{"ad_set_id": "{ONE}", "name": "ab", "name": "cd"}}', "'name' twice"),
        (f'{{"ad_set_id": "{ONE}", "nmae": "ab"}}', "nmae: is no column of ad sets; did you mean name?"),
        (f'{{"ad_set_id": "{ONE}", "bid_micro_amount": NaN}}', "NaN is no JSON number"),
        (f'{{"ad_set_id": "{ONE}", "bid_micro_amount": true}}', "bid_micro_amount"),
        ('{"name": "ab"}', "ad_set_id: is blank"),
    ],
)
def test_bad_json_lines(line: str, said: str) -> None:
    first = f'{{"ad_set_id": "{TWO}"}}\n'
    _, found = read(f"{first}{line}\n")
    assert isinstance(found, Problem)
    assert str(found).startswith("changes.csv:2: ")
    assert said in str(found)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.text(
                    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=2, max_size=30
                ).filter(lambda name: trimmed(name) == name),
                "bid_micro_amount": st.integers(min_value=10_000, max_value=10**12),
                "delivery": st.sampled_from(["ON", "OFF"]),
                "frequency_caps": st.just([{"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 2}]),
            },
        ),
        max_size=5,
    )
)
def test_csv_and_json_lines_say_the_same(rows: list[dict[str, object]]) -> None:
    names = ["name", "bid_micro_amount", "delivery", "frequency_caps"]
    text = io.StringIO(newline="")
    import csv  # noqa: PLC0415

    writer = csv.writer(text)
    writer.writerow(["ad_set_id", *names])
    writer.writerows([ONE, *(to_cell(row.get(name)) for name in names)] for row in rows)
    lines = "".join(json.dumps({"ad_set_id": ONE, **row}) + "\n" for row in rows)
    if not rows:
        return
    from_csv = [row.values for row in read(text.getvalue()) if isinstance(row, Change)]
    from_json = [row.values for row in read(lines) if isinstance(row, Change)]
    assert from_csv == from_json == rows
