"""One call's state: request → quota → exchange → answer, repeated where that is safe."""

from __future__ import annotations

import copy
import functools
import time
import uuid
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self, TypeVar

import anyio
import msgspec
from yarl import URL

from spotify_ads_async.auth.credentials import Credentials, SupportsAccepted, finish
from spotify_ads_async.core import error_answers, wire
from spotify_ads_async.core.call_state import PAUSING, SIGNING_IN, WAITING, CallState
from spotify_ads_async.core.outcomes import Repeats, Verify, ending, settled
from spotify_ads_async.core.retry import RetryAction, RetryPolicy
from spotify_ads_async.core.transport import Transport
from spotify_ads_async.errors import (
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    SpotifyAdsError,
)
from spotify_ads_async.events import Listeners
from spotify_ads_async.governor import Governor, Priority
from spotify_ads_async.governor.admission import Admission
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.operation import Operation, Repeat
from spotify_ads_async.types import Secret

__all__ = ["CallOptions", "Session", "Verify"]

AnswerT = TypeVar("AnswerT")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How calls are made.

    ``timeout`` bounds one attempt, from connecting to the answer's last byte; ``max_wait`` one wait for quota;
    ``deadline`` the whole call with its waits and repeats: seconds each, None for no bound. ``validate`` off sends
    what the document forbids, for values that are newer than this package. With ``keep_json`` the items of lists
    remember the JSON that they came from, as single answers always do.
    """

    priority: Priority = Priority.INTERACTIVE
    timeout: float | None = 30.0
    max_wait: float | None = None
    deadline: float | None = None
    validate: bool = True
    keep_json: bool = False


_PUBLISHING, _VALIDATE = "publishCampaignDraft", "VALIDATE"
"""The operation that publishes a draft, and the action with which it changes nothing.

