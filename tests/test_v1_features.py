"""The table of the v1.4 introduction's features leads to a section with an example for each.

``test_docs.py`` runs them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "v1-features.md").read_text()
ROWS = re.findall(r"^\| (?P<feature>[^|]+) \| [^|]+ \| .*\(#(?P<anchor>[\w-]+)\).*\|$", PAGE, re.MULTILINE)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 25


@pytest.mark.parametrize(("feature", "target"), ROWS)
def test_every_feature_has_an_example(feature: str, target: str) -> None:
    section = {anchor(heading): text for heading, text in SECTIONS.items()}.get(target)
    assert section is not None, feature
    example = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert example is not None, feature
    assert "assert " in example[1], feature
