"""The law of the shared rule.

No window is exceeded, whatever arrives late or never, whoever dies, stops, forks, or whatever is flushed.
Processes are reduced to what they may do with a ledger: claim, leave with what was granted while it is good, settle,
lose messages, die. A brute-force counter looks for a window with more requests than it takes, wherever the server
counted each between departure and answer.
"""

from __future__ import annotations

import sqlite3

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.effort import examples
from support.windows import Interval, fullest_window_slowly

from spotify_ads_async.governor.shared.ledger import SCHEMA, Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, Reply, WindowReport

SIZES = {"client_id|6||ann": (6, 6_000_000), "ip|2||here": (3, 2_000_000)}
LEASE = 1_200_000
HORIZON = 300_000


class Process:
    """One process.

    What it was granted (number: usable from, good until), what is under way (number: departure), what is to be told.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 1
        self.epochs = dict.fromkeys(SIZES, "")
        self.granted: dict[int, tuple[int, int]] = {}
        self.under_way: dict[int, int] = {}
        self.settled: dict[int, int] = {}
        self.unused: set[int] = set()
        self.last_use = -(10**9)

    def message(self, now: int, interactive: int, bulk: int) -> Exchange:
        matters = now < self.last_use + 8_000_000
        windows = [
            WindowReport(
                key=key,
                capacity=capacity,
                cycle=cycle,
                epoch=epoch if matters else "",
                owner=Owner(label=self.name, held=len(self.granted) + len(self.under_way) + len(self.settled)),
                tokens=[
                    *((number, max(0, at + cycle - now)) for number, at in self.settled.items()),
                    *((number, 0) for number in self.unused),
                    *((number, LEASE + cycle) for number in self.under_way),
                ],
            )
            for (key, (capacity, cycle)), epoch in zip(SIZES.items(), self.epochs.values(), strict=True)
        ]
        claims = [Claim([0, 1], self.number, interactive, bulk=False)]
        claims.append(Claim([0, 1], self.number + interactive, bulk, bulk=True))
        self.number += interactive + bulk
        return Exchange(owner=self.name, lease=LEASE, horizon=HORIZON, windows=windows, claims=claims)

    def heard(self, message: Exchange, reply: Reply, asked_at: int, now: int) -> None:
        for number, _ in message.windows[0].tokens:
            self.settled.pop(number, None)
            self.unused.discard(number)
        self.epochs = dict(zip(SIZES, (window.epoch for window in reply.windows), strict=True))
        for claim, delays in zip(message.claims, reply.grants, strict=True):
            for number, delay in enumerate(delays, claim.first):
                self.granted[number] = now + delay, asked_at + LEASE // 2

    def forget(self, message: Exchange) -> None:
        for claim in message.claims:
            self.unused |= set(range(claim.first, claim.first + claim.count))


class Shared(RuleBasedStateMachine):
    """Three processes at a time and one ledger, in microseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000_000
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(SCHEMA)
        self.run, self.lost = "1", 0
        self.names = 3
        self.processes = [Process(f"p{number}") for number in range(3)]
        self.counted: list[Interval] = []
        self.open: dict[tuple[str, int], int] = {}

    def teardown(self) -> None:
        self.connection.close()

    def step(self, message: Exchange) -> Reply:
        return exchange(self.connection, message, Surroundings(self.now, self.run, lost=self.lost))

    @rule(seconds=st.floats(0.0, 0.5) | st.floats(1.5, 2.5) | st.just(6.1))
    def wait(self, seconds: float) -> None:
        """Every process that lives speaks at least every third of a lease while something is under way."""
        left = int(seconds * 1e6)
        while left > 0:
            slice_ = min(left, LEASE // 3)
            self.now += slice_
            left -= slice_
            for process in self.processes:
                if process.under_way:
                    message = process.message(self.now, 0, 0)
                    process.heard(message, self.step(message), self.now, self.now)

    @rule(
        who=st.integers(0, 2),
        interactive=st.integers(0, 5),
        bulk=st.integers(0, 5),
        late=st.sampled_from((0, 1_000, 200_000)),
        fate=st.sampled_from(("heard", "heard", "heard", "answer lost", "message lost", "message twice")),
    )
    def ask(self, who: int, interactive: int, bulk: int, late: int, fate: str) -> None:
        process, asked_at = self.processes[who], self.now
        message = process.message(self.now, interactive, bulk)
        self.now += late
        reply = None if fate == "message lost" else self.step(message)
        if fate == "message twice":
            self.step(message)  # and the second answer is the one that nobody hears
        self.now += late
        if reply is None or fate == "answer lost":
            process.forget(message)
        else:
            process.heard(message, reply, asked_at, self.now)

    @rule(who=st.integers(0, 2), most=st.integers(1, 6))
    def leave(self, who: int, most: int) -> None:
        process = self.processes[who]
        for number, (usable, good_until) in list(process.granted.items())[:most]:
            if self.now > good_until:
                del process.granted[number]
                process.unused.add(number)
            elif usable <= self.now:
                del process.granted[number]
                process.under_way[number] = process.last_use = self.now

    @rule(who=st.integers(0, 2), pause=st.floats(0.0, 0.35), seconds=st.floats(1.4, 2.4))
    def saturate(self, who: int, pause: float, seconds: float) -> None:
        """Use whatever is to be had, at once, and after some time again."""
        for _ in range(2):
            self.ask(who, 4, 2, 0, "heard")
            self.wait(pause)
            self.leave(who, 6)
            self.answer(who, 6)
            self.wait(seconds)

    @rule(who=st.integers(0, 2), most=st.integers(1, 6))
    def answer(self, who: int, most: int) -> None:
        process = self.processes[who]
        for number, departed in list(process.under_way.items())[:most]:
            del process.under_way[number]
            process.settled[number] = process.last_use = self.now
            self.counted.append((departed / 1e6, self.now / 1e6))

    @rule(who=st.integers(0, 2), forks=st.booleans())
    def die(self, who: int, forks: bool) -> None:  # noqa: FBT001 (hypothesis passes it by name)
        """Killed, or replaced by a fork that keeps nothing.

        What was under way is counted within half a lease of its departure.
        """
        process = self.processes[who]
        self.counted += [
            (departed / 1e6, max(self.now, departed + LEASE // 2) / 1e6) for departed in process.under_way.values()
        ]
        self.processes[who] = Process(f"p{self.names}")
        self.names += 1
        if forks:
            self.processes[who].epochs = dict(process.epochs)
            self.processes[who].last_use = process.last_use

    @rule(restart=st.booleans())
    def lose(self, restart: bool) -> None:  # noqa: FBT001 (the same)
        """FLUSHALL, or a restart with older data or none.

        Every process tells soon, and none of them has died within a window of it.
        """
        if any(process.name >= "p3" for process in self.processes):
            return
        if restart:
            self.run += "1"
        self.connection.execute("DELETE FROM tokens")
        self.connection.execute("DELETE FROM windows")
        self.lost = self.now

    @invariant()
    def no_window_is_exceeded(self) -> None:
        flying = [
            (departed / 1e6, self.now / 1e6) for process in self.processes for departed in process.under_way.values()
        ]
        for capacity, cycle in SIZES.values():
            assert fullest_window_slowly(self.counted + flying, cycle / 1e6) <= capacity


Shared.TestCase.settings = settings(
    max_examples=examples(100), stateful_step_count=30, suppress_health_check=list(HealthCheck)
)
test_no_window_is_ever_exceeded = Shared.TestCase
