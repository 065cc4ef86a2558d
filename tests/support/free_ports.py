"""Ports for servers that are told theirs before they listen."""

from __future__ import annotations

import contextlib
import random
import socket

CLOSED_PORT = 9
"""Nobody listens there."""

_chance = random.SystemRandom()


def free_port(*, beside: int = 0) -> int:
    """A port that is free, and so is the one so far above it.

    The system gives none of them to anybody who asks for any, as other tests do meanwhile.
    """
    while True:
        port = _chance.randrange(10_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            if beside:
                other.bind(("127.0.0.1", port + beside))
            return port
