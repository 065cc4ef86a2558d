"""Text files as the programs of the world write them."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.spreadsheets import Format, SpreadsheetError, open_spreadsheet, trimmed


def rows(content: bytes, encoding: str | None = None) -> list[tuple[int, list[object]]]:
    with open_spreadsheet(io.BytesIO(content), encoding=encoding) as opened:
        (table,) = opened.tables
        return [(row.number, list(row.cells)) for row in table.rows()]


def refused(content: bytes, encoding: str | None = None) -> str:
    with pytest.raises(SpreadsheetError) as caught:
        rows(content, encoding)
    return str(caught.value)


TABLE = "id,name\r\n1,Sommer \u2013 Jürgen\r\n2,Été\r\n"
READ = [(1, ["id", "name"]), (2, ["1", "Sommer \u2013 Jürgen"]), (3, ["2", "Été"])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_that_tell_themselves(encoding: str) -> None:
    assert rows(TABLE.encode(encoding)) == READ


def test_a_western_excel_is_taken_for_granted_and_said() -> None:
    with open_spreadsheet(io.BytesIO(TABLE.encode("cp1252"))) as opened:
        assert [(row.number, list(row.cells)) for row in opened.tables[0].rows()] == READ
        assert opened.encoding_is_guessed
        assert "Windows-1252" in opened.remarks[0]
        assert "Sommer \u2013 Jürgen" in opened.remarks[0]


def test_a_mac_is_told_by_its_line_ends() -> None:
    with open_spreadsheet(io.BytesIO("id,name\r1,Jürgen\r".encode("mac_roman"))) as opened:
        assert [row.cells[1] for row in opened.tables[0].rows()] == ["name", "Jürgen"]
        assert "Mac Roman" in opened.remarks[0]


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "windows-1251", "cp1250"])
def test_an_encoding_that_is_stated(encoding: str) -> None:
    text = {"shift_jis": "夏の広告", "gb18030": "夏天", "windows-1251": "Лето", "cp1250": "Léto žluť"}[encoding]
    assert rows(f"id,name\n1,{text}\n".encode(encoding), encoding)[1] == (2, ["1", text])


def test_an_encoding_that_is_stated_wrongly() -> None:
    assert "is not ascii" in refused(TABLE.encode(), "ascii")
    assert "no encoding 'klingon'" in refused(TABLE.encode(), "klingon")
    assert "begins with the mark" in refused(TABLE.encode("utf-8-sig"), "cp1252")


def test_a_byte_far_into_the_file_tells_the_encoding_of_all_of_it() -> None:
    content = b"id,name\n" + b"1,plain\n" * 50_000 + "2,Jürgen\n".encode("cp1252")
    assert rows(content)[-1] == (50_002, ["2", "Jürgen"])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(separator: str, ending: str) -> None:
    text = ending.join([separator.join(["id", "name", "x"]), separator.join(["1", '"a, b; c"', "3"]), ""])
    assert rows(text.encode()) == [(1, ["id", "name", "x"]), (2, ["1", "a, b; c", "3"])]


@pytest.mark.parametrize("statement", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_own_statement_of_the_separator(statement: str) -> None:
    assert rows(f"{statement}\r\nid;name\r\n1;a,b\r\n".encode()) == [(2, ["id", "name"]), (3, ["1", "a,b"])]


@pytest.mark.parametrize(
    "text",
    [
        "id;amount\n1;1,5\n2;2,5\n",
        "id;Budget, daily, in USD\n1;1,5\n2;2,25\n",
        'id;"a;b,c,d,e"\n1;2\n',
        "id;amount\n1;1.234,56\n",
        "id;name\n1\n2\n",
    ],
)
def test_a_file_of_semicolons_never_becomes_one_column(text: str) -> None:
    assert all(len(cells) == 2 for number, cells in rows(text.encode()) if number == 1)


def test_semicolons_inside_of_cells_do_not_separate() -> None:
    assert rows(b"id,genders\n1,MALE;FEMALE\n2,MALE;FEMALE\n")[2] == (3, ["2", "MALE;FEMALE"])


def test_lines_are_those_of_the_file() -> None:
    assert [number for number, _ in rows(b'id,name\n\n1,"two\nlines"\n2,x\n')] == [1, 2, 3, 5]
    assert rows(b'id,name\n1,"first\rsecond"\n2,x\n') == [
        (1, ["id", "name"]),
        (2, ["1", "first\rsecond"]),
        (4, ["2", "x"]),
    ]


def test_formulas_that_guard_a_text() -> None:
    assert rows(b'id,name\n"=""00123""",x\n="219E01",y\n') == [
        (1, ["id", "name"]),
        (2, ["00123", "x"]),
        (3, ["219E01", "y"]),
    ]


