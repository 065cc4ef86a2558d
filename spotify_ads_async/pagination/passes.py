"""The passes of an offset walk over its list: whether one leaves a doubt, and what is missing after the last. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from spotify_ads_async.errors import WalkIncomplete
from spotify_ads_async.pagination.beginning import Beginning
from spotify_ads_async.pagination.seen import SeenIds
from spotify_ads_async.pagination.sweep import Sweep
from spotify_ads_async.pagination.watch import Watch

__all__ = ["Counts", "Passes"]

_MAX_SWEEPS = 4
"""Passes over a list that edits reorder.

Or of which nothing worse is known than that rows were created and archived meanwhile.
"""
_MAX_SWEEPS_IN_DOUBT = 12
"""Passes over a list of which rows are missing, or whose rows changed places, as long as each finds more."""
_MAX_FRUITLESS = 3
_MAX_STEPS_OUT_OF_A_TIE = 3


class Counts:
    """A list's length as the server tells it: at last and at first, and the least and the most that it was."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.first: int | None = None
        self.least: int | None = None
        self.most = 0

    def take(self, total: int) -> None:
        """Take in the length that came with a page."""
        self.last = total
        self.first = total if self.first is None else self.first
        self.least = total if self.least is None else min(self.least, total)
        self.most = max(self.most, total)


