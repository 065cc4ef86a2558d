"""Sign-ins kept on this machine, by name.

Secrets in the system keyring, or, where there is none, in a file of mode 0600.
Any number of processes may use one profile at once: a lock beside its file lets one of them refresh, and the others use
what it got. Needs the extra ``cli`` (keyring, platformdirs).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.auth.homes import config_folder, make_folder, replace_file, unwritable
from spotify_ads_async.auth.keyrings import Keyring, KeyringProblem, SystemKeyring
from spotify_ads_async.auth.refresh_token import RefreshToken
from spotify_ads_async.auth.sign_in import SignIn
from spotify_ads_async.auth.token_stores import SharedTokenStore, Tokens
from spotify_ads_async.errors import ConfigurationError, ConnectionFailed
from spotify_ads_async.locks import close_locked, open_locked
from spotify_ads_async.private_files import read_small_file, remove_left, require_writable
from spotify_ads_async.types import Secret, decode_hook

__all__ = ["DEFAULT_PROFILE", "Profiles"]

logger = logging.getLogger("spotify_ads_async")

DEFAULT_PROFILE = "default"
_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Some are devices to Windows, whatever stands behind a dot."""
_LARGEST_FILE = 1024 * 1024
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 120.0
_SILENT_SECONDS = 3.0
"""A refresh takes less; who waits longer is told what for."""


