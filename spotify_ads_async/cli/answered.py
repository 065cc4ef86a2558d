"""Answers to changes, held to what was sent: a success that shows another value is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import shown
from spotify_ads_async.bulk.plan.state import NO_SHAPE, Shape, State, same, state_of
from spotify_ads_async.bulk.records import RowWork, StepState
from spotify_ads_async.bulk.run.outcomes import compared, reworded
from spotify_ads_async.cli.run import say
from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown
from spotify_ads_async.json_values import is_array, is_object

__all__ = ["require_asked", "require_made", "require_of", "require_texts", "require_values"]


def require_of(answer: Any, identifier: str, operation: str) -> Mapping[str, Any]:  # noqa: ANN401 - of any kind
    """The JSON of an answer that is about what was changed.

    Raises:
        OutcomeUnknown: it is about something else, or tells nothing.
    """
    found: dict[str, Any] = msgspec.json.decode(state_of(answer))
    if str(found.get("id") or "").lower() != identifier.lower():
        said = f"the server answered with something else than {identifier}: read it back before sending this again"
        raise OutcomeUnknown(said, operation=operation, cause=InvalidAnswer(said))
    return found


def require_made(answer: Any, noun: str, operation: str) -> Mapping[str, Any]:  # noqa: ANN401 - of any kind
    """The JSON of an answer that says by its ID that something was made.

    Raises:
        OutcomeUnknown: it says nothing of that.
    """
    found: dict[str, Any] = msgspec.json.decode(state_of(answer))
    if not found.get("id"):
        said = f"the server answered without the ID of a new {noun}: look whether it is there before sending this again"
        raise OutcomeUnknown(said, operation=operation, cause=InvalidAnswer(said))
    return found


def require_asked(shape: Shape, sent: State, found: State) -> None:
    """Hold what was made to what was asked for; the server may fill in what was not.

    Raises:
        InvalidAnswer: something is otherwise.
    """
    if other := list(_otherwise(sent, found, shape)):
        raise InvalidAnswer(f"the answer shows other than what was asked for: {'; '.join(other)}")


def _otherwise(sent: object, found: object, shape: Shape, path: str = "") -> Iterator[str]:
    """What of a request is not there, each with what is there instead."""
    if is_object(sent) and is_object(found):
        for name, value in sent.items():
            if name in found or name not in shape.unanswered:
                inside = shape.inner.get(name) or shape.listed.get(name) or NO_SHAPE
                yield from _otherwise(value, found.get(name), inside, f"{path}.{name}".lstrip("."))
    elif is_array(sent) and is_array(found):
        if sent and not (len(sent) == len(found) and all(_is_among(found, one, shape) for one in sent)):
            yield f"{path} is {shown(found)}"
    elif not same(sent, None) and not same(sent, found) and not reworded(sent, found):
        yield f"{path} is {'not there' if found is None else shown(found)}"


def _is_among(there: Sequence[object], wanted: object, shape: Shape) -> bool:
    return any(not any(_otherwise(wanted, one, shape)) for one in there)


def require_values(entity: Entity, before: State, sent: State, found: Mapping[str, Any]) -> None:
    """Hold a campaign, ad set or ad, as it was answered last, to all that was sent.

    Raises:
        InvalidAnswer: something of it was not done.
    """
    work = RowWork(number=1, entity_id="", name="", text="", before=dict(before), after=dict(sent), steps=())
    outcome = compared(entity, work, sent, found)
    if outcome.state is StepState.FAILED:
        raise InvalidAnswer(outcome.reason, operation=entity.update.id)
    if outcome.reason:
        say(outcome.reason)


def require_texts(sent: Mapping[str, str | None], found: Mapping[str, Any], operation: str) -> None:
    """Hold an asset or an audience to the texts that were sent, but for blanks at their ends.

    Raises:
        InvalidAnswer: one of them is not there.
    """
    for name, text in sent.items():
        if text is not None and str(found.get(name) or "").strip() != text.strip():
            raise InvalidAnswer(
                f"the server answered, and did not do {name}, which is {shown(found.get(name))}", operation=operation
            )
