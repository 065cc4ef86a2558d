"""A large file over a connection that breaks twenty times, sent by a process of its own whose memory is measured."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
from pathlib import Path

import pytest
from support.calls import ACCOUNT

from tests.uploads.media_server import MediaServer

MIB = 1024 * 1024

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from spotify_ads_async import AdsClient

async def main():
    base_url, account, path = sys.argv[1:]
    async with AdsClient("a-token", base_url=base_url) as ads:
        done = await ads.ad_account(account).assets.upload(path)
    # Not getrusage: its figure includes what the parent had when it forked.
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    print(json.dumps({"sha256": done.sha256, "sections": done.sections, "peak_kib": peak}))

asyncio.run(main())
"""


def make(path: Path, size: int) -> None:
    rng = random.Random(7)  # noqa: S311 - no secret
    with path.open("wb") as out:
        out.write(b"ID3\x04\x00")
        while out.tell() < size:
            out.write(rng.randbytes(min(MIB, size - out.tell())))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize(
    "megabytes", [pytest.param(60, id="60 MB"), pytest.param(500, id="500 MB", marks=pytest.mark.soak)]
)
async def test_a_large_file_arrives_over_a_bad_connection(tmp_path: Path, megabytes: int) -> None:
    path = tmp_path / "spot.mp3"
    size = megabytes * 1_000_000
    await asyncio.to_thread(make, path, size)
    breaks = 20 if megabytes == 500 else 2
    rng = random.Random(3)  # noqa: S311 - no secret
    async with MediaServer(breaks_at=sorted(rng.sample(range(MIB, size - MIB), breaks)), keep=False) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            server.base_url,
            ACCOUNT,
            str(path),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ},
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        found = json.loads(output)
        assert server.broken == breaks
        assert server.completed == len(server.sections) == found["sections"]
        assert found["sha256"] == await asyncio.to_thread(lambda: hashlib.sha256(path.read_bytes()).hexdigest())
        length = MIB // 2
        assert [server.sections[number] for number in sorted(server.sections)] == await asyncio.to_thread(
            digests, path, length
        )
        assert server.received - size < size * 0.05
        assert found["peak_kib"] * 1024 < 70_000_000  # without the file; Python alone takes some 50


def digests(path: Path, length: int) -> list[bytes]:
    with path.open("rb") as content:
        return [hashlib.sha256(part).digest() for part in iter(lambda: content.read(length), b"")]
