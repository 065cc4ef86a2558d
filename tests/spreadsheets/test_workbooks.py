"""Workbooks as Excel, LibreOffice and the libraries of other programs write them."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.style import Style, TableProperties
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P

from spotify_ads_async.spreadsheets import FormattedNumber, SpreadsheetError, UnreadableCell, open_spreadsheet
from spotify_ads_async.spreadsheets import Row as SheetRow

Sheet = Any


def openpyxl_content(fill: Callable[[Any], None]) -> io.BytesIO:
    book = openpyxl.Workbook()
    fill(book.active)
    content = io.BytesIO()
    book.save(content)
    return content


def rows(content: io.BytesIO, sheet: int = 0) -> list[SheetRow]:
    with open_spreadsheet(content) as opened:
        return list(opened.tables[sheet].rows())


def cells(content: io.BytesIO) -> list[list[object]]:
    return [list(row.cells) for row in rows(content)]


def refused(content: io.BytesIO) -> str:
    with pytest.raises(SpreadsheetError) as caught:
        rows(content)
    return str(caught.value)


def edited(content: io.BytesIO, member: str, edit: Callable[[str], str]) -> io.BytesIO:
    """The archive with one member changed, as a broken or hostile program would write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, edit(data.decode()) if name == member else data)
    return out


SHEET = "xl/worksheets/sheet1.xml"


def test_values_of_every_kind_at_their_addresses() -> None:
    def fill(sheet: Sheet) -> None:
        sheet["B3"], sheet["C3"], sheet["D3"], sheet["E3"] = "text", 15000, 16.5, True
        sheet["B5"], sheet["C5"] = datetime.fromisoformat("2030-01-31T18:30"), date(2030, 1, 31)
        sheet["D5"], sheet["E5"] = time(12, 30), timedelta(hours=30)
        sheet["B6"] = 150.1 + 0.2

    read = rows(openpyxl_content(fill))
    assert [row.number for row in read] == [1, 2, 3, 4, 5, 6]
    assert list(read[2].cells) == ["", "text", 15000, Decimal("16.5"), True]
    assert list(read[4].cells) == [
        "",
        datetime.fromisoformat("2030-01-31T18:30"),
        date(2030, 1, 31),
        time(12, 30),
        timedelta(hours=30),
    ]
    assert read[5].cells[1] == Decimal("150.3")


def test_a_number_of_too_many_digits_says_that_it_is_none() -> None:
    (row,) = rows(openpyxl_content(lambda sheet: sheet.append([12345678901234567, 219e24, 999_999_999_999_999])))
    assert isinstance(row.cells[0], UnreadableCell)
    assert "format the cell as text" in row.cells[0].reason
    assert isinstance(row.cells[1], UnreadableCell)
    assert row.cells[2] == 999_999_999_999_999
    content = openpyxl_content(lambda sheet: sheet.append([1, "x"]))
    (row,) = rows(edited(content, SHEET, lambda text: text.replace("<v>1</v>", "<v>NaN</v>")))
    assert isinstance(row.cells[0], UnreadableCell)


def test_percentages_and_currencies_are_known() -> None:
    def fill(sheet: Sheet) -> None:
        formats = ["0%", "0.00%", "#,##0.00 [$€-407]", '"$"#,##0.00', "[$EUR] 0.00", "0.00", '0.00 "% of it"']
        sheet.append([0.15] * len(formats))
        for column, number_format in enumerate(formats, start=1):
            sheet.cell(1, column).number_format = number_format

    (row,) = rows(openpyxl_content(fill))
    amount = Decimal("0.15")
    assert list(row.cells) == [
        FormattedNumber(amount, percent=True),
        FormattedNumber(amount, percent=True),
        FormattedNumber(amount, currency="€"),
        FormattedNumber(amount, currency="$"),
        FormattedNumber(amount, currency="EUR"),
        amount,
        amount,
    ]


def test_error_cells_are_not_blank() -> None:
    def fill(sheet: Sheet) -> None:
        sheet["A1"], sheet["B1"] = "x", "#REF!"
        sheet["B1"].data_type = "e"

    (row,) = rows(openpyxl_content(fill))
    assert row.cells[1] == UnreadableCell("holds the error #REF!: mend its formula, or type the value")


def test_a_formula_that_was_never_calculated_is_not_blank() -> None:
    (row,) = rows(openpyxl_content(lambda sheet: sheet.append(["x", '=UPPER("hidden")'])))
    assert isinstance(row.cells[1], UnreadableCell)
    assert "never calculated" in row.cells[1].reason


