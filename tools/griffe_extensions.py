"""What griffe changes between the source and the reference pages."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["DocstringRoles", "ModelFields"]

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?(?:[\w.]+\.)??((?:[A-Z]\w*\.)?\w+)`")


class DocstringRoles(griffe.Extension):
    """Docstrings name things as ``:class:`~package.Name```: pages show the name as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - as griffe passes it
        """Change the docstring of everything that is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)


class ModelFields(griffe.Extension):
    """The fields of a struct and the values of an enum become one list each, not a heading each."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:  # noqa: ANN401 - as griffe passes it
        """Move the attributes of a model into its docstring."""
        if not cls.path.startswith("spotify_ads_async.models."):
            return
        fields = [
            field
            for field in cls.members.values()
            if isinstance(field, griffe.Attribute) and not field.name.startswith("_")
        ]
        if not fields:
            return
        typed = all(field.annotation is not None for field in fields)
        shown = (
            "\n".join(_item(field) for field in fields) if typed else ", ".join(f"`{field.name}`" for field in fields)
        )
        first = "" if cls.docstring is None else cls.docstring.value
        cls.docstring = griffe.Docstring(f"{first}\n\n{shown}", parent=cls)
        for field in fields:
            del cls.members[field.name]


def _item(field: griffe.Attribute) -> str:
    said = "" if field.docstring is None else f": {field.docstring.value}"
    return f"- `{field.name}` `{field.annotation}`{said}"
