"""What is wrong with a file of changes, with the place of it; and which rows of it are left out on request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from spotify_ads_async.errors import Portable

__all__ = ["BadChanges", "HiddenRowsFound", "LeftOut", "Problem"]

_SHOWN = 20


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row, or with ``fatal`` the whole file, is refused."""

    file: str
    line: int
    reason: str
    column: str = ""
    place: str = ""
    """The cell or the row of a workbook, such as ``Changes!C4``; a text's place is its line."""
    entity_id: str = ""
    fatal: bool = False
    name: str = ""
    """The name of what the row is about, where it is known."""

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else f"{self.file}:{self.line}" if self.line else self.file
        parts = (where, self.name, self.column, self.reason)
        return ": ".join(part for part in parts if part)


class BadChanges(Portable, ValueError):
    """Changes were refused; no request has left for any of them.

    Attributes:
        problems: the first problems, in the order of the file.
        total: how many there are.
    """

    def __init__(self, problems: Sequence[Problem], total: int | None = None) -> None:
        self.problems = tuple(problems[:_SHOWN])
        self.total = len(problems) if total is None else total
        rest = self.total - len(self.problems)
        super().__init__("\n".join([*map(str, self.problems), *(f"and {rest} more" for _ in range(rest > 0))]))


class HiddenRowsFound(BadChanges):
    """Rows are hidden, by hand or by a filter, and nobody said whether they count.

    Attributes:
        rows: the places of the first of them.
        count: how many there are.
    """

    def __init__(self, file: str, rows: Sequence[str], count: int) -> None:
        self.rows = tuple(rows)
        self.count = count
        super().__init__(
            [
                Problem(
                    file=file,
                    line=0,
                    reason=f"{self.shown}: --hidden include takes them, --hidden skip leaves them out",
                )
            ]
        )

    @property
    def shown(self) -> str:
        """How many there are, and where."""
        more = ", …" if self.count > len(self.rows) else ""
        return (
            f"{self.count} rows are hidden ({', '.join(self.rows)}{more})"
            if self.count > 1
            else f"a row is hidden ({self.rows[0]})"
        )


class LeftOut:
    """Rows that somebody leaves out, by their number, their place in a workbook, their id or their name.

    Attributes:
        missing: what was asked for and is no row so far.
    """

    def __init__(self, rows: Iterable[str] = ()) -> None:
        self.missing = {one.strip().casefold(): one for one in rows}
        self._wanted = frozenset(self.missing)

    def __bool__(self) -> bool:
        """Whether any row is left out."""
        return bool(self._wanted)

    def has(self, *known_as: object) -> bool:
        """Whether a row that is known by any of these is left out."""
        found = self._wanted.intersection(str(one).casefold() for one in known_as) if self._wanted else ()
        for one in found:
            self.missing.pop(one, None)
        return bool(found)

    def require_all_found(self, file: str) -> None:
        """Refuse a file that has no such row.

        Raises:
            BadChanges: nothing was left out where something should be.
        """
        if self.missing:
            shown = ", ".join(self.missing.values())
            raise BadChanges([Problem(file=file, line=0, reason=f"has no row to leave out called {shown}", fatal=True)])
