"""A large workbook is made by processes that are killed: everything is there once, on the published limits."""

from __future__ import annotations

import io
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import openpyxl
import pytest

from spotify_ads_async import AdsClient, Governor
from tests.support.emulator_process import emulator_process

from .test_workbooks import AD, AD_SET, MP3, PNG, book

CAMPAIGNS, AD_SETS, ADS, FILES = 20, 200, 600, 40


def plan_of_everything(folder: Path) -> Path:
    for number in range(FILES):
        (folder / f"spot{number}.mp3").write_bytes(MP3 + bytes([number]))
    (folder / "logo.png").write_bytes(PNG)
    return book(
        folder / "book.xlsx",
        campaigns=[{"name": f"Killed {number}", "objective": "REACH"} for number in range(CAMPAIGNS)],
        ad_sets=[
            {"campaign": f"Killed {number % CAMPAIGNS}", **AD_SET, "name": f"Killed set {number}"}
            for number in range(AD_SETS)
        ],
        ads=[
            {
                "ad_set": f"Killed set {number % AD_SETS}",
                **AD,
                "name": f"Killed ad {number}",
                "media": f"spot{number % FILES}.mp3",
            }
            for number in range(ADS)
        ],
    )


def killed(command: list[str], environment: dict[str, str], folder: Path, seconds: float) -> None:
    """Run a command, and kill it after so many seconds."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=folder, stderr=quiet, stdout=quiet)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.soak
async def test_ten_kills_leave_everything_once(tmp_path: Path) -> None:
    plan_of_everything(tmp_path)
    with emulator_process("--ad-sets", "20", "--latency", "0") as emulator:
        environment = {**emulator.environment, "HOME": str(tmp_path)}

        def command(*words: str) -> list[str]:
            return [sys.executable, "-m", "spotify_ads_async.cli", *words]

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command(*words), env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
            )

        planned = run("bulk", "plan", "book.xlsx", "--plan", "a.plan")
        assert planned.returncode == 0, planned.stderr
        begun = time.monotonic()
        for number, seconds in enumerate(random.Random(22).uniform(1.2, 4.0) for _ in range(10)):  # noqa: S311 - no secret
            killed(command("bulk", "resume" if number else "apply", "a.plan", "--yes"), environment, tmp_path, seconds)
        ended = run("bulk", "resume", "a.plan", "--yes")
        assert ended.returncode == 0, ended.stderr
        sys.stderr.write(f"{time.monotonic() - begun:.1f} seconds\n")
        account_id = environment["SPOTIFY_ADS_AD_ACCOUNT_ID"]
        async with AdsClient("token", base_url=environment["SPOTIFY_ADS_BASE_URL"], governor=Governor([])) as ads:
            drafts = ads.ad_account(account_id).drafts
            assert len([one async for one in drafts.campaigns.list()]) == CAMPAIGNS
            names = Counter([one.name async for one in drafts.ad_sets.list()])
            assert (len(names), set(names.values())) == (AD_SETS, {1})
            names = Counter([one.name async for one in drafts.ads.list()])
            assert (len(names), set(names.values())) == (ADS, {1})
            assets = [
                one.name
                async for one in ads.ad_account(account_id).assets.list()
                if (one.name or "").startswith(("spot", "logo"))
            ]
            assert len(assets) == FILES + 1
        published = run("bulk", "resume", "a.plan", "--publish", "--yes")
        assert f"{CAMPAIGNS + AD_SETS + ADS} new published" in published.stderr, published.stderr
        undone = run("bulk", "undo", "a.plan", "--archive", "--yes")
        assert f"{CAMPAIGNS + AD_SETS + ADS} new archived" in undone.stderr, undone.stderr


@pytest.mark.soak
def test_thirty_errors_come_back_to_their_cells(tmp_path: Path) -> None:
    path = plan_of_everything(tmp_path)
    made = openpyxl.load_workbook(path)
    sheet = made["ads"]
    media = [cell.value for cell in sheet[1]].index("media") + 1
    wrong = {f"ads!{sheet.cell(row, media).coordinate}" for row in range(2, 602, 20)}
    for row in range(2, 602, 20):
        sheet.cell(row, media).value = f"00000000-0000-4000-8000-{row:012d}"
    out = io.BytesIO()
    made.save(out)
    path.write_bytes(out.getvalue())
    with emulator_process("--ad-sets", "20", "--latency", "0", "--limits", "off") as emulator:
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "spotify_ads_async.cli",
                "bulk",
                "apply",
                "book.xlsx",
                "--plan",
                "a.plan",
                "--yes",
                "--results",
                "r.csv",
            ],
            env={**emulator.environment, "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 1, ended.stderr
    found = {line.split(",")[0] for line in (tmp_path / "r.csv").read_text().splitlines() if ",invalid," in line}
    assert found == wrong
    assert len(found) == 30
