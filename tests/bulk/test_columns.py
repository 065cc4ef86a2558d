"""Cells become values exactly, or are refused with a reason."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS, ENTITIES
from spotify_ads_async.bulk.plan.cells import (
    CellError,
    amount_cell,
    parse_cell,
    parse_value,
    to_cell,
    unguarded,
)
from spotify_ads_async.bulk.plan.columns import Kind
from spotify_ads_async.bulk.plan.csv_rows import CsvRows, to_cells
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.spreadsheets import FormattedNumber

COLUMNS = AD_SETS.columns


def test_every_field_of_the_update_and_its_parts_is_a_column() -> None:
    assert {
        "name",
        "start_time",
        "end_time",
        "bid_micro_amount",
        "delivery",
        "category",
        "frequency_caps",
        "targets",
    } <= COLUMNS.keys()
    assert {"budget", "budget.micro_amount", "budget.type", "targets.genders"} <= COLUMNS.keys()
    assert CAMPAIGNS.columns.keys() == {"name", "purchase_order", "status"}
    assert "call_to_action.clickthrough_url" in ADS.columns
    assert "status" in AD_SETS.read_only
    assert "currency" not in COLUMNS


def test_exports_have_plain_values_where_they_can() -> None:
    names = [column.name for column in AD_SETS.export_columns()]
    assert {"budget.amount", "bid_amount"} <= set(names)
    assert not any(name.endswith("micro_amount") for name in names)
    assert "budget.micro_amount" in [column.name for column in AD_SETS.export_columns(micros=True)]
    assert "budget" not in names
    assert "targets" in names
    assert not any(name.startswith("targets.") for name in names)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "Autumn", "Autumn"),
        ("name", " kept as typed ", " kept as typed "),
        ("bid_micro_amount", "12500000", 12_500_000),
        ("bid_amount", "12.50", 12_500_000),
        ("bid_amount", "15000", 15_000_000_000),
        ("bid_amount", "15,000.00", 15_000_000_000),
        ("bid_amount", "1.5E+4", 15_000_000_000),
        ("budget.amount", "$1,250.5", 1_250_500_000),
        ("budget.amount", "'7", 7_000_000),
        ("budget.type", "DAILY", "DAILY"),
        ("delivery", "OFF", "OFF"),
        ("end_time", "2030-05-01T00:00:00Z", "2030-05-01T00:00:00Z"),
        ("end_time", "2030-05-01T02:00:00+02:00", "2030-05-01T00:00:00Z"),
        ("frequency_caps", "[]", []),
        ("frequency_caps", "<clear>", []),
        ("targets", '{"language":"en"}', {"language": "en"}),
        ("targets.genders", '["MALE"]', ["MALE"]),
        ("category", "ADV_1_1", "ADV_1_1"),
    ],
)
def test_cells(name: str, text: str, value: object) -> None:
    assert parse_cell(COLUMNS[name], text, currency="USD") == value


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("name", "x", "must be text of at least 2 characters"),
        ("name", "<clear>", "cannot be cleared"),
        ("bid_micro_amount", "12.50", "in the column bid_amount"),
        ("bid_micro_amount", "12,50", "in the column bid_amount"),
        ("bid_micro_amount", "15,000.00", "in the column bid_amount"),
        ("budget.micro_amount", "1.5E+4", "in the column budget.amount"),
        ("bid_micro_amount", "$12.50", "no whole number of micros"),
        ("bid_micro_amount", "-1", "no whole number of micros"),
        ("bid_micro_amount", "9" * 5000, "no whole number of micros"),
        ("bid_amount", "1250.005", "which has 2 decimals"),
        ("bid_amount", "-1.00", "no amount"),
        ("bid_amount", "15%", "no amount"),
        ("bid_amount", "9" * 5000, "no amount"),
        ("name", "first\rsecond", "line breaks"),
        ("cost_modifiers", "[" * 100_000, "JSON|deeply"),
        ("budget.type", "daily", "did you mean DAILY?"),
        ("delivery", "PAUSED", "none of ON, OFF"),
        ("end_time", "2030-05-01", "no time zone"),
        ("end_time", "2030-05-01T00:00:00.5Z", "fraction"),
        ("end_time", "soon", "no time"),
        ("frequency_caps", "[{", "not JSON"),
        ("frequency_caps", '[{"frequency_unit":"DAY","frequency_period":1}]', "max_impressions"),
        ("targets", '{"langauge":"en"}', "langauge"),
        ("targets.genders", '["MALE","MALE"]', "once only"),
        ("budget", '{"micro_amount": 25000000}', "type"),
    ],
)
def test_bad_cells(name: str, text: str, reason: str) -> None:
    with pytest.raises(CellError, match=reason):
        parse_cell(COLUMNS[name], text, currency="USD")


def test_only_a_nullable_field_is_cleared_to_null() -> None:
    assert parse_cell(ADS.columns["end_time"], "<clear>") is None
    assert parse_value(ADS.columns["end_time"], None) is None
    with pytest.raises(CellError, match="cannot be cleared"):
        parse_value(COLUMNS["end_time"], None)


def test_another_clear_token() -> None:
    assert parse_cell(COLUMNS["frequency_caps"], "-", clear="-") == []


@given(st.integers(min_value=10_000, max_value=2**63 - 1))
def test_money_is_exact_in_units_and_in_micros(amount: int) -> None:
    column = COLUMNS["bid_micro_amount"]
    assert parse_cell(column, str(amount)) == amount
    for currency, smallest in {"USD": 10_000, "KWD": 1000, "": 1000}.items():
        exact = amount // smallest * smallest
        assert parse_cell(COLUMNS["bid_amount"], amount_cell(exact, currency), currency=currency) == exact


@pytest.mark.parametrize(("cell", "forms"), [("2.001", ["2001.00", "2.0010"]), ("2,500", ["2500.00", "2.5"])])
def test_what_may_mean_two_amounts_is_told_how_to_write_either(cell: str, forms: list[str]) -> None:
    with pytest.raises(CellError) as caught:
        parse_cell(COLUMNS["bid_amount"], cell, currency="KWD")
    assert str(caught.value).endswith(f"write {' or '.join(forms)}")
    amounts = [parse_cell(COLUMNS["bid_amount"], form, currency="KWD") for form in forms]
    assert amounts[0] == 1000 * int(str(amounts[1]))


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=2, max_size=200).filter(
        lambda text: text.strip() != ""
    )
)
def test_exported_text_comes_back_equal(text: str) -> None:
    column = COLUMNS["name"]
    try:
        value = parse_value(column, text)
    except CellError:
        return  # what the API takes no name of is never exported
    assert parse_cell(column, to_cell(value)) == text


@pytest.mark.parametrize("value", [Decimal("7.123"), FormattedNumber(Decimal("7.123"), currency="KWD")])
def test_three_decimals_of_a_spreadsheets_number_are_no_group_of_digits(value: Decimal | FormattedNumber) -> None:
    column = COLUMNS["bid_amount"]
    assert parse_cell(column, cell_text(column, value), currency="KWD") == 7_123_000
    with pytest.raises(CellError, match=r"has 2 decimals|KWD is another"):
        parse_cell(column, cell_text(column, value), currency="USD")


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+49 170", "-5", "@sum", "\tx", "'=1+1", "''-x", "<clear>", "'<clear>", "\n=1+1", "#REF!", "Err:502"],
)
def test_no_exported_text_runs_as_a_formula(text: str) -> None:
    cell = to_cell(text)
    assert cell[0] == "'"
    assert to_cells([text, "Autumn"]) == [cell, "Autumn"]
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", ["first\n=1+1", "first\r'=1+1", "first\r\n@sum\n-5", "=1\n=2"])
def test_nor_does_it_behind_a_line_break(text: str) -> None:
    cell = to_cell(text)
    assert not re.search(r"(^|[\r\n])[=+\-@\t]", cell)
    assert unguarded(cell) == text


@given(st.text(st.sampled_from("=+-@\t\r\n'a"), max_size=12))
def test_every_guard_comes_off_again(text: str) -> None:
    assert unguarded(to_cell(text)) == text
    assert not re.search(r"(^|[\r\n])[=+\-@\t]", to_cell(text))


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=4), st.sampled_from([1, 4]))
def test_csv_that_is_written_reads_back_cell_by_cell(rows: list[list[str]], at_once: int) -> None:
    text = io.StringIO(newline="")
    written = CsvRows(text)
    for start in range(0, len(rows) + 1, at_once):  # the last may be empty
        written.write_all(rows[start : start + at_once])
    assert list(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True)) == rows


@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.text("=-'\t\r\na1<", max_size=4)), max_size=4)
)
def test_a_column_of_cells_is_written_as_each_of_them(values: list[object]) -> None:
    assert list(to_cells(values)) == [to_cell(value) for value in values]


def test_a_lone_carriage_return_is_quoted() -> None:
    text = io.StringIO(newline="")
    CsvRows(text).write(["a\rb", "c"])
    assert text.getvalue() == '"a\rb","c"\n'


@pytest.mark.parametrize("text", ["'quoted'", "a=b", "Autumn - north"])
def test_other_text_is_exported_as_it_is(text: str) -> None:
    assert to_cell(text) == text
    assert parse_cell(COLUMNS["name"], text) == text


def test_every_column_has_a_way_to_be_written() -> None:
    for entity in ENTITIES.values():
        for column in entity.columns.values():
            assert isinstance(column.kind, Kind)
            assert column.kind is not Kind.JSON or column.type is not None
