"""Carrying out a plan.

Looked at again, written down before it leaves, compared with its answer, and written down after.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from spotify_ads_async.bulk.plan.effects import Refusal
from spotify_ads_async.bulk.plan.state import entity_shape, state_of
from spotify_ads_async.bulk.records import (
    Header,
    PlannedRow,
    RowOutcome,
    RowWork,
    Step,
    StepOutcome,
    StepState,
    WrongPlan,
)
from spotify_ads_async.bulk.run.draft_writer import DraftWriter
from spotify_ads_async.bulk.run.live_writer import LiveWriter
from spotify_ads_async.bulk.run.lookout import Lookout
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.outcomes import failure, renewed, unheard_of
from spotify_ads_async.bulk.run.writer import Writer
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import leave
from spotify_ads_async.errors import (
    AuthenticationError,
    ConnectionFailed,
    NotFound,
    RequestRejected,
    SpotifyAdsError,
    StoreUnavailable,
    may_have_left,
)
from spotify_ads_async.events import RowApplied

__all__ = ["Run"]

_NO_NETWORK = (ConnectionFailed, StoreUnavailable)
_FRESH_SECONDS = 60.0
_REFUSED = 400


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
        money that
            nobody agreed to.
    """

    def __init__(self, ads: AdsClient, path: Path, options: Options, *, resumes: bool) -> None:
        self._ads = ads
        self._path = path
        self._options = options
        self._resumes = resumes
        self.stopping = anyio.Event()
        self._without_network = 0
        self._proven = False
        self._finished = False
        self.progress = Progress()
        """Where the run stands, changed in place."""

    async def __aenter__(self) -> Self:
        self._plan = await anyio.to_thread.run_sync(PlanFile.open, self._path)
        try:
            self._journal = Journal(self._plan)
            self._plan.survive_power_cuts(wanted=self._options.survives_power_cut)
            self.header = await self._journal.read(self._opened)
            self._entity = self.header.kind
            writer = DraftWriter if self.header.drafts else LiveWriter
            self._writer: Writer = writer(self._ads, self._journal, self.header, self._options, self)
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
                    await self._writer.begin(tell)
                    if not self.stopping.is_set():
                        await self._carry_out_all(outcomes)
                    if not self.stopping.is_set():
                        await self._writer.finish(tell)
                    self._finished = not self.stopping.is_set()
                    tasks.cancel_scope.cancel()

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        await self.stopping.wait()
        await anyio.sleep(self._options.grace)
        scope.cancel()

    # ---- rows

    def _is_fresh(self) -> bool:
        """Whether the present state was read for the plan by this process, and a moment ago."""
        looked_at = self._options.looked_at
        return looked_at is not None and time.monotonic() - looked_at < _FRESH_SECONDS

    async def _carry_out_all(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        feed, rows = anyio.create_memory_object_stream[tuple[RowWork, str | None]](0)
        async with anyio.create_task_group() as workers:
            for _ in range(self._options.concurrency):
                workers.start_soon(self._worker, rows.clone(), outcomes)
            rows.close()

            async def offer(work: RowWork, text: str | None) -> bool:
                if not self.stopping.is_set():
                    if self._proven:
                        await feed.send((work, text))
                    else:  # alone, until an answer shows what the server makes of a request
                        await self._take(work, text, outcomes)
                return not self.stopping.is_set()

            async with feed:
                try:
                    await Lookout(
                        self._ads, self._entity, self.header.ad_account_id, self._journal, self._is_fresh
                    ).offer_all(offer)
                except SpotifyAdsError as problem:
                    self._stop_unread(problem)

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
            outcome = await self._carry_out(work, text)
        finally:
            self.progress.under_way -= 1
        # A row that waits is staged, and to be validated: it is told when that is done.
        if outcome is not None and outcome.outcome is not RowOutcome.WAITING:
            await self._tell(outcome, outcomes)

    async def _carry_out(self, work: RowWork, text: str | None) -> PlannedRow | None:
        """Look at a row, and make its requests in their order. None where the run was stopped before the end."""
        if text is None:
            text = await self._read(work)
            if text is None:
                return None
        looked = await self._looked_at(work, text)
        if isinstance(looked, PlannedRow):
            return looked
        work, row = looked, None
        for step in work.pending:
            if self.stopping.is_set():
                return None
            work, row = await self._make(work, step)
            if row.outcome not in {RowOutcome.DONE, RowOutcome.WAITING}:
                break
        return row

    async def _read(self, work: RowWork) -> str | None:
        """The entity's JSON; nothing for one that is gone, None where it cannot be read, which stops the run."""
        path = {"ad_account_id": self.header.ad_account_id, self._entity.id_column: work.entity_id}
        try:
            return state_of(await self._ads.call(self._entity.get, path=path))
        except NotFound:
            return ""
        except SpotifyAdsError as problem:
            self._stop_unread(problem)
            return None

    def _stop_unread(self, problem: SpotifyAdsError) -> None:
        """Stop where the present state cannot be read: nothing is sent on yesterday's knowledge."""
        why = "the API cannot be reached" if isinstance(problem, _NO_NETWORK) else "the present state could not be read"
        self.stop(f"{'the credentials were refused' if isinstance(problem, AuthenticationError) else why}: {problem}")

    async def _looked_at(self, work: RowWork, text: str) -> RowWork | PlannedRow:
        """The row on top of what is there now, written down where that is something else.

        Or what became of a row that does not go.
        """
        if not text:
            return await self._end(work, Refusal(reason=f"the {self._entity.name} is not there any more"))
        looked = renewed(self._entity, work, text, force=self._options.force)
        if looked is work:
            return work
        if isinstance(looked, Refusal):
            return await self._end(work, looked)
        if isinstance(looked, tuple):
            return await self._written(work.number, lambda plan: plan.conflict(work.number, looked))
        await self._journal.write(lambda plan: plan.rebuild(looked))
        return (
            looked if looked.pending else await self._written(work.number, lambda plan: plan.need_nothing(work.number))
        )

    async def _end(self, work: RowWork, refusal: Refusal) -> PlannedRow:
        return await self._written(work.number, lambda plan: plan.refuse(work.number, refusal.reason, refusal.column))

    async def _written(self, number: int, write: Callable[[PlanFile], None]) -> PlannedRow:
        """Write something down about a row, whatever ends the run meanwhile; the row as it is then."""
        found: list[PlannedRow] = []

        def both(plan: PlanFile) -> None:
            write(plan)
            found.append(plan.row_of(number))

        # An answer that came must not be forgotten because the run is ending.
        with anyio.CancelScope(shield=True):
            await self._journal.write(both)
        return found[-1]

    async def settle(self, step: Step, outcome: StepOutcome) -> PlannedRow:
        """Write down what came of a request; the row as it is then."""
        return await self._written(step.row, lambda plan: plan.settle(step.row, step.position, outcome))

    # ---- requests

    async def _make(self, work: RowWork, step: Step) -> tuple[RowWork, PlannedRow]:
        """Make one request, again where reading back shows that it took no effect, and write down what came of it."""
        outcome = StepOutcome(state=StepState.WAITING)
        for attempt in range(self._options.attempts):
            if attempt and outcome.text:
                # What was read back may be something else than what was looked at before.
                looked = await self._looked_at(work, outcome.text)
                if isinstance(looked, PlannedRow):
                    return work, looked
                work, step = looked, next(one for one in looked.steps if one.position == step.position)
                if step.state is not StepState.WAITING:
                    break
            outcome = await self._attempt(work, step)
            if outcome.state is not StepState.WAITING or self.stopping.is_set():
                break
        if outcome.state is StepState.WAITING:
            outcome = msgspec.structs.replace(outcome, state=StepState.FAILED, transient=True)
        row = await self.settle(step, outcome)
        if outcome.state in {StepState.DONE, StepState.STAGED}:
            self._compared(work, outcome)
        return (
            msgspec.structs.replace(work, text=outcome.text) if outcome.text and not self.header.drafts else work
        ), row

    def _compared(self, work: RowWork, outcome: StepOutcome) -> None:
        if outcome.surprises:
            self.surprised(work, outcome)
        self._proven = self._proven or not outcome.surprises or self._options.keep_going

    def surprised(self, work: RowWork, outcome: StepOutcome) -> None:
        """End the run where an answer shows that more changed than was said, unless it is told to keep going."""
        if not self._options.keep_going:
            name = (
                f"“{work.name}” ({self._entity.name} {work.entity_id})"
                if work.name
                else f"{self._entity.name} {work.entity_id}"
            )
            self.stop(
                f"the server changed more of {name} than was asked: {'; '.join(outcome.surprises)}. No other row was"
                f" sent after it. To put it back: spotify-ads bulk undo {self._path}. If somebody else made that change"
                f" at this very moment, or you know why it is right: spotify-ads bulk resume {self._path}, with"
                " --keep-going to pass over the next ones too"
            )

    async def _attempt(self, work: RowWork, step: Step) -> StepOutcome:
        """Make one request once. WAITING says that it surely took no effect, though its answer was lost."""
        intended = False
        try:
            await self._journal.write(lambda plan: plan.record_intent(step.row, step.position, time.time()))
            intended = True
            self.progress.requests += 1
            outcome = await self._writer.write(work, step)
        except SpotifyAdsError as error:
            self._judge_network(error)
            if error.may_have_taken_effect:
                return await self._read_back(work, step, error)
            self._judge_refusal(step, error)
            return failure(error)
        except BaseException as ended:
            if not intended or not may_have_left(ended):
                # It was not sent yet, or still waiting for quota: nothing left, so there is nothing to settle.
                with anyio.CancelScope(shield=True):
                    await self._journal.write(lambda plan: plan.recall(step.row, step.position))
            raise
        self._without_network = 0
        return outcome

    def _judge_network(self, error: SpotifyAdsError) -> None:
        """Stop where every other row would fare the same."""
        if isinstance(error, AuthenticationError):
            self.stop(f"the credentials were refused: {error}")
        if isinstance(error.__cause__ if error.may_have_taken_effect else error, _NO_NETWORK):
            self._without_network += 1
            if self._without_network >= self._options.unreachable_after:
                self.stop(f"the API cannot be reached: {error}")
        else:
            self._without_network = 0

    def _judge_refusal(self, step: Step, error: SpotifyAdsError) -> None:
        """Stop where the API refuses what it answered itself: every other row would fare the same."""
        if self._options.send == "changes" or not isinstance(error, RequestRejected) or error.status != _REFUSED:
            return
        own = list(unheard_of(step.body, entity_shape(self._entity)))
        said = str(error)
        named = [place for place in own if place.rpartition(".")[2] in said]
        if named and not self._options.keep_going:
            self.stop(
                f"the API refuses what it answered itself ({', '.join(named)}): {error}. --send changes sends the"
                " changed parts alone, for an API that is known to merge objects"
            )

    async def _read_back(self, work: RowWork, step: Step, error: SpotifyAdsError) -> StepOutcome:
        """Find out what came of a request whose answer was lost."""
        await anyio.sleep(self._options.settle_after)
        try:
            return await self._writer.read_back(work, step, str(error))
        except NotFound as gone:
            return failure(gone)
        except SpotifyAdsError as problem:
            return StepOutcome(
                state=StepState.UNKNOWN,
                reason=f"{error}; reading back failed: {problem}",
                trace_id=error.trace_id or "",
            )

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
                RowApplied(entity=self._entity.name, entity_id=row.entity_id, outcome=row.outcome.value)
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
