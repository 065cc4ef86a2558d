"""Writes ``resources/``: the classes whose methods are calls."""

from __future__ import annotations

import re
from collections.abc import Iterable

from codegen import names
from codegen.calls import Operation, Parameter
from codegen.document import GenerationError
from codegen.overrides import Overrides, Resource
from codegen.shapes import Shapes
from codegen.source import HEADER, call_of, exporting, identifiers, imports_for, qualified
from codegen.wording import described, entry, parted, thing

__all__ = ["render"]

PACKAGE = "spotify_ads_async.resources"
_LOAD = "        from "
_FEW = 3
_ABOUT = '''"""Every call of the API: each method names one operation, whose id stands in its docstring.

Ids come first, then the body, then filters by keyword; a filter left out is not sent. A list call can be awaited for
one page and iterated for every item. ``idempotency_key`` is kept over the repeats of one create; without it each call
makes its own. ``verify`` reads back whether a write whose answer was lost took effect: it answers the result, or None
where it did not.
"""
'''


def render(operations: list[Operation], overrides: Overrides, shapes: Shapes) -> dict[str, str]:
    """The files of ``resources/`` by name.

    Raises:
        GenerationError: a call hangs on a path that ``resources`` in the overrides does not name, or two calls are one.
    """
    resources = overrides.resources
    calls = [one.call for one in operations]
    twice = {call for call in calls if calls.count(call) > 1}
    strangers = {one.call for one in operations if one.holder not in resources}
    if twice or strangers:
        raise GenerationError(f"correct `call` or `resources` in the overrides: {', '.join(sorted(twice | strangers))}")
    modules = {path: one.module or path.split(".", 2)[1] for path, one in resources.items()}
    roots = {one.ids for path, one in resources.items() if "." not in path}
    home = {one.name: modules[path] for path, one in resources.items()} | {_base(ids): "_base" for ids in roots}
    files: dict[str, str] = {}
    inner_first = sorted(resources, key=lambda path: (-path.count("."), path))
    for module in sorted(set(modules.values())):
        paths = [path for path in inner_first if modules[path] == module]
        classes = [_class(path, overrides, operations, home, shapes) for path in paths]
        files[f"{module}.py"] = _module(module, classes, home)
    files["_base.py"] = _bases(roots)
    files["__init__.py"] = _face(overrides, home)
    return files


