"""Completion in bash, which takes a word apart at each ``=`` and has only the part behind the last one replaced."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable

__all__ = ["complete", "is_asked", "put_no_space_behind_fields"]

_BREAK = "="


def is_asked() -> bool:
    """Whether bash wants a word completed."""
    return os.environ.get("_SPOTIFY_ADS_COMPLETE") == "complete_bash"


def put_no_space_behind_fields() -> None:
    """Let the script that ``--install-completion`` writes go on behind ``status=``, where typer's ends the word."""
    with contextlib.suppress(ImportError, KeyError):  # of another version of typer, which then ends it
        from typer import _completion_shared  # noqa: PLC0415 - typer's own

        scripts: dict[str, str] = vars(_completion_shared)["_completion_scripts"]
        scripts["bash"] = scripts["bash"].replace(
            "    return 0", "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0"
        )


def complete(answer: Callable[[], None]) -> None:
    """Let ``answer`` see the words as they were typed, and write of its words what bash is to put in."""
    typed = os.environ["COMP_WORDS"]
    words = typed.split("\n" if "\n" in typed else " ")
    joined: list[str] = []
    for word in words[: int(os.environ["COMP_CWORD"]) + 1]:
        if len(joined) > 1 and (word == _BREAK or joined[-1].endswith(_BREAK)):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(joined), str(len(joined) - 1)
    before, broken, _ = joined[-1].rpartition(_BREAK)
    written = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(written):
        answer()
    sys.stdout.writelines(f"{line.removeprefix(before + broken)}\n" for line in written.getvalue().splitlines())
