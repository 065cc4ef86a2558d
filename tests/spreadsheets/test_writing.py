"""Workbooks that are written: read back here, by openpyxl, and by the programs that people have."""

from __future__ import annotations

import csv
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import examples

from spotify_ads_async.spreadsheets import SpreadsheetError, is_blank, open_spreadsheet
from spotify_ads_async.spreadsheets.writing import Emphasis, SheetColumn, WorkbookWriter

MANY = [f"value {number}, with a comma" for number in range(60)]
COLUMNS = [
    SheetColumn(name="id", shaded=True, width=38),
    SheetColumn(name="name", required=True, note="What people see. " * 30),
    SheetColumn(name="amount", number_format="#,##0.00"),
    SheetColumn(name="a header that is longer than thirty-two characters", choices=MANY),
]
TEXTS = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "'quoted",
    "two\nlines",
    "_x0041_",
    "00123",
    "https://example.com",
    "1E5",
    "a\r\nb",
    "夏 \U0001f3b5",
    "{=A1}",
]


def write(path: Path) -> None:
    with WorkbookWriter(path) as book:
        book.text("About", ["# How to", "name\twhat it is", "plain"])
        sheet = book.sheet("Rows", COLUMNS)
        for number, text in enumerate(TEXTS):
            row = sheet.write([f"id {number}", text, Decimal("1250.5"), MANY[number]])
            assert row == number + 2
        sheet.write([None, "", None, None], Emphasis(colour="#FFE5E5"))
        sheet.write(["last", "x", 2_500_000, None], Emphasis(colour="#FFE5E5", notes={"name": "is too short"}))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write(path)
    with open_spreadsheet(path) as opened:
        assert [(table.name, table.hidden) for table in opened.tables] == [
            ("About", False),
            ("Rows", False),
            ("Lists", True),
        ]
        rows = [list(row.cells) for row in opened.tables[1].rows()]
    assert rows[0] == [column.name for column in COLUMNS]
    assert [row[1] for row in rows[1 : 1 + len(TEXTS)]] == TEXTS
    assert {row[2] for row in rows[1 : 1 + len(TEXTS)]} == {Decimal("1250.5")}
    assert all(is_blank(cell) for cell in rows[len(TEXTS) + 1])
    assert rows[-1][:3] == ["last", "x", 2_500_000]


def test_people_get_a_frozen_header_choices_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write(path)
    sheet = openpyxl.load_workbook(path)["Rows"]
    assert sheet.freeze_panes == "B2"
    (offered,) = sheet.data_validations.dataValidation
    assert offered.formula1 == "Lists!$A$1:$A$60"
    assert len(offered.errorTitle) <= 32
    assert len(offered.error) <= 255
    assert sheet["B1"].comment.text.startswith("What people see")
    assert sheet.cell(len(TEXTS) + 3, 2).comment.text == "is too short"
    assert sheet["A2"].number_format == "@"


def test_a_text_that_no_cell_holds_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    with pytest.raises(SpreadsheetError, match=r"name in B2 has more than 32,767"), WorkbookWriter(path) as book:
        book.sheet("Rows", COLUMNS).write(["x", "y" * 32_768, None, None])
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "x" * 32, "a/b", "'x", "rows", "Lists"])
def test_names_that_no_sheet_can_have(tmp_path: Path, name: str) -> None:
    with WorkbookWriter(tmp_path / "out.xlsx") as book:
        book.sheet("Rows", COLUMNS)
        with pytest.raises(SpreadsheetError):
            book.sheet(name, COLUMNS)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "out.xlsx").write_text("mine")
    with pytest.raises(FileExistsError):
        WorkbookWriter(tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx").read_text() == "mine"


@given(text=st.text(min_size=1, max_size=50), number=st.decimals(min_value=0, max_value=10**9, places=3))
@settings(max_examples=examples(40))
def test_any_text_and_amount_survives_a_workbook(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: Decimal
) -> None:
    path = tmp_path_factory.mktemp("any") / "out.xlsx"
    with WorkbookWriter(path) as book:
        book.sheet("Rows", COLUMNS).write(["x", text, number, None])
    with open_spreadsheet(path) as opened:
        *_, row = opened.tables[0].rows()
    assert row.cells[1] == text
    assert row.cells[2] == number


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.soak
def test_libreoffice_reads_what_is_written_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    write(path)
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    filters = {
        "csv": "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,2",
        "ods": "ods",
        "xls": "xls",
    }
    for suffix, form in filters.items():
        subprocess.run(
            ["soffice", profile, "--headless", "--convert-to", form, "--outdir", str(tmp_path / suffix), str(path)],
            check=True,
            capture_output=True,
            timeout=300,
        )
    (as_csv,) = (tmp_path / "csv").iterdir()
    with as_csv.open(encoding="utf-8", newline="") as file:
        texts = [row[1] for row in csv.reader(file)][1 : 1 + len(TEXTS)]
    assert texts == [text.replace("\r\n", "\n") for text in TEXTS]
    for suffix in ("ods", "xls"):
        with open_spreadsheet(tmp_path / suffix / f"out.{suffix}") as opened:
            rows = [list(row.cells) for row in opened.tables[1].rows()]
        assert [str(row[1]).replace("\r\n", "\n") for row in rows[1 : 1 + len(TEXTS)]] == [
            text.replace("\r\n", "\n") for text in TEXTS
        ]


@pytest.mark.skipif(shutil.which("ssconvert") is None, reason="Gnumeric is not installed")
@pytest.mark.soak
def test_gnumeric_reads_what_is_written(tmp_path: Path) -> None:
    path, out = tmp_path / "out.xlsx", tmp_path / "out.csv"
    write(path)
    subprocess.run(
        ["ssconvert", "-S", str(path), str(tmp_path / "out-%s.csv")], check=True, capture_output=True, timeout=300
    )
    out = tmp_path / "out-Rows.csv"
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    # Gnumeric does not know how Excel writes a carriage return, and what looks like one.
    assert [row[1].replace("_x005F_", "_").replace("_x000D_", "\r") for row in rows[1 : 1 + len(TEXTS)]] == TEXTS


def test_control_characters_do_not_reach_a_workbook_unseen(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    texts = ["a\x07b", "a\x00b", "a\x1fb"]
    with WorkbookWriter(path) as book:
        sheet = book.sheet("Rows", COLUMNS)
        for text in texts:
            sheet.write(["x", text, None, None])
    with open_spreadsheet(path) as opened:
        read = [str(row.cells[1]) for row in opened.tables[0].rows()][1:]
    assert read == texts
