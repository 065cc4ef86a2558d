"""``spotify-ads campaigns|ad-sets|ads list|get|create|update``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from spotify_ads_async.bulk import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import CellError, parse_cell
from spotify_ads_async.bulk.plan.columns import Column, columns_of, suggestion
from spotify_ads_async.bulk.plan.effects import Refusal, effect
from spotify_ads_async.bulk.plan.money import AmountRefused, check_amounts, unusual_changes
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.state import writable_state
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.bulk.workbook.describing import describe
from spotify_ads_async.cli.completing import complete_id, complete_setting
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import AllowUnusual, Yes, agreed
from spotify_ads_async.cli.fields import (
    example_body,
    field_help,
    put_value,
    what_is_wrong,
)
from spotify_ads_async.cli.listing import add_reading
from spotify_ads_async.cli.options import (
    AdAccount,
    json_body,
    needed,
)
from spotify_ads_async.cli.output import show, show_done
from spotify_ads_async.cli.products import AdProduct, hold_to_product
from spotify_ads_async.cli.recent import remember
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.trees import CLONES
from spotify_ads_async.cli.verbs import add_verbs
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import OPERATIONS

__all__ = ["ad_sets", "ads", "campaigns"]

_CREATE: Mapping[str, str] = {"campaigns": "createCampaign", "ad sets": "createAdSet", "ads": "createAd"}

Body = Annotated[
    str | None,
    typer.Option("--body", metavar="JSON|@FILE", help="The whole request as JSON, or the name of a file behind @."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="One field, such as bid_amount=12.50; repeat for more.",
        autocompletion=complete_setting,
    ),
]
Example = Annotated[bool, typer.Option("--example", help="Print a body that works, and make nothing.")]
IdempotencyKey = Annotated[
    str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key never creates twice.")
]


class _Asked(NamedTuple):
    """What a command is about."""

    entity: Entity
    ad_account: str

    def path(self, entity_id: str) -> dict[str, str]:
        return {"ad_account_id": self.ad_account, self.entity.id_column: entity_id}


def group(plural: str) -> typer.Typer:
    """The commands of one kind of thing."""
    app = typer.Typer(
        help=f"List, read, create{', change and clone' if plural in CLONES else ' and change'} {plural}.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    entity = ENTITIES[plural]

    add_reading(app, plural)

    @app.command(
        "create", help=f"Create one {entity.name}.", cls=field_help(OPERATIONS[_CREATE[plural]].body, whole=True)
    )
    def create(
        *,
        body: Body = None,
        settings: Settings = None,
        idempotency_key: IdempotencyKey = None,
        allow_unusual: AllowUnusual = False,
        ad_product: AdProduct = None,
        example: Example = False,
        yes: Yes = False,
        ad_account: AdAccount = None,
    ) -> None:
        asked, content = _Asked(entity, needed(ad_account)), json_body(body)
        if example:
            run(lambda: _show_example(asked))
        columns = columns_of(OPERATIONS[_CREATE[plural]].body)
        for name, value in _values(columns, settings or []).items():
            put_value(content, columns[name], value)
        consent = _Consent(yes=yes, allow_unusual=allow_unusual, product=ad_product)
        run(lambda: _create(asked, content, idempotency_key, consent))

    @app.command("update", help=f"Change one {entity.name}.", cls=field_help(entity.update.body, whole=False))
    def update(
        entity_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_id)],
        *,
        body: Body = None,
        settings: Settings = None,
        allow_unusual: AllowUnusual = False,
        ad_product: AdProduct = None,
        yes: Yes = False,
        ad_account: AdAccount = None,
    ) -> None:
        asked, content, values = (
            _Asked(entity, needed(ad_account)),
            json_body(body),
            _values(entity.columns, settings or []),
        )
        if bool(content) == bool(values):
            usage_error("give either --body or --set")
        run(
            lambda: _update(
                asked, entity_id, content, values, _Consent(yes=yes, allow_unusual=allow_unusual, product=ad_product)
            )
        )

    add_verbs(app, entity)
    if plural in CLONES:
        app.command("clone")(CLONES[plural])

    del create, update
    return app


campaigns = group("campaigns")
ad_sets = group("ad sets")
ads = group("ads")


def _values(columns: Mapping[str, Column], settings: list[str]) -> dict[str, Any]:
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


class _Consent(NamedTuple):
    """What the command line agreed to in advance, and the ad product whose rules it names."""

    yes: bool
    allow_unusual: bool
    product: str | None = None


async def _money_is_meant(
    before: Mapping[str, Any], after: Mapping[str, Any], currency: str, consent: _Consent
) -> bool:
    """Whether the amounts of a request may stand.

    None that nobody means, and the unusual ones only after a question of their own.

    Raises:
        InvalidRequest: an amount is none of the currency.
        ConsentNeeded: an amount is unusual, and nobody can be asked.
    """
    try:
        check_amounts(before, after, currency)
    except AmountRefused as refused:
        raise InvalidRequest(f"{refused.field}: {refused}", path=f"body.{refused.field}") from None
    unusual = unusual_changes(before, {**before, **after}, currency, now=datetime.now(UTC))
    question = f"unusual: {'; '.join(unusual)}. Is that meant?"
    return not unusual or await agreed(question, yes=consent.allow_unusual, option="--allow-unusual")


def _require_right(asked: _Asked, operation: Operation[Any], content: Mapping[str, Any], *, whole: bool) -> None:
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


async def _show_example(asked: _Asked) -> None:
    async with connected() as client:
        show(await example_body(client, asked.ad_account, asked.entity))


async def _create(asked: _Asked, content: dict[str, Any], key: str | None, consent: _Consent) -> None:
    _require_right(asked, OPERATIONS[_CREATE[asked.entity.plural]], content, whole=True)
    async with connected() as client:
        await hold_to_product(
            client, asked.ad_account, asked.entity.plural, "create", content, ad_product=consent.product
        )
        currency = await currency_of(client, asked.ad_account) if asked.entity.has_money else ""
        if not await _money_is_meant({}, content, currency, consent):
            say("nothing was made")
            return
        operation = OPERATIONS[_CREATE[asked.entity.plural]]
        created = await client.call(
            operation, path={"ad_account_id": asked.ad_account}, body=content, idempotency_key=key
        )
    show_done("made", asked.entity.name, created)
    await remember(asked.entity.plural, [(created.id, created.name)])


async def _update(
    asked: _Asked, entity_id: str, content: dict[str, Any], values: dict[str, Any], consent: _Consent
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
        if content:
            await hold_to_product(
                client,
                asked.ad_account,
                entity.plural,
                "update",
                content,
                entity_id=entity_id,
                ad_product=consent.product,
            )
            if not await _money_is_meant(state, content, currency, consent):
                say("nothing was changed")
                return
            answer = await client.call(entity.update, path=path, body=content)
        else:
            outcome = effect(entity, state, values, now=datetime.now(UTC), currency=currency)
            if isinstance(outcome, Refusal):
                raise InvalidRequest(f"{outcome.column}: {outcome.reason}", operation=entity.update.id)
            present = msgspec.to_builtins(answer)
            for step in outcome.steps:
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
            if not await _money_is_meant(state, outcome.after, currency, consent):
                say("nothing was changed")
                return
            for step in outcome.steps:
                # What came from the server goes back as it came, whether this version's document knows it or not.
                answer = await client.with_options(validate=False).call(entity.update, path=path, body=step)
    show_done("changed", entity.name, answer, list(content or values))
