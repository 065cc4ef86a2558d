"""An Ads API on loopback, for tests and demonstrations.

``async with Emulator() as server`` serves the whole API with its limits; ``server.base_url`` is what a client needs.
"""

from __future__ import annotations

from spotify_ads_async.emulator.server.emulator import Emulator
from spotify_ads_async.emulator.server.faults import ArmedFault, Fault
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.statistics import Statistics

__all__ = ["ArmedFault", "Emulator", "Fault", "Latency", "Statistics"]
