"""A griffe extension: docstrings name things as ``:class:`~package.Name```, and pages show the name as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["DocstringRoles"]

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?(?:[\w.]+\.)??((?:[A-Z]\w*\.)?\w+)`")


class DocstringRoles(griffe.Extension):
    """Writes roles as Markdown code, without the module."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - as griffe passes it
        """Change the docstring of everything that is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
