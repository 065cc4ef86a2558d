"""Creates and writes against a server that fails at random, before and after it has done its work.

Nothing twice, nothing lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from support import calls, faults
from support.calls import client
from support.raw_server import Behaviour, Connection, RawServer, answer

from spotify_ads_async import ConnectionFailed, OutcomeUnknown, RetryPolicy, SpotifyAdsError, TransportOptions
from spotify_ads_async.models import AdSetUpdate

BEFORE: tuple[Behaviour, ...] = (
    faults.reset,
    faults.closed,
    faults.failed(429, Retry_After="0"),
    faults.failed(500),
    faults.failed(503, Retry_After="0"),
)
AFTER: tuple[Behaviour, ...] = (
    faults.reset,
    faults.closed,
    faults.TRANSPORT["truncated"].behaviour,
    faults.TRANSPORT["reset amid the answer"].behaviour,
    faults.ANSWERS["HTML"].behaviour,
    faults.ANSWERS["empty"].behaviour,
    faults.failed(500),
    faults.failed(504),
)
PATIENT = RetryPolicy(attempts=6, first_delay=0.0, longest_delay=0.0, budget_ratio=10.0, budget_reserve=1000.0)


@dataclass
class FaultySpotify:
    """Does what it is asked, knows idempotency keys, and fails one request in three around that."""

    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    keys: dict[str, str] = field(default_factory=dict)

    async def __call__(self, connection: Connection) -> None:
        request = connection.request
        assert request is not None
        if request.method == "GET":
            await answer(200, {"id": calls.THING, "name": request.target.rpartition("/")[2]})(connection)
            return
        chance = self.random.random()
        if chance < 0.15:
            await self.random.choice(BEFORE)(connection)
            return
        name = request.json()["name"]  # type: ignore[index]
        key = request.headers.get("idempotency-key")
        if key is not None and key in self.keys:
            await self._seen_before(key)(connection)
            return
        self.done[name] += 1
        if key is not None:
            self.keys[key] = name
        fails = chance < 0.35
        await (self.random.choice(AFTER) if fails else answer(201, {"id": calls.THING, "name": name}))(connection)

    def _seen_before(self, key: str) -> Behaviour:
        if self.random.random() < 0.3:
            return faults.conflict("IDEMPOTENCY_REQUEST_IN_PROGRESS")
        if self.random.random() < 0.1:
            return faults.conflict("IDEMPOTENCY_OUTCOME_INDETERMINATE")
        where = f"/ads/v3/ad_accounts/{calls.ACCOUNT}/campaigns/{self.keys[key]}"
        return faults.conflict("IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", resource_uri=where)


async def run(count: int, *, keyed: bool, seed: int) -> tuple[FaultySpotify, dict[str, Any]]:
    spotify = FaultySpotify(random.Random(seed))  # noqa: S311 (faults, no secrets)
    outcomes: dict[str, Any] = {}
    names = iter([f"thing-{number}" for number in range(count)])
    async with RawServer(otherwise=spotify) as server:
        options = TransportOptions(connections=40)
        async with client(server.base_url, policy=PATIENT, transport=options) as ads:

            async def work() -> None:
                for name in names:
                    call = calls.CREATE if keyed else calls.WRITE
                    body = calls.campaign(name) if keyed else AdSetUpdate(name=name)
                    try:
                        outcomes[name] = await ads.call(call.operation, path=call.path, body=body)
                    except SpotifyAdsError as error:
                        outcomes[name] = error

            async with asyncio.TaskGroup() as group:
                for _ in range(40):
                    group.create_task(work())
    return spotify, outcomes


def account_for(spotify: FaultySpotify, outcomes: dict[str, Any], count: int) -> Counter[str]:
    """What was answered must be what is true at the server."""
    assert len(outcomes) == count
    assert max(spotify.done.values()) == 1, "something was done twice"
    fates: Counter[str] = Counter()
    for name, outcome in outcomes.items():
        if isinstance(outcome, OutcomeUnknown):
            fates["unknown"] += 1
        elif isinstance(outcome, SpotifyAdsError):
            fates["failed"] += 1
            assert not outcome.may_have_taken_effect
            assert spotify.done[name] == 0, f"{name} was done, and {outcome!r} denies it"
        else:
            fates["done"] += 1
            assert spotify.done[name] == 1
            assert outcome.name == name
    return fates


@pytest.mark.parametrize("keyed", [True, False], ids=["creates", "writes without a key"])
async def test_a_thousand_faulty_calls(keyed: bool) -> None:  # noqa: FBT001
    spotify, outcomes = await run(1000, keyed=keyed, seed=1)
    fates = account_for(spotify, outcomes, 1000)
    assert fates["done"] > (900 if keyed else 650)
    assert fates["unknown"] > 0, "the faults were too kind to prove anything"


@pytest.mark.soak
async def test_ten_thousand_faulty_creates() -> None:
    for seed in range(2):
        spotify, outcomes = await run(10_000, keyed=True, seed=seed)
        account_for(spotify, outcomes, 10_000)


async def test_verify_settles_what_is_in_doubt() -> None:
    """Reading back finds out about every write whose answer was lost."""
    spotify = FaultySpotify(random.Random(3))  # noqa: S311 (the same)
    done: set[str] = set()
    settled: list[ConnectionFailed] = []
    async with RawServer(otherwise=spotify) as server, client(server.base_url, policy=PATIENT) as ads:
        for number in range(200):
            name = f"thing-{number}"

            async def look(name: str = name) -> object:
                return name if spotify.done[name] else None

            try:
                await ads.call(calls.WRITE.operation, path=calls.WRITE.path, body=AdSetUpdate(name=name), verify=look)
                done.add(name)
            except ConnectionFailed as error:
                settled.append(error)
    assert done == set(spotify.done)
    assert settled
    assert all(isinstance(error.__cause__, OutcomeUnknown) and not error.may_have_taken_effect for error in settled)
