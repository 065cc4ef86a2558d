"""Claims: a process's side of the shared rule. One task, which speaks to the store while somebody waits or something is to be told.

Nobody holds a token that no request uses: a claim is made for a request that waits. While an exchange is under way, the next collects.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import os
import socket
import uuid
from collections import deque
from typing import Literal

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.events import StoreLost, StoreRegained
from spotify_ads_async.governor.forecast import Outlook
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.shared.grants import Account, FlowGrants, Grant, awake, microseconds
from spotify_ads_async.governor.shared.store import Claim, Exchange, Reply, Store, WindowReply
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest
from spotify_ads_async.governor.window import Window

__all__ = ["Claims", "OnStoreFailure", "checked_policy", "lease_seconds"]

OnStoreFailure = Literal["fail", "pause"]
"""What happens while the store is away: waiting calls fail, or they wait."""

logger = logging.getLogger("spotify_ads_async")

_SHORTEST_LEASE_SECONDS, _LONGEST_LEASE_SECONDS, _LEASE_SHARE = 2.0, 6.0, 0.6
_POLL_SECONDS, _POLL_SHARE = 0.2, 0.1
_TRIPS_AHEAD = 1.5
_MOST_FLOWS_IN_A_MESSAGE = 256
_GOODBYE_SECONDS = 1.0
_PAUSE_MARGIN_SECONDS = 0.05
_JUMP_SECONDS, _DRIFT = 0.05, 0.001


def lease_seconds(limits: tuple[Limit, ...]) -> float:
    """For how long a process's claims are its own without a word from it: the first half to leave, the second to be counted."""
    shortest = min((limit.window for limit in limits), default=_LONGEST_LEASE_SECONDS)
    return min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, shortest * _LEASE_SHARE))


