"""Every kind of call meets every fault, on a server that speaks raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import time
import weakref
from collections.abc import Callable, Sequence

import aiohttp
import pytest
from _pytest.mark import ParameterSet
from support import calls, faults
from support.calls import Call, client
from support.effort import diagonal
from support.faults import Fault, Follows
from support.raw_server import Connection, RawServer, answer
from support.virtual_time import on_a_patient_clock

from spotify_ads_async import (
    AdsClient,
    AuthenticationError,
    ConnectionFailed,
    Governor,
    InvalidAnswer,
    Limit,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    SpotifyAdsError,
    TransportOptions,
)
from spotify_ads_async.events import CallFailed, Event, RequestRetried, RequestSent
from spotify_ads_async.network.connections import open_http

WINDOW = 30.0
DEADLINE = 0.1
LONGEST_AFTERMATH = 10.0
"""Seconds for which a server may still count a request that was given up."""
LIMITS = [Limit("client_id", requests=1500, window=WINDOW), Limit("ip", requests=500, window=10.0)]


class Clock:
    """Monotonic time that a test can move on."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Bench:
    """A client of one raw server, with a governor whose tokens are counted at the end."""

    def __init__(self, server: RawServer, limits: Sequence[Limit] = LIMITS, **options: object) -> None:
        self.clock = Clock()
        self.governor = Governor(limits, clock=self.clock, counted_within=LONGEST_AFTERMATH)
        self.events: list[Event] = []
        settings = {"transport": TransportOptions(largest_answer=faults.LARGEST_ANSWER), **options}
        self.ads: AdsClient = client(server.base_url, governor=self.governor, **settings)
        self.ads.subscribe(self.events.append)

    async def outcome(self, call: Call, **options: object) -> object:
        try:
            return await call.by(self.ads, **options)
        except SpotifyAdsError as error:
            return error

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    async def close(self) -> None:
        """Close the client; every token must be back one window later."""
        await self.ads.aclose()
        assert all(window.in_flight == 0 for window in self.governor.snapshot().windows)
        self.clock.ahead += 1.01 * WINDOW + LONGEST_AFTERMATH
        assert all(
            window.available + window.reserved_for_others == window.capacity
            for window in self.governor.snapshot().windows
        )


def sound(call: Call) -> Callable[[Connection], object]:
    async def behave(connection: Connection) -> None:
        assert connection.request is not None
        followed = connection.request.method == "GET"
        await answer(200 if followed else call.status, call.answer)(connection)

    return behave


def follows(fault: Fault, kind: str) -> Follows:
    return fault.safe if kind in calls.SAFE else fault.keyed if kind in calls.KEYED else fault.never


def limits_for(fault: str) -> Sequence[Limit]:
    """With windows, a refusal pauses the governor for seconds: its own tests see to that."""
    return () if fault in faults.REFUSALS else LIMITS


def cases(*kinds: str) -> list[ParameterSet]:
    return diagonal(
        (
            [
                pytest.param(kind, name, id=f"{kind}-{name}")
                for name, fault in faults.EVERY.items()
                if calls.EVERY[kind].operation.answer is not None or not fault.needs_answer
            ]
            for kind in kinds
        ),
        one_in=4,
    )


@pytest.mark.parametrize(("kind", "name"), cases(*calls.EVERY))
@on_a_patient_clock
async def test_one_fault(kind: str, name: str) -> None:
    call, fault = calls.EVERY[kind], faults.EVERY[name]
    expected = follows(fault, kind)
    async with RawServer(otherwise=sound(call), script=[fault.behaviour]) as server:
        bench = Bench(server, limits_for(name), timeout=0.5 if name in faults.STALLS else 30.0)
        outcome = await bench.outcome(call)
        await bench.close()
    sent = len(server.received)
    if expected is None:
        assert not isinstance(outcome, SpotifyAdsError)
        assert sent == 2
        assert bench.count(CallFailed) == 0
        if server.received[1].method == server.received[0].method:
            assert bench.count(RequestRetried) == 1
            assert server.received[0].body.count(b"--") or server.received[0] == server.received[1]
    else:
        assert type(outcome) is expected
        assert sent == 1
        assert outcome.operation == call.operation.id
        assert outcome.may_have_taken_effect is (expected is OutcomeUnknown)
        assert bench.count(CallFailed) == 1
    assert bench.count(RequestSent) == sent
    for request in server.received:
        assert ("idempotency-key" in request.headers) is (kind in calls.KEYED and request.method == "POST")


