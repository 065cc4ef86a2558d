"""Starts of ``spotify-ads`` that cost a fork: a process that has imported everything forks for each command.

Importing is nearly all of a start's CPU, and the suite starts hundreds of commands. What runs is the same program, with
arguments, environment, folder and streams of its own. Tests of starting, of signals and of what is imported start the
program itself.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LATER = (
    "anyio._backends._asyncio",
    "iso4217",
    "pydantic.type_adapter",
    "spotify_ads_async.accounts",
    "spotify_ads_async.resources.ad_accounts",
    "spotify_ads_async.resources.businesses",
    "spotify_ads_async.resources.campaigns",
    "spotify_ads_cli.bash",
    "spotify_ads_cli.config",
    "spotify_ads_cli.examples",
    "typer._adapters",
    "typer._click._textwrap",
    "typer._click.decorators",
    "xlsxwriter.workbook",
    "zoneinfo",
)
"""What commands or their libraries import only while they run."""
# Stands where the program would: hands over what a process is given, passes Ctrl-C on, and ends as the command does.
# It imports what is compiled in: the modules around that would cost it as much again as its own start.
_PROGRAM = """#!{python} -IS
import _signal, _socket, marshal, os, sys
_signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT])  # until there is somebody to pass it on to
command = _socket.socket(_socket.AF_UNIX)
command.connect({address!r})
given = marshal.dumps((sys.argv, dict(os.environ), os.getcwd()))
streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (0, 1, 2))
command.sendmsg([len(given).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
command.sendall(given)
process = int.from_bytes(command.recv(4), "big")
_signal.signal(_signal.SIGINT, lambda *_: os.kill(process, _signal.SIGINT))
_signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGINT])
sys.exit(command.recv(1)[0])
"""


@contextlib.contextmanager
def warm_start() -> Iterator[Path]:
    """A folder with a ``spotify-ads`` that starts warm."""
    with tempfile.TemporaryDirectory(prefix="spotify-ads-warm-") as name:
        folder = Path(name)
        address, program = str(folder / "socket"), folder / "spotify-ads"
        program.write_text(_PROGRAM.format(python=sys.executable, address=address))
        program.chmod(0o700)
        with subprocess.Popen(
            [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield folder
            process.stdin.close()


@dataclass(frozen=True)
class _Command:
    """A command that runs, as the process sees it that forked it."""

    connection: socket.socket
    """To the program that stands for it, and is gone where this ends."""
    process: int
    alive: int
    """A pipe that ends with the command."""

    def close(self) -> None:
        self.connection.close()
        os.close(self.alive)


def _serve(address: str) -> None:
    """Fork for every command until stdin ends, and end them all then; returns in the process of a command."""
    running: dict[int, _Command] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        gc.freeze()
        while True:
            ready, _, _ = select.select([listener, sys.stdin, *running], [], [])
            if sys.stdin in ready:
                for command in set(running.values()):
                    os.kill(command.process, signal.SIGKILL)
                os._exit(0)
            for descriptor in running.keys() & ready:
                command = running.get(descriptor)
                if command is not None:
                    del running[command.alive], running[command.connection.fileno()]
                    _end(command, alive=descriptor != command.alive)
            if listener in ready:
                connection, _ = listener.accept()
                command = _begin(connection, [listener, *set(running.values())])
                if command is None:
                    return
                running |= {command.alive: command, connection.fileno(): command}


def _begin(connection: socket.socket, others: list[socket.socket | _Command]) -> _Command | None:
    """Fork for a command; nothing in its own process, which has nothing to do with the others."""
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    given = marshal.loads(_exactly(connection, int.from_bytes(head, "big")))  # noqa: S302 - from its own program
    alive, held = os.pipe()
    process = os.fork()
    if process:
        for descriptor in (held, *streams):
            os.close(descriptor)
        with contextlib.suppress(OSError):
            connection.sendall(process.to_bytes(4, "big"))
        return _Command(connection, process, alive)
    for one in (_Command(connection, process, alive), *others):
        one.close()
    _become(*given, streams)
    return None


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += connection.recv(size - len(received))
    return received


def _end(command: _Command, *, alive: bool) -> None:
    """Say how a command ended; end it first where nobody waits for it any more."""
    if alive:
        os.kill(command.process, signal.SIGKILL)
    _, status = os.waitpid(command.process, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError):
        command.connection.sendall(bytes([code if code >= 0 else 128 - code]))
    command.close()


def _become(arguments: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> None:
    """Take over what the program was started with."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = arguments
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    import typer.main

    from spotify_ads_cli import main
    from spotify_ads_cli.app import COMMANDS, app, load

    # Reading the commands' signatures is a third of what a short command costs.
    signatures: Any = functools.cache(typer.main.get_params_from_function)
    typer.main.get_params_from_function = signatures
    typer.main.get_command(app)
    for name, entry in COMMANDS.items():
        load(name, entry)
    for module in _LATER:
        with contextlib.suppress(ModuleNotFoundError):  # those of other versions of the libraries
            importlib.import_module(module)
    _serve(sys.argv[1])
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        # All that an interpreter does at its end but to take apart what was imported, which costs as much as a command.
        threading._shutdown()  # type: ignore[attr-defined] - as multiprocessing ends its processes
        atexit._run_exitfuncs()
        os._exit(end.code or 0)
