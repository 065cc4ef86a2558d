"""Run measurements.

``python -m benchmarks`` runs all, ``python -m benchmarks NAME [ARGUMENT …]`` runs one, ``--list`` names them.
A measurement is a module of this package with a function ``main()`` that reads its arguments from ``sys.argv[1:]`` and
prints what it found. What it returns as a :class:`Report` goes into ``docs/benchmarks/`` as JSON and SVG, and from
there into the tables of the documentation. The module's first line says what it measures. A name may have hyphens for
underscores. All of them take about forty minutes on two cores; each is a process of its own, so that one that fails
costs no other its results.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import _figures_page as figures_page
from benchmarks import _harness

HERE = Path(__file__).parent
AT_MOST_SECONDS = 20 * 60
"""One measurement that hangs does not hold up the others."""


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
        figures_page.refresh()


def run_all(names: list[str]) -> None:
    """Run one after the other, say how far it is, and name at the end what failed."""
    began = time.monotonic()
    failed: list[str] = []
    for number, name in enumerate(names, start=1):
        print(
            f"\n== {number} of {len(names)}: {name}, {(time.monotonic() - began) / 60:.0f} minutes so far", flush=True
        )
        command = [sys.executable, "-m", "benchmarks", name]
        try:
            subprocess.run(command, check=True, cwd=HERE.parent, timeout=AT_MOST_SECONDS)  # noqa: S603 - this package itself
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
            print(f"{name} failed: {problem}", file=sys.stderr, flush=True)
            failed.append(name)
    print(f"\n{len(names) - len(failed)} of {len(names)} measured in {(time.monotonic() - began) / 60:.0f} minutes")
    if failed:
        sys.exit(f"failed, earlier results kept: {', '.join(failed)}")


def main() -> None:
    """Read the command line."""
    found = measurements()
    match sys.argv[1:]:
        case ["--list"]:
            for name, purpose in found.items():
                print(f"{name:24} {purpose}")
        case []:
            run_all(list(found))
        case [name, *arguments] if (module := name.replace("-", "_")) in found:
            run(module, arguments)
        case [name, *_]:
            sys.exit(f"no measurement is called {name}; there are: {', '.join(found)}")


if __name__ == "__main__":
    main()
