"""What target lookups find: a small catalogue, true where it names the world and made up where it names content.

The names are in ``catalogue.json``; sensitive topics and those of episodes are those that the document lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from spotify_ads_async.emulator.domain.store import uuid_text

__all__ = [
    "ARTISTS",
    "CATEGORIES",
    "CURRENCIES",
    "EPISODE_TOPICS",
    "GENRES",
    "GEOS",
    "INTERESTS",
    "LANGUAGES",
    "LISTENERS",
    "PLAYLISTS",
    "SENSITIVE_TOPICS",
    "SHOWS",
]

Entry = dict[str, Any]
_NAMES: Mapping[str, Any] = msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes())
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 22


def _base62(name: str) -> str:
    """An id in the form that content has, the same again for the same name."""
    number, digits = int.from_bytes(name.encode(), "big") * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 62**_ID_LENGTH, ""
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, 62)
        digits += _DIGITS[digit]
    return digits


def _uuid(name: str) -> str:
    return uuid_text(int.from_bytes(name.encode(), "big") * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)


def _slugs(kind: str) -> list[Entry]:
    return [{"id": slug, "name": slug.replace("-", " ").capitalize()} for slug in _NAMES[kind]]


def _content(kind: str, names: Iterable[str]) -> list[Entry]:
    sizes = (640, 320, 160)
    return [
        {
            "id": (identifier := _base62(f"{kind}/{name}")),
            "name": name,
            "images": [
                {"width": size, "url": f"https://images.example.com/{identifier}/{size}", "height": size}
                for size in sizes
            ],
        }
        for name in names
    ]


ARTISTS = _content("artist", _NAMES["artists"])
SHOWS = _content("show", _NAMES["shows"])
SHOW_MARKETS: Mapping[str, frozenset[str]] = {
    show["name"]: (
        frozenset({"US", "GB", "CA"})
        if number % 2
        else frozenset({"US", "GB", "CA", "DE", "FR", "SE", "ES", "IT", "JP"})
    )
    for number, show in enumerate(SHOWS)
}
"""Show → the markets in which it can be heard."""

GENRES = _slugs("genres")
PLAYLISTS = _slugs("playlists")
EPISODE_TOPICS = _slugs("episode_topics")
SENSITIVE_TOPICS = _slugs("sensitive_topics")
LANGUAGES: list[Entry] = [{"id": code, "name": name} for code, name in _NAMES["languages"].items()]
INTERESTS: list[Entry] = [
    {
        "id": _uuid(name),
        "name": name,
        "subtargets": [{"id": _uuid(f"{name}/{part}"), "name": part} for part in parts],
    }
    for name, parts in _NAMES["interests"].items()
]
CURRENCIES: Mapping[str, str] = _NAMES["currencies"]
"""Country → billing currency, for the markets that the emulator bills in."""
LISTENERS: Mapping[str, int] = {code: place["listeners"] for code, place in _NAMES["places"].items()}
"""Country → listeners that estimates reckon with; made up."""


def _geos() -> list[Entry]:
    geos: list[Entry] = []
    number = 5_100_000
    for code, place in _NAMES["places"].items():
        country = place["name"]
        geos.append({"country_code": code, "id": code, "type": "COUNTRY", "name": country, "parent_geo_name": ""})
        for region, cities in place["regions"].items():
            number += 1
            geos.append(
                {"country_code": code, "id": str(number), "type": "REGION", "name": region, "parent_geo_name": country}
            )
            for city in cities:
                number += 1
                parent = f"{region}, {country}"
                geos.append(
                    {"country_code": code, "id": str(number), "type": "CITY", "name": city, "parent_geo_name": parent}
                )
    geos.extend(
        {"country_code": "US", "id": f"US:{code}", "type": "POSTAL_CODE", "name": code, "parent_geo_name": city}
        for code, city in _NAMES["postal_codes"].items()
    )
    return geos


GEOS = _geos()
CATEGORIES: list[Entry] = [
    {"id": f"ADV_{number}_{part}", "parent_category": parent, "name": name}
    for number, (parent, children) in enumerate(_NAMES["industries"].items(), start=1)
    for part, name in enumerate((parent, *(f"{parent} - {child}" for child in children)))
]
"""Categories in the published form ``ADV_<parent>_<child>``, 0 for a parent; the names are the emulator's own."""
