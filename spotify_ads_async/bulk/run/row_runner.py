"""Rows, each looked at, written down before it leaves, compared with its answer, and written down after."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec

from spotify_ads_async.bulk.plan.effects import Refusal
from spotify_ads_async.bulk.plan.state import entity_shape, state_of
from spotify_ads_async.bulk.present import MISSING
from spotify_ads_async.bulk.records import Header, PlannedRow, RowOutcome, RowWork, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_writer import DraftWriter
from spotify_ads_async.bulk.run.live_writer import LiveWriter
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.outcomes import failure, renewed, unheard_of
from spotify_ads_async.bulk.run.writer import Writer
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import (
    AuthenticationError,
    ConnectionFailed,
    RequestRejected,
    SpotifyAdsError,
    StoreUnavailable,
    may_have_left,
)
from spotify_ads_async.json_values import names_within

__all__ = ["RowRunner"]

_NO_NETWORK = (ConnectionFailed, StoreUnavailable)
_REFUSED = 400


class Stoppable(Protocol):
    """A run, as its rows see it."""

    stopping: anyio.Event
    progress: Progress

    def stop(self, reason: str) -> None:
        """Let nothing new leave."""
        ...


class RowRunner:
    """Carries out rows, and settles what their writer finds out about them.

    Args:
        ads: makes the calls.
        journal: the plan.
        header: what it is about.
        options: how it is carried out.
        run: what is stopped where every other row would fare the same.

    Attributes:
        writer: makes the requests, live or as drafts.
    """

    def __init__(
        self,
        ads: AdsClient,
        journal: Journal[PlanFile],
        header: Header,
        options: Options,
        run: Stoppable,
    ) -> None:
        self._ads = ads
        self._journal = journal
        self._path = journal.path
        self._header = header
        self._entity = header.kind
        self._options = options
        self._run = run
        self.stopping = run.stopping
        self.stop = run.stop
        self._without_network = 0
        self._proven: set[tuple[str, ...]] = set()
        """The names in requests of which an answer has shown that the server changes what they say and nothing else."""
        writer = DraftWriter if header.drafts else LiveWriter
        self.writer: Writer = writer(ads, journal, header, options, self)

    def is_proven(self, work: RowWork) -> bool:
        """Whether answers have shown what the server makes of everything that a row's requests hold."""
        return all(name in self._proven for step in work.pending for name in names_within(step.body))

    async def carry_out(self, work: RowWork, text: str | None) -> PlannedRow | None:
        """Look at a row, and make its requests in their order. None where the run was stopped before the end."""
        if text is None:
            text = await self._read(work)
            if text is None:
                return None
        looked = await self._looked_at(work, text)
        if isinstance(looked, PlannedRow):
            return looked
        work, row = looked, None
        while work.pending:
            if self.stopping.is_set():
                return None
            work, row = await self._make(work, work.pending[0])
            if row.outcome not in {RowOutcome.DONE, RowOutcome.WAITING}:
                break
        return row

    async def _read(self, work: RowWork) -> str | None:
        """The entity's JSON; nothing for one that is gone, None where it cannot be read, which stops the run."""
        path = {"ad_account_id": self._header.ad_account_id, self._entity.id_column: work.entity_id}
        try:
            return state_of(await self._ads.call(self._entity.get, path=path))
        except SpotifyAdsError as problem:
            if _is_missing(problem):
                return ""
            self.stop_unread(problem)
            return None

    def stop_unread(self, problem: SpotifyAdsError) -> None:
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

        def renew(plan: PlanFile) -> None:
            plan.rebuild(looked)
            plan.drafts.fill(work.number, filled=False)  # it was filled on top of something else

        await self._journal.write(renew)
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

    async def _make(self, work: RowWork, step: Step) -> tuple[RowWork, PlannedRow]:
        """Make one request, again where reading back shows that it took no effect, and write down what came of it."""
        outcome = StepOutcome(state=StepState.WAITING)
        for attempt in range(self._options.attempts):
            if attempt and outcome.text:
                # What was read back may be something else than what was looked at before.
                looked = await self._looked_at(work, outcome.text)
                if isinstance(looked, PlannedRow):
                    return msgspec.structs.replace(work, steps=()), looked
                work, step = looked, next(one for one in looked.steps if one.position == step.position)
                if step.state is not StepState.WAITING:  # somebody else made the same change meanwhile
                    return work, await self._written(work.number, lambda _: None)
            outcome = await self._attempt(work, step)
            if outcome.state is not StepState.WAITING or self.stopping.is_set():
                break
        if outcome.state is StepState.WAITING:
            outcome = msgspec.structs.replace(outcome, state=StepState.FAILED, transient=True)
        row = await self.settle(step, outcome)
        self.surprised(work, outcome)
        as_said = outcome.state in {StepState.DONE, StepState.STAGED} and not outcome.surprises
        if as_said or self._options.keep_going:
            self._proven.update(names_within(step.body))
        made = msgspec.structs.replace(step, state=outcome.state)
        steps = tuple(made if one.position == step.position else one for one in work.steps)
        text = outcome.text if outcome.text and not self._header.drafts else work.text
        return msgspec.structs.replace(work, text=text, steps=steps), row

    def surprised(self, work: RowWork, outcome: StepOutcome) -> None:
        """End the run where an answer shows that more changed than was said, unless it is told to keep going."""
        if outcome.surprises and not self._options.keep_going:
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
            self._run.progress.requests += 1
            outcome = await self.writer.write(work, step)
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
            return await self.writer.read_back(work, step, str(error))
        except SpotifyAdsError as problem:
            if _is_missing(problem) and not self._header.drafts:  # of drafts a list was read, which is there
                return failure(problem)
            return StepOutcome(
                state=StepState.UNKNOWN,
                reason=f"{error}; reading back failed: {problem}",
                trace_id=error.trace_id or "",
            )


def _is_missing(problem: SpotifyAdsError) -> bool:
    return isinstance(problem, RequestRejected) and problem.status in MISSING
