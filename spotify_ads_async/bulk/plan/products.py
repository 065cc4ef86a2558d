"""The rules of ad products for one plan.

The catalogue read once, and every row held to what its campaign's product takes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import anyio
import msgspec

from spotify_ads_async.ad_products import AdProducts
from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.bulk.plan.columns import Kind
from spotify_ads_async.bulk.plan.effects import Refusal
from spotify_ads_async.bulk.plan.state import state_of
from spotify_ads_async.pagination.page import Caller
from spotify_ads_async.validation.ad_products import EntityKind

__all__ = ["KINDS", "PlannedProducts", "remarks_of"]

_MOST_TOLD = 10

KINDS: Mapping[str, EntityKind] = {"campaigns": "campaign", "ad sets": "ad_set", "ads": "ad"}
"""What the catalogue calls the kinds of things, by their plural."""


class PlannedProducts:
    """What the catalogue of ad products asks of the rows of one plan.

    Args:
        caller: makes the calls.
        ad_account_id: where the rows are.
        entity: what they are about.
        products: the catalogue, where it is read already.

    Attributes:
        columns: the columns that rows may change, told of before anything is learnt.
    """

    def __init__(self, caller: Caller, ad_account_id: str, entity: Entity, products: AdProducts | None = None) -> None:
        self._caller = caller
        self._ad_account_id = ad_account_id
        self._entity = entity
        self._kind: EntityKind = KINDS[entity.plural]
        self._parent = entity.parent_field
        self._products = products
        self.columns: set[str] = set()
        self._matter: bool | None = None
        self._changed: set[str] = set()
        self._turn = anyio.Lock()

    async def learn(self, items: Iterable[msgspec.Struct | None] = ()) -> None:
        """Find the ad products of what was read, before it is decided on; with the first of it, read the catalogue.

        Raises:
            SpotifyAdsError: the campaigns cannot be read.
        """
        async with self._turn:
            if self._products is None:
                self._products = await AdProducts.read(self._caller)
            if self._matter is None:
                self._matter = self._are_asked(self._products)
            if self._matter:
                await self._products.learn(self._caller, self._ad_account_id, self._kind, self._rows(items))

    def _are_asked(self, products: AdProducts) -> bool:
        """Whether it matters which products rows are of: some rule is about what they change.

        Most files change names and amounts, which are alike for all, and campaigns need not be asked about.
        """
        columns = [self._entity.columns[name] for name in self.columns]
        if products.matters(self._kind, "update", {column.field for column in columns}):
            return True
        sentences = products.reserved_sentences(self._kind, "update")
        # What an object holds may be named by any.
        is_whole = any(column.kind is Kind.JSON for column in columns)
        return bool(sentences) and (is_whole or bool(_naming({column.writes for column in columns}, sentences)))

    def _rows(self, items: Iterable[msgspec.Struct | None]) -> Iterable[Mapping[str, Any]]:
        """What tells the products of what was read, once for all that are in the same.

        A campaign's own is in its JSON alone, for the document does not have it.
        """
        if self._kind == "campaign":
            return (msgspec.json.decode(state_of(item)) for item in items if item is not None)
        return [{self._parent: parent} for parent in {getattr(item, self._parent, None) for item in items}]

    def broken(
        self, state: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], names: Iterable[str]
    ) -> Refusal | None:
        """The refusal of a row whose requests break a rule; what stands in the present state is never the reason.

        Args:
            state: the present state.
            steps: the requests.
            names: the dotted names of what changes in them.
        """
        if self._products is None:
            return None
        self._changed.update(names)
        if not self._matter:
            return None
        product = self._products.product(self._kind, state)
        for body in steps:
            for violation in self._products.violations(product, self._kind, "update", body, state):
                return Refusal(column=violation.field, reason=violation.rule)
        return None

    def remarks(self) -> list[str]:
        """What the plan says of it: that the rules could not be read, or those for people that name what changes."""
        if self._products is None:
            return []
        if self._products.problem:
            return [self._products.problem]
        return remarks_of(_naming(self._changed, self._products.sentences(self._kind, "update")))


def _naming(fields: Collection[str], sentences: Iterable[str]) -> list[str]:
    """The sentences that name some of the fields."""
    named = re.compile(rf"(?<![\w.])(?:{'|'.join(map(_names, sorted(fields)))})s?(?!\.?\w)", re.IGNORECASE)
    return [one for one in sentences if fields and named.search(one)]


def _names(field: str) -> str:
    """What a rule may call a field, as a pattern: itself, its last part, what holds it, and what people say."""
    *holders, last = field.split(".")
    said = [last.removesuffix("_micro_amount"), *(["flight"] if last in {"start_time", "end_time"} else [])]
    return "|".join(re.escape(one).replace("_", "[_ ]") for one in (field, last, *holders, *said))


def remarks_of(sentences: Sequence[str]) -> list[str]:
    """Rules that only people can read, as remarks of a plan; not so many that nobody reads them."""
    told = [f"a rule of the ad product, for people to look at: {one}" for one in sentences[:_MOST_TOLD]]
    more = len(sentences) - _MOST_TOLD
    return [*told, f"… and {more} rules more: spotify-ads call getAdProductCatalog"] if more > 0 else told
