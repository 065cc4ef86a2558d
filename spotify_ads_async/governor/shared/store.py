"""Store: what a process and the place that keeps the windows say to each other. Every time is a duration in whole microseconds.

No reading of a clock is ever sent: a process says how long ago something happened or how far ahead it is, and the store
adds that to its own time. A message takes a while to arrive, so everything has happened a little earlier, and becomes due
a little later, than the receiver reckons: the error is always on the safe side.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol

import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.types import Secret

__all__ = [
    "Claim",
    "Exchange",
    "HolderView",
    "Owner",
    "Pause",
    "Reply",
    "State",
    "Store",
    "WindowReply",
    "WindowReport",
    "WindowView",
    "lift_pauses",
    "open_store",
    "view",
]

_REDIS_SCHEMES = frozenset(
    kind + suffix for kind in ("redis", "rediss", "valkey", "valkeys") for suffix in ("", "+sentinel", "+cluster")
) | {"unix"}


class Pause(msgspec.Struct, array_like=True):
    """A pause that a server asked for: what is left of it, how much was asked for in all (a cap may be shorter), and who met it."""

    left: int
    asked: int
    cause: str


class WindowReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one process says about one window.

    Attributes:
        key: the window's name in the store.
        capacity: tokens in all, as this process was told.
        cycle: for how long a token stays out after the answer.
        epoch: which set of tokens this process's requests are in, "" where none of them matters any more.
        held: tokens that this process has out, with those on their way back.
        in_flight: those whose requests have no answer yet.
        waiting: requests in its queue.
        interactive: interactive requests that it sent within a window lately.
        withheld: tokens to leave unused: for the rhythm, or to other programs.
        settled: numbers of requests that are over, and how long ago the server had counted them; negative where it may yet.
        unused: numbers of claims that no request used, or whose answer was lost.
        extended: numbers of requests that are in flight for long.
        pause: a pause of which the store does not know.
        lift: the pause is ended by hand.
        smooth: the server refused so that departures are spaced from now on.
        foreign: what others are believed to spend: since and until when, tokens, refusals in a row. Opaque to the store.
    """

    key: str
    capacity: int
    cycle: int
    epoch: str = ""
    held: int = 0
    in_flight: int = 0
    waiting: int = 0
    interactive: int = 0
    withheld: int = 0
    settled: list[tuple[int, int]] = []
    unused: list[int] = []
    extended: list[int] = []
    pause: Pause | None = None
    lift: bool = False
    smooth: bool = False
    foreign: tuple[int, int, int, int] | None = None


class Claim(msgspec.Struct, array_like=True):
    """Tokens for requests that wait, each of which needs one from every window (positions in the message).

    They are numbered from ``first`` on, the interactive ones before the bulk ones.
    """

    windows: list[int]
    first: int
    interactive: int
    bulk: int


class Exchange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message of a process.

    Attributes:
        owner: the process.
        label: the process, for people.
        lease: for how long its claims are its own without another message.
        horizon: how far ahead a claim may be granted a token that is not back yet.
        windows: one report for each window that the message is about.
        claims: in the order of their arrival.
        leaving: the process wants nothing more.
    """

    owner: str
    label: str
    lease: int
    horizon: int
    windows: list[WindowReport]
    claims: list[Claim] = []
    leaving: bool = False


class WindowReply(msgspec.Struct, kw_only=True):
    """What the store says about one window.

    Attributes:
        epoch: which set of tokens this is.
        time: the store's clock.
        opens: in how long anything may be granted; 0 but where the store may have lost tokens.
        free: tokens that are not out.
        out: tokens that are.
        due: in how long each sixteenth of those that are out is back. Empty where every claim was granted.
        next: in how long the next token may be granted, -1 where every claim was granted.
        active: processes that wait for this window, this one with them.
        waiting: requests in the queues of the others.
        pause: a pause, None without one.
        lifts: how often a pause was ended by hand.
        smooth: whether departures are spaced.
        foreign: see :class:`WindowReport`.
    """

    epoch: str
    time: int
    opens: int
    free: int
    out: int
    due: list[int]
    next: int
    active: int
    waiting: int
    lifts: int
    smooth: bool
    pause: Pause | None = None
    foreign: tuple[int, int, int, int] | None = None


class Reply(msgspec.Struct, kw_only=True):
    """The store's answer: one reply for each window, and for each claim in how long the interactive and the bulk grants may be used."""

    windows: list[WindowReply]
    grants: list[tuple[list[int], list[int]]]


class Owner(msgspec.Struct):
    """One process, as the store keeps it: when it was heard of, when it last lacked tokens, and what it said of itself."""

    heard: int
    asked: int
    held: int
    in_flight: int
    waiting: int
    interactive: int
    label: str


