"""What a media file is, read from its first bytes: enough to tell the types that the API takes."""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["describe"]

_BYTES_PER_SECOND = {"MP3": 16_000, "OGG": 14_000, "WAV": 176_400, "MP4": 250_000, "QUICKTIME": 500_000}
"""Usual data rates: a duration is estimated from the file's size."""
_RATIOS = {
    "SQUARE": 1.0,
    "HORIZONTAL_16_9": 16 / 9,
    "HORIZONTAL_1_91_1": 1.91,
    "HORIZONTAL_1_2_1": 1.2,
    "VERTICAL_9_16": 9 / 16,
}
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def describe(asset_type: str, content: bytes) -> dict[str, Any] | None:
    """The attributes that an answer shows for a file of this type, None where it is no such file."""
    match asset_type:
        case "IMAGE":
            return _image(content)
        case "AUDIO":
            kind = _audio_type(content)
            return kind and {"file_type": kind, "duration_ms": _duration(kind, content)}
        case _:
            kind = _video_type(content)
            size = {"width": 1080, "height": 1920, "aspect_ratio": "VERTICAL_9_16", "has_audio": True}
            return kind and {"file_type": kind, "duration_ms": _duration(kind, content), **size}


def _duration(kind: str, content: bytes) -> int:
    return max(1, len(content) * 1000 // _BYTES_PER_SECOND[kind])


def _audio_type(content: bytes) -> Any:  # noqa: ANN401 - a name, or None
    if content[:3] == b"ID3" or content[:2] in {b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"}:
        return "MP3"
    if content[:4] == b"OggS":
        return "OGG"
    return "WAV" if content[:4] == b"RIFF" and content[8:12] == b"WAVE" else None


def _video_type(content: bytes) -> Any:  # noqa: ANN401 - a name, or None
    if content[4:8] != b"ftyp":
        return None
    return "QUICKTIME" if content[8:12] == b"qt  " else "MP4"


def _image(content: bytes) -> dict[str, Any] | None:
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        kind = "PNG"
    elif content[:2] == b"\xff\xd8":
        width, height = _jpeg_size(content)
        kind = "JPEG"
    else:
        return None
    described = {"file_type": kind, "width": width, "height": height}
    if width and height:
        nearest = min(_RATIOS, key=lambda name: abs(_RATIOS[name] - width / height))
        described["aspect_ratio"] = nearest
    return described


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height from a JPEG's frame header; zeros where it has none."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2 : at + 4])[0]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return 0, 0
