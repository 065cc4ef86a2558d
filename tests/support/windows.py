"""Counting by brute force: how many requests can a server have seen within one window?"""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[float, float]
"""When a request left, and when its answer came."""


def fullest_window(requests: Sequence[Interval], window: float) -> int:
    """The most requests that can have been counted within ``window`` seconds.

    A window that starts at t can hold a request that left before t + window and was answered at t or later; the fullest
    starts at some answer.
    """
    departures = sorted(departed for departed, _ in requests)
    answers = sorted(answered for _, answered in requests)
    fullest = left = 0
    for over, start in enumerate(answers):
        while left < len(departures) and departures[left] < start + window:
            left += 1
        fullest = max(fullest, left - over)
    return fullest


def fullest_window_slowly(requests: Sequence[Interval], window: float) -> int:
    """The same, as its definition reads."""
    return max(
        (
            sum(departed < start + window and answered >= start for departed, answered in requests)
            for _, start in requests
        ),
        default=0,
    )
