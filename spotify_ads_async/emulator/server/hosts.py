"""Host names that the emulator answers to.

A web page that points a name of its own at this machine (DNS rebinding) gets nothing.
Such a page needs a name that it owns, which has a dot. Addresses, ``localhost`` and the plain names of a container
network have none.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["HostPolicy"]

_MOST_REMEMBERED = 64


class HostPolicy:
    """Which ``Host`` headers are answered.

    Args:
        allowed: names with a dot that are answered too.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(name.lower().rstrip(".") for name in allowed)
        self.admits = functools.lru_cache(_MOST_REMEMBERED)(self._admits)

    def _admits(self, header: str) -> bool:
        """Whether a request with this ``Host`` is meant for the emulator; one without the header is."""
        if not header:
            return True
        try:
            name = (urlsplit(f"//{header}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if not name or name in self._allowed or name.endswith(".localhost") or "." not in name:
            return bool(name)
        return _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