class Claims:
    """Claims tokens for a governor's requests, and tells the store what became of them. ``exchanges`` counts the round trips.

    Args:
        store: where the windows are kept.
        scheduler: whose requests need the tokens.
        adaptive: whom to tell of what other processes' requests met.
        limits: the governor's limits.
        on_failure: what happens while the store is away.
    """

    def __init__(
        self, store: Store, scheduler: Scheduler, adaptive: AdaptiveLimits, limits: tuple[Limit, ...], on_failure: OnStoreFailure
    ) -> None:
        self.store, self.exchanges = store, 0
        self._now = scheduler.clock
        self._scheduler, self._adaptive, self._on_failure = scheduler, adaptive, on_failure
        self._lease = lease_seconds(limits)
        self._poll = min([_POLL_SECONDS, *(limit.window * _POLL_SHARE for limit in limits)])
        self._longest_cycle = max((limit.window for limit in limits), default=0.0)
        self._accounts: dict[Window, Account] = {}
        self._flows: dict[Flow, FlowGrants] = {}
        self._lacking: dict[Flow, FlowGrants] = {}
        self._touched: set[Account] = set()
        self._doubts: list[PendingRequest] = []
        self._task: asyncio.Task[None] | None = None
        self._wake, self._news_told = asyncio.Event(), asyncio.Event()
        self._closing = False
        self._problem: StoreUnavailable | None = None
        self._away_since: float | None = None
        self._begin_anew()
        scheduler.on_starved, scheduler.on_fork, scheduler.on_news = self._starved, self._forked, self.tell

    @property
    def away_for(self) -> float | None:
        """Seconds since the store was last heard of, None while it answers."""
        return None if self._away_since is None else self._now() - self._away_since

    def flow(self, windows: tuple[Window, ...], keys: list[str], owner: str) -> Flow:
        """A flow whose windows the store keeps under these names."""
        accounts = tuple(self._accounts.setdefault(window, Account(window, key)) for window, key in zip(windows, keys, strict=True))
        grants = FlowGrants(accounts, self._now, self._has_to_tell)
        flow = Flow(windows, owner, grants)
        self._flows[flow] = grants
        return flow

    def tell(self, windows: tuple[Window, ...], *, lift: bool = False) -> None:
        """Something happened that other processes should know at once: a refusal, or a pause that is ended by hand."""
        for account in (self._accounts[window] for window in windows):
            account.news, account.lift = True, account.lift or lift
            self._touched.add(account)
        self._start()
        self._news_told.clear()
        self._wake.set()

    async def heard(self) -> None:
        """Return when the store knows all news, or cannot be reached."""
        if any(account.news for account in self._touched) and self._away_since is None:
            await self._news_told.wait()

    async def aclose(self) -> None:
        """Tell the store the rest, and end."""
        self._closing = True
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return
        self._wake.set()
        _, late = await asyncio.wait([task], timeout=2 * _GOODBYE_SECONDS)
        if late:  # the store does not answer
            task.cancel()
            await asyncio.wait([task])

    def _has_to_tell(self, accounts: tuple[Account, ...]) -> None:
        """With the next exchange, that is: there is no hurry."""
        self._touched.update(accounts)
        self._matters_until = self._now() + self._lease + self._longest_cycle

    def _starved(self, request: PendingRequest) -> Exception | None:
        """A request has to wait: see to it that the store is asked. Answers why it need not wait."""
        self._start()
        if self._problem is not None and self._on_failure == "fail":
            return _lost(self._problem)
        flow, grants = request.flow, self._flows[request.flow]
        if flow not in self._lacking or (len(flow.interactive) == 1 and request.number in flow.interactive):
            grants.ask_at = -math.inf  # those who wait already are bulk, and leave a reserve
        self._lacking[flow] = grants
        if request.expires_at < math.inf:
            self._doubts.append(request)
        if grants.ask_at <= self._now():
            self._wake.set()
        return None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        task = self._task
        if task is not None and not task.done() and task.get_loop() is loop:
            return
        if task is not None and task.get_loop() is not loop:  # nobody will hear the answers to what was sent from a loop that is over
            self._lacking.clear()
            for grants in self._flows.values():
                for number in list(grants.in_flight):
                    grants.settle(number, self._now() + self._scheduler.counted_within)
                grants.drop_granted()
        self._wake, self._news_told = asyncio.Event(), asyncio.Event()
        # An empty context: the task outlives the call that happened to start it, and must not carry its variables.
        self._task = loop.create_task(self._run(), name="shared quota", context=contextvars.Context())

    def _begin_anew(self) -> None:
        """A process of its own."""
        self._owner, self._label, self._numbers = uuid.uuid4().hex[:12], f"{socket.gethostname()}:{os.getpid()}", 1
        self._trip = 0.0
        self._last_at = self._retry_at = self._matters_until = -math.inf
        self._heard: tuple[int, float, float] | None = None

    def _forked(self) -> None:
        """Nothing of the parent's is this process's."""
        self._task = self._problem = self._away_since = None
        for collection in (self._lacking, self._touched, self._doubts):
            collection.clear()
        for account in self._accounts.values():
            account.settled, account.unused, account.news = {}, set(), False
        for grants in self._flows.values():
            grants.granted.clear()
            grants.in_flight.clear()
        self._begin_anew()

    async def _run(self) -> None:
        try:
            while not self._closing and not _is_cancelled():
                self._wake.clear()
                now = self._now()
                due = self._due(now)
                if due <= now:
                    await self._exchange()
                elif due == math.inf:
                    return
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(due - now):
                            await self._wake.wait()
            await self._goodbye()
        except asyncio.CancelledError:
            await self._goodbye()
            raise
        except Exception as problem:
            # A fault of ours must not leave anybody waiting for ever.
            logger.exception("claiming shared quota failed")
            reason = str(problem)
            self._scheduler.refuse_everybody(lambda: StoreUnavailable(f"the shared quota cannot be claimed: {reason}"))

    def _due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        for flow in [flow for flow, grants in self._lacking.items() if not grants.lacks(flow)]:
            del self._lacking[flow]
        busy = self._scheduler.queue.length > 0 or self._touched or now < self._matters_until
        if self._away_since is not None:
            return self._retry_at if busy else math.inf
        if any(account.news for account in self._touched):
            return now
        dues = [grants.ask_at for grants in self._lacking.values()]
        return min([*dues, self._last_at + self._lease / 3] if busy else dues, default=math.inf)

    async def _exchange(self) -> None:
        """One exchange; a second try where the first failed at once, as it does on a connection that the store closed."""
        for attempt in (1, 2):
            asked_at, awake_at = self._now(), awake()
            message, accounts, asking = self._message(asked_at)
            self.exchanges += 1
            try:
                reply = await self.store.exchange(message)
            except BaseException as problem:
                # It may or may not have arrived: whatever it claimed is unused.
                for grants, claim in zip(asking, message.claims, strict=True):
                    grants.drop([*range(claim.first, claim.first + claim.interactive + claim.bulk)])
                self._news_told.set()
                if not isinstance(problem, StoreUnavailable):
                    raise
                if attempt == 2 or self._now() - asked_at > self._lease / 12:
                    self._store_lost(problem)
                    return
            else:
                self._take_in(message, accounts, asking, reply, asked_at, awake_at)
                return

    def _message(self, now: float, *, leaving: bool = False) -> tuple[Exchange, list[Account], list[FlowGrants]]:
        """What to tell and to ask; and the accounts and the flows that it is about, in its order."""
        lacking = [(flow, grants) for flow, grants in self._lacking.items() if grants.ask_at <= now][:_MOST_FLOWS_IN_A_MESSAGE]
        extended: dict[Account, list[int]] = {}
        for flow, grants in self._flows.items():
            grants.drop_granted(flow)
            for number in grants.long_in_flight(now - self._lease / 3, now):
                for account in grants.accounts:
                    extended.setdefault(account, []).append(number)
        accounts = dict.fromkeys([*self._touched, *extended, *(account for _, grants in lacking for account in grants.accounts)])
        if leaving or now >= self._last_at + self._lease / 3:
            accounts |= dict.fromkeys(account for account in self._accounts.values() if account.window.out)
        places = {account: place for place, account in enumerate(accounts)}
        claims: list[Claim] = []
        for flow, grants in lacking:
            interactive, bulk = self._wish(flow, grants, now)
            claims.append(Claim([places[account] for account in grants.accounts], self._numbers, interactive, bulk))
            self._numbers += interactive + bulk
        message = Exchange(
            owner=self._owner,
            label=self._label,
            lease=microseconds(self._lease),
            horizon=microseconds(self._horizon()),
            windows=[account.report(now, extended.get(account, [])) for account in accounts],
            claims=claims,
            leaving=leaving,
        )
        return message, list(accounts), [grants for _, grants in lacking]

    def _horizon(self) -> float:
        """How far ahead tokens are claimed: until after the next exchange, and well within the time for using them."""
        return min(self._poll + _TRIPS_AHEAD * self._trip, self._lease / 4)

    def _wish(self, flow: Flow, grants: FlowGrants, now: float) -> tuple[int, int]:
        """For how many requests of each class to claim: for those that can leave soon and have no grant."""
        most = 1_000_000
        for window in flow.windows:
            if window.paused_until > now + self._horizon():
                return 0, 0
            if window.pacer is not None:
                most = min(most, 1 + math.ceil(2 * (self._horizon() + self._trip) / window.pacer.interval + window.waiting / 10))
        interactive = max(0, min(len(flow.interactive) - len(grants.granted), most))
        spare = max(0, len(grants.granted) - len(flow.interactive))
        return interactive, max(0, min(len(flow.bulk) - spare, most - interactive))

    def _take_in(  # noqa: PLR0917 (what was asked, and what was answered)
        self, message: Exchange, accounts: list[Account], asking: list[FlowGrants], reply: Reply, asked_at: float, awake_at: float
    ) -> None:
        now = self._now()
        took = max(now - asked_at, awake() - awake_at)
        self._trip = took if self._trip == 0.0 else self._trip + (took - self._trip) * 0.2
        self._last_at = now
        if self._away_since is not None:
            self._store_regained(now)
        jumped = self._clock_jumped(reply, asked_at, awake_at)
        for account, report, said in zip(accounts, message.windows, reply.windows, strict=True):
            account.told(report)
            self._hear(account, said, now)
            account.epoch = "?" if jumped else said.epoch
            if not (account.settled or account.unused or account.news or jumped):
                self._touched.discard(account)
        self._news_told.set()
        replies = dict(zip(accounts, reply.windows, strict=True))
        use_by, awake_by = asked_at + self._lease / 2, awake_at + self._lease / 2
        for grants, claim, (interactive, bulk) in zip(asking, message.claims, reply.grants, strict=True):
            numbers = [*range(claim.first, claim.first + len(interactive))]
            numbers += range(claim.first + claim.interactive, claim.first + claim.interactive + len(bulk))
            if jumped:
                grants.drop(numbers)
            else:
                granted = [
                    Grant(now + delay / 1e6, number, use_by, awake_by) for number, delay in zip(numbers, interactive + bulk, strict=True)
                ]
                grants.granted = deque(sorted([*grants.granted, *granted]))
            self._has_to_tell(())
            wait = max((max(replies[account].next, replies[account].opens) / 1e6 for account in grants.accounts), default=0.0)
            wait = max(wait, *(account.window.paused_until - now for account in grants.accounts))
            grants.ask_at = now + max(self._poll, wait - self._horizon())
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        for request in doubts:
            if not request.gone():
                self._scheduler.refuse_if_hopeless(request, now)

    def _clock_jumped(self, reply: Reply, asked_at: float, awake_at: float) -> bool:
        """Whether the store's clock went further between two replies than all the time around both: somebody set it forward."""
        if not reply.windows:
            return False
        before, self._heard = self._heard, (reply.windows[0].time, asked_at, awake_at)
        if before is None:
            return False
        passed = max(self._now() - before[1], awake() - before[2])
        jumped = (reply.windows[0].time - before[0]) / 1e6 > passed * (1.0 + _DRIFT) + _JUMP_SECONDS
        if jumped:
            logger.warning("the clock of %s was set forward: nothing leaves until what was spent before is over", self.store.name)
        return jumped

    def _hear(self, account: Account, said: WindowReply, now: float) -> None:
        """Take in what the store says of one window."""
        window = account.window
        if said.lifts > account.lifts >= 0 and not account.news:
            window.lift()
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
        self._scheduler.outlooks[window] = Outlook(
            free=said.free,
            out=said.out,
            due=tuple(now + due / 1e6 for due in said.due) if said.due or known is None else known.due,
            opens_at=now + said.opens / 1e6,
            active=said.active,
            others_waiting=said.waiting,
        )

    def _store_lost(self, problem: StoreUnavailable) -> None:
        now = self._now()
        self._retry_at, self._problem = now + self._lease / 12, problem
        if self._away_since is None:
            self._away_since = now
            logger.warning("%s (until it can: %s)", problem, self._on_failure)
            self._scheduler.listeners.emit(StoreLost(store=self.store.name, policy=self._on_failure, problem=str(problem)))
        if self._on_failure == "fail":
            self._scheduler.refuse_everybody(lambda: _lost(problem))

    def _store_regained(self, now: float) -> None:
        away = now - (self._away_since or now)
        self._away_since = self._problem = None
        logger.warning("%s answers again after %.1f s", self.store.name, away)
        self._scheduler.listeners.emit(StoreRegained(store=self.store.name, away=away))

    async def _goodbye(self) -> None:
        """The last exchange: the store hears of everything that is over."""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                self._lacking.clear()
                for grants in self._flows.values():
                    grants.drop_granted()
                message, accounts, _ = self._message(self._now(), leaving=True)
                if message.windows and self._away_since is None:
                    await self.store.exchange(message)
                    for account, report in zip(accounts, message.windows, strict=True):
                        account.told(report)
        with contextlib.suppress(StoreUnavailable, TimeoutError, OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.store.aclose()


def checked_policy(on_failure: str) -> None:
    """See that the policy is one.

    Raises:
        ConfigurationError: it is none.
    """
    if on_failure not in {"fail", "pause"}:
        raise ConfigurationError(
            f"on_store_failure is fail or pause, not {on_failure!r}; to carry on without a store, divide the limits: "
            "Governor([limit.divided(4) for limit in PUBLISHED_LIMITS]) for four processes"
        )


def _is_cancelled() -> bool:
    """A library below may have swallowed the cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _lost(problem: StoreUnavailable) -> StoreUnavailable:
    return StoreUnavailable(f"{problem.message}. Nothing was sent: on_store_failure='fail' was asked for")
