"""tinyproxy, from the distribution, with a user name and a password."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "a-user", "pass-w.rd"  # it takes no others


@dataclass
class Tinyproxy:
    port: int
    log_file: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """With user name and password."""
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def tunnels(self) -> int:
        """How many connections went through it."""
        return self.log_file.read_text(encoding="utf-8").count("Established connection to host")


@contextlib.contextmanager
def tinyproxy(folder: Path) -> Iterator[Tinyproxy]:
    program = shutil.which("tinyproxy")
    if program is None:
        pytest.skip("tinyproxy is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log_file, settings = folder / "tinyproxy.log", folder / "tinyproxy.conf"
    log_file.touch()
    settings.write_text(
        f'Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth {USER} {PASSWORD}\nLogFile "{log_file}"\nLogLevel'
        " Info\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [program, "-d", "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            for _ in range(3000):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                    break
                time.sleep(0.02)
            yield Tinyproxy(port, log_file)
        finally:
            process.terminate()
