"""Running the examples of a page: Python blocks as one program, console blocks line by line.

A block after a comment ``<!-- not run: reason -->`` is left out. One after ``<!-- another terminal: URL -->`` runs
beside the others, from when the URL answers until the page ends; its page is given no emulator, because it starts its
own. What a console block sets, such as ``export NAME=value``, holds for the blocks after it. A block that the page
says to save is saved under its name. Ports become free ones, and so does the one on which ``login`` waits for the
browser.

It needs the standard library alone, so that ``python examples.py PAGE`` runs a page where nothing but what the page
says is installed, in the present folder and with the present environment.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from support.free_ports import free_port

ROOT = Path(__file__).parents[2]
INSTALLED = Path(sys.executable).parent
"""Where the installed programs are."""
FENCE = re.compile(
    r"(?:[Ss]ave this as `(?P<file>[\w.]+)`[^\n]*\n\s*)?"
    r"(?:(?P<skip><!-- not run: [^>]+ -->)\s*|<!-- another terminal: (?P<answers>\S+) -->\s*)?"
    r"^```(?P<kind>python|console)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PORTS, LOGIN = ("8090", "8791", "8792"), "spotify-ads login"
# Stands for the browser and the user: opens the page, which the emulator's accounts service agrees to at once.
BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=120).read()"


@dataclass(frozen=True)
class Block:
    kind: str
    code: str
    line: int
    answers: str | None = None
    """Where it answers, if it runs beside the others."""
    file: str | None = None
    """The name under which the reader saves it."""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match["kind"], match["code"], text.count("\n", 0, match.start("code")), match["answers"], match["file"])
        for match in FENCE.finditer(text)
        if not match["skip"]
    ]


def with_free_ports(blocks: list[Block]) -> list[Block]:
    free = {port: str(free_port()) for port in PORTS}

    def replaced(text: str) -> str:
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: free[found[1]], text)

    login = f"{LOGIN} --port {free_port()}"
    return [
        replace(
            block,
            code=replaced(block.code).replace(LOGIN, login),
            answers=block.answers and replaced(block.answers),
        )
        for block in blocks
    ]


def installs(page: Path) -> list[str]:
    """What a page says to install, as arguments of pip; the package as in the tutorial where it does not name it."""
    said = re.findall(r"\bpip install ((?:'[^'\n]+'|[\w\[\],-]+)(?: (?:'[^'\n]+'|[\w\[\],-]+))*)", page.read_text())
    named = {word for arguments in said for word in shlex.split(arguments) if not word.startswith((".", "-"))}
    if not any(word.startswith("spotify-ads-async") for word in named):
        named.add("spotify-ads-async[cli]")
    return sorted(named)


def surroundings(environment: dict[str, str], folder: Path, *programs: Path) -> dict[str, str]:
    """A home of its own, and the programs of these folders before the machine's."""
    browser = folder / "browser.py"
    browser.write_text(BROWSER)
    accounts = environment["SPOTIFY_ADS_BASE_URL"].removesuffix("/ads/v3")
    return {
        **{name: value for name, value in environment.items() if not name.startswith("XDG_")},
        "SPOTIFY_ADS_ACCOUNTS_URL": accounts,
        "HOME": str(folder),
        "PATH": os.pathsep.join([*map(str, programs), environment["PATH"]]),
        "BROWSER": f"{sys.executable} {browser} %s",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


async def run_page(page: Path, environment: dict[str, str]) -> None:
    """Run every example of a page, in order, in the present folder."""
    folder, blocks = Path.cwd(), with_free_ports(blocks_of(page))
    if any(block.answers for block in blocks):  # it starts an emulator of its own
        environment = {name: value for name, value in environment.items() if not name.startswith("SPOTIFY_ADS_")}
    shutil.copytree(ROOT / "examples", folder / "examples")
    namespace: dict[str, object] = {"__name__": "__example__"}
    with contextlib.ExitStack() as others:
        others.enter_context(logging_as_before())
        for block in blocks:
            if block.file is not None:
                (folder / block.file).write_text(block.code)
            if block.answers is not None:
                others.enter_context(another_terminal(block, block.answers, environment, folder))
            elif block.kind == "console":
                environment = run_console(block, environment, folder)
            elif ".run(" in block.code:
                if block.file is None:
                    run_script(block, environment, folder)
            else:
                with patch.dict(os.environ, environment, clear=True):
                    await run_in(namespace, block, page)
    await check_closed(namespace)


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Take back what a page set about logging: it is the process's, and later tests read logs."""
    loggers = [logging.getLogger(name) for name in (None, "spotify_ads_async", "spotify_ads_async.requests")]
    handlers, levels = list(loggers[0].handlers), [logger.level for logger in loggers]
    try:
        yield
    finally:
        loggers[0].handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def check_closed(namespace: dict[str, object]) -> None:
    """A reader who copies a page must not be told of an unclosed session: the page closes its client itself."""
    from spotify_ads_async import AdsClient, ConfigurationError  # noqa: PLC0415 (where it is installed)

    client = namespace.get("ads")
    if isinstance(client, AdsClient):
        with contextlib.suppress(ConfigurationError):
            await client.businesses.list()
            await client.aclose()
            raise AssertionError("the page leaves its client open")


@contextlib.contextmanager
def another_terminal(block: Block, answers: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a block of one command until the others are done, and end it with Ctrl-C."""
    (command,) = [line[2:] for line in block.code.splitlines() if line.startswith("$ ")]
    with subprocess.Popen(shlex.split(command), env=environment, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                assert process.poll() is None, f"line {block.line}: {command} ended"
                with contextlib.suppress(OSError), urllib.request.urlopen(answers, timeout=5):  # noqa: S310 (its own address)
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(f"line {block.line}: {command} does not answer")
            yield
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0


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
        timeout=120,
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
                script,
                shell=True,
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert ended.returncode == 0, f"line {block.line}: {line}\n{ended.stdout}\n{ended.stderr}"
            environment = dict(item.split("=", 1) for item in left.read_text().rstrip("\0").split("\0"))
    return environment


if __name__ == "__main__":
    asyncio.run(run_page(Path(sys.argv[1]), dict(os.environ)))
