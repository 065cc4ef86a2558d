"""Media files arrive whole, whatever the connection, the process or the server do."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import signal
import stat
import sys
from array import array
from pathlib import Path

import anyio
import msgspec
import pytest
from support.calls import ACCOUNT, QUICK, client
from support.raw_server import Behaviour, RawServer, answer, reset

from spotify_ads_async import (
    AdAccount,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    InvalidAnswer,
    InvalidRequest,
    RequestRejected,
)
from spotify_ads_async.cli.text import name_of
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AssetCreate, AssetStatus, AssetSubtype, AssetType
from spotify_ads_async.uploads import AssetFailed, UploadProgress
from tests.uploads.media_server import ASSET, SESSION, MediaServer

MIB = 1024 * 1024
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (640).to_bytes(4, "big") * 2 + bytes(64)


def media(folder: Path, size: int, name: str = "spot.mp3", head: bytes = MP3) -> Path:
    """A file whose every part is different."""
    path = folder / name
    block = array("I", range(MIB // 4)).tobytes()
    with path.open("wb") as out:
        out.write(head)
        written = len(head)
        while written < size:
            out.write(block[: size - written] if size - written < MIB else written.to_bytes(8, "big") + block[8:])
            written = out.tell()
    return path


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_small_file_goes_whole_and_becomes_ready(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    path = media(tmp_path, 40_000)
    done = await account.assets.upload(path, name="Autumn spot")
    assert done.status == AssetStatus.READY
    assert done.sha256 == digest(path)
    assert (await account.assets.get(done.id)).name == "Autumn spot"
    assert server.statistics().operations["uploadAsset"] == 1
    assert names(tmp_path) == ["spot.mp3"]


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names of files are text there")
async def test_a_file_whose_name_is_no_text_is_uploaded(account: AdAccount, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"spot\xff.mp3")
    await anyio.Path(path).write_bytes(b"ID3" + bytes(1000))
    assert (await account.assets.upload(path)).asset.name == "spot\\xff.mp3"
    assert name_of(path).endswith("spot\\xff.mp3")


async def test_a_large_file_goes_in_sections(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    path = media(tmp_path, 5 * MIB + 7)
    events: list[UploadProgress] = []
    done = await account.assets.upload(path, progress=events.append)
    assert done.status == AssetStatus.READY
    assert done.sections == 11
    assert server.statistics().operations["transferChunkedAsset"] == 11
    sent = [event.sent for event in events if event.phase == "sending"]
    assert sent == sorted(sent)
    assert (sent[0], sent[-1]) == (0, path.stat().st_size)
    assert [event.phase for event in events][-2:] == ["processing", "ready"] or events[-1].phase == "ready"


async def test_an_image_keeps_its_type(account: AdAccount, tmp_path: Path) -> None:
    path = tmp_path / "logo.png"
    await anyio.Path(path).write_bytes(PNG)
    done = await account.assets.upload(path)
    assert (done.asset.asset_type, done.status) == (AssetType.IMAGE, AssetStatus.READY)


async def test_the_client_hears_of_progress(server: Emulator, tmp_path: Path) -> None:
    heard: list[object] = []
    async with client(server.base_url) as ads:
        ads.subscribe(heard.append)
        await ads.ad_account(server.ad_account_id).assets.upload(media(tmp_path, 10_000))
    assert [event.phase for event in heard if isinstance(event, UploadProgress)][-1] == "ready"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "not empty"),
        (b"a text file, and no media", "PNG, JPEG, MP3"),
        (PNG, "of type AUDIO; its first bytes say IMAGE"),
    ],
)
async def test_what_is_no_media_is_refused_before_anything_is_sent(
    server: Emulator, account: AdAccount, tmp_path: Path, content: bytes, rule: str
) -> None:
    path = tmp_path / "thing.mp3"
    await anyio.Path(path).write_bytes(content)
    with pytest.raises(InvalidRequest, match=rule):
        await account.assets.upload(path, asset_type=AssetType.AUDIO)
    assert server.statistics().requests == 0


async def test_what_the_server_cannot_use_is_an_error(account: AdAccount, tmp_path: Path) -> None:
    # QuickTime may begin so; the emulator knows only files that begin with ftyp.
    path = media(tmp_path, 1000, "clip.mov", b"\0\0\0\x08moov")
    with pytest.raises(AssetFailed, match=r"clip\.mov"):
        await account.assets.upload(path)
    assert names(tmp_path) == ["clip.mov"]


async def test_processing_that_takes_too_long_can_be_waited_for_again(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    server.store.processing_seconds = 60.0
    path = media(tmp_path, 1000)
    with pytest.raises(ConnectionFailed, match="PROCESSING after 0 s"):
        await account.assets.upload(path, timeout=0.0)
    server.clock.skew += 61.0
    done = await account.assets.upload(path)
    assert done.resumed
    assert done.status == AssetStatus.READY
    assert server.statistics().operations["createAsset"] == server.statistics().operations["uploadAsset"] == 1


async def test_a_file_that_was_taken_and_not_kept_is_sent_again(tmp_path: Path) -> None:
    path = media(tmp_path, 5 * MIB)
    async with MediaServer() as server, client(server.base_url) as ads:
        assets = ads.ad_account(ASSET).assets
        server.answers = {"status": "WAITING_UPLOAD"}
        with pytest.raises(ConnectionFailed, match=r"took spot\.mp3, and asset .* waits for it all the same"):
            await assets.upload(path, timeout=0.0)
        server.answers = {}
        server.completed, sent = None, server.received
        assert (await assets.upload(path)).status == AssetStatus.READY
        assert server.received == 2 * sent


async def test_a_lost_answer_never_makes_two_assets_or_two_uploads(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    for operation in ("createAsset", "uploadAsset", "getAsset"):
        server.add_fault("lost_answer", operation=operation, times=1)
    done = await account.assets.upload(media(tmp_path, 1000))
    assert done.status == AssetStatus.READY
    assert server.statistics().operations["createAsset"] == 1
    assert server.statistics().operations["uploadAsset"] == 1


async def test_a_step_that_is_refused_since_it_was_made_before_is_settled(server: Emulator, tmp_path: Path) -> None:
    for operation in ("uploadAsset", "getAsset"):
        server.add_fault("lost_answer", operation=operation, times=1)
    async with client(server.base_url, policy=msgspec.structs.replace(QUICK, attempts=1)) as ads:
        done = await ads.ad_account(server.ad_account_id).assets.upload(media(tmp_path, 1000))
    assert done.status == AssetStatus.READY
    assert server.statistics().operations["uploadAsset"] == 2


async def test_a_refusal_is_looked_into_where_the_server_shows_late_what_it_took(tmp_path: Path) -> None:
    def told(status: str) -> Behaviour:
        return answer(200, {"id": ASSET, "name": "Spot", "status": status})

    steps = [told("WAITING_UPLOAD"), reset, told("WAITING_UPLOAD"), answer(409), told("PROCESSING"), told("READY")]
    async with RawServer(script=steps) as server, client(server.base_url) as ads:
        done = await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 1000), name="Spot", unique_name=True)
        assert (done.id, done.status) == (ASSET, AssetStatus.READY)


async def test_a_lost_answer_of_any_step_in_sections_is_settled(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    for operation in ("startUploadChunkedAsset", "transferChunkedAsset", "completeUploadChunkedAsset"):
        server.add_fault("lost_answer", operation=operation, times=1)
    done = await account.assets.upload(media(tmp_path, 5 * MIB))
    assert done.status == AssetStatus.READY
    assert server.statistics().operations["completeUploadChunkedAsset"] == 1


async def test_a_connection_that_breaks_often_re_sends_little(tmp_path: Path) -> None:
    path = media(tmp_path, 40 * MIB)
    size = path.stat().st_size
    async with MediaServer(breaks_at=[number * 10 * MIB + 300_000 for number in range(2)], lost_answers=1) as server:
        async with client(server.base_url) as ads:
            done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert server.broken == 2
        assert hashlib.sha256(server.content()).hexdigest() == done.sha256 == digest(path)
        # Two sections broke amid, one came twice; the rest of the difference is what multipart adds.
        assert server.received - size < 3 * MIB // 2 + 40 * 1024
        assert len(server.transfers) == 81


@pytest.mark.parametrize("last_line", [b'{"sent": 1', b'{"sent": "\xff"}\n', b"[" * 100_000 + b"\n"])
async def test_an_upload_goes_on_after_a_crash(tmp_path: Path, last_line: bytes) -> None:
    path = media(tmp_path, 12 * MIB)
    async with MediaServer() as server:
        with anyio.CancelScope() as crash:
            server.before_section = lambda _: crash.cancel() if len(server.transfers) >= 5 else None
            async with client(server.base_url) as ads:
                await ads.ad_account(ACCOUNT).assets.upload(path)
        assert crash.cancelled_caught
        first = len(server.transfers)
        server.before_section = None
        # The crash came amid a line, or the disk lost what was in it.
        async with await anyio.open_file(f"{path}.upload", "ab") as journal:
            await journal.write(last_line)
        async with client(server.base_url) as ads:
            done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert done.resumed
        assert (server.creates, server.starts) == (1, 1)
        assert hashlib.sha256(server.content()).hexdigest() == digest(path)
        # At most what was under way came twice.
        assert first < 24
        assert len(server.transfers) <= 24 + 4
    assert names(tmp_path) == ["spot.mp3"]


async def test_a_crash_right_after_registering_registers_nothing_twice(tmp_path: Path) -> None:
    path = media(tmp_path, 1000)
    journal = tmp_path / "journal"
    async with MediaServer() as server, client(server.base_url) as ads:
        assets = ads.ad_account(ACCOUNT).assets
        with anyio.CancelScope() as crash:
            server.after_create = crash.cancel
            await assets.upload(path, journal=journal, timeout=None)
        assert crash.cancelled_caught
        assert b'"mark"' in await anyio.Path(journal).read_bytes()
        server.after_create = None
        done = await assets.upload(path, journal=journal, timeout=None)
        assert done.id == ASSET
        assert server.creates == 1


async def test_a_session_that_the_server_forgot_is_begun_anew(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer() as server:
        with anyio.CancelScope() as crash:
            server.before_section = lambda _: crash.cancel() if len(server.transfers) >= 2 else None
            async with client(server.base_url) as ads:
                await ads.ad_account(ACCOUNT).assets.upload(path)
        server.before_section, server.refuse_session = None, SESSION
        server.sections.clear()
        async with client(server.base_url) as ads:
            await ads.ad_account(ACCOUNT).assets.upload(path)
        assert server.starts == 2
        assert hashlib.sha256(server.content()).hexdigest() == digest(path)


async def test_a_file_that_changes_meanwhile_is_not_completed(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)

    def meddle(number: int) -> None:
        if number == 3:
            path.write_bytes(MP3 + bytes(6 * MIB))

    async with MediaServer(before_section=meddle) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest, match="changed while it was uploaded"):
            await ads.ad_account(ACCOUNT).assets.upload(path, concurrency=1)
        assert server.completed is None
        # What is there now is another file: the journal of the old one does not count.
        server.before_section = None
        done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert not done.resumed
        assert hashlib.sha256(server.content()).hexdigest() == done.sha256


async def test_an_asset_that_has_its_file_is_not_taken_for_this_one(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    done = await account.assets.upload(media(tmp_path, 1000))
    with pytest.raises(Conflict, match="has its file already"):
        await account.assets.upload(media(tmp_path, 2000, "other.mp3"), into=done.id)
    assert server.statistics().operations["uploadAsset"] == 1
    assert sorted(names(tmp_path)) == ["other.mp3", "spot.mp3"]


@pytest.mark.parametrize(("refused", "size"), [("uploadAsset", 1000), ("startUploadChunkedAsset", 5 * MIB)])
async def test_an_asset_that_somebody_else_gave_a_file_meanwhile_is_not_taken_for_this_one(
    server: Emulator, account: AdAccount, tmp_path: Path, refused: str, size: int
) -> None:
    server.add_fault("denied", operation=refused, times=1)
    path = media(tmp_path, size)
    with pytest.raises(RequestRejected):
        await account.assets.upload(path)
    waiting = next(one["id"] for one in server.store.account(server.ad_account_id).assets if "upload" in one["name"])
    theirs = await account.assets.upload(media(tmp_path, 2000, "theirs.mp3"), into=waiting)
    ours = await account.assets.upload(path)
    assert ours.id != theirs.id
    assert (ours.asset.name, ours.resumed) == ("spot.mp3", False)


async def test_what_registers_nothing_leaves_no_journal(account: AdAccount, tmp_path: Path) -> None:
    path = media(tmp_path, 1000)
    with pytest.raises(InvalidRequest):
        await account.assets.upload(path, name="x")
    with pytest.raises(RequestRejected):
        await account.assets.upload(path, into=ASSET)
    assert names(tmp_path) == ["spot.mp3"]


async def test_a_listener_that_raises_stops_no_upload(account: AdAccount, tmp_path: Path) -> None:
    def broken(event: UploadProgress) -> None:
        raise ValueError(event.phase)

    done = await account.assets.upload(media(tmp_path, 1000), progress=broken)
    assert done.status == AssetStatus.READY


async def test_a_journal_is_private_and_one_uploads_at_a_time(tmp_path: Path) -> None:
    path = media(tmp_path, 12 * MIB)
    journal = tmp_path / "spot.mp3.upload"
    modes: list[int] = []
    refused: list[str] = []
    async with MediaServer() as server, client(server.base_url) as ads, anyio.create_task_group() as group:
        assets = ads.ad_account(ACCOUNT).assets

        async def another() -> None:
            with pytest.raises(ConfigurationError, match="another upload works with the journal") as caught:
                await assets.upload(path)
            refused.append(str(caught.value))

        def look(number: int) -> None:
            if number == 3:
                modes.append(stat.S_IMODE(journal.stat().st_mode))
                group.start_soon(another)

        server.before_section = look
        done = await assets.upload(path)
    assert modes == [0o600]
    assert len(refused) == server.creates == server.starts == 1
    assert hashlib.sha256(server.content()).hexdigest() == done.sha256
    assert names(tmp_path) == ["spot.mp3"]


async def test_a_file_that_is_no_journal_stays_as_it_is(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    path, precious = media(tmp_path, 1000), tmp_path / "precious.txt"
    precious.write_text("years of work\n")
    with pytest.raises(ConfigurationError, match="is no journal"):
        await account.assets.upload(path, journal=precious)
    with pytest.raises(ConfigurationError, match="no journal can be kept"):
        await account.assets.upload(path, journal=tmp_path / "nowhere" / "journal")
    assert precious.read_text() == "years of work\n"
    assert server.statistics().requests == 0


async def test_an_asset_that_an_upload_leaves_behind_is_named(
    server: Emulator, account: AdAccount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, assets = media(tmp_path, 1000), server.store.account(server.ad_account_id).assets
    before = {one["id"] for one in assets}
    server.add_fault("error", operation="uploadAsset", status=400, times=2)
    with pytest.raises(RequestRejected):
        await account.assets.upload(path)
    (left,) = {one["id"] for one in assets} - before
    with pytest.raises(RequestRejected) as refused:
        await account.assets.upload(path, journal=False)
    (unjournalled,) = {one["id"] for one in assets} - before - {left}
    assert refused.value.__notes__ == [
        f"asset {unjournalled} was registered, and stays: into='{unjournalled}' goes on with it"
    ]
    done = await account.assets.upload(path, name="Another name")
    assert done.asset.name == "Another name"
    (said,) = [record.getMessage() for record in caplog.records if record.name == "spotify_ads_async"]
    assert said.endswith(f"was of another upload, which did not end: its asset {left} stays as it is")


async def test_an_asset_that_is_gone_is_registered_anew(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    path = media(tmp_path, 1000)
    server.add_fault("error", operation="uploadAsset", status=400, times=1)
    with pytest.raises(RequestRejected):
        await account.assets.upload(path)
    journal = tmp_path / "spot.mp3.upload"
    (noted,) = [
        json.loads(line)["asset_id"] for line in journal.read_text().splitlines() if "asset_id" in json.loads(line)
    ]
    journal.write_text(journal.read_text().replace(noted, ASSET))
    done = await account.assets.upload(path)
    assert done.status == AssetStatus.READY
    assert not done.resumed
    assert names(tmp_path) == ["spot.mp3"]


PROGRAM = """
import asyncio, sys
from spotify_ads_async import AdsClient

