"""Foreign usage: how much of a window somebody else spends, judged by what the server says. Pure, no clock of its own.

Two kinds of evidence. A refusal says that the server's window is full: what is not ours in it belongs to others. It is
believed for long and tried again slowly, the more slowly the more often it comes. A count of what remains says the same
while there is still room, and is believed for one window at most, for by then everything that was counted has left.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["ForeignUsage"]

_RECOVERY_WINDOWS = (0.0, 4.0, 20.0, 40.0)
"""Windows until what was left to others is tried again in full.

After one refusal in a while, after two, three, and more.
"""

_SLACK_SHARE = 0.01
"""Share of the tokens left unused on top, once somebody else is known to spend the window."""

_TICK_MARGIN_SECONDS = 0.001
_TOLD_MARGIN_SECONDS = 0.5
"""By so much must what is heard go beyond what is known: messages take a while."""


class ForeignUsage:
    """The part of one window that is left to others.

    Args:
        capacity: tokens of the window.
        cycle: seconds for which a token stays out.
    """

    __slots__ = (
        "_capacity",
        "_contested_until",
        "_cycle",
        "_peak",
        "_recovery_ends_at",
        "_recovery_started_at",
        "_refused",
        "_seen",
        "_seen_at",
        "_slack",
        "_strikes",
        "tokens",
    )

    def __init__(self, capacity: int, cycle: float) -> None:
        self.tokens = 0
        self._capacity = capacity
        self._cycle = cycle
        self._slack = max(1, math.ceil(capacity * _SLACK_SHARE))
        self._refused: deque[float] = deque()
        self._contested_until = -math.inf
        self._strikes = 0
        self._peak = 0
        self._recovery_started_at = -math.inf
        self._recovery_ends_at = -math.inf
        self._seen = 0
        self._seen_at = -math.inf

    def refused(self, ours: int, now: float, paused_until: float, *, news: bool) -> None:
        """The server refused a request of ours just now, when ``ours`` tokens were out.

        Those of refused requests are included.
        A first refusal is over with the pause that it caused, for then the server has room again; a second one teaches.
        Without ``news`` the request was under way with one that was refused before: it teaches how much, not how often.
        """
        self._refused.append(now + self._cycle)
        self._contested_until = now + _RECOVERY_WINDOWS[-1] * self._cycle
        estimate = max(self._within(self._capacity - self._counted(ours, now) + self._slack), self._believed(now))
        if news:
            self._strikes = self._strikes + 1 if now < self._recovery_ends_at + 2 * self._cycle else 1
        windows = _RECOVERY_WINDOWS[min(self._strikes, len(_RECOVERY_WINDOWS)) - 1] if self._strikes else 0.0
        self._peak = estimate
        self._recovery_started_at = now
        self._recovery_ends_at = max(now + self._cycle * windows, paused_until)
        self.ease(now)

    def remaining(self, remaining: int, ours: int, departed_since: int, now: float) -> None:
        """The server says that its window takes so many more.

        ``ours`` tokens are out, the last ``departed_since`` of them for requests that it had not counted then.
        """
        if self._capacity - remaining > self._counted(ours, now):
            self._contested_until = now + _RECOVERY_WINDOWS[-1] * self._cycle
        slack = self._slack if now < self._contested_until else 0
        self._seen = self._within(self._capacity - ours - remaining + departed_since + slack)
        self._seen_at = now
        self.ease(now)

    def ease(self, now: float) -> None:
        """Reckon what is left to others at this moment."""
        self.tokens = max(self._still_seen(now), self._believed(now))

    def next_ease(self, now: float) -> float:
        """When at least one token fewer will be left to others."""
        wanted = self.tokens - 1
        at = now
        if wanted < self._believed(now):
            at = max(at, _falls_below(self._peak, wanted, self._recovery_started_at, self._recovery_ends_at))
        if wanted < self._still_seen(now):
            at = max(at, _falls_below(self._seen, wanted, self._seen_at, self._seen_at + self._cycle))
        return at + _TICK_MARGIN_SECONDS

    def told(self, now: float) -> tuple[float, float, int, int]:
        """What refusals taught, for other processes: seconds since and until which, tokens, and how often in a row."""
        return now - self._recovery_started_at, self._recovery_ends_at - now, self._peak, self._strikes

    def hear(self, since: float, until: float, peak: int, strikes: int, now: float) -> None:
        """Believe what a refusal of another process's request taught.

        Where it is believed for longer than one's own.
        """
        if until > 0.0 and now + until > self._recovery_ends_at + _TOLD_MARGIN_SECONDS:
            self._recovery_started_at, self._recovery_ends_at = now - since, now + until
            self._peak, self._strikes = self._within(peak), strikes
            self.ease(now)

    def _believed(self, now: float) -> int:
        """What refusals taught, so far as it is still believed."""
        return _faded(self._peak, now, self._recovery_started_at, self._recovery_ends_at)

    def _still_seen(self, now: float) -> int:
        """What the last count of what remains taught, so far as it is still believed."""
        return _faded(self._seen, now, self._seen_at, self._seen_at + self._cycle)

    def _counted(self, ours: int, now: float) -> int:
        """How many of our tokens that are out belong to requests that the server took."""
        refused = self._refused
        while refused and refused[0] <= now:
            refused.popleft()
        return ours - len(refused)

    def _within(self, tokens: int) -> int:
        """At least one token is always ours."""
        return max(0, min(tokens, self._capacity - 1))


def _faded(peak: int, now: float, start: float, end: float) -> int:
    """What is left of ``peak``: nearly all of it for long, then ever less, nothing from ``end`` on."""
    if peak == 0 or now >= end:
        return 0
    return math.ceil(peak * (1.0 - ((now - start) / (end - start)) ** 3))


def _falls_below(peak: int, above: int, start: float, end: float) -> float:
    """When ``peak`` has faded to ``above``."""
    return start + (end - start) * math.cbrt(1.0 - above / peak)
