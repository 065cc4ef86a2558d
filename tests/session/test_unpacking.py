"""Compressed answers, unpacked piece by piece and held to their ends."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from spotify_ads_async.core.unpacking import PackingError, Unpacking
from spotify_ads_async.errors import InvalidAnswer

TEXT = b"a line of a report\n" * 200_000
MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), (" X-GZIP ", gzip.compress), ("deflate", zlib.compress)],
    ids=["gzip", "x-gzip", "deflate"],
)
@pytest.mark.parametrize("size", [1, 1000, MEGABYTE])
def test_a_packed_answer_comes_out_whole_however_it_came(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    packed = pack(TEXT) + (pack(b"another member") if encoding == "gzip" else b"")
    unpacking = Unpacking(encoding)
    assert unpacking.packed
    pieces = [out for at in range(0, len(packed), size) for out in unpacking.feed(packed[at : at + size])]
    unpacking.end()
    assert b"".join(pieces) == TEXT + (b"another member" if encoding == "gzip" else b"")
    assert max(map(len, pieces)) <= MEGABYTE


@pytest.mark.parametrize("encoding", ["", "identity", " Identity"])
def test_what_is_not_packed_goes_through(encoding: str) -> None:
    unpacking = Unpacking(encoding)
    assert not unpacking.packed
    assert list(unpacking.feed(TEXT)) == [TEXT]
    unpacking.end()


def test_what_was_cut_or_is_no_packed_file_says_so() -> None:
    packed = gzip.compress(TEXT)
    cut = Unpacking("gzip")
    list(cut.feed(packed[:-1]))
    with pytest.raises(PackingError, match=r"^what came compressed was cut$"):
        cut.end()
    with pytest.raises(PackingError, match=r"^what came compressed was cut$"):
        Unpacking("gzip").end()
    with pytest.raises(PackingError, match=r"^what came compressed cannot be unpacked$"):
        list(Unpacking("gzip").feed(TEXT))


def test_an_encoding_that_nobody_asked_for_is_named() -> None:
    with pytest.raises(InvalidAnswer) as caught:
        Unpacking("BR")
    assert caught.value.message == "the storage packs the file as 'br', which was not asked for"
