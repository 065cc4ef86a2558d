"""Carrying out a plan: its life from opening to closing, which rows go when, and who hears of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from spotify_ads_async.bulk.records import (
    Header,
    PlannedRow,
    RowOutcome,
    RowWork,
    WrongPlan,
)
from spotify_ads_async.bulk.run.lookout import Lookout
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.row_runner import RowRunner
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import leave
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.events import RowApplied
from spotify_ads_async.locks import taken_off_loop

__all__ = ["Run"]


class Run:
    """One process at work on a plan: an async context manager, and an async iterator over the rows as they end.

    The first row goes alone: what the server answers is compared with what was expected, and where more changed than
    the row said the run stops; every later answer is compared as well. Before its first request each row is looked at
    again.

    :meth:`stop` lets what is under way end within ``options.grace`` seconds, and so does leaving the block early. A
    cancellation ends everything at once. Requests without an answer by then are settled by the next run.

    Args:
        ads: makes the calls, at the priority of bulk work; a plan for another address is refused.
        path: the plan.
        options: how it is carried out.
        resumes: whether the plan may have begun before.

    Raises (on entering):
        FileNotFoundError, NotAPlan, PlanInUse: see :meth:`PlanFile.open`.
        WrongPlan: the plan is unfinished, was made for another address, has begun before, or has unusual amounts of
            money that nobody agreed to.
    """

    def __init__(self, ads: AdsClient, path: Path, options: Options, *, resumes: bool) -> None:
        self._ads = ads
        self._path = path
        self._options = options
        self._resumes = resumes
        self.stopping = anyio.Event()
        self._finished = False
        self.progress = Progress()
        """Where the run stands, changed in place."""

    async def __aenter__(self) -> Self:
        self._plan = await taken_off_loop(lambda: PlanFile.open(self._path), PlanFile.close)
        try:
            self._journal = Journal(self._plan)
            self._plan.survive_power_cuts(wanted=self._options.survives_power_cut)
            self.header = await self._journal.read(self._opened)
            self._rows = RowRunner(self._ads, self._journal, self.header, self._options, self)
            await self._journal.write(self._requeue)
            self.progress.total = await self._journal.read(self._left_over)
            sender, self._outcomes = anyio.create_memory_object_stream[PlannedRow](self._options.concurrency)
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            self._plan.close()
            raise
        self._tasks.start_soon(self._work, sender)
        return self

    def _opened(self, plan: PlanFile) -> Header:
        """The plan's header for this run, once the plan may be carried out."""
        options, header = self._options, plan.header
        check_plan(plan, self._ads.base_url, resumes=self._resumes)
        check_staging(plan, stages=options.stages)
        check_amounts(plan, allowed=options.allow_unusual, conflicts=options.takes_up_conflicts)
        return msgspec.structs.replace(
            header, drafts=header.drafts or options.stages, allow_unusual=header.allow_unusual or options.allow_unusual
        )

    def _left_over(self, plan: PlanFile) -> int:
        return plan.left_over() + (plan.drafts.publishable() if self._options.publish else 0)

    def _requeue(self, plan: PlanFile) -> None:
        plan.requeue(everything=self._options.retry_failed, conflicts=self._options.takes_up_conflicts)
        plan.write_header(self.header)
        if self.header.drafts:
            plan.drafts.requeue()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self.stop("the run was left early")
        self._outcomes.close()
        try:
            await leave(self._tasks, kind, error, trace)
        finally:
            self._plan.close()

    def __aiter__(self) -> AsyncIterator[PlannedRow]:
        return self._outcomes.__aiter__()

    def stop(self, reason: str) -> None:
        """Let nothing new leave. The iteration ends when what is under way has ended."""
        if not self.stopping.is_set():
            self.progress.stopped = reason
            self.stopping.set()

    async def _work(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        """Settle what an earlier run left behind, then carry out what waits."""

        async def tell(row: PlannedRow) -> None:
            await self._tell(row, outcomes)

        async with outcomes:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._end_in_time, scope)
                    await self._rows.writer.begin(tell)
                    if self.header.drafts:  # what is gone may have to be staged anew
                        self.progress.total = self.progress.ended + await self._journal.read(self._left_over)
                    if not self.stopping.is_set():
                        await self._carry_out_all(outcomes)
                    if not self.stopping.is_set():
                        await self._rows.writer.finish(tell)
                    self._finished = not self.stopping.is_set()
                    tasks.cancel_scope.cancel()

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        await self.stopping.wait()
        await anyio.sleep(self._options.grace)
        scope.cancel()

    # ---- rows

    async def _carry_out_all(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        feed, rows = anyio.create_memory_object_stream[tuple[RowWork, str | None]](0)
        async with anyio.create_task_group() as workers:
            for _ in range(self._options.concurrency):
                workers.start_soon(self._worker, rows.clone(), outcomes)
            rows.close()

            async def offer(work: RowWork, text: str | None) -> bool:
                if not self.stopping.is_set():
                    if self._rows.is_proven(work):
                        await feed.send((work, text))
                    else:  # alone, until an answer shows what the server makes of such a request
                        await self._take(work, text, outcomes)
                return not self.stopping.is_set()

            async with feed:
                try:
                    await Lookout(
                        self._ads,
                        self.header.kind,
                        self.header.ad_account_id,
                        self._journal,
                        lambda: self._options.is_fresh,
                    ).offer_all(offer)
                except SpotifyAdsError as problem:
                    self._rows.stop_unread(problem)

    async def _worker(
        self, rows: ObjectReceiveStream[tuple[RowWork, str | None]], outcomes: ObjectSendStream[PlannedRow]
    ) -> None:
        async with rows:
            async for work, text in rows:
                if not self.stopping.is_set():
                    await self._take(work, text, outcomes)

    async def _take(self, work: RowWork, text: str | None, outcomes: ObjectSendStream[PlannedRow]) -> None:
        self.progress.under_way += 1
        try:
            outcome = await self._rows.carry_out(work, text)
        finally:
            self.progress.under_way -= 1
        # A row that waits is staged, and to be validated: it is told when that is done.
        if outcome is not None and outcome.outcome is not RowOutcome.WAITING:
            await self._tell(outcome, outcomes)

    async def _tell(self, row: PlannedRow, outcomes: ObjectSendStream[PlannedRow]) -> None:
        match row.outcome:
            case RowOutcome.WAITING:
                pass  # staged, and held back from publishing: a later run ends it
            case RowOutcome.DONE | RowOutcome.STAGED | RowOutcome.UNCHANGED:
                self.progress.done += 1
            case RowOutcome.CONFLICT:
                self.progress.conflicts += 1
            case RowOutcome.REFUSED:
                self.progress.refused += 1
            case RowOutcome.FAILED:
                self.progress.failed += 1
                if self._options.max_failures is not None and self.progress.failed > self._options.max_failures:
                    self.stop(f"more than {self._options.max_failures} rows failed")
            case RowOutcome.UNKNOWN:
                self.progress.unknown += 1
        if self._ads.listeners:
            self._ads.listeners.emit(
                RowApplied(entity=self.header.kind.name, entity_id=row.entity_id, outcome=row.outcome.value)
            )
        with contextlib.suppress(anyio.BrokenResourceError):
            await outcomes.send(row)


def check_plan(plan: PlanFile, base_url: str, *, resumes: bool) -> None:
    """Refuse a plan that cannot be carried out here, or not now.

    Raises:
        WrongPlan: it is unfinished, was made for another address or by a former version, or has begun before and this
            is no resumption.
    """
    header = plan.header
    if not header.ready:
        raise WrongPlan("the plan is unfinished: planning was interrupted, so plan again")
    if header.former:
        raise WrongPlan(
            "the plan was made by the version before, which did not keep what it read: show and undo it, and plan again"
        )
    if header.base_url != base_url:
        raise WrongPlan(f"the plan was made for {header.base_url}, and calls would go to {base_url}")
    if not resumes and plan.begun():
        raise WrongPlan("the plan has begun before: resume it")


def check_staging(plan: PlanFile, *, stages: bool) -> None:
    """Refuse to stage the rest of a plan of which a part has been made live at once.

    Raises:
        WrongPlan: it has begun, and without drafts.
    """
    if stages and not plan.header.drafts and plan.begun():
        raise WrongPlan("the plan has begun without drafts: resume it without them")


def check_amounts(plan: PlanFile, *, allowed: bool, conflicts: bool) -> None:
    """Refuse unusual amounts of money that nobody agreed to.

    Raises:
        WrongPlan: there are such rows.
    """
    if not allowed and not plan.header.allow_unusual and (count := plan.unusual(conflicts=conflicts)):
        rows = "1 row has an unusual amount" if count == 1 else f"{count} rows have unusual amounts"
        raise WrongPlan(
            f"{rows} of money: look at them, and say that they are meant (--allow-unusual, or"
            " Options(allow_unusual=True))"
        )
