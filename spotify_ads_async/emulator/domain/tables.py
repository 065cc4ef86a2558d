"""Tables: rows by id, and the answers to questions asked of them before.

Rows are dictionaries in the shape of the API's answers. A row is never changed in place: a change puts a new one, so
that rows may share their parts and an answer once read stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeAlias

from spotify_ads_async.emulator.domain.answers import missing

__all__ = ["Listener", "Row", "Table"]

Row: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[str, str, Row | None], None]
"""Called with a table's name, a row's id, and the row, None when it was removed."""

_CACHED_SELECTIONS = 16


class Table:
    """Rows by id, in the order in which they came.

    Args:
        name: the table's address: owner and kind, such as ``<ad account id>/ad_sets``.
        noun: what one row is, in a message.
        listeners: whom to tell of changes.
        key: the attribute that holds a row's id.
    """

    __slots__ = ("_listeners", "_selections", "key", "name", "noun", "rows")

    def __init__(self, name: str, noun: str, listeners: Sequence[Listener], key: str = "id") -> None:
        self.name = name
        self.noun = noun
        self.rows: dict[str, Row] = {}
        self.key = key
        self._listeners = listeners
        self._selections: dict[Hashable, list[Row]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def __contains__(self, identifier: str) -> bool:
        return identifier in self.rows

    def get(self, identifier: str) -> Row:
        """The row with this id.

        Raises:
            Refusal: there is none (404).
        """
        row = self.rows.get(identifier)
        if row is None:
            raise missing(self.noun, identifier)
        return row

    def put(self, row: Row) -> Row:
        """Add a row, or replace the one with its id."""
        self.rows[row[self.key]] = row
        self._changed(row[self.key], row)
        return row

    def remove(self, identifier: str) -> None:
        """Remove a row that is there."""
        del self.rows[identifier]
        self._changed(identifier, None)

    def _changed(self, identifier: str, row: Row | None) -> None:
        if self._selections:
            self._selections.clear()
        for listener in self._listeners:
            listener(self.name, identifier, row)

    def select(
        self,
        query: Hashable,
        keep: Callable[[Row], bool] | None = None,
        order: Callable[[Row], Any] | None = None,
        *,
        descending: bool = False,
    ) -> list[Row]:
        """The rows that ``keep`` keeps, in order; rows that compare equal stay in the order in which they came.

        ``query`` names the question: the answer is remembered until a row changes.
        """
        found = self._selections.get(query)
        if found is None:
            found = list(self.rows.values()) if keep is None else [row for row in self.rows.values() if keep(row)]
            if order is not None:
                found.sort(key=order, reverse=descending)
            if len(self._selections) >= _CACHED_SELECTIONS:
                self._selections.pop(next(iter(self._selections)))
            self._selections[query] = found
        return found
