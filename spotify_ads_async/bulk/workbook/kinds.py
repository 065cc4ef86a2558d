"""What can be made from a workbook: the columns of each kind, its parent, its media, and what must be there. Pure."""

from __future__ import annotations

import functools
import types
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from spotify_ads_async import operations
from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS, Entity
from spotify_ads_async.bulk.plan.columns import Column, Kind, columns_of, inner_struct
from spotify_ads_async.bulk.plan.money import MICROS, in_units
from spotify_ads_async.bulk.plan.state import sendable, shape_of, state_of
from spotify_ads_async.bulk.run.draft_kinds import DRAFT_KINDS, DraftKind
from spotify_ads_async.operation import Operation

__all__ = ["NEW_KINDS", "NewKind", "folded", "lacking", "new_columns"]


class NewKind(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A kind of thing that rows without an id make.

    Attributes:
        entity: the kind, as rows of changes know it.
        create: the operation that makes a live one, whose rules hold.
        parent: the kind that it is in, or nothing.
        parent_column: the column that names what it is in.
        media: the fields that hold assets, by their columns.
    """

    entity: Entity
    create: Operation[Any]
    parent: str = ""
    parent_column: str = ""
    media: Mapping[str, str] = types.MappingProxyType({})

    @property
    def plural(self) -> str:
        """The plural of its name, by which it is known."""
        return self.entity.plural

    @property
    def draft(self) -> DraftKind:
        """The operations of its drafts."""
        return DRAFT_KINDS[self.plural]

    @property
    def parent_field(self) -> str:
        """The field that holds the id of what it is in."""
        return f"{self.parent_column}_id" if self.parent_column else ""

    @functools.cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns of a new row: what it takes to make a live one, with words for its parent and its media."""
        found = {
            name: column for name, column in columns_of(self.create.body).items() if column.writes != self.parent_field
        }
        for name in (self.parent_column, *self.media):
            if name:
                found[name] = Column(name, Kind.TEXT, str)
        if self.parent == AD_SETS.plural:
            found["campaign"] = Column("campaign", Kind.TEXT, str)
        return types.MappingProxyType(found)

    @functools.cached_property
    def held_by_drafts(self) -> frozenset[str]:
        """The fields that a draft holds."""
        return frozenset(field.encode_name for field in msgspec.structs.fields(self.draft.create.body))

    def written(self, draft: msgspec.Struct) -> dict[str, Any]:
        """What may be written of a draft, without its status, which the server moves by itself."""
        shape = shape_of(self.draft.create.body, self.draft.create.answer)
        state: dict[str, Any] = msgspec.json.decode(state_of(draft))
        return {
            name: sendable(value, shape, name)
            for name, value in state.items()
            if name in shape.known and name != "status" and value is not None
        }


NEW_KINDS: Mapping[str, NewKind] = types.MappingProxyType(
    {
        CAMPAIGNS.plural: NewKind(
            entity=CAMPAIGNS,
            create=operations.CREATE_CAMPAIGN,
        ),
        AD_SETS.plural: NewKind(
            entity=AD_SETS,
            create=operations.CREATE_AD_SET,
            parent=CAMPAIGNS.plural,
            parent_column="campaign",
        ),
        ADS.plural: NewKind(
            entity=ADS,
            create=operations.CREATE_AD,
            parent=AD_SETS.plural,
            parent_column="ad_set",
            media=types.MappingProxyType(
                {
                    "media": "assets.asset_id",
                    "logo": "assets.logo_asset_id",
                    "companion": "assets.companion_asset_id",
                    "canvas": "assets.canvas_asset_id",
                }
            ),
        ),
    }
)
"""By the plural name, parents before children."""


def folded(name: str) -> str:
    """A name as names are compared: whatever its letters' case, how its accents are composed, and its blanks."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


@functools.cache
def new_columns() -> Mapping[str, Mapping[str, Column]]:
    """The columns of new rows, by the plural name of the kind."""
    return {plural: kind.columns for plural, kind in NEW_KINDS.items()}


def lacking(struct: type[msgspec.Struct], body: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The fields that must be there and are not, all at once, as the columns that hold them: ``budget.amount``."""
    found: list[str] = []
    for field in msgspec.structs.fields(struct):
        name = f"{prefix}{field.encode_name}"
        inner = inner_struct(field.type)
        value = body.get(field.encode_name)
        if inner is not None and (field.required or value is not None):
            held: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
            found += lacking(inner, held, f"{name}.") or ([] if value is not None else _whole(inner, name))
        elif field.required and value is None:
            found.append(in_units(name) if name.endswith(MICROS) else name)
    return found


def _whole(inner: type[msgspec.Struct], name: str) -> list[str]:
    """An object that must be there, though nothing in it must."""
    parts = [f"{name}.{field.encode_name}" for field in msgspec.structs.fields(inner)]
    return [f"{name} (one of {', '.join(parts[:3])}…)" if len(parts) > 3 else name]
