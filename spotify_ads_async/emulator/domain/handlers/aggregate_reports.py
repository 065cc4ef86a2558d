"""Aggregate reports and totals: metrics per entity and time, page by page behind a continuation token."""

from __future__ import annotations

import base64
import hmac
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.answers import Response, missing, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.clock import parse, stamp
from spotify_ads_async.emulator.domain.delivery import measured
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["ads_below", "entities", "stats"]

MOST_DAYS = 90
MOST_HOURLY_DAYS = 14
MOST_ENTITIES = 50
_LEVELS = ("AD", "AD_SET", "CAMPAIGN")
_STATUSES = {
    "AD": frozenset(
        {"ACTIVE", "APPROVED", "ARCHIVED", "PENDING", "PENDING_APPROVAL", "PENDING_ADVERTISER_APPROVAL", "REJECTED"}
    ),
    "AD_SET": frozenset(
        {
            "ACTIVE",
            "APPROVED",
            "ARCHIVED",
            "COMPLETED",
            "PENDING_APPROVAL",
            "PENDING_ADVERTISER_APPROVAL",
            "READY",
            "REJECTED",
        }
    ),
    "CAMPAIGN": frozenset({"ACTIVE", "ARCHIVED", "PAUSED"}),
}
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_STEPS = {"DAY": timedelta(days=1), "HOUR": timedelta(hours=1)}


def _table(account: Account, level: str) -> Iterable[Row]:
    return {"AD": account.ads, "AD_SET": account.ad_sets, "CAMPAIGN": account.campaigns}[level]


def ads_below(account: Account, level: str) -> dict[str, list[Row]]:
    """The ads of each entity of a level, by its id."""
    if level == "AD_ACCOUNT":
        return {account.id: list(account.ads)}
    below: dict[str, list[Row]] = {}
    for ad in account.ads:
        if level == "AD":
            identifier = ad["id"]
        elif level == "AD_SET":
            identifier = ad["ad_set_id"]
        else:
            identifier = account.ad_sets.get(ad["ad_set_id"])["campaign_id"]
        below.setdefault(identifier, []).append(ad)
    return below


def _parent_id(account: Account, level: str, row: Row) -> str:
    return row["ad_set_id"] if level == "AD" else row["campaign_id"] if level == "AD_SET" else account.id


def _belongs(account: Account, level: str, row: Row, ids: frozenset[str], ids_level: str) -> bool:
    """Whether one of ``ids``, of the same level or one above, is the row or holds it."""
    while level != ids_level:
        if level not in {"AD", "AD_SET"}:
            return False
        identifier = _parent_id(account, level, row)
        level = _LEVELS[_LEVELS.index(level) + 1]
        row = (account.ad_sets if level == "AD_SET" else account.campaigns).get(identifier)
    return row["id"] in ids


def entities(account: Account, level: str, query: dict[str, Any]) -> list[Row]:
    """The entities of a level that a report is about."""
    if level == "AD_ACCOUNT":
        return [account.row]
    statuses = query.get("statuses") or None
    ids = frozenset(identifier.lower() for identifier in query.get("entity_ids", ()))
    ids_level = query.get("entity_ids_type", level)
    return [
        row
        for row in _table(account, level)
        if (statuses is None or row["status"] in statuses)
        and (not ids or _belongs(account, level, row, ids, ids_level))
    ]


def stats(fields: Iterable[str], counts: dict[str, int]) -> list[Row]:
    """The metrics of a row; one without a value is left out."""
    found = ((field, measured(field, counts)) for field in dict.fromkeys(fields))
    return [{"field_type": field, "field_value": value} for field, value in found if value is not None]


