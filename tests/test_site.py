"""The built documentation: `make docs` builds it and runs this."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.public_api import MODULES, names

from spotify_ads_async import UNSET
from spotify_ads_async.operation import Operation

pytestmark = pytest.mark.site

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
ANCHOR = re.compile(r'id="((?:spotify_ads_async|pytest_spotify_ads)[\w.]*)"')


def pages_named(entry: object) -> Iterator[str]:
    """The files of a navigation, at any depth."""
    match entry:
        case str():
            yield entry
        case list():
            for item in entry:
                yield from pages_named(item)
        case dict():
            for item in entry.values():
                yield from pages_named(item)
        case _:
            raise TypeError(entry)


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(pages_named(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


LINK = re.compile(r'<a\b[^>]*?\bhref="([^"#?:]*)(?:#([^"]*))?"')
IDENTIFIER = re.compile(r'\bid="([^"]*)"')


def test_every_link_leads_somewhere() -> None:
    """The strict build looks at the links of pages; it does not see those that signatures and generated pages make."""
    text = {page: page.read_text() for page in SITE.rglob("index.html")}
    places = {page: set(IDENTIFIER.findall(html)) for page, html in text.items()}
    broken: set[tuple[str, str]] = set()
    for page, html in text.items():
        for target, fragment in LINK.findall(html):
            file = (page.parent / unquote(target)).resolve() if target else page
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (fragment and unquote(fragment) not in places.get(file, {unquote(fragment)})):
                broken.add((str(page.relative_to(SITE)), f"{target}#{fragment}"))
    assert sorted(broken) == []


def test_no_page_shows_a_backslash_of_its_source() -> None:
    assert [page for page in SITE.rglob("index.html") if r"\|" in page.read_text()] == []


@pytest.fixture(scope="module")
def shown() -> set[str]:
    return {anchor for page in SITE.rglob("index.html") for anchor in ANCHOR.findall(page.read_text())}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_shown(module: str, shown: set[str]) -> None:
    listed = (ROOT / "docs" / "reference" / "operations.md").read_text()

    def is_shown(name: str, value: object) -> bool:
        if isinstance(value, Operation):
            return f"`{value.id}`" in listed
        home = value.__module__.split(".") if isinstance(value, type) or inspect.isfunction(value) else []
        if home[:1] in (["spotify_ads_async"], ["pytest_spotify_ads"]):
            packages = [".".join(home[:depth]) for depth in range(1, len(home) + 1)]
            return any(f"{package}.{name}" in shown for package in packages)
        if home[:1] == ["msgspec"] or value is UNSET:
            return True  # its own pages show it
        # A constant or an alias does not know where it was defined.
        return any(place.endswith(f".{name}") for place in shown)

    assert [
        name for name, value in names(module).items() if not name.startswith("__") and not is_shown(name, value)
    ] == []
