"""Customer lists: hashed here, put into storage without the token, created or replaced, and awaited."""

from __future__ import annotations

import hashlib
import tempfile
import tracemalloc
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import ACCOUNT, client
from support.raw_server import Connection, RawServer, answer

from spotify_ads_async import AdAccount, InvalidRequest, RequestRejected
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AudienceStatus
from spotify_ads_async.uploads.identifiers import Counts, distinct, hashed, identifiers

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
    assert again.audience.size is not None
    assert again.audience.size.min == 200


async def test_answers_that_are_lost_make_no_second_audience(server: Emulator, account: AdAccount) -> None:
    for operation in ("createUploadUrl", "createAudience"):
        server.add_fault("lost_answer", operation=operation, times=1)
    done = await account.audiences.upload_file(PEOPLE, name="Fans")
    assert done.status == AudienceStatus.LIVE
    assert server.statistics().operations["createAudience"] == 1


async def test_lines_without_an_identifier_refuse_the_list_and_are_named_by_number_alone(server: Emulator, account: AdAccount) -> None:
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
        server.otherwise = self.behave

    async def behave(self, connection: Connection) -> None:
        request = connection.request
        assert request is not None
        if request.target.startswith("/ads/v3/"):
            place = {"id": ACCOUNT, "upload_url": f"{self.server.origin}/signed?X-Goog-Signature=s3cret"}
            await answer(200, place if "upload_url" in request.target else {"id": ACCOUNT, "status": "LIVE"})(connection)
            return
        assert not {"authorization", "x-spotify-ads-sdk"} & request.headers.keys()
        if self.refuses:
            await answer(403, b"<Error/>")(connection)
        elif request.method == "POST":
            place = {"Location": f"{self.server.origin}/session"} if self.resumable else {}
            await answer(201 if self.resumable else 405, b"", headers=place)(connection)
        elif request.headers.get("content-range", "").startswith("bytes */"):
            got = {"Range": f"bytes=0-{len(self.content) - 1}"} if self.content else {}
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
        put = [one for one in server.received if one.method == "PUT" and not one.headers.get("content-range", "").startswith("bytes */")]
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
        ("jane@example", None),
        ("jane doe@example.com", None),
        ("+491701234567", None),
        ("", None),
    ],
)
def test_identifiers_are_normalised_and_hashed(text: str, is_hash_of: str | None) -> None:
    assert hashed(text) == (None if is_hash_of is None else sha256(is_hash_of))


@given(st.text())
def test_a_hash_is_taken_as_it_is(text: str) -> None:
    one = sha256(text)
    assert hashed(one) == hashed(f" {one.upper()}\n") == one


@pytest.mark.parametrize(
    ("lines", "columns", "expected"),
    [
        (["email,name", "a@b.co,Ann", "c@d.co,Carl"], None, ["a@b.co", "c@d.co"]),
        (["Name;x,E-Mail Address,Device ID", f"Ann,a@b.co,{DEVICE}"], None, ["a@b.co", DEVICE.lower()]),
        (["who,mail_of_customer", "Ann,a@b.co"], ["mail_of_customer"], ["a@b.co"]),
        (["a@b.co,Ann", "c@d.co,Carl"], None, ["a@b.co", "c@d.co"]),
        (["", "a@b.co", ""], None, ["a@b.co"]),
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
