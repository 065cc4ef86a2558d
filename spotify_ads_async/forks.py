"""Forks: a child is a process of its own, and has nothing of what is under way in its parent."""

from __future__ import annotations

import contextlib
import importlib
import os
import weakref
from collections.abc import Callable
from types import MethodType
from typing import cast

__all__ = ["LEFT_TO_THE_PARENT", "when_forked"]

LEFT_TO_THE_PARENT: list[object] = []
"""What is under way there: to collect it here would end it, and the other side would hear of that."""

_WAITING = "anyio._backends._asyncio"
"""What anyio itself imports for asyncio, the one kind of loop that aiohttp runs on."""

_every = weakref.WeakKeyDictionary[object, Callable[[object], None]]()


def when_forked(begin_anew: Callable[[], None]) -> None:
    """Call a method in the child after each fork, as long as there is whom it belongs to.

    What belongs there waits by means of anyio, which imports its larger half at the first wait. That is done here: an
    import that is under way in another thread when a process is forked is never done in the child, which waits for it.
    """
    with contextlib.suppress(ModuleNotFoundError):  # a later anyio may call it otherwise
        importlib.import_module(_WAITING)
    method = cast("MethodType", begin_anew)
    _every[method.__self__] = method.__func__


def _after_fork() -> None:
    with contextlib.ExitStack() as every:  # where one fails, the others begin anew all the same
        for one, begin_anew in list(_every.items()):
            every.callback(begin_anew, one)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
