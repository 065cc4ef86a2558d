"""What others rely on changes only on purpose, and says what it is."""

from __future__ import annotations

import difflib
import inspect

import pytest
from support.public_api import FILE, MODULES, names, public_api


def test_the_public_api_is_as_announced() -> None:
    announced = FILE.read_text()
    changes = list(
        difflib.unified_diff(announced.splitlines(), public_api().splitlines(), "announced", "now", lineterm="", n=0)
    )
    assert not changes, "\n".join(["the public API changed: add a changelog fragment and run `make api`", *changes])


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_has_a_docstring(module: str) -> None:
    public = names(module).items()
    assert [name for name, value in public if isinstance(value, type) and not vars(value).get("__doc__")] == []
    assert [name for name, value in public if inspect.isfunction(value) and not value.__doc__] == []
