"""The house's order: a room imports only rooms below it, and the core imports no extra."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import spotify_ads_async

ROOT = Path(__file__).parent.parent
PACKAGE = Path(spotify_ads_async.__file__).parent

FLOORS: list[set[str]] = [
    {"version", "types", "errors"},
    {"operation", "events", "money"},
    {"models"},
    {"operations"},
    {"checks"},
    {"rules"},
    {"validation"},
    {"wire", "governor", "retry", "auth"},
    {"settings", "transport"},
    {"session", "storage"},
    {"pages"},
    {"resources"},
    {"reports", "uploads", "trees"},
    {"client"},
    {"__init__"},
    {"bulk", "sign_in", "telemetry"},
    {"profiles"},
    {"emulator"},
    {"cli"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
EXTRAS = ("keyring", "opentelemetry", "platformdirs", "polars", "pyarrow", "redis", "rich", "typer", "uvloop")


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            whole_package = node.module == "spotify_ads_async"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if whole_package else [node.module]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "spotify_ads_async":
                rooms.add(parts[1] if len(parts) > 1 and parts[1] in FLOOR_OF else "__init__")
    return rooms


def test_every_room_stands_on_a_floor() -> None:
    assert {room_of(file) for file in PACKAGE.rglob("*.py")} <= FLOOR_OF.keys()


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below(file: Path) -> None:
    room = room_of(file)
    upward = {other for other in imported_rooms(file) if other != room and FLOOR_OF[other] >= FLOOR_OF[room]}
    assert not upward, f"{file.relative_to(PACKAGE)} imports {sorted(upward)}"


MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file for file in PACKAGE.rglob("*.py")
}


def modules_loaded(file: Path) -> set[str]:
    """The modules of the package that ``file`` loads: no imports for types alone, none inside of functions."""
    names: set[str] = set()
    for statement in ast.parse(file.read_text()).body:
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


def test_the_picture_of_the_house_is_true() -> None:
    page = (ROOT / "docs" / "explanation" / "house.md").read_text()
    drawn = {int(floor): set(re.findall(r"`(\w+)`", rooms)) for floor, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", page, re.MULTILINE)}
    assert drawn == dict(enumerate(FLOORS))


def test_the_core_imports_no_extra() -> None:
    program = f"import spotify_ads_async, spotify_ads_async.emulator, sys; print([name for name in {EXTRAS} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_holds_the_names_that_it_gives(file: Path) -> None:
    functions = {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}
    assert "__getattr__" not in functions


def test_the_face_loads_no_models() -> None:
    program = "import spotify_ads_async, sys; print([name for name in sys.modules if name.startswith('spotify_ads_async.models')])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
