"""Formats of strings: UUIDs, days, times and addresses, as the API document names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from urllib.parse import urlsplit

__all__ = ["FORMATS", "UUID_PATTERN"]

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_UUID = re.compile(UUID_PATTERN)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _is_time(value: str) -> bool:
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%dT%H:%M:%SZ}" == value
    except ValueError:
        return False


def _is_uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and (parts.netloc or parts.path)) and not any(
            one.isspace() or not one.isprintable() for one in value
        )
    except ValueError:
        return False


FORMATS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "uuid": (_UUID.fullmatch, "must be a UUID, as in ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"),
    "date": (_is_date, "must be a day written YYYY-MM-DD"),
    "date-time": (_is_time, "must be a time in UTC written YYYY-MM-DDTHH:MM:SSZ"),
    "uri": (_is_uri, "must be an absolute URI, as in https://www.example.com"),
}
"""Format → what tells whether a string has it, and the rule in words."""
