"""Multipart bodies."""

from __future__ import annotations

from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from spotify_ads_async.emulator.domain.answers import refused

__all__ = ["LARGEST_FILE_BYTES", "read_form"]

LARGEST_FILE_BYTES = 20 * 1024 * 1024
"""The largest file, or section of one, that an upload may carry (uploadAsset, transferChunkedAsset)."""


async def read_form(request: web.BaseRequest) -> dict[str, Any]:
    """The fields of a multipart body: text as str, files as bytes.

    Raises:
        Refusal: the body is no form, a field comes twice, or a file is too large.
    """
    if not request.content_type.startswith("multipart/"):
        await request.read()
        raise refused("body: multipart/form-data is needed")
    fields: dict[str, Any] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise refused("body: a part without a name")
            content = await part.read(decode=True)
            if part.name in fields:
                raise refused(f"{part.name}: given more than once")
            if len(content) > LARGEST_FILE_BYTES:
                raise refused(f"{part.name}: larger than 20 MB")
            fields[part.name] = bytes(content) if part.name == "media" else content.decode()
    except (ValueError, HttpProcessingError):
        raise refused("body: not a valid form") from None
    return fields
