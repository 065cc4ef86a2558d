"""The change history: what every save did, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, cast

from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["record"]

CATEGORIES: Mapping[str, str] = {
    "status": "STATUS",
    "delivery": "STATUS",
    "is_paused": "STATUS",
    "pause_reason": "STATUS",
    "budget": "BUDGET",
    "bid_micro_amount": "BUDGET",
    "base_rate_micro_amount": "BUDGET",
    "cost_modifiers": "BUDGET",
    "bid_strategy": "BUDGET",
    "targets": "TARGETING",
    "start_time": "SCHEDULING",
    "end_time": "SCHEDULING",
    "pacing": "SCHEDULING",
    "assets": "CREATIVE",
    "catalog": "CREATIVE",
    "call_to_action": "CREATIVE",
    "advertiser_name": "CREATIVE",
    "tagline": "CREATIVE",
    "billing_address": "BILLING",
    "tax_id": "BILLING",
    "legal_entity_name": "BILLING",
}
MOST_KEPT = 20_000
"""Changes that an ad account's history holds at most."""

_SILENT = frozenset({"id", "created_at", "updated_at"})


def record(account: Account, entity_type: str, before: Row | None, after: Row) -> None:
    """Record one save of an entity; ``before`` is None for a creation. A save that changed nothing leaves no trace."""
    old = before or {}
    changes: list[dict[str, Any]] = [
        {
            "field_type": name,
            "display_label": name.replace("_", " ").capitalize(),
            "change_category": CATEGORIES.get(name, "SETTINGS"),
            "before": _state(old.get(name)),
            "after": _state(after.get(name)),
        }
        for name in after.keys() | old.keys()
        if name not in _SILENT and old.get(name) != after.get(name)
    ]
    if not changes:
        return
    changes.sort(key=lambda change: change["field_type"])
    store = account.store
    _make_room(account)
    account.changes.put(
        {
            "change_id": store.new_id(),
            "timestamp": store.clock.text(),
            "entity_type": entity_type,
            "entity_id": after["id"],
            "entity_name": after.get("name", f"Unnamed {entity_type}"),
            "operation": "CREATED" if before is None else "CHANGED",
            "actor": {
                "principal_id": store.user.member_id,
                "principal_type": "USER",
                "name": store.user.name,
                "email": store.user.email_address,
                "category": "ADVERTISER_USER",
            },
            "changes": changes,
        }
    )


def _make_room(account: Account) -> None:
    """Forget the oldest changes, many at once, so that a long run does not grow without end."""
    if len(account.changes) >= MOST_KEPT:
        for identifier in list(islice(account.changes.rows, MOST_KEPT // 5)):
            account.changes.remove(identifier)


def _state(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {} if value is None else {"value": value}
