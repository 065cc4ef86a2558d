"""Carrying out the plan of a workbook: what is new becomes drafts; the plans of changes are carried out, too."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.bulk.records import PlannedRow, RowOutcome, WrongPlan
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.runner import Run
from spotify_ads_async.bulk.store import schema
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.bulk.workbook.elsewhere import require_free_names
from spotify_ads_async.bulk.workbook.making import Making
from spotify_ads_async.bulk.workbook.publishing import Publishing
from spotify_ads_async.bulk.workbook.records import NewItem
from spotify_ads_async.bulk.workbook.store import WorkbookPlan
from spotify_ads_async.bulk.workbook.turns import turn
from spotify_ads_async.bulk.workbook.undoing import remove
from spotify_ads_async.bulk.workbook.work import Work
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import leave
from spotify_ads_async.locks import taken_off_loop

__all__ = ["WorkbookRun"]


class WorkbookRun:
    """One process at work on the plan of a workbook: an async context manager, and an async iterator over what ends.

    What is new comes as :class:`NewItem`, rows of changes as :class:`PlannedRow`; both have ``line``, ``entity_id``,
    ``outcome`` and ``reason``. :meth:`stop` lets nothing new begin.

    Args:
        ads: makes the calls, at the priority of bulk work; a plan for another address is refused.
        path: the plan.
        options: how it is carried out.
        resumes: whether the plan may have begun before.

    Raises (on entering):
        FileNotFoundError, NotAPlan, PlanInUse: see :meth:`WorkbookPlan.open`.
        WrongPlan: the plan is unfinished, was made for another address, or has begun before, a name of it is taken, or
            another run makes the same new things at this moment.
    """

    def __init__(self, ads: AdsClient, path: Path, options: Options, *, resumes: bool) -> None:
        self._ads = ads
        self._path = path
        self._options = options
        self._resumes = resumes
        self._stopping = anyio.Event()
        self._part: Run | None = None
        self._held = contextlib.ExitStack()
        self.progress = Progress()
        """Where the run stands, changed in place."""

    async def __aenter__(self) -> Self:
        self._plan = await taken_off_loop(lambda: WorkbookPlan.open(self._path), WorkbookPlan.close)
        self._held.callback(self._plan.close)
        try:
            with schema.in_one_sentence(self._path):
                await self._begin()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            self._held.close()
            raise
        self._tasks.start_soon(self._work)
        return self

    async def _begin(self) -> None:
        """Look whether the plan can be carried out now, and read what it holds."""
        self.header = self._plan.header
        self._check()
        if items := await taken_off_loop(self._plan.items):
            taken = turn(self.header, items, self._path)
            others_ended = await taken_off_loop(lambda: self._held.enter_context(taken))
            if not self._plan.begun() and (others_ended or not self._options.is_fresh):
                await require_free_names(self._ads, self.header.ad_account_id, items)
        self._parts = [part for _, part in self._plan.parts()]
        await taken_off_loop(self._plan.requeue)
        self._jobs = Work(
            self._ads,
            self._plan,
            self._options,
            self.progress,
            stopping=self._stopping,
            stop=self.stop,
            send=self._send,
        )
        await taken_off_loop(self._plan.begin)
        self.progress.total = len(self._jobs.items)
        self._sender, self._outcomes = anyio.create_memory_object_stream[NewItem | PlannedRow](
            self._options.concurrency
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.stop("the run was left early")
        self._outcomes.close()
        try:
            await leave(self._tasks, kind, error, trace)
        finally:
            self._held.close()

    _done = False

    def __aiter__(self) -> AsyncIterator[NewItem | PlannedRow]:
        return self._outcomes.__aiter__()

    def stop(self, reason: str) -> None:
        """Let nothing new begin. The iteration ends when what is under way has ended."""
        if not self._stopping.is_set():
            self.progress.stopped = reason
            self._stopping.set()
        if self._part is not None:
            self._part.stop(reason)

    def _check(self) -> None:
        if self.header.base_url != self._ads.base_url:
            raise WrongPlan(f"the plan was made for {self.header.base_url}, and calls would go to {self._ads.base_url}")
        if not self._resumes and self._plan.begun():
            raise WrongPlan("the plan has begun before: resume it")

    async def _send(self, row: NewItem | PlannedRow) -> None:
        # Whoever left the run early hears no more of it.
        with contextlib.suppress(anyio.BrokenResourceError):
            await self._sender.send(row)

    async def _work(self) -> None:
        async with self._sender:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._end_in_time, scope)
                    # Drafts of what is live are made of what it was changed to: publishing would put it back else.
                    await self._change_everything()
                    if self._jobs.items:
                        await self._make_everything()
                    if self.header.undo_of and not self._stopping.is_set():
                        await self._remove_everything()
                    tasks.cancel_scope.cancel()
            self._done = not self._stopping.is_set()

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._options.grace)
        scope.cancel()

    async def _change_everything(self) -> None:
        """Carry out the plans of changes, one kind after the other."""
        for path in self._parts:
            if self._stopping.is_set():
                return
            options = self._options
            if options.stages and await anyio.to_thread.run_sync(_is_live, path):
                options = msgspec.structs.replace(options, draft=False, publish=False)
            self._part = part = Run(self._ads, path, options, resumes=self._resumes)
            async with part:
                base = msgspec.structs.replace(self.progress)
                self.progress.total = base.total + part.progress.total
                async for row in part:
                    for name in ("done", "failed", "unknown", "requests"):
                        setattr(self.progress, name, getattr(base, name) + getattr(part.progress, name))
                    await self._send(row)
            if part.progress.stopped:
                self.stop(part.progress.stopped)
            self._part = None

    # ---- what is new

    async def _make_everything(self) -> None:
        publishing = Publishing(self._jobs)
        for step, wanted in (
            (publishing.settle_lost, True),
            (publishing.refuse_occupied, True),
            (lambda: Making(self._jobs).run(), True),
            (publishing.validate_all, True),
            (publishing.publish_all, self._options.publish),
        ):
            if wanted and not self._stopping.is_set():
                await step()

    async def _remove_everything(self) -> None:
        """Take back what is new in the plan that this one undoes."""

        async def tell(item: NewItem, became: str) -> None:
            self.progress.total += 1
            if item.outcome is RowOutcome.FAILED:
                self.progress.failed += 1
            else:
                self.progress.done += 1
            await self._send(msgspec.structs.replace(item, reason=became))

        await remove(
            self._ads, Path(self.header.undo_of), archive=self.header.archive, force=self._options.force, tell=tell
        )


def _is_live(path: Path) -> bool:
    """Whether the plan of changes has begun without drafts, to which it keeps."""
    with PlanFile.open(path) as plan:
        return plan.begun() and not plan.header.drafts
