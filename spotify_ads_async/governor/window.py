"""Window: a bucket with all that decides whether its tokens may be used now, and the one rule of admission.

A request needs a token from each of its windows, all or none: :func:`may_take` asks, :func:`take` takes. Both ways of
an admission, the short one and the one through the queue, go through these two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from spotify_ads_async.governor.bucket import Bucket
from spotify_ads_async.governor.foreign_usage import ForeignUsage
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.pacer import Pacer

__all__ = ["BULK_TURN", "Window", "may_take", "reserve_for", "take"]

BULK_TURN = 4
"""So many interactive requests overtake the bulk ones that wait; then it is the turn of one of these."""

_SMOOTH_RATE_SHARE = 0.99
_HELD_BACK_SHARE = 0.004
"""The smooth rhythm stays so far below the full rate, and leaves so many tokens unused, that a weighted two-window
counter, which takes the requests of its last window as evenly spread, does not refuse for the unevenness that the
network adds.
"""

_RESPACING_SHARE = 0.02
_SPREAD_SECONDS = 0.4
"""Those who waited for the end of a pause leave within this time, one after the other."""

_STANDING_RESERVE_SHARE = 0.002
_DEMANDED_RESERVE_SHARE = 0.02
_LARGEST_RESERVE_SHARE = 0.25


def reserve_for(demand: int, capacity: int) -> int:
    """Tokens that bulk requests leave to interactive ones, of which ``demand`` came within a window lately.

    A token or so where none came: a job that is alone uses all. Else as many as come again, and some for chance. The
    formula stands in ``ledger.lua`` too.
    """
    standing = min(capacity - 1, math.ceil(capacity * _STANDING_RESERVE_SHARE))
    if demand <= 0:
        return standing
    wanted = demand + math.ceil(1.5 * math.sqrt(demand)) + 1
    least = math.ceil(capacity * _DEMANDED_RESERVE_SHARE) + 1
    return max(standing, min(int(capacity * _LARGEST_RESERVE_SHARE), max(wanted, least)))


class Window(Bucket):
    """One limit's tokens in one scope.

    ``guarded`` says that more than the count of tokens decides: a pause, tokens reserved for others, spaced departures.
    ``overtaken`` counts the interactive requests that had to wait and left before bulk ones; ``bulk_left_at`` is when
    one of these left.

    Args:
        limit: the limit.
        owner: whose window it is, for people: an origin with a client ID or an address.
        smooth: whether departures are spaced from the start.
        now: the present of the clock that all later times are from.
        clock_resolution: see :class:`Bucket`.
        shared: whether a store keeps the window. It then decides about reserves and what is left to others, and the
            bucket counts this process's requests alone.
    """

    __slots__ = (
        "_demand",
        "_demand_counted_from",
        "_spread_interval",
        "_spread_next",
        "_spread_until",
        "active",
        "asked_until",
        "bulk_left_at",
        "foreign",
        "guarded",
        "held_back",
        "interactive_taken",
        "overtaken",
        "owner",
        "pacer",
        "pause_cause",
        "pause_length",
        "paused_until",
        "refused_at_departure",
        "refused_in_a_row",
        "remaining_heard_at_departure",
        "reserved_for_others",
        "reserved_told",
        "shared",
        "smooth",
        "waiting_bulk",
        "waiting_interactive",
    )

    def __init__(
        self, limit: Limit, *, owner: str, smooth: bool, now: float, clock_resolution: float = 0.0, shared: bool = False
    ) -> None:
        super().__init__(limit, clock_resolution=clock_resolution)
        self.owner = owner
        self.shared = shared
        self.active = 1
        self.guarded = False
        self.reserved_for_others = 0
        self.reserved_told = 0
        self.foreign = ForeignUsage(limit.requests, self.cycle)
        self.smooth = False
        self.pacer: Pacer | None = None
        self.paused_until = -math.inf
        self.asked_until = -math.inf
        self.pause_length = 0.0
        self.pause_cause: str | None = None
        self.refused_in_a_row = 0
        self.refused_at_departure = 0
        self.remaining_heard_at_departure = 0
        self.waiting_interactive = 0
        self.waiting_bulk = 0
        self.overtaken = 0
        self.bulk_left_at = now
        self.interactive_taken = 0
        self.held_back = 0
        self._demand = 0
        self._demand_counted_from = now
        self._spread_until = self._spread_next = -math.inf
        self._spread_interval = 0.0
        if smooth:
            self.smooth_out()

    @property
    def waiting(self) -> int:
        """Requests in the queue that need a token of this window."""
        return self.waiting_interactive + self.waiting_bulk

    def smooth_out(self) -> None:
        """Space departures from now on, and leave a few tokens unused."""
        self.smooth = True
        self.held_back = min(self.limit.requests - 1, math.ceil(self.limit.requests * _HELD_BACK_SHARE))
        self.reckon_reserved()

    def pause(self, until: float, now: float, cause: str, *, asked_until: float = -math.inf) -> bool:
        """Let nothing leave until then; the later of two pauses wins. Answers whether this one does.

        ``asked_until`` is how long the server asked for, where a cap made the pause shorter.
        """
        self.asked_until = max(self.asked_until, asked_until)
        if until <= self.paused_until:
            return False
        self.pause_length = (
            until - now + (self.pause_length - self.paused_until + now if self.paused_until > now else 0.0)
        )
        self.guarded = True
        self.paused_until = until
        self.pause_cause = cause
        return True

    def lift(self) -> bool:
        """End a pause by hand, and forget what refusals taught. Answers whether there was a pause."""
        paused = self.paused_until > -math.inf
        self.paused_until = self.asked_until = self._spread_until = -math.inf
        self.pause_cause = None
        self.refused_in_a_row = 0
        self.foreign = ForeignUsage(self.limit.requests, self.cycle)
        self.reckon_reserved()
        return paused

    def reckon_reserved(self) -> None:
        """Take in what is left to others, and space departures accordingly."""
        reserved = max(self.held_back, self.foreign.tokens)
        self.reserved_for_others = 0 if self.shared else reserved
        self.reserved_told = min(self.reserved_told, reserved)
        if self.smooth:
            requests = max(
                1, min(self.limit.requests - reserved, int(self.limit.requests * _SMOOTH_RATE_SHARE)) // self.active
            )
            if self.pacer is None or abs(self.pacer.requests - requests) > requests * _RESPACING_SHARE:
                self.pacer = Pacer(requests, self.limit.window)
        self.guarded = (
            reserved > 0 or self.pacer is not None or self.paused_until > -math.inf or self._spread_until > -math.inf
        )

    def refresh(self, now: float) -> None:
        """Take in what has become due.

        Tokens, the end of a pause and of what follows it, tokens that were left to others.
        """
        super().refresh(now)
        if self.guarded:
            self._refresh_guard(now)

    def _refresh_guard(self, now: float) -> None:
        if self.foreign.tokens:
            self.foreign.ease(now)
        if self._spread_until <= now:
            self._spread_until = -math.inf
        ended_at = self.paused_until
        if ended_at <= now:
            self.paused_until = self.asked_until = -math.inf
            self.pause_cause = None
        self.reckon_reserved()
        if -math.inf < ended_at <= now < ended_at + _SPREAD_SECONDS:
            self._spread(ended_at)

    def _spread(self, since: float) -> None:
        """A pause is over.

        Those who waited for it leave one after the other, and what is spaced catches up with the pause.
        """
        leaving = self.waiting
        if self.pacer is not None:
            leaving = min(leaving, int(self.pause_length / self.pacer.interval))
        if leaving > 0:
            self._spread_next, self._spread_until, self._spread_interval = (
                since,
                since + _SPREAD_SECONDS,
                _SPREAD_SECONDS / leaving,
            )
            self.guarded = True

    def reserve(self, now: float) -> int:
        """Tokens that bulk requests leave to interactive ones, by the demand of the last window.

        See :func:`reserve_for`.
        """
        return reserve_for(self.demand(now), self.limit.requests)

    def demand(self, now: float) -> int:
        """Interactive requests of a window: of the last whole one, or of the present one so far with those who wait."""
        windows = (now - self._demand_counted_from) / self.limit.window
        if windows >= 1.0:
            self._demand = math.ceil(self.interactive_taken / windows)
            self.interactive_taken = 0
            self._demand_counted_from = now
        return max(self._demand, self.interactive_taken + self.waiting_interactive)

    def demand_changes_at(self) -> float:
        """When the demand is counted anew."""
        return self._demand_counted_from + self.limit.window

    def turn_of_bulk(self, now: float) -> bool:
        """Whether interactive requests overtook the bulk ones for long enough.

        Those that had to wait count, or that no bulk request left for a whole window.
        """
        return self.overtaken >= BULK_TURN or (self.waiting_bulk > 0 and now > self.bulk_left_at + self.limit.window)

    def needed(self, *, interactive: bool, now: float) -> int:
        """How many tokens must be there for a request to take one."""
        kept = self.reserved_for_others
        if interactive or self.shared or self.turn_of_bulk(now):
            return kept + 1
        # In the smallest windows nothing would be left beside the reserve.
        return max(1, min(kept + 1 + self.reserve(now), self.limit.requests))

    def lets_through(self, now: float, *, interactive: bool) -> bool:
        """Whether there are tokens enough for a request of this class.

        And neither a pause nor the rhythm is in the way.
        """
        if self.available < self.needed(interactive=interactive, now=now) or self.paused_until > now:
            return False
        if self._spread_until > now:
            return self._spread_next <= now
        return self.pacer is None or self.pacer.ready()

    def departed(self, now: float) -> None:
        """One request leaves: the rhythm's part of it."""
        if self._spread_until > now:
            self._spread_next += self._spread_interval
        elif self.pacer is not None:
            self.pacer.take(now)

    def opens_at(self, now: float) -> float:
        """A time before which a pause or the rhythm is in the way."""
        if self._spread_until > now:
            return max(self.paused_until, min(self._spread_next, self._spread_until))
        return max(self.paused_until, now + self.pacer.wait(now) if self.pacer is not None else now)

    def next_grant(self, needed: int, now: float) -> float:
        """A time before which ``needed`` tokens cannot be there and usable, infinite while that depends on answers."""
        at = self.there_at(needed)
        if at > now and self.foreign.tokens > self.held_back and not self.shared:
            at = min(at, self.foreign.next_ease(now))
        return max(at, self.opens_at(now))


def may_take(windows: Iterable[Window], now: float, interactive: bool) -> bool:  # noqa: FBT001 (called for every request)
    """Whether a request may take a token from every one of ``windows`` now."""
    for window in windows:
        if (
            window.guarded or window.available < 1 or not interactive
        ):  # else what has come back meanwhile changes nothing
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
        if window.guarded:
            window.departed(now)
