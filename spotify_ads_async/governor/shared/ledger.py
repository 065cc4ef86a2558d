"""Ledger: the shared rule, for SQLite: one step over all windows of one message. Its twin is ``ledger.lua``. Pure.

A token is ``process:number`` and when it is free. Times are microseconds of the store's clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from typing import NamedTuple

import msgspec

from spotify_ads_async.governor.grants import Outlook, Pause
from spotify_ads_async.governor.shared.store import Claim, Exchange, Reply, State, WindowReport
from spotify_ads_async.governor.window import BULK_TURN, reserve

__all__ = ["Surroundings", "exchange"]

_DUE_PARTS, _STEP_BACK = 32, 1_000_000


class Surroundings(NamedTuple):
    """The store's clock, the run of the machine or server that it belongs to, and for how long that has run.

    ``lost`` is when windows that are not there may have been lost, 0 where that never happened.
    """

    now: int
    run: str
    age: float = math.inf
    lost: int = 0


class _Window:
    """One window during one step. ``bound`` says whether it had too few tokens for a claim, None without one."""

    def __init__(self, kept: State | None, message: Exchange, report: WindowReport, around: Surroundings) -> None:
        self.message, self.report = message, report
        self.bound: bool | None = None
        self.state = state = self.open(kept, around)
        self.now = state.now = max(around.now, state.now)
        state.capacity, state.cycle = report.capacity, report.cycle

    def open(self, kept: State | None, around: Surroundings) -> State:
        """What is kept, or a new set where nothing is, or where it is of another run of the clock."""
        report, message, now = self.report, self.message, around.now
        over_at = now + report.cycle + max(message.lease, report.late)  # what was forgotten is
        if kept is not None and kept.run == around.run and now >= kept.now - _STEP_BACK:
            if report.epoch not in {"", kept.epoch}:
                kept.closed = max(kept.closed, over_at)
            return kept
        # When it may be drawn from: what is missing has expired, was never there, or was lost.
        if kept is not None or report.epoch:
            closed = over_at  # somebody knew another set
        else:
            # On a server that was started just now, processes whose tokens it may have lost have time to say so.
            young = int(now - min(around.age, now) + message.lease / 2)
            closed = max(now, young, around.lost + over_at - now if around.lost else 0)
        return State(epoch=f"{message.owner}{now}", run=around.run, now=now, closed=closed)

    def settle(self) -> None:
        """Write down what the process says of its tokens, of pauses and of itself."""
        report, state, at, mine = self.report, self.state, self.now, self.message.owner
        state.tokens |= {f"{mine}:{number}": at + free_in for number, free_in in report.tokens}
        state.tokens = {token: due for token, due in state.tokens.items() if due > at}
        if report.lift:
            state.paused, state.asked, state.cause = 0, 0, ""
        if report.pause is not None and at + report.pause.left > state.paused:
            state.paused, state.asked, state.cause = at + report.pause.left, at + report.pause.asked, report.pause.cause
        state.smooth = state.smooth or report.smooth
        before = state.owners.pop(mine, report.owner)
        forgotten_at = at - report.cycle - self.message.lease
        state.owners = {name: owner for name, owner in state.owners.items() if owner.heard >= forgotten_at}
        if not self.message.leaving:
            state.owners[mine] = msgspec.structs.replace(report.owner, heard=at, short=before.short)

    def share(self) -> None:
        """How much it may have: what it lacks of an even part, and what those who are short do not lack of theirs."""
        report, state, at, lease = self.report, self.state, self.now, self.message.lease
        owners, mine = state.owners, self.message.owner
        lately = {name: owner for name, owner in owners.items() if owner.heard + lease / 2 > at}
        others = {name: owner for name, owner in lately.items() if name != mine and owner.short}
        if not any(owner.bulk for owner in lately.values()):
            state.overtaken = 0
        elif at > state.bulk_left + report.cycle:  # one in each window at least
            state.overtaken = max(state.overtaken, BULK_TURN)
        capacity = min([report.owner.usable, *(owner.usable for owner in owners.values())])
        self.active = 1 + len(others)
        self.opens = max(at, state.closed, state.paused)
        self.free = capacity - len(state.tokens)
        horizon = at + self.message.horizon
        self.soon = sorted((due, token) for token, due in state.tokens.items() if due <= horizon)
        wanted = sum(owner.interactive for owner in owners.values())
        self.reserve = reserve(report.capacity, wanted, most=capacity - 1)
        # What is soon back is held by nobody any more. Bulk requests do not lack what they leave, but for their turn.
        back = Counter(token.partition(":")[0] for _, token in self.soon)
        even, total = capacity // self.active, max(0, self.free + len(self.soon))
        lacked = {False: 0, True: 0}
        for name, owner in others.items():
            lacked[owner.bulk == owner.waiting] += max(0, even - owner.held + back[name])
        for_bulk = min(lacked[True], max(state.overtaken // BULK_TURN, total - self.reserve))
        self.allowed = min(total, max(even - report.owner.held + back[mine], total - lacked[False] - for_bulk))
        if self.opens > horizon:
            self.allowed = 0

    def kept(self, *, bulk: bool) -> int:
        """What bulk leaves to interactive requests, but for its turn."""
        return self.reserve if bulk and self.state.overtaken < BULK_TURN else 0

    def left(self, *, bulk: bool) -> int:
        """How many requests of a class may be granted a token."""
        return max(0, min(self.allowed, self.free - self.kept(bulk=bulk) + len(self.soon)))

    def draw(self, number: int, *, bulk: bool) -> int:
        """Take one token; answers from when it may be used."""
        at, kept, state = self.opens, self.kept(bulk=bulk), self.state
        if self.free > kept:
            self.free -= 1
        else:
            due, back = self.soon.pop(kept - self.free)
            del state.tokens[back]
            at = max(at, due)
            state.overtaken += not bulk
        if bulk:
            state.overtaken, state.bulk_left = max(0, state.overtaken - BULK_TURN), self.now
        self.allowed -= 1
        state.tokens[f"{self.message.owner}:{number}"] = self.now + self.message.lease + self.report.cycle
        return at

    def answer(self) -> Outlook:
        """What to tell the process."""
        state, at, me = self.state, self.now, self.state.owners.get(self.message.owner)
        if me is not None and (self.bound is not None or me.waiting == 0):
            me.short = bool(self.bound)
        dues, waiting = sorted(state.tokens.values()), sum(owner.waiting for owner in state.owners.values())
        due, rank = list[tuple[int, int]](), 0
        while waiting > self.free - self.reserve and rank < len(dues) and len(due) < _DUE_PARTS:
            count = bisect_right(dues, dues[rank] + state.cycle // _DUE_PARTS) - rank
            due.append((max(0, min(dues[rank] - at, state.cycle)), count))
            rank += count
        return Outlook(
            epoch=state.epoch,
            opens=max(0, state.closed - at),
            free=max(0, self.free),
            out=len(dues),
            due=due,
            active=self.active,
            waiting=waiting - (me.waiting if me is not None else 0),
            reserve=self.reserve,
            smooth=state.smooth,
            pause=Pause(state.paused - at, state.asked - at, state.cause) if state.paused > at else None,
        )


def _grant(windows: list[_Window], claim: Claim, now: int) -> list[int]:
    """All tokens of a request or none, for as many of the claim's requests as there are tokens for."""
    found, usable = [windows[place] for place in claim.windows], list[int]()
    while len(usable) < claim.count and all(window.left(bulk=claim.bulk) > 0 for window in found):
        number = claim.first + len(usable)
        usable.append(max(0, *(window.draw(number, bulk=claim.bulk) - now for window in found)))
    for window in found:
        window.bound = window.bound or (len(usable) < claim.count and window.left(bulk=claim.bulk) == 0)
    return usable


def exchange(kept: dict[str, State], message: Exchange, around: Surroundings) -> Reply:
    """One step: take in what the process says, grant what it claims, and answer. ``kept`` is changed, for its keys."""
    windows = [_Window(kept.get(report.key), message, report, around) for report in message.windows]
    for window in windows:
        window.settle()
        window.share()
    grants = [_grant(windows, claim, around.now) for claim in message.claims]
    kept.update((window.report.key, window.state) for window in windows)
    return Reply(time=around.now, windows=[window.answer() for window in windows], grants=grants)