def test_the_zero_that_a_writer_puts_in_a_formulas_place_is_no_value() -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        sheet = book.add_worksheet()
        sheet.write_formula(0, 0, "=1+1")
        sheet.write_formula(0, 1, "=1+1", None, 2)
        sheet.write_number(0, 2, 0)
    (row,) = rows(content)
    assert isinstance(row.cells[0], UnreadableCell)
    assert list(row.cells[1:]) == [2, 0]


def test_cells_without_an_address_are_the_next_ones() -> None:
    content = openpyxl_content(lambda sheet: sheet.append(["x", None, "=1+1"]))
    (row,) = rows(
        edited(content, SHEET, lambda text: re.sub(r'(<c|<row) r="\w+"', r"\1", text).replace("<c ", "<c /><c ", 1))
    )
    assert row.cells[1] == "x"
    assert isinstance(row.cells[2], UnreadableCell)


def test_a_formula_that_was_calculated_is_its_value() -> None:
    content = openpyxl_content(lambda sheet: sheet.append(["x", "=1+1", '=""', '="a"']))
    xml = [("<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>"), ('<f>""</f><v></v>', "STR"), ('<f>"a"</f><v></v>', "TEXT")]

    def calculate(text: str) -> str:
        text = text.replace("<v />", "<v></v>").replace("<v/>", "<v></v>").replace(*xml[0])
        text = re.sub(r'<c r="C1"[^>]*>.*?</c>', '<c r="C1" t="str"><f>""</f><v></v></c>', text)
        return re.sub(r'<c r="D1"[^>]*>.*?</c>', '<c r="D1" t="str"><f>"a"</f><v>a</v></c>', text)

    content = edited(content, SHEET, calculate)
    content = edited(content, "xl/workbook.xml", lambda text: re.sub(r'fullCalcOnLoad="\w+"', "", text))
    (row,) = rows(content)
    assert list(row.cells) == ["x", 2, "", "a"]


def test_hidden_rows_columns_and_sheets_are_known() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for number in range(1, 7):
        sheet.append([number, "x"])
    for number in (3, 4, 6):
        sheet.row_dimensions[number].hidden = True
    sheet.column_dimensions["B"].hidden = True
    book.create_sheet("Old").sheet_state = "hidden"
    content = io.BytesIO()
    book.save(content)
    with open_spreadsheet(content) as opened:
        first, second = opened.tables
        assert [row.number for row in first.rows() if row.hidden] == [3, 4, 6]
        assert (first.is_hidden_column(1), first.is_hidden_column(2)) == (False, True)
        assert (first.hidden, second.hidden) == (False, True)
        assert first.address(4, 3) == "Sheet!C4"


def test_merged_cells_are_refused_at_each_of_them() -> None:
    def fill(sheet: Sheet) -> None:
        for _ in range(4):
            sheet.append(["a", "b", "c"])
        sheet.merge_cells("A2:B3")

    read = cells(openpyxl_content(fill))
    assert all(isinstance(one, UnreadableCell) and "A2:B3" in one.reason for line in (1, 2) for one in read[line][:2])
    assert (read[0], read[1][2], read[3]) == (["a", "b", "c"], "c", ["a", "b", "c"])


def test_a_five_kilobyte_workbook_that_spans_everything_is_refused_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "corners.xlsx"

    def fill(sheet: Sheet) -> None:
        sheet["A1"], sheet["XFD1048576"] = "x", "y"

    content = edited(
        openpyxl_content(fill), SHEET, lambda text: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1:B2"', text)
    )
    path.write_bytes(content.getvalue())
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "from pathlib import Path; from spotify_ads_async.spreadsheets import open_spreadsheet, SpreadsheetError\n"
        "try:\n    with open_spreadsheet(Path(sys.argv[1])) as book: list(book.tables[0].rows())\n"
        "except SpreadsheetError as error: print(error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "reaches to XFD1048576" in ended.stdout


def test_a_million_styled_rows_that_were_deleted_are_not_there() -> None:
    styled = "".join(f'<row r="{number}"><c r="XFD{number}" s="0"/></row>' for number in range(2, 50_000))
    content = edited(
        openpyxl_content(lambda sheet: sheet.append(["x"])),
        SHEET,
        lambda text: text.replace("</sheetData>", f"{styled}</sheetData>"),
    )
    assert len(rows(content)) == 1


