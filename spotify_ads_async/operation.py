"""What an operation of the API is: a plain value. The table of all of them is :mod:`spotify_ads_async.operations`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

__all__ = ["ListOperation", "ListStyle", "Operation", "Repeat"]

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")


class Repeat(enum.Enum):
    """When a call may be sent again after a failure that leaves its effect in doubt."""

    SAFE = "safe"
    """It changes nothing, or changing it twice is the same as once: reads, deletes of drafts."""
    KEYED = "keyed"
    """It carries an ``Idempotency-Key``: creates of campaigns, ad sets, ads and their drafts."""
    NEVER = "never"
    """Only when it surely did not take effect: every other write."""


class ListStyle(enum.Enum):
    """How a list is walked."""

    OFFSET = "offset"
    """``offset`` and ``limit``, with ``paging.total_results`` in the answer."""
    OFFSET_UNCOUNTED = "offset-uncounted"
    """``offset`` and ``limit``, no total: the list ends with a short page."""
    CONTINUATION = "continuation"
    """A ``continuation_token``, sent alone."""
    LIMIT = "limit"
    """A ``limit`` and no way to ask for more."""
    WHOLE = "whole"
    """Everything in one answer."""


class Operation(msgspec.Struct, Generic[AnswerT], frozen=True, kw_only=True):
    """One operation of the API, as a value.

    ``body`` is the struct of the request or None, and may be left out where not ``body_required``; ``answer`` the type
    that the answer decodes into, None for 204; ``query`` maps names to types; ``limits`` names the limits that a call
    spends.
    """

    id: str
    method: str
    path: str
    summary: str
    answer: type[AnswerT] | Any = None
    body: Any = None
    body_required: bool = True
    multipart: bool = False
    query: Mapping[str, Any] = {}
    query_required: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset({"client_id", "ip"})
    repeat: Repeat = Repeat.NEVER

    @property
    def items(self) -> str | None:
        """The attribute of the answer that holds a list's items, or None where the operation is no list."""
        return None


class ListOperation(Operation[AnswerT], Generic[AnswerT, ItemT], frozen=True, kw_only=True):
    """An operation whose answer is a list that can be walked."""

    item: type[ItemT] | Any
    item_attribute: str
    style: ListStyle
    page_size: int = 0
    """The largest ``limit`` that the API takes, 0 where it takes none."""

    @property
    def items(self) -> str:
        """The attribute of the answer that holds the items."""
        return self.item_attribute
