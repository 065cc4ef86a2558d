"""Every example of README.md and docs/ runs; those of the command line's pages do in tests/test_manual.py."""

from __future__ import annotations

import ast
import codeop
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import typed_pages
from support.emulator_process import RunningEmulator, emulator_beside
from support.examples import INSTALLED, ROOT, blocks_of, installs, run_page, surroundings

ELSEWHERE = ROOT / "docs" / "reference" / "command-line"
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page.parent != ELSEWHERE and blocks_of(page)
]


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> RunningEmulator:
    return emulator_beside(request, ad_sets=200)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_examples_run(
    page: Path, warm_programs: Path, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    programs = [INSTALLED] if page.name == "README.md" else [warm_programs, INSTALLED]
    await run_page(page, surroundings(emulator.environment, tmp_path, *programs))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_awaits_outside_of_a_function_can_be_pasted(page: Path) -> None:
    """Into ``python -m asyncio``, whose statements end with an empty line; and the page says that it is for that."""
    pasted = codeop.CommandCompiler()
    pasted.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    programs = [block.code for block in blocks_of(page) if block.kind == "python" and ".run(" not in block.code]
    for lines in (program.splitlines() for program in programs if "\nclass " not in program):
        statement: list[str] = []
        for line in [*lines, ""]:
            statement.append(line)
            if pasted("\n".join(statement), symbol="single") is not None:
                statement = []
    if any(re.search(r"^(?!    ).*\bawait |^async (with|for) |^    await ", code, re.MULTILINE) for code in programs):
        assert "tutorial.md#in-python" in page.read_text() or page.stem in {"tutorial", "notebook"}


def test_type_checkers_read_the_pages() -> None:
    assert typed_pages.FILE.read_text(encoding="utf-8") == typed_pages.typed_pages(), "run `make api`"


def test_the_test_with_the_emulator_passes_in_a_new_folder(tmp_path: Path) -> None:
    pass_the_readers_test(Path(sys.executable), tmp_path)


def pass_the_readers_test(python: Path, folder: Path) -> None:
    page = ROOT / "docs" / "how-to" / "testing-with-the-emulator.md"
    code = next(block.code for block in blocks_of(page) if block.kind == "python")
    assert len(code[code.index("async def") :].strip().splitlines()) <= 10
    (folder / "test_ad_sets.py").write_text(code)
    _, _, settings = page.read_text().partition("```toml\n")
    (folder / "pyproject.toml").write_text(settings.partition("```")[0])
    ended = subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "error"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert "Warning" not in ended.stderr


INSTALLATIONS = sorted({tuple(installs(page)) for page in PAGES})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.soak
@pytest.mark.parametrize("installation", INSTALLATIONS, ids=" ".join)
def test_examples_run_where_only_what_the_page_says_is_installed(
    installation: tuple[str, ...], wheel: Path, emulator: RunningEmulator, tmp_path: Path
) -> None:
    """In a new environment for each way of installing, with the built package, warnings of Python's shown."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    python = programs / "python"
    named = [word.replace("spotify-ads-async", f"spotify-ads-async @ {wheel.as_uri()}") for word in installation]
    named = [re.sub(r"^(spotify-ads-async)( @ \S+?)(\[.*\])$", r"\1\3\2", word) for word in named]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", *named], check=True)
    for page in PAGES:
        if tuple(installs(page)) == installation:
            folder = tmp_path / page.stem
            folder.mkdir()
            environment = surroundings(emulator.environment, folder, programs)
            command = [
                python,
                "-X",
                "dev",
                "-W",
                "ignore::DeprecationWarning",
                ROOT / "tests/support/examples.py",
                page,
            ]
            ended = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
            assert ended.returncode == 0, f"{page.name}: {ended.stdout}\n{ended.stderr}"
            assert "Unclosed" not in ended.stderr, f"{page.name}: {ended.stderr}"
    if "pytest" in installation:
        pass_the_readers_test(python, tmp_path / "testing-with-the-emulator")
