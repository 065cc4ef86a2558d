"""What every test may use."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.effort import register_profiles
from tests.support.emulator_process import RunningEmulator, emulator_beside
from tests.support.warm_start import warm_start

register_profiles()
# Behind a script's `&` it is ignored, and whatever a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Where they are set, each of thousands of clients would read all authorities of this machine, which nothing here meets.
for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(variable, None)


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay: no collection of garbage need look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def warm_programs() -> Iterator[Path]:
    """A folder with a ``spotify-ads`` that starts warm."""
    with warm_start() as folder:
        yield folder


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> RunningEmulator:
    """An emulator of the test's own, that nothing may hang on what another test left."""
    return emulator_beside(request, ad_sets=120)
