"""Reports: ranges, entities and metrics, as the parameters' descriptions state them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from spotify_ads_async.types import UNSET
from spotify_ads_async.validation.refused import Refused
from spotify_ads_async.validation.rules.base import Body, Value, at, given, listed

LONGEST_REPORT = timedelta(days=90)
LONGEST_ASYNC_REPORT = timedelta(days=365)
HOURS_REACH_BACK = timedelta(weeks=2)
MOST_ENTITIES = 50
NO_INSIGHT_METRICS = frozenset(
    ("E_CPCL", "FREQUENCY", "OFF_SPOTIFY_IMPRESSIONS", "PAID_LISTENS_FREQUENCY", "SKIPS", "SPEND", "STARTS", "UNMUTES")
)
# Schema ReportEntityStatus.
STATUSES: Mapping[str, frozenset[str]] = {
    "AD": frozenset(("APPROVED", "ARCHIVED", "PENDING", "PENDING_APPROVAL", "PENDING_ADVERTISER_APPROVAL", "REJECTED")),
    "AD_SET": frozenset(
        (
            "ACTIVE",
            "APPROVED",
            "ARCHIVED",
            "COMPLETED",
            "PENDING_APPROVAL",
            "PENDING_ADVERTISER_APPROVAL",
            "READY",
            "REJECTED",
        )
    ),
    "CAMPAIGN": frozenset(("ACTIVE", "ARCHIVED", "PAUSED")),
}
# CreateAsyncReportRequest.statuses.
ASYNC_STATUSES: Mapping[str, frozenset[str]] = {
    "AD": frozenset(("ACTIVE", "PENDING_APPROVAL", "REJECTED")),
    "AD_SET": frozenset(("ACTIVE", "COMPLETED", "PENDING_APPROVAL", "REJECTED")),
    "CAMPAIGN": frozenset(("ACTIVE", "COMPLETED", "PAUSED", "PENDING_APPROVAL", "REJECTED", "STOPPED")),
}
_CARDS = ("CARD_", "CAROUSEL_")
"""How the names of what is about the cards of carousels begin."""
_OF_CARDS = frozenset(("AD_NAME", "CAROUSEL_CARD"))
_REPORT_NAME = r"[\w\- ]{2,120}"
_MIDNIGHT = time()


def continuation_alone(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameter continuation_token: nothing beside it; without it, ``entity_type`` and ``fields`` are required."""
    if given(query.get("continuation_token", UNSET)):
        others = [name for name, value in query.items() if name != "continuation_token" and value is not UNSET]
        if others:
            raise Refused(UNSET, f"must be sent alone, without {listed(others)}", ".continuation_token")
    else:
        _required(query, "entity_type", "fields")


