"""Ledger: the shared rule, for SQLite. One atomic step over all windows of one message. Its twin is ``ledger.lua``.

Pure but for the connection, which is inside of a transaction. A token is a row of ``tokens`` (member =
process:number, due = when the token is free), the rest of a window is one row of ``windows``. Times are microseconds.
"""

from __future__ import annotations

import math
import sqlite3
from typing import NamedTuple

import msgspec

from spotify_ads_async.governor.shared.store import (
    Claim,
    Exchange,
    Owner,
    Pause,
    Reply,
    State,
    WindowReply,
    WindowReport,
)

__all__ = ["SCHEMA", "Surroundings", "exchange"]

DUE_PARTS = 16
STEP_BACK = 1_000_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens
    (key TEXT, member TEXT, due INTEGER NOT NULL, PRIMARY KEY (key, member)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_by_due ON tokens (key, due, member);
"""
_PUT = "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)"
_REMOVE = "DELETE FROM tokens WHERE key = ? AND member = ?"


class Surroundings(NamedTuple):
    """The store's clock, the run of the machine or server that it belongs to, and for how long that has run.

    ``lost`` is when windows that are not there may have been lost, 0 where that never happened.
    """

    now: int
    run: str
    age: float = math.inf
    lost: int = 0


class _Window:
    """One window during one step."""

    def __init__(
        self, connection: sqlite3.Connection, message: Exchange, report: WindowReport, around: Surroundings
    ) -> None:
        self.connection, self.message, self.report = connection, message, report
        self.starved = self.bound = self.claimed = False
        row = connection.execute("SELECT state FROM windows WHERE key = ?", (report.key,)).fetchone()
        state = msgspec.msgpack.decode(row[0], type=State) if row else None
        if state is None or state.run != around.run or around.now < state.now - STEP_BACK:
            connection.execute("DELETE FROM tokens WHERE key = ?", (report.key,))
            fresh = State(epoch=f"{message.owner}{around.now}", run=around.run, now=around.now)
            fresh.closed = _opening(message, report, around, state)
            if state is not None:
                fresh.smooth, fresh.lifts = state.smooth, state.lifts
                if state.paused > state.now:
                    passed = around.now - state.now
                    fresh.paused, fresh.asked, fresh.cause = state.paused + passed, state.asked + passed, state.cause
            state = fresh
        elif report.epoch not in {"", state.epoch}:
            state.closed = max(state.closed, around.now + report.cycle + message.lease)
        self.state, self.now = state, max(around.now, state.now)
        state.now, state.capacity, state.cycle = self.now, report.capacity, report.cycle

    def settle(self) -> None:
        """Write down what the process says of its requests, of pauses and of itself."""
        report, state, at, message = self.report, self.state, self.now, self.message
        key, mine, many = report.key, message.owner, self.connection.executemany
        many(_REMOVE, [(key, f"{mine}:{number}") for number in report.unused])
        many(_PUT, [(key, f"{mine}:{number}", at - age + report.cycle) for number, age in report.settled])
        many(_PUT, [(key, f"{mine}:{number}", at + message.lease + report.cycle) for number in report.extended])
        self.connection.execute("DELETE FROM tokens WHERE key = ? AND due <= ?", (key, at))
        if report.lift:
            state.paused, state.asked, state.cause, state.lifts = 0, 0, "", state.lifts + 1
        if report.pause is not None and at + report.pause.left > state.paused:
            state.paused, state.asked, state.cause = at + report.pause.left, at + report.pause.asked, report.pause.cause
        state.smooth = state.smooth or report.smooth
        before = state.owners.pop(mine, None)
        for owner, other in list(state.owners.items()):
            if other.heard + report.cycle + message.lease < at:
                del state.owners[owner]
        if not message.leaving:
            said = (report.held, report.in_flight, report.waiting, report.interactive, message.label, report.withheld)
            state.owners[mine] = Owner(at, before.asked if before is not None else 0, *said)

    def share(self) -> None:
        """How much of the window this process may have.

        An even part first, then half of what is left, always something for the others.
        """
        report, at, message = self.report, self.now, self.message
        everybody = self.state.owners.values()
        withheld = max([report.withheld, *(one.withheld for one in everybody)])
        capacity = report.capacity - withheld
        self.opens = max(at, self.state.closed, self.state.paused)
        self.free = capacity - self._count()
        self.soon: list[tuple[str, int]] = self.connection.execute(
            "SELECT member, due FROM tokens WHERE key = ? AND due <= ? ORDER BY due, member",
            (report.key, at + message.horizon),
        ).fetchall()
        asking = [one for owner, one in self.state.owners.items() if owner != message.owner]
        self.active = 1 + sum(one.asked + message.lease / 2 > at for one in asking)
        # What bulk requests leave to interactive ones: Window.reserve().
        wanted = min(report.capacity // 4, sum(one.interactive for one in everybody))
        self.reserve = max(0, min(capacity - 1, max(math.ceil(report.capacity * 0.002), wanted)))
        total = max(0, self.free + len(self.soon))
        part = min(total, max(0, capacity // self.active - report.held))
        rest = total - part
        lead = math.ceil(report.capacity * min(0.05, 0.02 * (self.active - 1)))
        self.allowed = total if self.active == 1 else part + max(0, min(rest // 2, rest - lead))
        if self.opens > at + message.horizon:
            self.allowed = 0

    def left(self, kept: int) -> int:
        """How many requests of a class may be granted now; bulk ones leave the reserve."""
        return max(0, min(self.allowed, self.free - kept + len(self.soon)))

    def draw(self, kept: int, number: int) -> int:
        """Take one token; answers from when it may be used."""
        at, key = self.opens, self.report.key
        if self.free - kept > 0:
            self.free -= 1
        else:
            back, due = self.soon.pop(kept - self.free)
            self.connection.execute(_REMOVE, (key, back))
            at = max(at, due)
        self.allowed -= 1
        due = self.now + self.message.lease + self.report.cycle
        self.connection.execute(_PUT, (key, f"{self.message.owner}:{number}", due))
        return at

    def answer(self, clock: int) -> WindowReply:
        """What to tell the process; and the state goes back to where it is kept."""
        state, at, mine = self.state, self.now, self.message.owner
        me = state.owners.get(mine)
        if me is not None and (self.claimed or me.waiting == 0):
            me.asked = at if self.bound else 0
        out = self._count()
        parts = min(out, DUE_PARTS) if self.starved else 0
        reply = WindowReply(
            epoch=state.epoch,
            time=clock,
            opens=max(0, state.closed - at),
            free=max(0, self.free),
            out=out,
            due=[max(0, min(self._due(part * out // parts) - at, state.cycle)) for part in range(parts)],
            active=self.active,
            waiting=sum(other.waiting for one, other in state.owners.items() if one != mine),
            lifts=state.lifts,
            smooth=state.smooth,
            pause=Pause(state.paused - at, state.asked - at, state.cause) if state.paused > at else None,
        )
        row = (self.report.key, msgspec.msgpack.encode(state))
        self.connection.execute("INSERT OR REPLACE INTO windows VALUES (?, ?)", row)
        return reply

    def _count(self) -> int:
        return self.connection.execute("SELECT count(*) FROM tokens WHERE key = ?", (self.report.key,)).fetchone()[0]

    def _due(self, rank: int) -> int:
        query = "SELECT due FROM tokens WHERE key = ? ORDER BY due, member LIMIT 1 OFFSET ?"
        return self.connection.execute(query, (self.report.key, rank)).fetchone()[0]


def _opening(message: Exchange, report: WindowReport, around: Surroundings, known: State | None) -> int:
    """When a set that was not there may be drawn from. What is missing has expired, was never there, or was lost."""
    if known is not None or report.epoch:
        return around.now + report.cycle + message.lease  # somebody knew another set
    # On a server that was started just now, processes whose tokens it may have lost have time to say so.
    young = int(around.now - min(around.age, around.now) + message.lease / 2)
    return max(around.now, young, around.lost + report.cycle + message.lease if around.lost else 0)


def _grant(windows: list[_Window], claim: Claim, *, bulk: bool, now: int) -> list[int]:
    first, wanted = (claim.first + claim.interactive, claim.bulk) if bulk else (claim.first, claim.interactive)
    found = [(windows[place], windows[place].reserve if bulk else 0) for place in claim.windows]
    granted = min([wanted, *(window.left(kept) for window, kept in found)])
    numbers = range(first, first + granted)
    usable = [max(0, *(window.draw(kept, number) - now for window, kept in found)) for number in numbers]
    for window, kept in found:
        window.claimed = True
        window.starved = window.starved or granted < wanted
        window.bound = window.bound or (granted < wanted and window.left(kept) == 0)
    return usable


def exchange(connection: sqlite3.Connection, message: Exchange, around: Surroundings) -> Reply:
    """One step: take in what the process says, grant what it claims, and answer."""
    windows = [_Window(connection, message, report, around) for report in message.windows]
    for window in windows:
        window.settle()
        window.share()
    interactive = [_grant(windows, claim, bulk=False, now=around.now) for claim in message.claims]
    bulk = [_grant(windows, claim, bulk=True, now=around.now) for claim in message.claims]
    answers = [window.answer(around.now) for window in windows]
    return Reply(windows=answers, grants=list(zip(interactive, bulk, strict=True)))
