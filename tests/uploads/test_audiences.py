"""Customer lists: hashed here, put into storage without the token, created or replaced, and awaited."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import io
import os
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.calls import ACCOUNT, client
from support.effort import examples
from support.raw_server import Connection, RawServer, answer

from spotify_ads_async import AdAccount, ConfigurationError, InvalidAnswer, InvalidRequest, RequestRejected, ServerError
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AudienceStatus
from spotify_ads_async.uploads import AudienceFailed
from spotify_ads_async.uploads.hash_folder import hash_folder
from spotify_ads_async.uploads.identifiers import Counts, distinct, encoding_of, hashed, identifiers, missing_from

PEOPLE = [f"Listener.{number}@Example.com" for number in range(1234)]
DEVICE = "AEBE52E7-03EE-455A-B3C4-E57283966239"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_a_list_becomes_an_audience_and_is_replaced(account: AdAccount, tmp_path: Path) -> None:
    path = tmp_path / "crm.txt"
    await anyio.Path(path).write_text("\n".join([*PEOPLE, PEOPLE[0].upper(), ""]))
    done = await account.audiences.upload_file(path, description="Spring")
    assert (done.identifiers, done.repeated, done.refused) == (1234, 1, 0)
    assert (done.audience.name, done.audience.description, done.status) == ("crm", "Spring", AudienceStatus.LIVE)
    assert done.audience.size is not None
    assert done.audience.size.min == 1200
    again = await account.audiences.upload_file(PEOPLE[:250], audience_id=done.id)
    assert again.id == done.id
    assert not again.unchanged
    assert again.audience.size is not None
    assert again.audience.size.min == 200


async def test_answers_that_are_lost_make_no_second_audience(server: Emulator, account: AdAccount) -> None:
    for operation in ("createUploadUrl", "createAudience"):
        server.add_fault("lost_answer", operation=operation, times=1)
    done = await account.audiences.upload_file(PEOPLE, name="Fans")
    assert done.status == AudienceStatus.LIVE
    assert server.statistics().operations["createAudience"] == 1


async def test_lines_without_an_identifier_refuse_the_list_and_are_named_by_number_alone(
    server: Emulator, account: AdAccount
) -> None:
    lines = [PEOPLE[0], "Jane Doe", PEOPLE[1], "secret words"]
    with pytest.raises(InvalidRequest, match=r"2 lines without an identifier \(lines 2, 4\)") as caught:
        await account.audiences.upload_file(lines, name="Fans")
    assert "Jane" not in str(caught.value)
    assert server.statistics().requests == 0
    done = await account.audiences.upload_file(lines, name="Fans", skip_invalid=True)
    assert (done.identifiers, done.refused) == (2, 2)
    with pytest.raises(InvalidRequest, match="no identifier"):
        await account.audiences.upload_file([], name="Fans")


class SignedPlace:
    """An API that hands out a signed URL, and a storage whose connections break."""

    def __init__(self, server: RawServer, *, resumable: bool, breaks: int = 0, refuses: bool = False) -> None:
        self.server = server
        self.resumable = resumable
        self.breaks = breaks
        self.refuses = refuses
        self.content = b""
        self.status = "LIVE"
        self.claims = ""
        self.place_id = self.audience_id = ACCOUNT
        self.told: dict[str, str] = {}
        self.location = f"{server.origin}/session"
        server.otherwise = self.behave

    async def behave(self, connection: Connection) -> None:
        request = connection.request
        assert request is not None
        if request.target.startswith("/ads/v3/"):
            place = {"id": self.place_id, "upload_url": f"{self.server.origin}/signed?X-Goog-Signature=s3cret"}
            audience = {"id": self.audience_id, "status": self.status, **self.told}
            await answer(200, place if "upload_url" in request.target else audience)(connection)
            return
        assert not {"authorization", "x-spotify-ads-sdk"} & request.headers.keys()
        if self.refuses:
            await answer(403, b"<Error/>")(connection)
        elif request.method == "POST":
            place = {"Location": self.location} if self.resumable else {}
            await answer(201 if self.resumable else 405, b"", headers=place)(connection)
        elif request.headers.get("content-range", "").startswith("bytes */"):
            got = {"Range": self.claims or f"bytes=0-{len(self.content) - 1}"} if self.content or self.claims else {}
            await answer(308, b"", headers=got)(connection)
        elif self.breaks:
            self.breaks -= 1
            if self.resumable:
                self.content += request.body[:20_000]
            connection.reset()
        else:
            self.content = (self.content if "content-range" in request.headers else b"") + request.body
            await answer(200, b"")(connection)


@pytest.mark.parametrize("resumable", [True, False])
async def test_an_upload_to_storage_survives_breaks(resumable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async with RawServer() as server, client(server.base_url) as ads:
        place = SignedPlace(server, resumable=resumable, breaks=2)
        await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")
        assert sorted(place.content.decode().splitlines()) == sorted(sha256(one.lower()) for one in PEOPLE)
        put = [
            one
            for one in server.received
            if one.method == "PUT" and not one.headers.get("content-range", "").startswith("bytes */")
        ]
        assert [len(one.body) for one in put] == ([80_210, 60_210, 40_210] if resumable else [80_210] * 3)


async def test_a_refusing_storage_shows_no_secret() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        SignedPlace(server, resumable=True, refuses=True)
        with pytest.raises(RequestRejected) as caught:
            await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")
    assert "s3cret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("text", "is_hash_of"),
    [
        (" Jane.Doe@Example.COM ", "jane.doe@example.com"),
        ("\ufeffjane@example.com", "jane@example.com"),
        (DEVICE, DEVICE.lower()),
        ("00000000-0000-0000-0000-000000000000", None),
        (sha256("00000000-0000-0000-0000-000000000000"), None),
        (sha256("").upper(), None),
        ("jane@example", None),
        ("jane doe@example.com", None),
        ("jane\u200b@exam\u00adple.com\u200e", "jane@example.com"),
        ("mailto:Jane@example.com", "jane@example.com"),
        ("\u00a0jane@example.com\u00a0", "jane@example.com"),
        ("jo\u0308rg@example.com", "j\u00f6rg@example.com"),
        ("jane\0@example.com", None),
        ("jane@example.com\x1f", None),
        ("ja\x07ne@example.com", None),
        ("j\ufffdrg@example.com", None),
        ("+491701234567", None),
        ("", None),
    ],
)
def test_identifiers_are_normalised_and_hashed(text: str, is_hash_of: str | None) -> None:
    assert hashed(text) == (None if is_hash_of is None else sha256(is_hash_of))


@given(st.text(min_size=1).filter(lambda text: text != "00000000-0000-0000-0000-000000000000"))
def test_a_hash_is_taken_as_it_is(text: str) -> None:
    one = sha256(text)
    assert hashed(one) == hashed(f" {one.upper()}\n") == one


@pytest.mark.parametrize(
    ("lines", "columns", "expected"),
    [
        (["email,name", "a@b.co,Ann", "c@d.co,Carl"], None, ["a@b.co", "c@d.co"]),
        (["Name;x,E-Mail Address,Device ID", f"Ann,a@b.co,{DEVICE}"], None, ["a@b.co", DEVICE.lower()]),
        (["who,mail_of_customer", "Ann,a@b.co"], ["mail_of_customer"], ["a@b.co"]),
        (["a@b.co ", '"c@d.co"\n'], None, ["a@b.co", "c@d.co"]),
        (["", "a@b.co", ""], None, ["a@b.co"]),
        (["Name;E-Mail", "Ann;a@b.co", "Carl;c@d.co"], None, ["a@b.co", "c@d.co"]),
        (["Name\tE-Mail\n", "Ann\ta@b.co\n"], None, ["a@b.co"]),
        (["sep=;\n", "who;mail_of_customer\n", "Ann;a@b.co\n"], ["Mail_of_customer"], ["a@b.co"]),
        (["email", '"a@b.co, c@d.co"'], None, ["a@b.co", "c@d.co"]),
    ],
)
def test_files_with_and_without_a_header(lines: list[str], columns: list[str] | None, expected: list[str]) -> None:
    counts = Counts(refused_lines=[])
    assert list(identifiers(lines, columns, counts)) == [sha256(one) for one in expected]
    assert not counts.refused


def test_a_mark_that_nothing_closes_takes_no_other_line_with_it() -> None:
    counts = Counts(refused_lines=[])
    lines = ["a@b.co\n", '"c@d.co\n', '"Jane Doe\n', *(f"u{number}@d.co\n" for number in range(20_000))]
    assert len(list(identifiers(lines, None, counts))) == 20_002
    assert counts.refused_lines == [3]


async def test_marks_that_do_not_pair_refuse_a_file_with_a_header(server: Emulator, account: AdAccount) -> None:
    lines = ["email,name\n", "a@b.co,Ann\n", 'c@d.co,"Jane\n', *(f"u{number}@d.co,x\n" for number in range(20_000))]
    with pytest.raises(InvalidRequest, match="do not pair, in the row that begins at line 3") as caught:
        await account.audiences.upload_file(lines, name="Fans", skip_invalid=True)
    assert "Jane" not in str(caught.value)
    assert server.statistics().requests == 0


async def test_what_is_no_text_is_a_line_without_an_identifier(server: Emulator, account: AdAccount) -> None:
    column: list[Any] = ["a@b.co", float("nan"), None, b"c@d.co"]
    with pytest.raises(InvalidRequest, match=r"has 3 lines without an identifier \(lines 2, 3, 4\)"):
        await account.audiences.upload_file(column, name="Fans")
    assert server.statistics().requests == 0


def test_lines_are_named_as_an_editor_numbers_them() -> None:
    counts = Counts(refused_lines=[])
    lines = ["email,address\r\n", 'a@b.co,"Road 1\r\n', 'Town"\r\n', "\r\n", "nobody,Town\r\n", "c@d.co,Town\r\n"]
    assert list(identifiers(lines, None, counts)) == [sha256("a@b.co"), sha256("c@d.co")]
    assert counts.refused_lines == [5]


@pytest.mark.parametrize("wrong", [{}, {"name": "x"}, {"name": "Fans", "description": "x" * 81}])
async def test_what_no_audience_can_be_called_is_refused_before_the_list_is_sent(
    server: Emulator, account: AdAccount, wrong: dict[str, str]
) -> None:
    with pytest.raises(InvalidRequest):
        await account.audiences.upload_file(PEOPLE, **wrong)
    assert server.statistics().requests == 0


@settings(max_examples=examples(25))
@given(st.lists(st.sampled_from([sha256(str(number)) for number in range(200)]), max_size=400))
def test_each_hash_is_kept_once(hashes: list[str]) -> None:
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        kept = list(distinct(hashes, Path(folder), counts))
    assert sorted(kept) == sorted(set(hashes))
    assert (counts.identifiers, counts.repeated) == (len(kept), len(hashes) - len(kept))


def test_a_long_list_takes_no_more_memory_than_its_part(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            hashes = (sha256(str(number)) for number in range(count))
            assert sum(1 for _ in distinct(hashes, tmp_path, Counts())) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(100_000) < peak(1000) + 1_000_000


def test_a_line_is_taken_whole_or_refused_whole() -> None:
    counts = Counts()
    beside = [
        "a@b.co;c@d",
        f"e@f.co;{DEVICE}",
        "e@f.co;Ann",
        "g@h.co\0;",
        "i@j.co;\x07",
        "Ann <m@n.co>;o@p.co",
        "k@l.co;",
    ]
    lines = ["email;idfa", *beside]
    assert list(identifiers(lines, None, counts)) == [sha256(x) for x in ("e@f.co", DEVICE.lower(), "e@f.co", "k@l.co")]
    assert counts.refused_lines == [2, 5, 6, 7]
    assert counts.sample == ["e@f.co", DEVICE.lower(), "e@f.co", "k@l.co"]
    # Without a header nobody knows what a second cell is: another customer, a boss, the list's own numbering.
    counts = Counts()
    assert not list(identifiers(beside, None, counts))
    assert counts.refused == 7


def test_an_address_in_another_column_is_not_passed_over() -> None:
    counts = Counts(refused_lines=[])
    lines = ["name;email", "Ann;a@b.co", "Ben c@d.co", "Carl", "Dora;", "e@f.co;", "Fay;f@g.co;also f2@g.co"]
    assert list(identifiers(lines, None, counts)) == [sha256("a@b.co")]
    assert counts.refused_lines == [3, 6, 7]
    assert counts.empty == 2
    # Half a quotation mark in each of two names: the rows between are part of a name.
    counts = Counts(refused_lines=[])
    lines = ["email,name", 'a@b.co,"Ann', 'c@d.co,Ben"', 'e@f.co,"Eve', 'asked i@j.co"']
    assert list(identifiers([f"{line}\n" for line in lines], None, counts)) == [sha256("e@f.co")]
    assert counts.refused_lines == [2]
    counts = Counts()
    lines = ["email,manager\n", '"a@b.co,boss@b.co\n', 'c@d.co",boss@d.co\n', "e@f.co,\n"]
    assert list(identifiers(lines, None, counts)) == [sha256("e@f.co")]
    assert counts.refused_lines == [2]
    # A name of two lines without quotation marks: below it, cells stand in other columns.
    counts = Counts()
    lines = ["city,name,email,boss", "Ulm,Ann", "Lee,a@b.co,c@d.co", "Ulm,Eve,e@f.co"]
    assert list(identifiers(lines, None, counts)) == [sha256("e@f.co")]
    assert (counts.refused_lines, counts.empty) == ([3], 1)
    counts = Counts()
    lines = ["name,email,id", "Ann", f"Lee,{DEVICE}", "Eve,e@f.co,7"]
    assert list(identifiers(lines, None, counts)) == [sha256("e@f.co")]
    assert (counts.refused_lines, counts.empty) == ([3], 1)
    # Of a row wider than its header nobody knows which cell is whose.
    for wide in ("a@b.co,Ann,c@d.co", "e@f.co,Eve,,", "g@h.co,i@j.co,Guy"):
        counts = Counts()
        assert not list(identifiers(["email,name,", wide, ",,,"], None, counts))
        assert (counts.refused_lines, counts.empty) == ([2], 0)
    repeated = ["email,name,email\n", "a@b.co,Ann,c@d.co\n"]
    assert list(identifiers(repeated, ["Email"], Counts())) == [sha256("a@b.co"), sha256("c@d.co")]


def test_the_lists_own_numbering_is_no_device_beside_addresses() -> None:
    counts = Counts(refused_lines=[])
    lines = ["customer_id,email", f"{DEVICE},a@b.co", f"{DEVICE},", "17,c@d.co"]
    assert list(identifiers(lines, None, counts)) == [sha256("a@b.co"), sha256("c@d.co")]
    assert counts.refused_lines == [3]
    for header in ("id", "customer_id,name"):
        assert not list(identifiers([header, f"{DEVICE},{DEVICE}"], None, Counts()))
    assert list(identifiers(["id,maid", f"{sha256('7')},{DEVICE}"], None, Counts())) == [sha256(DEVICE.lower())]


async def test_a_list_in_a_workbook(account: AdAccount, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Name", "E-Mail"],
        ["Ann", "mailto:Listener1@example.com"],
        [None, None],
        ["Bob", "listener2@example.com."],
    ):
        book.active.append(row)
    path = tmp_path / "crm.xlsx"
    book.save(path)
    done = await account.audiences.upload_file(path)
    assert (done.identifiers, done.repeated, done.refused, done.cleaned) == (2, 0, 0, 2)
    book.active.append(["Eve", "nobody"])
    book.save(path)
    with pytest.raises(InvalidRequest, match=r"lines 5"):
        await account.audiences.upload_file(path)
    book.active.delete_rows(5)
    book.active["C1"], book.active["C2"] = "Heard of us by", "e-mail"
    book.active.column_dimensions["C"].hidden = True
    book.save(path)
    assert (await account.audiences.upload_file(path)).identifiers == 2
    book.active["C1"] = "e-mail 2"
    book.save(path)
    with pytest.raises(InvalidRequest, match=r"has a hidden column of identifiers \(e-mail 2\)"):
        await account.audiences.upload_file(path)
    book.active["C1"] = "GUID"
    lookup = book.create_sheet("Lookup")
    lookup.sheet_state = "hidden"
    lookup.append(["Gold", "Silver"])
    book.save(path)
    assert (await account.audiences.upload_file(path)).identifiers == 2
    lookup.append(["", "listener3@example.com"])
    book.save(path)
    with pytest.raises(InvalidRequest, match=r"sheets that hold something: Sheet, Lookup \(hidden\)"):
        await account.audiences.upload_file(path)
    book.remove(book["Sheet"])
    book.create_sheet("Notes")
    book.save(path)
    with pytest.raises(InvalidRequest, match="holds the list in Lookup, which is hidden: show the sheet"):
        await account.audiences.upload_file(path)


@pytest.mark.parametrize(
    "typed",
    [
        "mailto:a@b.co",
        "A@B.CO.",
        "'a@b.co'",
        "“a@b.co”",
        "<a@b.co>",
        "\u200ba@b.co\u200b",
        "\uff41\uff20\uff42\uff0e\uff43\uff4f",
        "\ufeffa@b.co",
        "a\u00ad@b.co",
        "\u00a0a@b.co\u2009",
        "a@b.co…",
    ],
)
def test_what_does_not_belong_to_an_address_is_cleaned_before_it_is_hashed_and_counted(typed: str) -> None:
    counts = Counts(refused_lines=[])
    assert list(identifiers([typed], None, counts)) == [sha256("a@b.co")]
    assert counts.cleaned == (typed.strip().lower() != "a@b.co")


@pytest.mark.parametrize(
    "typed",
    [
        "a@b.co|Bob",
        "1|a@b.co",
        "a@b.co:Bob",
        "a@b.co/c",
        "(a@b.co)",
        "[a@b.co]",
        "smtp:a@b.co",
        "a@b.co?subject=hi",
        "mailto:a@b.co?subject=hi",
        "a@b.co*",
        "a@b.co!",
        "a@b.co_",
        "a@b.co-",
        "a@b.co。",
        "a@b.co¹",
        "•a@b.co",
        "=a@b.co",
        "ALİ@B.CO",
        "o\u2019neil@b.co",
        "a@b.co\\n",
    ],
)
def test_an_address_with_something_more_is_refused_and_never_hashed_as_one(typed: str) -> None:
    counts = Counts(refused_lines=[])
    assert list(identifiers([typed, "c@d.co"], None, counts)) == [sha256("c@d.co")]
    assert (counts.refused, counts.refused_lines) == (1, [1])


@pytest.mark.parametrize(
    "typed",
    ["o'neil+list@b-c.example.co.uk", "a!#$%&*/=?^_`~.b@b.co", "jörg@münchen.example", "a@例え.jp", "a@xn--r8jz45g.jp"],
)
def test_an_address_keeps_what_it_may_hold(typed: str) -> None:
    counts = Counts(refused_lines=[])
    assert list(identifiers([typed], None, counts)) == [sha256(typed)]


def test_columns_with_numbers_hold_identifiers_too() -> None:
    counts = Counts(refused_lines=[])
    assert set(identifiers(["Email 1,E-mail_2,Name\n", "a@b.co,c@d.co,Bob\n"], None, counts)) == {
        sha256("a@b.co"),
        sha256("c@d.co"),
    }


ADDRESSES = "listener1@example.com\nlistener2@example.com"
NAMED = "Name,E-Mail\nMüller,listener1@example.com\nJosé,listener2@example.com\n"
READ = {
    "UTF-8": (NAMED.encode(), "utf-8-sig", False),
    "UTF-8 with a mark": (NAMED.encode("utf-8-sig"), "utf-8-sig", False),
    "UTF-16 with a mark": (ADDRESSES.encode("utf-16"), "utf-16", False),
    "UTF-16, big end first, with a mark": (codecs.BOM_UTF16_BE + NAMED.encode("utf-16-be"), "utf-16", False),
    "UTF-16 without a mark": (f"{ADDRESSES}\n".encode("utf-16-le"), "utf-16-le", False),
    "UTF-16 without a mark and a last line end": (ADDRESSES.encode("utf-16-be"), "utf-16-be", False),
    "Windows-1252": (NAMED.encode("cp1252"), "cp1252", True),
    "lines of an old Macintosh": (ADDRESSES.replace("\n", "\r").encode(), "utf-8-sig", False),
}


@pytest.mark.parametrize("name", READ)
async def test_a_list_is_read_in_the_encoding_that_it_is_in(account: AdAccount, tmp_path: Path, name: str) -> None:
    content, encoding, assumed = READ[name]
    path = tmp_path / "crm.csv"
    path.write_bytes(content)
    done = await account.audiences.upload_file(path)
    assert (done.identifiers, done.repeated, done.refused) == (2, 0, 0)
    assert (done.encoding, done.encoding_assumed) == (encoding, assumed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (NAMED.encode("utf-16")[:-1], "is not utf-16 throughout"),
        (b"a@b.co\n\x81\x8d@b.co\n", "is neither UTF-8, UTF-16 nor Windows-1252"),
        ("jörg@example.com\na@b.co\n".encode("cp1252"), r"1 lines without an identifier \(lines 1\)"),
        (b"PK\x03\x04" + bytes(100), "is damaged"),
        (b"<html><body>Sign in</body></html>", "is a web page"),
        (b"a@b.co\nc\0@d.co\n", r"1 lines without an identifier \(lines 2\)"),
    ],
)
async def test_what_cannot_be_read_for_sure_is_refused(
    server: Emulator, account: AdAccount, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "crm.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=said):
        await account.audiences.upload_file(path)
    assert server.statistics().requests == 0


async def test_an_encoding_can_be_stated(account: AdAccount, tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_bytes("jörg@example.com\nbjörn@example.com\n".encode("cp1252"))
    done = await account.audiences.upload_file(path, encoding="windows-1252")
    assert (done.identifiers, done.encoding_assumed) == (2, False)
    with pytest.raises(InvalidRequest, match="there is no encoding 'klingon'"):
        await account.audiences.upload_file(path, encoding="klingon")


@given(
    st.sets(st.integers(0, 10_000), min_size=1, max_size=50),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    st.booleans(),
)
def test_the_same_people_have_the_same_hashes_in_every_encoding(people: set[int], encoding: str, ends: bool) -> None:  # noqa: FBT001
    rows = ["Señor,E-Mail", *(f"Señor {one},s{one}@example.com" for one in sorted(people))]
    text = "\r\n".join(rows) + "\r\n" * ends
    content = io.BytesIO(text.encode(encoding))
    found, assumed = encoding_of(content, None)
    lines = text.encode(encoding).decode(found).splitlines(keepends=True)
    counts = Counts(refused_lines=[])
    assert list(identifiers(lines, None, counts, ascii_only=assumed)) == [
        sha256(f"s{one}@example.com") for one in sorted(people)
    ]
    assert not counts.refused


def test_what_is_uploaded_is_held_to_what_was_read() -> None:
    counts = Counts(sample=[])
    hashes = [f"{one}\n" for one in identifiers(["a@b.co", "c@d.co", sha256("e")], None, counts)]
    counts.identifiers = 3
    assert missing_from(hashes, counts) == ""
    assert missing_from(hashes[:2], counts) == "2 of 3 hashes are there"
    assert (
        missing_from([*hashes[:2], f"{sha256('f')}\n"], counts)
        == "1 of 3 identifiers that were hashed again are not there"
    )
    assert missing_from([hashes[0], "a@b.co\n"], counts) == "line 2 is no hash"


async def test_a_list_that_the_disk_lost_is_not_uploaded(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def half(self: Path, mode: str = "r", **how: Any) -> Any:  # noqa: ANN401 - as Path.open
        if self.name == "list.csv" and mode == "r":
            self.write_bytes(self.read_bytes()[:-130])
        return real(self, mode, **how)

    monkeypatch.setattr(Path, "open", half)
    with pytest.raises(ConfigurationError, match="is not what was read"):
        await account.audiences.upload_file(PEOPLE, name="Fans")
    assert server.statistics().requests == 0


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("spotify-ads-list-*"))


async def test_hashes_that_a_kill_left_behind_are_cleared_by_the_next_run(account: AdAccount, tmp_path: Path) -> None:
    tempfile.tempdir = str(tmp_path)
    try:
        program = "import os, signal\nfrom spotify_ads_async.uploads.hash_folder import hash_folder\n"
        program += (
            "with hash_folder() as folder:\n    (folder / 'list.csv').write_text('x')\n    os.kill(os.getpid(),"
            " signal.SIGKILL)"
        )
        await anyio.run_process(
            [sys.executable, "-c", program], check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        (left,) = folders()
        strangers = tmp_path / "spotify-ads-list-of-somebody"
        strangers.mkdir()
        with hash_folder() as mine:
            assert not left.exists()
            await account.audiences.upload_file(PEOPLE[:300], name="Fans")
            # Neither one that is in use nor one of which nobody knows whose it is.
            assert folders() == {mine, strangers}
        assert folders() == {strangers}
    finally:
        tempfile.tempdir = None


async def test_an_archived_audience_ends_the_wait_and_an_empty_one_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        place = SignedPlace(server, resumable=True)
        for place.status in ("ARCHIVED", "FAILED"):
            said = f"is {place.status.lower()} and cannot be used: upload the list as a new audience"
            with pytest.raises(AudienceFailed, match=said):
                await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")
        place.status = "EMPTY"
        await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")
    assert "nobody on its list was found" in caplog.text


@pytest.mark.parametrize("what", ["name", "description"])
async def test_an_audience_that_is_called_otherwise_is_said(what: str) -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        place, audiences = SignedPlace(server, resumable=True), ads.ad_account(ACCOUNT).audiences
        asked = {"name": "Fans", "description": "Who heard it"}
        place.told = {**asked, what: "Others"}
        with pytest.raises(
            InvalidAnswer, match=f"is there with its list, and its {what} is 'Others' and not"
        ) as caught:
            await audiences.upload_file(PEOPLE, **asked)
        assert caught.value.may_have_taken_effect
        place.told = {name: f" {text.upper()}" for name, text in asked.items()}
        assert (await audiences.upload_file(PEOPLE, **asked)).id == ACCOUNT
        # The list of an audience that is there is replaced whatever it is called.
        assert (await audiences.upload_file(PEOPLE, audience_id=ACCOUNT, timeout=None)).id == ACCOUNT


async def test_an_audience_that_does_not_show_its_new_list_is_said() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        SignedPlace(server, resumable=True)
        done = await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, audience_id=ACCOUNT, timeout=None)
    assert (done.status, done.unchanged) == (AudienceStatus.LIVE, True)


async def test_a_list_goes_to_no_other_audience() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        place, audiences = SignedPlace(server, resumable=True), ads.ad_account(ACCOUNT).audiences
        place.place_id = DEVICE.lower()
        with pytest.raises(InvalidAnswer, match=f"an address for audience {place.place_id} and not for {ACCOUNT}"):
            await audiences.upload_file(PEOPLE, audience_id=ACCOUNT)
        assert not place.content
        place.audience_id = ACCOUNT
        with pytest.raises(InvalidAnswer, match=f"is about {ACCOUNT}, and not about {place.place_id}"):
            await audiences.upload_file(PEOPLE, name="Fans")


async def test_a_plain_put_names_its_type_and_a_session_does_not_need_to() -> None:
    for resumable in (True, False):
        async with RawServer() as server, client(server.base_url) as ads:
            SignedPlace(server, resumable=resumable)
            await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")
            (put,) = [one for one in server.received if one.method == "PUT"]
            assert put.headers.get("content-type") == (None if resumable else "text/csv")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"claims": "bytes=0-99999999"}, r"says that it has 'bytes=0-99999999' of a file of 80210 bytes"),
        ({"claims": "bytes 5"}, "which cannot be"),
        ({"location": "http://storage.example.com/session"}, "at an address that is none, or not encrypted"),
        ({"location": "/session"}, "at an address that is none, or not encrypted"),
    ],
)
async def test_a_storage_that_says_what_cannot_be_is_not_believed(place: dict[str, str], said: str) -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        vars(SignedPlace(server, resumable=True, breaks=1)).update(place)
        with pytest.raises(InvalidAnswer, match=said):
            await ads.ad_account(ACCOUNT).audiences.upload_file(PEOPLE, name="Fans")


@pytest.mark.parametrize(
    ("resumable", "said"),
    [(True, "says that it has .* bytes, and was sent"), (False, "answered after .* bytes, 4 times")],
)
async def test_a_storage_that_answers_before_it_has_the_list_is_not_believed(resumable: bool, said: str) -> None:  # noqa: FBT001
    origin = ""

    async def storage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                place = f"Location: {origin}/session\r\n" if resumable and head.startswith(b"POST") else ""
                status = 405 if head.startswith(b"POST") and not resumable else 200
                writer.write(f"HTTP/1.1 {status} Whatever\r\n{place}Content-Length: 0\r\n\r\n".encode())
                if b"bytes */" not in head and head.startswith(b"PUT"):
                    break
        writer.close()

    people = [f"joe{number}@example.com" for number in range(20_000)]
    async with await asyncio.start_server(storage, "127.0.0.1", 0) as listening, RawServer() as server:
        origin = "http://127.0.0.1:{1}".format(*listening.sockets[0].getsockname())
        server.otherwise = answer(200, {"id": ACCOUNT, "upload_url": f"{origin}/signed", "status": "LIVE"})
        async with client(server.base_url) as ads:
            with pytest.raises((InvalidAnswer, ServerError), match=said):
                await ads.ad_account(ACCOUNT).audiences.upload_file(people, name="Fans")
