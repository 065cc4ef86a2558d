"""``spotify-ads campaigns|ad-sets|ads list|get|create|update``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from spotify_ads_async.bulk.entities import ENTITIES
from spotify_ads_async.bulk.plan.columns import columns_of
from spotify_ads_async.cli.completing import complete_id, complete_setting
from spotify_ads_async.cli.consent import AllowUnusual, Yes
from spotify_ads_async.cli.field_help import field_help
from spotify_ads_async.cli.listing import add_reading
from spotify_ads_async.cli.options import AdAccount, AdProduct, command_group, json_body, needed
from spotify_ads_async.cli.run import run, usage_error
from spotify_ads_async.cli.trees import CLONES, add_clone
from spotify_ads_async.cli.verbs import add_verbs
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


def group(plural: str) -> typer.Typer:
    """The commands of one kind of thing."""
    app = command_group(f"List, read, create{', change and clone' if plural in CLONES else ' and change'} {plural}.")
    entity, creation = ENTITIES[plural], OPERATIONS[_CREATE[plural]]

    add_reading(app, plural)

    @app.command("create", help=f"Create one {entity.name}.", cls=field_help(creation.body, whole=True))
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
        from spotify_ads_async.cli import changing  # noqa: PLC0415 - lists, in the same group, shall not wait for it

        asked, content = changing.Asked(entity, creation, needed(ad_account)), json_body(body)
        if example:
            run(lambda: changing.show_example(asked))
        columns = columns_of(creation.body)
        for name, value in changing.values_of(columns, settings or []).items():
            changing.put_value(content, columns[name], value)
        consent = changing.Consent(yes=yes, allow_unusual=allow_unusual, product=ad_product)
        run(lambda: changing.create(asked, content, idempotency_key, consent))

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
        from spotify_ads_async.cli import changing  # noqa: PLC0415 - the same

        asked, content = changing.Asked(entity, creation, needed(ad_account)), json_body(body)
        values = changing.values_of(entity.columns, settings or [])
        if bool(content) == bool(values):
            usage_error("give either --body or --set")
        consent = changing.Consent(yes=yes, allow_unusual=allow_unusual, product=ad_product)
        run(lambda: changing.update(asked, entity_id, content, values, consent))

    add_verbs(app, entity)
    if plural in CLONES:
        add_clone(app, plural)

    del create, update
    return app


campaigns = group("campaigns")
ad_sets = group("ad sets")
ads = group("ads")
