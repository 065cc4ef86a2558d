"""Insight reports: lifetime metrics by who listened and where, once there is enough to tell."""

from __future__ import annotations

from collections.abc import Mapping

from spotify_ads_async.emulator.domain import catalogue
from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.delivery import measured, split
from spotify_ads_async.emulator.domain.handlers.aggregate_reports import ads_below, check_entities, entities, stats
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["DIMENSIONS"]

FEWEST_IMPRESSIONS = 1000
"""Below this an insight report is refused with 422."""

NOT_IN_INSIGHTS = frozenset(
    {"E_CPCL", "FREQUENCY", "OFF_SPOTIFY_IMPRESSIONS", "PAID_LISTENS_FREQUENCY", "SKIPS", "SPEND", "STARTS", "UNMUTES"}
)


def _falling(names: list[str]) -> dict[str, float]:
    return {name: 1.0 / (number + 2) for number, name in enumerate(names)}


def _places(kind: str) -> dict[str, float]:
    return _falling([entry["name"] for entry in catalogue.GEOS if entry["type"] == kind])


DIMENSIONS: Mapping[str, Mapping[str, float]] = {
    "ACT_AND_SET": {"COMMUTE": 3.0, "WORKOUT": 2.0, "FOCUS": 1.5, "PARTY": 1.0, "CHILL": 2.5},
    "AGE": {"13-17": 0.6, "18-24": 2.6, "25-29": 2.0, "30-34": 1.7, "35-44": 1.6, "45-54": 0.9, "55+": 0.6},
    "AUDIENCE": {"BROAD": 1.0},
    "CITY": _places("CITY"),
    "COUNTRY": _falling(["US", "GB", "CA", "DE", "FR", "SE"]),
    "FORMAT": {"AUDIO": 3.0, "VIDEO": 1.0, "IMAGE": 0.5},
    "GENDER": {"MALE": 4.9, "FEMALE": 4.8, "NON_BINARY": 0.3},
    "GENRE": _falling([entry["id"] for entry in catalogue.GENRES]),
    "INTERESTS": _falling([entry["name"] for entry in catalogue.INTERESTS]),
    "METRO": _places("CITY"),
    "PLACEMENT": {"MUSIC": 4.0, "PODCAST": 1.0},
    "PLATFORM": {"ANDROID": 4.5, "IOS": 3.5, "WEB": 2.0},
    "PODCAST_EPISODE_TOPIC": _falling([entry["id"] for entry in catalogue.EPISODE_TOPICS]),
    "REGION": _places("REGION"),
    "TONE": {"POSITIVE": 2.0, "NEUTRAL": 3.0, "NEGATIVE": 0.5},
}
"""Dimension → its values, with the weights by which counts divide over them."""


def get_audience_insight_report(call: Call) -> Response:
    """``getAudienceInsightReport``: one row for each entity and value; the rows add up to the entity."""
    account, query = call.account, call.query
    dimension = query.get("insight_dimension")
    if dimension is None:
        raise refused("insight_dimension: required")
    fields: list[str] = query.get("fields") or []
    if not fields:
        raise refused("fields: required")
    wrong = [field for field in fields if field in NOT_IN_INSIGHTS]
    if wrong:
        raise refused(f"fields: {wrong[0]} is not allowed in insight reports")
    level = query.get("entity_ids_type", "AD_SET")
    if level not in {"AD_SET", "CAMPAIGN"}:
        raise refused("entity_ids_type: AD_SET or CAMPAIGN is needed")
    if query.get("entity_status_type", "AD_SET") != "AD_SET":
        raise refused("entity_status_type: only AD_SET is accepted")
    check_entities(query, "AD_SET" if query.get("statuses") else level)
    below = ads_below(account, level)
    rows: list[Row] = []
    whole: dict[str, int] = {}
    for entity in entities(account, level, query):
        counts = account.delivery.counts(below.get(entity["id"], ()), None, None)
        if not counts["IMPRESSIONS"]:
            continue
        whole = {name: whole.get(name, 0) + count for name, count in counts.items()}
        named: Row = {"name": entity["name"], "id": entity["id"], "status": entity["status"]}
        parts = split(counts, DIMENSIONS[dimension])
        rows.extend({**named, "insight_value": value, "stats": stats(fields, part)} for value, part in parts.items())
    if whole.get("IMPRESSIONS", 0) < FEWEST_IMPRESSIONS:
        raise Refusal(422, "INSUFFICIENT_DATA", f"fewer than {FEWEST_IMPRESSIONS} impressions so far")
    totals = [
        {"stat": field, "value": value}
        for field in dict.fromkeys(fields)
        if (value := measured(field, whole)) is not None
    ]
    return Response(
        {"granularity": "LIFETIME", "entity": level, "insight": dimension, "rows": rows, "summary_totals": totals}
    )
