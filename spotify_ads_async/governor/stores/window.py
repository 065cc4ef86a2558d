"""A window whose tokens are lent by a store: what is here may be used at once, and is told to the store in batches."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from spotify_ads_async.governor.limits import Limit
from spotify_ads_async.governor.others import Others
from spotify_ads_async.governor.stores.messages import NEVER, Answer, Report
from spotify_ads_async.governor.stores.pool import slot_length
from spotify_ads_async.governor.window import Pacer, Window

__all__ = ["SharedWindow"]

_STORE_CLOCK_SHARE = 0.0005
"""Share of the window that covers a store whose clock is being set: time services slew by no more than that."""

_RESPACING_SHARE = 0.02
_RATE_MEMORY_SECONDS = 1.0
_TOLD_PAUSE_SECONDS = 0.05


class _Spent(NamedTuple):
    """Tokens of requests that are over: when they come back, and with which message the store was told."""

    due: float
    tokens: int
    sequence: int = 0


class _TellsStore(Others):
    """Refusals are judged by the store, which knows what everybody spends; here they are only counted."""

    __slots__ = ("_poke", "untold")

    def __init__(self, capacity: int, cycle: float, poke: Callable[[], None]) -> None:
        super().__init__(capacity, cycle)
        self._poke = poke
        self.untold = 0

    def refused(self, ours: int, now: float) -> None:
        del ours, now
        self.untold += 1
        self._poke()

    def remaining(self, remaining: int, ours: int, departed_since: int, now: float) -> None:
        """What remains at the server says nothing here: nobody knows which processes spent the rest."""


class SharedWindow(Window):
    """One limit's tokens, shared with other processes.

    ``available`` tokens are lent to this process and may be used now, those in ``lent`` at a later time. Used ones go to
    the store with their age. Where the user chose to share while the store is away, a process keeps its ``part`` for itself
    at all times: used ones of these are ``cooling`` and come back here, so that they are there, and nobody else's, when the
    store is not. While it is away (``alone``) all that is used comes back here, up to that part.

    ``returning`` holds one time only, at which to look again: when the next lent token may be used, or when the lease
    ends. So the short way of an admission, which looks at the first entry, needs to know nothing of stores.

    Args:
        limit: the limit.
        key: the window's name in the store.
        owner: whose window it is, for people.
        smooth: whether departures are spaced from the start.
        sharers: among how many processes the tokens are divided while the store is away, 0 where they are not.
        clock_resolution: see :class:`~spotify_ads_async.governor.bucket.Bucket`.
        poke: called when there is something to tell at once.
    """

    __slots__ = (
        "_answered",
        "_answered_at",
        "_held_at_rate",
        "_pause_told_until",
        "_pool_withheld",
        "_rate_at",
        "_refused_asked",
        "_sharers",
        "_smooth_told",
        "_telling",
        "_told",
        "_untold",
        "_unused",
        "_unused_telling",
        "acknowledged",
        "active",
        "alone",
        "born",
        "cooling",
        "horizon",
        "key",
        "lent",
        "rate",
        "received",
        "sequence",
        "tells",
        "use_by",
    )

    def __init__(
        self, limit: Limit, *, key: str, owner: str, smooth: bool, sharers: int, clock_resolution: float, poke: Callable[[], None]
    ) -> None:
        self.active = 1
        self._sharers = sharers
        self._pool_withheld = 0
        super().__init__(limit, owner=owner, smooth=smooth, clock_resolution=clock_resolution)
        self.key = key
        self.cycle: float = self.cycle + limit.window * _STORE_CLOCK_SHARE
        self.tells = _TellsStore(limit.requests, self.cycle, poke)
        self.others = self.tells
        self.available = 0
        self.lent: deque[float] = deque()
        self.cooling: deque[float] = deque()
        self.horizon = 0.0
        self.settled = deque()
        self.returning = deque([-math.inf])
        self.use_by = -math.inf
        self.alone = False
        self.sequence = 0
        self.acknowledged = 0
        self.born = 0
        self.rate = 0.0
        self.received = 0
        self._untold: list[_Spent] = []
        self._telling: list[_Spent] = []
        self._told: deque[_Spent] = deque()
        self._unused: list[tuple[float, int]] = []
        self._unused_telling: list[tuple[float, int]] = []
        self._refused_asked = 0
        self._rate_at = -math.inf
        self._held_at_rate = 0
        self._pause_told_until = -math.inf
        self._smooth_told = False
        self._answered: Answer | None = None
        self._answered_at = -math.inf

    # What the gate and the line call.

    def refresh(self, now: float) -> None:
        """Take in lent tokens that may be used now, and let go of those whose lease has ended."""
        if self._sharers:
            self._write_off()
        if not self.alone and now >= self.use_by:
            self._put_everything_away()
        self._take_in_cooled(now)
        lent = self.lent
        while lent and lent[0] <= now:
            lent.popleft()
            self.available += 1
        self._look_again()
        if self.guarded:
            self._refresh_guard(now)

    def there_at(self, tokens: int) -> float:
        """When so many lent tokens may be used; infinite where they must be asked for."""
        missing = tokens - self.available
        if missing <= 0:
            return -math.inf
        return self._dated(missing)

    def coming(self) -> deque[float]:
        """When lent tokens may be used."""
        return deque([*self.lent, *self.cooling]) if self.cooling else self.lent

    def reserve(self, now: float) -> int:
        """This process's part of what bulk requests leave for interactive ones."""
        return super().reserve(now) // max(1, self.active)

    def usable_within(self, seconds: float, now: float) -> int:
        """At most so many requests can take a token of this window within so many seconds."""
        mine = self.available + bisect_right(self.lent, now + seconds) + bisect_right(self.cooling, now + seconds)
        if self._answered is None or not self._answered.outlook:
            return self.limit.requests
        answer = self._answered
        rounds, rest = divmod(seconds + now - self._answered_at, self.cycle)
        part = min(len(answer.outlook) - 1, int(rest / self.cycle * len(answer.outlook)))
        theirs = max(0, answer.free + answer.outlook[part]) // max(1, answer.active)
        return mine + theirs + int(rounds) * self.limit.requests

    def predicted(self, position: int, now: float, kept: int = 0) -> float:
        """Seconds until the request at ``position`` can leave: by what the store said last, zero where that is not known."""
        wait = max(0.0, self.paused_until - now)
        missing = position + kept - self.available
        if missing <= 0:
            return wait
        if missing <= len(self.lent):
            return max(wait, self.lent[missing - 1] - now)
        if self.alone:
            rounds, rest = divmod(missing - 1, max(1, self.circulating))
            at = self._dated(rest + 1) - now if rest < len(self.lent) + len(self.cooling) else self.cycle
            return max(wait, at + rounds * self.cycle)
        return max(wait, min(self._dated(missing) - now, self._outlook(missing - len(self.lent), now)))

    def _dated(self, place: int) -> float:
        """When the token at this place of those to come may be used; infinite behind the last."""
        lent, cooling = self.lent, self.cooling
        if place <= len(lent):
            return lent[place - 1]
        place -= len(lent)
        return cooling[place - 1] if place <= len(cooling) else math.inf

    def _outlook(self, missing: int, now: float) -> float:
        """Seconds until the store can have granted so many more tokens to this process."""
        answer = self._answered
        if answer is None or not answer.outlook:
            return 0.0
        others = max(0, answer.waiting - self.waiting)
        needed = missing + min(others, missing * (answer.active - 1)) - answer.free
        if needed <= 0:
            return answer.closed_for / 1e6
        rounds, rest = divmod(needed - 1, max(1, self.limit.requests))
        outlook = answer.outlook
        part = next((part for part, tokens in enumerate(outlook) if tokens > rest), len(outlook))
        since_answer = rounds * self.cycle + part / len(outlook) * self.cycle
        return max(0.0, since_answer - (now - self._answered_at), answer.closed_for / 1e6)

    def reckon_withheld(self) -> None:
        """What is left to others stays in the store; here only the spacing follows it, shared by those who are active."""
        self.withheld = 0
        if self.pacing_ends_at > -math.inf:
            share = max(1, (self.limit.requests - max(self._held_back, self._pool_withheld)) // max(1, self.active))
            if self.pacer is None or abs(self.pacer.requests - share) > share * _RESPACING_SHARE:
                self.pacer = Pacer(share, self.limit.window)
        self.guarded = self.pacer is not None

    # What the keeper of the leases calls.

    @property
    def spare(self) -> int:
        """Lent tokens that no request uses, without those that cool."""
        return self.available + len(self.lent)

    @property
    def circulating(self) -> int:
        """Every token that this process uses again and again."""
        return self.spare + self.in_flight + len(self.cooling)

    @property
    def part(self) -> int:
        """So many tokens the process keeps for itself, to have them while the store is away.

        Rounded down, for together the processes must not exceed the limit: a limit of fewer tokens than processes lets
        nothing leave then.
        """
        if not self._sharers:
            return 0
        return (self.limit.requests - max(self._held_back, self._pool_withheld)) // max(self._sharers, self.active)

    @property
    def holds(self) -> bool:
        """Whether the store must hear of this process: it has tokens, or spent some that the store has not heard of."""
        return bool(self.spare or self.in_flight or self.cooling or self.settled or self._unused or self._untold)

    @property
    def has_news(self) -> bool:
        """Whether the server said something that everybody should know at once."""
        return bool(self.tells.untold) or self._pause_untold() or self._smooth_untold()

    def measure(self, now: float, memory: float = _RATE_MEMORY_SECONDS) -> None:
        """Reckon how many requests leave in a second lately."""
        used = self.received - self.spare
        if self._rate_at > -math.inf and now > self._rate_at:
            elapsed = now - self._rate_at
            latest = max(0, used - self._held_at_rate) / elapsed
            self.rate += (latest - self.rate) * (1.0 - math.exp(-elapsed / memory))
        self._rate_at = now
        self._held_at_rate = used

    def own_spare(self, *, wanted: bool) -> int:
        """So many unused tokens belong to this process's part, where they are wanted here or nobody else wants them."""
        return self.part - self.in_flight - len(self.cooling) if wanted or self.active == 1 else 0

    def keep(self, tokens: int) -> None:
        """Put away what is lent beyond so many tokens, to be given back."""
        if not self.alone and self.spare > tokens:
            self._put_away(self.spare - max(0, tokens))
            self._look_again()

    def keep_nothing(self) -> None:
        """Put away everything that no request uses, to be given back."""
        if not self.alone:
            self._put_everything_away()
            self._look_again()

    def report(self, now: float, *, ahead: float, remembers: float) -> Report:
        """What to tell the store. To be followed by :meth:`answered` or :meth:`unanswered`.

        ``remembers`` is how many seconds the store's memory of this process matters.
        """
        self._write_off()
        self.sequence += 1
        counted = [entry for entry in self._untold if entry.due - self.cycle <= now]
        self._untold = [entry for entry in self._untold if entry.due - self.cycle > now]
        self._telling = counted
        self._unused_telling, self._unused = self._unused, []
        unsettled = self.in_flight + sum(entry.tokens for entry in self._untold)
        spare = 0 if self.alone else self.spare
        cooling = 0 if self.alone else len(self.cooling)
        given_back = sum(tokens for _, tokens in self._unused_telling)
        held = spare + cooling + unsettled + sum(entry.tokens for entry in counted) + given_back
        known = self.acknowledged > 0 and now - self._answered_at < remembers
        self._refused_asked = self.tells.untold
        return Report(
            key=self.key,
            capacity=self.limit.requests,
            cycle=_microseconds(self.cycle),
            slot=slot_length(_microseconds(self.limit.window * (1.0 + _STORE_CLOCK_SHARE))),
            sequence=self.sequence,
            acknowledged=self.acknowledged if known else 0,
            born=self.born if known else 0,
            held=held,
            in_flight=unsettled,
            cooling=cooling,
            reserve=0 if self.alone else max(0, self.part - self.circulating),
            waiting=self.waiting,
            settled=[(int((now - entry.due + self.cycle) * 1e6), entry.tokens) for entry in counted],
            unused=[(_microseconds(max(0.0, due - now)), tokens) for due, tokens in self._unused_telling],
            spare=spare,
            ahead=_microseconds(ahead),
            held_back=self._held_back,
            pause=_microseconds(max(0.0, self.paused_until - now)) if self._pause_untold() else 0,
            pause_cause=self.pause_cause or "",
            refused=self._refused_asked,
            smooth=self._smooth_untold(),
        )

    def answered(self, answer: Answer, asked_at: float, now: float, *, lease: float) -> None:
        """Take in what the store says. ``asked_at`` is when the report was written, ``lease`` how long to use tokens after it."""
        if answer.stale:
            self.unanswered()
            return
        if self.alone:
            self._come_home()
        self.acknowledged = self.sequence
        self._told.extend(entry._replace(sequence=self.sequence) for entry in self._telling)
        self._telling = []
        while self._told and self._told[0].due <= now:
            self._told.popleft()
        self.born = answer.born
        self._unused_telling = []
        self.tells.untold -= self._refused_asked
        self._smooth_told = self.smooth
        self._pause_told_until = max(self._pause_told_until, self.paused_until)
        if answer.resend_after != NEVER:
            self._untold.extend(entry for entry in self._told if entry.sequence > answer.resend_after)
            self._told = deque(entry for entry in self._told if entry.sequence <= answer.resend_after)
        for delay, tokens in answer.granted:
            self.received += tokens
            if delay <= 0:
                self.available += tokens
            else:
                self._lend(now + delay / 1e6, tokens)
        self.use_by = asked_at + lease
        self._answered, self._answered_at = answer, now
        self._look_again()
        self._heed(answer, now)

    def unanswered(self) -> None:
        """The report may or may not have arrived: tell it all again."""
        self._untold = self._telling + self._untold
        self._unused = self._unused_telling + self._unused
        self._telling, self._unused_telling = [], []

    def go_alone(self, now: float, others_done_at: float) -> None:
        """Carry on without the store, with this process's part.

        What it has, and what comes back to it, is its own. Others may have borrowed what is missing of the part: it is
        there once they are surely done.
        """
        self._write_off()
        self.alone = True
        self.active = max(self.active, self._sharers)
        self._untold.extend(_Spent(due, 1) for due in self.cooling)  # kept from the store so far; it counts from now on
        surplus = max(0, self.circulating - self.part)
        for dated in (self.cooling, self.lent):
            while surplus > 0 and dated:
                dated.pop()
                surplus -= 1
        self.available -= min(surplus, self.available)
        self.cooling.extend([max(others_done_at, now)] * (self.part - self.circulating))
        self._look_again()

    def forget(self) -> None:
        """Another process goes on with this one's memory (a fork): nothing of what was lent is its own."""
        self.available = self.in_flight = 0
        self.lent.clear()
        self.cooling.clear()
        self.settled.clear()
        self._told.clear()
        self._untold, self._telling, self._unused, self._unused_telling = [], [], [], []
        self.alone = False
        self.acknowledged = self.born = 0
        self.use_by = -math.inf
        self._look_again()

    def _come_home(self) -> None:
        """The store is back: it was told what was spent alone, and the rest was never lent."""
        self.alone = False
        self.available = 0
        self.lent.clear()
        self.cooling.clear()
        self.received = 0
        self.rate = 0.0
        self._rate_at = -math.inf

    def _pause_untold(self) -> bool:
        return self.paused_until > self._pause_told_until + _TOLD_PAUSE_SECONDS

    def _smooth_untold(self) -> bool:
        return self.smooth and not self._smooth_told

    def _write_off(self) -> None:
        """Note what was spent, together where it comes back together; what belongs to this process's part cools here."""
        grain = self.cycle / 1000
        settled, untold = self.settled, self._untold
        while settled:
            due = settled.popleft()
            stays = self.circulating < self.part
            if stays:
                self._cool(due)
            if stays and not self.alone:
                continue
            if untold and 0.0 <= due - untold[-1].due < grain:
                untold[-1] = _Spent(due, untold[-1].tokens + 1)
            else:
                untold.append(_Spent(due, 1))

    def _cool(self, due: float) -> None:
        if self.cooling and due < self.cooling[-1]:
            insort(self.cooling, due)
        else:
            self.cooling.append(due)

    def _take_in_cooled(self, now: float) -> None:
        """Count tokens that are soon usable again among those that are lent."""
        cooling = self.cooling
        while cooling and cooling[0] <= now + self.horizon:
            self._lend(cooling.popleft(), 1)
            self.received += 1

    def _lend(self, due: float, tokens: int) -> None:
        in_order = not self.lent or due >= self.lent[-1]
        self.lent.extend([due] * tokens)
        if not in_order:
            self.lent = deque(sorted(self.lent))

    def _put_away(self, tokens: int) -> None:
        """Give back the tokens that may be used last."""
        later = min(tokens, len(self.lent))
        self._unused.extend((self.lent.pop(), 1) for _ in range(later))
        if tokens > later:
            self._unused.append((-math.inf, tokens - later))
            self.available -= tokens - later
        self.received -= tokens

    def _put_everything_away(self) -> None:
        self._unused.extend((due, 1) for due in self.cooling)
        self.cooling.clear()
        if self.spare:
            self._put_away(self.spare)

    def _look_again(self) -> None:
        at = min((dated[0] for dated in (self.lent, self.cooling) if dated), default=math.inf)
        self.returning[0] = at if self.alone else min(at, self.use_by)

    def _heed(self, answer: Answer, now: float) -> None:
        """Pauses, rhythm and the number of those who share."""
        until = now + answer.pause / 1e6
        if answer.pause > 0 and until > self.paused_until + _TOLD_PAUSE_SECONDS:
            self.pause(until, answer.pause_cause)
            self._pause_told_until = self.paused_until
        self.active = max(1, answer.active)
        self._pool_withheld = answer.withheld
        if self.pacing_ends_at > -math.inf:
            self.reckon_withheld()

    def is_told_to_smooth(self) -> bool:
        """Whether another process was refused, so that all space their departures."""
        return self._answered is not None and self._answered.smooth and not self.smooth


def _microseconds(seconds: float) -> int:
    return math.ceil(seconds * 1e6)
