"""The media files of a plan: each uploaded once, and awaited until ads can use it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from spotify_ads_async.bulk.present import PAGE_SIZE
from spotify_ads_async.bulk.workbook.records import MediaItem
from spotify_ads_async.bulk.workbook.work import Work
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.operations import GET_ASSETS_BY_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.some import batched

__all__ = ["MediaUploads"]

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 10.0, 1.6
_PATIENCE_SECONDS = 900.0
_NOTICED_SECONDS = 60.0
"""An asset that lists lack for so long is gone."""
_RESUME = "resume the plan to ask again"
_REPLACE = "its draft is there and names it: undo this plan, put another file in place, and plan again"
_SMALL_BYTES, _SMALL_AT_ONCE = 2_000_000, 48
"""Small files go first and many at once, so that the server works on them while drafts are made."""
_READY = "READY"
_WITHOUT_FILE = frozenset({None, "WAITING_UPLOAD"})


class MediaUploads:
    """Uploads some media files of a plan. What is being processed is asked about together, fifty to a request.

    Args:
        work: what the run shares.
        arrived: told the number of a file that the server has: drafts can name it, though it may still be processed.
        ready: told the number of a file that ads can go live with from now on.
        failed: told the number of a file that they cannot use, why, and what to do where an ad's draft names it.
    """

    def __init__(
        self,
        work: Work,
        *,
        arrived: Callable[[int], None],
        ready: Callable[[int], None],
        failed: Callable[[int, str, str], Awaitable[None]],
    ) -> None:
        self._work = work
        self._has_arrived = arrived
        self._ready = ready
        self._failed = failed
        self._processing: dict[str, tuple[MediaItem, float]] = {}
        self._lacked_since: dict[str, float] = {}
        self._sending = True

    @property
    def processing(self) -> set[int]:
        """The numbers of the files that the server has and still processes."""
        return {item.number for item, _ in self._processing.values()}

    async def run(self, items: Iterable[MediaItem]) -> None:
        """Upload what is not there yet, and return when each file is ready or has failed, or the run is to stop."""
        missing: list[MediaItem] = []
        for item in items:
            if item.asset_id:
                self._await(item, item.asset_id)
            else:
                missing.append(item)
        if self._work.began_before and missing:
            missing = await self._without_uploaded(missing)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._await_processing)
            small, large = await anyio.to_thread.run_sync(_by_size, missing)
            await some_at_once(self._upload, small, at_once=_SMALL_AT_ONCE)
            await some_at_once(self._upload, large)
            self._sending = False

    def _await(self, item: MediaItem, asset_id: str) -> None:
        self._processing[asset_id] = item, time.monotonic() + _PATIENCE_SECONDS
        self._has_arrived(item.number)

    def _asset_name(self, item: MediaItem) -> str:
        """The name of an asset: the file's, and a mark of this plan alone by which a later run knows it again."""
        return f"{Path(item.path).stem[:100]} {item.sha256[:6]}{self._work.header.mark}"

    def _assets(self, **query: object) -> ListCall[Any]:
        return ListCall(
            self._work.ads, GET_ASSETS_BY_AD_ACCOUNT, path=self._work.account, query={"limit": PAGE_SIZE, **query}
        )

    async def _without_uploaded(self, items: Sequence[MediaItem]) -> list[MediaItem]:
        """Those of some files that no earlier run of this plan has uploaded."""
        wanted = {self._asset_name(one): one for one in items}
        async for asset in self._assets():
            if asset.name in wanted and asset.status not in _WITHOUT_FILE:
                await self._arrived(wanted.pop(asset.name), asset)
        return list(wanted.values())

    async def _upload(self, item: MediaItem) -> None:
        from spotify_ads_async.uploads.files import inspect  # noqa: PLC0415 - most plans upload nothing

        path, work = Path(item.path), self._work
        if work.stopping.is_set():
            return
        try:
            found = await anyio.to_thread.run_sync(inspect, path, None)
            if found.sha256 != item.sha256:
                reason = f"{path.name} is not the file that was planned: it changed since; plan again"
                raise InvalidRequest(reason, operation="uploadAsset")
            done = await work.ads.ad_account(work.header.ad_account_id).assets.upload(
                path,
                name=self._asset_name(item),
                asset_type=found.asset_type,
                journal=work.path.with_name(f"{work.path.name}.{item.number}.upload"),
                timeout=None,
                unique_name=True,
            )
            await self._arrived(item, done.asset)
        except (SpotifyAdsError, OSError) as problem:
            await self._give_up(item, problem)

    async def _arrived(self, item: MediaItem, asset: Any) -> None:  # noqa: ANN401 - of any type
        """The server has a file; it may still have to process it."""
        from spotify_ads_async.uploads.media import require_usable  # noqa: PLC0415 - most plans upload nothing

        await self._work.uploaded(item.number, str(asset.id))
        try:
            require_usable(asset, Path(item.path).name)
        except SpotifyAdsError as problem:
            self._processing.pop(str(asset.id), None)
            await self._give_up(item, problem)
            return
        if asset.status == _READY:
            self._processing.pop(str(asset.id), None)
            self._has_arrived(item.number)
            self._ready(item.number)
        elif str(asset.id) not in self._processing:
            self._await(item, str(asset.id))

    async def _give_up(self, item: MediaItem, problem: Exception) -> None:
        self._work.stop_if_refused(problem)
        # An ad's draft that names the asset keeps naming it: uploading the file once more would not mend that.
        if not any(item.number in one.media.values() and one.is_there for one in self._work.items.values()):
            await self._work.uploaded(item.number, "")
        await self._failed(item.number, f"{Path(item.path).name} could not be uploaded: {problem}", _REPLACE)

    async def _await_processing(self) -> None:
        """Ask until everything is ready; pauses grow while nothing new arrives."""
        asked_about: set[str] = set()
        pause = _FIRST_PAUSE
        while (self._processing or self._sending) and not self._work.stopping.is_set():
            pause = min(pause * _GROWTH, _LONGEST_PAUSE) if self._processing.keys() <= asked_about else _FIRST_PAUSE
            asked_about = set(self._processing)
            self._work.progress.processing = len(asked_about)
            with anyio.move_on_after(pause):
                await self._work.stopping.wait()
            await self._ask()
        self._work.progress.processing = 0

    async def _ask(self) -> None:
        for asked in batched(list(self._processing), PAGE_SIZE):
            try:
                page = await self._assets(asset_ids=asked)
            except SpotifyAdsError as problem:
                # Whoever cannot ask cannot make ads either: the files stay as they are for a later run.
                self._work.stop_if_refused(problem)
                for asset_id in asked:
                    item, _ = self._processing.pop(asset_id)
                    reason = f"{Path(item.path).name} could not be read back: {problem}"
                    await self._failed(item.number, reason, _RESUME)
                continue
            await self._look_for(asked, {str(asset.id) for asset in page.items})
            for asset in page.items:
                if str(asset.id) in self._processing:
                    await self._arrived(self._processing[str(asset.id)][0], asset)
        for asset_id, (item, until) in list(self._processing.items()):
            if time.monotonic() > until:
                del self._processing[asset_id]
                waited = f"asset {asset_id} is not ready after {_PATIENCE_SECONDS:.0f} s"
                await self._failed(item.number, f"{Path(item.path).name}: {waited}", _RESUME)

    async def _look_for(self, asked: Sequence[str], found: Collection[str]) -> None:
        """Give up what nobody will answer about any more."""
        now = time.monotonic()
        for asset_id in asked:
            if asset_id in found:
                self._lacked_since.pop(asset_id, None)
            elif now - self._lacked_since.setdefault(asset_id, now) > _NOTICED_SECONDS:
                item, _ = self._processing.pop(asset_id)
                await self._give_up(item, InvalidRequest(f"asset {asset_id} is gone: somebody deleted it"))


def _by_size(items: Sequence[MediaItem]) -> tuple[list[MediaItem], list[MediaItem]]:
    """Those with a small file, and the others. One that is gone is among the small: its upload says so."""
    parts: tuple[list[MediaItem], list[MediaItem]] = [], []
    for item in items:
        large = False
        with contextlib.suppress(OSError):
            large = Path(item.path).stat().st_size > _SMALL_BYTES
        parts[large].append(item)
    return parts