def _module(module: str, classes: list[str], home: dict[str, str]) -> str:
    body = "\n\n".join(classes)
    others = {name: f"{PACKAGE}.{where}" for name, where in home.items() if where != module}
    lazy = _LOAD in body
    used = identifiers(re.sub(f"{_LOAD}.*", "", body))
    shared = ", ".join(name for name in ("models", *(() if lazy else ("operations",))) if name in used)
    running = used & {"UNSET", "ListCall", "cached_property"} | {one for one in used if home.get(one) == "_base"}
    running = running if lazy else used
    shared = f"from spotify_ads_async import {shared}\n" if shared else ""
    imports = ("" if lazy else shared) + imports_for(" ".join(running), others)
    guarded = shared + imports_for(" ".join(used - running), others) if lazy else ""
    noqa = "# ruff: noqa: A002 -- filters keep the API's names\n" if re.search(r"\btype: ", body) else ""
    noqa += "# ruff: noqa: PLC0415 -- models load when first used\n" if lazy else ""
    return "\n".join(
        [
            HEADER
            + noqa
            + f'"""Calls: {module.replace("_", " ")}. Each method raises what :meth:`Session.call` raises."""',
            "from __future__ import annotations\n",
            imports,
            *([f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n{_indented(guarded)}"] if lazy else []),
            exporting(re.findall(r"^class (\w+)", body, re.MULTILINE)),
            body,
        ]
    )


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())


def _face(overrides: Overrides, home: dict[str, str]) -> str:
    roots = sorted(one.name for path, one in overrides.resources.items() if "." not in path)
    imports = "".join(f"from {PACKAGE}.{home[name]} import {name}\n" for name in roots)
    return f"{HEADER}{_ABOUT}\n{imports}\n{exporting(roots)}"


def _class(path: str, overrides: Overrides, operations: list[Operation], home: dict[str, str], shapes: Shapes) -> str:
    """The source of one class. What the client holds itself imports the rest only when it is used."""
    resource = overrides.resources[path]
    lazy = "." not in path
    ids = overrides.resources[path.split(".", 1)[0]].ids
    children = {
        child.rpartition(".")[2]: one for child, one in overrides.resources.items() if child.rpartition(".")[0] == path
    }
    held = [_held_lazily(name, one, ids, home) for name, one in children.items()] if lazy else []
    methods = [_method(one, ids, shapes, lazy=lazy) for one in operations if one.holder == path]
    initializer = _children(ids, {} if lazy else children)
    head = [f"class {resource.name}({_base(ids)}):", f'    """{resource.summary}"""', ""]
    return "\n".join([*head, *initializer, *held, *methods])


def _base(ids: tuple[str, ...]) -> str:
    """The name of the class that holds the session and the ids: ``ad_account_id`` → ``AdAccountCalls``."""
    return "".join(names.pascal(name.removesuffix("_id")) for name in ids) + "Calls"


def _bases(found: Iterable[tuple[str, ...]]) -> str:
    """The file of the classes that hold the session and the ids."""
    classes: list[str] = []
    for ids in sorted(found):
        common = " and ".join(f"the {thing(name)}'s ID" for name in ids)
        lines = [
            f"class {_base(ids)}:",
            f'    """Calls {f"whose paths have {common} in common" if ids else "of a session"}."""',
            "",
            f"    def __init__(self, session: Session{''.join(f', {name}: str' for name in ids)}) -> None:",
            "        self._session = session",
            *(f"        self._{name} = {name}" for name in ids),
            *([f"        self._path = {_mapping(ids)}"] if ids else []),
        ]
        classes.append("\n".join(lines))
    return "\n\n\n".join([f'{HEADER}"""What calls have in common."""\n\n{imports_for("Session")}', *classes, ""])


def _children(ids: tuple[str, ...], children: dict[str, Resource]) -> list[str]:
    """The initializer of a class that holds others."""
    arguments = ", ".join(["session", *ids])
    lines = [
        f"    def __init__(self, session: Session{''.join(f', {name}: str' for name in ids)}) -> None:",
        f"        super().__init__({arguments})",
        *(f"        self.{attribute} = {one.name}({arguments})" for attribute, one in children.items()),
    ]
    return ["\n".join(lines) + "\n"] if children else []


def _held_lazily(attribute: str, resource: Resource, ids: tuple[str, ...], home: dict[str, str]) -> str:
    arguments = ", ".join(["self._session", *(f"self._{name}" for name in ids)])
    lines = [
        "    @cached_property",
        f"    def {attribute}(self) -> {resource.name}:",
        f'        """{resource.summary}"""',
        f"{_LOAD}{PACKAGE}.{home[resource.name]} import {resource.name}",
        "",
        f"        return {resource.name}({arguments})",
    ]
    return "\n".join(lines) + "\n"


def _method(one: Operation, held: tuple[str, ...], shapes: Shapes, *, lazy: bool) -> str:
    ids = [parameter.name for parameter in one.path_parameters if parameter.name not in held]
    positional = [f"{name}: str" for name in ids] + ([f"body: {qualified(one.body, shapes.found)}"] if one.body else [])
    keywords = [
        _keyword(parameter, shapes) for parameter in sorted(one.query, key=lambda parameter: not parameter.required)
    ]
    arguments = _arguments(one, held)
    answer = qualified(one.answer or "None", shapes.found)
    if one.repeat == "keyed":
        keywords.append("idempotency_key: str | None = None")
        arguments.append("idempotency_key=idempotency_key")
    elif one.repeat == "never" and one.answer:
        keywords.append(f"verify: Verify[{answer}] | None = None")
        arguments.append("verify=verify")
    head = ", ".join(["self", *positional, *(["*", *keywords] if keywords else [])])
    about = _about(one, ids, shapes)
    about += f"{_LOAD}spotify_ads_async import operations\n\n" if lazy else ""
    if one.walk:
        signature = f"    def {one.python_method}({head}) -> ListCall[{qualified(one.item or '', shapes.found)}]:"
        return f"{signature}\n{about}{_call('return ListCall(', ['self._session', *arguments], one)}"
    signature = f"    async def {one.python_method}({head}) -> {answer}:"
    opening = f"{'return ' if one.answer else ''}await self._session.call("
    return f"{signature}\n{about}{_call(opening, arguments, one)}"


def _call(opening: str, arguments: list[str], one: Operation) -> str:
    query = [f'"{parameter.name}": {parameter.name}' for parameter in one.query]
    if len(query) > _FEW:
        return call_of(opening, arguments, query, indent=8)
    held = [f"query={{{', '.join(query)}}}"] if query else []
    return f"        {opening}{', '.join([*arguments, *held])})\n"


_FITTING = 107
_SAID = {
    "limit": "how many rows a page holds",
    "offset": "how many rows to pass over",
    "sort_field": "what to sort by",
    "sort_direction": "in which direction to sort",
    "idempotency_key": "kept over the repeats of one create; with the same key nothing is made twice",
    "verify": "reads back whether a write whose answer was lost took effect: its result, or None",
}
"""Parameters that mean the same everywhere."""


def _about(one: Operation, ids: list[str], shapes: Shapes) -> str:
    """A method's docstring: what it does, its arguments, its answer, its errors, and how it is called."""
    classes = shapes.found
    arguments = [entry(name, f"the {thing(name)}'s ID.", indent=12) for name in ids]
    if one.body:
        arguments.append(entry("body", f"what is sent: {described(one.body, classes)}.", indent=12))
    for parameter in sorted(one.query, key=lambda parameter: not parameter.required):
        said = f"{_SAID[parameter.name]}: " if parameter.name in _SAID else ""
        arguments.append(entry(parameter.name, f"{said}{described(parameter.type, classes)}.", indent=12))
    extra = "idempotency_key" if one.repeat == "keyed" else "verify" if one.repeat == "never" and one.answer else ""
    arguments += [entry(extra, f"{_SAID[extra]}.", indent=12)] if extra else []
    call = f"{one.call}({', '.join([*ids, *(['body'] if one.body else [])])})"
    if one.walk:
        answer = f"A list call: `async for` reads every {described(one.item or '', classes)}, and `await` one page."
        example = f"Call it as ``async for one in {call}: ...``."
        error = "while it is read, as of :meth:`Session.call`."
    else:
        answer = f"{described(one.answer, classes)}, as the API has it now." if one.answer else ""
        example = f"Call it as ``{'answer = ' if one.answer else ''}await {call}``."
        doubt = "" if one.repeat == "safe" else ", OutcomeUnknown after"
        error = f"InvalidRequest before it is sent{doubt}, or another of :meth:`Session.call`."
    near = " " if len(answer) + len(example) < _FITTING else f"\n{' ' * 12}"
    parts = [
        f"{one.summary.removesuffix('.')} ({one.id}).",
        *(["Args:\n" + "\n".join(arguments)] if arguments else []),
        *([f"Returns:\n            {answer}{near}{example}"] if answer else []),
        f"Raises:\n            SpotifyAdsError: {error}",
        *([] if answer else [example]),
    ]
    text = "\n\n        ".join(parts)
    return f'        """{text}\n        """\n'


def _arguments(one: Operation, held: tuple[str, ...]) -> list[str]:
    """What the session is called with, up to the body."""
    arguments = [f"operations.{one.constant}"]
    own = [parameter.name for parameter in one.path_parameters if parameter.name not in held]
    common = ["**self._path"] if len(own) < len(one.path_parameters) else []
    if one.path_parameters:
        arguments.append(f"path={_mapping(own, *common)}" if own else "path=self._path")
    return [*arguments, "body=body"] if one.body else arguments


def _mapping(given: Iterable[str], *others: str) -> str:
    return "{" + ", ".join([*others, *(f'"{name}": {name}' for name in given)]) + "}"


def _keyword(parameter: Parameter, shapes: Shapes) -> str:
    """A filter as a keyword argument: its type without constraints, sequences for lists."""
    kind = parameter.type
    while kind.startswith("Annotated["):
        kind = parted(kind)[0]
    kind = qualified(kind, shapes.found).replace("Uuid", "str").replace("list[", "Sequence[")
    return f"{parameter.name}: {kind}" if parameter.required else f"{parameter.name}: {kind} | UnsetType = UNSET"
