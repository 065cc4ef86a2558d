"""One upload of a media file: registered, sent whole or in sections, completed, and awaited until it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import ConnectionFailed, InvalidAnswer, RequestRejected
from spotify_ads_async.models import Asset, AssetStatus, AssetSubtype
from spotify_ads_async.uploads.asset_calls import WAITING, AssetCalls
from spotify_ads_async.uploads.files import MediaFile
from spotify_ads_async.uploads.journal import Journal
from spotify_ads_async.uploads.progress import Progress, UploadProgress
from spotify_ads_async.uploads.registering import Registration
from spotify_ads_async.uploads.sending import Sending

__all__ = ["AssetFailed", "MediaUpload", "Uploaded", "require_usable"]

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 10.0, 1.6
_NOTICED_AFTER = 60.0
"""Seconds after which an asset shows that it has its file."""
_FINAL: Mapping[str, str] = {
    "ERROR": "the server cannot use it: check its format against the specifications, and upload it again",
    "FAILED": "the server cannot use it: check its format against the specifications, and upload it again",
    "REJECTED": "it was rejected: check it against Spotify's policies for ads, and upload another file",
    "ARCHIVED": "somebody archived the asset meanwhile: upload the file again",
    "DELETED": "somebody deleted the asset meanwhile: upload the file again",
    "EXPIRED": "the asset waited too long for its file: upload the file again",
}
"""Statuses that no waiting changes, with what to do; those that no document lists among them, for they may come."""


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
        self._calls = AssetCalls(session, ad_account_id, file, journal)
        self._registration = Registration(self._calls, unique_name=unique_name)
        self._progress = Progress(self._calls)
        self._sending = Sending(self._calls, path, concurrency=concurrency, progress=self._progress)
        self._file = file
        self._journal = journal
        self._timeout = timeout

    def follow(self, progress: Callable[[UploadProgress], object]) -> None:
        """Call ``progress`` with each step, beside the client's listeners."""
        self._progress.follow(progress)

    async def run(self, name: str, subtype: AssetSubtype | None, asset_id: str | None) -> Uploaded:
        """Upload the file, or go on where the journal says."""
        asset = await self._registration.asset(name, subtype, asset_id)
        if asset.status in WAITING and not self._journal.state.complete:
            asset = await self._sending.send()
        try:
            asset = await self._registration.named(asset, name)
        except (InvalidAnswer, RequestRejected):
            # It may not be renamed before it is ready.
            if self._timeout is None:
                raise
        if self._timeout is not None:
            asset = await self._registration.named(await self._until_ready(asset, self._timeout), name)
        await self._journal.remove()
        self._progress.tell("ready" if asset.status == AssetStatus.READY else "processing")
        return Uploaded(
            asset=asset,
            sha256=self._file.sha256,
            size=self._file.size,
            sections=self._sending.sections,
            resumed=self._journal.resumed,
        )

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
            self._progress.tell("processing")
            await anyio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            asset = await self._calls.current()
        return asset
