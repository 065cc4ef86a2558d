"""A real Chromium, driven over WebDriver."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

REQUIRED_VARIABLE = "SPOTIFY_ADS_REQUIRE_BROWSER"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PHONE, DESKTOP = (390, 844), (1366, 900)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Start a browser without a window; where there is none the test is skipped, unless the environment wants one."""
    if CHROMIUM is None or DRIVER is None:
        absent = "Chromium" if CHROMIUM is None else "chromedriver"
        missing = f"no {absent} on this machine: apt-get install chromium chromium-driver"
        if os.environ.get(REQUIRED_VARIABLE):
            pytest.fail(missing)
        pytest.skip(missing)
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    with Chrome(options=options, service=ChromeService(DRIVER)) as driver:
        yield driver


def resize(chrome: Chrome, size: tuple[int, int], scale: int = 1) -> None:
    """A window of Chromium has a least width; a phone is emulated."""
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": scale, "mobile": size is PHONE},
    )
