"""What a look before a request, an answer, its absence, or a state that was read back says about a row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import Conflict, Refusal, Settled, reached, rebase, settle, shown
from spotify_ads_async.bulk.plan.state import (
    Edit,
    Shape,
    State,
    copied,
    edits_to,
    entity_shape,
    grown,
    same,
    sendable,
    with_edit,
)
from spotify_ads_async.bulk.records import RowWork, Step, StepOutcome, StepState
from spotify_ads_async.errors import (
    AuthenticationError,
    ConnectionFailed,
    InvalidAnswer,
    OutcomeUnknown,
    QuotaTimeout,
    RateLimited,
    ServerError,
    SpotifyAdsError,
    StoreUnavailable,
)
from spotify_ads_async.json_values import is_array, is_object, reworded

__all__ = [
    "Surprise",
    "changes_alone",
    "compared",
    "failure",
    "judged",
    "judged_later",
    "not_shown",
    "own_way",
    "renewed",
    "require_changed",
    "staged",
    "success",
    "surprises",
    "unheard_of",
]

_TRANSIENT = (AuthenticationError, ConnectionFailed, QuotaTimeout, RateLimited, ServerError, StoreUnavailable)
_ARCHIVED = "ARCHIVED"
_DERIVED = frozenset(
    {"updated_at", "status", "is_paused", "pause_reason", "reject_reason", "reject_reasons", "draft_hierarchy_version"}
)
"""What the server makes of everything else: it may change with every request."""
_ABSENT: Any = msgspec.UNSET


# ---- before a request


def renewed(entity: Entity, work: RowWork, text: str, *, force: bool) -> RowWork | Refusal | tuple[Conflict, ...]:
    """The row on top of what is there now, or why it does not go.

    Args:
        entity: what the row is about.
        work: the row as it was planned, or as it was looked at last.
        text: the entity's JSON now.
        force: whether values that somebody else changed are overwritten.
    """
    if text == work.text:
        return work
    planned = work.state
    present: dict[str, Any] = msgspec.json.decode(text)
    gone = _out_of_reach(entity, planned, present)
    if gone is not None:
        return gone
    fields = {field for step in work.pending for field in step.body}
    before = {field: value for field, value in work.before.items() if field in fields}
    after = {field: value for field, value in work.after.items() if field in fields}
    rebased = rebase(entity, before, after, present, force=force)
    if rebased.conflicts:
        return rebased.conflicts
    shape = entity_shape(entity)
    steps = tuple(_renewed_step(step, rebased.after, shape) for step in work.steps)
    done = {field: value for field, value in work.before.items() if field not in fields}
    kept = {field: value for field, value in work.after.items() if field not in fields}
    return msgspec.structs.replace(
        work,
        text=text,
        name=str(present.get("name") or work.name),
        before={**done, **rebased.before},
        after={**kept, **rebased.after},
        steps=steps,
    )


def _renewed_step(step: Step, after: Mapping[str, Any], shape: Shape) -> Step:
    if step.state is not StepState.WAITING:
        return step
    body = {field: sendable(after[field], shape, field) for field in step.body if field in after}
    # Where somebody else made the same change, there is nothing left to send.
    return msgspec.structs.replace(step, body=body, state=StepState.WAITING if body else StepState.DONE)


def _out_of_reach(entity: Entity, planned: State, present: State) -> Refusal | None:
    if present.get("status") == _ARCHIVED and planned.get("status") != _ARCHIVED:
        return Refusal(reason="was archived since it was planned: what is archived takes no change", column="status")
    parent = entity.parent_field
    if parent and planned.get(parent) and present.get(parent) != planned.get(parent):
        reason = (
            f"was moved since it was planned: {parent} was {shown(planned.get(parent))} and is"
            f" {shown(present.get(parent))}"
        )
        return Refusal(reason=reason, column=parent)
    return None


def changes_alone(before: State, body: State) -> dict[str, Any]:
    """A request with nothing but what changes in it, for an API that merges objects."""
    alone: dict[str, Any] = {}
    for edit in edits_to(before, body):
        with_edit(alone, edit.path, [] if edit.after is _ABSENT else edit.after)
    return alone


def unheard_of(body: Any, shape: Shape, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """What a request holds that only the server knows of: names that the document lacks, and nulls."""
    if not is_object(body):
        return
    for name, value in body.items():
        place = f"{path}.{name}".lstrip(".")
        if name not in shape.known or (value is None and path):
            yield place
        elif (inner := shape.inner.get(name)) is not None:
            yield from unheard_of(value, inner, place)
        elif (listed := shape.listed.get(name)) is not None and is_array(value):
            for index, one in enumerate(value):
                yield from unheard_of(one, listed, f"{place}[{index}]")


# ---- after a request


class Surprise(NamedTuple):
    """Something that changed though the row did not say so, or became something else than the row said."""

    field: str
    before: Any
    found: Any

    def __str__(self) -> str:
        if same(self.found, None):
            return f"{self.field} was {_short(self.before)} and is gone"
        return f"{self.field} was {_short(self.before)} and is {_short(self.found)}"


def _short(value: object) -> str:
    text = shown(None if value is _ABSENT else value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def surprises(entity: Entity, before: State, sent: State, found: State) -> list[Surprise]:
    """What an answer shows to have changed besides what was sent.

    Args:
        entity: what was changed.
        before: the whole entity as it was just before.
        sent: the fields of the request as they shall be, with what the document declares for answers only.
        found: the whole entity as the server answered it.
    """
    shape = entity_shape(entity)
    unexpected: list[Surprise] = []
    for name in dict.fromkeys((*before, *found)):
        old, new = before.get(name, _ABSENT), found.get(name, _ABSENT)
        if name in sent:
            unexpected.extend(_inside(name, sent[name], old, new, shape.inner.get(name)))
        elif not same(old, new) and _counts(entity, shape, name, old, new):
            unexpected.append(Surprise(name, old, new))
    return unexpected


def _counts(entity: Entity, shape: Shape, name: str, old: object, new: object) -> bool:
    """Whether a change of a field that was not sent is more than what servers do on their own."""
    if name in _DERIVED:
        return name == "status" and new == _ARCHIVED
    if name in shape.known or name in {"id", entity.parent_field}:
        return not grown(old, new, shape.of(name))
    if same(old, None):
        return False  # something new that nobody knew of before
    return same(new, None) or (name not in shape.answer_only and not _advanced(old, new))


def _advanced(old: object, new: object) -> bool:
    """Whether a value is a counter or a time that went on."""
    match old, new:
        case int(), int():
            return new > old
        case str(), str():
            try:
                return datetime.fromisoformat(new) >= datetime.fromisoformat(old)
            except (ValueError, TypeError):
                return False
        case _:
            return False


def _inside(path: str, wanted: object, old: object, new: object, shape: Shape | None) -> Iterator[Surprise]:
    if not (is_object(wanted) and is_object(new)):
        # In place of what was taken away may stand the server's default.
        if not (wanted is _ABSENT or reached(wanted, new, old) or _told_otherwise(wanted, old, new)):
            yield Surprise(path, old, new)
        return
    earlier = old if is_object(old) else {}
    for name in dict.fromkeys((*wanted, *new)):
        place, was, own, found = (
            f"{path}.{name}",
            earlier.get(name, _ABSENT),
            wanted.get(name, _ABSENT),
            new.get(name, _ABSENT),
        )
        if shape is not None and name in shape.answer_only:
            if not same(was, None) and same(found, None):
                yield Surprise(place, was, found)
        elif not same(own, found):
            yield from _inside(place, own, was, found, shape.inner.get(name) if shape is not None else None)


def _told_otherwise(wanted: object, old: object, new: object) -> bool:
    """Whether a value that is not as wanted is no surprise: it stayed as it was, or the server wrote it in its own way.

    Said in the results, and no reason to stop.
    """
    return not same(wanted, old) and (same(old, new) or reworded(wanted, new))


def own_way(name: str) -> str:
    """What is said of a text that is done, though the server wrote it in its own way."""
    return f"the server made something else of {name}"


def not_shown(name: str) -> str:
    """What is said of a value that no answer holds."""
    return f"the server never answers {name}: nothing shows whether it took it"


def success(entity: Entity, work: RowWork, step: Step, text: str) -> StepOutcome:
    """What an answer says; see :func:`compared`."""
    sent = {field: work.after.get(field, value) for field, value in step.body.items()}
    return msgspec.structs.replace(compared(entity, work, sent, msgspec.json.decode(text)), text=text)


def compared(entity: Entity, work: RowWork, sent: State, found: State) -> StepOutcome:
    """What came of a request that the server took, by the whole entity afterwards.

    Done where every value is there, with a remark where the server wrote one in its own way, or never answers it.
    Failed where one is not: then ``found`` is left out where nothing changed at all, and the request may be made again.

    Args:
        entity: what was changed.
        work: the row, with the entity as it was just before where that is known.
        sent: the fields of the request as they shall be.
        found: the entity as it is.
    """
    before, shape = work.state, entity_shape(entity)
    unexpected = surprises(entity, before, sent, found) if before else []
    damaged = {one.field.partition(".")[0] for one in unexpected}
    edits = list(edits_to(work.before, sent))
    missed: list[Edit] = []
    remarks: list[str] = []
    for edit in edits:
        now = _at(found, edit.path)
        if reached(None if edit.after is _ABSENT else edit.after, now, edit.before):
            continue
        if reworded(edit.after, now):
            remarks.append(own_way(edit.name))
        elif now is None and edit.path[-1] in shape.holder(edit.path).unanswered:
            remarks.append(not_shown(edit.name))
        else:
            missed.append(edit)
    in_vain = len(missed) == len(edits) and all(same(_at(found, one.path), one.before) for one in missed)
    if missed:
        remarks.insert(0, f"the server answered, and did not do {_missed(missed, found)}")
    names = {one.name for one in missed}
    if more := [str(one) for one in unexpected if one.field not in names]:
        remarks.append(f"the server changed more than the row said: {'; '.join(more)}")
    touched = {field: found[field] for field in sent if found.get(field) is not None}
    return StepOutcome(
        state=StepState.FAILED if missed else StepState.DONE,
        found=None
        if missed and in_vain and not unexpected
        else {**touched, **{field: found.get(field) for field in damaged}},
        reason="; ".join(remarks),
        damage={
            field: sendable(before[field], shape, field)
            for field in damaged - sent.keys()
            if before.get(field) is not None
        },
        surprises=tuple(map(str, unexpected)),
    )


def _missed(missed: Sequence[Edit], found: State) -> str:
    """Which values are not there afterwards, and what is there instead."""
    said: list[str] = []
    for edit in missed:
        now = _at(found, edit.path)
        emptied = " (the server's default, or nothing empties it)" if same(edit.after, None) else ""
        said.append(f"{edit.name}, which is {'still ' if same(now, edit.before) else ''}{_short(now)}{emptied}")
    return "; ".join(said)


def _at(state: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON
    for name in path:
        state = state.get(name) if is_object(state) else None
    return state


def require_changed(answer: Any, entity_id: str) -> None:  # noqa: ANN401 - of any kind
    """Take an answer for what was changed only where it is that.

    Raises:
        OutcomeUnknown: it is something else, such as a job that was accepted: only reading back can tell.
    """
    if str(answer.id or "").lower() != entity_id.lower():
        said = "the server answered with something else than what was changed"
        raise OutcomeUnknown(said, cause=InvalidAnswer(said))


def staged(outcome: StepOutcome) -> StepOutcome:
    """The same of a draft: what arrived there is not live yet, and nothing live has changed."""
    if outcome.state is StepState.UNKNOWN:
        return StepOutcome(
            state=StepState.FAILED,
            reason="the draft holds neither the old values nor the new ones: somebody changed it, or what is live just"
            " before it was made; --retry-failed looks at what is live, and puts the row's values in",
        )
    state = StepState.STAGED if outcome.state is StepState.DONE else outcome.state
    return msgspec.structs.replace(outcome, state=state, found=None, text="", damage={})


def failure(error: SpotifyAdsError) -> StepOutcome:
    """A request that surely took no effect."""
    transient = isinstance(error, _TRANSIENT)
    return StepOutcome(
        state=StepState.FAILED,
        reason=str(error),
        status=error.status,
        trace_id=error.trace_id or "",
        transient=transient,
    )


def judged(work: RowWork, step: Step, text: str, why: str) -> StepOutcome:
    """What the state that was read back says of a request whose answer was lost."""
    present: dict[str, Any] = msgspec.json.decode(text)
    before = {field: work.before[field] for field in step.body if field in work.before}
    after = {field: work.after.get(field, value) for field, value in step.body.items()}
    match settle(present, before, after):
        case Settled.DONE:
            return StepOutcome(state=StepState.DONE, found=after, text=text)
        case Settled.NOT_DONE:
            return StepOutcome(state=StepState.WAITING, reason=f"it took no effect: {why}", text=text)
        case Settled.CHANGED_BY_OTHERS:
            return StepOutcome(
                state=StepState.UNKNOWN,
                found=after,
                reason=f"{why}, and the values now are neither the old nor the new ones: somebody else changed them;"
                " what is there of the new ones is undone with the rest",
                text=text,
            )


def judged_later(entity: Entity, work: RowWork, step: Step, text: str, why: str = "") -> StepOutcome:
    """What the state that was read back says of a live request: of this run, and then ``why``, or of an earlier one.

    What changed besides may be somebody else's since, and is not taken for the request's. What is gone is. What stands
    in an emptied list is the server's default where the request left a moment ago.
    """
    outcome = judged(work, step, text, why or "the run ended before the answer came")
    if outcome.state is not StepState.DONE:
        return outcome
    sent = {field: work.after.get(field, value) for field, value in step.body.items()}
    answer, found = {**work.state, **copied(sent)}, msgspec.json.decode(text)
    for edit in edits_to(work.before, sent) if why else ():
        if same(edit.after, None):
            with_edit(answer, edit.path, _at(found, edit.path))
    for one in surprises(entity, work.state, sent, found) if work.text else ():
        path = tuple(one.field.split("."))
        if same(one.found, None) and (path[0] in sent or path[0] not in work.after):
            with_edit(answer, path, _ABSENT)
    return msgspec.structs.replace(compared(entity, work, sent, answer), text=text)
