"""From a file of changes, or a selection, to a plan: what every row comes down to against the present state."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, starmap
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from spotify_ads_async.ad_products import AdProducts
from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.deciding import Decider, currency_in
from spotify_ads_async.bulk.plan.effects import Effect, Refusal
from spotify_ads_async.bulk.plan.expressions import Condition, Setting, list_query, new_values
from spotify_ads_async.bulk.plan.opening import ChangesReader, open_changes, remarks_on_hidden
from spotify_ads_async.bulk.plan.problems import BadChanges, LeftOut, Problem
from spotify_ads_async.bulk.plan.products import PlannedProducts
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.plan.tables import HiddenRows, NewRow, NewRowsFound, Reading
from spotify_ads_async.bulk.plan.totals import PlanTotals
from spotify_ads_async.bulk.present import PAGE_SIZE, Found, read_present
from spotify_ads_async.bulk.records import Decision, Header
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.bulk.store.planning_rows import Decided, ReadRow, Repeated
from spotify_ads_async.client import AdsClient
from spotify_ads_async.locks import taken_off_loop
from spotify_ads_async.operations import GET_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import Answer, source_of

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
        force: overwrite what somebody else changed since ``base``.
        products: the catalogue of ad products, where it is read already.
        left_out: rows to leave out.
    """

    path: Path
    name: str = ""
    reading: Reading = Reading()
    base: Path | None = None
    skip_bad_rows: bool = False
    present: Iterable[msgspec.Struct] = ()
    force: bool = False
    products: AdProducts | None = None
    left_out: LeftOut = msgspec.field(default_factory=LeftOut)

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
    with await taken_off_loop(lambda: PlanFile.create(path, header), PlanFile.discard) as plan:
        try:
            yield plan
            await taken_off_loop(plan.mark_ready)
        except BaseException:
            plan.discard()
            raise


async def plan_changes(
    ads: AdsClient, reader: ChangesReader, source: Source, header: Header, path: Path, *, alone: bool = True
) -> PlanTotals:
    """Make the plan at ``path`` from changes of one kind.

    Args:
        ads: the client.
        reader: gives the changes.
        source: where they come from.
        header: what the plan is about.
        path: the plan.
        alone: whether the file is nothing but these changes. If not, rows that are new are passed over, and what there
            is to say of hidden ones is said of the file.

    Returns:
        What the plan comes to.

    Raises:
        NewRowsFound: it is not; nothing was asked of the server.
        HiddenRowsFound: rows are hidden, and nobody said what to do with them.
        BadChanges: rows are refused, and ``skip_bad_rows`` was not asked for; or there are none; or the file as a whole
            cannot be read.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the present state cannot be read.
    """
    header = msgspec.structs.replace(header, entity=reader.entity.plural, source=source.shown)
    async with new_plan(path, header) as plan:
        products = PlannedProducts(ads, header.ad_account_id, reader.entity, source.products)
        planning = _Planning(plan, reader.entity, source, header.currency, products)
        await planning.read_rows(reader, alone=alone)
        if alone:
            hidden = remarks_on_hidden([reader], name=source.shown, hidden=source.reading.hidden)
            header = msgspec.structs.replace(header, remarks="\n".join([*header.remarks.splitlines(), *hidden]))
        planning.check(with_doubts=True)
        if source.base is not None:
            await planning.read_base(source.base)
        await planning.decide_all(ads, header.ad_account_id)
        planning.check()
        return await planning.conclude(header)


