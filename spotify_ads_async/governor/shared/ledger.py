"""Ledger: the shared rule, for SQLite. One atomic step over all windows of one message.

Its twin is ``ledger.lua``; names agree.
Pure but for the connection, which is inside of a transaction. A token is a row of ``tokens`` (member = process:number,
due = when the token is free), the rest of a window is one row of ``windows``. Times are microseconds of the clock that
``surroundings`` reads.
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
from spotify_ads_async.governor.window import reserve_for

__all__ = ["SCHEMA", "Surroundings", "exchange"]

DUE_PARTS = 16
STEP_BACK = 1_000_000
NEWS = 1_000_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS windows (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (key TEXT, member TEXT, due INTEGER NOT NULL, PRIMARY KEY (key,
  member)) WITHOUT ROWID;
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
                fresh.smooth, fresh.lifts, fresh.foreign = state.smooth, state.lifts, state.foreign
                if state.paused > state.now:
                    fresh.paused, fresh.asked = (
                        around.now + state.paused - state.now,
                        around.now + state.asked - state.now,
                    )
                    fresh.cause = state.cause
            state = fresh
        elif report.epoch not in {"", state.epoch}:
            state.closed = max(state.closed, around.now + report.cycle + message.lease)
        self.state, self.now = state, max(around.now, state.now)
        state.now, state.capacity, state.cycle = self.now, report.capacity, report.cycle

    def settle(self) -> None:
        """Write down what the process says of its requests, of pauses and of itself."""
        report, state, at, message = self.report, self.state, self.now, self.message
        key, owner, execute = report.key, message.owner, self.connection.executemany
        execute(
            "DELETE FROM tokens WHERE key = ? AND member = ?", [(key, f"{owner}:{number}") for number in report.unused]
        )
        put = [(key, f"{owner}:{number}", at - age + report.cycle) for number, age in report.settled]
        put += [(key, f"{owner}:{number}", at + message.lease + report.cycle) for number in report.extended]
        execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", put)
        self.connection.execute("DELETE FROM tokens WHERE key = ? AND due <= ?", (key, at))
        if report.lift:
            state.paused, state.asked, state.cause, state.lifts = 0, 0, "", state.lifts + 1
        if report.pause is not None and at + report.pause.left > state.paused:
            state.paused, state.asked, state.cause = at + report.pause.left, at + report.pause.asked, report.pause.cause
        if report.foreign is not None and (state.foreign is None or at + report.foreign[1] > state.foreign[1] + NEWS):
            since, until, *rest = report.foreign
            state.foreign = (at - since, at + until, rest[0], rest[1])
        state.smooth = state.smooth or report.smooth
        before = state.owners.get(owner)
        state.owners = {
            one: other for one, other in state.owners.items() if other.heard + report.cycle + message.lease >= at
        }
        if message.leaving:
            state.owners.pop(owner, None)
        else:
            asked = before.asked if before is not None and owner in state.owners else 0
            said = (report.held, report.in_flight, report.waiting, report.interactive, message.label)
            state.owners[owner] = Owner(at, asked, *said)

    def share(self) -> None:
        """How much of the window this process may have.

        An even part first, then half of what is left, always something for the others.
        """
        report, state, at, message = self.report, self.state, self.now, self.message
        capacity = report.capacity - report.withheld
        self.opens = max(at, state.closed, state.paused)
        self.free = capacity - self._count()
        self.soon: list[tuple[str, int]] = self.connection.execute(
            "SELECT member, due FROM tokens WHERE key = ? AND due <= ? ORDER BY due, member",
            (report.key, at + message.horizon),
        ).fetchall()
        others = [other for owner, other in state.owners.items() if owner != message.owner]
        self.active = active = 1 + sum(other.asked + message.lease / 2 > at for other in others)
        demand = sum(other.interactive for other in state.owners.values())
        self.reserve = min(reserve_for(demand, report.capacity), max(0, capacity - 1))
        total = max(0, self.free + len(self.soon))
        part = min(total, max(0, capacity // active - report.held))
        rest = total - part
        lead = math.ceil(report.capacity * min(0.05, 0.02 * (active - 1)))
        self.allowed = total if active == 1 else part + max(0, min(rest // 2, rest - lead))
        if self.opens > at + message.horizon:
            self.allowed = 0

    def room(self, kept: int) -> int:
        """How many requests of a class may be granted now; bulk ones leave the reserve."""
        return max(0, min(self.allowed, self.free - kept + len(self.soon)))

    def draw(self, kept: int, member: str) -> int:
        """Take one token; answers from when it may be used."""
        at, key = self.opens, self.report.key
        if self.free - kept > 0:
            self.free -= 1
        else:
            back, due = self.soon.pop(kept - self.free)
            self.connection.execute("DELETE FROM tokens WHERE key = ? AND member = ?", (key, back))
            at = max(at, due)
        self.allowed -= 1
        row = (key, member, self.now + self.message.lease + self.report.cycle)
        self.connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", row)
        return at

    def answer(self, clock: int) -> WindowReply:
        """What to tell the process; and the state goes back to where it is kept."""
        state, at, owner = self.state, self.now, self.message.owner
        me = state.owners.get(owner)
        if me is not None and (self.claimed or me.waiting == 0):
            me.asked = at if self.bound else 0
        out = self._count()
        reply = WindowReply(
            epoch=state.epoch,
            time=clock,
            opens=max(0, state.closed - at),
            free=max(0, self.free),
            out=out,
            due=[],
            next=-1,
            active=self.active,
            waiting=sum(other.waiting for one, other in state.owners.items() if one != owner),
            lifts=state.lifts,
            smooth=state.smooth,
        )
        if state.paused > at:
            reply.pause = Pause(state.paused - at, state.asked - at, state.cause)
        if state.foreign is not None and state.foreign[1] > at:
            reply.foreign = (at - state.foreign[0], state.foreign[1] - at, state.foreign[2], state.foreign[3])
        if self.starved:
            parts = min(out, DUE_PARTS)
            ranks = [part * out // parts for part in range(parts)]
            reply.due = [max(0, min(self._due(f"LIMIT 1 OFFSET {rank}") - at, state.cycle)) for rank in ranks]
            reply.next = max(self.opens - at, 0)
            if self.free + len(self.soon) <= 0:
                later = self._due("LIMIT 1", after=at + self.message.horizon)
                reply.next = max(reply.next, min(later - at, state.cycle)) if later else reply.next
        row = (self.report.key, msgspec.msgpack.encode(state))
        self.connection.execute("INSERT OR REPLACE INTO windows VALUES (?, ?)", row)
        return reply

    def _count(self) -> int:
        return self.connection.execute("SELECT count(*) FROM tokens WHERE key = ?", (self.report.key,)).fetchone()[0]

    def _due(self, which: str, after: int = -1) -> int:
        query = f"SELECT due FROM tokens WHERE key = ? AND due > ? ORDER BY due, member {which}"  # noqa: S608 (a number of ours)
        row = self.connection.execute(query, (self.report.key, after)).fetchone()
        return row[0] if row else 0


def _opening(message: Exchange, report: WindowReport, around: Surroundings, known: State | None) -> int:
    """When a set that was not there may be drawn from. What is missing has expired, was never there, or was lost."""
    if known is not None or report.epoch:
        return around.now + report.cycle + message.lease  # somebody knew another set
    # On a server that was started just now, processes whose tokens it may have lost have time to say so.
    young = int(around.now - min(around.age, around.now) + message.lease / 2)
    return max(around.now, young, around.lost + report.cycle + message.lease if around.lost else 0)


def _grant(windows: list[_Window], claim: Claim, message: Exchange, *, bulk: bool, now: int) -> list[int]:
    first, wanted = (claim.first + claim.interactive, claim.bulk) if bulk else (claim.first, claim.interactive)
    found = [windows[place] for place in claim.windows]
    granted = min([wanted, *(window.room(window.reserve if bulk else 0) for window in found)])
    usable: list[int] = []
    for number in range(first, first + granted):
        at = max([now, *(window.draw(window.reserve if bulk else 0, f"{message.owner}:{number}") for window in found)])
        usable.append(max(0, at - now))
    for window in found:
        window.claimed = True
        window.starved = window.starved or granted < wanted
        window.bound = window.bound or (granted < wanted and window.room(window.reserve if bulk else 0) == 0)
    return usable


def exchange(connection: sqlite3.Connection, message: Exchange, around: Surroundings) -> Reply:
    """One step: take in what the process says, grant what it claims, and answer."""
    windows: list[_Window] = []
    for report in message.windows:
        window = _Window(connection, message, report, around)
        window.settle()
        window.share()
        windows.append(window)
    interactive = [_grant(windows, claim, message, bulk=False, now=around.now) for claim in message.claims]
    bulk = [_grant(windows, claim, message, bulk=True, now=around.now) for claim in message.claims]
    return Reply(
        windows=[window.answer(around.now) for window in windows], grants=list(zip(interactive, bulk, strict=True))
    )
