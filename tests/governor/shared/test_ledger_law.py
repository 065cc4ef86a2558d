"""The law of the shared rule.

No window is exceeded, whatever arrives late or never, whoever dies, stops, forks, or whatever is flushed.
Processes are reduced to what they may do with a ledger: claim, leave with what was granted while it is good, settle,
lose messages, die. A brute-force counter looks for a window with more requests than it takes, wherever the server
counted each between departure and answer.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.effort import examples
from support.windows import Interval, fullest_window_slowly

from spotify_ads_async.governor.shared.ledger import Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, Reply, State, WindowReport

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
        self.unused: dict[int, int] = {}
        self.last_use = self.counted_by = -(10**9)

    def message(self, now: int, interactive: int, bulk: int) -> Exchange:
        matters = now < self.last_use + 8_000_000
        windows = [
            WindowReport(
                key=key,
                capacity=capacity,
                cycle=cycle,
                epoch=epoch if matters else "",
                late=max(0, self.counted_by - now),
                owner=Owner(
                    label=self.name, usable=capacity, held=len(self.granted) + len(self.under_way) + len(self.settled)
                ),
                tokens=[
                    *((number, max(0, at + cycle - now)) for number, at in self.settled.items()),
                    *self.unused.items(),
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
            self.unused.pop(number, None)
        self.epochs = dict(zip(SIZES, (window.epoch for window in reply.windows), strict=True))
        for claim, delays in zip(message.claims, reply.grants, strict=True):
            for number, delay in enumerate(delays, claim.first):
                self.granted[number] = now + delay, asked_at + LEASE // 2

    def forget(self, message: Exchange) -> None:
        for claim in message.claims:
            self.unused |= dict.fromkeys(range(claim.first, claim.first + claim.count), HORIZON)


class Shared(RuleBasedStateMachine):
    """Three processes at a time and one ledger, in microseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000_000
        self.kept: dict[str, State] = {}
        self.run, self.lost = "1", 0
        self.names = 3
        self.processes = [Process(f"p{number}") for number in range(3)]
        self.counted: list[Interval] = []
        self.open: dict[tuple[str, int], int] = {}

    def step(self, message: Exchange) -> Reply:
        return exchange(self.kept, message, Surroundings(self.now, self.run, lost=self.lost))

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
                process.unused[number] = max(0, usable - self.now)
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

    @rule(
        who=st.integers(0, 2), seconds=st.sampled_from((1.75, 1.9, 2.1)), fate=st.sampled_from(("heard", "answer lost"))
    )
    def claim_in_vain(self, who: int, seconds: float, fate: str) -> None:
        """Use all, and again when another process was granted the same and did not use it."""
        other = self.processes[(who + 1) % 3]
        for _ in range(2):
            self.ask(who, 3, 0, 0, "heard")
            self.leave(who, 6)
            self.answer(who, 6)
            self.ask(who, 0, 0, 0, "heard")
            self.wait(seconds)
            self.ask((who + 1) % 3, 6, 0, 0, fate)
            other.unused |= {number: max(0, usable - self.now) for number, (usable, _) in other.granted.items()}
            other.granted.clear()
            self.ask((who + 1) % 3, 0, 0, 0, "heard")

    @rule(who=st.integers(0, 2), most=st.integers(1, 6), late=st.sampled_from((0, 0, 3_000_000)))
    def answer(self, who: int, most: int, late: int = 0) -> None:
        """Or give up, and the server counts it ``late``."""
        process = self.processes[who]
        for number, departed in list(process.under_way.items())[:most]:
            del process.under_way[number]
            process.last_use = self.now
            process.settled[number] = process.counted_by = max(process.counted_by, self.now + late)
            self.counted.append((departed / 1e6, (self.now + late) / 1e6))

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

    @rule(
        who=st.integers(0, 2),
        restart=st.booleans(),
        known=st.booleans(),
        late=st.sampled_from((0, 8_000_000)),
        seconds=st.sampled_from((0.0, 1.5, 7.5)),
    )
    def lose(self, who: int, restart: bool, known: bool, late: int, seconds: float) -> None:  # noqa: FBT001 (the same)
        """FLUSHALL, or a restart with older data or none; or it is still ``known`` that there was a set.

        It was used to the full just before. Every process tells soon, and none of them has died within a window of it.
        """
        self.wait(15.5)
        self.ask(who, 6, 0, 0, "heard")
        self.leave(who, 6)
        self.answer(who, 6, late)
        self.ask(who, 0, 0, 0, "heard")
        self.run += "1" * restart
        for state in self.kept.values():
            state.run = "another"
        if not known:
            self.kept.clear()
        self.lost = self.now
        for _ in range(2):
            self.ask(who, 6, 0, 0, "heard")
            self.leave(who, 6)
            self.wait(seconds)

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
