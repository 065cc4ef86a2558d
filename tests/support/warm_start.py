"""Starts of ``spotify-ads`` that cost a fork: a process that has imported everything forks for each command.

Importing is nearly all of a start's CPU, and the suite starts hundreds of commands. What runs is the same program, with
arguments, environment, folder and streams of its own. Tests of starting, of signals and of what is imported start the
program itself.
"""

from __future__ import annotations

import atexit
import contextlib
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
from pathlib import Path

_LATER = (
    "anyio._backends._asyncio",
    "iso4217",
    "pydantic.type_adapter",
    "spotify_ads_async.resources.ad_accounts",
    "spotify_ads_cli.examples",
    "typer._adapters",
    "typer._click._textwrap",
    "typer._click.decorators",
    "zoneinfo",
)
"""What commands or their libraries import only while they run."""
# Stands where the program would: hands over what a process is given, passes Ctrl-C on, and ends as the command does.
_PROGRAM = """#!{python} -IS
import marshal, os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until there is somebody to pass it on to
with socket.socket(socket.AF_UNIX) as command:
    command.connect({address!r})
    given = marshal.dumps((sys.argv, dict(os.environ), os.getcwd()))
    socket.send_fds(command, [len(given).to_bytes(4, "big")], [0, 1, 2])
    command.sendall(given)
    process = int.from_bytes(command.recv(4), "big")
    signal.signal(signal.SIGINT, lambda *_: os.kill(process, signal.SIGINT))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
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


def _serve(address: str) -> None:
    """Fork for every command until stdin ends; returns in the process of a command."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        gc.freeze()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                os._exit(0)
            command, _ = listener.accept()
            if not os.fork():
                break
            command.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with command:
        head, streams, _, _ = socket.recv_fds(command, 4, 3)
        given = marshal.loads(_exactly(command, int.from_bytes(head, "big")))  # noqa: S302 - from its own program
        alive, held = os.pipe()
        process = os.fork()
        if process:
            os.close(held)
            _watch(command, process, alive)
        os.close(alive)
    _become(*given, streams)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += connection.recv(size - len(received))
    return received


def _watch(command: socket.socket, process: int, alive: int) -> None:
    """Say how the command ends; end it where nobody waits for it any more."""
    command.sendall(process.to_bytes(4, "big"))
    ready, _, _ = select.select([command, alive], [], [])
    if command in ready:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError):
        command.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


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
    from spotify_ads_cli import main
    from spotify_ads_cli.app import COMMANDS

    commands = [f"spotify_ads_async.cli.{entry.module}" for entry in COMMANDS.values()]
    for module in [*commands, "spotify_ads_cli.config", *_LATER]:
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
