"""Where settings came from: told by the reader of the config file, asked for by ``doctor``."""

from __future__ import annotations

__all__ = ["Origins", "origins"]


class Origins:
    """What the reading of the config file came to.

    Attributes:
        places: variable → the place in the config file that its value came from.
        problem: what is wrong with the config file; empty where nothing is, or where it ended the command.
    """

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.problem = ""


origins = Origins()
"""Of this process: one command reads one config file."""
