"""What the server's answers change. They can only tighten: pause a window, take tokens out of it, space its departures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from spotify_ads_async.governor.events import LimitTightened, Paused, RhythmChanged
from spotify_ads_async.governor.feedback import RateHeaders, rate_headers, retry_after
from spotify_ads_async.governor.gate import Gate
from spotify_ads_async.governor.line import Lane
from spotify_ads_async.governor.window import Window

__all__ = ["Learning"]

logger = logging.getLogger("spotify_ads_async")

_BLIND_PAUSE_SECONDS = 1.0
_BLIND_PAUSE_SHARE = 0.1
_NEWS_SECONDS = 0.1
_NEWS_SHARE = 0.02


class Learning:
    """Applies answers to the windows they are about.

    Args:
        gate: whom to wake, and to whom pauses matter.
        auto: whether a refusal switches the rhythm from burst to smooth.
    """

    __slots__ = ("_auto", "_gate", "_listeners")

    def __init__(self, gate: Gate, *, auto: bool) -> None:
        self._gate = gate
        self._listeners = gate.listeners
        self._auto = auto

    def heed(self, lane: Lane, departure: int, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take in what one answer says about quota. ``departure`` is the number of its request in the order of leaving."""
        for window in lane.windows:
            window.refresh(now)
        seen = rate_headers(headers)
        if status == 429:
            asked = retry_after(headers, datetime.now(UTC))
            reset = None if seen is None else seen.reset
            culprits = _culprits(lane, seen)
            if culprits:
                self._left_to_others(max(culprits, key=_fullness), now)
            for window in culprits:
                self._refused(window, lane=lane, departure=departure, asked=asked, reset=reset, now=now)
        else:
            if status < 500:
                self._taken(lane, departure)
            if seen is not None and seen.remaining is not None:
                self._count_seen(_named(lane, seen), departure, seen.remaining, now)
        self._gate.serve()

    def _refused(self, window: Window, *, lane: Lane, departure: int, asked: float | None, reset: float | None, now: float) -> None:
        news = departure > window.refused_at_departure
        if news:
            # It left after the last refusal was known: no pause yet, or one too short.
            window.refused_in_a_row += 1
            window.refused_at_departure = self._gate.departures
            self._gate.refusing.add(window)
        if self._auto and not window.smooth:
            window.smooth_out()
            logger.warning(
                "the server refused what the window %s of %s let through: departures are spaced from now on",
                window.limit.name,
                window.owner,
            )
            if self._listeners:
                self._listeners.emit(RhythmChanged(limit=window.limit.name, owner=window.owner))
        if not news and asked is None:
            return  # it was under way with the one that caused the pause
        until = now + _pause(window, asked, reset)
        news = news or until > window.paused_until + _NEWS_SECONDS
        if window.pause(until, f"429{'' if asked is None else ' with Retry-After'}, to {lane.owner}"):
            self._gate.drop_hopeless(window, now)
            cause = window.pause_cause or ""
            if news:
                logger.warning("the window %s of %s is paused for %.3f s: %s", window.limit.name, window.owner, until - now, cause)
            if news and self._listeners:
                self._listeners.emit(Paused(limit=window.limit.name, owner=window.owner, seconds=until - now, cause=cause))

    def _left_to_others(self, window: Window, now: float) -> None:
        """A refusal of something that our own requests cannot explain: others spend the window, or it is counted otherwise."""
        window.others.refused(window.in_flight + len(window.returning), now)
        self._tightened(window)

    def _taken(self, lane: Lane, departure: int) -> None:
        for window in lane.windows:
            if window.refused_in_a_row and departure > window.refused_at_departure:
                window.refused_in_a_row = 0
                self._gate.refusing.discard(window)

    def _count_seen(self, named: list[Window], departure: int, remaining: int, now: float) -> None:
        if len(named) != 1 or departure <= named[0].heard_at_departure:
            return  # nobody knows which window is meant, or a later count is known
        window = named[0]
        window.heard_at_departure = departure
        ours = window.in_flight + len(window.returning)
        window.others.remaining(remaining, ours, min(window.in_flight, self._gate.departures - departure), now)
        self._tightened(window)

    def _tightened(self, window: Window) -> None:
        window.reckon_withheld()
        if window.withheld >= window.withheld_told + window.limit.requests * _NEWS_SHARE:
            window.withheld_told = window.withheld
            if self._listeners:
                self._listeners.emit(LimitTightened(limit=window.limit.name, owner=window.owner, withheld=window.withheld))


def _named(lane: Lane, seen: RateHeaders) -> list[Window]:
    """The windows that the headers can mean: those of the limit that they name."""
    if seen.limit is None:
        return list(lane.windows) if len(lane.windows) == 1 else []
    return [window for window in lane.windows if window.limit.requests == seen.limit]


def _culprits(lane: Lane, seen: RateHeaders | None) -> list[Window]:
    """Which windows a refusal means: those named as empty, else the reporting one, which takes precedence over the general ones."""
    if seen is not None and not seen.remaining:
        named = _named(lane, seen)
        if named:
            return named
    reporting = [window for window in lane.windows if window.limit.name == "reporting"]
    return reporting or list(lane.windows)


def _fullness(window: Window) -> float:
    """Share of the tokens that are out: the window with the largest is the likeliest to be full."""
    return (window.in_flight + len(window.returning)) / window.limit.requests


def _pause(window: Window, asked: float | None, reset: float | None) -> float:
    """Seconds for which nobody leaves: what the server asks for, and longer each time where that was not enough."""
    length = window.limit.window
    blind = min(_BLIND_PAUSE_SECONDS, length * _BLIND_PAUSE_SHARE) * 2.0 ** max(0, window.refused_in_a_row - 1)
    least = min(blind, length) if window.refused_in_a_row > 1 else 0.0
    if asked is not None:
        return max(asked, least)
    if reset is not None:
        # After one window nothing is left of what it counted, whatever the header says.
        return max(min(reset, length), least)
    return min(blind, length)