Lost answers are asked for again.
"""

_LONG_WAIT_SECONDS = 1.0
_MOST_ADDRESSES = 4096
"""So many are kept, of one kilobyte each to seven (fifty ids): to take one apart costs a twentieth of its call."""
_now = functools.partial(datetime.now, UTC)
_DELETED: Any = None
"""What a call answers that deletes."""


class Session:
    """Makes calls: with credentials, through a governor, over pooled connections.

    Args:
        credentials: what requests are signed with.
        base_url: the API's address with the version in its path, which may carry the token.
        governor: decides when a request may leave.
        options: the defaults of every call.
        policy: how failed calls are repeated.
        transport: how the network is used.
        listeners: who hears of requests, answers and repeats.

    Raises:
        ConfigurationError: certificates would not be verified.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        base_url: str,
        governor: Governor,
        options: CallOptions,
        policy: RetryPolicy,
        transport: TransportOptions,
        listeners: Listeners,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        root = URL(self.base_url)  # with the host as DNS knows it
        self._root = str(root)
        self.options = options
        self.listeners = listeners
        self._credentials = credentials
        self._accepted = credentials.accepted if isinstance(credentials, SupportsAccepted) else None
        self._quota = governor.scope(origin=str(root.origin()), client_id=credentials.client_id)
        self.policy = policy
        self._repeats = Repeats(policy, credentials)
        self._transport = Transport(transport, on_fork=functools.partial(_warn_of_fork, governor))
        self.transport_options = self._transport.options

    def with_options(self, options: CallOptions) -> Self:
        """A view with other defaults; connections, quota and retry budget are shared."""
        view = copy.copy(self)
        view.options = options
        return view

    async def aclose(self) -> None:
        """Close the connections. A token refresh under way is waited for: its answer may replace the refresh token."""
        try:
            await finish(self._credentials)
        finally:
            await self._transport.aclose()

    async def call(
        self,
        operation: Operation[AnswerT],
        *,
        path: Mapping[str, str] = _NOTHING,
        query: Mapping[str, object] = _NOTHING,
        body: object = None,
        idempotency_key: str | None = None,
        verify: Verify[AnswerT] | None = None,
    ) -> AnswerT:
        """Make one call of ``operation`` and decode its answer.

        ``idempotency_key`` is for operations that honour one (by default each call gets its own, kept over its
        repeats). ``verify`` settles a write whose answer was lost: it reads back and answers the result where the write
        took effect, None where it did not. The deadline does not count its time.

        Raises:
            InvalidRequest: before anything leaves.
            QuotaTimeout: waiting for quota would take longer than allowed; nothing was spent.
            OutcomeUnknown: a write left, and nothing tells whether it took effect.
            SpotifyAdsError: everything else of the tree, see :mod:`spotify_ads_async.errors`.
        """
        options = self.options
        request = wire.request(operation, path=path, query=query, body=body, now=_now, validate=options.validate)
        if operation.id == _PUBLISHING and getattr(body, "action", None) == _VALIDATE:
            operation = msgspec.structs.replace(operation, repeat=Repeat.SAFE)
        if operation.repeat is Repeat.KEYED:
            request = wire.with_idempotency_key(
                operation, request, str(uuid.uuid4()) if idempotency_key is None else idempotency_key
            )
        elif idempotency_key is not None:
            raise InvalidRequest(
                "the operation takes no idempotency key",
                operation=operation.id,
                path="idempotency_key",
                rule="none here",
            )
        self._repeats.budget.calls += 1
        ends_at = None if options.deadline is None else time.monotonic() + options.deadline
        state = CallState(operation=operation, request=request, ends_at=ends_at, listeners=self.listeners)
        try:
            try:
                if options.deadline is None:
                    answer = await self._repeat(operation, state)
                else:
                    answer = await self._repeat_until(options.deadline, operation, state)
            except OutcomeUnknown as unknown:
                if verify is None:
                    raise
                answer = await settled(unknown, verify)
        except SpotifyAdsError as failure:
            state.failed(failure)
            raise
        except BaseException as problem:
            state.abandoned(problem)
            raise
        if self.listeners:
            state.succeeded()
        return answer

    async def _repeat_until(self, deadline: float, operation: Operation[AnswerT], state: CallState) -> AnswerT:
        """As :meth:`_repeat`, for ``deadline`` seconds."""
        with anyio.move_on_after(deadline):
            return await self._repeat(operation, state)
        late = ConnectionFailed(
            f"the call's deadline of {deadline:g} s passed while {state.phase}", operation=operation.id
        )
        if state.unanswered:
            state.doubt = late
        raise ending(operation, late, state)

    async def _repeat(self, operation: Operation[AnswerT], state: CallState) -> AnswerT:
        """Send the request, each time under the governor, until an attempt succeeds or the matrix says stop."""
        address = _address(self._root, state.request.target)
        while True:
            try:
                return await self._attempt(operation, state, address)
            except SpotifyAdsError as error:
                state.lost(error)
                error.operation = operation.id
                failure = error
            except BaseException as problem:
                state.lost(problem)
                raise
            state.unanswered = False
            if state.doubt is not None and operation.method == "DELETE" and isinstance(failure, NotFound):
                # The attempt whose answer was lost did delete it.
                return _DELETED
            action, delay = self._repeats.judge(operation, failure, state, self.options.max_wait)
            if action is RetryAction.FOLLOW:
                return await self._read_completed(operation, failure, state)
            if action not in {RetryAction.AGAIN, RetryAction.AGAIN_WITH_NEW_TOKEN}:
                raise ending(operation, failure, state)
            state.retried(failure, delay)
            state.phase = PAUSING
            await anyio.sleep(delay)

    async def _attempt(self, operation: Operation[AnswerT], state: CallState, address: URL) -> AnswerT:
        """Sign in, wait for quota, send the request once, and decode its answer."""
        options, transport = self.options, self._transport
        state.attempt += 1
        state.phase = SIGNING_IN
        state.retry_after = None
        state.token = token = await self._credentials.token(transport.pool().http)
        state.phase = WAITING
        state.wanted_at = now = time.monotonic()
        max_wait = options.max_wait if state.ends_at is None else _shorter(options.max_wait, state.ends_at - now)
        admission = self._quota.admit(operation.limits, priority=options.priority, max_wait=max_wait)
        # As `async with admission` does, without its coroutines.
        if not admission.enter_nowait():
            token = await self._waited(admission, state, token)
        try:
            answer = await transport.exchange(
                address, state.request, token=token, timeout=options.timeout, departure=admission, progress=state
            )
        except BaseException:
            admission.give_up()
            raise
        status = answer.status
        state.unanswered = False
        if state.under_way:
            state.answered(status)
        if not 200 <= status < 300:
            state.retry_after = admission.retry_after
            failure = error_answers.error(operation, status=status, retry_after=state.retry_after, body=answer.body)
            state.log(status, failure.trace_id)
            raise failure
        if state.logged:
            state.log(status)
        if self._accepted is not None:
            self._accepted(token)
        return wire.answer(
            operation,
            status=status,
            content_type=answer.content_type,
            body=answer.body,
            keep_json=options.keep_json,
            target=state.request.target,
        )

    async def _waited(self, admission: Admission, state: CallState, token: Secret) -> Secret:
        """Wait for quota: afterwards the request may leave at once, with the token that is answered."""
        await admission.enter()
        if time.monotonic() - state.wanted_at < _LONG_WAIT_SECONDS:
            return token
        state.phase = SIGNING_IN
        try:
            # While the call waited, its token may have expired or been revoked.
            state.token = token = await self._credentials.token(self._transport.pool().http)
        except BaseException:
            admission.not_sent()
            raise
        return token

    async def _read_completed(
        self, operation: Operation[AnswerT], conflict: SpotifyAdsError, state: CallState
    ) -> AnswerT:
        """The idempotency key belongs to a create that is done: read what it made."""
        target = wire.target_below(self.base_url, error_answers.resource_uri(conflict))
        failure = conflict
        if target is not None:
            reading = msgspec.structs.replace(operation, method="GET", repeat=Repeat.SAFE)
            request = wire.HttpRequest(method="GET", target=target)
            try:
                again = CallState(operation=reading, request=request, ends_at=state.ends_at, listeners=self.listeners)
                return await self._repeat(reading, again)
            except SpotifyAdsError as error:
                failure = error
        raise ending(operation, failure, state)


@functools.lru_cache(_MOST_ADDRESSES)
def _address(root: str, target: str) -> URL:
    return URL(root + target, encoded=True)


def _warn_of_fork(governor: Governor) -> None:
    if governor.limits and not governor.shared:
        warnings.warn(
            "this process was forked from one that made the client, and its governor keeps the windows in memory:"
            " together the processes exceed the limits that each keeps. Keep the windows in a store that all of them"
            " use, SPOTIFY_ADS_STORE=sqlite:///…",
            RuntimeWarning,
            stacklevel=2,
        )


def _shorter(max_wait: float | None, remaining: float) -> float:
    return max(0.0, remaining if max_wait is None else min(max_wait, remaining))
