from __future__ import annotations

import os
from pathlib import Path

import pytest

from codegen.document import load
from codegen.emulator_shapes import TARGET, formatted, table
from spotify_ads_async.emulator import shapes
from spotify_ads_async.emulator.domain.handlers import HANDLERS
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.undocumented import UNDOCUMENTED

DOCUMENT = Path(os.environ.get("SPOTIFY_ADS_OPENAPI", Path(__file__).parents[3] / "shared" / "api" / "openapi-v3.yaml"))


def test_every_operation_has_its_shape_and_its_handler() -> None:
    assert set(OPERATIONS) == set(shapes.OPERATIONS) == set(HANDLERS) - set(UNDOCUMENTED)


def test_generating_the_shapes_again_changes_nothing() -> None:
    if not DOCUMENT.exists():
        pytest.skip(f"the API's document is not at {DOCUMENT}; SPOTIFY_ADS_OPENAPI names another place")
    assert formatted(table(load(str(DOCUMENT)))) == TARGET.read_text(encoding="utf-8")
