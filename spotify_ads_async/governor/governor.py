"""The governor as callers hold it: its limits, its windows, and who shares them."""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Collection, Iterable
from typing import Literal, Self

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.events import Listener, Listeners
from spotify_ads_async.governor.admission import Admission
from spotify_ads_async.governor.gate import Gate
from spotify_ads_async.governor.learning import Learning
from spotify_ads_async.governor.limits import PUBLISHED_LIMITS, Limit, checked_limits
from spotify_ads_async.governor.line import Lane, Priority
from spotify_ads_async.governor.snapshot import Snapshot, shown
from spotify_ads_async.governor.stores import Store, open_store
from spotify_ads_async.governor.stores.keeper import LeaseKeeper, OnStoreFailure, checked_policy, lease_seconds, store_timeout
from spotify_ads_async.governor.window import Window
from spotify_ads_async.types import Secret

__all__ = ["Governor", "Pace", "Scope", "default_governor"]

Pace = Literal["burst", "smooth", "auto"]

_MONOTONIC_RESOLUTION = time.get_clock_info("monotonic").resolution


class Governor:
    """Lets requests leave so that no window is ever exceeded, whatever the network does.

    One governor may serve many clients; it belongs to one event loop at a time.

    Args:
        limits: the windows to keep. An empty collection keeps none.
        pace: ``burst`` uses a token as soon as it is there; ``smooth`` spaces departures evenly and leaves a few tokens
            unused; ``auto`` is burst until the server refuses something, and smooth from then on.
        store: where the windows are kept: ``memory`` serves one process, ``sqlite:///path`` the processes of a machine,
            ``redis://host`` (also ``rediss``, ``redis+sentinel``, ``redis+cluster``) many machines; or a
            :class:`~spotify_ads_async.governor.stores.Store` of your own.
        on_store_failure: what happens while the store cannot be reached: ``fail`` raises
            :class:`~spotify_ads_async.errors.StoreUnavailable`, ``pause`` waits, ``share`` carries on within the limits
            divided by ``expected_processes``.
        expected_processes: how many processes share the windows; needed for ``share``.
        client_id: the owner of the client window, where a scope names none.
        ip: the owner of the IP window.
        longest_pause: seconds; where the server asks for more, calls fail with
            :class:`~spotify_ads_async.errors.RateLimited` instead of waiting.
        clock: a monotonic clock, in seconds.
        clock_resolution: seconds by which a reading of the clock may lag.

    Raises:
        ConfigurationError: an unknown pace, store or policy, a missing package, or two limits of one name.
    """

    def __init__(
        self,
        limits: Iterable[Limit] = PUBLISHED_LIMITS,
        *,
        pace: Pace = "auto",
        store: str | Store = "memory",
        on_store_failure: OnStoreFailure = "fail",
        expected_processes: int | None = None,
        client_id: str = "default",
        ip: str = "this address",
        longest_pause: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        clock_resolution: float = _MONOTONIC_RESOLUTION,
    ) -> None:
        if pace not in {"burst", "smooth", "auto"}:
            raise ConfigurationError(f"pace is burst, smooth or auto, not {pace!r}")
        checked_policy(on_store_failure, expected_processes)
        self.limits = checked_limits(limits)
        self.pace: Pace = pace
        self._client_id = client_id
        self._ip = ip
        self._clock_resolution = clock_resolution
        self._listeners = Listeners()
        shortest_window = min((limit.window for limit in self.limits), default=0.0)
        self.gate = Gate(clock=clock, listeners=self._listeners, longest_pause=longest_pause, shortest_window=shortest_window)
        self.keeper: LeaseKeeper | None = None
        shared = open_store(store, timeout=store_timeout(self.limits)) if isinstance(store, str) else store
        if shared is not None:
            self.keeper = LeaseKeeper(
                shared,
                self.gate,
                lease=lease_seconds(self.limits),
                on_failure=on_store_failure,
                expected_processes=expected_processes,
                auto=pace == "auto",
            )
            self.gate.for_want_of_tokens = self.keeper.ask
        self.learning = Learning(self.gate, auto=pace == "auto")
        self._windows: dict[tuple[str, str, str], Window] = {}
        self._scopes: dict[tuple[str, str], Scope] = {}

    @property
    def closed(self) -> bool:
        """Whether it lets nothing leave any more."""
        return self.gate.closed

    def scope(self, *, origin: str = "", client_id: str | None = None) -> Scope:
        """The same governor for calls to one API origin in one client's name: windows are shared where their owners are."""
        key = (origin, client_id or self._client_id)
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = Scope(self, *key)
        return found

    def admit(self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None) -> Admission:
        """Wait for leave to send one request that spends ``limits``; held until the answer's headers arrived.

        Names that the governor keeps no window for are ignored. Use as ``async with``: inside the block the request is
        on its way, until :meth:`Admission.answered` or the block's end.

        Raises:
            QuotaTimeout: on entering, where the wait would exceed ``max_wait`` seconds; nothing was spent.
            RateLimited: on entering, where the server asked for a pause longer than ``longest_pause``.
            ConfigurationError: on entering, where the governor is closed.
        """
        return self.scope().admit(limits, priority=priority, max_wait=max_wait)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the governor's events; the function returned ends that."""
        return self._listeners.add(listener)

    def snapshot(self) -> Snapshot:
        """The present state of every window in use."""
        now = self.gate.clock()
        return Snapshot(
            pace=self.pace,
            waiting=self.gate.line.length,
            windows=tuple(shown(window, now) for window in self._windows.values()),
            store_away_for=None if self.keeper is None else self.keeper.away_for,
        )

    async def aclose(self) -> None:
        """Refuse whoever still waits, and all who come later. Tokens lent by a store and unused go back to it."""
        self.gate.close()
        if self.keeper is not None:
            await self.keeper.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def lane(self, origin: str, client_id: str, limits: Collection[str]) -> Lane:
        """The windows that a request spends."""
        windows = tuple(self._window(limit, origin, client_id) for limit in self.limits if limit.name in limits)
        return Lane(windows, f"client ID {_place(client_id, origin)}")

    def _window(self, limit: Limit, origin: str, client_id: str) -> Window:
        identity = self._ip if limit.name == "ip" else client_id
        key = (limit.name, origin, identity)
        found = self._windows.get(key)
        if found is None:
            owner, smooth = _place(identity, origin), self.pace == "smooth"
            if self.keeper is None:
                found = Window(limit, owner=owner, smooth=smooth, clock_resolution=self._clock_resolution)
            else:
                key_there = f"{limit.name}|{limit.window:g}|{origin}|{identity}"
                found = self.keeper.window(limit, key=key_there, owner=owner, smooth=smooth, clock_resolution=self._clock_resolution)
            self._windows[key] = found
        return found


