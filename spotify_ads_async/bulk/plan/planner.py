"""From a file of changes, or a selection, to a plan: what every row comes down to against the present state."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.columns import Cell, Kind
from spotify_ads_async.bulk.plan.effects import Refusal, State, effect, leaf, merge, writable_state
from spotify_ads_async.bulk.plan.expressions import Condition, Setting, list_query, new_values
from spotify_ads_async.bulk.plan.opening import ChangesReader, open_changes
from spotify_ads_async.bulk.plan.sources import BadChanges, Change, Problem
from spotify_ads_async.bulk.plan.tables import HiddenRows, NewRow, Reading
from spotify_ads_async.bulk.present import PAGE_SIZE, Found, read_present
from spotify_ads_async.bulk.records import Header, PlannedRow
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile, Repeated
from spotify_ads_async.client import AdsClient
from spotify_ads_async.operations import GET_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.spreadsheets import trimmed

__all__ = ["Selection", "Source", "currency_of", "new_plan", "plan_changes", "plan_selection"]

_BATCH = 1000


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where changes come from and how they are read.

    Attributes:
        path: the file.
        name: what to call it in problems; by default its path.
        reading: how it is read.
        base: an earlier export of the same entities: what somebody else changed since is a conflict.
        skip_bad_rows: plan the good rows though others are refused.
        present: entities that were read a moment ago, which spares reading them again.
    """

    path: Path
    name: str = ""
    reading: Reading = Reading()
    base: Path | None = None
    skip_bad_rows: bool = False
    present: Iterable[msgspec.Struct] = ()

    @property
    def shown(self) -> str:
        """The name for people."""
        return self.name or str(self.path)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed, and how."""

    entity: Entity
    conditions: Sequence[Condition]
    settings: Sequence[Setting]


async def currency_of(ads: AdsClient, ad_account_id: str) -> str:
    """The account's currency; nothing where it has none yet."""
    account = await ads.call(GET_AD_ACCOUNT, path={"ad_account_id": ad_account_id})
    return (account.currency_code or "").upper()


@contextlib.asynccontextmanager
async def new_plan(path: Path, header: Header) -> AsyncGenerator[PlanFile]:
    """Make a plan file; it goes away again unless it becomes ready."""
    plan = await anyio.to_thread.run_sync(PlanFile.create, path, header)
    ready = False
    try:
        yield plan
        await anyio.to_thread.run_sync(plan.mark_ready)
        ready = True
    finally:
        plan.close()
        if not ready:
            await anyio.Path(path).unlink(missing_ok=True)


async def plan_changes(ads: AdsClient, reader: ChangesReader, source: Source, header: Header, path: Path) -> None:
    """Make the plan at ``path`` from changes of one kind.

    Raises:
        BadChanges: rows are refused, and ``skip_bad_rows`` was not asked for; or the file as a whole cannot be read.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the present state cannot be read.
    """
    header = msgspec.structs.replace(header, entity=reader.entity.plural, source=source.shown)
    async with new_plan(path, header) as plan:
        planning = _Planning(plan, reader.entity, source, None, header.currency)
        await planning.read_rows(reader)
        planning.check()
        if source.base is not None:
            await planning.read_base(source.base)
        await planning.decide_all(ads, header.ad_account_id)
        planning.check()
        plan.write_header(msgspec.structs.replace(header, remarks="\n".join([*header.remarks.splitlines(), *planning.remarks])))


