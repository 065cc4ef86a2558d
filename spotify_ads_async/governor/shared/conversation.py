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

from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.forecast import Outlook
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.shared.grants import (
    Account,
    FlowGrants,
    Grant,
    Utterance,
    awake,
    lease_seconds,
    microseconds,
)
from spotify_ads_async.governor.shared.store import Claim, Exchange, Reply, WindowReply
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest
from spotify_ads_async.governor.window import Window

__all__ = ["Conversation"]

logger = logging.getLogger("spotify_ads_async")

_POLL_SECONDS, _POLL_SHARE = 0.2, 0.1
_TRIPS_AHEAD = 1.5
_MOST_FLOWS_IN_A_MESSAGE = 64
_PAUSE_MARGIN_SECONDS = 0.05
_JUMP_SECONDS, _DRIFT = 0.05, 0.001


class Conversation:
    """The process's side of the shared rule.

    Args:
        adaptive: whose requests need the tokens, and whom to tell of what other processes' requests met.
        limits: the governor's limits.
    """

    def __init__(self, adaptive: AdaptiveLimits, limits: tuple[Limit, ...]) -> None:
        self._adaptive, self._scheduler = adaptive, adaptive.scheduler
        self.now = self._scheduler.clock
        self.lease = lease_seconds(limits)
        self._poll = min([_POLL_SECONDS, *(limit.window * _POLL_SHARE for limit in limits)])
        self._longest_cycle = max((limit.window for limit in limits), default=0.0)
        self._accounts: dict[Window, Account] = {}
        self._flows: dict[Flow, FlowGrants] = {}
        self._waiting: dict[Flow, FlowGrants] = {}
        self._touched: set[Account] = set()
        self._doubts: list[PendingRequest] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        """A process of its own."""
        self._owner, self._label, self._numbers = uuid.uuid4().hex[:12], f"{socket.gethostname()}:{os.getpid()}", 1
        self._trip = 0.0
        self._last_at = self._matters_until = -math.inf
        self._heard: tuple[int, float, float] | None = None

    def forget(self) -> None:
        """This process is a fork: nothing of the parent's is its own."""
        for collection in (self._waiting, self._touched, self._doubts):
            collection.clear()
        for account in self._accounts.values():
            account.settled, account.unused, account.news, account.lift = {}, set(), False, False
        for grants in self._flows.values():
            grants.granted.clear()
            grants.in_flight.clear()
        self._begin_anew()

    def abandon(self) -> None:
        """The event loop is another one: nobody will hear the answers to what was sent from the one that is over."""
        self._waiting.clear()
        for grants in self._flows.values():
            for number in list(grants.in_flight):
                grants.settle(number, self.now() + self._scheduler.counted_within)
            grants.keep(0)

    def flow(self, windows: tuple[Window, ...], owner: str) -> Flow:
        """A flow whose windows the store keeps."""
        accounts = tuple(self._accounts.setdefault(window, Account(window)) for window in windows)
        grants = FlowGrants(accounts, self.now, self.has_to_tell)
        flow = Flow(windows, owner, grants)
        self._flows[flow] = grants
        return flow

    def has_to_tell(self, accounts: tuple[Account, ...]) -> None:
        """With the next exchange, that is: there is no hurry."""
        self._touched.update(accounts)
        self._matters_until = self.now() + self.lease + self._longest_cycle

    def has_news(self) -> bool:
        """Whether something is to be told that others should know at once."""
        return any(account.news for account in self._touched)

    def tell(self, windows: tuple[Window, ...], *, lift: bool) -> None:
        """Something happened that others should know at once."""
        for account in (self._accounts[window] for window in windows):
            account.news, account.lift = True, account.lift or lift
            self._touched.add(account)
        if lift:
            self._ask_soon()

    def _ask_soon(self) -> None:
        """What is known of when tokens come holds no longer."""
        for grants in self._waiting.values():
            grants.ask_at = -math.inf

    def ask(self, request: PendingRequest) -> bool:
        """A request has to wait. Answers whether the store is to be asked at once."""
        flow, grants = request.flow, self._flows[request.flow]
        # Until now it lacked nothing, or those who wait are bulk, and leave a reserve.
        if flow.waiting - 1 <= len(grants.granted) or (
            len(flow.interactive) == 1 and request.number in flow.interactive
        ):
            grants.ask_at = -math.inf
        self._waiting[flow] = grants
        if request.expires_at < math.inf:
            self._doubts.append(request)
        return grants.ask_at <= self.now()

    def is_busy(self, now: float) -> bool:
        """Whether there is something to tell or to ask, or the store must hear of this process."""
        return self._scheduler.queue.length > 0 or bool(self._touched) or now < self._matters_until

    def due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        self._waiting = {flow: grants for flow, grants in self._waiting.items() if flow.waiting}
        if self.has_news():
            return now
        dues = [grants.ask_at for flow, grants in self._waiting.items() if flow.waiting > len(grants.granted)]
        return min([*dues, self._last_at + self.lease / 3] if self.is_busy(now) else dues, default=math.inf)

    def message(self, *, leaving: bool = False) -> Utterance:
        """What to tell and to ask now."""
        now, awake_at, long_ago = self.now(), awake(), self.now() - self.lease / 3
        asking = [entry for entry in self._waiting.items() if _lacks(*entry, now)][
            : 0 if leaving else _MOST_FLOWS_IN_A_MESSAGE
        ]
        extended: dict[Account, list[int]] = {}
        for flow, grants in self._flows.items():
            grants.keep(0 if leaving else flow.waiting)
            for number in grants.long_in_flight(long_ago, now):
                for account in grants.accounts:
                    extended.setdefault(account, []).append(number)
        accounts = dict.fromkeys([*self._touched, *extended, *(one for _, grants in asking for one in grants.accounts)])
        if leaving or self._last_at <= long_ago:
            accounts |= dict.fromkeys(account for account in self._accounts.values() if account.window.out)
        places = {account: place for place, account in enumerate(accounts)}
        claims: list[Claim] = []
        for flow, grants in asking:
            interactive, bulk = self._wish(flow, grants, now)
            claims.append(Claim([places[account] for account in grants.accounts], self._numbers, interactive, bulk))
            self._numbers += interactive + bulk
        message = Exchange(
            owner=self._owner,
            label=self._label,
            lease=microseconds(self.lease),
            horizon=microseconds(self._horizon()),
            windows=[account.report(now, extended.get(account, [])) for account in accounts],
            claims=claims,
            leaving=leaving,
        )
        return Utterance(message, now, awake_at, list(accounts), [grants for _, grants in asking])

    def _horizon(self) -> float:
        """How far ahead tokens are claimed: until after the next exchange, and well within the time for using them."""
        return min(self._poll + _TRIPS_AHEAD * self._trip, self.lease / 4)

    def _wish(self, flow: Flow, grants: FlowGrants, now: float) -> tuple[int, int]:
        """For how many requests of each class to claim: for those that can leave soon and have no grant."""
        most, horizon = 1_000_000, self._horizon()
        for window in flow.windows:
            if window.paused_until > now + horizon:
                return 0, 0
            if window.pacer is not None:
                soon = 2 * (horizon + self._trip) / window.pacer.interval + window.waiting / 10
                if window.paused_until > now:  # at its end, what it held back leaves
                    soon += window.pause_length / window.pacer.interval
                most = min(most, 1 + math.ceil(soon))
        granted = len(grants.granted)
        interactive = max(0, min(len(flow.interactive) - granted, most))
        return interactive, max(0, min(flow.waiting - granted, most) - interactive)

    def unanswered(self, said: Utterance) -> None:
        """The message may or may not have arrived: whatever it claimed is unused, and its news is told again."""
        for grants, claim in zip(said.asking, said.message.claims, strict=True):
            grants.drop([*range(claim.first, claim.first + claim.interactive + claim.bulk)])
        for account, report in zip(said.accounts, said.message.windows, strict=True):
            account.not_told(report)

    def take_in(self, said: Utterance, reply: Reply, store: str) -> None:
        """What the store answered: news of its windows, and grants."""
        now = self.now()
        took = max(now - said.asked_at, awake() - said.awake_at)
        self._trip = took if self._trip == 0.0 else self._trip + (took - self._trip) * 0.2
        self._last_at = now
        jumped = bool(reply.windows) and self._clock_jumped(reply.windows[0].time, said, store)
        replies = dict(zip(said.accounts, reply.windows, strict=True))
        for (account, heard), report in zip(replies.items(), said.message.windows, strict=True):
            account.told(report)
            self._hear(account, heard, now)
            account.epoch = "?" if jumped else heard.epoch
            if not account.has_more and not jumped:
                self._touched.discard(account)
        for grants, claim, granted in zip(said.asking, said.message.claims, reply.grants, strict=True):
            self._take_in_grants(grants, claim, granted, said, now, void=jumped)
            wait = max(_closed_for(account.window, replies[account], now) for account in grants.accounts)
            grants.ask_at = now + max(self._poll, wait - self._horizon())
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        for request in doubts:
            self._scheduler.refuse_if_hopeless(request)

    def _take_in_grants(
        self,
        grants: FlowGrants,
        claim: Claim,
        granted: tuple[list[int], list[int]],
        said: Utterance,
        now: float,
        *,
        void: bool,
    ) -> None:
        interactive, bulk = granted
        after = claim.first + claim.interactive
        numbers = [*range(claim.first, claim.first + len(interactive)), *range(after, after + len(bulk))]
        if void:
            grants.drop(numbers)
            return
        use_by, awake_by = said.asked_at + self.lease / 2, said.awake_at + self.lease / 2
        delays = zip(numbers, interactive + bulk, strict=True)
        new = [Grant(now + delay / 1e6, number, use_by, awake_by) for number, delay in delays]
        grants.granted = deque(sorted([*grants.granted, *new]))
        self.has_to_tell(())

    def _clock_jumped(self, time: int, said: Utterance, store: str) -> bool:
        """Whether the store's clock went further between two replies than all the time around both.

        Somebody set it forward.
        """
        before, self._heard = self._heard, (time, said.asked_at, said.awake_at)
        if before is None:
            return False
        passed = max(self.now() - before[1], awake() - before[2])
        jumped = (time - before[0]) / 1e6 > passed * (1.0 + _DRIFT) + _JUMP_SECONDS
        if jumped:
            logger.warning("the clock of %s was set forward: nothing leaves until what was spent before is over", store)
        return jumped

    def _hear(self, account: Account, said: WindowReply, now: float) -> None:
        """Take in what the store says of one window."""
        window = account.window
        if said.lifts > account.lifts >= 0 and not account.news:
            window.lift()
            self._ask_soon()
        account.lifts = said.lifts
        if said.pause is not None and not account.lift:
            until = now + said.pause.left / 1e6
            if until > window.paused_until + _PAUSE_MARGIN_SECONDS:
                window.pause(until, now, said.pause.cause, asked_until=now + said.pause.asked / 1e6)
                self._scheduler.drop_hopeless(window, now)
        if said.smooth:
            self._adaptive.smooth_out(window)
        window.active = max(1, said.active)
        if window.smooth:
            window.reckon_reserved()
        known = self._scheduler.outlooks.get(window)
        due = tuple(now + due / 1e6 for due in said.due) if said.due or known is None else known.due
        opens_at = now + said.opens / 1e6
        self._scheduler.outlooks[window] = Outlook(said.free, said.out, due, opens_at, said.active, said.waiting)


def _lacks(flow: Flow, grants: FlowGrants, now: float) -> bool:
    """Whether the store is to be asked for tokens now.

    Also where grants became void, because the process stood still.
    """
    return flow.waiting > len(grants.granted) and grants.ask_at <= now


def _closed_for(window: Window, said: WindowReply, now: float) -> float:
    """Seconds for which nothing will be granted: the set is closed, a pause, or no token is there."""
    empty = said.due[0] if said.due and said.free == 0 else 0
    return max(max(said.opens, empty) / 1e6, window.paused_until - now)
