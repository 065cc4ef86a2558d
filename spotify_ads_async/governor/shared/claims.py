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
import time
import uuid
from collections import deque
from typing import Literal, NamedTuple

from spotify_ads_async.errors import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.events import StoreLost, StoreRegained
from spotify_ads_async.governor.forecast import Outlook
from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.scheduler import Scheduler
from spotify_ads_async.governor.shared.store import Claim, Exchange, Pause, Reply, Store, WindowReply, WindowReport
from spotify_ads_async.governor.wait_queue import Flow, PendingRequest
from spotify_ads_async.governor.window import Window

__all__ = ["Claims", "FlowClaims", "OnStoreFailure", "lease_seconds", "store_timeout"]

OnStoreFailure = Literal["fail", "pause"]
"""What happens while the store is away: waiting calls fail, or they wait."""

logger = logging.getLogger("spotify_ads_async")

_LONGEST_LEASE_SECONDS, _SHORTEST_LEASE_SECONDS, _LEASE_SHARE = 6.0, 0.6, 0.6
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


def store_timeout(limits: tuple[Limit, ...]) -> float:
    """Seconds after which one exchange has failed."""
    return max(1.0, lease_seconds(limits) / 4)


def _awake() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Grant(NamedTuple):
    """Leave for one request, from ``usable_at`` on; void after ``use_by``, and after ``awake_by`` of the clock that never stands still."""

    usable_at: float
    number: int
    use_by: float
    awake_by: float


class _Account:
    """What is to be told of one window."""

    def __init__(self, window: Window, key: str) -> None:
        self.window, self.key = window, key
        self.epoch = ""
        self.distrusted = False
        self.settled: dict[int, float] = {}
        self.unused: set[int] = set()
        self.pause_told_until = -math.inf
        self.foreign_told_until = 0.0
        self.smooth_told = window.smooth
        self.lift = False
        self.lifts = -1

    def has_news(self, now: float) -> bool:
        """Whether there is something that everybody should know at once."""
        window = self.window
        paused = window.paused_until > max(now, self.pause_told_until + _PAUSE_MARGIN_SECONDS)
        return self.lift or self.distrusted or paused or (window.smooth and not self.smooth_told) or self.foreign_news(now)

    def foreign_news(self, now: float) -> bool:
        return now + self.window.foreign.told(now)[1] > max(now, self.foreign_told_until + 1.0)

    def report(self, now: float, extended: list[int]) -> WindowReport:
        """What to tell the store now."""
        window = self.window
        window.refresh(now)
        report = WindowReport(
            key=self.key,
            capacity=window.limit.requests,
            cycle=_microseconds(window.cycle * (1.0 + _DRIFT / 2)),
            epoch="?" if self.distrusted else self.epoch if window.out else "",
            held=window.out,
            in_flight=window.in_flight,
            waiting=window.waiting,
            interactive=window.demand(now),
            withheld=max(window.held_back, window.foreign.tokens),
            settled=[(number, int((now - counted_by) * 1e6)) for number, counted_by in self.settled.items()],
            unused=list(self.unused),
            extended=extended,
            lift=self.lift,
            smooth=window.smooth,
        )
        if window.paused_until > max(now, self.pause_told_until + _PAUSE_MARGIN_SECONDS) and not self.lift:
            asked = max(window.paused_until, min(window.asked_until, now + 1e9))
            report.pause = Pause(_microseconds(window.paused_until - now), _microseconds(asked - now), window.pause_cause or "")
        if self.foreign_news(now):
            since, until, tokens, strikes = window.foreign.told(now)
            report.foreign = int(since * 1e6), int(until * 1e6), tokens, strikes
        return report

    def told(self, report: WindowReport, now: float) -> None:
        """The store has taken it in."""
        for number, _ in report.settled:
            self.settled.pop(number, None)
        self.unused.difference_update(report.unused)
        self.distrusted = self.distrusted and report.epoch != "?"
        self.lift = self.lift and not report.lift
        self.smooth_told = self.smooth_told or report.smooth
        if report.pause is not None:
            self.pause_told_until = max(self.pause_told_until, now + report.pause.left / 1e6)
        if report.foreign is not None:
            self.foreign_told_until = now + report.foreign[1] / 1e6


