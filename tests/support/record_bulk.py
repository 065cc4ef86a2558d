"""A terminal session of a bulk change that is killed, resumed and taken back.

``python tests/support/record_bulk.py`` records it anew.
The recording stands in ``docs/how-to/bulk-changes-recorded.txt``; a test makes it again and compares everything but
figures.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.emulator_process import emulator_process

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "how-to" / "bulk-changes-recorded.txt"
LIMITS = "client_id=1500/30,ip=40/1"


class Session:
    """A terminal in a folder: what is typed and what it answers."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.lines: list[str] = []

    def type(self, command: str) -> None:
        self.lines.append(f"$ {command}")
        ended = subprocess.run(
            [sys.executable, "-m", "spotify_ads_async.cli", *command.split()[1:]],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._answer(ended.stdout)

    def type_and_kill(self, command: str, plan: str, requests: int) -> None:
        """The same, killed when about so many requests have left."""
        self.lines.append(f"$ {command}")
        with subprocess.Popen(
            [sys.executable, "-m", "spotify_ads_async.cli", *command.split()[1:]],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            journal = self.folder / f"{plan}-wal"
            while process.poll() is None and not (journal.exists() and journal.stat().st_size > 20_000):
                time.sleep(0.02)
            time.sleep(requests / 100)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self.lines.append("Killed")

    def _answer(self, text: str) -> None:
        kept = text.rstrip("\n").splitlines()
        self.lines += [*kept[:6], f"… {len(kept) - 12} lines …", *kept[-6:]] if len(kept) > 14 else kept


def record() -> Sequence[str]:
    """Do it all once."""
    with (
        tempfile.TemporaryDirectory(prefix="record-bulk-") as folder,
        emulator_process("--ad-sets", "300", "--limits", LIMITS, "--latency", "0.02-0.12") as server,
    ):
        environment = server.environment | {"SPOTIFY_ADS_LIMITS": LIMITS, "COLUMNS": "110", "XDG_STATE_HOME": folder}
        session = Session(Path(folder), environment)
        session.type("spotify-ads export ad-sets --where budget.type=DAILY --to before.csv")
        session.type("spotify-ads bulk plan --where budget.type=DAILY --set budget.amount=+10% --plan raise.plan")
        session.type_and_kill("spotify-ads bulk apply raise.plan --yes --concurrency 20", "raise.plan", requests=100)
        session.type("spotify-ads bulk show raise.plan -o csv")
        session.type("spotify-ads bulk resume raise.plan --yes")
        session.type("spotify-ads bulk undo raise.plan --yes")
        session.type("spotify-ads bulk plan before.csv --plan nothing.plan")
        return session.lines


if __name__ == "__main__":
    FILE.write_text("\n".join(record()) + "\n", encoding="utf-8")
