"""Conversation: what a process says to the store that keeps its windows, and what it makes of the answer.

No waiting in here.
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
from spotify_ads_async.governor.forecast import Outlook
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.shared.grants import Account, FlowGrants, Grant, awake, microseconds
from spotify_ads_async.governor.shared.store import Claim, Exchange, Reply, WindowReply
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest
from spotify_ads_async.governor.window import Window

__all__ = ["Conversation", "Utterance", "lease_seconds"]

logger = logging.getLogger("spotify_ads_async")

_SHORTEST_LEASE_SECONDS, _LONGEST_LEASE_SECONDS, _LEASE_SHARE = 1.2, 6.0, 0.6
_POLL_SECONDS, _POLL_SHARE = 0.2, 0.1
_TRIPS_AHEAD = 1.5
_MOST_FLOWS_IN_A_MESSAGE = 64
_PAUSE_MARGIN_SECONDS = 0.05
_JUMP_SECONDS, _DRIFT = 0.05, 0.001


def lease_seconds(limits: tuple[Limit, ...]) -> float:
    """For how long a process's claims are its own without a word from it.

    The first half to leave, the second to be counted.
    """
    shortest = min((limit.window for limit in limits), default=_LONGEST_LEASE_SECONDS)
    return min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, shortest * _LEASE_SHARE))


class Utterance(NamedTuple):
    """One message, when it was written, and what it is about.

    Written by the governor's clock, and by one that never stands still.
    """

    message: Exchange
    asked_at: float
    awake_at: float
    accounts: list[Account]
    asking: list[FlowGrants]


class Conversation:
    """The process's side of the shared rule.

    Args:
        scheduler: whose requests need the tokens.
        adaptive: whom to tell of what other processes' requests met.
        limits: the governor's limits.
    """

    def __init__(self, scheduler: Scheduler, adaptive: AdaptiveLimits, limits: tuple[Limit, ...]) -> None:
        self.now = scheduler.clock
        self.lease = lease_seconds(limits)
        self._scheduler, self._adaptive = scheduler, adaptive
        self._poll = min([_POLL_SECONDS, *(limit.window * _POLL_SHARE for limit in limits)])
        self._longest_cycle = max((limit.window for limit in limits), default=0.0)
        self._accounts: dict[Window, Account] = {}
        self._flows: dict[Flow, FlowGrants] = {}
        self._lacking: dict[Flow, FlowGrants] = {}
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
        for collection in (self._lacking, self._touched, self._doubts):
            collection.clear()
        for account in self._accounts.values():
            account.settled, account.unused, account.news = {}, set(), False
        for grants in self._flows.values():
            grants.granted.clear()
            grants.in_flight.clear()
        self._begin_anew()

    def abandon(self) -> None:
        """The event loop is another one: nobody will hear the answers to what was sent from the one that is over."""
        self._lacking.clear()
        for grants in self._flows.values():
            for number in list(grants.in_flight):
                grants.settle(number, self.now() + self._scheduler.counted_within)
            grants.drop_granted()

    def flow(self, windows: tuple[Window, ...], keys: list[str], owner: str) -> Flow:
        """A flow whose windows the store keeps under these names."""
        accounts = tuple(
            self._accounts.setdefault(window, Account(window, key)) for window, key in zip(windows, keys, strict=True)
        )
        grants = FlowGrants(accounts, self.now, self.has_to_tell)
        flow = Flow(windows, owner, grants)
        self._flows[flow] = grants
        return flow

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

    def ask(self, request: PendingRequest) -> bool:
        """A request has to wait. Answers whether the store is to be asked at once."""
        flow, grants = request.flow, self._flows[request.flow]
        if flow not in self._lacking or (len(flow.interactive) == 1 and request.number in flow.interactive):
            grants.ask_at = -math.inf  # those who wait already are bulk, and leave a reserve
        self._lacking[flow] = grants
        if request.expires_at < math.inf:
            self._doubts.append(request)
        return grants.ask_at <= self.now()

    def is_busy(self, now: float) -> bool:
        """Whether there is something to tell or to ask, or the store must hear of this process."""
        return self._scheduler.queue.length > 0 or bool(self._touched) or now < self._matters_until

    def due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        for flow in [flow for flow, grants in self._lacking.items() if not grants.lacks(flow)]:
            del self._lacking[flow]
        if self.has_news():
            return now
        dues = [grants.ask_at for grants in self._lacking.values()]
        return min([*dues, self._last_at + self.lease / 3] if self.is_busy(now) else dues, default=math.inf)

    def _ask_soon(self) -> None:
        """What is known of when tokens come holds no longer."""
        for grants in self._lacking.values():
            grants.ask_at = -math.inf

    def has_to_tell(self, accounts: tuple[Account, ...]) -> None:
        """With the next exchange, that is: there is no hurry."""
        self._touched.update(accounts)
        self._matters_until = self.now() + self.lease + self._longest_cycle

    def message(self, *, leaving: bool = False) -> Utterance:
        """What to tell and to ask now."""
        now, awake_at = self.now(), awake()
        if leaving:
            self._lacking.clear()
        lacking = [(flow, grants) for flow, grants in self._lacking.items() if grants.ask_at <= now][
            :_MOST_FLOWS_IN_A_MESSAGE
        ]
        extended: dict[Account, list[int]] = {}
        for flow, grants in self._flows.items():
            grants.drop_granted(None if leaving else flow)
            for number in grants.long_in_flight(now - self.lease / 3, now):
                for account in grants.accounts:
                    extended.setdefault(account, []).append(number)
        accounts = dict.fromkeys(
            [*self._touched, *extended, *(account for _, grants in lacking for account in grants.accounts)]
        )
        if leaving or now >= self._last_at + self.lease / 3:
            accounts |= dict.fromkeys(account for account in self._accounts.values() if account.window.out)
        places = {account: place for place, account in enumerate(accounts)}
        claims: list[Claim] = []
        for flow, grants in lacking:
            interactive, bulk = self._wish(flow, grants, now)
            claims.append(Claim([places[account] for account in grants.accounts], self._numbers, interactive, bulk))
            self._numbers += interactive + bulk
        reports = [account.report(now, extended.get(account, [])) for account in accounts]
        lease, horizon = microseconds(self.lease), microseconds(self._horizon())
        message = Exchange(
            owner=self._owner,
            label=self._label,
            lease=lease,
            horizon=horizon,
            windows=reports,
            claims=claims,
            leaving=leaving,
        )
        return Utterance(message, now, awake_at, list(accounts), [grants for _, grants in lacking])

    def unanswered(self, said: Utterance) -> None:
        """The message may or may not have arrived: whatever it claimed is unused."""
        for grants, claim in zip(said.asking, said.message.claims, strict=True):
            grants.drop([*range(claim.first, claim.first + claim.interactive + claim.bulk)])

    def _horizon(self) -> float:
        """How far ahead tokens are claimed: until after the next exchange, and well within the time for using them."""
        return min(self._poll + _TRIPS_AHEAD * self._trip, self.lease / 4)

    def _wish(self, flow: Flow, grants: FlowGrants, now: float) -> tuple[int, int]:
        """For how many requests of each class to claim: for those that can leave soon and have no grant."""
        most = 1_000_000
        for window in flow.windows:
            if window.paused_until > now + self._horizon():
                return 0, 0
            if window.pacer is not None:
                most = min(
                    most,
                    1 + math.ceil(2 * (self._horizon() + self._trip) / window.pacer.interval + window.waiting / 10),
                )
        interactive = max(0, min(len(flow.interactive) - len(grants.granted), most))
        spare = max(0, len(grants.granted) - len(flow.interactive))
        return interactive, max(0, min(len(flow.bulk) - spare, most - interactive))

    def take_in(self, spoken: Utterance, reply: Reply, store: str) -> None:
        """What the store answered: news of its windows, and grants."""
        message, asked_at, awake_at, accounts, asking = spoken
        now = self.now()
        took = max(now - asked_at, awake() - awake_at)
        self._trip = took if self._trip == 0.0 else self._trip + (took - self._trip) * 0.2
        self._last_at = now
        jumped = self._clock_jumped(reply, asked_at, awake_at, store)
        for account, report, said in zip(accounts, message.windows, reply.windows, strict=True):
            account.told(report)
            self._hear(account, said, now)
            account.epoch = "?" if jumped else said.epoch
            if not (account.settled or account.unused or account.news or jumped):
                self._touched.discard(account)
        replies = dict(zip(accounts, reply.windows, strict=True))
        use_by, awake_by = asked_at + self.lease / 2, awake_at + self.lease / 2
        for grants, claim, (interactive, bulk) in zip(asking, message.claims, reply.grants, strict=True):
            numbers = [*range(claim.first, claim.first + len(interactive))]
            numbers += range(claim.first + claim.interactive, claim.first + claim.interactive + len(bulk))
            if jumped:
                grants.drop(numbers)
            else:
                granted = [
                    Grant(now + delay / 1e6, number, use_by, awake_by)
                    for number, delay in zip(numbers, interactive + bulk, strict=True)
                ]
                grants.granted = deque(sorted([*grants.granted, *granted]))
            self.has_to_tell(())
            wait = max(
                (max(replies[account].next, replies[account].opens) / 1e6 for account in grants.accounts), default=0.0
            )
            wait = max(wait, *(account.window.paused_until - now for account in grants.accounts))
            grants.ask_at = now + max(self._poll, wait - self._horizon())
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        for request in doubts:
            if not request.gone():
                self._scheduler.refuse_if_hopeless(request, now)

    def _clock_jumped(self, reply: Reply, asked_at: float, awake_at: float, store: str) -> bool:
        """Whether the store's clock went further between two replies than all the time around both.

        If so, somebody set it forward.
        """
        if not reply.windows:
            return False
        before, self._heard = self._heard, (reply.windows[0].time, asked_at, awake_at)
        if before is None:
            return False
        passed = max(self.now() - before[1], awake() - before[2])
        jumped = (reply.windows[0].time - before[0]) / 1e6 > passed * (1.0 + _DRIFT) + _JUMP_SECONDS
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
        if said.pause is not None and now + said.pause.left / 1e6 > window.paused_until + _PAUSE_MARGIN_SECONDS:
            window.pause(now + said.pause.left / 1e6, now, said.pause.cause, asked_until=now + said.pause.asked / 1e6)
            self._scheduler.drop_hopeless(window, now)
        if said.foreign is not None:
            since, until, tokens, strikes = said.foreign
            window.foreign.hear(since / 1e6, until / 1e6, tokens, strikes, now)
        if said.smooth:
            self._adaptive.smooth_out(window)
        window.active = max(1, said.active)
        if window.smooth or window.foreign.tokens:
            window.reckon_reserved()
        known = self._scheduler.outlooks.get(window)
        due = tuple(now + due / 1e6 for due in said.due) if said.due or known is None else known.due
        opens_at = now + said.opens / 1e6
        self._scheduler.outlooks[window] = Outlook(said.free, said.out, due, opens_at, said.active, said.waiting)
