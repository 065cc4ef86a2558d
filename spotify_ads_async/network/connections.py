"""Connections: one pool at a time, of one event loop and one process.

A pool ends with its loop: it is an asynchronous generator, and those are closed by whatever runs a loop to its end
(``asyncio.run``, ``asyncio.Runner``, uvloop, anyio). So a client may be used in one loop after another. After a fork
the child has none of its parent's connections: what ends on one side would end on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import select
import socket
import ssl
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import aiohttp
import anyio
import msgspec
from aiohttp import hdrs
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.tracing import Trace
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from spotify_ads_async.errors import ConfigurationError, ConnectionFailed
from spotify_ads_async.forks import LEFT_TO_THE_PARENT, when_forked
from spotify_ads_async.loops import LoopAway, on_loop
from spotify_ads_async.network.options import Proxy, TransportOptions
from spotify_ads_async.network.problems import ProxyHungUpError, explained_connection_error, hung_up
from spotify_ads_async.network.time_limits import TimeLimits

__all__ = ["Connections", "Leave", "TimeLimit", "leave_to_send", "open_http", "proxy_on_the_way"]

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
_SLEEP_SECONDS = 1.0
_JUST_USED_SECONDS = 0.005
"""Idle for less, a connection is not asked whether it ended: an end as young as that is most often still on its way."""
_MOST_LOOKUPS = 10
"""A resolver of somebody's own may fail as a forgotten address does, and would be asked without end."""


class Leave(Protocol):
    """Leave for one request to be sent."""

    def renewal(self) -> Awaitable[None] | None:
        """Another one to wait for, where others may have its place in the quota by now."""
        ...


leave_to_send: ContextVar[Leave | None] = ContextVar("leave_to_send", default=None)
"""That of the running task's request: looked at once its connection is there, and before its first byte leaves."""


def open_http(
    options: TransportOptions,
    *,
    headers: Mapping[str, str] | None = None,
    skip_auto_headers: Iterable[str] = (),
    timeout: aiohttp.ClientTimeout = _NO_TIMEOUT,
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
    auto_decompress: bool = True,
    sockets: weakref.WeakSet[socket.socket] | None = None,
) -> aiohttp.ClientSession:
    """An aiohttp session that reaches every address by the way that ``options`` name, and keeps no cookies.

    Args:
        options: proxies and certificate authorities.
        headers: what every request says.
        skip_auto_headers: headers of aiohttp's own that are left out.
        timeout: for requests that name none.
        response_class: what answers are read with.
        auto_decompress: whether answers are given as they were before they were compressed.
        sockets: is told every socket that is opened.

    Raises:
        ConfigurationError: the certificate authorities cannot be read.
    """

    def opened(address: tuple[Any, ...]) -> socket.socket:
        made = socket.socket(*address[:3])
        if sockets is not None:
            sockets.add(made)
        return made

    async def routed(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        proxy = options.proxy_for(request.url)
        if proxy is not None:
            request.update_proxy(proxy.url, None, proxy.headers())
        return await send(request)

    return aiohttp.ClientSession(
        connector=_Connector(options, tls=options.tls_context(), socket_factory=opened),
        request_class=_Request,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        skip_auto_headers=skip_auto_headers,
        timeout=timeout,
        response_class=response_class,
        auto_decompress=auto_decompress,
        middlewares=(routed,) if options.proxied() else (),
        trust_env=False,
    )


def proxy_on_the_way(http: aiohttp.ClientSession, url: str) -> Proxy | None:
    """The proxy that a session of :func:`open_http` reaches an address through, None for none."""
    return http.connector.options.proxy_for(URL(url)) if isinstance(http.connector, _Connector) else None


class _Connector(aiohttp.TCPConnector):
    """Uses no idle connection that may have ended unheard: while the machine slept, or while its loop was busy.

    And no address twice at which nobody was.
    """

    def __init__(
        self,
        options: TransportOptions,
        *,
        tls: ssl.SSLContext | None,
        socket_factory: Callable[[tuple[Any, ...]], socket.socket],
    ) -> None:
        # No limit: whoever wants one counts the requests, so that waiting for a connection is no part of an attempt's
        # time.
        super().__init__(limit=0, ssl=True if tls is None else tls, socket_factory=socket_factory)  # pyright: ignore[reportUnknownMemberType] - aiohttp
        self._factory = partial(_Protocol, loop=self._loop)
        self.options = options
        self._clocks_apart = math.inf

    def let_go(self) -> None:
        """Close everything, which waits for nothing, also where the loop is closed or stands still."""
        with contextlib.suppress(RuntimeError):
            # Not the look-ups of addresses: those of a closed loop cannot be cancelled, the others end by themselves.
            super(aiohttp.TCPConnector, self)._close(abort_ssl=True)
        with contextlib.suppress(StopIteration, RuntimeError):
            self._resolver.close().__await__().__next__()

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> aiohttp.connector.Connection | None:
        if (leave := leave_to_send.get()) is not None and (again := leave.renewal()) is not None:
            await again
        # Aiohttp's clock of idleness stands still while the machine sleeps. A set clock costs new connections.
        now = time.monotonic()
        before, self._clocks_apart = self._clocks_apart, time.time() - now
        if self._clocks_apart > before + _SLEEP_SECONDS:
            for protocol, _ in itertools.chain.from_iterable(self._conns.values()):
                protocol.close()
            self._conns.clear()
        idle = self._conns.get(key)
        # The first is the longest idle.
        just_used = bool(idle) and now - idle[0][1] < _JUST_USED_SECONDS
        while (connection := await super()._get(key, traces)) is not None:
            if just_used or connection.transport is None or not _has_news(connection.transport):
                return connection
            connection.close()
        return None

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's own)
    ) -> ResponseHandler:
        try:
            protocol = await super()._create_connection(req, traces, timeout)
        except (OSError, aiohttp.ClientError) as problem:
            self.clear_dns_cache()  # the server may have moved: whoever tries again asks for its address again
            if req.proxy is not None and hung_up(problem):
                # Aiohttp says what it says of a request that left.
                raise ProxyHungUpError(req.connection_key, OSError()) from problem
            raise
        if (leave := leave_to_send.get()) is not None and (again := leave.renewal()) is not None:
            try:
                await again
            except BaseException:
                protocol.close()
                raise
        return protocol

    async def _resolve_host(self, host: str, port: int, traces: Sequence[Trace] | None = None) -> list[ResolveResult]:
        for _ in range(_MOST_LOOKUPS):
            # Cleared just then, aiohttp finds no address for those who waited while another connection looked it up.
            with contextlib.suppress(KeyError):
                return await super()._resolve_host(host, port, traces)
        raise OSError(f"the address of {host} was forgotten {_MOST_LOOKUPS} times while it was looked up")


