"""Which rows a walk has yielded, in about nine bytes per row."""

from __future__ import annotations

import functools
from array import array
from bisect import bisect_left
from collections import defaultdict

__all__ = ["SeenIds"]

_SHELVES = 1024


class SeenIds:
    """A set of ids that keeps a 64-bit hash of each: exact for what it holds, and all but exact for what it doesn't.

    A million ids take 9 MB; as strings in a ``set`` they take 150 MB. An id that was never added is taken for one that
    was with a chance of n / 2**64, so a walk of a million rows loses one with a chance of 3e-8, and of ten thousand
    with 3e-12. The hashes are kept sorted on many short shelves: adding moves a few kB at most and never stops the loop
    to rebuild.
    """

    __slots__ = ("_count", "_shelves")

    def __init__(self) -> None:
        self._shelves: defaultdict[int, array[int]] = defaultdict(functools.partial(array, "q"))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: str) -> bool:
        word = hash(key)
        shelf = self._shelves[word & (_SHELVES - 1)]
        place = bisect_left(shelf, word)
        return place < len(shelf) and shelf[place] == word

    def add(self, key: str) -> bool:
        """Add ``key``; whether it is new."""
        word = hash(key)
        shelf = self._shelves[word & (_SHELVES - 1)]
        place = bisect_left(shelf, word)
        if place < len(shelf) and shelf[place] == word:
            return False
        shelf.insert(place, word)
        self._count += 1
        return True
