"""Forks: a child is a process of its own, and has nothing of what is under way in its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["LEFT_TO_THE_PARENT", "SupportsBeginAnew", "begins_anew"]

LEFT_TO_THE_PARENT: list[object] = []
"""What is under way there: to collect it here would end it, and the other side would hear of that."""


class SupportsBeginAnew(Protocol):
    """What is told of a fork."""

    def begin_anew(self) -> None:
        """This process is a fork: what is under way, and what other threads hold, is the parent's."""
        ...


_every = weakref.WeakSet[SupportsBeginAnew]()
begins_anew = _every.add


def _after_fork() -> None:
    for one in list(_every):
        one.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
