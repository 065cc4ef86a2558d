"""What live entities say of rows that were staged as drafts, before publishing and after. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import Conflict, reached, shown
from spotify_ads_async.bulk.plan.state import (
    NO_SHAPE,
    Edit,
    Shape,
    State,
    copied,
    edits_between,
    edits_to,
    entity_shape,
    grown,
    leaf,
    same,
    with_edit,
    writable,
)
from spotify_ads_async.bulk.records import RowWork, StepOutcome, StepState
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS
from spotify_ads_async.bulk.run.outcomes import Surprise, compared, judged_later, surprises
from spotify_ads_async.json_values import is_object, reworded

__all__ = [
    "Around",
    "Present",
    "changed_around",
    "conflicts_since",
    "overwritten",
    "published",
    "published_along",
    "put_into_draft",
    "read_back",
]

_ARCHIVED = "ARCHIVED"

Present: TypeAlias = tuple[RowWork, dict[str, Any]]
"""A row, and its entity as it is live; nothing of one that is gone."""


class Around(NamedTuple):
    """A campaign or an ad set whose draft is published with those of rows: as it was when staged, and as it is live."""

    entity: Entity
    entity_id: str
    before: dict[str, Any]
    now: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.entity.name} “{self.before.get('name') or ''}” ({self.entity_id})"


def changed_around(around: Sequence[Around]) -> str:
    """What somebody changed of what is published along since it was staged, in words; nothing if nobody did."""
    changed = {
        str(one): [
            f"{edit.name} was {shown(_known(edit.before))} and is {shown(_known(edit.after))}"
            for edit in _edits(one.entity, one.before, one.now)
        ]
        for one in around
    }
    return "; ".join(f"{name}: {', '.join(edits)}" for name, edits in changed.items() if edits)


def overwritten(entity: Entity, work: RowWork, now: dict[str, Any]) -> RowWork:
    """The row where it is published over what somebody changed: that is part of what it changes, and of its undo."""
    staged, live = writable(entity, work.state), writable(entity, now)
    after = {**{edit.path[0]: staged.get(edit.path[0]) for edit in _put_back(entity, staged, live)}, **work.after}
    return msgspec.structs.replace(
        work,
        before={name: value for name, value in live.items() if name in after},
        after=after,
        text=msgspec.json.encode(now).decode(),
    )


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
                    wanted=leaf(work.after, edit.path) if edit.path[0] in work.after else _known(edit.before),
                )
                for edit in _edits(entity, work.state, now)
            ]
        )
    }


def read_back(entity: Entity, work: RowWork, now: dict[str, Any], *, again: bool) -> StepOutcome:
    """What became of a row whose draft is gone; where it took no effect, it waits to be staged ``again``, or failed."""
    outcome = judged_later(entity, work, work.steps[0], msgspec.json.encode(now).decode())
    if outcome.state is StepState.DONE:
        return outcome
    edits = list(edits_to(work.before, work.after))
    missed = [edit for edit in edits if not reached(_known(edit.after), leaf(now, edit.path), edit.before)]
    if len(missed) < len(edits):
        # It may have been published: it is not staged again, and undo looks at what is live of it.
        there = [edit._replace(before=edit.after, after=leaf(now, edit.path)) for edit in missed]
        reason = (
            f"the draft is gone, and a part of its values is live ({_in_words(there)}): somebody published it with"
            " other values in it, or changed them since"
        )
        return StepOutcome(state=StepState.FAILED, reason=reason, found=outcome.found)
    if again:
        return StepOutcome(state=StepState.WAITING)
    reason = (
        "the draft is gone, and its values are not live: somebody deleted it, or changed the values since;"
        " --retry-failed stages it anew"
    )
    return StepOutcome(state=StepState.FAILED, reason=reason)


def published(entity: Entity, work: RowWork, draft: State, now: State) -> StepOutcome:
    """What became of a row that was published with what somebody put into its ``draft``: that is theirs.

    It is no surprise, and stays at undo. Where it stands in the place of something that the row says, the row failed.
    """
    theirs = put_into_draft(entity, {**work.state, **work.after}, draft, now)
    if not theirs:
        return compared(entity, work, work.after, now)
    sent, before, ours = copied(work.after), copied(work.state), copied(now)
    for edit in theirs:
        _take_up(entity, sent if edit.path[0] in sent else before, edit, now)
        with_edit(ours, edit.path, edit.before)
    around = msgspec.structs.replace(work, text=msgspec.json.encode(before).decode())
    outcome = compared(entity, around, sent, now)
    asked = {edit.path for edit in edits_to(work.before, work.after)}
    lost = [edit for edit in theirs if any(_overlap(edit.path, path) for path in asked)]
    remark = f"published with what somebody put into its draft: {_in_words(theirs)}"
    if not lost:
        reason = "; ".join(part for part in (outcome.reason, remark) if part)
        return msgspec.structs.replace(outcome, reason=reason, found={name: ours.get(name) for name in sent})
    kept = any(not any(_overlap(edit.path, path) for edit in lost) for path in asked)
    found = {name: ours.get(name) for name in sent} if kept else None
    return msgspec.structs.replace(outcome, state=StepState.FAILED, reason=remark, found=found)


def published_along(one: Around, draft: State, now: State) -> tuple[str, list[Surprise]]:
    """What somebody put into the ``draft`` of something that no row is about, in words, and what changed besides."""
    theirs = put_into_draft(one.entity, one.now, draft, now)
    expected = copied(one.now)
    for edit in theirs:
        _take_up(one.entity, expected, edit, now)
    remark = f"published with what somebody put into the draft of {one}: {_in_words(theirs)}" if theirs else ""
    return remark, surprises(one.entity, expected, {}, now)


def put_into_draft(entity: Entity, wanted: State, draft: State, now: State) -> list[Edit]:
    """What is live though it was not wanted, because somebody put it into the draft."""
    edits, shape = edits_between(writable(entity, wanted), writable(entity, now)), entity_shape(entity)
    return [
        edit
        for edit in edits
        if draft and same(_known(edit.after), leaf(draft, edit.path)) and _is_put(edit, shape.holder(edit.path))
    ]


def _is_put(edit: Edit, holder: Shape) -> bool:
    """Whether a value in a draft is somebody's, and not what the server's drafts make of things.

    They may lack names that no document knows, or tell more of them, and write texts in their own way.
    """
    name, before, after = edit.path[-1], edit.before, edit.after
    if same(after, None):
        return name in holder.known
    shape = holder.of(name)
    return not (reworded(before, after) or grown(before, after, shape) or grown(after, before, shape))


def _take_up(entity: Entity, holder: dict[str, Any], edit: Edit, now: State) -> None:
    """Put what somebody changed into an entity, with what answers alone tell beside it: the server makes that of it."""
    with_edit(holder, edit.path, edit.after)
    name = edit.path[0]
    if name in holder:
        holder[name] = _told(holder[name], now.get(name), entity_shape(entity).inner.get(name, NO_SHAPE))


def _told(value: Any, now: Any, shape: Shape) -> Any:  # noqa: ANN401 - any JSON
    if not (is_object(value) and is_object(now)):
        return value
    told = {name: now[name] for name in shape.answer_only if now.get(name) is not None}
    return {name: _told(one, now.get(name), shape.inner.get(name, NO_SHAPE)) for name, one in value.items()} | told


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _in_words(edits: Sequence[Edit]) -> str:
    """Values of others in the place of ours."""
    return "; ".join(f"{edit.name} is {shown(_known(edit.after))}, not {shown(_known(edit.before))}" for edit in edits)


def _edits(entity: Entity, before: State, now: State) -> Iterator[Edit]:
    """What somebody changed and publishing would put back: what may be written, and that it was archived."""
    yield from _put_back(entity, writable(entity, before), writable(entity, now))
    if not entity.archives and now.get("status") == _ARCHIVED != before.get("status"):
        yield Edit(("status",), before.get("status"), _ARCHIVED)


def _put_back(entity: Entity, staged: State, live: State) -> Iterator[Edit]:
    """What somebody changed of what drafts hold; the rest, such as a pause, stays whatever is published."""
    held = DRAFT_KINDS[entity.plural].held
    return (edit for edit in edits_between(staged, live) if edit.path[0] in held)


def _known(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return None if value is msgspec.UNSET else value