class FlowClaims:
    """What the store granted the requests of one flow. See :class:`~spotify_ads_async.governor.wait_queue.Grants`."""

    def __init__(self, claims: Claims, accounts: tuple[_Account, ...]) -> None:
        self._claims = claims
        self.accounts = accounts
        self.ask_at = -math.inf
        self.granted: deque[_Grant] = deque()
        self.in_flight: dict[int, tuple[_Grant, float]] = {}

    def due_at(self) -> float:
        """When the first grant may be used, infinite without one."""
        while self.granted and self._claims.is_void(self.granted[0]):
            self.drop(self.granted.popleft().number)
        return self.granted[0].usable_at if self.granted else math.inf

    def usable(self, grant: int) -> bool:
        """Whether a grant that was used just now is still good."""
        return not self._claims.is_void(self.in_flight[grant][0])

    def pop(self) -> int:
        """Use the first grant."""
        grant = self.granted.popleft()
        self.in_flight[grant.number] = grant, self._claims.now()
        return grant.number

    def give_back(self, grant: int) -> None:
        """The request did not leave: another may, or the store hears of it."""
        found = self.in_flight.pop(grant, None)
        if found is not None:
            self.granted.appendleft(found[0])
            self._claims.poke()

    def settle(self, grant: int, counted_by: float) -> None:
        """The request is over."""
        if self.in_flight.pop(grant, None) is not None:
            for account in self.accounts:
                account.settled[grant] = counted_by
            self._claims.touched(self.accounts)

    def drop(self, number: int) -> None:
        """No request will use it."""
        for account in self.accounts:
            account.unused.add(number)
        self._claims.touched(self.accounts)


