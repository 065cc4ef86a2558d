"""Writes ``operations/``: every operation as a value, one file per group, and the table of all."""

from __future__ import annotations

from collections.abc import Iterable

from codegen.calls import Operation
from codegen.shapes import Shapes
from codegen.source import HEADER, call_of, exporting, gathered, imports_for, qualified

__all__ = ["render"]

PACKAGE = "spotify_ads_async.operations"
_DOCSTRING = '''"""Every operation of the Ads API as a value, and ``OPERATIONS``, the table of all by operationId."""
'''
_WIDTH = 120
_REPORTING_LIMITS = 'frozenset({"client_id", "ip", "reporting"})'


def render(operations: list[Operation], shapes: Shapes) -> dict[str, str]:
    """The files of ``operations/`` by name."""
    groups: dict[str, list[Operation]] = {}
    for one in operations:
        groups.setdefault(one.group, []).append(one)
    files = {f"{group}.py": _module(group, found, shapes) for group, found in groups.items()}
    files["__init__.py"] = _package(groups)
    return files


def _module(group: str, operations: list[Operation], shapes: Shapes) -> str:
    body = "".join(_constant(one, shapes) for one in operations)
    models = "from spotify_ads_async import models\n" if "models." in body else ""
    return "\n".join(
        [
            f'{HEADER}"""Operations: {group.replace("_", " ")}."""\n',
            f"{imports_for(body)}{models}",
            exporting(one.constant for one in operations),
            body,
        ]
    )


def _package(groups: Iterable[str]) -> str:
    imports = imports_for("Any Mapping MappingProxyType Operation ListOperation cast")
    face = gathered(PACKAGE, groups, "OPERATIONS", "ListOperation", "Operation")
    table = "{one.id: cast('Operation[Any]', one) for one in globals().values() if isinstance(one, Operation)}"
    opening = f"{HEADER}{_DOCSTRING}\n{imports}{face}"
    operations = f"\nOPERATIONS: Mapping[str, Operation[Any]] = MappingProxyType({table})"
    return f'{opening}{operations}\n"""Every operation by its operationId."""\n'


def _constant(one: Operation, shapes: Shapes) -> str:
    answer = qualified(one.answer, shapes.found) if one.answer else "None"
    item = qualified(one.item, shapes.found) if one.item else ""
    kind = f"ListOperation[{answer}, {item}]" if one.walk else f"Operation[{answer}]"
    arguments = [
        f"id={one.id!r}",
        f'method="{one.method}"',
        f"path={one.path!r}",
        f"summary={one.summary!r}",
        *([f"answer={answer}"] if one.answer else []),
        *([f"body={qualified(one.body, shapes.found)}"] if one.body else []),
        *(["body_required=False"] if one.body and not one.body_required else []),
    ]
    if one.multipart:
        arguments.append("multipart=True")
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
    opening = f"{one.constant}: {kind} = {kind.partition('[')[0]}("
    if len(opening) > _WIDTH:
        opening = opening.replace("[", "[\n    ").replace("] =", "\n] =")
    query = [f'"{query.name}": {qualified(query.type, shapes.found)}' for query in one.query]
    return call_of(opening, arguments, query)
