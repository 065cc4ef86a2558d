"""What target lookups find: a small catalogue, true where it names the world and made up where it names content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotify_ads_async.emulator.domain.store import uuid_text

__all__ = [
    "ARTISTS",
    "CATEGORIES",
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
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _base62(name: str, length: int = 22) -> str:
    """An id in the form that content has, the same again for the same name."""
    number, digits = int.from_bytes(name.encode(), "big") * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 62**length, ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits += _DIGITS[digit]
    return digits


def _uuid(name: str) -> str:
    return uuid_text(int.from_bytes(name.encode(), "big") * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)


def _slugs(text: str) -> list[Entry]:
    return [{"id": slug, "name": slug.replace("-", " ").capitalize()} for slug in text.split()]


def _content(kind: str, names: str) -> list[Entry]:
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
        for name in names.split(", ")
    ]


ARTISTS = _content(
    "artist",
    "The Loopbacks, Ada Lovetrace, Null Pointer Sisters, Await & The Tasks, Sliding Windows, Backoff Boys, Token"
    " Bucket, DJ Jitter",
)
SHOWS = _content(
    "show",
    "Daily Deploy, The Long Poll, Cold Storage, Kitchen Stories, Half-Time Talk, Money Minutes, Night Science, True"
    " Bugs",
)
SHOW_MARKETS: Mapping[str, frozenset[str]] = {
    show["name"]: (
        frozenset({"US", "GB", "CA"})
        if number % 2
        else frozenset({"US", "GB", "CA", "DE", "FR", "SE", "ES", "IT", "JP"})
    )
    for number, show in enumerate(SHOWS)
}
"""Show → the markets in which it can be heard."""

GENRES = _slugs(
    "alternative blues children classical country dance-house easy-listening electronica folk funk hip-hop holiday"
    " indie-rock jazz k-pop latin metal new-age pop punk r-and-b reggae rock soundtrack spoken-audio traditional"
)
PLAYLISTS = _slugs(
    "chill commute cooking dinner focus gaming holidays party romance running sleep study summer travel work workout"
)
EPISODE_TOPICS = _slugs(
    "automotive books-and-literature business-and-finance careers education events-and-attractions"
    " family-and-relationships fine-art food-and-drink healthy-living hobbies-and-interests home-and-garden"
    " medical-health movies music-and-audio news-and-politics personal-finance pets pop-culture real-estate"
    " religion-and-spirituality science shopping sports style-and-fashion technology-and-computing television travel"
    " video-gaming"
)
"""The topics that the document lists."""

SENSITIVE_TOPICS = _slugs("alcohol crime-violence drugs gambling hate-speech pornography terrorism tobacco weapons")
"""The topics that the document lists."""

LANGUAGES: list[Entry] = [
    {"id": code, "name": name}
    for code, name in (
        ("da", "Danish"), ("de", "German"), ("en", "English"), ("es", "Spanish"), ("fi", "Finnish"), ("fr", "French"),
        ("it", "Italian"), ("ja", "Japanese"), ("ko", "Korean"), ("nl", "Dutch"), ("no", "Norwegian"), ("pl", "Polish"),
        ("pt", "Portuguese"), ("sv", "Swedish"), ("tr", "Turkish"),
    )
]  # fmt: skip

INTERESTS: list[Entry] = [
    {
        "id": _uuid(name),
        "name": name,
        "subtargets": [{"id": _uuid(f"{name}/{part}"), "name": part} for part in parts.split(", ")],
    }
    for name, parts in (
        ("Books", "Fiction, Non-fiction, Comics"),
        ("Cooking", "Baking, Vegetarian cooking, Quick meals"),
        ("Culture and society", "History, Politics, Philosophy"),
        ("Fitness", "Running, Cycling, Yoga"),
        ("Gaming", "Console games, Mobile games, E-sports"),
        ("Health and lifestyle", "Nutrition, Mindfulness, Sleep"),
        ("Tech early adopters", "Gadgets, Software, Science"),
        ("Travel", "City trips, Beach holidays, Hiking"),
    )
]

_PLACES: Mapping[str, tuple[str, int, Mapping[str, tuple[str, ...]]]] = {
    "CA": ("Canada", 21_000_000, {"Ontario": ("Toronto", "Ottawa"), "Quebec": ("Montreal",),
    "British Columbia": ("Vancouver",)}),
    "DE": ("Germany", 24_000_000, {"Bavaria": ("Munich", "Nuremberg"), "Berlin": ("Berlin",), "Hamburg": ("Hamburg",)}),
    "ES": ("Spain", 15_000_000, {"Catalonia": ("Barcelona",), "Madrid": ("Madrid",)}),
    "FR": ("France", 20_000_000, {"Île-de-France": ("Paris",), "Occitanie": ("Toulouse",)}),
    "GB": ("United Kingdom", 26_000_000, {"England": ("London", "Manchester", "Bristol"), "Scotland": ("Edinburgh",
    "Glasgow")}),
    "IT": ("Italy", 14_000_000, {"Lazio": ("Rome",), "Lombardy": ("Milan",)}),
    "JP": ("Japan", 8_000_000, {"Tokyo": ("Tokyo",), "Osaka": ("Osaka",)}),
    "SE": ("Sweden", 6_000_000, {"Stockholm": ("Stockholm",), "Skåne": ("Malmö", "Lund")}),
    "US": ("United States", 105_000_000, {
        "California": ("Los Angeles", "San Francisco", "San Diego"), "Illinois": ("Chicago",),
        "New York": ("New York", "Buffalo"),
        "Oklahoma": ("Oklahoma City", "Tulsa"), "Texas": ("Austin", "Dallas", "Houston"),
    }),
    # Last: ids are counted, and those above stay.
    "NO": ("Norway", 4_000_000, {"Oslo": ("Oslo",), "Vestland": ("Bergen",)}),
}  # fmt: skip
LISTENERS: Mapping[str, int] = {code: listeners for code, (_, listeners, _) in _PLACES.items()}
"""Country → listeners that estimates reckon with; made up."""


def _geos() -> list[Entry]:
    geos: list[Entry] = []
    number = 5_100_000
    for code, (country, _, regions) in _PLACES.items():
        geos.append({"country_code": code, "id": code, "type": "COUNTRY", "name": country, "parent_geo_name": ""})
        for region, cities in regions.items():
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
    postal_codes = (("10001", "New York"), ("73170", "Oklahoma City"), ("90001", "Los Angeles"), ("78701", "Austin"))
    geos.extend(
        {"country_code": "US", "id": f"US:{code}", "type": "POSTAL_CODE", "name": code, "parent_geo_name": city}
        for code, city in postal_codes
    )
    return geos


GEOS = _geos()

_INDUSTRIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Apparel", ("Clothing", "Shoes")), ("Automotive", ("Manufacturers", "Dealers", "Parts")), ("Baby and children",
    ("Toys",)),
    ("Beauty", ("Cosmetics", "Hair care")), ("Books and magazines", ("Publishers",)), ("Business services",
    ("Consulting",)),
    ("Charity", ("Non-profit organisations",)), ("Consumer electronics", ("Phones", "Audio")), ("Dating", ("Apps",)),
    ("Education", ("Schools", "Online courses")), ("Energy", ("Utilities",)), ("Entertainment", ("Events",
    "Theme parks")),
    ("Film", ("Cinema", "Home video")), ("Finance", ("Banks", "Insurance", "Payments")), ("Fitness", ("Gyms",)),
    ("Food", ("Groceries",)),
    ("Gambling", ("Lotteries",)), ("Gaming", ("Console", "Mobile")), ("Government", ("Public information",)),
    ("Health", ("Pharmacies",)),
    ("Home", ("Furniture", "Garden")), ("Household goods", ("Cleaning",)), ("Jobs", ("Recruiting",)),
    ("Legal services", ("Law firms",)),
    ("Music", ("Artists", "Concerts")), ("Non-alcoholic drinks", ("Soft drinks", "Coffee")), ("Pets", ("Pet food",)),
    ("Podcasts", ("Shows",)), ("Politics", ("Campaigns",)), ("Real estate", ("Agents",)), ("Restaurants",
    ("Fast food", "Delivery")),
    ("Retail", ("Department stores", "Online shops")), ("Technology", ("Software", "Cloud")), ("Travel", ("Airlines",
    "Hotels")),
)  # fmt: skip
CATEGORIES: list[Entry] = [
    {"id": f"ADV_{number}_{part}", "parent_category": parent, "name": name}
    for number, (parent, children) in enumerate(_INDUSTRIES, start=1)
    for part, name in enumerate((parent, *(f"{parent} - {child}" for child in children)))
]
"""Categories in the published form ``ADV_<parent>_<child>``, 0 for a parent; the names are the emulator's own."""
