"""The rule in Lua, for Redis, does exactly what the rule in Python does."""

from __future__ import annotations

import math
import random
from importlib.resources import files

import msgspec
import pytest
import redis
from support.redis_servers import Server

from spotify_ads_async.governor.stores.messages import Answer, Exchange, Report
from spotify_ads_async.governor.stores.pool import SLOTS, Pool, exchange, slot_length

KEYS = ("client_id|3||ann", "ip|1||here")
CAPACITIES = (60, 20)
CYCLES = (3_001_000, 1_001_000)
LEASE = 600_000
PREFIX = "{spotify-ads}:"
SCRIPT = (files("spotify_ads_async.governor.stores") / "pool.lua").read_text(encoding="utf-8")
AT_A_GIVEN_TIME = SCRIPT.replace("redis.call('TIME')", "{ARGV[3], ARGV[4]}").replace(
    "redis.pcall('INFO', 'server')", "'run_id:' .. ARGV[5] .. ' uptime_in_seconds:' .. ARGV[6]"
)


class Process:
    """Says what a process could say, and now and then what a confused one would."""

    def __init__(self, owner: str, rng: random.Random) -> None:
        self.owner = owner
        self.rng = rng
        self.sequence = 0
        self.acknowledged = 0
        self.born = [0, 0]
        self.held = [0, 0]

    def message(self) -> Exchange:
        rng = self.rng
        self.sequence += rng.choice((1, 1, 1, 1, 0))
        reports: list[Report] = []
        for window in (0, 1):
            held = max(0, self.held[window] + rng.choice((0, 0, 0, 0, -1, 1)))
            settled = rng.randint(0, held)
            unused = rng.randint(0, held - settled)
            kept = held - settled - unused
            reports.append(
                Report(
                    key=KEYS[window],
                    capacity=CAPACITIES[window],
                    cycle=CYCLES[window],
                    slot=slot_length(CYCLES[window]),
                    sequence=self.sequence,
                    acknowledged=self.acknowledged,
                    born=self.born[window],
                    held=held,
                    in_flight=kept // 4,
                    cooling=kept // 2 - kept // 4,
                    reserve=rng.choice((0, 0, 5, 50)),
                    waiting=rng.randint(0, 30),
                    settled=[(rng.randint(0, 200_000), settled)] if settled else [],
                    unused=[(rng.choice((0, 50_000)), unused)] if unused else [],
                    spare=kept - kept // 2,
                    ahead=rng.randint(0, 400_000),
                    held_back=rng.choice((0, 0, 1)),
                    pause=rng.choice((0,) * 20 + (300_000,)),
                    pause_cause="429",
                    refused=rng.choice((0,) * 20 + (1,)),
                )
            )
        return Exchange(
            owner=self.owner,
            label=self.owner,
            lease=LEASE,
            windows=reports,
            lanes=[([0, 1], rng.randint(0, 40)), ([1], rng.randint(0, 5))],
            leaving=rng.random() < 0.05,
            fresh=rng.random() < 0.05,
            alone=rng.random() < 0.02,
            sharing=rng.random() < 0.5,
        )

    def heard(self, answers: list[Answer], message: Exchange) -> None:
        if self.rng.random() < 0.1:
            return  # the answer was lost
        for window, (answer, report) in enumerate(zip(answers, message.windows, strict=True)):
            if answer.stale:
                continue
            gone = sum(tokens for _, tokens in (*report.settled, *report.unused))
            self.held[window] = report.held - gone + sum(tokens for _, tokens in answer.granted)
            self.born[window] = answer.born
            self.acknowledged = report.sequence


@pytest.mark.parametrize("seed", range(3))
def test_both_answer_and_remember_the_same(server: Server, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 (load, no secrets)
    processes = [Process(name, rng) for name in ("one", "two", "three")]
    now, run = 1_800_000_000_000_000, "first"
    pools: dict[str, Pool] = {}
    with redis.Redis(port=server.port, protocol=2) as client:
        for _ in range(250):
            now += rng.choice((1_000, 20_000, 200_000, 900_000, 900_000 if rng.random() < 0.9 else 5_000_000))
            if rng.random() < 0.01:
                pools.clear()
                client.flushall()
                run += "x"
            process = rng.choice(processes)
            message = process.message()
            known_run = run if message.fresh else ""
            seconds_up = rng.choice((0, 2, 1000))
            up_for = seconds_up * 1e6 if message.fresh else math.inf
            for report in message.windows:
                if report.key not in pools:
                    pools[report.key] = Pool.new(report, now, run=known_run)
            expected = exchange([pools[key] for key in KEYS], message, now, known_run, up_for)
            keys = [PREFIX + key for key in KEYS]
            seconds, microseconds = divmod(now, 1_000_000)
            encoded = msgspec.msgpack.encode(message)
            values = (encoded, PREFIX, str(seconds), str(microseconds), run, str(seconds_up))
            found = client.eval(AT_A_GIVEN_TIME, 3, *keys, PREFIX + "windows", *values)
            assert msgspec.msgpack.decode(found, type=list[Answer]) == expected
            for key in KEYS:
                theirs, ours = Pool.decode(client.get(PREFIX + key)), Pool.decode(pools[key].encode())
                assert theirs == ours
                assert len(theirs.ring) == SLOTS
            process.heard(expected, message)
