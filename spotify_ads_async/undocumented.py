"""Operations that Spotify's own tooling uses and that stand in no document, beside those that do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from spotify_ads_async.operation import Operation, Repeat
from spotify_ads_async.operations import OPERATIONS

__all__ = ["EVERY_OPERATION", "GET_AD_PRODUCT_CATALOG", "UNDOCUMENTED"]

GET_AD_PRODUCT_CATALOG: Operation[Any] = Operation(
    id="getAdProductCatalog",
    method="GET",
    path="/ad_product_catalog",
    summary="Read the rules that hold for each ad product.",
    # Nobody promises its form: it is read by spotify_ads_async.validation.ad_products, which takes what it knows.
    answer=Any,
    repeat=Repeat.SAFE,
)

UNDOCUMENTED: Mapping[str, Operation[Any]] = MappingProxyType({GET_AD_PRODUCT_CATALOG.id: GET_AD_PRODUCT_CATALOG})
"""Operations of our own making by the name that they have here, as there is no operationId."""

EVERY_OPERATION: Mapping[str, Operation[Any]] = MappingProxyType({**OPERATIONS, **UNDOCUMENTED})
"""Those of the document, and the others."""
