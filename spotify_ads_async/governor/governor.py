"""Governor: its limits, its windows, and who shares them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, Literal, NoReturn, Self, TypeVar

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.events import Listener, Listeners
from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.admission import Admission
from spotify_ads_async.governor.grants import Grants
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.shared.claims import Claims, OnStoreFailure
from spotify_ads_async.governor.shared.store import Store, lease_seconds, open_store
from spotify_ads_async.governor.snapshot import Snapshot, shown
from spotify_ads_async.governor.wait_queue import Flow, Priority
from spotify_ads_async.governor.window import Window
from spotify_ads_async.limits import PUBLISHED_LIMITS, Limit, checked_limits
from spotify_ads_async.loops import LoopAway, on_loop
from spotify_ads_async.types import Secret, is_text

__all__ = ["Governor", "Pace", "Scope"]

DoneT = TypeVar("DoneT")

Pace = Literal["burst", "smooth", "auto"]

# It goes on while the machine sleeps, where there is one that does.
_awake = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
_RESOLUTION_SECONDS = time.get_clock_info("monotonic").resolution
_LONGEST_PAUSE_SECONDS = 1e9


class Governor:
    """Lets requests leave so that the server never counts more than a window takes, whatever the network's latency.

    One thing is assumed: a request that was given up (a timeout, a cancellation, a lost connection) is counted within
    ``counted_within`` seconds after that, or never. One governor may serve many clients; it belongs to one event
    loop at a time. Other processes, forked ones too, share its windows through a store.

    Args:
        limits: the windows to keep. An empty collection keeps none.
        pace: ``burst`` uses a token as soon as it is there; ``smooth`` spaces departures evenly and leaves a few tokens
            unused; ``auto`` is burst until the server refuses something, and smooth from then on.
        store: where the windows are kept: ``memory`` serves one process, ``sqlite:///path`` those of a machine,
            ``redis://host`` (also ``rediss``, ``redis+sentinel``, ``redis+cluster``) many machines; or your own
            :class:`~spotify_ads_async.governor.shared.Store`.
        on_store_failure: what happens while the store cannot be reached: ``fail`` raises
            :class:`~spotify_ads_async.errors.StoreUnavailable`, ``pause`` waits. To carry on without a store, divide
            the limits: :meth:`Limit.divided`.
        client_id: the owner of the client window, where a scope names none.
        ip: the owner of the IP window.
        longest_pause: seconds; where the server asks for more, calls fail with
            :class:`~spotify_ads_async.errors.RateLimited`, and after so long the server is asked again.
        counted_within: seconds for which the tokens of a request that was given up stay out, and one window more.
        clock: a monotonic clock, in seconds. The default one goes on while the machine sleeps, where there is one.
        clock_resolution: seconds by which a reading of the clock may lag.

    Raises:
        ConfigurationError: an argument has no such value, two limits have one name, or a package is missing.
    """

    def __init__(
        self,
        limits: Iterable[Limit] = PUBLISHED_LIMITS,
        *,
        pace: Pace = "auto",
        store: str | Secret | Store = "memory",
        on_store_failure: OnStoreFailure = "fail",
        client_id: str = "default",
        ip: str = "this address",
        longest_pause: float = 120.0,
        counted_within: float = 10.0,
        clock: Callable[[], float] | None = None,
        clock_resolution: float = _RESOLUTION_SECONDS,
    ) -> None:
        if isinstance(store, str):
            store = Secret(store)  # a traceback may show what a name of this frame stands for
        if pace not in {"burst", "smooth", "auto"}:
            raise ConfigurationError(f"pace is burst, smooth or auto, not {pace!r}")
        if not (longest_pause >= 0.0 and 0.0 <= counted_within < math.inf):
            raise ConfigurationError("longest_pause and counted_within are seconds: zero or more, and no nan")
        if on_store_failure not in {"fail", "pause"}:
            raise ConfigurationError(
                f"on_store_failure is fail or pause, not {on_store_failure!r}; to carry on without a store, divide the "
                "limits: Governor([limit.divided(4) for limit in PUBLISHED_LIMITS]) for four processes"
            )
        self.limits = checked_limits(limits)
        self.pace: Pace = pace
        self._client_id, self._ip = _text("client_id", client_id), _text("ip", ip)
        self._clock_resolution = clock_resolution
        self._listeners = Listeners()
        longest_pause = min(longest_pause, _LONGEST_PAUSE_SECONDS)
        self._scheduler = Scheduler(clock or _awake, self._listeners, longest_pause, counted_within)
        self._adaptive = AdaptiveLimits(self._scheduler, auto=pace == "auto")
        timeout = max(1.0, lease_seconds(self.limits) / 4)
        opened = open_store(store, timeout=timeout) if isinstance(store, Secret) else store
        self._claims = None if opened is None else Claims(opened, self._adaptive, self.limits, on_store_failure)
        self._scopes: dict[tuple[str, str], Scope] = {}

    def __repr__(self) -> str:
        if not hasattr(self, "_claims"):  # in a traceback from its own making
            return f"<{type(self).__name__}>"
        limits = ", ".join(f"{limit.name} {limit.requests}/{limit.window:g} s" for limit in self.limits) or "no limits"
        kept = "in a store that processes share" if self.shared else "in memory"
        return f"<{type(self).__name__}: {limits}; kept {kept}{'; closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Governor is not pickled and not copied: two would exceed what one keeps. Make one where it is needed, "
            "with a store"
        )

    @property
    def closed(self) -> bool:
        """Whether it lets nothing leave any more."""
        return self._scheduler.closed

    @property
    def shared(self) -> bool:
        """Whether the windows are in a store, so that other processes keep them too."""
        return self._claims is not None

    @property
    def exchanges(self) -> int:
        """Round trips to the store so far, 0 without one."""
        return 0 if self._claims is None else self._claims.exchanges

    def scope(self, *, origin: str = "", client_id: str | None = None) -> Scope:
        """The same governor for calls to one API origin in one client's name.

        Raises:
            ConfigurationError: the client ID is no text that UTF-8 can hold.
        """
        key = (origin, _text("client_id", client_id or self._client_id))
        if key not in self._scopes:
            self._scopes.setdefault(key, Scope(self._adaptive, partial(self._flow, *key)))  # threads may come at once
        return self._scopes[key]

    def admit(
        self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None
    ) -> Admission:
        """Wait for leave to send one request that spends ``limits``; names without a window are ignored.

        Use as ``async with``: inside the block the request is on its way, until :meth:`Admission.answered`.

        Raises:
            QuotaTimeout: on entering, where the wait would exceed ``max_wait`` seconds; nothing was spent.
            RateLimited: on entering, where the server asked for a pause longer than ``longest_pause``.
            StoreUnavailable: on entering, where the store is away and ``on_store_failure`` is ``fail``.
            ConfigurationError: on entering, where the governor is closed, or another running event loop has it; at
                once, where ``limits`` is a text.
        """
        return self.scope().admit(limits, priority=priority, max_wait=max_wait)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the governor's events; the function returned ends that."""
        return self._listeners.add(listener)

    def snapshot(self) -> Snapshot:
        """The present state of every window in use."""
        now = self._scheduler.clock()
        return Snapshot(
            pace=self.pace,
            waiting=self._scheduler.queue.length,
            windows=tuple(shown(window, now) for window in [*self._scheduler.windows.values()]),
            store_away_for=None if self._claims is None else self._claims.away_for,
        )

    async def lift(self, *, limit: str | None = None, client_id: str | None = None) -> int:
        """End pauses by hand, of one limit or client ID where they are named; answers how many windows were paused.

        Those of a store, too, of this governor's scopes, or of its own client ID and address where it has none yet.
        """
        return await self._where_it_waits(partial(self._lift, limit, client_id))

    async def aclose(self) -> None:
        """Refuse whoever still waits, and all who come later. A store hears what became of the requests."""
        await self._where_it_waits(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _where_it_waits(self, work: Callable[[], Coroutine[Any, Any, DoneT]]) -> DoneT:
        """Do something to those who wait, who may do so on another thread's loop."""
        if self._scheduler.loop is not None:
            with contextlib.suppress(LoopAway):
                return await on_loop(self._scheduler.loop, work)
        return await work()

    async def _lift(self, limit: str | None, client_id: str | None) -> int:
        known = {
            window.key: window
            for (name, _, identity), window in self._scheduler.windows.items()
            if limit in {None, name} and client_id in {None, identity}
        }
        lifted = set[str]()
        if self._claims is not None:
            lifted = await self._claims.lift(lambda key: key in known or self._is_own(key, limit, client_id))
        lifted.update(key for key, window in known.items() if window.lift())
        self._scheduler.serve()
        return len(lifted)

    def _is_own(self, key: str, limit: str | None, client_id: str | None) -> bool:
        """Whether requests through this governor spend a window that a store keeps, if none has done so yet."""
        name, window, origin, identity = key.split("|", 3)
        identities = {self._ip} if name == "ip" else {one for _, one in self._scopes} or {self._client_id}
        return (
            limit in {None, name}
            and (name, window) in {(one.name, f"{one.window:g}") for one in self.limits}
            and origin in ({one for one, _ in self._scopes} or {origin})  # calls to which servers, it does not know yet
            and identity in (identities if client_id is None else {client_id})
        )

    async def _close(self) -> None:
        self._scheduler.close()
        if self._claims is not None:
            await self._claims.aclose()

    def _flow(self, origin: str, client_id: str, limits: Collection[str]) -> Flow:
        """Requests in one client's name that spend these limits."""
        windows = tuple(self._window(limit, origin, client_id) for limit in self.limits if limit.name in limits)
        grants = Grants(self._scheduler.clock) if self.shared and windows else None
        return Flow(windows, f"client ID {_place(client_id, origin)}", grants)

    def _window(self, limit: Limit, origin: str, client_id: str) -> Window:
        identity = self._ip if limit.name == "ip" else client_id
        key, windows = (limit.name, origin, identity), self._scheduler.windows
        if key not in windows:
            window = Window(
                limit,
                owner=_place(identity, origin),
                key=f"{limit.name}|{limit.window:g}|{origin}|{identity}",
                smooth=self.pace == "smooth",
                now=self._scheduler.clock(),
                clock_resolution=self._clock_resolution,
                shared=self.shared,
            )
            windows.setdefault(key, window)  # another thread may have been faster
        return windows[key]


class Scope:
    """A governor, for one API origin and one client ID. Made by :meth:`Governor.scope`."""

    def __init__(self, adaptive: AdaptiveLimits, flow_of: Callable[[Collection[str]], Flow]) -> None:
        self._adaptive, self._flow_of = adaptive, flow_of
        self._flows: dict[Collection[str], Flow] = {}

    def admit(
        self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None
    ) -> Admission:
        """As :meth:`Governor.admit`, for this scope's windows."""
        try:
            flow = self._flows[limits]
        except (KeyError, TypeError):  # not seen yet, or a set that can change
            if isinstance(limits, str):  # whose letters name no window, so nothing would be kept
                raise ConfigurationError(f"limits are names in a collection: {{{limits!r}}}, not {limits!r}") from None
            names = frozenset(limits)
            if names not in self._flows:
                self._flows.setdefault(names, self._flow_of(names))
            flow = self._flows[names]
        return Admission(self._adaptive, flow, priority, max_wait)


def _text(name: str, value: str) -> str:
    """An identity, as a store keeps it: one that it cannot hold would fail everybody who shares the governor."""
    if not is_text(value):
        raise ConfigurationError(f"{name} holds bytes that are no text in UTF-8")
    return value


def _place(identity: str, origin: str) -> str:
    return f"{identity} at {origin}" if origin else identity