@pytest.mark.parametrize(
    ("member", "edit", "said"),
    [
        (SHEET, lambda text: text.replace('<row r="2"', '<row r="1"'), "comes after row"),
        (SHEET, lambda text: text.replace('r="A2"', 'r="A7"'), "is in row 2"),
        (SHEET, lambda text: text.replace('<row r="2"', '<row r="2000000"'), "row 2000000"),
        (SHEET, lambda text: text[: len(text) // 2], "is damaged"),
        (SHEET, lambda text: "<!DOCTYPE x [<!ENTITY a 'b'>]>" + text.partition("?>")[2], "document type"),
        ("xl/workbook.xml", lambda text: "<!DOCTYPE x [<!ENTITY a 'b'>]>" + text.partition("?>")[2], "document type"),
        ("xl/_rels/workbook.xml.rels", lambda text: text.replace("sheet1.xml", "sheet9.xml"), "is missing"),
    ],
)
def test_damaged_workbooks_are_refused(member: str, edit: Callable[[str], str], said: str) -> None:
    content = openpyxl_content(lambda sheet: (sheet.append(["x"]), sheet.append(["y"]))[0])
    assert said in refused(edited(content, member, edit))


def test_an_archive_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotify_ads_async.spreadsheets.archives.LARGEST_UNPACKED", 1_000_000)
    bomb = openpyxl_content(lambda sheet: sheet.append(["x"]))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/x.bin", bytes(1_000_000))
    assert "unpacks to more than" in refused(bomb)


def test_an_archive_that_holds_a_name_twice() -> None:
    content = openpyxl_content(lambda sheet: sheet.append(["x"]))
    twice = io.BytesIO(content.getvalue())
    with zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("XL/worksheets/sheet1.xml", "<worksheet/>")
    assert "twice" in refused(twice)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("xl/workbook.bin", ".xlsb"),
        ("Index/Document.iwa", "Numbers"),
        ("word/document.xml", "Word"),
        ("changes.csv", "ZIP archive"),
    ],
)
def test_other_archives_are_named(member: str, said: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(member, "x")
    assert said in refused(content)


def test_prefixes_of_other_writers_do_not_matter() -> None:
    def prefixed(text: str) -> str:
        text = re.sub(r"<(/?)(?![?!])", r"<\1x:", text)
        return text.replace('xmlns="', 'xmlns:x="')

    def fill(sheet: Sheet) -> None:
        sheet.append([1, "=1+1"])
        sheet.row_dimensions[1].hidden = True

    (row,) = rows(edited(openpyxl_content(fill), SHEET, prefixed))
    assert row.hidden
    assert isinstance(row.cells[1], UnreadableCell)


def ods(lines: Sequence[Sequence[TableCell]], hidden: Sequence[int] = (), repeat_last: int = 1) -> io.BytesIO:
    document = OpenDocumentSpreadsheet()
    off = Style(name="off", family="table")
    off.addElement(TableProperties(display="false"))
    document.automaticstyles.addElement(off)
    table = Table(name="Data")
    for number, line in enumerate(lines, start=1):
        options: dict[str, Any] = {"visibility": "filter"} if number in hidden else {}
        if number == len(lines) and repeat_last > 1:
            options["numberrowsrepeated"] = repeat_last
        row = TableRow(**options)
        for cell in line:
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.spreadsheet.addElement(Table(name="Old", stylename=off))
    content = io.BytesIO()
    document.write(content)
    return content


def ods_text(text: str, **options: Sheet) -> TableCell:
    cell = TableCell(valuetype="string", **options)
    cell.addElement(P(text=text))
    return cell


def test_opendocument_values_hidden_rows_and_formats() -> None:
    content = ods(
        [
            [ods_text("name"), ods_text("amount")],
            [ods_text("a"), TableCell(valuetype="float", value="15000")],
            [ods_text("b"), TableCell(valuetype="percentage", value="0.15")],
            [ods_text("c"), TableCell(valuetype="currency", currency="EUR", value="99.95")],
            [ods_text("d"), TableCell(valuetype="date", datevalue="2030-01-31T18:30:00")],
        ],
        hidden=[3],
    )
    with open_spreadsheet(content) as opened:
        read = list(opened.tables[0].rows())
        assert [table.hidden for table in opened.tables] == [False, True]
    assert [list(row.cells) for row in read] == [
        ["name", "amount"],
        ["a", 15000],
        ["b", FormattedNumber(Decimal("0.15"), percent=True)],
        ["c", FormattedNumber(Decimal("99.95"), currency="EUR")],
        ["d", datetime.fromisoformat("2030-01-31T18:30")],
    ]
    assert [row.number for row in read if row.hidden] == [3]


def test_opendocument_traps() -> None:
    content = ods(
        [[ods_text("x"), TableCell(formula="of:=1+1")], [ods_text("y", numbercolumnsspanned=2), CoveredTableCell()]]
    )
    first, second = rows(content)
    assert isinstance(first.cells[1], UnreadableCell)
    assert all(isinstance(one, UnreadableCell) for one in second.cells[:2])
    wide = ods([[ods_text("x")], [ods_text("y", numbercolumnsrepeated=16384)]], repeat_last=1_000_000)
    assert "more than 20,000,000 cells" in refused(wide)


def test_opendocument_rows_without_values_at_the_end_are_not_there() -> None:
    assert len(rows(ods([[ods_text("x")], [TableCell(numbercolumnsrepeated=1024)]], repeat_last=1_048_575))) == 1


def xls(fill: Callable[[xlwt.Worksheet], None]) -> io.BytesIO:
    book = xlwt.Workbook()
    fill(book.add_sheet("Data"))
    hidden = book.add_sheet("Old")
    hidden.visibility = 1
    content = io.BytesIO()
    book.save(content)
    return content


def test_old_workbooks() -> None:
    def fill(sheet: xlwt.Worksheet) -> None:
        sheet.write(0, 0, "name")
        sheet.write(1, 0, "Jürgen \u2013 夏")
        sheet.write(1, 1, 15000)
        sheet.write(2, 0, 1, xlwt.easyxf(num_format_str="0%"))  # whole numbers have records of another kind
        sheet.write(2, 1, 0.15, xlwt.easyxf(num_format_str="0.00%"))
        sheet.write(3, 1, 9.5, xlwt.easyxf(num_format_str="[$€-407]#,##0.00"))
        sheet.write(4, 0, xlwt.Formula("1+1"))
        sheet.write_merge(5, 6, 0, 1, "merged")
        sheet.row(2).hidden = True

    content = xls(fill)
    read = rows(content)
    assert [list(row.cells) for row in read[:4]] == [
        ["name", ""],
        ["Jürgen \u2013 夏", 15000],
        [FormattedNumber(1, percent=True), FormattedNumber(Decimal("0.15"), percent=True)],
        ["", FormattedNumber(Decimal("9.5"), currency="€")],
    ]
    assert isinstance(read[4].cells[0], UnreadableCell)
    assert all(isinstance(cell, UnreadableCell) for row in read[5:7] for cell in row.cells)
    assert [row.number for row in read if row.hidden] == [3]
    with open_spreadsheet(content) as opened:
        assert [table.hidden for table in opened.tables] == [False, True]


@pytest.mark.parametrize("length", [100, 600, 1500, 3000])
def test_old_workbooks_that_end_early(length: int) -> None:
    content = xls(lambda sheet: sheet.write(0, 0, "x"))
    broken = io.BytesIO(content.getvalue()[:length])
    with pytest.raises(SpreadsheetError):
        rows(broken)


def test_every_byte_of_a_workbook_may_be_wrong_without_a_traceback() -> None:
    def fill(sheet: Sheet) -> None:
        sheet.append(["name", "amount", 1.5, "=1+1"])

    for content in (openpyxl_content(fill), ods([[ods_text("x")]]), xls(lambda sheet: sheet.write(0, 0, "x"))):
        good = content.getvalue()
        for place in range(0, len(good), max(1, len(good) // 40)):
            broken = bytearray(good)
            broken[place] ^= 0x5A
            with contextlib.suppress(SpreadsheetError), open_spreadsheet(io.BytesIO(bytes(broken))) as opened:
                for table in opened.tables:
                    list(table.rows())


def test_what_a_format_shows_and_a_cell_does_not_hold() -> None:
    def fill(sheet: Sheet) -> None:
        sheet.append([123, datetime.fromisoformat("2030-01-31T00:00"), 0, 1.5])
        for column, number_format in enumerate(("00000", "yyyy-mm-dd hh:mm", "hh:mm", "[h]:mm"), start=1):
            sheet.cell(1, column).number_format = number_format

    (row,) = rows(openpyxl_content(fill))
    assert list(row.cells) == [123, date(2030, 1, 31), time(0, 0), timedelta(hours=36)]
