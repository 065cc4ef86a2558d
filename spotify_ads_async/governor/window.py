"""Window: one limit's tokens, all that decides whether they may be used now, and the one rule of admission.

A request takes a token when it leaves, and it comes back one window after the answer's headers arrived. Why that is
enough stands in docs/explanation/governor.md.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable

from spotify_ads_async.governor.foreign_usage import ForeignUsage
from spotify_ads_async.governor.grants import Outlook
from spotify_ads_async.governor.pacer import Pacer
from spotify_ads_async.limits import Limit

__all__ = ["BULK_TURN", "Window", "may_take", "reserve", "take"]

BULK_TURN = 4
"""So many interactive requests overtake the bulk ones that wait; then it is the turn of one of these."""

_MARGIN_SECONDS, _MARGIN_SHARE = 0.001, 0.0001
"""On top of the window, for a server that rounds arrivals to milliseconds, and whose clock runs faster than ours."""

_SMOOTH_RATE_SHARE, _HELD_BACK_SHARE, _RESPACING_SHARE = 0.99, 0.004, 0.02
"""The smooth rhythm's part of the full rate, and the tokens that it leaves: a weighted two-window counter, which takes
the requests of its last window as evenly spread, does not refuse then for what the network makes uneven."""

_LOOK_SHARE = 0.01
"""So often, in windows, is looked whether less is left to others."""

_SPREAD_SECONDS = 0.4
"""Those who waited for the end of a pause leave within this time, one after the other."""

_STANDING_RESERVE_SHARE, _FIRST_RESERVE_SHARE, _LARGEST_RESERVE_SHARE = 0.002, 0.02, 0.25
"""What bulk leaves where nobody interactive came lately, while it is unknown how many come, and at most. The first and
the last stand in ``ledger.lua`` too."""


class Window:
    """One limit's tokens in one scope: ``available`` ones, those in flight, and those that come back with time.

    Every time is in seconds of one monotonic clock. ``settled`` says in order by when the server had counted the
    requests that are over; their tokens are back ``cycle`` later. ``reserved`` tokens are left to other programs,
    ``demand`` is how many interactive requests left in the last window.
    ``guarded`` says that more than the count of tokens decides: a pause, reserved tokens, spaced departures. Of a
    ``shared`` window a store decides, ``outlook`` is what it last said, and the tokens are this process's alone.
    """

    # Each admission reads a dozen of these: without slots it costs 7 % more.
    __slots__ = (  # noqa: SIM905 (thirty lines for a list)
        "limit owner key shared outlook cycle available settled waiting_interactive waiting_bulk overtaken "
        "bulk_left_at interactive_taken demand _demand_known _demand_counted_from guarded smooth reserved "
        "reserved_told foreign pacer paused_until asked_until pause_length pause_cause _after_pause "
        "_after_pause_until refused_in_a_row refused_at_departure remaining_heard_at_departure"
    ).split()

    def __init__(
        self, limit: Limit, *, owner: str, key: str, smooth: bool, now: float, clock_resolution: float, shared: bool
    ) -> None:
        self.limit, self.owner, self.key, self.shared = limit, owner, key, shared
        self.outlook = Outlook(free=limit.requests)
        self.cycle = limit.window * (1.0 + _MARGIN_SHARE) + _MARGIN_SECONDS + clock_resolution
        self.available = limit.requests
        self.settled: deque[float] = deque()
        self.waiting_interactive = self.waiting_bulk = 0
        self.overtaken, self.bulk_left_at = 0, now  # by interactive requests, and when a bulk one left last
        self.interactive_taken, self.demand, self._demand_known, self._demand_counted_from = 0, 0, False, now
        self.smooth, self.reserved_told = smooth, 0
        self.foreign = ForeignUsage(limit.requests, self.cycle)
        self.pacer: Pacer | None = None
        self._after_pause: Pacer | None = None
        self.paused_until = self.asked_until = self._after_pause_until = -math.inf
        self.pause_length, self.pause_cause = 0.0, ""
        self.refused_in_a_row = self.refused_at_departure = self.remaining_heard_at_departure = 0
        self.reckon_reserved()

    @property
    def out(self) -> int:
        """Tokens that are in flight or on their way back."""
        return self.limit.requests - self.available

    @property
    def in_flight(self) -> int:
        """Tokens of requests without an answer."""
        return self.out - len(self.settled)

    @property
    def held_back(self) -> int:
        """Tokens that the smooth rhythm leaves unused."""
        return min(self.limit.requests - 1, math.ceil(self.limit.requests * _HELD_BACK_SHARE)) if self.smooth else 0

    @property
    def waiting(self) -> int:
        """Requests in the queue that need a token of this window."""
        return self.waiting_interactive + self.waiting_bulk

    @property
    def rhythm(self) -> Pacer | None:
        """What spaces departures at present."""
        return self._after_pause or self.pacer

    @property
    def opens_at(self) -> float:
        """Before then nothing leaves: there is a pause, or no token, or the store grants none."""
        here = self.settled[0] + self.cycle if self.settled and self.available < 1 and not self.shared else -math.inf
        return max(here, self.paused_until, self.outlook.heard_at + self.outlook.opens / 1e6, self.outlook.there_at(1))

    def refresh(self, now: float) -> None:
        """Take in what has become due: tokens, the end of a pause, tokens that were left to others."""
        settled, over, back = self.settled, now - self.cycle, 0
        while settled and settled[0] <= over:
            settled.popleft()
            back += 1
        self.available += back
        if not self.guarded:
            return
        self.foreign.ease(max(now, self.paused_until))  # nobody leaves before
        if self._after_pause_until <= now:
            self._after_pause, self.pause_length = None, 0.0
        ended_at = self.paused_until
        if ended_at <= now:
            self.paused_until, self.asked_until, self.pause_cause = -math.inf, -math.inf, ""
        self.reckon_reserved()
        if ended_at <= now < ended_at + _SPREAD_SECONDS:
            # Those who waited for a pause leave one after the other, and what is spaced catches up with the pause.
            most = math.inf if self.pacer is None else self.pause_length / self.pacer.interval
            if (leaving := int(min(self.waiting, most))) > 0:
                self.guarded, self._after_pause = True, Pacer(leaving, _SPREAD_SECONDS)

    def settle(self, counted_by: float) -> None:
        """A request is over, and the server counted it no later than then: its token is back one window after."""
        if self.settled and counted_by < self.settled[-1]:
            insort(self.settled, counted_by)
        else:
            self.settled.append(counted_by)

    def there_at(self, tokens: int) -> float:
        """When so many tokens are there: in the past where they are, infinite where that depends on answers to come."""
        missing = tokens - self.available
        if missing <= 0:
            return -math.inf
        return self.settled[missing - 1] + self.cycle if missing <= len(self.settled) else math.inf

    def pause(self, until: float, now: float, cause: str, *, asked_until: float) -> bool:
        """Let nothing leave until then. The later of two pauses wins; answers whether it is this one."""
        self.asked_until = max(self.asked_until, asked_until)
        if until <= self.paused_until:
            return False
        began = self.paused_until - self.pause_length if self.paused_until > now else now
        self.pause_length, self._after_pause_until = until - began, until + _SPREAD_SECONDS
        self.guarded, self.paused_until, self.pause_cause = True, until, cause
        return True

    def lift(self) -> bool:
        """End a pause by hand, and forget what refusals taught. Answers whether there was a pause."""
        paused = self.paused_until > -math.inf
        self.paused_until = self.asked_until = -math.inf
        self.pause_cause, self.pause_length, self._after_pause, self.refused_in_a_row = "", 0.0, None, 0
        self.foreign = ForeignUsage(self.limit.requests, self.cycle)
        self.reckon_reserved()
        return paused

    def reserved_at(self, at: float) -> int:
        """Tokens that will be left unused then; what others are believed to spend shrinks, but not during a pause."""
        return max(self.held_back, self.foreign.expected(max(at, self.paused_until)))

    def reckon_reserved(self) -> None:
        """Take in what is left to others, and space departures accordingly."""
        self.reserved = max(self.held_back, self.foreign.tokens)
        self.reserved_told = min(self.reserved_told, self.reserved)
        if self.smooth:
            most = min(self.limit.requests - self.reserved, int(self.limit.requests * _SMOOTH_RATE_SHARE))
            requests = max(1, most // self.outlook.active)
            if self.pacer is None or abs(self.pacer.requests - requests) > requests * _RESPACING_SHARE:
                self.pacer = Pacer(requests, self.limit.window)
        paused = self.paused_until > -math.inf or self._after_pause is not None
        self.guarded = self.smooth or paused or self.reserved > 0

    def wanted(self, now: float) -> int:
        """Tokens that interactive requests will want besides those that they have out, and some for chance."""
        passed = (now - self._demand_counted_from) / self.limit.window
        if passed >= 1.0:
            # The window in which they began tells little: some waited in it, some had not come yet.
            self._demand_known, self.demand = self.demand > 0, math.ceil(self.interactive_taken / passed)
            self.interactive_taken, self._demand_counted_from, passed = 0, now, 0.0
        if (demand := max(self.demand, self.interactive_taken + self.waiting_interactive)) == 0:
            return 0
        out = self.interactive_taken + int(self.demand * (1.0 - passed))
        wanted = max(0, demand - out) + math.ceil(1.5 * math.sqrt(demand)) + 1
        return wanted if self._demand_known else max(wanted, math.ceil(self.limit.requests * _FIRST_RESERVE_SHARE) + 1)

    def reserve(self, now: float) -> int:
        """Tokens that bulk requests leave to interactive ones."""
        if self.shared:
            return self.outlook.reserve
        return reserve(self.limit.requests, self.wanted(now), most=self.limit.requests - 1)

    def turn_of_bulk(self, now: float) -> bool:
        """Whether interactive requests overtook the bulk ones long enough, or none of these left for a window."""
        return self.overtaken >= BULK_TURN or (self.waiting_bulk > 0 and now > self.bulk_left_at + self.limit.window)

    def needed(self, *, interactive: bool, now: float) -> int:
        """How many tokens must be there for a request to take one. A store has looked after that."""
        if self.shared:
            return 1
        if interactive or self.turn_of_bulk(now):
            return self.reserved + 1
        # In the smallest windows nothing would be left beside the reserve.
        return max(1, min(self.reserved + 1 + self.reserve(now), self.limit.requests))

    def lets_through(self, now: float, *, interactive: bool) -> bool:
        """Whether tokens are there for a request of this class, and no pause or rhythm is in the way."""
        if self.available < self.needed(interactive=interactive, now=now) or self.paused_until > now:
            return False
        return self.rhythm is None or self.rhythm.ready()

    def next_grant(self, *, interactive: bool, now: float) -> float:
        """A time before which no token can be there and usable, infinite while that depends on answers."""
        at = self.there_at(self.needed(interactive=interactive, now=now))
        if not interactive or (self.reserved > self.held_back and not self.shared):
            # What is left to others shrinks meanwhile, be they other programs or interactive requests.
            at = min(at, now + self.limit.window * _LOOK_SHARE)
        if self._after_pause is not None:
            return max(at, self.paused_until, min(now + self._after_pause.wait(now), self._after_pause_until))
        return max(at, self.paused_until, now if self.pacer is None else now + self.pacer.wait(now))


def reserve(capacity: int, wanted: int, *, most: int) -> int:
    """Of ``capacity`` tokens, those that bulk leaves to interactive requests: hardly any where none came lately."""
    standing, largest = math.ceil(capacity * _STANDING_RESERVE_SHARE), int(capacity * _LARGEST_RESERVE_SHARE)
    return max(0, min(most, max(standing, min(largest, wanted))))


def may_take(windows: Iterable[Window], now: float, interactive: bool) -> bool:  # noqa: FBT001 (for every request)
    """Whether a request may take a token from every one of ``windows`` now."""
    for window in windows:
        # Else what has come back meanwhile changes nothing.
        if window.guarded or window.available < 1 or not interactive:
            window.refresh(now)
            if not window.lets_through(now, interactive=interactive):
                return False
    return True


def take(windows: Iterable[Window], now: float, interactive: bool) -> None:  # noqa: FBT001 (the same)
    """Take a token from every one of ``windows``: a request leaves. Only after :func:`may_take`."""
    for window in windows:
        window.available -= 1
        if interactive:
            window.interactive_taken += 1
        else:
            window.overtaken, window.bulk_left_at = 0, now
        if window.guarded and (rhythm := window.rhythm) is not None:
            rhythm.take(now)
