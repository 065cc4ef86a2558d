"""One quota for many processes: on one machine in SQLite, on many in Redis or Valkey.

The rule stands twice: in ``ledger.lua`` for Redis and in ``ledger.py`` for SQLite. ``claims.py`` is a process's side.
"""

from spotify_ads_async.governor.shared.store import KeptWindow, Store, lift_pauses, open_store

__all__ = ["KeptWindow", "Store", "lift_pauses", "open_store"]
