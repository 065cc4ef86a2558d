"""Grants: what a store granted the requests of one flow, and what it said of a window. Pure but for the clock."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import msgspec

__all__ = ["Ended", "Grant", "Grants", "Outlook", "Pause"]


class Grant(NamedTuple):
    """Leave for one request, from ``usable_at`` to ``use_by``: one token of every window of its flow."""

    usable_at: float
    number: int
    use_by: float


class Ended(NamedTuple):
    """By when the server had counted a request that is over; without one, for how long its token is not yet free.

    For a store grants a token ahead of its time, and it goes back no sooner.
    """

    counted_by: float = -math.inf
    ahead: float = 0.0


class Grants:
    """The grants of one flow. Each is usable, then in flight, then over until the store has heard of it.

    One that is in flight is good for as long as the store's knowledge of it is new: its request may not have left yet.
    The store is not to be asked for more before ``ask_at``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self.ask_at = clock, -math.inf
        self.usable: deque[Grant] = deque()
        self.in_flight: dict[int, Grant] = {}
        self.over: dict[int, Ended] = {}

    def __bool__(self) -> bool:
        return bool(self.usable or self.in_flight or self.over)

    def next_at(self) -> float:
        """When the first grant may be used, infinite without one."""
        while self.usable and not self.is_valid(self.usable[0]):
            self._drop(self.usable.popleft())
        return self.usable[0].usable_at if self.usable else math.inf

    def is_valid(self, grant: Grant) -> bool:
        """Whether a request may still leave with it."""
        return self._clock() < grant.use_by

    def take(self) -> Grant:
        """Use the first grant."""
        grant = self.usable.popleft()
        self.in_flight[grant.number] = grant
        return grant

    def may_leave(self, grant: Grant) -> bool:
        """Whether the store still keeps the tokens of a request that was about to leave."""
        held = self.in_flight.get(grant.number)
        return held is not None and self.is_valid(held)

    def give_back(self, grant: Grant) -> None:
        """The request did not leave: another one may."""
        if (held := self.in_flight.pop(grant.number, None)) is not None:
            self.usable.appendleft(held)

    def settle(self, grant: Grant, counted_by: float) -> None:
        """The request is over, and the server counted it no later than ``counted_by``."""
        if self.in_flight.pop(grant.number, None) is not None:
            self.over[grant.number] = Ended(counted_by)

    def to_tell(self, most: int, now: float, lease: float) -> dict[int, Ended]:
        """What the store should hear of, while ``most`` requests wait: others than they have no use for a grant.

        Those that are over; and those in flight of which it did not just hear, for one lease more.
        """
        self.next_at()  # without those that became void
        while len(self.usable) > most:
            self._drop(self.usable.pop())
        just_heard = now + lease * (1 / 2 - 1 / 12)
        late = {number: Ended(now + lease) for number, one in self.in_flight.items() if one.use_by <= just_heard}
        return self.over | late

    def heard(self, number: int, end: Ended, use_by: float) -> None:
        """The store heard of this grant. One that was void stays so: others may have its tokens."""
        if (held := self.in_flight.get(number)) is not None and self.is_valid(held):
            self.in_flight[number] = held._replace(use_by=use_by)
        elif self.over.get(number) is end:  # else it ended while the message was under way
            del self.over[number]

    def _drop(self, grant: Grant) -> None:
        """No request will use it."""
        self.over[grant.number] = Ended(ahead=max(0.0, grant.usable_at - self._clock()))


class Pause(msgspec.Struct, array_like=True):
    """A pause that a server asked for: what is left of it, what was asked for before any cap, and who met it."""

    left: int
    asked: int
    cause: str


class Outlook(msgspec.Struct, kw_only=True):
    """What a store says about one window: its ``epoch``, and in how many microseconds it ``opens`` to claims.

    ``free`` tokens are not out, ``out`` are; ``due`` says, where more wait than may leave, in how long one of these is
    back, how many are within the next thirty-second of a cycle, and so on. ``active`` processes lack tokens, this one
    with them; ``waiting`` are the others' requests. Bulk leaves a ``reserve`` of tokens. All of it is as it was
    ``heard_at``, in seconds of the receiver's clock; by the store's, in microseconds, it is ``paused_until`` then.
    """

    free: int
    epoch: str = ""
    opens: int = 0
    out: int = 0
    due: list[tuple[int, int]] = []
    active: int = 1
    waiting: int = 0
    reserve: int = 0
    smooth: bool = False
    pause: Pause | None = None
    heard_at: float = -math.inf
    paused_until: int = 0

    def there_at(self, tokens: int) -> float:
        """When so many tokens are there, in the past where they are, as far as the store told."""
        missing = tokens - self.free
        if missing <= 0 or not self.due:
            return -math.inf
        place = bisect_left(list(accumulate(count for _, count in self.due)), missing)
        return self.heard_at + self.due[min(place, len(self.due) - 1)][0] / 1e6