def insight_needs(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameters insight_dimension and fields: required, for there is no continuation."""
    _required(query, "insight_dimension", "fields")


def _required(query: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not query.get(name):
            raise Refused(UNSET, "is required", f".{name}")


def entities(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameters entity_ids, entity_ids_type, statuses and entity_status_type of aggregate reports."""
    kind, ids, statuses = query.get("entity_type"), query.get("entity_ids") or (), query.get("statuses") or ()
    ids_kind, status_kind = query.get("entity_ids_type"), query.get("entity_status_type")
    if len(ids) > MOST_ENTITIES:
        raise Refused(ids, f"must hold at most {MOST_ENTITIES} ids", ".entity_ids")
    if kind == "AD_ACCOUNT":
        for name in ("entity_ids", "entity_ids_type", "statuses", "entity_status_type"):
            if query.get(name):
                raise Refused(query[name], "must be left out with entity_type AD_ACCOUNT", f".{name}")
    if ids and not given(query.get("entity_ids_type", UNSET)):
        raise Refused(UNSET, "is required beside entity_ids", ".entity_ids_type")
    granularity = query.get("granularity", "LIFETIME")
    if granularity in {"DAY", "HOUR"} and kind in STATUSES and not ids:
        raise Refused(
            UNSET,
            f"is required with granularity {granularity!s}: iterate over the report to have them listed",
            ".entity_ids",
        )
    if ids_kind and kind and granularity != "LIFETIME" and ids_kind != kind:
        raise Refused(
            ids_kind, f"must be entity_type, {kind!s}, unless the granularity is LIFETIME", ".entity_ids_type"
        )
    if status_kind and kind and status_kind != kind:
        raise Refused(status_kind, f"must be entity_type, {kind!s}", ".entity_status_type")
    _statuses(statuses, status_kind)


def insight_entities(query: Mapping[str, Any], _now: datetime | None) -> None:
    """The same parameters of insight reports: one ad set or campaign, statuses of ad sets."""
    ids_kind, status_kind = query.get("entity_ids_type"), query.get("entity_status_type")
    if query.get("entity_ids") and not ids_kind:
        raise Refused(UNSET, "is required beside entity_ids", ".entity_ids_type")
    if ids_kind and ids_kind not in {"AD_SET", "CAMPAIGN"}:
        raise Refused(ids_kind, "must be AD_SET or CAMPAIGN in an insight report", ".entity_ids_type")
    if status_kind and status_kind != "AD_SET":
        raise Refused(status_kind, "must be AD_SET in an insight report", ".entity_status_type")
    _statuses(query.get("statuses") or (), status_kind)


def _statuses(statuses: Value, kind: Value) -> None:
    if not statuses:
        return
    if not kind:
        raise Refused(UNSET, "is required beside statuses", ".entity_status_type")
    for index, status in enumerate(statuses):
        if status not in STATUSES.get(kind, (status,)):
            raise Refused(status, f"must be a status of {kind!s}: {listed(STATUSES[kind])}", f".statuses[{index}]")


def parent_entity(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameter include_parent_entity: for ad sets and ads, which have one."""
    kind = query.get("entity_type")
    if query.get("include_parent_entity") and kind not in {"AD", "AD_SET"}:
        raise Refused(
            query["include_parent_entity"],
            "must be left out unless entity_type is AD or AD_SET",
            ".include_parent_entity",
        )


def insight_metrics(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Schema ReportFieldType: metrics that insight reports do not have."""
    for index, metric in enumerate(query.get("fields") or ()):
        if metric in NO_INSIGHT_METRICS:
            raise Refused(
                metric, f"must be none of {listed(NO_INSIGHT_METRICS)} in an insight report", f".fields[{index}]"
            )


def totals(query: Mapping[str, Any], _now: datetime | None) -> None:
    """Parameters of getAggregatedTotals: no ad account, no hours; DAY needs a range."""
    if query.get("entity_type") == "AD_ACCOUNT":
        raise Refused(
            query["entity_type"], "must be CAMPAIGN, AD_SET or AD; getAggregateReport sums up accounts", ".entity_type"
        )
    if query.get("granularity") == "HOUR":
        raise Refused(query["granularity"], "must be DAY or LIFETIME", ".granularity")
    if query.get("granularity") == "DAY":
        _required(query, "report_start", "report_end")


def report_range(query: Mapping[str, Any], now: datetime | None) -> None:
    """Parameters report_start and report_end."""
    _range(query.get("report_start"), query.get("report_end"), query.get("granularity", "LIFETIME"), LONGEST_REPORT)
    if query.get("granularity") != "HOUR":
        return
    for name in ("report_start", "report_end"):
        moment = query.get(name)
        if not isinstance(moment, datetime):
            continue
        if moment.minute or moment.second:
            raise Refused(moment, "must be a whole hour", f".{name}")
        if now is not None and not now - HOURS_REACH_BACK <= moment <= now:
            raise Refused(
                moment,
                f"must lie within the two weeks before {now:%Y-%m-%dT%H:%M:%SZ}: hours are kept no longer",
                f".{name}",
            )


def _range(start: Value, end: Value, granularity: str, longest: timedelta) -> None:
    if granularity == "DAY":
        for name, moment in (("report_start", start), ("report_end", end)):
            if isinstance(moment, datetime) and moment.timetz().replace(tzinfo=None) != _MIDNIGHT:
                raise Refused(moment, "must be a midnight in UTC with granularity DAY", f".{name}")
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return
    if end < start:
        raise Refused(end, "must not be before report_start", ".report_end")
    if end - start > longest:
        raise Refused(end, f"must be at most {longest.days} days after report_start", ".report_end")


def async_report(body: Body, _now: datetime) -> None:
    """CreateAsyncReportRequest: its name, range, insights and statuses."""
    if not re.fullmatch(_REPORT_NAME, body.name):
        raise Refused(body.name, "must be 2 to 120 letters, digits, spaces, _ and -", ".name")
    if body.granularity == "DAY":
        for name in ("report_start", "report_end"):
            if not given(at(body, name)):
                raise Refused(UNSET, "is required with granularity DAY", f".{name}")
    _range(body.report_start, body.report_end, body.granularity, LONGEST_ASYNC_REPORT)
    if given(body.insight_dimension) and body.granularity != "LIFETIME":
        raise Refused(
            body.insight_dimension, "must be left out unless the granularity is LIFETIME", ".insight_dimension"
        )
    _carousel_cards(body)
    kind = primary_entity(body.dimensions)
    if kind == "AD_ACCOUNT" and body.campaign_ids:
        raise Refused(
            body.campaign_ids, "must be left out in a report on the ad account, which ignores it", ".campaign_ids"
        )
    for index, status in enumerate(body.statuses or ()):
        if status not in ASYNC_STATUSES.get(kind, (status,)):
            raise Refused(status, f"must be a status of {kind}: {listed(ASYNC_STATUSES[kind])}", f".statuses[{index}]")


def _carousel_cards(body: Body) -> None:
    """Schema AsyncReportDimension: what reports on carousel cards say of them is by card and ad."""
    asked = [str(one) for one in (*body.dimensions, *body.metrics) if str(one).startswith(_CARDS)]
    absent = _OF_CARDS.difference(map(str, body.dimensions))
    if asked and absent:
        raise Refused(UNSET, f"must hold {listed(_OF_CARDS)} in a report with {listed(asked)}", ".dimensions")


def primary_entity(dimensions: Value) -> str:
    """What the rows of an asynchronous report are about: the lowest level that its dimensions name."""
    names = [str(one) for one in dimensions]
    if any(name == "AD_NAME" or name.startswith(_CARDS) for name in names):
        return "AD"
    for kind in ("AD_SET", "CAMPAIGN"):
        if any(name.startswith(f"{kind}_") for name in names):
            return kind
    return "AD_ACCOUNT"
