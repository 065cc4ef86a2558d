"""Carrying out the plan of a workbook.

Media are uploaded, drafts made and validated, and published where that is asked for.
Every create has an idempotency key that the plan keeps, so that a run that was killed makes nothing twice: the next one
asks again with the same key. Children of what could not be made are not tried.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import ObjectSendStream

from spotify_ads_async.bulk.entities import ADS
from spotify_ads_async.bulk.present import some_at_once
from spotify_ads_async.bulk.records import PlannedRow, RowOutcome, WrongPlan
from spotify_ads_async.bulk.run.options import Options, Progress
from spotify_ads_async.bulk.run.runner import Run
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS
from spotify_ads_async.bulk.workbook.store import CampaignState, Draft, MediaItem, NewItem, NewState, WorkbookPlan
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import first_cause
from spotify_ads_async.errors import AuthenticationError, InvalidRequest, SpotifyAdsError
from spotify_ads_async.models import DraftValidationError
from spotify_ads_async.operations import GET_ASSETS_BY_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall

__all__ = ["WorkbookRun", "remove"]

_PAGE = 50
_UPLOADS_AT_ONCE = 12
_FIELD = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")

T = TypeVar("T")


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
        WrongPlan: the plan is unfinished, was made for another address, or has begun before.
    """

    def __init__(self, ads: AdsClient, path: Path, options: Options, *, resumes: bool) -> None:
        self._ads = ads
        self._path = path
        self._options = options
        self._resumes = resumes
        self._stopping = anyio.Event()
        self._part: Run | None = None
        self._lock = anyio.Lock()
        self.progress = Progress()
        """Where the run stands, changed in place."""

    async def __aenter__(self) -> Self:
        self._plan = await anyio.to_thread.run_sync(WorkbookPlan.open, self._path)
        try:
            self.header = self._plan.header
            self._check()
            self._account = {"ad_account_id": self.header.ad_account_id}
            self._trees = self._ads.ad_account(self.header.ad_account_id).trees
            self._began_before = self._plan.begun()
            self._parts = self._plan.parts()
            await self._write(self._plan.requeue)
            self.progress.total = len(await self._write(self._plan.items))
            sender, self._outcomes = anyio.create_memory_object_stream[NewItem | PlannedRow](self._options.concurrency)
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            self._plan.close()
            raise
        self._tasks.start_soon(self._work, sender)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
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
            self._plan.close()

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
        if not self.header.ready:
            raise WrongPlan("the plan is unfinished: planning was interrupted, so plan again")
        if self.header.base_url != self._ads.base_url:
            raise WrongPlan(f"the plan was made for {self.header.base_url}, and calls would go to {self._ads.base_url}")
        if not self._resumes and self._plan.begun():
            raise WrongPlan("the plan has begun before: resume it")

    async def _write(self, work: Callable[[], T]) -> T:
        """Use the plan in a thread.

        Nobody else does meanwhile, and what has happened is written though the run is ending.
        """
        found: list[T] = []
        with anyio.CancelScope(shield=True):
            async with self._lock:
                found.append(await anyio.to_thread.run_sync(work))
        return found[0]

    async def _work(self, outcomes: ObjectSendStream[NewItem | PlannedRow]) -> None:
        async with outcomes:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._end_in_time, scope)
                    await self._make_everything(outcomes)
                    await self._change_everything(outcomes)
                    tasks.cancel_scope.cancel()
            self._done = not self._stopping.is_set()

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._options.grace)
        scope.cancel()

    # ---- changes

    async def _change_everything(self, outcomes: ObjectSendStream[NewItem | PlannedRow]) -> None:
        """Carry out the plans of changes, one kind after the other."""
        for _, path in self._parts:
            if self._stopping.is_set():
                return
            self._part = part = Run(self._ads, path, self._options, resumes=self._resumes)
            async with part:
                base = msgspec.structs.replace(self.progress)
                self.progress.total = base.total + part.progress.total
                async for row in part:
                    for name in ("done", "failed", "unknown", "requests"):
                        setattr(self.progress, name, getattr(base, name) + getattr(part.progress, name))
                    await outcomes.send(row)
            if part.progress.stopped:
                self.stop(part.progress.stopped)
            self._part = None

    # ---- what is new

    async def _make_everything(self, outcomes: ObjectSendStream[NewItem | PlannedRow]) -> None:
        self._send = outcomes.send
        if not await self._write(self._plan.items):
            return
        await self._settle_publishing()
        await self._refuse_occupied()
        # Files take their time to be processed, and only ads need them.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._upload_everything)
            for plural in NEW_KINDS:
                if plural != ADS.plural and not self._stopping.is_set():
                    await self._make_kind(plural)
        if not self._stopping.is_set():
            await self._make_kind(ADS.plural)
        if not self._stopping.is_set():
            await self._validate_everything()
        if self._options.publish and not self._stopping.is_set():
            await self._publish_everything()

    async def _tell(self, number: int) -> None:
        item = await self._write(lambda: self._plan.item(number))
        if item.outcome in {RowOutcome.FAILED, RowOutcome.REFUSED}:
            self.progress.failed += 1
        else:
            self.progress.done += 1
        await self._send(item)

    async def _settle(self, item: NewItem, state: NewState, *, tells: bool = True, **facts: str) -> None:
        draft_id, reason, field = facts.get("draft_id"), facts.get("reason", ""), facts.get("field", "")
        await self._write(lambda: self._plan.settle(item.number, state, draft_id=draft_id, reason=reason, field=field))
        if tells:
            await self._tell(item.number)

    async def _refuse_occupied(self) -> None:
        """What is new in a live campaign goes into a draft of it.

        One that somebody else made would be published too.
        """
        campaigns = [one for one in await self._write(self._plan.campaigns) if not one.is_new and not one.draft_id]
        for start in range(0, len(campaigns), _PAGE):
            chunk = campaigns[start : start + _PAGE]
            kind = NEW_KINDS["campaigns"]
            query = {"limit": _PAGE, "campaign_ids": [one.id for one in chunk]}
            call: ListCall[Any] = ListCall(self._ads, kind.drafts, path=self._account, query=query)
            occupied = {str(one.id) async for one in call}
            for campaign in chunk:
                if campaign.id in occupied:
                    reason = (
                        f"campaign {campaign.id} has a draft already, which would be published too: publish or delete"
                        " it first"
                    )
                    for item in await self._items_of(campaign):
                        await self._settle(item, NewState.FAILED, reason=reason)
                else:
                    await self._write(
                        lambda one=campaign: self._plan.conclude(one.id, CampaignState.OPEN, draft_id=one.id)
                    )

    async def _items_of(self, campaign: Draft) -> list[NewItem]:
        return await self._write(lambda: self._plan.items(campaign=campaign.id))

    # ---- media

    async def _upload_everything(self) -> None:
        waiting = [one for one in await self._write(self._plan.media) if not one.asset_id]
        if self._began_before and waiting:
            waiting = await self._without_uploaded(waiting)
        limit = anyio.Semaphore(_UPLOADS_AT_ONCE)

        async def upload(item: MediaItem) -> None:
            async with limit:
                if not self._stopping.is_set():
                    await self._upload(item)

        await some_at_once(upload, waiting)

    def _asset_name(self, item: MediaItem) -> str:
        """The name of an asset: the file's, and a mark of this plan by which a later run knows it again."""
        mark = self.header.created_at.translate({ord(one): None for one in "-:TZ"})[-10:]
        return f"{Path(item.path).stem[:100]} {item.sha256[:6]}{mark}"

    async def _without_uploaded(self, items: Sequence[MediaItem]) -> list[MediaItem]:
        """Those of some files that no earlier run of this plan has uploaded."""
        wanted = {self._asset_name(one): one for one in items}
        call: ListCall[Any] = ListCall(self._ads, GET_ASSETS_BY_AD_ACCOUNT, path=self._account, query={"limit": _PAGE})
        async for asset in call:
            found = wanted.get(asset.name or "")
            if found is not None and asset.status == "READY":
                del wanted[asset.name]
                await self._write(
                    lambda number=found.number, asset_id=str(asset.id): self._plan.uploaded(number, asset_id)
                )
        return list(wanted.values())

    async def _upload(self, item: MediaItem) -> None:
        from spotify_ads_async.uploads.files import inspect  # noqa: PLC0415 - most plans upload nothing

        path = Path(item.path)
        try:
            found = await anyio.to_thread.run_sync(inspect, path, None)
            if found.sha256 != item.sha256:
                reason = f"{path.name} is not the file that was planned: it changed since; plan again"
                raise InvalidRequest(reason, operation="uploadAsset")
            journal = self._path.with_name(f"{self._path.name}.{item.number}.upload")
            assets = self._ads.ad_account(self.header.ad_account_id).assets
            done = await assets.upload(path, name=self._asset_name(item), asset_type=found.asset_type, journal=journal)
        except (SpotifyAdsError, OSError) as problem:
            reason = f"{path.name} could not be uploaded: {problem}"
            for one in await self._write(self._plan.items):
                if item.number in one.media.values():
                    field = next(field for field, number in one.media.items() if number == item.number)
                    await self._settle(one, NewState.FAILED, reason=reason, field=field)
            return
        await self._write(lambda: self._plan.uploaded(item.number, done.id))

    # ---- drafts

    async def _make_kind(self, plural: str) -> None:
        items = {one.number: one for one in await self._write(self._plan.items)}
        assets = {one.number: one.asset_id for one in await self._write(self._plan.media)}
        waiting: list[NewItem] = []
        for item in items.values():
            if item.plural != plural or item.state is not NewState.WAITING:
                continue
            parent = items.get(item.parent) if item.parent is not None else None
            if parent is not None and not parent.draft_id:
                await self._settle(item, NewState.NOT_TRIED, reason=f"{parent.name} ({parent.place}) could not be made")
            else:
                waiting.append(item)

        async def make(item: NewItem) -> None:
            if not self._stopping.is_set():
                parent = items.get(item.parent) if item.parent is not None else None
                await self._make(item, parent.draft_id if parent is not None else item.parent_id, assets)

        await some_at_once(make, waiting)

    async def _make(self, item: NewItem, parent_id: str, assets: dict[int, str]) -> None:
        kind = NEW_KINDS[item.plural]
        body = {**item.body}
        if kind.parent:
            body[kind.parent_field] = parent_id
        for field, number in item.media.items():
            holder = body
            *path, last = field.split(".")
            for part in path:
                holder[part] = holder = {**holder.get(part, {})}
            holder[last] = assets[number]
        self.progress.requests += 1
        try:
            request = msgspec.convert(body, type=kind.draft.body)
            made = await self._ads.call(kind.draft, path=self._account, body=request, idempotency_key=item.key)
        except msgspec.ValidationError as problem:
            await self._settle(item, NewState.FAILED, reason=str(problem))
            return
        except SpotifyAdsError as problem:
            if isinstance(problem, AuthenticationError):
                self.stop(f"the credentials were refused: {problem}")
            again = (
                ": whether it was made is not known, and resuming settles it" if problem.may_have_taken_effect else ""
            )
            await self._settle(item, NewState.FAILED, reason=f"{problem}{again}")
            return
        await self._settle(item, NewState.MADE, draft_id=str(made.id), tells=False)
        if not kind.parent:
            await self._write(lambda: self._plan.conclude(item.campaign, CampaignState.OPEN, draft_id=str(made.id)))

    # ---- validating and publishing

    async def _validate_everything(self) -> None:
        async def validate(campaign: Draft) -> None:
            items = await self._items_of(campaign)
            if all(one.state is NewState.MADE for one in items) and not self._stopping.is_set():
                await self._validate(campaign, items)

        await some_at_once(
            validate, [one for one in await self._write(self._plan.campaigns) if one.state is CampaignState.OPEN]
        )

    async def _validate(self, campaign: Draft, items: Sequence[NewItem]) -> None:
        try:
            version = await self._trees.version(campaign.draft_id)
            errors = await self._trees.validate(campaign.draft_id, version=version)
        except SpotifyAdsError as problem:
            for item in items:
                await self._settle(item, NewState.MADE, reason=f"the draft could not be validated: {problem}")
            return
        if errors:
            await self._refuse(campaign, items, errors)
            return
        await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.VALID, version=version))
        if not self._options.publish:
            for item in items:
                await self._tell(item.number)

    async def _refuse(self, campaign: Draft, items: Sequence[NewItem], errors: Sequence[DraftValidationError]) -> None:
        """Bring each validation error back to the cell that it is about."""
        by_id = {one.draft_id: one for one in items}
        reasons: dict[int, list[tuple[str, str]]] = {}
        others: list[str] = []
        for error in errors:
            item = by_id.get(error.validation_entity_id or "")
            message = error.message or "is not valid"
            if item is None:
                others.append(f"{error.validation_entity_type} {error.validation_entity_id}: {message}")
            else:
                reasons.setdefault(item.number, []).append((_field_of(message, item), message))
        await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.INVALID))
        for item in items:
            found = reasons.get(item.number)
            if found:
                reason = "; ".join(message for _, message in found)
                await self._settle(item, NewState.INVALID, reason=reason, field=found[0][0])
            elif others:
                await self._settle(
                    item, NewState.INVALID, reason=f"its campaign's draft is not valid: {'; '.join(others)}"
                )
            else:
                await self._settle(item, NewState.MADE, reason="made, but something else in its campaign is not valid")

    async def _publish_everything(self) -> None:
        async def publish(campaign: Draft) -> None:
            if not self._stopping.is_set():
                await self._publish(campaign, await self._items_of(campaign))

        await some_at_once(
            publish, [one for one in await self._write(self._plan.campaigns) if one.state is CampaignState.VALID]
        )

    async def _publish(self, campaign: Draft, items: Sequence[NewItem]) -> None:
        try:
            version = await self._trees.version(campaign.draft_id)
            if version != campaign.version:
                reason = "not published: somebody changed the draft since it was validated; resuming validates it again"
                await self._all(items, NewState.MADE, reason)
                return
            await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.PUBLISHING))
            errors = await self._trees.publish(campaign.draft_id, version=version)
        except SpotifyAdsError as problem:
            if problem.may_have_taken_effect:
                await anyio.sleep(self._options.settle_after)
                await self._read_back(campaign, items, str(problem))
            else:
                await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.VALID))
                await self._all(items, NewState.MADE, f"not published: {problem}")
            return
        if errors:
            await self._refuse(campaign, items, errors)
        else:
            await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.PUBLISHED))
            await self._all(items, NewState.PUBLISHED, "")

    async def _all(self, items: Iterable[NewItem], state: NewState, reason: str) -> None:
        for item in items:
            await self._settle(item, state, reason=reason)

    async def _settle_publishing(self) -> None:
        """Find out what came of publishing that an earlier run began."""
        for campaign in await self._write(self._plan.campaigns):
            if campaign.state is CampaignState.PUBLISHING:
                await self._read_back(campaign, await self._items_of(campaign), "the run ended before the answer came")

    async def _read_back(self, campaign: Draft, items: Sequence[NewItem], why: str) -> None:
        """Whether a campaign was published: then its draft is gone."""
        query = {"limit": _PAGE, "campaign_ids": [campaign.draft_id]}
        call: ListCall[Any] = ListCall(self._ads, NEW_KINDS["campaigns"].drafts, path=self._account, query=query)
        try:
            is_draft = bool((await call).items)
        except SpotifyAdsError as problem:
            await self._all(items, NewState.MADE, f"{why}; reading back failed: {problem}")
            return
        if is_draft:
            await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.VALID))
        else:
            await self._write(lambda: self._plan.conclude(campaign.id, CampaignState.PUBLISHED))
            await self._all(items, NewState.PUBLISHED, "")


