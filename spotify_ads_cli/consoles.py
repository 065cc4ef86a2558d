"""Consoles and pipes that take less than UTF-8.

What they cannot show is written with what they can, and nothing ends in a traceback.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

__all__ = ["take_everything"]

_PLAIN = str.maketrans("…→·━╌┤└─“”▁▂▃▄▅▆▇█", '~>|=-|+-"".:-=+*#@')
_HANDLER = "spotify-ads"


def take_everything() -> None:
    r"""Let standard output, standard error and the arguments hold every character.

    Into a pipe or a file goes UTF-8, whatever the locale, unless ``PYTHONIOENCODING`` says otherwise. A console keeps
    its encoding: lines and blocks of charts become plain ones there, and any other character its escape, as in
    ``\u4e2d``.
    """
    _fill_closed_streams()
    codecs.register_error(_HANDLER, _plainly)
    # In a locale without UTF-8 the bytes of an argument came as they are; people's terminals send UTF-8 all the same.
    sys.argv = [os.fsencode(argument).decode("utf-8", "surrogateescape") for argument in sys.argv]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            chosen = os.environ.get("PYTHONIOENCODING") or stream.isatty()
            stream.reconfigure(encoding=None if chosen else "utf-8", errors=_HANDLER)


def _fill_closed_streams() -> None:
    """Let nothing stand where a standard stream was closed.

    Or else the next file that is opened, such as the quota's, takes that number, and gets what is meant for the stream.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # noqa: FBT003 (its only argument)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _plainly(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end].translate(_PLAIN)
    return "".join(
        one if one.isascii() else one.encode("ascii", "backslashreplace").decode() for one in text
    ), problem.end
