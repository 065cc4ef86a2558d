"""The command line's entry point, ``spotify-ads``: the names of its commands, each imported when it is used.

Needs the extra ``cli``.
It stands outside of the package because help must answer at once, and importing the package imports an HTTP client.
The commands themselves are in :mod:`spotify_ads_async.cli`.

It stands on typer: annotations are the interface, completion comes with it, and it imports in a third less time than
cyclopts.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_GOODBYE_SECONDS = 0.5
_NOTHING_LEFT = (
    "error: the system gives this program no more memory or threads: end other programs, or raise the limits (ulimit -v"
    " and -u, or those of the container)"
)


def main() -> None:
    """Run the command line with the process's arguments."""
    code: object = 0
    try:
        _run()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # before a command began
        code = 130
    except OSError as problem:  # from outside of a command's own handling: its output has nowhere to go
        code = _lost(problem)
    except (MemoryError, RuntimeError) as problem:
        if not isinstance(problem, MemoryError) and "start new thread" not in str(problem):
            raise
        code = 1
        print(_NOTHING_LEFT, file=sys.stderr)  # noqa: T201 (nothing else may be loaded)
    try:
        sys.stdout.flush()
    except OSError as problem:
        # Or else the interpreter tries once more at its end, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _lost(problem)
    if _somebody_is_still_asked():
        os._exit(code if isinstance(code, int) else 1)
    raise SystemExit(code)


def _somebody_is_still_asked() -> bool:
    """Whether a thread waits for a person, or a keyring, who was given up: Python would wait for it at its end."""
    import threading  # noqa: PLC0415 - as in _run

    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for one in others:
        one.join(_GOODBYE_SECONDS)
    return any(one.is_alive() for one in others)


def _run() -> None:
    # Imported here, where Ctrl-C is no traceback any more.
    from spotify_ads_cli import bash  # noqa: PLC0415
    from spotify_ads_cli.consoles import take_everything  # noqa: PLC0415

    try:
        from spotify_ads_cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        sys.exit(f"the command line needs {missing.name}: pip install 'spotify-ads-async[cli]'")
    take_everything()
    if any(word.endswith("-completion") for word in sys.argv):
        bash.put_no_space_behind_fields()
    if bash.is_asked():
        bash.complete(app)
    else:
        app()


def _lost(problem: OSError) -> int:
    """Say that the output could not be written, unless whoever read it has seen enough. Answers the exit code."""
    if isinstance(problem, BrokenPipeError):
        return 0
    said = f"error: the output could not be written to its end ({problem.strerror}): make room where it goes to"
    print(said, file=sys.stderr)  # noqa: T201 (nothing else is loaded here)
    return 2
