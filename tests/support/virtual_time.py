"""Event loops whose time jumps: where nothing is ready, the next timer is due at once. An hour passes in moments."""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

ResultT = TypeVar("ResultT")
ParametersT = ParamSpec("ParametersT")


class NothingLeftToWaitForError(RuntimeError):
    """Every task waits, and no timer is set: the program would hang."""


class _JumpingSelector(selectors.BaseSelector):
    """Waits for nothing but the clock."""

    def __init__(self) -> None:
        self._keys: dict[FileDescriptorLike, selectors.SelectorKey] = {}
        self.now = 0.0

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, -1, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftToWaitForError
        if timeout > 0.0:
            self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0. ``stall`` moves the clock while no callback runs, as a blocked loop would."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def stall(self, seconds: float) -> None:
        """Let time pass that nobody notices before the present callback is over."""
        self._jumping.now += seconds


def run_virtually(program: Callable[[VirtualTimeLoop], Coroutine[Any, Any, ResultT]]) -> ResultT:
    """Run ``program(loop)`` to its end, and no task besides it may be left then."""
    loop = VirtualTimeLoop()
    try:
        result = loop.run_until_complete(program(loop))
        assert not asyncio.all_tasks(loop), asyncio.all_tasks(loop)
        return result
    finally:
        loop.close()


def virtual(test: Callable[[VirtualTimeLoop], Awaitable[None]]) -> Callable[[], None]:
    """Run an asynchronous test in virtual time."""

    def run() -> None:
        async def program(loop: VirtualTimeLoop) -> None:
            await test(loop)

        run_virtually(program)

    run.__name__ = test.__name__
    return run


class _WaitingSelector(selectors.DefaultSelector):
    """Waits for the network, and for the clock where the network is silent."""

    now = 1e6

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout and min(timeout, _SILENCE_SECONDS))
        if timeout is not None and not found:
            self.now += max(0.0, timeout)
        return found


_SILENCE_SECONDS = 0.02
"""Real time after which nothing is on its way any more between two ends that are both of this process."""


def on_a_patient_clock(
    test: Callable[ParametersT, Coroutine[Any, Any, None]],
) -> Callable[ParametersT, None]:
    """Run a test with sockets whose time stands while anything happens: no limit passes because the machine is slow.

    Where nothing happens, the next timer is due at once. Server and client both belong to the test's process.
    """

    @functools.wraps(test)
    def run(*args: ParametersT.args, **options: ParametersT.kwargs) -> None:
        selector = _WaitingSelector()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "monotonic", lambda: selector.now)
            with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
                runner.run(test(*args, **options))

    return run
