"""Where a walk stands, as text that can be kept and walked on from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from spotify_ads_async.errors import ConfigurationError

__all__ = ["REMEMBERED_ROWS", "Position", "list_digest"]

REMEMBERED_ROWS = 32
"""How many of the rows yielded last a position names; one of them must still be in the list when the walk goes on."""

_PLACE = frozenset({"limit", "offset", "continuation_token"})


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in a list: between two rows.

    Attributes:
        operation: the list's operationId.
        list: a digest of the path and the query, so that a position isn't used on another list.
        offset: where the next row was.
        after: ids of the rows before that place, the nearest last.
        whole: whether ``after`` names every row that was yielded.
        yielded: how many rows came before the place.
        reordered: whether rows changed places before it, so that some of them may not have come.
        total: how many rows the list had.
        token: the continuation token of the page that the place is on.
        skip: rows of that page (of a whole list: of the list) before the place.
        skipped: of a report, a digest of which rows those are.
    """

    operation: str
    list: str
    offset: int = 0
    after: tuple[str, ...] = ()
    whole: bool = False
    yielded: int = 0
    reordered: bool = False
    total: int | None = None
    token: str | None = None
    skip: int = 0
    skipped: str = ""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    def is_in(self, keys: Sequence[str], offset: int, total: int | None) -> bool:
        """Whether a page at ``offset`` has the place where it was, in a list that is as long as it was."""
        before = self.offset - offset
        return total == self.total and before > 0 and [*keys[before - 1 : before]] == [*self.after[-1:]]

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that :meth:`__str__` wrote.

        Raises:
            ConfigurationError: the text is no position.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"this is not the position of a walk: {text[:80]!r}; pass what walk.position gave"
            ) from error


def list_digest(path: Mapping[str, str], query: Mapping[str, object]) -> str:
    """A short digest of which list this is: its path, filters and order, not the place in it."""
    which = {name: value for name, value in query.items() if name not in _PLACE}
    try:
        text = msgspec.json.encode([dict(path), which], order="deterministic", enc_hook=str)
    except UnicodeEncodeError:  # no request holds it either, which the call says better
        return ""
    return hashlib.blake2b(text, digest_size=8).hexdigest()
