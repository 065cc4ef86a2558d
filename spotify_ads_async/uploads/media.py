"""One upload of a media file: registered, sent whole or in sections, completed, and awaited until it is ready."""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import (
    Conflict,
    ConnectionFailed,
    InvalidAnswer,
    InvalidRequest,
    OutcomeUnknown,
    RequestRejected,
    ServerError,
)
from spotify_ads_async.events import Event, Listeners
from spotify_ads_async.models import (
    Asset,
    AssetChunk,
    AssetCreate,
    AssetStatus,
    AssetSubtype,
    AssetUpdate,
    AssetUpload,
    ChunkedUploadComplete,
)
from spotify_ads_async.operation import Repeat
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import UNSET
from spotify_ads_async.uploads.files import WHOLE_UP_TO, MediaFile, digests, read_at, section_size, sections
from spotify_ads_async.uploads.journal import Journal
from spotify_ads_async.validation.requests import check_body

__all__ = ["AssetFailed", "MediaUpload", "UploadProgress", "Uploaded", "require_usable"]

AnswerT = TypeVar("AnswerT")

_PASSING = (ConnectionFailed, InvalidAnswer, OutcomeUnknown, ServerError)
"""After these, what can be repeated without harm is repeated."""
_START = msgspec.structs.replace(operations.START_UPLOAD_CHUNKED_ASSET, repeat=Repeat.SAFE)
"""Whoever starts twice has one session too many, which nobody completes."""
_TRANSFER = msgspec.structs.replace(operations.TRANSFER_CHUNKED_ASSET, repeat=Repeat.SAFE)
"""A section has its number: sent twice, it is there once."""
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 10.0, 1.6
_NOTICED_AFTER = 60.0
"""Seconds after which an asset shows that it has its file."""
_ROUNDS = 2
_FORGOTTEN = frozenset({400, 404, 409, 410})
_GONE = frozenset({400, 404, 410})
_WAITING = frozenset({None, AssetStatus.WAITING_UPLOAD, AssetStatus.ERROR})
_FINAL: Mapping[str, str] = {
    "ERROR": "the server cannot use it: check its format against the specifications, and upload it again",
    "FAILED": "the server cannot use it: check its format against the specifications, and upload it again",
    "REJECTED": "it was rejected: check it against Spotify's policies for ads, and upload another file",
    "ARCHIVED": "somebody archived the asset meanwhile: upload the file again",
    "DELETED": "somebody deleted the asset meanwhile: upload the file again",
    "EXPIRED": "the asset waited too long for its file: upload the file again",
}
"""Statuses that no waiting changes, with what to do; those that no document lists among them, for they may come."""
_LONGEST_NAME = 120


def marked(name: str, mark: str) -> str:
    """The name under which an asset is registered.

    No other asset has it, so one that is found by it is surely this upload's.
    """
    suffix = f" ({mark})" if mark else ""
    return name[: _LONGEST_NAME - len(suffix)] + suffix


def require_usable(asset: Asset, file_name: str) -> None:
    """Tell an asset that no waiting makes ready.

    Raises:
        AssetFailed: its status is final, and not READY.
    """
    if asset.status in _FINAL:
        raise AssetFailed(
            f"{file_name} will not be ready, for asset {asset.id} is {asset.status}: {_FINAL[str(asset.status)]}",
            operation=operations.GET_ASSET.id,
        )


class AssetFailed(RequestRejected):
    """The asset's status is final and not READY: the server cannot use the file, or the asset is gone.

    The message says what to do.
    """


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was uploaded. ``sha256`` is the checksum of what was sent, in hexadecimal."""

    asset: Asset
    sha256: str
    size: int
    sections: int
    resumed: bool

    @property
    def id(self) -> str:
        """The asset's ID."""
        return self.asset.id or ""

    @property
    def status(self) -> AssetStatus | None:
        """READY, unless the upload was told not to wait for it."""
        return self.asset.status


class UploadProgress(Event, frozen=True, kw_only=True):
    """How far an upload is. ``sent`` and ``size`` are bytes; ``phase`` is sending, completing, processing or ready."""

    file: str
    asset_id: str
    phase: str
    sent: int
    size: int