class Scope:
    """A governor, for one API origin and one client ID. Made by :meth:`Governor.scope`."""

    __slots__ = ("_client_id", "_gate", "_lanes", "_learning", "_origin", "governor")

    def __init__(self, governor: Governor, origin: str, client_id: str) -> None:
        self.governor = governor
        self._gate = governor.gate
        self._learning = governor.learning
        self._origin = origin
        self._client_id = client_id
        self._lanes: dict[frozenset[str], Lane] = {}

    def admit(self, limits: Collection[str], *, priority: Priority = Priority.INTERACTIVE, max_wait: float | None = None) -> Admission:
        """As :meth:`Governor.admit`, for this scope's windows."""
        names = limits if isinstance(limits, frozenset) else frozenset(limits)
        lane = self._lanes.get(names)
        if lane is None:
            lane = self._lanes[names] = self.governor.lane(self._origin, self._client_id, names)
        return Admission(self._gate, self._learning, lane, priority, max_wait)


_default_governors: weakref.WeakValueDictionary[str, Governor] = weakref.WeakValueDictionary()


def default_governor(*, origin: str, limits: Iterable[Limit] = PUBLISHED_LIMITS, store: Secret | None = None) -> Governor:
    """A governor for a client that was given none, with its windows in ``store``, or in memory.

    Warns with :class:`RuntimeWarning` where the process has one in memory for the same API already: both spend the window of this
    machine's address, whichever client ID they use, and together they exceed what each keeps. In a store they share it.
    """
    governor = Governor(limits, store="memory" if store is None else store.reveal())
    if governor.keeper is not None or not governor.limits:
        return governor
    known = _default_governors.get(origin)
    if known is not None and not known.closed:
        warnings.warn(
            f"a second client for {origin} with a governor of its own: together they exceed the limits that each keeps. "
            "Make one Governor and pass it to both, AdsClient(…, governor=governor), or keep the windows in a store that both use, "
            "SPOTIFY_ADS_STORE=sqlite:///…",
            RuntimeWarning,
            stacklevel=3,
        )
    _default_governors[origin] = governor
    return governor


def _place(identity: str, origin: str) -> str:
    return f"{identity} at {origin}" if origin else identity
