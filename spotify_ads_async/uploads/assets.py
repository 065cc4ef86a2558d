"""``account.assets``: the calls of assets, and uploads of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import overload

import anyio.to_thread

from spotify_ads_async.core.session import Verify
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.models import Asset, AssetSubtype, AssetType, AssetUpload
from spotify_ads_async.resources import assets
from spotify_ads_async.uploads.files import inspect
from spotify_ads_async.uploads.journal import Journal, Wish, journal_beside
from spotify_ads_async.uploads.media import MediaUpload, Uploaded
from spotify_ads_async.uploads.progress import UploadProgress

__all__ = ["Assets"]


class Assets(assets.Assets):
    """Assets: audio, video and images for ads."""

    @overload
    async def upload(self, asset_id: str, body: AssetUpload, *, verify: Verify[Asset] | None = None) -> Asset: ...

    @overload
    async def upload(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        name: str | None = None,
        asset_type: AssetType | None = None,
        subtype: AssetSubtype | None = None,
        into: str | None = None,
        journal: str | os.PathLike[str] | bool = True,
        concurrency: int = 4,
        timeout: float | None = 900.0,  # noqa: ASYNC109 - it covers processing alone
        progress: Callable[[UploadProgress], object] | None = None,
        unique_name: bool = False,
    ) -> Uploaded: ...

    async def upload(
        self,
        asset_id: str | os.PathLike[str],
        body: AssetUpload | None = None,
        *,
        verify: Verify[Asset] | None = None,
        name: str | None = None,
        asset_type: AssetType | None = None,
        subtype: AssetSubtype | None = None,
        into: str | None = None,
        journal: str | os.PathLike[str] | bool = True,
        concurrency: int = 4,
        timeout: float | None = 900.0,  # noqa: ASYNC109 - it covers processing alone
        progress: Callable[[UploadProgress], object] | None = None,
        unique_name: bool = False,
    ) -> Asset | Uploaded:
        """Upload a media file: ``upload(path)``. With a body it is the bare call (uploadAsset), at most 20 MB.

        The file is checked first: it must be PNG, JPEG, MP3, OGG, WAV, MP4 or QuickTime. It is registered as an asset,
        sent whole up to 4 MiB and else in sections of half a MiB, several at once, and awaited until it is READY.
        Whatever breaks is sent again. A journal beside the file lets the same call go on after a crash; it is removed
        at the end.

        Args:
            asset_id: the file's path; with a body, the asset's id.
            body: the media, for the bare call.
            verify: settles the bare call, see :meth:`Session.call`.
            name: the asset's name, 2 to 120 characters; the file's name if left out.
            asset_type: AUDIO, IMAGE or VIDEO, if the file should be nothing else.
            subtype: what audio is for; USER_UPLOADED_AUDIO if left out.
            into: an asset that waits for its file, to register none.
            journal: where the journal lies; True for ``FILE.upload`` beside the file, False for none. One upload at a
                time works with a journal.
            concurrency: sections under way at once.
            timeout: seconds to wait until the asset is ready; None not to wait.
            progress: called with every :class:`UploadProgress`; one that raises is logged.
            unique_name: no other asset has this name, and none will: the asset is registered by it, and not renamed
                afterwards, which saves a request.

        Raises:
            InvalidRequest: the file is not what can be uploaded, before anything is sent; or it changed meanwhile.
            ConfigurationError: the journal is another upload's, no journal at all, or cannot be written.
            Conflict: the asset of ``into`` has its file already.
            AssetFailed: the server cannot use the file.
            ConnectionFailed: the connection failed for good, or the asset was not ready in time: call it again.
            SpotifyAdsError: what else a call raised.
        """
        if body is not None:
            return await super().upload(str(asset_id), body, verify=verify)
        if concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency}: at least one section is under way")
        source, owner = Path(asset_id), (self._session, self._ad_account_id)
        wish = await self._wish(source, name, asset_type, subtype, into)
        async with Journal(_place(journal, source), wish) as book:
            one = MediaUpload(
                *owner, source, wish.file, book, concurrency=concurrency, timeout=timeout, unique_name=unique_name
            )
            if progress is not None:
                one.follow(progress)
            return await one.run(wish.name, None if wish.subtype is None else AssetSubtype(wish.subtype), into)

    async def _wish(
        self, source: Path, name: str | None, kind: AssetType | None, subtype: AssetSubtype | None, into: str | None
    ) -> Wish:
        """What is to become of a file, which is read for it."""
        file = await anyio.to_thread.run_sync(inspect, source, kind)
        if file.asset_type == AssetType.AUDIO and subtype is None:
            subtype = AssetSubtype.USER_UPLOADED_AUDIO
        return Wish(
            base_url=self._session.base_url,
            ad_account_id=self._ad_account_id,
            name=name or file.name,
            subtype=subtype,
            asset_id=into,
            file=file,
        )


def _place(journal: str | os.PathLike[str] | bool, source: Path) -> Path | None:  # noqa: FBT001 - as upload takes it
    if isinstance(journal, bool):
        return journal_beside(source) if journal else None
    return Path(journal)
