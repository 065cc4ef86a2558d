"""The shared window's rule, as a pure function of a state, a message and the store's time.

A pool has the tokens of one window. A token is free, held by a process (leased, or spent on a request without an answer),
or on its way back: it returns one cycle after its request's answer, and the tokens of a process that is heard of no more
return one cycle after its lease ended. ``out`` counts all that are not free; whatever a process says it holds is believed
and counted, so a message that is lost, repeated or forgotten makes fewer tokens free, never more.

The same rule stands in ``pool.lua`` for Redis; the tests hold the two together. Times are microseconds of the store's clock.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence

import msgspec

from spotify_ads_async.governor.stores.messages import NEVER, Answer, Exchange, Holder, PoolView, Report, Times

__all__ = ["SLOTS", "Pool", "exchange", "slot_length"]

SLOTS = 1024
"""Places in the ring of return times; a cycle takes up a thousand of them."""

_RING = struct.Struct(f"<{SLOTS}I")
_OUTLOOK_PARTS = 8
_RECOVERY_CYCLES = (1, 4, 20)
_SLACK_SHARE = 0.01
_FADING_CYCLES = 4
_MEALS = 8


def slot_length(cycle: int) -> int:
    """The grain of return times: a thousandth of the cycle, rounded up."""
    return -(-cycle // 1000)


class Member(msgspec.Struct):
    """What the pool knows of one process.

    ``granted`` fades with time: what the process got in the last few cycles, by which shares are made even. ``want`` is
    what it asked for and did not get; ``appetite`` what it asked for at ``hungry_at``: who was hungry a moment ago soon is
    again, when its requests are answered, a few times before the tokens are used up. All that it was lent may be used at
    ``lent_until``. ``lapsed`` tokens are on their way back because its lease ended.
    """

    label: str = ""
    held: int = 0
    in_flight: int = 0
    cooling: int = 0
    waiting: int = 0
    want: int = 0
    appetite: int = 0
    hungry_at: int = 0
    granted: float = 0.0
    lent_until: int = 0
    lapsed: int = 0
    deadline: int = 0
    seen: int = 0
    sequence: int = 0


class Pool(msgspec.Struct):
    """One window's tokens in the store.

    ``due_to`` is the slot up to which tokens were taken back; ``closed_until`` bars grants after the store came back;
    ``sharing`` tells of processes that carry on while nobody reaches it.
    """

    capacity: int
    cycle: int
    slot: int
    born: int
    now: int
    due_to: int
    run: str = ""
    out: int = 0
    faded_at: int = 0
    paused_until: int = 0
    pause_cause: str = ""
    smooth: bool = False
    closed_until: int = 0
    forgetful: bool = False
    sharing: bool = False
    strikes: int = 0
    withheld_peak: int = 0
    recovering_from: int = 0
    recovering_until: int = 0
    members: dict[str, Member] = {}
    ring: list[int] = []

    @classmethod
    def new(cls, report: Report, now: int, *, spent: bool = False, run: str = "") -> Pool:
        """A pool with every token free, or with every token spent just now."""
        due_to = now // report.slot
        pool = cls(report.capacity, report.cycle, report.slot, now, now, due_to, run=run, faded_at=now, ring=[0] * SLOTS, forgetful=spent)
        if spent:
            pool.spend_all(now + report.cycle)
        return pool

    def encode(self) -> bytes:
        """The ring, then the rest as MessagePack."""
        ring, self.ring = self.ring, []
        try:
            return _RING.pack(*ring) + msgspec.msgpack.encode(self)
        finally:
            self.ring = ring

    @classmethod
    def decode(cls, data: bytes) -> Pool:
        """Read what :meth:`encode` or the Lua function wrote."""
        state = msgspec.msgpack.decode(data[_RING.size :])
        state["members"] = state["members"] or {}
        pool = msgspec.convert(state, cls, strict=False)
        pool.ring = list(_RING.unpack_from(data))
        return pool

    def spend_all(self, until: int) -> None:
        """Nobody knows what was spent: every token that seems free comes back at ``until``."""
        free = self.capacity - self.out
        if free > 0:
            self.out += free
            self.come_back(until, free)

    def come_back(self, at: int, tokens: int) -> None:
        """So many of those out are free from then on."""
        slot = -(-at // self.slot)
        if slot <= self.due_to:
            self.out -= tokens
        else:
            self.ring[min(slot, self.due_to + SLOTS - 1) % SLOTS] += tokens

    def advance(self, now: int) -> None:
        """Take in what became due: tokens, and leases of processes that are heard of no more."""
        self.now = max(self.now, now)
        due_to = self.now // self.slot
        for slot in range(self.due_to + 1, min(due_to, self.due_to + SLOTS) + 1):
            place = slot % SLOTS
            self.out -= self.ring[place]
            self.ring[place] = 0
        self.due_to = max(self.due_to, due_to)
        for owner, member in list(self.members.items()):
            if member.deadline <= self.now:
                self._end_lease(owner, member)

    def _end_lease(self, owner: str, member: Member) -> None:
        if member.held > 0:
            self.come_back(member.deadline + self.cycle, member.held)
            member.lapsed = member.held
        member.held = member.in_flight = member.cooling = member.waiting = member.want = 0
        if member.deadline + 2 * self.cycle <= self.now:
            del self.members[owner]

    def _resume_lease(self, member: Member) -> None:
        """A process is there again after its lease had ended: it tells itself what became of its tokens."""
        slot = -(-(member.deadline + self.cycle) // self.slot)
        if member.lapsed > 0 and slot > self.due_to:
            there = min(member.lapsed, self.ring[slot % SLOTS])
            self.ring[slot % SLOTS] -= there
            member.held += there
        member.lapsed = 0

    def withheld(self) -> int:
        """Tokens left to others who spend the same window; fewer with time."""
        if self.now >= self.recovering_until:
            return 0
        progress = (self.now - self.recovering_from) / (self.recovering_until - self.recovering_from)
        return math.ceil(self.withheld_peak * (1.0 - progress * progress * progress))

    def settle(self, message: Exchange, report: Report, run: str) -> int:
        """Take in a report. Answers the sequence number after which the pool forgot messages, or ``NEVER``."""
        self.capacity = report.capacity
        self._come_to_itself(message, report, run)
        member = self.members.setdefault(message.owner, Member())
        self._resume_lease(member)
        forgotten = report.born == self.born and report.acknowledged > member.sequence
        resend_after = member.sequence if forgotten else NEVER
        if report.held >= member.held:
            self.out += report.held - member.held
        else:  # it never heard of a grant, or the pool forgot what it spent
            self.come_back(self.now + report.cycle if forgotten else member.lent_until, member.held - report.held)
        member.held = report.held
        for age, tokens in report.settled:
            member.held -= tokens
            self.come_back(self.now - age + report.cycle, tokens)
        for delay, tokens in report.unused:
            member.held -= tokens
            self.come_back(self.now + delay if delay > 0 else 0, tokens)
        member.label = message.label
        member.in_flight = report.in_flight
        member.cooling = report.cooling
        member.waiting = report.waiting
        member.sequence = report.sequence
        member.seen = self.now
        member.deadline = self.now + message.lease
        if report.pause > 0 and self.now + report.pause > self.paused_until:
            self.paused_until = self.now + report.pause
            self.pause_cause = report.pause_cause
        self.smooth = self.smooth or report.smooth
        if report.refused > 0:
            self._refused(report.refused)
        self._fade()
        return resend_after

    def _come_to_itself(self, message: Exchange, report: Report, run: str) -> None:
        """The store may have lost its data, gone back to older data, or been out of reach."""
        if report.born not in {0, self.born} and not self.forgetful:
            self.forgetful = True
            self.spend_all(self.now + self.cycle)
        if message.fresh and run != self.run:
            self.run = run
            self.close(message)
        if message.alone:
            self.close(message)
        self.sharing = self.sharing or message.sharing

    @property
    def is_closed(self) -> bool:
        """Whether nobody is lent anything."""
        return self.now < self.closed_until

    def close(self, message: Exchange) -> None:
        """Lend nobody anything until every process has told what it spent."""
        self.closed_until = max(self.closed_until, self.now + message.lease // 2)

    def _refused(self, refused: int) -> None:
        if self.now < self.recovering_from + self.cycle // 2 and self.withheld() > 0:
            return
        self.strikes = self.strikes + 1 if self.now < self.recovering_until + 2 * self.cycle else 1
        held = sum(member.held for member in self.members.values())
        ours = sum(member.in_flight + member.cooling for member in self.members.values())
        others = self.capacity - (self.out - held) - ours + refused
        slack = max(1, math.ceil(self.capacity * _SLACK_SHARE))
        self.withheld_peak = max(0, min(others + slack, self.capacity - 1))
        self.recovering_from = self.now
        self.recovering_until = self.now + self.cycle * _RECOVERY_CYCLES[min(self.strikes, len(_RECOVERY_CYCLES)) - 1]

    def _fade(self) -> None:
        kept = max(0.0, 1.0 - (self.now - self.faded_at) / (_FADING_CYCLES * self.cycle))
        for member in self.members.values():
            member.granted *= kept
        self.faded_at = self.now

    def balance(self, report: Report) -> int:
        """Free tokens; below zero, so many must come back before one is free."""
        return report.capacity - self.out - self.withheld() - report.held_back

    def within_reach(self, report: Report) -> int:
        """Tokens that are free or come back soon enough to be granted now."""
        if self.is_closed or self.paused_until > self.now + report.ahead:
            return 0
        soon = sum(self.ring[slot % SLOTS] for slot in self._slots_ahead(report.ahead))
        return max(0, self.balance(report) + soon)

    def _slots_ahead(self, ahead: int) -> Iterator[int]:
        last = min((self.now + ahead) // self.slot, self.due_to + SLOTS - 1)
        return iter(range(self.due_to + 1, last + 1))

    def rivals(self, owner: str, lease: int) -> list[tuple[float, int]]:
        """What other processes got lately and want, of those that were heard of lately."""
        found: list[tuple[float, int]] = []
        for name, member in self.members.items():
            if name == owner or member.seen <= self.now - lease // 2:
                continue
            want = member.want
            if member.hungry_at > self.now - lease // 12:
                want = max(want, member.appetite * _MEALS)
            if want > 0:
                found.append((member.granted, want))
        return found

    def catch_up(self, member: Member, rivals: Sequence[tuple[float, int]], lease: int) -> None:
        """Who was not hungry for a while is not owed more than one window's share."""
        if member.hungry_at <= self.now - lease // 2:
            least = min(got for got, _ in rivals) - self.capacity / (len(rivals) + 1)
            member.granted = max(member.granted, least)

    def grant(self, member: Member, report: Report, tokens: int) -> Times:
        """Hand out the earliest tokens."""
        granted: Times = []
        balance = self.balance(report)
        left = tokens
        if balance > 0 and left > 0:
            free = min(balance, left)
            granted.append((0, free))
            self.out += free
            left -= free
        owed = max(0, -balance)
        for slot in self._slots_ahead(report.ahead):
            if left <= 0:
                break
            place = slot % SLOTS
            there = self.ring[place]
            passed = min(owed, there)
            owed -= passed
            taken = min(there - passed, left)
            if taken > 0:
                self.ring[place] -= taken
                left -= taken
                granted.append((slot * self.slot - self.now, taken))
                member.lent_until = max(member.lent_until, slot * self.slot)
        got = tokens - left
        member.held += got
        member.granted += got
        return granted

    def reserve(self, message: Exchange, report: Report) -> int:
        """Let a process keep free tokens for the time when the store is away, unless others were hungry lately."""
        member = self.members[message.owner]
        hungry = any(other.want > 0 or other.hungry_at > self.now - message.lease for other in self.members.values() if other is not member)
        if hungry or message.leaving or self.is_closed:
            return 0
        tokens = max(0, min(report.reserve, self.balance(report)))
        self.out += tokens
        member.held += tokens
        return tokens

    def outlook(self) -> list[int]:
        """Tokens that come back by the end of each eighth of a cycle."""
        counts = [0] * _OUTLOOK_PARTS
        for step in range(1, SLOTS):
            tokens = self.ring[(self.due_to + step) % SLOTS]
            if tokens:
                counts[min(_OUTLOOK_PARTS - 1, step * self.slot * _OUTLOOK_PARTS // self.cycle)] += tokens
        total = 0
        for part in range(_OUTLOOK_PARTS):
            total += counts[part]
            counts[part] = total
        return counts

    def next_return(self) -> int:
        """In how long the next token comes back."""
        for step in range(1, SLOTS):
            if self.ring[(self.due_to + step) % SLOTS]:
                return (self.due_to + step) * self.slot - self.now
        return NEVER

    def view(self, key: str, now: int) -> PoolView:
        """The pool as people see it."""
        self.advance(now)
        limit, window, origin, identity = key.split("|", 3)
        held = sum(member.held for member in self.members.values())
        next_return = self.next_return()
        holders = (
            Holder(
                owner=owner,
                label=member.label,
                held=member.held,
                in_flight=member.in_flight,
                waiting=member.waiting,
                lease_ends_in=(member.deadline - self.now) / 1e6,
            )
            for owner, member in sorted(self.members.items())
            if member.deadline > self.now
        )
        return PoolView(
            limit=limit,
            window=float(window),
            origin=origin,
            identity=identity,
            capacity=self.capacity,
            free=max(0, self.capacity - self.out - self.withheld()),
            held=held,
            returning=self.out - held,
            withheld=self.withheld(),
            waiting=sum(member.waiting for member in self.members.values()),
            next_return=None if next_return == NEVER else next_return / 1e6,
            paused_for=max(0, self.paused_until - self.now) / 1e6,
            pause_cause=self.pause_cause if self.paused_until > self.now else "",
            closed_for=max(0, self.closed_until - self.now) / 1e6,
            holders=tuple(holders),
        )


def exchange(pools: Sequence[Pool], message: Exchange, now: int, run: str = "", up_for: float = math.inf) -> list[Answer]:
    """Take in a message and answer it: one atomic step over all its windows.

    ``run`` names the server's run and ``up_for`` is its age in microseconds; both are read for a fresh connection.
    """
    answers: list[Answer] = []
    for pool, report in zip(pools, message.windows, strict=True):
        unheard_for = now - pool.now
        pool.advance(now)
        if pool.sharing and unheard_for > pool.cycle:  # the store was away, and others may have carried on
            pool.close(message)
        if pool.now == pool.born and up_for < pool.cycle + message.lease:  # the store may have had data before, and lost it
            pool.close(message)
        known = pool.members.get(message.owner)
        stale = known is not None and report.sequence <= known.sequence
        resend_after = NEVER if stale else pool.settle(message, report, run)
        answers.append(Answer(stale=stale, born=pool.born, resend_after=resend_after))
    if not message.leaving:
        _hand_out(pools, message, answers)
    for pool, report, answer in zip(pools, message.windows, answers, strict=True):
        member = pool.members[message.owner]
        if message.leaving and member.held <= 0 and not answer.stale:
            del pool.members[message.owner]
            pool.sharing = pool.sharing and bool(pool.members)
        elif not answer.stale and answer.resend_after == NEVER and (reserved := pool.reserve(message, report)):
            answer.granted.append((0, reserved))
        answer.pause = max(0, pool.paused_until - pool.now)
        answer.pause_cause = pool.pause_cause
        answer.smooth = pool.smooth
        answer.waiting = sum(other.waiting for other in pool.members.values())
        answer.free = pool.balance(report)
        answer.closed_for = max(0, pool.closed_until - pool.now)
        answer.withheld = pool.withheld()
        if member.want > 0:
            answer.outlook = pool.outlook()
            answer.next_return = pool.next_return()
    return answers


def _hand_out(pools: Sequence[Pool], message: Exchange, answers: Sequence[Answer]) -> None:
    """Grant what the lanes can use: a window's tokens are no good to a lane that lacks another's."""
    reports = message.windows
    wanted = [0] * len(reports)
    for windows, waiting in message.lanes:
        for window in windows:
            wanted[window] += waiting
    within_reach: list[int] = []
    for window, (pool, report, answer) in enumerate(zip(pools, reports, answers, strict=True)):
        rivals = pool.rivals(message.owner, message.lease)
        want = max(0, wanted[window] - report.spare)
        answer.active = len(rivals) + 1
        if want > 0 and rivals:
            pool.catch_up(pool.members[message.owner], rivals, message.lease)
        reach = 0 if answer.stale or answer.resend_after != NEVER else pool.within_reach(report)
        within_reach.append(report.spare + _fair_share(reach, pool.members[message.owner].granted, want, rivals))
    used = [0] * len(reports)
    asked = [0] * len(reports)
    for windows, waiting in message.lanes:
        left = [within_reach[window] - used[window] for window in windows]
        # While nobody is lent anything, hunger is noted all the same: who asks first afterwards must not get everything.
        for position, window in enumerate(windows):
            elsewhere = [left[other] for other, there in enumerate(windows) if other != position and not pools[there].is_closed]
            asked[window] += min([waiting, *elsewhere])
            used[window] += min([waiting, *left])
    for window, (pool, report, answer) in enumerate(zip(pools, reports, answers, strict=True)):
        member = pool.members[message.owner]
        answer.granted = pool.grant(member, report, max(0, used[window] - report.spare))
        got = sum(count for _, count in answer.granted)
        want = max(0, asked[window] - report.spare)
        if not answer.stale:
            member.want = max(0, want - got)
            if want > 0:
                member.appetite, member.hungry_at = want, pool.now


def _fair_share(within_reach: int, granted: float, want: int, rivals: Sequence[tuple[float, int]]) -> int:
    """What a process may take now so that, in a few cycles, those who want more than there is get the same.

    Those who got the least lately are filled up first, like vessels that stand in the same water.
    """
    if want + sum(theirs for _, theirs in rivals) <= within_reach:
        return want
    low = min([granted, *(got for got, _ in rivals)])
    high = max([granted + want, *(got + theirs for got, theirs in rivals)])
    for _ in range(40):
        level = (low + high) / 2
        poured = min(max(level - granted, 0.0), want) + sum(min(max(level - got, 0.0), theirs) for got, theirs in rivals)
        if poured < within_reach:
            low = level
        else:
            high = level
    return max(0, min(want, within_reach, math.ceil(high - granted - 1e-6)))
