"""Registering an asset under a name by which it is surely found again, and giving it its own name at the end."""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime

import msgspec

from spotify_ads_async import operations
from spotify_ads_async.errors import Conflict, InvalidAnswer, RequestRejected
from spotify_ads_async.json_values import reworded
from spotify_ads_async.models import Asset, AssetCreate, AssetStatus, AssetSubtype, AssetUpdate, AudioAsset
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import UNSET
from spotify_ads_async.uploads.asset_calls import WAITING, AssetCalls
from spotify_ads_async.validation.requests import check_body

__all__ = ["Registration"]

logger = logging.getLogger("spotify_ads_async")

_GONE = frozenset({400, 404, 410})
_FILED = frozenset({AssetStatus.PROCESSING, AssetStatus.READY})
_LONGEST_NAME = 120


def marked(name: str, mark: str) -> str:
    """The name under which an asset is registered.

    No other asset has it, so one that is found by it is surely this upload's.
    """
    suffix = f" ({mark})" if mark else ""
    return name[: _LONGEST_NAME - len(suffix)] + suffix


class Registration:
    """The asset of one upload.

    Args:
        calls: those about the asset.
        unique_name: whether no other asset has its name, so that it needs no mark.
    """

    def __init__(self, calls: AssetCalls, *, unique_name: bool) -> None:
        self._calls = calls
        self._journal = calls.journal
        self._unique_name = unique_name
        self._renamed = False

    async def asset(self, name: str, subtype: AssetSubtype | None, given: str | None) -> Asset:
        """The asset of the interrupted run, the one that was given, or a new one."""
        journal = self._journal
        if journal.state.asset_id is not None:
            try:
                found = await self._calls.current()
            except RequestRejected as refused:
                if given is not None or refused.status not in _GONE:
                    raise
            else:
                if found.status not in _FILED or journal.state.closing or journal.state.complete:
                    return found
                logger.warning("asset %s has a file that this upload did not send, and stays as it is", found.id)
            # Nobody can go on with an asset that is gone, or was given another file.
            await journal.restart()
        if given is None:
            registered = await self._register(name, subtype)
            await journal.note(asset_id=registered.id, named=registered.name == name)
            return registered
        asset: Asset = await self._calls.session.call(
            operations.GET_ASSET, path={**self._calls.account, "asset_id": given}
        )
        if asset.status not in WAITING:
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
            asset_type=self._calls.file.asset_type, name=name, asset_subtype=UNSET if subtype is None else subtype
        )
        if self._calls.session.options.validate:
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
            return made or await self._calls.session.call(
                operations.CREATE_ASSET, path=self._calls.account, body=body, verify=lambda: self._registered(body.name)
            )

        found = await self._calls.patiently(create)
        if not found.id or found.status not in WAITING or mark not in (found.name or mark):
            raise InvalidAnswer(
                f"the answer names no asset that waits for this file, but {found.name!r} ({found.id}, {found.status});"
                " nothing was sent to it",
                operation=operations.CREATE_ASSET.id,
            )
        kind = found.audio_type if isinstance(found, AudioAsset) else None
        if subtype is not None and kind is not None and kind.known and kind != subtype:
            raise InvalidAnswer(
                f"asset {found.id} was registered as {kind} and not as {subtype}: nothing was sent to it",
                operation=operations.CREATE_ASSET.id,
            )
        return found

    async def _registered(self, name: str) -> Asset | None:
        """The asset of this name that waits for its file, None where there is none."""
        query = {"name": name, "asset_types": [self._calls.file.asset_type], "statuses": [AssetStatus.WAITING_UPLOAD]}
        walk: ListCall[Asset] = ListCall(
            self._calls.session, operations.GET_ASSETS_BY_AD_ACCOUNT, path=self._calls.account, query=query
        )
        async with walk.walk() as found:
            return await anext((one async for one in found if one.name == name), None)

    async def named(self, asset: Asset, name: str) -> Asset:
        """The asset under its own name."""
        state = self._journal.state
        if state.named or (asset.name is not None and (state.mark or "") not in asset.name and not self._renamed):
            return asset  # which somebody may have renamed meanwhile
        body = AssetUpdate(asset_type=self._calls.file.asset_type, name=name)

        async def renamed() -> Asset | None:
            found = await self._calls.current()
            return found if reworded(name, found.name) else None

        async def rename() -> Asset:
            found = await self._calls.ours(
                await self._calls.session.call(
                    operations.UPDATE_ASSET, path=self._calls.path, body=body, verify=renamed
                )
            )
            self._renamed = True
            if found.status is None or found.name != name:
                found = await self._calls.current()
            if found.name is not None and not reworded(name, found.name):
                raise InvalidAnswer(
                    f"the name did not change to {name!r}: it is {found.name!r}", operation=operations.UPDATE_ASSET.id
                )
            return found

        try:
            found = await self._calls.patiently(rename)
        except (InvalidAnswer, RequestRejected) as refused:
            refused.add_note(
                f"the file is there: asset {asset.id} is called {asset.name!r}, and the same upload goes on with its"
                " name"
            )
            raise
        await self._journal.note(named=True)
        return found
