"""How far an upload is, for those who want to hear of it."""

from __future__ import annotations

from collections.abc import Callable

from spotify_ads_async.events import Event, Listeners
from spotify_ads_async.uploads.asset_calls import AssetCalls

__all__ = ["Progress", "UploadProgress"]


class UploadProgress(Event, frozen=True, kw_only=True):
    """How far an upload is. ``sent`` and ``size`` are bytes; ``phase`` is sending, completing, processing or ready."""

    file: str
    asset_id: str
    phase: str
    sent: int
    size: int


class Progress:
    """Tells the client's listeners, and those who follow this upload.

    Attributes:
        sent: how many bytes are there.
    """

    def __init__(self, calls: AssetCalls) -> None:
        self._calls = calls
        self._followers = Listeners()
        self.sent = 0

    def follow(self, progress: Callable[[UploadProgress], object]) -> None:
        """Call ``progress`` with each step, beside the client's listeners."""

        def heard(event: Event) -> None:
            if isinstance(event, UploadProgress):
                progress(event)

        self._followers.add(heard)

    def tell(self, phase: str) -> None:
        """Say that the upload is in a phase."""
        listeners = self._calls.session.listeners
        if not listeners and not self._followers:
            return
        event = UploadProgress(
            file=self._calls.file.name,
            asset_id=self._calls.journal.state.asset_id or "",
            phase=phase,
            sent=self.sent,
            size=self._calls.file.size,
        )
        listeners.emit(event)
        self._followers.emit(event)