async def plan_selection(
    ads: AdsClient, selection: Selection, header: Header, path: Path, *, skip_bad_rows: bool = False
) -> PlanTotals:
    """Make the plan at ``path`` for every entity that satisfies all conditions.

    Returns:
        What the plan comes to.

    Raises:
        BadChanges: some of them cannot be changed so, and ``skip_bad_rows`` was not asked for; or there are none.
        FileExistsError: there is a file at ``path``.
        SpotifyAdsError: the list cannot be walked.
    """
    source = Source(path=path, name=header.source, skip_bad_rows=skip_bad_rows)
    query = {"limit": PAGE_SIZE, **list_query(selection.entity, selection.conditions)}
    call: ListCall[Any] = ListCall(
        ads, selection.entity.states, path={"ad_account_id": header.ad_account_id}, query=query
    )
    async with new_plan(path, header) as plan:
        products = PlannedProducts(ads, header.ad_account_id, selection.entity)
        products.columns.update(setting.column.name for setting in selection.settings)
        planning = _Planning(plan, selection.entity, source, header.currency, products)
        async with call.pages() as pages:
            async for page in pages:
                await planning.add_selected(selection, page.items)
        planning.check()
        return await planning.conclude(header)


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

    def __init__(
        self, plan: PlanFile, entity: Entity, source: Source, currency: str, products: PlannedProducts
    ) -> None:
        self._journal = Journal(plan)
        self._products = products
        self._entity = entity
        self._source = source
        self._decider = Decider(entity, currency, products, source.left_out, force=source.force)
        self._problems: list[Problem] = []
        self._problem_count = 0
        self._fatal = False
        self._rows = 0
        self._doubtful: list[Problem] = []
        self._place: Callable[[int, str], str] = _nowhere
        self._repeated = 0
        self._first_repeated = ""

    @property
    def remarks(self) -> list[str]:
        """What there is to say of the plan, apart from its rows."""
        rows = "1 row repeats others" if self._repeated == 1 else f"{self._repeated} rows repeat others"
        said = [f"{rows} word by word and count once, first {self._first_repeated}"] if self._repeated else []
        return said + self._decider.remarks

    def _add_problem(self, problem: Problem) -> None:
        self._problem_count += 1
        self._fatal |= problem.fatal
        if len(self._problems) < _BATCH:
            place = problem.place or self._place(problem.line, problem.column)
            self._problems.append(msgspec.structs.replace(problem, file=self._source.shown, place=place))

    def check(self, *, with_doubts: bool = False) -> None:
        """Stop here if nothing may be sent.

        ``with_doubts`` names the cells that cannot be read as well, as nothing is read for them.
        """
        if not self._rows:
            raise BadChanges(
                [Problem(file=self._source.shown, line=0, reason="there is nothing to change", fatal=True)]
            )
        if self._fatal or (self._problem_count and not self._source.skip_bad_rows):
            told = [*self._problems, *(self._doubtful if with_doubts else [])]
            count = self._problem_count + (len(self._doubtful) if with_doubts else 0)
            raise BadChanges(sorted(told, key=lambda problem: problem.line), count)

    async def conclude(self, header: Header) -> PlanTotals:
        """Write down what there is to say of the plan as a whole: its currency, and what was taken for granted."""
        remarks = "\n".join([*header.remarks.splitlines(), *self.remarks])
        known = msgspec.structs.replace(header, currency=self._decider.currency, remarks=remarks)
        await self._journal.write(lambda plan: plan.write_header(known))
        return self._decider.totals

    async def read_rows(self, reader: ChangesReader, *, alone: bool) -> None:
        """Put every row of the file into the plan; what is new is made by another part of the plan.

        Raises:
            NewRowsFound: something is new, though the file should hold changes alone.
        """
        self._place = reader.place

        left_out = self._source.left_out or None

        def take(plan: PlanFile, row: Change | NewRow | Problem) -> None:
            if isinstance(row, NewRow):
                if alone:
                    raise NewRowsFound
                return
            if left_out is not None and left_out.has(row.line, self._place(row.line, ""), row.entity_id):
                return
            self._rows += 1
            if isinstance(row, Change):
                self._products.columns.update(row.values, row.doubts)
                if row.doubts:
                    self._doubt(row)
                problem = plan.planning.add_change(row)
                if problem is None:
                    return
            else:
                problem = row
            if isinstance(problem, Repeated):
                self._repeated += 1
                self._first_repeated = (
                    self._first_repeated or f"line {problem.line}, which repeats line {problem.earlier}"
                )
            else:
                self._add_problem(problem)
                self._decider.totals.count(Decision.REFUSED)
                plan.planning.add_refused(problem)

        await self._take_all(iter(reader), take)

    def _doubt(self, row: Change) -> None:
        """Keep in mind what of a row cannot be read."""
        if len(self._doubtful) < _BATCH:
            column, doubt = next(iter(row.doubts.items()))
            file, place = self._source.shown, self._place(row.line, column)
            found = Problem(file=file, line=row.line, column=column, reason=doubt.reason, place=place)
            self._doubtful.append(msgspec.structs.replace(found, entity_id=row.entity_id))

    async def read_base(self, path: Path) -> None:
        """Put what an earlier export said beside the rows."""
        # Nobody edited it, so that nothing of it needs to be asked about.
        reading = Reading(clear=self._source.reading.clear, hidden=HiddenRows.INCLUDE)
        async with open_changes(path, name=str(path), reading=reading) as found:
            (reader, *_) = await anyio.to_thread.run_sync(partial(found.readers, currency=self._decider.currency))
            if reader.entity is not self._entity:
                reason = f"is about {reader.entity.plural}, not {self._entity.plural}"
                raise BadChanges([Problem(file=str(path), line=1, reason=reason, fatal=True)])
            blanks = dict.fromkeys(reader.names)

            def take(plan: PlanFile, row: Change | NewRow | Problem) -> None:
                if isinstance(row, Problem):
                    raise BadChanges([row])
                if isinstance(row, NewRow):
                    return
                # What was live and cannot be read by this version is no value to compare with.
                known = {name: value for name, value in {**blanks, **row.values}.items() if name not in row.doubts}
                plan.planning.add_base(row.entity_id, known)

            await self._take_all(iter(reader), take)

    async def _take_all(
        self, rows: Iterator[Change | NewRow | Problem], take: Callable[[PlanFile, Change | NewRow | Problem], None]
    ) -> None:
        """Hand every row to ``take``, in batches that are read and written off the event loop.

        Ctrl-C does not wait for a read.
        """

        def write(batch: Sequence[Change | NewRow | Problem], plan: PlanFile) -> None:
            with plan.transaction():
                for row in batch:
                    take(plan, row)

        def read() -> list[Change | NewRow | Problem]:
            return list(islice(rows, _BATCH))

        while batch := await anyio.to_thread.run_sync(read, abandon_on_cancel=True):
            await self._journal.read(partial(write, batch))

    async def decide_all(self, ads: AdsClient, ad_account_id: str) -> None:
        """Read the present state of every row's entity and write down what the row comes down to."""
        waiting: list[Found] = []

        def decide(found: Sequence[Found], plan: PlanFile) -> None:
            # One after the other, so that what each needs is still at hand.
            with plan.transaction():
                plan.planning.decide(starmap(self._decided, plan.planning.take(found)))

        async def take(found: Sequence[Found], least: int = _BATCH) -> None:
            waiting.extend(found)
            if len(waiting) >= least:
                batch, waiting[:] = list(waiting), []
                await self._products.learn([item for _, item in batch])
                await self._journal.read(partial(decide, batch))

        for known in batches(self._source.present):
            await take([(str(getattr(one, "id", "")), one) for one in known])
        await take((), least=1)
        wanted = await self._journal.read(lambda plan: plan.planning.unread_ids())
        await read_present(ads, self._entity, ad_account_id, wanted, take)
        await take((), least=1)

    def _decided(self, row: ReadRow, answer: msgspec.Struct | None) -> Decided:
        """What one row comes down to."""
        if answer is None:
            return self._told(self._decider.decide(row, None))
        source = source_of(answer) if isinstance(answer, Answer) else None
        text = state_of(answer) if source is None else source.decode()
        return self._told(self._decider.decide(row, text, known=source is not None))

    def _told(self, decided: Decided) -> Decided:
        """A row that was decided; where it is refused, that is a problem of the file, too."""
        if not isinstance(refusal := decided.effect, Effect):
            row, name, reason = decided.row, decided.name, refusal.reason
            problem = Problem(file="", line=row.line, column=refusal.column, reason=reason, entity_id=row.entity_id)
            self._add_problem(msgspec.structs.replace(problem, name=name))
        return decided

    async def add_selected(self, selection: Selection, items: Sequence[msgspec.Struct]) -> None:
        """Plan those of ``items`` that satisfy the conditions."""

        def add(plan: PlanFile) -> None:
            with plan.transaction():
                for text in map(state_of, items):
                    state: dict[str, Any] = msgspec.json.decode(text)
                    if all(condition.holds(state) for condition in selection.conditions):
                        self._rows += 1
                        plan.planning.decide([self._told(self._chosen(plan, selection, text, state))])

        await self._products.learn(items)
        await self._journal.read(add)

    def _chosen(self, plan: PlanFile, selection: Selection, text: str, state: dict[str, Any]) -> Decided:
        """What the settings come to for an entity that was selected."""
        entity_id, name = str(state["id"]), str(state.get("name") or "")
        values = new_values(selection.settings, state, self._decider.currency or currency_in(state))
        if isinstance(values, Refusal):
            row = plan.planning.number(Change(line=self._rows, entity_id=entity_id, values={}))
            return self._decider.refused(row, values, name)
        row = plan.planning.number(Change(line=self._rows, entity_id=entity_id, values=values))
        return self._decider.decide(row, text, state)
