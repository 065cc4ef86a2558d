"""Consoles and pipes that take less than UTF-8.

What they cannot show is written with what they can, and nothing ends in a traceback.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["go_on_unread", "is_ready", "take_everything", "told_to_end"]

_PLAIN = str.maketrans("…→·━╌┤└─“”▁▂▃▄▅▆▇█", '~>|=-|+-"".:-=+*#@')
_HANDLER = "spotify-ads"
_PIECE = getattr(select, "PIPE_BUF", 4096)
"""A pipe that takes anything takes so many bytes at once."""
_LOOK_MILLISECONDS = 200


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
    # What is said to people never ends what they asked for: no full disk below a log, no pipe without reader.
    sys.stdout, sys.stderr = _losing(sys.stdout, _lost_results), _losing(sys.stderr, [OSError])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            chosen = os.environ.get("PYTHONIOENCODING") or stream.isatty()
            stream.reconfigure(encoding=None if chosen else "utf-8", errors=_HANDLER)
    stdin: TextIO = sys.stdin
    if isinstance(stdin, io.TextIOWrapper):
        stdin.reconfigure(errors="surrogateescape")  # what is typed in another encoding is no answer, and no accident


_lost_results: list[type[OSError]] = []
"""Which failures to write results end nothing."""


told_to_end: list[signal.Signals] = []
"""By which signals this process was told to end, the latest last. From then on no write waits for whoever reads it."""


def is_ready(number: int, *, to_write: bool) -> bool:
    """Wait until a file can be written or read, unless the process was told to end and it cannot yet."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLOUT if to_write else select.POLLIN)
        while not poll.poll(0 if told_to_end else _LOOK_MILLISECONDS):
            if told_to_end:
                return False
    return True


def go_on_unread() -> None:
    """Go on where nobody reads standard output any more: a change begins, which is not to stop in its middle."""
    _lost_results.append(BrokenPipeError)


class _Losing(io.FileIO):
    """A file that may lose what is written to it, where that fails as ``losses`` say, or at the end nobody reads it."""

    def __init__(self, number: int, losses: list[type[OSError]]) -> None:
        super().__init__(number, "w", closefd=False)
        self._losses = losses

    def write(self, data: Buffer, /) -> int:
        content, written = memoryview(data).cast("B"), 0
        try:
            while written < content.nbytes and is_ready(self.fileno(), to_write=True):
                written += super().write(content[written : written + _PIECE]) or 0
        except tuple(self._losses):
            pass
        return content.nbytes


def _losing(stream: TextIO, losses: list[type[OSError]]) -> TextIO:
    """The stream, where it is the process's own and no console of Windows, with some losses borne."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # without a buffer between them, as PYTHONUNBUFFERED asks for
    if type(raw) is not io.FileIO or stream not in {sys.__stdout__, sys.__stderr__}:
        return stream
    bearing = _Losing(raw.fileno(), losses)
    return io.TextIOWrapper(
        bearing if raw is buffer else io.BufferedWriter(bearing),  # pyright: ignore[reportArgumentType] - as Python does
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=bool(stream.line_buffering),
        write_through=raw is buffer,
    )


def _fill_closed_streams() -> None:
    """Let nothing stand where a standard stream was closed.

    Or else the next file that is opened, such as the quota's, takes that number, and gets what is meant for the stream.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # noqa: FBT003 (its only argument)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _plainly(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end].translate(_PLAIN)
    return "".join(
        one if one.isascii() else one.encode("ascii", "backslashreplace").decode() for one in text
    ), problem.end
