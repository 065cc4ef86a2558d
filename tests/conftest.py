"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.warm_start import warm_start

settings.register_profile("any machine", settings(), deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def warm_programs() -> Iterator[Path]:
    """A folder with a ``spotify-ads`` that starts warm."""
    with warm_start() as folder:
        yield folder
