"""Rows written at once: what a request changes is live when it is answered."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.bulk.present import Found, read_present
from spotify_ads_async.bulk.records import Header, RowOutcome, RowWork, Step, StepOutcome, StepState
from spotify_ads_async.bulk.run.options import Options
from spotify_ads_async.bulk.run.outcomes import changes_alone, judged_later, require_changed, success
from spotify_ads_async.bulk.run.writer import RunControl, Tell
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import PlanFile
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import SpotifyAdsError

__all__ = ["LiveWriter"]


class LiveWriter:
    """Changes live entities."""

    def __init__(
        self, ads: AdsClient, journal: Journal[PlanFile], header: Header, options: Options, control: RunControl
    ) -> None:
        self._ads = ads
        # What came from the server goes back as it came, whether this version's document knows it or not.
        self._sender = ads.with_options(validate=False)
        self._journal = journal
        self._header = header
        self._entity = header.kind
        self._options = options
        self._control = control

    def _path_of(self, entity_id: str) -> dict[str, str]:
        return {"ad_account_id": self._header.ad_account_id, self._entity.id_column: entity_id}

    async def begin(self, tell: Tell) -> None:
        """Read back every request of an earlier run whose outcome is not known."""
        lost = {work.entity_id: work for work in await self._journal.read(PlanFile.lost)}
        if not lost:
            return
        # The earlier run may have ended a moment ago, with requests still on their way.
        await anyio.sleep(self._options.settle_after)

        async def take(found: Sequence[Found]) -> None:
            for entity_id, answer in found:
                work = lost[entity_id]
                for step in work.steps:
                    if step.state not in {StepState.SENT, StepState.UNKNOWN}:
                        continue
                    if answer is None:
                        outcome = StepOutcome(
                            state=StepState.FAILED, reason=f"the {self._entity.name} is not there any more"
                        )
                    else:
                        outcome = judged_later(self._entity, work, step, state_of(answer))
                    row = await self._control.settle(step, outcome)
                    self._control.surprised(work, outcome)
                    if row.outcome is not RowOutcome.WAITING:
                        await tell(row)

        try:
            await read_present(self._ads, self._entity, self._header.ad_account_id, list(lost), take)
        except SpotifyAdsError as problem:
            self._control.stop(f"what an earlier run left behind could not be read back: {problem}")

    async def write(self, work: RowWork, step: Step) -> StepOutcome:
        """Change the entity; see :class:`~spotify_ads_async.bulk.run.writer.Writer`."""
        body = changes_alone(work.before, step.body) if self._options.send == "changes" else step.body
        answer = await self._sender.call(self._entity.update, path=self._path_of(step.entity_id), body=body)
        require_changed(answer, step.entity_id)
        return success(self._entity, work, step, state_of(answer))

    async def read_back(self, work: RowWork, step: Step, why: str) -> StepOutcome:
        """Read the entity; see :class:`~spotify_ads_async.bulk.run.writer.Writer`."""
        text = state_of(await self._ads.call(self._entity.get, path=self._path_of(step.entity_id)))
        return judged_later(self._entity, work, step, text, why)

    async def finish(self, tell: Tell) -> None:
        """Nothing is left to do."""
