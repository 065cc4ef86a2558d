"""The emulator's page in a real Chromium, driven over WebDriver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.browser import DESKTOP, PHONE, chromium, resize
from tests.support.emulator_process import RunningEmulator, emulator_process

Json: TypeAlias = Any


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def emulator(warm_programs: Path) -> Iterator[RunningEmulator]:
    limits = "ip=5/60,client_id=20/60"
    with emulator_process("--ad-sets", "60", "--latency", "0", "--limits", limits, warm=warm_programs) as running:
        yield running


class Page:
    """The page, as somebody who looks at it and clicks."""

    def __init__(self, chrome: Chrome, emulator: RunningEmulator) -> None:
        self.chrome = chrome
        self.emulator = emulator

    def open(self, size: tuple[int, int] = DESKTOP) -> None:
        resize(self.chrome, size, scale=2)
        self.chrome.get(self.emulator.base_url.removesuffix("ads/v3"))
        self.until(lambda: self.text("#state") == "live")
        self.until(lambda: bool(self.all("#rows tr")))

    def request(self, path: str = "/businesses", method: str = "GET", body: object = None) -> int:
        """Ask the emulator as a program would."""
        status, _ = self.emulator.ask(method, path, body)
        return status

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def run(self, script: str, *arguments: object) -> Json:
        return self.chrome.execute_script(script, *arguments)

    def until(self, condition: Callable[[], bool]) -> None:
        WebDriverWait(self.chrome, 15, poll_frequency=0.05).until(lambda _: condition())

    def painted(self) -> int:
        """How many pixels of the chart's right half are of a bar's colour."""
        return self.run("""
            const canvas = document.getElementById("chart"), half = canvas.width / 2;
            const seen = canvas.getContext("2d").getImageData(half, 0, half, canvas.height).data;
            let count = 0;
            for (let i = 3; i < seen.length; i += 4) count += seen[i] > 0;
            return count;
            """)


@pytest.fixture
def page(chrome: Chrome, emulator: RunningEmulator) -> Page:
    return Page(chrome, emulator)


def test_windows_refusals_and_requests_appear_live(page: Page) -> None:
    page.open()
    for _ in range(3):
        page.request()
    page.until(lambda: page.text("#requests") == "3")
    assert page.texts(".window output") == ["3 / 20", "3 / 5"]
    assert not page.all(".bar i.full")
    for _ in range(4):
        page.request()
    page.until(lambda: page.text("#refused") == "2")
    assert page.run("return [...document.querySelectorAll('.bar i')].map((one) => one.className)") == ["", "full"]
    assert page.texts("#latest tr td:nth-child(2)") == ["429", "429", "200", "200", "200", "200", "200"]
    assert "emulated" not in page.run("return document.body.innerHTML")


def test_every_request_shows_its_path_its_status_and_what_the_server_said(page: Page) -> None:
    page.open()
    account = f"/ad_accounts/{page.emulator.ad_account_id}"
    page.request(f"{account}/campaigns?limit=2")
    page.request(f"{account}/campaigns", "POST", {"name": "x", "objective": "REACH"})
    page.request("/no/such/path")
    page.until(lambda: len(page.all("#latest tr")) == 3)
    unknown, refused, listed = [row.find_elements(By.TAG_NAME, "td") for row in page.all("#latest tr")]
    assert [one.text for one in (listed[1], listed[3], listed[5])] == ["200", f"GET {account}/campaigns?limit=2", ""]
    assert [one.text for one in (refused[1], refused[3])] == ["400", f"POST {account}/campaigns"]
    assert "name" in refused[5].text
    assert (unknown[1].text, unknown[3].text) == ("404", "GET /no/such/path")


def test_the_chart_holds_the_traffic_from_before_the_page_was_opened(page: Page) -> None:
    for _ in range(12):
        page.request()
    page.open()
    page.until(lambda: page.painted() > 0)


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["390 px", "1366 px"])
def test_the_page_fits_its_window(page: Page, size: tuple[int, int]) -> None:
    for _ in range(7):
        page.request()
    page.open(size)
    page.until(lambda: page.text("#requests") == "7")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    widths = page.run(
        "return [...document.querySelectorAll('.window .bar')].map((one) => one.getBoundingClientRect().width)"
    )
    assert min(widths) >= 150
    # A canvas whose own size follows neither its place nor the screen's pixels stretches what it draws.
    width, height, own_width, own_height = page.run(
        "const c = document.getElementById('chart'); return [c.clientWidth, c.clientHeight, c.width, c.height]"
    )
    assert (own_width / width, own_height / height) == (2, 2)


def test_faults_are_switched_and_armed(page: Page) -> None:
    page.open()
    page.one("#switches input[name=error]").click()
    page.until(lambda: bool(page.all("#armed .controls")))
    assert page.request() == 503
    page.until(lambda: "hit 1 of 1" in page.text("#armed"))
    page.one("#switches input[name=error]").click()
    page.until(lambda: not page.all("#armed .controls"))
    assert page.request() == 200
    Select(page.one("#arm select[name=kind]")).select_by_value("html")
    status = page.one("#arm input[name=status]")
    status.clear()
    status.send_keys("502")
    page.one("#arm input[name=operation]").send_keys("getBusinesses")
    page.one("#arm button").click()
    page.until(lambda: bool(page.all("#armed .controls")))
    assert page.request() == 502
    page.until(lambda: "hit 1 of 1" in page.text("#armed"))  # the page is drawn anew then
    page.one("#armed button").click()
    page.until(lambda: not page.all("#armed .controls"))
    page.one("#arm input[name=operation]").clear()
    page.one("#arm input[name=operation]").send_keys("getBusinesess")
    page.one("#arm button").click()
    page.until(lambda: "getBusinesess" in page.text("#problem"))


def test_an_account_that_is_denied_answers_403_until_it_is_allowed_again(page: Page) -> None:
    page.open()
    page.one("#switches input[name=denied]").click()
    page.until(lambda: bool(page.all("#armed .controls")))
    account = f"/ad_accounts/{page.emulator.ad_account_id}"
    assert (page.request(f"{account}/campaigns"), page.request("/businesses")) == (403, 200)
    page.chrome.refresh()
    page.until(lambda: page.one("#switches input[name=denied]").is_selected())
    page.one("#switches input[name=denied]").click()
    page.until(lambda: not page.all("#armed .controls"))
    assert page.request(f"{account}/campaigns") == 200


def test_the_data_is_shown_as_it_is_now(page: Page) -> None:
    page.open()
    account = f"/ad_accounts/{page.emulator.ad_account_id}"
    assert page.request(f"{account}/campaigns", "POST", {"name": "Brand new", "objective": "REACH"}) == 200
    page.until(lambda: any("Brand new" in one for one in page.texts("#rows tr td:first-child")))
    page.one("#kinds button[data-kind=ad_sets]").click()
    page.until(lambda: page.text("#place") == "1 to 20 of 60")
    page.one("#next").click()
    page.until(lambda: page.text("#place") == "21 to 40 of 60")
    page.one("#rows tr").click()
    assert json.loads(page.text("#whole"))["targets"]
    page.one("#search").send_keys("no such ad set")
    page.until(lambda: page.text("#place") == "none")
