"""Sign-ins kept on this machine, by name: secrets in the system keyring, or, where there is none, in a file of mode 0600.

Needs the extra ``cli`` (keyring, platformdirs).
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol, cast

import anyio.to_thread
import keyring
import keyring.errors
import msgspec
import platformdirs

from spotify_ads_async.auth.credentials import RefreshToken, TokenStore
from spotify_ads_async.auth.sign_in import SignIn
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.types import Secret, decode_hook

__all__ = ["DEFAULT_PROFILE", "Keyring", "Profiles"]

DEFAULT_PROFILE = "default"
_SERVICE = "spotify-ads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SYSTEM_PRIORITY = 1.0
"""From here on, keyring's backends are those of the system; below are plain files and the one that always fails."""


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


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    client_secret: Secret
    refresh_token: Secret


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A profile's file. ``secrets`` is absent where the keyring has them."""

    client_id: str
    token_url: str
    secrets: _Secrets | None = None


class Profiles:
    """Sign-ins by name.

    Args:
        folder: where their files are; by default the user's configuration directory.
        backend: the keyring; by default the system's, where there is one.
    """

    def __init__(self, folder: Path | None = None, *, backend: Keyring | None = None) -> None:
        self._folder = (platformdirs.user_config_path("spotify-ads") if folder is None else folder) / "profiles"
        self._backend = cast("Keyring", keyring.get_keyring()) if backend is None else backend

    def names(self) -> list[str]:
        """The profiles there are."""
        return sorted(file.stem for file in self._folder.glob("*.json") if _NAME.fullmatch(file.stem))

    def save(self, name: str, sign_in: SignIn) -> str:
        """Keep a sign-in, in place of the one of that name. Answers where its secrets are, for people.

        Raises:
            ConfigurationError: the name is unfit, or the file cannot be written.
        """
        file = self._file(name)
        kept = _Kept(client_id=sign_in.client_id, token_url=sign_in.token_url)
        hidden = _Secrets(client_secret=sign_in.client_secret, refresh_token=sign_in.refresh_token)
        if self._to_keyring(name, hidden):
            _replace(file, _encoder.encode(kept))
            return f"the system keyring ({self._backend.name})"
        _replace(file, _encoder.encode(msgspec.structs.replace(kept, secrets=hidden)))
        return str(file)

    def load(self, name: str) -> SignIn:
        """The sign-in of that name.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        file = self._file(name)
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_Kept, dec_hook=decode_hook)
        except FileNotFoundError:
            raise ConfigurationError(f"there is no profile {name}: sign in with `spotify-ads login --profile {name}`") from None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
            reason = type(problem).__name__
        else:
            hidden = kept.secrets or self._from_keyring(name)
            if hidden is not None:
                return SignIn(
                    client_id=kept.client_id,
                    client_secret=hidden.client_secret,
                    refresh_token=hidden.refresh_token,
                    token_url=kept.token_url,
                )
            reason = "the keyring does not have its secrets"
        raise ConfigurationError(f"profile {name} cannot be read ({reason}): sign in again with `spotify-ads login --profile {name}`")

    def remove(self, name: str) -> None:
        """Forget a sign-in; nothing happens where there is none.

        Raises:
            ConfigurationError: the name is unfit.
        """
        file = self._file(name)
        with contextlib.suppress(keyring.errors.KeyringError):
            self._backend.delete_password(_SERVICE, name)
        file.unlink(missing_ok=True)

    def credentials(self, name: str) -> RefreshToken:
        """Credentials of that profile; a new refresh token is kept in it.

        Raises:
            ConfigurationError: there is no such profile, or it cannot be read.
        """
        return self.load(name).credentials(self.store(name))

    def store(self, name: str) -> TokenStore:
        """The place where the profile's refresh token is."""
        return _ProfileStore(self, name)

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot name a profile: letters, digits, dots, dashes and underscores, at most 64")
        return self._folder / f"{name}.json"

    def _to_keyring(self, name: str, hidden: _Secrets) -> bool:
        if self._backend.priority < _SYSTEM_PRIORITY:
            return False
        try:
            self._backend.set_password(_SERVICE, name, _encoder.encode(hidden).decode())
        except Exception:  # noqa: BLE001 (backends raise what their systems raise; the file is the way out)
            return False
        return True

    def _from_keyring(self, name: str) -> _Secrets | None:
        try:
            text = self._backend.get_password(_SERVICE, name)
            return None if text is None else msgspec.json.decode(text, type=_Secrets, dec_hook=decode_hook)
        except Exception:  # noqa: BLE001 (the same; the caller says what to do)
            return None


class _ProfileStore:
    """A profile as a :class:`TokenStore`. Keyrings and files block, so a worker thread asks them."""

    def __init__(self, profiles: Profiles, name: str) -> None:
        self._profiles = profiles
        self._name = name

    async def load(self) -> Secret | None:
        return (await anyio.to_thread.run_sync(self._profiles.load, self._name)).refresh_token

    async def save(self, refresh_token: Secret) -> None:
        await anyio.to_thread.run_sync(self._replace, refresh_token)

    def _replace(self, refresh_token: Secret) -> None:
        present = self._profiles.load(self._name)
        self._profiles.save(self._name, msgspec.structs.replace(present, refresh_token=refresh_token))


def _encode_secret(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_encode_secret)


def _replace(file: Path, content: bytes) -> None:
    """Write a file of mode 0600 all or nothing: whoever reads it sees the old content or the new."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files of mode 0600.
        handle, name = tempfile.mkstemp(prefix=f".{file.stem}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as temporary:
                temporary.write(content)
                temporary.flush()
                os.fsync(temporary.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as problem:
        reason = problem.strerror
    else:
        return
    raise ConfigurationError(f"{file} cannot be written ({reason})")