class _Protocol(ResponseHandler):
    """Takes it for silence, too, that the other side takes nothing: to aiohttp, that begins once all of a body left."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self.start_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_timeout_handle is not None:  # else the answer is there
            self.start_timeout()


class _Request(aiohttp.ClientRequest):
    """Takes its headers whole, and not one by one."""

    def update_headers(self, headers: LooseHeaders | None) -> None:
        self.headers = CIMultiDict({hdrs.HOST: self.url.host_port_subcomponent or ""})
        if headers:
            self.headers.update(headers)


def _has_news(transport: asyncio.Transport) -> bool:
    """Whether something came in on an idle connection, which can only be its end."""
    at = transport.get_extra_info("socket").fileno()
    if at < 0 or not hasattr(select, "poll"):
        return at < 0
    poll = select.poll()
    poll.register(at, select.POLLIN)
    return bool(poll.poll(0))


class TimeLimit(msgspec.Struct):
    """Ends its block with :class:`TimeoutError` after so many seconds, as :func:`asyncio.timeout` does."""

    limits: TimeLimits
    seconds: float
    cancelling: int = 0
    task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        limits = self.limits
        self.task = task = cast("asyncio.Task[Any]", asyncio.current_task(limits.loop))
        self.cancelling = task.cancelling()
        limits.ends_at[task] = at = limits.loop.time() + self.seconds
        if at < limits.rings_at:
            limits.ring_at(at)

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, _: object) -> None:
        task = cast("asyncio.Task[Any]", self.task)
        if self.limits.ends_at.pop(task, None) is None:
            # It was cancelled here; somebody else may have cancelled it too.
            others = task.uncancel() > self.cancelling
            if kind is asyncio.CancelledError and not others:
                raise TimeoutError from problem


class Pool(NamedTuple):
    """The connections of one event loop, which runs in ``thread``, and the time limits of what goes over them."""

    loop: asyncio.AbstractEventLoop
    thread: int
    http: aiohttp.ClientSession
    limits: TimeLimits
    lifetime: AsyncGenerator[None]


class Connections:
    """The connections of a client, opened when they are first needed.

    Args:
        options: how the network is used.
        headers: what every request says.
        response_class: what answers are read with.
        on_fork: called once in a forked child that opens connections of its own.
    """

    def __init__(
        self,
        options: TransportOptions,
        *,
        headers: Mapping[str, str],
        response_class: type[aiohttp.ClientResponse],
        on_fork: Callable[[], None],
    ) -> None:
        self._options = options
        self._headers = headers
        self._response_class = response_class
        self._on_fork = on_fork
        self._process = os.getpid()
        self._closed = False
        self._pool: Pool | None = None
        self._opening = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.slots = anyio.Semaphore(options.connections, fast_acquire=True)
        """One for each request that may be under way at once."""
        when_forked(self.begin_anew)

    def pool(self) -> Pool:
        """What the running loop has.

        Raises:
            ConfigurationError: the connections are closed, or in use by another loop that runs.
            ConnectionFailed: the process has no thread or file left to open one with.
        """
        pool = self._pool
        # A thread runs one loop at a time. To ask for the running loop asks the system for the process each time.
        if pool is not None and pool.thread == threading.get_ident() and pool.loop.is_running():
            return pool
        return self._opened()

    def _opened(self) -> Pool:
        with self._opening:  # two threads' loops may come at once
            return self._taken_over()

    def _taken_over(self) -> Pool:
        if self._closed:
            raise ConfigurationError("the client is closed: make a new one, or keep `async with` open around its calls")
        if self._pool is not None and self._pool.loop is asyncio.get_running_loop():
            self._pool = self._pool._replace(thread=threading.get_ident())  # the loop moved
            return self._pool
        if self._pool is not None and self._pool.loop.is_running():
            raise ConfigurationError(
                "this client is in use by another event loop, which runs in another thread, and serves one loop at a"
                " time: make a client for each loop, with a store in which they share the quota"
                " (SPOTIFY_ADS_STORE=sqlite:///…), or hand the call to that loop with asyncio.run_coroutine_threadsafe"
            )
        if self._process != os.getpid():
            self._process = os.getpid()
            self._on_fork()
        self._drop()
        try:
            self.slots = anyio.Semaphore(self._options.connections, fast_acquire=True)
            http = open_http(
                self._options, headers=self._headers, response_class=self._response_class, sockets=self._sockets
            )
        except (OSError, RuntimeError) as problem:  # no thread, no file: the machine's or the interpreter's end is near
            reason = explained_connection_error(problem, None)
            raise ConnectionFailed(
                f"no connection can be opened: {reason}; look at the limits of threads, memory and open files (ulimit)"
            ) from problem
        loop, lifetime = asyncio.get_running_loop(), _until_closed(http)
        self._pool = pool = Pool(loop, threading.get_ident(), http, TimeLimits(loop), lifetime)
        with contextlib.suppress(StopIteration):
            # The first step waits for nothing. With it the loop knows the generator, and closes it at its end.
            lifetime.__anext__().__await__().send(None)
        return pool

    async def aclose(self) -> None:
        """Close the connections, in whichever loop they are; later requests are refused."""
        self._closed = True
        pool = self._pool
        if pool is None:
            return
        if pool.loop.is_running():
            self._pool = None
            with contextlib.suppress(LoopAway):
                await on_loop(pool.loop, pool.lifetime.aclose)
        else:
            self._drop()

    def _drop(self) -> None:
        """Forget the connections of a loop that does not run."""
        pool, self._pool = self._pool, None
        if pool is None or pool.http.closed:
            return
        if isinstance(pool.http.connector, _Connector):
            pool.http.connector.let_go()
        for one in list(self._sockets) if pool.loop.is_closed() else ():  # else the loop closes them when it goes on
            one.close()

    def begin_anew(self) -> None:
        """In a child, right after a fork: let go of the parent's connections without a word to anybody."""
        self._opening = threading.Lock()  # another thread of the parent may have held it
        if self._pool is None:
            return
        # Ending them would tell the other side, and the parent's loop, which has them in its poll.
        LEFT_TO_THE_PARENT.append(self._pool)
        numbers = [number for one in self._sockets if (number := one.fileno()) >= 0]
        self._pool, self._sockets = None, weakref.WeakSet()
        for number in numbers[:1]:
            os.close(number)  # the parent may have as many files open as it may
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in {*numbers} - {nothing}:
            os.dup2(nothing, number, inheritable=False)
        if nothing not in numbers:
            os.close(nothing)


async def _until_closed(http: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await http.close()
