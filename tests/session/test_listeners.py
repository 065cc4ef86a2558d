"""Listeners hear of every call, to its end, and can do nothing to it."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import subprocess
import sys
from collections.abc import Callable

import anyio
import msgspec
import pytest
from support import calls
from support.raw_server import Connection, RawServer, answer, reset, stall

from spotify_ads_async import ConfigurationError, Governor, Limit, OutcomeUnknown, ServerError
from spotify_ads_async.errors import may_have_left
from spotify_ads_async.events import (
    CallFailed,
    CallSucceeded,
    Event,
    Listener,
    RequestAnswered,
    RequestLost,
    RequestRetried,
    RequestSent,
)
from spotify_ads_async.governor import Priority, Waiting
from spotify_ads_async.models import CampaignDraftPublish, PublishAction
from spotify_ads_async.operation import Repeat
from spotify_ads_async.operations import PUBLISH_CAMPAIGN_DRAFT


def timeless(event: Event) -> Event:
    """An event with nought for what is measured, once that was seen to be a time within this test."""
    measured = {name for name in ("seconds", "waited", "delay") if hasattr(event, name)}
    assert all(0.0 <= getattr(event, name) < 60.0 for name in measured)
    return msgspec.structs.replace(event, **dict.fromkeys(measured, 0.0))


async def test_a_call_is_told_and_logged_attempt_by_attempt(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    caplog.set_level(logging.DEBUG, "spotify_ads_async")
    busy = answer(503, {"messages": ["busy"], "sp-trace-id": "a-trace"})
    async with (
        RawServer(otherwise=answer(200, {}), script=[busy, reset]) as server,
        calls.client(server.base_url) as ads,
    ):
        ads.subscribe(heard.append)
        await calls.READ.by(ads)
    sent = functools.partial(
        RequestSent,
        call=heard[0].call,
        operation="getAdSetById",
        method="GET",
        target=f"/ad_accounts/{calls.ACCOUNT}/ad_sets/{calls.THING}",
        waited=0.0,
    )
    about = {"call": heard[0].call, "operation": "getAdSetById"}
    failed = "getAdSetById: the server failed; the server says: busy (HTTP 503, sp_trace_id a-trace)"
    lost = heard[5].reason
    assert [timeless(event) for event in heard] == [
        sent(attempt=1),
        RequestAnswered(**about, attempt=1, status=503, seconds=0.0),
        RequestRetried(**about, attempt=1, delay=0.0, error="ServerError", reason=failed),
        sent(attempt=2),
        RequestLost(**about, attempt=2, seconds=0.0, error="ConnectionFailed", left=True),
        RequestRetried(**about, attempt=2, delay=0.0, error="ConnectionFailed", reason=lost),
        sent(attempt=3),
        RequestAnswered(**about, attempt=3, status=200, seconds=0.0),
        CallSucceeded(**about, attempts=3),
    ]
    assert len(re.findall(r", after \d+\.\d{3} s of waiting for quota", caplog.text)) == 3
    logged = [re.sub(r"\d+\.\d{3} s", "0 s", record.getMessage()) for record in caplog.records]
    attempt = f"GET {sent(attempt=1).target} → %s in 0 s, after 0 s of waiting for quota; getAdSetById, attempt %s"
    assert logged == [
        attempt % (503, "1, trace a-trace"),
        f"attempt 1 failed, again in 0 s: {failed}",
        attempt % ("no answer (ConnectionFailed)", 2),
        f"attempt 2 failed, again in 0 s: {lost}",
        attempt % (200, 3),
    ]


def raises(problem: BaseException) -> Callable[[Event], None]:
    def listener(event: Event) -> None:
        del event
        raise problem

    return listener


async def test_the_same_function_twice_is_two_subscriptions() -> None:
    heard: list[Event] = []
    listener = heard.append
    async with RawServer(otherwise=answer(200, {})) as server, calls.client(server.base_url) as ads:
        ends = [ads.subscribe(listener), ads.subscribe(listener)]
        for expected in (6, 3, 0):
            heard.clear()
            await calls.READ.by(ads)
            assert len(heard) == expected
            # Ending one twice does not end the other.
            for end in ends[:1]:
                end()
                end()
            del ends[:1]


@pytest.mark.parametrize(
    "problem", [ValueError("no"), asyncio.CancelledError(), SystemExit(3), GeneratorExit()], ids=repr
)
async def test_nothing_that_a_listener_raises_touches_a_call(
    problem: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []
    async with RawServer(otherwise=answer(200, calls.WRITE.answer)) as server, calls.client(server.base_url) as ads:
        ads.subscribe(raises(problem))
        ads.subscribe(heard.append)
        with anyio.fail_after(60):
            assert (await calls.WRITE.by(ads)).id == calls.THING
    assert isinstance(heard[-1], CallSucceeded)
    assert all("an event listener raised on" in record.getMessage() for record in caplog.records)
    assert len(caplog.records) == 3


async def test_a_listener_that_is_interrupted_ends_the_program() -> None:
    async with RawServer(otherwise=answer(200, {})) as server, calls.client(server.base_url) as ads:
        ads.subscribe(lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await calls.READ.by(ads)


async def test_a_write_that_was_refused_is_in_no_doubt_where_a_listener_is_interrupted() -> None:
    heard: list[Event] = []

    def interrupted(event: Event) -> None:
        heard.append(event)
        if isinstance(event, RequestAnswered):
            raise KeyboardInterrupt

    async with RawServer(otherwise=answer(403, {})) as server, calls.client(server.base_url) as ads:
        ads.subscribe(interrupted)
        with pytest.raises(KeyboardInterrupt):
            await calls.WRITE.by(ads)
    assert isinstance(heard[-1], CallFailed)
    assert not heard[-1].in_doubt


class Told:
    async def __call__(self, event: Event) -> None:
        del event


async def told(event: Event) -> None:
    del event


@pytest.mark.parametrize("listener", [told, functools.partial(told), Told()], ids=["function", "partial", "object"])
async def test_an_async_listener_is_refused_with_the_reason(listener: Listener) -> None:
    async with calls.client("http://127.0.0.1:1/ads/v3") as ads:
        with pytest.raises(ConfigurationError, match="nobody would wait for it"):
            ads.subscribe(listener)
        assert not ads.listeners


def returns(function: Callable[[Event], object], event: Event) -> object:
    return function(event)


async def test_a_coroutine_that_a_plain_listener_returns_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async with RawServer(otherwise=answer(200, {})) as server, calls.client(server.base_url) as ads:
        ads.subscribe(functools.partial(returns, told))  # type: ignore[arg-type,return-value]
        await calls.READ.by(ads)
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert "a coroutine on RequestSent, which nobody awaits" in caplog.text


async def cancelled(call: calls.Call, heard: list[Event]) -> asyncio.CancelledError:
    """The exception of a call that is cancelled once its request has left."""
    arrived = asyncio.Event()

    async def keep_waiting(connection: Connection) -> None:
        arrived.set()
        await stall(connection)

    async with RawServer(otherwise=keep_waiting) as server, calls.client(server.base_url) as ads:
        ads.subscribe(heard.append)
        task = asyncio.create_task(call.by(ads))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    return caught.value


async def test_a_write_that_is_cancelled_after_it_left_ends_as_every_other(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    problem = await cancelled(calls.WRITE, heard)
    sent, lost, failed = heard
    assert isinstance(sent, RequestSent)
    assert isinstance(lost, RequestLost)
    assert (lost.left, lost.error) == (True, "CancelledError")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.attempts, failed.error, failed.in_doubt) == (sent.call, 1, "CancelledError", True)
    (note,) = problem.__notes__
    assert note == ("updateAdSet: the call was given up after its request left: it may have taken effect, read it back")
    ((name, level, message),) = caplog.record_tuples
    assert (name, level) == ("spotify_ads_async", logging.WARNING)
    assert message == f"{note} (CancelledError)"
    assert may_have_left(problem)


async def test_a_write_whose_outcome_is_unknown_ends_in_doubt_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    async with RawServer(otherwise=reset) as server, calls.client(server.base_url) as ads:
        ads.subscribe(heard.append)
        with pytest.raises(OutcomeUnknown) as caught:
            await calls.WRITE.by(ads)
    failed = CallFailed(call=heard[0].call, operation="updateAdSet", attempts=1, error="OutcomeUnknown", in_doubt=True)
    assert heard[-1] == failed
    assert caplog.record_tuples == [("spotify_ads_async", logging.WARNING, str(caught.value))]


@pytest.mark.parametrize("priority", list(Priority))
async def test_a_call_waits_among_those_of_its_priority(priority: Priority) -> None:
    governor = Governor([Limit("client_id", requests=1, window=600.0)], pace="burst")
    heard: list[Event] = []
    governor.subscribe(heard.append)
    async with (
        RawServer(otherwise=answer(200, {})) as server,
        calls.client(server.base_url, governor=governor, priority=priority) as ads,
    ):
        await calls.READ.by(ads)
        task = asyncio.create_task(calls.READ.by(ads))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait([task])
    assert heard == [Waiting(limits=("client_id",), priority=priority.value, length=1)]


async def test_a_call_that_is_cancelled_while_it_waits_for_quota_has_not_left() -> None:
    governor = Governor([Limit("client_id", requests=1, window=600.0)], pace="burst")
    heard: list[Event] = []
    async with RawServer(otherwise=answer(200, {})) as server, calls.client(server.base_url, governor=governor) as ads:
        await calls.READ.by(ads)
        ads.subscribe(heard.append)
        task = asyncio.create_task(calls.WRITE.by(ads))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert len(server.received) == 1
    assert not may_have_left(caught.value)
    assert not hasattr(caught.value, "__notes__")
    assert not any(isinstance(event, RequestSent | RequestLost) for event in heard)
    assert isinstance(heard[-1], CallFailed)
    assert not heard[-1].in_doubt


async def test_a_write_that_was_refused_and_is_cancelled_before_it_is_made_again_is_not_in_doubt() -> None:
    heard: list[Event] = []
    paused = asyncio.Event()
    refused = answer(429, b"", headers={"Retry-After": "60"})
    async with RawServer(otherwise=refused) as server, calls.client(server.base_url) as ads:
        ads.subscribe(heard.append)
        ads.subscribe(lambda event: paused.set() if isinstance(event, RequestRetried) else None)
        task = asyncio.create_task(calls.WRITE.by(ads))
        await paused.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert not may_have_left(caught.value)
    assert isinstance(heard[-1], CallFailed)
    assert not heard[-1].in_doubt


async def test_how_far_an_attempt_came_says_nothing_about_the_next() -> None:
    again = msgspec.structs.replace(calls.LARGE_UPLOAD.operation, repeat=Repeat.SAFE)
    heard: list[Event] = []

    def end_the_second(connection: Connection) -> bool:
        if server.connections == 2:
            connection.reset()
        return server.connections == 2

    async with RawServer(script=[reset], on_connect=end_the_second) as server, calls.client(server.base_url) as ads:
        ads.subscribe(heard.append)
        await ads.call(again, path=calls.LARGE_UPLOAD.path, body=calls.LARGE_UPLOAD.body)
    assert [event.left for event in heard if isinstance(event, RequestLost)] == [True, False]


async def test_a_read_that_is_cancelled_leaves_nothing_in_doubt(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    problem = await cancelled(calls.READ, heard)
    assert isinstance(heard[-1], CallFailed)
    assert not heard[-1].in_doubt
    assert not hasattr(problem, "__notes__")
    assert not caplog.records


async def test_a_write_that_is_cancelled_while_it_is_read_back_is_in_doubt() -> None:
    heard: list[Event] = []
    reading = asyncio.Event()

    async def look() -> None:
        reading.set()
        await asyncio.sleep(3600)

    async with RawServer(otherwise=reset) as server, calls.client(server.base_url) as ads:
        ads.subscribe(heard.append)
        task = asyncio.create_task(calls.WRITE.by(ads, verify=look))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert isinstance(heard[-1], CallFailed)
    assert heard[-1].in_doubt


async def test_what_cannot_be_read_back_stays_unknown() -> None:
    async def look() -> None:
        raise ServerError("the server failed")

    async with RawServer(otherwise=reset) as server, calls.client(server.base_url) as ads:
        with pytest.raises(OutcomeUnknown) as caught:
            await calls.WRITE.by(ads, verify=look)
    assert caught.value.__notes__ == ["reading it back failed as well: the server failed"]


@pytest.mark.parametrize("action", list(PublishAction))
async def test_a_lost_answer_to_validate_is_asked_again(
    action: PublishAction, caplog: pytest.LogCaptureFixture
) -> None:
    call = calls.Call(
        PUBLISH_CAMPAIGN_DRAFT,
        {"ad_account_id": calls.ACCOUNT, "draft_campaign_id": calls.THING},
        CampaignDraftPublish(action=action, draft_hierarchy_version=1),
    )
    async with RawServer(otherwise=answer(200, {}), script=[reset]) as server, calls.client(server.base_url) as ads:
        if action == PublishAction.VALIDATE:
            await call.by(ads)
            assert not caplog.records
        else:
            with pytest.raises(OutcomeUnknown):
                await call.by(ads)
        assert len(server.received) == 1 + (action == PublishAction.VALIDATE)


def test_without_opentelemetry_the_error_names_the_extra() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; import spotify_ads_async.telemetry"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1].endswith("pip install 'spotify-ads-async[otel]'")
