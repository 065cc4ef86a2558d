"""The catalogue of ad products that the emulator serves and holds requests to.

It is in ``ad_products.json``: the form is Spotify's, the rules are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.tables import Row
from spotify_ads_async.validation.ad_products import DEFAULT_PRODUCT, Action, AdProductCatalog, EntityKind, product_of

__all__ = ["CATALOG", "hold", "reserved"]

_NEVER_KEPT: Mapping[str, str] = {"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate"}
CATALOG: Mapping[str, Any] = msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes())
_CATALOG = AdProductCatalog(CATALOG)


def get_ad_product_catalog(_call: Call) -> Response:
    """``getAdProductCatalog``."""
    return Response(CATALOG, headers=_NEVER_KEPT)


def hold(entity: EntityKind, action: Action, body: Row, campaign: Row, present: Row | None = None) -> None:
    """Refuse what breaks the rules of the campaign's ad product."""
    for violation in _CATALOG.rules(product_of(campaign), entity, action).violations(body, present):
        raise refused(f"{violation.field}: {violation.rule}")


def reserved(campaign: Row) -> Row:
    """What an answer says of a campaign's ad product: nothing for the default one."""
    product = product_of(campaign)
    return {} if product == DEFAULT_PRODUCT else {"ad_product": product}
