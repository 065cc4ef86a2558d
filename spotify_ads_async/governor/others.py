"""How much of a window somebody else spends, judged by what the server says. Pure, no clock of its own.

Two kinds of evidence. A refusal says that the server's window is full: what is not ours in it belongs to others. It is
believed for long and tried again slowly, the more slowly the more often it comes. A count of what remains says the same
while there is still room, and is believed for one window at most, for by then everything that was counted has left.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Others"]

_RECOVERY_WINDOWS = (1.0, 4.0, 20.0)
"""Windows until what was left to others is tried again in full: after one refusal in a while, after two, after more."""

_SLACK_SHARE = 0.01
"""Share of the tokens left unused on top, once somebody else is known to spend the window."""

_TICK_MARGIN_SECONDS = 0.001


class Others:
    """The part of one window that is left to others.

    Args:
        capacity: tokens of the window.
        cycle: seconds for which a token stays out.
    """

    __slots__ = (
        "_capacity",
        "_cycle",
        "_peak",
        "_recovery_ends_at",
        "_recovery_started_at",
        "_refused",
        "_seen",
        "_seen_at",
        "_slack",
        "_strikes",
        "_struck_at",
        "tokens",
    )

    def __init__(self, capacity: int, cycle: float) -> None:
        self.tokens = 0
        self._capacity = capacity
        self._cycle = cycle
        self._slack = max(1, math.ceil(capacity * _SLACK_SHARE))
        self._refused: deque[float] = deque()
        self._strikes = 0
        self._struck_at = -math.inf
        self._peak = 0
        self._recovery_started_at = -math.inf
        self._recovery_ends_at = -math.inf
        self._seen = 0
        self._seen_at = -math.inf

    def refused(self, ours: int, now: float) -> None:
        """The server refused a request of ours just now, when ``ours`` tokens were out, those of refused requests included."""
        self._refused.append(now + self._cycle)
        estimate = self._within(self._capacity - self._counted(ours, now) + self._slack)
        if now < self._struck_at + self._cycle / 2:
            # More of the same event: what it teaches is how much, not how often.
            estimate = max(estimate, self._believed(now))
        else:
            self._strikes = self._strikes + 1 if now < self._recovery_ends_at + 2 * self._cycle else 1
            self._struck_at = now
        self._peak = estimate
        self._recovery_started_at = now
        self._recovery_ends_at = now + self._cycle * _RECOVERY_WINDOWS[min(self._strikes, len(_RECOVERY_WINDOWS)) - 1]
        self.ease(now)

    def remaining(self, remaining: int, ours: int, in_flight: int, now: float) -> None:
        """The server says that its window takes so many more. ``ours`` tokens are out, ``in_flight`` of them unanswered."""
        others = self._capacity - remaining - self._counted(ours, now)
        self._seen = self._within(others + self._slack + in_flight) if others > 0 else 0
        self._seen_at = now
        if self._seen < self._believed(now):
            # There is room again: what was refused once is tried again within a window.
            self._peak, self._recovery_started_at = self._believed(now), now
            self._recovery_ends_at = min(self._recovery_ends_at, now + self._cycle)
        self.ease(now)

    def ease(self, now: float) -> None:
        """Reckon what is left to others at this moment."""
        seen = math.ceil(self._seen * max(0.0, 1.0 - (now - self._seen_at) / self._cycle)) if self._seen else 0
        self.tokens = max(seen, self._believed(now))

    def next_ease(self, now: float) -> float:
        """When at least one token fewer will be left to others."""
        at = math.inf
        wanted = self.tokens - 1
        if wanted < self._believed(now):
            length = self._recovery_ends_at - self._recovery_started_at
            at = self._recovery_started_at + length * math.cbrt(1.0 - wanted / self._peak)
        if self._seen:
            at_seen = self._seen_at + self._cycle * (1.0 - wanted / self._seen) if wanted < self._seen else now
            at = at_seen if at == math.inf else max(at, at_seen)
        return at + _TICK_MARGIN_SECONDS

    def _believed(self, now: float) -> int:
        """What refusals taught, so far as it is still believed: flat at first, then falling ever faster."""
        if now >= self._recovery_ends_at:
            return 0
        progress = (now - self._recovery_started_at) / (self._recovery_ends_at - self._recovery_started_at)
        return math.ceil(self._peak * (1.0 - progress**3))

    def _counted(self, ours: int, now: float) -> int:
        """How many of our tokens that are out belong to requests that the server took."""
        refused = self._refused
        while refused and refused[0] <= now:
            refused.popleft()
        return ours - len(refused)

    def _within(self, tokens: int) -> int:
        """At least one token is always ours."""
        return max(0, min(tokens, self._capacity - 1))
