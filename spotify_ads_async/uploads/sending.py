"""Sending a file to its asset, whole or in sections, so that what arrived is what was looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.errors import InvalidAnswer, InvalidRequest, RequestRejected, ServerError
from spotify_ads_async.models import Asset, AssetChunk, AssetUpload, ChunkedUploadComplete
from spotify_ads_async.operation import Repeat
from spotify_ads_async.uploads.asset_calls import AssetCalls
from spotify_ads_async.uploads.files import WHOLE_UP_TO, digests, read_at, section_size, sections
from spotify_ads_async.uploads.progress import Progress

__all__ = ["Sending"]

_START = msgspec.structs.replace(operations.START_UPLOAD_CHUNKED_ASSET, repeat=Repeat.SAFE)
"""Whoever starts twice has one session too many, which nobody completes."""
_TRANSFER = msgspec.structs.replace(operations.TRANSFER_CHUNKED_ASSET, repeat=Repeat.SAFE)
"""A section has its number: sent twice, it is there once."""
_ROUNDS = 2
_FORGOTTEN = frozenset({400, 404, 409, 410})


class Sending:
    """The file of one upload on its way.

    Args:
        calls: those about the asset.
        path: where the file lies.
        concurrency: sections under way at once.
        progress: told of what arrived.

    Attributes:
        sections: in how many parts the file goes.
    """

    def __init__(self, calls: AssetCalls, path: Path, *, concurrency: int, progress: Progress) -> None:
        self._calls = calls
        self._file = calls.file
        self._journal = calls.journal
        self._path = path
        self._concurrency = concurrency
        self._progress = progress
        self._reader = anyio.CapacityLimiter(1)
        self.sections = 1

    async def send(self) -> Asset:
        """Send what is not there yet; the asset then."""
        return await (self._whole() if self._file.size <= WHOLE_UP_TO else self._in_sections())

    async def _whole(self) -> Asset:
        # One byte further: a file that has grown is another one too.
        content, digest = await self._read(0, self._file.size + 1)
        if digest != self._file.sha256:
            raise self._changed()
        body = AssetUpload(media=content, asset_type=self._file.asset_type)
        self._progress.tell("sending")

        async def send() -> Asset:
            asset: Asset = await self._calls.session.call(
                operations.UPLOAD_ASSET, path=self._calls.path, body=body, verify=self._calls.arrived
            )
            return asset

        asset = await self._close(send)
        self._progress.sent = self._file.size
        return asset

    async def _in_sections(self) -> Asset:
        """Send what is not there yet, several sections at once, and complete the upload."""
        for number in range(_ROUNDS):
            try:
                await self._open_session(anew=number > 0)
                await self._send_sections()
                return await self._complete()
            except RequestRejected as refused:
                # A session does not live for ever, and how long is not published: a later run may need a new one.
                forgotten = self._journal.resumed and refused.status in _FORGOTTEN
                if number == _ROUNDS - 1 or not forgotten:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _open_session(self, *, anew: bool) -> None:
        state = self._journal.state
        if state.session is None or anew:

            async def start() -> Any:  # noqa: ANN401 - a session
                return await self._calls.session.call(_START, path=self._calls.path)

            opened = await self._calls.patiently(start)
            if not opened.upload_session_id:
                raise InvalidAnswer(
                    "the answer names no upload session", operation=operations.START_UPLOAD_CHUNKED_ASSET.id
                )
            length = section_size(self._file.size, opened.max_chunk_size_mb)
            await self._journal.note(session=opened.upload_session_id, section_size=length)

    async def _send_sections(self) -> None:
        state = self._journal.state
        every = sections(self._file.size, state.section_size)
        self.sections = len(every)
        missing = iter([one for one in every if one[0] not in state.sent])
        self._progress.sent = sum(length for number, _, length in every if number in state.sent)
        self._progress.tell("sending")

        async def worker() -> None:
            for number, start, length in missing:
                await self._journal.note(sent=[number, await self._send_section(number, start, length)])
                self._progress.sent += length
                self._progress.tell("sending")

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self._concurrency, len(every))):
                    group.start_soon(worker)
        except BaseExceptionGroup as problems:
            # The workers' errors are of one kind, and a caller expects that kind and no group.
            raise problems.exceptions[0] from None
        await self._require_unchanged()

    async def _require_unchanged(self) -> None:
        """What was sent must be what was looked at, byte by byte: a file's size and time say little."""
        state = self._journal.state
        whole, parts = await anyio.to_thread.run_sync(digests, self._path, state.section_size, limiter=self._reader)
        if whole != self._file.sha256 or state.sent != dict(enumerate(parts, start=1)):
            # Whoever goes on must not trust a section of it.
            await self._journal.note(session=None)
            raise self._changed()

    async def _send_section(self, number: int, start: int, length: int) -> str:
        """Send a section; the SHA-256 of what was sent."""
        content, digest = await self._read(start, length)
        if len(content) != length:
            raise self._changed()
        body = AssetChunk(
            upload_session_id=self._journal.state.session or "",
            upload_section=number,
            media=content,
            asset_type=self._file.asset_type,
        )

        async def send() -> None:
            receipt = await self._calls.session.call(_TRANSFER, path=self._calls.path, body=body)
            if receipt.success is False:
                raise ServerError(f"section {number} did not arrive", operation=_TRANSFER.id)

        await self._calls.patiently(send)
        return digest

    async def _complete(self) -> Asset:
        state = self._journal.state
        self._progress.tell("completing")
        body = ChunkedUploadComplete(
            upload_session_id=state.session or "", number_of_sections=self.sections, asset_type=self._file.asset_type
        )

        async def complete() -> Asset:
            asset: Asset = await self._calls.session.call(
                operations.COMPLETE_UPLOAD_CHUNKED_ASSET, path=self._calls.path, body=body, verify=self._calls.arrived
            )
            return asset

        return await self._close(complete)

    async def _close(self, call: Callable[[], Awaitable[Asset]]) -> Asset:
        """Make the call that gives the asset its file, and remember that it was made until it is refused.

        One that is refused may have been made before, its answer lost: then the asset has its file.
        """
        made = self._journal.state.closing
        await self._journal.note(closing=True)

        async def attempt() -> Asset:
            nonlocal made
            again, made = made, True
            try:
                return await call()
            except RequestRejected:
                found = await self._calls.arrived() if again else None
                if found is None:
                    await self._journal.note(closing=False)
                    raise
                return found

        asset = await self._calls.ours(await self._calls.patiently(attempt))
        await self._journal.note(complete=True)
        return asset

    async def _read(self, start: int, length: int) -> tuple[bytes, str]:
        # One thread reads: each further one would keep memory of its own.
        return await anyio.to_thread.run_sync(read_at, self._path, start, length, limiter=self._reader)

    def _changed(self) -> InvalidRequest:
        return InvalidRequest(
            f"{self._file.name} changed while it was uploaded: upload it again",
            operation=operations.TRANSFER_CHUNKED_ASSET.id,
            path="media",
            value=self._file.name,
            rule="the same from beginning to end",
        )
