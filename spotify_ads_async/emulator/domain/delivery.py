"""What ads delivered: made up, but adding up.

Every count is a difference of one growing function of time per ad, so that hours add up to days, days to any range, and
ads to ad sets, campaigns and the account, exactly. The past does not change when an ad set changes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate

from spotify_ads_async.emulator.domain.clock import Clock, parse
from spotify_ads_async.emulator.domain.tables import Row, Table

__all__ = ["CONVERSIONS", "COUNTS", "Delivery", "measured", "split"]

COUNTS: Mapping[str, float] = {
    "IMPRESSIONS": 1.0,
    "CLICKS": 0.006,
    "STARTS": 0.98,
    "FIRST_QUARTILES": 0.93,
    "MIDPOINTS": 0.89,
    "THIRD_QUARTILES": 0.86,
    "COMPLETES": 0.84,
    "SKIPS": 0.02,
    "OFF_SPOTIFY_IMPRESSIONS": 0.04,
    "STREAMED_IMPRESSIONS": 0.91,
    "PAID_LISTENS": 0.31,
    "STREAMS": 0.05,
    "NEW_LISTENER_STREAMS": 0.011,
    "VIDEO_VIEWS": 0.42,
    "VIDEO_EXPANDS": 0.013,
    "UNMUTES": 0.021,
    "PAGE_VIEWS": 0.0041,
    "LEADS": 0.00021,
    "ADD_TO_CART": 0.0009,
    "PURCHASES": 0.00033,
    "START_CHECKOUT": 0.00052,
    "PRODUCTS": 0.0017,
    "SIGN_UPS": 0.00025,
    "CUSTOM_EVENT_1": 0.0003,
    "CUSTOM_EVENT_2": 0.0002,
    "CUSTOM_EVENT_3": 0.0001,
    "CUSTOM_EVENT_4": 0.00005,
    "CUSTOM_EVENT_5": 0.00002,
    "SPEND_CENTS": 1.1,
    "REVENUE_CENTS": 2.6,
}
"""What is counted → how often per impression, before each ad's own luck. Money in hundredths."""

CONVERSIONS = frozenset(
    {"PAGE_VIEWS", "LEADS", "ADD_TO_CART", "PURCHASES", "START_CHECKOUT", "PRODUCTS", "SIGN_UPS"}
    | {f"CUSTOM_EVENT_{number}" for number in range(1, 6)}
)
"""Counts that are hidden, as -5, while they lie between 1 and 4."""

_UNIQUES = {
    "REACH": ("IMPRESSIONS", 0.9),
    "PAID_LISTENS_REACH": ("PAID_LISTENS", 0.9),
    "LISTENERS": ("STREAMS", 0.93),
    "NEW_LISTENERS": ("NEW_LISTENER_STREAMS", 0.95),
}
"""People behind a count: a power below one, so that they don't add up."""

_RATIOS: Mapping[str, tuple[str, str, float]] = {
    "CTR": ("CLICKS", "IMPRESSIONS", 1.0),
    "COMPLETION_RATE": ("COMPLETES", "IMPRESSIONS", 1.0),
    "CONVERSION_RATE": ("LISTENERS", "REACH", 1.0),
    "FREQUENCY": ("IMPRESSIONS", "REACH", 1.0),
    "PAID_LISTENS_FREQUENCY": ("PAID_LISTENS", "PAID_LISTENS_REACH", 1.0),
    "E_CPCL": ("SPEND", "COMPLETES", 1.0),
    "INTENT_RATE": ("CLICKS", "LISTENERS", 1.0),
    "NEW_LISTENER_CONVERSION_RATE": ("NEW_LISTENERS", "REACH", 1.0),
    "STREAMS_PER_NEW_LISTENER": ("NEW_LISTENER_STREAMS", "NEW_LISTENERS", 1.0),
    "STREAMS_PER_USER": ("STREAMS", "LISTENERS", 1.0),
    "VIDEO_EXPAND_RATE": ("VIDEO_EXPANDS", "VIDEO_VIEWS", 1.0),
    "AVERAGE_ORDER_VALUE": ("REVENUE", "PURCHASES", 1.0),
    "RETURN_ON_AD_SPEND": ("REVENUE", "SPEND", 1.0),
    "CUSTOMER_ACQUISITION_COST": ("SPEND", "PURCHASES", 1.0),
    "COST_PER_LEAD": ("SPEND", "LEADS", 1.0),
    "CPM": ("SPEND", "IMPRESSIONS", 1000.0),
}
_DAYTIME = tuple(accumulate((1.0 + 0.8 * (8 <= hour <= 22)) / 36.0 for hour in range(24)))
"""Share of a day's impressions up to the end of each hour."""


