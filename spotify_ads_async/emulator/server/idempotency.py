"""``Idempotency-Key``: one effect per key, and the four 409s that say so."""

from __future__ import annotations

from typing import Literal

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal

__all__ = ["KeyBook", "KeyEntry"]


class KeyEntry(msgspec.Struct):
    """What became of the first request with a key."""

    operation: str
    path: str
    body: bytes
    state: Literal["running", "done", "unknown"] = "running"
    resource_uri: str = ""


class KeyBook:
    """Every key that a client used, with what became of it."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], KeyEntry] = {}

    def begin(self, client_id: str, key: str, operation: str, path: str, body: bytes) -> KeyEntry:
        """Enter a request with a key.

        Raises:
            Refusal: 409, the key was used before; which of the four depends on what became of that request.
        """
        entry = self._entries.get((client_id, key))
        if entry is None:
            entry = self._entries[client_id, key] = KeyEntry(operation, path, body)
            return entry
        if (entry.operation, entry.path, entry.body) != (operation, path, body):
            raise Refusal(409, "IDEMPOTENCY_KEY_REUSED", f"key {key} belongs to another request")
        match entry.state:
            case "running":
                raise Refusal(
                    409,
                    "IDEMPOTENCY_REQUEST_IN_PROGRESS",
                    f"the first request with key {key} still runs",
                    headers={"Retry-After": "1"},
                )
            case "done":
                extra = {"resource_uri": entry.resource_uri}
                raise Refusal(
                    409, "IDEMPOTENCY_REQUEST_ALREADY_COMPLETED", f"the request with key {key} is done", extra=extra
                )
            case "unknown":
                raise Refusal(
                    409, "IDEMPOTENCY_OUTCOME_INDETERMINATE", f"nobody knows what became of the request with key {key}"
                )

    def forget(self, client_id: str, key: str) -> None:
        """The request took no effect: its key is free again."""
        self._entries.pop((client_id, key), None)
