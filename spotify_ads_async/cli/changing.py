"""Creating and changing single campaigns, ad sets and ads: what ``create`` and ``update`` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.cells import CellError, parse_cell
from spotify_ads_async.bulk.plan.columns import Column, suggestion
from spotify_ads_async.bulk.plan.effects import Refusal, effect
from spotify_ads_async.bulk.plan.money import AmountRefused, changed_amounts, check_amounts, unusual_changes
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.state import State, copied, edits_between, shape_of, with_edit, writable_state
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.bulk.workbook.describing import describe
from spotify_ads_async.cli.answered import require_asked, require_made, require_of, require_values
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import agreed
from spotify_ads_async.cli.fields import example_body, put_value, what_is_wrong
from spotify_ads_async.cli.output import show, show_done
from spotify_ads_async.cli.products import hold_to_product
from spotify_ads_async.cli.recent import remember
from spotify_ads_async.cli.run import say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.client import AdsClient
from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.operation import Operation
from spotify_ads_async.types import UNSET, Answer

__all__ = ["Asked", "Consent", "create", "put_value", "show_example", "update", "values_of"]


class Asked(NamedTuple):
    """What a command is about."""

    entity: Entity
    creation: Operation[Any]
    ad_account: str

    def path(self, entity_id: str) -> dict[str, str]:
        """Where one of them is."""
        return {"ad_account_id": self.ad_account, self.entity.id_column: entity_id}


def values_of(columns: Mapping[str, Column], settings: list[str]) -> dict[str, Any]:
    """Values by column, from FIELD=VALUE; everything that is wrong with them at once."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign or name not in columns:
            problems.append(
                f"--set {text}:"
                f" {f'there is no field {name}{suggestion(name, columns)}' if sign else 'FIELD=VALUE is wanted'}"
            )
            continue
        try:
            values[name] = parse_cell(columns[name], cell_text(columns[name], value))
        except CellError as problem:
            problems.append(f"--set {text}: {problem}; it is {describe(columns[name])}")
    if problems:
        usage_error("\n".join(problems))
    return values


class Consent(NamedTuple):
    """What the command line agreed to in advance, and the ad product whose rules it names."""

    yes: bool
    allow_unusual: bool
    product: str | None = None


async def _money_is_meant(before: Mapping[str, Any], after: Mapping[str, Any], currency: str, consent: Consent) -> bool:
    """Whether the amounts of a request may stand.

    None that nobody means, and the unusual ones only after a question of their own.

    Raises:
        InvalidRequest: an amount is none of the currency.
        ConsentNeeded: an amount is unusual, and nobody can be asked.
    """
    amounts = changed_amounts(before, after)
    try:
        check_amounts(amounts, currency)
    except AmountRefused as refused:
        raise InvalidRequest(f"{refused.field}: {refused}", path=f"body.{refused.field}") from None
    unusual = unusual_changes(amounts, before, {**before, **after}, currency, now=datetime.now(UTC))
    question = f"unusual: {'; '.join(unusual)}. Is that meant?"
    return not unusual or await agreed(question, yes=consent.allow_unusual, option="--allow-unusual")


def _require_right(asked: Asked, operation: Operation[Any], content: Mapping[str, Any], *, whole: bool) -> None:
    """End with everything that is missing or wrong in a request, where anything is.

    Raises:
        InvalidRequest: something is.
    """
    if problems := what_is_wrong(operation.body, content, whole=whole):
        command = f"spotify-ads {asked.entity.plural.replace(' ', '-')} create --example"
        hint = f"\n{command} prints a body that works" if whole else ""
        lines = "".join(f"\n  body.{one}" for one in problems)
        raise InvalidRequest(
            f"nothing was sent, for the request is not right:{lines}{hint}", operation=operation.id, path="body"
        )


async def show_example(asked: Asked) -> None:
    """Print a request that works."""
    async with connected() as client:
        show(await example_body(client, asked.ad_account, asked.entity))


async def create(asked: Asked, content: dict[str, Any], key: str | None, consent: Consent) -> None:
    """Create one thing, after everything about the request is known to be right."""
    _require_right(asked, asked.creation, content, whole=True)
    async with connected() as client:
        await hold_to_product(
            client, asked.ad_account, asked.entity.plural, "create", content, ad_product=consent.product
        )
        currency = await currency_of(client, asked.ad_account) if asked.entity.has_money else ""
        if not await _money_is_meant({}, content, currency, consent):
            say("nothing was made")
            return
        created = await client.call(
            asked.creation, path={"ad_account_id": asked.ad_account}, body=content, idempotency_key=key
        )
    found = require_made(created, asked.entity.name, asked.creation.id)
    show_done("made", asked.entity.name, created)
    await remember(asked.entity.plural, [(created.id, created.name or "")])
    require_asked(shape_of(asked.creation.body, asked.creation.answer), content, found)


async def update(
    asked: Asked, entity_id: str, content: dict[str, Any], values: dict[str, Any], consent: Consent
) -> None:
    """Send a body as it is, or bring single fields into requests as a bulk change does.

    Parts whole, ``delivery`` alone.
    """
    archives = "ARCHIVED" in {content.get("status"), values.get("status")}
    if archives and not await agreed(
        f"archive the {asked.entity.name} {entity_id}? It cannot be undone.", yes=consent.yes
    ):
        say("nothing was changed")
        return
    entity = asked.entity
    _require_right(asked, entity.update, content, whole=False)
    async with connected() as client:
        (entity_id,) = await whole_ids(client, entity.plural, asked.ad_account, [entity_id])
        path = asked.path(entity_id)
        currency = await currency_of(client, asked.ad_account) if entity.has_money else ""
        answer = await client.call(entity.get, path=path)
        state = writable_state(entity, answer)
        steps, after, present = [content], _on_top(state, content), None
        if not content:
            outcome = effect(entity, state, values, now=datetime.now(UTC), currency=currency)
            if isinstance(outcome, Refusal):
                raise InvalidRequest(f"{outcome.column}: {outcome.reason}", operation=entity.update.id)
            steps, after, present = outcome.steps, outcome.after, msgspec.to_builtins(answer)
        for step in steps:
            await hold_to_product(
                client,
                asked.ad_account,
                entity.plural,
                "update",
                step,
                entity_id=entity_id,
                present=present,
                ad_product=consent.product,
            )
        if not await _money_is_meant(state, after, currency, consent):
            say("nothing was changed")
            return
        # What came from the server goes back as it came, whether this version's document knows it or not.
        sender = client.with_options(validate=bool(content))
        answer = await _send(sender, entity, path, steps, answer)
    sent = {name: after.get(name, value) for step in steps for name, value in step.items()}
    require_values(entity, state, sent, require_of(answer, entity_id, entity.update.id))
    show_done("changed" if steps else "unchanged", entity.name, answer, list(content or values))


def _on_top(state: State, content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a body as they shall be: it may hold a part of an object, and takes nothing away by that."""
    whole = copied({name: state[name] for name in content if name in state})
    for edit in edits_between(whole, content):
        if edit.after is not UNSET:
            with_edit(whole, edit.path, edit.after)
    return whole


async def _send(
    sender: AdsClient, entity: Entity, path: Mapping[str, str], steps: Sequence[Mapping[str, Any]], answer: Answer
) -> Answer:
    """Make the requests of a change; the last ``answer``. An error says what was changed before it."""
    done: list[str] = []
    for step in steps:
        try:
            answer = await sender.call(entity.update, path=path, body=step)
        except SpotifyAdsError as error:
            if done:
                error.add_note(f"changed before that: {', '.join(done)}")
            raise
        done += step
    return answer
