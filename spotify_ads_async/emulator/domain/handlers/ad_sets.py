"""Ad sets: create, read, change, list; and the rules that hold among their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle, islice
from typing import Any

from spotify_ads_async.emulator.domain import ad_products
from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.clock import parse
from spotify_ads_async.emulator.domain.history import record
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["DEFAULT_FREQUENCY_CAPS", "DEFAULT_PLATFORMS", "ORDERS", "add_ad_sets", "made_ad_set"]

DEFAULT_FREQUENCY_CAPS: list[dict[str, Any]] = [
    {"frequency_unit": "DAY", "frequency_period": 1, "max_impressions": 5},
    {"frequency_unit": "WEEK", "frequency_period": 1, "max_impressions": 35},
    {"frequency_unit": "MONTH", "frequency_period": 1, "max_impressions": 50},
]
"""What an absent or empty ``frequency_caps`` stands for: the most that is allowed."""

DEFAULT_PLATFORMS = ["ANDROID", "DESKTOP", "IOS"]
"""What absent or empty ``targets.platforms`` stand for."""

PAUSED = {"is_paused": True, "pause_reason": "USER_PAUSED"}

ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "CREATED_AT": lambda row: row["created_at"],
    "UPDATED_AT": lambda row: row["updated_at"],
    "NAME": lambda row: row.get("name", ""),
    "STATUS": lambda row: row.get("status", ""),
    "BUDGET": lambda row: row.get("budget", {}).get("micro_amount", 0),
    "START_DATE_TIME": lambda row: row.get("start_time", ""),
    "END_DATE_TIME": lambda row: row.get("end_time", "9"),
}
"""How ad sets and their drafts are sorted; a draft may lack any of it."""


def check_rules(row: Row) -> None:
    """Refuse an ad set whose fields contradict one another."""
    budget, targets = row["budget"], row["targets"]
    if row["bid_strategy"] == "UNSET":
        raise refused("bid_strategy: UNSET is for answers only")
    if budget["micro_amount"] <= 0:
        raise refused("budget.micro_amount: must be greater than 0")
    if budget["type"] == "LIFETIME" and "end_time" not in row:
        raise refused("end_time: required when budget.type is LIFETIME")
    if "end_time" in row and parse(row["end_time"]) <= parse(row["start_time"]):
        raise refused("end_time: must be later than start_time")
    if row["bid_strategy"] in {"MAX_BID", "COST_PER_RESULT"} and row.get("bid_micro_amount", 0) <= 0:
        raise refused(f"bid_micro_amount: required, greater than 0, when bid_strategy is {row['bid_strategy']}")
    if not targets.get("placements"):
        raise refused("targets.placements: at least one of MUSIC and PODCAST is needed")
    for index, ages in enumerate(targets.get("age_ranges", ())):
        if ages.get("min", 13) > ages.get("max", 99):
            raise refused(f"targets.age_ranges[{index}]: min is greater than max")
    exclusions = targets.get("sensitive_topic_exclusions", {})
    if exclusions.get("topics") and "filter_option" in exclusions:
        raise refused("targets.sensitive_topic_exclusions: filters are set by topic or for all topics, not both")


def _targets(targets: Row) -> Row:
    return targets if targets.get("platforms") else {**targets, "platforms": DEFAULT_PLATFORMS}


def _state(row: Row, now: str) -> str:
    """The status of a live ad set at this moment of its flight."""
    if row["start_time"] > now:
        return "READY"
    return "COMPLETED" if row.get("end_time", "9") <= now else "ACTIVE"


def made_ad_set(account: Account, body: Row, identifier: str | None = None) -> Row:
    """The ad set that a request makes, whose campaign is known to be there; nothing is put."""
    store = account.store
    now = store.clock.text()
    row: Row = {
        "pacing": "PACING_EVEN",
        "delivery": "ON",
        "cost_model": "CPM",
        "video_delivery_formats": ["IN_STREAM", "OPT_IN"] if body["asset_format"] == "VIDEO" else [],
        **{name: value for name, value in body.items() if name != "placements"},
        "id": identifier or store.new_id(),
        "campaign_id": body["campaign_id"].lower(),
        "created_at": now,
        "updated_at": now,
        "budget": {**body["budget"], "currency": account.currency},
        "frequency_caps": body.get("frequency_caps") or DEFAULT_FREQUENCY_CAPS,
        "targets": _targets(body["targets"]),
        "is_paused": False,
    }
    if row["delivery"] == "OFF":
        row |= PAUSED
    check_rules(row)
    row["status"] = _state(row, now)
    return row


def new_ad_set(account: Account, body: Row) -> Row:
    """Put a new ad set made from a request that was checked."""
    campaign_id = body["campaign_id"].lower()
    if campaign_id not in account.campaigns:
        raise refused(f"campaign_id: campaign {campaign_id} was not found")
    if account.campaigns.get(campaign_id)["status"] == "ARCHIVED":
        raise refused(f"campaign_id: campaign {campaign_id} is archived")
    ad_products.hold("ad_set", "create", body, account.campaigns.get(campaign_id))
    row = account.ad_sets.put(made_ad_set(account, body))
    record(account, "AD_SET", None, row)
    return row


def add_ad_sets(account: Account, count: int) -> list[str]:
    """Put new ad sets that are like those of the account but for id, name and age; their ids."""
    now = account.store.clock.text()
    ids: list[str] = []
    for row in islice(cycle(list(account.ad_sets)), count):
        copy = {
            **row,
            "id": account.store.new_id(),
            "name": f"{row['name']} (copy)",
            "created_at": now,
            "updated_at": now,
        }
        account.ad_sets.put(copy)
        record(account, "AD_SET", None, copy)
        ids.append(copy["id"])
    return ids


def changed_ad_set(account: Account, row: Row, body: Row) -> Row:
    """The row with a request's changes: empty lists reset to the defaults, ``targets`` merge by attribute."""
    changed = {**row, **body, "updated_at": account.store.clock.text()}
    if "budget" in body:
        changed["budget"] = {**body["budget"], "currency": account.currency}
    if body.get("frequency_caps") == []:
        changed["frequency_caps"] = DEFAULT_FREQUENCY_CAPS
    if "targets" in body:
        merges = account.store.patch is PatchMode.MERGE
        changed["targets"] = _targets({**row["targets"], **body["targets"]} if merges else body["targets"])
    if "delivery" in body:
        changed.pop("pause_reason", None)
        changed |= PAUSED if body["delivery"] == "OFF" else {"is_paused": False}
    check_rules(changed)
    if row["status"] in {"READY", "ACTIVE", "COMPLETED"}:
        changed["status"] = _state(changed, changed["updated_at"])
    return changed


