"""The fields of campaigns, ad sets and ads on the command line.

In help, offered while typing, checked all at once, and as an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.cells import in_words, parse_cell
from spotify_ads_async.bulk.plan.columns import Column, columns_of
from spotify_ads_async.bulk.plan.typed import cell_text
from spotify_ads_async.bulk.workbook.describing import describe
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS, lacking
from spotify_ads_async.bulk.workbook.template import example_cells
from spotify_ads_async.client import AdsClient
from spotify_ads_async.pagination import ListCall

__all__ = ["example_body", "put_value", "what_is_wrong"]

_ARCHIVED, _AUDIO = "ARCHIVED", "AUDIO"


def what_is_wrong(struct: type[msgspec.Struct], body: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Everything that is missing from a request, or wrong in it, each with its shape; nothing where all is well.

    Args:
        struct: the request.
        body: what is to be sent, as JSON.
        whole: whether what must be there must be there.
    """
    columns = columns_of(struct)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    found = [f"{name} is missing: {_shape(columns, name)}" for name in (lacking(struct, body) if whole else ())]
    for name, value in body.items():
        if name not in fields:
            continue  # the call itself names it, and what it may have meant
        try:
            msgspec.convert(value, type=fields[name].type)
        except msgspec.ValidationError as problem:
            if "missing required field" not in str(problem):
                found.append(f"{name}: {in_words(problem)}; it is {_shape(columns, name)}")
    return found


def _shape(columns: Mapping[str, Column], name: str) -> str:
    column = columns.get(name.partition(" ")[0])
    return "it must be there" if column is None else describe(column)


def put_value(content: dict[str, Any], column: Column, value: object) -> None:
    """Put a value into a request, where its column writes."""
    holder = content
    *outer, last = column.path
    for part in outer:
        holder = holder.setdefault(part, {})
    holder[last] = value


async def example_body(client: AdsClient, ad_account: str, entity: Entity) -> dict[str, Any]:
    """A request that makes one, with ids of what is in the ad account."""
    kind = NEW_KINDS[entity.plural]
    body: dict[str, Any] = {}
    begin = (datetime.now(UTC) + timedelta(days=30)).replace(hour=6, minute=0, second=0, microsecond=0)
    for name, cell in example_cells(kind, begin).items():
        column = kind.columns[name]
        if name not in kind.media and name not in {kind.parent_column, "campaign"}:
            put_value(body, column, parse_cell(column, cell_text(column, cell)))
    if kind.parent:
        body[kind.parent_field] = await _first(client, ad_account, ENTITIES[kind.parent])
    if kind.media:
        body["assets"] = {
            "asset_id": await _first_asset(client, ad_account, _AUDIO),
            "companion_asset_id": (picture := await _first_asset(client, ad_account, "IMAGE")),
            "logo_asset_id": picture,
        }
    return body


async def _first(client: AdsClient, ad_account: str, entity: Entity) -> str:
    call: ListCall[Any] = ListCall(client, entity.list, path={"ad_account_id": ad_account}, query={"limit": 50})
    # An ad set takes ads of its own format; the example's is audio.
    fitting = [
        one for one in (await call).items if one.status != _ARCHIVED and getattr(one, "asset_format", _AUDIO) == _AUDIO
    ]
    return str(fitting[0].id) if fitting else f"ID OF AN {entity.name.upper()}"


async def _first_asset(client: AdsClient, ad_account: str, asset_type: str) -> str:
    async for one in client.ad_account(ad_account).assets.list():
        if str(getattr(one, "asset_type", "")) == asset_type and one.id:
            return str(one.id)
    return f"ID OF AN {asset_type} ASSET"