class Passes:
    """The passes over a list, one after the other, until one leaves no doubt.

    Args:
        operation: the operationId, for errors.
        limit: rows asked for per page.
        floor: the offset at which the walk began.
        fixed: whether no edit can change the order of two rows.
        sort_key: what a row is sorted by, None where that is not known.

    Attributes:
        seen: every id that the walk has met.
        counts: the list's length as it came.
        beginning: where the walk began.
        sweep: the pass under way.
        steps_out_of_a_tie: how often in a row a page had to begin further left.
        watch: what notices a server that leads it nowhere.
        reordered: whether two rows changed places, which no order that lasts shows.
        disturbed: whether the list was seen to move in this pass.
        floor: the offset at which it begins.
        lied: whether more rows came than were counted.
        missing: how many rows no pass met.
    """

    def __init__(
        self, operation: str, limit: int, floor: int, *, fixed: bool, sort_key: Callable[[object], Any]
    ) -> None:
        self.seen = SeenIds()
        self.counts = Counts()
        self.beginning = Beginning(sort_key)
        self.steps_out_of_a_tie = 0
        self.sweep = Sweep(self.seen, sort_key, closely=False)
        self.watch = Watch(operation, limit)
        self.reordered = self.disturbed = self.lied = False
        self.missing = 0
        self._operation = operation
        self._limit = limit
        self.floor = floor
        self._fixed = fixed
        self._sort_key = sort_key
        self._number, self._fruitless = 1, 0

    def is_tied(self, rows: Sequence[object]) -> bool:
        """Whether a page must begin further left, since it begins within the equal keys that the last one ended with.

        So it is in a pass that looks for what an earlier one may have lost, under an order that lasts; not for ever.
        """
        again = self._fixed and self._number > 1 and self.steps_out_of_a_tie < _MAX_STEPS_OUT_OF_A_TIE
        tied = again and self.sweep.tied(rows)
        self.steps_out_of_a_tie += tied
        return tied

    def unseen(self, rows: Sequence[object], keys: Sequence[str], met: list[int], *, first: bool) -> list[int]:
        """Of a page's rows that this pass meets, those that the walk has not yielded, and that are not newer than it.

        Args:
            rows: the page's rows.
            keys: what tells them apart.
            met: the indexes of those that the pass had not met.
            first: whether the page is where the walk began.
        """
        if self.sweep.met is self.seen:
            return met
        still = self._fixed and first and not self.reordered
        newer = self.beginning.newer(rows, keys, (self.counts.last or 0) - (self.counts.least or 0) if still else None)
        return [index for index in met if self.seen.add(keys[index]) and index not in newer]

    def counted(self, came: int) -> int:
        """How many rows more the server counted throughout than came."""
        return (self.counts.least or 0) - self.floor - came

    def falls_short(self, keys: Sequence[str], total: int | None, reach: int) -> bool:
        """Whether a page that ends at ``reach`` would end the list short of what was counted before.

        Rows were archived meanwhile, or a replica answered that lags behind the others: it must be asked for again.
        """
        if total is None or total >= self.counts.most or reach < total:
            return False
        return self.floor + len(self.seen) + sum(key not in self.seen for key in keys) < self.counts.most

    def end_only(self, short: int, came: int, *, lasting: bool) -> None:
        """End a pass that no other can follow, ``short`` of the server's count, after ``came`` rows.

        Where the list moved, its count tells nothing of rows that came before the walk went on; ``lasting`` says that
        none did.
        """
        counted = self.counted(came) if lasting or (came and not self.disturbed) else 0
        moved = self.reordered or self.sweep.unexplained or (self.disturbed and not self._fixed)
        self.missing = max(short, counted, int(moved and not lasting))

    def end(self, short: int = 0) -> bool:
        """End a pass, ``short`` of the server's count; whether it was the last, or else another begins."""
        unseen = max(short, self.counted(len(self.seen)))
        if self._is_settled(unseen):
            return True
        self._fruitless = 0 if self.sweep.found else self._fruitless + 1
        in_doubt = not self._counts_vouch
        if self._fixed:
            in_doubt = unseen > 0 or self.reordered or (self.lied and self.sweep.unproven)
        if self._number >= (_MAX_SWEEPS_IN_DOUBT if in_doubt else _MAX_SWEEPS) or (
            in_doubt and self._fruitless >= _MAX_FRUITLESS
        ):
            self.missing = max(unseen, 1 if in_doubt else 0)
            return True
        self._number += 1
        self.disturbed = False
        self.sweep = Sweep(SeenIds(), self._sort_key, closely=self._fixed)
        self.watch = Watch(self._operation, self._limit)
        return False

    @property
    def _counts_vouch(self) -> bool:
        """Whether the server's counts can prove that nothing is missing."""
        return self.counts.least is not None and not self.lied

    def _is_settled(self, unseen: int) -> bool:
        """Whether the pass that ends now leaves no doubt."""
        sweep = self.sweep
        if unseen > 0:
            return False
        if not self._fixed:
            return not (self.disturbed and (sweep.found or not self._counts_vouch))
        if self._number == 1 and self.floor + len(self.seen) < (self.counts.last or 0) <= (self.counts.first or 0):
            # Rows went and others came, or went and came back: a replica that lags behind may have answered.
            return False
        whole = sweep.total is not None and sweep.total - self.floor == len(sweep.met)
        if (
            not sweep.unproven
            and not sweep.reordered
            and (not self.reordered or sweep.by_keys or whole or self.counts.least is None)
        ):
            return True
        # Counted alike all along, each row met, and nothing that had not come before.
        every = self.counts.least == self.counts.most and self.counted(len(self.seen)) == 0
        return self._number > 1 and (whole or every) and not sweep.found

    def error(self, yielded: int) -> WalkIncomplete | None:
        """What to say after the last of ``yielded`` rows, where some are missing."""
        if self.missing <= 0:
            return None
        if not self._fixed and self._counts_vouch:
            why = (
                f"{self._number} passes did not meet them: edits keep moving them under the order that the list was"
                " asked for; walk it by CREATED_AT or ID where the operation offers that, or when less is edited"
            )
            return WalkIncomplete(
                f"{self.missing} rows are missing: {why}", operation=self._operation, missing=self.missing
            )
        counted = "" if self.counts.least is None else f"the server counts {self.counts.least} throughout; "
        return self.incomplete(
            self.missing, f"{counted}{yielded} came in {self._number} passes, and rows change places meanwhile"
        )

    def incomplete(self, missing: int, what: str) -> WalkIncomplete:
        """That rows are missing, and why."""
        rows = "1 row is" if missing == 1 else f"{missing} rows are"
        return WalkIncomplete(
            f"at least {rows} missing: {what}; the rows so far are sound; walk again, with filters that narrow the"
            " list, and tell the API's support if it stays so",
            operation=self._operation,
            missing=missing,
        )
