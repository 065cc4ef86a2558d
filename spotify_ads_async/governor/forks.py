"""Forks: a copy of this process is a process of its own, and begins anew."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["watch"]


class BeginsAnew(Protocol):
    """What must not go on in a copy of the process."""

    def begin_anew(self) -> None:
        """This process is the copy."""
        ...


_alive: weakref.WeakSet[BeginsAnew] = weakref.WeakSet()


def watch(one: BeginsAnew) -> None:
    """Tell it in every fork, for as long as it lives."""
    _alive.add(one)


def _begin_anew() -> None:
    for one in list(_alive):
        one.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