class State(msgspec.Struct):
    """What the store keeps of a window beside its tokens. Times are of the store's clock."""

    epoch: str
    run: str
    now: int
    paused: int = 0
    asked: int = 0
    cause: str = ""
    lifts: int = 0
    smooth: bool = False
    closed: int = 0
    capacity: int = 0
    cycle: int = 0
    foreign: tuple[int, int, int, int] | None = None
    owners: dict[str, Owner] = {}


class HolderView(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a shared window: what it holds, and how many seconds ago it was heard of."""

    label: str
    held: int
    in_flight: int
    waiting: int
    heard_ago: float


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """One shared window as the store has it, under the name ``key``. Times are seconds.

    Of ``capacity`` tokens, ``free`` ones are nobody's, ``held`` ones belong to requests under way, and ``returning`` ones come
    back with time.
    """

    key: str
    limit: str
    window: float
    origin: str
    identity: str
    capacity: int
    free: int
    held: int
    returning: int
    waiting: int
    next_return: float | None
    paused_for: float
    pause_cause: str
    closed_for: float
    holders: tuple[HolderView, ...]


def view(key: str, state: State, dues: list[int], now: int) -> WindowView:
    """What people are shown of a window. ``dues`` are the times, in order, at which those tokens are free that are not."""
    limit, window, origin, identity = key.split("|", 3)
    returning = bisect_right(dues, now + state.cycle)  # what a request under way has is due only after its lease
    holders = tuple(
        HolderView(label=one.label, held=one.held, in_flight=one.in_flight, waiting=one.waiting, heard_ago=max(0, now - one.heard) / 1e6)
        for one in state.owners.values()
    )
    return WindowView(
        key=key,
        limit=limit,
        window=float(window),
        origin=origin,
        identity=identity,
        capacity=state.capacity,
        free=max(0, state.capacity - len(dues)),
        held=len(dues) - returning,
        returning=returning,
        waiting=sum(one.waiting for one in holders),
        next_return=(dues[0] - now) / 1e6 if returning else None,
        paused_for=max(0, state.paused - now) / 1e6,
        pause_cause=state.cause,
        closed_for=max(0, state.closed - now) / 1e6,
        holders=holders,
    )


class Store(Protocol):
    """A place outside of the process that keeps windows. Its methods raise ``StoreUnavailable``.

    Attributes:
        name: which store this is, for people: nothing secret.
    """

    name: str

    async def exchange(self, message: Exchange) -> Reply:
        """One atomic step over all windows of ``message``, in one round trip."""
        ...

    async def look(self) -> list[WindowView]:
        """Every window that the store keeps."""
        ...

    async def aclose(self) -> None:
        """Close the connection; another call opens it anew."""
        ...


async def lift_pauses(store: Store, *, limit: str | None = None, identity: str | None = None) -> list[WindowView]:
    """End pauses by hand: of every window, or of those of one limit, one client ID or address. Answers the windows that were paused."""
    paused = [one for one in await store.look() if one.paused_for > 0.0 and limit in {None, one.limit} and identity in {None, one.identity}]
    if paused:
        reports = [WindowReport(key=one.key, capacity=one.capacity, cycle=int(one.window * 1e6), lift=True) for one in paused]
        await store.exchange(Exchange(owner="by hand", label="", lease=0, horizon=0, windows=reports, leaving=True))
    return paused


def open_store(url: str | Secret, *, timeout: float) -> Store | None:
    """The store behind ``url``, None for ``memory``. Nothing is connected yet.

    Args:
        url: ``memory``; ``sqlite:///path``, absolute or a bare file name; ``redis://``, ``rediss://``, ``unix://``,
            ``redis+sentinel://`` or ``redis+cluster://``, and the same with ``valkey``.
        timeout: seconds after which one exchange has failed.

    Raises:
        ConfigurationError: another form, or a package is missing.
    """
    # From here on no frame holds the address, which may have a password in it: a traceback may show frames.
    address, url = url if isinstance(url, Secret) else Secret(url), ""
    if address.reveal() == "memory":
        return None
    scheme = address.reveal().partition(":")[0].lower()
    if scheme == "sqlite":
        from spotify_ads_async.governor.shared.sqlite import SqliteStore  # noqa: PLC0415 (who keeps windows in memory needs none)

        return SqliteStore(address.reveal())
    if scheme in _REDIS_SCHEMES:
        from spotify_ads_async.governor.shared.redis import RedisStore  # noqa: PLC0415 (the extra is imported where it is used)

        return RedisStore(address, timeout=timeout)
    raise ConfigurationError(
        f"store is memory, sqlite:///path, redis://host, redis+sentinel://host/service or redis+cluster://host; not {scheme!r}"
    )
