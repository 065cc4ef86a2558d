"""What a release consists of agrees with itself."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import spotify_ads_async

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
KINDS = {kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"]}


def test_the_version_is_the_same_everywhere() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert cited == spotify_ads_async.__version__ == metadata.version("spotify-ads-async")


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (Path(spotify_ads_async.__file__).parent / "py.typed").exists()


def test_the_readme_shows_everything_without_the_repository() -> None:
    """On PyPI there is no picture beside it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "![" not in readme
    assert readme.count("](") <= 10


def test_the_readme_on_an_index_has_no_link_that_leads_nowhere() -> None:
    shown = str(metadata.metadata("spotify-ads-async"))
    assert "- Tutorial (`docs/tutorial.md`): " in shown
    assert re.findall(r"\]\((?!https?:|#)", shown) == []


@pytest.mark.parametrize("fragment", sorted((ROOT / "changes").glob("+*")), ids=lambda fragment: fragment.name)
def test_changelog_fragments_have_a_kind_and_a_sentence(fragment: Path) -> None:
    kind = re.fullmatch(r"\+[a-z0-9-]+\.(\w+)\.md", fragment.name)
    assert kind is not None
    assert kind[1] in KINDS
    assert fragment.read_text().strip().endswith(".")


def test_the_pythons_declared_start_with_the_one_required() -> None:
    declared = [
        line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if re.search(r"Python :: 3\.\d+$", line)
    ]
    assert PROJECT["project"]["requires-python"] == f">={declared[0]}"
