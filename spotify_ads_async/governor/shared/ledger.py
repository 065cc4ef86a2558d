"""Ledger: the shared rule, for SQLite: one atomic step over all windows of one message. Its twin is ``ledger.lua``.

Pure but for the connection, which is inside of a transaction. A token is a row of ``tokens`` (member =
process:number, due = when the token is free), the rest of a window is one row of ``windows``. Times are microseconds.
"""

from __future__ import annotations

import math
import sqlite3
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.governor.shared.store import Claim, Exchange, Pause, Reply, State, WindowReply, WindowReport

__all__ = ["SCHEMA", "Surroundings", "exchange"]

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
        self.starved = False
        self.bound: bool | None = None
        self.state = state = self.open(around)
        self.now = state.now = max(around.now, state.now)
        state.capacity, state.cycle = report.capacity, report.cycle

    def open(self, around: Surroundings) -> State:
        """What is kept, or a new set where nothing is, or where it is of another run of the clock."""
        report, message = self.report, self.message
        rows = self.run("SELECT state FROM windows WHERE key = ?")
        known = msgspec.msgpack.decode(rows[0][0], type=State) if rows else None
        if known is not None and known.run == around.run and around.now >= known.now - STEP_BACK:
            if report.epoch not in {"", known.epoch}:
                known.closed = max(known.closed, around.now + report.cycle + message.lease)
            return known
        self.run("DELETE FROM tokens WHERE key = ?")
        fresh = State(f"{message.owner}{around.now}", around.run, around.now, self.opening(around, known))
        if known is not None:
            passed = around.now - known.now
            fresh.paused, fresh.asked, fresh.cause = known.paused + passed, known.asked + passed, known.cause
            fresh.smooth, fresh.lifts = known.smooth, known.lifts
        return fresh

    def opening(self, around: Surroundings, known: State | None) -> int:
        """When a new set may be drawn from. What is missing has expired, was never there, or was lost."""
        over = self.report.cycle + self.message.lease
        if known is not None or self.report.epoch:
            return around.now + over  # somebody knew another set
        # On a server that was started just now, processes whose tokens it may have lost have time to say so.
        young = int(around.now - min(around.age, around.now) + self.message.lease / 2)
        return max(around.now, young, around.lost + over if around.lost else 0)

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
            state.owners[mine] = msgspec.structs.replace(report.owner, heard=at, asked=before.asked)

    def share(self) -> None:
        """How much this process may have: an even part, then half of what is left, always something for the others."""
        report, at, lease = self.report, self.now, self.message.lease
        withheld, wanted, self.active = report.owner.withheld, 0, 1
        for owner, other in self.state.owners.items():
            withheld, wanted = max(withheld, other.withheld), wanted + other.interactive
            self.active += owner != self.message.owner and other.asked + lease / 2 > at
        capacity = report.capacity - withheld
        self.opens = max(at, self.state.closed, self.state.paused)
        self.free = capacity - self.count()
        sooner = "SELECT member, due FROM tokens WHERE key = ? AND due <= ? ORDER BY due, member"
        self.soon = self.run(sooner, at + self.message.horizon)
        # What bulk requests leave to interactive ones: Window.reserve().
        wanted = min(report.capacity // 4, wanted)
        self.reserve = max(0, min(capacity - 1, max(math.ceil(report.capacity * 0.002), wanted)))
        total = max(0, self.free + len(self.soon))
        part = min(total, max(0, capacity // self.active - report.owner.held))
        rest = total - part
        lead = math.ceil(report.capacity * min(0.05, 0.02 * (self.active - 1)))
        self.allowed = total if self.active == 1 else part + max(0, min(rest // 2, rest - lead))
        if self.opens > at + self.message.horizon:
            self.allowed = 0

    def left(self, kept: int) -> int:
        """How many requests may be granted a token while ``kept`` ones are left to others."""
        return max(0, min(self.allowed, self.free - kept + len(self.soon)))

    def draw(self, kept: int, number: int) -> int:
        """Take one token; answers from when it may be used."""
        at = self.opens
        if self.free - kept > 0:
            self.free -= 1
        else:
            back, due = self.soon.pop(kept - self.free)
            self.run("DELETE FROM tokens WHERE key = ? AND member = ?", back)
            at = max(at, due)
        self.allowed -= 1
        self.put(f"{self.message.owner}:{number}", self.now + self.message.lease + self.report.cycle)
        return at

    def answer(self) -> WindowReply:
        """What to tell the process; and the state goes back to where it is kept."""
        state, at, mine = self.state, self.now, self.message.owner
        me = state.owners.get(mine)
        if me is not None and (self.bound is not None or me.waiting == 0):
            me.asked = at if self.bound else 0
        out = self.count()
        parts = min(out, DUE_PARTS) if self.starved else 0
        ranked = "SELECT due FROM tokens WHERE key = ? ORDER BY due, member LIMIT 1 OFFSET ?"
        dues = [self.run(ranked, part * out // parts)[0][0] for part in range(parts)]
        self.run("INSERT OR REPLACE INTO windows VALUES (?, ?)", msgspec.msgpack.encode(state))
        return WindowReply(
            epoch=state.epoch,
            opens=max(0, state.closed - at),
            free=max(0, self.free),
            out=out,
            due=[max(0, min(due - at, state.cycle)) for due in dues],
            active=self.active,
            waiting=sum(other.waiting for owner, other in state.owners.items() if owner != mine),
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
    found = [(windows[place], windows[place].reserve if claim.bulk else 0) for place in claim.windows]
    granted = min([claim.count, *(window.left(kept) for window, kept in found)])
    numbers = range(claim.first, claim.first + granted)
    usable = [max(0, *(window.draw(kept, number) - now for window, kept in found)) for number in numbers]
    for window, _ in found:
        window.starved = window.starved or granted < claim.count
        window.bound = window.bound or (granted < claim.count and window.left(0) == 0)
    return usable


def exchange(connection: sqlite3.Connection, message: Exchange, around: Surroundings) -> Reply:
    """One step: take in what the process says, grant what it claims, and answer."""
    windows = [_Window(connection, message, report, around) for report in message.windows]
    for window in windows:
        window.settle()
        window.share()
    grants = [_grant(windows, claim, around.now) for claim in message.claims]
    return Reply(time=around.now, windows=[window.answer() for window in windows], grants=grants)
