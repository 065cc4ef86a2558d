"""Pixels: the integrations that live on web pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from spotify_ads_async.emulator.domain.answers import Refusal, Response, refused
from spotify_ads_async.emulator.domain.call import Call
from spotify_ads_async.emulator.domain.handlers.datasets import attach
from spotify_ads_async.emulator.domain.store import Business, Store
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["new_pixel"]


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
            "auto_capture_opt_in": False,
            "auto_capture_fields": [],
        }
    )


def create_pixel_in_business(call: Call) -> Response:
    """``createPixelInBusiness``."""
    return Response(new_pixel(call.store, call.business, call.body), status=201)


def get_pixel_by_id(call: Call) -> Response:
    """``getPixelById``."""
    return Response(call.business.pixels.get(call.path["pixel_id"]))


def update_pixel_by_id(call: Call) -> Response:
    """``updatePixelById``."""
    business, body = call.business, call.body
    row = business.pixels.get(call.path["pixel_id"])
    if "domain" in body:
        _check_domain(body["domain"])
    changed = business.pixels.put({**row, **body})
    kept = {name: changed[name] for name in ("id", "domain", "name", "created_at")}
    return Response({**kept, "updated_at": call.store.clock.text()})
