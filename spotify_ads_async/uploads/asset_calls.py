"""Calls about the asset of one upload: answers that are about another are none, and what may be repeated is."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from spotify_ads_async import operations
from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import ConnectionFailed, InvalidAnswer, OutcomeUnknown, ServerError
from spotify_ads_async.models import Asset, AssetStatus
from spotify_ads_async.uploads.files import MediaFile
from spotify_ads_async.uploads.journal import Journal

__all__ = ["WAITING", "AssetCalls"]

AnswerT = TypeVar("AnswerT")

WAITING = frozenset({None, AssetStatus.WAITING_UPLOAD, AssetStatus.ERROR})
"""Statuses in which an asset takes a file."""
_PASSING = (ConnectionFailed, InvalidAnswer, OutcomeUnknown, ServerError)
"""After these, what can be repeated without harm is repeated."""


class AssetCalls:
    """Calls about the asset that a journal names.

    Args:
        session: what makes them.
        ad_account_id: the asset's ad account.
        file: what is uploaded.
        journal: how far that is.
    """

    def __init__(self, session: Session, ad_account_id: str, file: MediaFile, journal: Journal) -> None:
        self.session = session
        self.account = {"ad_account_id": ad_account_id}
        self.file = file
        self.journal = journal

    @property
    def path(self) -> dict[str, str]:
        """Where the asset is."""
        return {**self.account, "asset_id": self.journal.state.asset_id or ""}

    async def current(self) -> Asset:
        """The asset as it is."""
        asset: Asset = await self.session.call(operations.GET_ASSET, path=self.path)
        wanted, kind = self.path["asset_id"], self.file.asset_type
        if (asset.id or "").lower() != wanted.lower() or (asset.asset_type or kind) != kind:
            raise InvalidAnswer(
                f"the answer is about the {asset.asset_type} {asset.id} and not about the {kind} {wanted}",
                operation=operations.GET_ASSET.id,
            )
        return asset

    async def ours(self, asset: Asset) -> Asset:
        """What was answered about this asset; read again where the answer does not name it."""
        return asset if (asset.id or "").lower() == self.path["asset_id"].lower() else await self.current()

    async def arrived(self) -> Asset | None:
        """The asset once it has its file, None while it waits."""
        asset = await self.current()
        return None if asset.status in {None, AssetStatus.WAITING_UPLOAD} else asset

    async def patiently(self, send: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Make a call that may be repeated, and repeat it while what hinders it passes."""
        policy = self.session.policy
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