async def plan_selection(ads: AdsClient, selection: Selection, header: Header, path: Path, *, skip_bad_rows: bool = False) -> None:
    """Make the plan at ``path`` for every entity that satisfies all conditions.

    Raises:
        BadChanges: some of them cannot be changed so, and ``skip_bad_rows`` was not asked for.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the list cannot be walked.
    """
    source = Source(path=path, name=header.source, skip_bad_rows=skip_bad_rows)
    query = {"limit": PAGE_SIZE, **list_query(selection.entity, selection.conditions)}
    call: ListCall[Any] = ListCall(ads, selection.entity.list, path={"ad_account_id": header.ad_account_id}, query=query)
    if any(setting.column.kind in {Kind.AMOUNT, Kind.MONEY} for setting in selection.settings):
        header = msgspec.structs.replace(header, currency=await currency_of(ads, header.ad_account_id))
    async with new_plan(path, header) as plan:
        planning = _Planning(plan, selection.entity, source, None, header.currency)
        async with call.pages() as pages:
            async for page in pages:
                await planning.add_selected(selection, page.items)
        planning.check()


def batches(items: Iterable[msgspec.Struct]) -> Iterator[list[msgspec.Struct]]:
    """``items`` in lists of a bounded length."""
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _nowhere(line: int, column: str) -> str:
    del line, column
    return ""


