"""Ledger: the shared rule, for SQLite: one atomic step over all windows of one message. Its twin is ``ledger.lua``.

Pure but for the connection, which is inside of a transaction. A token is a row of ``tokens`` (member =
process:number, due = when the token is free), the rest of a window is one row of ``windows``. Times are microseconds.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.governor.grants import Outlook, Pause
from spotify_ads_async.governor.shared.store import Claim, Exchange, Reply, State, WindowReport

__all__ = ["SCHEMA", "Surroundings", "exchange"]

BULK_TURN = 4
DUE_PARTS = 16
STEP_BACK = 1_000_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens
    (key TEXT, member TEXT, due INTEGER NOT NULL, PRIMARY KEY (key, member)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_by_due ON tokens (key, due, member);
"""


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

    def __init__(
        self, connection: sqlite3.Connection, message: Exchange, report: WindowReport, around: Surroundings
    ) -> None:
        self.connection, self.message, self.report = connection, message, report
        self.bound: bool | None = None
        self.over_in = report.cycle + max(message.lease, report.late)  # what was forgotten
        self.state = state = self.open(around)
        self.now = state.now = max(around.now, state.now)
        state.capacity, state.cycle = report.capacity, report.cycle

    def open(self, around: Surroundings) -> State:
        """What is kept, or a new set where nothing or half of it is, or where it is of another run of the clock."""
        report, message = self.report, self.message
        rows = self.run("SELECT state FROM windows WHERE key = ?")
        state = msgspec.msgpack.decode(rows[0][0], type=State) if rows else State()
        whole = state.out == 0 or self.count() > 0
        if rows and whole and state.run == around.run and around.now >= state.now - STEP_BACK:
            if report.epoch not in {"", state.epoch}:
                state.closed = max(state.closed, around.now + self.over_in)
            return state
        self.run("DELETE FROM tokens WHERE key = ?")
        state.epoch, state.run, state.owners = f"{message.owner}{around.now}", around.run, {}
        state.closed = self.opening(around, known=bool(rows))
        passed, state.now = around.now - state.now, around.now
        state.paused, state.asked = state.paused + passed, state.asked + passed
        return state

    def opening(self, around: Surroundings, *, known: bool) -> int:
        """When a new set may be drawn from. What is missing has expired, was never there, or was lost."""
        if known or self.report.epoch:
            return around.now + self.over_in  # somebody knew another set
        # On a server that was started just now, processes whose tokens it may have lost have time to say so.
        young = int(around.now - min(around.age, around.now) + self.message.lease / 2)
        return max(around.now, young, around.lost + self.over_in if around.lost else 0)

    def settle(self) -> None:
        """Write down what the process says of its tokens, of pauses and of itself."""
        report, state, at, mine = self.report, self.state, self.now, self.message.owner
        for number, free_in in report.tokens:
            self.put(f"{mine}:{number}", at + free_in)
        self.run("DELETE FROM tokens WHERE key = ? AND due <= ?", at)
        if report.lift:
            state.paused, state.asked, state.cause, state.lifts = 0, 0, "", state.lifts + 1
        if report.pause is not None and at + report.pause.left > state.paused:
            state.paused, state.asked, state.cause = at + report.pause.left, at + report.pause.asked, report.pause.cause
        state.smooth = state.smooth or report.smooth
        before = state.owners.pop(mine, report.owner)
        for owner, other in list(state.owners.items()):
            if other.heard + report.cycle + self.message.lease < at:
                del state.owners[owner]
        if not self.message.leaving:
            state.owners[mine] = msgspec.structs.replace(report.owner, heard=at, short=before.short)

    def share(self) -> None:
        """How much it may have: what it lacks of an even part, and what those who are short do not lack of theirs."""
        report, at, lease = self.report, self.now, self.message.lease
        owners, mine = self.state.owners, self.message.owner
        lately = {name: owner for name, owner in owners.items() if owner.heard + lease / 2 > at}
        others = {name: owner for name, owner in lately.items() if name != mine and owner.short}
        if not any(owner.bulk for owner in lately.values()):
            self.state.overtaken = 0
        capacity = report.capacity - max([report.owner.withheld, *(owner.withheld for owner in owners.values())])
        self.active = 1 + len(others)
        self.opens = max(at, self.state.closed, self.state.paused)
        self.free = capacity - self.count()
        sooner = "SELECT member, due FROM tokens WHERE key = ? AND due <= ? ORDER BY due, member"
        self.soon = self.run(sooner, at + self.message.horizon)
        # What bulk requests leave to interactive ones: Window.reserve().
        wanted = min(report.capacity // 4, sum(owner.interactive for owner in owners.values()))
        self.reserve = max(0, min(capacity - 1, max(math.ceil(report.capacity * 0.002), wanted)))
        # What is soon back is held by nobody any more. Bulk requests do not lack what they leave, but for their turn.
        back = Counter(member.partition(":")[0] for member, _ in self.soon)
        even, total = capacity // self.active, max(0, self.free + len(self.soon))
        lacked = {False: 0, True: 0}
        for name, owner in others.items():
            lacked[owner.bulk == owner.waiting] += max(0, even - owner.held + back[name])
        for_bulk = min(lacked[True], max(self.state.overtaken // BULK_TURN, total - self.reserve))
        self.allowed = min(total, max(even - report.owner.held + back[mine], total - lacked[False] - for_bulk))
        if self.opens > at + self.message.horizon:
            self.allowed = 0

    def kept(self, *, bulk: bool) -> int:
        """What bulk leaves to interactive requests, but for its turn."""
        return self.reserve if bulk and self.state.overtaken < BULK_TURN else 0

    def left(self, *, bulk: bool) -> int:
        """How many requests of a class may be granted a token."""
        return max(0, min(self.allowed, self.free - self.kept(bulk=bulk) + len(self.soon)))

    def draw(self, number: int, *, bulk: bool) -> int:
        """Take one token; answers from when it may be used."""
        at, kept = self.opens, self.kept(bulk=bulk)
        if self.free > kept:
            self.free -= 1
        else:
            back, due = self.soon.pop(kept - self.free)
            self.run("DELETE FROM tokens WHERE key = ? AND member = ?", back)
            at = max(at, due)
            self.state.overtaken += not bulk
        if bulk:
            self.state.overtaken = max(0, self.state.overtaken - BULK_TURN)
        self.allowed -= 1
        self.put(f"{self.message.owner}:{number}", self.now + self.message.lease + self.report.cycle)
        return at

    def answer(self) -> Outlook:
        """What to tell the process; and the state goes back to where it is kept."""
        state, at, mine = self.state, self.now, self.message.owner
        me = state.owners.get(mine)
        if me is not None and (self.bound is not None or me.waiting == 0):
            me.short = bool(self.bound)
        out = state.out = self.count()
        waiting = sum(owner.waiting for owner in state.owners.values())
        parts = min(out, DUE_PARTS) if waiting > self.free else 0
        ranked = "SELECT due FROM tokens WHERE key = ? ORDER BY due, member LIMIT 1 OFFSET ?"
        dues = [self.run(ranked, part * out // parts)[0][0] for part in range(parts)]
        self.run("INSERT OR REPLACE INTO windows VALUES (?, ?)", msgspec.msgpack.encode(state))
        return Outlook(
            epoch=state.epoch,
            opens=max(0, state.closed - at),
            free=max(0, self.free),
            out=out,
            due=[max(0, min(due - at, state.cycle)) for due in dues],
            active=self.active,
            waiting=waiting - (me.waiting if me is not None else 0),
            lifts=state.lifts,
            smooth=state.smooth,
            pause=Pause(state.paused - at, state.asked - at, state.cause) if state.paused > at else None,
        )

    def run(self, statement: str, *values: object) -> list[Any]:
        return self.connection.execute(statement, (self.report.key, *values)).fetchall()

    def put(self, member: str, due: int) -> None:
        self.run("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", member, due)

    def count(self) -> int:
        return self.run("SELECT count(*) FROM tokens WHERE key = ?")[0][0]


def _grant(windows: list[_Window], claim: Claim, now: int) -> list[int]:
    """All tokens of a request or none, for as many of the claim's requests as there are tokens for."""
    found, usable = [windows[place] for place in claim.windows], list[int]()
    while len(usable) < claim.count and all(window.left(bulk=claim.bulk) > 0 for window in found):
        number = claim.first + len(usable)
        usable.append(max(0, *(window.draw(number, bulk=claim.bulk) - now for window in found)))
    for window in found:
        window.bound = window.bound or (len(usable) < claim.count and window.left(bulk=claim.bulk) == 0)
    return usable


def exchange(connection: sqlite3.Connection, message: Exchange, around: Surroundings) -> Reply:
    """One step: take in what the process says, grant what it claims, and answer."""
    windows = [_Window(connection, message, report, around) for report in message.windows]
    for window in windows:
        window.settle()
        window.share()
    grants = [_grant(windows, claim, around.now) for claim in message.claims]
    return Reply(time=around.now, windows=[window.answer() for window in windows], grants=grants)
