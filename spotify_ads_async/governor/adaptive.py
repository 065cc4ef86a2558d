"""AdaptiveLimits: what the server's answers change.

They can only tighten: pause a window, leave tokens to others, space departures.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from spotify_ads_async.governor.events import LimitTightened, Paused, RhythmChanged
from spotify_ads_async.governor.ratelimit_headers import RateHeaders, rate_headers, retry_after
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.wait_queue import Flow
from spotify_ads_async.governor.window import Window

__all__ = ["AdaptiveLimits"]

logger = logging.getLogger("spotify_ads_async")

_BLIND_PAUSE_SECONDS = 1.0
_BLIND_PAUSE_SHARE = 0.1
_NEWS_SECONDS = 0.1
_NEWS_SHARE = 0.02


class AdaptiveLimits:
    """Applies answers to the windows they are about.

    Args:
        scheduler: whom to wake, and to whom pauses matter.
        auto: whether a refusal switches the rhythm from burst to smooth.
    """

    __slots__ = ("_auto", "_listeners", "scheduler")

    def __init__(self, scheduler: Scheduler, *, auto: bool) -> None:
        self.scheduler = scheduler
        self._listeners = scheduler.listeners
        self._auto = auto

    def on_response(self, flow: Flow, departure: int, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take in what one answer says about quota.

        ``departure`` is the number of its request in the order of leaving.
        """
        for window in flow.windows:
            window.refresh(now)
        seen = rate_headers(headers)
        if status == 429:
            asked = retry_after(headers, datetime.now(UTC))
            culprits = _culprits(flow, seen)
            fullest = max(culprits, key=_fullness, default=None)
            for window in culprits:
                news = departure > window.refused_at_departure
                self._refused(window, flow, asked, None if seen is None else seen.reset, now, news=news)
                if window is fullest:
                    outlook = self.scheduler.outlooks.get(window)
                    out = window.out if outlook is None else max(window.out, outlook.out)
                    window.foreign.refused(out, now, window.paused_until, news=news)
                    self._tightened(window)
            if self.scheduler.on_news is not None:
                self.scheduler.on_news(flow.windows)
        else:
            if status < 500:
                self._accepted(flow, departure)
            if seen is not None and seen.remaining is not None:
                self._count_remaining(_named(flow, seen), departure, seen.remaining, now)
        self.scheduler.serve()

    def smooth_out(self, window: Window) -> None:
        """Space a window's departures from now on, if that is for the server to decide."""
        if self._auto and not window.smooth:
            window.smooth_out()
            logger.warning(
                "the server refused what the window %s of %s let through: departures are spaced from now on",
                window.limit.name,
                window.owner,
            )
            if self._listeners:
                self._listeners.emit(RhythmChanged(limit=window.limit.name, owner=window.owner))

    def _refused(
        self, window: Window, flow: Flow, asked: float | None, reset: float | None, now: float, *, news: bool
    ) -> None:
        if news:
            # It left after the last refusal was known: no pause yet, or one too short.
            window.refused_in_a_row += 1
            window.refused_at_departure = self.scheduler.departures
            self.scheduler.refusing.add(window)
        self.smooth_out(window)
        if not news and asked is None:
            return  # it was under way with the one that caused the pause
        wanted = _pause(window, asked, reset)
        seconds = min(wanted, _longest_pause(window, self.scheduler.longest_pause))
        until = now + seconds
        news = news or until > window.paused_until + _NEWS_SECONDS
        cause = f"429{'' if asked is None else ' with Retry-After'}, to {flow.owner}"
        if window.pause(until, now, cause, asked_until=until if window.limit.name == "ip" else now + wanted):
            self.scheduler.drop_hopeless(window, now)
            if news:
                logger.warning(
                    "the window %s of %s is paused for %.3f s: %s", window.limit.name, window.owner, seconds, cause
                )
            if news and self._listeners:
                self._listeners.emit(Paused(limit=window.limit.name, owner=window.owner, seconds=seconds, cause=cause))

    def _accepted(self, flow: Flow, departure: int) -> None:
        for window in flow.windows:
            if window.refused_in_a_row and departure > window.refused_at_departure:
                window.refused_in_a_row = 0
                self.scheduler.refusing.discard(window)

    def _count_remaining(self, named: list[Window], departure: int, remaining: int, now: float) -> None:
        if len(named) != 1 or departure <= named[0].remaining_heard_at_departure:
            return  # nobody knows which window is meant, or a later count is known
        window = named[0]
        if window.shared:
            return  # nor which of the processes spent the rest
        window.remaining_heard_at_departure = departure
        window.foreign.remaining(
            remaining, window.out, min(window.in_flight, self.scheduler.departures - departure), now
        )
        self._tightened(window)

    def _tightened(self, window: Window) -> None:
        window.reckon_reserved()
        reserved = max(window.reserved_for_others, window.foreign.tokens)
        if reserved >= window.reserved_told + window.limit.requests * _NEWS_SHARE:
            window.reserved_told = reserved
            if self._listeners:
                self._listeners.emit(
                    LimitTightened(limit=window.limit.name, owner=window.owner, reserved_for_others=reserved)
                )


def _named(flow: Flow, seen: RateHeaders) -> list[Window]:
    """The windows that the headers can mean: those of the limit that they name."""
    if seen.limit is None:
        return list(flow.windows) if len(flow.windows) == 1 else []
    return [window for window in flow.windows if window.limit.requests == seen.limit]


def _culprits(flow: Flow, seen: RateHeaders | None) -> list[Window]:
    """Which windows a refusal means.

    Those named as empty, else the reporting one, which takes precedence over the general ones.
    """
    if seen is not None and not seen.remaining:
        named = _named(flow, seen)
        if named:
            return named
    reporting = [window for window in flow.windows if window.limit.name == "reporting"]
    return reporting or list(flow.windows)


def _fullness(window: Window) -> float:
    """Share of the tokens that are out: the window with the largest is the likeliest to be full."""
    return window.out / window.limit.requests


def _longest_pause(window: Window, longest: float) -> float:
    """The window of an address belongs to every client there.

    After its own length nothing is left of what it counted.
    """
    return min(window.limit.window, longest) if window.limit.name == "ip" else longest


def _pause(window: Window, asked: float | None, reset: float | None) -> float:
    """Seconds for which nobody leaves: what the server asks for, and longer each time where that was not enough."""
    length = window.limit.window
    blind = min(_BLIND_PAUSE_SECONDS, length * _BLIND_PAUSE_SHARE) * 2.0 ** min(10, max(0, window.refused_in_a_row - 1))
    least = min(blind, length) if window.refused_in_a_row > 1 else 0.0
    if asked is not None:
        return max(asked, least)
    if reset is not None:
        # After one window nothing is left of what it counted, whatever the header says.
        return max(min(reset, length), least)
    return min(blind, length)
