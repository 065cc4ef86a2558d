# ruff: noqa: PLC0415 -- reports, uploads and trees load when first used
"""What a user holds: the client, an ad account, a business."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from spotify_ads_async.auth.credentials import AccessToken, Credentials
from spotify_ads_async.core.retry import RetryPolicy
from spotify_ads_async.core.session import CallOptions, Session, Verify
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.events import Listener, Listeners
from spotify_ads_async.governor import PUBLISHED_LIMITS, Governor, Limit, Priority, Snapshot
from spotify_ads_async.network.addresses import require_secure
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.operation import Operation
from spotify_ads_async.resources import AdAccountResources, BusinessResources, RootResources
from spotify_ads_async.settings import BASE_URL, settings_from
from spotify_ads_async.types import UNSET, Secret, UnsetType

if TYPE_CHECKING:
    from spotify_ads_async.accounts import AccountRows, VisibleAccounts
    from spotify_ads_async.ad_products import AdProductCatalog
    from spotify_ads_async.reports import Reports
    from spotify_ads_async.trees import Trees
    from spotify_ads_async.uploads import Assets, Audiences

__all__ = ["AdAccount", "AdsClient", "Business"]

AnswerT = TypeVar("AnswerT")
RowT = TypeVar("RowT")
_EMPTY: Mapping[str, Any] = {}


class AdAccount(AdAccountResources):
    """One ad account and everything in it. Made by :meth:`AdsClient.ad_account`; making one asks nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} at {self._session.base_url}>"

    @property
    def id(self) -> str:
        """The ad account's ID."""
        return self._ad_account_id

    @cached_property
    def assets(self) -> Assets:
        """Assets: audio, video and images for ads, with uploads of files."""
        from spotify_ads_async.uploads.assets import Assets

        return Assets(self._session, self._ad_account_id)

    @cached_property
    def audiences(self) -> Audiences:
        """Audiences: lists of listeners to target or to leave out, with uploads of customer lists."""
        from spotify_ads_async.uploads.audiences import Audiences

        return Audiences(self._session, self._ad_account_id)

    @cached_property
    def reports(self) -> Reports:
        """Reports of any range and any number of entities. They also spend the limit for reporting."""
        from spotify_ads_async.reports import Reports

        return Reports(self._session, self._ad_account_id)

    @cached_property
    def trees(self) -> Trees:
        """Campaigns with everything in them: to clone, to export, and to make from a file."""
        from spotify_ads_async.trees import Trees

        return Trees(self._session, self._ad_account_id)


class Business(BusinessResources):
    """One business and everything in it. Made by :meth:`AdsClient.business`; making one asks nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} at {self._session.base_url}>"

    @property
    def id(self) -> str:
        """The business's ID."""
        return self._business_id


