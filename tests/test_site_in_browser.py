"""The built documentation in a real browser: `make docs` builds it and runs this."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.browser import DESKTOP, PHONE, chromium, resize

pytestmark = pytest.mark.site

SITE = Path(__file__).parent.parent / "site"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def until_true(chrome: Chrome, script: str, *arguments: object) -> object:
    return WebDriverWait(chrome, 15, poll_frequency=0.05).until(lambda _: chrome.execute_script(script, *arguments))


def test_every_page_fits_a_desk_and_a_phone_by_day_and_by_night(chrome: Chrome, address: str) -> None:
    complaints: list[str] = []
    for file in sorted(SITE.rglob("index.html")):
        page = str(file.parent.relative_to(SITE))
        chrome.get(f"{address}{page}/")
        for scheme, colours in (("light", "default"), ("dark", "slate")):
            preference = {"name": "prefers-color-scheme", "value": scheme}
            chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
            until_true(chrome, "return document.body.dataset.mdColorScheme === arguments[0]", colours)
            for size in (
                (DESKTOP, PHONE) if scheme == "light" else (PHONE, DESKTOP)
            ):  # so that each change is of one thing
                resize(chrome, size)
                wide = chrome.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
                if wide > 0:
                    complaints.append(f"{page}: {wide} pixels wider than {size[0]}, {scheme}")
        unseen = "return [...document.images].filter((one) => one.complete && !one.naturalWidth).map((one) => one.src)"
        complaints += [f"{page}: {image} does not show" for image in chrome.execute_script(unseen)]
        complaints += [f"{page}: {entry['message']}" for entry in chrome.get_log("browser")]
    assert complaints == []


SEARCH = "const root = [...document.querySelectorAll('*')].find((one) => one.shadowRoot).shadowRoot;"


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("create campaign", "how-to/create-a-campaign/"),
        ("jupyter", "how-to/notebook/"),
        ("proxy", "how-to/networks/"),
        ("log", "how-to/logging/"),
        ("undo", "how-to/bulk-changes/"),
        ("rate limit", "reference/limits/"),
    ],
)
def test_the_search_leads_to_what_people_look_for(chrome: Chrome, address: str, words: str, page: str) -> None:
    resize(chrome, DESKTOP)
    chrome.get(address)
    until_true(chrome, "return document.querySelector('.md-search__button') !== null")
    chrome.find_element(By.CSS_SELECTOR, ".md-search__button").click()
    until_true(
        chrome,
        f"{SEARCH} const field = root.querySelector('input'); field.focus(); return root.activeElement === field",
    )
    ActionChains(chrome).send_keys(words).perform()
    # While the words are typed, their beginnings are searched for.
    found = "[...root.querySelectorAll('ol a')].slice(0, 5).some((one) => one.href.startsWith(arguments[0]))"
    until_true(chrome, f"{SEARCH} return {found}", address + page)


def test_commands_are_copied_without_prompt_and_output(chrome: Chrome, address: str) -> None:
    chrome.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    resize(chrome, DESKTOP)
    chrome.get(f"{address}how-to/watch-the-api/")
    until_true(chrome, "return document.querySelector('pre:has(.gp) .md-code__button') !== null")
    button = chrome.find_element(By.CSS_SELECTOR, "pre:has(.gp) .md-code__button")
    ActionChains(chrome).move_to_element(button).click().perform()
    until_true(chrome, "return document.querySelector('.md-dialog--active') !== null")
    read = "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))"
    assert chrome.execute_async_script(read) == "spotify-ads api changes"
