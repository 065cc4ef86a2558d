"""The API's own document, where one is at hand: named in ``SPOTIFY_ADS_OPENAPI``, or beside the repository.

No test needs it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from spotify_ads_async.api.facts import known_facts

__all__ = ["document"]

BESIDE = Path(__file__).parents[3] / "shared" / "api" / "openapi-v3-2026-10.yaml"


def document() -> dict[str, Any]:
    """The document as JSON values, with its sentences and examples.

    Where none is at hand the facts, which stand for it.
    """
    file = next(
        (Path(place) for place in (os.environ.get("SPOTIFY_ADS_OPENAPI"), BESIDE) if place and Path(place).is_file()),
        None,
    )
    if file is None:
        return known_facts()
    found = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return json.loads(json.dumps(found, default=lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"))
