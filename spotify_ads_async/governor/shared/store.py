"""Store: what a process and the place that keeps the windows say to each other. Times are in whole microseconds.

They are durations, and no reading of a clock is ever sent: a process says how long ago something happened or how far
ahead it is, and the store adds that to its own time. A message takes a while to arrive, so everything has happened a
little earlier, and becomes due a little later, than the receiver reckons: the error is always on the safe side.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.types import Secret

__all__ = [
    "Claim",
    "Exchange",
    "KeptWindow",
    "Owner",
    "Pause",
    "Reply",
    "State",
    "Store",
    "WindowReply",
    "WindowReport",
]
__all__ += ["lift_pauses", "open_store"]

_SCHEME = re.compile(r"(?i)(?P<file>sqlite)|(redis|valkey)s?(\+sentinel|\+cluster)?|unix")


class Pause(msgspec.Struct, array_like=True):
    """A pause that a server asked for.

    What is left of it, how much was asked for in all (a cap may be shorter), and who met it.
    """

    left: int
    asked: int
    cause: str


class WindowReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one process says about one window, which the store keeps under ``key``.

    ``capacity`` tokens in all, each out for ``cycle`` after its answer; ``epoch`` is the set that this process's
    requests are in, empty where none of them matters any more. It has ``held`` tokens out, ``in_flight`` of them
    without an answer, ``waiting`` requests in its queue, wants ``interactive`` tokens for interactive requests, and
    leaves ``withheld`` tokens to other programs.

    ``settled`` requests are over, so long ago (below zero where the server may yet count them); ``unused`` are claims
    that no request used, or whose answer was lost; ``extended`` requests are in flight for long. ``pause`` is news,
    ``lift`` ends one by hand, ``smooth`` says that departures are spaced.
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


class Claim(msgspec.Struct, array_like=True):
    """Tokens for requests that wait, each of which needs one from every window (positions in the message).

    They are numbered from ``first`` on, the interactive ones before the bulk ones.
    """

    windows: list[int]
    first: int
    interactive: int
    bulk: int


class Exchange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message of the process ``owner``, for people ``label``.

    Claims are its own for ``lease`` without another message. They may be granted tokens that come back within
    ``horizon``.
    """

    owner: str
    label: str
    lease: int
    horizon: int
    windows: list[WindowReport]
    claims: list[Claim] = []
    leaving: bool = False


class WindowReply(msgspec.Struct, kw_only=True):
    """What the store says about one window: its ``epoch``, and the ``time`` of its clock.

    Nothing is granted before ``opens``. ``free`` tokens are not out, ``out`` are; ``due`` says in how long each
    sixteenth of these is back, and is empty where every claim was granted. ``active`` processes wait for it, this one
    with them; ``waiting`` are the requests of the others. ``lifts`` counts the pauses that were ended by hand.
    """

    epoch: str
    time: int
    opens: int
    free: int
    out: int
    due: list[int]
    active: int
    waiting: int
    lifts: int
    smooth: bool
    pause: Pause | None = None


class Reply(msgspec.Struct, kw_only=True):
    """The store's answer.

    One reply for each window, and for each claim in how long the interactive and the bulk grants may be used.
    """

    windows: list[WindowReply]
    grants: list[tuple[list[int], list[int]]]


class Owner(msgspec.Struct):
    """One process, as the store keeps it.

    When it was heard of, when it last lacked tokens, and what it said of itself.
    """

    heard: int
    asked: int
    held: int
    in_flight: int
    waiting: int
    interactive: int
    label: str
    withheld: int = 0


class State(msgspec.Struct):
    """What the store keeps of a window beside its tokens. Times are of the store's clock, in its run ``run``."""

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
    owners: dict[str, Owner] = {}


class KeptWindow(msgspec.Struct, frozen=True):
    """One window as it is kept.

    Its key (``limit|window|origin|identity``), when those tokens are free that are out, and the time now.
    """

    key: str
    state: State
    dues: list[int]
    now: int


class Store(Protocol):
    """A place outside of the process that keeps windows.

    Its methods raise ``StoreUnavailable``; ``name`` is for people.
    """

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


async def lift_pauses(store: Store, *, limit: str | None = None, identity: str | None = None) -> list[KeptWindow]:
    """End pauses by hand: of every window, or of those of one limit, client ID or address.

    Answers the windows that were paused.
    """
    paused: list[KeptWindow] = []
    for one in await store.look():
        name, _, _, owner = one.key.split("|", 3)
        if one.state.paused > one.now and limit in {None, name} and identity in {None, owner}:
            paused.append(one)
    if paused:
        reports = [
            WindowReport(key=one.key, capacity=one.state.capacity, cycle=one.state.cycle, lift=True) for one in paused
        ]
        await store.exchange(Exchange(owner="by hand", label="", lease=0, horizon=0, windows=reports, leaving=True))
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