class _Planning:
    """One plan in the making."""

    def __init__(self, plan: PlanFile, entity: Entity, source: Source, now: datetime | None, currency: str = "") -> None:
        self._currency = currency
        self._journal = Journal(plan)
        self._entity = entity
        self._source = source
        self._now = now or datetime.now(UTC)
        self._problems: list[Problem] = []
        self._problem_count = 0
        self._fatal = False
        self._selected = 0
        self._place: Callable[[int, str], str] = _nowhere
        self._repeated = 0
        self._first_repeated = ""

    @property
    def remarks(self) -> list[str]:
        """What there is to say of the file, apart from its rows."""
        rows = "1 row" if self._repeated == 1 else f"{self._repeated} rows"
        return [f"{rows} repeat others word by word and count once, first {self._first_repeated}"] if self._repeated else []

    def _add_problem(self, problem: Problem) -> None:
        self._problem_count += 1
        self._fatal |= problem.fatal
        if len(self._problems) < _BATCH:
            place = problem.place or self._place(problem.line, problem.column)
            self._problems.append(msgspec.structs.replace(problem, file=self._source.shown, place=place))

    def check(self) -> None:
        """Stop here if nothing may be sent."""
        if self._fatal or (self._problem_count and not self._source.skip_bad_rows):
            raise BadChanges(sorted(self._problems, key=lambda problem: problem.line), self._problem_count)

    async def read_rows(self, reader: ChangesReader) -> None:
        """Put every row of the file into the plan."""
        self._place = reader.place

        def take(plan: PlanFile, row: Change | NewRow | Problem) -> None:
            if isinstance(row, NewRow):
                return  # something new, which another part of the plan makes
            if isinstance(row, Change) and row.doubts:
                column, doubt = next(iter(row.doubts.items()))
                row = Problem(file="", line=row.line, column=column, reason=doubt.reason, entity_id=row.entity_id)
            problem = row if isinstance(row, Problem) else plan.add_change(row)
            if isinstance(problem, Repeated):
                self._repeated += 1
                self._first_repeated = self._first_repeated or f"line {problem.line}, which repeats line {problem.earlier}"
            elif problem is not None:
                self._add_problem(problem)
                plan.add_refused(problem)

        await self._take_all(iter(reader), take)

    async def read_base(self, path: Path) -> None:
        """Put what an earlier export said beside the rows."""
        # Nobody edited it, so that nothing of it needs to be asked about.
        reading = Reading(clear=self._source.reading.clear, hidden=HiddenRows.INCLUDE)
        async with open_changes(path, name=str(path), reading=reading) as found:
            (reader, *_) = await anyio.to_thread.run_sync(partial(found.readers, currency=self._currency))
            if reader.entity is not self._entity:
                reason = f"is about {reader.entity.plural}, not {self._entity.plural}"
                raise BadChanges([Problem(file=str(path), line=1, reason=reason, fatal=True)])
            blanks = dict.fromkeys(reader.names)

            def take(plan: PlanFile, row: Change | NewRow | Problem) -> None:
                if isinstance(row, Problem):
                    raise BadChanges([row])
                if isinstance(row, NewRow):
                    return
                plan.add_base(row.entity_id, {**blanks, **row.values})

            await self._take_all(iter(reader), take)

    async def _take_all(
        self, rows: Iterator[Change | NewRow | Problem], take: Callable[[PlanFile, Change | NewRow | Problem], None]
    ) -> None:
        """Hand every row to ``take``, in batches that are read and written off the event loop."""

        def batch(plan: PlanFile) -> int:
            taken = 0
            with plan.transaction():
                for row in islice(rows, _BATCH):
                    take(plan, row)
                    taken += 1
            return taken

        while await self._journal.read(batch):
            pass

    async def decide_all(self, ads: AdsClient, ad_account_id: str) -> None:
        """Read the present state of every row's entity and write down what the row comes down to."""

        def decide(found: Sequence[Found], plan: PlanFile) -> None:
            answers = dict(found)
            with plan.transaction():
                for row in plan.unread_of(list(answers)):
                    self._decide(plan, row, answers[row.entity_id])

        async def take(found: Sequence[Found]) -> None:
            await self._journal.read(partial(decide, found))

        for known in batches(self._source.present):
            await take([(str(getattr(one, "id", "")), one) for one in known])
        wanted = await self._journal.read(PlanFile.unread_ids)
        await read_present(ads, self._entity, ad_account_id, wanted, take)

    def _decide(self, plan: PlanFile, row: PlannedRow, answer: msgspec.Struct | None) -> None:
        """Decide one row."""
        outcome = self._outcome(plan, row, answer)
        if outcome is not None:
            plan.refuse(row.number, outcome.reason, outcome.column)
            self._add_problem(Problem(file="", line=row.line, column=outcome.column, reason=outcome.reason, entity_id=row.entity_id))

    def _outcome(self, plan: PlanFile, row: PlannedRow, answer: msgspec.Struct | None) -> Refusal | None:
        if answer is None:
            reason = f"there is no {self._entity.name} {row.entity_id} in this ad account, or you cannot see it"
            return Refusal(column=self._entity.id_column, reason=reason)
        state = writable_state(self._entity, answer)
        merged = merge(self._entity, row.base, state, row.change)
        for column, reason in merged.conflicts.items():
            return Refusal(column=column, reason=f"conflict: {reason}")
        values = {name: self._as_it_is(state, name, value) for name, value in merged.values.items()}
        outcome = effect(self._entity, state, values, now=self._now, currency=self._currency)
        if isinstance(outcome, Refusal):
            return outcome
        plan.decide(row.number, outcome, elsewhere={field: value for field, value in state.items() if field not in outcome.after})
        return None

    def _as_it_is(self, state: State, name: str, value: Cell) -> Cell:
        """A value, or the live one that differs from it by nothing but white space at its ends, which cells are read without."""
        live = leaf(state, self._entity.columns[name].path) if isinstance(value, str) else None
        return live if isinstance(live, str) and trimmed(live) == value else value

    async def add_selected(self, selection: Selection, items: Sequence[msgspec.Struct]) -> None:
        """Plan those of ``items`` that satisfy the conditions."""

        def add(plan: PlanFile) -> None:
            with plan.transaction():
                for item in items:
                    answer = msgspec.to_builtins(item)
                    if all(condition.holds(answer) for condition in selection.conditions):
                        self._selected += 1
                        self._add_item(plan, selection, item, str(answer["id"]))

        await self._journal.read(add)

    def _add_item(self, plan: PlanFile, selection: Selection, item: msgspec.Struct, entity_id: str) -> None:
        values = new_values(selection.settings, writable_state(self._entity, item), self._currency)
        if isinstance(values, Refusal):
            problem = Problem(file="", line=self._selected, column=values.column, reason=values.reason, entity_id=entity_id)
            plan.add_refused(problem)
            self._add_problem(problem)
            return
        plan.add_change(Change(line=self._selected, entity_id=entity_id, values=values))
        for row in plan.unread_of([entity_id]):
            self._decide(plan, row, item)
