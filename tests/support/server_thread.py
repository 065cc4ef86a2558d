"""A raw server in a thread of its own, for clients that use more than one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from support.raw_server import Behaviour, RawServer, answer


@contextlib.contextmanager
def server_in_a_thread(otherwise: Behaviour | None = None) -> Iterator[RawServer]:
    server = RawServer(otherwise=otherwise or answer(200, {"id": "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1"}))
    ready, ended = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with server:
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="server")
    thread.start()
    assert ready.wait(60)
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()
