"""A server on a raw loopback socket that answers, or fails to, exactly as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

Behaviour = Callable[["Connection"], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Connection:
    """What a behaviour has in hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: Received | None
    keep: bool = True

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST."""
        self.keep = False
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def answer(status: int = 200, body: object = b"", *, headers: dict[str, str] | None = None) -> Behaviour:
    """A whole, sound answer; anything but bytes is sent as JSON."""

    async def behave(connection: Connection) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        await connection.send(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + data)

    return behave


def raw(data: bytes, *, then_reset: bool = False) -> Behaviour:
    """Just these bytes, then the end of the connection."""

    async def behave(connection: Connection) -> None:
        await connection.send(data)
        if then_reset:
            connection.reset()
        connection.keep = False

    return behave


async def reset(connection: Connection) -> None:
    """Take the request and reset the connection."""
    connection.reset()


async def stall(connection: Connection) -> None:
    """Take the request and say nothing until the other side leaves."""
    connection.keep = False
    with contextlib.suppress(ConnectionError):
        await connection.reader.read()


def stall_after(data: bytes) -> Behaviour:
    """Begin an answer and stop in its midst."""

    async def behave(connection: Connection) -> None:
        await connection.send(data)
        await stall(connection)

    return behave


@dataclass
class RawServer:
    """Answers each request with the next behaviour of ``script``, and with ``otherwise`` after the last.

    ``on_connect`` may end a connection before its first request is read. ``received`` holds every whole request.
    """

    otherwise: Behaviour = field(default_factory=lambda: answer(200, {}))
    script: list[Behaviour] = field(default_factory=list)
    on_connect: Callable[[Connection], bool] | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        # A connection that a caller opened and gave up last takes some of the loop's rounds from being accepted to
        # being served: where the server closes between, asyncio leaves its transport open.
        await _rounds()
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await _rounds()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/ads/v3"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            connection = Connection(reader, writer, None)
            if self.on_connect is not None and self.on_connect(connection):
                return
            while connection.keep:
                request = await _read_request(reader)
                self.received.append(request)
                connection.request = request
                behave = self.script.pop(0) if self.script else self.otherwise
                await behave(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _rounds() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)
