"""How long requests must take under their windows, at the very least. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from spotify_ads_async.governor import Limit, Snapshot

__all__ = ["optimal_seconds", "seconds_left"]


def optimal_seconds(requests: int, limits: Iterable[Limit]) -> float:
    """The earliest instant at which the last of ``requests`` can leave.

    If the first leaves at 0 and answers take no time.
    Within any ``window`` of a limit no more than its ``requests`` may leave; that is the only bound.
    """
    bounds = list(limits)
    departures: list[float] = []
    for number in range(requests):
        departures.append(
            max(
                (departures[number - one.requests] + one.window for one in bounds if number >= one.requests),
                default=0.0,
            )
        )
    return departures[-1] if departures else 0.0


def seconds_left(requests: int, snapshot: Snapshot) -> float:
    """About how long the windows keep the last of ``requests`` waiting, as they are now."""
    longest = 0.0
    for window in snapshot.windows:
        short = requests - window.available
        if short > 0 and window.capacity > 0:
            first = window.next_return if window.next_return is not None else window.window
            longest = max(longest, window.paused_for, first + (short - 1) // window.capacity * window.window)
    return longest
