"""Writes ``models/``: one file per group of operations, and a face that exports every name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen import names
from codegen.document import Document, GenerationError
from codegen.shapes import Attribute, EnumShape, Shape, Shapes, StructShape, UnionShape
from codegen.source import HEADER, exporting, gathered, identifiers, imports_for
from codegen.wording import described, entry

__all__ = ["render"]

PACKAGE = "spotify_ads_async.models"


def render(shapes: Shapes, docs: Mapping[str, str], document: Document) -> dict[str, str]:
    """The files of ``models/`` by name.

    What ``docs`` says of a class that is not there becomes a note of the document.
    """
    modules: dict[str, list[Shape]] = {}
    for shape in shapes.found.values():
        modules.setdefault(shapes.modules[shape.name], []).append(shape)
    bodies = {
        module: "\n\n".join(_class(shape, shapes, docs) for shape in _in_order(found, shapes))
        for module, found in modules.items()
    }
    exported = {module: _exported(found) for module, found in modules.items()}
    home = {name: module for module, found in exported.items() for name in found}
    _refuse_cycles(
        {module: {home[name] for name in identifiers(body) & home.keys()} - {module} for module, body in bodies.items()}
    )
    for stranger in sorted(docs.keys() - home.keys()):
        document.note(f"nothing is called {stranger}: drop it from `docs` in the overrides")
    files = {f"{module}.py": _module(module, body, exported[module], home) for module, body in bodies.items()}
    files["__init__.py"] = _face(exported)
    return files


def _in_order(shapes: list[Shape], known: Shapes) -> list[Shape]:
    """Enums first, then each class after those that it names."""
    left = {shape.name: shape for shape in sorted(shapes, key=lambda shape: not isinstance(shape, EnumShape))}
    result: list[Shape] = []
    while left:
        free = next((name for name, shape in left.items() if not _needs(shape, known) & left.keys()), None)
        if free is None:
            raise GenerationError(f"schemas contain each other: {', '.join(left)}; teach codegen to write that")
        result.append(left.pop(free))
    return result


def _needs(shape: Shape, known: Shapes) -> set[str]:
    if isinstance(shape, EnumShape):
        return set()
    if isinstance(shape, UnionShape):
        variants = set(shape.variants.values()) if shape.mode == "request" else set[str]()
        return variants.union(*(identifiers(one.type) for one in shape.shared))
    return {shape.family or "", _twin(shape, known) or ""}.union(*(identifiers(one.type) for one in shape.attributes))


def _twin(shape: StructShape, known: Shapes) -> str | None:
    """The struct that carries the same in requests."""
    twin = shape.name.removeprefix("Stored")
    return twin if shape.mode == "answer" and twin != shape.name and twin in known.found else None


def _exported(shapes: list[Shape]) -> list[str]:
    unknown = [shape.unknown for shape in shapes if isinstance(shape, UnionShape) and shape.mode == "answer"]
    return [*(shape.name for shape in shapes), *unknown]


def _module(module: str, body: str, exported: list[str], home: dict[str, str]) -> str:
    others = {name: f"{PACKAGE}.{where}" for name, where in home.items() if where != module}
    return "\n".join(
        [
            HEADER + f'"""Structs and enums: {module.replace("_", " ")}."""',
            imports_for(body, others),
            exporting(exported),
            body,
        ]
    )


def _face(modules: Iterable[str]) -> str:
    return f'{HEADER}"""Every struct and enum of the API."""\n\n{gathered(PACKAGE, modules)}'


def _refuse_cycles(needs: dict[str, set[str]]) -> None:
    """Modules import one another in one direction only."""
    left = dict(needs)
    while left:
        free = [module for module, needed in left.items() if not needed & left.keys()]
        if not free:
            raise GenerationError(
                f"modules need each other: {', '.join(sorted(left))}; move a schema in `modules` of the overrides"
            )
        for module in free:
            del left[module]


def _class(shape: Shape, shapes: Shapes, docs: Mapping[str, str]) -> str:
    about = docs.get(shape.name)
    if isinstance(shape, EnumShape):
        return _enum(shape, about or f"{_sentence(names.words(shape.name))}.")
    if isinstance(shape, StructShape):
        twin = _twin(shape, shapes)
        about = about or docs.get(twin or "") or _about(shape)
        return _struct(shape, shapes, f"{about} Sent as :class:`{twin}`." if twin else about)
    return (
        _union(shape, about or f"{_sentence(names.words(shape.name))}.") if shape.mode == "request" else _family(shape)
    )


def _enum(shape: EnumShape, about: str) -> str:
    lines = [f"class {shape.name}(OpenEnum):", f'    """{about}"""', ""]
    lines += [f"    {names.member(value)} = {value!r}" for value in shape.values]
    if shape.answer_only:
        held = ", ".join(f'"{value}"' for value in shape.answer_only)
        lines += ["", f"    answer_only = nonmember(frozenset({{{held}}}))"]
    return "\n".join(lines) + "\n"


def _struct(shape: StructShape, shapes: Shapes, about: str) -> str:
    twin = _twin(shape, shapes)
    bases = ["Request" if shape.mode == "request" else f"Stored[{twin}]" if twin else "Answer"]
    if shape.family:
        bases.insert(0, shape.family)
    options = ["frozen=True", "kw_only=True"]
    if shape.tag:
        options += [f'tag_field="{shape.tag[0]}"', f'tag="{shape.tag[1]}"']
    about += _attributes(shape, shapes)
    lines = [f"class {shape.name}({', '.join([*bases, *options])}):", f'    """{about}"""', ""]
    if shape.at_least:
        lines += [f"    at_least: ClassVar[int] = {shape.at_least}", ""]
    lines += [_attribute(one, shape.mode) for one in shape.attributes]
    times = [one.name for one in shape.attributes if one.type == "UtcTime"] if shape.mode == "request" else []
    if times:
        listed = ", ".join(f'"{name}"' for name in times)
        lines += ["", "    def __post_init__(self) -> None:", f"        whole_seconds(self, {listed})"]
    return "\n".join(lines) + "\n"


def _attributes(shape: StructShape, shapes: Shapes) -> str:
    """What each attribute of a request holds: its unit and its rules."""
    if shape.mode != "request" or not shape.attributes:
        return ""
    lines: list[str] = []
    for one in shape.attributes:
        said = described(one.type, shapes.found)
        rules = [*(["it must be given"] if one.required else []), *(["None clears it"] if one.nullable else [])]
        lines.append(entry(one.name, "; ".join([said, *rules]) + ".", indent=8))
    few = f" At least {shape.at_least} must be given." if shape.at_least else ""
    return few + "\n\n    Attributes:\n" + "\n".join(lines) + "\n    "


def _attribute(one: Attribute, mode: str) -> str:
    if mode == "answer" and (one.name, one.type) == ("id", "str"):
        return "    id: AnsweredId = ABSENT_ID"
    if mode == "answer":
        return f"    {one.name}: {one.type} | None = None"
    kind = " | ".join([one.type, *(["UnsetType"] if not one.required else []), *(["None"] if one.nullable else [])])
    return f"    {one.name}: {kind}" if one.required else f"    {one.name}: {kind} = UNSET"


def _union(shape: UnionShape, about: str) -> str:
    variants = " | ".join(dict.fromkeys(shape.variants.values()))
    return f'{shape.name}: TypeAlias = {variants}\n"""{about}"""\n'


def _family(shape: UnionShape) -> str:
    thing = names.article(names.words(shape.name))
    listed = ", ".join(f"{value}" for value in shape.variants.values())
    variants = ", ".join(f'"{value}": {name}' for value, name in shape.variants.items())
    lines = [
        f"class {shape.name}(OpenUnion):",
        f'    """{_sentence(thing)}: {listed}, or {shape.unknown}."""',
        "",
        "    __slots__ = ()",
        f'    tag_field: ClassVar[str] = "{shape.tag_field}"',
        "",
        *(
            "    id: AnsweredId" if (one.name, one.type) == ("id", "str") else f"    {one.name}: {one.type} | None"
            for one in shape.shared
        ),
        "",
        "    @classmethod",
        "    def variants(cls) -> Mapping[str, type[Any]]:",
        '        """Tag to struct."""',
        f"        return {{{variants}}}",
        "",
        "    @classmethod",
        "    def unknown(cls) -> type[Any]:",
        '        """The struct for any other tag."""',
        f"        return {shape.unknown}",
        "",
        "",
        f"class {shape.unknown}({shape.name}, Answer, frozen=True, kw_only=True):",
        (
            f'    """{_sentence(thing)} of a kind that this package does not know: ``data`` holds all that was'
            ' answered."""'
        ),
        "",
        *(_attribute(one, "answer") for one in shape.shared),
        "    data: dict[str, Any] = field(default_factory=dict[str, Any])",
    ]
    return "\n".join(lines) + "\n"


def _about(shape: StructShape) -> str:
    for suffix, form in (
        ("Create", "What it takes to create {}."),
        ("Update", "Changes to {}: what is left out stays as it is."),
        ("Query", "The question for {}."),
    ):
        if shape.mode == "request" and shape.name.endswith(suffix):
            return form.format(names.article(names.words(shape.name.removesuffix(suffix))))
    for suffix, form in (("Page", "One page of {}s."), ("List", "All {}s of one answer.")):
        if shape.mode == "answer" and shape.name.endswith(suffix):
            thing = names.words(shape.name.removesuffix(suffix))
            return form.format(thing.removesuffix("y") + "ie" if thing.endswith("y") else thing)
    thing = _sentence(
        names.article(names.words(shape.name.removeprefix("Stored") if shape.mode == "answer" else shape.name))
    )
    pronoun = "them" if names.plural(thing) else "it"
    return f"{thing}, as the API answers {pronoun}." if shape.mode == "answer" else f"{thing}, for a request."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
