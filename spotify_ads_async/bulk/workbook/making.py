"""Making what is new: media are uploaded and drafts are made, each as soon as what it needs is there.

Drafts of ads are made while their media are still processed. A server that refuses them so is asked again when they are
ready. A file that turns out to be of no use makes the ads that name it invalid.

Every create has an idempotency key that the plan keeps, so that a run that was killed makes nothing twice: the next one
asks again with the same key. Where the server does not know itself what became of a create, its draft is looked for by
its name, which nothing else in its parent has. Children of what could not be made are not tried.
"""

from __future__ import annotations

import functools
import math
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from spotify_ads_async.bulk.run.draft_kinds import drafts_within
from spotify_ads_async.bulk.store.draft_tables import CampaignState
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS
from spotify_ads_async.bulk.workbook.media import MediaUploads
from spotify_ads_async.bulk.workbook.records import NewItem, NewState
from spotify_ads_async.bulk.workbook.work import Work
from spotify_ads_async.errors import ConnectionFailed, OutcomeUnknown, RequestRejected, SpotifyAdsError

__all__ = ["Making"]

_Kind: TypeAlias = Literal["item", "media", "ready media"]


class Making:
    """One pass over everything that waits to be made."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._open = {number for number, one in work.items.items() if one.state is NewState.WAITING}
        self._dependents: defaultdict[tuple[_Kind, int], list[int]] = defaultdict(list)
        self._needs: dict[int, int] = {}
        self._ready, self._jobs = anyio.create_memory_object_stream[int](math.inf)
        self._uploads = MediaUploads(
            work,
            arrived=functools.partial(self._fulfil, "media"),
            ready=functools.partial(self._fulfil, "ready media"),
            failed=self._without_media,
        )

    async def run(self) -> None:
        """Make everything, or as much as can be made until the run is to stop."""
        work = self._work
        wanted = {number for one in self._open for number in work.items[one].media.values()}
        # Drafts that an earlier run made may name files that were not ready when it ended.
        wanted |= {
            number
            for one in work.items.values()
            if one.state is NewState.MADE and work.campaigns[one.campaign].state is CampaignState.OPEN
            for number in one.media.values()
            if work.media[number].asset_id
        }
        with self._ready, self._jobs:
            for number in sorted(self._open):
                self._enqueue(work.items[number])
            async with anyio.create_task_group() as watch:
                watch.start_soon(self._end_when_stopping)
                async with anyio.create_task_group() as tasks:
                    for _ in range(min(work.options.concurrency, len(self._open))):
                        tasks.start_soon(self._make_ready, self._jobs.clone())
                    await self._uploads.run([work.media[number] for number in sorted(wanted)])
                watch.cancel_scope.cancel()

    async def _end_when_stopping(self) -> None:
        await self._work.stopping.wait()
        self._ready.close()

    # ---- what waits for what

    def _enqueue(self, item: NewItem) -> None:
        needs: list[tuple[_Kind, int]] = [("media", number) for number in set(item.media.values())]
        if item.parent in self._open:
            needs.append(("item", item.parent))
        self._wait_for(item, needs)

    def _wait_for(self, item: NewItem, needs: Sequence[tuple[_Kind, int]]) -> None:
        self._needs[item.number] = len(needs)
        for need in needs:
            self._dependents[need].append(item.number)
        if not needs:
            self._ready.send_nowait(item.number)

    def _fulfil(self, kind: _Kind, number: int) -> None:
        """Something is there: what waited for nothing else is made next."""
        for dependent in self._dependents.pop((kind, number), ()):
            self._needs[dependent] -= 1
            if not self._needs[dependent] and dependent in self._open and not self._work.stopping.is_set():
                self._ready.send_nowait(dependent)

    def _end(self, number: int) -> None:
        self._open.discard(number)
        if not self._open:
            self._ready.close()

    async def _without_media(self, number: int, reason: str, advice: str) -> None:
        for item in list(self._work.items.values()):
            field = next((field for field, one in item.media.items() if one == number), "")
            if not field:
                continue
            if item.number in self._open:
                await self._give_up(item, reason, field)
            elif item.state is NewState.MADE:
                await self._work.settle([item], NewState.INVALID, f"{reason}; {advice}", field=field)

    async def _give_up(self, item: NewItem, reason: str, field: str = "") -> None:
        """Say why something cannot be made; what is in it is not tried."""
        lost = [msgspec.structs.replace(item, state=NewState.FAILED, reason=reason, field=field)]
        for parent in lost:
            self._end(parent.number)
            lost.extend(
                msgspec.structs.replace(
                    self._work.items[number],
                    state=NewState.NOT_TRIED,
                    reason=f"{parent.name} ({parent.place}) could not be made",
                )
                for number in self._dependents.pop(("item", parent.number), ())
                if number in self._open
            )
        await self._work.record(lost)

    # ---- drafts

    async def _make_ready(self, jobs: MemoryObjectReceiveStream[int]) -> None:
        with jobs:
            async for number in jobs:
                if not self._work.stopping.is_set():
                    await self._make(self._work.items[number])

    async def _make(self, item: NewItem) -> None:
        work, kind = self._work, NEW_KINDS[item.plural]
        processing = self._uploads.processing & {*item.media.values()}
        try:
            made = await self._create(item)
        except msgspec.ValidationError as problem:
            await self._give_up(item, str(problem))
            return
        except SpotifyAdsError as problem:
            if isinstance(problem, RequestRejected) and processing:
                still = processing & self._uploads.processing
                self._wait_for(item, [("ready media", number) for number in still])
                return
            work.stop_if_refused(problem)
            doubt = (
                ": whether it was made is not known, and resuming settles it" if problem.may_have_taken_effect else ""
            )
            await self._give_up(work.items[item.number], f"{problem}{doubt}")
            return
        draft_id = str(made.id)
        campaign = work.campaigns[item.campaign] if not kind.parent else None
        # Whether one of its media turned out to be of no use meanwhile.
        state = NewState.MADE if item.number in self._open else NewState.INVALID
        await work.record(
            [msgspec.structs.replace(work.items[item.number], state=state, draft_id=draft_id, made=kind.written(made))],
            None if campaign is None else msgspec.structs.replace(campaign, draft_id=draft_id),
            tells=False,
        )
        self._fulfil("item", item.number)
        self._end(item.number)

    async def _create(self, item: NewItem) -> Any:  # noqa: ANN401 - of any kind
        """The draft of a new thing."""
        work, create = self._work, NEW_KINDS[item.plural].draft.create
        body = self._body(item)
        request = msgspec.convert(body, type=create.body)
        for left in reversed(range(work.options.attempts)):
            work.progress.requests += 1
            try:
                return await work.ads.call(
                    create,
                    path=work.account,
                    body=request,
                    idempotency_key=work.items[item.number].key,
                    verify=functools.partial(self._made, item, body),
                )
            except ConnectionFailed as lost:
                if not isinstance(lost.__cause__, OutcomeUnknown):
                    raise
                # It is not there, and the server refuses its key for good.
                renewed = msgspec.structs.replace(work.items[item.number], key=str(uuid.uuid4()))
                await work.record([renewed], tells=False)
                if not left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _made(self, item: NewItem, body: dict[str, Any]) -> Any | None:  # noqa: ANN401 - of any kind
        """The draft that a create made of which the server knows nothing, if it made any."""
        work, kind = self._work, NEW_KINDS[item.plural]
        await anyio.sleep(work.options.settle_after)
        parent = [body[kind.parent_field]] if kind.parent else None
        drafts = await drafts_within(work.ads, work.header.ad_account_id, kind.draft, parent)
        known = {one.draft_id for one in work.items.values()}
        return next((one for one in drafts if one.name == item.name and one.id not in known), None)

    def _body(self, item: NewItem) -> dict[str, Any]:
        """What makes a draft, with the ids of what it is in and of its media."""
        kind = NEW_KINDS[item.plural]
        body = {**item.body}
        if kind.parent:
            body[kind.parent_field] = item.parent_id if item.parent is None else self._work.items[item.parent].draft_id
        for field, number in item.media.items():
            holder = body
            *path, last = field.split(".")
            for part in path:
                holder[part] = holder = {**holder.get(part, {})}
            holder[last] = self._work.media[number].asset_id
        return body
