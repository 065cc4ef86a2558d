"""System keyring: where secrets are kept, as far as there is one, it is unlocked, and it answers.

Needs the extra ``cli`` (keyring).
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import keyring
import keyring.backends.fail
import keyring.errors

__all__ = ["Keyring", "KeyringProblem", "SystemKeyring"]

logger = logging.getLogger("spotify_ads_async")

AnswerT = TypeVar("AnswerT")

_SERVICE = "spotify-ads"
_SYSTEM_PRIORITY = 1.0
"""From here on, keyring's backends are those of the system; below are plain files and the one that always fails."""
_SILENT_SECONDS = 3.0
_PATIENCE_SECONDS = 27.0


class Keyring(Protocol):
    """What is used of a :class:`keyring.backend.KeyringBackend`."""

    priority: float
    name: str

    def get_password(self, service: str, username: str) -> str | None:
        """The password, None where there is none."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Forget a password."""
        ...


class KeyringProblem(Exception):
    """The keyring gives no answer; the text says why."""


class SystemKeyring:
    """The system's keyring, or a backend of one's own.

    Args:
        backend: asked in its place.
    """

    def __init__(self, backend: Keyring | None = None) -> None:
        self._given = backend

    @functools.cached_property
    def _backend(self) -> Keyring:
        """Looked for when it is needed: that may take its time, too."""
        return _system_backend() if self._given is None else self._given

    @property
    def name(self) -> str:
        """What people call it."""
        return self._backend.name

    def save(self, name: str, text: str) -> str | None:
        """Keep a text under a name.

        Answers None where it is kept, and else why not, as an addition to where it is kept instead.
        """

        def keep() -> str | None:
            if self._backend.priority < _SYSTEM_PRIORITY:
                return ""
            return self._backend.set_password(_SERVICE, name, text)

        try:
            return _asked(keep)
        except KeyringProblem as problem:
            return f", because the system keyring {problem}"

    def load(self, name: str) -> str | None:
        """What is kept under a name, None where nothing is.

        Raises:
            KeyringProblem: it is locked, broken, or does not answer.
        """
        return _asked(lambda: self._backend.get_password(_SERVICE, name))

    def delete(self, name: str) -> None:
        """Forget what is kept under a name. The log says where that fails."""

        def forget() -> None:
            there = self._backend.priority >= _SYSTEM_PRIORITY and self._backend.get_password(_SERVICE, name)
            if there:
                self._backend.delete_password(_SERVICE, name)

        try:
            _asked(forget)
        except KeyringProblem as problem:
            logger.warning("the system keyring %s: what it has as %s of %s stays there", problem, name, _SERVICE)


def _system_backend() -> Keyring:
    try:
        return cast("Keyring", keyring.get_keyring())
    except Exception as problem:  # noqa: BLE001 (what a setting names may be missing, and backends raise what they like)
        logger.warning(
            "the system keyring cannot be used (%s): secrets are kept in a file of mode 0600", type(problem).__name__
        )
        return cast("Keyring", keyring.backends.fail.Keyring())


def _asked(question: Callable[[], AnswerT]) -> AnswerT:
    """Ask in a thread of its own: a locked keyring may wait for ever for a person who is not there.

    Raises:
        KeyringProblem: it is locked, broken, or does not answer.
    """
    answers: list[AnswerT] = []
    problems: list[str] = []

    def ask() -> None:
        try:
            answers.append(question())
        except keyring.errors.KeyringLocked:
            problems.append("is locked")
        except Exception as problem:  # noqa: BLE001 (backends raise what their systems raise)
            problems.append(f"fails ({type(problem).__name__})")

    asking = threading.Thread(target=ask, name="system keyring", daemon=True)
    asking.start()
    asking.join(_SILENT_SECONDS)
    if asking.is_alive():
        logger.warning("waiting %g s for the system keyring, which may ask you to unlock it", _PATIENCE_SECONDS)
        asking.join(_PATIENCE_SECONDS)
    if answers:
        return answers[0]
    raise KeyringProblem(problems[0] if problems else "gives no answer")
