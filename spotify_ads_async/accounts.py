"""Several ad accounts at once: the rows of those that answer, and the errors of those that do not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

import anyio
from anyio.abc import ObjectSendStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from spotify_ads_async import models
from spotify_ads_async.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidAnswer,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    SpotifyAdsError,
)
from spotify_ads_async.pagination import ListCall, Page

__all__ = ["AccountRow", "AccountRows", "VisibleAccounts"]

RowT = TypeVar("RowT")
_FOR_ALL = (AuthenticationError, ConfigurationError, InvalidRequest)
"""Errors that every account would meet alike."""
_ROWS_AHEAD = 256


class VisibleAccounts:
    """Every ad account of every business that the user belongs to: what :meth:`AdsClient.ad_accounts` lists.

    It is used as any list call: ``async for`` over it, ``await`` it for a page, which holds them all, or its
    :meth:`collect`; each use asks the server anew. A business that refuses keeps none of the others from being asked.
    Where every one refuses, the first refusal is raised.

    Args:
        businesses: the list of them.
        accounts_of: from a business's ID to the list of its ad accounts.

    Attributes:
        refused: business ID → why it did not tell its accounts, complete when an iteration has ended.
    """

    def __init__(
        self, businesses: ListCall[models.Business], accounts_of: Callable[[str], ListCall[models.AdAccount]]
    ) -> None:
        self.refused: dict[str, SpotifyAdsError] = {}
        self._businesses = businesses
        self._accounts_of = accounts_of

    async def __aiter__(self) -> AsyncGenerator[models.AdAccount]:
        """The accounts, one after the other.

        Raises:
            InvalidAnswer: a list leaves out an id.
            SpotifyAdsError: the businesses cannot be listed, every one of them refuses, or a call fails otherwise than
                by a refusal.
        """
        self.refused.clear()
        seen: set[str] = set()
        answered = False
        async for business in self._businesses:
            if not business.id:
                raise InvalidAnswer("a list leaves out the id of a business, so that its ad accounts cannot be listed")
            try:
                accounts = await self._accounts_of(business.id).collect()
            except (PermissionDenied, NotFound) as error:
                self.refused[business.id] = error
                continue
            answered = True
            for account in accounts:
                if not account.id:
                    raise InvalidAnswer(f"the list of the ad accounts of business {business.id} leaves out an id")
                if account.id.lower() not in seen:
                    seen.add(account.id.lower())
                    yield account
        if self.refused and not answered:
            refusal = next(iter(self.refused.values()))
            refusal.add_note(f"every business refuses to list its ad accounts: {', '.join(self.refused)}")
            raise refusal

    def __await__(self) -> Generator[Any, None, Page[models.AdAccount]]:
        return self._page().__await__()

    async def _page(self) -> Page[models.AdAccount]:
        accounts = await self.collect()
        return Page(items=accounts, total=len(accounts))

    async def collect(self) -> list[models.AdAccount]:
        """Every account, in a list; ``refused`` is complete then.

        Raises:
            SpotifyAdsError: as in an iteration.
        """
        return [account async for account in self]

    def __iter__(self) -> NoReturn:
        raise TypeError("ad accounts are read from the network: write `async for`, or `await ….collect()`")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: `async for` every ad account of every business, or `await` its collect()>"


class AccountRow(NamedTuple, Generic[RowT]):
    """A row with the ad account that it comes from."""

    ad_account_id: str
    row: RowT


class AccountRows(Generic[RowT]):
    """The rows of several ad accounts, as they come: what :meth:`AdsClient.across_accounts` makes.

    Use it as ``async with``, and iterate it inside; leaving the block ends what is still being read.

    Args:
        read: from an ad account's ID to its rows.
        ad_accounts: the accounts to ask.
        at_once: how many are asked at the same time.

    Attributes:
        failures: ad account ID → why it gave no rows, or no more of them; complete when the iteration has ended.
        refused_businesses: where every account is asked that can be seen: business ID → why its accounts could not be
            listed.
    """

    def __init__(
        self, read: Callable[[str], AsyncIterable[RowT]], ad_accounts: Sequence[str] | VisibleAccounts, *, at_once: int
    ) -> None:
        self.failures: dict[str, SpotifyAdsError] = {}
        self.refused_businesses: Mapping[str, SpotifyAdsError] = (
            ad_accounts.refused if isinstance(ad_accounts, VisibleAccounts) else {}
        )
        self._read = read
        self._ad_accounts = ad_accounts
        self._turns = anyio.CapacityLimiter(at_once)
        self._readers: TaskGroup | None = None
        self._rows: MemoryObjectReceiveStream[AccountRow[RowT] | SpotifyAdsError] | None = None

    async def __aenter__(self) -> Self:
        send, self._rows = anyio.create_memory_object_stream[AccountRow[RowT] | SpotifyAdsError](_ROWS_AHEAD)
        self._readers = await anyio.create_task_group().__aenter__()
        self._readers.start_soon(self._read_all, send)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._readers is not None and self._rows is not None:
            self._readers.cancel_scope.cancel()
            self._rows.close()
            # The block's own error passes by: the group would wrap it.
            await self._readers.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AccountRow[RowT]:
        """The next row of any account.

        Raises:
            ConfigurationError: outside of ``async with``.
            SpotifyAdsError: what every account would meet alike, such as a refused sign-in.
        """
        if self._rows is None:
            raise ConfigurationError(
                "rows of several accounts are read inside `async with ads.across_accounts(…) as rows`"
            )
        try:
            found = await self._rows.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None
        if isinstance(found, SpotifyAdsError):
            raise found
        return found

    async def _read_all(self, send: ObjectSendStream[AccountRow[RowT] | SpotifyAdsError]) -> None:
        async with send, anyio.create_task_group() as readers:
            if not isinstance(self._ad_accounts, VisibleAccounts):
                # In upper case it is the same account.
                for ad_account_id in {one.lower(): one for one in self._ad_accounts}.values():
                    readers.start_soon(self._read_one, ad_account_id, send)
                return
            try:
                async for account in self._ad_accounts:
                    readers.start_soon(self._read_one, account.id, send)
            except SpotifyAdsError as error:
                await send.send(error)

    async def _read_one(self, ad_account_id: str, send: ObjectSendStream[AccountRow[RowT] | SpotifyAdsError]) -> None:
        async with self._turns:
            rows: Any = None
            try:
                rows = aiter(self._read(ad_account_id))
                async for row in rows:
                    await send.send(AccountRow(ad_account_id, row))
            except _FOR_ALL as error:
                await send.send(error)
            except SpotifyAdsError as error:
                self.failures[ad_account_id] = error
            finally:
                if hasattr(rows, "aclose"):
                    with anyio.CancelScope(shield=True):
                        await rows.aclose()
