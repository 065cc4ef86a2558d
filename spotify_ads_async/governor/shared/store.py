"""Store: what a process and the place that keeps the windows say to each other. Times are in whole microseconds.

A process sends durations and never a reading of its clock. The receiver adds them to its own time, which is later by
the way of the message, so whatever is due becomes due a little later than it could: the error is on the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.grants import Outlook, Pause
from spotify_ads_async.limits import Limit
from spotify_ads_async.types import Secret, is_text

__all__ = ["Claim", "Exchange", "KeptWindow", "Owner", "Reply", "State", "Store", "WindowReport"]
__all__ += ["lease_seconds", "lift_pauses", "open_store"]

_SHORTEST_LEASE_SECONDS, _LONGEST_LEASE_SECONDS, _LEASE_SHARE = 1.2, 6.0, 0.6
_SCHEME = re.compile(r"(?i)(?P<file>sqlite)|(redis|valkey)s?(\+sentinel|\+cluster)?|unix")


class Owner(msgspec.Struct, kw_only=True):
    """What a process says of itself, and the store keeps: tokens out, those without an answer, requests in its queue.

    ``bulk`` of the requests are bulk ones. It wants ``interactive`` tokens for interactive requests. All processes
    together may use ``usable`` ones: its limit, less what it leaves to other programs. The store adds when it was
    ``heard`` of, and whether it is ``short`` of tokens: at its last claim there were too few.
    """

    label: str = ""
    held: int = 0
    in_flight: int = 0
    waiting: int = 0
    bulk: int = 0
    interactive: int = 0
    usable: int = 0
    heard: int = 0
    short: bool = False


class WindowReport(msgspec.Struct, omit_defaults=True):
    """What one process says about the window that the store keeps under ``key``.

    ``capacity`` tokens in all, each out for ``cycle`` after its answer. ``epoch`` is the set that this process knew,
    empty where nothing in it matters any more; in ``late`` the server has counted what the process gave up. ``tokens``
    are numbers of its claims, each with the time after which the token is free: also where no request used it.
    """

    key: str
    capacity: int
    cycle: int
    owner: Owner
    epoch: str = ""
    late: int = 0
    tokens: list[tuple[int, int]] = []
    pause: Pause | None = None
    lift: bool = False
    smooth: bool = False


class Claim(msgspec.Struct, array_like=True):
    """Tokens for ``count`` requests, numbered from ``first`` on: one from each of these windows (positions)."""

    windows: list[int]
    first: int
    count: int
    bulk: bool


class Exchange(msgspec.Struct, omit_defaults=True):
    """One message of the process ``owner``. Claims are its own for ``lease`` without another message.

    They are served in their order, and may be granted tokens that come back within ``horizon``.
    """

    owner: str
    lease: int
    horizon: int
    windows: list[WindowReport]
    claims: list[Claim] = []
    leaving: bool = False


class Reply(msgspec.Struct, kw_only=True):
    """The store's answer: its clock, each window's state, and for each claim in how long its grants may be used."""

    time: int
    windows: list[Outlook]
    grants: list[list[int]]


class State(msgspec.Struct):
    """What the store keeps of a window; Redis keeps its ``tokens`` apart. Times are of its clock's ``run``.

    While bulk requests wait, so many interactive ones have ``overtaken`` them that found no free token either. The last
    of them left at ``bulk_left``.
    """

    epoch: str = ""
    run: str = ""
    now: int = 0
    closed: int = 0
    paused: int = 0
    asked: int = 0
    cause: str = ""
    smooth: bool = False
    overtaken: int = 0
    bulk_left: int = 0
    capacity: int = 0
    cycle: int = 0
    owners: dict[str, Owner] = {}
    tokens: dict[str, int] = {}


class KeptWindow(msgspec.Struct, frozen=True):
    """A window as it is kept ``now``, under ``limit|window|origin|identity``."""

    key: str
    state: State
    now: int

    @property
    def dues(self) -> list[int]:
        """When the tokens are free that are out."""
        return sorted(due for due in self.state.tokens.values() if due > self.now)


class Store(Protocol):
    """A place outside of the process that keeps windows. Its methods raise ``StoreUnavailable``."""

    name: str

    async def exchange(self, message: Exchange) -> Reply:
        """One atomic step over all windows of ``message``, in one round trip."""
        ...

    async def look(self) -> list[KeptWindow]:
        """Every window that the store keeps."""
        ...

    async def aclose(self) -> None:
        """Close the connection; another call opens it anew."""
        ...


def lease_seconds(limits: tuple[Limit, ...]) -> float:
    """For how long a process's claims on a store hold without a word from it: half to leave, half to be counted."""
    shortest = min((limit.window for limit in limits), default=_LONGEST_LEASE_SECONDS)
    return min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, shortest * _LEASE_SHARE))


async def lift_pauses(store: Store, windows: Iterable[KeptWindow]) -> list[KeptWindow]:
    """End by hand the pauses of those windows that are paused, and answer which are."""
    paused = [one for one in windows if one.state.paused > one.now]
    if paused:
        nobody = Owner()
        reports = [WindowReport(one.key, one.state.capacity, one.state.cycle, nobody, lift=True) for one in paused]
        await store.exchange(Exchange("by hand", lease=0, horizon=0, windows=reports, leaving=True))
    return paused


def open_store(url: str | Secret, *, timeout: float) -> Store | None:
    """The store behind ``url``, None for ``memory``, not connected yet. An exchange has ``timeout`` seconds.

    Raises:
        ConfigurationError: the URL has a form that :class:`~spotify_ads_async.Governor` does not name, or a package is
        missing.
    """
    # From here on no frame holds the address, which may have a password in it: a traceback may show frames.
    address, url = url if isinstance(url, Secret) else Secret(url), ""
    if address.reveal() == "memory":
        return None
    if not is_text(address.reveal()):
        raise ConfigurationError("store: the URL holds bytes that are no text in UTF-8")
    kind = _SCHEME.fullmatch(address.reveal().partition(":")[0])
    if kind is not None and kind["file"]:
        from spotify_ads_async.governor.shared.sqlite import SqliteStore  # noqa: PLC0415 (where it is used)

        try:
            return SqliteStore(address.reveal())
        except ConfigurationError as problem:
            raise problem.with_traceback(None) from None
    if kind is not None:
        from spotify_ads_async.governor.shared.redis import RedisStore  # noqa: PLC0415 (the extra, where it is used)

        return RedisStore(address, timeout=timeout)
    raise ConfigurationError(
        "store is memory, sqlite:///path, redis://host, redis+sentinel://host/service or redis+cluster://host"
        # What does not look like an address may be a password.
        + (f"; not {found[0]}" if (found := re.match(r"[a-z][a-z+]*://", address.reveal())) else "")
    )