def test_blanks_before_quotation_marks() -> None:
    assert rows(b'id, "name"\n1, "a, b"\n')[1] == (2, ["1", "a, b"])


def test_quotation_marks_that_do_not_pair() -> None:
    assert "cannot be read as CSV" in refused(b'id,name\n1,"x\n2,y\n')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-1.7\n", "is a PDF"),
        (b"\x89PNG\r\n", "is a picture: save the table"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"  <html><table>", "web page"),
        (b"<?xml version='1.0'?><Workbook>", "is XML"),
        (b"ID;PWXL;N;E\r\n", "SYLK"),
        (b'[{"id": 1}]', "JSON list"),
        (b'{"url": "https://docs.google.com/open?id=1"}', "shortcut to a Google sheet"),
        (b"\0" * 100_000, "NUL"),
        (b"id,name\n1,a\0b\n", "NUL"),
        (b"", "is empty"),
        (b"PAR1\x15\x04", "Parquet"),
    ],
)
def test_what_is_no_table_is_named(content: bytes, said: str) -> None:
    assert said in refused(content)


def test_json_lines_are_lines() -> None:
    with open_spreadsheet(io.BytesIO(b'\xef\xbb\xbf{"id": 1}\r\n\n{"id": 2}')) as opened:
        assert opened.format is Format.JSON_LINES
        assert list(opened.lines()) == [(1, '{"id": 1}\r\n'), (2, "\n"), (3, '{"id": 2}')]


def test_a_cell_may_be_large_and_a_line_has_a_bound() -> None:
    assert len(str(rows(b"id,name\n1," + b"x" * 1_000_000 + b"\n")[1][1][1])) == 1_000_000
    assert "more than 16,777,216 characters" in refused(b"id,name\n1," + b"x" * (17 * 1024 * 1024))


def test_an_endless_device_is_refused_at_once() -> None:
    asked: list[float] = []

    def check(waited: float) -> None:
        asked.append(waited)
        if len(asked) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_spreadsheet(Path("/dev/zero"), check=check):
        pass


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(TABLE.encode()))
    writer.start()
    with open_spreadsheet(pipe) as opened:
        assert [(row.number, list(row.cells)) for row in opened.tables[0].rows()] == READ
    writer.join()


def test_a_pipe_that_nobody_writes_can_be_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def check(waited: float) -> None:
        raise KeyboardInterrupt(waited)

    with pytest.raises(KeyboardInterrupt), open_spreadsheet(pipe, check=check):
        pass


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SpreadsheetError, match="is a folder"), open_spreadsheet(tmp_path):
        pass


@pytest.mark.parametrize("text", ["\u00a0Name\u00a0", "\ufeffName", " \tName\u200b ", "\u2009Name\r\n"])
def test_what_nobody_sees_at_the_ends(text: str) -> None:
    assert trimmed(text) == "Name"


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\x1a")), min_size=2, max_size=4), min_size=1
    )
)
def test_whatever_is_written_as_csv_reads_back(table: list[list[str]]) -> None:
    import csv  # noqa: PLC0415 - here alone

    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["one", "two"], *table])
    read = rows(out.getvalue().encode())
    guarded = [cell for row in table for cell in row if cell.startswith('="')]
    if not guarded:
        assert [cells for _, cells in read] == [["one", "two"], *table]
