"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.effort import register_profiles
from tests.support.warm_start import warm_start

register_profiles()


@pytest.fixture(scope="session")
def warm_programs() -> Iterator[Path]:
    """A folder with a ``spotify-ads`` that starts warm."""
    with warm_start() as folder:
        yield folder
