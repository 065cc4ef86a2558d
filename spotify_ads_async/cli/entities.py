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
from spotify_ads_async.bulk.plan.expressions import list_query, parse_condition
from spotify_ads_async.bulk.plan.money import AmountRefused, check_amounts, unusual_changes
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.state import writable_state
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.bulk.workbook.describing import describe
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import AllowUnusual, Yes, agreed
from spotify_ads_async.cli.fields import (
    complete_condition,
    complete_setting,
    example_body,
    field_help,
    put_value,
    what_is_wrong,
)
from spotify_ads_async.cli.options import (
    AdAccount,
    AdAccounts,
    AllAccounts,
    Fields,
    Limit,
    OutputForm,
    json_body,
    needed,
    needed_some,
)
from spotify_ads_async.cli.output import Output, Rows, show
from spotify_ads_async.cli.products import AdProduct, hold_to_product
from spotify_ads_async.cli.reading import rows_of, write_each, write_rows
from spotify_ads_async.cli.run import DONE, run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.trees import CLONES
from spotify_ads_async.cli.verbs import add_verbs
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.pagination import ListCall

__all__ = ["ad_sets", "ads", "campaigns"]

_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "campaigns": ("name", "status", "objective", "id", "purchase_order", "created_at"),
    "ad sets": (
        "name",
        "status",
        "delivery",
        "budget.micro_amount",
        "budget.type",
        "id",
        "bid_micro_amount",
        "start_time",
        "end_time",
    ),
    "ads": ("name", "status", "delivery", "id", "ad_set_id", "tagline", "start_time", "end_time"),
}
_CREATE: Mapping[str, str] = {"campaigns": "createCampaign", "ad sets": "createAdSet", "ads": "createAd"}

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Such as status=ACTIVE, name~autumn, budget.amount>=100.00; all must hold.",
        autocompletion=complete_condition,
    ),
]
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


def _rows(entity: Entity, output: Output, fields: str | None, *, of_accounts: bool = False) -> Rows:
    return rows_of(
        entity.get.answer, output=output, fields=fields, table=_TABLE_COLUMNS[entity.plural], of_accounts=of_accounts
    )


def group(plural: str) -> typer.Typer:
    """The commands of one kind of thing."""
    app = typer.Typer(
        help=f"List, read, create{', change and clone' if plural in CLONES else ' and change'} {plural}.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    entity = ENTITIES[plural]

    @app.command("list", help=f"List {plural}; rows appear while pages are read.")
    def list_(
        *,
        where: Where = None,
        limit: Limit = None,
        fields: Fields = None,
        ad_account: AdAccounts = None,
        all_accounts: AllAccounts = False,
        output: OutputForm = Output.TABLE,
    ) -> None:
        accounts = needed_some(ad_account, every=all_accounts)
        run(
            lambda: _list(
                entity, accounts, where or [], limit, _rows(entity, output, fields, of_accounts=len(accounts) != 1)
            )
        )

    @app.command("get", help=f"Read one {entity.name} or several.")
    def get(
        ids: Annotated[list[str], typer.Argument(metavar="ID")],
        *,
        fields: Fields = None,
        ad_account: AdAccount = None,
        output: OutputForm = Output.JSON,
    ) -> None:
        asked = _Asked(entity, needed(ad_account))
        run(lambda: _get(asked, ids, _rows(entity, output, fields), whole=output is Output.JSON and not fields))

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
        entity_id: Annotated[str, typer.Argument(metavar="ID")],
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

    del list_, get, create, update
    return app


campaigns = group("campaigns")
ad_sets = group("ad sets")
ads = group("ads")


async def _list(entity: Entity, ad_accounts: tuple[str, ...], where: list[str], limit: int | None, rows: Rows) -> int:
    conditions = [parse_condition(entity, text) for text in where]
    query = {"limit": 50, **list_query(entity, conditions)}

    def wanted(item: msgspec.Struct) -> dict[str, Any] | None:
        row = msgspec.to_builtins(item)
        return row if all(condition.holds(row) for condition in conditions) else None

    async with connected() as client:

        def read(account: Account) -> ListCall[Any]:
            return ListCall(client, entity.list, path={"ad_account_id": account.id}, query=query)

        return await write_rows(client, ad_accounts, read, rows, limit=limit, row_of=wanted)


async def _get(asked: _Asked, given: list[str], rows: Rows, *, whole: bool) -> int:
    """One thing as an object of its own; several as rows."""
    async with connected() as client:
        ids = await whole_ids(client, asked.entity, asked.ad_account, given)
        if whole and len(ids) == 1:
            show(msgspec.to_builtins(await client.call(asked.entity.get, path=asked.path(ids[0]))))
            return DONE
        return await write_each(ids, lambda one: client.call(asked.entity.get, path=asked.path(one)), rows)


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
    show(msgspec.to_builtins(created))


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
        (entity_id,) = await whole_ids(client, entity, asked.ad_account, [entity_id])
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
    show(msgspec.to_builtins(answer))
