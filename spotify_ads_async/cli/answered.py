"""Answers to changes, held to what was sent: a success that shows the old value is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.state import State, state_of
from spotify_ads_async.bulk.records import RowWork, StepState
from spotify_ads_async.bulk.run.outcomes import compared
from spotify_ads_async.cli.run import say
from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown

__all__ = ["require_of", "require_texts", "require_values"]


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
        if text is not None and found.get(name) is not None and str(found[name]).strip() != text.strip():
            raise InvalidAnswer(
                f'the server answered, and did not do {name}, which is "{found[name]}"', operation=operation
            )
