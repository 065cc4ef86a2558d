"""The command line's door, ``spotify-ads``: the names of its commands, each imported when it is used.

Needs the extra ``cli``.
It stands outside of the package because help must answer at once, and importing the package imports an HTTP client.
The commands themselves are in :mod:`spotify_ads_async.cli`.

It stands on typer: annotations are the interface, completion comes with it, and it imports in a third less time than
cyclopts.
"""

from __future__ import annotations

import sys

from spotify_ads_cli.consoles import take_everything

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments."""
    try:
        from spotify_ads_cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        sys.exit(f"the command line needs {missing.name}: pip install 'spotify-ads-async[cli]'")
    take_everything()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # what the interpreter cannot write at its end, it says in a traceback
    except OSError as error:
        from spotify_ads_async.cli.run import ended_by  # noqa: PLC0415 - the extra may be missing

        sys.exit(ended_by(error))
