"""A bucket with all that decides whether its tokens may be used now: pauses, what is left to others, rhythm and reserve."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right

from aiolimiter import AsyncLimiter

from spotify_ads_async.governor.bucket import Bucket
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.others import Others

__all__ = ["BULK_TURN", "Pacer", "Window"]

BULK_TURN = 4
"""So many interactive requests overtake the bulk ones that wait; then it is the turn of one of these."""

_SMOOTH_RATE_SHARE = 0.99
_HELD_BACK_SHARE = 0.004
"""The smooth rhythm stays so far below the full rate, and leaves so many tokens unused, that a weighted two-window counter,
which takes the requests of its last window as evenly spread, does not refuse for the unevenness that the network adds."""

_BURST_SECONDS = 0.03
"""What the smooth rhythm lets leave together, in seconds of its rate: it makes up for a timer that rings late."""

_RESPACING_SHARE = 0.02
_STANDING_RESERVE_SHARE = 0.002
_LARGEST_RESERVE_SHARE = 0.25


class Pacer:
    """Spaces departures evenly, with a small burst.

    Args:
        requests: departures in ``window`` seconds.
        window: seconds.
    """

    __slots__ = ("_burst", "_drained_at", "_limiter", "_loop", "interval", "requests")

    def __init__(self, requests: int, window: float) -> None:
        self.requests = requests
        self.interval = window / requests
        self._burst = max(1, math.ceil(_BURST_SECONDS / self.interval))
        self._drained_at = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limiter = AsyncLimiter(self._burst, self._burst * self.interval)

    def ready(self) -> bool:
        """Whether a departure fits now."""
        return self._current().has_capacity()

    def wait(self, now: float) -> float:
        """Seconds until a departure fits. The limiter does not tell, but it drains evenly from what was taken."""
        return max(0.0, self._drained_at - (self._burst - 1) * self.interval - now)

    def take(self, now: float) -> None:
        """One departure. Only after :meth:`ready`: the limiter then has nothing to wait for."""
        acquisition = self._current().acquire()
        try:
            acquisition.send(None)
        except StopIteration:
            self._drained_at = max(self._drained_at, now) + self.interval
            return
        acquisition.close()
        raise RuntimeError("the pacer was not ready")

    def _current(self) -> AsyncLimiter:
        """The limiter of the running loop: it belongs to one loop, a governor may outlive that."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                self._limiter = AsyncLimiter(self._burst, self._burst * self.interval)
            self._loop = loop
        return self._limiter


