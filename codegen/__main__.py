"""``python -m codegen DOCUMENT``: writes models, resources, operations and their table from the OpenAPI document."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from codegen import calls, document, models, operations, overrides, reference, resources
from codegen.source import neaten

__all__ = ["generate", "main"]

ROOT = Path(__file__).parents[1]


def generate(source: str, root: Path, overrides_file: Path = overrides.FILE) -> list[Path]:
    """Write every generated file below ``root`` and drop those that are no longer made.

    Args:
        source: a path or URL of the OpenAPI document.
        root: the repository, or a directory to compare with it.
        overrides_file: what the document cannot say.

    Returns:
        The files, relative to ``root``.

    Raises:
        GenerationError: the document and the overrides do not fit together.
    """
    with tempfile.TemporaryDirectory() as workshop:
        files = _render(source, overrides_file)
        for name, text in files.items():
            file = Path(workshop, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        neaten(sorted(Path(workshop).rglob("*.py")))
        for package in ("spotify_ads_async/models", "spotify_ads_async/resources"):
            for stale in Path(root, package).glob("*.py"):
                stale.unlink()
        for name in files:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Path(workshop, name).read_text(encoding="utf-8"), encoding="utf-8")
    return sorted(Path(name) for name in files)


def _render(source: str, overrides_file: Path) -> dict[str, str]:
    said = overrides.load(overrides_file)
    api = document.Document(document.load(source))
    said.apply(api)
    found, shapes = calls.read(api, said)
    return {
        **{f"spotify_ads_async/models/{name}": text for name, text in models.render(shapes, said.docs).items()},
        **{f"spotify_ads_async/resources/{name}": text for name, text in resources.render(found, said, shapes).items()},
        "spotify_ads_async/operations.py": operations.render(found, shapes),
        "docs/reference/operations.md": reference.render(found, said),
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("document", help="path or URL of the OpenAPI document")
    try:
        files = generate(parser.parse_args().document, ROOT)
    except document.GenerationError as problem:
        print(problem, file=sys.stderr)  # noqa: T201 -- a command line
        return 1
    print(f"{len(files)} files written")  # noqa: T201 -- a command line
    return 0


if __name__ == "__main__":
    sys.exit(main())