def create_ad_set(call: Call) -> Response:
    """``createAdSet``."""
    return Response(new_ad_set(call.account, call.body), status=201)


def get_ad_set_by_id(call: Call) -> Response:
    """``getAdSetById``."""
    return Response(call.account.ad_sets.get(call.path["ad_set_id"]))


def update_ad_set(call: Call) -> Response:
    """``updateAdSet``: ``delivery`` only alone, archived ad sets not at all."""
    account, body = call.account, call.body
    row = account.ad_sets.get(call.path["ad_set_id"])
    if row["status"] == "ARCHIVED":
        raise refused("status: an archived ad set cannot be changed")
    if "delivery" in body and len(body) > 1:
        raise refused("delivery: must be the only field of the request")
    ad_products.hold("ad_set", "update", body, account.campaigns.get(row["campaign_id"]), row)
    changed = account.ad_sets.put(changed_ad_set(account, row, body))
    record(account, "AD_SET", row, changed)
    return Response(changed)


def get_ad_sets_by_ad_account_id(call: Call) -> Response:
    """``getAdSetsByAdAccountId``."""
    account, query = call.account, call.query
    campaigns, statuses, name = query.get("campaign_ids"), query.get("statuses"), query.get("name", "").lower()
    of_campaigns = None if campaigns is None else frozenset(identifier.lower() for identifier in campaigns)

    def keep(row: Row) -> bool:
        return (
            (of_campaigns is None or row["campaign_id"] in of_campaigns)
            and (statuses is None or row["status"] in statuses)
            and (not name or name in row["name"].lower())
        )

    field, direction = query["sort_field"], query["sort_direction"]
    question = (of_campaigns, tuple(statuses or ()), name, field, direction)
    everything = of_campaigns is None and statuses is None and not name
    rows = account.ad_sets.select(question, None if everything else keep, ORDERS[field], descending=direction == "DESC")
    return page(call, rows, "ad_sets")
