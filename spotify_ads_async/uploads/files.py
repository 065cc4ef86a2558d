"""What a media file is, and into which sections it is cut. Pure, apart from reading the file in a thread.

Types: the content types that uploadAsset lists. Limits: its 20 MB, and the 1000 sections of completeUploadChunkedAsset.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from spotify_ads_async.errors import InvalidAnswer, InvalidRequest
from spotify_ads_async.models import AssetType
from spotify_ads_async.private_files import without_waiting

__all__ = ["MediaFile", "digests", "inspect", "kind_of", "read_at", "section_size", "sections"]

MOST_SECTIONS = 1000
LARGEST_SECTION = 20_000_000
WHOLE_UP_TO = 4 * 1024 * 1024
"""Larger files go in sections: a break then costs a section, and not the file."""
USUAL_SECTION = 512 * 1024
"""Small, within what the server allows, so that a connection that breaks often re-sends little."""
_MEGABYTE = 1_000_000
_HEAD = 16
_NO_VIDEO = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"M4B ", b"M4P "}
)
_MP3 = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")


class MediaFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was when it was looked at; ``changed_at`` is its modification time in nanoseconds."""

    name: str
    size: int
    changed_at: int
    sha256: str
    asset_type: AssetType


def kind_of(head: bytes) -> AssetType | None:
    """What a file's first bytes say it is: PNG, JPEG, OGG, MP3, WAV, MP4 or QuickTime; None for anything else."""
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return AssetType.IMAGE
    if head.startswith((b"OggS", *_MP3)) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return AssetType.AUDIO
    # Pictures (.heic, .avif) and sound alone (.m4a) come in the container that videos have, and the API takes neither.
    if head[4:8] == b"ftyp" and head[8:12] in _NO_VIDEO:
        return None
    # QuickTime files may begin with other atoms than ftyp.
    return AssetType.VIDEO if head[4:8] in {b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip"} else None


def inspect(path: Path, asset_type: AssetType | None) -> MediaFile:
    """Look at a file and compute its SHA-256. It blocks: run it in a thread.

    Raises:
        InvalidRequest: it is empty, too large for any upload, or no media of the type.
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=without_waiting) as content:
        about = os.fstat(content.fileno())
        head = content.read(_HEAD)
        kind = _required(path, about.st_size, kind_of(head), asset_type)
        content.seek(0)
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    # Names of files may hold bytes that are no text.
    name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
    return MediaFile(name=name, size=about.st_size, changed_at=about.st_mtime_ns, sha256=digest, asset_type=kind)


def _required(path: Path, size: int, found: AssetType | None, wanted: AssetType | None) -> AssetType:
    """The type of a file that can be uploaded."""
    if not size:
        rule = "not empty; what comes through a pipe is saved to a file first"
    elif found is None:
        rule = "PNG, JPEG, MP3, OGG, WAV, MP4 or QuickTime"
    elif wanted is not None and found != wanted:
        rule = f"of type {wanted}; its first bytes say {found}"
    elif size > MOST_SECTIONS * LARGEST_SECTION:
        rule = f"at most {MOST_SECTIONS * LARGEST_SECTION:,} bytes"
    else:
        return found
    raise InvalidRequest(
        f"{path.name} ({size:,} bytes) must be {rule}",
        operation="uploadAsset",
        path="media",
        value=path.name,
        rule=rule,
    )


def section_size(size: int, max_chunk_size_mb: int | None) -> int:
    """Bytes of a section.

    Half a MiB, more where 1000 sections would not hold the file, and never more than the server allows.

    Raises:
        InvalidRequest: the file is larger than 1000 sections of the largest size.
        InvalidAnswer: the server allows sections of no size.
    """
    if max_chunk_size_mb is not None and max_chunk_size_mb < 1:
        raise InvalidAnswer(
            f"the server allows sections of {max_chunk_size_mb} MB, which no file can be sent in: upload it again"
            " later",
            operation="startUploadChunkedAsset",
        )
    allowed = min(LARGEST_SECTION, (max_chunk_size_mb or 1) * _MEGABYTE)
    needed = -(-size // MOST_SECTIONS)
    if needed > allowed:
        rule = f"at most {MOST_SECTIONS * allowed:,} bytes: the server takes {MOST_SECTIONS} sections of {allowed:,}"
        raise InvalidRequest(
            f"the file ({size:,} bytes) must be {rule}",
            operation="transferChunkedAsset",
            path="media",
            value=size,
            rule=rule,
        )
    return min(allowed, max(USUAL_SECTION, needed))


def sections(size: int, length: int) -> list[tuple[int, int, int]]:
    """Number (from 1), offset and length of each section."""
    return [(number + 1, start, min(length, size - start)) for number, start in enumerate(range(0, size, length))]


def read_at(path: Path, start: int, length: int) -> tuple[bytes, str]:
    """A part of a file, and its SHA-256. It blocks: run it in a thread."""
    with path.open("rb", buffering=0) as content:
        content.seek(start)
        found = content.read(length)
    return found, hashlib.sha256(found).hexdigest()


def digests(path: Path, length: int) -> tuple[str, list[str]]:
    """The SHA-256 of a file, and of each of its sections. It blocks: run it in a thread."""
    whole, parts = hashlib.sha256(), list[str]()
    with path.open("rb", buffering=0) as content:
        while part := content.read(length):
            whole.update(part)
            parts.append(hashlib.sha256(part).hexdigest())
    return whole.hexdigest(), parts