@pytest.mark.parametrize(("kind", "name"), cases("read", "create", "write"))
@on_a_patient_clock
async def test_a_fault_that_lasts_ends_by_the_deadline(kind: str, name: str) -> None:
    call, fault = calls.EVERY[kind], faults.EVERY[name]
    async with RawServer(otherwise=fault.behaviour) as server:
        bench = Bench(server, limits_for(name), deadline=DEADLINE, timeout=None)
        began = time.monotonic()
        outcome = await bench.outcome(call)
        took = time.monotonic() - began
        await bench.close()
    assert isinstance(outcome, SpotifyAdsError)
    assert took <= DEADLINE + 0.001
    if kind in calls.SAFE:
        assert not isinstance(outcome, OutcomeUnknown)
    elif follows(fault, kind) is OutcomeUnknown:
        assert isinstance(outcome, OutcomeUnknown)
    if kind in calls.KEYED:
        assert len({request.headers["idempotency-key"] for request in server.received if request.method == "POST"}) <= 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (faults.failed(503), ServerError),
        (faults.reset, ConnectionFailed),
        (faults.failed(429, Retry_After="0"), RateLimited),
    ],
)
async def test_reads_give_up_after_so_many_attempts(behaviour: faults.Behaviour, error: type[SpotifyAdsError]) -> None:
    async with RawServer(otherwise=behaviour) as server:
        bench = Bench(server, limits=())
        outcome = await bench.outcome(calls.READ)
        await bench.close()
    assert type(outcome) is error
    policy = calls.QUICK
    assert len(server.received) == (policy.refusals + 1 if error is RateLimited else policy.attempts)
    assert not outcome.may_have_taken_effect


async def test_a_refused_connection_took_no_effect_and_is_tried_again() -> None:
    async with RawServer() as gone:
        pass
    for kind, call in calls.EVERY.items():
        bench = Bench(gone)
        outcome = await bench.outcome(call)
        assert type(outcome) is ConnectionFailed, kind
        assert not outcome.may_have_taken_effect
        assert bench.count(RequestSent) == calls.QUICK.attempts
        # Nobody can have counted these.
        assert all(window.available == window.capacity for window in bench.governor.snapshot().windows)
        await bench.close()


@pytest.mark.parametrize("kind", calls.EVERY)
async def test_a_reset_before_the_request_was_read(kind: str) -> None:
    call = calls.EVERY[kind]

    def refuse_first(connection: Connection) -> bool:
        if server.connections == 1:
            connection.reset()
            return True
        return False

    async with RawServer(otherwise=sound(call), on_connect=refuse_first) as server:
        bench = Bench(server)
        outcome = await bench.outcome(call)
        await bench.close()
    if kind in calls.NEVER and isinstance(outcome, SpotifyAdsError):
        # The bytes were with the kernel: nobody here can tell that the server did not read them.
        assert isinstance(outcome, OutcomeUnknown)
        assert not server.received
    else:
        assert not isinstance(outcome, SpotifyAdsError)
        assert len(server.received) == 1


async def test_a_reset_amid_a_large_request_took_no_effect() -> None:
    def refuse_first(connection: Connection) -> bool:
        if server.connections == 1:
            connection.reset()
            return True
        return False

    async with RawServer(otherwise=sound(calls.UPLOAD), on_connect=refuse_first) as server:
        bench = Bench(server, timeout=10.0)
        outcome = await bench.outcome(calls.LARGE_UPLOAD)
        await bench.close()
    assert not isinstance(outcome, SpotifyAdsError)
    assert [len(request.body) > calls.MORE_THAN_SOCKETS_HOLD for request in server.received] == [True]


