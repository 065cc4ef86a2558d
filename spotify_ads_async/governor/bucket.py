"""One window's tokens: the rule itself. Pure, no clock of its own, no waiting.

A bucket holds N tokens. A request takes one when it leaves; the token stays out while the request is in flight and comes
back one window after its answer's headers arrived. Whoever uses the token next leaves at least one window after the server
counted its last user, so no two requests on one token share a window, and N tokens mean at most N requests in any window.
"""

from __future__ import annotations

import math
from collections import deque

from spotify_ads_async.governor.limits import Limit

__all__ = ["Bucket"]

_CLOCK_MARGIN_SECONDS = 0.001
"""Covers two clocks that run at slightly different speeds and a server that rounds to milliseconds."""

_RECOVERY_WINDOWS = (1.0, 4.0, 20.0)
"""Windows until tokens withheld after a refusal are all back: at the first one in a while, the second, and any later."""

_SLACK_SHARE = 0.01
"""Share of the tokens kept unused once somebody else is known to spend the same window."""


class Bucket:
    """The tokens of one limit.

    Every time is in seconds of one monotonic clock and never goes back. ``cycle`` is the time that a token stays out after
    the answer; ``guarded`` says that more than the count of tokens decides: a pause, or tokens withheld.

    Args:
        limit: how many tokens there are, and the window after which a used one comes back.
        clock_resolution: seconds by which a reading of the clock may lag.
    """

    __slots__ = (
        "_recovery_ends_at",
        "_recovery_started_at",
        "_refused_returns",
        "_strikes",
        "_withheld_peak",
        "available",
        "cycle",
        "guarded",
        "held_back",
        "in_flight",
        "limit",
        "pause_cause",
        "paused_until",
        "returning",
        "withheld",
    )

    def __init__(self, limit: Limit, *, clock_resolution: float = 0.0) -> None:
        self.limit = limit
        self.available = limit.requests
        self.in_flight = 0
        self.returning: deque[float] = deque()
        self.cycle = limit.window + _CLOCK_MARGIN_SECONDS + clock_resolution
        self.guarded = False
        self.held_back = 0
        self.withheld = 0
        self.paused_until = -math.inf
        self.pause_cause: str | None = None
        self._refused_returns: deque[float] = deque()
        self._strikes = 0
        self._withheld_peak = 0
        self._recovery_started_at = -math.inf
        self._recovery_ends_at = -math.inf

    def refresh(self, now: float) -> None:
        """Take in the tokens whose time has come."""
        returning = self.returning
        while returning and returning[0] <= now:
            returning.popleft()
            self.available += 1
        if self.withheld > self.held_back:
            self._recover(now)

    def take(self) -> None:
        """One request leaves."""
        self.available -= 1
        self.in_flight += 1

    def settle(self, now: float) -> None:
        """The answer's headers arrived, or the request was given up: the token is back one window later."""
        self.in_flight -= 1
        self.returning.append(now + self.cycle)

    def give_back(self) -> None:
        """The request did not leave."""
        self.in_flight -= 1
        self.available += 1

    def next_change(self, needed: int) -> float:
        """The earliest time at which ``needed`` tokens can be there, infinite while that depends on answers."""
        missing = needed + self.withheld - self.available
        if missing <= 0:
            return self.paused_until
        at = math.inf
        if missing <= len(self.returning):
            at = self.returning[missing - 1]
        if self.withheld > self.held_back:
            at = min(at, self._recovery_tick())
        return max(at, self.paused_until)

    def predicted(self, position: int, now: float) -> float:
        """Seconds until ``position`` more requests could have left, if every answer in flight came now."""
        missing = position + self.withheld - self.available
        wait = max(0.0, self.paused_until - now)
        if missing <= 0:
            return wait
        rounds, rest = divmod(missing - 1, self.limit.requests)
        until_return = self.returning[rest] - now if rest < len(self.returning) else self.cycle
        return max(wait, until_return + rounds * self.cycle)

    def hold_back(self, tokens: int) -> None:
        """Leave so many tokens unused from now on."""
        self.guarded = True
        self.withheld += tokens - self.held_back
        self.held_back = tokens

    def pause(self, until: float, cause: str) -> bool:
        """Let nothing leave until then; the later of two pauses wins. Answers whether this one does."""
        if until <= self.paused_until:
            return False
        self.guarded = True
        self.paused_until = until
        self.pause_cause = cause
        return True

    def refused(self, now: float) -> None:
        """The server refused one of ours, settled just now: somebody else spends this window too, or it counts otherwise.

        What got through is what there is room for. The rest is withheld, and comes back slowly at first.
        """
        self._refused_returns.append(now + self.cycle)
        if now < self._recovery_started_at + self.cycle / 2 and self.withheld > self.held_back:
            return  # the same event: more answers to what was in flight together
        self._strikes = self._strikes + 1 if now < self._recovery_ends_at + 2 * self.cycle else 1
        self._withhold(self._others(0, now) + self._slack(), now)

    def remaining_seen(self, remaining: int, now: float) -> None:
        """The server says how many requests its window still takes; only ever fewer than our own count allows."""
        others = self._others(remaining, now)
        if others > 0:
            self._strikes = max(self._strikes, 1)
            self._withhold(others + self._slack() + self.in_flight, now)
        elif remaining > 0:
            self.withheld = self.held_back

    def _others(self, remaining: int, now: float) -> int:
        """At least so many requests in the server's window are not ours."""
        refused = self._refused_returns
        while refused and refused[0] <= now:
            refused.popleft()
        ours = self.in_flight + len(self.returning) - len(refused)
        return self.limit.requests - remaining - ours

    def _slack(self) -> int:
        return max(1, math.ceil(self.limit.requests * _SLACK_SHARE))

    def _withhold(self, tokens: int, now: float) -> None:
        self.guarded = True
        self.withheld = self._withheld_peak = max(self.held_back, min(tokens, self.limit.requests - 1))
        self._recovery_started_at = now
        self._recovery_ends_at = now + self.cycle * _RECOVERY_WINDOWS[min(self._strikes, len(_RECOVERY_WINDOWS)) - 1]

    def _recover(self, now: float) -> None:
        length = self._recovery_ends_at - self._recovery_started_at
        progress = min(1.0, max(0.0, (now - self._recovery_started_at) / length))
        self.withheld = max(self.held_back, min(self.withheld, math.ceil(self._withheld_peak * (1.0 - progress**3))))

    def _recovery_tick(self) -> float:
        """When the next withheld token comes free."""
        share = 1.0 - (self.withheld - 1) / self._withheld_peak
        length = self._recovery_ends_at - self._recovery_started_at
        return self._recovery_started_at + length * math.cbrt(share) + _CLOCK_MARGIN_SECONDS
