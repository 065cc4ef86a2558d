"""Every example of README.md and docs/ runs; those of the command line's pages do in tests/test_manual.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.emulator_process import EmulatorProcess, emulator_process
from support.examples import INSTALLED, ROOT, blocks_of, run_page

ELSEWHERE = ROOT / "docs" / "reference" / "command-line"
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.parent != ELSEWHERE and blocks_of(page)]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process("--ad-sets", "200", "--limits", "off", "--latency", "0") as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_examples_run(
    page: Path, warm_programs: Path, emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = INSTALLED if page.name == "README.md" else warm_programs
    await run_page(page, programs, emulator, tmp_path, monkeypatch)
