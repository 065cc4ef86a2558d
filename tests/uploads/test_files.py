"""What a media file is, and how it is cut: to the byte."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async import InvalidAnswer, InvalidRequest
from spotify_ads_async.models import AssetType
from spotify_ads_async.uploads.files import MediaFile, digests, inspect, kind_of, read_at, section_size, sections

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("size", "allowed", "length"),
    [
        (1, None, 512 * 1024),
        (524_288_000, 5, 524_288),
        (524_288_001, 5, 524_289),
        (600_000_000, 5, 600_000),
        (1_000_000_000, None, 1_000_000),
        (20_000_000_000, 20, 20_000_000),
        (20_000_000_000, 50, 20_000_000),
    ],
)
def test_a_section_is_half_a_mebibyte_or_as_large_as_a_thousand_need(
    size: int, allowed: int | None, length: int
) -> None:
    assert section_size(size, allowed) == length


@pytest.mark.parametrize(
    ("size", "allowed", "rule"),
    [
        (1_000_000_001, None, "at most 1,000,000,000 bytes: the server takes 1000 sections of 1,000,000"),
        (2_000_000_001, 2, "at most 2,000,000,000 bytes: the server takes 1000 sections of 2,000,000"),
    ],
)
def test_a_file_that_does_not_fit_into_the_servers_sections_is_refused(size: int, allowed: int, rule: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        section_size(size, allowed)
    problem = refused.value
    assert problem.message == f"the file ({size:,} bytes) must be {rule}"
    assert (problem.operation, problem.path, problem.value, problem.rule) == (
        "transferChunkedAsset",
        "media",
        size,
        rule,
    )


@pytest.mark.parametrize("allowed", [0, -1])
def test_sections_of_no_size_are_no_sections(allowed: int) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        section_size(1, allowed)
    assert refused.value.message == (
        f"the server allows sections of {allowed} MB, which no file can be sent in: upload it again later"
    )
    assert refused.value.operation == "startUploadChunkedAsset"


def test_the_servers_largest_section_binds() -> None:
    # A thousand sections of half a MiB would not hold it: they grow, up to what the server takes.
    assert section_size(600_000_000, 5) == 600_000
    assert section_size(2_500_000_000, 5) == 2_500_000
    assert section_size(40_000_000, 5) == section_size(40_000_000, 1) == 512 * 1024
    with pytest.raises(InvalidRequest, match="1000 sections of 1,000,000"):
        section_size(1_000_000_001, 1)


@given(st.integers(1, 20_000_000_000), st.integers(1, 50))
def test_sections_hold_the_file_within_every_limit(size: int, largest: int) -> None:
    if size > 1000 * min(20, largest) * 1_000_000:
        with pytest.raises(InvalidRequest):
            section_size(size, largest)
        return
    length = section_size(size, largest)
    found = sections(size, length)
    assert length <= min(20, largest) * 1_000_000
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert len(found) <= 1000
    assert sum(part for _, _, part in found) == size
    assert all(start == (number - 1) * length for number, start, _ in found)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PNG, AssetType.IMAGE),
        (b"\xff\xd8\xff\xe0", AssetType.IMAGE),
        (b"\x89PNG\n", None),
        *((head, AssetType.AUDIO) for head in (b"ID3\4", b"\xff\xfb\x90", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")),
        (b"\xff\xf1", None),
        (b"OggS\0", AssetType.AUDIO),
        (b"RIFF\0\0\0\0WAVEfmt ", AssetType.AUDIO),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"\0\0\0\x18ftypmp42", AssetType.VIDEO),
        (b"\0\0\0\x14ftypqt  ", AssetType.VIDEO),
        *((b"\0\0\0\x08" + atom, AssetType.VIDEO) for atom in (b"moov", b"wide", b"mdat", b"free", b"skip")),
        *(
            (b"\0\0\0\x18ftyp" + brand + b"\0\0\2\0", None)
            for brand in (b"heic", b"heix", b"mif1", b"avif", b"M4A ", b"M4B ")
        ),
        (b"RIFX\0\0\0\0WAVE", None),
        (b"ftypmp42", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_first_bytes_tell_the_type(head: bytes, kind: AssetType | None) -> None:
    assert kind_of(head) is kind


def test_a_file_is_looked_at_whole(tmp_path: Path) -> None:
    path = tmp_path / "cover.png"
    path.write_bytes(PNG + bytes(100))
    content = path.read_bytes()
    about = path.stat()
    assert inspect(path, None) == MediaFile(
        name="cover.png",
        size=108,
        changed_at=about.st_mtime_ns,
        sha256=hashlib.sha256(content).hexdigest(),
        asset_type=AssetType.IMAGE,
    )
    assert inspect(path, AssetType.IMAGE) == inspect(path, None)
    assert read_at(path, 100, 50) == (content[100:], hashlib.sha256(content[100:]).hexdigest())
    assert read_at(path, 2, 50)[0] == content[2:52]
    parts = [hashlib.sha256(part).hexdigest() for part in (content[:50], content[50:100], content[100:])]
    assert digests(path, 50) == (hashlib.sha256(content).hexdigest(), parts)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_name_that_is_no_text_is_written_down_as_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"cover\xff.png")
    path.write_bytes(PNG)
    assert inspect(path, None).name == "cover\\xff.png"


@pytest.mark.parametrize(
    ("content", "size", "wanted", "rule"),
    [
        (b"", 0, None, "not empty; what comes through a pipe is saved to a file first"),
        (b"a text", 1_234, None, "PNG, JPEG, MP3, OGG, WAV, MP4 or QuickTime"),
        (b"a text", 1_234, AssetType.AUDIO, "PNG, JPEG, MP3, OGG, WAV, MP4 or QuickTime"),
        (PNG, 1_234, AssetType.AUDIO, "of type AUDIO; its first bytes say IMAGE"),
        (PNG, 20_000_000_001, None, "at most 20,000,000,000 bytes"),
    ],
)
def test_what_is_no_media_file_is_refused_with_what_it_must_be(
    tmp_path: Path, content: bytes, size: int, wanted: AssetType | None, rule: str
) -> None:
    path = tmp_path / "thing.bin"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)  # with a hole, so that it takes no room
    with pytest.raises(InvalidRequest) as refused:
        inspect(path, wanted)
    problem = refused.value
    assert problem.message == f"thing.bin ({size:,} bytes) must be {rule}"
    assert (problem.operation, problem.path, problem.value, problem.rule) == (
        "uploadAsset",
        "media",
        "thing.bin",
        rule,
    )
