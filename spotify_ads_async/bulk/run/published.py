"""What live entities say of rows that were staged as drafts, before publishing and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import Conflict, Settled, settle
from spotify_ads_async.bulk.plan.state import edits_between, leaf, writable
from spotify_ads_async.bulk.records import RowWork, StepOutcome, StepState

__all__ = ["Present", "conflicts_since", "read_back"]

Present: TypeAlias = tuple[RowWork, dict[str, Any]]
"""A row, and its entity as it is live; nothing of one that is gone."""


def conflicts_since(entity: Entity, present: Sequence[Present]) -> dict[int, list[Conflict]]:
    """What somebody changed of entities since they were staged, by row."""
    return {
        work.number: changed
        for work, now in present
        if (
            changed := [
                Conflict(
                    field=edit.name,
                    planned=_known(edit.before),
                    found=_known(edit.after),
                    wanted=leaf(work.after, edit.path),
                )
                for edit in edits_between(writable(entity, work.state), writable(entity, now))
            ]
        )
    }


def read_back(work: RowWork, now: dict[str, Any], *, again: bool) -> StepOutcome:
    """What became of a row whose draft is gone; where it took no effect, it waits to be staged ``again``, or failed."""
    if settle(now, work.before, work.after) is Settled.DONE:
        return StepOutcome(state=StepState.DONE, found={name: now[name] for name in work.after if name in now})
    reason = (
        "the draft is gone, and its values are not live: somebody deleted it, or changed the values since;"
        " --retry-failed stages it anew"
    )
    return StepOutcome(state=StepState.WAITING if again else StepState.FAILED, reason="" if again else reason)


def _known(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return None if value is msgspec.UNSET else value
