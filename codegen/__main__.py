"""``python -m codegen``: writes models, resources and operations from ``api.json``.

With ``follow DOCUMENT`` from a newer document.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from codegen import calls, document, fragment, models, operations, overrides, reference, resources
from codegen.source import neaten, put
from spotify_ads_async.api.changes import find_changes, render_changes
from spotify_ads_async.api.facts import Facts, known_facts, render_facts

__all__ = ["follow", "generate", "main"]

_NOTHING: Mapping[str, str] = {}
ROOT = Path(__file__).parents[1]
FACTS = Path("spotify_ads_async/api.json")
PACKAGES = ("spotify_ads_async/models", "spotify_ads_async/operations", "spotify_ads_async/resources")


def generate(
    facts: Facts, root: Path, overrides_file: Path = overrides.FILE, beside: Mapping[str, str] = _NOTHING
) -> tuple[list[Path], list[str]]:
    """Write every file made from the facts below ``root``, drop those that are no longer made.

    The facts come last: whoever is broken off can do it again, and hears the same.

    Args:
        facts: what the API's document says.
        root: the repository, or a directory to compare with it.
        overrides_file: what the document cannot say.
        beside: further files to write.

    Returns:
        The files, relative to ``root``, and what the overrides lack or no longer need.

    Raises:
        GenerationError: somebody must decide something first; nothing has been written.
    """
    files, notes = _render(facts, overrides_file)
    files = {**beside, **files}
    with tempfile.TemporaryDirectory() as workshop:
        for name, text in files.items():
            put(Path(workshop, name), text)
        neaten(sorted(Path(workshop).rglob("*.py")))
        for name in files:
            put(root / name, Path(workshop, name).read_text(encoding="utf-8"))
    for package in PACKAGES:
        for file in Path(root, package).glob("*.py"):
            if f"{package}/{file.name}" not in files:
                file.unlink()
    return sorted(Path(name) for name in files), notes


def _render(facts: Facts, overrides_file: Path) -> tuple[dict[str, str], list[str]]:
    said, files = overrides.load(overrides_file), dict[str, str]()
    api = document.Document(facts)
    said.apply(api)
    try:
        found, shapes = calls.read(api, said)
    except RecursionError:
        raise document.GenerationError("schemas of the document refer to each other without end") from None
    for package, made in (
        ("models", models.render(shapes, said.docs, api)),
        ("resources", resources.render(found, said, shapes)),
        ("operations", operations.render(found, shapes)),
    ):
        files |= {f"spotify_ads_async/{package}/{name}": text for name, text in made.items()}
    files["docs/reference/operations.md"] = reference.render(found, said)
    return files | {str(FACTS): render_facts(facts)}, api.notes


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
    beside = {fragment.FILE: fragment.render(changes)} if changes else {}
    files, notes = generate(facts, root, overrides_file, beside)
    if not changes:
        return [f"{len(files)} files written; the API is as it was", *notes]
    report = [*render_changes(changes), "", f"{len(files) - 1} files written; for users: {fragment.FILE}"]
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