@pytest.mark.parametrize("timeout", [0.3, None])
@on_a_patient_clock
async def test_a_large_request_that_nobody_reads_took_no_effect(timeout: float | None) -> None:  # noqa: ASYNC109 - a parameter of the test
    over = asyncio.Event()

    async def read_little(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(read_little, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ads/v3"
        options = TransportOptions(read_timeout=0.3)
        async with calls.client(address, timeout=timeout, transport=options, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed) as caught:
                async with asyncio.timeout(9.0):
                    await calls.LARGE_UPLOAD.by(ads)
        over.set()
    assert not caught.value.may_have_taken_effect


class _SmallSockets(weakref.WeakSet[socket.socket]):
    def add(self, item: socket.socket) -> None:
        item.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().add(item)


async def test_a_silence_after_a_body_that_was_taken_slowly_is_bounded() -> None:
    over = asyncio.Event()

    async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readexactly(2048)
                await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        over.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with await asyncio.start_server(read_slowly, sock=listening, limit=2048) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with open_http(TransportOptions(), sockets=_SmallSockets()) as http, asyncio.timeout(9.0):
                with pytest.raises(aiohttp.SocketTimeoutError):
                    await http.post(
                        address, data=io.BytesIO(bytes(5 * 65536)), timeout=aiohttp.ClientTimeout(sock_read=0.3)
                    )
            await over.wait()


async def test_a_deleted_draft_that_is_gone_on_the_second_attempt_counts_as_deleted() -> None:
    async with RawServer(script=[faults.reset, faults.failed(404)]) as server:
        bench = Bench(server)
        assert await bench.outcome(calls.DELETE_DRAFT) is None
        await bench.close()


async def test_a_draft_that_never_was_is_not_found() -> None:
    async with RawServer(script=[faults.failed(429, Retry_After="0"), faults.failed(404)]) as server:
        bench = Bench(server, limits=())
        assert type(await bench.outcome(calls.DELETE_DRAFT)) is NotFound
        await bench.close()


async def test_a_delete_without_any_answer_says_that_it_may_have_taken_effect() -> None:
    async with RawServer(otherwise=faults.reset) as server:
        bench = Bench(server)
        outcome = await bench.outcome(calls.DELETE_DRAFT)
        await bench.close()
    assert type(outcome) is ConnectionFailed
    assert outcome.may_have_taken_effect


async def test_a_create_whose_result_cannot_be_read_is_an_unknown_outcome_with_the_conflict_as_its_cause() -> None:
    completed = faults.KEYS["key completed"].behaviour
    async with RawServer(script=[completed], otherwise=faults.failed(404)) as server:
        bench = Bench(server)
        outcome = await bench.outcome(calls.CREATE)
        await bench.close()
    assert isinstance(outcome, OutcomeUnknown)
    assert "took effect" in str(outcome)
    assert outcome.cause.error_codes[0].code == "IDEMPOTENCY_REQUEST_ALREADY_COMPLETED"
    assert server.received[1].target == faults.CREATED


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/steal",
        "//example.com/steal",
        "/ads/v3/../../x",
        "/ads/v3/x y",
        "ads",
        "/ads/v3/x#y",
        r"/ads/v3/..\x",
    ],
)
async def test_where_a_create_is_said_to_stand_is_read_at_the_api_only(uri: str) -> None:
    async with RawServer(script=[faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=uri)]) as server:
        bench = Bench(server)
        assert isinstance(await bench.outcome(calls.CREATE), OutcomeUnknown)
        await bench.close()
    assert len(server.received) == 1


async def test_an_answer_lost_once_stays_in_doubt_though_a_later_attempt_is_refused() -> None:
    async with RawServer(script=[faults.reset, faults.failed(400)]) as server:
        bench = Bench(server)
        outcome = await bench.outcome(calls.CREATE)
        await bench.close()
    assert isinstance(outcome, OutcomeUnknown)
    assert isinstance(outcome.cause, ConnectionFailed)
    assert outcome.status == 400


async def test_a_repeated_401_is_not_tried_a_third_time() -> None:
    async with RawServer(otherwise=faults.failed(401)) as server:
        bench = Bench(server)
        assert type(await bench.outcome(calls.READ)) is AuthenticationError
        await bench.close()
    assert len(server.received) == 1  # an access token has no successor


async def test_an_unreadable_answer_to_a_read_says_what_came() -> None:
    async with RawServer(script=[faults.ANSWERS["HTML"].behaviour]) as server:
        bench = Bench(server)
        outcome = await bench.outcome(calls.READ)
        await bench.close()
    assert isinstance(outcome, InvalidAnswer)
    assert "text/html" in str(outcome)
    assert outcome.status == 200
