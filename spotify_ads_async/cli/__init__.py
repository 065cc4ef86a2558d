"""The commands of the command line, one file per group.

Needs the extra ``cli``; :mod:`spotify_ads_cli` imports them when used.
"""

from __future__ import annotations

from spotify_ads_cli import main

__all__ = ["main"]
