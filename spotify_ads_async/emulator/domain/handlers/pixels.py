"""Pixels: the integrations that live on web pages."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit

from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call, Handlers, page
from spotify_ads_async.emulator.domain.clock import parse, stamp
from spotify_ads_async.emulator.domain.handlers.datasets import attach
from spotify_ads_async.emulator.domain.signals import PIXEL_EVENTS, events_in_hour, hours
from spotify_ads_async.emulator.domain.store import Business, Row, Store

__all__ = ["HANDLERS", "new_pixel"]

_MOST_HISTORICAL_DAYS = 31


def _check_domain(domain: str) -> None:
    parts = urlsplit(domain)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise refused(f"domain: {domain!r} is no http or https URL")


def new_pixel(store: Store, business: Business, body: Row) -> Row:
    """Put a new pixel, in the dataset named or in one of its own."""
    _check_domain(body["domain"])
    if any((row["domain"], row["name"]) == (body["domain"], body["name"]) for row in business.pixels):
        raise Refusal(409, "CONFLICT", f"the business has a pixel {body['name']!r} for {body['domain']} already")
    identifier = store.new_id()
    dataset_id = attach(business, "pixels", body.get("dataset_id"), body["name"])
    return business.pixels.put(
        {
            "id": identifier,
            "integration_id": identifier,
            "domain": body["domain"],
            "name": body["name"],
            "created_at": store.clock.text(),
            "dataset_id": dataset_id,
            "aam_opt_in": body.get("aam_opt_in", False),
            "aam_fields": body.get("aam_fields", []),
            "events_received": [],
            "cookie_opt_in": True,
        }
    )


def create(call: Call) -> Response:
    """``createPixelInBusiness``."""
    return Response(new_pixel(call.store, call.business, call.body), status=201)


def get(call: Call) -> Response:
    """``getPixelById``."""
    return Response(call.business.pixels.get(call.path["pixel_id"]))


def update(call: Call) -> Response:
    """``updatePixelById``."""
    business, body = call.business, call.body
    row = business.pixels.get(call.path["pixel_id"])
    if "domain" in body:
        _check_domain(body["domain"])
    changed = business.pixels.put({**row, **body})
    kept = {name: changed[name] for name in ("id", "domain", "name", "created_at")}
    return Response({**kept, "updated_at": call.store.clock.text()})


def find(call: Call) -> Response:
    """``getPixelsByBusinessId``: events only on demand."""
    query = call.query
    answer = page(call, list(call.business.pixels), "pixels")
    rows: list[Row] = answer.content["pixels"]
    if query["include_events"]:
        rows = [{**row, "events": _events(row, call.store)} for row in rows]
    if query["include_historical_events"]:
        start, end = (_day(query.get(f"historical_events_{edge}_date"), edge) for edge in ("start", "end"))
        if not 0 <= (end - start).days < _MOST_HISTORICAL_DAYS:
            raise refused(f"historical_events_end_date: must follow the start date within {_MOST_HISTORICAL_DAYS} days")
        rows = [{**row, "historical_events": _historical(row, start, end, call.store)} for row in rows]
    answer.content["pixels"] = rows
    return answer


def _day(text: str | None, edge: str) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        raise refused(f"historical_events_{edge}_date: a date is needed, as 2026-01-31") from None


def _events(row: Row, store: Store) -> list[Row]:
    """The events that have been set up: those that the pixel received."""
    received = {entry["event_type"]: entry["first_event_time"] for entry in row["events_received"]}
    now = stamp(store.clock.now().replace(minute=0, second=0))
    return [
        {"id": f"{row['id']}/{event.lower()}", "type": event, "created_at": received[signal], "last_activity_at": now}
        for event, signal in PIXEL_EVENTS.items()
        if signal in received
    ]


def _historical(row: Row, start: date, end: date, store: Store) -> list[Row]:
    received = {entry["event_type"]: entry["first_event_time"] for entry in row["events_received"]}
    first = datetime.combine(start, time(), UTC)
    last = min(datetime.combine(end, time(), UTC) + timedelta(days=1), store.clock.now())
    return [
        {"type": event, "hour_partition": stamp(hour), "count": count}
        for hour in hours(first, last)
        for event, signal in PIXEL_EVENTS.items()
        if signal in received and (count := events_in_hour(row["integration_id"], event, hour, parse(received[signal])))
    ]


HANDLERS: Handlers = {
    "createPixelInBusiness": create,
    "getPixelById": get,
    "getPixelsByBusinessId": find,
    "updatePixelById": update,
}