class MediaUpload:
    """The steps of one upload; :meth:`run` takes them in order."""

    def __init__(
        self,
        session: Session,
        ad_account_id: str,
        path: Path,
        file: MediaFile,
        journal: Journal,
        *,
        concurrency: int,
        timeout: float | None,
        unique_name: bool = False,
    ) -> None:
        self._session = session
        self._account = {"ad_account_id": ad_account_id}
        self._path = path
        self._file = file
        self._journal = journal
        self._concurrency = concurrency
        self._timeout = timeout
        self._unique_name = unique_name
        self._reader = anyio.CapacityLimiter(1)
        self._sent = 0
        self._sections = 1
        self._followers = Listeners()

    def follow(self, progress: Callable[[UploadProgress], object]) -> None:
        """Call ``progress`` with each step, beside the client's listeners."""

        def heard(event: Event) -> None:
            if isinstance(event, UploadProgress):
                progress(event)

        self._followers.add(heard)

    async def run(self, name: str, subtype: AssetSubtype | None, asset_id: str | None) -> Uploaded:
        """Upload the file, or go on where the journal says."""
        asset = await self._asset(name, subtype, asset_id)
        if asset.status in _WAITING and not self._journal.state.complete:
            asset = await (self._whole() if self._file.size <= WHOLE_UP_TO else self._in_sections())
        try:
            asset = await self._named(asset, name)
        except (InvalidAnswer, RequestRejected):
            # It may not be renamed before it is ready.
            if self._timeout is None:
                raise
        if self._timeout is not None:
            asset = await self._named(await self._until_ready(asset, self._timeout), name)
        await self._journal.remove()
        self._progress("ready" if asset.status == AssetStatus.READY else "processing")
        return Uploaded(
            asset=asset,
            sha256=self._file.sha256,
            size=self._file.size,
            sections=self._sections,
            resumed=self._journal.resumed,
        )

    # ---- registering

    async def _asset(self, name: str, subtype: AssetSubtype | None, given: str | None) -> Asset:
        """The asset of the interrupted run, the one that was given, or a new one."""
        journal = self._journal
        if journal.state.asset_id is not None:
            try:
                return await self._current()
            except RequestRejected as refused:
                if given is not None or refused.status not in _GONE:
                    raise
            # Nobody can go on with an asset that is gone.
            await journal.restart()
        if given is None:
            registered = await self._register(name, subtype)
            await journal.note(asset_id=registered.id, named=registered.name == name)
            return registered
        asset: Asset = await self._session.call(operations.GET_ASSET, path={**self._account, "asset_id": given})
        if asset.status not in _WAITING:
            raise Conflict(
                f"asset {given} has its file already (it is {asset.status}): nothing was sent. Leave out into=… for an"
                " asset of its own",
                operation=operations.UPLOAD_ASSET.id,
            )
        await journal.note(asset_id=given, named=True)
        return asset

    async def _register(self, name: str, subtype: AssetSubtype | None) -> Asset:
        """Create the asset under a name with a mark of this upload, or find the one that an interrupted run created."""
        body = AssetCreate(
            asset_type=self._file.asset_type, name=name, asset_subtype=UNSET if subtype is None else subtype
        )
        if self._session.options.validate:
            check_body(operations.CREATE_ASSET, body, now=datetime.now(UTC))
        mark = self._journal.state.mark
        tried = mark is not None
        if mark is None:
            mark = "" if self._unique_name else f"upload {secrets.token_hex(4)}"
            await self._journal.note(mark=mark)
        body = msgspec.structs.replace(body, name=marked(name, mark))

        async def create() -> Asset:
            nonlocal tried
            made = await self._registered(body.name) if tried else None
            tried = True
            return made or await self._session.call(
                operations.CREATE_ASSET, path=self._account, body=body, verify=lambda: self._registered(body.name)
            )

        found = await self._patiently(create)
        if not found.id or found.status not in _WAITING or mark not in (found.name or mark):
            raise InvalidAnswer(
                f"the answer names no asset that waits for this file, but {found.name!r} ({found.id}, {found.status});"
                " nothing was sent to it",
                operation=operations.CREATE_ASSET.id,
            )
        return found

    async def _registered(self, name: str) -> Asset | None:
        """The asset of this name that waits for its file, None where there is none."""
        query = {"name": name, "asset_types": [self._file.asset_type], "statuses": [AssetStatus.WAITING_UPLOAD]}
        walk: ListCall[Asset] = ListCall(
            self._session, operations.GET_ASSETS_BY_AD_ACCOUNT, path=self._account, query=query
        )
        async with walk.walk() as found:
            return await anext((one async for one in found if one.name == name), None)

    async def _named(self, asset: Asset, name: str) -> Asset:
        """The asset under its own name."""
        state = self._journal.state
        if state.named or (asset.name is not None and (state.mark or "") not in asset.name):
            return asset  # which somebody may have renamed meanwhile
        body = AssetUpdate(asset_type=self._file.asset_type, name=name)

        async def renamed() -> Asset | None:
            found = await self._current()
            return found if found.name == name else None

        async def rename() -> Asset:
            found = await self._ours(
                await self._session.call(operations.UPDATE_ASSET, path=self._asset_path, body=body, verify=renamed)
            )
            if found.status is None or found.name != name:
                found = await self._current()
            if state.mark and state.mark in (found.name or ""):
                raise InvalidAnswer("the name did not change", operation=operations.UPDATE_ASSET.id)
            return found

        try:
            found = await self._patiently(rename)
        except (InvalidAnswer, RequestRejected) as refused:
            refused.add_note(
                f"the file is there: asset {asset.id} is called {asset.name!r}, and the same upload goes on with its"
                " name"
            )
            raise
        await self._journal.note(named=True)
        return found

    # ---- sending

    @property
    def _asset_path(self) -> dict[str, str]:
        return {**self._account, "asset_id": self._journal.state.asset_id or ""}

    async def _current(self) -> Asset:
        asset: Asset = await self._session.call(operations.GET_ASSET, path=self._asset_path)
        wanted, kind = self._asset_path["asset_id"], self._file.asset_type
        if (asset.id or "").lower() != wanted.lower() or (asset.asset_type or kind) != kind:
            raise InvalidAnswer(
                f"the answer is about the {asset.asset_type} {asset.id} and not about the {kind} {wanted}",
                operation=operations.GET_ASSET.id,
            )
        return asset

    async def _ours(self, asset: Asset) -> Asset:
        """What was answered about this asset; read again where the answer does not name it."""
        return asset if (asset.id or "").lower() == self._asset_path["asset_id"].lower() else await self._current()

    async def _arrived(self) -> Asset | None:
        """The asset once it has its file, None while it waits."""
        asset = await self._current()
        return None if asset.status in {None, AssetStatus.WAITING_UPLOAD} else asset

    async def _whole(self) -> Asset:
        content, digest = await self._read(0, self._file.size)
        if digest != self._file.sha256:
            raise self._changed()
        body = AssetUpload(media=content, asset_type=self._file.asset_type)
        self._progress("sending")

        async def send() -> Asset:
            asset: Asset = await self._session.call(
                operations.UPLOAD_ASSET, path=self._asset_path, body=body, verify=self._arrived
            )
            return asset

        asset = await self._ours(await self._patiently(send))
        self._sent = self._file.size
        await self._journal.note(complete=True)
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
                return await self._session.call(_START, path=self._asset_path)

            opened = await self._patiently(start)
            if not opened.upload_session_id:
                raise InvalidAnswer(
                    "the answer names no upload session", operation=operations.START_UPLOAD_CHUNKED_ASSET.id
                )
            length = section_size(self._file.size, opened.max_chunk_size_mb)
            await self._journal.note(session=opened.upload_session_id, section_size=length)

    async def _send_sections(self) -> None:
        state = self._journal.state
        every = sections(self._file.size, state.section_size)
        self._sections = len(every)
        missing = iter([one for one in every if one[0] not in state.sent])
        self._sent = sum(length for number, _, length in every if number in state.sent)
        self._progress("sending")

        async def worker() -> None:
            for number, start, length in missing:
                await self._journal.note(sent=[number, await self._send_section(number, start, length)])
                self._sent += length
                self._progress("sending")

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
            receipt = await self._session.call(_TRANSFER, path=self._asset_path, body=body)
            if receipt.success is False:
                raise ServerError(f"section {number} did not arrive", operation=_TRANSFER.id)

        await self._patiently(send)
        return digest

    async def _complete(self) -> Asset:
        state = self._journal.state
        self._progress("completing")
        body = ChunkedUploadComplete(
            upload_session_id=state.session or "", number_of_sections=self._sections, asset_type=self._file.asset_type
        )

        async def complete() -> Asset:
            asset: Asset = await self._session.call(
                operations.COMPLETE_UPLOAD_CHUNKED_ASSET, path=self._asset_path, body=body, verify=self._arrived
            )
            return asset

        asset = await self._ours(await self._patiently(complete))
        await self._journal.note(complete=True)
        return asset

    async def _patiently(self, send: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Make a call that may be repeated, and repeat it while what hinders it passes."""
        policy = self._session.policy
        failures = 0
        while True:
            try:
                return await send()
            except _PASSING:
                failures += 1
                if failures >= max(2, policy.attempts):
                    raise
            # A connection that broke leaves the section it was sending in a cycle; only the young are looked through.
            gc.collect(1)
            await anyio.sleep(min(policy.longest_delay, policy.first_delay * 2.0**failures))

    # ---- afterwards

    async def _until_ready(self, asset: Asset, timeout: float) -> Asset:  # noqa: ASYNC109 - it ends between two questions
        """Ask until the asset is ready; pauses grow from a quarter to 10 seconds."""
        begun = time.monotonic()
        pause = _FIRST_PAUSE
        while asset.status != AssetStatus.READY:
            try:
                require_usable(asset, self._file.name)
            except AssetFailed:
                await self._journal.remove()
                raise
            waited = time.monotonic() + pause - begun
            if asset.status == AssetStatus.WAITING_UPLOAD and waited > min(timeout, _NOTICED_AFTER):
                await self._journal.note(complete=False, session=None)
                raise ConnectionFailed(
                    f"the server took {self._file.name}, and asset {asset.id} waits for it all the same: upload the"
                    " file again to send it once more",
                    operation=operations.GET_ASSET.id,
                )
            if waited > timeout:
                raise ConnectionFailed(
                    f"asset {asset.id} is {asset.status} after {timeout:g} s: upload the file again to go on waiting,"
                    " or wait longer (timeout=…)",
                    operation=operations.GET_ASSET.id,
                )
            self._progress("processing")
            await anyio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            asset = await self._current()
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

    def _progress(self, phase: str) -> None:
        if not self._session.listeners and not self._followers:
            return
        event = UploadProgress(
            file=self._file.name,
            asset_id=self._journal.state.asset_id or "",
            phase=phase,
            sent=self._sent,
            size=self._file.size,
        )
        self._session.listeners.emit(event)
        self._followers.emit(event)
