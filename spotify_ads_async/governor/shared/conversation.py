"""Conversation: what a process says to the store that keeps its windows, and what it makes of the answer. Pure.

Nobody holds a token that no request uses: a claim is made for a request that waits. Tokens are claimed a little ahead
of their time, so that none lies idle until the next exchange.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import uuid
from collections import deque
from itertools import chain, groupby, islice
from typing import NamedTuple

from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.grants import Ended, Grant, Grants, Outlook, Pause
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, Reply, WindowReport, lease_seconds
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest, Priority
from spotify_ads_async.governor.window import Window
from spotify_ads_async.limits import Limit

__all__ = ["Conversation"]

logger = logging.getLogger("spotify_ads_async")

_POLL_SECONDS, _POLL_SHARE = 0.2, 0.1
_TRIPS_AHEAD = 1.5
_MOST_FLOWS_IN_A_MESSAGE, _MOST_REQUESTS_IN_A_MESSAGE = 64, 1000
_DRIFT, _MARGIN_SECONDS = 0.0005, 0.05  # so far clocks run apart; beyond that somebody set one of them
_NO_EPOCH = "?"  # of a set that cannot be trusted: whoever says it makes the store close the window


class Message(NamedTuple):
    """One message, when it was written, and its subjects."""

    exchange: Exchange
    asked_at: float
    windows: list[Window]
    asking: list[Flow]
    claims: list[tuple[Grants, Claim]]
    told: list[tuple[Grants, dict[int, Ended]]]
    news: set[Window]


class Conversation:
    """The process's side of the shared rule, for the requests of one governor."""

    def __init__(self, adaptive: AdaptiveLimits, limits: tuple[Limit, ...]) -> None:
        self._adaptive, self._scheduler = adaptive, adaptive.scheduler
        self.now = self._scheduler.clock
        self.lease = lease_seconds(limits)
        self._poll = min([_POLL_SECONDS, *(limit.window * _POLL_SHARE for limit in limits)])
        self._flows: dict[Flow, Grants] = {}  # somebody waits, or the store has not heard the end of a claim
        self._numbers = 1
        self.begin_anew()

    def begin_anew(self) -> None:
        """This process is one of its own: nothing that a parent claimed belongs to it."""
        for flow in self._flows:
            flow.grants = Grants(self.now)
        self._flows = {}
        self.news: set[Window] = set()
        self._doubts: list[PendingRequest] = []
        self._owner, self._label = uuid.uuid4().hex[:12], f"{socket.gethostname()}:{os.getpid()}"
        # How long an exchange takes; how far the store's clock is ahead at most; when the store was last heard of.
        self._trip, self._store_ahead, self._last_at = 0.0, math.inf, -math.inf

    def ask_soon(self) -> None:
        """What is known of when tokens come holds no longer."""
        for grants in self._flows.values():
            grants.ask_at = -math.inf

    def ask(self, request: PendingRequest) -> bool:
        """A request has to wait. Answers whether the store is to be asked at once."""
        flow, grants = request.flow, request.flow.grants
        if grants is None:
            return False
        first_interactive = len(flow.interactive) == 1 and request.number in flow.interactive
        if first_interactive or flow.waiting - 1 <= len(grants.usable):  # bulk leaves a reserve; nothing was lacking
            grants.ask_at = -math.inf
        self._flows[flow] = grants
        if request.expires_at < math.inf:
            self._doubts.append(request)
        return grants.ask_at <= self.now()

    def due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        self._flows = {flow: grants for flow, grants in self._flows.items() if flow.waiting or grants}
        waiting = [(flow.waiting, grants) for flow, grants in self._flows.items() if flow.waiting]
        dues = [one.ask_at if most > len(one.usable) else one.usable[0].use_by for most, one in waiting]
        if self._flows or self._of_concern(now):
            dues.append(self._last_at + self.lease / 3)
        return now if self.news else min(dues, default=math.inf)

    def _of_concern(self, now: float) -> list[Window]:
        """Those of which the store must go on hearing, or this process: that a hand ended a pause."""
        return [one for one in [*self._scheduler.windows.values()] if one.out or one.waiting or one.paused_until > now]

    def message(self, *, leaving: bool = False) -> Message:
        """What to tell and to ask now."""
        now = self.now()
        news, self.news = self.news, set()
        tokens: dict[Window, dict[int, Ended]] = {window: {} for window in news}
        told: list[tuple[Grants, dict[int, Ended]]] = []
        asking: list[Flow] = []
        for flow, grants in self._flows.items():
            told.append((grants, grants.to_tell(0 if leaving else flow.waiting, now, self.lease)))
            # Also where grants became void, because the process stood still.
            asks = not leaving and grants.ask_at <= now + self._poll and flow.waiting > len(grants.usable)
            if asks and len(asking) < _MOST_FLOWS_IN_A_MESSAGE:
                asking.append(flow)
                grants.ask_at = math.inf  # until the answer, but for whoever comes meanwhile
            elif not told[-1][1]:
                continue
            for window in flow.windows:
                tokens.setdefault(window, {}).update(told[-1][1])
        for flow in asking:  # to the end: a message has room for so many, and the next one begins with the others
            self._flows[flow] = self._flows.pop(flow)
        if leaving or self._last_at + self.lease / 3 <= now:
            for window in self._of_concern(now):
                tokens.setdefault(window, {})
        claims = self._claims(asking, {window: place for place, window in enumerate(tokens)}, now)
        lease, horizon = _microseconds(self.lease), _microseconds(self._horizon())
        reports = [self._report(window, said, now, news=window in news) for window, said in tokens.items()]
        exchange = Exchange(self._owner, lease, horizon, reports, [claim for _, claim in claims], leaving)
        return Message(exchange, now, list(tokens), asking, claims, told, news)

    def _claims(self, asking: list[Flow], places: dict[Window, int], now: float) -> list[tuple[Grants, Claim]]:
        """For those who wait and have no grant: interactive ones first, and in a class who came first."""
        waiting: list[PendingRequest] = []
        for flow in asking:
            granted, most = len(self._flows[flow].usable), min(self._can_leave_soon(one, now) for one in flow.windows)
            both = chain(flow.interactive.values(), flow.bulk.values())
            waiting += islice(both, granted, granted + min(most, _MOST_REQUESTS_IN_A_MESSAGE // len(asking)))
        waiting.sort(key=lambda one: (one.priority is Priority.BULK, one.number))
        found: list[tuple[Grants, Claim]] = []
        for (flow, priority), run in groupby(waiting, key=lambda one: (one.flow, one.priority)):
            count, windows = sum(1 for _ in run), [places[window] for window in flow.windows]
            found.append((self._flows[flow], Claim(windows, self._numbers, count, priority is Priority.BULK)))
            self._numbers += count
        return found

    def _can_leave_soon(self, window: Window, now: float) -> int:
        """How many requests a pause and the rhythm let leave before what is claimed later is there."""
        if window.paused_until > now + self._horizon():
            return 0
        if window.pacer is None:
            return window.waiting
        return 1 + math.ceil((2 * (self._horizon() + self._trip) + window.pause_length) / window.pacer.interval)

    def _horizon(self) -> float:
        """How far ahead tokens are claimed: until after the next exchange, and well within the time for using them."""
        return min(self._poll + _TRIPS_AHEAD * self._trip, self.lease / 4)

    def _report(self, window: Window, tokens: dict[int, Ended], now: float, *, news: bool) -> WindowReport:
        """What to tell of one window; of its pause where that is news."""
        window.refresh(now)
        cycle, pause = window.cycle * (1.0 + _DRIFT), None
        if news and (left := window.paused_until - now) > 0.0:
            asked = max(left, min(window.asked_until - now, 1e9))
            pause = Pause(_microseconds(left), _microseconds(asked), window.pause_cause)
        matters = window.out > 0 or now < window.outlook.heard_at + cycle + self.lease
        free_in = {number: max(end.ahead, end.counted_by + cycle - now) for number, end in tokens.items()}
        return WindowReport(
            key=window.key,
            capacity=window.limit.requests,
            cycle=_microseconds(cycle),
            owner=Owner(
                label=self._label,
                held=window.out,
                in_flight=window.in_flight,
                waiting=window.waiting,
                bulk=window.waiting_bulk,
                interactive=window.wanted(now),
                usable=window.limit.requests - window.reserved_at(now),
            ),
            epoch=window.outlook.epoch if matters else "",
            late=_microseconds(max(0.0, window.settled[-1] - now)) if window.settled else 0,
            tokens=[(number, _microseconds(seconds)) for number, seconds in free_in.items()],
            pause=pause,
            smooth=window.smooth,
        )

    def unanswered(self, said: Message) -> None:
        """The message may or may not have arrived: whatever it claimed is unused, and its news is told again."""
        for grants, claim in said.claims:
            unused = Ended(ahead=said.exchange.horizon / 1e6)
            grants.over.update(dict.fromkeys(range(claim.first, claim.first + claim.count), unused))
        self.news |= said.news
        self.ask_soon()

    def take_in(self, said: Message, reply: Reply, store: str) -> None:
        """What the store answered: news of its windows, and grants."""
        now = self.now()
        self._trip += (now - said.asked_at - self._trip) * (0.2 if self._trip else 1.0)
        if self._clock_jumped(reply.time / 1e6, said.asked_at, now):
            logger.warning("the clock of %s was set forward: nothing leaves until what was spent before is over", store)
            self.unanswered(said)
            for window in {*said.windows, *self._of_concern(now)}:
                window.outlook.epoch = _NO_EPOCH
                self.news.add(window)
            return
        for window, heard in zip(said.windows, reply.windows, strict=True):
            self._hear(window, heard, reply.time, now)
        use_by = said.asked_at + self.lease / 2
        for grants, numbers in said.told:
            for number, end in numbers.items():
                grants.heard(number, end, use_by)
        for (grants, claim), delays in zip(said.claims, reply.grants, strict=True):
            granted = [Grant(now + delay / 1e6, number, use_by) for number, delay in enumerate(delays, claim.first)]
            grants.usable = deque(sorted([*grants.usable, *granted]))
        for flow in said.asking or self._flows:  # where nobody asked, all windows were heard of
            grants, opens_at = self._flows[flow], max(window.opens_at for window in flow.windows)
            grants.ask_at = min(grants.ask_at, max(now + self._poll, opens_at - self._horizon()))
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        self._scheduler.refuse_hopeless(doubts)

    def _clock_jumped(self, store_time: float, asked_at: float, now: float) -> bool:
        """Whether the store's clock is further ahead of ours than any reply before allowed: it was set."""
        known = self._store_ahead + max(0.0, now - self._last_at) * _DRIFT
        jumped = store_time - now > known + _MARGIN_SECONDS
        at_most = store_time - asked_at
        self._store_ahead, self._last_at = at_most if jumped else min(at_most, known), now
        return jumped

    def _hear(self, window: Window, said: Outlook, store_time: int, now: float) -> None:
        """Take in what the store says of one window."""
        known, window.outlook, said.heard_at = window.outlook, said, now
        until = -math.inf if said.pause is None else now + said.pause.left / 1e6
        # By the store's clock, for an answer may have been on its way for long.
        said.paused_until = 0 if said.pause is None else store_time + said.pause.left
        shorter = known.paused_until - max(store_time, said.paused_until)
        if shorter > _microseconds(_MARGIN_SECONDS) and window.paused_until > now and window not in self.news:
            if said.epoch == known.epoch:  # a hand ended the pause there
                window.lift()
                self.ask_soon()
            else:  # the set is a new one, and does not know
                self.news.add(window)
        if said.pause is not None and until > max(now, window.paused_until) + _MARGIN_SECONDS:
            window.pause(until, now, said.pause.cause, asked_until=now + said.pause.asked / 1e6)
            self._scheduler.drop_hopeless(window, now)
        if said.smooth:
            self._adaptive.smooth_out(window)
        if window.smooth:
            window.reckon_reserved()


def _microseconds(seconds: float) -> int:
    """Rounded up."""
    return math.ceil(seconds * 1e6)