def _field_of(message: str, item: NewItem) -> str:
    """The field of an item that a message is about: the longest that it names, else the one that it names a part of."""
    named = [one for one in _FIELD.findall(message) if one in item.columns]
    if named:
        return max(named, key=len)
    parts = _FIELD.findall(message)
    return next((field for field in item.columns for part in parts if field.startswith(f"{part}.")), "")


async def remove(ads: AdsClient, path: Path, *, archive: bool, tell: Callable[[NewItem, str], Awaitable[None]]) -> int:
    """Take back what the plan of a workbook made: drafts are deleted.

    What was published is archived where that is asked for.

    Args:
        ads: the client.
        path: the plan.
        archive: archive campaigns that were published, and turn off ad sets and ads that were published in live
            campaigns.
        tell: told of each new thing, and of what became of it.

    Returns:
        How many could not be taken back.

    Raises:
        SpotifyAdsError: a request failed.
    """
    with WorkbookPlan.open(path) as plan:
        account = {"ad_account_id": plan.header.ad_account_id}
        left = 0
        for campaign in plan.campaigns():
            items = [
                one for one in plan.items(campaign=campaign.id) if one.draft_id and one.state is not NewState.DELETED
            ]
            published = campaign.state is CampaignState.PUBLISHED
            if published and not archive:
                left += len(items)
                for item in items:
                    await tell(item, "is published, and stays: --archive archives it")
                continue
            for item in _outermost(items, campaign) if campaign.is_new else reversed(items):
                await _take_back(ads, account, item, published=published)
            for item in items:
                plan.settle(item.number, NewState.DELETED)
                await tell(item, "archived" if published else "deleted")
            plan.conclude(campaign.id, CampaignState.DELETED)
    return left


def _outermost(items: Sequence[NewItem], campaign: Draft) -> list[NewItem]:
    """The campaign itself, with which everything in it goes; its parts where it could not be made."""
    return [one for one in items if str(one.number) == campaign.id] or list(reversed(items))


async def _take_back(ads: AdsClient, account: dict[str, str], item: NewItem, *, published: bool) -> None:
    kind = NEW_KINDS[item.plural]
    if published:
        archives = kind.entity.archives and item.plural != ADS.plural
        change = {"status": "ARCHIVED"} if archives else {"delivery": "OFF"}
        await ads.call(kind.entity.update, path={**account, kind.entity.id_column: item.draft_id}, body=change)
        return
    try:
        await ads.call(kind.delete, path={**account, kind.draft_path: item.draft_id})
    except SpotifyAdsError as problem:
        # One that is gone already is refused as other mistakes are.
        if problem.status not in {400, 404}:
            raise
