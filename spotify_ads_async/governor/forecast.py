"""Forecast: when a request that waits can leave, and what whoever may not wait so long is told. It changes nothing.

Where a window is kept in this process, its return times say it. Where a store keeps it, its last word does.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from spotify_ads_async.errors import QuotaTimeout, RateLimited
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest, Priority, WaitQueue
from spotify_ads_async.governor.window import BULK_TURN, Window

__all__ = ["pause_too_long", "predicted_wait", "wait_for", "wait_too_long"]

_ROUNDS = 4
_FLOWS_LOOKED_AT = 64
_EXACT_SECONDS, _EXACT_SHARE = 0.1, 0.01


def predicted_wait(request: PendingRequest, queue: WaitQueue, now: float) -> tuple[float, Window]:
    """Seconds until a request that has just joined the queue can leave, and the window that binds."""
    flow, grants = request.flow, request.flow.grants
    latest = max(flow.windows, key=lambda window: window.opens_at)
    place = flow.waiting if request.priority is Priority.BULK else len(flow.interactive)
    if grants is not None and place <= len(grants.usable):  # one of these is for it, whoever else waits
        return max(0.0, flow.next_at(now) - now, grants.usable[place - 1].usable_at - now), latest
    waits = [(_predicted_for(request, window, queue, latest.opens_at, now), window) for window in flow.windows]
    return max(waits, key=lambda pair: (pair[0], pair[1].opens_at))


def wait_for(window: Window, position: int, opens_at: float, now: float, *, kept: int = 0, granted: int = 0) -> float:
    """Seconds until the request at ``position`` of the queue can leave, were every answer in flight to come now.

    Nothing leaves before ``opens_at``. ``kept`` tokens are left to others of the queue besides those reserved for other
    programs. A store has ``granted`` so many requests of the queue a token.
    """
    opens = max(0.0, opens_at - now)
    spacing = 0.0 if window.pacer is None else window.pacer.wait(now) + (position - 1) * window.pacer.interval
    if window.shared:
        outlook, position, left = window.outlook, position - granted, kept
        position += min(outlook.waiting, position * (outlook.active - 1))
        capacity, there_at = outlook.free + outlook.out, outlook.there_at
    else:
        capacity, there_at = window.limit.requests, window.there_at
        left = min(kept + window.reserved, capacity - 1)
    rounds, rest = divmod(max(1, position) - 1, max(1, capacity - left))
    at = there_at(rest + 1 + left) if position > 0 else now
    wait = max(opens, window.cycle if at == math.inf else at - now) + rounds * window.cycle
    # What a pause kept back leaves at its end; a window later these tokens are spaced like the others.
    wait = max(opens + max(0.0, spacing - (0.0 if rounds else window.pause_length)), wait)
    eases = window.foreign.tokens > 0 and not window.shared
    return min(wait, _eased(window, position, opens, now, kept)) if eases else wait


def _eased(window: Window, position: int, opens: float, now: float, kept: int) -> float:
    """The same, for what is left to other programs shrinks meanwhile."""
    at_least, at_most = opens, opens + window.cycle
    while _left_by(window, at_most, opens, now, kept) < position:
        at_least, at_most = at_most, 2.0 * at_most
    while at_most - at_least > max(_EXACT_SECONDS, at_most * _EXACT_SHARE):
        middle = (at_least + at_most) / 2.0
        there = _left_by(window, middle, opens, now, kept) >= position
        at_least, at_most = (at_least, middle) if there else (middle, at_most)
    return at_most


def _left_by(window: Window, seconds: float, opens: float, now: float, kept: int) -> float:
    """How many requests can leave from ``opens`` on: once in each cycle with all tokens but those that are left."""
    cycle, there = window.cycle, window.limit.requests
    first = opens + (seconds - opens) % cycle
    if first < cycle:
        there = window.available + bisect_right(window.settled, now + first - cycle)
    left = max(0, there - kept - window.reserved_at(now + first))
    left += _turning_up(window, first + cycle / 2.0, seconds + cycle / 2.0, now, kept)
    spaced = window.pacer is not None
    return min(left, 1.0 + _turning_up(window, opens - window.pause_length, seconds, now, 0)) if spaced else left


def _turning_up(window: Window, begin: float, end: float, now: float, kept: int) -> float:
    """Tokens that turn up between two times, cycle by cycle, of which others are left less and less."""
    tokens = 0.0
    while end - begin > _EXACT_SECONDS / 10.0:
        step = min(window.cycle, end - begin)
        reserved = window.reserved_at(now + begin + step / 2.0)
        if reserved == window.held_back:  # from then on
            step = end - begin
        tokens += max(1, window.limit.requests - kept - reserved) * step / window.cycle
        begin += step
    return tokens


def _predicted_for(request: PendingRequest, window: Window, queue: WaitQueue, opens_at: float, now: float) -> float:
    kept, position, bulk, predicted, asked = 0, 1, 1, math.inf, (0, 0)
    granted = sum(len(flow.grants.usable) for flow in queue.flows_for(window) if flow.grants is not None)
    # Others who need further windows are held up there: how many go before depends on the wait, which depends on them.
    for _ in range(_ROUNDS):
        interactive, bulk = _ahead(request.flow, window, queue, predicted, now)
        if request.priority is Priority.BULK:
            # Either all interactive ones go first, and the reserve stays, or so many that it is its turn.
            turn = max(0, bulk * BULK_TURN - window.overtaken)
            kept = 0 if interactive >= turn else window.reserve(now)
            position = max(1, bulk + min(interactive, turn))
        else:
            position = max(1, interactive + min(bulk, interactive // BULK_TURN))
        if asked == (asked := (position, kept)):
            break
        closer = wait_for(window, position, opens_at, now, kept=kept, granted=granted)
        if closer >= predicted:
            break
        predicted = closer
    # Interactive ones who come meanwhile take what is left to them, and what comes back of it.
    for _ in range(_ROUNDS if kept and not window.waiting_interactive else 0):
        coming = int(window.demand * min(1.0, predicted / window.limit.window))
        predicted = wait_for(window, position + coming, opens_at, now, kept=kept, granted=granted)
    if request.priority is Priority.INTERACTIVE or window.shared:
        return predicted
    # One of the bulk requests in each window at least leaves nothing to interactive ones.
    turn_at = max(opens_at, window.bulk_left_at + window.limit.window)
    return min(predicted, wait_for(window, 1, turn_at, now) + (bulk - 1) * window.limit.window)


def _ahead(flow: Flow, window: Window, queue: WaitQueue, horizon: float, now: float) -> tuple[int, int]:
    """How many interactive and how many bulk requests can take a token of ``window`` within ``horizon`` seconds."""
    flows = [flow] if window.waiting == flow.waiting else queue.flows_for(window)
    if horizon == math.inf or len(flows) > _FLOWS_LOOKED_AT:
        return window.waiting_interactive, window.waiting_bulk
    interactive = bulk = 0
    for other in flows:
        further = [] if other is flow else [one for one in other.windows if one not in flow.windows]
        passing = min((_usable_within(one, horizon, now) for one in further), default=other.waiting)
        interactive += min(len(other.interactive), passing)
        bulk += min(len(other.bulk), passing)
    return interactive, bulk


def _usable_within(window: Window, seconds: float, now: float) -> int:
    """At most so many requests can take a token of this window within so many seconds."""
    rounds, rest = divmod(seconds, window.cycle)
    soon = window.available - window.reserved + bisect_right(window.settled, now + rest - window.cycle)
    return max(0, soon + int(rounds) * window.limit.requests)


def wait_too_long(
    request: PendingRequest, window: Window, predicted: float, now: float, away: str | None
) -> QuotaTimeout:
    """Leave would take, or took, longer than the caller allows, perhaps because the store is ``away``."""
    limit, max_wait = window.limit, max(0.0, request.expires_at - request.arrived_at)
    left, opens = max(0.0, request.expires_at - now), window.outlook.heard_at + window.outlook.opens / 1e6 - now
    pause = window.paused_until - now
    if pause > left:
        advice = (
            f"the server asked for a pause on {limit.name} ({window.owner}), with {pause:.1f} s left: wait longer, or "
            "end it by hand with Governor.lift() or `spotify-ads quota lift`"
        )
    elif opens > left:
        advice = f"what was spent of {limit.name} before is not in the store, and over in {opens:.1f} s: wait longer"
    else:
        advice = f"the limit {limit.name} binds ({limit.requests} in {limit.window:g} s): wait longer, or send less"
    if predicted > max_wait:
        reason = f"leave to send would take about {predicted:.1f} s, longer than max_wait allows ({max_wait:.4g} s)"
    else:
        reason = f"no leave to send came within max_wait ({max_wait:.4g} s)"
        advice = advice if away is None else f"{away}. Nothing was sent"
    return QuotaTimeout(f"{reason}; {advice}", predicted_wait=predicted, limit=limit.name)


def pause_too_long(window: Window, now: float) -> RateLimited:
    """The server asked for a pause that nobody waits for."""
    asked, pause = window.asked_until - now, window.paused_until - now
    problem = RateLimited(
        f"the server asked for a pause of {asked:.0f} s on {window.limit.name} ({window.owner}), longer than the "
        f"governor waits: nothing was sent. It asks the server again in {pause:.0f} s; Governor.lift() or "
        "`spotify-ads quota lift` ends the pause by hand"
    )
    problem.retry_after = asked
    return problem
