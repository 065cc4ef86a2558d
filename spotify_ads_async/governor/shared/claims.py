"""Claims: the task that speaks to the store while somebody waits or there is news, and what happens without it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
from collections.abc import Callable
from typing import Literal

from spotify_ads_async.errors import StoreUnavailable
from spotify_ads_async.governor.adaptive import AdaptiveLimits
from spotify_ads_async.governor.events import StoreLost, StoreRegained
from spotify_ads_async.governor.shared.conversation import Conversation, Message
from spotify_ads_async.governor.shared.store import KeptWindow, Store, lift_pauses
from spotify_ads_async.governor.wait_queue import PendingRequest
from spotify_ads_async.governor.window import Window
from spotify_ads_async.limits import Limit

__all__ = ["Claims", "OnStoreFailure"]

OnStoreFailure = Literal["fail", "pause"]
"""What happens while the store is away: waiting calls fail, or they wait."""

logger = logging.getLogger("spotify_ads_async")

_GOODBYE_SECONDS = 1.0
_SILENT_SECONDS = 0.4  # before those without patience are told why nothing came


class Claims:
    """Claims tokens for a governor's requests: one exchange at a time; while it is under way, the next collects."""

    def __init__(
        self, store: Store, adaptive: AdaptiveLimits, limits: tuple[Limit, ...], on_failure: OnStoreFailure
    ) -> None:
        self.store, self.exchanges = store, 0
        self._conversation = Conversation(adaptive, limits)
        self._scheduler, self._on_failure, self._now = adaptive.scheduler, on_failure, adaptive.scheduler.clock
        self._wake, self._closing = asyncio.Event(), False
        self._forked()
        self._scheduler.on_starved, self._scheduler.on_fork = self._starved, self._forked
        self._scheduler.on_refusal, self._scheduler.why_away = self._refused, self._why_away

    def _forked(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._said: Message | None = None  # what the store has not answered yet
        self._problem: StoreUnavailable | None = None  # while the store is away
        self._away_since = self._retry_at = -math.inf
        self._conversation.begin_anew()

    @property
    def away_for(self) -> float | None:
        """Seconds since the store was last heard of, None while it answers."""
        return None if self._problem is None else self._now() - self._away_since

    async def lift(self, is_meant: Callable[[str], bool]) -> set[str]:
        """End pauses by hand in the store, if it answers: other processes hear of it there. Answers whose they were."""
        lifted = list[KeptWindow]()
        with contextlib.suppress(StoreUnavailable):
            lifted = await lift_pauses(self.store, [one for one in await self.store.look() if is_meant(one.key)])
        self._conversation.ask_soon()
        self._wake.set()
        return {one.key for one in lifted}

    async def aclose(self) -> None:
        """Tell the store the rest, and end."""
        self._closing = True
        task = self._start()
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
        if self._conversation.ask(request):
            self._wake.set()
        return None

    def _why_away(self) -> str | None:
        """Why nothing is heard of the store at present."""
        if self._problem is not None:
            return self._problem.message
        silent = 0.0 if self._said is None else self._now() - self._said.asked_at
        return f"{self.store.name} has not answered for {silent:.1f} s" if silent >= _SILENT_SECONDS else None

    def _refused(self, windows: tuple[Window, ...]) -> None:
        """The server refused a request: other processes should know at once."""
        self._conversation.news.update(windows)
        self._start()
        self._wake.set()

    def _start(self) -> asyncio.Task[None]:
        loop, task = asyncio.get_running_loop(), self._task
        if task is None or task.get_loop() is not loop or task.done():
            self._wake = asyncio.Event()
            self._unanswered(self._said)  # of a loop that stands still
            # An empty context: the task outlives the call that happened to start it, and must not carry its variables.
            self._task = task = loop.create_task(
                self._run(self._wake), name="shared quota", context=contextvars.Context()
            )
        return task

    async def _run(self, wake: asyncio.Event) -> None:
        """Speak to the store while there is something to say, and until another loop's task does: it has a ``wake``."""
        try:
            while self._wake is wake and not self._closing:
                if self._task is not None and self._task.cancelling():
                    break  # a library below swallowed it
                wake.clear()
                now = self._now()
                due = self._conversation.due(now) if self._problem is None else self._retry_at
                if due <= now:
                    await self._exchange()
                elif due == math.inf:
                    return  # without a goodbye: whoever comes while it is said would wait in vain
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(due - now):
                            await wake.wait()
            await self._goodbye(wake)
        except asyncio.CancelledError:
            await self._goodbye(wake)
            raise
        except Exception as problem:
            # A fault of ours must not leave anybody waiting for ever.
            logger.exception("claiming shared quota failed")
            reason = str(problem)
            self._scheduler.refuse_everybody(lambda: StoreUnavailable(f"the shared quota cannot be claimed: {reason}"))

    async def _exchange(self) -> None:
        """One exchange, and another where it failed at once, as it does on a connection that the store closed."""
        for last_try in (False, True):
            said = self._said = self._conversation.message()
            self.exchanges += 1
            try:
                reply = await self.store.exchange(said.exchange)
            except BaseException as problem:
                lost = self._unanswered(said)
                if not isinstance(problem, StoreUnavailable):
                    raise
                if lost and not last_try and self._now() - said.asked_at <= self._conversation.lease / 12:
                    continue
                if lost:
                    self._store_lost(problem)
            else:
                if self._said is not said:
                    return  # another loop has taken over, and goes by its own
                self._said = None
                if (away := self.away_for) is not None:
                    self._problem = None
                    logger.warning("%s answers again after %.1f s", self.store.name, away)
                    self._scheduler.listeners.emit(StoreRegained(store=self.store.name, away=away))
                self._conversation.take_in(said, reply, self.store.name)
            return

    def _unanswered(self, said: Message | None) -> bool:
        """Nobody waits for the answer any more. Answers whether anybody did: each is told of once."""
        if said is None or said is not self._said:
            return False
        self._said = None
        self._conversation.unanswered(said)
        return True

    def _store_lost(self, problem: StoreUnavailable) -> None:
        now, was_away = self._now(), self._problem is not None
        self._retry_at, self._problem = now + self._conversation.lease / 12, problem
        if not was_away:
            self._away_since = now
            # Calls that fail say it themselves.
            level = logging.INFO if self._on_failure == "fail" else logging.WARNING
            logger.log(level, "%s; meanwhile calls %s", problem, self._on_failure)
            lost = StoreLost(store=self.store.name, policy=self._on_failure, problem=str(problem))
            self._scheduler.listeners.emit(lost)
        if self._on_failure == "fail":
            self._scheduler.refuse_everybody(lambda: _lost(problem))

    async def _goodbye(self, wake: asyncio.Event) -> None:
        """The store hears of everything that is over, unless another loop goes on."""
        if self._wake is not wake:
            return
        said = self._conversation.message(leaving=True)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                if said.exchange.windows and self._problem is None:
                    await self.store.exchange(said.exchange)
        with contextlib.suppress(StoreUnavailable, TimeoutError, OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.store.aclose()


def _lost(problem: StoreUnavailable) -> StoreUnavailable:
    return StoreUnavailable(f"{problem.message}. Nothing was sent")
