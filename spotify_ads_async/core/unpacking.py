"""Answers that come compressed, unpacked piece by piece, and held to their ends. Pure.

A compressed file that was cut unpacks to a shorter one, and aiohttp does not say so of gzip.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from spotify_ads_async.errors import InvalidAnswer

__all__ = ["PackingError", "Unpacking"]

_LARGEST_PIECE = 1 << 20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_PLAIN = "identity"
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})


class PackingError(Exception):
    """What came is no compressed file, or a part of one."""


class Unpacking:
    """One compressed answer, or one that is not.

    Args:
        encoding: its ``Content-Encoding``, empty where it has none.

    Raises:
        InvalidAnswer: nobody asked for this encoding, or can read it.
    """

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower() or _PLAIN
        self.packed = encoding != _PLAIN
        if self.packed and encoding not in _KNOWN:
            raise InvalidAnswer(f"the storage packs the file as {encoding!r}, which was not asked for")
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB) if self.packed else None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, a megabyte at a time at most.

        Raises:
            PackingError: they are no continuation of what came.
        """
        if self._stream is None:
            yield piece
            return
        try:
            while piece:
                if self._stream.eof:
                    # Another member of the same file.
                    self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
                yield self._stream.decompress(piece, _LARGEST_PIECE)
                piece = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error:
            raise PackingError("what came compressed cannot be unpacked") from None

    def end(self) -> None:
        """Say that nothing follows.

        Raises:
            PackingError: the compressed file has not come to its end.
        """
        if self._stream is not None and not self._stream.eof:
            raise PackingError("what came compressed was cut")
