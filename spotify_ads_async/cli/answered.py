"""Answers to changes, held to what was sent: a success that shows another value is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.effects import shown
from spotify_ads_async.bulk.plan.state import Shape, State, same, state_of
from spotify_ads_async.bulk.records import RowWork, StepState
from spotify_ads_async.bulk.run.outcomes import compared, not_shown, own_way
from spotify_ads_async.cli.run import say
from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown
from spotify_ads_async.json_values import is_array, is_object, reworded
from spotify_ads_async.models import AudioType

__all__ = ["require_asked", "require_made", "require_of", "require_subtype", "require_texts", "require_values"]


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
    other = list(_otherwise(sent, found, shape))
    _say_own_way(name for name, instead in other if not instead)
    if missed := [f"{name} is {instead}" for name, instead in other if instead]:
        raise InvalidAnswer(f"the answer shows other than what was asked for: {'; '.join(missed)}")


def _otherwise(sent: object, found: object, shape: Shape, path: str = "") -> Iterator[tuple[str, str]]:
    """What of a request is not there as it was sent: its name, and what is there instead.

    Empty where that is the same text, written in the server's own way.
    """
    if is_object(sent) and is_object(found):
        for name, value in sent.items():
            if name in found or name not in shape.unanswered:
                yield from _otherwise(value, found.get(name), shape.of(name), f"{path}.{name}".lstrip("."))
    elif is_array(sent) and is_array(found):
        if sent and not (len(sent) == len(found) and all(_is_among(found, one, shape) for one in sent)):
            yield path, shown(found)
    elif not same(sent, None) and not same(sent, found):
        yield path, "" if reworded(sent, found) else "not there" if found is None else shown(found)


def _is_among(there: Sequence[object], wanted: object, shape: Shape) -> bool:
    return any(not any(instead for _, instead in _otherwise(wanted, one, shape)) for one in there)


def _say_own_way(names: Iterable[str]) -> None:
    if said := "; ".join(map(own_way, names)):
        say(said)


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
    """Hold an asset or an audience to the texts that were sent; one in the server's own way is done, and said.

    Raises:
        InvalidAnswer: one of them is not there.
    """
    told = {name: found.get(name) or "" for name, text in sent.items() if text is not None}
    other = {name: text for name, text in told.items() if text != sent[name]}
    _say_own_way(name for name, text in other.items() if reworded(sent[name], text))
    for name, text in other.items():
        if not reworded(sent[name], text):
            raise InvalidAnswer(
                f"the server answered, and did not do {name}, which is {shown(text or None)}", operation=operation
            )


def require_subtype(sent: AudioType | None, found: Mapping[str, Any], operation: str) -> None:
    """Hold an audio asset to the subtype that was sent, by the type of audio that the answer tells.

    That the two are one is in their schema alone; an answer without a type that the document names shows nothing.

    Raises:
        InvalidAnswer: it is of another type.
    """
    told = AudioType(str(found.get("audio_type")))
    if sent is None or told == sent:
        return
    if told.known:
        raise InvalidAnswer(f"the server answered, and did not do subtype, which is {told}", operation=operation)
    say(not_shown("subtype"))