class Window(Bucket):
    """One limit's tokens in one scope.

    ``guarded`` says that more than the count of tokens decides: a pause, tokens withheld, spaced departures. ``withheld``
    tokens stay unused, ``withheld_told`` of which listeners know. ``overtaken`` counts the interactive requests that left
    while bulk ones waited.

    Args:
        limit: the limit.
        owner: whose window it is, for people: an origin with a client ID or an address.
        smooth: whether departures are spaced from the start.
        clock_resolution: see :class:`Bucket`.
    """

    __slots__ = (
        "_demand",
        "_demand_counted_from",
        "_held_back",
        "_largest_reserve",
        "_smooth_requests",
        "_standing_reserve",
        "guarded",
        "heard_at_departure",
        "interactive_taken",
        "others",
        "overtaken",
        "owner",
        "pacer",
        "pacing_ends_at",
        "pause_cause",
        "paused_until",
        "refused_at_departure",
        "refused_in_a_row",
        "waiting_bulk",
        "waiting_interactive",
        "withheld",
        "withheld_told",
    )

    def __init__(self, limit: Limit, *, owner: str, smooth: bool, clock_resolution: float) -> None:
        super().__init__(limit, clock_resolution=clock_resolution)
        self.owner = owner
        self.guarded = False
        self.withheld = 0
        self.withheld_told = 0
        self.others = Others(limit.requests, self.cycle)
        self.pacer: Pacer | None = None
        self.pacing_ends_at = -math.inf
        self.paused_until = -math.inf
        self.pause_cause: str | None = None
        self.refused_in_a_row = 0
        self.refused_at_departure = 0
        self.heard_at_departure = 0
        self.waiting_interactive = 0
        self.waiting_bulk = 0
        self.overtaken = 0
        self.interactive_taken = 0
        self._held_back = 0
        self._smooth_requests = max(1, int(limit.requests * _SMOOTH_RATE_SHARE))
        self._demand = 0
        self._demand_counted_from = -math.inf
        self._standing_reserve = min(limit.requests - 1, math.ceil(limit.requests * _STANDING_RESERVE_SHARE))
        self._largest_reserve = max(self._standing_reserve, int(limit.requests * _LARGEST_RESERVE_SHARE))
        if smooth:
            self.smooth_out()

    @property
    def smooth(self) -> bool:
        """Whether departures are spaced for good."""
        return self.pacing_ends_at == math.inf

    @property
    def waiting(self) -> int:
        """Requests in the line that need a token of this window."""
        return self.waiting_interactive + self.waiting_bulk

    def smooth_out(self) -> None:
        """Space departures from now on, and leave a few tokens unused."""
        requests = self.limit.requests
        self._held_back = min(requests - 1, math.ceil(requests * _HELD_BACK_SHARE))
        self.pacing_ends_at = math.inf
        self.reckon_withheld()

    def pause(self, until: float, cause: str) -> bool:
        """Let nothing leave until then; the later of two pauses wins. Answers whether this one does.

        The first departures after it are spaced for a window, so that the line does not leave in one tick.
        """
        if until <= self.paused_until:
            return False
        self.guarded = True
        self.paused_until = until
        self.pause_cause = cause
        self.pacing_ends_at = max(self.pacing_ends_at, until + self.limit.window)
        self.reckon_withheld()
        return True

    def reckon_withheld(self) -> None:
        """Take in what is left to others, and space departures accordingly."""
        self.withheld = max(self._held_back, self.others.tokens)
        self.withheld_told = min(self.withheld_told, self.withheld)
        if self.pacing_ends_at > -math.inf:
            requests = min(self.limit.requests - self.withheld, self._smooth_requests)
            if self.pacer is None or abs(self.pacer.requests - requests) > self.limit.requests * _RESPACING_SHARE:
                self.pacer = Pacer(requests, self.limit.window)
        self.guarded = self.withheld > 0 or self.pacer is not None

    def refresh(self, now: float) -> None:
        """Take in what has become due: tokens, the end of a pause, the end of spacing, tokens that were left to others."""
        returning = self.returning
        while returning and returning[0] <= now:  # as in Bucket; a call of that would cost more than it does
            returning.popleft()
            self.available += 1
        if self.guarded:
            self._refresh_guard(now)

    def _refresh_guard(self, now: float) -> None:
        if self.others.tokens:
            self.others.ease(now)
        if self.paused_until <= now:
            self.paused_until = -math.inf
            self.pause_cause = None
        if self.pacing_ends_at <= now:
            self.pacing_ends_at = -math.inf
            self.pacer = None
        self.reckon_withheld()

    def reserve(self, now: float) -> int:
        """Tokens that bulk requests leave for interactive ones: half as many again as took one within a window lately.

        None but a token or so where nobody interactive came: a job that is alone uses all.
        """
        if now >= self._demand_counted_from + self.limit.window:
            windows = (now - self._demand_counted_from) / self.limit.window
            self._demand = max(math.ceil(self.interactive_taken / windows), self._demand // 2 if windows < 2.0 else 0)
            self.interactive_taken = 0
            self._demand_counted_from = now
        demand = max(self._demand, self.interactive_taken)
        if demand == 0:
            return self._standing_reserve
        return min(self._largest_reserve, max(self._standing_reserve, demand + demand // 2 + 2))

    def needed_for_bulk(self, now: float) -> int:
        """How many tokens must be there for a bulk request to take one."""
        if self.overtaken >= BULK_TURN:
            return 1
        # In the smallest windows nothing would be left beside the reserve.
        return max(1, min(1 + self.reserve(now), self.limit.requests - self.withheld))

    def reserve_changes_at(self) -> float:
        """When the reserve is reckoned anew at the latest."""
        return self._demand_counted_from + self.limit.window

    def grants(self, needed: int, now: float) -> bool:
        """Whether a request that leaves ``needed - 1`` tokens for others may leave now."""
        if self.available - self.withheld < needed or self.paused_until > now:
            return False
        return self.pacer is None or self.pacer.ready()

    def next_grant(self, needed: int, now: float) -> float:
        """A time before which :meth:`grants` cannot become true by itself, infinite while that depends on answers."""
        at = self.there_at(needed + self.withheld)
        if at > now and self.others.tokens > self._held_back:
            at = min(at, self.others.next_ease(now))
        if self.pacer is not None:
            at = max(at, now + self.pacer.wait(now))
        return max(at, self.paused_until)

    def usable_within(self, seconds: float, now: float) -> int:
        """At most so many requests can take a token of this window within so many seconds."""
        rounds, rest = divmod(seconds, self.cycle)
        soon = self.available - self.withheld + bisect_right(self.returning, now + rest)
        return max(0, soon + int(rounds) * self.limit.requests)

    def predicted(self, position: int, now: float, kept: int = 0) -> float:
        """Seconds until the request at ``position`` of the line can leave, were every answer in flight to come now.

        ``kept`` tokens are left to others of the line besides those withheld.
        """
        usable = max(1, self.limit.requests - self.withheld - kept)
        rounds, rest = divmod(position - 1, usable)
        at = self.there_at(rest + 1 + self.withheld + kept)
        wait = (self.cycle if at == math.inf else max(0.0, at - now)) + rounds * self.cycle
        spacing = 0.0 if self.pacer is None else self.pacer.wait(now) + (position - 1) * self.pacer.interval
        return max(wait, max(0.0, self.paused_until - now) + spacing)
