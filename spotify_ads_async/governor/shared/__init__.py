"""One quota for many processes: on one machine in SQLite, on many in Redis or Valkey.

The rule stands twice, side by side: in ``ledger.lua`` for Redis and in ``ledger.py`` for SQLite. ``claims.py`` is a process's side of it.
"""

from spotify_ads_async.governor.shared.store import HolderView, Store, WindowView, lift_pauses, open_store

__all__ = ["HolderView", "Store", "WindowView", "lift_pauses", "open_store"]
