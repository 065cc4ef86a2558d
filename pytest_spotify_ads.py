"""The pytest plugin: a fixture with an emulator of the Ads API, for anybody's tests.

It stands outside of the package so that pytest, which loads every plugin at its start, need not load the SDK: that
comes with the first test that asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spotify_ads_async.emulator import Emulator

__all__ = ["spotify_ads_emulator"]

_MARKER = "spotify_ads_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that carries the emulator's options."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(**options): options of the Emulator behind the fixture of the same name"
    )


@contextmanager
def _serving(server: Emulator) -> Generator[None]:
    """Serve on a loop and thread of its own, so that tests of any framework, async or not, can call it."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - see the module's first lines

    # Its end also ends what still answers somebody who is gone.
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield


@pytest.fixture
def spotify_ads_emulator(request: pytest.FixtureRequest) -> Generator[Emulator]:
    """An emulator of the Ads API, fresh for the test: its ``base_url`` is what a client needs.

    It answers at once, and enforces the published limits. ``@pytest.mark.spotify_ads_emulator(ad_sets=20,
    latency=0.1)`` passes options to :class:`spotify_ads_async.emulator.Emulator`.
    """
    from spotify_ads_async.emulator import Emulator  # noqa: PLC0415 - see the module's first lines

    options: dict[str, object] = {"latency": 0.0, "ad_sets": 100}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        options |= marker.kwargs
    server = Emulator(**options)  # type: ignore[arg-type]  # the marker's author names them
    with _serving(server):
        yield server
