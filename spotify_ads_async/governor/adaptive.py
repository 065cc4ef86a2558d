"""AdaptiveLimits: what answers change. They only tighten: pause a window, leave tokens to others, space departures."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from spotify_ads_async.governor.events import LimitTightened, Paused, RhythmChanged
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.wait_queue import Flow
from spotify_ads_async.governor.window import Window
from spotify_ads_async.network.ratelimit_headers import RateHeaders, rate_headers

__all__ = ["AdaptiveLimits"]

logger = logging.getLogger("spotify_ads_async")

_BLIND_PAUSE_SECONDS, _BLIND_PAUSE_SHARE = 1.0, 0.1
_NEWS_SECONDS, _NEWS_SHARE = 0.1, 0.02


class AdaptiveLimits:
    """Applies answers to the windows they are about. ``auto``: a refusal switches the rhythm from burst to smooth."""

    def __init__(self, scheduler: Scheduler, *, auto: bool) -> None:
        self.scheduler = scheduler
        self._listeners = scheduler.listeners
        self._auto = auto

    def on_response(
        self, flow: Flow, departure: int, status: int, headers: Mapping[str, str], now: float, *, asked: float | None
    ) -> None:
        """Take in what the answer to a request says, which left as number ``departure``; it ``asked`` for a pause."""
        for window in flow.windows:
            window.refresh(now)
        seen = rate_headers(headers)
        if status == 429:
            self._on_refusal(flow, departure, seen, asked, now)
        else:
            if status < 500:
                for window in flow.windows:
                    if window.refused_in_a_row and departure > window.refused_at_departure:
                        window.refused_in_a_row = 0
                        self.scheduler.refusing.discard(window)
            if seen.remaining is not None:
                self._count_remaining(_named(flow, seen), departure, seen.remaining, now)
        self.scheduler.serve()

    def smooth_out(self, window: Window) -> None:
        """Space a window's departures from now on, if that is for the server to decide."""
        if self._auto and not window.smooth:
            window.smooth = True
            window.reckon_reserved()
            name, owner = window.limit.name, window.owner
            said = "the server refused what the window %s of %s let through: departures are spaced from now on"
            logger.warning(said, name, owner)
            self._listeners.emit(RhythmChanged(limit=name, owner=owner))

    def _on_refusal(self, flow: Flow, departure: int, seen: RateHeaders, asked: float | None, now: float) -> None:
        culprits = _culprits(flow, seen)
        fullest = max(culprits, key=lambda window: window.out / window.limit.requests, default=None)
        for window in culprits:
            # Others were under way with the one that caused the last pause; this one left after it, or through it.
            news = departure > window.refused_at_departure
            if news:
                window.refused_in_a_row += 1
                window.refused_at_departure = self.scheduler.departures
                self.scheduler.refusing.add(window)
            self.smooth_out(window)
            if news or asked is not None:
                self._pause(window, flow.owner, asked, seen.reset, now, news=news)
            if window is fullest:
                out = max(window.out, window.outlook.out)
                window.foreign.refused(out, now, window.paused_until, news=news)
                self._tightened(window)
        if self.scheduler.on_refusal is not None:
            self.scheduler.on_refusal(flow.windows)

    def _pause(
        self, window: Window, owner: str, asked: float | None, reset: float | None, now: float, *, news: bool
    ) -> None:
        wanted = _pause_seconds(window, asked, reset)
        # The window of an address belongs to every client there: after its length nothing is left of what it counted.
        shared_by_clients, longest = window.limit.name == "ip", self.scheduler.longest_pause
        seconds = min(wanted, longest, window.limit.window if shared_by_clients else longest)
        until = now + seconds
        news = news or until > window.paused_until + _NEWS_SECONDS
        cause = f"429{'' if asked is None else ' with Retry-After'}, to {owner}"
        if window.pause(until, now, cause, asked_until=until if shared_by_clients else now + wanted) and news:
            self.scheduler.drop_hopeless(window, now)
            name = window.limit.name
            logger.warning("the window %s of %s is paused for %.3f s: %s", name, window.owner, seconds, cause)
            self._listeners.emit(Paused(limit=name, owner=window.owner, seconds=seconds, cause=cause))

    def _count_remaining(self, named: list[Window], departure: int, remaining: int, now: float) -> None:
        if len(named) != 1 or departure <= named[0].remaining_heard_at_departure or named[0].shared:
            # Nobody knows which window is meant, or which process spent the rest, or a later count is known.
            return
        window = named[0]
        window.remaining_heard_at_departure = departure
        departed_since = min(window.in_flight, self.scheduler.departures - departure)
        window.foreign.remaining(remaining, window.out, departed_since, now)
        self._tightened(window)

    def _tightened(self, window: Window) -> None:
        window.reckon_reserved()
        if window.reserved >= window.reserved_told + window.limit.requests * _NEWS_SHARE:
            window.reserved_told = reserved = window.reserved
            name, owner = window.limit.name, window.owner
            self._listeners.emit(LimitTightened(limit=name, owner=owner, reserved_for_others=reserved))


def _named(flow: Flow, seen: RateHeaders) -> list[Window]:
    """The windows that the headers can mean: those of the limit that they name."""
    if seen.limit is None:
        return list(flow.windows) if len(flow.windows) == 1 else []
    return [window for window in flow.windows if window.limit.requests == seen.limit]


def _culprits(flow: Flow, seen: RateHeaders) -> list[Window]:
    """The windows that a refusal means: those named as empty, else the reporting one, which goes before the general."""
    named = [] if seen.remaining else _named(flow, seen)
    reporting = [window for window in flow.windows if window.limit.name == "reporting"]
    return named or reporting or list(flow.windows)


def _pause_seconds(window: Window, asked: float | None, reset: float | None) -> float:
    """For how long nobody leaves: what the server asks for, and longer each time where that was not enough."""
    length, again = window.limit.window, min(10, max(0, window.refused_in_a_row - 1))
    blind = min(length, min(_BLIND_PAUSE_SECONDS, length * _BLIND_PAUSE_SHARE) * 2.0**again)
    if asked is None and reset is None:
        return blind
    # After one window nothing is left of what it counted, whatever the header says of a reset.
    wanted = asked if asked is not None else min(reset or 0.0, length)
    return max(wanted, blind) if window.refused_in_a_row > 1 else wanted