class Claims:
    """Claims tokens for a governor's requests, and tells the store what became of them.

    Args:
        store: where the windows are kept.
        scheduler: whose requests need the tokens.
        adaptive: whom to tell of what other processes' requests met.
        limits: the governor's limits.
        on_failure: what happens while the store is away.

    Attributes:
        exchanges: round trips to the store so far.
    """

    def __init__(
        self, store: Store, scheduler: Scheduler, adaptive: AdaptiveLimits, limits: tuple[Limit, ...], on_failure: OnStoreFailure
    ) -> None:
        if on_failure not in {"fail", "pause"}:
            raise ConfigurationError(
                f"on_store_failure is fail or pause, not {on_failure!r}; to carry on without a store, divide the limits: "
                "Governor([limit.divided(4) for limit in PUBLISHED_LIMITS]) for four processes"
            )
        self.store = store
        self.exchanges = 0
        self.now = scheduler.clock
        self._scheduler, self._adaptive, self._on_failure = scheduler, adaptive, on_failure
        self._lease = lease_seconds(limits)
        self._poll = min([_POLL_SECONDS, *(limit.window * _POLL_SHARE for limit in limits)])
        self._longest_cycle = max((limit.window for limit in limits), default=0.0)
        self._accounts: dict[Window, _Account] = {}
        self._flows: list[tuple[Flow, FlowClaims]] = []
        self._lacking: dict[Flow, FlowClaims] = {}
        self._touched: set[_Account] = set()
        self._doubts: list[PendingRequest] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._problem: StoreUnavailable | None = None
        self._away_since: float | None = None
        self._begin_anew()
        scheduler.on_starved, scheduler.on_fork, scheduler.on_news = self._starved, self._forked, self.tell_news

    @property
    def away_for(self) -> float | None:
        """Seconds since the store was last heard of, None while it answers."""
        return None if self._away_since is None else self.now() - self._away_since

    def flow(self, windows: tuple[Window, ...], keys: list[str], owner: str) -> Flow:
        """A flow whose windows the store keeps under these names."""
        accounts = tuple(self._accounts.setdefault(window, _Account(window, key)) for window, key in zip(windows, keys, strict=True))
        claims = FlowClaims(self, accounts)
        flow = Flow(windows, owner, claims)
        self._flows.append((flow, claims))
        return flow

    def is_void(self, grant: _Grant) -> bool:
        """Whether the time for using it is over: also where the process was stopped, or the machine slept."""
        return self.now() > grant.use_by or _awake() > grant.awake_by

    def touched(self, accounts: tuple[_Account, ...]) -> None:
        """There is something to tell, with the next exchange."""
        self._touched.update(accounts)
        self._matters_until = self.now() + self._lease + self._longest_cycle

    def poke(self) -> None:
        """Look again what there is to do."""
        if self._task is not None:
            self._wake.set()

    def tell_news(self, windows: tuple[Window, ...]) -> None:
        """The server said something that other processes should know at once."""
        if self._task is None or self._task.done():
            self._start()
        self._touched.update(self._accounts[window] for window in windows if window in self._accounts)
        self._wake.set()

    def lift(self, window: Window) -> None:
        """End a pause in the store, too."""
        account = self._accounts[window]
        account.lift, account.pause_told_until = True, -math.inf
        self._touched.add(account)

    async def flush(self) -> None:
        """Return when the store has heard everything, or cannot be reached."""
        self._start()
        while any(account.lift for account in self._touched) and self._away_since is None and self._task and not self._task.done():
            self._wake.set()
            await asyncio.sleep(0.005)

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

    def _starved(self, request: PendingRequest) -> Exception | None:
        """A request has to wait: see to it that the store is asked. Answers why it need not wait."""
        self._start()
        if self._problem is not None and self._on_failure == "fail":
            return _lost(self._problem)
        flow = request.flow
        claims = self._lacking.get(flow)
        if claims is None:
            claims = self._lacking[flow] = next(claims for other, claims in self._flows if other is flow)
            claims.ask_at = -math.inf
        elif len(flow.interactive) == 1 and request.number in flow.interactive:
            claims.ask_at = -math.inf  # those who wait already are bulk, and leave a reserve
        if request.expires_at < math.inf:
            self._doubts.append(request)
        if claims.ask_at <= self.now():
            self._wake.set()
        return None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is not None and not self._task.done() and self._task.get_loop() is loop:
            return
        if self._task is not None and self._task.get_loop() is not loop:
            self._lacking.clear()
            self._give_up_what_is_in_flight()
        self._wake = asyncio.Event()
        # An empty context: the task outlives the call that happened to start it, and must not carry its variables.
        self._task = loop.create_task(self._run(), name="shared quota", context=contextvars.Context())

    def _give_up_what_is_in_flight(self) -> None:
        """Requests of an event loop that is over: nobody will hear their answers."""
        for _, claims in self._flows:
            for grant in list(claims.in_flight):
                claims.settle(grant, self.now() + self._scheduler.counted_within)
            while claims.granted:
                claims.drop(claims.granted.popleft().number)

    def _begin_anew(self) -> None:
        """A process of its own."""
        self._owner, self._label, self._numbers = uuid.uuid4().hex[:12], f"{socket.gethostname()}:{os.getpid()}", 1
        self._trip = 0.0
        self._last_at = self._retry_at = self._matters_until = -math.inf
        self._heard: tuple[int, float, float] | None = None

    def _forked(self) -> None:
        """Nothing of the parent's is this process's."""
        self._task = None
        for collection in (self._lacking, self._touched, self._doubts):
            collection.clear()
        for account in self._accounts.values():
            account.settled, account.unused = {}, set()
        for _, claims in self._flows:
            claims.granted.clear()
            claims.in_flight.clear()
        self._problem = self._away_since = None
        self._begin_anew()

    # The task.

    async def _run(self) -> None:
        try:
            while not self._closing:
                self._wake.clear()
                now = self.now()
                due = self._due(now)
                if due <= now:
                    await self._exchange()
                elif due == math.inf:
                    return
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(due - now):
                            await self._wake.wait()
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    break  # a library below may have swallowed it
            await self._goodbye()
        except asyncio.CancelledError:
            self._closing = self._closing or self._scheduler.closed
            await self._goodbye()
            raise
        except Exception as problem:
            # A fault of ours must not leave anybody waiting for ever.
            logger.exception("claiming shared quota failed")
            reason = str(problem)
            self._scheduler.refuse_everybody(lambda: StoreUnavailable(f"the shared quota cannot be claimed: {reason}"))

    def _due(self, now: float) -> float:
        """When the store is to be spoken to next, infinite where there is nothing to say any more."""
        for flow in [flow for flow in self._lacking if not _lacks(flow, self._lacking[flow])]:
            del self._lacking[flow]
        beat = self._last_at + self._lease / 3
        waiting = self._scheduler.queue.length > 0
        if self._away_since is not None:
            return self._retry_at if waiting or self._touched or now < self._matters_until else math.inf
        dues = [claims.ask_at for claims in self._lacking.values()]
        if any(account.has_news(now) for account in self._touched):
            return now
        if waiting or self._touched or now < self._matters_until:
            dues.append(beat)
        return min(dues, default=math.inf)

    async def _exchange(self) -> None:
        """One exchange; a second try where the first failed at once, as it does on a connection that the store closed."""
        for attempt in (1, 2):
            asked_at, awake_at = self.now(), _awake()
            message, flows = self._message(asked_at)
            self.exchanges += 1
            try:
                reply = await self.store.exchange(message)
            except StoreUnavailable as problem:
                self._unanswered(message, flows)
                if attempt == 2 or self.now() - asked_at > self._lease / 12:
                    self._store_lost(problem)
                    return
            except BaseException:
                self._unanswered(message, flows)
                raise
            else:
                self._take_in(message, flows, reply, asked_at, awake_at)
                return

    def _message(self, now: float) -> tuple[Exchange, list[FlowClaims]]:
        accounts: dict[_Account, list[int]] = {account: [] for account in self._touched}
        if now >= self._last_at + self._lease / 3:
            accounts |= {account: [] for account in self._accounts.values() if account.window.out}
        extend_before = now - self._lease / 3
        for _, flow_claims in self._flows:
            for number, (grant, told_at) in list(flow_claims.in_flight.items()):
                if told_at > extend_before:
                    break
                del flow_claims.in_flight[number]
                flow_claims.in_flight[number] = grant, now
                for account in flow_claims.accounts:
                    accounts.setdefault(account, []).append(number)
        asking = [(flow, claims) for flow, claims in self._lacking.items() if claims.ask_at <= now][:_MOST_FLOWS_IN_A_MESSAGE]
        flows = [flow_claims for _, flow_claims in asking]
        wishes = [(flow_claims, *self._wish(flow, flow_claims, now)) for flow, flow_claims in asking]
        accounts |= {account: accounts.get(account, []) for flow_claims in flows for account in flow_claims.accounts}
        for flow, flow_claims in self._flows:
            while len(flow_claims.granted) > len(flow.interactive) + len(flow.bulk):
                flow_claims.drop(flow_claims.granted.pop().number)
                accounts |= {account: accounts.get(account, []) for account in flow_claims.accounts}
        places = {account: place for place, account in enumerate(accounts)}
        claims: list[Claim] = []
        for flow_claims, interactive, bulk in wishes:
            claims.append(Claim([places[account] for account in flow_claims.accounts], self._numbers, interactive, bulk))
            self._numbers += interactive + bulk
        message = Exchange(
            owner=self._owner,
            label=self._label,
            lease=_microseconds(self._lease),
            horizon=_microseconds(self._horizon()),
            windows=[account.report(now, extended) for account, extended in accounts.items()],
            claims=claims,
        )
        self._told = list(accounts)
        return message, flows

    def _horizon(self) -> float:
        """How far ahead tokens are claimed: until after the next exchange, and well within the time for using them."""
        return min(self._poll + _TRIPS_AHEAD * self._trip, self._lease / 4)

    def _wish(self, flow: Flow, claims: FlowClaims, now: float) -> tuple[int, int]:
        """For how many requests of each class to claim: for those that can leave soon and have no grant."""
        most = math.inf
        for window in flow.windows:
            if window.paused_until > now + self._horizon():
                return 0, 0
            if window.pacer is not None:
                most = min(most, 1 + math.ceil(2 * (self._horizon() + self._trip) / window.pacer.interval + window.waiting / 10))
        interactive = max(0, min(len(flow.interactive) - len(claims.granted), int(min(most, 1e6))))
        spare = max(0, len(claims.granted) - len(flow.interactive))
        return interactive, max(0, int(min(len(flow.bulk) - spare, most - interactive)))

    def _take_in(self, message: Exchange, flows: list[FlowClaims], reply: Reply, asked_at: float, awake_at: float) -> None:
        now = self.now()
        took = max(now - asked_at, _awake() - awake_at)
        self._trip = took if self._trip == 0.0 else self._trip + (took - self._trip) * 0.2
        self._last_at = now
        if self._away_since is not None:
            self._store_regained(now)
        jumped = self._clock_jumped(reply, now)
        replies: dict[_Account, WindowReply] = {}
        for account, report, said in zip(self._told, message.windows, reply.windows, strict=True):
            account.told(report, now)
            replies[account] = said
            self._hear(account, said, now)
            account.distrusted = account.distrusted or jumped
            if not (account.settled or account.unused or account.has_news(now)):
                self._touched.discard(account)
        use_by, awake_by = asked_at + self._lease / 2, awake_at + self._lease / 2
        for claims, claim, delays in zip(flows, message.claims, reply.grants, strict=True):
            numbers = [*range(claim.first, claim.first + len(delays[0]))]
            numbers += range(claim.first + claim.interactive, claim.first + claim.interactive + len(delays[1]))
            for number, delay in zip(numbers, [*delays[0], *delays[1]], strict=True):
                if jumped:
                    claims.drop(number)
                else:
                    claims.granted.append(_Grant(now + delay / 1e6 if delay else now, number, use_by, awake_by))
            claims.granted = deque(sorted(claims.granted))
            if numbers:
                self._matters_until = now + self._lease + self._longest_cycle
            wait = max((max(replies[account].next, replies[account].opens) / 1e6 for account in claims.accounts), default=0.0)
            paused = max((account.window.paused_until - now for account in claims.accounts), default=0.0)
            claims.ask_at = now + max(self._poll, max(wait, paused) - self._horizon())
        self._scheduler.serve()
        doubts, self._doubts = self._doubts, []
        for request in doubts:
            if not request.gone():
                self._scheduler.refuse_if_hopeless(request, now)

    def _clock_jumped(self, reply: Reply, now: float) -> bool:
        """Whether the store's clock went further since the last reply than any time that can have passed here: somebody set it."""
        awake = _awake()
        before, self._heard = self._heard, (reply.windows[0].time, now, awake) if reply.windows else self._heard
        if before is None or self._heard is None:
            return False
        passed = max(now - before[1], awake - before[2]) + 2 * self._trip + _JUMP_SECONDS
        jumped = (self._heard[0] - before[0]) / 1e6 > passed * (1.0 + _DRIFT)
        if jumped:
            logger.warning("the clock of %s was set forward: nothing leaves until what was spent before is over", self.store.name)
        return jumped

    def _hear(self, account: _Account, said: WindowReply, now: float) -> None:
        """Take in what the store says of one window."""
        window = account.window
        account.epoch = said.epoch
        if said.lifts > account.lifts >= 0 and not account.has_news(now):
            window.lift()
        account.lifts = said.lifts
        if said.pause is not None and now + said.pause.left / 1e6 > window.paused_until + _PAUSE_MARGIN_SECONDS:
            until = now + said.pause.left / 1e6
            window.pause(until, now, said.pause.cause, asked_until=now + said.pause.asked / 1e6)
            account.pause_told_until = window.paused_until
            self._scheduler.drop_hopeless(window, now)
        if said.foreign is not None:
            since, until, tokens, strikes = said.foreign
            window.foreign.hear(since / 1e6, until / 1e6, tokens, strikes, now)
            account.foreign_told_until = max(account.foreign_told_until, now + until / 1e6)
        if said.smooth and not window.smooth:
            account.smooth_told = True
            self._adaptive.smooth_out(window)
        if window.active != max(1, said.active):
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

    def _unanswered(self, message: Exchange, flows: list[FlowClaims]) -> None:
        """The message may or may not have arrived: whatever it claimed is unused."""
        for claims, claim in zip(flows, message.claims, strict=True):
            for number in range(claim.first, claim.first + claim.interactive + claim.bulk):
                claims.drop(number)

    def _store_lost(self, problem: StoreUnavailable) -> None:
        now = self.now()
        self._retry_at = now + self._lease / 12
        self._problem = problem
        if self._away_since is None:
            self._away_since = now
            logger.warning("%s (until it can: %s)", problem, self._on_failure)
            if self._scheduler.listeners:
                self._scheduler.listeners.emit(StoreLost(store=self.store.name, policy=self._on_failure, problem=str(problem)))
        if self._on_failure == "fail":
            self._scheduler.refuse_everybody(lambda: _lost(problem))

    def _store_regained(self, now: float) -> None:
        away = now - (self._away_since or now)
        self._away_since = self._problem = None
        logger.warning("%s answers again after %.1f s", self.store.name, away)
        if self._scheduler.listeners:
            self._scheduler.listeners.emit(StoreRegained(store=self.store.name, away=away))

    async def _goodbye(self) -> None:
        """The last exchange: the store hears of everything that is over."""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                self._lacking.clear()
                for _, claims in self._flows:
                    while claims.granted:
                        claims.drop(claims.granted.popleft().number)
                self._last_at = -math.inf
                message, _ = self._message(self.now())
                message.leaving = True
                if message.windows and self._away_since is None:
                    reply = await self.store.exchange(message)
                    for account, report, _ in zip(self._told, message.windows, reply.windows, strict=True):
                        account.told(report, self.now())
        with contextlib.suppress(StoreUnavailable, TimeoutError, OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.store.aclose()


def _lacks(flow: Flow, claims: FlowClaims) -> bool:
    """Whether somebody waits without a grant."""
    return len(flow.interactive) + len(flow.bulk) > len(claims.granted)


def _lost(problem: StoreUnavailable) -> StoreUnavailable:
    return StoreUnavailable(f"{problem.message}. Nothing was sent: on_store_failure='fail' was asked for")


def _microseconds(seconds: float) -> int:
    return math.ceil(seconds * 1e6)