class _Secrets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that must not be seen: the app's secret, and the tokens as in :class:`Tokens`."""

    client_secret: Secret
    refresh_token: Secret
    access_token: Secret | None = None
    issued_at: float = 0.0
    expires_at: float = 0.0
    refreshing_since: float | None = None


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
        allow_http: hosts that plain http may go to, for the accounts service of a test server.
    """

    def __init__(
        self, folder: Path | None = None, *, backend: Keyring | None = None, allow_http: tuple[str, ...] = ()
    ) -> None:
        self._folder = (config_folder() if folder is None else folder) / "profiles"
        self._keyring = SystemKeyring(backend)
        self._allow_http = allow_http

    def names(self) -> list[str]:
        """The profiles there are.

        Raises:
            ConfigurationError: their folder cannot be read.
        """
        try:
            files = [Path(file) for file in os.listdir(self._folder)]  # noqa: PTH208 (names alone)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as problem:
            raise ConfigurationError(
                f"the profiles in {self._folder} cannot be read ({problem.strerror}): mend that, or set"
                " XDG_CONFIG_HOME to another folder"
            ) from None
        return sorted(file.stem for file in files if file.suffix == ".json" and _NAME.fullmatch(file.stem))

    def require_place(self, name: str) -> None:
        """Make sure that a sign-in of that name can be kept, before anybody is asked to agree to one.

        Raises:
            ConfigurationError: the name is unfit, or the folder cannot be written.
        """
        file = self._file(name)
        try:
            make_folder(file.parent)
            require_writable(file.parent)
        except OSError as problem:
            raise unwritable(file, problem.strerror) from None

    def save(self, name: str, sign_in: SignIn) -> str:
        """Keep a sign-in, in place of the one of that name. Answers where its secrets are, for people.

        Raises:
            ConfigurationError: the name is unfit, or the file cannot be written.
        """
        kept = _Kept(client_id=sign_in.client_id, token_url=sign_in.token_url)
        return self._save(
            name, kept, _Secrets(client_secret=sign_in.client_secret, refresh_token=sign_in.refresh_token)
        )

    def load(self, name: str) -> SignIn:
        """The sign-in of that name.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        kept, hidden = self._load(name)
        return SignIn(
            client_id=kept.client_id,
            client_secret=hidden.client_secret,
            refresh_token=hidden.refresh_token,
            token_url=kept.token_url,
        )

    def place(self, name: str) -> str:
        """Where the secrets of that sign-in are, for people.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        kept, _ = self._load(name)
        return f"the system keyring ({self._keyring.name})" if kept.secrets is None else str(self._file(name))

    def remove(self, name: str) -> None:
        """Forget a sign-in; nothing happens where there is none.

        Raises:
            ConfigurationError: the name is unfit.
        """
        file = self._file(name)
        self._keyring.delete(name)
        file.unlink(missing_ok=True)
        remove_left(file)
        with contextlib.suppress(OSError):  # some systems keep a file that is open
            file.with_suffix(".lock").unlink(missing_ok=True)

    def credentials(self, name: str) -> RefreshToken:
        """Credentials of that profile; tokens that replace others are kept in it, for every process that uses it.

        Raises:
            ConfigurationError: there is no such profile, or it cannot be read.
        """
        sign_in = self.load(name)
        return sign_in.credentials(_ProfileStore(self, name, sign_in), allow_http=self._allow_http)

    def store(self, name: str) -> SharedTokenStore:
        """The place where the profile's tokens are."""
        return _ProfileStore(self, name)

    def tokens(self, name: str, *, of: SignIn | None = None) -> Tokens:
        """The tokens of that profile; with ``of``, as long as they are of the same app and accounts service.

        Raises:
            ConfigurationError: there is no such profile, it cannot be read, or its tokens are another app's.
        """
        kept, hidden = self._load(name)
        if of is not None and (kept.client_id, kept.token_url) != (of.client_id, of.token_url):
            # Another app has windows of its own: whoever goes on with its tokens spends them without counting.
            raise ConfigurationError(
                f"profile {name} was signed in to another app or accounts service (client ID {kept.client_id}) after"
                f" this program began with the app {of.client_id}: start the program again to go on as that app, or"
                " sign in to the former one again"
            )
        return msgspec.convert(hidden, Tokens, from_attributes=True, dec_hook=_as_it_is)

    def replace_tokens(self, name: str, tokens: Tokens, *, of: Secret | None = None) -> None:
        """Keep these tokens in place of the profile's; with ``of``, unless its refresh token is another one by now.

        Raises:
            ConfigurationError: there is no such profile, or it cannot be read or written.
        """
        kept, hidden = self._load(name)
        if of is not None and hidden.refresh_token != of:
            logger.warning("somebody signed in to profile %s while its token was renewed: that sign-in is kept", name)
            return
        changes = {field: getattr(tokens, field) for field in tokens.__struct_fields__ if field != "client_secret"}
        place = self._save(name, kept, msgspec.structs.replace(hidden, **changes))
        if kept.secrets is None and place.startswith(str(self._file(name))):
            logger.warning("the secrets of profile %s left the keyring: they are in %s", name, place)

    def lock_file(self, name: str) -> Path:
        """Where those who refresh the profile's tokens take turns, also those who come to it through another link."""
        return self._file(name).resolve().with_suffix(".lock")

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot name a profile: letters, digits, dots, dashes and underscores, at most 64, and"
                " no device of Windows"
            )
        alike = [one for one in self.names() if one.casefold() == name.casefold()]
        if alike and name not in alike:  # to some systems it would be the same file
            raise ConfigurationError(
                f"there is no profile {name}, and none of that name beside {alike[0]}: case alone tells none apart"
            )
        return self._folder / f"{name}.json"

    def _save(self, name: str, kept: _Kept, hidden: _Secrets) -> str:
        file = self._file(name)
        problem = self._keyring.save(name, _encoder.encode(hidden).decode())
        if problem is None:
            replace_file(file, _encoder.encode(msgspec.structs.replace(kept, secrets=None)))
            return f"the system keyring ({self._keyring.name})"
        replace_file(file, _encoder.encode(msgspec.structs.replace(kept, secrets=hidden)))
        return f"{file}{problem}"

    def _load(self, name: str) -> tuple[_Kept, _Secrets]:
        file = self._file(name)
        try:
            kept = msgspec.json.decode(read_small_file(file, _LARGEST_FILE), type=_Kept, dec_hook=decode_hook)
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigurationError(
                f"there is no profile {name}: sign in with `spotify-ads login --profile {name}`"
            ) from None
        except PermissionError:
            raise ConfigurationError(
                f"profile {name} cannot be read: {file} is somebody else's, or its permissions are wrong"
            ) from None
        except OSError as problem:  # signing in again would not help: what is kept is still there
            raise ConfigurationError(f"profile {name} cannot be read: {file}: {problem.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            reason = type(problem).__name__
        else:
            hidden = kept.secrets or self._from_keyring(name)
            if hidden is not None:
                return kept, hidden
            reason = "the keyring does not have its secrets"
        raise ConfigurationError(
            f"profile {name} cannot be read ({reason}): sign in again with `spotify-ads login --profile {name}`"
        )

    def _from_keyring(self, name: str) -> _Secrets | None:
        try:
            text = self._keyring.load(name)
        except KeyringProblem as problem:
            # Signing in again would not help: what is kept is still there.
            failure = ConfigurationError(
                f"profile {name} is in the system keyring, which {problem}: unlock or repair it, or do without"
                " (PYTHON_KEYRING_BACKEND=keyring.backends.fail.Keyring) and sign in again"
            )
        else:
            with contextlib.suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                return None if text is None else msgspec.json.decode(text, type=_Secrets, dec_hook=decode_hook)
            return None
        raise failure


class _ProfileStore:
    """A profile as a :class:`SharedTokenStore`. Keyrings and files block, so a worker thread asks them."""

    def __init__(self, profiles: Profiles, name: str, sign_in: SignIn | None = None) -> None:
        self._profiles = profiles
        self._name = name
        self._sign_in = sign_in
        self._known: Secret | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        path = self._profiles.lock_file(self._name)
        try:
            file = await self._locked(path)
        except OSError as problem:
            logger.warning(
                "%s cannot be locked (%s): processes that use this profile may refresh its token at once",
                path,
                problem.strerror,
            )
            yield
            return
        try:
            yield
        finally:
            close_locked(file)

    async def _locked(self, path: Path) -> int:
        begun, told = time.monotonic(), False
        await anyio.to_thread.run_sync(make_folder, path.parent)
        while (file := open_locked(path)) is None:
            waited = time.monotonic() - begun
            if waited > _SILENT_SECONDS and not told:
                told = True
                logger.warning("waiting for another process that renews the access token of profile %s", self._name)
            if waited > _PATIENCE_SECONDS:
                raise ConnectionFailed(
                    f"another process has been renewing the access token of profile {self._name} for {waited:.0f} s: "
                    f"end it and try again (it holds {path})"
                )
            await anyio.sleep(_POLL_SECONDS)
        return file

    async def read(self) -> Tokens | None:
        look = functools.partial(self._profiles.tokens, self._name, of=self._sign_in)
        found = await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
        self._known = found.refresh_token
        return found

    async def write(self, tokens: Tokens) -> None:
        """Replace what was read or written last: whoever signs in waits for no turn, and is not undone."""
        replace = functools.partial(self._profiles.replace_tokens, self._name, tokens, of=self._known)
        await anyio.to_thread.run_sync(replace)
        self._known = tokens.refresh_token


def _encode_secret(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def _as_it_is(kind: type, value: object) -> object:
    del kind
    return value


_encoder = msgspec.json.Encoder(enc_hook=_encode_secret)
