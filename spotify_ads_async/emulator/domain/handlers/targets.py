"""Look-ups: targets, ad categories and podcast shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spotify_ads_async.emulator.domain import catalogue
from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, Handler


def _matching(entries: Iterable[dict[str, Any]], query: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries by id or by a part of the name; all of them without either."""
    ids, text = query.get("ids"), query.get("q", "").lower()
    return [entry for entry in entries if (not ids or entry["id"] in ids) and text in entry["name"].lower()]


def _lookup(entries: list[dict[str, Any]], key: str) -> Handler:
    def look(call: Call) -> Response:
        return Response({key: _matching(entries, call.query)})

    return look


def get_interest_targets(call: Call) -> Response:
    """``getInterestTargets``: an interest is found by its own name or id, or by one of its parts."""
    ids, text = call.query.get("ids"), call.query.get("q", "").lower()
    found = [
        entry
        for entry in catalogue.INTERESTS
        if any((not ids or one["id"] in ids) and text in one["name"].lower() for one in (entry, *entry["subtargets"]))
    ]
    return Response({"interests_with_subtargets": found})


def get_geo_targets(call: Call) -> Response:
    """``getGeoTargets``: at least one filter is needed; the answer names no total."""
    query = call.query
    country, types = query["country_code"].upper(), query.get("types")
    if not (country or types or query.get("ids") or query.get("q")):
        raise refused("query: at least one of country_code, ids, types and q is needed")
    kinds = {kind.upper() for kind in types or ()}
    found = [
        entry
        for entry in _matching(catalogue.GEOS, query)
        if (not country or entry["country_code"] == country) and (not kinds or entry["type"] in kinds)
    ]
    offset, limit = query["offset"], query["limit"]
    rows = found[offset : offset + limit]
    return Response({"offset": offset, "page_size": len(rows), "geos": rows})


def get_ad_categories(call: Call) -> Response:
    """``getAdCategories``."""
    return Response({"categories": _matching(catalogue.CATEGORIES, call.query)})


def get_podcast_shows(call: Call) -> Response:
    """``getPodcastShows``: those that the market can hear."""
    market = call.query["market"].upper()
    found = [
        entry for entry in _matching(catalogue.SHOWS, call.query) if market in catalogue.SHOW_MARKETS[entry["name"]]
    ]
    return Response({"shows": found})


get_artist_targets = _lookup(catalogue.ARTISTS, "artists")
get_episode_topic_targets = _lookup(catalogue.EPISODE_TOPICS, "episode_topics")
get_genre_targets = _lookup(catalogue.GENRES, "genres")
get_language_targets = _lookup(catalogue.LANGUAGES, "languages")
get_playlist_targets = _lookup(catalogue.PLAYLISTS, "playlists")
get_sensitive_topic_targets = _lookup(catalogue.SENSITIVE_TOPICS, "sensitive_topics")
