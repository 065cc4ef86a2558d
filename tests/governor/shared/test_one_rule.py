"""The rule in Lua, for Redis, does exactly what the rule in Python does, for SQLite."""

from __future__ import annotations

import random
from importlib.resources import files

import msgspec
import pytest
import redis
from support.redis_servers import Server

from spotify_ads_async.governor.grants import Pause
from spotify_ads_async.governor.shared.ledger import Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, Reply, State, WindowReport

KEYS = ("client_id|3||ann", "ip|1||here")
CAPACITIES = (60, 20)
CYCLES = (3_001_000, 1_001_000)
LEASE = 600_000
PREFIX = "{spotify-ads}:"
SCRIPT = (files("spotify_ads_async.governor.shared") / "ledger.lua").read_text(encoding="utf-8")
AT_A_GIVEN_TIME = SCRIPT.replace("age = surroundings()", "age = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])").replace(
    "= count_losses(), ", "= tonumber(ARGV[6]), "
)
assert AT_A_GIVEN_TIME.count("ARGV[") == 6


class Process:
    """Says what a process could say, and now and then what a confused one would."""

    def __init__(self, owner: str, rng: random.Random) -> None:
        self.owner = owner
        self.rng = rng
        self.number = 1
        self.out: list[int] = []
        self.lost: list[int] = []
        self.epochs = ["", ""]

    def message(self) -> Exchange:
        rng = self.rng
        self.over = {number for number in self.out if rng.random() < 0.5}
        settled = [(number, rng.choice((0, -40_000, -2_000_000, 300_000))) for number in self.over]
        extended = [number for number in self.out if number not in self.over and rng.random() < 0.2]
        windows = [
            WindowReport(
                key=KEYS[window],
                capacity=CAPACITIES[window],
                cycle=CYCLES[window],
                epoch=rng.choice((self.epochs[window],) * 20 + ("another", "")),
                owner=Owner(
                    label=self.owner,
                    held=rng.randint(0, 12),
                    in_flight=rng.randint(0, 5),
                    waiting=rng.randint(7, 30),
                    bulk=rng.choice((0, 0, 7)),
                    interactive=rng.choice((0, 1, 3)),
                    usable=CAPACITIES[window] - rng.choice((0, 0, 1, 15)),
                ),
                tokens=[
                    *((number, max(0, CYCLES[window] + by)) for number, by in settled),
                    *((number, 0) for number in self.lost),
                    *((number, LEASE + CYCLES[window]) for number in extended),
                ],
                pause=rng.choice((None,) * 20 + (Pause(300_000, 90_000_000, "429"),)),
                lift=rng.random() < 0.03,
                smooth=rng.random() < 0.01,
            )
            for window in (0, 1)
        ]
        claims: list[Claim] = []
        for bulk in (False, True):
            for both in ([0, 1], [1]):
                claims.append(Claim(both, self.number, rng.randint(0, 12), bulk))
                self.number += claims[-1].count
        horizon = rng.choice((0, 50_000, 200_000))
        leaving = rng.random() < 0.05
        return Exchange(owner=self.owner, lease=LEASE, horizon=horizon, windows=windows, claims=claims, leaving=leaving)

    def heard(self, reply: Reply, message: Exchange) -> None:
        if self.rng.random() < 0.1:
            self.lost = list(range(message.claims[0].first, self.number))  # the answer was lost
            return
        self.lost = []
        self.out = [number for number in self.out if number not in self.over]
        for claim, delays in zip(message.claims, reply.grants, strict=True):
            self.out += range(claim.first, claim.first + len(delays))
        self.epochs = [window.epoch for window in reply.windows]


def remembered(state: State, client: redis.Redis, key: str) -> tuple[State, State]:
    """What each twin keeps of a window."""
    theirs = msgspec.msgpack.decode(client.get(f"{PREFIX}2:state:{key}"), type=State)
    tokens = client.zrange(f"{PREFIX}2:tokens:{key}", 0, -1, withscores=True)
    return state, msgspec.structs.replace(theirs, tokens={token.decode(): int(due) for token, due in tokens})


@pytest.mark.parametrize("seed", range(3))
def test_both_answer_and_remember_the_same(server: Server, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 (load, no secrets)
    processes = [Process(name, rng) for name in ("one", "two", "three")]
    now, run, losses, lost = 1_800_000_000_000_000, "first", 0, 0
    memory: tuple[str, int, int] | None = None
    kept: dict[str, State] = {}
    with redis.Redis(port=server.port, protocol=2) as client:
        for _ in range(400):
            now += rng.choice(
                (0, 1_000, 20_000, 200_000, 900_000, 900_000 if rng.random() < 0.9 else 5_000_000, -2_000)
            )
            if rng.random() < 0.02:
                event = rng.choice(("flush", "restart", "back", "set", "tokens"))
                now -= 20_000_000 if event == "back" else 0
                run += "x" if event == "restart" else ""
                losses += event in {"flush", "set"}
                if event == "flush":
                    client.flushall()
                    memory = None
                if event in {"flush", "set"}:
                    kept.clear()
                    client.delete(*client.keys(f"{PREFIX}2:[ts]*"), "none")
                if event == "tokens":  # evicted alone: the set is another one
                    client.delete(*client.keys(f"{PREFIX}2:t*"), "none")
                    for state in kept.values():
                        state.run = "lost" if state.tokens else state.run
            process = rng.choice(processes)
            message = process.message()
            age = rng.choice((0, 100_000, 9_000_000))
            fresh = [report for report in message.windows if not client.exists(f"{PREFIX}2:state:{report.key}")]
            if fresh:
                lost = (
                    now
                    if (memory is not None and memory[:2] != (run, losses)) or (memory is None and losses)
                    else memory[2]
                    if memory
                    else 0
                )
                memory = (run, losses, lost) if any(not report.epoch for report in fresh) else memory
            expected = exchange(kept, message, Surroundings(now, run, age, lost))
            keys = [f"{PREFIX}2:memory", f"{PREFIX}2:windows"]
            for key in KEYS:
                keys += [f"{PREFIX}2:tokens:{key}", f"{PREFIX}2:state:{key}"]
            values = (msgspec.msgpack.encode(message), PREFIX, now, run, age, losses)
            found = client.eval(AT_A_GIVEN_TIME, len(keys), *keys, *values)
            assert msgspec.msgpack.decode(found, type=Reply) == expected
            for key in KEYS:
                ours, theirs = remembered(kept[key], client, key)
                assert theirs == ours
            process.heard(expected, message)
