"""One call: refusals, keys, the retry budget, reading back, and giving up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import pairwise

import pytest
from support import calls, faults
from support.calls import client
from support.raw_server import Behaviour, Connection, RawServer, answer, stall
from support.virtual_time import on_a_patient_clock

from spotify_ads_async import (
    AuthenticationError,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    Governor,
    InvalidRequest,
    Limit,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RetryPolicy,
    Secret,
    ServerError,
    SpotifyAdsError,
)
from spotify_ads_async.events import CallFailed, CallSucceeded, Event, RequestRetried, RequestSent
from spotify_ads_async.governor import Waiting


async def test_a_brown_out_is_not_amplified() -> None:
    policy = RetryPolicy(first_delay=0.0, longest_delay=0.0)
    async with RawServer(otherwise=faults.failed(503)) as server, client(server.base_url, policy=policy) as ads:
        for _ in range(500):
            with pytest.raises(ServerError):
                await calls.READ.by(ads)
        assert 500 < len(server.received) <= 500 * 1.1 + policy.budget_reserve
        # Views of a client draw on the same budget.
        before = len(server.received)
        for _ in range(100):
            with pytest.raises(ServerError):
                await calls.READ.by(ads.with_options(timeout=5.0))
        assert len(server.received) - before <= 110


async def test_calls_that_succeed_let_others_be_repeated() -> None:
    policy = RetryPolicy(first_delay=0.0, budget_reserve=1.0, budget_ratio=0.25)
    works, fails = answer(200, calls.READ.answer), faults.failed(503)
    async with RawServer(script=[fails, *[works] * 4, fails, works, fails]) as server:
        async with client(server.base_url, policy=policy) as ads:
            for _ in range(5):
                await calls.READ.by(ads)
            with pytest.raises(ServerError):
                await calls.READ.by(ads)
        assert len(server.received) == 8


class ManyTokens:
    """Credentials that always have another token."""

    def __init__(self) -> None:
        self.client_id = None
        self.refused: list[Secret] = []
        self.worked: list[Secret] = []

    async def token(self, http: object) -> Secret:
        del http
        return Secret(f"token-{len(self.refused)}")

    def invalidate(self, token: Secret) -> bool:
        self.refused.append(token)
        return True

    def accepted(self, token: Secret) -> None:
        self.worked.append(token)


@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_call_asks_for_another_token_once(refusals: int) -> None:
    credentials, delays = ManyTokens(), list[float]()
    script = [faults.failed(401)] * refusals
    async with RawServer(otherwise=answer(200, calls.READ.answer), script=script) as server:
        async with client(server.base_url, credentials) as ads:
            ads.subscribe(lambda event: delays.append(event.delay) if isinstance(event, RequestRetried) else None)
            with contextlib.nullcontext() if refusals == 1 else pytest.raises(AuthenticationError):
                await calls.READ.by(ads)
        assert len(server.received) == 2
    assert delays == [0.0]
    assert [one.reveal() for one in credentials.refused] == ["token-0", "token-1"][:refusals]
    assert [one.reveal() for one in credentials.worked] == ["token-1"][refusals - 1 :]


async def test_refusals_and_replays_do_not_use_up_the_budget() -> None:
    refused_twice = [faults.failed(429, Retry_After="0")] * 2
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server:
        policy = RetryPolicy(first_delay=0.0, longest_delay=0.0, budget_reserve=0.0, budget_ratio=0.0)
        async with client(server.base_url, policy=policy) as ads:
            for _ in range(5):
                server.script.extend(refused_twice)
                await calls.READ.by(ads)


@on_a_patient_clock
async def test_retry_after_is_kept_without_a_window_to_pause() -> None:
    arrivals: list[float] = []

    async def refuse_once(connection: Connection) -> None:
        arrivals.append(time.monotonic())
        await (faults.failed(429, Retry_After="0.2") if len(arrivals) == 1 else answer(200, calls.READ.answer))(
            connection
        )

    async with RawServer(otherwise=refuse_once) as server, client(server.base_url) as ads:
        await calls.READ.by(ads)
    assert arrivals[1] - arrivals[0] >= 0.2


@pytest.mark.parametrize("status", [503, 409])
@on_a_patient_clock
async def test_retry_after_is_kept_on_other_answers_too(status: int) -> None:
    events: list[Event] = []
    body = {"error_codes": [{"code": "IDEMPOTENCY_REQUEST_IN_PROGRESS"}]}
    later = faults.failed(status, body, Retry_After="0.1")
    async with (
        RawServer(otherwise=answer(201, calls.CREATE.answer), script=[later]) as server,
        client(server.base_url) as ads,
    ):
        ads.subscribe(events.append)
        await calls.CREATE.by(ads)
    (retried,) = (event for event in events if isinstance(event, RequestRetried))
    assert retried.delay >= 0.1


@on_a_patient_clock
async def test_a_retry_after_of_one_attempt_says_nothing_about_the_next_failure() -> None:
    events: list[Event] = []
    script = [faults.failed(429, Retry_After="0.2"), faults.reset]
    async with (
        RawServer(otherwise=answer(200, calls.READ.answer), script=script) as server,
        client(server.base_url) as ads,
    ):
        ads.subscribe(events.append)
        await calls.READ.by(ads)
    first, second = (event.delay for event in events if isinstance(event, RequestRetried))
    assert first >= 0.2
    assert second <= calls.QUICK.longest_delay


async def test_a_refusal_longer_than_patience_is_raised_at_once() -> None:
    async with (
        RawServer(otherwise=faults.failed(429, Retry_After="30")) as server,
        client(server.base_url, max_wait=1.0) as ads,
    ):
        with pytest.raises(RateLimited) as caught:
            await calls.WRITE.by(ads)
        assert len(server.received) == 1
    assert caught.value.retry_after == 30.0
    assert caught.value.status == 429
    assert not caught.value.may_have_taken_effect


async def test_a_refusal_beyond_the_cap_names_the_wait() -> None:
    async with RawServer(otherwise=faults.failed(429, Retry_After="79892")) as server, client(server.base_url) as ads:
        with pytest.raises(RateLimited) as caught:
            await calls.READ.by(ads)
    assert caught.value.retry_after == 79892.0


async def test_a_wait_of_just_the_cap_is_kept() -> None:
    policy = RetryPolicy(retry_after_cap=0.0, first_delay=0.0)
    script = [faults.failed(429, Retry_After="0"), faults.failed(503, Retry_After="0")]
    async with RawServer(otherwise=answer(200, calls.READ.answer), script=script) as server:
        async with client(server.base_url, policy=policy) as ads:
            await calls.READ.by(ads)
        assert len(server.received) == 3


async def test_refusals_and_failures_are_counted_apart_and_bounded() -> None:
    policy = RetryPolicy(refusals=2, attempts=3, first_delay=0.0)
    for behaviour, count in ((faults.failed(429, Retry_After="0"), 3), (faults.failed(503), 3)):
        async with RawServer(otherwise=behaviour) as server:
            async with client(server.base_url, policy=policy, max_wait=0.0) as ads:
                with pytest.raises(SpotifyAdsError):
                    await calls.READ.by(ads)
            assert len(server.received) == count
    script = [faults.failed(429, Retry_After="0"), faults.failed(503), faults.failed(429, Retry_After="0")]
    async with RawServer(otherwise=answer(200, calls.READ.answer), script=[*script, faults.failed(503)]) as server:
        async with client(server.base_url, policy=policy) as ads:
            await calls.READ.by(ads)
        assert len(server.received) == 5


async def test_a_delete_that_was_lost_and_is_refused_then_may_have_taken_effect() -> None:
    for call, script, in_doubt in (
        (calls.DELETE_DRAFT, [faults.reset], True),
        (calls.DELETE_DRAFT, [], False),
        (calls.READ, [faults.reset], False),
    ):
        async with RawServer(otherwise=faults.failed(403), script=script) as server, client(server.base_url) as ads:
            with pytest.raises(PermissionDenied) as caught:
                await call.by(ads)
        assert caught.value.may_have_taken_effect is in_doubt


@pytest.mark.parametrize(
    ("call", "script", "deleted"),
    [(calls.DELETE_DRAFT, [faults.reset], True), (calls.DELETE_DRAFT, [], False), (calls.READ, [faults.reset], False)],
)
async def test_a_delete_that_was_lost_and_finds_nothing_then_did_delete(
    call: calls.Call, script: list[Behaviour], *, deleted: bool
) -> None:
    async with RawServer(otherwise=faults.failed(404), script=[*script]) as server, client(server.base_url) as ads:
        with contextlib.nullcontext() if deleted else pytest.raises(NotFound):
            assert await call.by(ads) is None


async def test_a_write_that_the_server_failed_at_is_in_doubt_and_says_what_to_do() -> None:
    async with RawServer(otherwise=faults.failed(502)) as server, client(server.base_url) as ads:
        with pytest.raises(OutcomeUnknown) as caught:
            await calls.WRITE.by(ads)
    assert str(caught.value) == (
        "updateAdSet: the request left and nothing tells whether it took effect: read it back before sending it again;"
        " last seen: the server failed; the server says: no; NO: no (HTTP 502, sp_trace_id trace, it may have taken"
        " effect)"
    )


async def test_every_create_has_a_key_of_its_own_and_keeps_it() -> None:
    lost_twice = [faults.reset, faults.failed(500)]
    async with (
        RawServer(otherwise=answer(201, calls.CREATE.answer), script=lost_twice) as server,
        client(server.base_url) as ads,
    ):
        await calls.CREATE.by(ads)
        await calls.CREATE.by(ads)
        await calls.CREATE.by(ads, idempotency_key="my-own")
    *first, second, third = (request.headers["idempotency-key"] for request in server.received)
    assert len(first) == 3
    assert len({*first, second, third}) == 3
    assert third == "my-own"
    assert server.received[0].body == server.received[3].body, "equal creates that are both wanted stay two"


async def test_what_the_document_forbids_leaves_only_where_somebody_wants_it() -> None:
    too_short = calls.Call(calls.CREATE.operation, calls.CREATE.path, calls.campaign("x"), status=201)
    async with RawServer(otherwise=answer(201, too_short.answer)) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest):
            await too_short.by(ads)
        assert not server.received
        await too_short.by(ads.with_options(validate=False))
        assert len(server.received) == 1


async def test_a_key_for_an_operation_that_takes_none_is_refused() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        for call in (calls.READ, calls.WRITE, calls.DELETE_DRAFT):
            with pytest.raises(InvalidRequest, match=r": the operation takes no idempotency key$") as caught:
                await call.by(ads, idempotency_key="x")
            error = caught.value
            assert (error.operation, error.path, error.rule) == (call.operation.id, "idempotency_key", "none here")
        assert not server.received


@pytest.mark.parametrize("host", ["", "https://api-partner.spotify.com"])  # as the API names itself behind a proxy
async def test_a_create_under_way_elsewhere_is_waited_for(host: str) -> None:
    in_progress = faults.conflict("IDEMPOTENCY_REQUEST_IN_PROGRESS")
    where = faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=f"{host}{faults.CREATED}")
    made = answer(200, {"id": calls.THING, "name": "made"})
    async with RawServer(otherwise=made, script=[in_progress] * 8 + [where]) as server, client(server.base_url) as ads:
        assert (await calls.CREATE.by(ads)).name == "made"
    assert [request.method for request in server.received] == ["POST"] * 9 + ["GET"]
    assert server.received[-1].target == faults.CREATED


COMPLETED = faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=faults.CREATED)


async def test_what_a_create_made_is_read_as_any_other_read_is() -> None:
    heard: list[Event] = []
    made = answer(200, {"id": calls.THING, "name": "made"})
    script = [COMPLETED, faults.failed(503), faults.reset]
    async with RawServer(otherwise=made, script=script) as server, client(server.base_url) as ads:
        ads.subscribe(heard.append)
        assert (await calls.CREATE.by(ads)).name == "made"
    sent = [event for event in heard if isinstance(event, RequestSent)]
    assert [(one.operation, one.method) for one in sent] == [
        ("createCampaign", "POST"),
        *[("createCampaign", "GET")] * 3,
    ]
    assert [request.body for request in server.received[1:]] == [b""] * 3


@pytest.mark.parametrize(
    ("conflict", "then", "seen"),
    [
        (COMPLETED, faults.failed(404), (404, ["POST", "GET"])),
        (COMPLETED, answer(206, {"id": calls.THING}), (206, ["POST", "GET"])),
        (faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED"), answer(200, {}), (409, ["POST"])),
    ],
    ids=["gone", "a part", "nobody says where it is"],
)
async def test_what_a_create_made_and_cannot_be_read_is_an_unknown_outcome(
    conflict: Behaviour, then: Behaviour, seen: tuple[int, list[str]]
) -> None:
    async with RawServer(otherwise=then, script=[conflict]) as server, client(server.base_url) as ads:
        with pytest.raises(OutcomeUnknown) as caught:
            await calls.CREATE.by(ads)
    error = caught.value
    assert (error.status, [request.method for request in server.received]) == seen
    assert error.operation == "createCampaign"
    assert error.message.startswith(
        "the create took effect under this idempotency key before, and what it made cannot be read: look it up;"
        " last seen: "
    )
    assert isinstance(error.__cause__, Conflict)


async def test_a_reused_key_says_so() -> None:
    async with RawServer(otherwise=faults.KEYS["key reused"].behaviour) as server, client(server.base_url) as ads:
        with pytest.raises(SpotifyAdsError, match="use a key once"):
            await calls.CREATE.by(ads, idempotency_key="again")


@pytest.mark.parametrize("found", [True, False])
async def test_verify_settles_an_unknown_outcome(found: bool) -> None:  # noqa: FBT001
    events: list[Event] = []
    lost = faults.failed(500, {"sp-trace-id": "a-trace"})
    async with RawServer(otherwise=lost) as server, client(server.base_url) as ads:
        ads.subscribe(events.append)

        async def look() -> object:
            return "what stands there" if found else None

        if found:
            assert await calls.WRITE.by(ads, verify=look) == "what stands there"
        else:
            with pytest.raises(ConnectionFailed) as caught:
                await calls.WRITE.by(ads, verify=look)
            assert not caught.value.may_have_taken_effect
            assert str(caught.value) == (
                "updateAdSet: the answer was lost, and reading back shows that the request took no effect: it can be"
                " sent again (updateAdSet: the server failed (HTTP 500, sp_trace_id a-trace)) (HTTP 500, sp_trace_id"
                " a-trace)"
            )
    assert isinstance(events[-1], CallSucceeded if found else CallFailed)


async def test_verify_is_not_asked_where_nothing_is_in_doubt() -> None:
    async def look() -> object:
        raise AssertionError

    async with (
        RawServer(otherwise=answer(200, calls.WRITE.answer), script=[faults.failed(400)]) as server,
        client(server.base_url) as ads,
    ):
        with pytest.raises(SpotifyAdsError):
            await calls.WRITE.by(ads, verify=look)
        await calls.WRITE.by(ads, verify=look)


async def test_what_verify_raises_is_raised() -> None:
    async def look() -> object:
        raise KeyError("mine")

    async with RawServer(otherwise=faults.reset) as server, client(server.base_url) as ads:
        with pytest.raises(KeyError, match="mine"):
            await calls.WRITE.by(ads, verify=look)


async def test_cancelled_calls_give_everything_back() -> None:
    governor = Governor([Limit("client_id", requests=1500, window=30.0)])
    async with RawServer(otherwise=stall) as server, client(server.base_url, governor=governor) as ads:
        tasks = [asyncio.create_task(call.by(ads)) for call in calls.EVERY.values() for _ in range(20)]
        while len(server.received) < 60:  # noqa: ASYNC110 (until enough of them arrived)
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert governor.snapshot().windows[0].in_flight == 0
        server.otherwise = answer(200, calls.READ.answer)
        await calls.READ.by(ads)


async def test_a_server_has_one_window_however_its_address_is_spelled() -> None:
    governor = Governor([Limit("ip", requests=5, window=10.0)])
    async with RawServer(otherwise=answer(200, {"id": calls.THING})) as server:
        for host in ("localhost", "LocalHost"):
            async with client(server.base_url.replace("127.0.0.1", host), governor=governor) as ads:
                await calls.READ.by(ads)
    assert [window.available for window in governor.snapshot().windows] == [3]


async def test_a_closed_client_says_so() -> None:
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server:
        async with client(server.base_url) as ads:
            await calls.READ.by(ads)
        with pytest.raises(ConfigurationError, match="closed"):
            await calls.READ.by(ads)
        assert len(server.received) == 1


async def test_pauses_grow_and_are_spread() -> None:
    from spotify_ads_async.core.retry import backoff  # noqa: PLC0415

    policy = RetryPolicy()
    longest = [backoff(policy, attempt, lambda: 1.0) for attempt in range(1, 12)]
    assert longest[0] == policy.first_delay
    assert all(later == min(2 * earlier, policy.longest_delay) for earlier, later in pairwise(longest))
    assert backoff(policy, 5, lambda: 0.0) == 0.0


@on_a_patient_clock
async def test_a_call_that_waits_for_quota_while_the_client_closes_is_told_so() -> None:
    governor = Governor([Limit("client_id", requests=1, window=0.2)], clock=time.monotonic)
    waits = asyncio.Event()
    governor.subscribe(lambda event: waits.set() if isinstance(event, Waiting) else None)
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server:
        async with client(server.base_url, governor=governor) as ads:
            await calls.READ.by(ads)
            late = asyncio.ensure_future(calls.READ.by(ads))
            await waits.wait()
        with pytest.raises(ConfigurationError, match="the client is closed"):
            await late
        assert len(server.received) == 1
