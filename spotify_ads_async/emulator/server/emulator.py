"""The emulator itself: an Ads API on loopback, from start to end."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import anyio
from aiohttp import web

from spotify_ads_async.emulator.domain.clock import Clock
from spotify_ads_async.emulator.domain.data import load_file
from spotify_ads_async.emulator.domain.database import Database
from spotify_ads_async.emulator.domain.handlers.ad_sets import add_ad_sets
from spotify_ads_async.emulator.domain.handlers.audiences import list_received
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.domain.seeding import Plan, seed
from spotify_ads_async.emulator.domain.store import Account, Store
from spotify_ads_async.emulator.server.accounts_service import AccountsService
from spotify_ads_async.emulator.server.admin import Admin
from spotify_ads_async.emulator.server.app import PREFIX, App, HeaderPolicy, RetryAfterForm
from spotify_ads_async.emulator.server.faults import ArmedFault, Fault, FaultBook, FaultDetails, FaultKind
from spotify_ads_async.emulator.server.hosts import HostPolicy
from spotify_ads_async.emulator.server.latency import Latency, LatencyLike
from spotify_ads_async.emulator.server.oauth import TokenBook
from spotify_ads_async.emulator.server.quota import Algorithm, QuotaBook
from spotify_ads_async.emulator.server.statistics import Statistics
from spotify_ads_async.limits import PUBLISHED_LIMITS, Limit, checked_limits

__all__ = ["Emulator"]

_HERE: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens there
"""What listens everywhere → an address by which this machine reaches it."""
_LARGEST_BODY_BYTES = 64 * 1024 * 1024
_SHUTDOWN_SECONDS = 0.2


class Emulator:
    """The Ads API on loopback: stateful, limited and as awkward as asked for.

    Use it as an async context manager; it listens from entry to exit, on the loop that enters it.

    Args:
        ad_sets: how many ad sets there are to begin with, spread over campaigns of one ad account.
        campaigns: how many campaigns, None for one to twenty ad sets.
        ads: how many ads, None for one to ten ad sets.
        limits: the windows that are enforced; None or empty for none. ``client_id``, ``ip`` and ``reporting`` are spent
            by the operations that name them, limits of other names by every request; those that begin with ``ip`` per
            address, the others per client ID.
        algorithm: how they count: ``log``, ``fixed``, ``bucket`` or ``weighted``.
        latency: seconds from a request's arrival to its answer: (shortest, longest), or a :class:`Latency`.
            A request is counted when it arrives and takes effect somewhere in between.
        uplink: seconds before a request arrives: what a slow way to the server costs before it is counted.
        seed: where identifiers, latencies and faults come from; the same number, the same run.
        host: the address to listen on. Whoever reaches another one than a loopback address can read and change what is
            emulated.
        allowed_hosts: names in ``Host`` that are answered beside addresses and names without a dot; others are refused
            (421), so that no web page can point a name of its own at the emulator.
        port: the port, 0 for a free one.
        tls: serves https with this context, where a certificate or a proxy is what is to be tried.
        clients: client ID → secret of those who may have tokens, None for anybody.
        tokens: access token → client ID of tokens that are good from the start.
        refresh_tokens: refresh token → client ID of tokens that are good from the start.
        any_token: whether tokens that the emulator never issued are good too, each for a client of its own.
        token_lifetime: seconds for which an issued access token lives.
        rotate_refresh_tokens: whether a refresh replaces the refresh token.
        faults: what goes wrong from the start; see :meth:`add_fault`.
        rate_limit_headers: which answers carry ``X-RateLimit`` headers: ``always``, ``refusals`` or ``never``.
        retry_after: how a 429 says when to come back: ``seconds``, ``date`` or ``absent``.
        processing: seconds for which an uploaded file or a report is worked on before it is ready.
        data: a JSON file to begin with, instead of made-up data.
        database: a SQLite file that keeps the data from run to run; what it holds goes before ``data`` and ``ad_sets``.
        patch: what a change makes of objects inside an entity: ``merge`` merges them, ``replace`` replaces them by what
            was sent, and ``replace-known`` replaces them and loses the names that the API document does not know.
        now: the time at which the emulator's clock starts, None for the present.

    Raises:
        ConfigurationError: two limits have one name.
        ValueError: ``data`` or ``database`` is no such file, another emulator has the database, or ad sets are asked
            for without campaigns.
        OSError: the database's folder cannot be written to; at the end, what changed last could not be.

    Attributes:
        store: what the emulator knows, for tests that look at it or change it beside the API.
        clock: the emulator's wall clock; set its ``skew`` to set it apart.
        tokens: the accounts service's tokens.
        ad_account_id: the ad account that holds the data to begin with.
        business_id: the business that it belongs to.
    """

    def __init__(
        self,
        *,
        ad_sets: int = 2000,
        campaigns: int | None = None,
        ads: int | None = None,
        limits: Iterable[Limit] | None = PUBLISHED_LIMITS,
        algorithm: Algorithm = "log",
        latency: LatencyLike = (0.02, 0.12),
        uplink: LatencyLike = 0.0,
        seed: int = 0,
        host: str = "127.0.0.1",
        allowed_hosts: Iterable[str] = (),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        clients: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        refresh_tokens: Mapping[str, str] | None = None,
        any_token: bool = True,
        token_lifetime: float = 3600.0,
        rotate_refresh_tokens: bool = False,
        faults: Iterable[Fault] = (),
        rate_limit_headers: HeaderPolicy = "always",
        retry_after: RetryAfterForm = "seconds",
        processing: float = 1.0,
        data: Path | None = None,
        database: Path | None = None,
        patch: PatchMode | Literal["merge", "replace", "replace-known"] = "merge",
        now: datetime | None = None,
    ) -> None:
        self._address, self._tls = (host, port), tls
        self.clock = Clock(now)
        self.store = Store(self.clock, _stream(seed, "identifiers"), processing, PatchMode(patch))
        self.tokens = TokenBook(
            clients=clients or {},
            tokens=tokens or {},
            refresh_tokens=refresh_tokens or {},
            any_token=any_token,
            lifetime=token_lifetime,
            rotate=rotate_refresh_tokens,
            rng=_stream(seed, "tokens"),
        )
        self._app = App(
            store=self.store,
            tokens=self.tokens,
            quota=QuotaBook(checked_limits(limits or ()), algorithm, _stream(seed, "phases")),
            faults=FaultBook(_stream(seed, "faults"), faults),
            latency=Latency.of(latency),
            uplink=Latency.of(uplink),
            hosts=HostPolicy(allowed_hosts),
            rng=_stream(seed, "latencies"),
            rate_limit_headers=rate_limit_headers,
            retry_after=retry_after,
        )
        self._database = None if database is None else Database(database)
        account = self._fill(data, Plan(ad_sets=ad_sets, campaigns=campaigns, ads=ads), seed)
        self.ad_account_id = account.id
        self.business_id: str = account.row["business_id"]
        self._runner: web.ServerRunner | None = None
        self._origin = ""

    def _fill(self, data: Path | None, plan: Plan, number: int) -> Account:
        """The data to begin with: from the database, the file, or made up."""
        database = self._database
        if database is not None and database.load(self.store):
            account = next(iter(self.store.accounts.values()))
        else:
            account = seed(self.store, plan, number) if data is None else load_file(self.store, data)
            if database is not None:
                database.save_all(self.store)
        if database is not None:
            database.follow(self.store)
        return account

    @property
    def origin(self) -> str:
        """Scheme, host and port: where the web page is.

        Raises:
            RuntimeError: the emulator does not listen yet.
        """
        if not self._origin:
            raise RuntimeError("the emulator does not listen: enter it first (async with Emulator() as server)")
        return self._origin

    @property
    def base_url(self) -> str:
        """The API's base URL, for ``AdsClient(base_url=…)``."""
        return self.origin + PREFIX

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.origin}/api/token"

    @property
    def authorize_url(self) -> str:
        """The authorization endpoint."""
        return f"{self.origin}/authorize"

    async def __aenter__(self) -> Self:
        for routes in (AccountsService(self.tokens), Admin(self._app, self.ad_account_id), self.store.storage):
            self._app.add_side(routes.routes())
        self.store.storage.on_upload(partial(list_received, self.store))
        runner = web.ServerRunner(
            web.Server(self._app.handle, request_factory=_request, access_log=None),
            handle_signals=False,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await runner.setup()
        self._runner = runner
        if self._database is not None:
            self._database.start()
        try:
            await web.TCPSite(runner, *self._address, backlog=1024, ssl_context=self._tls).start()
        except BaseException:
            await self._stop(runner)
            raise
        host, port = runner.addresses[0][:2]
        here = _HERE.get(host, host)
        scheme = "http" if self._tls is None else "https"
        self._origin = f"{scheme}://[{here}]:{port}" if ":" in here else f"{scheme}://{here}:{port}"
        return self

    async def __aexit__(self, *exception: object) -> None:
        runner, self._runner, self._origin = self._runner, None, ""
        if runner is not None:
            await self._stop(runner)

    async def _stop(self, runner: web.ServerRunner) -> None:
        with anyio.CancelScope(shield=True):  # as where a task was cancelled once: nothing is left half closed
            await runner.cleanup()
            if self._database is not None:
                await self._database.stop()

    def statistics(self) -> Statistics:
        """What the emulator saw since it started, or since :meth:`reset_statistics`."""
        return self._app.statistics()

    def reset_statistics(self) -> None:
        """Count from zero again; the windows stay as full as they are."""
        self._app.reset_statistics()

    def add_fault(
        self, kind: FaultKind, *, operation: str | Iterable[str] = (), **details: Unpack[FaultDetails]
    ) -> ArmedFault:
        """Let something go wrong from now on.

        Args:
            kind: what; see :class:`Fault`.
            operation: the operationIds that it befalls, none for all.
            details: ``ad_accounts``, ``businesses``, ``query``, ``share``, ``times``, ``skip``, ``status``,
                ``message``, ``delay``, ``headers`` of :class:`Fault`.

        Returns:
            The fault in force: ``.hits`` counts, ``.remove()`` ends it.

        Raises:
            ValueError: no fault is of the kind, ``share`` or ``status`` is none, or no operation has one of the names.
        """
        operations = frozenset({operation} if isinstance(operation, str) else operation)
        return self._app.faults.add(Fault(kind=kind, operations=operations, **details))

    def clear_faults(self) -> None:
        """Let everything go well again."""
        self._app.faults.clear()

    def add_ad_sets(self, count: int = 1) -> list[str]:
        """Create ad sets like those to begin with, while the server runs; their ids.

        Newest first, they come before all others.
        """
        return add_ad_sets(self.store.account(self.ad_account_id), count)

    def archive_ad_set(self, ad_set_id: str) -> None:
        """Archive an ad set, as others might while a walk runs; with ``statuses`` filters it leaves the lists.

        Raises:
            Refusal: there is none with this id.
        """
        account = self.store.account(self.ad_account_id)
        row = account.ad_sets.get(ad_set_id)
        record(
            account, "AD_SET", row, account.ad_sets.put({**row, "status": "ARCHIVED", "updated_at": self.clock.text()})
        )

    def remove_ad_set(self, ad_set_id: str) -> None:
        """Take an ad set out of every list, so that the rows behind it move up."""
        self.store.account(self.ad_account_id).ad_sets.remove(ad_set_id)

    def set_latency(self, latency: LatencyLike) -> None:
        """Change how long answers take from now on."""
        self._app.latency = Latency.of(latency)


def _stream(seed: int, name: str) -> random.Random:
    """Random numbers of their own for one purpose, so that using one does not shift another."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - to be replayed, not to be secret


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own types, passed on as they come
    return web.BaseRequest(
        message, payload, protocol, writer, task, task.get_loop(), client_max_size=_LARGEST_BODY_BYTES
    )
