"""Writes ``operations.py``: every operation as a value, and the table of all."""

from __future__ import annotations

import re

from codegen.calls import Operation, Parameter
from codegen.shapes import Shapes
from codegen.source import HEADER, identifiers, imports_for

__all__ = ["render"]

_REPORTING_LIMITS = 'frozenset({"client_id", "ip", "reporting"})'


def render(operations: list[Operation], shapes: Shapes) -> str:
    """The source of ``operations.py``."""
    constants = "\n".join(_constant(one, shapes) for one in operations)
    body = "\n\n".join([constants, _table(operations)])
    return "\n".join(
        [
            HEADER + _DOCSTRING,
            "from __future__ import annotations\n",
            _imports(body),
            _exported(operations),
            body,
        ]
    )


_DOCSTRING = '''"""Every operation of the Ads API as a value, and ``OPERATIONS``, the table of all by operationId."""
'''


def _imports(body: str) -> str:
    lines = imports_for(body + " Operation ListOperation Any Mapping")
    return f"{lines}from spotify_ads_async import models\n"


def _exported(operations: list[Operation]) -> str:
    listing = ", ".join(f'"{name}"' for name in sorted(["OPERATIONS", "ListOperation", "Operation", *(one.constant for one in operations)]))
    return f"__all__ = [{listing},]\n"


def _constant(one: Operation, shapes: Shapes) -> str:
    answer = _qualified(one.answer, shapes) if one.answer else "None"
    item = _qualified(one.item, shapes) if one.item else ""
    kind = f"ListOperation[{answer}, {item}]" if one.walk else f"Operation[{answer}]"
    arguments = [
        f'id="{one.id}"',
        f'method="{one.method}"',
        f'path="{one.path}"',
        f"summary={one.summary!r}",
        f"answer={answer}",
    ]
    if one.body:
        arguments += [f"body={_qualified(one.body, shapes)}", f"body_required={one.body_required}"]
    if one.multipart:
        arguments.append("multipart=True")
    if one.query:
        arguments.append(f"query={_mapping(one.query, shapes)}")
    required = [f'"{query.name}"' for query in one.query if query.required]
    if required:
        arguments.append(f"query_required=frozenset({{{', '.join(required)}}})")
    if one.tag == "reports":
        arguments.append(f"limits={_REPORTING_LIMITS}")
    if one.repeat != "never":
        arguments.append(f"repeat=Repeat.{one.repeat.upper()}")
    if one.walk:
        style = one.walk.style.upper().replace("-", "_")
        arguments += [f"item={item}", f'item_attribute="{one.walk.items}"', f"style=ListStyle.{style}"]
        arguments += [f"page_size={one.page_size}"] if one.page_size else []
    return f"{one.constant}: {kind} = {kind.partition('[')[0]}({', '.join(arguments)},)"


def _mapping(parameters: tuple[Parameter, ...], shapes: Shapes) -> str:
    return "{" + ", ".join(f'"{one.name}": {_qualified(one.type, shapes)}' for one in parameters) + "}"


def _qualified(kind: str, shapes: Shapes) -> str:
    """A type's source with ``models.`` before the names of models."""
    for name in identifiers(kind) & shapes.found.keys():
        kind = re.sub(rf"(?<![\w.\"']){name}(?![\w\"'])", f"models.{name}", kind)
    return kind


def _table(operations: list[Operation]) -> str:
    listing = ", ".join(one.constant for one in operations)
    return (
        "OPERATIONS: Mapping[str, Operation[Any]] = MappingProxyType("
        f"{{operation.id: operation for operation in ({listing},)}})\n"
        '"""Every operation by its operationId."""\n'
    )