async def main():
    base_url, account, path = sys.argv[1:]
    async with AdsClient("a-token", base_url=base_url) as ads:
        await ads.ad_account(account).assets.upload(path)

asyncio.run(main())
"""


async def test_an_upload_goes_on_after_kill_9(tmp_path: Path) -> None:
    path = media(tmp_path, 12 * MIB)
    process: asyncio.subprocess.Process | None = None

    def kill(_: int) -> None:
        if process is not None and len(server.transfers) >= 8:
            server.before_section = None
            process.kill()

    async with MediaServer(before_section=kill) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, server.base_url, ACCOUNT, str(path)
        )
        assert await process.wait() == -signal.SIGKILL
        first = len(server.transfers)
        async with client(server.base_url) as ads:
            done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert done.resumed
        assert (server.creates, server.starts) == (1, 1)
        assert hashlib.sha256(server.content()).hexdigest() == digest(path)
        assert first < 24
        assert len(server.transfers) <= 24 + 4
    assert names(tmp_path) == ["spot.mp3"]


async def test_an_asset_of_the_same_name_is_not_taken_for_ours(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    path = media(tmp_path, 1000)
    # Somebody else has just registered one, and waits to send a file of his own.
    others = await account.assets.create(
        AssetCreate(asset_type=AssetType.AUDIO, name="spot.mp3", asset_subtype=AssetSubtype.USER_UPLOADED_AUDIO)
    )
    server.add_fault("lost_answer", operation="createAsset", times=1)
    done = await account.assets.upload(path)
    assert done.id != others.id
    assert (await account.assets.get(done.id)).name == "spot.mp3"
    server.add_fault("reset", operation="createAsset", times=1)
    again = await account.assets.upload(media(tmp_path, 2000, "again.mp3"), name="spot.mp3")
    assert again.id not in {others.id, done.id}
    assert others.id
    assert (await account.assets.get(others.id)).status == AssetStatus.WAITING_UPLOAD
    assert len([one async for one in account.assets.list(name="spot.mp3") if one.name == "spot.mp3"]) == 3
    # The answer is lost, and so is the one that would settle it: before a second create it is looked for again.
    server.add_fault("lost_answer", operation="createAsset", times=1)
    server.add_fault("error", operation="getAssetsByAdAccount", status=400, times=1)
    await account.assets.upload(media(tmp_path, 3000, "third.mp3"))
    assert len([one async for one in account.assets.list(name="third.mp3")]) == 1


async def test_an_asset_carries_a_mark_until_it_has_its_file(tmp_path: Path) -> None:
    async with MediaServer() as server, client(server.base_url) as ads:
        await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 1000), name="n" * 120, timeout=None)
    registered, name = server.names
    assert re.fullmatch(r"n{102} \(upload [0-9a-f]{8}\)", registered)
    assert name == "n" * 120


async def test_an_asset_keeps_the_name_that_somebody_gave_it_meanwhile(tmp_path: Path) -> None:
    async with MediaServer() as server, client(server.base_url) as ads:
        server.before_section = lambda _: setattr(server, "name", "The final cut")
        done = await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 5 * MIB))
    assert (done.asset.name, len(server.names)) == ("The final cut", 1)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ERROR", "check its format"),
        ("REJECTED", "policies for ads"),
        ("ARCHIVED", "somebody archived the asset meanwhile: upload the file again"),
    ],
)
async def test_a_final_status_ends_the_wait_at_once_with_what_to_do(tmp_path: Path, status: str, advice: str) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer(status=status) as server, client(server.base_url) as ads:
        with (
            anyio.fail_after(60),
            pytest.raises(AssetFailed, match=f"spot.mp3 will not be ready, for asset {ASSET} is {status}: .*{advice}"),
        ):
            await ads.ad_account(ACCOUNT).assets.upload(path)
    assert names(tmp_path) == ["spot.mp3"]


async def test_a_name_that_did_not_change_is_no_success(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer(renames=False) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match="the name did not change") as caught:
            await ads.ad_account(ACCOUNT).assets.upload(path)
        assert "the file is there" in caught.value.__notes__[0]
        server.renames = True
        assert (await ads.ad_account(ACCOUNT).assets.upload(path)).asset.name == "spot.mp3"
        assert server.creates == 1


async def test_an_asset_that_is_given_another_name_is_no_success(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer(writes=lambda name: f"other {name}") as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match=r"did not change to 'spot.mp3': it is 'other spot.mp3'") as caught:
            await ads.ad_account(ACCOUNT).assets.upload(path)
        assert "the file is there" in caught.value.__notes__[0]
    async with MediaServer(writes=str.upper) as server, client(server.base_url) as ads:
        assert (await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 5 * MIB))).asset.name == "SPOT.MP3"


@pytest.mark.parametrize("told", ["BACKGROUND_MUSIC", "STOCK_BACKGROUND_MUSIC"])
async def test_an_asset_of_another_subtype_gets_no_file(tmp_path: Path, told: str) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer(answers={"audio_type": told}) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match=f"was registered as {told} and not as USER_UPLOADED_AUDIO"):
            await ads.ad_account(ACCOUNT).assets.upload(path)
        assert server.transfers == []
        # What the document does not name says nothing.
        server.answers["audio_type"] = "NEWER"
        assert (await ads.ad_account(ACCOUNT).assets.upload(path)).status == AssetStatus.READY


@pytest.mark.parametrize("told", [None, "", "1" + ASSET[1:]])
async def test_an_upload_is_of_the_asset_that_was_registered(tmp_path: Path, told: str | None) -> None:
    """Whatever answers to its changes name, ready or not."""
    async with MediaServer(changed={"id": told, "status": "READY"}) as server, client(server.base_url) as ads:
        done = await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 5 * MIB))
    assert (done.id, done.asset.name) == (ASSET, "spot.mp3")


@pytest.mark.parametrize("answers", [{"name": "Audio 1"}, {"status": "READY"}, {"id": None}])
async def test_an_asset_that_is_not_the_registered_one_gets_no_file(tmp_path: Path, answers: dict[str, object]) -> None:
    async with MediaServer(answers=answers) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match="the answer names no asset that waits for this file"):
            await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 6 * MIB))
        assert server.transfers == []


@pytest.mark.parametrize("size", [-1, 0])
async def test_sections_of_no_size_are_no_answer(tmp_path: Path, size: int) -> None:
    async with MediaServer(max_chunk_size_mb=size) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match=f"allows sections of {size} MB"):
            await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 6 * MIB))
        assert server.transfers == []
        assert server.completed is None


@pytest.mark.parametrize("size", [1000, 6 * MIB])
@pytest.mark.parametrize("place", [-1, 0])
async def test_a_file_that_changes_in_flight_is_found_by_its_hash(tmp_path: Path, size: int, place: int) -> None:
    path = media(tmp_path, size)
    about = path.stat()

    def meddle(_: object = None) -> None:
        """One byte, the last one or one more, and the time as it was."""
        with path.open("r+b") as content:
            content.seek(place, 2)
            content.write(b"?")
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    async with MediaServer(after_create=meddle) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest, match="changed while it was uploaded"):
            await ads.ad_account(ACCOUNT).assets.upload(path)
        assert server.completed is None
        server.after_create = None
        done = await ads.ad_account(ACCOUNT).assets.upload(path, timeout=None)
        assert not done.resumed
        assert done.sha256 == digest(path)


async def test_a_section_that_was_read_amid_a_change_is_not_trusted(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)
    sound, about = path.read_bytes(), path.stat()

    def meddle(number: int) -> None:
        # The file is another one while the third section is read, and itself again before the end.
        if number == 2:
            path.write_bytes(sound[: 2 * MIB // 2] + b"?" * (len(sound) - MIB))
        elif number == 3:
            path.write_bytes(sound)
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    async with MediaServer(before_section=meddle) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest, match="changed while it was uploaded"):
            await ads.ad_account(ACCOUNT).assets.upload(path, concurrency=1)
        assert server.completed is None
        server.before_section = None
        done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert done.resumed
        assert server.starts == 2
        assert hashlib.sha256(server.content()).hexdigest() == done.sha256 == hashlib.sha256(sound).hexdigest()


async def test_lost_answers_of_sections_are_no_matter_for_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with MediaServer(lost_answers=8) as server, client(server.base_url) as ads:
        await ads.ad_account(ACCOUNT).assets.upload(media(tmp_path, 6 * MIB))
        assert server.lost_answers == 0
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_journal_of_an_earlier_version_is_gone_on_with(tmp_path: Path) -> None:
    path = media(tmp_path, 6 * MIB)
    async with MediaServer() as server:
        with anyio.CancelScope() as crash:
            server.before_section = lambda _: crash.cancel() if len(server.transfers) >= 3 else None
            async with client(server.base_url) as ads:
                await ads.ad_account(ACCOUNT).assets.upload(path)
        server.before_section = None
        journal = tmp_path / "spot.mp3.upload"
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        plain = [
            {"sent": line["sent"][0]} if "sent" in line else {"creating_since": 1.5} if "mark" in line else line
            for line in lines
        ]
        journal.write_text("".join(msgspec.json.encode(line).decode() + "\n" for line in plain))
        async with client(server.base_url) as ads:
            done = await ads.ad_account(ACCOUNT).assets.upload(path)
        assert done.resumed
        assert server.creates == 1
        assert hashlib.sha256(server.content()).hexdigest() == digest(path)
