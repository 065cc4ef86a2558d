"""Foreign usage: how much of a window somebody else spends, judged by what the server says. Pure, no clock of its own.

A refusal says that the server's window is full: what is not ours in it belongs to others. It is believed for long and
tried again slowly. A count of what remains is believed for one window: by then everything that was counted has left.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

__all__ = ["ForeignUsage"]

_RECOVERY_WINDOWS = (0.0, 4.0, 20.0, 40.0)
"""Until what was left to others is tried again in full: after one refusal in a while, after two, three, and more."""

_SLACK_SHARE = 0.01
"""Share of the tokens left unused on top, once somebody else is known to spend the window."""


class _Belief(NamedTuple):
    """So many tokens are others'; it fades from ``since`` on, slowly at first, and nothing is left of it ``until``."""

    tokens: int
    since: float
    until: float

    def at(self, now: float) -> int:
        """What is left of it."""
        if self.tokens == 0 or now >= self.until:
            return 0
        return math.ceil(self.tokens * (1.0 - ((now - self.since) / (self.until - self.since)) ** 3))


class ForeignUsage:
    """The ``tokens`` of one window that are left to others, of ``capacity`` that are out for ``cycle`` seconds each."""

    def __init__(self, capacity: int, cycle: float) -> None:
        self.tokens = 0
        self._capacity = capacity
        self._cycle = cycle
        self._slack = max(1, math.ceil(capacity * _SLACK_SHARE))
        self._refused_until: deque[float] = deque()
        self._contested_until = -math.inf
        self._strikes = 0
        self._refused = self._seen = _Belief(0, -math.inf, -math.inf)

    def refused(self, ours: int, now: float, paused_until: float, *, news: bool) -> None:
        """The server refused a request of ours just now, when ``ours`` tokens were out, for refused requests too.

        A first refusal is over with the pause that it caused, for then the server has room again; a second one teaches.
        Without ``news`` the request was under way with one that was refused before: it teaches how much, not how often.
        """
        self._refused_until.append(now + self._cycle)
        self._contested_until = now + _RECOVERY_WINDOWS[-1] * self._cycle
        others = self._within(self._capacity - self._counted(ours, now) + self._slack)
        if news:
            self._strikes = self._strikes + 1 if now < self._refused.until + 2 * self._cycle else 1
        windows = _RECOVERY_WINDOWS[min(max(self._strikes, 1), len(_RECOVERY_WINDOWS)) - 1]
        self._refused = _Belief(max(others, self._refused.at(now)), now, max(now + self._cycle * windows, paused_until))
        self.ease(now)

    def remaining(self, remaining: int, ours: int, departed_since: int, now: float) -> None:
        """The server says that its window takes so many more.

        ``ours`` tokens are out, the last ``departed_since`` of them for requests that it had not counted then.
        """
        if self._capacity - remaining > self._counted(ours, now):
            self._contested_until = now + _RECOVERY_WINDOWS[-1] * self._cycle
        slack = self._slack if now < self._contested_until else 0
        others = self._within(self._capacity - ours - remaining + departed_since + slack)
        self._seen = _Belief(others, now, now + self._cycle)
        self.ease(now)

    def ease(self, now: float) -> None:
        """Reckon what is left to others at this moment."""
        self.tokens = self.expected(now)

    def expected(self, at: float) -> int:
        """What will be left to others at that time, as far as is known."""
        return max(self._refused.at(at), self._seen.at(at))

    def _counted(self, ours: int, now: float) -> int:
        """How many of our tokens that are out belong to requests that the server took."""
        while self._refused_until and self._refused_until[0] <= now:
            self._refused_until.popleft()
        return ours - len(self._refused_until)

    def _within(self, tokens: int) -> int:
        """At least one token is always ours."""
        return max(0, min(tokens, self._capacity - 1))