class AdsClient(RootResources):
    """The Spotify Ads API, under a governor.

    Use it as ``async with``, or call :meth:`aclose` at the end. One client serves any number of concurrent calls of one
    event loop. Clients that share a window (the same client ID, or the same address) share one governor.

    Args:
        credentials: a :class:`RefreshToken`, an :class:`AccessToken`, or a bare access token (plain, or as a
            :class:`Secret`).
        base_url: the API's address with the version in its path.
        governor: decides when a request may leave; by default one of its own with the published limits.
        timeout: seconds for one attempt, from connecting to the answer's last byte; None for no bound.
        max_wait: seconds that a call waits for quota at most; None for no bound.
        deadline: seconds for a whole call with its waits and repeats; None for no bound.
        priority: the class of calls in the governor's line.
        policy: how failed calls are repeated.
        transport: connections and sizes.

    Raises:
        ConfigurationError: the address would carry the token in the clear, or the token cannot be one.
    """

    def __init__(
        self,
        credentials: Credentials | Secret | str,
        *,
        base_url: str = BASE_URL,
        governor: Governor | None = None,
        timeout: float | None = 30.0,
        max_wait: float | None = None,
        deadline: float | None = None,
        priority: Priority = Priority.INTERACTIVE,
        policy: RetryPolicy | None = None,
        transport: TransportOptions | None = None,
    ) -> None:
        # The plain strings must not stay in this frame while something is refused: a traceback may show them.
        address, base_url = Secret(base_url), ""
        if isinstance(credentials, str):
            credentials = Secret(credentials)
        transport = transport or TransportOptions()
        base_url = require_secure(address, transport.allow_http, what="the base URL")
        if isinstance(credentials, Secret):
            credentials = AccessToken(credentials)
        self._owned_governor: Governor | None = None
        if governor is None:
            governor = _default_governor(origin=_origin(base_url))
            self._owned_governor = governor
        self.governor = governor
        self._listeners = Listeners()
        super().__init__(
            Session(
                credentials,
                base_url=base_url,
                governor=governor,
                options=CallOptions(timeout=timeout, max_wait=max_wait, deadline=deadline, priority=priority),
                policy=policy or RetryPolicy(),
                transport=transport,
                listeners=self._listeners,
            )
        )

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """A client as the environment describes it, see :func:`spotify_ads_async.settings.settings_from`.

        Raises:
            ConfigurationError: the credentials are missing or incomplete, or a value cannot be read.
        """
        settings = settings_from(environment)
        credentials = settings.needed_credentials()
        base_url = require_secure(Secret(settings.base_url), settings.transport.allow_http, what="the base URL")
        governor = _default_governor(origin=_origin(base_url), limits=settings.limits, store=settings.store)
        client = cls(credentials, base_url=base_url, governor=governor, transport=settings.transport)
        client._owned_governor = governor
        return client

    def __repr__(self) -> str:
        if not hasattr(self, "_session"):  # in a traceback from its own making
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} at {self.base_url}, {self.governor!r}>"

    @property
    def base_url(self) -> str:
        """Where calls go: the API's address with the version in its path."""
        return self._session.base_url

    def ad_account(self, ad_account_id: str) -> AdAccount:
        """The ad account with this ID."""
        return AdAccount(self._session, ad_account_id)

    def business(self, business_id: str) -> Business:
        """The business with this ID."""
        return Business(self._session, business_id)

    def ad_accounts(self) -> VisibleAccounts:
        """Every ad account of every business that the user belongs to; the API has no list of its own for them.

        A business that refuses is named in ``refused`` when the iteration has ended; the others are asked all the same.
        """
        from spotify_ads_async.accounts import VisibleAccounts

        return VisibleAccounts(
            self.businesses.list(), lambda business_id: self.business(business_id).ad_accounts.list()
        )

    def across_accounts(
        self,
        read: Callable[[AdAccount], AsyncIterable[RowT]],
        ad_accounts: Sequence[str] | None = None,
        *,
        at_once: int = 4,
    ) -> AccountRows[RowT]:
        """The rows of several ad accounts at once: of those that answer, while those that do not are named.

            async with ads.across_accounts(lambda account: account.campaigns.list()) as rows:
                async for ad_account_id, campaign in rows:
                    ...
            for ad_account_id, error in rows.failures.items():
                ...

        Args:
            read: what to read of an account: a list, a report, anything that ``async for`` takes.
            ad_accounts: their IDs; every account that can be seen if left out.
            at_once: how many accounts are read at the same time; all share the governor's windows.

        Raises:
            ConfigurationError: no account is named, or none at once.
        """
        from spotify_ads_async.accounts import AccountRows

        if at_once < 1 or (ad_accounts is not None and not ad_accounts):
            raise ConfigurationError("rows across accounts need at least one ad account, and one at once")
        named = self.ad_accounts() if ad_accounts is None else ad_accounts
        return AccountRows(lambda ad_account_id: read(self.ad_account(ad_account_id)), named, at_once=at_once)

    async def ad_product_catalog(self) -> AdProductCatalog:
        """The rules that hold for each ad product, as they are now.

        What it takes, requires and forbids beyond the API's document.
        Spotify's own tooling reads it before every write; no document has it. See :class:`AdProductCatalog`.
        """
        from spotify_ads_async.ad_products import read_catalog

        return await read_catalog(self._session)

    async def call(
        self,
        operation: Operation[AnswerT],
        *,
        path: Mapping[str, str] = _EMPTY,
        query: Mapping[str, object] = _EMPTY,
        body: object = None,
        priority: Priority | UnsetType = UNSET,
        max_wait: float | UnsetType | None = UNSET,
        idempotency_key: str | None = None,
        verify: Verify[AnswerT] | None = None,
    ) -> AnswerT:
        """Make one call of any operation: what every method comes down to. See :meth:`Session.call`."""
        session = _viewed(self._session, {"priority": priority, "max_wait": max_wait})
        return await session.call(
            operation, path=path, query=query, body=body, idempotency_key=idempotency_key, verify=verify
        )

    def with_options(
        self,
        *,
        timeout: float | UnsetType | None = UNSET,
        max_wait: float | UnsetType | None = UNSET,
        deadline: float | UnsetType | None = UNSET,
        priority: Priority | UnsetType = UNSET,
        validate: bool | UnsetType = UNSET,
        keep_json: bool | UnsetType = UNSET,
    ) -> Self:
        """A view of this client whose calls are made otherwise; connections and governor are shared.

        ``validate=False`` sends what this version's document forbids, for values that are newer than the package. With
        ``keep_json=True`` the items of lists have :attr:`~spotify_ads_async.types.Answer.json`, as single answers
        always do.
        """
        given = {
            "timeout": timeout,
            "max_wait": max_wait,
            "deadline": deadline,
            "priority": priority,
            "validate": validate,
            "keep_json": keep_json,
        }
        view = object.__new__(type(self))
        view.governor = self.governor
        view._owned_governor = None
        view._listeners = self._listeners
        RootResources.__init__(view, _viewed(self._session, given))
        return view

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every event of this client's calls and of its governor.

        The function returned ends that.
        """
        removers = (self._listeners.add(listener), self.governor.subscribe(listener))

        def remove() -> None:
            for one in removers:
                one()

        return remove

    @property
    def listeners(self) -> Listeners:
        """Who hears of this client's calls, for what is built on the client and has events of its own."""
        return self._listeners

    def quota(self) -> Snapshot:
        """The present state of the windows that this client spends."""
        return self.governor.snapshot()

    async def aclose(self) -> None:
        """Close the connections, and the governor if it is this client's own."""
        try:
            await self._session.aclose()
        finally:  # also where the closing is cancelled: what has begun ends by itself
            if self._owned_governor is not None:
                await self._owned_governor.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _viewed(session: Session, given: Mapping[str, object]) -> Session:
    changes = {name: value for name, value in given.items() if value is not UNSET}
    return session.with_options(msgspec.structs.replace(session.options, **changes)) if changes else session


_default_governors: weakref.WeakValueDictionary[str, Governor] = weakref.WeakValueDictionary()


def _default_governor(
    *, origin: str, limits: Iterable[Limit] = PUBLISHED_LIMITS, store: Secret | None = None
) -> Governor:
    """A governor for a client that was given none. Warns of a second one in memory for the same API."""
    governor = Governor(limits, store="memory" if store is None else store)
    if governor.shared or not governor.limits:
        return governor
    known = _default_governors.get(origin)
    if known is not None and not known.closed:
        warnings.warn(
            f"a second client for {origin} with a governor of its own: together they exceed the limits that each "
            "keeps. Make one Governor and pass it to both, AdsClient(…, governor=governor), or keep the windows in a "
            "store that both use, SPOTIFY_ADS_STORE=sqlite:///…",
            RuntimeWarning,
            stacklevel=3,
        )
    _default_governors[origin] = governor
    return governor
