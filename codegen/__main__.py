"""``python -m codegen``: writes models, resources and operations from ``api.json``.

With ``follow DOCUMENT`` from a newer document.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codegen import calls, document, fragment, models, operations, overrides, reference, resources
from codegen.source import neaten
from spotify_ads_async.api.changes import find_changes, render_changes
from spotify_ads_async.api.facts import Facts, known_facts, render_facts

__all__ = ["follow", "generate", "main"]

ROOT = Path(__file__).parents[1]
FACTS = Path("spotify_ads_async/api.json")
PACKAGES = ("spotify_ads_async/models", "spotify_ads_async/operations", "spotify_ads_async/resources")


def generate(facts: Facts, root: Path, overrides_file: Path = overrides.FILE) -> tuple[list[Path], list[str]]:
    """Write the facts and every file made from them below ``root``, and drop those that are no longer made.

    Args:
        facts: what the API's document says.
        root: the repository, or a directory to compare with it.
        overrides_file: what the document cannot say.

    Returns:
        The files, relative to ``root``, and what the overrides lack or no longer need.

    Raises:
        GenerationError: somebody must decide something first; nothing has been written.
    """
    with tempfile.TemporaryDirectory() as workshop:
        files, notes = _render(facts, overrides_file)
        for name, text in files.items():
            file = Path(workshop, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        neaten(sorted(Path(workshop).rglob("*.py")))
        for package in PACKAGES:
            for stale in Path(root, package).glob("*.py"):
                stale.unlink()
        for name in files:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Path(workshop, name).read_text(encoding="utf-8"), encoding="utf-8")
    return sorted(Path(name) for name in files), notes


def _render(facts: Facts, overrides_file: Path) -> tuple[dict[str, str], list[str]]:
    said = overrides.load(overrides_file)
    files = {str(FACTS): render_facts(facts)}
    api = document.Document(facts)
    said.apply(api)
    found, shapes = calls.read(api, said)
    for package, made in (
        ("models", models.render(shapes, said.docs, api)),
        ("resources", resources.render(found, said, shapes)),
        ("operations", operations.render(found, shapes)),
    ):
        files |= {f"spotify_ads_async/{package}/{name}": text for name, text in made.items()}
    files["docs/reference/operations.md"] = reference.render(found, said)
    return files, api.notes


def follow(source: str, root: Path, before: Facts, overrides_file: Path = overrides.FILE) -> Iterable[str]:
    """Take the facts of a newer document, write everything anew and a changelog fragment, and say what has changed.

    Args:
        source: the path or URL of the document.
        root: the repository.
        before: the facts that were known until now.
        overrides_file: what the document cannot say.

    Returns:
        The lines of the report.

    Raises:
        GenerationError: it is no OpenAPI document, or somebody must decide something first; nothing has been written.
    """
    facts = document.load(source)
    changes = find_changes(before, facts)
    files, notes = generate(facts, root, overrides_file)
    if not changes:
        return [f"{len(files)} files written; the API is as it was", *notes]
    written = fragment.write(changes, root / "changes")
    report = [*render_changes(changes), "", f"{len(files)} files written; for users: {written.relative_to(root)}"]
    return [*report, *(["to do in codegen/overrides.yaml:", *(f"  {note}" for note in notes)] if notes else [])]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    following = commands.add_parser(
        "follow", help="take the facts of a newer document first, and report what has changed"
    )
    following.add_argument("document", help="path or URL of the OpenAPI document")
    options = parser.parse_args()
    try:
        if options.command == "follow":
            lines = follow(options.document, ROOT, known_facts())
        else:
            files, notes = generate(known_facts(), ROOT)
            lines = [f"{len(files)} files written", *notes]
    except document.GenerationError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 -- a command line
        return 1
    print("\n".join(lines))  # noqa: T201 -- a command line
    return 0


if __name__ == "__main__":
    sys.exit(main())
