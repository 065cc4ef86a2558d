from __future__ import annotations

from spotify_ads_async.emulator.domain.handlers import HANDLERS
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.undocumented import UNDOCUMENTED


def test_every_operation_has_its_handler() -> None:
    assert set(OPERATIONS) == set(HANDLERS) - set(UNDOCUMENTED)
