"""Refusals: what callers are told who may not wait, in words."""

from __future__ import annotations

from spotify_ads_async.errors import QuotaTimeout, RateLimited
from spotify_ads_async.governor.wait_queue import Flow
from spotify_ads_async.governor.window import Window

__all__ = ["names_of", "pause_too_long", "wait_too_long"]


def names_of(flow: Flow) -> tuple[str, ...]:
    """The limits that a flow's requests spend."""
    return tuple(window.limit.name for window in flow.windows)


def wait_too_long(window: Window, predicted: float, max_wait: float) -> QuotaTimeout:
    """Leave would take, or took, longer than the caller allows."""
    if predicted > max_wait:
        reason = f"leave to send would take about {predicted:.1f} s, longer than max_wait allows ({max_wait:g} s)"
    else:
        reason = f"no leave to send came within max_wait ({max_wait:g} s)"
    return QuotaTimeout(
        f"{reason}; the limit {window.limit.name} binds ({window.limit.requests} in {window.limit.window:g} s): wait"
        " longer, or send less",
        predicted_wait=predicted,
        limit=window.limit.name,
    )


def pause_too_long(window: Window, now: float) -> RateLimited:
    """The server asked for a pause that nobody waits for."""
    asked, pause = window.asked_until - now, window.paused_until - now
    problem = RateLimited(
        f"the server asked for a pause of {asked:.0f} s on {window.limit.name} ({window.owner}), longer than the"
        f" governor waits: nothing was sent. It asks the server again in {pause:.0f} s; Governor.lift() or `spotify-ads"
        " quota lift` ends the pause by hand"
    )
    problem.retry_after = asked
    return problem
