"""Every example of README.md and docs/ runs: Python blocks page by page, console blocks line by line.

A block after a comment ``<!-- not run: reason -->`` is left out.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.emulator_process import EmulatorProcess, emulator_process

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"(?P<skip><!-- not run: [^>]+ -->\s*)?^```(?P<kind>python|console)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    code: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match["kind"], match["code"], text.count("\n", 0, match.start("code"))) for match in FENCE.finditer(text) if not match["skip"]
    ]


PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if blocks_of(page)]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process("--ad-sets", "200", "--limits", "off", "--latency", "0") as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_examples_run(page: Path, emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**emulator.environment, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__example__"}
    try:
        for block in blocks_of(page):
            if block.kind == "console":
                run_console(block, environment, tmp_path)
            elif ".run(" in block.code:
                run_script(block, environment, tmp_path)
            else:
                await run_in(namespace, block, page)
    finally:
        client = namespace.get("ads")
        if client is not None:
            await client.aclose()  # type: ignore[attr-defined]


async def run_in(namespace: dict[str, object], block: Block, page: Path) -> None:
    padded = "\n" * block.line + block.code
    code = compile(padded, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, namespace)  # noqa: S307 (the project's own documentation)
    if inspect.isawaitable(outcome):
        await outcome


def run_script(block: Block, environment: dict[str, str], folder: Path) -> None:
    script = folder / "example.py"
    script.write_text(block.code)
    ended = subprocess.run(
        [sys.executable, str(script)], env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, f"line {block.line}: {ended.stderr}"


def run_console(block: Block, environment: dict[str, str], folder: Path) -> None:
    for line in block.code.splitlines():
        if line.startswith("$ "):
            ended = subprocess.run(
                line[2:], shell=True, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
            )
            assert ended.returncode == 0, f"line {block.line}: {line}\n{ended.stdout}\n{ended.stderr}"
