"""An emulator that answers deletions of drafts as ever, and deletes none."""

from __future__ import annotations

from typing import Any

from spotify_ads_async.emulator import Emulator


def keep_drafts(server: Emulator) -> None:
    """Put every draft back as soon as it is removed."""
    account = server.store.account(server.ad_account_id)
    tables = {table.name: table for table in (account.campaign_drafts, account.ad_set_drafts, account.ad_drafts)}
    last = {name: dict(table.rows) for name, table in tables.items()}

    def put_back(name: str, identifier: str, row: dict[str, Any] | None) -> None:
        if name not in tables:
            return
        if row is None:
            tables[name].put(last[name][identifier])
        else:
            last[name][identifier] = row

    server.store.listeners.append(put_back)
