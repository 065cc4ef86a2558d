"""Deadlines of calls: what they bound, what they leave time for, and what is said where they pass."""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

import pytest
from support import calls, faults
from support.calls import client
from support.raw_server import RawServer, answer, stall
from support.virtual_time import on_a_patient_clock

from spotify_ads_async import (
    ConnectionFailed,
    Governor,
    Limit,
    OutcomeUnknown,
    QuotaTimeout,
    RetryPolicy,
    Secret,
    ServerError,
)

COMPLETED = faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=faults.CREATED)


def patient() -> float:
    """The clock that stands in the place of this machine's."""
    return time.monotonic()


@on_a_patient_clock
async def test_a_deadline_amid_a_write_leaves_its_outcome_unknown() -> None:
    async with RawServer(otherwise=stall) as server, client(server.base_url, deadline=1.0) as ads:
        with pytest.raises(OutcomeUnknown, match="deadline") as caught:
            await calls.WRITE.by(ads)
        with pytest.raises(ConnectionFailed) as read:
            await calls.READ.by(ads.with_options(deadline=0.1))
    assert isinstance(caught.value.cause, ConnectionFailed)
    assert not read.value.may_have_taken_effect
    assert caught.value.operation == "updateAdSet"
    assert str(read.value) == ("getAdSetById: the call's deadline of 0.1 s passed while waiting for the answer")


async def test_a_deadline_counts_the_wait_for_quota_and_refuses_at_once_what_cannot_be_kept() -> None:
    governor = Governor([Limit("client_id", requests=1, window=600.0)], pace="burst")
    async with RawServer(otherwise=answer(200, calls.WRITE.answer)) as server:
        async with client(server.base_url, governor=governor, deadline=60.0) as ads:
            await calls.WRITE.by(ads)
            with pytest.raises(QuotaTimeout) as caught:
                await calls.WRITE.by(ads)
        assert len(server.received) == 1
    assert caught.value.operation == "updateAdSet"
    assert caught.value.predicted_wait > 60.0
    assert not caught.value.may_have_taken_effect


class SilentStore:
    """A store that takes every message and answers none."""

    name = "a silent store"

    async def exchange(self, message: object) -> NoReturn:
        del message
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    async def look(self) -> list[NoReturn]:
        return []

    async def aclose(self) -> None:
        pass


@on_a_patient_clock
async def test_a_deadline_says_what_was_waited_for() -> None:
    governor = Governor([Limit("client_id", requests=1, window=600.0)], store=SilentStore(), on_store_failure="pause")
    async with client("http://127.0.0.1:9", governor=governor, deadline=0.1) as ads:
        with pytest.raises(ConnectionFailed) as late:
            await calls.READ.by(ads)
        assert str(late.value) == "getAdSetById: the call's deadline of 0.1 s passed while waiting for quota"
    await governor.aclose()


async def test_what_a_deadline_leaves_time_for_is_waited_for_and_made_again() -> None:
    governor = Governor([Limit("client_id", requests=1, window=0.05)], pace="burst")
    async with RawServer(otherwise=answer(200, calls.READ.answer), script=[faults.failed(503)]) as server:
        async with client(server.base_url, governor=governor, deadline=60.0) as ads:
            await calls.READ.by(ads)
        assert len(server.received) == 2


class CountedTokens:
    """Another token each time; none comes after the fourth."""

    client_id = None
    asked = 0

    async def token(self, http: object) -> Secret:
        assert http is not None
        self.asked += 1
        if self.asked > 4:
            await asyncio.Event().wait()
        return Secret(f"token-{self.asked}")

    def invalidate(self, token: Secret) -> bool:
        raise AssertionError(token)


@on_a_patient_clock
async def test_after_a_long_wait_for_quota_a_call_signs_in_again() -> None:
    governor = Governor([Limit("client_id", requests=1, window=2.0)], pace="burst", clock=patient)
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server:
        async with client(server.base_url, CountedTokens(), governor=governor, deadline=10.0) as ads:
            for _ in range(2):
                await calls.READ.by(ads)
            with pytest.raises(ConnectionFailed, match="passed while signing in"):
                await calls.READ.by(ads)
        assert [one.headers["authorization"] for one in server.received] == ["Bearer token-1", "Bearer token-3"]


@on_a_patient_clock
async def test_what_the_rest_of_a_second_does_not_suffice_for_is_refused_at_once() -> None:
    governor = Governor([Limit("client_id", requests=1, window=0.9)], pace="burst", clock=patient)
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server:
        async with client(server.base_url, governor=governor, deadline=0.5) as ads:
            await calls.READ.by(ads)
            with pytest.raises(QuotaTimeout):
                await calls.READ.by(ads)
        assert len(server.received) == 1


@pytest.mark.parametrize("patience", [{"deadline": 60.0, "max_wait": 5.0}, {"deadline": 5.0, "max_wait": 60.0}])
async def test_what_comes_first_of_deadline_and_patience_bounds_the_wait(patience: dict[str, float]) -> None:
    governor = Governor([Limit("client_id", requests=1, window=30.0)], pace="burst")
    async with RawServer(otherwise=answer(200, calls.WRITE.answer)) as server:
        async with client(server.base_url, governor=governor, **patience) as ads:
            await calls.WRITE.by(ads)
            with pytest.raises(QuotaTimeout, match="updateAdSet"):
                await calls.WRITE.by(ads)
        assert len(server.received) == 1


@on_a_patient_clock
async def test_a_deadline_does_not_sleep_longer_than_it_lasts() -> None:
    policy = RetryPolicy(first_delay=1000.0, longest_delay=1000.0)
    async with RawServer(otherwise=faults.failed(503, Retry_After="100")) as server:
        async with client(server.base_url, policy=policy, deadline=50.0) as ads:
            with pytest.raises(ServerError):
                await calls.READ.by(ads)
        assert len(server.received) == 1


@on_a_patient_clock
async def test_a_deadline_holds_for_reading_what_a_create_made() -> None:
    async with RawServer(otherwise=stall, script=[COMPLETED]) as server, client(server.base_url, deadline=0.3) as ads:
        with pytest.raises(OutcomeUnknown, match="deadline"):
            await calls.CREATE.by(ads)
    paused = faults.failed(503, Retry_After="100")
    async with RawServer(otherwise=paused, script=[COMPLETED]) as server, client(server.base_url, deadline=50.0) as ads:
        with pytest.raises(OutcomeUnknown, match="the server failed"):
            await calls.CREATE.by(ads)
