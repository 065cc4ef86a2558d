"""Asynchronous reports: a CSV behind a signed URL, after a while."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.clock import parse, stamp
from spotify_ads_async.emulator.domain.delivery import measured, split
from spotify_ads_async.emulator.domain.handlers.aggregate_reports import ads_below, buckets
from spotify_ads_async.emulator.domain.handlers.insight_reports import DIMENSIONS
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

MOST_DAYS = 365
KEPT_SECONDS = 3600 * 24
"""How long a ready report stays before it is EXPIRED."""

_NAME = re.compile(r"^[A-Za-z0-9 _-]{2,120}$")
_LEVELS = ("AD", "AD_SET", "CAMPAIGN", "AD_ACCOUNT")
_STATUSES = {
    "AD": frozenset({"ACTIVE", "PENDING_APPROVAL", "REJECTED"}),
    "AD_SET": frozenset({"ACTIVE", "COMPLETED", "PENDING_APPROVAL", "REJECTED"}),
    "CAMPAIGN": frozenset({"ACTIVE", "COMPLETED", "PAUSED", "PENDING_APPROVAL", "REJECTED", "STOPPED"}),
    "AD_ACCOUNT": frozenset({"ACTIVE", "COMPLETED", "STOPPED", "PAUSED", "PENDING_APPROVAL", "REJECTED"}),
}
_METRICS: Mapping[str, str] = {
    "AD_COMPLETES": "COMPLETES",
    "AVG_STREAMS_PER_LISTENER": "STREAMS_PER_USER",
    "AVG_STREAMS_PER_NEW_LISTENER": "STREAMS_PER_NEW_LISTENER",
    "CPCL": "E_CPCL",
    "FREQUENCY_OF_AD_COMPLETES": "FREQUENCY",
    "IMPRESSIONS_OFF_SPOTIFY": "OFF_SPOTIFY_IMPRESSIONS",
    "IMPRESSIONS_ON_SPOTIFY": "IMPRESSIONS",
    "LISTENER_CONVERSION_RATE": "CONVERSION_RATE",
    "PLAYED_TO_100": "COMPLETES",
    "PLAYED_TO_25": "FIRST_QUARTILES",
    "PLAYED_TO_50": "MIDPOINTS",
    "PLAYED_TO_75": "THIRD_QUARTILES",
    "REACH_OF_AD_COMPLETES": "REACH",
    "UNMODELED_ADD_TO_CART": "ADD_TO_CART",
    "UNMODELED_LEADS": "LEADS",
    "UNMODELED_PAGE_VIEWS": "PAGE_VIEWS",
    "UNMODELED_PURCHASES": "PURCHASES",
}
"""Names of the CSV → names of the other reports, where they differ."""

_ABSENT = frozenset(
    {
        "CARD_CLICKS",
        "CARD_CTR",
        "CARD_IMPRESSIONS",
        "SKAD_APP_INSTALLS",
        "KOCHAVA_APP_INSTALLS",
        "APPSFLYER_APP_INSTALLS",
    }
    | {f"MODELED_{name}" for name in ("ADD_TO_CART", "LEADS", "PAGE_VIEWS", "PURCHASES")}
)
"""Metrics that the emulator has no figures for: 0."""


def _column(name: str) -> Callable[[Row], object]:
    return lambda row: row.get(name, "")


_DIMENSIONS: Mapping[str, tuple[str, Callable[[Row], object]]] = {
    "AD_ACCOUNT_NAME": ("AD_ACCOUNT", _column("name")),
    "AD_ACCOUNT_CURRENCY": ("AD_ACCOUNT", _column("currency_code")),
    "CAMPAIGN_NAME": ("CAMPAIGN", _column("name")),
    "CAMPAIGN_STATUS": ("CAMPAIGN", _column("status")),
    "CAMPAIGN_OBJECTIVE": ("CAMPAIGN", _column("objective")),
    "AD_SET_NAME": ("AD_SET", _column("name")),
    "AD_SET_STATUS": ("AD_SET", _column("status")),
    "AD_SET_BUDGET": ("AD_SET", lambda row: row["budget"]["micro_amount"] / 1_000_000),
    "AD_SET_COST_MODEL": ("AD_SET", _column("cost_model")),
    "AD_NAME": ("AD", _column("name")),
    # The emulator has no carousels, so these columns are empty.
    "CAROUSEL_CARD": ("AD", _column("carousel_card")),
    "CARD_MEDIA_NAME": ("AD", _column("card_media_name")),
    "CARD_POSITION": ("AD", _column("card_position")),
    "CARD_TAGLINE": ("AD", _column("card_tagline")),
}


def _range(body: Row) -> tuple[datetime | None, datetime | None]:
    start, end = (parse(body[name]) if name in body else None for name in ("report_start", "report_end"))
    if body["granularity"] == "DAY" and (start is None or end is None):
        raise refused("report_start, report_end: required when granularity is DAY")
    if any(moment is not None and (moment.minute or moment.second) for moment in (start, end)):
        raise refused("report_start, report_end: whole hours are needed")
    start, end = (None if moment is None else moment.replace(hour=0) for moment in (start, end))
    if start is not None and end is not None and not 0 <= (end - start).days < MOST_DAYS:
        raise refused(f"report_end: must follow report_start within {MOST_DAYS} days")
    return start, end


def _level(dimensions: list[str]) -> str:
    """The primary entity: the lowest level among the dimensions."""
    return min((_DIMENSIONS[name][0] for name in dimensions), key=_LEVELS.index)


def create_async_report(call: Call) -> Response:
    """``createAsyncReport``."""
    account, body, store = call.account, call.body, call.store
    if not _NAME.match(body["name"]):
        raise refused("name: 2 to 120 letters, digits, spaces, _ and - are needed")
    for name in ("dimensions", "metrics"):
        if not body[name]:
            raise refused(f"{name}: at least one is needed")
    of_cards = any(name.startswith(("CARD_", "CAROUSEL_")) for name in (*body["dimensions"], *body["metrics"]))
    if of_cards and not {"AD_NAME", "CAROUSEL_CARD"} <= {*body["dimensions"]}:
        raise refused("dimensions: reports on carousel cards need CAROUSEL_CARD and AD_NAME")
    level = _level(body["dimensions"])
    wrong = [status for status in body.get("statuses", ()) if status not in _STATUSES[level]]
    if wrong:
        raise refused(f"statuses: {wrong[0]} is no status of {level}")
    if "insight_dimension" in body and body["granularity"] != "LIFETIME":
        raise refused("insight_dimension: only with granularity LIFETIME")
    for identifier in body.get("campaign_ids", ()):
        if identifier.lower() not in account.campaigns:
            raise refused(f"campaign_ids: campaign {identifier} was not found")
    _range(body)
    identifier = store.new_id()
    now = store.clock.now()
    row: Row = {
        "id": identifier,
        "request": body,
        "submitted_at": stamp(now),
        "completed_at": stamp(now + timedelta(seconds=store.processing_seconds)),
    }
    account.reports.put(row)
    return Response({"id": identifier}, status=201)


def get_async_report(call: Call) -> Response:
    """``getAsyncReport``: PROCESSING, then READY with its URL, and EXPIRED in the end."""
    account, now = call.account, call.store.clock.now()
    row = account.reports.get(call.path["report_id"])
    answer: Row = {"status": "PROCESSING", "submitted_at": row["submitted_at"]}
    done = parse(row["completed_at"])
    if now < done:
        return Response(answer)
    answer["completed_at"] = row["completed_at"]
    if now >= done + timedelta(seconds=KEPT_SECONDS):
        return Response({**answer, "status": "EXPIRED"})
    url = call.store.storage.report_url(call.origin, row["id"], lambda: write(account, row["request"]))
    return Response({**answer, "status": "READY", "report_url": url})


def write(account: Account, body: Row) -> bytes:
    """The CSV of a report."""
    level = _level(body["dimensions"])
    insight = body.get("insight_dimension")
    columns = [
        *body["dimensions"],
        *(["START_DATE", "END_DATE"] if body["granularity"] == "DAY" else ()),
        *([insight] if insight else ()),
    ]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([*columns, *body["metrics"]])
    below = ads_below(account, level)
    for entity, parents in _entities(account, level, body):
        fixed = [_DIMENSIONS[name][1](parents[_DIMENSIONS[name][0]]) for name in body["dimensions"]]
        for start, end in buckets(*_range(body), body["granularity"]):
            counts = account.delivery.counts(below.get(entity["id"], ()), start, end)
            days = (
                [f"{start:%Y-%m-%d}", f"{end - timedelta(days=1):%Y-%m-%d}"]
                if body["granularity"] == "DAY" and start and end
                else []
            )
            parts = split(counts, DIMENSIONS[insight]) if insight else {"": counts}
            for value, part in parts.items():
                writer.writerow(
                    [*fixed, *days, *([value] if insight else ()), *(_metric(name, part) for name in body["metrics"])]
                )
    return out.getvalue().encode()


def _metric(name: str, counts: dict[str, int]) -> object:
    if name in _ABSENT:
        return 0
    value = measured(_METRICS.get(name, name), counts)
    return "" if value is None else value


def _entities(account: Account, level: str, body: Row) -> list[tuple[Row, dict[str, Row]]]:
    """The primary entities of a report, each with itself and its parents by level."""
    everything: dict[str, Row] = {"AD_ACCOUNT": account.row}
    if level == "AD_ACCOUNT":
        return [(account.row, everything)]
    wanted = {identifier.lower() for identifier in body.get("campaign_ids", ())}
    statuses = body.get("statuses", ["ACTIVE"])
    found: list[tuple[Row, dict[str, Row]]] = []
    for row in {"AD": account.ads, "AD_SET": account.ad_sets, "CAMPAIGN": account.campaigns}[level]:
        parents = {**everything, level: row}
        if level == "AD":
            parents["AD_SET"] = account.ad_sets.get(row["ad_set_id"])
        if level != "CAMPAIGN":
            parents["CAMPAIGN"] = account.campaigns.get(parents["AD_SET"]["campaign_id"])
        if row["status"] in statuses and (not wanted or parents["CAMPAIGN"]["id"] in wanted):
            found.append((row, parents))
    return found
