"""Files that are written whole or not at all, whatever stands under their name."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import anyio
import pytest

from spotify_ads_async import locks
from spotify_ads_async.core.files import whole_file, whole_file_off_loop
from spotify_ads_async.locks import taken_off_loop


def test_a_lock_that_is_taken_away_just_now_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, try_lock = tmp_path / "a.lock", locks.try_lock

    def gone_for_the_first(file: int) -> bool:
        monkeypatch.setattr(locks, "try_lock", try_lock)
        path.unlink()
        return try_lock(file)

    monkeypatch.setattr(locks, "try_lock", gone_for_the_first)
    monkeypatch.setattr(Path, "exists", lambda _: True)  # as it was a moment ago
    file = locks.open_locked(path)
    assert file is not None
    assert os.path.samestat(os.fstat(file), path.stat())
    locks.close_locked(file)


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("former")
    with whole_file(path) as place:
        place.write_text("new")
        assert path.read_text() == "former"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("rows.csv", "new")]


async def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    async def fail() -> None:
        async with whole_file_off_loop(tmp_path / "rows.csv") as place:
            await anyio.Path(place).write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert [one async for one in anyio.Path(tmp_path).iterdir()] == []


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("former")
    with whole_file(tmp_path / "link.csv") as place:
        place.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "rows.csv").read_text() == "new"


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    with whole_file(path) as place:
        place.write_text("new")
    reader.join()
    assert (read, path.is_fifo()) == (["new"], True)


@pytest.mark.parametrize("times", [1, 2])
async def test_what_a_task_was_taking_when_it_was_cancelled_is_given_back(times: int) -> None:
    taking, go_on = asyncio.Event(), threading.Event()
    loop, before = asyncio.get_running_loop(), asyncio.all_tasks()
    given: list[bool] = []

    def take() -> bool:
        loop.call_soon_threadsafe(taking.set)
        return go_on.wait()

    task = asyncio.create_task(taken_off_loop(take, given.append))
    await taking.wait()
    for _ in range(times):
        for one in asyncio.all_tasks() - before:  # as at a loop's end
            one.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given == [True]
