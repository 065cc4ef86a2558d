"""The plan file off the event loop: reads and writes in a thread, writes of many rows made durable in one go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import anyio

from spotify_ads_async.bulk.store import schema
from spotify_ads_async.locks import taken_off_loop

__all__ = ["Journal"]

ResultT = TypeVar("ResultT")


class Plan(Protocol):
    """A plan on the disk, of changes or of a workbook."""

    path: Path

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside becomes durable together, or not at all."""
        ...


PlanT = TypeVar("PlanT", bound=Plan)


class _Entry(Generic[PlanT]):
    __slots__ = ("action", "durable", "problem")

    def __init__(self, action: Callable[[PlanT], None]) -> None:
        self.action = action
        self.durable = False
        self.problem: Exception | None = None


class Journal(Generic[PlanT]):
    """Serialises the use of a plan.

    Whoever finds the file free commits what everybody else wants written as well: while one commit is on its way to the
    disk, the next one gathers. So a run of many rows at once costs few commits, and each row still waits until its
    intent is durable.
    """

    def __init__(self, plan: PlanT) -> None:
        self._plan = plan
        self.path = plan.path
        self._turn = anyio.Lock()
        self._pending: list[_Entry[PlanT]] = []

    async def write(self, action: Callable[[PlanT], None]) -> None:
        """Run ``action`` inside a transaction; it is durable when this returns.

        Raises:
            PlanDamaged: the file cannot be written; nothing of this transaction is.
        """
        entry = _Entry(action)
        self._pending.append(entry)
        try:
            async with self._turn:
                if not entry.durable and entry.problem is None:
                    batch, self._pending = self._pending, []
                    await taken_off_loop(lambda: self._commit(batch))
        finally:
            if entry in self._pending:
                self._pending.remove(entry)
        if entry.problem is not None:
            raise entry.problem

    async def read(self, question: Callable[[PlanT], ResultT]) -> ResultT:
        """The answer of ``question``, asked between two commits.

        Raises:
            PlanDamaged: the file cannot be read.
        """
        async with self._turn:
            return await taken_off_loop(lambda: self._answer(question))

    def _answer(self, question: Callable[[PlanT], ResultT]) -> ResultT:
        with schema.in_one_sentence(self._plan.path):
            return question(self._plan)

    def _commit(self, batch: list[_Entry[PlanT]]) -> None:
        try:
            with schema.in_one_sentence(self._plan.path), self._plan.transaction():
                for entry in batch:
                    entry.action(self._plan)
        except Exception as problem:  # noqa: BLE001 - handed to everybody whose write it was
            for entry in batch:
                entry.problem = problem
        else:
            for entry in batch:
                entry.durable = True