def check_entities(query: dict[str, Any], level: str) -> None:
    """Refuse ids and statuses that lack their type or contradict the level."""
    ids, statuses = query.get("entity_ids") or (), query.get("statuses") or ()
    if level == "AD_ACCOUNT" and (ids or statuses or query.get("entity_ids_type") or query.get("entity_status_type")):
        raise refused("entity_type: AD_ACCOUNT takes neither ids nor statuses")
    if ids and "entity_ids_type" not in query:
        raise refused("entity_ids_type: required with entity_ids")
    if len(ids) > MOST_ENTITIES:
        raise refused(f"entity_ids: at most {MOST_ENTITIES}")
    if statuses and "entity_status_type" not in query:
        raise refused("entity_status_type: required with statuses")
    if "entity_status_type" in query and query["entity_status_type"] != level:
        raise refused(f"entity_status_type: must equal entity_type, {level}")
    wrong = [status for status in statuses if status not in _STATUSES.get(level, frozenset())]
    if wrong:
        raise refused(f"statuses: {wrong[0]} is no status of {level}")


def _range(query: dict[str, Any], granularity: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The report's range, the end as it comes: inclusive."""
    start, end = (parse(query[name]) if name in query else None for name in ("report_start", "report_end"))
    if granularity == "LIFETIME":
        start, end = (None if moment is None else moment.replace(hour=0, minute=0, second=0) for moment in (start, end))
        return start, end
    if start is None or end is None:
        raise refused(f"report_start, report_end: required when granularity is {granularity}")
    if end < start:
        raise refused("report_end: must not be earlier than report_start")
    if end > _END_OF_TIME - timedelta(days=1):
        raise refused("report_end: leaves the calendar")
    if granularity == "DAY":
        if any((moment.hour, moment.minute, moment.second) != (0, 0, 0) for moment in (start, end)):
            raise refused("report_start, report_end: midnights are needed when granularity is DAY")
        if (end - start).days >= MOST_DAYS:
            raise refused(f"report_end: at most {MOST_DAYS} days")
        return start, end
    if any((moment.minute, moment.second) != (0, 0) for moment in (start, end)):
        raise refused("report_start, report_end: whole hours are needed when granularity is HOUR")
    if start < now - timedelta(days=MOST_HOURLY_DAYS) - timedelta(hours=1):
        raise refused(f"report_start: hourly reports reach back {MOST_HOURLY_DAYS} days")
    return start, end


def buckets(
    start: datetime | None, end: datetime | None, granularity: str
) -> list[tuple[datetime | None, datetime | None]]:
    """The report's times: one for LIFETIME, else one a day or hour, the last one included."""
    if granularity == "LIFETIME" or start is None or end is None:
        return [(start, None if end is None else end + timedelta(days=1))]
    step = _STEPS[granularity]
    return [(start + number * step, start + (number + 1) * step) for number in range((end - start) // step + 1)]


def _checked(query: dict[str, Any], now: datetime) -> tuple[str, datetime | None, datetime | None]:
    """Refuse what the parameters' descriptions forbid; the entity type and the range."""
    level, granularity = query.get("entity_type"), query["granularity"]
    if level is None:
        raise refused("entity_type: required without a continuation_token")
    if not query.get("fields"):
        raise refused("fields: required without a continuation_token")
    check_entities(query, level)
    if query["include_parent_entity"] and level in {"AD_ACCOUNT", "CAMPAIGN"}:
        raise refused(f"include_parent_entity: {level} has no parent in reports")
    if granularity == "LIFETIME" and ("report_start" in query or "report_end" in query):
        raise refused("report_start, report_end: not permitted when granularity is LIFETIME")
    if granularity != "LIFETIME" and level != "AD_ACCOUNT" and not query.get("entity_ids"):
        raise refused(f"entity_ids: required when granularity is {granularity}")
    if granularity != "LIFETIME" and query.get("entity_ids") and query["entity_ids_type"] != level:
        raise refused(f"entity_ids_type: must equal entity_type when granularity is {granularity}")
    return level, *_range(query, granularity, now)


def _token(secret: bytes, query: dict[str, Any], at: int) -> str:
    """The rest of a report as a token: signed, and in base64 with the characters that a URL has to encode."""
    content = zlib.compress(msgspec.json.encode({**query, "at": at}))
    return base64.b64encode(hmac.digest(secret, content, "sha256") + content).decode()


def _continued(secret: bytes, text: str) -> dict[str, Any]:
    try:
        signed = base64.b64decode(text, validate=True)
    except ValueError:
        signed = b""
    if not hmac.compare_digest(signed[:32], hmac.digest(secret, signed[32:], "sha256")):
        raise refused("continuation_token: not one that this report answered")
    return msgspec.json.decode(zlib.decompress(signed[32:]), type=dict[str, Any])


def get_aggregate_report(call: Call) -> Response:
    """``getAggregateReport``: with a token every other parameter is ignored, and a warning says so."""
    account, query = call.account, call.query
    warnings: list[str] = []
    at = 0
    if query.get("continuation_token"):
        if query.keys() - {"continuation_token", "granularity", "include_parent_entity", "limit"}:
            warnings.append("continuation_token was given: every other parameter is ignored")
        query = _continued(call.store.secret, query["continuation_token"])
        at = query.pop("at")
    level, start, end = _checked(query, call.store.clock.now())
    rows = entities(account, level, query)
    times = buckets(start, end, query["granularity"])
    limit = query["limit"]
    below = ads_below(account, level)
    places = range(at, min(at + limit, len(rows) * len(times)))
    found: list[Row] = []
    for place in places:
        entity, (first, last) = rows[place // len(times)], times[place % len(times)]
        counts = account.delivery.counts(below.get(entity["id"], ()), first, last)
        row = _row(account, level, entity, query, counts)
        if first is not None and last is not None:
            row |= {"start_time": stamp(first), "end_time": stamp(last)}
        found.append(row)
    more = at + limit < len(rows) * len(times)
    return Response(
        {
            "continuation_token": _token(call.store.secret, query, at + limit) if more else "",
            **({} if start is None else {"report_start": stamp(start)}),
            **({} if end is None else {"report_end": stamp(end)}),
            "granularity": query["granularity"],
            "rows": found,
            "warnings": warnings,
        }
    )


def _row(account: Account, level: str, row: Row, query: dict[str, Any], counts: dict[str, int]) -> Row:
    """One row of the report, without its time."""
    answer: Row = {
        "entity_type": level,
        "entity_id": row["id"],
        "entity_name": row.get("name", ""),
        "entity_status": row["status"],
        "stats": stats(query["fields"], counts),
    }
    if query["include_parent_entity"]:
        parent = (account.ad_sets if level == "AD" else account.campaigns).get(_parent_id(account, level, row))
        answer["parent_entity"] = {name: parent[name] for name in ("id", "name", "status")}
    return answer


def get_aggregated_totals(call: Call) -> Response:
    """``getAggregatedTotals``: one row over all entities named, or one a day."""
    account, query = call.account, call.query
    level, granularity = query["entity_type"], query["granularity"]
    if level == "AD_ACCOUNT":
        raise refused("entity_type: AD_ACCOUNT is for getAggregateReport")
    if granularity == "HOUR":
        raise refused("granularity: HOUR is for getAggregateReport")
    start, end = _range(query, granularity, call.store.clock.now())
    if granularity == "LIFETIME" and start is not None and end is not None and not 0 <= (end - start).days < MOST_DAYS:
        raise refused(f"report_end: at most {MOST_DAYS} days after report_start")
    below = ads_below(account, level)
    table = {row["id"] for row in _table(account, level)}
    ids = list(dict.fromkeys(identifier.lower() for identifier in query["entity_ids"]))
    for identifier in ids:
        if identifier not in table:
            raise missing(level, identifier)
    ads = [ad for identifier in ids for ad in below.get(identifier, ())]
    rows: list[Row] = []
    for first, last in buckets(start, end, granularity):
        row: Row = {"stats": stats(query["fields"], account.delivery.counts(ads, first, last))}
        if granularity == "DAY" and first is not None and last is not None:
            row |= {"start_time": stamp(first), "end_time": stamp(last)}
        rows.append(row)
    return Response({"granularity": granularity, "rows": rows})
