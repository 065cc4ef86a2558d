"""Whether a report is the one that was asked for, and whether each of its rows came once. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from spotify_ads_async.errors import InvalidAnswer, WalkIncomplete
from spotify_ads_async.pagination.page import Page
from spotify_ads_async.reports.planning import STEPS, Query, instant
from spotify_ads_async.reports.rows import InsightRow, Measured, ReportRow, TotalsRow
from spotify_ads_async.types import UNSET

__all__ = ["Asked", "Repeats", "names_of", "told_apart"]

RowT = TypeVar("RowT", bound=Measured)

_ECHOES = {"granularity": "granularity", "insight_dimension": "insight"}
"""Parameters that an answer repeats, and under which name."""
_PLACES = frozenset({"CITY", "METRO", "REGION"})
"""Dimensions in which two parts of an audience may have one name: there is a Portland in Oregon and one in Maine."""


def names_of(rows: Iterable[Measured]) -> str:
    """A digest of which rows these are, whatever their order and their values."""
    parts = ("entity_id", "id", "insight_value", "start_time")
    names = {str([str(getattr(row, part, None)).lower() for part in parts]) for row in rows}
    return hashlib.blake2b("".join(sorted(names)).encode(), digest_size=8).hexdigest()


def told_apart(operation: str) -> Callable[[list[list[InsightRow]]], list[InsightRow]]:
    """A merge of insight reports about one entity each, which holds them to whose rows they have.

    Rows may name an ad set of the campaign that was asked for. None is in two campaigns, and none is another's.
    """
    named: set[str] = set()

    def merged(parts: list[list[InsightRow]]) -> list[InsightRow]:
        (rows,) = parts
        names = {(row.id or "").lower() for row in rows}
        for name in names & {"", *named}:
            whose = f"two reports have rows of {name}" if name else "a report's rows do not name their entity"
            raise InvalidAnswer(
                f"of several entities that were asked for, {whose}: whose the figures are cannot be known",
                operation=operation,
            )
        named.update(names)
        return rows

    return merged


class Asked:
    """Holds answers to what was asked for: what they say of themselves, and each of their rows.

    Periods may begin less than one period early or late: accounts keep the days of their own time zone.

    Args:
        operation: what answers.
        account: the ad account that was asked.
        query: what was asked for.
    """

    def __init__(self, operation: str, account: str, query: Query) -> None:
        self._operation = operation
        self._query = {"granularity": "LIFETIME", **query}
        self._kind = query.get("entity_type")
        # Ids of parents name none of the rows; those of an insight report are of ad sets.
        same = query.get("entity_ids_type") == (self._kind or "AD_SET")
        ids = [account] if self._kind == "AD_ACCOUNT" else query.get("entity_ids") or () if same else ()
        self._ids = frozenset(str(one).lower() for one in ids)
        self._metrics = frozenset(map(str, query.get("fields") or ()))
        self._step = STEPS.get(self._query["granularity"])
        self._phase: timedelta | None = None

    def require(self, page: Page[Any]) -> None:
        """Refuse an answer that nobody asked for.

        Raises:
            InvalidAnswer: it is of another range or granularity, or has a row of another entity or time, or of none
            that it names.
        """
        for what in self._faults(page):
            raise InvalidAnswer(
                f"the report {what}, which was not asked for: the server seems to ignore what was, and no sum can"
                " be trusted",
                operation=self._operation,
            )

    def _faults(self, page: Page[Any]) -> Iterator[str]:
        if getattr(page.answer, "rows", None) is None and getattr(page.answer, "granularity", None) is None:
            yield "comes without rows and without a granularity"
        for parameter, attribute in _ECHOES.items():
            asked, told = self._query.get(parameter), getattr(page.answer, attribute, None)
            if asked is not None and told is not None and str(told) != str(asked):
                yield f"is one by {told} and not by {asked!s}"
        first, last, step = self._query.get("report_start"), self._query.get("report_end"), self._step
        if isinstance(first, datetime) and isinstance(last, datetime) and step is not None:
            # An end may be told as the beginning or the end of its period.
            for asked, name, most in ((first, "report_start", step), (last, "report_end", step + step)):
                told = instant(getattr(page.answer, name, None) or UNSET)
                if isinstance(told, datetime) and not -step < told - asked < most:
                    which = name.removeprefix("report_")
                    yield f"is one whose {which} is {told.isoformat()} and not {asked.isoformat()}"
        for row in page.items:
            yield from self._of_row(row)
            if isinstance(row, ReportRow | TotalsRow) and step is not None:
                yield from self._of_time(row, first, last, step)

    def _of_row(self, row: Measured) -> Iterator[str]:
        for field in row.stats or ():
            metric = field.field_type
            if metric is None and field.field_value is not None:
                yield "has a value whose metric it does not name"
            # A metric beside those that were asked for may be new; one in their place would be missing from the sums.
            if metric is not None and metric not in self._metrics and metric.upper() in self._metrics:
                yield f'has a value of "{metric}"'
        if isinstance(row, InsightRow):
            identifier = row.id
        elif isinstance(row, ReportRow):
            identifier = row.entity_id
            if row.entity_type is not None and row.entity_type != self._kind:
                yield f"has a row of the {row.entity_type} {identifier}"
            if identifier is None and self._kind != "AD_ACCOUNT":
                yield f"has a row that does not name its {self._kind}"
        else:
            return
        if self._ids and identifier is not None and identifier.lower() not in self._ids:
            yield f"has a row of {identifier}"

    def _of_time(self, row: ReportRow | TotalsRow, first: object, last: object, step: timedelta) -> Iterator[str]:
        begins, ends = row.start_time, row.end_time
        if begins is None:
            yield f"has a row that does not name its {self._query['granularity']}"
            return
        if ends is not None and ends - begins > step * 25 / 24:  # a day may have 25 hours
            yield f"has a row from {begins.isoformat()} to {ends.isoformat()}"
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            return
        # As differences: the ends of the calendar have no day beyond them.
        if first - begins >= step or begins - last >= step:
            yield f"has a row of {begins.isoformat()}"
        # Days begin at the same hour, but for the change to summer time.
        phase = (begins - first) % step
        self._phase = phase if self._phase is None else self._phase
        apart = (phase - self._phase) % step
        if min(apart, step - apart) > step / 24:
            yield f"has a row that begins at {begins.isoformat()}, amid the {self._query['granularity']} of others"


class Repeats:
    """Tells rows that came before. The API's pages may repeat rows; none of them counts twice.

    Args:
        operation: what answers the rows.
        query: what was asked for.
    """

    def __init__(self, operation: str, query: Query) -> None:
        self._operation = operation
        self._of_account = query.get("entity_type") == "AD_ACCOUNT"
        # Such a report is one answer, in which nothing tells a row that comes again from another one.
        self._namesakes = query.get("insight_dimension") in _PLACES
        self._granularity = query.get("granularity")
        # Periods are told apart from the first row's: days may be an hour longer or shorter.
        self._step = STEPS.get(str(self._granularity))
        self._from: datetime | None = None
        self._seen: dict[int, int] = {}

    def is_new(self, row: Measured) -> bool:
        """Whether the row is the first of its entity and period.

        Raises:
            WalkIncomplete: another row of the same entity and period says something else.
        """
        if self._namesakes:
            return True
        key = self._key(row)
        values = hash(frozenset((field.field_type, field.field_value) for field in row.stats or ()))
        new = hash(key) not in self._seen
        if self._seen.setdefault(hash(key), values) != values:
            when = getattr(row, "start_time", None)
            parts = key if when is None else (*key[:-1], when)
            what = " ".join(str(part) for part in parts if part is not None)
            raise WalkIncomplete(
                f"the server tells two rows of {what or 'the same period'} with different values, and which is right"
                " cannot be known: ask for the report again",
                operation=self._operation,
            )
        return new

    def _key(self, row: Measured) -> tuple[object, ...]:
        """What tells a row from every other of its report."""
        match row:
            case InsightRow():
                return (row.id and row.id.lower(), row.insight_value)
            case ReportRow(entity_id=str() as entity) if not self._of_account:
                return (entity.lower(), self._period(row.start_time))
            case ReportRow() | TotalsRow():
                return (self._period(row.start_time),)
            case _:
                return ()

    def _period(self, begins: datetime | None) -> object:
        if begins is None or self._granularity == "LIFETIME":
            return None
        self._from = self._from or begins
        # As text: the hashes of -1 and -2 are one.
        return begins if self._step is None else str(round((begins - self._from) / self._step))

    def without(self, rows: Iterable[RowT]) -> list[RowT]:
        """The rows that are new."""
        return [row for row in rows if self.is_new(row)]
