"""The emulator for programs that a test starts: in a thread beside the test, or as a process, as users start it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

AD_ACCOUNT_VARIABLE = "SPOTIFY_ADS_AD_ACCOUNT_ID"


@dataclass(frozen=True)
class RunningEmulator:
    base_url: str
    ad_account_id: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find it; the state directories of the machine stay untouched."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SPOTIFY_ADS_")}
        return {
            **kept,
            "SPOTIFY_ADS_BASE_URL": self.base_url,
            "SPOTIFY_ADS_ACCESS_TOKEN": "emulated",
            "SPOTIFY_ADS_STORE": "memory",
            AD_ACCOUNT_VARIABLE: self.ad_account_id,
        }

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make a request as another program would; a path below ``/_emulator`` is one of the emulator's own.

        Its status and its JSON.
        """
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        with contextlib.closing(connection):
            target = path if path.startswith("/_emulator") else address.path + path
            headers = {"Authorization": "Bearer emulated", "Content-Type": "application/json"}
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        is_json = answer.getheader("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(content) if is_json else None


def emulator_beside(request: pytest.FixtureRequest, **options: object) -> RunningEmulator:
    """The emulator of our plugin, for a fixture: in a thread of its own, which costs a tenth of a process.

    It enforces no limits, unless the options say which.
    """
    request.applymarker(pytest.mark.spotify_ads_emulator(**{"limits": None, **options}))
    server = request.getfixturevalue("spotify_ads_emulator")
    return RunningEmulator(server.base_url, server.ad_account_id)


@contextlib.contextmanager
def emulator_process(*arguments: str, warm: Path | None = None) -> Iterator[RunningEmulator]:
    """An emulator as a process; with the folder of :func:`warm_start`, it starts warm."""
    program = [sys.executable, "-m", "spotify_ads_async.cli"] if warm is None else [str(warm / "spotify-ads")]
    with subprocess.Popen(
        [*program, "emulate", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert base_url.startswith("http://127.0.0.1:"), base_url
            ad_account_id = process.stdout.readline().split()[-1]
            yield RunningEmulator(base_url, ad_account_id)
        finally:
            process.terminate()
