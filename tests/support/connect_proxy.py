"""An HTTP proxy that alone knows the way: whatever name is asked for, it connects to one port of this machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from typing import Self


class ConnectProxy:
    """Takes CONNECT alone, from whoever has the login, unless it hangs up on whoever comes."""

    def __init__(
        self, port: int, *, user: str = "", password: str = "", hangs_up: Callable[[], bool] = lambda: False
    ) -> None:
        self._there = port
        self._hangs_up = hangs_up
        self._login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self.asked: list[str] = []
        self.refused = 0
        self.seen = bytearray()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if self._hangs_up():
            writer.close()
            return
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        method, target, _ = first.split(" ")
        if method != "CONNECT" or headers.get("proxy-authorization", "") != self._login:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        self.asked.append(target)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._there)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.seen += data
                writer.write(data)
        finally:
            writer.close()
