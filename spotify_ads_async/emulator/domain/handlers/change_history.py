"""The change history, as it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.clock import stamp
from spotify_ads_async.emulator.domain.tables import Row

RETENTION_DAYS = 180
_ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "TIMESTAMP": lambda row: (row["timestamp"], row["number"]),
    "ENTITY_TYPE": lambda row: (row["entity_type"], row["number"]),
    "PRINCIPAL_TYPE": lambda row: (row["actor"]["principal_type"], row["number"]),
}


def get_change_history(call: Call) -> Response:
    """``getChangeHistory``: newest first unless asked otherwise; the last 180 days."""
    query = call.query
    entity_type, name = query.get("entity_type"), query.get("entity_name", "").lower()
    if name and entity_type is None:
        raise refused("entity_name: entity_type is needed with it")
    oldest = max(query.get("created_gte", ""), stamp(call.store.clock.now() - timedelta(days=RETENTION_DAYS)))
    newest = query.get("created_lte", "9")
    entities, changes = _lower(query.get("entity_ids")), _lower(query.get("change_ids"))
    actors, category, principal = query.get("actor_ids"), query.get("change_category"), query.get("principal_type")

    def keep(row: Row) -> bool:
        return (
            oldest <= row["timestamp"] <= newest
            and (entity_type is None or row["entity_type"] == entity_type)
            and (entities is None or row["entity_id"] in entities)
            and (changes is None or row["change_id"] in changes)
            and (not name or name in row["entity_name"].lower())
            and (actors is None or row["actor"]["principal_id"] in actors)
            and (principal is None or row["actor"]["principal_type"] == principal)
            and (category is None or any(change["change_category"] == category for change in row["changes"]))
        )

    numbered = [{**row, "number": number} for number, row in enumerate(call.account.changes) if keep(row)]
    numbered.sort(key=_ORDERS[query["sort_field"]], reverse=query["sort_direction"] == "DESC")
    answer = page(call, numbered, "change_history")
    for row in answer.content["change_history"]:
        del row["number"]
    return answer


def _lower(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(value.lower() for value in values)
