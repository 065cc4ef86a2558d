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
from typing import NamedTuple

from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.grants import Ended, Grant, Grants, Outlook, Pause, awake
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, Reply, WindowReport, lease_seconds
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest
from spotify_ads_async.governor.window import Window
from spotify_ads_async.limits import Limit

__all__ = ["Conversation"]

logger = logging.getLogger("spotify_ads_async")

_POLL_SECONDS, _POLL_SHARE = 0.2, 0.1
_TRIPS_AHEAD = 1.5
_MOST_FLOWS_IN_A_MESSAGE = 64
_PAUSE_MARGIN_SECONDS = 0.05
_DRIFT, _JUMP_SECONDS = 0.0005, 0.05  # so far clocks run apart; beyond that somebody set one of them
_NO_EPOCH = "?"  # of a set that cannot be trusted: whoever says it makes the store close the window


class Message(NamedTuple):
    """One message and its subjects; when it was written, by the governor's clock and by one that never stands still."""

    exchange: Exchange
    asked_at: float
    awake_at: float
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
        self._matters_for = self.lease + max((limit.window for limit in limits), default=0.0)
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
        self._trip, self._matters_until, self._last_at = 0.0, -math.inf, -math.inf
        self._heard: tuple[float, float, float] | None = None  # when, and how far ahead of our clocks at most

    def ask_soon(self) -> None:
        """What is known of when tokens come holds no longer."""
        for grants in self._flows.values():
            grants.ask_at = -math.inf

    def keep_asking(self) -> None:
        """The store must go on hearing of this process while what it has out matters."""
        self._matters_until = max(self.now(), self._scheduler.late_until) + self._matters_for

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

    def is_busy(self, now: float) -> bool:
        """Whether there is something to tell or to ask, or the store must hear of this process."""
        return bool(self._scheduler.queue.length or self.news or now < self._matters_until or any(self._flows.values()))

    def due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        self._flows = {flow: grants for flow, grants in self._flows.items() if flow.waiting or grants}
        if self.news:
            return now
        dues = [grants.ask_at for flow, grants in self._flows.items() if flow.waiting > len(grants.usable)]
        return min([*dues, self._last_at + self.lease / 3] if self.is_busy(now) else dues, default=math.inf)

    def message(self, *, leaving: bool = False) -> Message:
        """What to tell and to ask now."""
        now, awake_at = self.now(), awake()
        news, self.news = self.news, set()
        tokens: dict[Window, dict[int, Ended]] = {window: {} for window in news}
        told: list[tuple[Grants, dict[int, Ended]]] = []
        asking: list[Flow] = []
        for flow, grants in self._flows.items():
            told.append((grants, grants.to_tell(0 if leaving else flow.waiting, now, self.lease)))
            # Also where grants became void, because the process stood still.
            asks = not leaving and grants.ask_at <= now and flow.waiting > len(grants.usable)
            if asks and len(asking) < _MOST_FLOWS_IN_A_MESSAGE:
                asking.append(flow)
                grants.ask_at = math.inf  # until the answer, but for whoever comes meanwhile
            elif not told[-1][1]:
                continue
            for window in flow.windows:
                tokens.setdefault(window, {}).update(told[-1][1])
        if leaving or self._last_at <= now - self.lease / 3:
            for window in self._scheduler.windows:
                if window.out or window.waiting or window.outlook.epoch == _NO_EPOCH:
                    tokens.setdefault(window, {})
        claims = self._claims(asking, {window: place for place, window in enumerate(tokens)}, now)
        lease, horizon = _microseconds(self.lease), _microseconds(self._horizon())
        reports = [self._report(window, said, now, news=window in news) for window, said in tokens.items()]
        exchange = Exchange(self._owner, lease, horizon, reports, [claim for _, claim in claims], leaving)
        return Message(exchange, now, awake_at, list(tokens), asking, claims, told, news)

    def _claims(self, asking: list[Flow], places: dict[Window, int], now: float) -> list[tuple[Grants, Claim]]:
        """For those who wait and have no grant: first for all interactive requests, then for bulk ones."""
        found: list[tuple[Grants, Claim]] = []
        wishes = [(flow, self._wish(flow, self._flows[flow], now)) for flow in asking]
        for bulk, flow, count in [(bulk, flow, counts[bulk]) for bulk in (False, True) for flow, counts in wishes]:
            if count:
                claim = Claim([places[window] for window in flow.windows], self._numbers, count, bulk)
                found.append((self._flows[flow], claim))
                self._numbers += count
        return found

    def _wish(self, flow: Flow, grants: Grants, now: float) -> tuple[int, int]:
        """How many interactive and how many bulk requests can leave soon and have no grant."""
        most, horizon = flow.waiting, self._horizon()
        for window in flow.windows:
            if window.paused_until > now + horizon:
                return 0, 0
            if window.pacer is not None:
                soon = 2 * (horizon + self._trip) / window.pacer.interval + window.waiting / 10
                if window.paused_until > now:  # at its end, what it held back leaves
                    soon += window.pause_length / window.pacer.interval
                most = min(most, 1 + math.ceil(soon))
        granted = len(grants.usable)
        interactive = max(0, min(len(flow.interactive) - granted, most))
        return interactive, max(0, min(flow.waiting - granted, most) - interactive)

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
                usable=window.limit.requests
                - max(window.held_back, window.foreign.expected(max(now, window.paused_until))),
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
        for flow in said.asking:
            self._flows[flow].ask_at = -math.inf

    def take_in(self, said: Message, reply: Reply, store: str) -> None:
        """What the store answered: news of its windows, and grants."""
        now = self._last_at = self.now()
        took = max(now - said.asked_at, awake() - said.awake_at)
        self._trip = took if self._trip == 0.0 else self._trip + (took - self._trip) * 0.2
        if any(self._flows.values()):
            self.keep_asking()
        jumped = self._clock_jumped(reply.time, said)
        if jumped:
            logger.warning("the clock of %s was set forward: nothing leaves until what was spent before is over", store)
        for window, heard in zip(said.windows, reply.windows, strict=True):
            heard.epoch = _NO_EPOCH if jumped else heard.epoch
            self._hear(window, heard, now)
        good_for = -math.inf if jumped else self.lease / 2
        use_by, awake_by = said.asked_at + good_for, said.awake_at + good_for
        for grants, numbers in said.told:
            for number, end in numbers.items():
                grants.heard(number, end, use_by, awake_by)
        for (grants, claim), delays in zip(said.claims, reply.grants, strict=True):
            usable_at = [now + delay / 1e6 for delay in delays]
            granted = [Grant(at, number, use_by, awake_by) for number, at in enumerate(usable_at, claim.first)]
            grants.usable = deque(sorted([*grants.usable, *granted]))
        for flow in said.asking or self._flows:  # where nobody asked, all windows were heard of
            opens_at = max(max(window.paused_until, window.outlook.next_grant()) for window in flow.windows)
            grants = self._flows[flow]
            grants.ask_at = min(grants.ask_at, max(now + self._poll, opens_at - self._horizon()))
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        self._scheduler.refuse_hopeless(doubts)

    def _clock_jumped(self, time: int, said: Message) -> bool:
        """Whether the store's clock is further ahead of both of ours than any reply before allowed: it was set."""
        now, at, before = self.now(), time / 1e6, self._heard
        drift = (now - before[0]) * _DRIFT if before is not None else math.inf
        known = (before[1] + drift, before[2] + drift) if before is not None else (drift, drift)
        at_most = at - said.asked_at, at - said.awake_at
        jumped = min(at - now - known[0], at - awake() - known[1]) > _JUMP_SECONDS
        self._heard = (now, *at_most) if jumped else (now, min(at_most[0], known[0]), min(at_most[1], known[1]))
        return jumped

    def _hear(self, window: Window, said: Outlook, now: float) -> None:
        """Take in what the store says of one window."""
        known, window.outlook, said.heard_at = window.outlook, said, now
        if said.lifts > known.lifts >= 0 and window not in self.news:
            window.lift()
            self.ask_soon()
        if said.pause is not None:
            until = now + said.pause.left / 1e6
            if until > window.paused_until + _PAUSE_MARGIN_SECONDS:
                window.pause(until, now, said.pause.cause, asked_until=now + said.pause.asked / 1e6)
                self._scheduler.drop_hopeless(window, now)
        if said.smooth:
            self._adaptive.smooth_out(window)
        if window.smooth:
            window.reckon_reserved()


def _microseconds(seconds: float) -> int:
    """Rounded up."""
    return math.ceil(seconds * 1e6)
