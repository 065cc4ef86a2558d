"""Call state: where one call stands, and who is told of its attempts."""

from __future__ import annotations

import functools
import itertools
import logging
import math
import time
from typing import Any

import msgspec

from spotify_ads_async.core import wire
from spotify_ads_async.errors import SpotifyAdsError, say_whether_left
from spotify_ads_async.events import (
    CallFailed,
    CallSucceeded,
    Listeners,
    RequestAnswered,
    RequestLost,
    RequestRetried,
    RequestSent,
)
from spotify_ads_async.operation import Operation, Repeat
from spotify_ads_async.types import Secret

__all__ = ["IN_FLIGHT", "PAUSING", "SIGNING_IN", "WAITING", "CallState"]

logger = logging.getLogger("spotify_ads_async")
request_log = logging.getLogger("spotify_ads_async.requests")
"""Says each attempt at DEBUG: method, path, status, seconds, seconds waited for quota, trace ID.

Never a header or a body.
"""

SIGNING_IN = "signing in"
WAITING = "waiting for quota"
IN_FLIGHT = "waiting for the answer"
PAUSING = "pausing before another attempt"


class CallState(msgspec.Struct, kw_only=True):
    """Where one call stands. Told by the transport how far its present attempt came."""

    operation: Operation[Any]
    request: wire.HttpRequest
    ends_at: float | None
    listeners: Listeners
    logged: bool = msgspec.field(default_factory=functools.partial(request_log.isEnabledFor, logging.DEBUG))
    call: int = msgspec.field(default_factory=itertools.count(1).__next__)
    phase: str = SIGNING_IN
    attempt: int = 0
    failures: int = 0
    refusals: int = 0
    unanswered: bool = False
    """Whether the present attempt left completely and has no answer yet."""
    token: Secret | None = None
    token_replaced: bool = False
    retry_after: float | None = None
    doubt: SpotifyAdsError | None = None
    """The failure after which the call may have taken effect."""
    wanted_at: float = 0.0
    left_at: float = 0.0
    seconds: float = 0.0
    """From the last answered attempt's departure to its end."""
    under_way: bool = False
    """Whether somebody was told of the present attempt's departure, and not yet of its end."""

    def leaving(self) -> None:
        """The present attempt has its quota and a connection."""
        self.phase = IN_FLIGHT
        if self.listeners or self.logged:
            self.left_at = time.monotonic()
            self.under_way = True
            self.listeners.emit(
                RequestSent(
                    call=self.call,
                    operation=self.operation.id,
                    attempt=self.attempt,
                    method=self.request.method,
                    target=self.request.target,
                    waited=self.left_at - self.wanted_at,
                )
            )

    def left(self) -> None:
        """The last byte of the present attempt is on its way."""
        self.unanswered = True

    def answered(self, status: int) -> None:
        """The answer to the present attempt, whose departure somebody was told of, was read to its end."""
        self.seconds = time.monotonic() - self.left_at
        self.under_way = False
        self.listeners.emit(
            RequestAnswered(
                call=self.call, operation=self.operation.id, attempt=self.attempt, status=status, seconds=self.seconds
            )
        )

    def log(self, result: object, trace_id: str | None = None) -> None:
        """Say how the present attempt ended, to whoever reads the log of requests."""
        if not self.logged:
            return
        request = self.request
        request_log.debug(
            "%s %s → %s in %.3f s, after %.3f s of waiting for quota; %s, attempt %d%s",
            request.method,
            request.target,
            result,
            self.seconds,
            max(0.0, self.left_at - self.wanted_at),
            self.operation.id,
            self.attempt,
            f", trace {trace_id}" if trace_id else "",
        )

    def lost(self, problem: BaseException) -> None:
        """The present attempt ended without a whole answer."""
        if self.under_way:
            self.under_way = False
            self.seconds = time.monotonic() - self.left_at
            self.log(f"no answer ({type(problem).__name__})")
            self.listeners.emit(
                RequestLost(
                    call=self.call,
                    operation=self.operation.id,
                    attempt=self.attempt,
                    seconds=self.seconds,
                    error=type(problem).__name__,
                    # A request without a body does not see its last byte leave: how it ended tells.
                    left=self.unanswered or getattr(problem, "may_have_taken_effect", False),
                )
            )

    def retried(self, failure: SpotifyAdsError, delay: float) -> None:
        """Another attempt follows."""
        name, reason = type(failure).__name__, str(failure)
        logger.info("attempt %d failed, again in %.3f s: %s", self.attempt, delay, reason)
        if self.listeners:
            self.listeners.emit(
                RequestRetried(
                    call=self.call,
                    operation=self.operation.id,
                    attempt=self.attempt,
                    delay=delay,
                    error=name,
                    reason=reason,
                )
            )

    def succeeded(self) -> None:
        """The caller gets an answer."""
        self.listeners.emit(CallSucceeded(call=self.call, operation=self.operation.id, attempts=self.attempt))

    def failed(self, failure: SpotifyAdsError) -> None:
        """The caller gets an error."""
        doubt = failure.may_have_taken_effect
        if doubt:
            logger.warning("%s", failure)
        self._end(failure, in_doubt=doubt)

    def abandoned(self, problem: BaseException) -> None:
        """The caller is cancelled, or ends in another way that is no error of the call."""
        say_whether_left(problem, may_have_left=self.phase == IN_FLIGHT or self.doubt is not None)
        doubt = self.operation.repeat is not Repeat.SAFE and (self.unanswered or self.doubt is not None)
        if doubt:
            said = (
                f"{self.operation.id}: the call was given up after its request left: it may have taken effect, read it"
                " back"
            )
            problem.add_note(said)
            logger.warning("%s (%s)", said, type(problem).__name__)
        self._end(problem, in_doubt=doubt)

    def _end(self, problem: BaseException, *, in_doubt: bool) -> None:
        if self.listeners:
            name = type(problem).__name__
            self.listeners.emit(
                CallFailed(
                    call=self.call, operation=self.operation.id, attempts=self.attempt, error=name, in_doubt=in_doubt
                )
            )

    def remaining(self, now: float) -> float:
        """Seconds until the deadline, endless without one."""
        return math.inf if self.ends_at is None else max(0.0, self.ends_at - now)
