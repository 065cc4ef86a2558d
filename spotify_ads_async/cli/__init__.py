"""The command line, ``spotify-ads``: one file per group of commands. Needs the extra ``cli``.

It stands on typer: annotations are the interface, completion comes with it, and it imports in a third less time than
cyclopts. Help must answer at once, so groups are imported when they are used, and the SDK inside the commands.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments."""
    try:
        from spotify_ads_async.cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        sys.exit(f"the command line needs {missing.name}: pip install 'spotify-ads-async[cli]'")
    app()
