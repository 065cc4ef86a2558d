"""Lists of identifiers, row by row: what of a sheet or of a text is an identifier, and what is not."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from spotify_ads_async.spreadsheets import SpreadsheetError, Table, UnreadableCell
from spotify_ads_async.spreadsheets.cells import CellValue, Row
from spotify_ads_async.spreadsheets.facts import SheetFacts
from spotify_ads_async.uploads.identifiers import (
    Counts,
    NotCsvError,
    distinct,
    encoding_of,
    hashed,
    holds_identifiers,
    identifiers,
    lines_of_workbook,
    missing_from,
    normalised,
)

DEVICE = "AEBE52E7-03EE-455A-B3C4-E57283966239"


def hashes(*people: str) -> list[str]:
    return [hashlib.sha256(one.encode()).hexdigest() for one in people]


def table(*rows: Sequence[CellValue], hidden: int = 0, hidden_column: int = 0) -> Table:
    found = [Row(number, cells, hidden=number == hidden) for number, cells in enumerate(rows, start=1)]
    facts = SheetFacts(name="List")
    facts.hidden_columns.add(hidden_column, value=True)
    return Table(lambda: iter(found), facts)


def test_the_rows_of_a_sheet_are_lines_of_csv_and_blank_ones_stay() -> None:
    lines = lines_of_workbook(table(["Name", "E-Mail"], [], ["Ann, \n Bob", "a@b.co"], [7], hidden=2))
    assert list(lines) == ["Name,E-Mail\n", "\n", '"Ann, Bob",a@b.co\n', "7\n"]


def test_a_row_that_cannot_be_read_or_seen_is_named() -> None:
    with pytest.raises(SpreadsheetError) as caught:
        list(lines_of_workbook(table(["a"], ["b", UnreadableCell("shows an error: mend it")])))
    said = "has a cell in List, row 2 that shows an error: mend it"
    assert (caught.value.reason, caught.value.sheet, caught.value.row) == (said, "List", 2)
    with pytest.raises(SpreadsheetError) as caught:
        list(lines_of_workbook(table(["a"], ["b"], hidden=2)))
    said = "has hidden rows (List, row 2 is the first): show them, or delete them"
    assert (caught.value.reason, caught.value.row) == (said, 2)


def test_a_hidden_column_is_named_where_its_header_says_that_it_holds_identifiers() -> None:
    with pytest.raises(SpreadsheetError) as caught:
        list(lines_of_workbook(table(["Name", " E-Mail "], ["Ann", "a@b.co"], hidden_column=2)))
    said = "has a hidden column of identifiers (E-Mail): show it, or delete it"
    assert (caught.value.reason, caught.value.row) == (said, 1)
    assert len(list(lines_of_workbook(table(["E-Mail", "Name"], ["a@b.co", "email"], hidden_column=2)))) == 2


def test_a_sheet_holds_identifiers_where_any_cell_does() -> None:
    assert holds_identifiers(table(["Name"], [UnreadableCell("x"), "nobody; A@b.co"]))
    assert not holds_identifiers(table(["Name"], ["nobody", 7]))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (" MailTo:A@b.co.", "a@b.co"),
        ("<a\u200b@b.co>", "a@b.co"),
        ("a@.co", None),
        ("a\u036f@b.co", None),  # an accent that is part of no letter
    ],
)
def test_what_does_not_belong_to_an_identifier_is_taken_away(text: str, plain: str | None) -> None:
    assert normalised(text) == plain
    once = hashed(text)
    assert once == (None if plain is None else hashes(plain)[0])
    assert once is None or hashed(once.upper()) == once


def test_each_hash_comes_once(tmp_path: Path) -> None:
    counts = Counts()
    people = hashes(*map(str, range(200)))
    assert sorted(distinct([*people, *people[:70]], tmp_path, counts)) == sorted(people)
    assert (counts.identifiers, counts.repeated) == (200, 70)


def test_marks_that_do_not_pair_are_named_by_their_line() -> None:
    lines = ["e-mail,name\n", "a@b.co,Ann\n", '"b@b.co\n', "c@b.co\n"]
    with pytest.raises(NotCsvError, match=r"^quotation marks do not pair from line 3 on$") as caught:
        list(identifiers(lines, None, Counts()))
    assert caught.value.line == 3
    with pytest.raises(NotCsvError) as caught:
        list(identifiers(["sep=;\n", "e-mail;name\n", '"a@b.co\n'], None, Counts()))
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("lines", "columns"),
    [
        (["E-Mail,Name\n", 'a@b.co, "Bo, B"\n'], None),
        (["Name\tE-Mail\n", "\ta@b.co\n"], None),
        (["Name\tMail\n", ' \t"a@b.co"\n'], ["mail"]),
        (["sep=|\n", "x|Mail\n", "1|a@b.co\n"], ["MAIL"]),
        (["Mail\n", "a@b.co\n"], ["Mail"]),
        (["\ufeffE-Mail;Id\n", "a@b.co;7\n"], None),
        (["MADID,fn\n", "a@b.co,x\n"], None),
        (["mail;other\n", "a@b.co\n"], ["other", "mail"]),
        (['Name, "E-Mail"\n', "x,a@b.co\n"], None),
        (["Xmail\n", "a@b.co\n"], ["xmail"]),
        (["mail,device id\n", f"a@b.co,{DEVICE}\n"], ["mail"]),
        (["e-mail,name,other\n", "a@b.co,b@b.co,x\n"], None),
        (["name,e-mail,\n", "x,a@b.co,\n", ",,,\n"], None),
    ],
)
def test_columns_are_found_whatever_separates_them(lines: list[str], columns: list[str] | None) -> None:
    counts = Counts()
    assert list(identifiers(lines, columns, counts)) == hashes("a@b.co")
    assert (counts.refused, counts.empty, counts.cleaned) == (0, 0, 0)


@pytest.mark.parametrize(("separator", "cleaned"), [(",", 0), (";", 0), ("\t", 1)])
def test_a_space_behind_a_separator_is_none_of_a_cells_unless_tabs_separate(separator: str, cleaned: int) -> None:
    counts = Counts()
    lines = [f"Name{separator}E-Mail\n", f'x{separator} "a@b.co"\n']
    assert list(identifiers(lines, None, counts)) == hashes("a@b.co")
    assert counts.cleaned == cleaned


@pytest.mark.parametrize(
    "lines",
    [
        ["a@b.co;b@b.co\n"],
        ["\ta@b.co\n"],
        ["e-mail\n", "a@b.co,x\n"],
        ["e-mail\n", "a@b.co,\n"],
        ["e-mail,,\n", "a@b.co,x,\n"],
        ["e-mail,name\n", 'a@b.co,"Ann\n', 'b@b.co"\n'],
        ["e-mail,name,other\n", "a@b.co,b@b.co\n"],
        ["e-mail,device id\n", f"{DEVICE},{DEVICE}\n"],
    ],
)
def test_where_it_is_not_clear_whose_an_identifier_is_nothing_is_taken(lines: list[str]) -> None:
    counts = Counts()
    assert list(identifiers(lines, None, counts)) == []
    assert counts.refused == 1


@pytest.mark.parametrize("lines", [[], ["sep=;\n"], ["e-mail\n"]])
def test_a_list_without_lines_holds_nothing(lines: list[str]) -> None:
    counts = Counts()
    assert list(identifiers(lines, None, counts)) == []
    assert counts == Counts()


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="phone"):
        list(identifiers(["mail;name\n", "a@b.co;x\n"], ["mail", "phone"], Counts()))
    with pytest.raises(KeyError, match="mail"):
        list(identifiers(["sep=;\n", "name\n"], ["mail"], Counts()))
    with pytest.raises(KeyError, match="phone"):  # of separators that leave as many missing, the first one
        list(identifiers(["a;phone;b,mail\n"], ["mail", "phone"], Counts()))


def test_lines_are_counted_by_what_became_of_them() -> None:
    lines = [
        "name,e-mail\n",
        ",a@b.co\n",
        "Bob,\n",
        ",\n",
        "Eve,nobody\n",
        "Ann;b@b.co,\n",
        "x,B@b.co a@b\n",
        "y,\x07c@b.co\n",
        "Bea,\n",
        ",<d@b.co>\n",
        ",mailto:e@b.co\n",
    ]
    counts = Counts()
    assert list(identifiers(lines, None, counts)) == hashes("a@b.co", "d@b.co", "e@b.co")
    assert (counts.refused, counts.refused_lines, counts.empty, counts.cleaned) == (4, [5, 6, 7, 8], 2, 2)
    assert counts.sample == ["a@b.co", "d@b.co", "e@b.co"]


@pytest.mark.parametrize(
    ("cell", "refused"),
    [
        ("Ann", False),
        ("Ann Bob", False),
        ("Ann x@ @x", False),
        ("@nobody", True),
        ("x@", True),
        ("Ann b@cd", True),
        ("Ann bc@d", True),
        ("Ann a@b.co", True),
        (f"Ann {DEVICE}", True),
    ],
)
def test_words_beside_an_identifier_are_a_name_unless_they_look_like_one(cell: str, refused: bool) -> None:  # noqa: FBT001
    counts = Counts()
    found = list(identifiers(["e-mail\n", f"z@b.co; {cell}\n"], None, counts))
    assert (counts.refused, found) == ((1, []) if refused else (0, hashes("z@b.co"))), cell


def test_many_refused_lines_are_counted_and_the_first_ten_named() -> None:
    counts = Counts()
    list(identifiers(["nobody\n"] * 30, None, counts))
    assert (counts.refused, counts.refused_lines) == (30, list(range(1, 11)))
    counts = Counts()
    list(identifiers([f"p{number}@b.co\n" for number in range(300)], None, counts))
    assert counts.sample == [f"p{number}@b.co" for number in range(256)]


def test_other_letters_are_none_where_nobody_knows_how_they_were_written() -> None:
    counts = Counts()
    assert list(identifiers(["ä@b.co\n", "X@b.co\n"], None, counts)) == hashes("ä@b.co", "x@b.co")
    assert list(identifiers(["ä@b.co\n", "a@b.co\n"], None, counts, ascii_only=True)) == hashes("a@b.co")
    assert counts.refused_lines == [1]
    assert [normalised(one) for one in ("Ä@b.co", "हिन्दी@डेटामेल.भारत")] == ["ä@b.co", "हिन्दी@डेटामेल.भारत"]
    assert normalised(f"{'a' * 63}\u0940") is None


def test_what_was_written_is_compared_with_what_was_read() -> None:
    counts = Counts(identifiers=2, sample=["a@b.co"])
    one, other = (f"{line}\n" for line in hashes("a@b.co", "b@b.co"))
    assert missing_from([one, other], counts) == ""
    assert missing_from([other], counts) == "1 of 2 hashes are there"
    assert missing_from([other, other], counts) == "1 of 1 identifiers that were hashed again are not there"
    assert missing_from([one, "cut\n"], counts) == "line 2 is no hash"
    assert missing_from([one[:-1], other[:-1]], counts) == ""


@pytest.mark.parametrize(
    ("content", "stated", "found"),
    [
        (b"a@b.co", None, ("utf-8-sig", False)),
        ("ä@b.co".encode(), None, ("utf-8-sig", False)),
        ("ä@b.co".encode("cp1252"), None, ("cp1252", True)),
        ("ä@b.co".encode("latin-1"), "latin-1", ("iso8859-1", False)),
        ("a@b.co".encode("utf-16"), None, ("utf-16", False)),
        (b"a" * 1_048_575 + "ä".encode(), None, ("utf-8-sig", False)),
    ],
)
def test_the_encoding_of_a_list(content: bytes, stated: str | None, found: tuple[str, bool]) -> None:
    assert encoding_of(io.BytesIO(content), stated) == found


@pytest.mark.parametrize(
    ("content", "stated", "said"),
    [
        (
            b"a\x81\xff",
            None,
            "is neither UTF-8, UTF-16 nor Windows-1252: state its encoding (encoding=…), or save it as",
        ),
        (b"a\xff", "utf-8", "is not utf-8 throughout: state its encoding (encoding=…), or save it as UTF-8"),
        (b"\xef\xbb\xbfa\xff", None, "is not utf-8 throughout: state its encoding (encoding=…), or save it as UTF-8"),
        ("ä".encode()[:1], None, ""),
    ],
)
def test_a_list_in_no_encoding_that_can_be_told(content: bytes, stated: str | None, said: str) -> None:
    if not said:  # a letter that was cut
        assert encoding_of(io.BytesIO(content), stated) == ("cp1252", True)
        return
    with pytest.raises(SpreadsheetError) as caught:
        encoding_of(io.BytesIO(content), stated)
    assert caught.value.reason.startswith(said)
