"""The API's own document: its facts, and what has changed in them."""

from __future__ import annotations

from typing import Final

__all__ = ["PUBLISHED_DOCUMENT"]

PUBLISHED_DOCUMENT: Final = "https://developer.spotify.com/reference/ads-api/v3/api.yaml"
"""Where Spotify publishes the document."""
