"""Carrying out a plan: each request's intent is durable before it leaves, and its outcome is written down after."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from spotify_ads_async.bulk.plan.effects import writable_state
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, Step, StepOutcome, StepState, WrongPlan
from spotify_ads_async.bulk.run.draft_writer import Hands, Staging
from spotify_ads_async.bulk.run.options import Departure, Options, Progress, departure, note_departure
from spotify_ads_async.bulk.run.outcomes import failure, judge, staged, success
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import first_cause
from spotify_ads_async.errors import AuthenticationError, ConnectionFailed, NotFound, SpotifyAdsError, StoreUnavailable
from spotify_ads_async.events import RowApplied

__all__ = ["Run"]

_BATCH_ROWS = 200
_NO_NETWORK = (ConnectionFailed, StoreUnavailable)


class Run:
    """One process at work on a plan: an async context manager, and an async iterator over the rows as they end.

    :meth:`stop` lets what is under way end within ``options.grace`` seconds, and so does leaving the block early. A
    cancellation ends everything at once. Requests without an answer by then are settled by the next run.

    Args:
        ads: makes the calls, at the priority of bulk work; a plan for another address is refused.
        path: the plan.
        options: how it is carried out.
        resumes: whether the plan may have begun before.

    Raises (on entering):
        FileNotFoundError, NotAPlan, PlanInUse: see :meth:`PlanFile.open`.
        WrongPlan: the plan is unfinished, was made for another address, or has begun before.
    """

    def __init__(self, ads: AdsClient, path: Path, options: Options, *, resumes: bool) -> None:
        self._ads = ads
        self._path = path
        self._options = options
        self._resumes = resumes
        self._stopping = anyio.Event()
        self._without_network = 0
        self._finished = False
        self.progress = Progress()
        """Where the run stands, changed in place."""

    async def __aenter__(self) -> Self:
        self._plan = await anyio.to_thread.run_sync(PlanFile.open, self._path)
        try:
            self.header = self._plan.header
            self._plan.survive_power_cuts(wanted=self._options.survives_power_cut)
            check_plan(self._plan, self._ads.base_url, resumes=self._resumes)
            check_staging(self._plan, stages=self._options.stages)
            self._entity = self.header.kind
            self._journal = Journal(self._plan)
            self._staging = self._staging_of(self.header)
            await self._journal.write(self._requeue)
            self.progress.total = await self._journal.read(self._left_over)
            sender, self._outcomes = anyio.create_memory_object_stream[PlannedRow](self._options.concurrency)
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
            self._forget_departures = self._ads.subscribe(note_departure)
        except BaseException:
            self._plan.close()
            raise
        self._tasks.start_soon(self._work, sender)
        return self

    def _staging_of(self, header: Header) -> Staging | None:
        """What stages rows as drafts, where the plan is carried out so."""
        if not (header.drafts or self._options.stages):
            return None
        self.header = msgspec.structs.replace(header, drafts=True)
        hands = Hands(settle=self._settle, stop=self.stop, stopping=self._stopping)
        return Staging(self._ads, self._journal, self.header, self._options, hands)

    def _left_over(self, plan: PlanFile) -> int:
        return plan.left_over() + (plan.drafts.publishable() if self._options.publish else 0)

    def _requeue(self, plan: PlanFile) -> None:
        plan.requeue(everything=self._options.retry_failed)
        if self._staging is not None:
            plan.write_header(self.header)
            plan.drafts.requeue()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._finished:
            self.stop("the run was left early")
        self._outcomes.close()
        try:
            if error is None or isinstance(error, Exception):
                await self._tasks.__aexit__(None, None, None)
            else:
                await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            raise first_cause(group) from None
        finally:
            self._forget_departures()
            self._plan.close()

    def __aiter__(self) -> AsyncIterator[PlannedRow]:
        return self._outcomes.__aiter__()

    def stop(self, reason: str) -> None:
        """Let nothing new leave. The iteration ends when what is under way has ended."""
        if not self._stopping.is_set():
            self.progress.stopped = reason
            self._stopping.set()

    async def _work(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        """Settle what an earlier run left behind, then carry out what waits."""
        async with outcomes:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._end_in_time, scope)
                    if self._staging is None:
                        await self._settle_lost(outcomes)
                        await self._carry_out_all(outcomes)
                    else:
                        await self._stage_all(self._staging, outcomes)
                    self._finished = not self._stopping.is_set()
                    tasks.cancel_scope.cancel()

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._options.grace)
        scope.cancel()

    async def _stage_all(self, staging: Staging, outcomes: ObjectSendStream[PlannedRow]) -> None:
        """Stage what waits, validate it, and publish it where that is asked for."""

        async def tell(row: PlannedRow) -> None:
            await self._tell(row, outcomes)

        await staging.settle_lost(tell)
        if not self._stopping.is_set():
            await staging.prepare(tell)
        await self._carry_out_all(outcomes)
        if not self._stopping.is_set():
            await staging.finish(tell)

    async def _carry_out_all(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        feed, rows = anyio.create_memory_object_stream[Sequence[Step]](self._options.concurrency)
        async with anyio.create_task_group() as workers:
            for _ in range(self._options.concurrency):
                workers.start_soon(self._worker, rows.clone(), outcomes)
            rows.close()
            async with feed:
                after = 0
                while waiting := await self._journal.read(partial(PlanFile.waiting, limit=_BATCH_ROWS, after=after)):
                    after = waiting[-1].row
                    for _, steps in groupby(waiting, key=lambda step: step.row):
                        if self._stopping.is_set():
                            return
                        await feed.send(tuple(steps))

    async def _worker(self, rows: ObjectReceiveStream[Sequence[Step]], outcomes: ObjectSendStream[PlannedRow]) -> None:
        async with rows:
            async for steps in rows:
                if self._stopping.is_set():
                    continue
                self.progress.under_way += 1
                try:
                    outcome = await self._carry_out(steps)
                finally:
                    self.progress.under_way -= 1
                # A row that waits is staged, and to be validated: it is told when that is done.
                if outcome is not None and outcome.outcome is not RowOutcome.WAITING:
                    await self._tell(outcome, outcomes)

    async def _carry_out(self, steps: Sequence[Step]) -> PlannedRow | None:
        """Make a row's requests in their order; the first that does not succeed ends it. None where the run was stopped before the end."""
        row: PlannedRow | None = None
        for step in steps:
            if self._stopping.is_set():
                return None
            row = await self._make(step)
            if row.outcome not in {RowOutcome.DONE, RowOutcome.WAITING}:
                break
        return row

    async def _make(self, step: Step) -> PlannedRow:
        """Make one request, again where reading back shows that it took no effect, and write down what came of it."""
        verdict = StepOutcome(state=StepState.WAITING)
        for _ in range(self._options.attempts):
            verdict = await self._attempt(step)
            if verdict.state is not StepState.WAITING or self._stopping.is_set():
                break
        if verdict.state is StepState.WAITING:
            verdict = msgspec.structs.replace(verdict, state=StepState.FAILED, transient=True)
        return await self._settle(step, verdict)

    async def _attempt(self, step: Step) -> StepOutcome:
        """Make one request once. A verdict of WAITING says that it surely took no effect, though its answer was lost."""
        await self._journal.write(lambda plan: plan.record_intent(step.row, step.position, time.time()))
        self.progress.requests += 1
        present = Departure()
        departure.set(present)
        try:
            answer = await self._write(step)
        except anyio.get_cancelled_exc_class():
            if not present.left:
                # It was still waiting for quota: nothing left, so there is nothing to settle.
                with anyio.CancelScope(shield=True):
                    await self._journal.write(lambda plan: plan.recall(step.row, step.position))
            raise
        except SpotifyAdsError as error:
            self._judge_network(error)
            return await self._read_back(step, error) if error.may_have_taken_effect else failure(error)
        self._without_network = 0
        verdict = success(step, writable_state(self._entity, answer))
        return verdict if self._staging is None else staged(verdict)

    async def _write(self, step: Step) -> msgspec.Struct:
        if self._staging is not None:
            return await self._staging.write(step)
        body = msgspec.convert(step.body, type=self._entity.update.body)
        return await self._ads.call(self._entity.update, path=self._path_of(step), body=body)

    def _path_of(self, step: Step) -> dict[str, str]:
        return {"ad_account_id": self.header.ad_account_id, self._entity.id_column: step.entity_id}

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

    async def _read_back(self, step: Step, error: SpotifyAdsError) -> StepOutcome:
        """Find out what came of a request whose answer was lost."""
        await anyio.sleep(self._options.settle_after)
        try:
            if self._staging is not None:
                return await self._staging.read_back(step, str(error))
            answer = await self._ads.call(self._entity.get, path=self._path_of(step))
        except NotFound as gone:
            return failure(gone)
        except SpotifyAdsError as problem:
            return StepOutcome(state=StepState.UNKNOWN, reason=f"{error}; reading back failed: {problem}", trace_id=error.trace_id or "")
        return judge(step, writable_state(self._entity, answer), str(error))

    async def _settle(self, step: Step, verdict: StepOutcome) -> PlannedRow:
        found: list[PlannedRow] = []

        def write(plan: PlanFile) -> None:
            plan.settle(step.row, step.position, verdict)
            found.append(plan.row_of(step.row))

        # An answer that came must not be forgotten because the run is ending.
        with anyio.CancelScope(shield=True):
            await self._journal.write(write)
        return found[-1]

    async def _tell(self, row: PlannedRow, outcomes: ObjectSendStream[PlannedRow]) -> None:
        match row.outcome:
            case RowOutcome.WAITING:
                pass  # staged, and held back from publishing: a later run ends it
            case RowOutcome.DONE | RowOutcome.STAGED:
                self.progress.done += 1
            case RowOutcome.FAILED:
                self.progress.failed += 1
                if self._options.max_failures is not None and self.progress.failed > self._options.max_failures:
                    self.stop(f"more than {self._options.max_failures} rows failed")
            case _:
                self.progress.unknown += 1
        if self._ads.listeners:
            self._ads.listeners.emit(RowApplied(entity=self._entity.name, entity_id=row.entity_id, fate=row.outcome.value))
        with contextlib.suppress(anyio.BrokenResourceError):
            await outcomes.send(row)

    async def _settle_lost(self, outcomes: ObjectSendStream[PlannedRow]) -> None:
        """Read back every request of an earlier run whose outcome is not known."""
        lost = await self._journal.read(PlanFile.lost)
        if not lost:
            return
        # The earlier run may have ended a moment ago, with requests still on their way.
        await anyio.sleep(self._options.settle_after)
        steps = {step.entity_id: step for step in lost}

        async def take(found: Sequence[Found]) -> None:
            for entity_id, answer in found:
                step = steps[entity_id]
                if answer is None:
                    verdict = StepOutcome(state=StepState.FAILED, reason=f"the {self._entity.name} is not there any more")
                else:
                    verdict = judge(step, writable_state(self._entity, answer), "the run ended before the answer came")
                row = await self._settle(step, verdict)
                if row.outcome is not RowOutcome.WAITING:
                    await self._tell(row, outcomes)

        try:
            await read_present(self._ads, self._entity, self.header.ad_account_id, list(steps), take)
        except SpotifyAdsError as problem:
            self.stop(f"what an earlier run left behind could not be read back: {problem}")


def check_plan(plan: PlanFile, base_url: str, *, resumes: bool) -> None:
    """Refuse a plan that cannot be carried out here, or not now.

    Raises:
        WrongPlan: it is unfinished, was made for another address, or has begun before and this is no resumption.
    """
    header = plan.header
    if not header.ready:
        raise WrongPlan("the plan is unfinished: planning was interrupted, so plan again")
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
