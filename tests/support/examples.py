"""Running the examples of a page: Python blocks as one program, console blocks line by line.

A block after a comment ``<!-- not run: reason -->`` is left out. One after ``<!-- another terminal: URL -->`` runs
beside the others, from when the URL answers until the page ends; its page is given no emulator, because it starts its
own. What a console block sets, such as ``export NAME=value``, holds for the blocks after it. Port 8090 becomes a free
one, and so does the port on which ``login`` waits for the browser.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import logging
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from spotify_ads_async import AdsClient, ConfigurationError
from support.emulator_process import EmulatorProcess

ROOT = Path(__file__).parents[2]
INSTALLED = Path(sys.executable).parent
"""Where the installed programs are."""
FENCE = re.compile(
    r"(?:(?P<skip><!-- not run: [^>]+ -->)\s*|<!-- another terminal: (?P<answers>\S+) -->\s*)?"
    r"^```(?P<kind>python|console)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
EMULATOR_PORT, LOGIN = "8090", "spotify-ads login"
# Stands for the browser and the user: opens the page, which the emulator's accounts service agrees to at once.
BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10).read()"


@dataclass(frozen=True)
class Block:
    kind: str
    code: str
    line: int
    answers: str | None = None
    """Where it answers, if it runs beside the others."""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match["kind"], match["code"], text.count("\n", 0, match.start("code")), match["answers"])
        for match in FENCE.finditer(text)
        if not match["skip"]
    ]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def with_free_ports(blocks: list[Block]) -> list[Block]:
    emulator, login = free_port(), f"{LOGIN} --port {free_port()}"
    return [
        replace(
            block,
            code=block.code.replace(EMULATOR_PORT, emulator).replace(LOGIN, login),
            answers=block.answers and block.answers.replace(EMULATOR_PORT, emulator),
        )
        for block in blocks
    ]


def surroundings(programs: Path, emulator: EmulatorProcess, folder: Path, *, alone: bool) -> dict[str, str]:
    """The environment of a page: a home of its own and, unless it starts one, the emulator."""
    environment = {**emulator.environment, "SPOTIFY_ADS_ACCOUNTS_URL": emulator.base_url.removesuffix("/ads/v3")}
    if alone:
        environment = {name: value for name, value in environment.items() if not name.startswith("SPOTIFY_ADS_")}
    browser = folder / "browser.py"
    browser.write_text(BROWSER)
    return {
        **{name: value for name, value in environment.items() if not name.startswith("XDG_")},
        "HOME": str(folder),
        "PATH": os.pathsep.join([str(programs), str(INSTALLED), environment["PATH"]]),
        "BROWSER": f"{sys.executable} {browser} %s",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


async def run_page(
    page: Path, programs: Path, emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run every example of a page, in order, with the ``spotify-ads`` of the folder ``programs``."""
    blocks = with_free_ports(blocks_of(page))
    environment = surroundings(programs, emulator, tmp_path, alone=any(block.answers for block in blocks))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__example__"}
    with contextlib.ExitStack() as others:
        others.enter_context(logging_as_before())
        for block in blocks:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            if block.answers is not None:
                others.enter_context(another_terminal(block, block.answers, environment, tmp_path))
            elif block.kind == "console":
                environment = run_console(block, environment, tmp_path)
            elif ".run(" in block.code:
                run_script(block, environment, tmp_path)
            else:
                await run_in(namespace, block, page)
    await check_closed(namespace)


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Take back what a page set about logging: it is the process's, and later tests read logs."""
    root, own = (
        logging.getLogger(),
        [logging.getLogger(name) for name in ("spotify_ads_async", "spotify_ads_async.requests")],
    )
    handlers, levels = list(root.handlers), [logger.level for logger in (root, *own)]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for logger, level in zip((root, *own), levels, strict=True):
            logger.setLevel(level)


async def check_closed(namespace: dict[str, object]) -> None:
    """A reader who copies a page must not be told of an unclosed session: the page closes its client itself."""
    client = namespace.get("ads")
    if isinstance(client, AdsClient):
        try:
            with pytest.raises(ConfigurationError, match="closed"):
                await client.businesses.list()
        finally:
            await client.aclose()


@contextlib.contextmanager
def another_terminal(block: Block, answers: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a block of one command until the others are done, and end it with Ctrl-C."""
    (command,) = [line[2:] for line in block.code.splitlines() if line.startswith("$ ")]
    with subprocess.Popen(shlex.split(command), env=environment, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                assert process.poll() is None, f"line {block.line}: {command} ended"
                with contextlib.suppress(OSError), urllib.request.urlopen(answers, timeout=5):  # noqa: S310 (its own address)
                    break
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


async def run_in(namespace: dict[str, object], block: Block, page: Path) -> None:
    padded = "\n" * block.line + block.code
    code = compile(padded, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, namespace)  # noqa: S307 (the project's own documentation)
    if inspect.isawaitable(outcome):
        await outcome


def run_script(block: Block, environment: dict[str, str], folder: Path) -> None:
    script = folder / "example.py"
    script.write_text(block.code)
    ended = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"line {block.line}: {ended.stderr}"


def run_console(block: Block, environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Run a block line by line, as a shell would; the environment that it leaves."""
    left = folder / "environment"
    for line in block.code.splitlines():
        if line.startswith("$ "):
            script = f"set -a\n{line[2:]}\nstatus=$?\nenv -0 > '{left}'\nexit $status"
            ended = subprocess.run(
                script, shell=True, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
            )
            assert ended.returncode == 0, f"line {block.line}: {line}\n{ended.stdout}\n{ended.stderr}"
            environment = dict(item.split("=", 1) for item in left.read_text().rstrip("\0").split("\0"))
    return environment
