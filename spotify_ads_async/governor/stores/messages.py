"""What a process and the store say to each other. Every time is a duration in whole microseconds.

No reading of a clock is ever sent: a process says how long ago something happened or how far ahead it is, and the store
adds that to its own time. A message takes a while to arrive, so everything has happened a little earlier, and becomes due
a little later, than the receiver reckons: the error is always on the safe side.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = ["NEVER", "Answer", "Exchange", "Holder", "PoolView", "Report", "Times"]

Times: TypeAlias = list[tuple[int, int]]
"""Pairs of a duration and of how many tokens it is for."""

NEVER = -1
"""A duration that is not known, or a sequence number that is not asked for."""


class Report(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one process says about one window.

    Attributes:
        key: the window's name in the store.
        capacity: tokens in all, as this process was told.
        cycle: how long a token stays out after the answer.
        slot: the grain in which the store keeps return times.
        sequence: counts this process's messages about this window.
        acknowledged: the last one that it saw answered.
        born: which pool that answer came from, 0 where nothing of it matters any more.
        held: every token that this process has, with those of ``settled`` and ``unused``.
        in_flight: those whose requests have no answer yet.
        cooling: those used that it keeps for itself, until they may be used again.
        reserve: further tokens that it would keep for itself, where nobody else wants them.
        waiting: requests in its line.
        settled: how long ago answers came.
        unused: tokens given back without a request, and in how long each is due.
        spare: tokens that it keeps, unused.
        ahead: how far ahead tokens may be granted.
        held_back: tokens that stay unused by this process's rhythm.
        pause: what is left of a pause that the server asked for.
        pause_cause: who asked for it.
        refused: requests that the server refused.
        smooth: whether the server refused so that departures are spaced from now on.
    """

    key: str
    capacity: int
    cycle: int
    slot: int
    sequence: int
    held: int
    acknowledged: int = 0
    born: int = 0
    in_flight: int = 0
    cooling: int = 0
    reserve: int = 0
    waiting: int = 0
    settled: Times = []
    unused: Times = []
    spare: int = 0
    ahead: int = 0
    held_back: int = 0
    pause: int = 0
    pause_cause: str = ""
    refused: int = 0
    smooth: bool = False


class Exchange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message of a process: all its windows at once.

    Attributes:
        owner: the process.
        label: the process, for people.
        lease: how long its tokens stay its own without another message.
        windows: one report for each window.
        lanes: requests that wait or are expected, by the windows (positions in ``windows``) of which each needs a token.
        leaving: the process wants nothing more, and gives back what it can.
        fresh: its connection to the store is new.
        alone: it spent tokens while the store was away.
        sharing: it would do so.
    """

    owner: str
    label: str
    lease: int
    windows: list[Report]
    lanes: list[tuple[list[int], int]] = []
    leaving: bool = False
    fresh: bool = False
    alone: bool = False
    sharing: bool = False


class Answer(msgspec.Struct, kw_only=True):
    """What the store says about one window.

    Attributes:
        stale: a later message of this process was there already: nothing was done.
        granted: tokens, and in how long each may be used.
        born: which pool this is.
        resend_after: the store forgot all messages after this one, ``NEVER`` where it forgot none.
        pause: what is left of a pause.
        pause_cause: who asked for it.
        smooth: whether departures are spaced.
        active: processes that want tokens, this one with them.
        waiting: requests in all lines.
        free: tokens that nobody holds, below zero while more are out than there should be.
        closed_for: how long nobody gets tokens, because the store has just come back.
        withheld: tokens left to those who spend the same window elsewhere.
        next_return: in how long the first token beyond those granted comes back, ``NEVER`` where that depends on answers.
        outlook: tokens that come back by the end of each eighth of a cycle. Empty where this process got all it wanted.
    """

    stale: bool = False
    granted: Times = []
    born: int = 0
    resend_after: int = NEVER
    pause: int = 0
    pause_cause: str = ""
    smooth: bool = False
    active: int = 0
    waiting: int = 0
    free: int = 0
    closed_for: int = 0
    withheld: int = 0
    next_return: int = NEVER
    outlook: list[int] = []


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a shared window: what it holds, and in how many seconds its lease ends."""

    owner: str
    label: str
    held: int
    in_flight: int
    waiting: int
    lease_ends_in: float


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """One shared window as the store has it. Times are seconds.

    Of ``capacity`` tokens, ``free`` ones are nobody's, ``held`` ones belong to processes, ``returning`` ones come back
    with time, and ``withheld`` ones are left to others.
    """

    limit: str
    window: float
    origin: str
    identity: str
    capacity: int
    free: int
    held: int
    returning: int
    withheld: int
    waiting: int
    next_return: float | None
    paused_for: float
    pause_cause: str
    closed_for: float
    holders: tuple[Holder, ...]
