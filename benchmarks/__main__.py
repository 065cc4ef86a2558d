"""Run measurements: ``python -m benchmarks`` runs all, ``python -m benchmarks NAME [ARGUMENT …]`` runs one, ``--list`` names them.

A measurement is a module of this package with a function ``main()`` that reads its arguments from ``sys.argv[1:]`` and
prints what it found. What it returns as a :class:`Report` goes into ``docs/benchmarks/`` as JSON and SVG. The module's first
line says what it measures. A name may have hyphens for underscores.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

from benchmarks import _harness

HERE = Path(__file__).parent


def measurements() -> dict[str, str]:
    """Name and first line of every module here that defines ``main``, by name."""
    found: dict[str, str] = {}
    for file in sorted(HERE.glob("*.py")):
        if file.stem.startswith("_"):
            continue
        tree = ast.parse(file.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(name: str, arguments: list[str]) -> None:
    """Run one measurement as if it were the program, and keep what it reports."""
    sys.argv = [f"python -m benchmarks {name}", *arguments]
    report = importlib.import_module(f"benchmarks.{name}").main()
    if isinstance(report, _harness.Report):
        _harness.write(name, report)


def main() -> None:
    """Read the command line."""
    found = measurements()
    match sys.argv[1:]:
        case ["--list"]:
            for name, purpose in found.items():
                print(f"{name:24} {purpose}")
        case []:
            for name, purpose in found.items():
                print(f"\n== {name}: {purpose}", flush=True)
                run(name, [])
        case [name, *arguments] if (module := name.replace("-", "_")) in found:
            run(module, arguments)
        case [name, *_]:
            sys.exit(f"no measurement is called {name}; there are: {', '.join(found)}")


if __name__ == "__main__":
    main()
