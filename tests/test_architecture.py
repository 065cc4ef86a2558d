"""The order of the packages where import-linter cannot see it: the public API, import cycles, extras."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import spotify_ads_async

ROOT = Path(__file__).parent.parent
PACKAGE = Path(spotify_ads_async.__file__).parent

EXTRAS = (
    "dlt",
    "keyring",
    "mcp",
    "olefile",
    "opentelemetry",
    "platformdirs",
    "polars",
    "pyarrow",
    "prometheus_client",
    "python_calamine",
    "redis",
    "rich",
    "typer",
    "uvloop",
    "xlsxwriter",
)


FILES = sorted(PACKAGE.rglob("*.py"))
ABOVE_THE_PUBLIC_API = {"bulk", "dlt", "mcp", "proxy", "telemetry.py", "emulator", "cli", "__init__.py", "__main__.py"}


@cache
def trees() -> dict[Path, ast.Module]:
    """What each file says: read by the worker that runs these tests, not by all that collect them."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


def test_what_makes_the_public_api_does_not_import_it() -> None:
    """The order of the packages is import-linter's.

    It cannot see this one, for the public API is the package itself.
    """
    packages = {path.name for path in PACKAGE.iterdir()} | {path.stem for path in PACKAGE.glob("*.py")}
    for file, tree in trees().items():
        if file.relative_to(PACKAGE).parts[0] not in ABOVE_THE_PUBLIC_API:
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == "spotify_ads_async":
                    assert {alias.name for alias in node.names} <= packages, file


MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES
}


def modules_loaded(file: Path) -> set[str]:
    """The modules of the package that ``file`` loads: no imports for types alone, none inside of functions."""
    names: set[str] = set()
    for statement in trees()[file].body:
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
            inner = {f"{statement.module}.{alias.name}" for alias in statement.names}
            names |= inner if inner <= MODULES.keys() else inner | {statement.module}
    return names & MODULES.keys()


def test_no_module_imports_itself_around_a_corner() -> None:
    try:
        TopologicalSorter({name: modules_loaded(file) - {name} for name, file in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' → '.join(error.args[1])}")


def test_the_architecture_page_shows_every_package() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][
        0
    ]["layers"]
    kept = [set(re.split(r" [|:] ", layer)) for layer in layers]
    drawn = [set(re.findall(r"`(\w+)`", names)) for names in re.findall(r"^\| \d+ \| ([^|]+) \|", page, re.MULTILINE)]
    assert [names for names in drawn if names != {"__init__"}] == kept


def test_the_core_imports_no_extra() -> None:
    program = (
        f"import spotify_ads_async, spotify_ads_async.emulator, sys; print([name for name in {EXTRAS} if name in"
        " sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


LOADED_LATER = {"bulk/__init__.py"}
"""Lists of the command line need a few modules of this package, and would start a quarter later with all of it."""


def test_a_module_holds_the_names_that_it_gives() -> None:
    lazy = {
        str(file.relative_to(PACKAGE))
        for file, tree in trees().items()
        if any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in ast.walk(tree))
    }
    assert lazy == LOADED_LATER


def test_the_public_api_loads_no_models() -> None:
    program = (
        "import spotify_ads_async, sys; print([name for name in sys.modules if"
        " name.startswith('spotify_ads_async.models')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


OLD_WORDS = frozenset(
    [
        "absorb",
        "appetite",
        "door",
        "face",
        "fate",
        "floor",
        "forgetful",
        "frontier",
        "gate",
        "hands",
        "heed",
        "heeds",
        "house",
        "journey",
        "keeper",
        "lane",
        "meal",
        "meals",
        "rearm",
        "remarkable",
        "room",
        "verdict",
        "withheld",
    ]
)
"""What the glossary's words took the place of: nobody should meet them again."""


def public_names(file: Path) -> set[str]:
    """The module's name, and the classes, functions, methods, attributes and constants of it that others may use."""
    names = {file.stem}
    scopes: list[ast.Module | ast.ClassDef] = [trees()[file]]
    while scopes:
        for node in scopes.pop().body:
            match node:
                case ast.ClassDef(name=name):
                    scopes.append(node)
                    names.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    names.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    names.add(name)
                case _:
                    pass
    return {name for name in names if not name.startswith("_")}


def test_no_public_name_is_of_the_old_vocabulary() -> None:
    used = {
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in FILES
        for name in public_names(file)
        if OLD_WORDS.intersection(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name))
    }
    assert sorted(used) == []


def test_the_architecture_page_leads_to_what_is_there() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Where to look")[2].partition("\n## ")[0]
    missing: list[str] = []
    for row in table.splitlines():
        files = [PACKAGE / name for name in re.findall(r"`([\w/]+\.(?:py|lua))`", row)]
        places = [path for file in files if (path := next(PACKAGE.rglob(file.name), None)) is not None]
        missing += [file.name for file in files if not any(place.name == file.name for place in places)]
        source = "".join(place.read_text(encoding="utf-8") for place in places)
        for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?|[a-z]+_[a-z_]+)`", row):
            missing += [part for part in name.split(".") if not re.search(rf"\b{part}\b", source)]
    assert missing == []


LONGEST_FILE, LONGEST_FUNCTION, LONGEST_CLASS = 400, 60, 250
"""Lines, docstrings and signatures among them. Above them it is parted."""


def test_nothing_is_too_long() -> None:
    longer: set[str] = set()
    for file, tree in trees().items():
        name, text = str(file.relative_to(PACKAGE)), file.read_text(encoding="utf-8")
        if text.startswith("# Generated by"):
            continue
        if text.count("\n") > LONGEST_FILE:
            longer.add(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                longest = LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION
                if (node.end_lineno or node.lineno) - node.lineno >= longest:
                    longer.add(f"{name}: {node.name}")
    assert sorted(longer) == [], "part it"
