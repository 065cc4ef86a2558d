"""Where settings came from.

Told by the reader of the config file, asked for by ``doctor``, ``whoami`` and ``config show``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PREFIX", "VARIABLES", "Origins", "Setting", "origins", "settings_in_force", "shown"]

PREFIX = "SPOTIFY_ADS_"
VARIABLES = (
    *(
        "ACCESS_TOKEN",
        "ACCOUNTS_URL",
        "AD_ACCOUNT_ID",
        "ALLOW_HTTP",
        "API_DOCUMENT",
        "BASE_URL",
        "CA_FILE",
        "CLIENT_ID",
    ),
    *("CLIENT_SECRET", "CONFIG", "LIMITS", "NO_PROXY", "OUTPUT", "PROFILE", "PROXY", "REFRESH_TOKEN", "STORE"),
    *("TOKEN_URL", "ZONE", "ACCESS_TOKEN_FILE", "CLIENT_SECRET_FILE", "PROXY_FILE", "REFRESH_TOKEN_FILE", "STORE_FILE"),
)
"""The variables that something reads, without their prefix."""
_SECRET_NAME = re.compile(r"TOKEN$|SECRET$|PASSWORD")
_NO_PORT = re.compile(r"(://[^/@\[\]]*?):(?!\d+(?:[,/?#]|$)).*", re.DOTALL)


class Origins:
    """What the reading of the config file came to.

    Attributes:
        places: variable → what its value came from where that is not the environment: a place in the config file, or an
            option.
        problem: what is wrong with the config file; empty where nothing is, or where it ended the command.
    """

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.problem = ""


origins = Origins()
"""Of this process: one command reads one config file."""


class Setting(NamedTuple):
    """A setting that is in force. Of a secret, ``value`` says only that it is there."""

    variable: str
    value: str
    origin: str


def settings_in_force() -> Iterator[Setting]:
    """Each variable that says something, by name."""
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) in VARIABLES and os.environ[name]:
            yield Setting(name, shown(name, os.environ[name]), origins.places.get(name, "the environment"))


def shown(name: str, value: str) -> str:
    """A setting's value without what may be secret in it.

    All that stands before the host of an address, its query and its fragment. Somebody may have put the secret itself
    where its file is named, or left the host out of an address, where a password then stands for the port.
    """
    if _SECRET_NAME.search(name):
        return "***"
    if name.endswith("_FILE") and name != f"{PREFIX}CA_FILE" and not os.path.exists(os.path.expanduser(value)):  # noqa: PTH110, PTH111 (pathlib's raise)
        return "*** (no such file)"
    without = re.sub(r"^(\w[\w+.-]*://)?.*@", r"\1***@", value, flags=re.DOTALL)
    without = _NO_PORT.sub(r"\1***", without)
    return re.split("[?#]", without)[0] if "://" in without or without != value else without
