"""An API that takes one asset in sections, over connections that break when told; it counts every byte that arrives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

ASSET = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
SESSION = "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1"
_SECTION = re.compile(rb'name="upload_section".*?\r\n\r\n(\d+)\r\n', re.DOTALL)
_MEDIA = re.compile(rb'name="media";.*?\r\n\r\n', re.DOTALL)


@dataclass
class MediaServer:
    """Keeps the SHA-256 of each section and not its bytes, unless ``keep`` says so, so that it stays small."""

    breaks_at: list[int] = field(default_factory=list)
    """Counts of media bytes after which a connection breaks amid a section, ascending."""
    lost_answers: int = 0
    """How many sections are taken whose answers are lost."""
    max_chunk_size_mb: int = 5
    keep: bool = True
    sections: dict[int, bytes] = field(default_factory=dict)
    completed: int | None = None
    starts: int = 0
    creates: int = 0
    received: int = 0
    broken: int = 0
    transfers: list[int] = field(default_factory=list)
    refuse_session: str | None = None
    name: str = "spot.mp3"
    names: list[str] = field(default_factory=list)
    """What the asset was called, one after the other."""
    status: str = "READY"
    """What the asset is once it is complete."""
    renames: bool = True
    """Whether a new name is kept, which is said either way."""
    writes: Callable[[str], str] = str
    """What becomes of a new name that is kept."""
    answers: dict[str, object] = field(default_factory=dict)
    """What answers about the asset say otherwise."""
    changed: dict[str, object] = field(default_factory=dict)
    """What answers to a change of it say otherwise."""
    before_section: Callable[[int], None] | None = None
    after_create: Callable[[], object] | None = None
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=64 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ads/v3"

    def content(self) -> bytes:
        assert self.completed == len(self.sections)
        return b"".join(self.sections[number] for number in sorted(self.sections))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        length = int(found[1]) if (found := re.search(r"content-length: (\d+)", head, re.IGNORECASE)) else 0
        if target.endswith("/transfer"):
            body = await self._media(reader, writer, length)
            if body is None:
                return False
            status, answer = self._transferred(body)
            if status == 200 and self.lost_answers:
                self.lost_answers -= 1
                _reset(writer)
                return False
        else:
            status, answer = self._answer(method, target, await reader.readexactly(length))
        content = json.dumps(answer).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        return True

    async def _media(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> bytes | None:
        parts: list[bytes] = []
        while length:
            part = await reader.read(min(length, 64 * 1024))
            if not part:
                return None
            self.received += len(part)
            length -= len(part)
            parts.append(part)
            if self.breaks_at and self.received >= self.breaks_at[0] and length:
                self.breaks_at.pop(0)
                self.broken += 1
                _reset(writer)
                return None
        return b"".join(parts)

    def _transferred(self, body: bytes) -> tuple[int, object]:
        if self.refuse_session is not None and self.refuse_session.encode() in body:
            return 400, {"messages": ["upload_session_id: no open session"]}
        section, media = _SECTION.search(body), _MEDIA.search(body)
        assert section is not None
        assert media is not None
        boundary = body[: body.index(b"\r\n")]
        content = body[media.end() : body.index(b"\r\n" + boundary, media.end())]
        number = int(section[1])
        if self.before_section is not None:
            self.before_section(number)
        self.transfers.append(number)
        self.sections[number] = content if self.keep else hashlib.sha256(content).digest()
        return 200, {"success": True}

    def _answer(self, method: str, target: str, body: bytes) -> tuple[int, object]:
        if (method == "POST" and target.endswith("/assets")) or (method == "PATCH" and self.renames):
            name: str = json.loads(body)["name"]
            self.name = self.writes(name) if method == "PATCH" else name
            self.names.append(self.name)
        asset = {
            "id": ASSET,
            "asset_type": "AUDIO",
            "name": self.name,
            "status": "WAITING_UPLOAD" if self.completed is None else self.status,
            **self.answers,
            **(self.changed if method == "PATCH" or target.endswith("/complete") else {}),
        }
        if target.endswith("/start"):
            self.starts += 1
            session = SESSION[:-1] + str(self.starts)
            return 200, {"upload_session_id": session, "max_chunk_size_mb": self.max_chunk_size_mb}
        if target.endswith("/complete"):
            self.completed = json.loads(body)["number_of_sections"]
            return 200, {**asset, "status": "PROCESSING"}
        if method == "POST" and target.endswith("/assets"):
            self.creates += 1
            if self.after_create is not None:
                self.after_create()
        elif method == "GET" and target.partition("?")[0].endswith("/assets"):
            return 200, {
                "assets": [asset] if self.creates else [],
                "paging": {"total_results": int(bool(self.creates))},
            }
        return 200, asset


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