def _luck(identifier: str, what: str) -> float:
    """Between 0.5 and 1.5, the same again for the same ad."""
    return 0.5 + zlib.crc32(f"{identifier}/{what}".encode()) % 10_000 / 10_000


class _Course:
    """One ad's impressions: how many there were by any hour."""

    __slots__ = ("begin", "ends", "rates", "totals")

    def __init__(self, identifier: str, begin: datetime, ends: datetime) -> None:
        self.begin = begin
        self.ends = ends
        days = max(0, (ends - begin).days + 1)
        lucky = {name: rate * _luck(identifier, name) for name, rate in COUNTS.items()}
        self.rates = lucky | {"IMPRESSIONS": COUNTS["IMPRESSIONS"]}
        base = 2_000 * _luck(identifier, "size") ** 4
        self.totals = [0, *accumulate(int(base * _luck(identifier, f"day {number}")) for number in range(days))]

    def by(self, moment: datetime) -> int:
        """Impressions before ``moment``, which is a whole hour."""
        passed = min(moment, self.ends) - self.begin
        if passed <= timedelta(0):
            return 0
        day, hour = passed.days, passed.seconds // 3600
        whole = self.totals[day]
        return whole + int((self.totals[day + 1] - whole) * _DAYTIME[hour - 1]) if hour else whole


class Delivery:
    """What the ads of one account delivered, up to the present hour."""

    def __init__(self, clock: Clock, ad_sets: Table) -> None:
        self._clock = clock
        self._ad_sets = ad_sets
        self._courses: dict[str, _Course] = {}

    def counts(self, ads: Iterable[Row], start: datetime | None, end: datetime | None) -> dict[str, int]:
        """The counts of these ads from ``start`` up to and without ``end``; None for no bound."""
        now = self._clock.now().replace(minute=0, second=0)
        last = now if end is None else min(end, now)
        totals = dict.fromkeys(COUNTS, 0)
        for ad in ads:
            course = self._course(ad)
            before = 0 if start is None else course.by(start)
            after = course.by(last)
            if after <= before:
                continue
            for name, rate in course.rates.items():
                totals[name] += int(after * rate) - int(before * rate)
        return totals

    def _course(self, ad: Row) -> _Course:
        course = self._courses.get(ad["id"])
        if course is None:
            ad_set = self._ad_sets.get(ad["ad_set_id"])
            begin = max(parse(ad_set["start_time"]), parse(ad["created_at"]))
            midnight = begin.replace(hour=0, minute=0, second=0)
            begin = midnight if begin == midnight else midnight + timedelta(days=1)
            ends = parse(ad_set["end_time"]) if "end_time" in ad_set else begin + timedelta(days=366)
            course = self._courses[ad["id"]] = _Course(ad["id"], begin, min(ends, begin + timedelta(days=730)))
        return course


def measured(field: str, counts: Mapping[str, int]) -> float | int | None:
    """A metric from counts; None where it has no value (a share of nothing).

    Conversions of 1 to 4 are -5, and so is what they earned.
    """
    value = _exact(field, counts)
    if value is None:
        return None
    hides = counts["PURCHASES"] if field == "REVENUE" else value if field in CONVERSIONS else 0
    return -5 if 0 < hides < 5 else value


def _exact(field: str, counts: Mapping[str, int]) -> float | int | None:
    if field in counts:
        return counts[field]
    if field in {"SPEND", "REVENUE"}:
        return counts[f"{field}_CENTS"] / 100
    if field in _UNIQUES:
        base, power = _UNIQUES[field]
        return int(counts[base] ** power)
    numerator, denominator, scale = _RATIOS[field]
    above, below = _exact(numerator, counts), _exact(denominator, counts)
    return None if not below or above is None else round(above / below * scale, 6)


def split(total: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, dict[str, int]]:
    """Divide counts over named parts by weight, so that the parts add up to the whole."""
    names = list(weights)
    edges = [0.0, *accumulate(weights.values())]
    parts: dict[str, dict[str, int]] = {name: {} for name in names}
    for field, whole in total.items():
        steps = [int(whole * edge / edges[-1]) for edge in edges]
        for number, name in enumerate(names):
            parts[name][field] = steps[number + 1] - steps[number]
    return parts
